"""The figures of chapter 8 show what the package computes."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from matplotlib.patches import Rectangle

from rnn_companion.figures import time_gate as figures


def opening(t: int, period: int, shift: int, share: Fraction) -> Fraction:
    """Return `eq-gate-k` without leak, in exact arithmetic."""
    phi = Fraction(t - shift, period) % 1
    if phi > share:
        return Fraction(0)
    return 1 - abs(phi - share / 2) / (share / 2)


def test_every_frame_shows_the_gate_and_what_it_leaves() -> None:
    frames = figures.clock()
    for state in frames.states()[::7]:
        picture = frames.picture(**state)
        share = Fraction(str(state["open_ratio"]))
        k = [opening(t, state["period"], state["shift"], share) for t in range(1, 41)]
        top, bottom = picture.figure.axes
        dots = np.asarray(top.lines[1].get_ydata(), dtype=float)
        assert dots == pytest.approx([float(v) for v in k], abs=1e-9)
        left = [1.0]
        for value in reversed(k[1:]):
            left.insert(0, left[0] * float(1 - value))
        heights = [
            bar.get_height() for bar in bottom.patches if isinstance(bar, Rectangle)
        ]
        assert heights == pytest.approx(left, abs=1e-9)
        said = re.search(r"at the end, ([\d.]+) of the first", picture.alt)
        assert said is not None
        assert float(said[1]) == pytest.approx(left[0], abs=5e-4)


def test_what_is_kept_is_drawn_as_given() -> None:
    picture = figures.kept({"closed": torch.tensor([2.0, 2.0])})
    assert "closed 2." in picture.alt
    line = picture.figure.axes[0].lines[0]
    assert list(np.asarray(line.get_ydata(), dtype=float)) == [2, 2]


def test_accuracies_are_drawn_seed_by_seed_with_their_mean() -> None:
    seeds = [[0.5, 0.6], [0.7, 0.8]]
    picture = figures.accuracy_curves({"LSTM": seeds}, every=20, question="Up?")
    assert "LSTM: 0.70" in picture.alt
    assert picture.alt.startswith("Up? ")
    assert picture.caption.startswith("Up? ")
    lines = picture.figure.axes[0].lines
    assert np.asarray(lines[2].get_ydata()) == pytest.approx([0.6, 0.7])
    assert list(np.asarray(lines[2].get_xdata())) == [20, 40]
