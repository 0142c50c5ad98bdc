"""Which days of its windows a network uses: the shuffling, and what it shows."""

import pytest
import torch

from rnn_companion import Experiment, Forecaster, Layout, fit
from rnn_companion.forecasting.probe import errors_with_days_kept, shuffle_older
from rnn_companion.forecasting.windows import Windows
from tests.forecasting.small_runs import made_prices


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("k", [0, 1, 4, 6])
def test_older_days_go_together_to_one_other_place(k: int) -> None:
    """Each entry says its window and its day, so that one sees where it went."""
    T, N = 6, 50
    window, day = torch.arange(N), torch.arange(T)
    X = (window + 1000 * day[:, None]).unsqueeze(-1)  # (T, N, 1)
    found = shuffle_older(X, k, seeded())
    assert torch.equal(found // 1000, X // 1000)  # a day stays at its place
    came_from = found[..., 0] % 1000  # (T, N)
    assert (came_from[T - k :] == window).all()
    for older in came_from[: T - k]:
        assert torch.equal(older, came_from[0])  # all from the same window
        assert torch.equal(older.sort().values, window)  # and each window once
        assert (older != window).any()


@pytest.mark.parametrize("k", [-1, 7])
def test_days_that_a_window_lacks_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 6"):
        shuffle_older(torch.zeros(6, 3, 1), k, seeded())


def adds_up(days: int) -> Forecaster:
    """Make a network that forecasts the mean of the last days, or nearly so.

    Unit n keeps the input of n days ago: W_hh shifts the units by one. The weights
    are small, so that tanh is nearly linear, and the head undoes them.
    """
    small = 1e-3
    model = Forecaster("rnn", Layout("many-to-one", 6), hidden_size=days)
    weights = {
        "cell.weight_ih_l0": small * torch.eye(days)[:, :1],
        "cell.weight_hh_l0": torch.ones(days - 1).diag(-1),
        "cell.bias_ih_l0": torch.zeros(days),
        "cell.bias_hh_l0": torch.zeros(days),
        "head.weight": torch.full((1, days), 1 / (small * days)),
        "head.bias": torch.zeros(1),
    }
    model.load_state_dict(weights)
    return model


@pytest.mark.parametrize("days", [1, 3])
def test_the_error_rises_only_where_days_that_are_used_are_shuffled(days: int) -> None:
    X = torch.rand(6, 400, 1, generator=seeded(1))
    targets = X[-days:].mean(0, keepdim=True) + 0.1  # off by 0.1 if read as it is
    windows = Windows(X, targets, torch.zeros(1, 400), Layout("many-to-one", 6))
    errors = errors_with_days_kept(adds_up(days), windows, range(7), seeded())
    naive = (X[-1] - targets[0]).square().mean().item()
    for k, error in enumerate(errors):
        strange = max(days - k, 0)  # of the days used, from another window
        expected = 0.01 + 2 * strange / (12 * days**2)  # a difference has variance 1/6
        assert error * naive == pytest.approx(expected, rel=0.15 if strange else 1e-3)


def test_with_all_days_kept_the_error_is_that_of_the_record() -> None:
    prices = made_prices()
    experiment = Experiment(length=5, hidden_size=4, epochs=2)
    model, record = fit(experiment, prices, progress=False)
    windows = experiment.split(prices).validation
    (error,) = errors_with_days_kept(model, windows, [5], seeded())
    assert error == pytest.approx(record.mse / record.persistence_mse, rel=1e-4)
