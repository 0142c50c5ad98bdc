"""A series for each name: what it is made of, and that its best forecast is best."""

from collections import Counter

import numpy as np
import pytest
import torch

from rnn_companion.tasks.own_series import Law, best_forecasts, law_of, own_series

NAMES = [f"student {k}" for k in range(120)]


def test_a_name_has_one_series_however_it_is_written() -> None:
    written = own_series("Ada  EXAMPLE ")
    assert torch.equal(written, own_series("ada example"))
    assert not torch.equal(written, own_series("bda example"))
    assert not torch.equal(written, own_series("ada example", word="other"))
    assert written.shape == (1500,)
    assert written.dtype == torch.float64


def test_each_law_is_drawn_about_as_often() -> None:
    """120 names: each kind within three standard deviations of its mean, 40."""
    counts = Counter(law_of(name).kind for name in NAMES)
    assert set(counts) == {"walk", "slow", "echo"}
    assert all(abs(n - 40) < 3 * (120 * 2 / 9) ** 0.5 for n in counts.values())


def test_a_law_stays_where_it_is() -> None:
    """All but the walks come back: the roots of the lag polynomial tell."""
    for law in map(law_of, NAMES):
        order = max(law.coefficients)
        lags = [-law.coefficients.get(k, 0.0) for k in range(1, order + 1)]
        largest = np.abs(np.roots([1.0, *lags])).max()
        assert largest == 1 if law.kind == "walk" else largest < 0.99


@pytest.mark.parametrize("kind", ["walk", "slow", "echo"])
def test_what_the_best_forecast_leaves_is_the_noise(kind: str) -> None:
    """White, normal, and as large as the law says; least squares does no better."""
    name = next(n for n in NAMES if law_of(n).kind == kind)
    law, series = law_of(name), own_series(name, days=20_000)
    order = max(law.coefficients)
    left = (series[order:] - best_forecasts(series, law)).numpy()
    assert left.std() == pytest.approx(law.deviation, rel=0.02)
    for lag in (1, 2, 5, 9):
        assert abs(np.corrcoef(left[lag:], left[:-lag])[0, 1]) < 0.03
    rows = [series[order - k : -k].numpy() for k in range(1, order + 1)]
    A = np.column_stack([np.ones(len(left)), *rows])
    fitted = A @ np.linalg.lstsq(A, series[order:].numpy())[0]
    errors = np.square(series[order:].numpy() - fitted)
    assert errors.mean() == pytest.approx(np.square(left).mean(), rel=0.005)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="the name is empty"):
        own_series("  ")
    with pytest.raises(ValueError, match="days must be at least 1"):
        own_series("a", days=0)
    with pytest.raises(ValueError, match="looks 3 days back, and there are 2"):
        best_forecasts(torch.zeros(2), Law("echo", {3: 0.5}, 0.0, 1.0))
