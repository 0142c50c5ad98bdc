"""The figures of chapter 6, *Forecasting Microsoft*."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_companion.figures.draw import curves, look, plain_ticks
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, figure
from rnn_companion.forecasting.experiment import Experiment
from rnn_companion.forecasting.records import Record

Cell = tuple[str, int, str, str]  # cell, length, configuration, optimizer
SHORT = {"many-to-many-aligned": "many-to-many", "many-to-one": "many-to-one"}
LOOK = {  # the same in every line plot of prices
    "truth": ("what happened", INK, "-"),
    "persistence": ("tomorrow = today", COLORS[2], ":"),
    "forecast": ("network", COLORS[3], "--"),
}


@figure
def ratios(rows: Mapping[str, Sequence[float]], caption: str) -> Picture:
    """Draw errors over persistence's, a row for each kind and a point for each run.

    Parameters
    ----------
    rows : mapping of str to sequence of float
        Error over that of persistence.
    caption : str
        What the rows are.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.2, 1.0 + 0.25 * len(rows)))
    for n, values in enumerate(rows.values()):
        ax.plot(values, [n] * len(values), **look(n, linestyle="none", alpha=0.8))
    ax.axvline(1, color=INK, linestyle="--", linewidth=1)
    ax.set_xscale("log")
    plain_ticks(ax.xaxis, [value for values in rows.values() for value in values])
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set(ylim=(len(rows) - 0.5, -0.5))
    ax.set_xlabel("validation error over that of “tomorrow = today”")
    said = "; ".join(
        f"{name}: " + ", ".join(f"{value:.2g}" for value in sorted(values))
        for name, values in rows.items()
    )
    return Picture(
        fig,
        alt=f"Error over that of tomorrow = today, with a line at 1. {said}.",
        caption=f"{caption} Left of the dashed line is better.",
    )


@figure
def beside(printed: Mapping[Cell, float], ours: Mapping[Cell, float]) -> Picture:
    """Draw the report's losses against ours, cell by cell.

    Parameters
    ----------
    printed : mapping of (cell, length, configuration, optimizer) to float
        The losses that stand in the report.
    ours : mapping of (cell, length, configuration, optimizer) to float
        Those of our runs; a cell that was not run is left out.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(5.6, 4.6))
    both = [cell for cell in printed if cell in ours]
    kinds = sorted({(cell, optimizer) for cell, _, _, optimizer in both}, reverse=True)
    for n, (cell, optimizer) in enumerate(kinds):
        at = [c for c in both if (c[0], c[3]) == (cell, optimizer)]
        points = look(n, linestyle="none", label=f"{cell.upper()}, {optimizer}")
        ax.plot([printed[c] for c in at], [ours[c] for c in at], **points)
    low, high = 5e-5, 0.2
    for factor, width, line in ((1, 1, "-"), (2.5, 0.8, ":"), (0.4, 0.8, ":")):
        ends = [factor * low, factor * high]
        ax.plot([low, high], ends, color=INK, linewidth=width, linestyle=line)
    ax.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    ax.set(xlabel="loss printed in the report", ylabel="loss of our run")
    ax.legend(loc="upper left")
    factors = [ours[c] / printed[c] for c in both]
    return Picture(
        fig,
        alt=f"{len(both)} points near the diagonal: our loss over the printed one lies "
        f"between {min(factors):.2f} and {max(factors):.2f}.",
        caption="Each point is a cell of the report's table: its loss, and that of our "
        "run under the same protocol on the same data. Solid: equal. Dotted: a factor "
        "of 2.5 apart.",
    )


@figure
def two_protocols(series: Mapping[str, Mapping[Cell, tuple[float, float]]]) -> Picture:
    """Draw, a panel a series, each cell's errors under two protocols.

    Parameters
    ----------
    series : mapping of str to mapping of cell to two floats
        For each series and cell the error over persistence's with windows dealt at
        random, and split by date.

    Returns
    -------
    Picture
    """
    fig, axes = plt.subplots(
        1, len(series), figsize=(7.2, 3.9), sharex=True, sharey=True, squeeze=False
    )
    every = [
        value for cells in series.values() for two in cells.values() for value in two
    ]
    ends = [min(every) / 1.5, max(every) * 1.5]
    for ax, (name, cells) in zip(axes[0], series.items(), strict=True):
        ax.plot(ends, ends, color=INK, linewidth=1, linestyle="--")
        kinds = dict.fromkeys((cell[0], cell[3]) for cell in cells)
        for n, kind in enumerate(kinds):
            points = [two for c, two in cells.items() if (c[0], c[3]) == kind]
            label = f"{kind[0].upper()}, {kind[1]}"
            ax.plot(
                *zip(*points, strict=True), **look(n, linestyle="none", label=label)
            )
        ax.set(title=name, xscale="log", yscale="log", xlim=ends, ylim=ends)
        ax.set_xlabel("windows dealt at random")
    axes[0, 0].set_ylabel("split by date")
    axes[0, 0].legend(loc="upper left", fontsize=8)
    said = " ".join(
        f"{name}: {sum(late > dealt for dealt, late in cells.values())} of "
        f"{len(cells)} cells above the diagonal."
        for name, cells in series.items()
    )
    return Picture(
        fig,
        alt=f"Error over persistence's, by date against dealt at random. {said}",
        caption="The error over persistence's of each recorded cell (median of its "
        "seeds), after all days read. Above the dashed line a cell is worse when it is "
        "judged on later days.",
    )


@figure
def zigzag(record: Record, days: int = 30) -> Picture:
    """Draw all forecasts of a record joined by date, and the best-informed alone.

    Parameters
    ----------
    record : Record
        With forecasts.
    days : int
        How many of the last validation days to show.

    Returns
    -------
    Picture
    """
    table = _table(record)
    table = table[table["date"] > table["date"].drop_duplicates().iloc[-days - 1]]
    fig, axes = plt.subplots(2, 1, figsize=(7.2, 4.6), sharex=True, sharey=True)
    shown = {
        "every forecast, joined by date": table,
        "after all days read": _after_whole_windows(table),
    }
    network = {"color": COLORS[3], "linestyle": "--", "linewidth": 1, "marker": "."}
    for ax, (name, rows) in zip(axes, shown.items(), strict=True):
        truth = rows.drop_duplicates("date")
        ax.plot(truth["date"], truth["truth"], color=INK, linestyle="-", linewidth=1.2)
        ax.plot(rows["date"], rows["forecast"], label=name, **network)
        ax.set_ylabel("dollars")
        ax.legend(loc="upper left")
    axes[1].set_xlabel("day")
    fig.autofmt_xdate()
    a_day = len(table) / table["date"].nunique()
    return Picture(
        fig,
        alt=f"Two plots of {days} days. Above, {a_day:.1f} forecasts a day joined by a "
        "line that zigzags around the close; below, one forecast a day, a smooth line "
        "that follows it.",
        caption="The same network. Above: its forecasts from all overlapping windows, "
        "joined by date, as the report draws them. Below: only those made after "
        "reading a whole window. The solid line is the close.",
    )


@figure
def gallery(rows: Mapping[str, Mapping[int, Record]], days: int = 40) -> Picture:
    """Draw many networks' forecasts small, joined by date: kinds down, lengths across.

    Parameters
    ----------
    rows : mapping of str to mapping of int to Record
        For each kind of network, a record with forecasts for each window length.
    days : int
        How many days to show: the last on which every output speaks.

    Returns
    -------
    Picture
    """
    lengths = sorted({length for row in rows.values() for length in row})
    tables = {k: {n: _table(r) for n, r in row.items()} for k, row in rows.items()}
    every = [table for row in tables.values() for table in row.values()]
    end = min(table.groupby("position")["date"].max().min() for table in every)
    shared: dict[str, Any] = {"sharex": True, "sharey": True, "squeeze": False}
    shape, size = (len(rows), len(lengths)), (7.2, 1.2 * len(rows))
    fig, axes = plt.subplots(*shape, figsize=size, **shared)
    for line, (name, row) in zip(axes, tables.items(), strict=True):
        line[0].set_title(name, loc="left", fontsize=8.5)
        line[0].set_ylabel("dollars", fontsize=8)
        for ax, length in zip(line, lengths, strict=True):
            ax.tick_params(labelsize=7)
            if length in row:
                _small(ax, row[length][row[length]["date"] <= end], days)
    for ax, length in zip(axes[-1], lengths, strict=True):
        ax.set_xlabel(f"day ({length} read)", fontsize=8)
    said = "; ".join(
        f"{name}: "
        + ", ".join(f"{_distance(table):.2f} ({n} days)" for n, table in row.items())
        for name, row in tables.items()
    )
    return Picture(
        fig,
        alt=f"Small plots of forecasts and the close over {days} days. Mean distance "
        f"between them in dollars, over all validation days: {said}.",
        caption=f"The close (solid) and the forecasts (dashed) on {days} validation "
        "days. Many-to-many: the first and the last output of every window, joined by "
        "date.",
    )


def _small(ax: Axes, table: pd.DataFrame, days: int) -> None:
    shown = table[table["date"].isin(table["date"].drop_duplicates()[-days:])]
    day = shown["date"].factorize()[0] + 1
    ax.plot(day, shown["truth"], color=INK, linestyle="-", linewidth=1)
    ax.plot(day, shown["forecast"], color=COLORS[3], linestyle="--", linewidth=0.8)


def forecasts(records: Mapping[Experiment, Record], days: int = 60) -> Frames:
    """Choose a network; see its forecasts after a whole window, beside the close.

    Parameters
    ----------
    records : mapping of Experiment to Record
        One for each combination of cell, length, configuration and optimizer.
    days : int
        How many of the last validation days to show.

    Returns
    -------
    Frames
        With the controls `model`, `length`, `strategy` and `optimizer`.
    """
    found: dict[tuple[object, ...], tuple[pd.DataFrame, float]] = {}
    for e, record in records.items():
        rows = _after_whole_windows(_table(record)).tail(days)
        choice = e.cell, e.length, SHORT[e.configuration], e.optimizer
        found[choice] = rows, _skill(record)
    names = ("model", "length", "strategy", "optimizer")
    values = (list(dict.fromkeys(each)) for each in zip(*found, strict=True))
    every = np.concatenate([rows[list(LOOK)] for rows, _ in found.values()])
    limits = every.min() - 1, every.max() + 1

    def draw(model: str, length: int, strategy: str, optimizer: str) -> Figure:
        rows, skill = found[model, length, strategy, optimizer]
        fig, ax = plt.subplots(figsize=(7.0, 3.4))
        for column, (label, color, line) in LOOK.items():
            x, y = rows["date"], rows[column]
            ax.plot(x, y, color=color, ls=line, lw=1.4, label=label)
        ax.set(ylim=limits, xlabel="day", ylabel="dollars")
        ax.set_title(f"skill {skill:.2f}", loc="right", fontsize=10)
        ax.legend(loc="lower left", ncols=3)
        fig.autofmt_xdate()
        return fig

    def alt(model: str, length: int, strategy: str, optimizer: str) -> str:
        rows, skill = found[model, length, strategy, optimizer]
        return (
            f"{model}, {length} days, {strategy}, {optimizer}: forecasts are "
            f"{_distance(rows):.2f} dollars off on average over the last {len(rows)} "
            f"days, those of tomorrow = today {_distance(rows, 'persistence'):.2f}; "
            f"skill {skill:.2f}."
        )

    return Frames(
        draw,
        dict(zip(names, values, strict=True)),
        alt,
        caption=f"Choose a network of the grid: its forecasts of the last {days} "
        "validation days, each made after reading a whole window. From records; the "
        "scale is the same for all.",
        steady=True,
    )


def _table(record: Record) -> pd.DataFrame:
    assert record.forecasts is not None
    return record.forecasts.table()


def _after_whole_windows(table: pd.DataFrame) -> pd.DataFrame:
    chosen: pd.DataFrame = table[table["position"] == table["position"].max()]
    return chosen


def _distance(table: pd.DataFrame, column: str = "forecast") -> float:
    return float((table[column] - table["truth"]).abs().mean())


def _skill(record: Record) -> float:
    """Of the last output: all networks on the same question."""
    return 1 - record.mse_by_position[-1] / record.persistence_by_position[-1]


@figure
def spread(errors: Mapping[str, Sequence[float]], ylabel: str) -> Picture:
    """Draw an error at each position of a window, one line a network.

    Parameters
    ----------
    errors : mapping of str to sequence of float
        For each network its error after 1, 2, ... days read.
    ylabel : str
        Which error.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.0, 3.2))
    curves(ax, errors, begin=1, marker="")
    ax.set(xscale="log", yscale="log", ylabel=ylabel)
    ax.set_xlabel("days read before the forecast")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend()
    said = " ".join(
        f"{name}: {values[0]:.2g} after one day, {values[-1]:.2g} after {len(values)}."
        for name, values in errors.items()
    )
    return Picture(
        fig,
        alt=f"{ylabel} by days read. {said}",
        caption="Validation error by position in the window: the first forecast of a "
        "window has read one day, the last all of them.",
    )


@figure
def losses_and_norms(columns: Mapping[str, Mapping[str, Record]]) -> Picture:
    """Draw training losses by epoch, and below them the largest gradient norms.

    Parameters
    ----------
    columns : mapping of str to mapping of str to Record
        For each column its runs. Of one without gradient norms the loss is drawn alone.

    Returns
    -------
    Picture
    """
    fig, axes = plt.subplots(
        2, len(columns), figsize=(8.4, 5.6), sharex=True, sharey="row", squeeze=False
    )
    for (above, below), (title, runs) in zip(axes.T, columns.items(), strict=True):
        for n, record in enumerate(runs.values()):
            for ax, values in (
                (above, record.training_loss),
                (below, record.gradient_norms),
            ):
                ax.plot(range(1, len(values) + 1), values, **look(n, markersize=4))
        above.set(title=title, yscale="log")
        below.set(xlabel="epoch", yscale="log")
        below.legend(above.lines, list(runs), loc="upper right", fontsize=8, ncols=2)
    axes[0, 0].set(ylabel="training loss")
    axes[1, 0].set(ylabel="largest gradient norm")
    told = "; ".join(
        f"{title}, {name}: {_loss_and_norm(record)}"
        for title, runs in columns.items()
        for name, record in runs.items()
    )
    return Picture(
        fig,
        alt=f"Training losses by epoch, and below them largest gradient norms. {told}.",
        caption="Above, the mean training loss of each epoch; below, the largest norm "
        "of the gradient in it, where it was recorded.",
    )


def _loss_and_norm(record: Record) -> str:
    """Say in words how large a run's losses and gradients were."""
    losses = record.training_loss
    said = f"loss {losses[0]:.2g} at first, {losses[-1]:.2g} at the end, "
    said += f"at most {max(losses):.2g}"
    if not record.gradient_norms:
        return f"{said}, no norms"
    return f"{said}, norms up to {max(record.gradient_norms):.3g}"
