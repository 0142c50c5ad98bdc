"""The figures of chapter 2 show what they are given."""

import pytest
import torch
from torch import Tensor

from rnn_companion.figures import bptt as figures


def some_paths() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    heads = torch.tensor([0.5, -0.25, 2.0])
    links = torch.tensor([9.0, 0.5, -0.5])  # the first leads to h_0, on no path
    uses = torch.tensor([1.0, 2.0, -3.0])
    terms = torch.tensor([[0.5, 0.0, 0.0], [-0.125, -0.5, 0.0], [-0.5, -2.0, -6.0]])
    return heads, links, uses, terms


def test_the_factors_of_a_path_multiply_to_the_entry_of_the_table() -> None:
    """The sum over paths, `eq-bptt-paths`: the words hold the factors in order."""
    frames = figures.paths(*some_paths())
    alt = frames.picture(loss_term=3, weight_use=1).alt
    assert "2.000 × −0.500 × 0.500 × 1.000 = −0.5000" in alt


@pytest.mark.parametrize("loss_term", [1, 2, 3])
@pytest.mark.parametrize("weight_use", [1, 2, 3])
def test_a_later_use_has_no_path(loss_term: int, weight_use: int) -> None:
    frames = figures.paths(*some_paths())
    picture = frames.picture(loss_term=loss_term, weight_use=weight_use)
    assert ("No path" in picture.alt) == (weight_use > loss_term)
    bold = [line for line in picture.figure.axes[0].lines if line.get_linewidth() > 3]
    length = loss_term - weight_use + 2 if weight_use <= loss_term else 0
    assert len(bold) == length


def test_every_loss_and_every_use_can_be_chosen() -> None:
    frames = figures.paths(*some_paths())
    assert len(frames.states()) == 9
    assert frames.states()[0] == {"loss_term": 3, "weight_use": 1}  # the longest path


def test_loss_curves_say_how_far_apart_they_are() -> None:
    autograd = torch.tensor([1.0, 0.5, 0.25])
    picture = figures.loss_curves(autograd, autograd * torch.tensor([1, 1.001, 1]))
    assert "at most 1e-03" in picture.alt
    assert picture.figure.axes[1].get_ylabel() == "relative difference"


def test_cost_is_drawn_from_zero_with_units() -> None:
    picture = figures.cost([25, 50], torch.tensor([1.0, 2.0]), torch.tensor([3.0, 6.0]))
    (ax,) = picture.figure.axes
    assert ax.get_ylim()[0] == 0
    assert ax.get_ylabel() == "milliseconds"
    assert "2.0 ms forward and 6.0 ms" in picture.alt
