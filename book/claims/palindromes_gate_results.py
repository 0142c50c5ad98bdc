"""The palindrome report (Georgiou, 2018): what it expects of the time gate."""

import numpy as np
import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.claims import (
    Finding,
    Quoted,
    equal,
    holds_if,
    quoted,
    swapped,
    undecided,
)

from ._notes import PALINDROMES


def clock(n: int, *values: float) -> tuple[Tensor, Tensor, Tensor]:
    """Give n units one clock: period, shift and open share."""
    tau, s, r_on = (torch.full((n,), v, dtype=torch.float64) for v in values)
    return tau, s, r_on


def toy_gate(alpha: float = 0.0) -> np.ndarray:
    """Run an LSTM behind the report's toy gate; how far its cell moves at each step."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    n, T = 4, 13
    times = torch.arange(1, T + 1, dtype=torch.float64)
    weights = draw(4 * n, 2), draw(4 * n, n), draw(4 * n)
    start = draw(1, n)
    _, C = networks.phased_lstm(
        draw(T, 1, 2),
        times,
        draw(1, n),
        start,
        *weights,
        *clock(n, 10.0, 3.0, 0.4001),
        alpha,
    )
    moves: np.ndarray = torch.cat([start[None], C]).diff(dim=0).norm(dim=(1, 2)).numpy()
    return moves


def leaking(_: np.ndarray) -> np.ndarray:
    """Plant a falsehood: a gate that leaks."""
    return toy_gate(alpha=0.001)


@quoted(
    Quoted(
        "2-34",
        PALINDROMES,
        "2.2",
        "holds",
        where="8-time-gate#eq-gate-c",
        needs="The cell would have to stand still at the steps at which the gate is closed.",
        right="Counted are changes of a unit's state, at 4 of the 13 steps of the toy "
        "example. With a leak there is a small one at every closed step too. And it is "
        "not less *work*: the LSTM step that the gate then discards is computed anyway.",
    ),
    on=toy_gate,
    planted=[leaking],
)
def fewer_update_steps(moves: np.ndarray) -> Finding:
    """“the units only update during the open phase time instead of every step, thus we'll get fewer update steps”"""
    moved = [t for t, size in enumerate(moves, start=1) if size > 0]
    ran = "an LSTM behind the toy gate, 13 steps: those at which its cell moves"
    return equal(moved, [4, 5, 6, 7], ran)


def jacobians() -> tuple[Tensor, Tensor]:
    """Return dc_T/dc_0 over 24 steps with the gate closed, and with it open."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    n, T = 4, 24
    weights = 0.8 * draw(4 * n, 1), 0.8 * draw(4 * n, n), 0.8 * draw(4 * n)
    X, H_0, C_0 = draw(T, 1, 1), 0.5 * draw(1, n), 0.5 * draw(1, n)
    found = []
    for phase in (0.7, 0.25):
        times = torch.full((T,), phase, dtype=torch.float64)

        def last(C_0: Tensor, times: Tensor = times) -> Tensor:
            set_to = clock(n, 1.0, 0.0, 0.5)
            return networks.phased_lstm(X, times, H_0, C_0, *weights, *set_to)[1][-1, 0]

        found.append(torch.autograd.functional.jacobian(last, C_0)[:, 0])
    return found[0], found[1]


@quoted(
    Quoted(
        "2-26",
        PALINDROMES,
        "2.2",
        "holds if",
        where="8-time-gate#eq-gate-closed",
        needs="The derivative of a cell state by an earlier one would have to be the identity.",
        right="It is the identity over steps at which all gates are closed, without "
        "leak. Over open steps it is not, and while nothing is taken up nothing is "
        "learned from what is read either.",
    ),
    on=jacobians,
    planted=[swapped],
)
def undecayed(data: tuple[Tensor, Tensor]) -> Finding:
    """“in that way it allows an undecayed gradient to be backpropagated”"""
    closed, wide = data
    one = torch.eye(len(closed), dtype=torch.float64)
    ran = "derivative of the cell by itself over 24 steps, against the identity"
    return holds_if(
        "all gates on the way are closed, without leak",
        equal(closed, one, ran),
        equal(wide, one, ran),
    )


@quoted(
    Quoted(
        "2-26b",
        PALINDROMES,
        "2.2",
        "cannot be decided",
        where="8-time-gate",
        needs="Trained on the report's task, with and without the gate, the gated cell "
        "would have to be there in fewer steps.",
        right="A gradient that lasts does not make training faster by itself. In the "
        "trials of chapter 8, three seeds each, a slow clock saves steps where the "
        "times of the events are known; in the other two a plain LSTM with forget "
        "biases spread out does as well or better.",
    ),
)
def converges_faster() -> Finding:
    """“thus our model converges faster”"""
    return undecided(
        "the report shows no training of this cell, and which task and which clock are meant is not said; "
        "in the trials of chapter 8 it depends on both"
    )


Sides = tuple[np.ndarray, np.ndarray]  # slopes from the left and from the right


def slopes(phases: np.ndarray) -> Sides:
    """Return the gate's slopes by s at phases, from either side."""
    small, times = 1e-6, torch.tensor(10 * phases + 3)

    def gate(shift: float) -> Tensor:
        return networks.time_gate(times, *clock(1, 10.0, shift, 0.4), 0.001)

    here = gate(3.0)
    left, right = ((gate(3.0 + d) - here) / d for d in (-small, small))
    return left.numpy(), right.numpy()


def away_and_at_edges() -> tuple[Sides, Sides]:
    """Return slopes away from the edges of the phases, and at them."""
    drawn = np.random.default_rng(0).uniform(size=200)
    edges = np.array([0.0, 0.2, 0.4, 1.0])
    away = drawn[np.abs(drawn[:, None] - edges).min(1) > 1e-3]
    return slopes(away), slopes(edges[:3])


@quoted(
    Quoted(
        "2-27",
        PALINDROMES,
        "2.3",
        "holds if",
        where="8-time-gate#eq-gate-chain",
        needs="The gate would have to have a derivative by each of the three wherever the clock stands.",
        right="Almost everywhere: not at the middle of the open phase, nor where it "
        "begins and ends. In the closed phase the derivatives by $\\tau$ and $s$ are "
        "zero without a leak, which the report's gate does not have, and that by "
        "$r_{\\mathrm{on}}$ in any case. And a learned period has to stay positive, a "
        "learned share between 0 and 1.",
        left_out="The three names, $\\tau$, $s$ and $r_{\\mathrm{on}}$.",
    ),
    on=away_and_at_edges,
    planted=[swapped],
)
def differentiable(data: tuple[Sides, Sides]) -> Finding:
    """“The parameters that can be learned during training are […] because they're all differentiable.”"""
    away, edges = data
    ran = "slopes of the gate by the shift from the left, against those from the right"
    return holds_if(
        "the phase is not at an edge, 0, half the open share or the open share",
        equal(*away, ran, rtol=1e-5),
        equal(*edges, ran, rtol=1e-5),
    )
