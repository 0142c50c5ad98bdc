"""The worlds of chapter 2: the network of chapter 1, its losses and gradients."""

import torch
from torch import Tensor
from torch.nn import functional as F

from rnn_companion.equations import Tape, world

from .recurrence import (
    MSE,
    SIZES,
    all_of,
    batch,
    batch_loss,
    parameters,
    sample,
    split,
)

CROSS_ENTROPY = "torch.nn.functional.cross_entropy"
CLASSES: dict[str, tuple[int, str | int]] = dict.fromkeys("ijk", (1, "q"))


@world("bptt", SIZES)
def bptt(tape: Tape) -> None:
    """One sample in columns, squared errors."""
    sample(tape, F.mse_loss, lambda: tape.normal(tape.sizes["q"], 1), MSE)


@world("bptt-batch", SIZES)
def bptt_batch(tape: Tape) -> None:
    """Run a batch in rows; errors are averaged over everything."""
    d, h, q = (tape.sizes[n] for n in "dhq")
    w, *_ = parameters(tape)
    b_h = tape.put("b_h", split(w, d, h)[2])
    batch(tape, b_h, tape.leaf("b_q", tape.normal(q, 1)))
    batch_loss(tape, "L")


@world("classes", SIZES, ranges={**CLASSES, "t": (1, "T")})
def classes(tape: Tape) -> None:
    """Cross-entropy at every step; in one draw the targets do not sum to one."""
    total = 1.7 if tape.seed == 2 else 1.0

    def target() -> Tensor:
        return total * torch.softmax(tape.normal(tape.sizes["q"], 1), 0)

    sample(tape, lambda o, y: F.cross_entropy(o.T, y.T), target, CROSS_ENTROPY)
    for t, o in enumerate(all_of(tape, "o"), 1):
        tape.step(r"\hat{y}", lambda o: torch.softmax(o, 0), (o,), t)
    tape.sources[r"\hat{y}"] = "torch.softmax"


@world("softmax", SIZES, ranges=CLASSES)
def softmax(tape: Tape) -> None:
    """One output, its probabilities and its loss; any positive targets."""
    q = tape.sizes["q"]
    o = tape.leaf("o", tape.normal(q, 1))
    y = tape.leaf("y", tape.normal(q, 1).abs() + 0.1)
    p = tape.step(r"\hat{y}", lambda o: torch.softmax(o, 0), (o,))
    loss = tape.step(r"\ell", lambda y, p: -(y * p.log()).sum(), (y, p))
    tape.confirm(loss, F.cross_entropy(o.T, y.T), CROSS_ENTROPY)
    tape.sources[r"\hat{y}"] = "torch.softmax"
