"""Checks of chapter 5: input and output configurations."""

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, compared_with, draw, mistakes


def _masked(o: Tensor, y: Tensor, m: Tensor) -> Tensor:
    return (m * ((o - y) ** 2).mean((1, 2))).sum() / m.sum()


_MASKED_LOSS = mistakes(
    "it is divided by all T steps; divide by those that count",
    lambda o, y, m: (m * ((o - y) ** 2).mean((1, 2))).mean(),
    "the mask is not used",
    lambda o, y, m: ((o - y) ** 2).mean(),
    "the division by the number of steps that count is missing",
    lambda o, y, m: _masked(o, y, m) * m.sum(),
    "the samples are added up; average over them",
    lambda o, y, m: _masked(o, y, m) * o.shape[1],
    "the outputs are added up; average over all q of them",
    lambda o, y, m: _masked(o, y, m) * o.shape[2],
    "samples and outputs are added up; average over both",
    lambda o, y, m: _masked(o, y, m) * o.shape[1] * o.shape[2],
    "the mask is turned round: 1 marks the steps that count",
    lambda o, y, m: _masked(o, y, 1 - m),
    "the errors are absolute; square them",
    lambda o, y, m: (m * (o - y).abs().mean((1, 2))).sum() / m.sum(),
)


@compared_with(_masked, _MASKED_LOSS)
def masked_loss() -> Cases:
    """Check ``masked_loss(outputs, targets, mask)``: the mean over what counts.

    Takes outputs and targets (T, B, q) and a mask (T,) of ones and zeros;
    returns the squared error, averaged over samples, outputs and those steps.
    """
    masks = ([0, 1, 1, 0, 1], [0, 0, 0, 1], [1, 1, 0])
    cases = []
    for mask in masks:
        outputs, targets = draw((len(mask), 4, 2), (len(mask), 4, 2), seed=len(mask))
        cases.append((outputs, targets, torch.tensor(mask, dtype=torch.float64)))
    return cases


def _real(o: Tensor, ends: Tensor, late: int = 0) -> Tensor:
    """Return ones at the steps that are real, (T, B)."""
    return (torch.arange(1, len(o) + 1)[:, None] <= ends + late).to(o.dtype)


def _padded(o: Tensor, y: Tensor, ends: Tensor, late: int = 0) -> Tensor:
    m = _real(o, ends, late)
    return (m * ((o - y) ** 2).mean(2)).sum() / m.sum()


def _each_alone(o: Tensor, y: Tensor, ends: Tensor) -> Tensor:
    m = _real(o, ends)
    return ((m * ((o - y) ** 2).mean(2)).sum(0) / m.sum(0)).mean()


def _at_the_end(o: Tensor, y: Tensor, ends: Tensor) -> Tensor:
    each = torch.arange(o.shape[1])
    return ((o - y) ** 2).mean(2)[ends - 1, each].mean()


_PADDED_LOSS = mistakes(
    "the padded steps count too: keep the first steps of each sequence",
    lambda o, y, ends: ((o - y) ** 2).mean(),
    "it is divided by all T B steps; divide by the real ones",
    lambda o, y, ends: _padded(o, y, ends) * ends.sum() / (len(o) * o.shape[1]),
    "the division by the number of real steps is missing",
    lambda o, y, ends: _padded(o, y, ends) * ends.sum(),
    "each sequence counts once, whatever its length; each real step counts once",
    _each_alone,
    "the last real step of each sequence is missing",
    lambda o, y, ends: _padded(o, y, ends, -1),
    "one padded step of each sequence counts too",
    lambda o, y, ends: _padded(o, y, ends, 1),
    "only the last real step of each sequence counts; all real steps do",
    _at_the_end,
    "the outputs of a step are added up; average over all q of them",
    lambda o, y, ends: _padded(o, y, ends) * o.shape[2],
    "the absolute errors are averaged; square them",
    lambda o, y, ends: (_real(o, ends) * (o - y).abs().mean(2)).sum() / ends.sum(),
)


@compared_with(_padded, _PADDED_LOSS)
def padded_loss() -> Cases:
    """Check ``padded_loss(outputs, targets, lengths)``: the mean over real steps.

    Takes outputs and targets (T, B, q) and the number of real steps of each sequence,
    int64, (B,); returns the squared error, averaged over outputs and real steps.
    """
    sizes = (((5, 3, 2), [5, 2, 3]), ((4, 2, 3), [1, 4]), ((3, 3, 3), [2, 1, 3]))
    return [
        (*draw(size, size, seed=len(ends) + size[0]), torch.tensor(ends))
        for size, ends in sizes
    ]


def _aligned(p: Tensor, T: int) -> tuple[Tensor, Tensor]:
    windows = p.unfold(0, T, 1).T
    return windows[:, :-1], windows[:, 1:]


_ALIGNED_WINDOWS = mistakes(
    "the targets are the inputs: the network is asked for what it has just read",
    lambda p, T: (_aligned(p, T)[0], _aligned(p, T)[0]),
    "the targets lie a day before the inputs: the network forecasts the past",
    lambda p, T: _aligned(p, T)[::-1],
    "the targets are two days ahead",
    lambda p, T: (p.unfold(0, T, 1).T[:, :-2], p.unfold(0, T, 1).T[:, 2:]),
    "the windows come first; time goes first",
    lambda p, T: tuple(part.T for part in _aligned(p, T)),
    "the last window is missing: there are N - T",
    lambda p, T: tuple(part[:, :-1] for part in _aligned(p, T)),
    "only the close after the window is a target; each step has its own",
    lambda p, T: (_aligned(p, T)[0], p[T:]),
    "the windows do not overlap; each day begins one",
    lambda p, T: tuple(part[:, ::T] for part in _aligned(p, T)),
)


@compared_with(_aligned, _ALIGNED_WINDOWS)
def aligned_windows() -> Cases:
    """Check ``aligned_windows(closes, length)``: inputs, and the next day of each.

    Takes closes (N,) and a length T; returns inputs and targets, each
    (T, N - T): all windows, time first, target t being the close after input t.
    """
    (closes,) = draw((12,))
    return [(closes, 4), (closes, 1), (closes[:9], 3)]


def _by_position(o: Tensor, y: Tensor) -> Tensor:
    return ((o - y) ** 2).mean((1, 2))


_ERROR_BY_POSITION = mistakes(
    "this is one mean over everything; keep the steps apart",
    lambda o, y: ((o - y) ** 2).mean(),
    "the mean runs over the steps; it runs over the samples",
    lambda o, y: ((o - y) ** 2).mean((0, 2)),
    "the errors are added up; average them",
    lambda o, y: ((o - y) ** 2).sum((1, 2)),
    "these are roots of the means; take no root",
    lambda o, y: _by_position(o, y).sqrt(),
    "the errors are absolute; square them",
    lambda o, y: (o - y).abs().mean((1, 2)),
    "the mean is taken before the square: errors of both signs cancel",
    lambda o, y: (o - y).mean((1, 2)) ** 2,
    "this is the mean up to each step; give each step its own",
    lambda o, y: _by_position(o, y).cumsum(0) / torch.arange(1, len(o) + 1),
)


@compared_with(_by_position, _ERROR_BY_POSITION)
def error_by_position() -> Cases:
    """Check ``error_by_position(outputs, targets)``: the squared error of each step.

    Takes (T, B, q) and (T, B, q); returns (T,), means over samples and outputs.
    """
    sizes = ((6, 5, 1), (3, 4, 2), (4, 4, 4))
    return [draw(size, size, seed=k) for k, size in enumerate(sizes)]
