"""The phased LSTM as a module that trains, its gradients by hand (chapter 8).

Source: Neil, Pfeiffer & Liu (2016), *Phased LSTM*.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from rnn_companion.networks import shapes
from rnn_companion.networks._time_gate import check_clock, gate


@shapes(X="T B d", times="T or T B", W_x="4h d", W_h="4h h", b="4h", tau="h")
def _layer(
    X: Tensor,
    times: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    b: Tensor,
    tau: Tensor,
    s: Tensor,
    r_on: Tensor,
    alpha: float,
) -> tuple[Tensor, Tensor]:
    """Do what `phased_lstm` does from zero, without looking at the clock's numbers.

    To look at them, the host would have to wait for a GPU at every call.
    """
    K = gate(times[..., None], tau, s, r_on, alpha)  # (T, h) or (T, B, h)
    K = K if times.dim() == 2 else K[:, None]
    return _from_zero(X @ W_x.T + b, K, W_h)


def _from_zero(A: Tensor, K: Tensor, W_h: Tensor) -> tuple[Tensor, Tensor]:
    zero = A.new_zeros(*A.shape[1:-1], W_h.shape[-1], dtype=W_h.dtype)
    steps = _Steps.apply(A.to(W_h.dtype), K, zero, zero, W_h)  # type: ignore[no-untyped-call]
    H, C = steps
    return H, C


class _Steps(torch.autograd.Function):
    """The steps of a layer and their gradients by hand, in far fewer operations.

    From A = W_x x_t + b of all steps, `(T, B, 4h)`, and the gates K, `(T, B or 1, h)`.
    The states h and c lie side by side in S, `(T + 1, 2, B, h)`. Several networks may
    stand in one more dimension before B, and the first of W_h.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, A: Tensor, K: Tensor, H_0: Tensor, C_0: Tensor, W_h: Tensor
    ) -> tuple[Tensor, Tensor]:
        gates = torch.empty_like(A)
        opened = A.new_empty(len(A), 2, *H_0.shape)  # what an LSTM would make of S
        S = A.new_empty(len(A) + 1, 2, *H_0.shape)
        S[0, 0], S[0, 1] = H_0, C_0
        parts = (A, gates, *gates.chunk(4, -1), opened, *opened.unbind(1))
        before = (S[:-1], *S[:-1].unbind(1))
        for a, pre, i, f, g, o, new, h_new, c_new, s, h, c, after, k in zip(
            *parts, *before, S[1:], K, strict=True
        ):
            _add_product(a, h, W_h.mT, out=pre)
            i.sigmoid_(), f.sigmoid_(), g.tanh_(), o.sigmoid_()
            torch.addcmul(f * c, i, g, out=c_new)
            torch.mul(o, c_new.tanh(), out=h_new)
            torch.lerp(s, new, k, out=after)
        ctx.save_for_backward(gates, opened, S, K, W_h)
        return S[1:, 0].clone(), S[1:, 1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dH: Tensor, dC: Tensor) -> tuple[Tensor, ...]:
        gates, opened, S, K, W_h = ctx.saved_tensors  # type: ignore[attr-defined]
        dS = torch.zeros_like(S)
        dS[1:, 0], dS[1:, 1] = dH, dC
        h_by_c, c_by_a, h_by_a = _slopes(gates, opened[:, 1], S[:-1, 1])
        dA = gates.new_empty(*c_by_a.shape[:-2], 4, c_by_a.shape[-1])  # (T, B, 4, h)
        parts = (K, dS[1:], dS[:-1], *dS[:-1].unbind(1), gates.chunk(4, -1)[1])
        parts = (*parts, h_by_c, c_by_a, h_by_a, dA[..., :3, :], dA[..., 3:, :], dA)
        for k, ds, to, to_h, to_c, f, hc, ca, ha, da, da_o, all_da in reversed(
            [*zip(*parts, strict=True)]
        ):
            opened_d = k * ds
            to.add_(ds).sub_(opened_d)
            dh, dc = opened_d.unbind()
            dc.addcmul_(dh, hc)
            torch.mul(ca, dc[..., None, :], out=da)
            torch.mul(ha, dh[..., None, :], out=da_o)
            _add_product(to_h, all_da.flatten(-2), W_h, out=to_h)
            to_c.addcmul_(dc, f)
        dK = (dS[1:] * (opened - S[:-1])).sum(1).sum_to_size(K.shape)  # `eq-gate-dL`
        dA = dA.flatten(-2)
        rows, states = (v.movedim(0, -3).flatten(-3, -2) for v in (dA, S[:-1, 0]))
        return dA, dK, dS[0, 0], dS[0, 1], rows.mT @ states


def _add_product(to: Tensor, left: Tensor, right: Tensor, out: Tensor) -> None:
    """Add a product of matrices, or one for each of several networks."""
    (torch.addmm if right.dim() == 2 else torch.baddbmm)(to, left, right, out=out)


def _slopes(gates: Tensor, c: Tensor, c_before: Tensor) -> tuple[Tensor, ...]:
    """Differentiate an LSTM's h by c, c by the pre-activations of i, f, g, h by o's."""
    i, f, g, o = gates.chunk(4, -1)
    by_i, by_f, by_g = g * i * (1 - i), c_before * f * (1 - f), i * (1 - g**2)
    by_o = c.tanh() * o * (1 - o)
    return (
        o * (1 - c.tanh() ** 2),
        torch.stack([by_i, by_f, by_g], -2),  # (T, B, 3, h)
        by_o[..., None, :],
    )


class PhasedLSTM(nn.Module):
    """One LSTM layer whose units open and close with the time: `phased_lstm`.

    Its gradients are computed by hand: a step takes 0.6 of the time that autograd needs
    for `phased_lstm` (32 units, 20 to 100 steps, one thread of a CPU).

    The logarithm of the period and the logit of the open share are learned. They may
    be any number, so no step of an optimizer takes the gate out of its domain.

    Parameters
    ----------
    input_size, hidden_size : int
        d and h.
    periods : tuple of float
        Shortest and longest period at the start, in the unit of the times;
        drawn in between, uniformly in the logarithm.
    r_on : float
        Open share of the period at the start.
    alpha : float
        The leak: it keeps gradients alive while a unit is closed. Not learned.
    generator : torch.Generator, optional
        Draws the start.

    Raises
    ------
    ValueError
        If a size is below 1, a period not positive or the pair not in order,
        `r_on` not between 0 and 1, or `alpha` not in [0, 1].
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        periods: tuple[float, float] = (1.0, 20.0),
        r_on: float = 0.05,
        alpha: float = 0.001,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        d, h = input_size, hidden_size
        if min(d, h) < 1:
            raise ValueError(f"sizes must be at least 1, got {d} inputs and {h} units")
        if not 0 < periods[0] <= periods[1] < math.inf:
            raise ValueError(f"periods must be positive and in order, got {periods}")
        check_clock(torch.tensor(periods), torch.tensor(r_on), alpha)
        self.alpha = alpha
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * h, d))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * h, h))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * h))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(h**-0.5), h**-0.5, generator=generator)
        low, high = map(math.log, periods)
        log_tau = low + (high - low) * torch.rand(h, generator=generator)
        self.log_tau = nn.Parameter(log_tau)
        self.s = nn.Parameter(log_tau.exp() * torch.rand(h, generator=generator))
        self.logit_r_on = nn.Parameter(torch.full((h,), math.log(r_on / (1 - r_on))))

    @property
    def tau(self) -> Tensor:
        """The period of each unit, positive, `(h,)`."""
        tau: Tensor = self.log_tau.exp()
        return tau

    @property
    def r_on(self) -> Tensor:
        """The open share of each unit's period, between 0 and 1, `(h,)`."""
        tiny = torch.finfo(self.logit_r_on.dtype).eps
        r_on: Tensor = self.logit_r_on.sigmoid().clamp(tiny, 1 - tiny)
        return r_on

    def forward(
        self, X: Tensor, times: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over a sequence, from states of zero.

        Parameters
        ----------
        X : Tensor, `(T, B, d)`
            The inputs, time first.
        times : Tensor, `(T,)` or `(T, B)`, optional
            When each step happens; 1 to T by default.

        Returns
        -------
        H : Tensor, `(T, B, h)`
            The hidden states of steps 1 to T.
        (h_n, c_n) : pair of Tensor, each `(B, h)`
            The states at step T.

        Raises
        ------
        ValueError
            If a shape does not fit.
        """
        if times is None:
            times = torch.arange(1, len(X) + 1, dtype=X.dtype, device=X.device)
        weights = self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0
        H, C = _layer(X, times, *weights, self.tau, self.s, self.r_on, self.alpha)
        return H, (H[-1], C[-1])

    @staticmethod
    def side_by_side(
        models: Sequence["PhasedLSTM"], X: Tensor, times: Tensor
    ) -> Tensor:
        """Run several models as one batch, which takes less than one after the other.

        ``H[s] = models[s](X[s], times[s])[0]``

        Parameters
        ----------
        models : sequence of PhasedLSTM
            S models of one shape and leak.
        X : Tensor, `(S, T, B, d)`
            The inputs of each.
        times : Tensor, `(S, T, B)`
            When each step happens.

        Returns
        -------
        Tensor, `(S, T, B, h)`
            The hidden states.

        Raises
        ------
        ValueError
            If the models differ in shape or leak.
        """
        shapes_and_leaks = {(m.weight_ih_l0.shape, m.alpha) for m in models}
        if len(shapes_and_leaks) > 1:
            raise ValueError("models side by side must have one shape and one leak")
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "tau", "s", "r_on")
        W_x, W_h, b, *clock = (
            torch.stack([getattr(model, name) for model in models]) for name in names
        )
        tau, s, r_on = (part[:, None] for part in clock)  # (S, 1, h)
        K = gate(times.transpose(0, 1)[..., None], tau, s, r_on, models[0].alpha)
        H, _ = _from_zero(X.transpose(0, 1) @ W_x.mT + b[:, None], K, W_h)
        return H.transpose(0, 1)
