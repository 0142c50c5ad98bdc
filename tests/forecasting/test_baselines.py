"""Baselines agree with closed forms, other libraries and series with a known answer."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rnn_companion import Prices
from rnn_companion.forecasting.baselines import (
    BASELINES,
    autoregression,
    baseline_forecasts,
    har,
    smoothing,
)

KNOWN = 1500


def noise(seed: int, days: int = 2000) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=days)


def made(x: NDArray[np.float64]) -> Prices:
    return Prices(pd.bdate_range("2000-01-03", periods=len(x)), x, "made")


def error(forecast: NDArray[np.float64], x: NDArray[np.float64]) -> float:
    return float(np.mean((forecast[:-1] - x[KNOWN:]) ** 2))


def test_three_rules_are_their_formulas() -> None:
    x = noise(0, 100).cumsum()
    table = baseline_forecasts(made(x), 80, models=["persistence", "drift", "mean"])
    for place, t in enumerate(range(80, 101)):
        moves = [x[i] - x[i - 1] for i in range(1, 80)]
        by_hand = [x[t - 1], x[t - 1] + sum(moves) / 79, sum(x[:80]) / 80]
        assert table.iloc[place].tolist() == pytest.approx(by_hand)


def test_smoothing_finds_the_alpha_of_a_local_level() -> None:
    """For an ARIMA(0, 1, 1) with theta = alpha - 1 = -0.7 no forecast errs less than 1.

    x_t = l_{t-1} + e_t, l_t = l_{t-1} + alpha e_t: the forecast is the level.
    """
    e = noise(1)
    x = e + 0.3 * np.concatenate([[0], e.cumsum()[:-1]])
    forecast = smoothing(x, KNOWN)
    alpha = np.diff(forecast) / (x[KNOWN:] - forecast[:-1])
    assert alpha == pytest.approx(alpha[0])
    assert alpha[0] == pytest.approx(0.3, abs=0.06)  # three standard errors
    assert error(forecast, x) == pytest.approx(np.mean(e[KNOWN:] ** 2), rel=0.02)


def test_an_autoregression_finds_the_best_forecasts_of_an_ar_2() -> None:
    """These are 1 + 0.5 x_{t-1} + 0.3 x_{t-2}; what is left is the noise."""
    e, x = noise(2), np.zeros(2000)
    for t in range(2, 2000):
        x[t] = 1 + 0.5 * x[t - 1] + 0.3 * x[t - 2] + e[t]
    best = 1 + 0.5 * x[KNOWN - 1 : -1] + 0.3 * x[KNOWN - 2 : -2]
    forecast = autoregression(x, KNOWN)
    assert (
        np.abs(forecast[:-1] - best).mean() < 0.15
    )  # of noise of standard deviation 1
    assert error(forecast, x) == pytest.approx(np.mean(e[KNOWN:] ** 2), rel=0.02)


def test_har_is_that_of_arch() -> None:
    from arch.univariate import HARX  # takes long to import

    x = noise(3, 400) + np.sin(np.arange(400) / 20)
    params = HARX(x[:300], lags=[1, 5, 22]).fit().params.to_numpy()
    by_hand = [
        params[:4] @ [1, x[t - 1], x[t - 5 : t].mean(), x[t - 22 : t].mean()]
        for t in range(300, 401)
    ]
    assert har(x, 300) == pytest.approx(by_hand)


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("refit", [None, 30])
def test_no_forecast_depends_on_a_later_day(name: str, refit: int | None) -> None:
    """Other days from day 250 on leave the forecasts up to day 250 as they are."""
    x = 20 + noise(4, 300).cumsum()
    changed = np.concatenate([x[:250], x[250:] + noise(5, 50)])
    first, second = (
        baseline_forecasts(made(v), 200, models=[name], refit=refit)[name].to_numpy()
        for v in (x, changed)
    )
    assert (first[:51] == second[:51]).all()
    assert (name == "mean" and refit is None) or (first[51:] != second[51:]).any()


@pytest.mark.parametrize("name", BASELINES)
def test_refitting_is_fitting_on_all_days_before_each_origin(name: str) -> None:
    x = 20 + noise(6, 150).cumsum()
    rolled = baseline_forecasts(made(x), 100, models=[name], refit=25)[name]
    assert len(rolled) == 51
    for origin in (100, 125, 150):
        alone = BASELINES[name](x[: origin + 1], origin)
        assert rolled.iloc[origin - 100] == pytest.approx(alone[0])


def test_the_table_has_every_day_from_known_on_and_the_day_after_the_last() -> None:
    series = made(20 + noise(7, 100).cumsum())
    table = baseline_forecasts(series, 70)
    assert list(table) == list(BASELINES)
    assert (table.index[:-1] == series.dates[70:]).all()
    assert table.index[-1] is pd.NaT
    assert np.isfinite(table).all(axis=None)


def test_what_cannot_be_fitted_is_refused() -> None:
    series = made(noise(8, 100))
    with pytest.raises(ValueError, match="unknown baseline 'zero': choose one of pers"):
        baseline_forecasts(series, 70, models=["zero"])
    with pytest.raises(ValueError, match="made: cannot fit on 59 of 100 days"):
        baseline_forecasts(series, 59)
    with pytest.raises(ValueError, match="made: cannot fit on 100 of 100 days"):
        baseline_forecasts(series, 100)
    with pytest.raises(ValueError, match="made: the first 70 days are all 1"):
        baseline_forecasts(made(np.ones(100)), 70)
    with pytest.raises(ValueError, match="refit must be a number of days"):
        baseline_forecasts(series, 70, refit=0)
