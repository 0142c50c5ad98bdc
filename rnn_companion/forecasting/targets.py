"""What is forecast of a share: its price, its return, or how far it moves in a day.

Source: chapter *Forecasting Microsoft*; Parkinson (1980), *The extreme value method
for estimating the variance of the rate of return*.
"""

from collections.abc import Callable

import numpy as np

from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.settings import require_choice

__all__ = ["TARGETS", "log_range", "log_return", "target"]


def target(prices: Prices, kind: str) -> Prices:
    """Make the series to forecast, in the form of prices.

    Parameters
    ----------
    prices : Prices
        Of a share.
    kind : str
        One of `TARGETS`: ``"price"`` (the prices themselves), ``"return"``
        (`log_return`) or ``"range"`` (`log_range`).

    Returns
    -------
    Prices
        Its ``close`` is the target, its checksum that of the target.

    Raises
    ------
    ValueError
        For an unknown kind, and as the two functions do.
    """
    require_choice("target", kind, TARGETS)
    return TARGETS[kind](prices)


def log_return(prices: Prices) -> Prices:
    """Return r_t = ln(p_t / p_{t-1}), from the second day on.

    Raises
    ------
    ValueError
        If there is one day only.
    """
    if len(prices) < 2:
        raise ValueError(f"{prices.name}: a return needs two days, got {len(prices)}")
    returns = np.diff(np.log(prices.close))  # (n - 1,)
    return Prices(prices.dates[1:], returns, f"{prices.name}, log-return")


def log_range(prices: Prices) -> Prices:
    """Return x_t = ln sqrt((ln H_t / L_t)^2 / (4 ln 2)), the log of a day's volatility.

    For a price whose logarithm moves as Brownian motion without drift, (ln H / L)^2
    has the mean 4 ln 2 times the variance of the day's log-return (Parkinson 1980).

    Raises
    ------
    ValueError
        If high and low are not known, or equal on a day: names it.
    """
    if prices.high is None or prices.low is None:
        raise ValueError(
            f"{prices.name}: the range needs a column high and a column low"
        )
    ranges = np.log(prices.high / prices.low)  # (n,)
    if (flat := np.flatnonzero(ranges <= 0)).size:
        raise ValueError(
            f"{prices.name}: high and low are both {prices.high[flat[0]]} on "
            f"{prices.dates[flat[0]]:%Y-%m-%d}, so the range has no logarithm; correct "
            "that day or remove it"
        )
    volatility = ranges / np.sqrt(4 * np.log(2))
    return Prices(prices.dates, np.log(volatility), f"{prices.name}, log-range")


def _price(prices: Prices) -> Prices:
    return prices


TARGETS: dict[str, Callable[[Prices], Prices]] = {
    "price": _price,
    "return": log_return,
    "range": log_range,
}
