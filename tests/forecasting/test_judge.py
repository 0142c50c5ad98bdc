"""The judge finds what was put into a series and its forecasts."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnn_companion.forecasting.judge import Verdict, judge, simple_rules

pytestmark = pytest.mark.slow  # seconds each; `make check` leaves them out

Array = NDArray[np.float64]
SEEDS = range(4)


def walk(seed: int, days: int = 400) -> tuple[np.random.Generator, Array, Array]:
    """Return a random walk of standard normal moves, and its persistence."""
    draw = np.random.default_rng(seed)
    truth = 100 + draw.normal(size=days + 1).cumsum()
    return draw, truth[1:], truth[:-1]


def autoregression(seed: int, rho: float, days: int) -> Array:
    """Return x_t = rho x_{t-1} + e_t, begun at its stationary variance."""
    draw = np.random.default_rng(seed)
    x = np.empty(days)
    x[0] = draw.normal() / np.sqrt(1 - rho**2)
    for t in range(1, days):
        x[t] = rho * x[t - 1] + draw.normal()
    return x


def late(x: Array, days: int = 1) -> Array:
    """Return x_{t-days}; before the first day, that of the first."""
    return np.concatenate([np.full(days, x[0]), x[:-days]])


def only(truth: Array, forecast: Array) -> Verdict:
    (verdict,) = judge(truth, forecast)
    return verdict


def test_the_simple_rules_know_nothing_later_than_the_horizon() -> None:
    x = walk(0, 30)[1]
    for horizon in (1, 4):
        at = np.arange(horizon + 1, 30)
        rules = simple_rules(x, at, horizon)
        for n, t in enumerate(at):
            known = x[: t - horizon + 1]
            slope = np.diff(known).mean()
            assert rules["persistence"][n] == known[-1]
            assert rules["mean"][n] == pytest.approx(known.mean())
            assert rules["drift"][n] == pytest.approx(known[-1] + horizon * slope)


@pytest.mark.parametrize("seed", SEEDS)
def test_persistence_is_told_by_name(seed: int) -> None:
    verdict = only(*walk(seed)[1:])
    assert verdict.status == "open"
    assert (verdict.shift, verdict.days_needed) == (1, None)
    assert verdict.same_days == pytest.approx(1)
    assert verdict.skill <= 0
    assert "its squared error is that of persistence" in verdict.sentence
    assert "nearer to the truth of the day before" in verdict.sentence


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("part", [1.0, 0.5, 0.1])
def test_a_part_of_the_future_is_a_leak(seed: int, part: float) -> None:
    _, truth, before = walk(seed)
    verdict = only(truth, (1 - part) * before + part * truth)
    assert verdict.status == "leak"
    against_persistence = 1 - verdict.fit[0] / np.square(truth - before)[10:-1].mean()
    assert against_persistence == pytest.approx(1 - (1 - part) ** 2)
    assert verdict.sentence.startswith("Suspected leak: a line through it")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leak_under_noise_that_outweighs_it_is_not_told(seed: int) -> None:
    """As `judge` says: the sign is a large gain."""
    draw, truth, before = walk(seed)
    verdict = only(truth, 0.9 * before + 0.1 * truth + draw.normal(size=len(truth)))
    assert verdict.status == "worse"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rho", [0.3, 0.6])
def test_the_best_forecast_of_an_autoregression(seed: int, rho: float) -> None:
    """Its skill: 1 - (1 - rho^2) / (2 - 2 rho) = (1 - rho) / 2, or rho^2 (the mean)."""
    x = autoregression(seed, rho, days=2000)
    verdict = only(x, rho * late(x))
    assert verdict.status == "better"
    assert verdict.rule == ("mean" if rho < 0.5 else "persistence")
    assert verdict.skill == pytest.approx(min((1 - rho) / 2, rho**2), abs=0.035)
    # cov(e, x_t - x_{t-1}) = var(e), so the correlation is the root of their ratio
    assert verdict.same_days == pytest.approx(np.sqrt((1 + rho) / 2), abs=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_is_worse(seed: int) -> None:
    draw, truth, _ = walk(seed)
    verdict = only(truth, truth.mean() + draw.normal(size=len(truth)))
    assert verdict.status == "worse"
    assert verdict.high < 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_zigzag_is_worse_by_its_square(seed: int) -> None:
    """Persistence plus c, minus c, ...: the squared error grows by about c^2."""
    _, truth, before = walk(seed, days=2000)
    c = 0.5
    verdict = only(truth, before + c * (-1) ** np.arange(len(truth)))
    assert verdict.status == "worse"
    assert verdict.mse == pytest.approx(1 + c**2, rel=0.1)
    assert verdict.same_days == pytest.approx(1 / np.sqrt(1 + c**2), abs=0.02)
    assert verdict.shift == 1
    assert verdict.fit[1] == pytest.approx(c**2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_good_forecast_that_comes_a_day_late(seed: int) -> None:
    x = autoregression(seed, 0.6, days=800)
    good, shifted = judge(x, {"good": 0.6 * late(x), "late": 0.6 * late(x, 2)})
    assert good.status == "better"
    assert shifted.status in ("open", "worse")
    assert shifted.shift == 2
    assert "truth of the 2 days before" in shifted.sentence


@pytest.mark.parametrize("seed", SEEDS)
def test_dates_that_are_off_by_a_day(seed: int) -> None:
    _, truth, _ = walk(seed)
    verdict = only(truth, np.append(truth[1:], truth[-1]))
    assert verdict.status == "leak"
    assert "are its dates off by a day?" in verdict.sentence


@pytest.mark.slow
def test_days_needed_are_those_of_the_normal_test() -> None:
    """With noise of variance v: d = u^2 - 2 u e has mean v and variance 2 v^2 + 4 v."""
    v, found = 0.25, []
    for seed in range(6):
        draw, truth, before = walk(seed, days=4000)
        noise = np.sqrt(v) * draw.normal(size=len(truth))
        found.append(only(truth, before + noise).days_needed or 0)
    expected = (1.959964 + 0.841621) ** 2 * (2 * v**2 + 4 * v) / v**2
    assert np.mean(found) == pytest.approx(expected, rel=0.1)


def at_horizons(
    x: Array, forecasts: Mapping[str, Callable[[int], Array]]
) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"date": np.arange(len(x)), "horizon": h, "truth": x}).assign(
            **{name: forecast(h) for name, forecast in forecasts.items()}
        )
        for h in (1, 5)
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_an_error_that_should_grow_with_the_horizon(seed: int) -> None:
    x = autoregression(seed, 0.7, days=600)
    table = at_horizons(
        x,
        {
            "honest": lambda h: 0.7**h * late(x, h),
            "persistence": lambda h: late(x, h),
            "mean": lambda h: np.zeros(len(x)),
            "knows": lambda h: 0.7 * late(x, 1),
        },
    )
    verdicts = judge(table)
    assert [v.horizon for v in verdicts] == [1] * 4 + [5] * 4
    leaks = {(v.name, v.horizon): v.leaks for v in verdicts}
    for name in ("honest", "persistence", "mean"):
        assert leaks[name, 1] == leaks[name, 5] == ()
    for horizon in (1, 5):
        assert leaks["knows", horizon][-1].startswith("from 1 to 5 days ahead")


def test_p_values_of_many_forecasts_are_raised_by_holms_method() -> None:
    x = autoregression(0, 0.6, days=300)
    names = {"a": 0.6 * late(x), "b": 0.5 * late(x), "c": 0.4 * late(x)}
    alone = {name: only(x, forecast).p for name, forecast in names.items()}
    together = {verdict.name: verdict.p for verdict in judge(x, names)}
    least = 0.0
    for rank, name in enumerate(sorted(alone, key=alone.__getitem__)):
        least = max(least, min(1.0, (3 - rank) * alone[name]))
        assert together[name] == pytest.approx(least)


@pytest.mark.slow
def test_equal_forecasts_are_told_apart_as_rarely_as_the_level_says() -> None:
    """A part a of the future and noise of variance 2 a - a^2: (1 - a)^2 + v = 1.

    The judge's reference is the best of three rules, so that fewer than half of the
    differences found by chance say "better".
    """
    a, runs = 0.1, 150
    found = []
    for seed in range(runs):
        draw, truth, before = walk(seed, days=200)
        noise = np.sqrt(2 * a - a**2) * draw.normal(size=len(truth))
        found.append(only(truth, (1 - a) * before + a * truth + noise))
    wrong = sum(verdict.p < 0.05 for verdict in found) / runs
    assert 0.02 < wrong < 0.11
    assert sum(verdict.status == "better" for verdict in found) / runs < 0.06
    assert not any(verdict.leaks for verdict in found)


def test_scale_and_place_of_the_series_do_not_matter() -> None:
    _, truth, before = walk(0)
    one = only(truth, before + 0.1)
    other = only(5 - 1e3 * truth, 5 - 1e3 * (before + 0.1))
    assert other.skill == pytest.approx(one.skill)
    assert other.p == pytest.approx(one.p)
    assert other.status == one.status


TOO_FEW = r"of 12 days, 2 can be judged at horizon 1.*give 30 such days or more"
LONG = r"of 100 days, 0 can be judged at horizon 120"


@pytest.mark.parametrize(
    ("days", "horizon", "message"),
    [(12, 1, TOO_FEW), (100, 120, LONG), (100, 40, "at horizon 40.*give 81 such")],
)
def test_too_few_days(days: int, horizon: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge(*walk(0, days)[1:], horizon=horizon)


@pytest.mark.parametrize(
    ("truth", "rule"), [(np.full(60, 7.0), "persistence"), (np.arange(60.0), "drift")]
)
def test_a_truth_that_a_rule_knows(truth: Array, rule: str) -> None:
    with pytest.raises(ValueError, match=f"{rule} is never wrong on this truth"):
        judge(truth, truth)


def test_arrays_that_do_not_fit() -> None:
    _, truth, before = walk(0)
    with pytest.raises(ValueError, match=r"forecast has shape \(399,\) and truth"):
        judge(truth, before[1:])
    with pytest.raises(ValueError, match="truth alone cannot be judged"):
        judge(truth)
