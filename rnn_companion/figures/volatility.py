"""The figures of chapter 10, *What can be forecast*."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnn_companion.figures.draw import curves, look
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, PALE, figure


@figure
def memory(series: Mapping[str, Sequence[float]], days: int) -> Picture:
    """Draw how alike days are that lie so many days apart.

    Parameters
    ----------
    series : mapping of str to sequence of float, each `(lags,)`
        The autocorrelations of each series at lag 1, 2, ... (`eq-wf-acf`).
    days : int
        N, how many they were computed from.

    Returns
    -------
    Picture
    """
    band = 1.96 / days**0.5
    fig, ax = plt.subplots(figsize=(7, 3.8))
    ax.axhspan(-band, band, color=PALE)
    ax.axhline(0, color=INK, lw=0.8)
    curves(ax, series, begin=1, ms=4)
    ax.set(xlabel="days apart, $k$", ylabel=r"autocorrelation $\hat{\rho}_k$")
    ax.legend()
    outside = {
        name: sum(abs(value) > band for value in values)
        for name, values in series.items()
    }
    said = ", ".join(
        f"{name} {count} of {len(series[name])}" for name, count in outside.items()
    )
    return Picture(
        fig,
        alt=f"Autocorrelations by days apart. Outside the band of {band:.3f} on either "
        f"side of zero: {said}.",
        caption="How alike days are that lie k days apart. In the pale band lie 95 % "
        "of the values if the days do not depend on one another.",
    )


def forecasters(tables: Mapping[str, pd.DataFrame]) -> Frames:
    """Choose a target and see which forecasts nothing tells from the best.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        For each target a row a model, named by the index: `ratio`, the error over
        that of "tomorrow = today"; `low` and `high`, its interval; `kept`, whether
        the model is in the confidence set.

    Returns
    -------
    Frames
        With the control `target`.
    """

    def draw(target: str) -> Figure:
        return _forecasters(tables[target].sort_values("ratio"))

    def alt(target: str) -> str:
        table = tables[target].sort_values("ratio")
        rows = ", ".join(f"{name} {row.ratio:.3f}" for name, row in _rows(table))
        kept = ", ".join(name for name, row in _rows(table) if row.kept)
        return f"{target}, error over persistence's: {rows}. In the set: {kept}."

    return Frames(
        draw,
        {"target": list(tables)},
        alt,
        caption="Error on the test days over that of “tomorrow = today”, with an "
        "interval from a block bootstrap. Filled: in the confidence set, the models "
        "that these days do not tell from the best. Left of the dashed line is better.",
    )


def _rows(table: pd.DataFrame) -> list[tuple[str, Any]]:
    return [(str(row.Index), row) for row in table.itertuples()]


@figure
def _forecasters(table: pd.DataFrame) -> Figure:
    fig, ax = plt.subplots(figsize=(7, 1.2 + 0.27 * len(table)))
    for n, (_, row) in enumerate(_rows(table)):
        color = COLORS[0] if row.kept else COLORS[3]
        ax.plot([row.low, row.high], [n, n], color=color, lw=1.4, linestyle="-")
        face = color if row.kept else "white"
        ax.plot(row.ratio, n, "o" if row.kept else "s", color=color, mfc=face, ms=7)
    ax.axvline(1, color=INK, linestyle="--", linewidth=1)
    ax.set_yticks(range(len(table)), [str(name) for name in table.index])
    ax.set(ylim=(len(table) - 0.5, -0.5))
    ax.set_xlabel("error over that of “tomorrow = today”")
    if table["high"].max() > 5:
        ax.set_xscale("log")
    return fig


@figure
def days_of_range(
    dates: pd.DatetimeIndex, truth: Sequence[float], forecasts: Mapping[str, Any]
) -> Picture:
    """Draw the last days' volatility beside its forecasts, in percent a day.

    Parameters
    ----------
    dates : pandas.DatetimeIndex
        The days, `(n,)`.
    truth : sequence of float, `(n,)`
        Logarithms of what was measured (`eq-wf-target`).
    forecasts : mapping of str to sequence of float, each `(n,)`
        Logarithms of what was forecast.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7, 3.8))
    ax.plot(dates, 100 * np.exp(np.asarray(truth)), color="#999999", lw=1)
    for n, (name, values) in enumerate(forecasts.items()):
        line = look(n, marker="")
        ax.plot(dates, 100 * np.exp(np.asarray(values)), label=name, lw=1.6, **line)
    ax.set_ylabel("volatility, % a day")
    ax.legend()
    fig.autofmt_xdate()
    return Picture(
        fig,
        alt=f"{len(dates)} days. Volatility in percent a day, least to greatest: "
        f"{'; '.join(_spans({'measured': truth, **forecasts}))}.",
        caption="Volatility measured by each day's range (grey), and what was forecast "
        "the day before. A logarithm was forecast, and is undone here.",
    )


def _spans(series: Mapping[str, Any]) -> list[str]:
    percent = {name: 100 * np.exp(np.asarray(line)) for name, line in series.items()}
    return [f"{name} {v.min():.2f} to {v.max():.2f}" for name, v in percent.items()]
