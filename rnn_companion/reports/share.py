"""What of a share can be forecast: baselines and networks for up to three targets.

The first days are fitted on, later ones choose one of the forecasts, the last ones
score them all.

Source: chapter *What can be forecast*.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rnn_companion.forecasting.baselines import BASELINES, baseline_forecasts
from rnn_companion.forecasting.comparison import (
    common_days,
    confidence_set,
    spa,
    squared_losses,
)
from rnn_companion.forecasting.grid import run_all
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.records import Record
from rnn_companion.forecasting.scores import skill_interval
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.targets import TARGETS, target

LEVEL = 0.9  # of intervals and of the confidence set
FEWEST_TESTED = 30  # days
CELLS = ("rnn", "lstm")
BENCHMARKS = ("persistence", "mean")  # the simplest answers: for prices, for returns
SETTINGS = Experiment(
    length=22,
    hidden_size=32,
    epochs=30,
    training=0.64,
    test=0.2,
    patience=8,
    decay="cosine",
)


@dataclass(frozen=True)
class Outlook:
    """What was found for one target.

    Parameters
    ----------
    kind : str
        One of `TARGETS`.
    models : pandas.DataFrame
        A row a forecast, named by the index, by its error on the validation days: the
        columns validation and ratio (squared error over persistence's, on the
        validation days and on the test days), low and high (the interval of ratio)
        and kept (whether the confidence set holds it).
    p : dict of str to float
        Of each benchmark: Hansen's test whether any forecast is better.
    chosen_by, tested_on : pandas.DatetimeIndex
        The validation days and the test days.
    chosen : str
        The forecast with the least error on the validation days.
    tomorrow : tuple of float
        What it forecasts for the day after the last, and this plus the lower and the
        upper end of the middle 90 % of its errors on the test days; in the unit of the
        target.
    """

    kind: str
    models: pd.DataFrame
    p: dict[str, float]
    chosen_by: pd.DatetimeIndex
    tested_on: pd.DatetimeIndex
    chosen: str
    tomorrow: tuple[float, float, float]


@dataclass(frozen=True)
class OwnShare:
    """What was found for a share.

    Parameters
    ----------
    prices : Prices
        Of the share.
    outlooks : tuple of Outlook
        One for each target.
    left_out : dict of str to str
        The targets that the file has not the data for, and why.
    """

    prices: Prices
    outlooks: tuple[Outlook, ...]
    left_out: dict[str, str]


def own_share(
    prices: Prices,
    *,
    settings: Experiment = SETTINGS,
    seeds: int = 3,
    **how: Any,  # noqa: ANN401 - whatever `run_all` takes
) -> OwnShare:
    """Forecast price, return and range of a share by every baseline and by networks.

    Baselines and networks are fitted on the same first days. The networks stop by the
    validation days; the mean of those that differ in their seeds is one more forecast.

    Parameters
    ----------
    prices : Prices
        Of the share; the range needs high and low.
    settings : Experiment
        Of the networks, but for cell and seed: split by date in three parts, the
        configuration many-to-one.
    seeds : int
        Networks of each cell, an RNN and an LSTM.
    **how
        As in `run_all`: out, device, workers, progress.

    Returns
    -------
    OwnShare

    Raises
    ------
    ImportError
        Without the extra ``compare``.
    ValueError
        For too few days, or a series that does not change: names them.
    GridError, RecordFileError
        As in `run_all`.
    """
    _require_days(prices, settings)
    found, left_out = _targets(prices)
    simple = {kind: _simple(series, settings) for kind, series in found.items()}
    wanted = [
        replace(settings, cell=cell, seed=seed)
        for cell in CELLS
        for seed in range(seeds)
    ]
    outlooks = []
    for kind, series in found.items():
        days = _side_by_side(simple[kind], run_all(wanted, series, **how))
        first_tested = series.dates[int((1 - settings.test) * len(series))]
        outlooks.append(_outlook(kind, days, first_tested))
    return OwnShare(prices, tuple(outlooks), left_out)


def _require_days(prices: Prices, settings: Experiment) -> None:
    needed = math.ceil((FEWEST_TESTED + 1) / settings.test) + 1  # a return needs two
    if len(prices) < needed:
        raise ValueError(
            f"{prices.name}: {len(prices)} days are too few. The last "
            f"{100 * settings.test:g} % of them are to test with, at least "
            f"{FEWEST_TESTED}: give {needed} days or more"
        )


def _targets(prices: Prices) -> tuple[dict[str, Prices], dict[str, str]]:
    """Make each series, with a day more, or say why there is none."""
    found, left_out = {}, {}
    for kind in TARGETS:
        try:
            found[kind] = _with_tomorrow(target(prices, kind))
        except ValueError as error:
            left_out[kind] = str(error)
    return found, left_out


def _with_tomorrow(series: Prices) -> Prices:
    """Add the day after the last, so that networks forecast it too.

    Its truth is not known: the last value stands there. No network reads it or learns
    from it, since it is the last target of the test part, and no score counts it.
    """
    day = series.dates[-1] + pd.Timedelta(days=1)
    close = np.append(series.close, series.close[-1])
    return Prices(series.dates.insert(len(series), day), close, series.name)


def _simple(longer: Prices, settings: Experiment) -> dict[str, pd.DataFrame]:
    """Forecast by every baseline, fitted on the training days."""
    known, n = int(settings.training * len(longer)), len(longer) - 1
    series = Prices(longer.dates[:n], longer.close[:n], longer.name)
    forecasts = baseline_forecasts(series, known)  # one for the day after, too
    days = {"date": longer.dates[known:], "truth": longer.close[known:]}
    return {
        name: pd.DataFrame({**days, "forecast": forecasts[name].to_numpy()})
        for name in BASELINES
    }


def _side_by_side(
    simple: Mapping[str, pd.DataFrame], records: Sequence[Record]
) -> pd.DataFrame:
    """Tabulate every forecast of every day after the training days."""
    frames = {_name(r.experiment): _after_training(r) for r in records}
    days = common_days({**simple, **frames})
    for cell in CELLS:
        own = [_name(r.experiment) for r in records if r.experiment.cell == cell]
        days[f"mean of {len(own)} {cell.upper()}s"] = days[own].mean(axis=1)
    return days


def _name(experiment: Experiment) -> str:
    return f"{experiment.cell.upper()}, seed {experiment.seed}"


def _after_training(record: Record) -> pd.DataFrame:
    tested = None if record.test is None else record.test.forecasts
    parts = [part for part in (record.forecasts, tested) if part is not None]
    return pd.concat([part.table() for part in parts])


def _outlook(kind: str, days: pd.DataFrame, first_tested: pd.Timestamp) -> Outlook:
    validation = days[days.index < first_tested]
    test, tomorrow = days[days.index >= first_tested].iloc[:-1], days.iloc[-1]
    models, losses = _models(validation, test), squared_losses(test)
    chosen = str(models.index[0])
    errors = test["truth"] - test[chosen]
    middle = float(tomorrow[chosen])
    low, high = middle + np.quantile(errors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Outlook(
        kind=kind,
        models=models,
        p={name: spa(losses, name) for name in BENCHMARKS},
        chosen_by=pd.DatetimeIndex(validation.index),
        tested_on=pd.DatetimeIndex(test.index),
        chosen=chosen,
        tomorrow=(middle, float(low), float(high)),
    )


def _models(validation: pd.DataFrame, test: pd.DataFrame) -> pd.DataFrame:
    before, losses = squared_losses(validation).mean(), squared_losses(test)
    naive = losses["persistence"]
    skills = {
        str(name): skill_interval(losses[name], naive, level=LEVEL) for name in losses
    }
    table = pd.DataFrame(
        {
            "validation": before / before["persistence"],
            "ratio": losses.mean() / naive.mean(),
            "low": {name: 1 - high for name, (_, high) in skills.items()},
            "high": {name: 1 - low for name, (low, _) in skills.items()},
            "kept": confidence_set(losses, LEVEL).set_index("model")["included"],
        }
    )
    return table.sort_values("validation")
