"""Claims of chapter 2: derivatives, the sum over the paths, and what it costs."""

from functools import cache

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from rnn_companion.claims import (
    Finding,
    above,
    below,
    claim,
    equal,
    every,
    swapped,
)
from rnn_companion.gradients import bptt
from rnn_companion.networks import rnn

from ._bptt import D, H, Pair, Q, T, derivatives, loss, missed, network, states

# Two kinds of derivative


def two_orders() -> tuple[np.ndarray, np.ndarray]:
    """Take both derivatives of h_4 of one unit in two orders, and by differences."""
    w, *xs = sp.symbols("w x_1:5")
    at = dict(zip([w, *xs], [0.8, 0.3, -0.5, 0.9, 0.4], strict=True))
    h: list[sp.Expr] = [sp.Float(0.6)]
    before = sp.Symbol("h")
    for x in xs:
        h.append(sp.tanh(w * h[-1] + x))
    then_fill = sp.tanh(w * before + xs[3]).diff(w).subs(before, h[3])
    symbolic = [float(e.subs(at)) for e in (then_fill, h[4].diff(w))]

    def run(weight: float, held: float | None = None) -> float:
        state = 0.6
        for n, x in enumerate(xs):
            state = held if n == 3 and held is not None else state
            state = float(np.tanh(weight * state + at[x]))
        return state

    third, e = float(h[3].subs(at)), 1e-6
    measured = [
        (run(0.8 + e, held) - run(0.8 - e, held)) / (2 * e) for held in (third, None)
    ]
    return np.array(symbolic), np.array(measured)


@claim(on=two_orders, planted=[lambda pair: (pair[0][::-1], pair[1])])
def bptt_two_orders_of_work(pair: tuple[np.ndarray, np.ndarray]) -> Finding:
    """The two derivatives are two orders of work: *differentiate, then fill in the
    earlier states* is direct; *fill in, then differentiate* is total.
    """
    ran = "one unit, the fourth state: SymPy, against differences with and without h_3 held"
    return equal(*pair, ran, rtol=1e-6)


# The sum over the paths


def products_in_both_orders() -> tuple[Tensor, Tensor, Tensor]:
    """Take dh_T/dh_0 by autograd, and the product from high to low and low to high."""
    net, (_, _, J) = network(), derivatives()
    right = jacobian(lambda h: states(net._replace(start=h))[T], net.start)
    falling, rising = (torch.linalg.multi_dot(order) for order in (J[::-1], J))
    return right, falling, rising


@claim(on=products_in_both_orders, planted=[lambda p: (p[0], p[2], p[1])])
def bptt_order_of_product(p: tuple[Tensor, Tensor, Tensor]) -> Finding:
    r"""Matrices do not commute, so the order of a product has to be said: in this book
    the **highest index stands leftmost**, $J_t J_{t-1} \cdots J_{i+1}$.
    """
    right, falling, rising = p
    ran = f"dh_T/dh_0 of {H} units over {T} steps, by autograd"
    return every(
        equal(falling, right, ran),
        above(missed(rising, right), 0.1, f"{ran}: the miss of the other order"),
    )


def uses_by_loss() -> np.ndarray:
    """Ask of which uses of U each loss feels a change, (T, T)."""
    net = network()
    own = net.U.expand(T, H, H).clone().requires_grad_()
    h, rows = net.start, []
    for x, y, U in zip(net.X, net.Y, own, strict=True):
        h = torch.tanh(net.W @ x + U @ h + net.b)
        term = (net.V @ h - y).square().mean()
        (by_use,) = torch.autograd.grad(term, own, retain_graph=True)
        rows.append(by_use.norm(dim=(1, 2)).numpy())
    return np.array(rows)


@claim(on=uses_by_loss, planted=[lambda felt: felt + felt.T, np.diag])
def bptt_paths_counted(felt: np.ndarray) -> Finding:
    """There are $T(T+1)/2$ paths."""
    ran = (
        f"uses of W_hh that change a loss, {T} steps, a matrix of its own for each use"
    )
    return equal(np.count_nonzero(felt), T * (T + 1) / 2, ran)


def later_losses() -> tuple[float, float]:
    """Differentiate the losses after step 2 by h_2, with h_3 held and without."""
    net, found = network(), []
    for held in (True, False):
        second = states(net)[2].requires_grad_()
        h = torch.tanh(net.W @ net.X[2] + net.U @ second + net.b)
        h = h.detach() if held else h
        after = net._replace(X=net.X[3:], Y=net.Y[3:], start=h)
        L = loss(after) + (net.V @ h - net.Y[2]).square().mean() + 0 * second.sum()
        found.append(float(torch.autograd.grad(L, second)[0].norm()))
    return found[0], found[1]


@claim(on=later_losses, planted=[swapped])
def bptt_through_next_state(sizes: tuple[float, float]) -> Finding:
    """They need not be computed one by one, for all paths from later losses reach step
    $t$ through $h_{t+1}$.
    """
    ran = "the gradient of later losses by h_2"
    return every(
        equal(sizes[0], 0, f"{ran}, with h_3 held"),
        above(sizes[1], 1e-3, f"{ran}, without"),
    )


# The gradients


def two_layers() -> Pair:
    """Send a gradient through two layers by hand, and let autograd do it."""
    g = torch.Generator().manual_seed(1)
    module = nn.RNN(D, H, num_layers=2, dtype=torch.float64)
    for p in module.parameters():
        nn.init.uniform_(p, -0.7, 0.7, generator=g)
    X = torch.randn(T, 2, D, generator=g, dtype=torch.float64)
    G = torch.randn(T, 2, H, generator=g, dtype=torch.float64)
    W, U, b, c, W2, U2, b2, c2 = module.parameters()
    out = module(X)[0]
    by_hand = []
    with torch.no_grad():
        zero = X.new_zeros(2, H)
        low = bptt.rnn_forward(X, zero, W, U, b + c)
        top = bptt.rnn_forward(low[1:], zero, W2, U2, b2 + c2)
        upper = bptt.rnn_backward(G, low[1:], top, W2, U2)
        lower = bptt.rnn_backward(upper.X, X, low, W, U)
    for found in (lower, upper):
        by_hand += [found.W_xh, found.W_hh, found.b_h, found.b_h]
    expected = torch.autograd.grad(out, list(module.parameters()), G)
    return tuple(torch.cat([p.flatten() for p in ps]) for ps in (by_hand, expected))  # type: ignore[return-value]


@claim(on=two_layers, planted=[lambda pair: (pair[0].flip(0), pair[1])])
def bptt_several_layers(pair: Pair) -> Finding:
    """Nothing more is needed to train several layers."""
    ran = "two layers, all gradients of the weights, against autograd's of torch.nn.RNN"
    return equal(*pair, ran)


def softmax_slopes() -> Tensor:
    """Measure by differences what each of five outputs does to each probability."""
    o = torch.randn(5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    nudges = 1e-4 * torch.eye(5, dtype=torch.float64)
    return ((o + nudges).softmax(1) - o.softmax(0)) / 1e-4


@claim(on=softmax_slopes, planted=[lambda J: -J, torch.abs])
def bptt_softmax_raises_its_own(J: Tensor) -> Finding:
    """By the quotient rule an output raises its own probability and lowers all others,
    as they share one denominator:
    """
    ran = "five outputs, each raised in turn"
    others = J[~torch.eye(5, dtype=torch.bool)]
    return every(
        above(float(J.diag().min()), 0, f"{ran}: the least change of its own"),
        below(float(others.max()), 0, f"{ran}: the largest of the others"),
    )


def head_errors(target: Tensor) -> float:
    """Hold y-hat minus y against autograd's gradient of the cross-entropy."""
    o = torch.tensor([0.3, -1.0, 0.8], dtype=torch.float64, requires_grad=True)
    (right,) = torch.autograd.grad(nn.functional.cross_entropy(o, target), o)
    return missed(o.detach().softmax(0) - target, right)


def misses_by_targets() -> tuple[float, float]:
    """Take targets that sum to one, and two labels at once."""
    return tuple(  # type: ignore[return-value]
        head_errors(torch.tensor(y, dtype=torch.float64))
        for y in ([0.2, 0.5, 0.3], [1.0, 0.0, 1.0])
    )


@claim(on=misses_by_targets, planted=[swapped])
def bptt_targets_sum_to_one(misses: tuple[float, float]) -> Finding:
    r"""The usual $\hat{y} - y$ is this, **provided that the targets sum to one**."""
    ran = "torch's cross_entropy of three classes"
    return every(
        below(misses[0], 1e-12, f"{ran}, probabilities as targets: the miss"),
        above(misses[1], 0.1, f"{ran}, two labels at once: the miss"),
    )


# What it costs


def multiplications(length: int, B: int, h: int) -> tuple[float, float]:
    """Count those of torch's operations, forward and backward."""
    shapes = [(length, B, D), (B, h), (h, D), (h, h), (h,), (Q, h)]
    *layer, V = [torch.randn(s, requires_grad=True) for s in shapes]
    with FlopCounterMode(display=False) as counter:
        L = (rnn(*layer) @ V.T).sum()
        forward = counter.get_total_flops()
        L.backward()
    return forward / 2, (counter.get_total_flops() - forward) / 2


@cache
def counts() -> np.ndarray:
    """Count for three lengths and two sizes: T, B h (d+h+q), forward, backward."""
    return np.array(
        [
            (n, B * h * (D + h + Q), *multiplications(n, B, h))
            for B, h in ((2, 4), (3, 7))
            for n in (5, 10, 20)
        ]
    )


def once(rows: np.ndarray) -> np.ndarray:
    """Pass the gradient on, and take none of the weights."""
    return rows * [1, 1, 1, 0.5]


def by_paths(rows: np.ndarray) -> np.ndarray:
    """Go backward path by path."""
    return rows * np.stack([*[np.ones(len(rows))] * 3, (rows[:, 0] + 1) / 2], 1)


@claim(on=counts, planted=[once])
def bptt_met_twice(rows: np.ndarray) -> Finding:
    """Going backward, every matrix is met twice, once to pass the gradient on and once
    for its own gradient.
    """
    ran = "multiplications that torch counts, three lengths, two sizes"
    return every(
        equal(rows[:, 2], rows[:, 0] * rows[:, 1], f"{ran}, forward"),
        equal(rows[:, 3], 2 * rows[:, 2], f"{ran}, backward against twice forward"),
    )


@claim(on=counts, planted=[by_paths])
def bptt_grows_with_length(rows: np.ndarray) -> Finding:
    """Both grow in proportion to $T$, not to the number of paths: that is what the
    backward recursion is for.
    """
    ran = "multiplications that torch counts at 5, 10 and 20 steps"
    a_step = rows[:, 2:] / rows[:, :1]  # (6, 2)
    first = a_step[[0, 0, 0, 3, 3, 3]]
    return equal(a_step, first, f"{ran}, a step")


def kept() -> np.ndarray:
    """Count the numbers kept for the backward pass, in states, at two lengths."""
    rows = []
    for length in (20, 40):
        module, X = nn.RNN(1, 8), torch.randn(length, 4, 1)
        found: dict[int, int] = {}

        def keep(t: Tensor, found: dict[int, int] = found) -> Tensor:
            found[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        own = {p.untyped_storage().data_ptr() for p in [*module.parameters(), X]}
        with saved_tensors_hooks(keep, lambda t: t):
            out = rnn(X, torch.zeros(4, 8), *weights(module))
        assert out.requires_grad
        rows.append([length, sum(n for p, n in found.items() if p not in own) / 128])
    return np.array(rows)


def weights(module: nn.RNN) -> tuple[Tensor, Tensor, Tensor]:
    W, U, b, _ = module.parameters()
    return W, U, b


@claim(on=kept, planted=[lambda rows: rows[:1].repeat(2, 0) * [[1, 1], [2, 1]]])
def bptt_keeps_states(rows: np.ndarray) -> Finding:
    """But both keep the states of all $T$ steps until the backward pass has used them."""
    ran = "what autograd keeps of 20 and of 40 steps, in states"
    return above(float((rows[:, 1] / rows[:, 0]).min()), 0.9, f"{ran}, a step")
