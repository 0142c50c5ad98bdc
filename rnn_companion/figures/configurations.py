"""The figures of chapter 5, *Input/output configurations*."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_companion.figures.draw import look, plain_ticks
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, PALE, figure
from rnn_companion.forecasting.configurations import Layout

Influence = Sequence[Sequence[float]]  # outputs x inputs


@figure
def wiring(reach: Sequence[tuple[Layout, Influence]]) -> Picture:
    """Draw which input reaches which output, in every configuration.

    Parameters
    ----------
    reach : sequence of (Layout, sequence of sequence of float)
        For each configuration the size of the derivative of every output (rows) by
        every input (columns).

    Returns
    -------
    Picture
    """
    fig, axes = plt.subplots(1, len(reach), figsize=(9.6, 2.6), sharey=True)
    for ax, (layout, influence) in zip(axes, reach, strict=True):
        _panel(ax, layout, influence)
    axes[0].set_yticks([0, 1], ["input", "output"])
    said = [
        f"{layout.configuration}: {'; '.join(_sentences(layout, sizes))}."
        for layout, sizes in reach
    ]
    return Picture(
        fig,
        alt=f"Which inputs reach which outputs. {' '.join(said)}",
        caption="The five configurations. Circles are inputs, squares outputs, each "
        "above the day it reads or forecasts; a line is drawn where the derivative of "
        "the output by the input is not zero.",
    )


def _panel(ax: Axes, layout: Layout, influence: Influence) -> None:
    days = _days(layout)
    read = range(1, layout.length + 1)
    for forecast, row in zip(days, influence, strict=True):
        for day, size in zip(read, row, strict=True):
            if size > 0:
                ax.plot([day, forecast], [0, 1], color=INK, lw=0.9, ls="-", zorder=0)
    ax.scatter(read, [0] * len(read), s=90, color=COLORS[0], marker="o")
    ax.scatter(days, [1] * len(days), s=90, color=COLORS[1], marker="s", edgecolors=INK)
    ax.set_title(layout.configuration.replace("-many-", "-many\n", 1), fontsize=10)
    ax.set(xlim=(0.4, 7.6), ylim=(-0.35, 1.35), xlabel="day", xticks=[1, 3, 5, 7])
    ax.grid(visible=False)


def _days(layout: Layout) -> list[int]:
    """List the day that each output forecasts, the first input being day 1."""
    return [layout.first_target + k + 1 for k in range(layout.outputs)]


def _sentences(layout: Layout, influence: Influence) -> list[str]:
    return [
        f"the forecast of day {day} reads day"
        + ("s " if sum(s > 0 for s in row) > 1 else " ")
        + ", ".join(str(t + 1) for t, size in enumerate(row) if size > 0)
        for day, row in zip(_days(layout), influence, strict=True)
    ]


def influences(reach: Sequence[tuple[Layout, Influence]]) -> Frames:
    """Choose a configuration and an input day; see which outputs it moves.

    Parameters
    ----------
    reach : sequence of (Layout, sequence of sequence of float)
        As in `wiring`.

    Returns
    -------
    Frames
    """
    by_name = {layout.configuration: (layout, np.array(i)) for layout, i in reach}
    longest = max(layout.length for layout, _ in reach)
    top = 1.15 * max(float(i.max()) for _, i in by_name.values())

    def draw(configuration: str, input_day: int) -> Figure:
        layout, influence = by_name[configuration]
        fig, ax = plt.subplots(figsize=(6.0, 2.8))
        if input_day <= layout.length:
            sizes = influence[:, input_day - 1]
            ax.bar(_days(layout), sizes, color=COLORS[1], edgecolor=INK, width=0.7)
        ax.axvspan(0.5, layout.length + 0.5, color=PALE, zorder=0, label="days read")
        ax.axvline(input_day, color=COLORS[0], ls="--", label=f"input day {input_day}")
        ax.legend(loc="upper right")
        ax.set(xlim=(0.4, 7.6), ylim=(0, top), xlabel="day that is forecast")
        ax.set_ylabel("size of derivative")
        return fig

    def alt(configuration: str, input_day: int) -> str:
        layout, influence = by_name[configuration]
        if input_day > layout.length:
            return f"{configuration} does not read day {input_day}."
        pairs = zip(_days(layout), influence[:, input_day - 1], strict=True)
        said = ", ".join(f"day {day} by {size:.2g}" for day, size in pairs)
        return f"{configuration}: day {input_day} moves the forecast of {said}."

    return Frames(
        draw,
        {"configuration": list(by_name), "input_day": range(1, longest + 1)},
        alt,
        "How strongly one input moves each output, at the start of training. Shaded: "
        "the days that are read.",
        steady=True,
    )


@figure
def by_position(
    errors: Mapping[str, Mapping[int, Sequence[float]]], xlabel: str
) -> Picture:
    """Draw error by position in the window, as a multiple of persistence's.

    Parameters
    ----------
    errors : mapping of str to mapping of int to sequence of float
        For each line, by position in the window, the error over that of persistence,
        one number a seed.
    xlabel : str
        What positions count.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.0, 3.4))
    ax.set_yscale("log")
    said = []
    for n, (name, positions) in enumerate(errors.items()):
        runs = list(positions.values())
        low, middle, high = (
            np.array([float(of(run)) for run in runs]) for of in (min, np.median, max)
        )
        reach = [middle - low, high - middle]
        bars = look(n, label=name, ms=5, capsize=3, linewidth=1.4)
        ax.errorbar(list(positions), middle, reach, **bars)
        pairs = zip(positions, middle, strict=True)
        said.append(f"{name}: {', '.join(f'{m:.2g} at {k}' for k, m in pairs)}.")
    ax.axhline(1, color=INK, linewidth=1, linestyle="--")
    lines = errors.values()
    plain_ticks(ax.yaxis, [r for line in lines for runs in line.values() for r in runs])
    ax.set(xlabel=xlabel, xticks=sorted({k for line in lines for k in line}))
    ax.set_ylabel("error over persistence's")
    ax.legend()
    return Picture(
        fig,
        alt=f"Error as a multiple of persistence's. {' '.join(said)}",
        caption=f"Validation error by {xlabel}, as a multiple of that of “tomorrow = "
        "today” on the same targets (dashed line at 1). Median and range over the "
        "seeds.",
    )
