"""The figures of chapter 3 show what they are given."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from matplotlib.lines import Line2D

from rnn_companion import Experiment, Record
from rnn_companion.figures import gradients as figures
from rnn_companion.figures import truncation as cuts
from rnn_companion.figures.frames import Frames
from rnn_companion.forecasting.records import Provenance
from rnn_companion.gradients.truncation import Comparison


def heights(line: Line2D) -> list[float]:
    """Return what a line is drawn through."""
    return [float(y) for y in np.asarray(line.get_ydata())]


def at(line: Line2D) -> float:
    """Return where a line begins, from left to right."""
    return float(np.asarray(line.get_xdata())[0])


NORMS = torch.tensor([1.0, 0.5, 0.25])


def test_a_zero_power_ends_its_curve() -> None:
    nilpotent = torch.tensor([1.0, 2.0, 0.0])
    picture = figures.powers({"plain": NORMS, "nilpotent": nilpotent})
    plain, ended, _ = picture.figure.axes[0].lines
    assert heights(plain) == [1.0, 0.5, 0.25]
    assert heights(ended) == [1.0, 2.0]
    assert "plain: 2.5e-01, nilpotent: 0.0e+00" in picture.alt


def radius_slider() -> Frames:
    states = [(r, s) for r in (0.5, 2.0) for s in (0.0, 1.0)]
    eigenvalues = {(r, s): r * torch.tensor([1j, -1j, 0.3]) for r, s in states}
    norms = {(r, s): NORMS * (1 + s) for r, s in states}
    return figures.radius(eigenvalues, norms, dict.fromkeys(states, 4 * NORMS))


def test_eigenvalues_and_norms_of_the_chosen_state_are_drawn() -> None:
    frames = radius_slider()
    assert len(frames.states()) == 4
    picture = frames.picture(spectral_radius=2.0, input_scale=1.0)
    plane, lags = picture.figure.axes
    assert heights(plane.lines[0]) == [2.0, -2.0, 0.0]
    measured, power, bound, _ = lags.lines
    assert heights(measured) == [2.0, 1.0, 0.5]
    assert heights(power) == [1.0, 2.0, 4.0]
    assert heights(bound) == [4.0, 2.0, 1.0]
    assert "outside the unit circle, at 2" in picture.alt
    assert "5.0e-01 at lag 2" in picture.alt


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_the_circle_has_radius_one_whatever_the_slider_says(scale: float) -> None:
    for radius in (0.5, 2.0):
        values = {"spectral_radius": radius, "input_scale": scale}
        (circle,) = radius_slider().picture(**values).figure.axes[0].patches
        assert circle.get_radius() == 1  # type: ignore[attr-defined]


def test_cells_are_drawn_by_their_medians() -> None:
    seeds = torch.stack([NORMS, 2 * NORMS, 9 * NORMS])
    picture = figures.norms_by_cell({1.0: {"tanh": seeds}, 2.0: {"tanh": 3 * seeds}})
    left, right = picture.figure.axes
    assert heights(left.lines[0]) == [2.0, 1.0, 0.5]
    assert heights(right.lines[0]) == [6.0, 3.0, 1.5]
    assert "at radius 1 tanh 5.0e-01; at radius 2 tanh 1.5e+00" in picture.alt


@pytest.mark.parametrize(("chosen", "scale"), [("W_hh", 1.0), ("b_q", 4.0)])
def test_norms_in_training_show_the_chosen_parameter(chosen: str, scale: float) -> None:
    by_name = {"W_hh": NORMS, "b_q": 4 * NORMS}
    frames = figures.norms_in_training(
        {3: by_name, 7: {k: v / 2 for k, v in by_name.items()}}
    )
    picture = frames.picture(parameter=chosen)
    left, right = picture.figure.axes
    assert heights(left.lines[0]) == [scale, 0.5 * scale, 0.25 * scale]
    bold = [line.get_label() for line in right.lines if line.get_linewidth() > 2]
    assert bold == [chosen]
    assert heights(right.lines[1]) == [4.0, 2.0]
    assert f"{scale:.2f} with 3 days, {scale / 2:.2f} with 7 days" in picture.alt


def test_reaches_are_drawn_before_and_after() -> None:
    picture = figures.reaches(NORMS, {2: 3 * NORMS})
    before, after = picture.figure.axes[0].lines
    assert heights(before) == [1.0, 0.5, 0.25]
    assert heights(after) == [3.0, 1.5, 0.75]
    assert "7.5e-01 at lag 2" in picture.alt


def made_run(seed: int, norms: tuple[float, ...], mse: float) -> Record:
    """Make a record of a run; persistence has an error of 2."""
    return Record(
        settings=asdict(Experiment(seed=seed)),
        training_loss=(0.1,),
        validation_loss=(mse,),
        mse_by_position=(mse,),
        persistence_by_position=(2.0,),
        forecasts=None,
        provenance=Provenance("made", "0" * 64, "cpu", {}, "2026-01-01", 1.0, 1),
        gradient_norms=norms,
    )


def test_remedies_show_median_norms_above_the_errors_of_all_seeds() -> None:
    none = [made_run(s, (8.0, n), 2 * n) for s, n in enumerate((1.0, 4.0, 3.0))]
    clipped = [made_run(s, (9.0, 0.5), 1.0) for s in range(3)]
    by_name = {"none": none, "clipping": clipped}
    picture = figures.remedies({7: by_name, 50: by_name})
    above, _, below, _ = picture.figure.axes
    assert heights(above.lines[0]) == [8.0, 3.0]
    assert heights(above.lines[1]) == [9.0, 0.5]
    assert heights(below.lines[0]) == [1.0, 4.0, 3.0]
    assert heights(below.lines[1]) == [0.5, 0.5, 0.5]
    assert "with 7 days none 3, clipping 0.5; with 50 days" in picture.alt
    assert "tomorrow = today: 0.5 to 4" in picture.alt


def test_lessons_stand_side_by_side_on_one_scale() -> None:
    runs = [(NORMS, 8 * NORMS)]
    picture = figures.lessons(runs, [(NORMS, NORMS)], chance=2.3, threshold=1.0)
    above, above_2, below, below_2 = picture.figure.axes
    assert above.get_ylim() == above_2.get_ylim()
    assert below.get_ylim() == below_2.get_ylim()
    assert heights(below.lines[0]) == [8.0, 4.0, 2.0]


def test_a_square_is_filled_if_its_path_counts() -> None:
    counted = torch.tensor([[1.0, 0.0], [0.0, 2.5]])
    picture = cuts.strategies({"one": counted, "both": torch.ones(2, 2).tril()})
    one, both = picture.figure.axes
    assert len(one.patches) == len(both.patches) == 3  # the triangle
    assert len({patch.get_facecolor() for patch in one.patches}) == 3
    assert len({patch.get_facecolor() for patch in both.patches}) == 1
    assert [text.get_text() for text in one.texts] == ["2.5"]
    assert "the 3 paths" in picture.alt
    assert "one: 2, both: 3" in picture.alt


def test_the_laboratory_draws_bias_and_spread() -> None:
    weights = dict.fromkeys(cuts.STRATEGIES, NORMS)
    missed = dict.fromkeys(cuts.STRATEGIES, Comparison(0.25, 0.0, 1.0))
    frames = cuts.laboratory({(2, 0.5): weights}, {(2, 0.5): missed})
    picture = frames.picture(tau=2, pi=0.5)
    marked = [line for line in picture.figure.axes[1].lines if line.get_marker() == "s"]
    assert [at(line) for line in marked[:4]] == [0.25] * 4
    assert "sliding: bias 0.25, spread 0" in picture.alt


def test_the_laboratory_opens_where_it_is_told_to() -> None:
    weights = dict.fromkeys(cuts.STRATEGIES, NORMS)
    missed = dict.fromkeys(cuts.STRATEGIES, Comparison(0.25, 0.0, 1.0))
    states = [(tau, pi) for tau in (1, 6) for pi in (0.8, 0.5)]
    given = dict.fromkeys(states, weights), dict.fromkeys(states, missed)
    assert cuts.laboratory(*given, start=(6, 0.8)).start == {"tau": 6, "pi": 0.8}
    assert cuts.laboratory(*given).start == {}
