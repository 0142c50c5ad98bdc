"""Many small networks trained at once, to compare what they are asked and told.

Source: chapter *Input/output configurations*, sections *Why many-to-one loses* and
*Several days ahead*. The networks are those of `rnn_companion.networks`; torch's
`vmap` runs them side by side, each with its own weights, windows and order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, vmap

from rnn_companion.devices import choose_device
from rnn_companion.forecasting.settings import (
    require_choice,
    require_positive,
    seeded,
)
from rnn_companion.networks import RNNParameters, encoder_decoder, rnn

__all__ = ["WAYS", "Plan", "forecasts_together", "train_together"]

WAYS = ("aligned", "direct", "recursive", "encoder-decoder")

Weights = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a small tanh network forecasts, and how it is trained.

    Parameters
    ----------
    way : str
        ``"aligned"``: an output after each input. ``"direct"``: K outputs of the last
        state, each with a head of its own (`eq-conf-direct`). ``"recursive"``: one day
        ahead, K times, each output being the next input (`eq-conf-feedback`).
        ``"encoder-decoder"``: the same with other weights from the last input on
        (`eq-conf-decoder`).
    horizon : int
        Outputs, K; not for the aligned one, which has T.
    forced : bool
        Teacher forcing: whether the last two read the targets while they learn.
    hidden_size, epochs, batch_size, learning_rate
        As in `Experiment`; the optimizer is Adam.

    Raises
    ------
    ValueError
        For an invalid setting: names it and what it may be.
    """

    way: str = "recursive"
    horizon: int = 1
    forced: bool = False
    hidden_size: int = 16
    epochs: int = 5
    batch_size: int = 32
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        require_choice("way", self.way, WAYS)
        sizes = ("hidden_size", "epochs", "batch_size", "learning_rate", "horizon")
        require_positive(self, *sizes)
        if self.forced and self.way in ("aligned", "direct"):
            raise ValueError(f"way {self.way!r} reads no outputs: leave forced off")

    def start(self, seed: int) -> Weights:
        """Draw the weights of one network, uniform in ±1/√h.

        Those of the first layer are the same for each way.
        """
        h, K = self.hidden_size, self.horizon if self.way == "direct" else 1
        shapes = {"W_xh": (h, 1), "W_hh": (h, h), "b_h": (h,)}
        shapes |= {"W_hq": (K, h), "b_q": (K,)}
        if self.way == "encoder-decoder":
            shapes |= {"V_xh": (h, 1), "V_hh": (h, h), "v_h": (h,)}
        draw = seeded(seed, "start", ("start", "order"))
        return {
            name: (2 * torch.rand(shape, generator=draw) - 1) / h**0.5
            for name, shape in shapes.items()
        }

    def outputs(self, weights: Weights, X: Tensor, Y: Tensor | None = None) -> Tensor:
        """Run one network.

        Parameters
        ----------
        weights : dict of Tensor
            As from `start`.
        X : Tensor, `(T, B, 1)`
            Inputs.
        Y : Tensor, `(K, B, 1)`, optional
            Targets that are read in place of the outputs.

        Returns
        -------
        Tensor, `(K, B, 1)`
        """
        encoder = RNNParameters(*(weights[name] for name in ("W_xh", "W_hh", "b_h")))
        W_hq, b_q = weights["W_hq"], weights["b_q"]
        if self.way in ("aligned", "direct"):
            H = rnn(X, X.new_zeros(X.shape[1], len(encoder.b_h)), *encoder)
            if self.way == "aligned":
                return H @ W_hq.T + b_q
            return (H[-1] @ W_hq.T + b_q).T[..., None]  # (K, B, 1)
        decoder = encoder
        if self.way == "encoder-decoder":
            decoder = RNNParameters(*(weights[n] for n in ("V_xh", "V_hh", "v_h")))
        return encoder_decoder(X, self.horizon, encoder, decoder, W_hq, b_q, Y)


def train_together(
    plan: Plan,
    X: Tensor,
    Y: Tensor,
    *,
    seeds: Sequence[int],
    masks: Tensor | None = None,
    device: str = "auto",
) -> Weights:
    """Train S networks at once, each on windows of its own.

    The loss of each is the mean squared error of the outputs that its mask keeps
    (`eq-conf-masked`).

    Parameters
    ----------
    plan : Plan
        The same for all.
    X : Tensor, `(T, N, 1)` or `(S, T, N, 1)`
        Inputs: the same for all networks, or others for each.
    Y : Tensor, `(K, N, 1)`
        Targets.
    seeds : sequence of int
        Of each network: its start and the order of its batches. Networks of the same
        seed have both in common.
    masks : Tensor, `(S, K)`, optional
        Ones where an output counts; all do by default.
    device : str
        See `choose_device`.

    Returns
    -------
    dict of Tensor
        The weights, each `(S, ...)`, on the device.
    """
    S, N, place = len(seeds), Y.shape[1], choose_device(device)
    starts = [plan.start(seed) for seed in seeds]
    weights = {n: torch.stack([w[n] for w in starts]).to(place) for n in starts[0]}
    X, Y = X.to(place).expand(S, -1, -1, -1), Y.to(place).expand(S, -1, -1, -1)
    m = torch.ones(S, Y.shape[1]) if masks is None else masks
    m = m.to(place)

    def loss(weights: Weights, x: Tensor, y: Tensor, m: Tensor) -> Tensor:
        o = plan.outputs(weights, x, y if plan.forced else None)
        return (m * (o - y).square().mean((1, 2))).sum() / m.sum()

    slope = vmap(grad(loss))
    optimizer = torch.optim.Adam(list(weights.values()), lr=plan.learning_rate)
    orders = [seeded(seed, "order", ("start", "order")) for seed in seeds]
    each = torch.arange(S, device=place)[:, None]
    for _ in range(plan.epochs):
        dealt = torch.stack([torch.randperm(N, generator=g) for g in orders])
        for some in dealt.to(place).split(plan.batch_size, 1):  # (S, B)
            x, y = (part[each, :, some].transpose(1, 2) for part in (X, Y))
            for name, gradient in slope(weights, x, y, m).items():
                weights[name].grad = gradient
            optimizer.step()
    for weight in weights.values():
        weight.grad = None
    return weights


def forecasts_together(plan: Plan, weights: Weights, X: Tensor) -> Tensor:
    """Forecast with networks that were trained together; none reads a target.

    Parameters
    ----------
    plan : Plan
        That they were trained by.
    weights : dict of Tensor
        From `train_together`.
    X : Tensor, `(T, N, 1)`
        Inputs.

    Returns
    -------
    Tensor, `(S, K, N, 1)`
        On the CPU.
    """
    place = weights["b_q"].device
    return vmap(lambda w: plan.outputs(w, X.to(place)))(weights).cpu()
