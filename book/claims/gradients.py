"""The claims of chapter 3."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.utils.flop_counter import FlopCounterMode

from rnn_companion import Experiment, gradients, load_prices, truncation
from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    negated,
    sign_test,
    swapped,
)
from rnn_companion.forecasting.experiment import fit_side_by_side
from rnn_companion.gradients import Drive, bptt, norm_against_lag, starting_matrix
from rnn_companion.tasks import watch
from rnn_companion.tasks.watch import Lesson

SEEDS = range(6)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


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


def two_shifts() -> tuple[Tensor, Tensor]:
    """Build N and its transpose."""
    N = torch.full((3,), 2.0, dtype=torch.float64).diag(1)
    return N, N.T


@claim(on=two_shifts, planted=[lambda pair: (pair[0], pair[0])])
def gradients_radii_do_not_decide(pair: tuple[Tensor, Tensor]) -> Finding:
    r"""In a real network the Jacobians differ from step to step, and then not even the spectral radius of each of them decides: $M_2$ and $M_2^\top$ have spectral radius 0, their product has …."""
    radii = [gradients.spectral_radius(M) for M in pair]
    return every(
        below(max(radii), 1e-12, "the spectral radius of each"),
        above(gradients.spectral_radius(pair[0] @ pair[1]), 1, "that of their product"),
    )


# Measured


def reach_by_inputs() -> np.ndarray:
    """Take the log norm at lag 50 without and with inputs, a row a seed."""
    drives = (
        [Drive(radius=1.2, input_scale=s, seed=seed) for s in (0.0, 1.0)]
        for seed in SEEDS
    )
    return np.array([[float(d.norms()[-1].log10()) for d in row] for row in drives])


@claim(on=reach_by_inputs, planted=[lambda rows: rows[:, ::-1]])
def gradients_saturated(rows: np.ndarray) -> Finding:
    """With inputs they are pushed up the flanks of tanh: it **saturates**, the slopes
    shrink, and the same matrix reaches less far.
    """
    ran = "six random networks of radius 1.2: by how many powers of ten the norm falls"
    return sign_test(rows[:, 0] - rows[:, 1], ran)


# What replaces the spectral radius


def exponents() -> np.ndarray:
    """Take the largest exponent over ln rho, a row a radius and seed: without, with."""
    rows = []
    for radius in (0.5, 1.0, 1.5, 2.0):
        for seed in SEEDS:
            made = Drive(radius=radius, length=100, hidden_size=16, seed=seed)
            drives = [replace(made, input_scale=s) for s in (0.0, 0.3, 1.0)]
            J = [gradients.jacobians(*drive.make()) for drive in drives]
            found = [float(gradients.lyapunov_exponents(j)[0]) for j in J]
            rows.append([e - math.log(radius) for e in found])
    return np.array(rows)


@claim(on=exponents, planted=[negated])
def gradients_exponent_below(rows: np.ndarray) -> Finding:
    r"""With inputs it lies below $\ln \rho$ in each of these networks."""
    ran = "24 networks of 16 units, four radii, 100 steps: the exponent less ln rho"
    return every(
        below(rows[:, 1:].max(), 0, f"{ran}, inputs of scale 0.3 and 1"),
        below(np.abs(rows[:, 0]).max(), 0.1, f"{ran}, no inputs, in size"),
        sign_test(rows[:, 0] - rows[:, 1], f"{ran}: what inputs take away"),
    )


def exponent_in_turn() -> tuple[float, float]:
    """Take the largest exponent of N and its transpose in turn, and of N alone."""
    N, other = two_shifts()
    turns = [torch.stack(pair * 20) for pair in ([N, other], [N, N])]
    first, alone = (float(norm_against_lag(J, [40])[0].log() / 40) for J in turns)
    return first, alone


@claim(on=exponent_in_turn, planted=[swapped])
def gradients_exponent_above(found: tuple[float, float]) -> Finding:
    r"""It need not lie below: $M_2$ and $M_2^\top$ in turn have the exponent …, that is $\ln 2$, and spectral radii of zero."""
    radii = [gradients.spectral_radius(M) for M in two_shifts()]
    return every(
        equal(found[0], math.log(2), "N and its transpose in turn, 40 steps"),
        below(max(radii), 1e-12, "the spectral radius of each"),
    )


# Gated cells


@cache
def reach_by_cell() -> np.ndarray:
    """Take the log norm at lag 30, a row a seed: tanh, LSTM, LSTM with bias 2, GRU."""
    kinds: list[dict[str, str | float]] = [
        {"cell": "rnn"},
        {"cell": "lstm"},
        {"cell": "lstm", "forget_bias": 2.0},
        {"cell": "gru"},
    ]
    same = Drive(hidden_size=16, length=30)
    drives = [[replace(same, seed=s, **kind) for kind in kinds] for s in SEEDS]  # type: ignore[arg-type]
    return np.array([[float(d.norms()[-1].log10()) for d in row] for row in drives])


@claim(on=reach_by_cell, planted=[negated])
def gradients_gate_alone(rows: np.ndarray) -> Finding:
    """A gate does not save the gradient by itself."""
    ran = "six seeds, 16 units, radius 1, lag 30: powers of ten of tanh over LSTM"
    return sign_test(rows[:, 0] - rows[:, 1], ran)


@claim(on=reach_by_cell, planted=[negated])
def gradients_gate_opened(rows: np.ndarray) -> Finding:
    """With a forget bias of 2, the LSTM has …: the gate has to *be* opened."""
    ran = "six seeds, 16 units, radius 1, lag 30: powers of ten of forget bias 2 over 0"
    return sign_test(rows[:, 2] - rows[:, 1], ran)


# On real prices


def first_norms() -> np.ndarray:
    """Take the gradient of W_hh before training, a row a seed: 3, 7, 50, 100 days."""
    rows, prices = [], load_prices()
    for seed in SEEDS:
        norms = []
        for days in (3, 7, 50, 100):
            made = Experiment(
                configuration="many-to-many-aligned",
                length=days,
                hidden_size=32,
                seed=seed,
            )
            model, windows = made.model(), made.split(prices).training
            some = windows[torch.arange(0, len(windows), 100)]
            mse_loss(model(some.inputs), some.targets).backward()
            gradient = model.get_parameter(watch.RECURRENT).grad
            norms.append(float(gradient.norm()) if gradient is not None else np.nan)
        rows.append(norms)
    return np.array(rows)


def in_proportion(rows: np.ndarray) -> np.ndarray:
    """Let the gradient grow with the length."""
    return rows[:, :1] * [1, 7 / 3, 50 / 3, 100 / 3]


@claim(on=first_norms, planted=[in_proportion, lambda rows: rows[:, ::-1]])
def gradients_norm_saturates(rows: np.ndarray) -> Finding:
    """It grows at first, and then **saturates**."""
    ran = "gradients of W_hh on prices, six seeds, 32 units"
    slowing = np.log(rows[:, 1] / rows[:, 0]) - 2 * np.log(rows[:, 3] / rows[:, 2])
    return every(
        sign_test(rows[:, 1] - rows[:, 0], f"{ran}: 7 days over 3"),
        sign_test(slowing, f"{ran}: 7 days over 3, against 100 over 50 twice (logs)"),
    )


def trained_reaches() -> Tensor:
    """Train six networks of 16 units; the norm over 50 days, and over the first lag."""
    made = Experiment(
        configuration="many-to-many-aligned",
        length=50,
        hidden_size=16,
        epochs=2,
        batch_size=128,
        learning_rate=0.004,
    )
    prices = load_prices()
    fitted = fit_side_by_side(
        [replace(made, seed=s) for s in SEEDS], prices, device="cpu", progress=False
    )
    X = made.split(prices).training.inputs[:, ::500]
    rows = [watch.reach(model, X, device="cpu").max(0).values for model, _ in fitted]
    return torch.stack(rows)[:, [50, 1]]


@claim(on=trained_reaches, planted=[lambda found: found.flip(1)])
def gradients_six_agree(found: Tensor) -> Finding:
    """Six smaller networks, trained from six seeds on windows of 50 days, agree: of the
    first day less than a millionth is left.
    """
    ran = "six networks of 16 units after two epochs, three windows of prices"
    return every(
        below(float(found[:, 0].max()), 1e-6, f"{ran}: the largest norm over 50 days"),
        sign_test(-6 - found[:, 0].log10(), f"{ran}: powers of ten below a millionth"),
    )


def torchs_radii() -> Tensor:
    """Take the spectral radius of torch's own starts, 300 units."""
    found = []
    for seed in range(4):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = nn.RNN(1, 300)
        found.append(
            gradients.spectral_radius(module.get_parameter("weight_hh_l0").detach())
        )
    return torch.tensor(found)


@claim(on=torchs_radii, planted=[lambda radii: radii * 3**0.5])
def gradients_torchs_start(radii: Tensor) -> Finding:
    r"""It draws weights uniformly from $\pm 1/\sqrt{h}$, so their variance is $1/(3h)$,
    and a large matrix of independent entries with variance $v$ has spectral radius near
    $\sqrt{hv}$: $\sqrt{1/3} \approx …$ for large $h$ {cite}`geman1986`.
    """
    ran = "four starts of torch.nn.RNN with 300 units"
    return every(
        between(float(radii.min()), 0.51, 0.65, f"{ran}: the least spectral radius"),
        between(float(radii.max()), 0.51, 0.65, f"{ran}: the largest"),
    )


# Where gradients do explode


def first_lesson_norms() -> np.ndarray:
    """Take the log of the first gradient, a row a seed: 10 and 60 digits, two radii."""
    lessons = [
        [
            Lesson(length=n, radius=r, steps=1, hidden_size=32, batch_size=16, seed=s)
            for r in (2.0, 0.58)
            for n in (10, 60)
        ]
        for s in SEEDS
    ]
    return np.array(
        [
            [
                float(watch.watch_lesson(one, device="cpu")[1].total[0].log10())
                for one in row
            ]
            for row in lessons
        ]
    )


@claim(on=first_lesson_norms, planted=[lambda rows: rows[:, [2, 3, 0, 1]]])
def gradients_radius_two_explodes(rows: np.ndarray) -> Finding:
    """At radius 2 the norm explodes."""
    ran = "six starts of 32 units, 60 digits against 10"
    return every(
        sign_test(
            rows[:, 1] - rows[:, 0] - 1, f"{ran}: powers of ten beyond the first"
        ),
        below(np.abs(rows[:, 3] - rows[:, 2]).max(), 0.1, f"{ran}, radius 0.58"),
    )


def told_rightly() -> np.ndarray:
    """Train on palindromes of 10 digits, with and without clipping, a row a seed."""
    lesson = Lesson(
        length=10,
        hidden_size=32,
        radius=2.0,
        learning_rate=0.5,
        steps=25,
        batch_size=32,
    )
    rows = []
    for seed in SEEDS:
        pair = [replace(lesson, seed=seed, threshold=c) for c in (1.0, None)]
        models = [watch.watch_lesson(one, device="cpu")[0] for one in pair]
        rows.append([watch.accuracy(model, device="cpu") for model in models])
    return np.array(rows)


@claim(on=told_rightly, planted=[lambda rows: rows[:, ::-1]])
def gradients_clipping_tells_more(rows: np.ndarray) -> Finding:
    """On palindromes of 10 digits, read by 32 units at radius 2, six starts with
    clipping tell more than the same six without.
    """
    ran = "25 steps of gradient descent, six starts: share told rightly, the difference"
    return sign_test(rows[:, 0] - rows[:, 1], ran)


# The trial


def small_trial() -> np.ndarray:
    """Train on 10 digits at radius 2: plain, a tenth of the step, Adam; loss by seed."""
    made = Lesson(
        length=10,
        hidden_size=32,
        radius=2.0,
        learning_rate=0.5,
        steps=60,
        batch_size=32,
    )
    changes: list[dict[str, Any]] = [
        {},
        {"learning_rate": 0.05},
        {"optimizer": "adam", "learning_rate": 0.003},
    ]
    lessons = [replace(made, seed=s, **c) for s in SEEDS for c in changes]
    watched = watch.watch_lessons(lessons, device="cpu")
    shares = [watch.accuracy(model, device="cpu") for model, _ in watched]
    return np.array(shares).reshape(-1, 3)


@claim(on=small_trial, planted=[lambda rows: rows[:, [1, 0, 2]]])
def gradients_smaller_steps_too(rows: np.ndarray) -> Finding:
    """Shorter steps and Adam train such networks without clipping as well."""
    ran = "10 digits, radius 2, six starts, no clipping: share told rightly"
    return every(
        sign_test(
            rows[:, 1] - rows[:, 0], f"{ran}, a tenth of the step over the whole"
        ),
        sign_test(rows[:, 2] - rows[:, 0], f"{ran}, Adam over plain descent"),
        above(float(np.median(rows[:, 1:])), 0.5, f"{ran}, median of both"),
    )


def summed(start: str = "identity") -> tuple[Tensor, Tensor]:
    """Run a linear network without a bias, and with its inputs in another order."""
    W_hh = starting_matrix(start, 6, 1.0, generator(1))
    W_xh, X = torch.randn(2, 6, 6, generator=generator(2), dtype=torch.float64)
    ends = []
    for inputs in (X, X.flip(0)):
        h = torch.zeros(6, dtype=torch.float64)
        for x in inputs:
            h = W_hh @ h + W_xh @ x
        ends.append(h)
    return ends[0], ends[1]


@claim(on=summed, planted=[lambda _: summed("orthogonal")])
def gradients_identity_sum(pair: tuple[Tensor, Tensor]) -> Finding:
    """so that no digit is forgotten, but the sum does not say which came first."""
    return equal(*pair, "six inputs in one order and in the other: the last state")


# Remedies


def clipped_by_norm() -> tuple[Tensor, Tensor]:
    """Clip 50 long gradients at one."""
    g = 3 * torch.randn(50, 6, generator=generator(), dtype=torch.float64)
    return g, torch.stack([gradients.clip([row], 1.0)[0] for row in g])


def entry_by_entry(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Clip every entry at one instead."""
    return pair[0], pair[0].clamp(-1, 1)


@claim(on=clipped_by_norm, planted=[entry_by_entry])
def gradients_clipping_keeps_direction(pair: tuple[Tensor, Tensor]) -> Finding:
    """Clipping changes nothing but the length of the steps."""
    before, after = (g / g.norm(dim=1, keepdim=True) for g in pair)
    return equal(after, before, "directions of 50 gradients, clipped at 1 and not")


def lengthened() -> tuple[Tensor, Tensor]:
    """Clip gradients of many sizes: their norms before and after."""
    g = torch.randn(50, 4, generator=generator(), dtype=torch.float64)
    g = g * torch.logspace(-8, 3, 50, dtype=torch.float64)[:, None]
    clipped = torch.stack([gradients.clip([row], 1.0)[0] for row in g])
    return g.norm(dim=1), clipped.norm(dim=1)


def to_length_one(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Bring every gradient to the threshold, short ones too."""
    return pair[0], torch.ones_like(pair[1])


@claim(on=lengthened, planted=[to_length_one])
def gradients_clipping_lengthens_nothing(pair: tuple[Tensor, Tensor]) -> Finding:
    """It does nothing against vanishing: it lengthens no gradient."""
    ran = "50 gradients of norms from 1e-8 to 1e3, clipped at 1: the largest ratio"
    return below(float((pair[1] / pair[0]).max()), 1 + 1e-12, ran)


def decayed(factor: float = 0.97) -> tuple[Tensor, Tensor]:
    """Take the eigenvalues' sizes before and after a step of the penalty alone."""
    W = nn.Parameter(torch.randn(12, 12, generator=generator(), dtype=torch.float64))
    before = torch.linalg.eigvals(W.detach()).abs().sort().values
    optimizer = torch.optim.SGD([W], lr=0.1)
    ((1 - factor) / 0.1 / 2 * W.square().sum()).backward()
    optimizer.step()
    return before, torch.linalg.eigvals(W.detach()).abs().sort().values


@claim(on=decayed, planted=[swapped])
def gradients_l2_shrinks_radius(pair: tuple[Tensor, Tensor]) -> Finding:
    r"""The factor $1 - \eta \lambda$ of L2 shrinks every eigenvalue, and with them the
    spectral radius.
    """
    ran = (
        "12 units, one step of gradient descent on the penalty alone: the largest ratio"
    )
    return below(float((pair[1] / pair[0]).max()), 1, ran)


def shrunk_entries() -> tuple[np.ndarray, float]:
    """Shrink the entries of 100 random matrices, and of one of radius zero."""

    def change(W: Tensor, by: float) -> float:
        smaller = W.sign() * (W.abs() - by).clamp(min=0)
        return gradients.spectral_radius(W) - gradients.spectral_radius(smaller)

    draws = torch.randn(100, 8, 8, generator=generator(), dtype=torch.float64)
    cancels = torch.tensor([[2.0, 1.0], [-4.0, -2.0]], dtype=torch.float64)
    return np.array([change(W, 0.05) for W in draws]), change(cancels, 0.5)


@claim(
    on=shrunk_entries,
    planted=[lambda pair: (-pair[0], pair[1]), lambda pair: (pair[0], -pair[1])],
)
def gradients_l1_usually(pair: tuple[np.ndarray, float]) -> Finding:
    """L1 shrinks the entries; the spectral radius usually follows, but not always, as
    when the entries of a matrix of radius zero cancel:
    """
    ran = "100 random matrices, entries shrunk by .05: the fall of the radius"
    return every(
        sign_test(pair[0], ran),
        below(pair[1], -0.1, "the fall for a matrix of radius zero"),
    )


def forced(share: float = 1.0) -> float:
    """Replace units by targets, and differentiate the second state by the first."""
    h = torch.linspace(-0.5, 0.5, 6, dtype=torch.float64).requires_grad_()
    W = starting_matrix("orthogonal", 6, 1.0, generator())
    targets = torch.arange(6) < 6 * share
    entering = torch.where(targets, torch.full_like(h, 0.2), h)
    J = torch.stack(
        [
            torch.autograd.grad(o, h, retain_graph=True, allow_unused=True)[0]
            for o in torch.tanh(W @ entering)
        ]
    )
    return float(J.norm())


@claim(on=forced, planted=[lambda _: forced(0.5)])
def gradients_every_unit_forced(size: float) -> Finding:
    """If every unit has a target, the product is zero after one step: no gradient passes
    from one step to another.
    """
    return equal(size, 0, "six units, each replaced by a target: the derivative's norm")


# Truncation


@cache
def series() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Let six units read ten days of noise: what arrives, and what they did."""
    g, T, h = generator(2), 10, 6
    W_hh = starting_matrix("orthogonal", h, 1.0, g)
    W_xh = torch.randn(h, 1, generator=g, dtype=torch.float64) / 2
    X = torch.randn(T, 1, 1, generator=g, dtype=torch.float64)
    start = torch.randn(1, h, generator=g, dtype=torch.float64) / 2
    H = bptt.rnn_forward(X, start, W_xh, W_hh, 0 * start[0])
    G = torch.randn(T, 1, h, generator=g, dtype=torch.float64)
    return G, X, H, W_xh, W_hh


@cache
def whole_gradient() -> Tensor:
    """Let autograd find the gradient of W_hh."""
    G, X, H, W_xh, W_hh = series()
    W = W_hh.clone().requires_grad_()
    h, total = H[0], G.new_zeros(())
    for x, g in zip(X, G, strict=True):
        h = torch.tanh(x @ W_xh.T + h @ W.T)
        total = total + (g * h).sum()
    found: Tensor
    (found,) = torch.autograd.grad(total, W)
    return found


def missed(found: Tensor) -> float:
    right = whole_gradient()
    return float((found - right).norm() / right.norm())


def by_fixed_cuts() -> np.ndarray:
    """Cut at fixed places, with tau from 1 to 9: a row a strategy, and without a cut."""
    taus = range(1, 10)
    regular = [
        missed(
            truncation.truncated_backward(*series(), truncation.regular(10, tau)).W_hh
        )
        for tau in taus
    ]
    sliding = [missed(truncation.sliding_backward(*series(), tau).W_hh) for tau in taus]
    uncut = missed(truncation.sliding_backward(*series(), 10).W_hh)
    return np.array([regular, sliding, [uncut] * 9])


@claim(on=by_fixed_cuts, planted=[lambda rows: rows[::-1]])
def gradients_both_biased(rows: np.ndarray) -> Finding:
    """Both leave out paths, always the same ones, so both are **biased**."""
    ran = "ten steps, six units: the miss of the gradient"
    return every(
        above(rows[:2].min(), 1e-3, f"{ran}, tau from 1 to 9"),
        below(rows[2].max(), 1e-12, f"{ran}, tau = 10"),
    )


def by_parts(tau: int = 5) -> tuple[Tensor, Tensor]:
    """Take the gradient part by part with autograd, and with a zero every five steps."""
    G, X, H, W_xh, W_hh = series()
    W = W_hh.clone().requires_grad_()
    total = G.new_zeros(())
    for first in range(0, len(X), tau):
        h = H[first]
        for x, g in zip(X[first : first + tau], G[first : first + tau], strict=True):
            h = torch.tanh(x @ W_xh.T + h @ W.T)
            total = total + (g * h).sum()
    (right,) = torch.autograd.grad(total, W)
    weights = truncation.regular(10, 5)
    return truncation.truncated_backward(*series(), weights).W_hh, right


@claim(on=by_parts, planted=[lambda _: by_parts(2)])
def gradients_zero_every_tau(pair: tuple[Tensor, Tensor]) -> Finding:
    r"""A zero every $\tau$ steps: the regular one."""
    return equal(*pair, "autograd on two parts of five steps, detached from each other")


@cache
def means(pi: float = 0.6) -> dict[str, Tensor]:
    """Run all patterns of cuts: the mean with the weight and without, and the spread."""
    xi, probability = truncation.all_patterns(10, pi)

    def one(weights: Tensor) -> Tensor:
        return truncation.truncated_backward(*series(), weights).W_hh

    run: Callable[[Tensor], Tensor] = torch.func.vmap(one)
    found = run(xi)
    spread = torch.einsum("n,nij->", probability, (found - whole_gradient()).square())
    return {
        "with": torch.einsum("n,nij->ij", probability, found),
        "without": torch.einsum("n,nij->ij", probability, run(pi * xi)),
        "spread": spread.sqrt() / whole_gradient().norm(),
    }


@claim(on=means, planted=[lambda m: m | {"with": m["without"], "without": m["with"]}])
def gradients_unbiased(found: dict[str, Tensor]) -> Finding:
    """so has every product of them, and the estimate is **unbiased**:"""
    ran = "all 1024 patterns of ten links, pi = .6: the miss of the mean"
    return every(
        below(missed(found["with"]), 1e-12, f"{ran}"),
        above(missed(found["without"]), 0.05, f"{ran} without the weight"),
    )


def by_lag() -> tuple[Tensor, Tensor]:
    """Weight each path by pi for each of its links, and take the mean without 1/pi."""
    G, _, H, _, W_hh = series()
    slope, expected = 1 - H[1:, 0] ** 2, torch.zeros_like(W_hh)
    for t in range(10):
        path = slope[t] * G[t, 0]
        for i in range(t, -1, -1):
            expected += 0.6 ** (t - i) * torch.outer(path, H[i, 0])
            path = slope[i - 1] * (W_hh.T @ path)
    return means()["without"], expected


@claim(on=by_lag, planted=[lambda pair: (means()["with"], pair[1])])
def gradients_without_the_weight(pair: tuple[Tensor, Tensor]) -> Finding:
    r"""With weights of one and zero instead, the estimate $\tilde{g}$ counts long paths
    too little, on average by $\pi$ a link:
    """
    return equal(*pair, "all 1024 patterns of ten links, against the sum over paths")


@claim(
    on=lambda: (float(means(0.3)["spread"]), missed(means(0.3)["with"])),
    planted=[swapped],
)
def gradients_far_off_in_a_step(found: tuple[float, float]) -> Finding:
    """An unbiased estimate can be far off in a single step; it is right in the mean over
    many.
    """
    ran = "all 1024 patterns of ten links, pi = .3"
    return every(
        above(found[0], 1, f"{ran}: the spread, in sizes of the gradient"),
        below(found[1], 1e-12, f"{ran}: the miss of the mean"),
    )


# What the sources say


def longest_steps() -> dict[str, float]:
    """Take the longest step of one weight, in learning rates, with a gradient of 1e6."""
    draws = torch.randn(300, generator=generator(), dtype=torch.float64)
    draws[::50] *= 1e6
    found = {}
    for kind in (torch.optim.RMSprop, torch.optim.Adam, torch.optim.SGD):
        w = nn.Parameter(torch.zeros((), dtype=torch.float64))
        optimizer, longest = kind([w], lr=0.01), 0.0
        for g in draws:
            before, w.grad = float(w.detach()), g.clone()
            optimizer.step()
            longest = max(longest, abs(float(w.detach()) - before) / 0.01)
        found[kind.__name__] = longest
    return found


@claim(on=longest_steps, planted=[lambda found: found | {"Adam": found["SGD"]}])
def gradients_size_bounds_steps(found: dict[str, float]) -> Finding:
    """They divide each weight's gradient by its own running size, which does bound the
    steps (chapter 4).
    """
    ran = "300 gradients, every fiftieth a million times as large: the longest step"
    return every(
        *(
            below(found[n], 10.1, f"{ran} of {n}, in rates")
            for n in ("RMSprop", "Adam")
        ),
        above(found["SGD"], 1e5, f"{ran} of plain gradient descent"),
    )


# Exercises


def wrong_reaches() -> Tensor:
    """Take the exercise's reach and the right one, logs, in 200 random networks."""
    rows, g = [], generator(5)
    for _ in range(200):
        W = torch.randn(5, 5, generator=g, dtype=torch.float64) * 0.5
        H = [torch.zeros(5, dtype=torch.float64)]
        for x in torch.randn(8, 5, generator=g, dtype=torch.float64):
            H.append(torch.tanh(W @ H[-1] + x))
        slopes = 1 - torch.stack(H) ** 2
        J = slopes[:, :, None] * W
        rows.append(
            [float(norm_against_lag(part, [8])[0].log()) for part in (J[:-1], J[1:])]
        )
    return torch.tensor(rows)


@claim(on=wrong_reaches, planted=[lambda rows: rows.flip(1)])
def gradients_mostly_too_much(rows: Tensor) -> Finding:
    """This is meant to measure how far the gradient reaches, and it is wrong; mostly it
    says too much.
    """
    ran = "200 random networks, eight steps: log of what it says over what is right"
    return sign_test(rows[:, 0] - rows[:, 1], ran)
