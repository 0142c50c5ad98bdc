"""Checks of the project *A network by hand*: the windows of a share."""

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes


def _cut(z: Tensor, T: int) -> tuple[Tensor, Tensor]:
    """Cut a series into windows and, a day later, their targets: (T, N, 1) each."""
    windows = z.unfold(0, T + 1, 1).T[..., None]
    return windows[:-1], windows[1:]


def _windows_with(
    known: Function = lambda p, n: p[:n],
    training: Function = lambda z, n, T: z[:n],
    validation: Function = lambda z, n, T: z[n - T :],
    cut: Function = _cut,
) -> Function:
    """Make the windows of training and validation, right or wrong as the parts are."""

    def run(p: Tensor, n: int, T: int) -> tuple[Tensor, ...]:
        seen = known(p, n)
        z = (p - seen.mean()) / seen.std(correction=0)
        return (*cut(training(z, n, T), T), *cut(validation(z, n, T), T))

    return run


_share_windows = _windows_with()

_SHARE_WINDOWS = mistakes(
    "the scaler has seen the validation days: the first n days alone give its numbers",
    _windows_with(known=lambda p, n: p),
    "nothing is scaled: take the mean away, and divide by the deviation",
    _windows_with(known=lambda p, n: torch.tensor([-1.0, 1.0], dtype=p.dtype)),
    "the last training target lies in the validation days: n days train",
    _windows_with(training=lambda z, n, T: z[: n + 1]),
    "the first validation target is day n + T; its window may read training days",
    _windows_with(validation=lambda z, n, T: z[n:]),
    "a training day is among the last targets of validation; day n is the first",
    _windows_with(validation=lambda z, n, T: z[n - T - 1 :]),
    "the targets are the inputs: y_t is the close of the day after x_t",
    _windows_with(cut=lambda z, T: (_cut(z, T)[0], _cut(z, T)[0])),
    "the windows lie side by side; a window begins on each day",
    _windows_with(cut=lambda z, T: tuple(part[:, ::T] for part in _cut(z, T))),
    "the batch comes first; time does: (T, N, 1)",
    _windows_with(cut=lambda z, T: tuple(part.transpose(0, 1) for part in _cut(z, T))),
)


@compared_with(_share_windows, _SHARE_WINDOWS)
def share_windows() -> Cases:
    """Check ``share_windows(closes, n, T)``: windows, scaled by what training knows.

    Takes closes (N,), how many of the first days train, and a window's length; returns
    inputs and targets of training, then of validation, each (T, windows, 1), where
    y_t is the close of the day after x_t. The last targets of the validation windows
    are the days from n on (counted from 0).
    """
    (a, b) = draw((40,), (26,))
    return [(20 + a.cumsum(0), 25, 4), (9 + b.cumsum(0), 15, 3)]
