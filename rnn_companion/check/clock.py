"""Checks of chapter 8: a clock in the cell."""

import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes


def _gates() -> list[tuple[Tensor, ...]]:
    cases: list[tuple[Tensor, ...]] = []
    for n in (40, 25):
        t, tau, s, r = draw((n, 1), (3,), (3,), (3,), seed=n)
        cases.append((8 * t, 1 + tau.abs(), s, 0.1 + 0.5 * torch.sigmoid(r)))
    return cases


def _phase(t: Tensor, tau: Tensor, s: Tensor) -> Tensor:
    cycles = (t - s) / tau
    return cycles - cycles.floor()


def _gate(phi: Tensor, r_on: Tensor) -> Tensor:
    return (1 - (2 * phi / r_on - 1).abs()).clamp(min=0)


def _gate_with(phase: Function) -> Function:
    return lambda t, tau, s, r: _gate(phase(t, tau, s), r)


_TIME_GATE = mistakes(
    "the phase is not divided by the period",
    _gate_with(lambda t, tau, s: torch.remainder(t - s, tau)),
    "the clock never comes round again: take the phase modulo 1",
    _gate_with(lambda t, tau, s: (t - s) / tau),
    "before the shift the phase is negative: fmod keeps the sign, remainder does not",
    _gate_with(lambda t, tau, s: torch.fmod(t - s, tau) / tau),
    "the shift is added; take it away",
    _gate_with(lambda t, tau, s: _phase(t, tau, -s)),
    "the shift is not used",
    _gate_with(lambda t, tau, s: _phase(t, tau, 0 * s)),
    "the gate only rises: it must fall again in the second half of its open time",
    lambda t, tau, s, r: torch.where(
        _phase(t, tau, s) <= r / 2, 2 * _phase(t, tau, s) / r, 0.0
    ),
    "a closed gate goes below zero: clamp it",
    lambda t, tau, s, r: 1 - (2 * _phase(t, tau, s) / r - 1).abs(),
    "the open gate is square; it rises and falls",
    lambda t, tau, s, r: (_phase(t, tau, s) <= r).to(t.dtype),
    "it opens for twice as long: the peak is at half of the open share",
    lambda t, tau, s, r: _gate(_phase(t, tau, s), 2 * r),
)


@compared_with(networks.time_gate, _TIME_GATE)
def time_gate() -> Cases:
    """Check ``time_gate(t, tau, s, r_on)``: the clock that does not leak.

    Takes tensors that broadcast; returns how far the gate is open, in [0, 1];
    `networks.time_gate` is the book's own.
    """
    return _gates()


_PHASE = mistakes(
    "before the shift the phase is negative: fmod keeps the sign, remainder does not",
    lambda t, tau, s: torch.fmod(t - s, tau) / tau,
    "before the shift the phase runs backwards: do not take the absolute value",
    lambda t, tau, s: torch.fmod((t - s).abs(), tau) / tau,
    "it is not divided by the period: a phase is a share of it",
    lambda t, tau, s: torch.remainder(t - s, tau),
    "the clock never comes round again: take it modulo 1",
    lambda t, tau, s: (t - s) / tau,
    "the shift is added; take it away",
    lambda t, tau, s: _phase(t, tau, -s),
    "the shift is taken away after the division; it is in units of time",
    lambda t, tau, s: torch.remainder(t / tau - s, 1),
    "the clock stands still before the shift; it has always been running",
    lambda t, tau, s: _phase((t - s).clamp(min=0), tau, 0 * s),
)


@compared_with(_phase, _PHASE)
def phase() -> Cases:
    """Check ``phase(t, tau, s)``: where in its period a clock stands.

    Takes tensors that broadcast; returns the phase, in [0, 1), also for times
    before the shift.
    """
    return [case[:3] for case in _gates()]


def _openness(first: int, last: int, tau: float, s: float, r_on: float) -> Tensor:
    t = torch.arange(first, last + 1, dtype=torch.float64)
    return _gate(_phase(t, torch.tensor(tau), torch.tensor(s)), torch.tensor(r_on))


def _share_open(days: int, tau: float, s: float, r_on: float) -> float:
    return (_openness(1, days, tau, s, r_on) > 1e-9).double().mean().item()


_SHARE_OPEN = mistakes(
    "this is how far the gate is open in the mean; count the days on which it is",
    lambda n, tau, s, r: _openness(1, n, tau, s, r).mean(),
    "this is a number of days, not a share",
    lambda n, tau, s, r: n * _share_open(n, tau, s, r),
    "the days run from 0 here; they run from 1",
    lambda n, tau, s, r: (_openness(0, n - 1, tau, s, r) > 1e-9).double().mean(),
    "this is the share of the days on which it is closed",
    lambda n, tau, s, r: 1 - _share_open(n, tau, s, r),
    "r_on is the share of all times; the days are whole numbers, so count them",
    lambda n, tau, s, r: r,
    "the gate is called open from one half on; any opening counts",
    lambda n, tau, s, r: (_openness(1, n, tau, s, r) > 0.5).double().mean(),
)


@compared_with(_share_open, _SHARE_OPEN)
def share_open() -> Cases:
    """Check ``share_open(days, tau, s, r_on)``: how often a gate is open at all.

    Takes a number of days and three numbers; returns the share of the days
    1 to ``days`` on which the gate is open more than 1e-9.
    """
    return [(100, 7.3, 0.4, 0.3), (60, 2.5, 1.1, 0.5), (7, 5.0, 0.5, 0.5)]
