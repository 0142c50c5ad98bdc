"""The worlds of chapter 5: masked losses, influence, and outputs read as inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F

from rnn_companion.equations import Tape, world

from .recurrence import (
    MSE,
    SIZES,
    all_of,
    column,
    confirm_sample,
    parameters,
    sample,
    split,
)

FEEDBACK = [  # what is read again has the size of what is said
    {"d": 3, "h": 4, "q": 3, "T": 4, "K": 3},
    {"d": 2, "h": 5, "q": 2, "T": 5, "K": 4},
    {"d": 4, "h": 3, "q": 4, "T": 3, "K": 2},
]


@world("configurations", SIZES)
def configurations(tape: Tape) -> None:
    """One sample with a loss at every step, some of which count."""
    sample(tape, F.mse_loss, lambda: tape.normal(tape.sizes["q"], 1), MSE)
    T, losses = tape.sizes["T"], torch.stack(all_of(tape, r"\ell"))
    counted = torch.arange(T) % 2 == tape.seed % 2
    counted[0] = True
    for t in range(1, T + 1):
        tape.put("m", float(counted[t - 1]), t)
    outputs, targets = (torch.stack(all_of(tape, name)) for name in "oy")
    chosen = F.mse_loss(outputs[counted], targets[counted])
    tape.put(r"L_{\mathrm{masked}}", chosen, source=MSE)
    tape.put(r"L_{\mathrm{last}}", losses[-1].clone(), source=MSE)
    early = F.mse_loss(outputs[:-1], targets[:-1])
    tape.put(r"L_{\mathrm{early}}", early, source=MSE)


@world("feedback", FEEDBACK)
def feedback(tape: Tape) -> None:
    """Let a network read T inputs, and then its own outputs."""
    d, h, q, T, K = (tape.sizes[n] for n in "dhqTK")
    w, W_xh, W_hh, W_hq = parameters(tape)
    b_h = tape.put("b_h", split(w, d, h)[2])
    b_q = tape.leaf("b_q", tape.normal(q, 1))
    s = tape.leaf("h", tape.normal(h, 1), 0)
    o = torch.empty(0)
    for t in range(1, T + K):
        if t <= T:
            x = tape.leaf("x", tape.normal(d, 1), t)
        else:
            x = tape.step("x", torch.clone, (o,), t)
        before = s
        a = tape.step("a", column, (W_xh, x, W_hh, s, b_h), t)
        s = tape.step("h", torch.tanh, (a,), t)
        tape.also(s, _state, (W_xh, x, W_hh, before, b_h))
        o = tape.step("o", lambda W, s, b: W @ s + b, (W_hq, s, b_q), t)
    confirm_sample(tape, (W_xh, W_hh, b_h), W_hq, b_q)


def _state(*values: Tensor) -> Tensor:
    return torch.tanh(column(*values))
