"""Chapter 10's figures show the numbers that they are given."""

import numpy as np
import pandas as pd

from rnn_companion.figures import volatility as figures


def test_the_band_is_that_of_independent_days() -> None:
    """1.96 / sqrt(N) on either side of zero, and what lies outside is counted."""
    picture = figures.memory({"a": [0.3, 0.1, -0.2], "b": [0.0, 0.0, 0.1]}, days=400)
    (band,) = picture.figure.axes[0].patches
    low, high = band.get_window_extent().y0, band.get_window_extent().y1
    ends = picture.figure.axes[0].transData.inverted().transform([(0, low), (0, high)])
    np.testing.assert_allclose(ends[:, 1], [-0.098, 0.098], atol=1e-9)
    assert picture.alt.endswith("a 3 of 3, b 1 of 3.")


def table() -> pd.DataFrame:
    rows = {
        "good": (0.6, 0.5, 0.7, True),
        "worse": (0.9, 0.8, 1.0, False),
        "best": (0.5, 0.4, 0.6, True),
    }
    columns = ["ratio", "low", "high", "kept"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def test_models_stand_in_the_order_of_their_errors_and_the_set_is_filled() -> None:
    frames = figures.forecasters({"range": table(), "price": table()})
    assert frames.states() == [{"target": "range"}, {"target": "price"}]
    picture = frames.picture(target="range")
    (ax,) = picture.figure.axes
    assert [t.get_text() for t in ax.get_yticklabels()] == ["best", "good", "worse"]
    points = [line for line in ax.lines if len(np.array(line.get_xdata())) == 1]
    assert [float(np.array(p.get_xdata())[0]) for p in points] == [0.5, 0.6, 0.9]
    assert [p.get_markerfacecolor() == "white" for p in points] == [False, False, True]
    assert picture.alt.endswith(
        "best 0.500, good 0.600, worse 0.900. In the set: best, good."
    )


def test_an_interval_goes_from_low_to_high() -> None:
    (ax,) = figures.forecasters({"range": table()}).picture(target="range").figure.axes
    spans = [np.array(line.get_xdata()) for line in ax.lines]
    ends = [tuple(x) for x in spans if len(x) == 2 and x[0] != x[1]]
    assert ends == [(0.4, 0.6), (0.5, 0.7), (0.8, 1.0)]


def test_volatility_is_drawn_in_percent_a_day() -> None:
    days = pd.date_range("2020-01-01", periods=3)
    truth, guess = np.log([0.01, 0.02, 0.04]), np.log([0.02, 0.02, 0.03])
    picture = figures.days_of_range(days, list(truth), {"rule": list(guess)})
    measured, forecast = picture.figure.axes[0].lines
    np.testing.assert_allclose(np.array(measured.get_ydata()), [1, 2, 4])
    np.testing.assert_allclose(np.array(forecast.get_ydata()), [2, 2, 3])
    assert "measured 1.00 to 4.00; rule 2.00 to 3.00" in picture.alt
