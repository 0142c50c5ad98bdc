"""How good a forecast is, beside another one, and how sure that is.

Losses are those of single days: squared or absolute errors, one entry a day.

Sources: Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, section
*Evaluating point forecast accuracy*; Politis and Romano (1994), *The stationary
bootstrap*; Diebold and Mariano (1995), *Comparing predictive accuracy*.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Difference",
    "block_length",
    "compare_extra",
    "diebold_mariano",
    "mase",
    "skill",
    "skill_interval",
]

Series = NDArray[np.float64]
FEWEST = 10  # days; with fewer, blocks and long-run variances mean nothing
REPETITIONS = 2000  # of a bootstrap


@contextmanager
def compare_extra() -> Iterator[None]:
    """Say how to install what an import below it lacks.

    Raises
    ------
    ImportError
        Names the missing package and the extra that has it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise ImportError(
            f"comparing forecasts needs {error.name}: "
            "pip install 'rnn-companion[compare]'"
        ) from error


def mase(errors: ArrayLike, training: ArrayLike) -> float:
    """Mean absolute scaled error: mean |e_t| / mean |x_t - x_{t-1}|.

    Below 1 the errors are smaller than those of "tomorrow = today" on the days of
    training. Source: Hyndman and Koehler (2006), *Another look at measures of
    forecast accuracy*.

    Parameters
    ----------
    errors : array_like, `(n,)`
        Truth less forecast.
    training : array_like, `(known,)`
        The series on the days of training.

    Raises
    ------
    ValueError
        If an entry is not finite, or the training series never changes.
    """
    scale = np.abs(np.diff(_series("training", training))).mean()
    if not scale > 0:
        raise ValueError("training is constant: there is no error to scale by")
    return float(np.abs(_series("errors", errors)).mean() / scale)


def skill(loss: ArrayLike, reference: ArrayLike) -> float:
    """Part of the reference's loss that is avoided: 1 - mean(loss) / mean(reference).

    1 is perfect, 0 no better than the reference, below 0 worse (`eq-skill`).

    Parameters
    ----------
    loss, reference : array_like, `(n,)`
        Losses of a forecast and of the one to beat, on the same days.

    Raises
    ------
    ValueError
        If they are not of the same days, an entry is not finite, or the reference
        has no loss at all.
    """
    losses, references = _pair(loss, reference)
    return float(1 - losses.mean() / references.mean())


def skill_interval(
    loss: ArrayLike,
    reference: ArrayLike,
    *,
    level: float = 0.9,
    seed: int = 0,
) -> tuple[float, float]:
    """Draw an interval for the skill, by the stationary block bootstrap.

    Days are drawn in blocks, both losses together, since losses of days near each
    other are alike. The mean length of a block is Politis and White's (2004) for
    l_t - (mean(l) / mean(r)) r_t, the series whose mean decides the error of the
    ratio. The interval is that of the percentiles of 2000 draws.

    Parameters
    ----------
    loss, reference : array_like, `(n,)`
        As in `skill`; at least ten days.
    level : float
        Share of such intervals that are to hold the true skill, in (0, 1).
    seed : int
        Of the draws.

    Returns
    -------
    tuple of float
        Lower and upper end.

    Raises
    ------
    ImportError
        Without the extra ``compare``.
    ValueError
        As in `skill`; also for fewer than ten days or a level outside (0, 1).
    """
    with compare_extra():
        from arch.bootstrap import StationaryBootstrap

    losses, references = _pair(loss, reference, fewest=FEWEST)
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    length = block_length(losses - losses.mean() / references.mean() * references)
    bootstrap = StationaryBootstrap(length, losses, references, seed=seed)
    drawn = bootstrap.apply(lambda l, r: 1 - l.mean() / r.mean(), REPETITIONS)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def block_length(series: Series) -> int:
    """Choose the mean length of blocks for the stationary bootstrap of a mean.

    Politis and White's (2004) rule, rounded up; 1 for a constant series.

    Parameters
    ----------
    series : numpy.ndarray, `(n,)`
        In order of time.
    """
    with compare_extra():
        from arch.bootstrap import optimal_block_length

    if np.ptp(series) <= 1e-12 * np.abs(series).max():
        return 1
    return math.ceil(float(optimal_block_length(series)["stationary"].iloc[0]))


@dataclass(frozen=True)
class Difference:
    """A mean difference of losses: below 0 the forecast is better than the reference.

    Parameters
    ----------
    mean : float
        Mean of loss less reference.
    standard_error : float
        Of the mean, for losses that depend on those of days before.
    p : float
        Two-sided: how often a mean so far from 0, or farther, comes about if both
        are equally good.
    """

    mean: float
    standard_error: float
    p: float


def diebold_mariano(
    loss: ArrayLike, reference: ArrayLike, *, horizon: int = 1
) -> Difference:
    """Test whether two forecasts are equally good (Diebold and Mariano 1995).

    The standard error of mean(d_t), d_t = loss_t - reference_t, is Newey and West's
    with max(h - 1, ceil(n^(1/3))) lags, divided by the factor
    sqrt((n + 1 - 2 h + h (h - 1) / n) / n) of Harvey, Leybourne and Newbold (1997);
    mean over standard error is held against Student's t with n - 1 degrees of
    freedom.

    Parameters
    ----------
    loss, reference : array_like, `(n,)`
        As in `skill`; at least ten days.
    horizon : int
        Days ahead that were forecast, h.

    Raises
    ------
    ImportError
        Without the extra ``compare``.
    ValueError
        As in `skill`; also for fewer than ten days, or a horizon below 1 or of half
        of the days or more.
    """
    with compare_extra():
        from scipy.stats import t
        from statsmodels.api import OLS

    losses, references = _pair(loss, reference, fewest=FEWEST)
    d, n, h = losses - references, len(losses), horizon
    if not 1 <= h < n / 2:
        raise ValueError(f"horizon must lie between 1 and half of {n} days, got {h}")
    mean = float(d.mean())
    if np.ptp(d) == 0:  # nothing varies: no error of the mean
        return Difference(mean, 0.0, float(mean == 0))
    lags = max(h - 1, math.ceil(n ** (1 / 3)))
    fitted = OLS(d, np.ones(n)).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    error = float(fitted.bse[0]) / math.sqrt((n + 1 - 2 * h + h * (h - 1) / n) / n)
    return Difference(mean, error, float(2 * t.sf(abs(mean / error), n - 1)))


def _pair(
    loss: ArrayLike, reference: ArrayLike, *, fewest: int = 1
) -> tuple[Series, Series]:
    losses, references = _series("loss", loss), _series("reference", reference)
    if len(losses) != len(references):
        raise ValueError(
            f"loss has {len(losses)} days and reference {len(references)}: "
            "give both the same days"
        )
    if len(losses) < fewest:
        raise ValueError(f"{len(losses)} days are too few: give {fewest} or more")
    if not references.mean() > 0:
        raise ValueError("the reference has no loss: nothing can be better")
    return losses, references


def _series(name: str, values: ArrayLike) -> Series:
    series = np.asarray(values, dtype=np.float64)
    if series.ndim != 1 or not len(series):
        raise ValueError(f"{name} must have one entry a day, got shape {series.shape}")
    if not np.isfinite(series).all():
        place = int(np.flatnonzero(~np.isfinite(series))[0])
        raise ValueError(
            f"{name} is {series[place]} at place {place}: fill in a number"
        )
    return series
