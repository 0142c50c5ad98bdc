"""The time gate of chapter 8, and an LSTM behind it."""

import torch
from torch import Tensor

from rnn_companion.networks._lstm import check_lstm, lstm_step
from rnn_companion.networks._shapes import check_shapes


def time_gate(
    t: Tensor, tau: Tensor, s: Tensor, r_on: Tensor, alpha: float = 0.0
) -> Tensor:
    """Open and close with the clock (chapter 8, `eq-gate-phi` and `eq-gate-k`).

    Parameters
    ----------
    t : Tensor
        The time, in any unit; any shape that broadcasts with the parameters.
    tau, s : Tensor
        Period and shift, in the same unit.
    r_on : Tensor
        The open share of the period.
    alpha : float
        What leaks through while it is closed, per unit of phase.

    Returns
    -------
    Tensor
        How far the gate is open, in [0, 1]; in the shape of all broadcast together.

    Raises
    ------
    ValueError
        If `tau` is not positive, `r_on` not between 0 and 1, or `alpha` not in
        [0, 1].
    """
    check_time_gate(tau, r_on, alpha)
    cycles = (t - s) / tau
    phi = cycles - cycles.floor()
    rising = phi <= r_on / 2
    falling = ~rising & (phi <= r_on)
    return torch.where(
        rising, 2 * phi / r_on, torch.where(falling, 2 - 2 * phi / r_on, alpha * phi)
    )


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

    Source: Neil, Pfeiffer & Liu (2016), *Phased LSTM*.

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    times : Tensor, `(T,)` or `(T, B)`
        When each step happens; the same for all samples, or each its own.
    H_0, C_0 : Tensor, `(B, h)`
        The initial hidden state and cell state.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the LSTM.
    tau, s, r_on : Tensor, `(h,)`
        Period, shift and open share of each unit's gate.
    alpha : float
        The leak.

    Returns
    -------
    H, C : Tensor, each `(T, B, h)`
        The hidden states and the cell states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others, or a parameter of the gate is out of its
        domain.
    """
    check_lstm(X, H_0, C_0, W_x, W_h, b)
    T, B, h = len(X), *H_0.shape
    clock = f"X has {T} steps and batch size {B}, and the layer {h} units"
    check_shapes(clock, tau=(tau, (h,)), s=(s, (h,)), r_on=(r_on, (h,)))
    if tuple(times.shape) not in {(T,), (T, B)}:
        raise ValueError(
            f"times has shape {tuple(times.shape)}: expected ({T},) or {(T, B)}, "
            f"as {clock}"
        )
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


def check_time_gate(tau: Tensor, r_on: Tensor, alpha: float) -> None:
    """Raise a ValueError that names the first parameter out of its domain."""
    if not bool((tau > 0).all()):
        raise ValueError(f"tau must be positive, got {tau.min().item():g}: a period")
    inside = (r_on > 0) & (r_on < 1)
    if not bool(inside.all()):
        worst = r_on[~inside].flatten()[0].item()
        raise ValueError(f"r_on must lie between 0 and 1, got {worst:g}: a share")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha:g}: a leak")
