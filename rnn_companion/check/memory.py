"""Checks of chapter 7: the length of a memory."""

import math

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, compared_with, draw, mistakes


def _read(digits: Tensor) -> tuple[Tensor, Tensor]:
    """Take all digits but the last, time first, and the last."""
    return digits[:, :-1].T, digits[:, -1]


def _task(half: Tensor) -> tuple[Tensor, Tensor]:
    return _read(torch.cat([half, half.flip(1)], 1))


_PALINDROME_TASK = mistakes(
    "the second half must run backwards: flip it",
    lambda half: _read(torch.cat([half, half], 1)),
    "the last digit is read as well, so there is nothing left to remember",
    lambda half: (torch.cat([half, half.flip(1)], 1).T, half[:, 0]),
    "the batch comes first; time goes first",
    lambda half: (_task(half)[0].T, half[:, 0]),
    "the target is the last digit of the first half; it is the last of all",
    lambda half: (_task(half)[0], half[:, -1]),
    "the middle digit is doubled in a palindrome of even length; here it is single",
    lambda half: (torch.cat([half, half.flip(1)[:, 1:-1]], 1).T, half[:, 0]),
    "the samples are in the wrong order: flip the digits, not the batch",
    lambda half: _read(torch.cat([half, half.flip(0)], 1)),
)


@compared_with(_task, _PALINDROME_TASK)
def palindrome_task() -> Cases:
    """Check ``palindrome_task(half)``: what is read, and what is to be told.

    Takes the first halves of palindromes, (B, n); returns all digits but the
    last, time first, (2n-1, B), and the last, (B,).
    """
    cases = []
    for B, n in ((5, 3), (1, 4), (5, 5)):
        (numbers,) = draw((B, n), seed=n)
        cases.append(((numbers * 100).long().abs() % 10,))
    return cases


_BIASES = ((3, 1.0), (1, 4.0), (2, 0.5))


def _summed(biases: object) -> Tensor:
    """Add the two biases up; only their sum is used."""
    if isinstance(biases, Tensor):
        return biases
    if not isinstance(biases, tuple | list) or len(biases) != 2:
        raise TypeError("the result must be two biases")
    total: Tensor = biases[0] + biases[1]
    return total


def _set(ih: Tensor, hh: Tensor, value: float | Tensor, part: int = 1) -> Tensor:
    """Give one gate's bias a value: part 0 is i, 1 is f, 2 is g, 3 is o."""
    total = ih + hh
    total.chunk(4)[part][:] = value
    return total


def _forget(bias: Tensor) -> Tensor:
    return bias.chunk(4)[1]


_FORGET_BIAS = mistakes(
    "both biases are set, and they are added: the gate gets twice the value",
    lambda ih, hh, value: _set(ih, hh, 2 * value),
    "the random start of bias_hh is still added to the value",
    lambda ih, hh, value: _set(ih, hh, value + _forget(hh)),
    "the random start of bias_ih is still added to the value",
    lambda ih, hh, value: _set(ih, hh, value + _forget(ih)),
    "the value is added to what was there; it replaces it",
    lambda ih, hh, value: _set(ih, hh, value + _forget(ih + hh)),
    "this is the input gate: torch stacks i, f, g, o",
    lambda ih, hh, value: _set(ih, hh, value, 0),
    "this is the candidate: torch stacks i, f, g, o",
    lambda ih, hh, value: _set(ih, hh, value, 2),
    "this is the output gate: torch stacks i, f, g, o",
    lambda ih, hh, value: _set(ih, hh, value, 3),
    "all gates are set; the others keep what they had",
    lambda ih, hh, value: torch.full_like(ih, value),
)


@compared_with(_set, _FORGET_BIAS, of=_summed)
def forget_bias() -> Cases:
    """Check ``forget_bias(bias_ih, bias_hh, value)``: the two biases of an LSTM.

    Takes torch's two biases of a layer, (4h,) each, stacked i, f, g, o, and a
    value; returns two new ones whose sum is that value for the forget gate and
    what it was for the others.
    """
    return [(*draw((4 * h,), (4 * h,), seed=h), value) for h, value in _BIASES]


def _half_life(f: float) -> float:
    return math.log(0.5) / math.log(f)


_HALF_LIFE = mistakes(
    "the sign is turned round",
    lambda f: -_half_life(f),
    "this is the time until 1/e is left; half of it is log(1/2) / log(f)",
    lambda f: -1 / math.log(f),
    "each step multiplies; it does not take the same amount away",
    lambda f: 0.5 / (1 - f),
    "this is the mean life, 1 / (1 - f)",
    lambda f: 1 / (1 - f),
    "the fraction is upside down",
    lambda f: 1 / _half_life(f),
    "it is not to be rounded",
    lambda f: math.ceil(_half_life(f)),
)


@compared_with(_half_life, _HALF_LIFE)
def half_life() -> Cases:
    """Check ``half_life(f)``: the steps until half of a cell is forgotten.

    Takes a forget gate between 0 and 1 that stays as it is; returns the number
    of steps, not rounded, after which half of a cell's content is left.
    """
    return [(0.9,), (0.5,), (0.99,)]
