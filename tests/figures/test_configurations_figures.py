"""Chapter 5's figures show what was computed, and nothing else."""

import numpy as np
import pytest

from rnn_companion.figures import configurations as figures
from rnn_companion.forecasting.configurations import Layout

REACH = [
    (Layout("many-to-one", 3), [[0.1, 0.2, 0.5]]),
    (Layout("many-to-many-aligned", 3), [[0.3, 0, 0], [0.2, 0.3, 0], [0.1, 0.2, 0.3]]),
]


def test_a_line_stands_where_a_derivative_is_not_zero() -> None:
    picture = figures.wiring(REACH)
    lines = [
        {tuple(np.array(line.get_xdata())) for line in ax.lines}
        for ax in picture.figure.axes
    ]
    assert lines[0] == {(1, 4), (2, 4), (3, 4)}
    assert lines[1] == {(1, 2), (1, 3), (2, 3), (1, 4), (2, 4), (3, 4)}
    assert "forecast of day 2 reads day 1;" in picture.alt
    assert "forecast of day 4 reads days 1, 2, 3." in picture.alt


def test_the_bars_are_the_derivatives_by_the_chosen_day() -> None:
    frames = figures.influences(REACH)
    assert len(frames.states()) == 6
    for layout, sizes in REACH:
        for day in (1, 2, 3):
            values = {"configuration": layout.configuration, "input_day": day}
            bars = frames.draw(**values).axes[0].patches[: layout.outputs]
            heights = [bar.get_height() for bar in bars]  # type: ignore[attr-defined]
            assert heights == pytest.approx(np.array(sizes)[:, day - 1])
            assert f"{sizes[-1][day - 1]:.2g}" in frames.alt(**values)


def test_a_day_that_is_not_read_is_said_to_be_not_read() -> None:
    frames = figures.influences([(Layout("one-to-one", 1), [[0.4]]), *REACH])
    said = frames.alt(configuration="one-to-one", input_day=2)
    assert said == "one-to-one does not read day 2."


def test_errors_by_position_are_medians_with_their_range() -> None:
    picture = figures.by_position({"a": {1: (3.0, 1.0, 2.0), 4: (5.0, 5.0, 8.0)}}, "x")
    line, _, (bars,) = picture.figure.axes[0].containers[0]
    assert list(np.array(line.get_xdata())) == [1, 4]
    assert list(np.array(line.get_ydata())) == [2.0, 5.0]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert ends == [[1.0, 3.0], [5.0, 8.0]]
    assert picture.alt.endswith("a: 2 at 1, 5 at 4.")


def test_an_output_is_read_again_where_the_network_reads_its_own() -> None:
    picture = figures.several_days(2, 3)
    direct, recursive, used, forced = picture.figure.axes
    drawn = [len(ax.patches) for ax in (direct, recursive, used, forced)]
    # arrows of 2 inputs and a state; of 3 outputs, 2 states, 2 inputs, 2 dashed
    assert drawn == [6, 12, 12, 10]
    dashed = [
        sum(p.get_linestyle() == "--" for p in ax.patches) for ax in (recursive, forced)
    ]
    assert dashed == [2, 0]
    texts = {text.get_text() for text in forced.texts}
    assert {"$y_2$", "$y_3$"} < texts
    assert "$x_3$" not in texts
    assert "forecast 3" in picture.alt
