"""What was forecast, and how far off it was.

Source: chapter *Recurrence*, section *On real prices*, and chapter *Forecasting
Microsoft*.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd


class Errors:
    """Errors of forecasts, and those of "tomorrow = today" for the same targets.

    Attributes
    ----------
    mse_by_position, persistence_by_position : tuple of float
        Mean squared error of each of the K outputs of a window, scaled.
    """

    mse_by_position: tuple[float, ...]
    persistence_by_position: tuple[float, ...]

    @property
    def mse(self) -> float:
        """Error over all positions."""
        return float(np.mean(self.mse_by_position))

    @property
    def persistence_mse(self) -> float:
        """The same of "tomorrow = today", on the same targets."""
        return float(np.mean(self.persistence_by_position))

    @property
    def skill(self) -> float:
        """Part of persistence's error that the forecasts avoid (`eq-skill`).

        1 - mse / persistence_mse: 1 is perfect, 0 no better than "tomorrow = today",
        below 0 worse.
        """
        return 1 - self.mse / self.persistence_mse


@dataclass(frozen=True)
class Forecasts:
    """Forecasts, one entry for every target of every window.

    Parameters
    ----------
    dates : tuple of str
        Day of each target, ISO.
    positions : tuple of int
        Which output of its window, 1 to K.
    truth, forecast, persistence : tuple of float
        Scaled closes: what happened, what was forecast, the last known close.
    minimum, maximum : float
        Dollars that were scaled to 0 and to 1.
    """

    dates: tuple[str, ...]
    positions: tuple[int, ...]
    truth: tuple[float, ...]
    forecast: tuple[float, ...]
    persistence: tuple[float, ...]
    minimum: float
    maximum: float

    def at(self, positions: tuple[int, ...]) -> "Forecasts":
        """Keep the outputs at some positions of their windows only."""
        kept = [i for i, k in enumerate(self.positions) if k in positions]
        columns = ("dates", "positions", "truth", "forecast", "persistence")
        fewer: dict[str, Any] = {
            name: tuple(getattr(self, name)[i] for i in kept) for name in columns
        }
        return replace(self, **fewer)

    def table(self, *, dollars: bool = True) -> pd.DataFrame:
        """Tabulate by date and position, in dollars or as scaled.

        Parameters
        ----------
        dollars : bool
            Whether to undo the scaling.

        Returns
        -------
        pandas.DataFrame
            Columns date, position, truth, forecast, persistence, sorted by date.
        """
        columns = {
            name: np.array(getattr(self, name))
            for name in ("truth", "forecast", "persistence")
        }
        if dollars:
            spread = self.maximum - self.minimum
            columns = {k: self.minimum + spread * v for k, v in columns.items()}
        table = pd.DataFrame(
            {
                "date": pd.to_datetime(list(self.dates)),
                "position": self.positions,
                **columns,
            }
        )
        return table.sort_values(["date", "position"], ignore_index=True)


@dataclass(frozen=True)
class Part(Errors):
    """The errors on one part of the days, and the forecasts that they are of.

    Parameters
    ----------
    mse_by_position, persistence_by_position : tuple of float
        Mean squared error of each output, of the forecasts and of "tomorrow = today",
        on the same targets, scaled.
    forecasts : Forecasts or None
        Left out where the data may not be given back.
    """

    mse_by_position: tuple[float, ...]
    persistence_by_position: tuple[float, ...]
    forecasts: Forecasts | None

    @classmethod
    def of(cls, forecasts: Forecasts) -> "Part":
        """Compute the errors of forecasts, at each position that they have."""
        table = forecasts.table(dollars=False)
        errors = table[["forecast", "persistence"]].sub(table["truth"], axis=0) ** 2
        by_position = errors.groupby(table["position"]).mean()
        mse, persistence = (tuple(by_position[name].tolist()) for name in by_position)
        return cls(mse, persistence, forecasts)


def mean_over_seeds(runs: Sequence[Forecasts]) -> Part:
    """Take the mean of several networks' forecasts as a forecast of its own.

    (1/S) sum over s of o_s, for every target. Its squared error is at most the mean
    of the S squared errors, since the square is convex; the
    difference is the mean over s of (o_s - mean)^2, so how far the networks differ
    (Krogh and Vedelsby 1995, *Neural network ensembles, cross validation, and active
    learning*).

    Parameters
    ----------
    runs : sequence of Forecasts
        Of S networks that differ in their seeds, for the same targets: a record's
        `forecasts`, or those of its `test`.

    Returns
    -------
    Part
        The mean forecasts, and their errors.

    Raises
    ------
    ValueError
        If there is none, or if they are not for the same targets, equally scaled.
    """
    if not runs:
        raise ValueError("no forecasts to take the mean of: give at least one run's")
    first = runs[0]
    targets = {replace(one, forecast=first.forecast) for one in runs}
    if len(targets) > 1:
        raise ValueError(
            "the runs forecast different targets, so their forecasts have no mean: "
            "take runs of one series, split by date, that differ in their seeds alone"
        )
    mean = np.mean([one.forecast for one in runs], axis=0)
    return Part.of(replace(first, forecast=tuple(mean.tolist())))
