"""What chapter 8 claims of the time gate."""

from fractions import Fraction
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    sign_test,
    swapped,
)
from rnn_companion.networks import lstm, lstm_step, phased_lstm, time_gate

PRINTED_PHASES = [0.8, 0.9, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0]
PRINTED_GATE = [0, 0, 0, 0.5, 1, 0.5, 0, 0, 0, 0, 0, 0, 0]
Pair = tuple[np.ndarray, np.ndarray]
Numbers = np.ndarray


def exact(t: Fraction, s: int = 3, r_on: Fraction = Fraction(4001, 10000)) -> Fraction:
    """Return the gate of the report's clock as a roof over its open time, no leak."""
    phi = (t - s) / 10 % 1
    return max(Fraction(0), 1 - abs(2 * phi / r_on - 1))


def clocked(
    t: Tensor, tau: float = 10, s: float = 3, r_on: float = 0.4001, alpha: float = 0
) -> tuple[Tensor, ...]:
    """Return the gate at each time, and its derivatives by tau, s and r_on."""
    rows = t.double()
    clock = [torch.full_like(rows, v).requires_grad_() for v in (tau, s, r_on)]
    k = time_gate(rows, clock[0], clock[1], clock[2], alpha)
    return k.detach(), *torch.autograd.grad(k.sum(), clock)


def times(low: float, high: float, periods: int = 20) -> Tensor:
    """Draw times at which the phase of the report's clock lies between two values."""
    draw = np.random.default_rng(0)
    phases = draw.uniform(low, high, 40 * periods)
    return torch.from_numpy(3 + 10 * (phases + np.repeat(np.arange(periods), 40)))


# The gate


def missed(shift: float = 0.0) -> Numbers:
    """Return the opening of a gate at whole times, for whole shifts."""
    t = torch.arange(1, 201.0)[:, None]
    s = torch.arange(20.0) + shift
    tau, r_on = torch.tensor((20.0, 0.05), dtype=torch.float64)
    return time_gate(t.double(), tau, s.double(), r_on).numpy()


@claim(on=missed, planted=[lambda _: missed(0.5)])
def gate_whole_shifts_miss(k: Numbers) -> Finding:
    """With a period of 20, a share of 0.05 and a whole number for its shift, the open
    phase falls between two steps, and the unit takes up nothing."""
    return below(k.max(), 1e-9, "the widest opening in 200 steps, for 20 shifts")


@cache
def layer() -> tuple[Tensor, ...]:
    """Draw an LSTM of four units, inputs and a start."""
    draw = torch.Generator().manual_seed(0)
    sizes = ((30, 1, 1), (1, 4), (1, 4), (16, 1), (16, 4), (16,))
    drawn = [torch.randn(s, generator=draw, dtype=torch.float64) for s in sizes]
    return tuple(drawn)


def closed_times(steps: int = 30) -> Tensor:
    """Return times within the closed phase of a clock of period 1, open for 0.3."""
    return 0.4 + 0.5 * torch.arange(1.0, steps + 1).double() / (steps + 1)


def half_gated(gate_h: bool = False) -> Numbers:
    """Return how much h moves at each step if the closed gate leaves c alone."""
    X, h, c, *weights = layer()
    moved = []
    for X_t in X:
        new, _ = lstm_step(X_t, h, c, *weights)  # the gate is shut: c stays
        new = h if gate_h else new
        moved.append((new - h).norm().item())
        h = new
    return np.array(moved)


@claim(on=half_gated, planted=[lambda _: half_gated(gate_h=True)])
def gate_both_states(moved: Numbers) -> Finding:
    """Without it $h_t$ would go on changing while the gate is closed."""
    return above(moved.min(), 1e-6, "the least move of h in 30 closed steps, 4 units")


def table(s: int = 3) -> tuple[Numbers, Numbers]:
    exactly = [(Fraction(t - s, 10) % 1, exact(Fraction(t), s)) for t in range(1, 14)]
    phases, gate = zip(*exactly, strict=True)
    return np.array(phases, dtype=float), np.array(gate, dtype=float)


@claim(on=table, planted=[lambda _: table(4), swapped])
def gate_table_is_right(found: Pair) -> Finding:
    """The printed phases are right, and the printed $k_t$ are right to one digit."""
    phases, gate = found
    return every(
        equal(phases, PRINTED_PHASES, "thirteen phases, in exact fractions"),
        below(abs(gate - PRINTED_GATE).max(), 0.05, "the gate less what is printed"),
    )


@claim(
    on=lambda: [exact(Fraction(t)) for t in range(1, 14)],
    planted=[lambda _: [exact(Fraction(t), 3, Fraction(2, 5)) for t in range(1, 14)]],
)
def gate_four_open_steps(gate: list[Fraction]) -> Finding:
    """At $t = 7$ the gate is not yet shut, though: it is open to …, so that there are
    four open steps and not three."""
    ran = "in exact fractions, t = 1, ..., 13"
    return every(
        above(float(gate[6]), 0, f"the gate at t = 7, {ran}"),
        equal(sum(k > 0 for k in gate), 4, f"the open steps, {ran}"),
    )


def strict(phi: Fraction, r_on: Fraction) -> Fraction:
    """Do what the report's strict conditions say."""
    if phi < r_on / 2:
        return 2 * phi / r_on
    return 2 - 2 * phi / r_on if r_on / 2 < phi < r_on else Fraction(0)


@claim(
    on=lambda: (strict(Fraction(1, 5), Fraction(2, 5)), Fraction(1, 5)),
    planted=[lambda _: (strict(Fraction(19, 100), Fraction(2, 5)), Fraction(19, 100))],
)
def gate_strict_gap(found: tuple[Fraction, Fraction]) -> Finding:
    """There the strict gate is … where it should be …: shut at the very middle of its
    open phase."""
    told, phi = found
    beside = [float(strict(phi + e, Fraction(2, 5))) for e in (-Fraction(1, 10**6),)]
    return every(
        equal(float(told), 0, "the strict gate in the middle, in exact fractions"),
        above(beside[0], 0.99, "the same just before the middle"),
    )


# Its derivatives


def by_period(periods: int = 30) -> Numbers:
    """Return how much larger the slope by tau is one period later, same phase."""
    t = 3 + 10 * (0.1 + torch.arange(periods).double())
    _, slope, _, _ = clocked(t)
    return slope.abs().diff().numpy()


@claim(on=by_period, planted=[lambda growth: -growth, lambda growth: 0 * growth])
def gate_period_slope_grows(growth: Numbers) -> Finding:
    """The first holds a warning: it grows with $t_n$."""
    ran = "the slope by the period at one phase, by autograd, over 30 periods"
    return above(growth.min(), 0, f"the least growth of {ran}")


def corners(
    at: tuple[Fraction, ...] = (Fraction(1, 5), Fraction(2, 5), Fraction(1)),
) -> Numbers:
    """Return the jump and the change of slope at three phases, without and with leak.

    The columns are the middle of the open phase, its end, and the turn of the period.
    """
    step, r_on = Fraction(1, 10**9), Fraction(2, 5)

    def k(phi: Fraction, leak: Fraction) -> Fraction:
        phi %= 1
        roof = max(Fraction(0), 1 - abs(2 * phi / r_on - 1))
        return roof if phi <= r_on else leak * phi

    rows = []
    for leak in (Fraction(0), Fraction(1, 100)):
        for phi in at:
            left = [k(phi - n * step, leak) for n in (1, 2)]
            right = [k(phi + n * step, leak) for n in (1, 2)]
            slopes = (left[0] - left[1]) / step, (right[1] - right[0]) / step
            rows.append((float(abs(right[0] - left[0])), float(slopes[1] - slopes[0])))
    return np.array(rows).reshape(2, 3, 2)


@claim(
    on=corners,
    planted=[
        lambda _: corners((Fraction(1, 4), Fraction(9, 20), Fraction(1, 10))),
        lambda data: data[::-1],
    ],
)
def gate_kinks_and_jumps(found: Numbers) -> Finding:
    r"""So there is no derivative at $\phi = \frac{r_{\mathrm{on}}}{2}$ (a kink), and
    with a leak none at $r_{\mathrm{on}}$ and at the turn of the period either (jumps);
    without one the gate is continuous, and has kinks there."""
    without, leaky = found
    ran = "both sides of the edges, in exact fractions, 1e-9 apart"
    return every(
        below(without[:, 0].max(), 1e-6, f"largest jump without leak, {ran}"),
        above(
            abs(without[:, 1]).min(), 1, f"least change of slope without leak, {ran}"
        ),
        below(leaky[0, 0], 1e-6, f"jump in the middle with leak, {ran}"),
        above(abs(leaky[0, 1]), 1, f"change of slope in the middle, {ran}"),
        above(leaky[1:, 0].min(), 1e-3, f"least jump at the other two, {ran}"),
    )


def on_edges() -> tuple[float, float]:
    """Return the share of times on an edge of a clock: whole times, and real ones."""
    edges = {Fraction(0), Fraction(1, 5), Fraction(2, 5)}
    whole = [Fraction(t, 10) % 1 in edges for t in range(1, 1001)]
    drawn = np.random.default_rng(0).uniform(0, 1000, 1000)
    real = [Fraction(t) / 10 % 1 in edges for t in drawn]
    return float(np.mean(whole)), float(np.mean(real))


@claim(on=on_edges, planted=[swapped])
def gate_edges_are_common(share: tuple[float, float]) -> Finding:
    r"""Such phases are rare where times are real numbers, and common where times are
    whole numbers and $\tau$ is a round one."""
    ran = "of 1000 times those on an edge, with a period of 10 and an open share of 0.4"
    return every(
        above(share[0], 0.2, f"{ran}: whole times"),
        below(share[1], 0.01, f"{ran}: random ones"),
    )


def closed_slopes(alpha: float = 0.0, low: float = 0.41, high: float = 0.99) -> Numbers:
    """Return the largest slope by tau, by s and by r_on in a stretch of the phase."""
    _, *slopes = clocked(times(low, high), alpha=alpha)
    return np.array([slope.abs().max().item() for slope in slopes])


@claim(
    on=closed_slopes,
    planted=[lambda _: closed_slopes(0.01), lambda _: closed_slopes(0.0, 0.3)],
)
def gate_closed_derivatives(largest: Numbers) -> Finding:
    r"""In the closed phase the three derivatives are zero if $\alpha$ is."""
    return equal(largest, np.zeros(3), "autograd at 800 times in the closed phase")


@claim(
    on=lambda: closed_slopes(0.001),
    planted=[lambda _: closed_slopes(0.0), lambda _: closed_slopes(0.001, 0.3)],
)
def gate_leak_moves_two(largest: Numbers) -> Finding:
    r"""The leak gives $\tau$ and $s$ a small gradient there; that of $r_{\mathrm{on}}$
    is zero in the closed phase with a leak as well ({eq}`eq-gate-dr`)."""
    ran = "autograd at 800 times in the closed phase, leak 0.001"
    return every(
        between(largest[0], 1e-5, 1e-2, f"{ran}: by the period"),
        between(largest[1], 1e-5, 1e-2, f"{ran}: by the shift"),
        equal(largest[2], 0, f"{ran}: by the share"),
    )


def still(alpha: float, r_on: Fraction = Fraction(4001, 10000)) -> float:
    """Return the share of times with no slope, by differences in exact fractions."""
    step, leak = Fraction(1, 10**6), Fraction(alpha)

    def k(phi: Fraction) -> Fraction:
        roof = max(Fraction(0), 1 - abs(2 * phi / r_on - 1))
        return roof if phi <= r_on else leak * phi

    phases = [Fraction(2 * n + 1, 4000) for n in range(2000)]
    return float(np.mean([k(p + step) == k(p) for p in phases]))


@claim(
    on=lambda: (still(0.0), still(0.001)),
    planted=[swapped, lambda _: (still(0.0, Fraction(4, 5)), still(0.001))],
)
def gate_closed_most_of_the_time(share: tuple[float, float]) -> Finding:
    """With the report's clock, at … of the times the phase gets no gradient without a
    leak, and at … with one."""
    ran = "differences of the gate at 2000 phases, in exact fractions"
    return every(
        between(share[0], 0.598, 0.602, f"{ran}: the share without slope, no leak"),
        equal(share[1], 0, f"{ran}: the same with a leak"),
    )


# The undecayed gradient


def across(r_on: float = 0.3) -> tuple[Numbers, Numbers]:
    """Return dc_T/dc_0 over 30 steps, and the gradient of c_T by what was read."""
    X, H_0, C_0, W_x, W_h, b = layer()
    tau, s, share = (torch.full((4,), v).double() for v in (1.0, 0.0, r_on))

    def last(C_0: Tensor, X: Tensor) -> Tensor:
        t = closed_times()
        _, C = phased_lstm(X, t, H_0, C_0, W_x, W_h, b, tau, s, share)
        return C[-1, 0]

    by_start, by_input = torch.autograd.functional.jacobian(last, (C_0, X))
    return by_start[:, 0].numpy(), by_input.numpy()


@claim(on=across, planted=[lambda _: across(0.95)])
def gate_closed_is_identity(found: tuple[Numbers, Numbers]) -> Finding:
    """Then the proposals count for nothing, $c_t$ *is* $c_{t-1}$, and the total
    derivative over any number of steps is the identity, exactly:"""
    ran = "autograd through 30 closed steps, four units"
    return equal(found[0], np.eye(4), ran, rtol=0)


@claim(on=lambda: across(0.95)[0], planted=[lambda _: across()[0]])
def gate_open_is_not(jacobian: Numbers) -> Finding:
    """In the open phase it is not the identity."""
    ran = "how far dc_T/dc_0 lies from the identity, 30 open steps, four units"
    return above(float(np.linalg.norm(jacobian - np.eye(4))), 0.1, ran)


@claim(on=across, planted=[lambda _: across(0.95)])
def gate_closed_learns_nothing(found: tuple[Numbers, Numbers]) -> Finding:
    """The derivative is the identity while nothing is taken up, and then nothing is
    learned from what is read either."""
    return equal(abs(found[1]).max(), 0, "the gradient of c_T by 30 inputs, closed")


# Slow events, and clocks on whole days


def rules(batches: int = 20, count: int = 1000) -> tuple[Numbers, Numbers]:
    """Return how often adding up and weighing are right, batch by batch."""
    draw = np.random.default_rng(0)
    adding, weighing = [], []
    for _ in range(batches):
        up = draw.integers(0, 2, count)
        since = np.arange(64)[:, None] - draw.integers(0, 57, count)
        height = ((since >= 0) & (since < 8)) * (2 * up - 1)
        values = height + draw.normal(size=(64, count))
        sums = np.cumsum(np.vstack([np.zeros(count), values]), axis=0)
        windows = sums[8:] - sums[:-8]  # log of the odds of each place, for each sign
        told = np.exp(windows).sum(0) > np.exp(-windows).sum(0)
        adding.append(np.mean((values.sum(0) > 0) == (up > 0)))
        weighing.append(np.mean(told == (up > 0)))
    return np.array(adding), np.array(weighing)


@claim(on=rules, planted=[swapped, lambda data: (data[0], data[0])])
def gate_weighing_beats_adding(right: Pair) -> Finding:
    """Adding up is right in …, the best rule in …."""
    adding, weighing = right
    return sign_test(weighing - adding, "20 batches of 1000 sequences, both rules")


def on_days(phase: str = "fmod") -> Numbers:
    """Return the gate on the days before a shift, by a phase made with a remainder."""
    days, s = torch.arange(1, 40.0).double(), 45.0
    phi = getattr(torch, phase)(days - s, 10.0) / 10
    return torch.where(phi <= 0.2, 5 * phi, (2 - 5 * phi).clamp(min=0)).numpy()


@claim(on=on_days, planted=[lambda _: on_days("remainder")])
def gate_fmod_goes_below(gate: Numbers) -> Finding:
    """For a unit whose shift is later, a gate goes below zero on some of the days
    before it:"""
    return below(gate.min(), 0, "the lowest gate on 39 days before the shift, day 45")


def learned_on_days(s: float = 0.0) -> Numbers:
    """Return the gradients of a phased LSTM by its weights."""
    X, H_0, C_0, *drawn = layer()
    days = torch.arange(1, 31.0).double()
    tau, shift, share = (torch.full((4,), v).double() for v in (5.0, s, 0.15))
    W_x, W_h, b = weights = [v.clone().requires_grad_() for v in drawn]
    H, _ = phased_lstm(X, days, H_0, C_0, W_x, W_h, b, tau, shift, share)
    return np.array(
        [g.abs().max().item() for g in torch.autograd.grad(H.sin().sum(), weights)]
    )


@claim(on=learned_on_days, planted=[lambda _: learned_on_days(0.5)])
def gate_asleep_learns_nothing(gradients: Numbers) -> Finding:
    """A unit whose clock is awake on none of the days gets no gradient for its
    weights."""
    ran = "the gradients by the weights, period 5, share 0.15, 30 whole days"
    return equal(gradients, np.zeros(3), ran)


# How long a cell lasts, and what is computed


def half_lives(plain: bool = False) -> tuple[Numbers, Numbers]:
    """Return how many times as long a cell lasts with a clock, by 2 / r_on, and f."""
    ratios, gates = [], []
    draw = np.random.default_rng(0)
    for T, r_on in ((10, 0.4), (20, 0.2), (20, 0.5), (40, 0.1)):
        t = torch.arange(1, T + 1).double()
        tau, s, share = (torch.tensor(v, dtype=torch.float64) for v in (T, 3, r_on))
        k = torch.ones(T).double() if plain else time_gate(t, tau, s, share)
        for f in (*draw.uniform(0.1, 0.9, 5), 0.99, 0.999):
            left = torch.log(1 - k * (1 - f)).sum().item() / T  # of the log, a step
            ratios.append(np.log(f) / left * r_on / 2)
            gates.append(f)
    return np.array(ratios), np.array(gates)


@claim(on=half_lives, planted=[lambda _: half_lives(plain=True), swapped])
def gate_lasts_longer(found: Pair) -> Finding:
    r"""So the clock makes a cell last at least $2 / r_{\mathrm{on}}$ times as long, and
    for $f$ near 1, where the two bounds are close to each other, hardly longer than
    that."""
    ratios, f = found
    ran = "how long a cell lasts, by that without a clock times 2 / r_on, four clocks"
    return every(
        above(ratios.min(), 1 - 1e-9, f"{ran}, 28 gates: the least"),
        below(ratios[f > 0.98].max(), 1.01, f"{ran}, f of 0.99 and 0.999"),
    )


def products(skip: bool = False) -> tuple[int, int]:
    """Count the operations in products of matrices, with a clock and without."""
    X, h, c, W_x, W_h, b = layer()
    t = torch.arange(1.0, len(X) + 1).double()
    tau, s, r_on = (torch.full((4,), v).double() for v in (20.0, 3.0, 0.2))
    if skip:  # what a program could do that leaves out closed steps
        X, t = X[:4], t[3:7]
    with FlopCounterMode(display=False) as clocked:
        phased_lstm(X, t, h, c, W_x, W_h, b, tau, s, r_on)
    with FlopCounterMode(display=False) as plain:
        lstm(layer()[0], h, c, W_x, W_h, b)
    return clocked.get_total_flops(), plain.get_total_flops()


@claim(on=products, planted=[lambda _: products(skip=True)])
def gate_saves_no_products(counted: tuple[int, int]) -> Finding:
    """And the additions and multiplications in the products by weights are … with the
    clock and … without: our program computes the proposals of all units at each step,
    those of closed gates too."""
    clocked, plain = counted
    return every(
        equal(clocked, plain, "operations in products, 30 steps, 4 units"),
        above(plain, 0, "operations counted"),
    )
