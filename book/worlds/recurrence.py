"""The worlds of chapter 1: the tanh network in all its forms, and scaled prices."""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnn_companion.equations import Rule, Tape, world

SIZES = [
    {"d": 3, "h": 4, "q": 6, "T": 5, "B": 7},
    {"d": 4, "h": 3, "q": 2, "T": 6, "B": 5},
    {"d": 2, "h": 5, "q": 4, "T": 3, "B": 6},
]
LINEAR, MSE = "torch.nn.functional.linear", "torch.nn.functional.mse_loss"


@world("recurrence", SIZES)
def recurrence(tape: Tape) -> None:
    """One sample in columns, a batch in rows, two layers, and what torch counts."""
    sample(tape, F.mse_loss, lambda: tape.normal(tape.sizes["q"], 1), MSE)
    batch(tape, *bias(tape))
    batch_loss(tape, r"L_{\mathrm{batch}}")
    stack(tape)
    counts(tape)


def parameters(tape: Tape) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw the weights; those of the recurrence are parts of one long column w."""
    d, h, q = (tape.sizes[n] for n in "dhq")
    w = tape.leaf("w", tape.normal(h * (d + h + 1), 1, scale=0.7))
    W_xh, W_hh, _ = split(w, d, h)
    W_hq = tape.leaf("W_{hq}", tape.normal(q, h))
    return w, tape.put("W_{xh}", W_xh), tape.put("W_{hh}", W_hh), W_hq


def bias(tape: Tape) -> tuple[Tensor, Tensor]:
    """Look up the two biases."""
    return tape.values["b_h", (), ()], tape.values["b_q", (), ()]


def split(w: Tensor, d: int, h: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the long column of weights into W_xh, W_hh and b_h."""
    W_xh, W_hh, b_h = w[:, 0].split([h * d, h * h, h])
    return W_xh.view(h, d), W_hh.view(h, h), b_h.view(h, 1)


def column(W: Tensor, x: Tensor, U: Tensor, h: Tensor, b: Tensor) -> Tensor:
    """Compute the pre-activation of one sample."""
    return W @ x + U @ h + b


def rows(X: Tensor, W: Tensor, H: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """Compute the pre-activations of a batch."""
    return X @ W.T + H @ U.T + b.reshape(1, -1)


def torch_rnn(
    weights: Sequence[Tensor], X: Tensor, H_0: Tensor, layers: int = 1
) -> Tensor:
    """Run torch's RNN with these weights, biases in its first place: (T, B, h)."""
    rnn = nn.RNN(X.shape[-1], H_0.shape[-1], layers, dtype=torch.float64)
    with torch.no_grad():
        for l in range(layers):
            W, U, b = weights[3 * l : 3 * l + 3]
            given = (W, U, b.flatten(), torch.zeros_like(b.flatten()))
            for parameter, value in zip(
                rnn._flat_weights[4 * l :], given, strict=False
            ):
                parameter.copy_(value)  # type: ignore[union-attr]
        out: Tensor = rnn(X, H_0)[0]
    return out


def all_of(tape: Tape, name: str) -> list[Tensor]:
    """List a symbol for t = 1 to T."""
    return [tape.values[name, (t,), ()] for t in range(1, tape.sizes["T"] + 1)]


def sample(tape: Tape, loss: Rule, target: Callable[[], Tensor], source: str) -> None:
    """Run one sample through the network, with a loss at every step."""
    d, h, q, T = (tape.sizes[n] for n in "dhqT")
    w, W_xh, W_hh, W_hq = parameters(tape)
    b_h = tape.put("b_h", split(w, d, h)[2])
    b_q = tape.leaf("b_q", tape.normal(q, 1))

    def of_weights(w: Tensor, x: Tensor, s: Tensor) -> Tensor:
        W, U, b = split(w, d, h)
        return column(W, x, U, s, b)

    s = tape.leaf("h", tape.normal(h, 1), 0)
    for t in range(1, T + 1):
        x, before = tape.leaf("x", tape.normal(d, 1), t), s
        a = tape.step("a", column, (W_xh, x, W_hh, s, b_h), t)
        tape.also(a, of_weights, (w, x, s))
        s = tape.step("h", torch.tanh, (a,), t)
        tape.also(s, lambda *v: torch.tanh(of_weights(*v)), (w, x, before))
        tape.also(s, lambda *v: torch.tanh(column(*v)), (W_xh, x, W_hh, before, b_h))
        o = tape.step("o", lambda W, s, b: W @ s + b, (W_hq, s, b_q), t)
        tape.step(r"\ell", loss, (o, tape.leaf("y", target(), t)), t)
    tape.step("L", lambda *each: torch.stack(each).mean(), all_of(tape, r"\ell"))
    tape.sources |= {r"\ell": source, "L": source}
    confirm_sample(tape, (W_xh, W_hh, b_h), W_hq, b_q)
    tape.functions["f"] = lambda x, s: torch.tanh(column(W_xh, x, W_hh, s, b_h))


def confirm_sample(
    tape: Tape, weights: Sequence[Tensor], W_hq: Tensor, b_q: Tensor
) -> None:
    """Hold states, pre-activations and outputs against torch's modules."""
    X = torch.stack(all_of(tape, "x")).mT
    H = torch_rnn(weights, X, tape.values["h", (0,), ()].T[None])
    for t, each in enumerate(H, 1):
        tape.confirm(tape.values["h", (t,), ()], each.T, "torch.nn.RNN")
        tape.confirm(tape.values["a", (t,), ()], torch.atanh(each.T), "torch.nn.RNN")
        out = F.linear(each, W_hq, b_q[:, 0]).T
        tape.confirm(tape.values["o", (t,), ()], out, LINEAR)


def batch(tape: Tape, b_h: Tensor, b_q: Tensor) -> None:
    """Run a batch in rows through the network of a tape."""
    d, h, q, T, B = (tape.sizes[n] for n in "dhqTB")
    W_xh, W_hh, W_hq = (tape.values[n, (), ()] for n in ("W_{xh}", "W_{hh}", "W_{hq}"))
    H = H_0 = tape.leaf("H", tape.normal(B, h), 0)
    for t in range(1, T + 1):
        X = tape.leaf("X", tape.normal(B, d), t)
        A = tape.step("A", rows, (X, W_xh, H, W_hh, b_h), t)
        H = tape.step("H", torch.tanh, (A,), t)
        tape.step("O", lambda H, W, b: H @ W.T + b.reshape(1, -1), (H, W_hq, b_q), t)
        tape.leaf("Y", tape.normal(B, q), t)
    tape.put(r"\mathbf{1}", torch.ones(B, 1))
    expected = torch_rnn((W_xh, W_hh, b_h), torch.stack(all_of(tape, "X")), H_0[None])
    for t, each in enumerate(expected, 1):
        tape.confirm(tape.values["H", (t,), ()], each, "torch.nn.RNN")
        tape.confirm(tape.values["A", (t,), ()], torch.atanh(each), "torch.nn.RNN")
        out = F.linear(each, W_hq, b_q.flatten())
        tape.confirm(tape.values["O", (t,), ()], out, LINEAR)


def batch_loss(tape: Tape, name: str) -> None:
    """Average the squared errors of a batch over everything, as torch does."""
    T = tape.sizes["T"]

    def loss(*v: Tensor) -> Tensor:
        return F.mse_loss(torch.stack(v[:T]), torch.stack(v[T:]))

    tape.step(name, loss, [*all_of(tape, "O"), *all_of(tape, "Y")])
    tape.sources[name] = MSE


def stack(tape: Tape) -> None:
    """Put two layers on each other; the input is layer 0."""
    d, h, T = (tape.sizes[n] for n in "dhT")
    weights, below = [], all_of(tape, "x")
    for t, x in enumerate(below, 1):
        tape.step("h", torch.clone, (x,), t, layer=0)
    for l, width in enumerate((d, h), 1):
        W = tape.leaf("W_{xh}", tape.normal(h, width), layer=l)
        U = tape.leaf("W_{hh}", tape.normal(h, h), layer=l)
        b = tape.leaf("b_h", tape.normal(h, 1), layer=l)
        weights += [W, U, b]
        tape.leaf("h", tape.normal(h, 1), 0, layer=l)
        for t in range(1, T + 1):
            x, s = (
                tape.values["h", at, (k,)] for at, k in (((t,), l - 1), ((t - 1,), l))
            )
            cell = lambda *v: torch.tanh(column(*v))  # noqa: E731
            tape.step("h", cell, (W, x, U, s, b), t, layer=l)
    H_0 = torch.stack([tape.values["h", (0,), (l,)].T for l in (1, 2)])
    expected = torch_rnn(weights, torch.stack(below).mT, H_0, layers=2)
    for t, each in enumerate(expected, 1):
        tape.confirm(tape.values["h", (t,), (2,)], each.T, "torch.nn.RNN")


def counts(tape: Tape) -> None:
    """Count the parameters of torch's network, and those that are not doubled."""
    d, h, q = (tape.sizes[n] for n in "dhq")
    rnn, head = nn.RNN(d, h), nn.Linear(h, q)
    both = sum(p.numel() for m in (rnn, head) for p in m.parameters())
    doubled = rnn.get_parameter("bias_hh_l0").numel()
    named = {"P": both - doubled, r"P_{\mathrm{torch}}": both}
    for name, count in named.items():
        tape.put(name, count, source="the parameters of torch.nn.RNN")


@world("prices", [{"T": 5}, {"T": 7}, {"T": 4}])
def prices(tape: Tape) -> None:
    """Prices, their min-max scaling, and the forecast "tomorrow is today"."""
    T = tape.sizes["T"]
    p = 100 + 10 * tape.normal(T).numpy()
    x = np.interp(p, [p.min(), p.max()], [0.0, 1.0])
    tomorrow = pd.Series([*x, np.nan], index=range(1, T + 2)).shift()
    for t in range(1, T + 1):
        tape.put("p", p[t - 1], t)
        tape.put("x", x[t - 1], t, source="numpy.interp")
        tape.put(r"\hat{x}", tomorrow[t + 1], t + 1, source="pandas.Series.shift")
    tape.put(r"p_{\min}", p.min())
    tape.put(r"p_{\max}", p.max())
    skill(tape)


def skill(tape: Tape) -> None:
    """Score a forecast against persistence, in fractions: the share of error saved."""
    model, naive = tape.normal(9, 2).square().mean(0).tolist()
    tape.put(r"\mathrm{MSE}", model)
    tape.put(r"\mathrm{MSE}_{\mathrm{persistence}}", naive)
    saved = (Fraction(naive) - Fraction(model)) / Fraction(naive)
    tape.put("S", float(saved), source="exact fractions")
