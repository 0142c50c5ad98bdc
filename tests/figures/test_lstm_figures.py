"""The figures of chapter 4 show what the package computes."""

import re

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rnn_companion import networks
from rnn_companion.figures import lstm as figures

CANDIDATES = [0.0, 2.0, 0.0, -1.0, 0.5]


def by_cells_lstm(
    a_i: float, a_f: float, a_o: float
) -> tuple[list[float], list[float]]:
    """Run `networks.lstm` with the gates set by its biases; return h and c by step."""
    X = torch.tensor(CANDIDATES, dtype=torch.float64)[:, None, None]
    W_x = torch.tensor([[0.0], [0.0], [1.0], [0.0]], dtype=torch.float64)
    b = torch.tensor([a_i, a_f, 0.0, a_o], dtype=torch.float64)
    zero, nothing = torch.zeros(1, 1).double(), torch.zeros(4, 1).double()
    H, C = networks.lstm(X, zero, zero, W_x, nothing, b)
    return H.flatten().tolist(), C.flatten().tolist()


def drawn(fig: Figure, axes: int) -> list[float]:
    """Read the last curve of a panel."""
    return list(np.asarray(fig.axes[axes].lines[-1].get_ydata(), dtype=float))


@pytest.mark.slow
def test_every_frame_shows_the_numbers_of_cells_lstm() -> None:
    """In the curves, and in words, of every state of the sliders."""
    frames = figures.gates_by_hand(CANDIDATES)
    states = frames.states()
    assert len(states) == 27
    for state in states[::4]:
        h, c = by_cells_lstm(
            state["input_gate"], state["forget_gate"], state["output_gate"]
        )
        picture = frames.picture(**state)
        assert drawn(picture.figure, 1) == pytest.approx(c, abs=1e-12)
        assert drawn(picture.figure, 2) == pytest.approx(h, abs=1e-12)
        said = re.search(r"cell holds (-?[\d.]+) and shows (-?[\d.]+);", picture.alt)
        assert said is not None
        assert [float(n) for n in said.groups()] == pytest.approx(
            [c[-1], h[-1]], abs=5e-4
        )


def test_what_is_kept_and_written_adds_up_to_the_cell() -> None:
    """`eq-lstm-c`, bar for bar."""
    picture = figures.gates_by_hand(CANDIDATES).picture(
        forget_gate=2, input_gate=0, output_gate=4
    )
    patches = picture.figure.axes[1].patches
    bars = [bar.get_height() for bar in patches if isinstance(bar, Rectangle)]
    kept, written = np.array(bars[:5]), np.array(bars[5:])
    _, c = by_cells_lstm(0, 2, 4)
    sigmoid = 1 / (1 + np.exp(-2.0))
    assert kept == pytest.approx(sigmoid * np.array([0.0, *c[:-1]]), abs=1e-12)
    assert kept + written == pytest.approx(np.array(c), abs=1e-12)


def test_the_readers_own_sequence_is_run() -> None:
    frames = figures.gates_by_hand(CANDIDATES)
    open_all = {"forget_gate": 4, "input_gate": 4, "output_gate": 4}
    own = frames.picture(**open_all, sequence="1, -2 0.5")
    assert len(drawn(own.figure, 2)) == 3
    assert "After 3 steps" in own.alt


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        ("1, zwei", "'zwei' is not a number"),
        ("", "sequence has 0 numbers"),
        ("1 " * 61, "sequence has 61 numbers"),
        ("nan", "between -1e6 and 1e6"),
        ("1e9", "between -1e6 and 1e6"),
    ],
)
def test_a_bad_sequence_is_answered_in_words(sequence: str, message: str) -> None:
    frames = figures.gates_by_hand(CANDIDATES)
    with pytest.raises(ValueError, match=message):
        frames.picture(forget_gate=4, input_gate=4, output_gate=4, sequence=sequence)


def test_the_diagram_names_every_part() -> None:
    picture = figures.diagram()
    texts = [text.get_text() for text in picture.figure.axes[0].texts]
    for part in (
        "$f_t$",
        "$i_t$",
        "$g_t$",
        "$o_t$",
        "$c_{t-1}$",
        "$c_t$",
        "$h_t$",
        "$x_t$",
    ):
        assert part in texts
    assert texts.count(r"$\sigma$") == 3
    assert texts.count("tanh") == 2
    assert sorted(t for t in texts if t in "×+" and t) == ["+", "×", "×", "×"]


def test_the_other_figures_draw_their_numbers() -> None:
    left = figures.gradient_left({"a": torch.tensor([1.0, 0.5, 0.25])})
    assert "At 2 steps: a: 2e-01" in left.alt
    assert drawn(left.figure, 0) == [1, 0.5, 0.25]
    curves = figures.validation_curves({"RNN": [0.2, 0.1]}, 0.05)
    assert "RNN 0.1; tomorrow = today, a horizontal line, 0.05" in curves.alt
    both = figures.validation_curves({"RNN": [[0.2, 0.1], [0.4, 0.2]]}, 0.05)
    assert "RNN 0.15; tomorrow" in both.alt
    lines = [line.get_ydata() for line in both.figure.axes[0].lines[:3]]
    means = [[0.2, 0.1], [0.4, 0.2], [0.3, 0.15]]
    assert np.asarray(lines, dtype=float) == pytest.approx(np.array(means))


def test_the_gates_at_marks_are_drawn_and_said() -> None:
    T, units = 6, 2
    parts = torch.rand(5, T, units, generator=torch.Generator().manual_seed(0))
    gates = networks.Gates(*parts[:4])
    X = torch.stack([torch.linspace(-1, 1, T), torch.tensor([0.0, 1, 0, 0, 1, 0])], 1)
    picture = figures.gates_at_marks(X, gates, parts[4], 0.5, 0.4)
    for n, values in ((1, gates.i), (2, gates.f), (3, parts[4])):
        lines = picture.figure.axes[n].lines[:units]
        shown = np.stack([np.asarray(line.get_ydata()) for line in lines], axis=1)
        assert shown == pytest.approx(values.numpy())
    opened = float((gates.i[1, 0] + gates.i[4, 0]) / 2)
    assert "the steps 2, 5 are marked" in picture.alt
    assert f"input gates: unit 1 {opened:.2f} at the marks" in picture.alt
    assert "sum to 0.50; the network says 0.40" in picture.alt
