"""Simple forecasts of the next day, to hold every network against.

Each is fitted on the first `known` days alone and then reads every day as it becomes
known. x_t is the series, f_t the forecast of x_t from the days before.

Sources: Hyndman and Athanasopoulos, *Forecasting: Principles and Practice* (simple
methods, exponential smoothing); Corsi (2009), *A simple approximate long-memory model
of realized volatility* (HAR).
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.scores import compare_extra
from rnn_companion.forecasting.settings import require_choice

__all__ = [
    "BASELINES",
    "autoregression",
    "baseline_forecasts",
    "drift",
    "har",
    "mean",
    "persistence",
    "smoothing",
]

Series = NDArray[np.float64]
FEWEST_KNOWN = 60  # days to fit on: HAR has four coefficients and waits for 22 days
MONTH = 22  # trading days


def baseline_forecasts(
    series: Prices,
    known: int,
    *,
    models: Iterable[str] | None = None,
    refit: int | None = None,
) -> pd.DataFrame:
    """Forecast every day from `known` on, one day ahead, by simple rules.

    Parameters
    ----------
    series : Prices
        What to forecast is its ``close``, n days (see `targets.target`).
    known : int
        Days to fit on, at least 60 and fewer than n.
    models : iterable of str, optional
        Which of `BASELINES`; all by default.
    refit : int, optional
        Fit again after so many days, on all days before (rolling origin); never by
        default.

    Returns
    -------
    pandas.DataFrame
        A row for each of the n - known days and one, without a date (NaT), for the
        day after the last; a column for each model.

    Raises
    ------
    ImportError
        Without the extra ``compare``.
    ValueError
        For an unknown model, too few days, days to fit on that are all equal, or a
        `refit` below 1.
    """
    models = list(BASELINES if models is None else models)
    for name in models:
        require_choice("baseline", name, BASELINES)
    x = series.close
    if not FEWEST_KNOWN <= known < len(x):
        raise ValueError(
            f"{series.name}: cannot fit on {known} of {len(x)} days; fit on "
            f"{FEWEST_KNOWN} or more and leave some to forecast"
        )
    if np.ptp(x[:known]) == 0:
        raise ValueError(f"{series.name}: the first {known} days are all {x[0]}")
    if refit is not None and refit < 1:
        raise ValueError(f"refit must be a number of days or None, got {refit}")
    days = series.dates[known:].insert(len(x) - known, pd.NaT)
    columns = {name: _rolling(BASELINES[name], x, known, refit) for name in models}
    return pd.DataFrame(columns, index=days)


def _rolling(
    rule: Callable[[Series, int], Series], x: Series, known: int, refit: int | None
) -> Series:
    """Join the forecasts of several origins, `refit` days apart."""
    step = len(x) if refit is None else refit
    parts = [
        rule(x[: start + step], start)[:step]  # the next origin forecasts the day after
        for start in range(known, len(x) + 1, step)
    ]
    return np.concatenate(parts)


def persistence(x: Series, known: int) -> Series:
    """Forecast f_t = x_{t-1}: tomorrow = today (`eq-persistence`).

    Parameters
    ----------
    x : numpy.ndarray, `(n,)`
        The series.
    known : int
        How many of its first days may be fitted on.

    Returns
    -------
    numpy.ndarray, `(n - known + 1,)`
        Forecasts of the days `known` to n, counted from 0: the last is of the day
        after the series.
    """
    return x[known - 1 :]


def drift(x: Series, known: int) -> Series:
    """Forecast f_t = x_{t-1} + c, c the mean change over the known days.

    Source: *Forecasting: Principles and Practice*, section *Some simple forecasting
    methods*. Parameters and result: see `persistence`.
    """
    change = float(x[known - 1] - x[0]) / (known - 1)
    return x[known - 1 :] + change


def mean(x: Series, known: int) -> Series:
    """Forecast f_t = the mean of the known days.

    Source: as `drift`. Parameters and result: see `persistence`.
    """
    return np.full(len(x) - known + 1, x[:known].mean())


def smoothing(x: Series, known: int) -> Series:
    """Forecast f_t = alpha x_{t-1} + (1 - alpha) f_{t-1}: exponential smoothing.

    alpha and f_0 have the least sum of squared errors on the known days. Source:
    *Forecasting: Principles and Practice*, section *Simple exponential smoothing*; by
    statsmodels. Parameters and result: see `persistence`.
    """
    with compare_extra():
        from statsmodels.tsa.api import SimpleExpSmoothing

    way = "initialization_method"
    fitted = SimpleExpSmoothing(x[:known], **{way: "estimated"}).fit().params
    start = {way: "known", "initial_level": fitted["initial_level"]}
    alpha = fitted["smoothing_level"]
    result = SimpleExpSmoothing(x, **start).fit(smoothing_level=alpha, optimized=False)
    return np.asarray(result.predict(known, len(x)), dtype=np.float64)


def autoregression(x: Series, known: int) -> Series:
    """Forecast by an AR(p), f_t = c + phi_1 x_{t-1} + ... + phi_p x_{t-p}.

    p, at most 22, has the least AIC, and the coefficients the least sum of squared
    errors, on the known days. Source: *Forecasting: Principles and Practice*, section
    *Autoregressive models*; by statsmodels. Parameters and result: see `persistence`.
    """
    with compare_extra():
        from statsmodels.tsa.ar_model import ar_select_order

    chosen = ar_select_order(x[:known], maxlag=MONTH, ic="aic").model.fit()
    return np.asarray(chosen.apply(x).predict(known, len(x)), dtype=np.float64)


def har(x: Series, known: int) -> Series:
    """Forecast by HAR, f_t = c + b_d x_{t-1} + b_w w_{t-1} + b_m m_{t-1}.

    w and m are the means of the last 5 and 22 days: a week and a month. The
    coefficients have the least sum of squared errors on the known days. Source: Corsi
    (2009), for volatility. Parameters and result: see `persistence`.
    """
    day = pd.Series(x)
    read = [day**0, day, day.rolling(5).mean(), day.rolling(MONTH).mean()]
    X = np.stack(read, axis=1)  # (n, 4)
    past = slice(MONTH - 1, known - 1)
    b, *_ = np.linalg.lstsq(X[past], x[MONTH:known])
    return np.asarray(X[known - 1 :] @ b)


BASELINES: dict[str, Callable[[Series, int], Series]] = {
    "persistence": persistence,
    "drift": drift,
    "mean": mean,
    "smoothing": smoothing,
    "autoregression": autoregression,
    "har": har,
}
