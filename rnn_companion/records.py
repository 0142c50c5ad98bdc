"""What was run, where, and with what result.

Source: chapter *Recurrence*, section *On real prices*.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Forecasts:
    """Validation forecasts, one entry for every target of every window.

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
class Provenance:
    """Where a record comes from: enough to run it again and compare.

    Parameters
    ----------
    data, checksum : str
        Name and SHA-256 of the prices.
    device : str
        What it ran on.
    versions : dict
        Python, torch and this package.
    date : str
        When it ended, ISO, UTC.
    seconds : float
        How long it took.
    """

    data: str
    checksum: str
    device: str
    versions: dict[str, str]
    date: str
    seconds: float


@dataclass(frozen=True)
class Record:
    """The result of one experiment.

    Parameters
    ----------
    settings : dict
        The experiment's settings, the seed among them.
    training_loss, validation_loss : tuple of float
        Mean squared error of the scaled closes, one entry an epoch.
    mse_by_position, persistence_by_position : tuple of float
        Validation error of each of the K outputs, of the model and of
        "tomorrow = today", on the same targets.
    forecasts : Forecasts or None
        Left out where the data may not be given back.
    provenance : Provenance
        Data, device, versions, time.
    """

    settings: dict[str, Any]
    training_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    mse_by_position: tuple[float, ...]
    persistence_by_position: tuple[float, ...]
    forecasts: Forecasts | None
    provenance: Provenance

    @property
    def mse(self) -> float:
        """Validation error after the last epoch, over all positions."""
        return float(np.mean(self.mse_by_position))

    @property
    def persistence_mse(self) -> float:
        """The same of "tomorrow = today", on the same targets."""
        return float(np.mean(self.persistence_by_position))

    @property
    def skill(self) -> float:
        """Part of persistence's error that the model avoids (`eq-skill`).

        1 is perfect, 0 no better than "tomorrow = today", below 0 worse.
        """
        return 1 - self.mse / self.persistence_mse

    def without_forecasts(self) -> "Record":
        """Drop the forecasts, which together with the dates give the data back."""
        return replace(self, forecasts=None)

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> "Record":
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            If the line is no record.
        """
        try:
            fields = {k: _tuples(v) for k, v in json.loads(line).items()}
            forecasts = fields.pop("forecasts")
            if forecasts is not None:
                forecasts = Forecasts(**{k: _tuples(v) for k, v in forecasts.items()})
            provenance = Provenance(**fields.pop("provenance"))
            return cls(forecasts=forecasts, provenance=provenance, **fields)
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a record ({error}): {line[:60]!r}") from None


def _tuples(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    return tuple(value) if isinstance(value, list) else value
