"""What tests of forecasting share."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rnn_companion import Experiment, Prices, Record

DAYS = 80


def made_prices() -> Prices:
    """Make a rising wave."""
    days = pd.date_range("2020-01-01", periods=DAYS)
    close = 50 + 10 * np.sin(np.arange(DAYS) / 5) + np.arange(DAYS) / 4
    return Prices(days, close, "made")


def in_batches(run_one: Callable[..., Record]) -> Callable[..., list[Any]]:
    """Make what takes the place of `fit_side_by_side` in a grid, run by run."""

    def fitted(batch: Sequence[Experiment], *args: Any, **kw: Any) -> list[Any]:  # noqa: ANN401
        return [(None, run_one(experiment, *args, **kw)) for experiment in batch]

    return fitted


@pytest.fixture(scope="session")
def prices() -> Prices:
    return made_prices()
