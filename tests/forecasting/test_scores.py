"""Scores agree with closed forms, other libraries and what simulation promises."""

import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from statsmodels.tsa.stattools import diebold_mariano_test

from rnn_companion.forecasting.scores import (
    Difference,
    diebold_mariano,
    mase,
    skill,
    skill_interval,
)


def drawn(seed: int, days: int = 300) -> tuple[NDArray[np.float64], ...]:
    """Draw squared errors of two forecasts, of variances 1 and 2."""
    errors = np.random.default_rng(seed).normal(size=(2, days))
    return errors[0] ** 2, 2 * errors[1] ** 2


def alike(seed: int, rho: float, days: int = 250) -> tuple[NDArray[np.float64], ...]:
    """Draw losses that are equal in the mean, AR(1) of rho from day to day."""
    losses = np.random.default_rng(seed).normal(size=(2, days))
    for day in range(1, days):
        losses[:, day] *= np.sqrt(1 - rho**2)
        losses[:, day] += rho * losses[:, day - 1]
    return losses[0] + 10, losses[1] + 10


def test_mase_is_mean_absolute_error_over_the_mean_daily_move() -> None:
    assert mase([1, -3], [5, 7, 3]) == pytest.approx(2 / 3)


def test_mase_of_tomorrow_is_today_on_the_training_days_is_one() -> None:
    training = drawn(0)[0]
    assert mase(np.diff(training), training) == pytest.approx(1)


def test_skill_is_the_part_of_the_loss_avoided() -> None:
    assert skill([1, 2], [2, 4]) == pytest.approx(0.5)
    assert skill([2, 4], [2, 4]) == 0


@pytest.mark.slow
def test_the_interval_holds_the_true_skill_as_often_as_it_says() -> None:
    """Of 60 intervals of level 0.9 between 47 and 59 do (binomial, p = 0.99)."""
    ends = [skill_interval(*drawn(seed), seed=seed) for seed in range(60)]
    assert 47 <= sum(low < 0.5 < high for low, high in ends) <= 59


def test_blocks_widen_the_interval_where_days_are_alike() -> None:
    """For an AR(1) of rho the standard error is sqrt((1 + rho) / (1 - rho)) wider."""
    loss, reference = alike(0, 0.6, days=1000)
    order = np.random.default_rng(0).permutation(1000)
    width = np.ptp(skill_interval(loss, reference))
    assert width / np.ptp(skill_interval(loss[order], reference[order])) > 1.5


def test_the_interval_of_equal_losses_is_a_point_and_seeds_repeat() -> None:
    loss, reference = drawn(3)
    assert skill_interval(loss, loss) == (0, 0)
    assert skill_interval(loss, 2 * loss) == (0.5, 0.5)
    assert skill_interval(loss, reference) == skill_interval(loss, reference)
    assert skill_interval(loss, reference, seed=1) != skill_interval(loss, reference)
    assert np.ptp(skill_interval(loss, reference, level=0.5)) < np.ptp(
        skill_interval(loss, reference)
    )


@pytest.mark.parametrize("horizon", [1, 20])
def test_diebold_mariano_is_that_of_statsmodels(horizon: int) -> None:
    loss, reference = drawn(1)
    ours = diebold_mariano(loss, reference, horizon=horizon)
    theirs = diebold_mariano_test(
        np.zeros(300),
        loss,
        reference,
        criterion=lambda _, losses: losses,
        harvey_adj=True,
        horizon=horizon,
    )
    assert ours.mean == pytest.approx(np.mean(loss - reference))
    assert ours.mean / ours.standard_error == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue)


@pytest.mark.slow
def test_diebold_mariano_rejects_equal_forecasts_about_as_often_as_it_says() -> None:
    """Of 200 tests at 10 %, on losses alike from day to day, 8 to 32 reject.

    A test that took the days for independent would reject 57 times: its standard
    error is too small by sqrt((1 + 0.4) / (1 - 0.4)).
    """
    tests = (diebold_mariano(*alike(seed, 0.4, days=1000)) for seed in range(200))
    assert 8 <= sum(test.p < 0.1 for test in tests) <= 32


def test_losses_that_never_differ_are_equally_good() -> None:
    loss = drawn(0)[0]
    assert diebold_mariano(loss, loss) == Difference(0, 0, 1)
    assert diebold_mariano(np.ones(20), np.full(20, 2.0)) == Difference(-1, 0, 0)


def test_scores_of_other_days_or_no_numbers_are_refused() -> None:
    loss, reference = drawn(0)
    with pytest.raises(ValueError, match="give both the same days"):
        skill(loss, reference[1:])
    with pytest.raises(ValueError, match="loss is nan at place 1"):
        skill([1, np.nan], [1, 2])
    with pytest.raises(ValueError, match=r"got shape \(300, 1\)"):
        skill(loss[:, None], reference)
    with pytest.raises(ValueError, match="the reference has no loss"):
        skill(loss, 0 * reference)
    with pytest.raises(ValueError, match="training is constant"):
        mase(loss, 0 * reference)


def test_doubt_needs_days_and_a_level() -> None:
    loss, reference = drawn(0)
    with pytest.raises(ValueError, match="9 days are too few"):
        diebold_mariano(loss[:9], reference[:9])
    with pytest.raises(ValueError, match="between 1 and half of 300 days, got 150"):
        diebold_mariano(loss, reference, horizon=150)
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 90"):
        skill_interval(loss, reference, level=90)


def test_without_the_extra_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "arch.bootstrap", None)
    with pytest.raises(ImportError, match=r"rnn-companion\[compare\]"):
        skill_interval(*drawn(0))
