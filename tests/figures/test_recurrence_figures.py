"""Chapter 1's figures say the numbers that were computed."""

import math
import re
from typing import Any

import numpy as np
import pytest

from rnn_companion import Experiment, load_prices, run
from rnn_companion.figures import recurrence
from rnn_companion.networks.graph import direct_dependences


@pytest.fixture(scope="module")
def records() -> list[Any]:
    settings: dict[str, Any] = {"hidden_size": 8, "epochs": 1, "length": 3}
    return [run(Experiment(seed=s, **settings), device="cpu") for s in range(3)]


def test_unroll_shows_eq_rnn_at_every_step() -> None:
    inputs, h = [1.0, 0.0, -0.5], 0.0
    frames = recurrence.unroll(inputs, w_x=0.7, w_h=-1.2, b=0.1)
    for step, x in enumerate(inputs, start=1):
        h = math.tanh(0.7 * x - 1.2 * h + 0.1)
        assert frames.alt(step=step).endswith(f"= {h:.3f}.")
        assert f"Step {step} of 3" in frames.alt(step=step)
        texts = [t.get_text() for t in frames.draw(step=step).axes[0].texts]
        assert f"$h_{step}$\n{h:.3f}" in texts
        assert not any(f"$h_{step + 1}$\n" in text for text in texts)


def test_a_reader_unrolls_values_of_their_own() -> None:
    frames = recurrence.unroll([1, 0], w_x=1, w_h=0.8, b=0)
    assert set(frames.live) == {"inputs", "w_x", "w_h", "b"}
    alt = frames.alt(step=2, inputs="2, -1, 0.5", w_h=1.5)
    assert alt.endswith(f"= {math.tanh(-1 + 1.5 * math.tanh(2)):.3f}.")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"inputs": "1, two"}, "inputs '1, two' are not numbers: write them as"),
        ({"inputs": ""}, "inputs '' are not numbers"),
        ({"inputs": "1"}, "step 2 needs 2 inputs, there are 1"),
    ],
)
def test_values_that_cannot_be_unrolled_are_refused(
    own: dict[str, Any], message: str
) -> None:
    frames = recurrence.unroll([1, 0], w_x=1, w_h=0.8, b=0)
    with pytest.raises(ValueError, match=message):
        frames.draw(step=2, **own)


def test_diagrams_name_every_quantity_once() -> None:
    parents = direct_dependences(3)
    unrolled, rolled = recurrence.unrolled(parents), recurrence.rolled(parents)
    texts = [t.get_text() for t in unrolled.figure.axes[0].texts]
    assert sorted(texts) == sorted(set(texts))
    states = [t for t in texts if re.fullmatch(r"\$h_\d\$", t)]
    assert states == ["$h_0$", "$h_1$", "$h_2$", "$h_3$"]
    assert "$W_{xh}$, $W_{hh}$, $b_{h}$" in texts
    assert "h_2 reads W_xh, W_hh, b_h, h_1, x_2." in unrolled.alt
    assert "delay of one step from h to itself" in rolled.alt


def test_the_price_figure_marks_where_validation_begins() -> None:
    prices = load_prices()
    picture = recurrence.price_series(prices, 1208)
    assert "the last 303 days are marked validation" in picture.alt
    (line,) = picture.figure.axes[0].lines
    np.testing.assert_array_equal(line.get_ydata(), prices.close)


def test_the_forecast_figure_says_how_far_off_each_was(records: list[Any]) -> None:
    picture = recurrence.forecast(records[0], days=10)
    truth, forecast, naive = (
        np.asarray(line.get_ydata()) for line in picture.figure.axes[0].lines
    )
    assert f"forecast, {np.abs(forecast - truth).mean():.2f} dollars" in picture.alt
    assert f"before, {np.abs(naive - truth).mean():.2f} dollars" in picture.alt
    np.testing.assert_allclose(naive[1:], truth[:-1], rtol=1e-6)  # one day late


def test_the_seeds_stand_at_their_multiples_of_persistence(records: list[Any]) -> None:
    picture = recurrence.against_persistence(records)
    for record in records:
        assert f"{1 - record.skill:.2f}" in picture.alt
