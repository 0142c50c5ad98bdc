"""An LSTM with a clock in every cell (chapter 8).

Source: Neil, Pfeiffer & Liu (2016), *Phased LSTM*.
"""

import math

import torch
from torch import Tensor, nn

from rnn_companion.networks._time_gate import phased_lstm, time_gate

__all__ = ["PhasedLSTM"]


class PhasedLSTM(nn.Module):
    """One LSTM layer whose units open and close with the time.

    The gate's parameters are learned in coordinates that have no bounds: the
    logarithm of the period and the logit of the open share. So no step of any
    optimizer takes them out of their domains. The shift has no bounds to keep.

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
        The leak; what keeps gradients alive in the closed phase. Not learned.
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
        _check_start(d, h, periods, r_on, alpha)
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

    def gate(self, times: Tensor) -> Tensor:
        """Return how far each unit is open at some times, `(..., h)`."""
        return time_gate(times[..., None], self.tau, self.s, self.r_on, self.alpha)

    def forward(
        self,
        X: Tensor,
        times: Tensor | None = None,
        start: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Run over a sequence.

        Parameters
        ----------
        X : Tensor, `(T, B, d)`
            The inputs, time first.
        times : Tensor, `(T,)` or `(T, B)`, optional
            When each step happens; 1 to T by default.
        start : pair of Tensor, each `(B, h)`, optional
            The initial states; zero by default.

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
            times = torch.arange(1.0, len(X) + 1).to(X)
        if start is None:
            zeros = X.new_zeros(X.shape[1], len(self.s))
            start = zeros, zeros
        weights = self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0
        clock = self.tau, self.s, self.r_on
        H, C = phased_lstm(X, times, *start, *weights, *clock, alpha=self.alpha)
        return H, (H[-1], C[-1])


def _check_start(
    d: int, h: int, periods: tuple[float, float], r_on: float, alpha: float
) -> None:
    if min(d, h) < 1:
        raise ValueError(f"sizes must be at least 1, got {d} inputs and {h} units")
    if not 0 < periods[0] <= periods[1] < math.inf:
        raise ValueError(f"periods must be positive and in order, got {periods}")
    if not 0 < r_on < 1:
        raise ValueError(f"r_on must lie between 0 and 1, got {r_on:g}: a share")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha:g}: a leak")
