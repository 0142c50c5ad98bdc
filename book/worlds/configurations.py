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

AHEAD = [  # as above, and T is the number of no other thing
    {"d": 3, "h": 5, "q": 3, "T": 4, "K": 3},
    {"d": 2, "h": 3, "q": 2, "T": 5, "K": 4},
    {"d": 4, "h": 5, "q": 4, "T": 3, "K": 2},
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


@world("decoder", AHEAD)
def decoder(tape: Tape) -> None:
    """Read with one network and write with another, by torch's two cells."""
    d, h, q, T, K = (tape.sizes[n] for n in "dhqTK")
    _, W_xh, W_hh, W_hq = parameters(tape)
    b_h = tape.leaf("b_h", tape.normal(h, 1))
    b_q = tape.leaf("b_q", tape.normal(q, 1))
    second = [
        tape.leaf(rf"\tilde{{{name}}}_{{{at}}}", tape.normal(*shape))
        for name, at, shape in (("W", "xh", (h, d)), ("W", "hh", (h, h)))
    ]
    second.append(tape.leaf(r"\tilde{b}_h", tape.normal(h, 1)))
    s = tape.leaf("h", tape.normal(h, 1), 0)
    o = torch.empty(0)
    for t in range(1, T + K):
        weights = (W_xh, W_hh, b_h) if t < T else tuple(second)
        W, U, b = weights
        if t <= T:
            x = tape.leaf("x", tape.normal(d, 1), t)
        else:
            x = tape.step("x", torch.clone, (o,), t)
        cell = torch.nn.RNNCell(d, h, dtype=torch.float64)
        with torch.no_grad():
            cell.weight_ih.copy_(W)
            cell.weight_hh.copy_(U)
            cell.bias_ih.copy_(b.flatten())
            cell.bias_hh.zero_()
        expected = cell(x.T, s.T).T
        s = tape.step("h", _state, (W, x, U, s, b), t)
        tape.confirm(s, expected, "torch.nn.RNNCell")
        if t >= T:
            o = tape.step("o", lambda W, s, b: W @ s + b, (W_hq, s, b_q), t)


@world("direct", AHEAD)
def direct(tape: Tape) -> None:
    """Give each day ahead a head of its own; torch has them as one matrix."""
    d, h, q, T, K = (tape.sizes[n] for n in "dhqTK")
    x, W = tape.normal(d, 1), tape.normal(h, d)
    s = tape.put("h", torch.tanh(W @ x), T)
    weights, biases = tape.normal(K, q, h), tape.normal(K, q)
    together = F.linear(s.T, weights.reshape(K * q, h), biases.flatten())
    for k, o in enumerate(together.reshape(K, q, 1), 1):
        tape.put("W_{hq}", weights[k - 1], layer=k)
        tape.put("b_q", biases[k - 1, :, None], layer=k)
        tape.put("o", o, layer=k, source="torch.nn.functional.linear")


@world("compound", AHEAD)
def compound(tape: Tape) -> None:
    """Multiply by one weight again and again, each product being read."""
    T, K = tape.sizes["T"], tape.sizes["K"]
    w = tape.leaf("w", tape.normal() + 1)
    x = tape.leaf("x", tape.normal() + 2, T)
    for k in range(1, K + 1):
        o = tape.step("o", torch.mul, (w, x), T + k - 1)
        x = tape.step("x", torch.clone, (o,), T + k)


@world("forced", AHEAD)
def forced(tape: Tape) -> None:
    """Read a target or an output after the last input, as a coin says."""
    d, h, q, T, K = (tape.sizes[n] for n in "dhqTK")
    W, U = tape.normal(h, d), tape.normal(h, h)
    V = tape.normal(q, h).requires_grad_()
    tape.put("I", torch.eye(q))
    x, s = tape.normal(d, 1), tape.normal(h, 1)
    for k in range(K):
        s = torch.tanh(W @ x + U @ s)
        o = tape.put("o", V @ s, T + k)
        y = tape.leaf("y", tape.normal(q, 1), T + k)
        if k < K - 1:
            coin = float(torch.rand((), generator=tape.generator) < 0.5)
            xi = tape.put(r"\xi", coin, k + 1)
            x = tape.step(
                "x", lambda y, o, xi: torch.lerp(o, y, xi), (y, o, xi), T + k + 1
            )


PADDED = [{"T": 4, "B": 3, "q": 2}, {"T": 5, "B": 2, "q": 4}, {"T": 3, "B": 4, "q": 5}]


@world("padded", PADDED)
def padded(tape: Tape) -> None:
    """Average over the real steps of sequences of unequal length."""
    T, B, q = (tape.sizes[n] for n in "TBq")
    ends = torch.randint(1, T + 1, (B,), generator=tape.generator)
    ends[0], ends[-1] = 1, T
    outputs, targets = [], []
    for n in range(1, B + 1):
        for t in range(1, T + 1):
            real = t <= int(ends[n - 1])
            o = tape.leaf("o", tape.normal(q, 1), t, n)
            y = tape.normal(q, 1)
            tape.step(r"\ell", lambda o, y=y: F.mse_loss(o, y), (o,), t, n)
            tape.put("m", float(real), t, n)
            if real:
                outputs.append(o)
                targets.append(y)
    tape.put(
        r"L_{\mathrm{padded}}",
        F.mse_loss(torch.cat(outputs), torch.cat(targets)),
        source=MSE,
    )
