"""Wrong answers, written independently of the checks' own tables.

Each is a loop over numbers, an einsum or NumPy, with one mistake; beside it stands the
diagnosis that a reader must be given.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, einsum, nn

from rnn_companion.claims import Finding

Wrong = Callable[..., Any]


def net(X: Tensor, *p: Tensor) -> tuple[Tensor, Tensor]:
    """Run states from zero, and a head."""
    H = torch.stack(unroll(X, torch.zeros(X.shape[1], len(p[2])).to(X), *p[:3]))
    return H, einsum("tbh,qh->tbq", H[1:], p[3]) + p[4]


def mean_square(O: Tensor, Y: Tensor, *, L: float = 1, G: float = 1) -> tuple[Any, ...]:
    """Differentiate torch's loss; both may be wrong by a factor."""
    O = O.clone().requires_grad_()
    loss = nn.functional.mse_loss(O, Y)
    return L * loss.item(), G * torch.autograd.grad(loss, O)[0]


def back(
    X: Tensor,
    H: Tensor,
    dO: Tensor,
    W: Tensor,
    V: Tensor,
    k: int = 99,
    **wrong: Any,  # noqa: ANN401
) -> tuple[Tensor, ...]:
    """Send each loss back on its own, at most k steps; parts of it may be mistaken."""
    slope = wrong.get("slope", lambda t: 1 - H[t].square())
    carry, block = wrong.get("carry", "bi,ij->bj"), wrong.get("block", 0)
    sums = [torch.zeros(len(W), X.shape[2]), torch.zeros_like(W), torch.zeros(len(W))]
    for t in wrong.get("losses", range(1, len(H))):
        passed = dO[t - 1] @ wrong.get("head_back", V)
        for i in range(t, max(t - k, 0), -1):
            passed = passed * slope(i)
            parts = (X[i - 1], H[i - 1 + wrong.get("late", 0)])
            for n, part in enumerate(parts):
                sums[n] = sums[n] + passed.t() @ part
            sums[2] = sums[2] + passed.sum(0)
            if block and (i - 1) % block == 0:
                break
            passed = einsum(carry, passed, W)
    states = H[1 - wrong.get("early", 0) :][: len(dO)]
    counted = torch.tensor(wrong.get("head", [1.0] * len(dO))).to(dO)[:, None, None]
    return (
        *sums,
        einsum("tbq,tbh->qh", dO * counted, states),
        (dO * counted).sum((0, 1)),
    )


def of_first_step(
    X: Tensor, H: Tensor, dO: Tensor, W: Tensor, V: Tensor
) -> tuple[Tensor, ...]:
    """Differentiate by the parameters of the first step alone."""
    push = torch.zeros_like(H[1], requires_grad=True)
    h, loss = torch.tanh(torch.atanh(H[1]) + push), (H[1] * 0).sum()
    for t in range(1, len(H)):
        a = torch.atanh(H[t]) - H[t - 1] @ W.t()  # all but the recurrence's share
        h = h if t == 1 else torch.tanh(a + h @ W.t())
        loss = loss + (dO[t - 1] * (h @ V.t())).sum()
    (D,) = torch.autograd.grad(loss, push)
    recurrent = (D.t() @ X[0], D.t() @ H[0], D.sum(0))
    return (*recurrent, dO[0].t() @ H[1], dO[0].sum(0))


def moved(f: Wrong, W: Tensor, eps: float, quotient: Wrong) -> Tensor:
    """Move one entry after the other by NumPy; the quotient may be mistaken."""
    found = np.zeros(W.shape)
    for at in np.ndindex(*W.shape):
        up, down = W.numpy().copy(), W.numpy().copy()
        up[at] += eps
        down[at] -= eps
        values = [float(f(torch.from_numpy(a))) for a in (up, W.numpy(), down)]
        found[at] = quotient(*values, eps)
    return torch.from_numpy(found)


def left_there(f: Wrong, W: Tensor, eps: float) -> Tensor:
    a, found = W.numpy().copy(), np.zeros(W.shape)
    for at in np.ndindex(*W.shape):
        a[at] += eps
        up = float(f(torch.from_numpy(a)))
        a[at] -= 2 * eps
        found[at] = (up - float(f(torch.from_numpy(a)))) / (2 * eps)
    return torch.from_numpy(found)


def descent(
    X: Tensor,
    Y: Tensor,
    rate: float,
    steps: int,
    *p: Tensor,
    learn: str = "11111",
    after: bool = False,
    once: bool = False,
) -> tuple[Tensor, ...]:
    """Train by autograd and torch's SGD; which parameters learn may be mistaken."""
    leaves = [w.clone().requires_grad_() for w in p]
    told = [w for w, on in zip(leaves, learn, strict=True) if on == "1"]
    descend, losses = torch.optim.SGD(told, lr=abs(rate), maximize=rate < 0), []
    for n in range(steps):
        loss = nn.functional.mse_loss(net(X, *leaves)[1], Y)
        losses.append(loss.item())
        if n == 0 or not once:
            descend.zero_grad()
            loss.backward()
        descend.step()
        if after:
            losses[-1] = nn.functional.mse_loss(net(X, *leaves)[1], Y).item()
    return (*(w.detach() for w in leaves), torch.tensor(losses, dtype=X.dtype))


def cut_up(
    p: Tensor,
    n: int,
    T: int,
    *,
    seen: slice | None = None,
    **wrong: Any,  # noqa: ANN401
) -> tuple[Tensor, ...]:
    """Cut the windows out one by one; where they begin may be mistaken."""
    known = p.numpy()[: n if seen is None else None]
    z = p if wrong.get("bare") else (p - known.mean()) / np.std(known)
    stop, start, by = (
        wrong.get("stop", n),
        wrong.get("start", n - T),
        wrong.get("by", 1),
    )
    late = wrong.get("late", 1)
    found = []
    for begins in (range(0, stop - T, by), range(start, len(p) - T, by)):
        for shift in (0, late):
            cuts = [z[k + shift : k + shift + T] for k in begins]
            found.append(torch.stack(cuts, dim=wrong.get("batch", 1))[..., None])
    return tuple(found)


def fifths(s: Tensor, *ends: int) -> tuple[Tensor, ...]:
    """Cut a series at some fifths of it."""
    n = len(s) // 5
    return tuple(s[a * n : b * n] for a, b in zip(ends[::2], ends[1::2], strict=True))


def regression(s: Tensor, p: int, *, nearest: int = 1, ones: bool = True) -> Tensor:
    """Fit by NumPy; the nearest day read may be mistaken."""
    x = s.numpy()
    rows = [
        [1.0] * ones + [x[t - k] for k in range(nearest, p + nearest)]
        for t in range(p, len(x))
    ]
    return torch.from_numpy(np.linalg.lstsq(np.array(rows), x[p:], rcond=None)[0])


def foretold(
    s: Tensor, c: Tensor, *, nearest: int = 1, own: bool = False, const: bool = True
) -> Tensor:
    """Forecast day by day; what each forecast reads may be mistaken."""
    const_, *phi = c.tolist()
    days, p, found = s.tolist(), len(phi), []
    for t in range(p, len(days)):
        parts = [f * days[t - nearest - k] for k, f in enumerate(phi)]
        found.append(const_ * const + math.fsum(parts))
        if own:
            days[t] = found[-1]
    return torch.tensor(found, dtype=s.dtype)


def chosen(
    a: Tensor, b: Tensor, orders: Iterable[int], *, fit: str = "a", on: str = "b"
) -> dict[float, int]:
    """Tell orders by their errors; the days of fit and of judgement may be mistaken."""
    days, found = {"a": a, "b": b, "ab": torch.cat([a, b])}, {}
    for p in orders:
        c, both = regression(days[fit], p), torch.cat([a, b])
        errors = (foretold(both, c) - both[p:]).square()
        found[
            float(errors[-len(b) :].mean() if on == "b" else errors[: -len(b)].mean())
        ] = p
    return found


def third(
    s: Tensor, p: int, *, fit: tuple[int, int] = (0, 4), at: int = 4, nearest: int = 1
) -> Tensor:
    """Forecast a fifth of the series; what it is fitted to may be mistaken."""
    n = len(s) // 5
    c = regression(s[fit[0] * n : fit[1] * n], p)
    return foretold(s[at * n - p : (at + 1) * n], c, nearest=nearest)


def claimed(**changed: object) -> Any:  # noqa: ANN401 - no function, but checked
    """Claim of a series what is true of it, but for what is changed."""
    true = {"name": "Ada Example", "order": 1, "skill": -0.01, "low": -0.06}
    return true | {"high": 0.03, "p": 0.73, "status": "open"} | changed


def step(x: str = "bd,hd->bh", h: str = "bk,hk->bh", act: Wrong = np.tanh) -> Wrong:
    """Make a step of chapter 1 with chosen sums and activation."""

    def run(X: Tensor, H: Tensor, W: Tensor, U: Tensor, b: Tensor) -> Tensor:
        a = np.einsum(x, X.numpy(), W.numpy()) + np.einsum(h, H.numpy(), U.numpy())
        return torch.from_numpy(act(a + b.numpy()))

    return run


def unroll(X: Tensor, H_0: Tensor, W: Tensor, U: Tensor, b: Tensor) -> list[Tensor]:
    states = [H_0]
    for x in X:
        states.append((einsum("bd,hd->bh", x, W) + states[-1] @ U.t() + b).tanh())
    return states


def smoothed(
    y: Tensor, a: float, *, start: float | None = None, keep: float | None = None
) -> Tensor:
    """Smooth value by value; start and the old value's weight may be mistaken."""
    levels = [float(y[0]) if start is None else start]
    for value in y.tolist()[1:]:
        levels.append(((1 - a) if keep is None else keep) * levels[-1] + a * value)
    return torch.tensor(levels, dtype=y.dtype)


def rolled(y: Tensor, days: int) -> Tensor:
    """Return pandas' rolling means."""
    means = pd.Series(y.tolist()).rolling(days, min_periods=1).mean()
    return torch.tensor(means.tolist(), dtype=y.dtype)


def at(y: Tensor) -> range:
    return range(len(y))


def as_like(y: Tensor, values: list[float]) -> Tensor:
    return torch.tensor([float(value) for value in values], dtype=y.dtype)


def sums(y: Tensor, n: int, days: int) -> float:
    return math.fsum(y.tolist()[max(0, n - days + 1) : n + 1])


def width(h: Tensor, l: Tensor) -> Tensor:
    """Return ln h - ln l."""
    return torch.from_numpy(np.log(h.numpy()) - np.log(l.numpy()))


def skill(f: Tensor, p: Tensor, power: int = 2, late: int = 1) -> float:
    """Return skill; other powers and other days are mistakes."""
    forecast, closes = f.tolist(), p.tolist()
    days = range(len(forecast))
    ours = math.fsum(abs(forecast[k] - closes[k + late]) ** power for k in days)
    return 1 - ours / math.fsum(abs(closes[k] - closes[k + 1]) ** power for k in days)


def head(
    O: Tensor, Y: Tensor, H: Tensor, W: Tensor, *, divide: int | None = None
) -> tuple[Tensor, ...]:
    """Differentiate torch's cross-entropy, divided by T times B unless mistaken."""
    scores = O.clone().requires_grad_()
    error = -(Y * scores.log_softmax(2)).sum() / (divide or O[..., 0].numel())
    (G,) = torch.autograd.grad(error, scores)
    return from_scores(G, H, W)


def deltas(G: Tensor, H: Tensor, W: Tensor, **wrong: Any) -> Tensor:  # noqa: ANN401
    """Write Delta row by row from the last step; parts of it may be mistaken."""
    slope = wrong.get("slope", lambda H, t: 1 - H[t].square())
    sums = wrong.get("sums", "bi,ij->bj")
    found = torch.zeros_like(G)
    later = torch.zeros_like(G[0])
    for t in reversed(range(len(G))):
        found[t] = (G[t] + later) * slope(H, t + 1)
        later = einsum(sums, found[t], W)
    return found


def lags(G: Tensor, H: Tensor, W: Tensor, *, late: int = 0) -> Tensor:
    """Follow each loss back on its own; states that come late are a mistake."""
    shares = torch.zeros(len(G), *W.shape, dtype=G.dtype)
    for t in range(len(G)):
        arriving = G[t]
        for k in range(t + 1):
            delta = arriving * (1 - H[t - k + 1] ** 2)
            shares[k] += einsum("bi,bj->ij", delta, H[t - k + late])
            arriving = delta @ W
    return shares


def ratios(g: Tensor, H: Tensor, W: Tensor, *, by: int = 1) -> list[float]:
    """Return how each step changes the norm, from whole Jacobians."""
    found = []
    for t in range(len(g) - 1):
        J = torch.diag(1 - H[t + 1] ** 2).mm(W)
        found.append(((g[t + 1] @ J).norm() / g[t + by].norm()).item())
    return found


def product(W: Tensor, H: Tensor, backwards: bool = False) -> Tensor:
    """Multiply the Jacobians of steps 1 to T, the latest leftmost unless mistaken."""
    found = torch.eye(len(W)).double()
    for h in H[1:] if backwards else H[1:].flip(0):
        found = found.mm(torch.diag(1 - h**2).mm(W))
    return found


def verdict(told: Iterable[object]) -> Finding:
    """Hold if everything does."""
    return Finding("holds" if all(told) else "wrong", "both rows")


def lstm(gates: str, H: Wrong = lambda o, c, old: o * c.tanh()) -> Wrong:
    """Make a step of chapter 4 by torch's cell, its rows in another order."""

    def run(x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        cell = nn.LSTMCell(x.shape[1], h.shape[1], dtype=x.dtype)
        rows = [
            torch.cat([w.chunk(4)[gates.index(g)] for g in "ifgo"]) for w in weights
        ]
        values = (*rows, torch.zeros_like(rows[2]))
        for parameter, value in zip(cell.parameters(), values, strict=True):
            parameter.data = value
        with torch.no_grad():
            _, new = cell(x, (h, c))
            o = torch.sigmoid(x @ weights[0].t() + h @ weights[1].t() + weights[2])
        return H(o.chunk(4, 1)[gates.index("o")], new, c), new

    return run


def cells(dH: Tensor, F: Tensor, O: Tensor, C: Tensor, **wrong: Any) -> Tensor:  # noqa: ANN401
    """Write dC from the last step on; parts of it may be mistaken."""
    late, slope = wrong.get("late", 1), wrong.get("slope", lambda c: 1 / c.cosh() ** 2)
    found = torch.zeros_like(C)
    for t in reversed(range(len(C))):
        found[t] = dH[t] * O[t] * slope(C[t])
        if t + 1 < len(C):
            found[t] += found[t + 1] * F[t + late]
    return found


def size(d: int, budget: int, biases: int = 2) -> int:
    """Return the most units in a budget, by the quadratic formula."""
    half = (d + biases) / 2
    return int(math.sqrt(half**2 + budget) - half + 1e-9)


def squares(o: Tensor, y: Tensor) -> list[list[float]]:
    """Return the squared errors, a list a step."""
    return [(a - b).pow(2).flatten().tolist() for a, b in zip(o, y, strict=True)]


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def real_steps(o: Tensor, y: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Return what is real, one sequence after the other, (steps, q) each."""
    o, y = (
        torch.cat([part[:n, b] for b, n in enumerate(ends.tolist())]) for part in (o, y)
    )
    return o, y


def real(
    o: Tensor, y: Tensor, ends: Tensor, of: Callable[[list[float]], float]
) -> list[float]:
    """Reduce the squared errors of each sequence's real steps to a number."""
    steps = ((o - y) ** 2).mean(2).T.tolist()
    kept = [row[: int(n)] for row, n in zip(steps, ends, strict=True)]
    return [of(row) if row else 0.0 for row in kept]


def masked(o: Tensor, y: Tensor, m: Tensor) -> float:
    kept = [
        e
        for row, keep in zip(squares(o, y), m.tolist(), strict=True)
        if keep
        for e in row
    ]
    return mean(kept)


def windows(p: Tensor, T: int, ahead: int = 1) -> tuple[Tensor, Tensor]:
    closes = p.tolist()
    starts = range(len(closes) - T - max(0, ahead - 1))
    rows = [[[closes[s + t + k] for s in starts] for t in range(T)] for k in (0, ahead)]
    return torch.tensor(rows[0], dtype=p.dtype), torch.tensor(rows[1], dtype=p.dtype)


def scaled(p: Tensor, known: Tensor, ddof: int = 0) -> Tensor:
    closes, seen = p.numpy(), known.numpy()
    return torch.from_numpy((closes - np.mean(seen)) / np.std(seen, ddof=ddof))


def hits(f: Tensor, p: Tensor) -> list[float]:
    """Return the product of both movements, a day each."""
    rows = zip(f.tolist(), p.tolist()[:-1], p.tolist()[1:], strict=True)
    return [(ours - before) * (after - before) for ours, before, after in rows]


def digits(half: Tensor, second: Wrong = lambda row: row[::-1]) -> list[list[int]]:
    return [row + second(row) for row in half.tolist()]


def phi(t: Tensor, tau: Tensor, s: Tensor) -> Tensor:
    return torch.from_numpy(np.mod((t - s).numpy(), tau.numpy()) / tau.numpy())


def roof(share: Tensor, r: Tensor) -> Tensor:
    """Rise to one at r / 2 and fall to zero at r."""
    up, down = 2 * share / r, 2 - 2 * share / r
    return torch.where(up < down, up, down).clip(min=0)


def days_open(first: int, n: int, tau: float, s: float, r: float) -> list[bool]:
    return [0 < ((day - s) / tau) % 1 < r for day in range(first, first + n)]


def best(o: Tensor, k: int, largest: bool = True) -> Tensor:
    """Return probabilities of the k first in order of their scores."""
    order = np.argsort(o.numpy())[:: -1 if largest else 1][:k].copy()
    weights = np.zeros(len(o))
    weights[order] = np.exp(o.numpy()[order])
    return torch.from_numpy(weights / weights.sum())


def classes(
    r: Tensor, known: Tensor, shares: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
) -> Tensor:
    bounds = np.quantile(known.numpy(), shares)
    return torch.from_numpy(np.digitize(r.numpy(), bounds, right=True))


def both_biases(ih: Tensor, hh: Tensor, value: float) -> tuple[Tensor, Tensor]:
    h = len(ih) // 4
    for bias in (ih := ih.clone(), hh := hh.clone()):
        bias[h : 2 * h] = value
    return ih, hh


def one_bias(
    ih: Tensor, hh: Tensor, value: float, gate: int = 1
) -> tuple[Tensor, Tensor]:
    h = len(ih) // 4
    ih = ih.clone()
    ih[gate * h : (gate + 1) * h] = value
    return ih, hh


def cleared(
    ih: Tensor, hh: Tensor, value: float, *, gate: int
) -> tuple[Tensor, Tensor]:
    h = len(ih) // 4
    hh = hh.clone()
    hh[gate * h : (gate + 1) * h] = 0
    return one_bias(ih, hh, value, gate)


def from_scores(G: Tensor, H: Tensor, W: Tensor) -> tuple[Tensor, ...]:
    return einsum("tbq,tbh->qh", G, H), einsum("tbq->q", G), einsum("tbq,qh->tbh", G, W)


def outside(G: Tensor, H: Tensor, W: Tensor) -> Tensor:
    """Leave what comes from the later steps without its slope."""
    found = [G[-1] * (1 - H[-1] ** 2)]
    for t in range(len(G) - 2, -1, -1):
        found.append(G[t] * (1 - H[t + 1] ** 2) + found[-1] @ W)
    return torch.stack(found[::-1])


def days(norms: list[float], share: float) -> int:
    return next(k for k in range(99) if sum(norms[:k]) >= share * sum(norms))


def written(parts: Wrong) -> Wrong:
    """Write a step of chapter 4 in NumPy: what is kept, what is let in, and of what."""

    def run(*arguments: Tensor) -> tuple[Tensor, Tensor]:
        X, H, C, W, U, b = (a.numpy() for a in arguments)
        i, f, g, o = np.split(X @ W.T + H @ U.T + b, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-a)) for a in (i, f, o))
        keep, let_in, candidate = parts(i, f, g)
        cell = keep * C + let_in * candidate
        return torch.from_numpy(o * np.tanh(cell)), torch.from_numpy(cell)

    return run


def guess(validation: Tensor, constant: float) -> tuple[float, float]:
    return constant, mean([(v - constant) ** 2 for v in validation.tolist()])


def forget(ih: Tensor, hh: Tensor, new: Wrong) -> tuple[Tensor, Tensor]:
    i, f, g, o = torch.tensor_split(ih + hh, 4)
    return torch.cat([i, new(f), g, o]), torch.zeros_like(hh)


def heights(n: int, tau: float, s: float, r: float) -> list[float]:
    """Return how far the gate is open on each day."""
    shares = [((day - s) / tau) % 1 for day in range(1, n + 1)]
    return [max(0.0, min(2 * p / r, 2 - 2 * p / r)) for p in shares]


def reversed_pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    return second, first


def swapped(o: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    return o.transpose(0, 1), y.transpose(0, 1)


def read(words: list[list[int]]) -> tuple[Tensor, Tensor]:
    return torch.tensor([w[:-1] for w in words]).t(), torch.tensor(
        [w[-1] for w in words]
    )


def adam(
    k_1: int = 1,
    k_2: int = 1,
    betas: tuple[float, float] = (0.9, 0.999),
    square: Wrong = lambda g: g * g,
    below: Wrong = lambda v: math.sqrt(v) + 1e-8,
    up: bool = False,
    corrected: bool = False,
) -> Wrong:
    """Make a step of Adam, number by number, its means corrected or not."""

    def run(w: Tensor, g: Tensor, m: Tensor, v: Tensor, k: int) -> tuple[Tensor, ...]:
        rows = []
        for w_j, g_j, m_j, v_j in zip(
            w.tolist(), g.tolist(), m.tolist(), v.tolist(), strict=True
        ):
            mean = betas[0] * m_j + (1 - betas[0]) * g_j
            of_squares = betas[1] * v_j + (1 - betas[1]) * square(g_j)
            first = mean / (1 - betas[0] ** k) if k_1 else mean
            second = of_squares / (1 - betas[1] ** k) if k_2 else of_squares
            moved = w_j - (-0.01 if up else 0.01) * first / below(second)
            kept = (first, second) if corrected else (mean, of_squares)
            rows.append([moved, *kept])
        return tuple(torch.tensor(rows, dtype=w.dtype).T)

    return run


def walked(
    keep: Wrong = lambda mu: mu,
    share: Wrong = lambda mu: 1.0,
    late: bool = False,
    ahead: bool = False,
) -> Wrong:
    """Make momentum's steps in NumPy."""

    def run(gradient: Wrong, w: Tensor, eta: float, mu: float, steps: int) -> Tensor:
        place, velocity = w.numpy().copy(), np.zeros(len(w))
        for _ in range(steps):
            look_at = place - eta * mu * velocity if ahead else place
            slope = gradient(torch.from_numpy(look_at)).numpy()
            before, velocity = velocity, keep(mu) * velocity + share(mu) * slope
            place = place - eta * (before if late else velocity)
        return torch.from_numpy(place)

    return run


def curvatures(X: Tensor) -> Any:  # noqa: ANN401 - an array
    """Return the eigenvalues of X^T X, the least first."""
    return np.sort(np.linalg.svd(X.numpy(), compute_uv=False)) ** 2


WRONG: list[tuple[str, Wrong, str]] = [
    ("rnn_step", step(h="bk,kh->bh"), "W_hh is transposed"),
    ("rnn_step", step(x="bd,dh->bh"), "W_xh is transposed"),
    ("rnn_step", step("bd,dh->bh", "bk,kh->bh"), "both matrices are transposed"),
    ("rnn_step", step(act=lambda a: a), "tanh is missing"),
    (
        "rnn_step",
        step(act=lambda a: 1 / (1 + np.exp(-a))),
        "the activation is the sigmoid",
    ),
    ("rnn_step", step(act=lambda a: np.maximum(a, 0)), "the activation is ReLU"),
    ("rnn_step", lambda *a: step()(*a[:4], 0 * a[4]), "the bias is missing"),
    ("rnn_step", lambda X, H, *a: step()(X, 0 * H, *a), "the old state is missing"),
    ("rnn_step", lambda *a: step()(*a[:4], 0 * a[4]) + a[4], "bias stands outside"),
    ("rnn", lambda *a: unroll(*a)[-1], "only the last state is returned"),
    ("rnn", lambda *a: torch.stack(unroll(*a)[1:], 1), "with the batch first"),
    ("rnn", lambda *a: torch.stack(unroll(*a)), "H_0 is in the result: there are T"),
    ("rnn", lambda *a: torch.stack(unroll(*a)[:-1]), "one step late"),
    ("rnn", lambda X, H, *a: torch.stack(unroll(X, H * 0, *a)[1:]), "H_0 is not used"),
    (
        "rnn",
        lambda X, *a: torch.stack([unroll(x[None], *a)[1] for x in X]),
        "the state is not carried on",
    ),
    (
        "rnn",
        lambda X, *a: torch.stack(unroll(list(X)[::-1], *a)[1:]),  # type: ignore[arg-type]
        "the sequence is read from its end",
    ),
    (
        "rnn",
        lambda X, H, W, U, b: torch.stack(unroll(X, H, W, U.t(), b)[1:]),
        "W_hh is transposed",
    ),
    ("skill", lambda f, p: 1 - skill(f, p), "this is the ratio of the errors"),
    ("skill", lambda f, p: -skill(f, p), "the sign is turned round"),
    ("skill", lambda f, p: 1 - 1 / (1 - skill(f, p)), "the ratio is upside down"),
    ("skill", lambda f, p: skill(f, p, power=1), "the errors are absolute"),
    ("skill", lambda f, p: skill(f, p, late=0), "held against today"),
    ("skill", lambda f, p: 1 - (1 - skill(f, p)) ** 0.5, "root mean squares"),
    (
        "head_gradients",
        lambda *a: head(*a, divide=1),
        "over steps and samples is miss",
    ),
    (
        "head_gradients",
        lambda *a: head(*a, divide=a[0].shape[1]),
        "the mean over the steps is missing",
    ),
    (
        "head_gradients",
        lambda *a: head(*a, divide=a[0].shape[0]),
        "the mean over the samples is missing",
    ),
    ("head_gradients", lambda *a: head(*a, divide=a[0].numel()), "divided by q"),
    (
        "head_gradients",
        lambda *a: head(*a, divide=-a[0][..., 0].numel()),
        "the sign is turned round",
    ),
    (
        "head_gradients",
        lambda *a: (head(*a)[0].t(), *head(*a)[1:]),
        "the gradient of W_hq is transposed",
    ),
    (
        "head_gradients",
        lambda O, Y, H, W: (*head(O, Y, H, W)[:2], head(O, Y, H, W.t())[2]),
        "W_hq is transposed on the way",
    ),
    ("deltas", lambda *a: deltas(*a, slope=lambda H, t: 1), "lacks the factor"),
    ("deltas", lambda *a: deltas(*a, sums="bj,ij->bi"), "W_hh is transposed"),
    ("deltas", lambda *a: torch.flipud(deltas(*a)), "in the order of the computation"),
    ("deltas", lambda G, H, W: deltas(G, H, W * 0), "nothing comes back"),
    (
        "deltas",
        lambda *a: deltas(*a, slope=lambda H, t: 1 - H[t]),
        "the slope is 1 - h_t; it is",
    ),
    (
        "deltas",
        lambda *a: deltas(*a, slope=lambda H, t: H[t] - H[t] ** 2),
        "the slope is that of the sigmoid",
    ),
    (
        "deltas",
        lambda *a: deltas(*a, slope=lambda H, t: 1 - H[t - 1] ** 2),
        "this takes that of step t - 1",
    ),
    (
        "deltas",
        lambda *a: (
            deltas(*a, slope=lambda H, t: 1 - H[t + 1 : t + 2].sum(0) ** 2)
            if len(a[0]) == 1
            else deltas(*a, slope=lambda H, t: 1 - H[min(t + 1, len(H) - 1)] ** 2)
        ),
        "this takes that of step t + 1",
    ),
    (
        "deltas",
        lambda *a: deltas(*a, slope=lambda H, t: 1 / H[t].cosh() ** 2),
        "tanh is applied to the state again",
    ),
    ("gradient_by_lag", lambda *a: torch.flipud(lags(*a)), "in the wrong order"),
    ("gradient_by_lag", lambda *a: lags(*a).cumsum(0), "the sum up to each lag"),
    ("gradient_by_lag", lambda *a: lags(*a).transpose(1, 2), "share is transposed"),
    ("gradient_by_lag", lambda G, H, W: lags(G, H, W.t()), "on the way back"),
    (
        "gradient_by_lag",
        lambda G, H, W: einsum("tbi,tbj->tij", deltas(G, H, W), H[:-1]),
        "sorted by the use i of the weights",
    ),
    (
        "soft_constraint",
        lambda *a: mean([(r - 1) ** 2 for r in ratios(*a)]),
        "a sum over the steps, not their mean",
    ),
    ("soft_constraint", lambda *a: sum(ratios(*a)) - len(ratios(*a)), "square is miss"),
    ("soft_constraint", lambda *a: sum(r * r for r in ratios(*a)), "subtract 1"),
    ("soft_constraint", lambda *a: sum((1 / r - 1) ** 2 for r in ratios(*a)), "upside"),
    (
        "soft_constraint",
        lambda g, H, W: sum((r - 1) ** 2 for r in ratios(g, H * 0, W)),
        "lacks the factor 1 - h^2",
    ),
    (
        "soft_constraint",
        lambda g, H, W: sum(
            (r - 1) ** 2 for r in ratios(g, H[[0, *range(len(H) - 1)]], W)
        ),
        "the slope belongs to the wrong step",
    ),
    (
        "soft_constraint",
        lambda *a: math.fsum((r - 1) ** 2 for r in ratios(*a, by=0)),
        "the norm below belongs to g_{t+1}",
    ),
    ("reach", lambda W, H: product(W, H).square().sum().sqrt(), "the Frobenius norm"),
    (
        "reach",
        lambda W, H: np.abs(np.linalg.eigvals(product(W, H).numpy())).max(),
        "this is the spectral radius",
    ),
    (
        "reach",
        lambda W, H: torch.linalg.svdvals(product(W, H, backwards=True))[0],
        "the Jacobians are in the wrong order",
    ),
    (
        "reach",
        lambda W, H: torch.linalg.svdvals(torch.matrix_power(W, len(H) - 1))[0],
        "the factor 1 - h^2 is missing",
    ),
    (
        "reach",
        lambda W, H: torch.linalg.svdvals(product(W, torch.cat([H[:1], H])))[0],
        "there are T Jacobians, not T + 1",
    ),
    (
        "reach",
        lambda W, H: torch.linalg.svdvals(product(W, torch.cat([H[:1], H[:-1]])))[0],
        "the slopes are those of h_0 to h_{T-1}",
    ),
    ("reach", lambda W, H: torch.linalg.svdvals(product(W.t(), H))[0], "transposed"),
    (
        "days_back",
        lambda n, share: int(np.argmax(np.cumsum(n.numpy()) >= share * n.sum().item())),
        "it is one too few",
    ),
    (
        "days_back",
        lambda n, share: (
            int(np.argmax(np.cumsum(n.numpy()) >= share * n.sum().item())) + 2
        ),
        "it is one too many",
    ),
    ("lstm_step", lstm("ifog"), "and this takes i, f, o, g"),
    ("lstm_step", lstm("figo"), "and this takes f, i, g, o"),
    ("lstm_step", lstm("fiog"), "and this takes f, i, o, g"),
    ("lstm_step", lambda *a: reversed_pair(*lstm("ifgo")(*a)), "first H, then C"),
    ("lstm_step", lstm("ifgo", lambda o, c, old: o * c), "H_t lacks the tanh"),
    ("lstm_step", lstm("ifgo", lambda o, c, old: c.tanh()), "output gate is missing"),
    ("lstm_step", lstm("ifgo", lambda o, c, old: o * old.tanh()), "the old cell state"),
    (
        "cell_gradients",
        lambda *a: cells(*a, late=0),
        "forget gate belongs to the wrong",
    ),
    ("cell_gradients", lambda *a: torch.flipud(cells(*a)), "order of the computation"),
    (
        "cell_gradients",
        lambda h, F, O, C: cells(h, 0 * F, O, C),
        "C_{t+1} to C_t is lost",
    ),
    (
        "cell_gradients",
        lambda h, F, O, C: cells(h, F, O**0, C),
        "output gate is missing",
    ),
    (
        "cell_gradients",
        lambda *a: cells(*a, slope=lambda c: 1),
        "slope of tanh is miss",
    ),
    (
        "cell_gradients",
        lambda *a: cells(*a, slope=lambda c: 1 - c * c),
        "slope is 1 - C^2",
    ),
    (
        "cell_gradients",
        lambda *a: cells(*a, slope=lambda c: 1 - c.tanh()),
        "not 1 - tanh(C)",
    ),
    ("rnn_size", lambda d, h: size(d, 4 * h * (d + h + 2), 1), "the RNN has one here"),
    (
        "rnn_size",
        lambda d, h: size(d, 4 * h * (d + h + 1), 1),
        "both networks have one",
    ),
    ("rnn_size", lambda d, h: size(d, 3 * h * (d + h + 2)), "a GRU's budget"),
    ("rnn_size", lambda d, h: size(d, 4 * h * (h + 2)), "input weights are missing"),
    ("rnn_size", lambda d, h: size(d, 4 * h * (d + h + 2)) + 1, "smallest that costs"),
    ("rnn_size", lambda d, h: h << 2, "four times the units"),
    (
        "simpler",
        lambda n: verdict(a <= b for a, b in zip(*n.tolist(), strict=True)),
        "equal",
    ),
    ("simpler", lambda n: verdict([min(n[0] - n[1]) < 0]), "as soon as one size"),
    ("simpler", lambda n: verdict([n.mean(1).argmin() == 0]), "are added up"),
    ("simpler", lambda n: verdict([n.flatten()[0] < n[1, 0]]), "only the first size"),
    ("simpler", lambda n: verdict([min(n[0] - n[1]) > 0]), "rows are exchanged"),
    ("simpler", lambda n: verdict([]), "whatever the numbers are"),
    (
        "masked_loss",
        lambda o, y, m: mean([mean(row) for row in squares(o, y)]),
        "mask is not used",
    ),
    ("masked_loss", lambda o, y, m: masked(o, y, 1 - m), "the mask is turned round"),
    (
        "masked_loss",
        lambda o, y, m: masked(o, y, m) * m.sum().item() / len(m),
        "it is divided by all T steps",
    ),
    (
        "masked_loss",
        lambda o, y, m: nn.functional.l1_loss(o[m > 0], y[m > 0]),
        "the errors are absolute",
    ),
    (
        "masked_loss",
        lambda o, y, m: (
            nn.functional.mse_loss(o[m > 0], y[m > 0], reduction="sum") / m.sum()
        ),
        "samples and outputs are added up",
    ),
    (
        "padded_loss",
        lambda o, y, ends: nn.functional.mse_loss(o, y),
        "the padded steps count too",
    ),
    (
        "padded_loss",
        lambda o, y, ends: sum(real(o, y, ends, of=sum)) / len(o) / len(o[0]),
        "divided by all T B steps",
    ),
    (
        "padded_loss",
        lambda o, y, ends: sum(real(o, y, ends, of=sum)),
        "number of real steps is missing",
    ),
    (
        "padded_loss",
        lambda o, y, ends: mean(real(o, y, ends, of=mean)),
        "each sequence counts once",
    ),
    (
        "padded_loss",
        lambda o, y, ends: (
            sum(real(o, y, ends - 1, of=sum)) / (ends.sum().item() - len(ends))
        ),
        "the last real step of each sequence is missing",
    ),
    (
        "padded_loss",
        lambda o, y, ends: (
            sum(real(o, y, ends + 1, of=sum))
            / sum(min(n + 1, len(o)) for n in ends.tolist())
        ),
        "one padded step of each",
    ),
    (
        "padded_loss",
        lambda o, y, ends: mean(real(o, y, ends, of=lambda steps: steps[-1])),
        "only the last real step",
    ),
    (
        "padded_loss",
        lambda o, y, ends: (
            sum(real(o, y, ends, of=sum)) / ends.sum().item() * len(o[0, 0])
        ),
        "the outputs of a step are added up",
    ),
    (
        "padded_loss",
        lambda o, y, ends: nn.functional.l1_loss(*real_steps(o, y, ends)),
        "the absolute errors are averaged",
    ),
    ("aligned_windows", lambda p, T: windows(p, T, 0), "the targets are the inputs"),
    (
        "aligned_windows",
        lambda p, T: windows(p, T, 2),
        "the targets are two days ahead",
    ),
    ("aligned_windows", lambda p, T: reversed_pair(*windows(p, T)), "a day before"),
    (
        "aligned_windows",
        lambda p, T: [w.t() for w in windows(p, T)],
        "the windows come first",
    ),
    (
        "aligned_windows",
        lambda p, T: [torch.stack(list(w.unbind(1))[:-1], 1) for w in windows(p, T)],
        "the last window is missing",
    ),
    ("error_by_position", lambda o, y: nn.functional.mse_loss(o, y), "one mean over"),
    (
        "error_by_position",
        lambda o, y: torch.tensor([mean(row) for row in squares(*swapped(o, y))]),
        "it runs over the samples",
    ),
    (
        "error_by_position",
        lambda o, y: torch.tensor([math.fsum(row) for row in squares(o, y)]),
        "the errors are added up",
    ),
    (
        "error_by_position",
        lambda o, y: torch.tensor([mean(row) ** 0.5 for row in squares(o, y)]),
        "these are roots of the means",
    ),
    (
        "best_constant",
        lambda t, v: (np.mean(v.numpy()), np.var(v.numpy())),
        "it is their own mean",
    ),
    (
        "best_constant",
        lambda t, v: (np.mean(t.numpy()), np.var(t.numpy())),
        "the error is that of training",
    ),
    (
        "best_constant",
        lambda t, v: (
            mean(t.tolist()),
            sum((x - mean(t.tolist())) ** 2 for x in v.tolist()),
        ),
        "the squared errors are added up",
    ),
    ("standardize", lambda p, n: scaled(p, p), "has seen the validation days"),
    ("standardize", lambda p, n: scaled(p, p[n:]), "is that of the validation days"),
    ("standardize", lambda p, n: scaled(p, p[:n], 1), "divides by n - 1"),
    (
        "standardize",
        lambda p, n: scaled(p[:n], p[:n]),
        "only the training days come back",
    ),
    (
        "hit_rate",
        lambda f, p: mean([float(both <= 0) for both in hits(f, p)]),
        "the share of wrong directions",
    ),
    (
        "hit_rate",
        lambda f, p: mean([float(both >= 0) for both in hits(f, p)]),
        "a day that does not move counts as right",
    ),
    ("hit_rate", lambda f, p: sum(both > 0 for both in hits(f, p)), "number of days"),
    (
        "palindrome_task",
        lambda half: read(digits(half, second=lambda row: row)),
        "the second half must run backwards",
    ),
    (
        "palindrome_task",
        lambda half: (torch.tensor(digits(half)).t(), half[:, 0]),
        "the last digit is read as well",
    ),
    (
        "palindrome_task",
        lambda half: (read(digits(half))[0], half[:, -1]),
        "the target is the last digit of the first half",
    ),
    (
        "palindrome_task",
        lambda half: (read(digits(half))[0].t(), half[:, 0]),
        "the batch comes first",
    ),
    ("forget_bias", both_biases, "both biases are set"),
    ("forget_bias", one_bias, "the random start of bias_hh is still added"),
    ("forget_bias", lambda i, h, v: one_bias(h, i, v), "of bias_ih is still added"),
    ("forget_bias", lambda *a: cleared(*a, gate=0), "this is the input gate"),
    ("forget_bias", lambda *a: cleared(*a, gate=2), "this is the candidate"),
    ("forget_bias", lambda *a: cleared(*a, gate=3), "this is the output gate"),
    ("half_life", lambda f: -1 / np.log(f), "this is the time until 1/e is left"),
    ("half_life", lambda f: 1 / np.log2(f), "the sign is turned round"),
    ("half_life", lambda f: -np.log2(f), "the fraction is upside down"),
    ("half_life", lambda f: sum(f**k for k in range(10**4)), "this is the mean life"),
    (
        "time_gate",
        lambda t, tau, s, r: roof((t - s) / tau, r),
        "never comes round again",
    ),
    ("time_gate", lambda t, tau, s, r: roof(phi(t, tau, -s), r), "the shift is added"),
    ("time_gate", lambda t, tau, s, r: roof(phi(t, tau, 0 * s), r), "is not used"),
    ("time_gate", lambda t, tau, s, r: roof(phi(t, tau, s) * tau, r), "by the period"),
    ("time_gate", lambda t, tau, s, r: roof(phi(t, tau, s), 2 * r), "twice as long"),
    (
        "time_gate",
        lambda t, tau, s, r: torch.where(roof(phi(t, tau, s), r) > 0, 1.0, 0.0),
        "the open gate is square",
    ),
    ("phase", lambda t, tau, s: phi(t, tau, s) * tau, "not divided by the period"),
    ("phase", lambda t, tau, s: (t - s) / tau, "never comes round again"),
    ("phase", lambda t, tau, s: phi(t, tau, -s), "the shift is added"),
    (
        "phase",
        lambda t, tau, s: ((t - s) / tau).frac(),
        "fmod keeps the sign",
    ),
    (
        "phase",
        lambda t, tau, s: torch.where(t > s, phi(t, tau, s), 0.0),
        "the clock stands still before the shift",
    ),
    ("share_open", lambda n, *a: sum(days_open(1, n, *a)), "a number of days"),
    ("share_open", lambda n, *a: sum(days_open(0, n, *a)) / n, "the days run from 0"),
    ("share_open", lambda n, *a: 1 - sum(days_open(1, n, *a)) / n, "it is closed"),
    ("share_open", lambda n, tau, s, r: float(r), "r_on is the share of all times"),
    ("top_k", lambda o, k: best(o, k, largest=False), "the least likely are kept"),
    ("top_k", lambda o, k: best(o, k + 1), "one too many is kept"),
    ("top_k", lambda o, k: best(o, len(o)), "nothing is left out"),
    ("top_k", lambda o, k: (best(o, k) > 0) / k, "all of the k are equally likely"),
    (
        "top_k",
        lambda o, k: torch.where(best(o, k) > 0, best(o, len(o)), 0.0),
        "the probabilities do not add up to 1",
    ),
    (
        "with_temperature",
        lambda o, T: torch.exp(o * T) / torch.exp(o * T).sum(),
        "the knob is turned the wrong way",
    ),
    (
        "with_temperature",
        lambda o, T: torch.exp(o) / T / (torch.exp(o) / T).sum(),
        "the knob does nothing",
    ),
    ("with_temperature", lambda o, T: o * (1 / T), "these are the scores"),
    (
        "with_temperature",
        lambda o, T: o / T - torch.logsumexp(o / T, 0),
        "these are logarithms",
    ),
    ("letters", lambda r, n: classes(r, r), "the bounds know the days to come"),
    ("letters", lambda r, n: classes(r, r[n:]), "those of the validation days"),
    ("letters", lambda r, n: classes(r, r[:n]) + 1, "the classes run from 1 to 5"),
    ("letters", lambda r, n: 4 - classes(r, r[:n]), "the classes run downwards"),
    ("letters", lambda r, n: classes(r[:n], r[:n]), "only the training days come back"),
    (
        "letters",
        lambda r, n: classes(r, r[:n], (0.25, 0.5, 0.75)),
        "there are quarters",
    ),
    (
        "rnn_step",
        lambda X, H, W, U, b: step()(X, 0 * H, W, U, 0 * b) + H @ U.t() + b,
        "tanh must take the whole sum",
    ),
    (
        "rnn_step",
        lambda X, H, W, U, b: step()(X, 0 * H, W, U, b) + H @ U.t(),
        "stays outside it",
    ),
    (
        "skill",
        lambda f, p: (
            1
            - (1 - skill(f, p))
            * mean(
                [
                    (a - b) ** 2
                    for a, b in zip(p.tolist()[:-1], p.tolist()[1:], strict=True)
                ]
            )
            / np.var(p.numpy()[1:])
        ),
        "compared with the mean of the closes",
    ),
    ("deltas", outside, "must take the whole sum"),
    ("gradient_by_lag", lambda *a: lags(*a, late=1), "the states are one step late"),
    (
        "head_gradients",
        lambda O, Y, H, W: from_scores((O - Y) / O[..., 0].numel(), H, W),
        "softmax is missing",
    ),
    (
        "head_gradients",
        lambda O, Y, H, W: from_scores(
            (O.exp() / O.exp().sum(1, True) - Y) / O[..., 0].numel(), H, W
        ),
        "softmax runs over the samples",
    ),
    (
        "head_gradients",
        lambda O, Y, H, W: from_scores(
            (O.exp() / O.exp().sum(0, True) - Y) / O[..., 0].numel(), H, W
        ),
        "softmax runs over the steps",
    ),
    (
        "days_back",
        lambda n, share: days(n.tolist()[::-1], share),
        "counted from the far end",
    ),
    (
        "days_back",
        lambda n, share: days(sorted(n.tolist())[::-1], share),
        "the norms are sorted",
    ),
    (
        "days_back",
        lambda n, share: days([v * v for v in n.tolist()], share),
        "the norms are squared",
    ),
    (
        "days_back",
        lambda n, share: sum(v >= (1 - share) * max(n.tolist()) for v in n.tolist()),
        "whose own norm is large",
    ),
    (
        "reach",
        lambda W, H: torch.linalg.svdvals(W @ product(W, H) @ torch.linalg.inv(W))[0],
        "the slope scales the rows of W_hh",
    ),
    (
        "soft_constraint",
        lambda g, H, W: sum((r - 1) ** 2 for r in ratios(g, H, W.t())),
        "W_hh is transposed",
    ),
    (
        "lstm_step",
        written(lambda i, f, g: (f, i, 1 / (1 + np.exp(-g)))),
        "takes tanh, not the sigmoid",
    ),
    ("lstm_step", written(lambda i, f, g: (f, i, g)), "the candidate lacks its tanh"),
    (
        "lstm_step",
        written(lambda i, f, g: (f, 1.0, np.tanh(g))),
        "the input gate is missing",
    ),
    (
        "lstm_step",
        written(lambda i, f, g: (1.0, i, np.tanh(g))),
        "the forget gate is missing",
    ),
    (
        "lstm_step",
        written(lambda i, f, g: (1 - f, i, np.tanh(g))),
        "keeps what it should forget",
    ),
    (
        "aligned_windows",
        lambda p, T: (windows(p, T)[0], p.flip(0)[: len(p) - T].flip(0)),
        "only the close after the window",
    ),
    (
        "aligned_windows",
        lambda p, T: tuple(
            torch.stack([w[:, k] for k in range(0, w.shape[1], T)], 1)
            for w in windows(p, T)
        ),
        "the windows do not overlap",
    ),
    (
        "error_by_position",
        lambda o, y: torch.tensor(
            [mean([e**0.5 for e in row]) for row in squares(o, y)]
        ),
        "the errors are absolute",
    ),
    (
        "error_by_position",
        lambda o, y: torch.tensor(
            [mean(row) ** 2 for row in (o - y).flatten(1).tolist()]
        ),
        "errors of both signs cancel",
    ),
    (
        "error_by_position",
        lambda o, y: torch.tensor(
            [
                mean([mean(row) for row in squares(o[:t], y[:t])])
                for t in range(1, len(o) + 1)
            ]
        ),
        "the mean up to each step",
    ),
    (
        "masked_loss",
        lambda o, y, m: masked(o, y, m) * np.count_nonzero(m.numpy()),
        "the division by the number of steps",
    ),
    (
        "masked_loss",
        lambda o, y, m: masked(o, y, m) * len(o[0]),
        "the samples are added up; average",
    ),
    (
        "masked_loss",
        lambda o, y, m: masked(o, y, m) * len(o[0, 0]),
        "average over all q of them",
    ),
    (
        "best_constant",
        lambda t, v: guess(v, mean(t.tolist() + v.tolist())),
        "the mean of all",
    ),
    (
        "best_constant",
        lambda t, v: guess(v, sorted(t.tolist())[(len(t) - 1) // 2]),
        "the median makes",
    ),
    (
        "best_constant",
        lambda t, v: guess(v, t.tolist().pop()),
        "the last training target",
    ),
    (
        "best_constant",
        lambda t, v: (t.mean(), guess(v, mean(t.tolist()))[1] ** 0.5),
        "this is the root of the mean",
    ),
    (
        "hit_rate",
        lambda f, p: mean(
            [
                float(m > 0)
                for m, a, b in zip(
                    hits(f, p), p.tolist()[:-1], p.tolist()[1:], strict=True
                )
                if a != b
            ]
        ),
        "days that do not move are left out",
    ),
    (
        "hit_rate",
        lambda f, p: mean(
            [
                float(a * b > 0)
                for a, b in zip(np.diff(f.numpy()), np.diff(p.numpy())[1:], strict=True)
            ]
        ),
        "from one forecast to the next",
    ),
    (
        "hit_rate",
        lambda f, p: mean(
            [
                float((a > 0) == (b > 0))
                for a, b in zip(f.tolist(), p.tolist()[1:], strict=True)
            ]
        ),
        "whether they are above zero",
    ),
    (
        "standardize",
        lambda p, n: scaled(p, p[:n]) / np.std(p[:n].numpy()),
        "it is divided by the variance",
    ),
    (
        "standardize",
        lambda p, n: scaled(p, p[:n]) + p[:n].mean() / np.std(p[:n].numpy()),
        "the mean is not taken away",
    ),
    (
        "standardize",
        lambda p, n: torch.cat(
            [scaled(part, part) for part in p.split([n, len(p) - n])]
        ),
        "are scaled apart",
    ),
    (
        "standardize",
        lambda p, n: (
            scaled(p, p[:n]) + (p[:n].mean() - p.mean()) / np.std(p[:n].numpy())
        ),
        "the mean is that of all days",
    ),
    (
        "standardize",
        lambda p, n: scaled(p, p[:n]) * np.std(p[:n].numpy()) / np.std(p.numpy()),
        "the standard deviation is that of all days",
    ),
    (
        "forget_bias",
        lambda i, h, v: forget(i, h, lambda old: old + v),
        "the value is added to what was there",
    ),
    ("forget_bias", lambda i, h, v: (0 * i, 0 * h + v), "all gates are set"),
    ("half_life", lambda f: 1 / (2 - 2 * f), "it does not take the same amount away"),
    (
        "half_life",
        lambda f: math.ceil(-1 / math.log2(f) - 1e-9),
        "it is not to be rounded",
    ),
    (
        "palindrome_task",
        lambda half: (
            torch.tensor(digits(half, lambda row: row[-2:0:-1])).t(),
            half[:, 0],
        ),
        "the middle digit is doubled",
    ),
    (
        "palindrome_task",
        lambda half: read(
            [a + b for a, b in zip(half.tolist(), half.tolist()[::-1], strict=True)]
        ),
        "flip the digits, not the batch",
    ),
    (
        "phase",
        lambda t, tau, s: torch.from_numpy(
            np.abs((t - s).numpy()) % tau.numpy() / tau.numpy()
        ),
        "the phase runs backwards",
    ),
    (
        "phase",
        lambda t, tau, s: torch.from_numpy(
            np.mod(t.numpy() / tau.numpy() - s.numpy(), 1)
        ),
        "after the division",
    ),
    (
        "share_open",
        lambda n, *a: mean(heights(n, *a)),
        "how far the gate is open in the mean",
    ),
    (
        "share_open",
        lambda n, *a: mean([float(k > 0.5) for k in heights(n, *a)]),
        "from one half on",
    ),
    (
        "time_gate",
        lambda t, tau, s, r: roof(((t - s) / tau).frac(), r),
        "fmod keeps the sign",
    ),
    (
        "time_gate",
        lambda t, tau, s, r: (phi(t, tau, s) <= r / 2) * phi(t, tau, s) * 2 / r,
        "the gate only rises",
    ),
    (
        "time_gate",
        lambda t, tau, s, r: torch.minimum(
            2 * phi(t, tau, s) / r, 2 - 2 * phi(t, tau, s) / r
        ),
        "below zero: clamp it",
    ),
    (
        "letters",
        lambda r, n: torch.from_numpy(
            np.digitize(
                r.numpy(),
                np.linspace(min(r[:n].tolist()), max(r[:n].tolist()), 6)[1:5],
                right=True,
            )
        ),
        "the classes are equally wide",
    ),
    (
        "top_k",
        lambda o, k: (
            torch.where(best(o, k) > 0, o, 0.0).exp()
            / torch.where(best(o, k) > 0, o, 0.0).exp().sum()
        ),
        "a score of zero is not",
    ),
    (
        "top_k",
        lambda o, k: torch.tensor(sorted(best(o, k).tolist())[::-1][:k]),
        "only k numbers come back",
    ),
    (
        "with_temperature",
        lambda o, T: best(o, len(o)) / T,
        "the probabilities do not add up to 1",
    ),
    (
        "with_temperature",
        lambda o, T: best(best(o, len(o)) / T, len(o)),
        "belongs into the exponent",
    ),
    (
        "with_temperature",
        lambda o, T: best(best(o / T, len(o)), len(o)),
        "softmax comes twice",
    ),
    ("smooth", lambda y, a: smoothed(y, 1 - a), "alpha and 1 - alpha are exchanged"),
    ("smooth", lambda y, a: smoothed(y, a, start=a * float(y[0])), "at zero"),
    ("smooth", lambda y, a: smoothed(y, a, start=mean(y.tolist())), "looks ahead"),
    ("smooth", lambda y, a: smoothed(y, a, keep=1.0), "the old value is added whole"),
    (
        "smooth",
        lambda y, a: torch.stack([y[0], *smoothed(y, a)[:-1]]),
        "lacks its own day's value",
    ),
    (
        "smooth",
        lambda y, a: as_like(y, [a * y[n] + (1 - a) * y[max(n - 1, 0)] for n in at(y)]),
        "mixes two days only",
    ),
    (
        "trailing_mean",
        lambda y, d: nn.functional.avg_pool1d(y[None], d, 1, d // 2)[0],
        "around each day",
    ),
    ("trailing_mean", lambda y, d: rolled(y.flip(0), d).flip(0), "the days to come"),
    ("trailing_mean", lambda y, d: rolled(y, d - 1), "one day short"),
    ("trailing_mean", lambda y, d: rolled(y, d + 1), "one day too many"),
    (
        "trailing_mean",
        lambda y, d: as_like(y, [sums(y, n, d) / d for n in at(y)]),
        "divided by more days than there are",
    ),
    (
        "trailing_mean",
        lambda y, d: as_like(y, [sums(y, n, d) for n in at(y)]),
        "a sum, not a mean",
    ),
    ("trailing_mean", lambda y, d: rolled(y, d)[d - 1 :], "are left out"),
    ("parkinson", lambda h, l: width(h, l) ** 2 / np.log(16), "this is the variance"),
    ("parkinson", lambda h, l: width(h, l), "this is the range itself"),
    ("parkinson", lambda h, l: width(h, l) / np.log(16), "take the root of it"),
    ("parkinson", lambda h, l: (h - l) / np.log(16) ** 0.5, "takes prices"),
    ("parkinson", lambda h, l: (h - l) / l / np.log(16) ** 0.5, "share of the low"),
    ("parkinson", lambda h, l: width(l, h) / np.log(16) ** 0.5, "are exchanged"),
    (
        "parkinson",
        lambda h, l: width(h, l) / np.log(10) / np.log(16) ** 0.5,
        "to base 2 or 10",
    ),
    (
        "parkinson",
        lambda h, l: (width(h, l) ** 2 / np.log(16)).mean() ** 0.5,
        "one number for all days",
    ),
    ("adam_step", adam(k_1=0, k_2=0), "neither mean is corrected"),
    ("adam_step", adam(k_1=0), "the mean of the gradients is not corrected"),
    ("adam_step", adam(k_2=0), "the mean of the squares is not corrected"),
    ("adam_step", adam(below=lambda v: v + 1e-8), "the root is missing"),
    ("adam_step", adam(square=abs), "is not squared in v"),
    ("adam_step", adam(betas=(0.999, 0.9)), "the betas are exchanged"),
    ("adam_step", adam(below=lambda v: math.sqrt(v + 1e-8)), "inside the root"),
    ("adam_step", adam(up=True), "it goes up the gradient"),
    ("adam_step", adam(corrected=True), "the next step needs the plain ones"),
    ("with_momentum", walked(keep=lambda mu: 0.0), "plain gradient descent"),
    ("with_momentum", walked(keep=lambda mu: 1.0), "it never slows down"),
    ("with_momentum", walked(share=lambda mu: 1 - mu), "counts 1 - mu here"),
    ("with_momentum", walked(late=True), "the velocity of the step before"),
    ("with_momentum", walked(ahead=True), "Nesterov's rule"),
    ("longest_step", lambda X: len(X) / 2 / curvatures(X)[-1], "twice as long"),
    ("longest_step", lambda X: 2 * len(X) / curvatures(X)[-1], "the 2 of the square"),
    ("longest_step", lambda X: 1 / curvatures(X)[-1], "the loss is a mean"),
    ("longest_step", lambda X: len(X) / curvatures(X)[0], "the flattest direction"),
    ("longest_step", lambda X: len(X) / curvatures(X)[-1] ** 0.5, "singular values"),
    ("longest_step", lambda X: len(X) / curvatures(X).sum(), "the trace is the sum"),
    ("forward", lambda *a: (net(*a)[0][1:], net(*a)[1]), "H lacks H_0"),
    (
        "forward",
        lambda X, *p: (
            net(X, *p)[0],
            einsum("tbh,qh->tbq", net(X, *p)[0][:-1], p[3]) + p[4],
        ),
        "O_t is read from H_{t-1}",
    ),
    (
        "forward",
        lambda X, *p: (
            net(X, *p)[0],
            einsum("tbh,qh->tbq", net(X, *p)[0], p[3]) + p[4],
        ),
        "there is an output for H_0 too",
    ),
    (
        "forward",
        lambda X, *p: net(X, *p[:4], torch.zeros_like(p[4])),
        "the bias of the head",
    ),
    ("forward", lambda X, *p: (net(X, *p)[0], net(X, *p)[1].tanh()), "go through tanh"),
    (
        "forward",
        lambda X, *p: (net(X, *p)[0], net(X, *p)[0][1:] @ p[3] + p[4]),
        "W_hq is transposed",
    ),
    (
        "forward",
        lambda X, *p: net(X, p[0], torch.zeros_like(p[1]), *p[2:]),
        "the states are not carried on",
    ),
    ("squared_loss", lambda O, Y: mean_square(O, Y, G=0.5), "lacks the factor 2"),
    (
        "squared_loss",
        lambda O, Y: mean_square(O, Y, G=O.numel()),
        "dO is not averaged",
    ),
    (
        "squared_loss",
        lambda O, Y: mean_square(O, Y, G=math.prod(O.shape[1:])),
        "divided by T alone",
    ),
    (
        "squared_loss",
        lambda O, Y: mean_square(O, Y, G=O.shape[-1]),
        "divided by T and B",
    ),
    ("squared_loss", lambda O, Y: mean_square(O, Y, G=-1), "the sign of dO"),
    ("squared_loss", lambda O, Y: mean_square(O, Y, L=0.5, G=0.5), "half of what"),
    (
        "squared_loss",
        lambda O, Y: mean_square(O, Y, L=O.numel(), G=O.numel()),
        "both are sums",
    ),
    (
        "squared_loss",
        lambda O, Y: (
            nn.functional.l1_loss(O, Y),
            torch.where(O > Y, 1.0, -1.0).double() / math.prod(O.shape),
        ),
        "the absolute error",
    ),
    ("backward", lambda *a: back(*a, slope=lambda t: 1.0), "1 - h_t^2, is missing"),
    (
        "backward",
        lambda *a: back(*a, slope=lambda t: 1 - a[1][t - 1] ** 2),
        "this takes t - 1",
    ),
    ("backward", partial(back, k=1), "nothing comes back from the later steps"),
    ("backward", lambda *a: back(*a, carry="bi,ji->bj"), "W_hh is transposed"),
    ("backward", lambda *a: back(*a, head_back=a[4].t()), "W_hq is transposed"),
    (
        "backward",
        lambda *a: back(*a, losses=[len(a[0])]),
        "the loss of the last step alone",
    ),
    ("backward", of_first_step, "each step overwrites"),
    (
        "backward",
        lambda *a: (back(*a)[0], back(*a, late=1)[1], *back(*a)[2:]),
        "made with h_t; W_hh multiplies",
    ),
    ("backward", lambda *a: back(*a, early=1), "made with h_{t-1}; the head"),
    (
        "backward",
        lambda *a: tuple(g.t() for g in back(*a)),
        "the gradients of the matrices are transposed",
    ),
    (
        "backward",
        lambda *a: tuple(back(*a)[n] for n in (3, 4, 0, 1, 2)),
        "in another order",
    ),
    (
        "numerical",
        lambda f, W, e: moved(f, W, e, lambda up, mid, down, e: (up - mid) / e),
        "this is one-sided",
    ),
    (
        "numerical",
        lambda f, W, e: moved(f, W, e, lambda up, mid, down, e: (up - down) / e),
        "it is divided by eps",
    ),
    (
        "numerical",
        lambda f, W, e: moved(f, W, e, lambda up, mid, down, e: up - down),
        "not divided by 2 eps",
    ),
    (
        "numerical",
        lambda f, W, e: moved(f, W, e, lambda up, mid, down, e: (down - up) / (e + e)),
        "the sign is turned round",
    ),
    (
        "numerical",
        lambda f, W, e: torch.full_like(W, float(f(W + e) - f(W - e)) / (e + e)),
        "all entries are moved at once",
    ),
    ("numerical", left_there, "is not put back"),
    ("truncated", lambda *a: back(*a[:5], block=a[5]), "between blocks of k steps"),
    (
        "truncated",
        lambda X, H, dO, W, V, k: back(X, H, dO, W, V, k + 1),
        "one step too far",
    ),
    (
        "truncated",
        lambda X, H, dO, W, V, k: back(X, H, dO, W, V, k - 1),
        "one step short",
    ),
    ("truncated", lambda *a: back(*a[:5]), "nothing is cut"),
    (
        "truncated",
        lambda X, H, dO, W, V, k: back(
            X[len(X) - k :], H[len(X) - k :], dO[len(X) - k :], W, V
        ),
        "the losses of the last k steps alone",
    ),
    (
        "truncated",
        lambda *a: back(*a, head=[float(t >= len(a[0]) - a[5]) for t in at(a[0])]),
        "the head's gradients are cut",
    ),
    (
        "train",
        lambda X, Y, rate, *a: descent(X, Y, -rate, *a),
        "it goes uphill",
    ),
    ("train", lambda X, Y, rate, *a: descent(X, Y, 1.0, *a), "rate is missing"),
    ("train", lambda *a: descent(*a, learn="00011"), "only the head learns"),
    ("train", lambda *a: descent(*a, learn="11100"), "the head does not learn"),
    ("train", lambda *a: descent(*a, learn="11010"), "the biases do not learn"),
    ("train", lambda *a: descent(*a, once=True), "those of the start at each step"),
    ("train", lambda *a: descent(*a, after=True), "each loss is that after its step"),
    ("share_windows", lambda *a: cut_up(*a, seen=slice(None)), "the scaler has seen"),
    ("share_windows", lambda *a: cut_up(*a, bare=True), "nothing is scaled"),
    (
        "share_windows",
        lambda p, n, T: cut_up(p, n, T, stop=n + 1),
        "the last training target",
    ),
    (
        "share_windows",
        lambda p, n, T: cut_up(p, n, T, start=n),
        "the first validation target is",
    ),
    (
        "share_windows",
        lambda p, n, T: cut_up(p, n, T, start=n - T - 1),
        "a training day is among",
    ),
    ("share_windows", lambda *a: cut_up(*a, late=0), "the targets are the inputs"),
    ("share_windows", lambda *a: cut_up(*a, by=a[2]), "lie side by side"),
    ("share_windows", lambda *a: cut_up(*a, batch=0), "the batch comes first"),
    ("three_parts", lambda s: fifths(s, 4, 5, 3, 4, 0, 3), "the newest days come"),
    ("three_parts", lambda s: fifths(s, 0, 3, 4, 5, 3, 4), "validation and test are"),
    (
        "three_parts",
        lambda s: (
            *fifths(s, 0, 4),
            s[len(s) * 4 // 5 :][: round(len(s) * 0.9) - len(s) * 4 // 5],
            s[round(len(s) * 0.9) :],
        ),
        "80, 10 and 10",
    ),
    ("three_parts", lambda s: fifths(s, 0, 3, 3, 5, 4, 5), "holds the third as well"),
    (
        "three_parts",
        lambda s: (
            torch.stack([x for n, x in enumerate(s) if n % 5 in (0, 1, 2)]),
            torch.stack([x for n, x in enumerate(s) if n % 5 == 3]),
            torch.stack([x for n, x in enumerate(s) if n % 5 == 4]),
        ),
        "dealt out in turn",
    ),
    (
        "fit_ar",
        lambda s, p: regression(s, p)[[0, *range(p, 0, -1)]],
        "the oldest day first",
    ),
    (
        "fit_ar",
        lambda s, p: regression(s, p)[[*range(1, p + 1), 0]],
        "the constant comes last",
    ),
    (
        "fit_ar",
        lambda s, p: regression(s, p, ones=False),
        "missing from what is fitted",
    ),
    ("fit_ar", lambda s, p: regression(s, p)[1:], "missing from what is returned"),
    ("fit_ar", lambda s, p: regression(s, p, nearest=0), "the day itself is among"),
    ("ar_forecasts", lambda *a: foretold(*a, nearest=0), "a day is forecast by itself"),
    (
        "ar_forecasts",
        lambda s, c: foretold(s, c[[0, *range(len(c) - 1, 0, -1)]]),
        "meets the oldest day",
    ),
    ("ar_forecasts", lambda *a: foretold(*a, const=False), "the constant is missing"),
    ("ar_forecasts", lambda *a: foretold(*a, own=True), "are made from forecasts"),
    (
        "ar_forecasts",
        lambda s, c: foretold(torch.cat([s, torch.zeros(1).to(s)]), c),
        "the day after the last",
    ),
    (
        "choose_order",
        lambda *a: (lambda e: e[min(e)])(chosen(*a, on="a")),
        "on the days of the fit",
    ),
    ("choose_order", lambda *a: (lambda e: e[max(e)])(chosen(*a)), "the worst order"),
    (
        "choose_order",
        lambda *a: (lambda e: e[min(e)])(chosen(*a, fit="ab")),
        "are among those of the fit",
    ),
    (
        "choose_order",
        lambda *a: (lambda e: e[min(e)])(chosen(*a, fit="b")),
        "fitted to the validation days",
    ),
    (
        "choose_order",
        lambda *a: int(np.argmin(list(chosen(*a)))),
        "a place in the list",
    ),
    ("choose_order", lambda *a: min(chosen(*a)), "the least error, not the order"),
    ("final_forecasts", lambda s, p: third(s, p, fit=(0, 5)), "are among those of"),
    ("final_forecasts", lambda s, p: third(s, p, fit=(4, 5)), "the third part itself"),
    ("final_forecasts", lambda s, p: third(s, p, fit=(0, 3)), "the first part alone"),
    ("final_forecasts", lambda s, p: third(s, p)[p:], "have no forecast"),
    ("final_forecasts", lambda s, p: third(s, p, at=3), "of the second part"),
    ("final_forecasts", lambda s, p: third(s, p, nearest=0), "forecast by itself"),
    (
        "own_verdict",
        claimed(skill=0.04, low=-0.0, high=0.07, p=0.09),
        "by which the order was chosen",
    ),
    (
        "own_verdict",
        claimed(skill=0.02, low=0.01, high=0.03, p=0.0),
        "of all days together",
    ),
    (
        "own_verdict",
        claimed(skill=-0.0, low=-0.04, p=0.97),
        "the fit has seen the third part",
    ),
    (
        "own_verdict",
        claimed(skill=0.96, low=0.93, high=0.98, p=0.0),
        "each day was forecast by itself",
    ),
]
