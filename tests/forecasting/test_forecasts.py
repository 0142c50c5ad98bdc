"""The mean of several networks' forecasts is a forecast of its own."""

from dataclasses import replace

import numpy as np
import pytest

from rnn_companion import Experiment, Prices, run
from rnn_companion.forecasting.forecasts import Forecasts, Part, mean_over_seeds


def some(forecast: tuple[float, ...]) -> Forecasts:
    return Forecasts(
        dates=("2020-01-02", "2020-01-03", "2020-01-03", "2020-01-06"),
        positions=(1, 1, 2, 2),
        truth=(1.0, 2.0, 2.0, 3.0),
        forecast=forecast,
        persistence=(0.5, 1.0, 1.0, 2.0),
        minimum=10.0,
        maximum=30.0,
    )


def test_errors_are_computed_position_by_position() -> None:
    """By hand: (0.1^2 + 0.3^2)/2 and (0.2^2 + 0.4^2)/2."""
    part = Part.of(some((1.1, 2.3, 1.8, 3.4)))
    assert part.mse_by_position == pytest.approx((0.05, 0.1))
    assert part.persistence_by_position == pytest.approx((0.625, 1.0))
    assert part.skill == pytest.approx(1 - 0.075 / 0.8125)


def test_errors_that_cancel_leave_a_perfect_mean() -> None:
    off = np.array([0.1, -0.2, 0.3, 0.4])
    truth = np.array(some((0.0,) * 4).truth)
    two = [some(tuple(truth + off)), some(tuple(truth - off))]
    mean = mean_over_seeds(two)
    assert mean.forecasts is not None
    np.testing.assert_allclose(mean.forecasts.forecast, truth)
    assert mean.mse == pytest.approx(0, abs=1e-12)
    assert all(Part.of(one).mse > 0.01 for one in two)


def test_the_error_of_the_mean_is_the_mean_error_less_the_spread() -> None:
    """Krogh and Vedelsby 1995, over random forecasts."""
    draw = np.random.default_rng(0)
    runs = [some(tuple(draw.normal(2, 1, 4))) for _ in range(5)]
    each = np.array([one.forecast for one in runs])
    errors = ((each - np.array(runs[0].truth)) ** 2).mean()
    spread = each.var(axis=0).mean()
    assert mean_over_seeds(runs).mse == pytest.approx(errors - spread)


def test_the_mean_of_one_run_is_that_run(prices: Prices) -> None:
    """With the errors that its record has, of either part."""
    experiment = Experiment(
        configuration="many-to-many-aligned",
        length=3,
        hidden_size=4,
        epochs=1,
        training=0.6,
        test=0.2,
    )
    record = run(experiment, prices, device="cpu")
    assert record.forecasts is not None
    assert record.test is not None
    assert record.test.forecasts is not None
    for part, forecasts in (
        (record, record.forecasts),
        (record.test, record.test.forecasts),
    ):
        mean = mean_over_seeds([forecasts])
        assert mean.forecasts == forecasts
        assert mean.mse_by_position == pytest.approx(part.mse_by_position)
        assert mean.persistence_by_position == pytest.approx(
            part.persistence_by_position
        )


def test_forecasts_of_different_targets_have_no_mean() -> None:
    one = some((1.0,) * 4)
    with pytest.raises(ValueError, match=r"different targets, so .* split by date"):
        mean_over_seeds([one, replace(one, maximum=31.0)])
    with pytest.raises(ValueError, match="at least one"):
        mean_over_seeds([])
