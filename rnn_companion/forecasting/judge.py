"""Whether a forecast is any good: held against simple rules, day by day.

The rules know the truth up to h days before, where h is the horizon, as the
forecast should: persistence :math:`x_{t-h}`, the mean of all days so far, and the
drift, which adds h mean moves to persistence.

Sources: Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, section
*Some simple forecasting methods*; Diebold and Mariano (1995), *Comparing predictive
accuracy*; Holm (1979), *A simple sequentially rejective multiple test procedure*;
chapter *Forecasting Microsoft*.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rnn_companion.forecasting.forecast_table import (
    check_forecasts,
    names_of_forecasts,
)
from rnn_companion.forecasting.scores import (
    Difference,
    compare_extra,
    diebold_mariano,
    mase,
    skill,
    skill_interval,
)

__all__ = ["Verdict", "judge", "simple_rules"]

LEVEL = 0.9  # of the interval
SURE = 0.05  # a smaller p-value is beyond doubt
VERY_SURE = 0.01  # before a forecast is said to have seen the day after
POWER = 0.8
KNOWN = 10  # days that are known when the first day judged is forecast
LEAST = 30  # days to judge by
SHIFTS = 5  # how far beyond the horizon the shift test looks back, from the horizon on
TOO_GOOD = 0.5  # skill against an autoregression that is fitted to all days
TOO_FLAT = 0.25  # of that autoregression's growth with the horizon
ROUNDING = 1e-9  # of the greatest truth

Array = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(frozen=True)
class Verdict:
    """What can be said of one forecast at one horizon.

    Parameters
    ----------
    name : str
        The forecast's column.
    horizon : int
        How many days before its date it was made.
    days : int
        How many days it is judged by, the rules by the same.
    mse, mae : float
        Mean squared and mean absolute error, in the truth's units.
    mase : float
        Mean absolute error over the truth's mean daily move.
    rule : str
        The simple rule whose squared error is least on these days.
    skill : float
        1 - MSE / MSE of the rule.
    low, high : float
        Ends of the 90 % interval of the skill.
    p : float
        Two-sided, of equal squared errors of forecast and rule (Diebold-Mariano);
        raised by Holm's method where several verdicts are given together.
    shift : int
        The forecast lies nearest to the truth of so many days before its date; 0
        unless it is nearer than to its own day's with p < 0.05. A good forecast can
        have a shift: the best one of an autoregression of order 1 has.
    same_days : float
        Correlation of its errors with those of persistence.
    days_needed : int or None
        How many days a two-sided test at 5 % needs to tell it from persistence with
        a probability of 80 %, if the mean difference and its long-run variance are
        those seen; None if there is no difference.
    leaks : tuple of str
        Signs that it knew what it could not know, in words. They prove nothing: a
        forecast that knows more than the last ten days of the series, from a season
        or from elsewhere, can show them too.
    fit : dict of int to float
        Mean squared distance to the truth so many days before its date.
    gain : pandas.Series
        The rule's squared error less the forecast's, by date.
    """

    name: str
    horizon: int
    days: int
    mse: float
    mae: float
    mase: float
    rule: str
    skill: float
    low: float
    high: float
    p: float
    shift: int
    same_days: float
    days_needed: int | None
    leaks: tuple[str, ...]
    fit: dict[int, float] = field(repr=False)
    gain: "pd.Series[float]" = field(repr=False, compare=False)

    @property
    def status(self) -> str:
        """One of leak, better, worse and open; better and worse have p < 0.05."""
        if self.leaks:
            return "leak"
        if self.p >= SURE:
            return "open"
        return "better" if self.skill > 0 else "worse"

    @property
    def sentence(self) -> str:
        """The verdict in plain words."""
        words = {
            "leak": f"Suspected leak: {'; '.join(self.leaks)}; beside",
            "better": "Better than",
            "worse": "Worse than",
            "open": "Cannot be told from",
        }
        parts = [f"{words[self.status]} {self._numbers()}", *self._remarks()]
        return "; ".join(parts) + "."

    def _numbers(self) -> str:
        return (
            f"the best simple rule, {self.rule}: skill {self.skill:.3f} "
            f"({100 * LEVEL:g} % interval {self.low:.3f} to {self.high:.3f}, "
            f"p = {self.p:.2g}, {self.days} days)"
        )

    def _remarks(self) -> Iterator[str]:
        if self.status not in ("worse", "open"):
            return
        if self.days_needed is None:
            yield "its squared error is that of persistence"
        elif self.days_needed > self.days:
            yield f"to tell it from persistence takes about {self.days_needed:,} days"
        if self.shift:
            days = "day" if self.shift == 1 else f"{self.shift} days"
            yield f"it lies nearer to the truth of the {days} before than to its own"

    def as_json(self) -> dict[str, Any]:
        """Give all but the single days, and status and sentence, for programs."""
        names = [f.name for f in fields(self) if f.name != "gain"]
        own = {name: getattr(self, name) for name in names}
        return own | {"status": self.status, "sentence": self.sentence}


def judge(
    truth: pd.DataFrame | ArrayLike,
    forecasts: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    horizon: int = 1,
    seed: int = 0,
) -> tuple[Verdict, ...]:
    """Judge forecasts of one series.

    Parameters
    ----------
    truth : pandas.DataFrame or array_like, `(n,)`
        A table of truth and forecasts, as `check_forecasts` takes it; or what
        happened, day by day. The day before a row is the row before it, by date:
        no calendar is asked.
    forecasts : array_like, `(n,)`, or mapping of str to array_like, optional
        Forecasts of the same days, unless `truth` is a table.
    horizon : int
        How many days before its date a forecast was made, if no column says it.
    seed : int
        Of the bootstrap.

    Returns
    -------
    tuple of Verdict
        One for each horizon and forecast, by horizon.

    Raises
    ------
    ImportError
        Without the extra ``compare``.
    ValueError
        If the table is not right (`check_forecasts`), there are too few days, or a
        simple rule is never wrong.
    """
    table = check_forecasts(_table(truth, forecasts), horizon=horizon)
    cases = list(_cases(table))
    ps = _holm([case.difference.p for case in cases])
    flat = dict(_flat_in_horizon(cases))
    return tuple(
        case.verdict(p, flat.get(case.name, ()), seed)
        for case, p in zip(cases, ps, strict=True)
    )


def simple_rules(truth: Array, at: Places, horizon: int) -> dict[str, Array]:
    """Forecast some days by rules that nobody has to fit.

    Parameters
    ----------
    truth : numpy.ndarray, `(n,)`
        Every day in order.
    at : numpy.ndarray of int, `(days,)`
        Which days to forecast, from 0, each greater than `horizon`.
    horizon : int
        How many days before nothing later is known.

    Returns
    -------
    dict of str to numpy.ndarray, each `(days,)`
        ``persistence``, ``mean`` and ``drift``.
    """
    last = at - horizon
    means = truth.cumsum() / np.arange(1, len(truth) + 1)
    moves = (truth[last] - truth[0]) / last
    return {
        "persistence": truth[last],
        "mean": means[last],
        "drift": truth[last] + horizon * moves,
    }


@dataclass(frozen=True)
class _Case:
    """A forecast at one horizon, and the days by which it is judged."""

    name: str
    horizon: int
    truth: Array  # (n,), every day
    at: Places  # (days,)
    dates: pd.Index  # (days,)
    forecast: Array  # (days,)

    def verdict(self, p: float, leaks: tuple[str, ...], seed: int) -> Verdict:
        low, high = skill_interval(self.loss, self.reference, level=LEVEL, seed=seed)
        return Verdict(
            name=self.name,
            horizon=self.horizon,
            days=len(self.at),
            mse=float(self.loss.mean()),
            mae=float(np.abs(self.errors).mean()),
            mase=mase(self.errors, self.truth),
            rule=self.rule,
            skill=skill(self.loss, self.reference),
            low=low,
            high=high,
            p=p,
            shift=self._shift(),
            same_days=_correlation(self.errors, self.rules["persistence"]),
            days_needed=self._days_needed(),
            leaks=(*self._leaks(seed), *leaks),
            fit={k: float(loss.mean()) for k, loss in self.distances.items()},
            gain=pd.Series(self.reference - self.loss, self.dates),
        )

    @cached_property
    def errors(self) -> Array:
        return self.truth[self.at] - self.forecast

    @property
    def loss(self) -> Array:
        return np.square(self.errors)

    @cached_property
    def rules(self) -> dict[str, Array]:
        """Errors of the simple rules."""
        rules = simple_rules(self.truth, self.at, self.horizon)
        return {name: self.truth[self.at] - rule for name, rule in rules.items()}

    @cached_property
    def rule(self) -> str:
        """The best one, unless nothing is left to forecast."""
        best = min(
            self.rules, key=lambda name: float(np.square(self.rules[name]).mean())
        )
        if np.abs(self.rules[best]).max() <= ROUNDING * np.abs(self.truth).max():
            raise ValueError(
                f"{best} is never wrong on this truth (does it change at all?); "
                "there is nothing to judge"
            )
        return best

    @property
    def reference(self) -> Array:
        return np.square(self.rules[self.rule])

    @property
    def difference(self) -> Difference:
        return self.compare(self.loss, self.reference)

    @cached_property
    def distances(self) -> dict[int, Array]:
        """Squared distances to the truth of k days before; k = -1 is the day after."""
        inner = self.at < len(self.truth) - 1
        at, forecast = self.at[inner], self.forecast[inner]
        lags = range(-1, self.horizon + SHIFTS)
        return {k: np.square(self.truth[at - k] - forecast) for k in lags}

    @cached_property
    def floor(self) -> Array:
        """Squared errors of an autoregression fitted to all days, later ones too."""
        with compare_extra():
            from statsmodels.tsa.ar_model import AutoReg, ar_select_order

        order = len(ar_select_order(self.truth, KNOWN, ic="aic").ar_lags or [1])
        lags = list(range(self.horizon, self.horizon + order))
        residuals = AutoReg(self.truth, lags).fit().resid  # from day max(lags) on
        floor: Array = np.square(residuals[self.at - max(lags)])
        return floor

    @cached_property
    def rescaled(self) -> Array:
        """Squared errors of a + b x_{t-h} + c forecast, fitted to the days judged.

        A small part of the future in a forecast is as telling here as a large one.
        """
        known = self.truth[self.at - self.horizon]
        X = np.column_stack([np.ones(len(self.at)), known, self.forecast])
        actual = self.truth[self.at]
        fitted: Array = X @ np.linalg.lstsq(X, actual)[0]
        return np.square(actual - fitted)

    def compare(self, loss: Array, reference: Array) -> Difference:
        return diebold_mariano(loss, reference, horizon=self.horizon)

    def is_less(self, loss: Array, reference: Array, sure: float = SURE) -> bool:
        """Whether a mean loss is less than another beyond doubt."""
        less = bool(loss.mean() < reference.mean())
        return less and self.compare(loss, reference).p < sure

    def _shift(self) -> int:
        means = {k: loss.mean() for k, loss in self.distances.items() if k >= 0}
        best = min(means, key=means.__getitem__)
        return best if self.is_less(self.distances[best], self.distances[0]) else 0

    def _days_needed(self) -> int | None:
        """Solve |mean| = (z(1 - SURE / 2) + z(POWER)) s / sqrt(n) for n."""
        found = self.compare(self.loss, np.square(self.rules["persistence"]))
        if found.mean == 0:
            return None
        z = NormalDist().inv_cdf(1 - SURE / 2) + NormalDist().inv_cdf(POWER)
        needed = len(self.at) * (z * found.standard_error / found.mean) ** 2
        return math.ceil(needed)

    def _is_too_good(self, seed: int) -> bool:
        noise = math.sqrt(self.floor.mean()) > ROUNDING * np.abs(self.truth).max()
        if not noise or skill(self.rescaled, self.floor) <= TOO_GOOD:
            return False
        low, _ = skill_interval(self.rescaled, self.floor, level=LEVEL, seed=seed)
        return low > TOO_GOOD

    def _leaks(self, seed: int) -> Iterator[str]:
        if self._is_too_good(seed):
            share = 1 - skill(self.rescaled, self.floor)
            yield (
                f"a line through it and the last known truth leaves {share:.2f} times "
                "the squared error of an autoregression fitted to the same days"
            )
        if self.is_less(self.distances[-1], self.distances[0], VERY_SURE):
            yield (
                "it lies nearer to the truth of the day after than to its own "
                "(are its dates off by a day?)"
            )


def _table(
    truth: pd.DataFrame | ArrayLike,
    forecasts: ArrayLike | Mapping[str, ArrayLike] | None,
) -> pd.DataFrame:
    if isinstance(truth, pd.DataFrame):
        return truth
    if forecasts is None:
        raise ValueError("truth alone cannot be judged; give forecasts, or a table")
    own = forecasts if isinstance(forecasts, Mapping) else {"forecast": forecasts}
    columns = {name: np.asarray(column) for name, column in own.items()}
    actual = np.asarray(truth)
    for name, column in columns.items():
        if column.shape != actual.shape or actual.ndim != 1:
            raise ValueError(
                f"{name} has shape {column.shape} and truth {actual.shape}; "
                "give one number a day in both"
            )
    return pd.DataFrame({"date": np.arange(len(actual)), "truth": actual, **columns})


def _cases(table: pd.DataFrame) -> Iterator[_Case]:
    place, _ = pd.factorize(table["date"])  # 0, 1, ... since the dates are in order
    truth = table.drop_duplicates("date")["truth"].to_numpy()
    for horizon in np.unique(table["horizon"].to_numpy()).tolist():
        here = (table["horizon"] == horizon).to_numpy()
        rows, at = table[here], place[here]
        judged = at >= horizon + KNOWN - 1
        least = max(LEAST, 2 * horizon + 1)
        if judged.sum() < least:
            raise ValueError(
                f"of {len(truth)} days, {judged.sum()} can be judged at horizon "
                f"{horizon}: those before which {KNOWN} days are known; "
                f"give {least} such days or more"
            )
        dates = pd.Index(rows["date"])[judged]
        for name in names_of_forecasts(table):
            forecast = rows[name].to_numpy()[judged]
            yield _Case(name, horizon, truth, at[judged], dates, forecast)


def _flat_in_horizon(cases: Sequence[_Case]) -> Iterator[tuple[str, tuple[str]]]:
    """Find forecasts whose error should grow with the horizon and does not.

    They are better than the autoregression far ahead, beyond doubt, and their error
    grows by less than a quarter of what the autoregression's grows by.
    """
    for name in {case.name: None for case in cases}:
        own = [case for case in cases if case.name == name]
        near, far = own[0], own[-1]
        _, i, j = np.intersect1d(near.at, far.at, return_indices=True)
        if near is far or len(i) < LEAST or not far.is_less(far.loss, far.floor):
            continue
        growth = -skill(far.floor[j], near.floor[i])
        grown = far.loss[j].mean() / near.loss[i].mean() - 1
        grows = far.is_less(near.floor[i], far.floor[j])
        if grows and grown < TOO_FLAT * growth:
            sign = (
                f"from {near.horizon} to {far.horizon} days ahead its squared error "
                f"grows by {100 * grown:.0f} %, an autoregression's by "
                f"{100 * growth:.0f} %"
            )
            yield name, (sign,)


def _holm(ps: Sequence[float]) -> Sequence[float]:
    with compare_extra():
        from statsmodels.stats.multitest import multipletests

    raised = multipletests(ps, method="holm")[1]
    return [float(p) for p in raised]


def _correlation(one: Array, other: Array) -> float:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
