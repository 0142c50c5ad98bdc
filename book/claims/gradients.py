"""Claims of chapter 3: the product of Jacobians, its bounds and its powers."""

from functools import cache

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnn_companion import gradients
from rnn_companion.claims import (
    Finding,
    above,
    below,
    claim,
    equal,
    every,
)
from rnn_companion.gradients import Drive, norm_against_lag, starting_matrix

from ._gradients import SEEDS, generator, two_shifts


def norm(M: Tensor) -> float:
    return float(torch.linalg.matrix_norm(M, 2))


def power_norm(M: Tensor, n: int) -> float:
    return norm(torch.linalg.matrix_power(M, n))


# A product of Jacobians


def operations() -> np.ndarray:
    """Count the operations for all lags of 20, 40 and 60 steps."""
    counts = []
    for length in (20, 40, 60):
        J = gradients.jacobians(*Drive(hidden_size=8, length=length).make())
        with FlopCounterMode(display=False) as counter:
            gradients.products(J)
        counts.append(counter.get_total_flops())
    return np.array(counts, dtype=float)


def anew(counts: np.ndarray) -> np.ndarray:
    """Multiply anew for every lag: twice the length, four times the work."""
    return counts * [1, 2, 3]


@claim(on=operations, planted=[anew])
def gradients_cost_linear(counts: np.ndarray) -> Finding:
    """The product at all lags of a sequence of 100 steps takes … million operations
    with 32 units, for 200 steps … times as many: the cost is linear in the length,
    because each product is made from the one before.
    """
    steps = np.diff(counts)
    ran = "operations that torch counts for all lags of 20, 40 and 60 steps"
    return equal(steps[1], steps[0], f"{ran}: what 20 more steps add")


# One unit


def long_products() -> dict[str, float]:
    """Multiply many factors."""
    j = np.arange(2, 100_000, dtype=float)
    return {
        "below by a margin": 0.9**2000,
        "above by a margin": 1.1**2000,
        "below without": float(np.exp(np.log1p(-1 / j**2).sum())),
        "negative": abs((-0.9) ** 2000),
    }


def no_margin(found: dict[str, float]) -> dict[str, float]:
    """Let factors that approach one vanish as well."""
    return found | {"below without": found["below by a margin"]}


@claim(on=long_products, planted=[no_margin])
def gradients_margin(found: dict[str, float]) -> Finding:
    """Here the usual sentence is nearly right, *the product vanishes if the factors are
    below one and explodes if they are above*: it holds for the sizes of the factors,
    and if they stay away from one by a margin (the factors $1 - 1/j^2$ for $j = 2, 3,
    \\dots$ are all below one, and their product tends to one half).
    """
    return every(
        below(found["below by a margin"], 1e-50, "2000 factors of 0.9"),
        below(found["negative"], 1e-50, "2000 factors of -0.9"),
        above(found["above by a margin"], 1e50, "2000 factors of 1.1"),
        equal(found["below without"], 0.5, "the factors 1 - 1/j^2 to j = 10^5", 1e-4),
    )


def unit(w: float, start: float, steps: int, noise: float = 0.0) -> tuple[float, float]:
    """Run one unit: its last state, and the derivative by its first, by autograd."""
    first = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    h, draws = first, noise * torch.randn(steps, generator=generator(1))
    for x in draws:
        h = torch.tanh(w * h + x)
    return float(h.detach()), float(torch.autograd.grad(h, first)[0])


def small_weights() -> np.ndarray:
    """Take the derivative over 200 steps at weights from -0.95 to 0.95, and at 1.05."""
    weights = (-0.95, -0.5, 0.5, 0.95)
    driven = [abs(unit(w, 0.3, 200, 0.5)[1]) for w in weights]
    silent = [abs(unit(w, 0.0, 200)[1]) for w in (*weights, 1.05)]
    return np.array(driven + silent)


@claim(on=small_weights, planted=[lambda found: found[::-1]])
def gradients_one_unit_vanishes(found: np.ndarray) -> Finding:
    """With tanh a factor is at most $|w|$ in size, so for $|w| < 1$ the product
    vanishes.
    """
    ran = "one unit over 200 steps, four weights, with inputs and without"
    return every(
        below(found[:-1].max(), 0.96**200, f"{ran}: the largest derivative"),
        above(found[-1], 1, "the same at w = 1.05 without inputs"),
    )


def rests(w: float = 1.5) -> np.ndarray:
    """Let the unit run from many starts, and say where it comes to rest."""
    starts = np.array([-2, -0.5, -0.01, 0.01, 0.3, 1.5])
    return np.array([starts, [unit(w, s, 200)[0] for s in starts]])


@claim(on=rests, planted=[lambda found: rests(0.9), lambda found: found * [[1], [-1]]])
def gradients_one_bit(found: np.ndarray) -> Finding:
    r"""Such a unit can keep one bit: without input, and from any $h_0 \ne 0$, it comes
    to rest at one of two points, $\pm h_\star$, where $h_\star > 0$ solves
    """
    starts, ends = found
    h = sp.Symbol("h")
    at = float(sp.nsolve(sp.tanh(1.5 * h) - h, h, 0.9))
    return equal(
        ends, np.sign(starts) * at, "a unit with w = 1.5, six starts, 200 steps"
    )


def held_bits() -> np.ndarray:
    """Differentiate over 200 steps where a bit is held, and at zero, where none is."""
    held = [abs(unit(w, 0.9, 200)[1]) for w in (1.2, 1.5, 3.0)]
    return np.array([*held, abs(unit(1.2, 0.0, 200)[1])])


@claim(on=held_bits, planted=[lambda found: found[::-1]])
def gradients_latch_vanishes(found: np.ndarray) -> Finding:
    """*Where such a unit holds its bit, its gradient vanishes.*"""
    ran = "one unit over 200 steps"
    return every(
        below(found[:3].max(), 1e-20, f"{ran}, w = 1.2, 1.5 and 3, at rest"),
        above(found[3], 1e6, f"{ran}, w = 1.2, at zero"),
    )


# Many units


def driven(W: Tensor, steps: int, scale: float, seed: int = 0) -> tuple[float, float]:
    """Run units with this W_hh: the norm over all steps, and gamma times sigma."""
    cell = nn.RNNCell(len(W), len(W), dtype=torch.float64)
    with torch.no_grad():
        for p in cell.parameters():
            p.zero_()
        cell.weight_hh.copy_(W)
        cell.weight_ih.copy_(scale * torch.eye(len(W)))
    X = torch.randn(steps, len(W), generator=generator(seed), dtype=torch.float64)
    J = gradients.jacobians(cell, X)
    largest = float((J.norm(dim=2) / W.norm(dim=1)).max())  # gamma, row by row
    return float(norm_against_lag(J, [steps])[0]), largest * norm(W)


def attained(start: str = "orthogonal") -> np.ndarray:
    """Pair the norm over ten steps with the bound, units at zero, three radii."""
    rows = []
    for radius in (0.7, 1.0, 1.6):
        W = starting_matrix(start, 6, radius, generator())
        found, base = driven(W, 10, 0.0)
        rows.append([found, base**10])
    return np.array(rows)


@claim(on=attained, planted=[lambda rows: attained("gaussian")])
def gradients_bound_attained(rows: np.ndarray) -> Finding:
    """The bound cannot be improved: where $W_{hh}$ is a multiple of an orthogonal matrix
    and the slopes are equal, it is attained.
    """
    ran = "six units at zero, ten steps, multiples of an orthogonal matrix"
    return equal(rows[:, 0], rows[:, 1], ran)


@cache
def random_runs() -> np.ndarray:
    """Drive random matrices of several norms over 200 steps: norm, gamma sigma."""
    rows = []
    for seed in SEEDS:
        W = torch.randn(8, 8, generator=generator(seed), dtype=torch.float64)
        sizes = (0.5, 0.9, 1.02, 1.3, 2.5)
        rows += [driven(s * W / norm(W), 200, 0.1, seed) for s in sizes]
        rows.append(driven(1.2 * W / gradients.spectral_radius(W), 200, 0.0))
    return np.array(rows)


def exchanged_norms(rows: np.ndarray) -> np.ndarray:
    """Give the smallest bases the largest norms."""
    order = np.argsort(rows[:, 1])
    return np.stack([np.sort(rows[:, 0])[::-1], rows[order, 1]], 1)


@claim(on=random_runs, planted=[exchanged_norms])
def gradients_sufficient(rows: np.ndarray) -> Finding:
    r"""$\gamma \sigma_{\max} < 1$ is **sufficient** for the gradient to vanish."""
    small = rows[rows[:, 1] < 1]
    ran = f"{len(small)} networks whose base is below one, 200 steps: the largest norm"
    return below(small[:, 0].max(), 1e-6, ran)


def none_vanish(rows: np.ndarray) -> np.ndarray:
    """Let each network whose base is above one explode."""
    norms = np.where(rows[:, 1] > 1, 1e9, rows[:, 0])
    return np.stack([norms, rows[:, 1]], 1)


@claim(on=random_runs, planted=[exchanged_norms, none_vanish])
def gradients_necessary(rows: np.ndarray) -> Finding:
    r"""$\gamma \sigma_{\max} > 1$ is **necessary** for it to explode, *and not
    sufficient*.
    """
    exploded, above_one = rows[rows[:, 0] > 1e3], rows[rows[:, 1] > 1]
    ran = f"{len(rows)} networks, 200 steps"
    return every(
        above(len(exploded), 0, f"{ran}: how many explode"),
        above(
            exploded[:, 1].min(initial=9), 1, f"{ran}: the least base of one that does"
        ),
        below(
            above_one[:, 0].min(), 1e-6, f"{ran}: the least norm with a base above one"
        ),
    )


def long_powers() -> Tensor:
    """Take the 600th power of random matrices scaled to radius 1.1 and 0.9."""
    found = []
    for seed in SEEDS:
        W = starting_matrix("gaussian", 8, 1.0, generator(seed))
        found.append([power_norm(r * W, 600) for r in (1.1, 0.9)])
    return torch.tensor(found, dtype=torch.float64)


@claim(on=long_powers, planted=[lambda found: found.flip(1)])
def gradients_radius_wins(found: Tensor) -> Finding:
    r"""So in a linear network the product grows without bound if $\rho > 1$ and tends to
    zero if $\rho < 1$, after however many steps.
    """
    ran = f"the 600th power of {len(found)} random matrices"
    return every(
        above(float(found[:, 0].min()), 1e20, f"{ran} of radius 1.1"),
        below(float(found[:, 1].max()), 1e-20, f"{ran} of radius 0.9"),
    )


def upper_entries() -> np.ndarray:
    """Follow the upper entry of the powers of the smallest example."""
    rows = []
    for lam, c in ((0.4, 1000.0), (-0.4, 1000.0), (0.9, 5.0)):
        M = torch.tensor([[lam, c], [0.0, lam]], dtype=torch.float64)
        entries = [
            abs(float(torch.linalg.matrix_power(M, n)[0, 1])) for n in range(400)
        ]
        rows.append([max(entries), entries[-1]])
    return np.array(rows)


@claim(on=upper_entries, planted=[lambda rows: rows[:, ::-1]])
def gradients_exceeds_before(rows: np.ndarray) -> Finding:
    r"""where $n \lambda^{n-1} \nu$ exceeds one for large $\nu$ before it decays, even if $0 < |\lambda| < 1$."""
    ran = "the upper entry of 400 powers, lambda = 0.4, -0.4 and 0.9"
    return every(
        above(rows[:, 0].min(), 1, f"{ran}: the largest"),
        below(rows[:, 1].max(), 1e-10, f"{ran}: the last"),
    )


def misleading() -> dict[str, Tensor]:
    """Build the three matrices, and an ordinary one of norm 0.9."""
    small = torch.randn(4, 4, generator=generator(), dtype=torch.float64)
    return {
        "small entries": torch.full((4, 4), 0.9, dtype=torch.float64),
        "large entries": torch.full((3,), 2.0, dtype=torch.float64).diag(1),
        "large norm": torch.tensor([[0.5, 5.0], [0.0, 0.5]], dtype=torch.float64),
        "small norm": 0.9 * small / norm(small),
    }


def as_they_look(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let small entries vanish and large ones explode."""
    exchanged = {"small entries": "large entries", "large entries": "small entries"}
    return {name: found[exchanged.get(name, name)] for name in found}


@claim(on=misleading, planted=[as_they_look])
def gradients_entries_do_not_decide(found: dict[str, Tensor]) -> Finding:
    """For matrices, neither the size of the entries decides nor a norm above one (a norm
    that stays below one by a margin does: {eq}`eq-grad-bound`).
    """
    at = {name: power_norm(M, 50) for name, M in found.items()}
    return every(
        above(at["small entries"], 1e10, "the 50th power, entries of 0.9"),
        below(at["large entries"], 1e-10, "the 50th power, entries of 2 and 0"),
        below(at["large norm"], 1e-10, "the 50th power of a matrix of norm 5"),
        below(at["small norm"], 0.9**49, "the 50th power of a matrix of norm 0.9"),
    )


@claim(on=two_shifts, planted=[lambda pair: (pair[0], pair[0])])
def gradients_radii_do_not_decide(pair: tuple[Tensor, Tensor]) -> Finding:
    r"""In a real network the Jacobians differ from step to step, and then not even the spectral radius of each of them decides: $M_2$ and $M_2^\top$ have spectral radius 0, their product has …."""
    radii = [gradients.spectral_radius(M) for M in pair]
    return every(
        below(max(radii), 1e-12, "the spectral radius of each"),
        above(gradients.spectral_radius(pair[0] @ pair[1]), 1, "that of their product"),
    )
