"""The trial of chapter 3: what its records say of a training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnn_companion.forecasting.records import MissingRecordError
from rnn_companion.tasks import lessons, watch
from rnn_companion.tasks.memory import encode, palindromes

SMALL = watch.Lesson(length=4, hidden_size=5, steps=30, batch_size=8, threshold=1.0)


def test_a_record_says_what_became_of_a_training() -> None:
    (record,) = lessons.train([SMALL], device="cpu")
    model, watched = watch.watch_lesson(SMALL, device="cpu")
    first, last = watched.losses[:20].mean(), watched.losses[-20:].mean()
    assert record.first == pytest.approx(float(first), rel=1e-3)
    assert record.last == pytest.approx(float(last), rel=1e-3)
    assert record.largest == pytest.approx(float(watched.total.max()), rel=1e-3)
    assert record.right == pytest.approx(watch.accuracy(model), abs=3e-3)
    digits, _ = palindromes(4, 2, generator=torch.Generator().manual_seed(1))
    norms = watch.reach(model, encode(digits, "one-hot"))[:, -1]
    assert record.left == pytest.approx(float(norms.median()), rel=1e-3)
    assert record.lesson == SMALL


def test_runs_are_kept_and_found_again_and_a_missing_one_is_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / "lessons.jsonl"
    plan = [SMALL, replace(SMALL, l2=0.1)]
    made = lessons.run_lessons(plan, out=file, workers=1, device="cpu", progress=False)
    assert lessons.recorded(file, plan) == made
    with pytest.raises(MissingRecordError, match=r"benchmarks\.records --chapters"):
        lessons.recorded(file, [replace(SMALL, seed=9)])


def test_the_trial_changes_one_thing_a_row_and_clips_what_is_clipped() -> None:
    plan = lessons.trial()
    assert len({lesson for row in plan.values() for lesson in row}) == 28 * 6
    for (name, how), row in plan.items():
        changed = (lessons.CHANGES | lessons.STEPS)[name]
        assert row[2] == replace(
            lessons.BASE, seed=2, threshold=1.0 if how == "clipped" else None, **changed
        )


def test_forecasts_differ_in_remedy_length_and_seed_alone() -> None:
    plan = lessons.forecasts()
    runs = {e for by_name in plan.values() for row in by_name.values() for e in row}
    assert len(runs) == 3 * 5 * 3
    assert all(e.gradient_norms and e.epochs == 4 for e in runs)
