"""Checks of chapter 9: text."""

import math

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, compared_with, draw, mistakes


def _kept(o: Tensor, k: int) -> Tensor:
    """Mark the k largest."""
    marks = torch.zeros_like(o, dtype=torch.bool)
    marks[o.topk(min(k, len(o))).indices] = True
    return marks


def _top_k(o: Tensor, k: int, sign: int = 1) -> Tensor:
    return o.masked_fill(~_kept(sign * o, k), -math.inf).softmax(0)


_TOP_K = mistakes(
    "the probabilities do not add up to 1: divide by what is left",
    lambda o, k: o.softmax(0) * _kept(o, k),
    "a score of zero is not a probability of zero: take minus infinity",
    lambda o, k: o.masked_fill(~_kept(o, k), 0.0).softmax(0),
    "the least likely are kept",
    lambda o, k: _top_k(o, k, sign=-1),
    "one too many is kept",
    lambda o, k: _top_k(o, k + 1),
    "only k numbers come back; give one for each character",
    lambda o, k: o.topk(k).values.softmax(0),
    "all of the k are equally likely here; keep their proportions",
    lambda o, k: _kept(o, k).double() / k,
    "nothing is left out",
    lambda o, k: o.softmax(0),
)


@compared_with(_top_k, _TOP_K)
def top_k() -> Cases:
    """Check ``top_k(o, k)``: probabilities of the likeliest characters alone.

    Takes scores (V,) and a number; returns probabilities (V,), zero for all but
    the k largest scores.
    """
    return [(*draw((9,), seed=1), 3), (*draw((5,), seed=2), 1), (*draw((4,)), 4)]


def _warm(o: Tensor, temperature: float) -> Tensor:
    return (o / temperature).softmax(0)


_WITH_TEMPERATURE = mistakes(
    "the knob does nothing: probabilities divided by the temperature and normalised "
    "again are what they were",
    lambda o, T: o.softmax(0),
    "the knob is turned the wrong way: divide the scores, do not multiply them",
    lambda o, T: (o * T).softmax(0),
    "the probabilities do not add up to 1",
    lambda o, T: o.softmax(0) / T,
    "the temperature belongs into the exponent: divide the scores before softmax",
    lambda o, T: (o.softmax(0) / T).softmax(0),
    "these are the scores, not probabilities",
    lambda o, T: o / T,
    "these are logarithms of probabilities",
    lambda o, T: (o / T).log_softmax(0),
    "softmax comes twice",
    lambda o, T: (o / T).softmax(0).softmax(0),
)


@compared_with(_warm, _WITH_TEMPERATURE)
def with_temperature() -> Cases:
    """Check ``with_temperature(o, temperature)``: probabilities, cooled or heated.

    Takes scores (V,) and a number above zero; returns probabilities (V,).
    """
    return [(*draw((7,), seed=3), 0.5), (*draw((4,), seed=4), 2.0)]


_SHARES = (0.2, 0.4, 0.6, 0.8)


def _bounded(returns: Tensor, bounds: Tensor) -> Tensor:
    return (returns[:, None] > bounds).sum(1)


def _letters(returns: Tensor, n: int) -> Tensor:
    return _by_quintiles(returns, returns[:n])


def _by_quintiles(returns: Tensor, known: Tensor) -> Tensor:
    shares = torch.tensor(_SHARES, dtype=returns.dtype)
    return _bounded(returns, torch.quantile(known, shares))


def _equally_wide(returns: Tensor, n: int) -> Tensor:
    low, high = returns[:n].min().item(), returns[:n].max().item()
    return _bounded(returns, torch.linspace(low, high, 6, dtype=returns.dtype)[1:-1])


_LETTERS = mistakes(
    "the bounds know the days to come: take the quintiles of the training days",
    lambda r, n: _by_quintiles(r, r),
    "the bounds are those of the validation days; take the training days",
    lambda r, n: _by_quintiles(r, r[n:]),
    "the classes are equally wide; they should be equally frequent in training",
    _equally_wide,
    "the classes run from 1 to 5; 0 to 4 are wanted",
    lambda r, n: _letters(r, n) + 1,
    "the classes run downwards: 0 is the largest fall",
    lambda r, n: 4 - _letters(r, n),
    "only the training days come back; give all",
    lambda r, n: _letters(r, n)[:n],
    "there are quarters here; five classes have four bounds",
    lambda r, n: _bounded(
        r, torch.quantile(r[:n], torch.tensor([0.25, 0.5, 0.75], dtype=r.dtype))
    ),
)


@compared_with(_letters, _LETTERS)
def letters() -> Cases:
    """Check ``letters(returns, training)``: five classes, bounded by the past.

    Takes returns (N,) and the number of training days; returns classes 0 to 4,
    (N,). The bounds are the quintiles (0.2, 0.4, 0.6 and 0.8, as in
    `torch.quantile`) of the training days; a class counts the bounds below.
    """
    (a, b) = draw((40,), (25,), seed=5)
    return [(a, 25), (3 * b.exp(), 12)]
