"""The worlds of chapter 3: Jacobian products, bounds, remedies, truncation."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnn_companion.equations import Tape, world

from .recurrence import column as affine

SIZES = [
    {"d": 3, "h": 4, "q": 6, "T": 5},
    {"d": 4, "h": 3, "q": 2, "T": 6},
    {"d": 2, "h": 5, "q": 4, "T": 3},
]


def largest_modulus(W: Tensor) -> Tensor:
    """Compute the spectral radius."""
    largest: Tensor = torch.linalg.eigvals(W).abs().max()
    return largest


def rotation(tape: Tape, n: int) -> Tensor:
    """Draw an orthogonal matrix."""
    Q: Tensor = torch.linalg.qr(tape.normal(n, n))[0]
    return Q


@torch.no_grad()
def torch_step(W_xh: Tensor, x: Tensor, W_hh: Tensor, h: Tensor, b: Tensor) -> Tensor:
    """Take the step with torch's own cell."""
    cell = nn.RNNCell(x.numel(), h.numel(), dtype=torch.float64)
    weights = {"weight_ih": W_xh, "weight_hh": W_hh}
    biases = {"bias_ih": b[:, 0], "bias_hh": torch.zeros_like(b[:, 0])}
    cell.load_state_dict(weights | biases)
    state: Tensor = cell(x.T, h.T)
    return state.T


# Products and bounds


def run(tape: Tape) -> list[Tensor]:
    """Run a tanh network on one sample, with a loss at every state; return the states.

    In a tight draw the weights are a multiple of an orthogonal matrix and the state
    stands still at a point where all slopes are equal.
    """
    d, h, T = (tape.sizes[n] for n in "dhT")
    W_xh, W_hh = tape.normal(h, d, scale=0.7), tape.normal(h, h, scale=0.7)
    b, start = tape.normal(h, 1), tape.normal(h, 1)
    xs = [tape.normal(d, 1) for _ in range(T)]
    if tape.tight:
        W_hh = (0.8, 2.0, 3.2)[tape.seed] * rotation(tape, h)
        start = (0.2, 0.4, 0.8)[tape.seed] * start.sign()
        xs = xs[:1] * T
        b = torch.atanh(start) - W_hh @ start - W_xh @ xs[0]
    elif tape.seed == 0:  # the largest slope is that of the first step
        b, start, xs[0] = 0.01 * b, 0.01 * start, 0.01 * xs[0]
    W_xh, W_hh = tape.leaf("W_{xh}", W_xh), tape.leaf("W_{hh}", W_hh)
    b, state = tape.leaf("b_h", b), tape.leaf("h", start, 0)
    slopes, states = [], [state]
    for t, x in enumerate(xs, 1):
        entering = (W_xh, tape.leaf("x", x, t), W_hh, state, b)
        state = tape.step("h", lambda *v: torch.tanh(affine(*v)), entering, t)
        tape.confirm(state, torch_step(*entering), "torch.nn.RNNCell")
        target = tape.normal(h, 1)
        tape.step(r"\ell", partial(F.mse_loss, target=target), (state,), t)
        slopes.append(slope(state))
        states.append(state)
    tape.put(r"\gamma", torch.stack(slopes).max(), source="autograd")
    sigma = torch.linalg.eigvalsh(W_hh.T @ W_hh).max().sqrt()
    tape.put(r"\sigma_{\max}", sigma, source="torch.linalg.eigvalsh")
    return states


@world("gradients", SIZES, tight=True)
def gradients(tape: Tape) -> None:
    """Run a tanh network."""
    run(tape)


def slope(state: Tensor) -> Tensor:
    """Let autograd find the slopes of tanh where it has these values."""
    a = torch.atanh(state.detach()).requires_grad_()
    (found,) = torch.autograd.grad(torch.tanh(a).sum(), a)
    return found.max()


@world("grad-linear", SIZES)
def linear(tape: Tape) -> None:
    """Run a network without a nonlinearity."""
    d, h, T = (tape.sizes[n] for n in "dhT")
    W_xh = tape.leaf("W_{xh}", tape.normal(h, d))
    W_hh = tape.leaf("W_{hh}", tape.normal(h, h))
    b, state = tape.leaf("b_h", tape.normal(h, 1)), tape.leaf("h", tape.normal(h, 1), 0)
    for t in range(1, T + 1):
        entering = (W_xh, tape.leaf("x", tape.normal(d, 1), t), W_hh, state, b)
        state = tape.step("h", affine, entering, t)


@world("grad-lyapunov", SIZES, tight=True)
def lyapunov(tape: Tape) -> None:
    """Take the product of the same networks apart, with torch's QR."""
    states = run(tape)
    Q = torch.eye(tape.sizes["h"], dtype=torch.float64)
    tape.put("Q", Q, 0)
    tape.leaf("e", Q[:, :1])
    for t, (before, state) in enumerate(pairwise(states), 1):
        rows = [gradient([n], before)[:, 0] for n in state[:, 0]]
        J = torch.stack(rows)
        tape.put("J", J, t, source="autograd")
        Q, R = torch.linalg.qr(J @ Q)
        tape.put("Q", Q, t, source="torch.linalg.qr")
        tape.put("R", R, t, source="torch.linalg.qr")


@world("grad-identity", SIZES)
def identity_start(tape: Tape) -> None:
    """Run a linear network without a bias whose W_hh is the identity."""
    d, h, T = (tape.sizes[n] for n in "dhT")
    W_xh = tape.leaf("W_{xh}", tape.normal(h, d))
    state = tape.leaf("h", tape.normal(h, 1), 0)
    for t in range(1, T + 1):
        x = tape.leaf("x", tape.normal(d, 1), t)
        state = tape.put("h", F.linear(x.T, W_xh).T + state, t, source="torch")


POWERS = [{"h": 4, "K": 6}, {"h": 3, "K": 5}]


@world("grad-powers", POWERS, ranges={"n": (0, "K")}, tight=True)
def powers(tape: Tape) -> None:
    """Draw a matrix; in a tight draw a symmetric one, whose radius is its norm."""
    h = tape.sizes["h"]
    W = (0.3, 1.0, 0.7)[tape.seed] * tape.normal(h, h)
    tape.leaf("W", W + W.T if tape.tight else W)
    tape.functions[r"\rho"] = largest_modulus
    tape.leaf(r"\lambda", tape.normal() + 2)
    tape.leaf(r"\nu", tape.normal() + 3)
    Q = torch.empty(h, h, dtype=torch.float64)
    nn.init.orthogonal_(Q, generator=tape.generator)
    tape.put("Q", Q, source="torch.nn.init.orthogonal_")
    tape.leaf("v", tape.normal(h, 1))


@world("grad-counterexamples", [{"h": 4}, {"h": 5}, {"h": 3}], ranges={"n": (0, "h")})
def counterexamples(tape: Tape) -> None:
    """Build the matrices whose entries mislead."""
    h = tape.sizes["h"]
    entries = torch.full((h, h), 0.9, dtype=torch.float64)
    tape.put("M_1", entries, source="torch.full")
    tape.put("M_2", torch.diag(torch.full((h - 1,), 2.0), 1), source="torch.diag")


# One unit


@world("grad-scalar", [{"T": 5}, {"T": 4}, {"T": 6}])
def scalar(tape: Tape) -> None:
    """Run one unit with one weight on itself."""
    w = tape.leaf("w", tape.normal() + 1.5)
    state = tape.leaf("h", tape.normal(), 0)
    for t in range(1, tape.sizes["T"] + 1):
        x = tape.leaf("x", tape.normal(), t)
        before = state.detach()
        state = tape.step("h", lambda w, h, x: torch.tanh(w * h + x), (w, state, x), t)
        cell = F.linear(before.view(1, 1), w.view(1, 1), x.view(1))
        tape.confirm(state, torch.tanh(cell).view(()), "torch.nn.functional.linear")


@world("grad-latch", [{"T": 5}], tight=True)
def latch(tape: Tape) -> None:
    """Let one unit come to rest: its weight is above one, in a tight draw just so."""
    w = 1 + (1e-4 if tape.tight else 0.3) * (1 + tape.normal().abs())
    low, high = w.new_tensor(1e-6), w.new_tensor(1.0)
    for _ in range(200):  # bisection: tanh(wh) > h below the fixed point
        middle = (low + high) / 2
        low, high = (middle, high) if torch.tanh(w * middle) > middle else (low, middle)
    tape.put("w", w)
    tape.put(r"h_\star", low, source="bisection")
    tape.put("a", w * low, source="bisection")


@world("grad-rest", [{"T": 5}], tight=True)
def rest(tape: Tape) -> None:
    """Let the same unit come to rest; in one draw at zero, where it holds no bit."""
    latch.build(tape)
    if tape.seed == 2 and not tape.tight:
        tape.put(r"h_\star", torch.zeros(()), source="tanh(0)")
        tape.put("a", torch.zeros(()), source="tanh(0)")


# Remedies


@world("grad-clip", [{"h": 4}, {"h": 3}, {"h": 5}])
def clip(tape: Tape) -> None:
    """Let torch clip a gradient that is too long, except in one draw."""
    g = tape.leaf("g", 3 * tape.normal(tape.sizes["h"], 1))
    size = torch.linalg.vector_norm(g.detach())
    c = size * (0.3 if tape.seed < 2 else 2.5)
    tape.leaf(r"g_{\max}", c)
    weight = nn.Parameter(torch.zeros_like(g))
    weight.grad = g.detach().clone()
    nn.utils.clip_grad_norm_([weight], float(c))
    tape.put(r"\hat{g}", weight.grad, source="torch.nn.utils.clip_grad_norm_")


@world("grad-decay", [{"h": 4}, {"h": 3}])
def decay(tape: Tape) -> None:
    """Let torch take one step with weight decay."""
    h = tape.sizes["h"]
    W = tape.leaf("W_{hh}", tape.normal(h, h))
    target = tape.normal(h, h)
    tape.step("L", partial(F.mse_loss, target=target), (W,))
    weight = nn.Parameter(W.detach().clone())
    optimizer = torch.optim.SGD([weight], lr=0.3, weight_decay=0.7)
    F.mse_loss(weight, target).backward()
    optimizer.step()
    tape.put("W_{hh}^+", weight.detach(), source="torch.optim.SGD")
    tape.put(r"\eta", W.new_tensor(0.3))
    tape.put(r"\lambda", W.new_tensor(0.7))


@world("grad-forcing", SIZES)
def forcing(tape: Tape) -> None:
    """Feed a network its own outputs; with a bar, some units are replaced."""
    d, h, T = (tape.sizes[n] for n in "dhT")
    W_xh = tape.leaf("W_{xh}", tape.normal(h, d))
    W_hh = tape.leaf("W_{hh}", tape.normal(h, h))
    W_hq = tape.leaf("W_{hq}", tape.normal(d, h))
    b = tape.leaf("b_h", tape.normal(h, 1))
    state = tape.leaf("h", tape.normal(h, 1), 0)
    clamped = tape.leaf(r"\bar{h}", tape.normal(h, 1), 0)
    m = (torch.arange(h) % 2).double().view(h, 1)
    tape.put("m", m)
    for t in range(1, T + 1):
        o = tape.step("o", lambda W, h: W @ h, (W_hq, state), t - 1)
        entering = (W_xh, o, W_hh, state, b)
        state = tape.step("h", lambda *v: torch.tanh(affine(*v)), entering, t)
        y = tape.leaf("y", tape.normal(h, 1), t - 1)

        def mixed(U: Tensor, s: Tensor, y: Tensor, b: Tensor) -> Tensor:
            return torch.tanh(U @ torch.where(m == 1, y, s) + b)

        clamped = tape.step(r"\bar{h}", mixed, (W_hh, clamped, y, b), t)


# Truncation


def network(
    tape: Tape,
    xi: Sequence[Tensor] | None = None,
    weights: Sequence[Tensor] | None = None,
    reach: int | None = None,
) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Run the tape's sample, and let autograd see what a truncation leaves.

    The value of a state goes through a link as it is, its derivative is multiplied
    by `xi`. With `weights` every step has a W_hh of its own. With `reach` each loss
    has a graph of its own that starts so many steps before it, at a constant.
    Returns states, losses and W_hh.
    """
    d, h, q, T = (tape.sizes[n] for n in "dhqT")
    again = Tape(tape.sizes, 1000 + tape.seed)  # the same network at every call
    W_xh, W_hh, b = (again.normal(h, n, scale=0.8) for n in (d, h, 1))
    W_hq, start = again.normal(q, h), again.normal(h, 1).requires_grad_()
    xs = [again.normal(d, 1) for _ in range(T)]
    ys = [again.normal(q, 1) for _ in range(T)]
    xi = [torch.ones(())] * T if xi is None else xi
    W = [W_hh.requires_grad_()] * T if weights is None else weights

    states, losses = [start], []
    for t in range(T):
        link = xi[t] * states[-1] + (1 - xi[t]) * states[-1].detach()
        states.append(torch.tanh(affine(W_xh, xs[t], W[t], link, b)))
        seen = states[-1]
        if reach is not None:
            first = max(0, t - reach + 1)
            seen = states[first].detach()
            for x in xs[first : t + 1]:
                seen = torch.tanh(affine(W_xh, x, W_hh, seen, b))
        losses.append(F.mse_loss(W_hq @ seen, ys[t], reduction="sum"))
    return states, losses, W_hh


def gradient(losses: Sequence[Tensor], by: Tensor) -> Tensor:
    """Differentiate the sum of the losses."""
    total = torch.stack(list(losses)).sum()
    found: Tensor = torch.autograd.grad(
        total, by, retain_graph=True, allow_unused=True, materialize_grads=True
    )[0]
    return found


def paths(tape: Tape) -> None:
    """Name what each loss says about each use of W_hh, by a copy of it a use."""
    T = tape.sizes["T"]
    states, losses, W_hh = network(tape)
    tape.put("W_{hh}", W_hh.detach())
    tape.put("g", gradient(losses, W_hh), source="autograd")
    copies = [W_hh.detach().clone().requires_grad_() for _ in range(T)]
    _, each, _ = network(tape, weights=copies)
    for t, state in enumerate(states):
        tape.put("h", state.detach(), t)
    for t in range(1, T + 1):
        loss = losses[t - 1 : t]
        tape.put("G", gradient(loss, states[t]), t, source="autograd")
        step = torch.stack([gradient([n], states[t - 1]) for n in states[t][:, 0]])
        tape.put("J", step[..., 0], t, source="autograd")
        for i in range(1, t + 1):
            use = gradient(each[t - 1 : t], copies[i - 1])
            tape.put("P", use, t, i, source="autograd with a weight a use")


TRUNCATED = [
    {"d": 3, "h": 4, "q": 2, "T": 5, r"\tau": 2},
    {"d": 2, "h": 3, "q": 4, "T": 6, r"\tau": 3},
    {"d": 4, "h": 2, "q": 3, "T": 4, r"\tau": 3},
]


@world("grad-truncation", TRUNCATED)
def truncation(tape: Tape) -> None:
    """Cut the gradient as autograd does: by detaching, or by weights on the links."""
    T, tau = tape.sizes["T"], tape.sizes[r"\tau"]
    paths(tape)
    cut = [torch.tensor(0.0 if t and t % tau == 0 else 1.0) for t in range(T)]
    _, losses, W = network(tape, cut)
    tape.put(r"g_{\mathrm{regular}}", gradient(losses, W), source="autograd, detached")
    _, losses, W = network(tape, reach=tau)
    tape.put(r"g_{\mathrm{sliding}}", gradient(losses, W), source="autograd, detached")

    xi = [tape.leaf(r"\xi", tape.normal(), t).detach() for t in range(1, T + 1)]
    states, losses, W = network(tape, xi)
    tape.put(r"\hat{g}", gradient(losses, W), source="autograd, links weighted")
    for t, state in enumerate(states[1:], 1):
        delta = (1 - state.detach() ** 2) * gradient(losses, state)
        tape.put(r"\delta", delta, t, source="autograd, links weighted")


RANDOM = [
    {"d": 3, "h": 4, "q": 2, "T": 4},
    {"d": 2, "h": 3, "q": 4, "T": 5},
    {"d": 4, "h": 2, "q": 3, "T": 3},
]


@world("grad-randomized", RANDOM)
def randomized(tape: Tape) -> None:
    """Draw the links; g with a hat has the weight 1/pi, with a tilde it has none."""
    T = tape.sizes["T"]
    pi = 0.3 + 0.2 * tape.seed
    tape.put(r"\pi", torch.tensor(pi, dtype=torch.float64))
    values = [torch.tensor(v, dtype=torch.float64) for v in (0.0, 1 / pi)]
    xi = [tape.chance(values, [1 - pi, pi]) for _ in range(T)]
    for t, link in enumerate(xi, 1):
        tape.put(r"\xi", link, t)
    paths(tape)
    for name, factor in ((r"\hat{g}", 1.0), (r"\tilde{g}", pi)):
        _, losses, W = network(tape, [factor * link for link in xi])
        tape.put(name, gradient(losses, W), source="autograd, links weighted")
