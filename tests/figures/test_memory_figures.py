"""The figures of chapter 7 show what they are given."""

from dataclasses import asdict, replace

import numpy as np
import torch

from rnn_companion.figures import memory as figures
from rnn_companion.forecasting.records import Provenance
from rnn_companion.tasks.memory import Checks, Trial, TrialRecord
from rnn_companion.tasks.sweep import RECIPES

ORIGIN = Provenance("palindromes", "", "cpu", {}, "2026-01-01T00:00:00+00:00", 1.0, 1)


def record(accuracy: float, norm: float = 2.0, **settings: object) -> TrialRecord:
    trial = replace(Trial(), **settings)  # type: ignore[arg-type]
    checks = Checks(
        step=(50, 100),
        training_loss=(2.3, 1.0),
        training_accuracy=(0.1, accuracy),
        validation_loss=(2.3, 1.0),
        validation_accuracy=(0.1, accuracy),
        gradient_norm=(norm, 1.0),
    )
    return TrialRecord(asdict(trial), checks, ORIGIN)


SOLVED = record(1.0, length=5)
FAILED = record(0.25, 500.0, length=20, cell="lstm", seed=1)
ONE_HOT = record(1.0, length=20, **RECIPES["rnn"]["one-hot"])


def test_the_latch_is_drawn_as_it_is() -> None:
    digits = torch.tensor([7, 1, 9])
    H = torch.tensor([[0.9, -0.9], [0.8, -0.95], [0.85, -0.9]])
    picture = figures.latch(digits, H)
    top, below = picture.figure.axes
    assert top.get_title(loc="left") == "The first digit is 7"
    for unit, line in enumerate(below.lines):
        np.testing.assert_array_equal(np.asarray(line.get_ydata()), H[:, unit].numpy())
    assert "above, below zero" in picture.alt


def test_each_trial_is_a_sign_at_its_start_and_steps() -> None:
    picture = figures.start_against_steps([SOLVED, FAILED, ONE_HOT], [0.5, 1e-3, 1e-2])
    (ax,) = picture.figure.axes
    drawn = [np.asarray(c.get_offsets()).tolist() for c in ax.collections]
    assert drawn == [[[1e-3, 100]], [[0.5, 100], [1e-2, 100]]]
    filled = [len(c.get_facecolor()) > 0 for c in ax.collections]
    assert filled == [False, True]
    assert "LSTM, rate 0.001: 0 of 1 solved" in picture.alt
    assert "RNN, rate 0.001: 2 of 2 solved, after 100 to 100 steps" in picture.alt


def test_every_length_can_be_chosen_and_shows_its_own_trials() -> None:
    frames = figures.by_length([SOLVED, FAILED, ONE_HOT])
    assert frames.controls == {"digits_read": [5, 20]}
    short, long = (frames.picture(digits_read=n) for n in (5, 20))
    assert "LSTM with 5 digits: not run" in short.alt
    assert "one-hot: solved at step 100" in long.alt
    rnn, lstm = long.figure.axes
    assert rnn.get_legend_handles_labels()[1] == ["one-hot"]
    assert lstm.lines[0].get_marker() == "None"  # not solved: no sign at its end


def test_the_largest_norm_is_told() -> None:
    picture = figures.largest_norms([SOLVED, FAILED])
    assert "The largest is 500, of LSTM with 20 digits" in picture.alt
    (ax,) = picture.figure.axes
    drawn = [len(np.asarray(c.get_offsets())) for c in ax.collections]
    assert drawn == [1, 0, 0, 1]  # RNN solved, not; LSTM solved, not


def test_days_used_shows_each_seed_and_the_medians() -> None:
    rows = [[9.0, 2.0, 1.5], [5.0, 3.0, 1.25], [4.0, 8.0, 1.0]]
    picture = figures.days_used({"one": rows, "two": rows[:1]}, [1, 3, 10])
    lines = [
        (np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist())
        for line in picture.figure.axes[0].lines
    ]
    for row in rows:
        assert ([1, 3, 10], row) in lines
    assert lines.count(([1, 3, 10], [5.0, 3.0, 1.25])) == 2  # a seed, and the median
    assert "one, 1 days 5, 3 days 3, 10 days 1.2; two, 1 days 9" in picture.alt
