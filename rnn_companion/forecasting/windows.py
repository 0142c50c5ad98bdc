"""Scale a series, cut it into windows, split it without looking ahead.

Source: chapter *Recurrence*, section *On real prices*, and chapter *Forecasting
Microsoft*.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.prices import Prices


@dataclass(frozen=True)
class MinMaxScaler:
    """Maps [minimum, maximum] dollars to [0, 1] (chapter 1, `eq-scale`)."""

    minimum: float
    maximum: float

    @classmethod
    def fit(cls, close: Tensor) -> "MinMaxScaler":
        """Take the range of some closes, shape (n,).

        Raises
        ------
        ValueError
            If all closes are equal: there is no range to scale.
        """
        minimum, maximum = float(close.min()), float(close.max())
        if minimum == maximum:
            raise ValueError(f"all {len(close)} prices are {minimum}: nothing to scale")
        return cls(minimum, maximum)

    def scale(self, close: Tensor) -> Tensor:
        """Return (close - minimum) / (maximum - minimum), from dollars to scaled."""
        return (close - self.minimum) / (self.maximum - self.minimum)

    def unscale(self, scaled: Tensor) -> Tensor:
        """Return minimum + scaled (maximum - minimum), dollars (`eq-unscale`)."""
        return self.minimum + scaled * (self.maximum - self.minimum)


@dataclass(frozen=True)
class Windows:
    """Windows of a scaled series, time first.

    Parameters
    ----------
    inputs : Tensor
        Scaled closes, shape (T, N, 1).
    targets : Tensor
        Scaled closes to forecast, shape (K, N, 1).
    days : Tensor
        Index in the series of every target, int64, shape (K, N).
    layout : Layout
        How they were cut.
    """

    inputs: Tensor
    targets: Tensor
    days: Tensor
    layout: Layout

    def __len__(self) -> int:
        return self.inputs.shape[1]

    def __getitem__(self, which: Tensor | slice) -> "Windows":
        days = which if isinstance(which, slice) else which.to(self.days.device)
        return Windows(
            self.inputs[:, which],
            self.targets[:, which],
            self.days[:, days],
            self.layout,
        )

    @property
    def persistence(self) -> Tensor:
        """Tomorrow = today: the last close read, (K, N, 1) (`eq-persistence`)."""
        return self.inputs[list(self.layout.last_known)]

    def to(self, device: torch.device) -> "Windows":
        """Move inputs and targets to a device."""
        moved = self.inputs.to(device), self.targets.to(device)
        return Windows(*moved, self.days, self.layout)


def cut_windows(scaled: Tensor, layout: Layout) -> Windows:
    """Cut every window out of a scaled series.

    Parameters
    ----------
    scaled : Tensor
        Scaled closes, shape (n,).
    layout : Layout
        How long windows are and which days are targets.

    Raises
    ------
    ValueError
        If the series is shorter than one window.
    """
    _require_days(len(scaled), layout)
    first, last = layout.first_target, layout.span
    blocks = scaled.unfold(0, layout.span, 1)  # (N, span)
    days = torch.arange(len(scaled)).unfold(0, layout.span, 1)  # (N, span)
    return Windows(
        inputs=blocks[:, : layout.length].T.unsqueeze(-1),  # (T, N, 1)
        targets=blocks[:, first:last].T.unsqueeze(-1),  # (K, N, 1)
        days=days[:, first:last].T,  # (K, N)
        layout=layout,
    )


@dataclass(frozen=True)
class Split:
    """Windows to learn from, to choose by and to test with, and the scaler of all.

    Parameters
    ----------
    training, validation : Windows
        To learn from, and to choose settings and epochs by.
    scaler : MinMaxScaler
        Of all windows.
    test : Windows, optional
        Of the last days, by which nothing is chosen; none by default.
    """

    training: Windows
    validation: Windows
    scaler: MinMaxScaler
    test: Windows | None = None


def split_by_date(
    prices: Prices, layout: Layout, *, training: float = 0.8, test: float = 0.0
) -> Split:
    """Split by date: learn from the first days, validate on later ones, test last.

    The scaler is fitted on the training days alone. All targets of a window lie in
    the same part. (A later window may read days of an earlier part: on its day they
    are the past.)

    Parameters
    ----------
    prices : Prices
        The series.
    layout : Layout
        How to cut it.
    training : float
        Fraction of the days to learn from, in (0, 1).
    test : float
        Fraction of the days, the last ones, to test with; 0 for no such part. The
        days between are for validation.

    Raises
    ------
    ValueError
        If a part is too short for a window.
    """
    known = _training_days(len(prices), training)
    end = _days_before_test(len(prices), training, test)
    close = torch.from_numpy(prices.close)
    _require_days(known, layout, "training days")
    scaler = MinMaxScaler.fit(close[:known])
    windows = cut_windows(scaler.scale(close).float(), layout)
    return Split(
        training=windows[_targets_in(windows, 0, known)],
        validation=_part(windows, known, end, "validation", "lower training"),
        scaler=scaler,
        test=_part(windows, end, len(prices), "test", "raise test") if test else None,
    )


def _targets_in(windows: Windows, first: int, end: int) -> Tensor:
    inside = (windows.days >= first) & (windows.days < end)
    return inside.all(0).nonzero().squeeze(1)


def _part(windows: Windows, first: int, end: int, what: str, remedy: str) -> Windows:
    chosen = _targets_in(windows, first, end)
    if not len(chosen):
        raise ValueError(
            f"{end - first} {what} days are too few for {windows.layout.outputs} "
            f"targets a window; load more days or {remedy}"
        )
    return windows[chosen]


def leaky_random_split(
    prices: Prices,
    layout: Layout,
    *,
    training: float = 0.8,
    generator: torch.Generator,
) -> Split:
    """Split as the forecasting report did, which lets the future leak in twice.

    The scaler sees the whole series, and overlapping windows are dealt out at
    random, so that nearly every validation target also stands in a training
    window. For comparison only (chapter *Forecasting Microsoft*).

    Parameters
    ----------
    prices, layout, training
        As in `split_by_date`; the fraction is one of windows here.
    generator : torch.Generator
        Decides which windows are for training.
    """
    close = torch.from_numpy(prices.close)
    scaler = MinMaxScaler.fit(close)
    windows = cut_windows(scaler.scale(close).float(), layout)
    dealt = torch.randperm(len(windows), generator=generator)
    known = _training_days(len(windows), training)
    return Split(windows[dealt[:known]], windows[dealt[known:].sort().values], scaler)


def _training_days(days: int, fraction: float) -> int:
    if not 0 < fraction < 1:
        raise ValueError(f"training must lie between 0 and 1, got {fraction}")
    return int(fraction * days)


def _days_before_test(days: int, training: float, test: float) -> int:
    if not 0 <= test < 1 - training:
        raise ValueError(
            f"test must be at least 0 and leave days to validate on, got {test} beside "
            f"a training of {training}"
        )
    return int((1 - test) * days)


def _require_days(days: int, layout: Layout, what: str = "days") -> None:
    if days < layout.span:
        raise ValueError(
            f"{days} {what} are too few for a window of {layout.span} "
            f"({layout.configuration}, length {layout.length}, horizon "
            f"{layout.horizon}): load more days or shorten the window"
        )
