"""What tests of forecasting share."""

import numpy as np
import pandas as pd
import pytest

from rnn_companion import Prices

DAYS = 80


def made_prices() -> Prices:
    """Make a rising wave."""
    days = pd.date_range("2020-01-01", periods=DAYS)
    close = 50 + 10 * np.sin(np.arange(DAYS) / 5) + np.arange(DAYS) / 4
    return Prices(days, close, "made")


@pytest.fixture(scope="session")
def prices() -> Prices:
    return made_prices()
