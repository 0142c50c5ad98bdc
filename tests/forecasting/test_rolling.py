"""A rolling origin forecasts every test day, from days before it alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnn_companion import Experiment, Prices, run
from rnn_companion.forecasting.rolling import rolling_origin

SMALL: dict[str, Any] = {"hidden_size": 4, "epochs": 2, "length": 3, "test": 0.2}
ALIGNED = "many-to-many-aligned"


def made(days: int = 101, later: float = 0.0, since: int = 101) -> Prices:
    close = 50 + np.random.default_rng(0).normal(0, 1, days).cumsum()
    close[since:] += later
    return Prices(pd.bdate_range("2020-01-01", periods=days), close, "made")


def rolled(prices: Prices, refits: int, **changes: Any) -> pd.DataFrame:  # noqa: ANN401
    experiment = Experiment(**SMALL | {"training": 0.6} | changes)
    return rolling_origin(experiment, prices, refits=refits, device="cpu")


@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize("configuration", ["many-to-one", ALIGNED])
@pytest.mark.parametrize("refits", [1, 4])
def test_every_test_day_has_one_forecast(
    refits: int, configuration: str, patience: int | None
) -> None:
    """Of 101 days the last 21, with the closes of the day and of the day before."""
    prices = made()
    frame = rolled(prices, refits, configuration=configuration, patience=patience)
    assert list(frame.columns) == ["date", "truth", "forecast", "persistence"]
    assert list(frame["date"]) == list(prices.dates[80:])
    np.testing.assert_array_equal(frame["truth"], prices.close[80:])
    np.testing.assert_array_equal(frame["persistence"], prices.close[79:-1])
    assert frame["forecast"].notna().all()


@pytest.mark.parametrize("patience", [None, 1])
def test_one_fit_is_a_run_split_where_the_test_part_begins(
    patience: int | None,
) -> None:
    """Its forecasts are those in the record of that run, in dollars."""
    prices = made()
    frame = rolled(prices, 1, patience=patience)
    experiment = Experiment(**SMALL | {"patience": patience, "training": 0.6})
    if patience is None:
        experiment = replace(experiment, training=0.8, test=0.0)
    record = run(experiment, prices, device="cpu")
    forecasts = record.test.forecasts if record.test else record.forecasts
    assert forecasts is not None
    np.testing.assert_allclose(
        frame["forecast"], forecasts.table()["forecast"], rtol=1e-6
    )


@pytest.mark.parametrize("patience", [None, 1])
def test_a_day_changes_no_forecast_until_it_is_known(patience: int | None) -> None:
    """Other closes from day 90 on: forecasts of days up to 90 stay as they are."""
    one, other = (
        rolled(prices, 4, patience=patience)["forecast"]
        for prices in (made(), made(later=5.0, since=90))
    )
    assert list(one[:11]) == list(other[:11])
    assert (one[11:] != other[11:]).all()


def test_the_days_of_each_refit_are_forecast_by_a_network_that_knew_them_not() -> None:
    """The third of four parts is that of a run on all days before it."""
    prices = made()
    frame = rolled(prices, 4)
    until = Prices(prices.dates[:95], prices.close[:95], "made")  # 80 + 3 21/4
    experiment = Experiment(**SMALL | {"test": 0.0, "training": 90.5 / 95})
    forecasts = run(experiment, until, device="cpu").forecasts
    assert forecasts is not None
    np.testing.assert_allclose(
        frame["forecast"][10:15], forecasts.table()["forecast"], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "refits", "message"),
    [
        ({"test": 0.0}, 1, "set test above 0"),
        (
            {"configuration": "many-to-many-shifted", "horizon": 2},
            1,
            "and horizon to 1",
        ),
        ({}, 0, "refits must lie between 1 and 21, got 0"),
        ({}, 22, "refits must lie between 1 and 21, got 22"),
        ({"configuration": ALIGNED}, 8, "between 1 and 7, got 8: 21 test days"),
    ],
)
def test_what_cannot_be_rolled_is_refused(
    changes: dict[str, Any], refits: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rolled(made(), refits, **changes)
