"""Folds: what is judged, what is learnt from, and which days they share."""

import numpy as np
import pandas as pd
import pytest
import torch

from rnn_companion import Experiment, Prices
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.folds import FOLDS, fold_split
from rnn_companion.forecasting.windows import Split, Windows

LAYOUTS = [
    Layout("many-to-one", 4),
    Layout("many-to-many-aligned", 4),
    Layout("one-to-many", 1, 3),
]
NAMES = [layout.configuration for layout in LAYOUTS]


def rising(days: int) -> Prices:
    """Make a series whose value on day t is t + 1: numbers say their days."""
    dates = pd.bdate_range("2020-01-01", periods=days)
    return Prices(dates, np.arange(1.0, days + 1), "days")


def split(layout: Layout, kind: str, fold: int, folds: int = 4, n: int = 60) -> Split:
    deal = torch.Generator().manual_seed(3)
    return fold_split(rising(n), layout, kind, folds=folds, fold=fold, generator=deal)


def held(windows: Windows, scale: Split) -> list[set[int]]:
    """Read off the days of each window, inputs and targets, from its values."""
    values = torch.cat([windows.inputs, windows.targets])[:, :, 0]
    days = scale.scaler.unscale(values.double()).round().int() - 1
    return [set(window) for window in days.T.tolist()]


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("kind", ["shuffled", "blocked"])
def test_every_window_is_judged_once(layout: Layout, kind: str) -> None:
    judged = [
        day
        for fold in (1, 2, 3, 4)
        for day in split(layout, kind, fold).validation.days[0].tolist()
    ]
    first = layout.first_target
    assert sorted(judged) == [*range(first, first + 60 - layout.span + 1)]


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("fold", [1, 2, 3, 4])
def test_blocked_folds_share_no_day_and_leave_out_no_other(
    layout: Layout, fold: int
) -> None:
    found = split(layout, "blocked", fold)
    judged = set().union(*held(found.validation, found))
    learnt = held(found.training, found)
    assert all(not window & judged for window in learnt)
    every = [{*range(n, n + layout.span)} for n in range(60 - layout.span + 1)]
    assert learnt == [window for window in every if not window & judged]


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("fold", [1, 2, 3, 4])
def test_forward_folds_know_no_target_and_no_later_day(
    layout: Layout, fold: int
) -> None:
    found = split(layout, "forward", fold)
    first = int(found.validation.days.min())
    assert max(set().union(*held(found.training, found))) == first - 1
    assert found.scaler.maximum == first  # the value of the day before
    later = split(layout, "forward", min(fold + 1, 4))
    assert len(later.training) > len(found.training) or fold == 4


def test_shuffled_folds_hold_targets_that_are_judged() -> None:
    """As often as `eq-fc-leak` says: 1 - (1/4)^4 of the targets, at length 4."""
    found = split(Layout("many-to-one", 4), "shuffled", 1, n=4000)
    seen = set().union(*held(found.training, found))
    judged = found.validation.days.flatten().tolist()
    assert np.mean([day in seen for day in judged]) == pytest.approx(
        1 - 0.25**4, abs=0.01
    )
    assert len(found.training) == 3 * len(found.validation)


def test_the_folds_of_one_seed_are_those_of_one_deal() -> None:
    setting = {"protocol": "shuffled-folds", "length": 4, "hidden_size": 2}
    days = [
        Experiment(**setting, fold=fold, seed=seed).split(rising(60)).validation.days  # type: ignore[arg-type]
        for seed in (0, 1)
        for fold in (1, 2, 3, 4, 5)
    ]
    one, other = torch.cat(days[:5], 1), torch.cat(days[5:], 1)
    assert torch.equal(one.sort().values, other.sort().values)
    assert not torch.equal(days[0], days[5])


@pytest.mark.parametrize("kind", FOLDS)
def test_what_cannot_be_split_is_refused(kind: str) -> None:
    layout = Layout("many-to-one", 4)
    with pytest.raises(ValueError, match="fold must lie between 1 and folds >= 2"):
        split(layout, kind, fold=5)
    with pytest.raises(ValueError, match=rf"too few for 4 {kind} folds: load more"):
        split(layout, kind, fold=1, n=5)
    with pytest.raises(ValueError, match="unknown folds 'k': choose one of shuffled"):
        split(layout, "k", fold=1)
