"""The time gate of chapter 8."""

import torch
from torch import Tensor


def time_gate(
    t: Tensor, tau: Tensor, s: Tensor, r_on: Tensor, alpha: float = 0.0
) -> Tensor:
    """Return how far a clock's gate is open (chapter 8, `eq-gate-phi`, `eq-gate-k`).

    ``phi = ((t - s) / tau) mod 1``, and ``k = 2 phi / r_on`` up to ``phi = r_on / 2``,
    ``2 - 2 phi / r_on`` up to ``phi = r_on``, then ``alpha phi``.

    Parameters
    ----------
    t : Tensor
        The time, in any unit; any shape that broadcasts with the parameters.
    tau, s : Tensor
        Period and shift, in the same unit.
    r_on : Tensor
        The open share of the period.
    alpha : float
        The leak: how far the closed gate opens, per unit of phase.

    Returns
    -------
    Tensor
        In [0, 1]; in the shape of all broadcast together.

    Raises
    ------
    ValueError
        If `tau` is not positive, `r_on` not between 0 and 1, or `alpha` not in
        [0, 1].
    """
    check_clock(tau, r_on, alpha)
    return gate(t, tau, s, r_on, alpha)


def gate(t: Tensor, tau: Tensor, s: Tensor, r_on: Tensor, alpha: float) -> Tensor:
    """Do what `time_gate` does, without looking at the clock's numbers."""
    cycles = (t - s) / tau
    phi = cycles - cycles.floor()
    rising = phi <= r_on / 2
    falling = ~rising & (phi <= r_on)
    return torch.where(
        rising, 2 * phi / r_on, torch.where(falling, 2 - 2 * phi / r_on, alpha * phi)
    )


def check_clock(tau: Tensor, r_on: Tensor, alpha: float) -> None:
    """Raise a ValueError that names the first parameter out of its domain.

    Not while a CUDA graph is recorded, nor on torch's meta device: no value can be
    read there.
    """
    capturing = tau.is_cuda and torch.cuda.is_current_stream_capturing()
    if tau.is_meta or capturing:
        return
    if not bool((tau > 0).all()):
        raise ValueError(f"tau must be positive, got {tau.min().item():g}: a period")
    inside = (r_on > 0) & (r_on < 1)
    if not bool(inside.all()):
        worst = r_on[~inside].flatten()[0].item()
        raise ValueError(f"r_on must lie between 0 and 1, got {worst:g}: a share")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha:g}: a leak")
