"""Watching a training: what is seen is what autograd says."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rnn_companion import DeviceError, Experiment, Prices
from rnn_companion import gradients as gr
from rnn_companion.tasks import watch
from rnn_companion.tasks.memory import encode, palindromes


def steady_prices(days: int = 60) -> Prices:
    close = 50 + np.sin(np.arange(days) / 3) + 0.1 * np.arange(days)
    return Prices(pd.bdate_range("2020-01-01", periods=days), close, "synthetic")


def test_watched_norms_are_the_gradients() -> None:
    """The first row, against autograd on the first batch."""
    experiment = Experiment(length=4, hidden_size=5, epochs=1, batch_size=999)
    _, watched = watch.watch_prices(experiment, steady_prices())
    model, windows = experiment.model(), experiment.split(steady_prices()).training
    loss = nn.functional.mse_loss(model(windows.inputs), windows.targets)
    named = dict(model.named_parameters())
    gradients = dict(
        zip(named, torch.autograd.grad(loss, list(named.values())), strict=True)
    )
    for name, symbol in watch.SYMBOLS.items():
        expected = float(gradients[name].norm())
        assert float(watched.of(symbol)[0]) == pytest.approx(expected, rel=1e-4)
    assert float(watched.losses[0]) == pytest.approx(loss.item(), rel=1e-4)
    total = math.sqrt(sum(float(g.square().sum()) for g in gradients.values()))
    assert float(watched.total[0]) == pytest.approx(total, rel=1e-4)


def test_the_same_lesson_twice_is_the_same() -> None:
    lesson = watch.Lesson(length=6, hidden_size=8, steps=5)
    (_, a), (_, b) = watch.watch_lesson(lesson), watch.watch_lesson(lesson)
    assert torch.equal(a.total, b.total)
    assert torch.equal(a.losses, b.losses)


SIDE_BY_SIDE = [
    watch.Lesson(length=5, hidden_size=6, batch_size=8, steps=6, **changes)
    for changes in (
        {},
        {"seed": 3, "threshold": 0.05, "learning_rate": 0.5},
        {"optimizer": "adam", "learning_rate": 0.01},
        {"optimizer": "adam", "learning_rate": 0.02, "threshold": 0.1, "seed": 3},
        {"l1": 0.01, "l2": 0.3, "start": "gaussian", "threshold": 1.0},
        {"l1": 0.02, "start": "identity", "radius": 1.0, "seed": 7},
    )
]


def test_lessons_side_by_side_are_the_lessons_alone() -> None:
    """Layers, optimizers and clipping of torch, one network at a time."""
    together = watch.watch_lessons(SIDE_BY_SIDE)
    for lesson, (model, watched) in zip(SIDE_BY_SIDE, together, strict=True):
        alone, seen = watch.watch_lesson(lesson)
        for name, parameter in alone.named_parameters():
            found = model.get_parameter(name)
            torch.testing.assert_close(found, parameter, rtol=1e-4, atol=1e-5)
        assert watched.parameters == seen.parameters
        torch.testing.assert_close(watched.norms, seen.norms, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(watched.total, seen.total, rtol=1e-3, atol=1e-6)
        torch.testing.assert_close(watched.losses, seen.losses, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("changed", ["length", "hidden_size", "batch_size", "steps"])
def test_lessons_side_by_side_have_one_shape(changed: str) -> None:
    changes: dict[str, Any] = {changed: 4}
    other = replace(SIDE_BY_SIDE[0], **changes)
    with pytest.raises(ValueError, match="one length, hidden_size, batch_size"):
        watch.watch_lessons([SIDE_BY_SIDE[0], other])
    with pytest.raises(ValueError, match="got 0 combinations"):
        watch.watch_lessons([])


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ValueError, match="optimizer"):
        watch.Lesson(optimizer="guess")


LESSON = watch.Lesson(length=4, hidden_size=4, steps=2, l1=0.1)
ON_A_DEVICE: dict[str, Callable[..., object]] = {
    "prices": partial(
        watch.watch_prices,
        Experiment(length=4, hidden_size=5, epochs=1, optimizer="rmsprop"),
        steady_prices(),
    ),
    "lesson": partial(watch.watch_lesson, LESSON),
    "lessons": partial(watch.watch_lessons, [LESSON]),
    "accuracy": partial(watch.accuracy, LESSON.model()),
    "reach": partial(watch.reach, LESSON.model(), torch.zeros(4, 1, 10)),
}


@pytest.mark.parametrize("name", ["prices", "lesson", "lessons", "accuracy"])
def test_all_is_computed_on_the_device_that_is_asked_for(name: str) -> None:
    """A meta tensor has no data, and mixes with none of the CPU's.

    So what is done there goes well until the result is to come back.
    """
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        ON_A_DEVICE[name](device="meta")


@pytest.mark.parametrize("name", list(ON_A_DEVICE))
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="'quantum' cannot be used"):
        ON_A_DEVICE[name](device="quantum")


def test_a_threshold_limits_every_step() -> None:
    """Plain descent moves by at most the learning rate times the threshold."""
    lesson = watch.Lesson(
        length=6, hidden_size=8, steps=1, threshold=0.01, learning_rate=0.5
    )
    model, watched = watch.watch_lesson(lesson)
    moved = [
        a.detach() - b.detach()
        for a, b in zip(model.parameters(), lesson.model().parameters(), strict=True)
    ]
    assert float(watched.total[0]) > 0.01
    assert float(gr.total_norm(moved)) == pytest.approx(0.5 * 0.01, rel=1e-4)


def test_the_penalty_pulls_on_the_recurrent_matrix() -> None:
    """Equation eq-grad-decay: its gradient is l1 sign(W) + l2 W."""
    lesson = watch.Lesson(length=6, hidden_size=5, l1=0.3, l2=0.7)
    model = lesson.model()
    W_hh = model.get_parameter(watch.RECURRENT)
    (gradient,) = torch.autograd.grad(lesson.penalty(model), W_hh)
    torch.testing.assert_close(gradient, 0.3 * W_hh.sign() + 0.7 * W_hh)
    heavy, _ = watch.watch_lesson(replace(lesson, l1=0.0, l2=2.0, steps=30))
    light, _ = watch.watch_lesson(replace(lesson, l1=0.0, l2=0.0, steps=30))
    assert (
        heavy.get_parameter(watch.RECURRENT).norm()
        < 0.1 * light.get_parameter(watch.RECURRENT).norm()
    )


def test_a_short_lesson_is_learned() -> None:
    """Clipped, five digits are told after a few steps: the whole loop works."""
    lesson = watch.Lesson(length=5, hidden_size=32, threshold=1.0, steps=120)
    model, watched = watch.watch_lesson(lesson)
    assert watch.accuracy(model) > 0.95 > 0.5 > watch.accuracy(lesson.model())
    assert watched.losses[-1] < watched.losses[0]


def test_reach_is_the_norm_in_each_window() -> None:
    model = watch.Lesson(length=7, hidden_size=4).model()
    digits, _ = palindromes(7, 3, generator=torch.Generator().manual_seed(1))
    X = encode(digits, "one-hot")
    found = watch.reach(model, X)
    assert found.shape == (3, 8)
    cell = gr.cell_of(model.cell)
    J = list(gr.jacobians(cell, X[:, 1].double()))
    expected = torch.linalg.svdvals(reduce(torch.matmul, J[::-1]))[0]
    torch.testing.assert_close(found[1, 7], expected, rtol=1e-12, atol=1e-12)


def test_nothing_draws_from_the_global_generator() -> None:
    before = torch.random.get_rng_state()
    gr.Drive(cell="lstm", hidden_size=4, length=3).norms()
    watch.watch_lesson(watch.Lesson(length=4, hidden_size=4, steps=1))
    assert torch.equal(torch.random.get_rng_state(), before)
