"""The claims of chapter 2."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

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
    sign_test,
    swapped,
)
from rnn_companion.gradients import bptt
from rnn_companion.networks import rnn

T, D, H, Q = 5, 3, 4, 2
Pair = tuple[Tensor, Tensor]


class Network(NamedTuple):
    """A random network, its states and what autograd finds."""

    W: Tensor  # from the input, (h, d)
    U: Tensor  # from the state before, (h, h)
    b: Tensor
    V: Tensor  # to the output, (q, h)
    X: Tensor  # (T, d)
    Y: Tensor  # (T, q)
    start: Tensor


@cache
def network() -> Network:
    g = torch.Generator().manual_seed(4)
    shapes = ((H, D), (H, H), (H,), (Q, H), (T, D), (T, Q), (H,))
    return Network(
        *(torch.randn(s, generator=g, dtype=torch.float64) * 0.7 for s in shapes)
    )


def states(net: Network, act: Callable[[Tensor], Tensor] = torch.tanh) -> list[Tensor]:
    """Run a network step by step, (h,) each, the start first."""
    found = [net.start]
    for x in net.X:
        found.append(act(net.W @ x + net.U @ found[-1] + net.b))
    return found


def loss(net: Network, act: Callable[[Tensor], Tensor] = torch.tanh) -> Tensor:
    """Take the mean squared error over the steps."""
    told = torch.stack(states(net, act)[1:]) @ net.V.T
    return (told - net.Y).square().mean()


def by_autograd(
    name: str, net: Network, act: Callable[[Tensor], Tensor] = torch.tanh
) -> Tensor:
    """Differentiate the loss by one of the network's tensors."""
    leaf = getattr(net, name).clone().requires_grad_()
    found: Tensor
    (found,) = torch.autograd.grad(loss(net._replace(**{name: leaf}), act), leaf)
    return found


class Arriving(NamedTuple):
    """What arrives at the outputs, the states, the pre-activations, (T, ...)."""

    outputs: Tensor
    states: Tensor
    sums: Tensor
    H: Tensor  # the states from h_0 on, (T+1, h)


def arriving(act: Callable[[Tensor], Tensor] = torch.tanh) -> Arriving:
    """Let autograd find the gradients by outputs, states and pre-activations."""
    net, h = network(), network().start
    kept: list[list[Tensor]] = [[], [], []]
    H = [h]
    for x in net.X:
        a = (net.W @ x + net.U @ h + net.b).requires_grad_()
        h = act(a)
        o = net.V @ h
        for row, value in zip(kept, (o, h, a), strict=True):
            row.append(value)
        H.append(h)
    L = (torch.stack(kept[0]) - net.Y).square().mean()
    found = [
        torch.stack(torch.autograd.grad(L, row, retain_graph=True)) for row in kept
    ]
    outputs, hidden, sums = found
    return Arriving(outputs, hidden, sums, torch.stack(H).detach())


@cache
def derivatives() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Take direct and total derivatives of the states by U, and the Jacobians."""
    net, H = network(), states(network())

    def step(t: int) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda U, h: torch.tanh(net.W @ net.X[t - 1] + U @ h + net.b)

    def whole(t: int) -> Callable[[Tensor], Tensor]:
        return lambda U: states(net._replace(U=U))[t]

    both = [jacobian(step(t), (net.U, H[t - 1])) for t in range(1, T + 1)]
    direct = [d.reshape(H[0].numel(), -1) for d, _ in both]
    total = [jacobian(whole(t), net.U).reshape(len(H[0]), -1) for t in range(1, T + 1)]
    return direct, total, [J for _, J in both]


def missed(found: Tensor, right: Tensor) -> float:
    return float((found - right).norm() / right.norm())


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


# Forwards instead


def forwards(net: Network) -> tuple[Tensor, int]:
    """Carry dh_t/d[W U b] along with the sequence: the gradient, the numbers carried."""
    h, W_and_more = net.U.shape[0], net.W.shape[1] + net.U.shape[0] + 1
    carried, state = net.U.new_zeros(h, h * W_and_more), net.start
    found = net.U.new_zeros(1, h * W_and_more)
    for x, y in zip(net.X, net.Y, strict=True):
        direct = torch.block_diag(*[torch.cat([x, state, x.new_ones(1)])[None]] * h)
        state = torch.tanh(net.W @ x + net.U @ state + net.b)
        carried = (1 - state**2)[:, None] * (direct + net.U @ carried)
        arrives = 2 / net.Y.numel() * (net.V @ state - y) @ net.V
        found = found + arrives[None] @ carried
    return found.view(h, -1), carried.numel()


def resized(units: int, length: int) -> Network:
    """Draw a network of other sizes."""
    g = torch.Generator().manual_seed(units)
    shapes = ((units, D), (units, units), (units,), (Q, units), (length, D))
    rest = ((length, Q), (units,))
    return Network(
        *(torch.randn(s, generator=g, dtype=torch.float64) / 4 for s in shapes + rest)
    )


def both_ways() -> dict[str, np.ndarray]:
    """Go forwards and backwards: multiplications by units, and numbers carried."""
    made, carried, apart = [], [], []
    for units, length in ((16, 5), (32, 5), (16, 20)):
        net = resized(units, length)
        H = torch.stack(states(net))[:, None]
        heads = (2 / net.Y.numel() * (H[1:, 0] @ net.V.T - net.Y) @ net.V)[:, None]
        counts = []
        with FlopCounterMode(display=False) as counter:
            found, numbers = forwards(net)
            counts.append(counter.get_total_flops() / 2 / length)
        with FlopCounterMode(display=False) as counter:
            right = bptt.rnn_backward(heads, net.X[:, None], H, net.W, net.U)
            counts.append(counter.get_total_flops() / 2 / length)
        exact = torch.cat([right.W_xh, right.W_hh, right.b_h[:, None]], 1)
        made.append(counts)
        carried.append(numbers)
        apart.append(missed(found, exact))
    names = ("made", "carried", "apart")
    return dict(zip(names, map(np.array, (made, carried, apart)), strict=True))


@claim(on=both_ways, planted=[lambda m: m | {"made": m["made"][:, ::-1]}])
def bptt_sixteen_times(m: dict[str, np.ndarray]) -> Finding:
    """Doubling the units makes the multiplications of a step about sixteen times as
    many forwards, and about four times as many backwards.
    """
    ran = "16 and 32 units, multiplications that torch counts"
    ahead, back = m["made"][1] / m["made"][0]
    return every(
        below(float(m["apart"].max()), 1e-12, "the two gradients, how far apart"),
        below(abs(ahead / 16 - 1), 0.15, f"{ran}, forwards: off sixteen times by"),
        below(abs(back / 4 - 1), 0.15, f"{ran}, backwards: off four times by"),
    )


@claim(
    on=both_ways,
    planted=[lambda m: m | {"carried": m["carried"] * np.array([1, 1, 4])}],
)
def bptt_carried_the_same(m: dict[str, np.ndarray]) -> Finding:
    r"""With {eq}`eq-bptt-chain` the gradient of each $\ell_t$ is there as soon as the
    step is done, and the past can be forgotten: what is carried does not grow with the
    length of the sequence.
    """
    ran = "16 units, numbers carried after 5 and after 20 steps"
    return every(
        equal(m["carried"][0], m["carried"][2], ran),
        below(float(m["apart"].max()), 1e-12, "its gradient, how far from the other"),
    )


# Both ways on one task


def apart(dtype: torch.dtype, seed: int) -> float:
    """Train with autograd's gradient and ours; how far the losses come apart."""
    curves = []
    for cell in (nn.RNN, bptt.RNN):
        g = torch.Generator().manual_seed(seed)
        module = cell(1, 16).to(dtype)
        for p in module.parameters():
            nn.init.uniform_(p, -0.25, 0.25, generator=g)
        X = torch.randn(7, 32, 1, generator=g).cumsum(0).to(dtype) / 3
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        losses = []
        for _ in range(40):
            L = (module(X)[0].mean(2, keepdim=True)[:-1] - X[1:]).square().mean()
            optimizer.zero_grad()
            L.backward()
            optimizer.step()
            losses.append(float(L.detach()))
        curves.append(np.array(losses))
    return float(np.abs(curves[0] / curves[1] - 1).max())


def by_precision() -> np.ndarray:
    """Train six networks in single and in double precision."""
    return np.array(
        [[apart(d, s) for d in (torch.float32, torch.float64)] for s in range(6)]
    )


@claim(
    on=by_precision,
    planted=[lambda rows: rows[:, ::-1], lambda rows: rows[:, :1] + 0 * rows],
)
def bptt_rounding(rows: np.ndarray) -> Finding:
    """In double precision the two agree far better, so the difference is rounding and
    no error of the formulas.
    """
    ran = "six networks of 16 units, Adam, 40 steps: how far the losses come apart"
    single, double = rows.T
    return every(
        below(double.max(), 1e-8, f"{ran}, double precision"),
        sign_test(np.log10(single / double) - 3, f"{ran}; powers of ten beyond three"),
    )


# What the sources say


@cache
def appendix() -> dict[str, float]:
    """Put lines (24) and (25) together, with total and with direct derivatives."""
    direct, total, J = derivatives()
    second, right = J[-1] @ J[-2], total[-1]
    return {
        "(24)": missed(direct[-1] + J[-1] @ direct[-2] + second @ total[-3], right),
        "(25), total": missed(
            total[-1] + J[-1] @ total[-2] + second @ total[-3], right
        ),
        "(25), direct": missed(
            direct[-1] + J[-1] @ direct[-2] + second @ direct[-3], right
        ),
    }


@claim(
    on=appendix,
    planted=[lambda m: m | {"(24)": m["(25), total"], "(25), total": m["(24)"]}],
)
def bptt_last_right_line(misses: dict[str, float]) -> Finding:
    """So (24) is the last right line of that appendix."""
    ran = f"the derivative of h_T by W_hh, {H} units, T = {T}"
    wrong = min(misses["(25), total"], misses["(25), direct"])
    return every(
        below(misses["(24)"], 1e-12, f"{ran}: the miss of (24)"),
        above(wrong, 0.05, f"{ran}: the miss of (25), read either way"),
    )


def without_mean() -> dict[str, Tensor]:
    """Take (6) and (8) with the derivative of each step's own loss."""
    net, found = network(), arriving()
    own = T * found.outputs  # dl_t/do_t
    _, total, _ = derivatives()
    return {
        "(6)": own.T @ found.H[1:],
        "(6), right": by_autograd("V", net),
        "(8)": sum(
            (o @ net.V @ D for o, D in zip(own, total, strict=True)),
            own.new_zeros(H * H),
        ),
        "(8), right": by_autograd("U", net).flatten(),
    }


@claim(on=without_mean, planted=[lambda m: m | {"(8)": m["(8)"] / T}])
def bptt_lost_factor(made: dict[str, Tensor]) -> Finding:
    r"""A miss of $T - 1$ is a factor $T$: the $1/T$ of the loss is lost in (8), and in
    (6) if $\partial L$ is read as the derivative of one step's loss.
    """
    ran = f"(6) and (8) with the derivative of each step's own loss, T = {T}"
    return every(
        *(
            equal(made[n], T * made[f"{n}, right"], f"{ran}: {n}")
            for n in ("(6)", "(8)")
        )
    )


def linear(a: Tensor) -> Tensor:
    return a.clone()


def seven() -> dict[str, float]:
    """Take (7) with an outer product, for two activations, and by a local derivative."""
    found = {}
    acts: dict[str, Callable[[Tensor], Tensor]] = {"a": linear, "tanh": torch.tanh}
    for name, act in acts.items():
        right, a = by_autograd("W", network(), act), arriving(act)
        found[name] = missed(a.states.T @ network().X, right)
    a = arriving()
    local = (1 - a.H[1:] ** 2) * (a.outputs @ network().V)
    found["local"] = missed(local.T @ network().X, by_autograd("W", network()))
    total = (1 - a.H[1:] ** 2) * a.states
    found["total"] = missed(total.T @ network().X, by_autograd("W", network()))
    return found


@claim(
    on=seven,
    planted=[
        lambda m: m | {"a": m["tanh"], "tanh": m["a"]},
        lambda m: m | {"local": m["total"], "total": m["local"]},
    ],
)
def bptt_seven_needs_slope(misses: dict[str, float]) -> Finding:
    r"""And (7) is right for $\phi(a) = a$, the example of its textbook, and wrong for
    tanh; it also needs the *total* derivative by $h_t$, for which the report has no
    recursion.
    """
    ran = f"(7) with an outer product, {H} units, T = {T}: the miss"
    return every(
        below(misses["a"], 1e-12, f"{ran} for a linear network"),
        above(misses["tanh"], 0.1, f"{ran} for tanh"),
        below(misses["total"], 1e-12, f"{ran} with the slope and the total derivative"),
        above(misses["local"], 0.1, f"{ran} with the slope and the local one"),
    )


def notes_backward() -> dict[str, Tensor]:
    """Take the notes' two gradients as printed, and both of autograd's."""
    net, a = network(), arriving()
    delta = (1 - a.H[1:] ** 2) * a.states
    return {
        "grad W": delta.T @ a.H[:-1],
        "grad U": delta.T @ net.X,
        "W": by_autograd("W", net),
        "U": by_autograd("U", net),
    }


def letters_kept(made: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let the notes print each gradient under its own letter."""
    return made | {"grad W": made["grad U"], "grad U": made["grad W"]}


@claim(on=notes_backward, planted=[letters_kept])
def bptt_letters_exchanged(made: dict[str, Tensor]) -> Finding:
    """**The lecture notes** {cite}`artemov2018` use $W$ for the inputs and $U$ for the
    recurrence when they go forward, and the other way round when they go backward.
    """
    ran = "what is printed as grad W and grad U, against autograd's by U and by W"
    return every(
        equal(made["grad W"], made["U"], ran), equal(made["grad U"], made["W"], ran)
    )


def at_zero() -> Pair:
    """Take the outer product of the error at step 0 with h_0 = 0, and the gradient."""
    net = network()._replace(start=torch.zeros(H, dtype=torch.float64))
    return torch.outer(by_autograd("start", net), net.start), by_autograd("U", net)


@claim(on=at_zero, planted=[swapped])
def bptt_nothing_through_the_start(pair: Pair) -> Finding:
    """With the usual start, $h^{(0)} = 0$, its gradient is zero and $W_{hh}$ would not
    change.
    """
    ran = "the gradient taken at step 0 alone"
    return every(
        equal(pair[0], torch.zeros(H, H), ran),
        above(float(pair[1].norm()), 1e-3, "the whole gradient's norm, by autograd"),
    )


def softmax_steps() -> dict[str, Tensor]:
    """Put in the printed denominator, the result, and autograd's Jacobian."""
    o = torch.tensor([0.4, -0.2, 1.1], dtype=torch.float64)
    E, p = o.exp(), o.softmax(0)
    numerators = torch.diag(E) * E.sum() - torch.outer(E, E)
    return {
        "steps": numerators / (E**2).sum(),
        "result": torch.diag(p) - torch.outer(p, p),
        "right": jacobian(lambda o: o.softmax(0), o),
    }


@claim(
    on=softmax_steps,
    planted=[lambda m: m | {"steps": m["result"], "result": m["steps"]}],
)
def bptt_softmax_result(made: dict[str, Tensor]) -> Finding:
    """The softmax steps in between do not hold as printed; their result does."""
    ran = "three classes, against autograd"
    return every(
        above(missed(made["steps"], made["right"]), 0.1, f"{ran}: the steps' miss"),
        equal(made["result"], made["right"], f"{ran}: the result"),
    )


def no_recurrence() -> tuple[Tensor, Tensor]:
    """Differentiate h_T by W where U is zero: through all steps, and the last alone."""
    net = network()._replace(U=torch.zeros(H, H, dtype=torch.float64))
    before = states(net)[T - 1]
    whole = jacobian(lambda W: states(net._replace(W=W))[T], net.W)
    last = jacobian(lambda W: torch.tanh(W @ net.X[-1] + net.U @ before + net.b), net.W)
    return whole, last


def with_recurrence(pair: Pair) -> Pair:
    """Let earlier steps add to it."""
    net = network()
    return jacobian(lambda W: states(net._replace(W=W))[T], net.W), pair[1]


@claim(
    on=no_recurrence, planted=[with_recurrence, lambda pair: (0 * pair[0], 0 * pair[1])]
)
def bptt_without_recurrence(pair: Pair) -> Finding:
    """It does; what is absent there is the second term of {eq}`eq-bptt-recursion`."""
    ran = "the derivative of a state by W_xh where W_hh = 0"
    return every(
        above(float(pair[0].norm()), 0.1, f"{ran}: its norm"),
        equal(*pair, f"{ran}: total against direct"),
    )


def one_sweep() -> tuple[Tensor, Tensor, float]:
    """Sweep back once by hand: the gradients, autograd's, and the passes it costs."""
    net, a = network(), arriving()
    arrives = (a.outputs @ net.V)[:, None]
    with FlopCounterMode(display=False) as counter:
        found = bptt.rnn_backward(arrives, net.X[:, None], a.H[:, None], net.W, net.U)
    passes = counter.get_total_flops() / (2 * T * H * (D + H))
    by_hand = [found.W_xh, found.W_hh, found.b_h, found.H_0]
    right = [by_autograd(name, net) for name in ("W", "U", "b", "start")]
    columns = (torch.cat([g.flatten() for g in gs]) for gs in (by_hand, right))
    return (*columns, passes)


@claim(on=one_sweep, planted=[lambda made: (made[0], made[1], T * made[2])])
def bptt_one_sweep(made: tuple[Tensor, Tensor, float]) -> Finding:
    """One sweep backwards gives all of them: see [what it costs](#what-it-costs)."""
    by_hand, right, passes = made
    return every(
        equal(by_hand, right, "four gradients of one sweep, against autograd's"),
        below(passes, 2.01, "multiplications of the sweep, in forward passes"),
    )


def by_text() -> np.ndarray:
    """Take one miss of each text: (25), the recursion, the chain to 0, one slope."""
    net, a, (direct, total, J) = network(), arriving(), derivatives()
    slope = 1 - a.H[1:] ** 2
    after = net.U.T @ a.states[1] * slope[1]  # the slope comes after the product
    same = direct[-2] * (slope[-1] / slope[-2])[:, None]
    one_slope = direct[-1] + J[-1] @ (same + J[-1] @ total[-3])
    return np.array(
        [
            appendix()["(25), direct"],
            missed(after + net.V.T @ a.outputs[0], a.states[0]),
            missed(*at_zero()),
            missed(one_slope, total[-1]),
        ]
    )


@claim(on=by_text, planted=[lambda misses: misses * [1, 1, 1, 0]])
def bptt_in_each_text(misses: np.ndarray) -> Finding:
    """In each of the four texts that this book examines some of these equations are
    wrong; the [end of the chapter](#what-the-sources-say) runs them as they were
    printed.
    """
    ran = "one equation of each, against autograd: the smallest miss"
    return above(float(misses.min()), 0.05, ran)
