"""The figures of chapter 5, *Input/output configurations*."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_companion.figures.draw import Point, arrow, look, node, plain_ticks
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
        aside = 0.07 * (n - (len(errors) - 1) / 2)  # so that no bar hides another
        ax.errorbar(np.array(list(positions)) + aside, middle, reach, **bars)
        pairs = zip(positions, middle, strict=True)
        said.append(f"{name}: {', '.join(f'{m:.2g} at {k}' for k, m in pairs)}.")
    ax.axhline(1, color=INK, linewidth=1, linestyle="--")
    lines = errors.values()
    plain_ticks(ax.yaxis, [r for line in lines for runs in line.values() for r in runs])
    ax.set(xlabel=xlabel, xticks=sorted({k for line in lines for k in line}))
    ax.set_ylabel("error over persistence's")
    fig.legend(loc="outside upper center", ncols=2)
    return Picture(
        fig,
        alt=f"Error as a multiple of persistence's. {' '.join(said)}",
        caption=f"Validation error by {xlabel}, as a multiple of that of “tomorrow = "
        "today” on the same targets (dashed line at 1). Median and range over the "
        "seeds.",
    )


@figure
def several_days(length: int = 3, horizon: int = 3) -> Picture:
    """Draw what reads what when several days are forecast, in three ways.

    Parameters
    ----------
    length, horizon : int
        Days read, T, and days forecast after them, K; two or more of each.

    Returns
    -------
    Picture
    """
    fig, axes = plt.subplots(2, 2, figsize=(9.2, 6.2))
    titles = (
        "direct",
        "recursive",
        "encoder-decoder, in use",
        "encoder-decoder, teacher forcing",
    )
    for ax, title in zip(axes.flat, titles, strict=True):
        ax.set(xlim=(0.4, length + horizon + 0.2), ylim=(-0.5, 2.5), title=title)
        ax.axis("off")
        _reading(ax, length)
        if title == "direct":
            _fan(ax, length, horizon)
        else:
            width = 2.4 if "encoder" in title else 1.0
            _writing(ax, length, horizon, width, forced="forcing" in title)
    return Picture(
        fig,
        alt=f"Four networks that read {length} days and forecast {horizon}. Direct: "
        "all outputs come from the state after the last day read, each by an arrow of "
        "its own. Recursive: one output a step, and each output is the next input. "
        "Encoder-decoder: the same, but from the last day read on the states belong to "
        "a second network. Teacher forcing: the second network reads the true closes "
        "in place of its outputs.",
        caption="Three ways to forecast several days, the last in use and while it "
        "learns. Below the inputs, in the middle the states, above the "
        "outputs. Thick frames: states of the second network, with weights of "
        "its own. Dashed: an output that is read as the next input; y: a true "
        "close, which is known while the network learns and unknown when it "
        "is used.",
    )


def _reading(ax: Axes, length: int) -> None:
    """Draw inputs and states of the days that are read, but the last state."""
    for t in range(1, length + 1):
        node(ax, (t, 0), f"$x_{t}$", boxstyle="circle,pad=0.25")
        _line(ax, (t, 0), (t, 1))
        if t < length:
            node(ax, (t, 1), f"$h_{t}$")
            _line(ax, (t, 1), (t + 1, 1))


def _fan(ax: Axes, length: int, horizon: int) -> None:
    node(ax, (length, 1), f"$h_{length}$")
    for k in range(1, horizon + 1):
        out = (length + k - 1, 2.0)
        _line(ax, (length, 1), out)
        node(ax, out, f"$o^{{({k})}}$", boxstyle="square,pad=0.35")


def _writing(
    ax: Axes, length: int, horizon: int, width: float, *, forced: bool
) -> None:
    """Draw the states and outputs from the last input on, and what is read there."""
    for t in range(length, length + horizon):
        node(ax, (t, 1), f"$h_{t}$", linewidth=width)
        node(ax, (t, 2), f"$o_{t}$", boxstyle="square,pad=0.35")
        _line(ax, (t, 1), (t, 2))
        if t == length + horizon - 1:
            break
        _line(ax, (t, 1), (t + 1, 1))
        _line(ax, (t + 1, 0), (t + 1, 1))
        read = f"$y_{t}$" if forced else f"$x_{t + 1}$"
        node(ax, (t + 1, 0), read, boxstyle="circle,pad=0.25")
        if not forced:
            _line(ax, (t, 2), (t + 1, 0), linestyle="--")


def _line(ax: Axes, tail: Point, head: Point, **options: object) -> None:
    arrow(ax, tail, head, **{"lw": 1.1, "shrinkA": 15, "shrinkB": 15, **options})
