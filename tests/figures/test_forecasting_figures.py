"""Chapter 6's figures show the records' numbers."""

from dataclasses import replace

import numpy as np
import pytest

from rnn_companion import Experiment, Record, run
from rnn_companion.figures import forecasting as figures
from rnn_companion.forecasting.grid import grid


@pytest.fixture(scope="module")
def records() -> dict[Experiment, Record]:
    experiments = grid(lengths=(3,), epochs=1, hidden_size=4)
    return {e: run(e, device="cpu", progress=False) for e in experiments}


def test_a_point_stands_for_every_run() -> None:
    picture = figures.ratios({"a": [0.5, 2.0], "b": [3.0]}, "Two kinds.")
    first, second, line = picture.figure.axes[0].lines
    assert list(np.array(first.get_xdata())) == [0.5, 2.0]
    assert list(np.array(second.get_xdata())) == [3.0]
    assert list(np.array(line.get_xdata())) == [1, 1]
    assert picture.alt.endswith("a: 0.5, 2; b: 3.")


def test_cells_that_were_not_run_are_left_out() -> None:
    printed = {("rnn", 3, "mm", "adam"): 0.001, ("lstm", 3, "mm", "sgd"): 0.01}
    picture = figures.beside(printed, {("rnn", 3, "mm", "adam"): 0.002})
    assert picture.alt.startswith("1 points")
    assert "between 2.00 and 2.00" in picture.alt
    points = picture.figure.axes[0].lines[0]
    assert list(np.array(points.get_xdata())) == [0.001]
    assert list(np.array(points.get_ydata())) == [0.002]


def test_each_cell_is_a_point_by_its_two_errors() -> None:
    kept = {("rnn", 3, "mm", "adam"): (2.0, 1.0), ("lstm", 3, "mm", "sgd"): (3.0, 9.0)}
    lost = {("rnn", 3, "mm", "adam"): (2.0, 4.0), ("rnn", 7, "mm", "adam"): (5.0, 6.0)}
    picture = figures.two_protocols({"one": kept, "other": lost})
    left, right = (ax.lines[1:] for ax in picture.figure.axes)  # after the diagonal
    points = [np.array(line.get_xydata()).tolist() for line in (*left, *right)]
    assert points == [[[2, 1]], [[3, 9]], [[2, 4], [5, 6]]]
    assert "one: 1 of 2 cells above the diagonal." in picture.alt
    assert "other: 2 of 2 cells above the diagonal." in picture.alt


def test_the_zigzag_has_all_forecasts_and_the_last_has_one_a_day(
    records: dict[Experiment, Record],
) -> None:
    aligned = next(
        r for e, r in records.items() if e.configuration == "many-to-many-aligned"
    )
    above, below = figures.zigzag(aligned, days=10).figure.axes
    assert len(np.array(above.lines[1].get_xdata())) > 20
    assert len(np.array(below.lines[1].get_xdata())) == 10
    assert aligned.forecasts is not None
    table = aligned.forecasts.table()
    last = table[table["position"] == 3].tail(10)["forecast"]
    assert list(np.array(below.lines[1].get_ydata())) == pytest.approx(list(last))


def test_the_gallery_joins_all_forecasts_of_a_day_as_the_report_does(
    records: dict[Experiment, Record],
) -> None:
    aligned, one = (
        next(r for e, r in records.items() if e.configuration == configuration)
        for configuration in ("many-to-many-aligned", "many-to-one")
    )
    rows = {"aligned": {3: aligned.with_forecasts("ends")}, "one": {3: one}}
    picture = figures.gallery(rows, days=10)
    above, below = picture.figure.axes
    assert len(np.array(above.lines[0].get_xdata())) == 20  # two forecasts a day
    assert len(np.array(below.lines[1].get_xdata())) == 10
    assert one.forecasts is not None
    table = one.forecasts.table()
    off = np.abs(np.subtract(table["forecast"], table["truth"])).mean()
    assert f"one: {off:.2f} (3 days)" in picture.alt


def test_a_chosen_network_is_drawn_from_its_record(
    records: dict[Experiment, Record],
) -> None:
    frames = figures.forecasts(records, days=20)
    assert len(frames.states()) == 8
    chosen = {
        "model": "lstm",
        "length": 3,
        "strategy": "many-to-one",
        "optimizer": "sgd",
    }
    e = replace(
        next(iter(records)),
        cell="lstm",
        configuration="many-to-one",
        optimizer="sgd",
    )
    forecasts = records[e].forecasts
    assert forecasts is not None
    table = forecasts.table().tail(20)
    drawn = {
        str(line.get_label()): line for line in frames.draw(**chosen).axes[0].lines
    }
    for column, (label, _, _) in figures.LOOK.items():
        values = np.array(drawn[label].get_ydata())
        assert list(values) == pytest.approx(list(table[column]))
    assert f"skill {records[e].skill:.2f}." in frames.alt(**chosen)


def test_errors_by_position_are_drawn_as_they_are() -> None:
    picture = figures.spread({"a": [0.5, 0.25], "b": [1.0]}, "error")
    first, second = picture.figure.axes[0].lines
    assert list(np.array(first.get_ydata())) == [0.5, 0.25]
    assert list(np.array(second.get_xdata())) == [1]
    assert "a: 0.5 after one day, 0.25 after 2." in picture.alt


def test_norms_stand_below_the_losses_where_they_were_recorded(
    records: dict[Experiment, Record],
) -> None:
    first = next(iter(records.values()))
    plain = replace(first, training_loss=(0.5, 2.0))
    watched = replace(plain, gradient_norms=(3.0, 70.0))
    picture = figures.losses_and_norms({"a": {"p": plain, "w": watched}, "b": {}})
    above, _, below, _ = picture.figure.axes
    losses, norms = (
        [np.asarray(line.get_ydata()).tolist() for line in ax.lines]
        for ax in (above, below)
    )
    assert losses == [[0.5, 2.0], [0.5, 2.0]]
    assert norms == [[], [3.0, 70.0]]
    assert "a, p: loss 0.5 at first, 2 at the end, at most 2, no norms" in picture.alt
    assert "a, w: loss 0.5 at first, 2 at the end, at most 2, norms up to 70" in (
        picture.alt
    )
