"""An LSTM with a clock in every cell (chapter 8).

Source: Neil, Pfeiffer & Liu (2016), *Phased LSTM*.
"""

import math

import torch
from torch import Tensor, nn

from rnn_companion.networks._lstm import LSTM_SHAPES, lstm_step
from rnn_companion.networks._shapes import shapes
from rnn_companion.networks._time_gate import check_clock, time_gate


@shapes(**LSTM_SHAPES, times="T or T B", tau="h", s="h", r_on="h")
def phased_lstm(
    X: Tensor,
    times: Tensor,
    H_0: Tensor,
    C_0: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    b: Tensor,
    tau: Tensor,
    s: Tensor,
    r_on: Tensor,
    alpha: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Run an LSTM layer behind a time gate (chapter 8, `eq-gate-c` and `eq-gate-h`).

    ``c_t = k_t * c + (1 - k_t) * c_{t-1}`` and ``h_t`` likewise, where c and h are what
    `lstm_step` gives and k_t comes from `time_gate`.

    Parameters
    ----------
    X, H_0, C_0, W_x, W_h, b : Tensor
        As in `lstm`.
    times : Tensor, `(T,)` or `(T, B)`
        When each step happens; the same for all samples, or each its own.
    tau, s, r_on : Tensor, `(h,)`
        Period, shift and open share of each unit's gate.
    alpha : float
        The leak.

    Returns
    -------
    H, C : Tensor, each `(T, B, h)`
        As from `lstm`.

    Raises
    ------
    ValueError
        If a shape does not fit the others, or a parameter of the gate is out of its
        domain.
    """
    K = time_gate(times[..., None], tau, s, r_on, alpha)  # (T, h) or (T, B, h)
    H, C = [], []
    H_t, C_t = H_0, C_0
    for X_t, k_t in zip(X, K, strict=True):
        H_open, C_open = lstm_step(X_t, H_t, C_t, W_x, W_h, b)
        # k new + (1 - k) old, as one operation instead of four
        C_t = torch.lerp(C_t, C_open, k_t)
        H_t = torch.lerp(H_t, H_open, k_t)
        H.append(H_t)
        C.append(C_t)
    return torch.stack(H), torch.stack(C)


class PhasedLSTM(nn.Module):
    """One LSTM layer whose units open and close with the time: `phased_lstm`.

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
            times = torch.arange(1.0, len(X) + 1, device=X.device).to(X)
        zeros = X.new_zeros(X.shape[1], len(self.s))
        weights = self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0
        clock = self.tau, self.s, self.r_on
        H, C = phased_lstm(X, times, zeros, zeros, *weights, *clock, alpha=self.alpha)
        return H, (H[-1], C[-1])
