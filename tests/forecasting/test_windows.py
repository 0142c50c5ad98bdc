"""Windows hold the days they say, and no window knows its future."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnn_companion import Prices
from rnn_companion.forecasting.configurations import Configuration, Layout
from rnn_companion.forecasting.windows import (
    MinMaxScaler,
    cut_windows,
    leaky_random_split,
    split_by_date,
)

LAYOUTS = [
    Layout("one-to-one", 1),
    Layout("one-to-many", 1, 3),
    Layout("many-to-one", 4),
    Layout("many-to-many-shifted", 4, 3),
    Layout("many-to-many-aligned", 4),
]


def make_prices(closes: list[float]) -> Prices:
    days = pd.bdate_range("2020-01-01", periods=len(closes))
    return Prices(days, np.array(closes, dtype=np.float64), "made up")


# Day t has the value t, so every number in a window says which day it is.
EXPECTED = {
    "one-to-one": ([0], [1], [0]),
    "one-to-many": ([0], [1, 2, 3], [0, 0, 0]),
    "many-to-one": ([0, 1, 2, 3], [4], [3]),
    "many-to-many-shifted": ([0, 1, 2, 3], [4, 5, 6], [3, 3, 3]),
    "many-to-many-aligned": ([0, 1, 2, 3], [1, 2, 3, 4], [0, 1, 2, 3]),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.configuration)
def test_windows_hold_the_days_of_their_configuration(layout: Layout) -> None:
    windows = cut_windows(torch.arange(20.0), layout)
    inputs, targets, persistence = EXPECTED[layout.configuration]
    assert len(windows) == 20 - layout.span + 1
    for n in range(len(windows)):
        assert windows.inputs[:, n, 0].tolist() == [n + day for day in inputs]
        assert windows.targets[:, n, 0].tolist() == [n + day for day in targets]
        assert windows.days[:, n].tolist() == [n + day for day in targets]
        assert windows.persistence[:, n, 0].tolist() == [n + d for d in persistence]


def test_all_five_configurations_are_covered() -> None:
    assert {layout.configuration for layout in LAYOUTS} == set(Configuration)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.configuration)
def test_eq_scale_is_fitted_on_the_training_days(layout: Layout) -> None:
    prices = make_prices([10.0, 30, 20, *([25] * 17), 100, 5, 50, 60, 70])
    split = split_by_date(prices, layout, training=0.8)
    assert (split.scaler.minimum, split.scaler.maximum) == (10, 30)
    everything = torch.cat(
        [split.training.targets.flatten(), split.training.inputs.flatten()]
    )
    assert 0 <= everything.min() <= everything.max() <= 1


@st.composite
def two_futures(draw: st.DrawFn) -> tuple[list[float], list[float]]:
    """Draw two series of 5 k days whose first 4 k days agree."""
    k = draw(st.integers(4, 9))
    close = st.floats(1, 1000)
    past = [1.0, 1000.0, *draw(st.lists(close, min_size=4 * k - 2, max_size=4 * k - 2))]
    future = st.lists(close, min_size=k, max_size=k)
    return past + draw(future), past + draw(future)


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.configuration)
@given(two_futures())
def test_changing_the_future_changes_nothing_of_the_past(
    layout: Layout, series: tuple[list[float], list[float]]
) -> None:
    one, other = series
    known = len(one) // 5 * 4
    a = split_by_date(make_prices(one), layout, training=0.8)
    b = split_by_date(make_prices(other), layout, training=0.8)
    assert a.scaler == b.scaler
    assert torch.equal(a.training.inputs, b.training.inputs)
    assert torch.equal(a.training.targets, b.training.targets)
    assert a.training.days.max() < known <= b.validation.days.min()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.configuration)
def test_every_day_after_the_split_is_a_validation_target(layout: Layout) -> None:
    split = split_by_date(make_prices([1.0 + t for t in range(50)]), layout)
    assert set(split.validation.days.flatten().tolist()) == set(range(40, 50))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.configuration)
def test_each_day_is_a_target_of_its_own_part(layout: Layout) -> None:
    """30 days to learn from, 10 to validate on, the last 10 to test with."""
    prices = make_prices([1.0 + t for t in range(50)])
    split = split_by_date(prices, layout, training=0.6, test=0.2)
    assert split.test is not None
    assert split.training.days.max() < 30
    assert set(split.validation.days.flatten().tolist()) == set(range(30, 40))
    assert set(split.test.days.flatten().tolist()) == set(range(40, 50))


def test_without_the_validation_days_the_test_part_is_what_was_validated() -> None:
    """So errors with and without three parts are of the same days."""
    prices = make_prices([1.0 + t for t in range(1511)])
    for layout in LAYOUTS:
        two = split_by_date(prices, layout, training=0.8)
        three = split_by_date(prices, layout, training=0.6, test=0.2)
        assert two.test is None
        assert three.test is not None
        assert torch.equal(two.validation.days, three.test.days)


def test_changing_the_test_days_changes_nothing_before_them() -> None:
    first = [float(t % 7 + t) for t in range(40)]
    layout = Layout("many-to-many-aligned", 4)
    splits = [
        split_by_date(make_prices(first + later), layout, training=0.6, test=0.2)
        for later in ([1000.0] * 10, [2.0] * 10)
    ]
    one, other = splits
    assert one.scaler == other.scaler
    assert torch.equal(one.validation.inputs, other.validation.inputs)
    assert torch.equal(one.validation.targets, other.validation.targets)


@pytest.mark.parametrize("test", [-0.1, 0.2, 0.9, float("nan")])
def test_a_test_part_that_leaves_nothing_to_validate_is_refused(test: float) -> None:
    with pytest.raises(ValueError, match="test must be at least 0 and leave days"):
        split_by_date(
            make_prices([1.0 + t for t in range(50)]),
            Layout("many-to-one", 3),
            training=0.8,
            test=test,
        )


def test_a_part_too_short_for_a_window_is_named() -> None:
    prices, layout = (
        make_prices([1.0 + t for t in range(50)]),
        Layout("many-to-many-aligned", 6),
    )
    with pytest.raises(ValueError, match=r"5 test days .* for 6 targets .* raise test"):
        split_by_date(prices, layout, training=0.6, test=0.1)
    with pytest.raises(ValueError, match=r"5 validation days .* lower training"):
        split_by_date(prices, layout, training=0.6, test=0.3)


def test_the_leaky_split_leaks_as_its_name_says() -> None:
    layout = Layout("many-to-one", 3)
    prices = make_prices([1.0 + t for t in range(200)])
    deal = torch.Generator().manual_seed(0)
    split = leaky_random_split(prices, layout, generator=deal)
    assert split.scaler == MinMaxScaler(1, 200)
    seen = {
        d
        for day in split.training.days.flatten().tolist()
        for d in range(day - 3, day + 1)
    }
    targets = split.validation.days.flatten().tolist()
    assert sum(day in seen for day in targets) >= 0.95 * len(targets)
    assert len(split.training) + len(split.validation) == 197


@given(st.floats(1, 50), st.floats(51, 100), st.floats(0, 200))
def test_eq_unscale_undoes_eq_scale(low: float, high: float, close: float) -> None:
    scaler = MinMaxScaler.fit(torch.tensor([high, low, low], dtype=torch.float64))
    scaled = scaler.scale(torch.tensor(close, dtype=torch.float64))
    assert scaler.unscale(scaled).item() == pytest.approx(close, abs=1e-9)
    assert scaler.scale(torch.tensor(high, dtype=torch.float64)) == 1


def test_too_few_days_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4 days are too few for a window of 5"):
        cut_windows(torch.arange(4.0), Layout("many-to-one", 4))
    with pytest.raises(
        ValueError, match="8 training days are too few for a window of 10"
    ):
        split_by_date(
            make_prices([1.0 + t for t in range(10)]), Layout("many-to-one", 9)
        )
    with pytest.raises(ValueError, match="2 validation days are too few for 3 targets"):
        split_by_date(
            make_prices([1.0 + t for t in range(10)]), Layout("one-to-many", 1, 3)
        )
    with pytest.raises(ValueError, match="training must lie between 0 and 1, got 1"):
        split_by_date(make_prices([1.0, 2.0]), Layout("one-to-one", 1), training=1)
    with pytest.raises(ValueError, match=r"all 8 prices are 3\.0: nothing to scale"):
        split_by_date(make_prices([3.0] * 10), Layout("one-to-one", 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ("many-to-few", 3),
            "unknown configuration 'many-to-few': choose one of one-to-one",
        ),
        (("one-to-one", 7), "one-to-one has a length of 1, got 7"),
        (("many-to-one", 7, 2), "many-to-one has a horizon of 1, got 2"),
        (
            ("many-to-many-aligned", 7, 2),
            "many-to-many-aligned has a horizon of 1, got 2",
        ),
        (("many-to-one", 0), "length must be at least 1, got 0"),
        (("one-to-many", 1, 0), "horizon must be at least 1, got 0"),
    ],
)
def test_impossible_layouts_are_refused(settings: tuple, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        Layout(*settings)


def test_windows_are_chosen_by_numbers_or_by_a_slice() -> None:
    """Day t has the value t, so inputs, targets and days must go together."""
    windows = cut_windows(torch.arange(12.0), Layout("many-to-one", 3))
    for chosen in (windows[torch.tensor([2, 4])], windows[2:6:2]):
        assert chosen.inputs[:, :, 0].T.tolist() == [[2, 3, 4], [4, 5, 6]]
        assert chosen.targets.flatten().tolist() == [5, 7]
        assert chosen.days.flatten().tolist() == [5, 7]
        assert len(chosen) == 2
