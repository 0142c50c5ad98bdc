"""Claims of chapter 3: how far gradients reach, in random networks and on prices."""

import math
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from rnn_companion import Experiment, gradients, load_prices
from rnn_companion.claims import (
    Finding,
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
from rnn_companion.gradients import Drive, norm_against_lag
from rnn_companion.tasks import watch
from rnn_companion.tasks.watch import Lesson

from ._gradients import SEEDS, two_shifts

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
