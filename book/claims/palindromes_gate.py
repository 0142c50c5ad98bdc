"""The palindrome report (Georgiou, 2018): the time gate and its table."""

from fractions import Fraction

import numpy as np
import torch

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    equal,
    every,
    judged,
    quoted,
    trial,
)
from rnn_companion.networks import time_gate
from rnn_companion.sentences.formulas import formula

from ._notes import PALINDROMES

RANGE = r", \quad t = 1, \dots, T"


@quoted(
    Quoted(
        "2-21",
        PALINDROMES,
        "2.1",
        "judged",
        where="8-time-gate#eq-gate-phi",
        needs="The gate would have to have a parameter of that name.",
        right="It is $s = 3$, the shift, as in the report's own 2.3.",
    )
)
def sigma_is_s() -> Finding:
    r"""“which are initialized as $\tau = 10, \sigma = 3$ and $r_{on} = 0.4001$”"""
    return judged("a slip of the pen: with a shift of 3 its table comes out, see 2-22")


PHASES = [
    "0.8",
    "0.9",
    "0",
    "0.1",
    "0.2",
    "0.3",
    "0.4",
    "0.5",
    "0.6",
    "0.7",
    "0.8",
    "0.9",
    "0.0",
]


PRINTED = (0, 0, 0, 0.5, 1, 0.5, 0, 0, 0, 0, 0, 0, 0)


RISING, FALLING = {3, 4, 5, 13}, {6, 7}  # where the two columns say True


OPEN = Fraction(4001, 10000)


Table = list[tuple[Fraction, bool, bool]]


def exact_table(shift: int = 3) -> Table:
    """Compute the phases and the two columns of table 1 in fractions."""
    phases = [Fraction(t - shift, 10) % 1 for t in range(1, 14)]
    return [(phi, phi < OPEN / 2, OPEN > phi > OPEN / 2) for phi in phases]


def late(_: Table) -> Table:
    """Plant a falsehood: a clock that is one step late."""
    return exact_table(shift=4)


@quoted(
    Quoted(
        "2-22",
        PALINDROMES,
        "table 1",
        "holds",
        where="8-time-gate#eq-gate-phi",
        needs="All 13 phases and both columns of truth values would have to be exact.",
        right="They are, with $\\phi_t = ((t - s) \\bmod \\tau) / \\tau$.",
    ),
    on=exact_table,
    planted=[late],
)
def phases(table: Table) -> Finding:
    """“Table 1: Toy example for gate”: the phases, and which of the two conditions holds"""
    wrong = sum(
        row != (Fraction(printed), t in RISING, t in FALLING)
        for t, (row, printed) in enumerate(zip(table, PHASES, strict=True), start=1)
    )
    return below(wrong, 1, "39 entries in exact fractions: rows that differ")


def exact_gate() -> list[Fraction]:
    """Compute the gate of table 1 in fractions."""
    return [
        2 * phi / OPEN if rising else 2 - 2 * phi / OPEN if falling else Fraction(0)
        for phi, rising, falling in exact_table()
    ]


def one_step_late(gate: list[Fraction]) -> list[Fraction]:
    """Plant a falsehood: a gate that is one step late."""
    return [gate[-1], *gate[:-1]]


@quoted(
    Quoted(
        "2-23",
        PALINDROMES,
        "table 1",
        "holds",
        where="8-time-gate#eq-gate-k",
        needs="All 13 values would have to be right to the digit printed.",
        right="They are. Unrounded, the gate is at 0.4999, 0.9998 and 0.5004 in the "
        "middle of its open phase, and at $t = 7$ it is still open a little, to 0.0005.",
    ),
    on=exact_gate,
    planted=[one_step_late],
)
def gate_values(gate: list[Fraction]) -> Finding:
    """“Table 1: Toy example for gate”: the values of the gate"""
    off = max(abs(float(k) - shown) for k, shown in zip(gate, PRINTED, strict=True))
    ran = "the gate in exact fractions: the largest difference from the 13 printed values, which have one digit"
    return below(off, 0.05, ran)


def at_the_middle() -> tuple[Fraction, Fraction, float]:
    """Return the gate at the middle of its open phase: strict, with <=, by torch."""
    phi, r_on = Fraction(1, 5), Fraction(2, 5)
    rising = 2 * phi / r_on
    falling = 2 - 2 * phi / r_on
    strict = rising if phi < r_on / 2 else falling if r_on > phi > r_on / 2 else 0
    closed = rising if phi <= r_on / 2 else falling if r_on >= phi > r_on / 2 else 0
    clock = (torch.tensor(v, dtype=torch.float64) for v in (10.0, 3.0, 0.4))
    tau, s, open_share = clock
    near = time_gate(
        torch.tensor(5 - 1e-9, dtype=torch.float64), tau, s, open_share
    ).item()
    return Fraction(strict), Fraction(closed), near


def exchanged(
    data: tuple[Fraction, Fraction, float],
) -> tuple[Fraction, Fraction, float]:
    """Plant a falsehood: the strict gate is the one that is open."""
    return data[1], data[0], data[2]


@quoted(
    Quoted(
        "2-24",
        PALINDROMES,
        "table 1",
        "wrong",
        where="8-time-gate#eq-gate-k",
        needs="No phase would have to fall on the middle of the open phase.",
        right="With $\\le$ in place of $<$ the two conditions meet. As printed the "
        "middle belongs to neither, and the gate is shut where it should be wide open; "
        "$r_{\\mathrm{on}} = 0.4001$ in place of 0.4 keeps the toy example away from it.",
    ),
    on=at_the_middle,
    planted=[exchanged],
)
def strict_inequalities(data: tuple[Fraction, Fraction, float]) -> Finding:
    r"""“$\phi^{(t)} < \frac{r_{on}}{2}$” and “$r_{on} > \phi^{(t)} > \frac{r_{on}}{2}$”, and otherwise closed"""
    strict, closed, near = data
    ran = "the gate with an open share of 0.4 at t = 5, in exact fractions, against torch's just before it"
    return trial(
        equal(float(strict), near, ran, rtol=1e-6),
        equal(float(closed), near, ran, rtol=1e-6),
    )


update = formula(
    Quoted(
        "2-25",
        PALINDROMES,
        "2.2",
        "holds",
        where="8-time-gate#eq-gate-c",
        needs="The cell would have to go from its old value to the proposed one, as far as the gate is open.",
        right="Right, and half of it: $h_t$ is updated in the same way, and the "
        "proposals are a whole LSTM step.",
    ),
    "“Update equation:”",
    said=(said := r"c_t = k_t \odot \tilde{c}_t + (1 - k_t) \odot c_{t-1}" + RANGE),
    right=said,
    world="phased",
)


def left_alone() -> np.ndarray:
    """Count, for rising periods, the longest stretch of steps with the gate shut."""
    found = []
    for period in (5, 10, 20, 40):
        longest = run = 0
        for t in range(1, 4 * period):
            shut = Fraction(t - 3, period) % 1 >= OPEN
            run = run + 1 if shut else 0
            longest = max(longest, run)
        found.append(longest)
    return np.array(found)


def periods_exchanged(stretches: np.ndarray) -> np.ndarray:
    """Plant a falsehood: long periods with short stretches."""
    return stretches[::-1]


@quoted(
    Quoted(
        "2-35",
        PALINDROMES,
        "2.2",
        "holds",
        where="8-time-gate#eq-gate-path",
        needs="With a longer period a cell would have to be left alone for longer.",
        right=r"For $(1 - r_{\mathrm{on}}) \tau$ at a time. The memory does not reach "
        "beyond an open phase in which the gate opens fully: there the cell is overwritten.",
    ),
    on=left_alone,
    planted=[periods_exchanged],
)
def longer_memory(stretches: np.ndarray) -> Finding:
    """“you can achieve a longer and adjustable memory length through τ”"""
    ran = "longest stretches of steps with the toy gate shut, at periods of 5, 10, 20 and 40: the least growth from one to the next"
    return above(np.diff(stretches).min(), 0, ran)


def two_phases() -> list[Fraction]:
    """Return the gate at steps 3 to 7."""
    return exact_gate()[2:7]


def turned(gate: list[Fraction]) -> list[Fraction]:
    """Plant a falsehood: a gate that first closes and then opens."""
    return [1 - k for k in gate]


@quoted(
    Quoted(
        "2-25b",
        PALINDROMES,
        "2.2",
        "holds",
        where="8-time-gate#eq-gate-k",
        needs="The gate would have to rise from step 3 to step 5, and to fall from there to step 7.",
    ),
    on=two_phases,
    planted=[turned],
)
def rises_and_falls(gate: list[Fraction]) -> Finding:
    """“values go from 0 to 1 (timesteps 3-5 in figure 5), then it follows the phase that decreasing the influence of the current state”"""
    change = np.diff([float(k) for k in gate])
    ran = "the toy gate in exact fractions, steps 3 to 7: "
    return every(
        above(change[:2].min(), 0, ran + "its least rise up to step 5"),
        below(change[2:].max(), 0, ran + "its least fall from there"),
    )
