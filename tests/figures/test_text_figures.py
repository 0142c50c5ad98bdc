"""The figures of chapter 9 show what they are given."""

import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from torch import Tensor

from rnn_companion.figures import text as figures
from rnn_companion.forecasting.records import Provenance
from rnn_companion.tasks.text import CONTEXTS, Mark, TextRecord

ORIGIN = Provenance("rhyme", "", "cpu", {}, "2026-01-01T00:00:00+00:00", 1.0, 1)
FALLING = tuple(2.0 / c for c in CONTEXTS)


def mark(step: int, loss: float) -> Mark:
    return Mark(step, loss, 0.5, loss, loss + 0.2, 0.4, FALLING, "the cat")


RECORD = TextRecord(
    {}, 1000, 50, (3.0, 2.0), (0.2, 0.5), (mark(0, 3.9), mark(20, 2.0)), ORIGIN
)


def test_the_course_has_both_losses_and_a_perplexity() -> None:
    picture = figures.course(RECORD)
    losses = picture.figure.axes[0]
    training, held_out = (list(np.asarray(line.get_ydata())) for line in losses.lines)
    assert training == [3.0, 2.0]
    assert held_out == pytest.approx([4.1, 2.2])
    assert "falls from 3.90 to 2.00 in training and to 2.20" in picture.alt
    (perplexity,) = losses.child_axes
    assert picture.png  # drawing it sets the limits
    low, high = losses.get_ylim()
    assert perplexity.get_ylim() == pytest.approx((math.exp(low), math.exp(high)))


def two(temperature: float) -> Tensor:
    return torch.softmax(torch.tensor([0.0, 1.0, -1.0]) / temperature, 0)


def test_temperature_moves_bars_and_sample() -> None:
    samples = {0.5: [("b", 0.9), ("\n", 0.5)], 2.0: [("a", 0.1), ("c", 0.2)]}
    frames = figures.temperature("ab\n", "abc", two, samples)
    assert frames.controls == {"temperature": [0.5, 2.0]}
    for tau in (0.5, 2.0):
        p = two(tau)
        picture = frames.picture(temperature=tau)
        bars, page = picture.figure.axes
        heights = [bar.get_bbox().height for bar in bars.containers[0]]
        assert heights == pytest.approx(sorted(p.tolist(), reverse=True))
        entropy = -(p * p.log()).sum().item()
        assert f"entropy is {entropy:.2f} nats" in picture.alt
        assert [t.get_text() for t in bars.get_xticklabels()] == ["b", "a", "c"]
        shown = [t.get_text() for t in page.texts]
        assert shown == [c.replace("\n", "↵") for c, _ in samples[tau]]
    darkness = [1 - float(to_rgb(p.get_facecolor())[0]) for p in page.patches]
    assert darkness[0] > darkness[1] > 0  # the less probable, the darker


def test_context_shows_the_marks_that_were_asked_for() -> None:
    picture = figures.context(RECORD, steps=(20,))
    (ax,) = picture.figure.axes
    (curve,) = [line for line in ax.lines if len(np.asarray(line.get_xdata())) > 2]
    assert list(np.asarray(curve.get_xdata())) == list(CONTEXTS)
    assert list(np.asarray(curve.get_ydata())) == list(FALLING)
    assert "after 20 steps 2.00, 0.67 and 0.07" in picture.alt


def test_a_unit_is_darker_where_it_is_higher_and_marked_places_are_underlined() -> None:
    values = torch.tensor([-1.0, 0.0, 1.0, 1.0])
    picture = figures.unit("a\nbc", values, [False, False, True, True], "in a word")
    (ax,) = picture.figure.axes
    greys = [to_rgb(patch.get_facecolor())[0] for patch in ax.patches]
    assert greys == pytest.approx([1.0, 0.6, 0.2, 0.2])
    assert len(ax.lines) == 2
    assert [text.get_text() for text in ax.texts] == ["a", "↵", "b", "c"]
    assert "In a word, underlined, the value is higher by 1.50" in picture.alt
