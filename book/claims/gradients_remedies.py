"""Claims of chapter 3: the remedies and their trial, the sources, the exercises."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion import gradients
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
from rnn_companion.gradients import norm_against_lag, starting_matrix
from rnn_companion.tasks import watch
from rnn_companion.tasks.watch import Lesson

from ._gradients import SEEDS, generator

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
