"""Checks of chapter 10: smoothing, means of the past, volatility from the range."""

import math

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, compared_with, draw, mistakes


def _smoothed(y: Tensor, alpha: float, start: Tensor) -> Tensor:
    """Go on from a level at the first day."""
    levels = [start]
    for value in y[1:]:
        levels.append((1 - alpha) * levels[-1] + alpha * value)
    return torch.stack(levels)


def _smooth(y: Tensor, alpha: float) -> Tensor:
    return _smoothed(y, alpha, y[0])


_SMOOTH = mistakes(
    "alpha and 1 - alpha are exchanged: alpha is the weight of the new value",
    lambda y, a: _smooth(y, 1 - a),
    "it starts at zero; start at the first value",
    lambda y, a: _smoothed(y, a, a * y[0]),
    "it starts at the mean of all values, which looks ahead; start at the first",
    lambda y, a: _smoothed(y, a, y.mean()),
    "the old value is added whole; it counts 1 - alpha",
    lambda y, a: y[0] + a * (y.cumsum(0) - y[0]),
    "each entry lacks its own day's value",
    lambda y, a: torch.cat([y[:1], _smooth(y, a)[:-1]]),
    "this mixes two days only; the level of the day before has all of the past in it",
    lambda y, a: torch.cat([y[:1], (1 - a) * y[:-1] + a * y[1:]]),
)


@compared_with(_smooth, _SMOOTH)
def smooth() -> Cases:
    """Check ``smooth(y, alpha)``: exponential smoothing.

    Takes a series (N,) and a number; returns the level after each day, (N,), which
    starts at the first value.
    """
    (a, b) = draw((12,), (7,))
    return [(a + 3, 0.3), (b - 1, 0.1)]


def _padded(y: Tensor, before: int, after: int, days: int) -> Tensor:
    y = torch.cat([y.new_zeros(before), y, y.new_zeros(after)])
    return y.unfold(0, days, 1).sum(1)  # (N,)


def _mean_of(y: Tensor, before: int, after: int) -> Tensor:
    ones, days = y.new_ones(len(y)), before + after + 1
    return _padded(y, before, after, days) / _padded(ones, before, after, days)


def _trailing_mean(y: Tensor, days: int) -> Tensor:
    return _mean_of(y, days - 1, 0)


_TRAILING_MEAN = mistakes(
    "the mean lies around each day and looks ahead; take the day and those before",
    lambda y, d: _padded(y, d // 2, d - 1 - d // 2, d) / d,
    "this is the mean of the days to come; take the day and those before",
    lambda y, d: _mean_of(y, 0, d - 1),
    "it is one day short",
    lambda y, d: _mean_of(y, d - 2, 0),
    "it has one day too many",
    lambda y, d: _mean_of(y, d, 0),
    "the first days are divided by more days than there are",
    lambda y, d: _padded(y, d - 1, 0, d) / d,
    "this is a sum, not a mean",
    lambda y, d: _padded(y, d - 1, 0, d),
    "the first days are left out; give them the mean of what there is",
    lambda y, d: _trailing_mean(y, d)[d - 1 :],
)


@compared_with(_trailing_mean, _TRAILING_MEAN)
def trailing_mean() -> Cases:
    """Check ``trailing_mean(y, days)``: the mean of each day and those before.

    Takes a series (N,) and a number of days; returns for each day the mean of the
    last `days` values, its own among them, (N,). The first days have fewer.
    """
    (a, b) = draw((20,), (9,))
    return [(a + 2, 5), (b + 1, 3)]


def _parkinson(high: Tensor, low: Tensor) -> Tensor:
    return torch.log(high / low) / math.sqrt(4 * math.log(2))


_PARKINSON = mistakes(
    "this is the variance; take its root",
    lambda h, l: _parkinson(h, l) ** 2,
    "this is the range itself; divide by the root of 4 ln 2",
    lambda h, l: torch.log(h / l),
    "the range is divided by 4 ln 2; the square is, so take the root of it",
    lambda h, l: torch.log(h / l) / (4 * math.log(2)),
    "this takes prices, not their logarithms",
    lambda h, l: (h - l) / math.sqrt(4 * math.log(2)),
    "the range is taken as a share of the low, not as a difference of logarithms",
    lambda h, l: (h / l - 1) / math.sqrt(4 * math.log(2)),
    "high and low are exchanged",
    lambda h, l: _parkinson(l, h),
    "the logarithm of the range is to base 2 or 10; take the natural one",
    lambda h, l: torch.log10(h / l) / math.sqrt(4 * math.log(2)),
    "this is one number for all days; give one a day",
    lambda h, l: _parkinson(h, l).square().mean().sqrt(),
)


@compared_with(_parkinson, _PARKINSON)
def parkinson() -> Cases:
    """Check ``parkinson(high, low)``: volatility from the range (`eq-wf-parkinson`).

    Takes highest and lowest prices, each (N,); returns the estimated standard
    deviation of each day, (N,).
    """
    (a, b) = draw((8,), (5,))
    return [(30 + a + 0.5 + a.abs(), 30 + a), (9 + b + 2 * b.abs() + 0.1, 9 + b)]
