"""What the tests of the promises of forecasting share."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from rnn_companion import (
    Prices,
    Record,
)
from rnn_companion.forecasting.records import (
    Forecasts,
    Provenance,
)


def made(days: int = 40) -> Prices:
    close = 30 + 8 * np.sin(np.arange(days) / 3) + np.arange(days) / 4
    return Prices(pd.bdate_range("2020-01-01", periods=days), close, "made")


PLACE = Provenance("made", "sum", "cpu", {"torch": "2"}, "2026-01-01", 1.0, 1)


def record(**changes: Any) -> Record:  # noqa: ANN401
    forecasts = Forecasts(
        dates=("2020-01-03", "2020-01-02", "2020-01-06", "2020-01-03"),
        positions=(1, 1, 2, 2),
        truth=(0.0, 0.5, 1.0, 1.5),
        forecast=(0.1, 0.2, 0.3, 0.4),
        persistence=(0.5, 0.25, 0.0, -0.5),
        minimum=10.0,
        maximum=30.0,
    )
    plain = Record(
        {"seed": 0}, (1.0,), (1.0,), (0.1, 0.3), (0.5, 0.75), forecasts, PLACE
    )
    return replace(plain, **changes)
