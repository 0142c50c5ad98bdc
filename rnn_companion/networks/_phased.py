"""An LSTM with a clock in every cell (chapter 8).

Source: Neil, Pfeiffer & Liu (2016), *Phased LSTM*.
"""

import torch
from torch import Tensor

from rnn_companion.networks._lstm import LSTM_SHAPES, lstm_step
from rnn_companion.networks._shapes import shapes
from rnn_companion.networks._time_gate import time_gate


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
    H, C = [H_0], [C_0]
    for X_t, k in zip(X, time_gate(times[..., None], tau, s, r_on, alpha), strict=True):
        h, c = lstm_step(X_t, H[-1], C[-1], W_x, W_h, b)
        C.append(k * c + (1 - k) * C[-1])  # (B, h)
        H.append(k * h + (1 - k) * H[-1])
    return torch.stack(H[1:]), torch.stack(C[1:])
