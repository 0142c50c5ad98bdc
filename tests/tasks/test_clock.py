"""The questions of chapter 8: what is asked, how networks start, what is recorded."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rnn_companion.forecasting.records import MissingRecordError
from rnn_companion.tasks import clock
from rnn_companion.tasks.clock import ClockTrial

SMALL = ClockTrial(steps=20, batch_size=2)
PHASED = replace(SMALL, cell="phased-lstm", shortest=2.0, longest=9.0, r_on=0.3)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_the_label_of_levels_is_the_sign_of_the_fourth_block_from_the_end() -> None:
    values, times, label = clock.levels(400, generator())
    block = values[30:40].mean(0)  # noise of a third of a level is left
    assert times[:, 0].tolist() == list(range(1, 71))
    assert ((block > 0) == (label == 1)).double().mean() > 0.98


def test_an_event_lifts_or_lowers_eight_values_by_one() -> None:
    values, _, up = clock.event(4000, generator())
    sums = values.sum(0)
    assert sums[up == 1].mean().item() == pytest.approx(8, abs=0.8)
    assert sums[up == 0].mean().item() == pytest.approx(-8, abs=0.8)


def test_sines_are_read_in_order_within_64_units_and_half_are_special() -> None:
    values, times, label = clock.sines(2000, generator())
    assert values.abs().max() <= 1
    assert (times.diff(dim=0) >= 0).all()
    assert (times[-1] - times[0]).max() <= 64
    assert label.mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("spread", [False, True])
def test_an_lstm_starts_with_the_forget_biases_that_it_is_told(spread: bool) -> None:
    model = replace(SMALL, spread=spread).model(generator())
    names = ("cell.cell.bias_ih_l0", "cell.cell.bias_hh_l0")
    biases = torch.stack([model.get_parameter(name).detach() for name in names])
    i, f, _, _ = biases.sum(0).chunk(4)
    memory = 1 + f.exp()  # `eq-gate-memory`
    if spread:
        assert memory.min() >= 2
        assert memory.max() <= 100
        assert memory.std() > 10
        torch.testing.assert_close(i, -f)
    else:
        torch.testing.assert_close(f, torch.ones(32))


@pytest.mark.slow
@pytest.mark.parametrize("trial", [SMALL, PHASED])
def test_networks_side_by_side_learn_what_each_learns_alone(trial: ClockTrial) -> None:
    seeds = [replace(trial, seed=seed) for seed in range(2)]
    together = clock.train(seeds, device="cpu")
    for one, found in zip(seeds, together, strict=True):
        (alone,) = clock.train([one], device="cpu")
        assert found.loss == pytest.approx(alone.loss, rel=2e-3)
        assert found.settings == alone.settings
    assert together[0].loss != together[1].loss


def test_runs_are_kept_and_found_again_and_a_missing_one_is_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / "clock.jsonl"
    seeds = [replace(SMALL, seed=seed) for seed in range(2)]
    made = clock.run_trials(seeds, out=file, workers=1, device="cpu", progress=False)
    assert clock.recorded(file, reversed(seeds)) == made[::-1]
    with pytest.raises(MissingRecordError, match=r"benchmarks\.records --chapters"):
        clock.recorded(file, [PHASED])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "noise"}, "task"),
        ({"cell": "gru"}, "cell"),
        ({"steps": 30}, "multiple of 20"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"cell": "phased-lstm", "spread": True}, "spread"),
    ],
)
def test_a_wrong_setting_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_trials_that_differ_in_more_than_the_seed_are_not_one_batch() -> None:
    with pytest.raises(ValueError, match="seed"):
        clock.train([SMALL, PHASED])


def test_every_trial_of_the_chapter_is_listed_once() -> None:
    plan = clock.trials()
    assert len(set(plan)) == len(plan) == 57
    assert {t.seed for t in plan} == {0, 1, 2}
