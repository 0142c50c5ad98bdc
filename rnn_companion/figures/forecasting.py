"""Figures of the chapter *Forecasting Microsoft*."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_companion.figures.configurations import plain_ticks
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, LINES, MARKERS, figure
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
    for row, (name, values) in enumerate(rows.items()):
        ax.plot(
            values,
            [row] * len(values),
            MARKERS[row % len(MARKERS)],
            color=COLORS[row % len(COLORS)],
            alpha=0.8,
            label=name,
        )
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
    alt = f"Error over that of tomorrow = today, with a line at 1. {said}."
    return Picture(fig, alt, f"{caption} Left of the dashed line is better.")


@figure
def beside(printed: Mapping[Cell, float], ours: Mapping[Cell, float]) -> Picture:
    """Draw the report's losses against ours, cell by cell."""
    fig, ax = plt.subplots(figsize=(5.6, 4.6))
    both = [cell for cell in printed if cell in ours]
    kinds = sorted({(cell, optimizer) for cell, _, _, optimizer in both}, reverse=True)
    for i, kind in enumerate(kinds):
        cells = [c for c in both if (c[0], c[3]) == kind]
        ax.plot(
            [printed[c] for c in cells],
            [ours[c] for c in cells],
            MARKERS[i],
            color=COLORS[i],
            label=f"{kind[0].upper()}, {kind[1]}",
        )
    ends = np.array([5e-5, 0.2])
    ax.plot(ends, ends, color=INK, linewidth=1, linestyle="-")
    for factor in (2.5, 0.4):
        ax.plot(ends, factor * ends, color=INK, linewidth=0.8, linestyle=":")
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    ax.set(xlabel="loss printed in the report", ylabel="loss of our run")
    ax.legend(loc="upper left")
    factors = [ours[c] / printed[c] for c in both]
    alt = (
        f"{len(both)} points near the diagonal: our loss over the printed one lies "
        f"between {min(factors):.2f} and {max(factors):.2f}."
    )
    caption = (
        "Each point is a cell of the report's table: its loss, and that of our run "
        "under the same protocol on the same data. Solid: equal. Dotted: a factor of "
        "2.5 apart."
    )
    return Picture(fig, alt, caption)


@figure
def zigzag(record: Record, days: int = 30) -> Picture:
    """Draw all forecasts of a record joined by date, and the best-informed alone."""
    assert record.forecasts is not None
    table = record.forecasts.table()
    table = table[table["date"] > table["date"].drop_duplicates().iloc[-days - 1]]
    last = table[table["position"] == table["position"].max()]
    fig, axes = plt.subplots(2, 1, figsize=(7.2, 4.6), sharex=True, sharey=True)
    names = ("every forecast, joined by date", "after all days read")
    for ax, rows, name in zip(axes, (table, last), names, strict=True):
        truth = rows.drop_duplicates("date")
        ax.plot(truth["date"], truth["truth"], color=INK, linestyle="-", linewidth=1.2)
        ax.plot(
            rows["date"],
            rows["forecast"],
            color=COLORS[3],
            linestyle="--",
            linewidth=1,
            marker=".",
            label=name,
        )
        ax.set_ylabel("dollars")
        ax.legend(loc="upper left")
    axes[1].set_xlabel("day")
    fig.autofmt_xdate()
    a_day = len(table) / table["date"].nunique()
    alt = (
        f"Two plots of {days} days. Above, {a_day:.1f} forecasts a day joined by a "
        "line that zigzags around the close; below, one forecast a day, a smooth line "
        "that follows it."
    )
    caption = (
        "The same network. Above: its forecasts from all overlapping windows, joined "
        "by date, as the report draws them. Below: only those made after reading a "
        "whole window. The solid line is the close."
    )
    return Picture(fig, alt, caption)


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
    end = min(
        table.groupby("position")["date"].max().min()
        for row in tables.values()
        for table in row.values()
    )
    fig, axes = plt.subplots(
        *(len(rows), len(lengths)),
        figsize=(7.2, 1.2 * len(rows)),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
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
    alt = (
        f"Small plots of forecasts and the close over {days} days. Mean distance "
        f"between them in dollars, over all validation days: {said}."
    )
    caption = (
        f"The close (solid) and the forecasts (dashed) on {days} validation days. "
        "Many-to-many: the first and the last output of every window, joined by date."
    )
    return Picture(fig, alt, caption)


def _small(ax: Axes, table: pd.DataFrame, days: int) -> None:
    shown = table[table["date"].isin(table["date"].drop_duplicates()[-days:])]
    day = shown["date"].factorize()[0] + 1
    ax.plot(day, shown["truth"], color=INK, linestyle="-", linewidth=1)
    ax.plot(day, shown["forecast"], color=COLORS[3], linestyle="--", linewidth=0.8)


def _distance(table: pd.DataFrame) -> float:
    return float((table["forecast"] - table["truth"]).abs().mean())


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
    """
    found = {
        (e.cell, e.length, SHORT[e.configuration], e.optimizer): record
        for e, record in records.items()
    }
    names = ("model", "length", "strategy", "optimizer")
    values = zip(*found, strict=True)
    controls = {
        name: list(dict.fromkeys(each))
        for name, each in zip(names, values, strict=True)
    }
    lows, highs = zip(*[_range(_last(r, days)) for r in found.values()], strict=True)

    def draw(model: str, length: int, strategy: str, optimizer: str) -> Figure:
        record = found[model, length, strategy, optimizer]
        rows = _last(record, days)
        fig, ax = plt.subplots(figsize=(7.0, 3.4))
        for column, (label, color, line) in LOOK.items():
            ax.plot(
                rows["date"], rows[column], color=color, ls=line, label=label, lw=1.4
            )
        ax.set(ylim=(min(lows), max(highs)), xlabel="day", ylabel="dollars")
        ax.set_title(f"skill {_skill(record):.2f}", loc="right", fontsize=10)
        ax.legend(loc="lower left", ncols=3)
        fig.autofmt_xdate()
        return fig

    def alt(model: str, length: int, strategy: str, optimizer: str) -> str:
        record = found[model, length, strategy, optimizer]
        rows = _last(record, days)
        off = (rows["forecast"] - rows["truth"]).abs().mean()
        naive = (rows["persistence"] - rows["truth"]).abs().mean()
        return (
            f"{model}, {length} days, {strategy}, {optimizer}: forecasts are "
            f"{off:.2f} dollars off on average over the last {len(rows)} days, those "
            f"of tomorrow = today {naive:.2f}; skill {_skill(record):.2f}."
        )

    return Frames(
        draw,
        controls,
        alt,
        f"Choose a network of the grid: its forecasts of the last {days} validation "
        "days, each made after reading a whole window. From records; the scale is the "
        "same for all.",
    )


def _table(record: Record) -> pd.DataFrame:
    assert record.forecasts is not None
    return record.forecasts.table()


def _last(record: Record, days: int) -> pd.DataFrame:
    table = _table(record)
    last: pd.DataFrame = table[table["position"] == table["position"].max()]
    return last.tail(days)


def _range(rows: pd.DataFrame) -> tuple[float, float]:
    columns = rows[list(LOOK)]
    return float(columns.min().min()) - 1, float(columns.max().max()) + 1


def _skill(record: Record) -> float:
    """Of the last output: all networks on the same question."""
    return 1 - record.mse_by_position[-1] / record.persistence_by_position[-1]


@figure
def spread(errors: Mapping[str, Sequence[float]], ylabel: str) -> Picture:
    """Draw an error at each position of a window, one line a network."""
    fig, ax = plt.subplots(figsize=(7.0, 3.2))
    for i, (name, values) in enumerate(errors.items()):
        places = range(1, len(values) + 1)
        ax.plot(places, values, label=name, color=COLORS[i], linestyle=LINES[i])
    ax.set(xscale="log", yscale="log", ylabel=ylabel)
    ax.set_xlabel("days read before the forecast")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend()
    alt = f"{ylabel} by days read. " + " ".join(
        f"{name}: {values[0]:.2g} after one day, {values[-1]:.2g} after {len(values)}."
        for name, values in errors.items()
    )
    caption = (
        "Validation error by position in the window: the first forecast of a window "
        "has read one day, the last all of them."
    )
    return Picture(fig, alt, caption)
