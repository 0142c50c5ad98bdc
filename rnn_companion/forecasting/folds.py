"""Cross-validation of a series: every part of it is judged once.

Source: chapter *Forecasting Microsoft*, section *Folds: each day judged once*; Hyndman
and Athanasopoulos, *Forecasting: Principles and Practice*, third edition, section 5.10.
"""

import torch
from torch import Tensor

from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.windows import MinMaxScaler, Split, cut_windows

__all__ = ["FOLDS", "fold_split"]

FOLDS = ("shuffled", "blocked", "forward")


def fold_split(
    prices: Prices,
    layout: Layout,
    kind: str,
    *,
    folds: int,
    fold: int,
    generator: torch.Generator | None = None,
) -> Split:
    """Split a series into what one fold learns from and what it is judged on.

    Of N windows, numbered by their first day, with span S days each:

    * ``"shuffled"``: dealt at random to k folds, f learns from all the others. Their
      windows overlap with those of f, so its targets are among the days they hold.
    * ``"blocked"``: k folds of consecutive windows; f learns from those windows n that
      share no day with its own, n0 to n1: n + S <= n0 or n >= n1 + S.
    * ``"forward"``: k + 1 parts of consecutive windows; f is judged on part f + 1, and
      learns from the windows whose targets all lie before its first target.

    The scaler is fitted on the days of the training windows.

    Parameters
    ----------
    prices, layout
        As in `split_by_date`.
    kind : str
        One of `FOLDS`.
    folds, fold : int
        How many, k at least 2, and which, from 1 to k.
    generator : torch.Generator, optional
        Deals the windows of shuffled folds; the same for all folds of one deal.

    Raises
    ------
    ValueError
        For an unknown kind or fold; if nothing is left to learn from.
    """
    if kind not in FOLDS:
        raise ValueError(f"unknown folds {kind!r}: choose one of {', '.join(FOLDS)}")
    if folds < 2 or not 1 <= fold <= folds:
        raise ValueError(f"fold must lie between 1 and folds >= 2: {fold} of {folds}")
    close = torch.from_numpy(prices.close)
    days = cut_windows(close, layout).days  # (K, N)
    judged = _judged(days.shape[1], kind, folds, fold, generator)
    learnt = _learnt(days, judged, kind, layout.span)
    if not len(judged) or not learnt.any():
        raise ValueError(
            f"{days.shape[1]} windows of {layout.span} days are too few for {folds} "
            f"{kind} folds: load more days, shorten the window or ask for fewer"
        )
    scaler = MinMaxScaler.fit(close[_days_of(learnt, layout.span)])
    windows = cut_windows(scaler.scale(close).float(), layout)
    return Split(windows[learnt.nonzero().squeeze(1)], windows[judged], scaler)


def _judged(
    count: int, kind: str, folds: int, fold: int, generator: torch.Generator | None
) -> Tensor:
    """Choose the windows that a fold is judged on, in the order of their days."""
    if kind == "shuffled":
        dealt = torch.randperm(count, generator=generator).tensor_split(folds)
        return dealt[fold - 1].sort().values
    if kind == "blocked":
        return torch.arange(count).tensor_split(folds)[fold - 1]
    return torch.arange(count).tensor_split(folds + 1)[fold]


def _learnt(days: Tensor, judged: Tensor, kind: str, span: int) -> Tensor:
    """Mark the windows to learn from: days are (K, N), the result is (N,)."""
    learnt = torch.ones(days.shape[1], dtype=torch.bool)
    if not len(judged):
        return learnt
    first, last = int(judged[0]), int(judged[-1])
    if kind == "shuffled":
        learnt[judged] = False
    elif kind == "blocked":
        learnt[max(0, first - span + 1) : last + span] = False
    else:
        learnt = days[-1] < days[0, first]
    return learnt


def _days_of(chosen: Tensor, span: int) -> Tensor:
    """Mark the days of some windows: chosen is (N,), the result (N + span - 1,)."""
    held = torch.zeros(len(chosen) + span - 1, dtype=torch.bool)
    for day in range(span):
        held[day : day + len(chosen)] |= chosen
    return held
