"""The worlds of chapter 8: the time gate in exact arithmetic, and a phased LSTM."""

import math
from fractions import Fraction
from math import floor

import torch
from torch import Tensor, nn

from rnn_companion.equations import Tape, world

from .lstm import fill, loss

PERIOD, SHIFT, OPEN, LEAK = Fraction(10), Fraction(3), Fraction(2, 5), Fraction(1, 100)


@world("time-gate", sizes=[{"T": 26}], ranges={"t": (1, "T")})
def time_gate(tape: Tape) -> None:
    """Open and close a gate at whole times, as a sum of hinges in exact arithmetic.

    The page distinguishes cases; here a triangle wave is cut off and the leak put
    where it ends, so that the two agree for one reason only. The open share and the
    period meet every boundary: phases of 0, r_on/2 and r_on occur.
    """
    tau, s, r_on, alpha = PERIOD, SHIFT, OPEN, LEAK
    tape.leaf(r"\tau", exact(tau))
    tape.leaf("s", exact(s))
    tape.leaf("r_{\\mathrm{on}}", exact(r_on))
    tape.leaf(r"\alpha", exact(alpha))
    for t in range(1, tape.sizes["T"] + 1):
        time = (Fraction(t) - s) / tau
        phi = time - floor(time)
        bump = max(Fraction(0), 1 - abs(phi - r_on / 2) / (r_on / 2))
        k = bump if phi <= r_on else alpha * phi
        tape.put(r"\phi", exact(phi), t, source="exact fractions")
        tape.put("k", exact(k), t, source="exact fractions")


@world("clock", sizes=[{"N": 40}, {"N": 31}], ranges={"n": (1, "N")})
def clock(tape: Tape) -> None:
    """Read a clock at random times, well away from its jumps and kinks."""
    tau, s, r_on, alpha = 3.7, 1.3, 0.45, 0.02
    setting = {r"\tau": tau, "s": s, "r_{\\mathrm{on}}": r_on}
    leaves = {
        name: tape.leaf(name, torch.tensor(value, dtype=torch.float64))
        for name, value in setting.items()
    }
    tape.put(r"\alpha", torch.tensor(alpha, dtype=torch.float64))
    kinds = ("rise", "fall", "shut")
    count = 0
    while count < tape.sizes["N"]:
        time = 30 * torch.rand((), generator=tape.generator, dtype=torch.float64)
        phase = ((time - s) / tau) % 1
        edges = torch.tensor([0, r_on / 2, r_on, 1], dtype=torch.float64)
        if (phase - edges).abs().min() < 1e-3:
            continue
        count += 1
        kind = kinds[int((phase > r_on / 2).item()) + int((phase > r_on).item())]
        t = tape.leaf("t", time, count)
        phi = tape.step(
            r"\phi",
            lambda t, tau, s: (t - s) / tau - ((t - s) / tau).floor(),
            (t, leaves[r"\tau"], leaves["s"]),
            count,
        )
        rule = {
            "rise": lambda phi, r: 2 * phi / r,
            "fall": lambda phi, r: 2 - 2 * phi / r,
            "shut": lambda phi, r: alpha * phi + 0 * r,
        }[kind]
        tape.step("k", rule, (phi, leaves["r_{\\mathrm{on}}"]), count)


@world(
    "phased",
    sizes=[{"d": 3, "h": 4, "T": 5}, {"d": 5, "h": 2, "T": 3}],
    ranges={"t": (1, "T")},
)
def phased(tape: Tape) -> None:
    """Let torch's cell propose states, and mix them in unit by unit."""
    d, h, T = (tape.sizes[name] for name in "dhT")
    cell = nn.LSTMCell(d, h, dtype=torch.float64)
    fill(cell, tape.normal(4 * h, d), tape.normal(4 * h, h), tape.normal(4 * h, 1))
    weights = (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh)
    for weight in weights:
        weight.requires_grad_(False)
    state = tape.leaf("h", tape.normal(h, 1), 0)
    c = tape.leaf("c", tape.normal(h, 1), 0)
    states = []
    for t in range(1, T + 1):
        x, before = tape.leaf("x", tape.normal(d, 1), t), (state, c)
        k = torch.rand(h, 1, generator=tape.generator, dtype=torch.float64)
        k = tape.leaf("k", k, t)
        parts = (cell.weight_ih @ x + cell.weight_hh @ state).detach()
        biases = (cell.bias_ih + cell.bias_hh).detach()[:, None]
        gates = (parts + biases).chunk(4)[:3]
        for name, part in zip("ifg", gates, strict=True):
            squash = torch.tanh if name == "g" else torch.sigmoid
            tape.put(name, squash(part), t, source="torch's weights")
        for at, name in enumerate("hc"):
            new = tape.step(
                rf"\tilde{{{name}}}",
                lambda x, s, c, at=at: cell(x.T, (s.T, c.T))[at].T,
                (x, *before),
                t,
            )
            mixed = tape.step(name, lerp, (k, new, before[at]), t)
            by_hand = before[at] - k * (before[at] - new)
            tape.confirm(mixed, by_hand, "torch.lerp")
        state, c = tape.values["h", (t,), ()], tape.values["c", (t,), ()]
        states.append(state)
    loss(tape, states)


def lerp(k: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Let torch go from the old value to the new one, as far as the gate is open."""
    return torch.lerp(old, new, k)


@world(
    "clock-period",
    sizes=[{"T": 10}, {"T": 20}, {"T": 30}],
    ranges={"t": (1, "T")},
    tight=True,
)
def clock_period(tape: Tape) -> None:
    """Let one unit go through a period whose corners fall on steps, without leak.

    In a tight draw its forget gate is nearly open.
    """
    T, r_on = tape.sizes["T"], (0.4, 0.4, 0.6)[tape.seed % 3]
    tape.leaf("r_{\\mathrm{on}}", torch.tensor(r_on, dtype=torch.float64))
    f = 0.3 + 0.6 * torch.rand((), generator=tape.generator, dtype=torch.float64)
    f = tape.leaf("f", 1 - 1e-7 * f if tape.tight else f)
    c = tape.leaf("c", tape.normal(), 0)
    for t in range(1, T + 1):
        apart = min((t - 1) % T, (1 - t) % T) / (r_on * T / 2)  # open about t = 1
        k = tape.leaf("k", torch.tensor(max(0.0, 1 - apart), dtype=torch.float64), t)
        x = tape.normal()
        c = tape.step(
            "c", lambda k, f, c, x=x: torch.lerp(c, f * c + x, k), (k, f, c), t
        )


@world("spread-bias", sizes=[{}])
def spread_bias(tape: Tape) -> None:
    """Add up the weights with which a cell feels an input, one step after another."""
    b_f = tape.leaf("b_f", tape.normal())
    tape.functions[r"\sigma"] = torch.sigmoid
    tape.put("e", torch.tensor(math.e, dtype=torch.float64))
    f = 1 / (1 + torch.exp(-b_f.detach()))
    powers = f ** torch.arange(5000, dtype=torch.float64)
    tape.put("D", powers.sum(), source="sum of 5000 weights")


@world("shut", sizes=[{"h": 4, "T": 6}, {"h": 2, "T": 4}], ranges={"t": (1, "T")})
def shut(tape: Tape) -> None:
    """Leave the gate closed, without leak, whatever the proposals are."""
    h, T = tape.sizes["h"], tape.sizes["T"]
    W = tape.normal(h, h)
    c = tape.leaf("c", tape.normal(h, 1), 0)
    zero = torch.zeros(h, 1, dtype=torch.float64)
    tape.put("I", torch.eye(h, dtype=torch.float64))
    for t in range(1, T + 1):
        c = tape.step(
            "c", lambda old: torch.lerp(old, torch.tanh(W @ old), zero), (c,), t
        )


def exact(value: Fraction) -> Tensor:
    """Turn a ratio into the nearest double."""
    return torch.tensor(float(value), dtype=torch.float64)
