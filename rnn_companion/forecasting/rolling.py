"""Rolling origin: forecast the test part by networks that are trained again and again.

Source: Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, third
edition, section 5.10.
"""

from dataclasses import replace
from itertools import pairwise

import pandas as pd
import torch

from rnn_companion.forecasting.experiment import fit
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.windows import cut_windows

__all__ = ["rolling_origin"]


def rolling_origin(
    experiment: Experiment,
    prices: Prices,
    *,
    refits: int,
    device: str = "auto",
    progress: bool = True,
) -> pd.DataFrame:
    """Forecast each day of the test part, training anew on all days known by then.

    The test part is cut into parts that differ by at most a day. For each of them a
    new network, and a new scaler, see the days before it alone, and forecast each of
    its days from the `length` days before that day. Without `patience` they learn from
    all days known; with `patience`, from the share training / (1 - test) of them, and
    the later ones decide which epoch is kept.

    Parameters
    ----------
    experiment : Experiment
        With a `test` part and a horizon of 1.
    prices : Prices
        The series.
    refits : int
        How often a network is trained.
    device, progress
        As in `run`.

    Returns
    -------
    pandas.DataFrame
        Columns date, truth, forecast, persistence, in the unit of the series; one row
        for each day of the test part, in order.

    Raises
    ------
    ValueError
        If the experiment has no test part or another horizon, or if there are fewer
        days from one refit to the next than a window has targets.
    DeviceError, DivergenceError
        As in `run`.
    """
    parts = list(pairwise(_origins(experiment, len(prices), refits)))
    shown = [
        _forecasts(experiment, _first(prices, end), known, device, progress)
        for known, end in parts
    ]
    return pd.concat(shown, ignore_index=True)


def _origins(experiment: Experiment, days: int, refits: int) -> list[int]:
    """Return the first day of each part, and the day after the last."""
    if not experiment.test or experiment.horizon != 1:
        raise ValueError(
            "a rolling origin goes through the test part day by day: set test above 0 "
            f"and horizon to 1 (they are {experiment.test} and {experiment.horizon})"
        )
    first, outputs = int((1 - experiment.test) * days), experiment.layout.outputs
    if not 1 <= refits <= (days - first) // outputs:
        raise ValueError(
            f"refits must lie between 1 and {(days - first) // outputs}, got {refits}: "
            f"{days - first} test days, at least {outputs} from one refit to the next"
        )
    return [first + k * (days - first) // refits for k in range(refits + 1)]


def _first(prices: Prices, days: int) -> Prices:
    return Prices(prices.dates[:days], prices.close[:days], prices.name)


def _refitted(experiment: Experiment, known: int, days: int) -> Experiment:
    """Adapt the fractions so that the first `known` of some days are known."""
    share = (known + 0.5) / days  # rounded down to known
    if experiment.patience is None:  # nothing is chosen in a run
        return replace(experiment, training=share, test=0.0)
    learnt = experiment.training / (1 - experiment.test)
    return replace(experiment, training=learnt * known / days, test=1 - share)


def _forecasts(
    experiment: Experiment, prices: Prices, known: int, device: str, progress: bool
) -> pd.DataFrame:
    """Train on days before `known`, and forecast those from there on."""
    refitted = _refitted(experiment, known, len(prices))
    model, _ = fit(refitted, prices, device=device, progress=progress)
    scaler = refitted.split(prices).scaler
    scaled = scaler.scale(torch.from_numpy(prices.close)).float()
    windows = cut_windows(scaled, refitted.layout)
    chosen = windows[(windows.days[-1] >= known).nonzero().squeeze(1)]
    with torch.no_grad():
        outputs = model(chosen.inputs.to(model.head.weight.device))[-1, :, 0].cpu()
    days = chosen.days[-1].numpy()
    return pd.DataFrame(
        {
            "date": prices.dates[days],
            "truth": prices.close[days],
            "forecast": scaler.unscale(outputs.double()).numpy(),
            "persistence": prices.close[days - 1],
        }
    )
