"""Tests over many models say what is known of simulated losses."""

import numpy as np
import pandas as pd
import pytest

from rnn_companion import Experiment, Prices, Record, load_prices, run, target
from rnn_companion.forecasting.comparison import (
    beside_baselines,
    common_days,
    confidence_set,
    spa,
    squared_losses,
)
from rnn_companion.forecasting.scores import diebold_mariano

DAYS = pd.bdate_range("2020-01-01", periods=250)


def equal(seed: int, models: int = 5) -> pd.DataFrame:
    """Draw squared errors of forecasts that are equally good."""
    errors = np.random.default_rng(seed).normal(size=(250, models))
    return pd.DataFrame(errors**2, DAYS, [f"model {i}" for i in range(models)])


def with_a_better_one(seed: int) -> pd.DataFrame:
    losses = equal(seed)
    return losses.assign(**{"model 3": losses["model 3"] / 4})


def forecasts(days: pd.DatetimeIndex, truth: float = 1, by: float = 1) -> pd.DataFrame:
    truths = truth * np.arange(len(days)) + days[0].day
    return pd.DataFrame({"date": days, "truth": truths, "forecast": truths + by})


@pytest.mark.slow
def test_equal_models_are_rarely_called_better_than_the_benchmark() -> None:
    """Of 40 tests at 10 % at most 10 reject (binomial, p > 0.99); p spreads out."""
    ps = np.array([spa(equal(seed), "model 0", seed=seed) for seed in range(40)])
    assert (ps < 0.1).sum() <= 10
    assert 0.3 < np.median(ps) < 0.8


@pytest.mark.slow
def test_the_best_of_many_equal_models_needs_more_than_one_test_says() -> None:
    """Of 20 rivals that are as good as the benchmark, the luckiest looks better."""
    luckiest = []
    for seed in range(10):
        losses = equal(seed, models=21)
        best = losses.iloc[:, 1:].mean().idxmin()
        alone = diebold_mariano(losses[best], losses["model 0"]).p / 2  # one side
        luckiest.append((alone, spa(losses, "model 0", seed=seed)))
    one, many = np.median(luckiest, axis=0)
    assert one < 0.1 < many


def test_a_model_that_is_clearly_better_is_found_and_alone_in_the_set() -> None:
    losses = with_a_better_one(0)
    assert spa(losses, "model 0") < 0.01
    table = confidence_set(losses)
    assert table["model"][0] == "model 3"
    assert table["included"].tolist() == [True, False, False, False, False]
    assert table["loss"].is_monotonic_increasing


def test_nothing_is_better_than_the_best() -> None:
    """Every rival's mean loss is greater, so the p-value is above one half."""
    assert spa(with_a_better_one(0), "model 3") > 0.5


@pytest.mark.slow
def test_equal_models_are_held_whole_about_as_often_as_the_level_says() -> None:
    """Of 60 sets of level 0.9 between 46 and 59 are whole (binomial, p > 0.99)."""
    sets = [confidence_set(equal(seed), seed=seed) for seed in range(60)]
    assert 46 <= sum(table["included"].all() for table in sets) <= 59


def test_a_lower_level_gives_a_smaller_set_from_the_same_p() -> None:
    losses = with_a_better_one(1) * 0.3 + equal(2) * 0.7
    wide, narrow = confidence_set(losses, level=0.99), confidence_set(losses, level=0.5)
    assert wide["p"].tolist() == narrow["p"].tolist()
    assert (wide["included"] >= narrow["included"]).all()
    assert wide["included"].sum() > narrow["included"].sum()


def test_models_with_the_same_losses_share_their_place() -> None:
    losses = with_a_better_one(0)
    table = confidence_set(losses.assign(twin=losses["model 3"]))
    assert set(table["model"][table["included"]]) == {"model 3", "twin"}
    pair = losses[["model 0"]].assign(twin=losses["model 0"])
    assert spa(pair, "twin") == 1
    assert confidence_set(pair)["included"].all()


def test_only_days_that_every_model_has_are_kept() -> None:
    frame = common_days(
        {"a": forecasts(DAYS), "b": forecasts(DAYS, by=-2).iloc[::-1].iloc[3:]}
    )
    assert list(frame) == ["truth", "a", "b"]
    assert (frame.index == DAYS[:-3]).all()
    assert (squared_losses(frame) == [1, 4]).all(axis=None)


def test_forecasts_that_cannot_be_compared_are_refused_by_name() -> None:
    a, later = forecasts(DAYS[:50]), forecasts(DAYS[60:])
    with pytest.raises(ValueError, match="no day is common to a, b"):
        common_days({"a": a, "b": later})
    with pytest.raises(ValueError, match="'a' and 'b' differs on 2020-01-02"):
        common_days({"a": a, "b": forecasts(DAYS[:50], truth=2)})
    with pytest.raises(ValueError, match="'b' has 2020-01-01 twice"):
        common_days({"a": a, "b": pd.concat([a, a])})
    with pytest.raises(ValueError, match="'a' has no column forecast"):
        common_days({"a": a[["date", "truth"]]})
    with pytest.raises(ValueError, match="none of the name 'truth'"):
        common_days({"truth": a})


def test_losses_that_cannot_be_tested_are_refused_by_name() -> None:
    losses = equal(0)
    with pytest.raises(ValueError, match="no benchmark 'zero' among model 0"):
        spa(losses, "zero")
    with pytest.raises(ValueError, match="250 days of 1 models are too few"):
        confidence_set(losses[["model 0"]])
    with pytest.raises(ValueError, match="9 days of 5 models are too few"):
        spa(losses[:9], "model 0")
    with pytest.raises(ValueError, match="level must lie between 0 and 1, got 90"):
        confidence_set(losses, level=90)
    losses.iloc[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"'model 1' on 2020-01-03 .*not a finite"):
        confidence_set(losses)


KINDS = {"many-to-one": 7, "many-to-many-aligned": 3, "one-to-one": 1}


def small(series: Prices, protocol: str = "honest") -> dict[str, Record]:
    """Run a small network of each kind."""
    return {
        kind: run(
            Experiment(
                configuration=kind,
                length=length,
                hidden_size=4,
                epochs=1,
                protocol=protocol,
            ),
            series,
            device="cpu",
        )
        for kind, length in KINDS.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["price", "return", "range"])
def test_networks_stand_beside_baselines_on_equal_days_in_equal_units(
    kind: str,
) -> None:
    """A loss is that of the record, in units of the series, on the days of both."""
    series = target(load_prices(), kind)
    known, records = int(0.8 * len(series)), small(series)
    days = beside_baselines(records, series, known)
    assert list(days)[1:3] == ["persistence", "drift"]
    first = known + KINDS["many-to-many-aligned"] - 1  # those windows begin later
    assert (days.index == series.dates[first:]).all()
    assert (days["truth"] == series.close[first:]).all()
    assert (days["persistence"] == series.close[first - 1 : -1]).all()
    losses = squared_losses(days)
    aligned = records["many-to-many-aligned"]
    spread = np.ptp(series.close[:known])
    scaled = losses["many-to-many-aligned"].mean() / spread**2
    assert scaled == pytest.approx(aligned.mse_by_position[-1], rel=1e-4)
    scaled = losses["persistence"].mean() / spread**2
    assert scaled == pytest.approx(aligned.persistence_by_position[-1], rel=1e-4)
    assert 0 <= spa(losses, "persistence") <= 1
    assert confidence_set(losses)["included"].any()


def test_records_that_cannot_stand_beside_baselines_are_refused_by_name() -> None:
    series = load_prices()
    record = small(series)["one-to-one"]
    with pytest.raises(ValueError, match="'a' ran on other data than MSFT"):
        beside_baselines({"a": record}, target(series, "return"), 1200)
    with pytest.raises(ValueError, match="'a' has no forecasts of its last output"):
        beside_baselines({"a": record.with_forecasts("none")}, series, 1200)
    with pytest.raises(ValueError, match="har: the name of a baseline"):
        beside_baselines({"har": record}, series, 1200)
    with pytest.raises(ValueError, match="'many-to-one' has protocol 'source'"):
        beside_baselines(small(series, protocol="source"), series, 1200)
