"""Checks of the project *A forecast judged honestly*."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from rnn_companion.check.examine import (
    Cases,
    Function,
    Mistakes,
    Wrong,
    compared_with,
    draw,
    mistakes,
)
from rnn_companion.forecasting.judge import Verdict, judge
from rnn_companion.tasks.own_series import own_series

Parts = tuple[Tensor, ...]


def _cut_at(series: Tensor, first: float, second: float) -> Parts:
    a, b = round(first * len(series)), round(second * len(series))
    return series[:a], series[a:b], series[b:]


def _three_parts(series: Tensor) -> Parts:
    return _cut_at(series, 0.6, 0.8)


_THREE_PARTS = mistakes(
    "the newest days come first; the oldest do",
    lambda s: _three_parts(s)[::-1],
    "validation and test are exchanged: the last part of the three is the newest",
    lambda s: (_three_parts(s)[0], _three_parts(s)[2], _three_parts(s)[1]),
    "the shares are 80, 10 and 10 percent; take 60, 20 and 20",
    lambda s: _cut_at(s, 0.8, 0.9),
    "the second part holds the third as well",
    lambda s: (s[: round(0.6 * len(s))], s[round(0.6 * len(s)) :], _three_parts(s)[2]),
    "the days are dealt out in turn; cut the series by date",
    lambda s: (s[torch.arange(len(s)) % 5 < 3], s[3::5], s[4::5]),
)


@compared_with(_three_parts, _THREE_PARTS)
def three_parts() -> Cases:
    """Check ``three_parts(series)``: training, validation, test, by date.

    Takes a series (n,), whose length can be divided by five; returns its first 60, the
    next 20 and the last 20 percent.
    """
    return [(a,) for a in draw((50,), (15,))]


def _lagged(series: Tensor, order: int, first: int = 1) -> Tensor:
    """Return a row for each day from `order` on: one, and the days before it."""
    days = [series[order - k : len(series) - k] for k in range(first, order + first)]
    return torch.stack([torch.ones_like(days[0]), *days], 1)


def _fitted(rows: Tensor, series: Tensor, order: int) -> Tensor:
    """Fit by least squares; where two columns say the same, the shortest solution."""
    found: Tensor = torch.linalg.pinv(rows) @ series[order:]
    return found


def _fit_ar(series: Tensor, order: int) -> Tensor:
    return _fitted(_lagged(series, order), series, order)


_FIT_AR = mistakes(
    "the coefficients come with the oldest day first; phi_1 belongs to the day before",
    lambda s, p: torch.cat([_fit_ar(s, p)[:1], _fit_ar(s, p)[1:].flip(0)]),
    "the constant comes last; it comes first",
    lambda s, p: _fit_ar(s, p).roll(-1),
    "the constant is missing from what is fitted: add a column of ones",
    lambda s, p: _fitted(_lagged(s, p)[:, 1:], s, p),
    "the constant is missing from what is returned",
    lambda s, p: _fit_ar(s, p)[1:],
    "the day itself is among those that forecast it",
    lambda s, p: _fitted(_lagged(s, p, first=0), s, p),
)


@compared_with(_fit_ar, _FIT_AR)
def fit_ar() -> Cases:
    """Check ``fit_ar(series, order)``: an autoregression by least squares.

    Takes a series (n,) and the number p of days to read; returns the constant and the
    coefficients of 1, 2, ..., p days before, (p + 1,).
    """
    (a, b) = draw((60,), (40,))
    return [(3 + a.cumsum(0) / 5, 3), (1 + b, 2)]


def _ar_forecasts(series: Tensor, coefficients: Tensor) -> Tensor:
    return _lagged(series, len(coefficients) - 1) @ coefficients


def _from_forecasts(series: Tensor, coefficients: Tensor) -> Tensor:
    """Go on from forecasts in place of what happened."""
    p, path = len(coefficients) - 1, series[: len(coefficients) - 1].tolist()
    c, *phi = coefficients.tolist()
    while len(path) < len(series):
        path.append(c + sum(f * path[-k] for k, f in enumerate(phi, 1)))
    return torch.tensor(path[p:], dtype=series.dtype)


_AR_FORECASTS = mistakes(
    "a day is forecast by itself: the forecast of day t reads day t - 1 and before",
    lambda s, c: _lagged(s, len(c) - 1, first=0) @ c,
    "the first coefficient meets the oldest day; phi_1 belongs to the day before",
    lambda s, c: _ar_forecasts(s, torch.cat([c[:1], c[1:].flip(0)])),
    "the constant is missing",
    lambda s, c: _ar_forecasts(s, c) - c[0],
    "forecasts are made from forecasts; each reads the days as they were",
    _from_forecasts,
    "there is a forecast for the day after the last; give those of the days there are",
    lambda s, c: torch.cat(
        [_ar_forecasts(s, c), _ar_forecasts(torch.cat([s, s[:1]]), c)[-1:]]
    ),
)


@compared_with(_ar_forecasts, _AR_FORECASTS)
def ar_forecasts() -> Cases:
    """Check ``ar_forecasts(series, coefficients)``: each day by the days before it.

    Takes a series (n,) and what `fit_ar` returns, (p + 1,); returns the forecasts of
    all days but the first p, (n - p,).
    """
    (a, b) = draw((12,), (9,))
    return [
        (a, torch.tensor([0.5, 0.6, -0.3, 0.1], dtype=a.dtype)),
        (b, torch.tensor([-1.0, 0.8, 0.4], dtype=b.dtype)),
    ]


def _errors(known: Tensor, judged: Tensor, order: int, fitted: Tensor) -> float:
    """Return the error on days that come after known ones."""
    series = torch.cat([known[len(known) - order :], judged])
    forecasts = _ar_forecasts(series, _fit_ar(fitted, order))
    return float(((forecasts - judged) ** 2).mean())


def _by_error(
    error: Callable[[Tensor, Tensor, int], float], best: Function = min
) -> Function:
    """Make the choice by an error, which may be the wrong one."""

    def run(training: Tensor, validation: Tensor, orders: Sequence[int]) -> int:
        found: int = best(orders, key=lambda p: error(training, validation, p))
        return found

    return run


def _validation_error(training: Tensor, validation: Tensor, order: int) -> float:
    return _errors(training, validation, order, training)


_choose_order = _by_error(_validation_error)

_CHOOSE_ORDER = mistakes(
    "it is chosen by the error on the days of the fit, where more coefficients win",
    _by_error(lambda a, b, p: float(_residuals(a, p).square().mean())),
    "the worst order is chosen; the one with the least error is wanted",
    _by_error(_validation_error, best=max),
    "the validation days are among those of the fit: fit to the training days alone",
    _by_error(lambda a, b, p: _errors(a, b, p, torch.cat([a, b]))),
    "it is fitted to the validation days; fit to the training days",
    _by_error(lambda a, b, p: _errors(a, b, p, b)),
    "this is a place in the list of orders, not the order",
    lambda a, b, orders: list(orders).index(_choose_order(a, b, orders)),
    "this is the least error, not the order that has it",
    lambda a, b, orders: min(_validation_error(a, b, p) for p in orders),
)


def _residuals(series: Tensor, order: int) -> Tensor:
    return series[order:] - _ar_forecasts(series, _fit_ar(series, order))


_FORECASTERS: dict[str, Function] = {"fit_ar": _fit_ar, "ar_forecasts": _ar_forecasts}


@compared_with(_choose_order, _CHOOSE_ORDER, lent=_FORECASTERS)
def choose_order() -> Cases:
    """Check ``choose_order(training, validation, orders)``: by validation alone.

    Takes the first two parts of a series and the orders to choose among; returns the
    order that, fitted to the training days, has the least mean squared error on the
    validation days. The forecasts of the first of these read training days.
    """
    return [(*draw((40,), (15,), seed=seed), (2, 3, 5, 8)) for seed in _SEEDS]


_SEEDS = (1, 2, 3, 4)


def _last_part(fit: Function, read: Function, at: slice = slice(None)) -> Function:
    """Make the forecasts of the third part, right or wrong as its parts are."""

    def run(series: Tensor, order: int) -> Tensor:
        a, b, c = _three_parts(series)
        found: Tensor = _ar_forecasts(read(a, b, c, order), fit(a, b, c, order))
        return found[at]

    return run


def _after(a: Tensor, b: Tensor, c: Tensor, p: int) -> Tensor:
    known = torch.cat([a, b])
    return torch.cat([known[len(known) - p :], c])


def _fit_known(a: Tensor, b: Tensor, c: Tensor, p: int) -> Tensor:
    return _fit_ar(torch.cat([a, b]), p)


def _peeking(series: Tensor, order: int) -> Tensor:
    a, b, c = _three_parts(series)
    days = _after(a, b, c, order)
    return _lagged(days, order, first=0) @ _fit_known(a, b, c, order)


_final_forecasts = _last_part(_fit_known, _after)

_FINAL_FORECASTS = mistakes(
    "the days of the third part are among those of the fit",
    _last_part(lambda a, b, c, p: _fit_ar(torch.cat([a, b, c]), p), _after),
    "it is fitted to the third part itself",
    _last_part(lambda a, b, c, p: _fit_ar(c, p), _after),
    "it is fitted to the first part alone; after the choice, use the second too",
    _last_part(lambda a, b, c, p: _fit_ar(a, p), _after),
    "the first days of the third part have no forecast; they read the second part",
    _last_part(_fit_known, lambda a, b, c, p: c),
    "these are forecasts of the second part",
    _last_part(_fit_known, lambda a, b, c, p: torch.cat([a[len(a) - p :], b])),
    "each day is forecast by itself: read the days before it",
    _peeking,
)


@compared_with(
    _final_forecasts,
    _FINAL_FORECASTS,
    lent={**_FORECASTERS, "three_parts": _three_parts},
)
def final_forecasts() -> Cases:
    """Check ``final_forecasts(series, order)``: every day of the third part.

    Takes a series (n,) and an order; returns one forecast for each day of the third
    part, fitted to the first two parts, each from the days before it as they were.
    """
    (a, b) = draw((60,), (45,))
    return [(2 + a, 3), (5 + b.cumsum(0), 2)]


ORDERS = tuple(range(1, 13))
TOLERANCE = 0.006  # of numbers given to two decimals
KEYS = ("name", "order", "skill", "low", "high", "p", "status")


def _judged(series: Tensor, forecasts: Tensor) -> Verdict:
    """Judge forecasts of the last days of a series."""
    truth = series[len(series) - len(forecasts) :]
    return judge(truth.numpy(), forecasts.numpy())[0]


def _of_third(series: Tensor, order: int) -> Verdict:
    return _judged(series, _final_forecasts(series, order))


def _of_second(series: Tensor, order: int) -> Verdict:
    a, b, _ = _three_parts(series)
    known = torch.cat([a, b])
    forecasts = _ar_forecasts(known[len(a) - order :], _fit_ar(a, order))
    return _judged(known, forecasts)


def _of_all(series: Tensor, order: int) -> Verdict:
    return _judged(series, _ar_forecasts(series, _fit_ar(series, order)))


_OWN_VERDICT: Mistakes = mistakes(
    "these are the numbers of the second part, by which the order was chosen",
    _of_second,
    "these are the numbers of all days together, those of the fit among them",
    _of_all,
    "the fit has seen the third part",
    lambda s, p: _judged(
        s, _last_part(lambda a, b, c, p: _fit_ar(torch.cat([a, b, c]), p), _after)(s, p)
    ),
    "each day was forecast by itself",
    lambda s, p: _judged(s, _peeking(s, p)),
)


def own_verdict(claim: Mapping[str, object]) -> None:
    """Check what is claimed of a series of one's own.

    Parameters
    ----------
    claim : mapping
        ``name``, whose series it is, ``order``, the one chosen among 1 to 12, and of
        the verdict on the third part ``skill``, ``low``, ``high``, ``p``, each to two
        decimals, and ``status``.

    Raises
    ------
    Wrong
        With a diagnosis.
    """
    told = f"own_verdict: give {', '.join(KEYS)}"
    if not isinstance(claim, Mapping) or set(claim) != set(KEYS):
        raise Wrong(f"{told}.")
    name, order = str(claim["name"]), claim["order"]
    if not name.strip():
        raise Wrong("own_verdict: the name is empty.")
    found, chosen = _right(name)
    if order != chosen:
        raise Wrong(f"own_verdict: {_wrong_order(name, order)}.")
    if not _agrees(claim, found):
        series = own_series(name)
        said = (
            d
            for d, wrong in _OWN_VERDICT.items()
            if _fits(claim, wrong, series, chosen)
        )
        raise Wrong(f"own_verdict: {next(said, _first_difference(claim, found))}.")
    print("own_verdict: correct.")


@cache
def _right(name: str) -> tuple[Verdict, int]:
    series = own_series(name)
    training, validation, _ = _three_parts(series)
    order = int(_choose_order(training, validation, ORDERS))
    return _of_third(series, order), order


def _wrong_order(name: str, order: object) -> str:
    """Say by what a wrong order may have been chosen."""
    a, b, c = _three_parts(own_series(name))
    on_test = min(
        ORDERS, key=lambda p: _errors(torch.cat([a, b]), c, p, torch.cat([a, b]))
    )
    on_fit = int(
        _by_error(lambda a, b, p: float(_residuals(a, p).square().mean()))(a, b, ORDERS)
    )
    if order == on_test:
        return "this order is the best on the third part, which must not choose"
    if order == on_fit:
        return "this order is the best on the days of the fit; choose by validation"
    return "another order has the least error on the validation days"


def _agrees(claim: Mapping[str, object], found: Verdict) -> bool:
    return claim["status"] == found.status and not _apart(claim, found)


def _apart(claim: Mapping[str, object], found: Verdict) -> list[str]:
    """Name the numbers that are not those of a verdict."""
    numbers = {"skill": found.skill, "low": found.low, "high": found.high, "p": found.p}
    return [n for n, value in numbers.items() if not _near(claim[n], value)]


def _near(told: object, value: float) -> bool:
    return isinstance(told, int | float) and abs(told - value) <= TOLERANCE


def _fits(
    claim: Mapping[str, object], wrong: Function, series: Tensor, order: int
) -> bool:
    found: Verdict = wrong(series, order)
    return not _apart(claim, found)


def _first_difference(claim: Mapping[str, object], found: Verdict) -> str:
    wrong = _apart(claim, found)
    if not wrong:
        return "the status is not that of the verdict, though the numbers are"
    return f"{wrong[0]} is not that of the verdict on the third part"
