"""The three targets are what their formulas say."""

import math

import numpy as np
import pandas as pd
import pytest

from rnn_companion import Prices, load_prices, load_share
from rnn_companion.forecasting.targets import TARGETS, target

DAYS = pd.bdate_range("2020-01-01", periods=3)


def three(high: list[float] | None = None) -> Prices:
    close, low = np.array([10.0, 20.0, 10.0]), np.array([5.0, 8.0, 9.0])
    highs = None if high is None else np.array(high)
    return Prices(DAYS, close, "made", highs, None if high is None else low)


def test_a_return_is_the_difference_of_logarithms_from_the_second_day_on() -> None:
    returns = target(three(), "return")
    assert returns.close.tolist() == pytest.approx([math.log(2), -math.log(2)])
    assert (returns.dates == DAYS[1:]).all()


def test_a_range_is_the_logarithm_of_parkinsons_volatility() -> None:
    found = target(three([5 * math.e, 16, 18]), "range")
    volatility = [
        math.sqrt(x**2 / (4 * math.log(2))) for x in (1, 0.6931471, 0.6931471)
    ]
    assert np.exp(found.close) == pytest.approx(volatility)
    assert (found.dates == DAYS).all()


def test_parkinsons_volatility_is_that_of_the_steps_of_a_random_walk() -> None:
    """4000 days of 1000 steps: (ln H / L)^2 / (4 ln 2) has the mean 0.02^2.

    A walk of steps misses part of the range between them: 5 % below is allowed.
    """
    steps = np.random.default_rng(0).normal(0, 0.02 / math.sqrt(1000), (4000, 1000))
    walk = np.exp(steps.cumsum(1, out=steps))
    days = pd.date_range("2000-01-01", periods=4000)
    high, low = walk.max(1).clip(1), walk.min(1).clip(max=1)  # it starts at 1
    found = target(Prices(days, walk[:, -1], "walk", high, low), "range")
    assert np.mean(np.exp(2 * found.close)) / 0.02**2 == pytest.approx(0.975, abs=0.025)


def test_the_price_is_left_alone_and_every_target_has_a_checksum_of_its_own() -> None:
    prices = load_prices()
    assert target(prices, "price") is prices
    assert len({target(prices, kind).checksum for kind in TARGETS}) == 3


@pytest.mark.parametrize("name", ["AAPL", "FB", "GOOG", "IBM", "MSFT"])
def test_every_share_that_is_shipped_has_every_target(name: str) -> None:
    share = load_share(name)
    for kind in TARGETS:
        assert np.isfinite(target(share, kind).close).all()


def test_a_target_that_cannot_be_made_is_refused() -> None:
    with pytest.raises(
        ValueError, match="unknown target 'volume': choose one of price"
    ):
        target(three(), "volume")
    with pytest.raises(ValueError, match="made: the range needs a column high"):
        target(three(), "range")
    with pytest.raises(ValueError, match=r"high and low are both 8.0 on 2020-01-02"):
        target(three([6.0, 8.0, 10.0]), "range")
    one = Prices(DAYS[:1], np.ones(1), "made")
    with pytest.raises(ValueError, match="a return needs two days, got 1"):
        target(one, "return")
