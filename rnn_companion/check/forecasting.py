"""Checks of chapter 6: forecasting."""

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, compared_with, draw, mistakes


def _constant(value: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
    return value, ((held - value) ** 2).mean()


def _best_constant(training: Tensor, validation: Tensor) -> tuple[Tensor, Tensor]:
    return _constant(training.mean(), validation)


_BEST_CONSTANT = mistakes(
    "the constant knows the validation targets: it is their own mean",
    lambda t, v: _constant(v.mean(), v),
    "the constant knows the validation targets: it is the mean of all",
    lambda t, v: _constant(torch.cat([t, v]).mean(), v),
    "the error is that of training; give that of validation",
    lambda t, v: _constant(t.mean(), t),
    "the median makes the absolute error smallest; for the squared one take the mean",
    lambda t, v: _constant(t.median(), v),
    "the last training target is no mean",
    lambda t, v: _constant(t[-1], v),
    "the squared errors are added up; average them",
    lambda t, v: (t.mean(), ((v - t.mean()) ** 2).sum()),
    "this is the root of the mean; take no root",
    lambda t, v: (t.mean(), ((v - t.mean()) ** 2).mean().sqrt()),
)


@compared_with(_best_constant, _BEST_CONSTANT)
def best_constant() -> Cases:
    """Check ``best_constant(training, validation)``: the forecast that never moves.

    Takes the targets of training and of validation, (N,) and (M,); returns the
    constant with the smallest squared error in training, and its mean squared
    error in validation.
    """
    return [draw((20,), (7,), seed=1), draw((5,), (11,), seed=2)]


def _scaled(p: Tensor, known: Tensor, correction: int = 0) -> Tensor:
    return (p - known.mean()) / known.std(correction=correction)


def _standardize(p: Tensor, n: int) -> Tensor:
    return _scaled(p, p[:n])


_STANDARDIZE = mistakes(
    "the scaler has seen the validation days: take the training days alone",
    lambda p, n: _scaled(p, p),
    "the scaler is that of the validation days; take the training days",
    lambda p, n: _scaled(p, p[n:]),
    "only the training days come back; scale all",
    lambda p, n: _standardize(p, n)[:n],
    "the standard deviation divides by n - 1 here; divide by n",
    lambda p, n: _scaled(p, p[:n], correction=1),
    "it is divided by the variance",
    lambda p, n: (p - p[:n].mean()) / p[:n].var(correction=0),
    "the mean is not taken away",
    lambda p, n: p / p[:n].std(correction=0),
    "training and validation days are scaled apart; one scaler serves both",
    lambda p, n: torch.cat([_scaled(p[:n], p[:n]), _scaled(p[n:], p[n:])]),
    "the mean is that of all days; the standard deviation alone is clean",
    lambda p, n: (p - p.mean()) / p[:n].std(correction=0),
    "the standard deviation is that of all days; the mean alone is clean",
    lambda p, n: (p - p[:n].mean()) / p.std(correction=0),
)


@compared_with(_standardize, _STANDARDIZE)
def standardize() -> Cases:
    """Check ``standardize(closes, training)``: scaled by what training days know.

    Takes closes (N,) and the number of training days; returns all closes, less
    the mean and divided by the standard deviation (with n, not n - 1) of the
    training days.
    """
    (a, b) = draw((30,), (12,))
    return [(a.cumsum(0), 20), (b.cumsum(0), 5)]


def _hits(forecast: Tensor, after: Tensor, before: Tensor) -> Tensor:
    return ((forecast - before) * (after - before) > 0).double()


def _hit_rate(f: Tensor, p: Tensor) -> float:
    return _hits(f, p[1:], p[:-1]).mean().item()


_HIT_RATE = mistakes(
    "this is the share of wrong directions",
    lambda f, p: 1 - _hit_rate(f, p),
    "a day that does not move counts as right here",
    lambda f, p: ((f - p[:-1]) * (p[1:] - p[:-1]) >= 0).double().mean(),
    "days that do not move are left out; they count as wrong",
    lambda f, p: _hits(f, p[1:], p[:-1])[p[1:] != p[:-1]].mean(),
    "the forecast's direction is taken from one forecast to the next; take it from "
    "the close of the day before",
    lambda f, p: ((f[1:] - f[:-1]) * (p[2:] - p[1:-1]) > 0).double().mean(),
    "this is a number of days, not a share",
    lambda f, p: _hits(f, p[1:], p[:-1]).sum(),
    "both are only asked whether they are above zero; compare with the day before",
    lambda f, p: ((f > 0) == (p[1:] > 0)).double().mean(),
)


@compared_with(_hit_rate, _HIT_RATE)
def hit_rate() -> Cases:
    """Check ``hit_rate(forecast, closes)``: how often the direction is right.

    Takes forecasts of the closes of days 2 to N, (N-1,), and all closes, (N,);
    returns the share of days on which forecast and close lie on the same side
    of the day before. Days that do not move, or are forecast not to, count as
    wrong.
    """
    (a, b, e) = draw((15,), (40,), (39,))
    a[5] = a[4]
    return [(a[1:] + 0.4 * e[:14], a), (b[1:] + e, b)]
