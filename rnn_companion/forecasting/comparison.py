"""Many forecasts of the same days: is one better than a benchmark, which is the best.

Sources: Hansen (2005), *A test for superior predictive ability*; Hansen, Lunde and
Nason (2011), *The model confidence set*.
"""

import math
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from rnn_companion.forecasting.baselines import baseline_forecasts
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.records import Record
from rnn_companion.forecasting.scores import FEWEST, REPETITIONS, compare_extra

__all__ = [
    "beside_baselines",
    "common_days",
    "confidence_set",
    "spa",
    "squared_losses",
]

TOLERANCE = 1e-5  # of the truth's range: networks keep it in single precision


def common_days(forecasts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Put forecasts side by side, on the days that every one of them has.

    Parameters
    ----------
    forecasts : mapping of str to pandas.DataFrame
        By model: columns date, truth and forecast, one row a day.

    Returns
    -------
    pandas.DataFrame
        By date, ascending: column truth (the first model's) and one for each model.

    Raises
    ------
    ValueError
        If there is none, a column is missing, a model has a day twice or is called
        truth, no day is common to all, or the truth of two models differs on a day:
        names the models and the day.
    """
    if not forecasts or "truth" in forecasts:
        raise ValueError("give at least one model, and none of the name 'truth'")
    by_day = {name: _by_day(name, frame) for name, frame in forecasts.items()}
    first, *others = by_day
    truth = pd.concat({n: f["truth"] for n, f in by_day.items()}, axis=1, join="inner")
    if truth.empty:
        raise ValueError(f"no day is common to {', '.join(by_day)}")
    truth = truth.sort_index()
    off = truth.sub(truth[first], axis=0).abs() > TOLERANCE * np.ptp(truth[first])
    for name in others:
        if off[name].any():
            raise ValueError(
                f"the truth of {first!r} and {name!r} differs on "
                f"{off[name].idxmax():%Y-%m-%d}: give forecasts of the same series"
            )
    columns = {name: frame["forecast"] for name, frame in by_day.items()}
    return pd.DataFrame({"truth": truth[first], **columns}, index=truth.index)


def beside_baselines(
    records: Mapping[str, Record],
    series: Prices,
    known: int,
    *,
    models: Iterable[str] | None = None,
    refit: int | None = None,
) -> pd.DataFrame:
    """Put networks and baselines side by side, on the days that all of them forecast.

    Of each window the last output is taken: the day after all that were read. Windows
    of different lengths, and those that are aligned, begin on different days.

    Parameters
    ----------
    records : mapping of str to Record
        By name, of networks that ran on this series, split by date, one day ahead.
    series : Prices
        What was forecast, in its own units (see `targets.target`).
    known : int
        Days that the baselines are fitted on.
    models, refit
        Of the baselines, as in `baselines.baseline_forecasts`.

    Returns
    -------
    pandas.DataFrame
        As `common_days` gives it, the baselines first, in the units of the series.

    Raises
    ------
    ImportError
        Without the extra ``compare``.
    ValueError
        As in `baseline_forecasts` and `common_days`; also for a record of other data,
        of windows dealt at random, of more than a day ahead, or without forecasts of
        the last output, and for a network with the name of a baseline: names it.
    """
    simple = baseline_forecasts(series, known, models=models, refit=refit).iloc[:-1]
    if taken := [name for name in records if name in simple]:
        raise ValueError(f"{', '.join(taken)}: the name of a baseline")
    days = {"date": simple.index, "truth": series.close[known:]}
    frames = {str(n): pd.DataFrame({**days, "forecast": simple[n]}) for n in simple}
    return common_days(frames | {n: _last(n, r, series) for n, r in records.items()})


def _last(name: str, record: Record, series: Prices) -> pd.DataFrame:
    """Tabulate the last output of each window of a record that can be compared."""
    e, K = record.experiment, len(record.mse_by_position)
    if record.provenance.checksum != series.checksum:
        raise ValueError(f"{name!r} ran on other data than {series.name}")
    if e.protocol != "honest" or e.horizon != 1:
        raise ValueError(
            f"{name!r} has protocol {e.protocol!r} and horizon {e.horizon}: to stand "
            "beside baselines it needs 'honest' and 1"
        )
    if record.forecasts is None or K not in record.forecasts.positions:
        raise ValueError(f"{name!r} has no forecasts of its last output: run it again")
    return record.forecasts.at((K,)).table()


def squared_losses(days: pd.DataFrame) -> pd.DataFrame:
    """Return (forecast - truth)^2 by day and model.

    Parameters
    ----------
    days : pandas.DataFrame
        As `common_days` gives it.
    """
    return days.drop(columns="truth").sub(days["truth"], axis=0) ** 2


def spa(losses: pd.DataFrame, benchmark: str, seed: int = 0) -> float:
    """Test whether any model is better than the benchmark, given how many were tried.

    Hansen's test of superior predictive ability, by `arch`: its consistent p-value,
    from 2000 draws of the stationary bootstrap with blocks of sqrt(n) days in the
    mean. The library takes the largest mean difference as it is, where Hansen divides
    each by its standard error: a model whose losses vary much can hide a better one.

    Parameters
    ----------
    losses : pandas.DataFrame
        A row a day, a column a model, the benchmark among them.
    benchmark : str
        Which column to beat.
    seed : int
        Of the draws.

    Returns
    -------
    float
        How often the best of the models would look so much better than the benchmark,
        or more, if none were better. 1 if all have the benchmark's losses.

    Raises
    ------
    ImportError
        Without the extra ``compare``.
    ValueError
        If there is no such column, or only it; for fewer than ten days, or a loss
        that is not finite: names the model and the day.
    """
    with compare_extra():
        from arch.bootstrap import SPA

    _require_losses(losses)
    if benchmark not in losses:
        raise ValueError(
            f"no benchmark {benchmark!r} among {', '.join(_names(losses))}"
        )
    first = _first_with_the_same(losses)
    rivals = [name for name in first if first[name] != first[benchmark]]
    if not rivals:
        return 1.0
    test = SPA(losses[benchmark], losses[rivals], reps=REPETITIONS, seed=seed)
    test.compute()
    return float(test.pvalues["consistent"])


def confidence_set(
    losses: pd.DataFrame, level: float = 0.9, seed: int = 0
) -> pd.DataFrame:
    """Find the models among which the best one is, with the stated confidence.

    Hansen, Lunde and Nason's model confidence set, by `arch`: as long as a test (the
    range statistic) finds the models left unequal, the worst is removed. The draws
    are as in `spa`.

    Parameters
    ----------
    losses : pandas.DataFrame
        As in `spa`.
    level : float
        In how large a share of such samples the set is to hold the best, in (0, 1).
    seed : int
        Of the draws.

    Returns
    -------
    pandas.DataFrame
        A row a model, by mean loss ascending: model, loss (the mean), p (the least
        1 - level at which the model is left out), included. Models of equal losses on
        every day share one p.

    Raises
    ------
    ImportError, ValueError
        As in `spa`; also for a level outside (0, 1).
    """
    with compare_extra():
        from arch.bootstrap import MCS

    _require_losses(losses)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    first = _first_with_the_same(losses)
    distinct = losses[list(dict.fromkeys(first.values()))]
    p = pd.Series(1.0, distinct.columns)  # alone it is the best
    if distinct.shape[1] > 1:
        test = MCS(distinct, size=1 - level, reps=REPETITIONS, seed=seed)
        test.compute()
        p = test.pvalues["Pvalue"]
    table = pd.DataFrame({"model": list(first), "loss": losses.mean().to_numpy()})
    table["p"] = [float(p[same]) for same in first.values()]
    table["included"] = table["p"] > 1 - level
    return table.sort_values("loss", ignore_index=True)


def _by_day(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    missing = {"date", "truth", "forecast"} - set(frame)
    if missing:
        raise ValueError(f"{name!r} has no column {', '.join(sorted(missing))}")
    by_day = frame.set_index("date")
    if not by_day.index.is_unique:
        day = by_day.index[by_day.index.duplicated()][0]
        raise ValueError(f"{name!r} has {day:%Y-%m-%d} twice: keep one forecast a day")
    return by_day


def _require_losses(losses: pd.DataFrame) -> None:
    if losses.shape[0] < FEWEST or losses.shape[1] < 2:
        raise ValueError(
            f"{losses.shape[0]} days of {losses.shape[1]} models are too few: give "
            f"{FEWEST} days and two models or more"
        )
    for name in _names(losses):
        finite = losses[name].map(math.isfinite)
        if not finite.all():
            day = finite.idxmin()
            raise ValueError(f"the loss of {name!r} on {day} is not a finite number")


def _first_with_the_same(losses: pd.DataFrame) -> dict[str, str]:
    """From each model to the first that has its losses: their difference never varies.

    An AR(p) of which AIC leaves p = 0, say, is the mean.
    """
    names = _names(losses)
    return {
        name: next(n for n in names if np.allclose(losses[n], losses[name], 1e-9, 0))
        for name in names
    }


def _names(losses: pd.DataFrame) -> list[str]:
    return [str(name) for name in losses]
