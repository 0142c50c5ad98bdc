"""The worlds of chapter 2: the tanh network, its losses and their gradients."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..tape import Rule, Tape
from . import world

SIZES = [
    {"d": 3, "h": 4, "q": 6, "T": 5, "B": 7},
    {"d": 4, "h": 3, "q": 2, "T": 6, "B": 5},
    {"d": 2, "h": 5, "q": 4, "T": 3, "B": 6},
]


def parameters(tape: Tape, rows: bool = False) -> tuple[Tensor, ...]:
    """Draw the weights: those of the recurrence are parts of one long column w.

    The biases are columns, or rows where the samples of a batch are.
    """
    d, h, q = (tape.sizes[n] for n in "dhq")
    w = tape.leaf("w", tape.normal(h * (d + h + 1), 1, scale=0.7))
    W_xh, W_hh, b_h = split(w, d, h)
    tape.put("W_{xh}", W_xh)
    tape.put("W_{hh}", W_hh)
    b_h = tape.put("b_h", b_h.view(1, h) if rows else b_h)
    W_hq = tape.leaf("W_{hq}", tape.normal(q, h))
    b_q = tape.leaf("b_q", tape.normal(1, q) if rows else tape.normal(q, 1))
    return w, W_xh, W_hh, b_h, W_hq, b_q


def split(w: Tensor, d: int, h: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the long column of weights into W_xh, W_hh and b_h."""
    W_xh, W_hh, b_h = w[:, 0].split([h * d, h * h, h])
    return W_xh.view(h, d), W_hh.view(h, h), b_h.view(h, 1)


def reference(tape: Tape, xs: Tensor, h_0: Tensor) -> Tensor:
    """Run torch's own RNN with the weights of a tape: (T, B, d) to (T, B, h)."""
    d, h = tape.sizes["d"], tape.sizes["h"]
    rnn = nn.RNN(d, h, dtype=torch.float64)
    values = [tape.values[n, (), ()] for n in ("W_{xh}", "W_{hh}", "b_h")]
    for parameter, value in zip(rnn.parameters(), [*values, torch.zeros(h, dtype=torch.float64)], strict=True):
        parameter.data = value.detach().reshape(parameter.shape)
    with torch.no_grad():
        out: Tensor = rnn(xs, h_0[None])[0]
    return out


def affine(W: Tensor, x: Tensor, U: Tensor, h: Tensor, b: Tensor) -> Tensor:
    """Compute the pre-activation of one sample."""
    return W @ x + U @ h + b


def sample(tape: Tape, loss: Rule, target: Callable[[], Tensor]) -> list[Tensor]:
    """Run one sample through the network: columns, and a loss at every step."""
    d, h, T = (tape.sizes[n] for n in "dhT")
    w, W_xh, W_hh, b_h, W_hq, b_q = parameters(tape)

    def of_weights(w: Tensor, x: Tensor, s: Tensor) -> Tensor:
        W, U, b = split(w, d, h)
        return affine(W, x, U, s, b)

    def output(W: Tensor, s: Tensor, b: Tensor) -> Tensor:
        return W @ s + b

    s = tape.leaf("h", tape.normal(h, 1), 0)
    losses, states = [], [s]
    for t in range(1, T + 1):
        x = tape.leaf("x", tape.normal(d, 1), t)
        a = tape.step("a", affine, (W_xh, x, W_hh, s, b_h), t)
        tape.also(a, of_weights, (w, x, s))
        before, s = s, tape.step("h", torch.tanh, (a,), t)
        tape.also(s, lambda *v: torch.tanh(of_weights(*v)), (w, x, before))
        tape.also(s, lambda *v: torch.tanh(affine(*v)), (W_xh, x, W_hh, before, b_h))
        o = tape.step("o", output, (W_hq, s, b_q), t)
        tape.confirm(o, F.linear(s.T, W_hq, b_q[:, 0]).T, "torch.nn.functional.linear")
        y = tape.leaf("y", target(), t)
        losses.append(tape.step(r"\ell", loss, (o, y), t))
        states.append(s)
    xs = torch.stack([tape.values["x", (t,), ()].T for t in range(1, T + 1)])
    for mine, theirs in zip(states[1:], reference(tape, xs, states[0].T), strict=True):
        tape.confirm(mine, theirs.T, "torch.nn.RNN")
    tape.step("L", lambda *each: torch.stack(each).mean(), losses)
    return losses


@world("bptt", SIZES)
def bptt(tape: Tape) -> None:
    """One sample, columns, squared errors."""
    q = tape.sizes["q"]
    sample(tape, F.mse_loss, lambda: tape.normal(q, 1))
    tape.sources[r"\ell"] = "torch.nn.functional.mse_loss"
    tape.sources["L"] = "torch.nn.functional.mse_loss"


@world("classes", SIZES, ranges={"t": (1, "T"), "i": (1, "q"), "k": (1, "q")})
def classes(tape: Tape) -> None:
    """One sample, columns, cross-entropy; the targets of one draw do not sum to one."""
    q, T = tape.sizes["q"], tape.sizes["T"]

    def target() -> Tensor:
        weights = torch.softmax(tape.normal(q, 1), 0)
        return weights * (1.7 if tape.seed == 2 else 1.0)

    sample(tape, lambda o, y: F.cross_entropy(o.T, y.T), target)
    tape.sources[r"\ell"] = "torch.nn.functional.cross_entropy"
    for t in range(1, T + 1):
        o = tape.values["o", (t,), ()]
        tape.step(r"\hat{y}", lambda o: torch.softmax(o, 0), (o,), t)
    tape.sources[r"\hat{y}"] = "torch.softmax"


@world("softmax", SIZES, ranges={"i": (1, "q"), "k": (1, "q")})
def softmax(tape: Tape) -> None:
    """One output and its loss, with any positive targets."""
    q = tape.sizes["q"]
    o = tape.leaf("o", tape.normal(q, 1))
    y = tape.leaf("y", tape.normal(q, 1).abs() + 0.1)
    p = tape.step(r"\hat{y}", lambda o: torch.softmax(o, 0), (o,))
    tape.sources[r"\hat{y}"] = "torch.softmax"
    loss = tape.step(r"\ell", lambda y, p: -(y * p.log()).sum(), (y, p))
    tape.confirm(loss, F.cross_entropy(o.T, y.T), "torch.nn.functional.cross_entropy")


@world("bptt-batch", SIZES, rows=True)
def bptt_batch(tape: Tape) -> None:
    """A batch in rows, squared errors averaged over everything."""
    d, h, q, T, B = (tape.sizes[n] for n in "dhqTB")
    _, W_xh, W_hh, b_h, W_hq, b_q = parameters(tape, rows=True)
    H = tape.leaf("H", tape.normal(B, h), 0)
    A, O, Y = [], [], []
    states = [H]
    for t in range(1, T + 1):
        X = tape.leaf("X", tape.normal(B, d), t)
        A.append(tape.step("A", batch_affine, (X, W_xh, H, W_hh, b_h), t))
        H = tape.step("H", torch.tanh, (A[-1],), t)
        states.append(H)
        O.append(tape.step("O", lambda H, W, b: H @ W.T + b, (H, W_hq, b_q), t))
        tape.confirm(O[-1], F.linear(H, W_hq, b_q[0]), "torch.nn.functional.linear")
        Y.append(tape.leaf("Y", tape.normal(B, q), t))
    xs = torch.stack([tape.values["X", (t,), ()] for t in range(1, T + 1)])
    for mine, theirs in zip(states[1:], reference(tape, xs, states[0]), strict=True):
        tape.confirm(mine, theirs, "torch.nn.RNN")
    tape.step("L", lambda *v: F.mse_loss(torch.stack(v[:T]), torch.stack(v[T:])), (*O, *Y))
    tape.sources |= {"L": "torch.nn.functional.mse_loss", "A": "torch.nn.RNN"}
    tape.put(r"\mathbf{1}", torch.ones(B, 1))


def batch_affine(X: Tensor, W: Tensor, H: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """Compute the pre-activations of a batch."""
    return X @ W.T + H @ U.T + b
