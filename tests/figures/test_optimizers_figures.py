"""The figures of chapter 11 show what the package computes."""

import numpy as np
import pytest
import torch

from rnn_companion.figures import optimizers as figures


def test_the_walk_by_hand_is_momentum_in_a_loop() -> None:
    path = figures.walk(1.5, 0.5)
    w, u = np.ones(2), np.zeros(2)
    for k in range(1, figures.STEPS + 1):
        u = 0.5 * u + np.array(figures.VALLEY) * w
        w = w - 1.5 * u
        assert path[k].numpy() == pytest.approx(w, abs=1e-12)


@pytest.mark.slow
def test_every_frame_says_where_its_path_ends() -> None:
    frames = figures.descent_by_hand()
    assert len(frames.states()) == 10
    picture = frames.picture(learning_rate=2.1, momentum=0.0)
    assert "crosses the valley's floor 30 times" in picture.alt
    assert f"ends {1.1**30:.2g} beside it" in picture.alt
    (line,) = picture.figure.axes[0].lines
    shown = np.stack([np.asarray(line.get_xdata()), np.asarray(line.get_ydata())], 1)
    assert shown == pytest.approx(figures.walk(2.1, 0.0).numpy())


def test_a_diverged_run_is_shown_and_said() -> None:
    sweeps = {"RNN": {0.001: 0.1, 0.01: 0.05, 0.1: float("nan")}}
    picture = figures.learning_rates(sweeps, {"tomorrow = today": 0.01})
    assert "best 0.05 at 0.01, diverged at 0.1" in picture.alt
    marks = picture.figure.axes[0].lines[1]
    assert list(np.asarray(marks.get_xdata(), dtype=float)) == [0.1]


def test_the_descents_are_drawn_by_their_distance() -> None:
    path = torch.tensor([[1.0, 1.0], [0.3, 0.4]])
    descents = figures.descents({"SGD": path}, (1.0, 0.1))
    drawn = np.asarray(descents.figure.axes[1].lines[-1].get_ydata(), dtype=float)
    assert list(drawn) == pytest.approx([2**0.5, 0.5], rel=1e-6)
