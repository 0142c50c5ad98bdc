"""What several figures draw: curves that are told apart, nodes and arrows."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import NullLocator

from rnn_companion.figures.style import COLORS, INK, LINES, MARKERS, PALE

Point = tuple[float, float]
Runs = Mapping[str, Sequence[float] | Sequence[Sequence[float]]]  # one a seed


def look(n: int, **changes: object) -> dict[str, Any]:
    """Return the colour, line and marker of the n-th curve of a figure.

    Parameters
    ----------
    n : int
        From 0; the looks begin again after the last one.
    **changes
        Other settings of matplotlib's ``plot``, added or put in their place.

    Returns
    -------
    dict
        Keyword arguments of matplotlib's ``plot``.
    """
    n %= len(COLORS)
    own = {"color": COLORS[n], "linestyle": LINES[n], "marker": MARKERS[n]}
    return {**own, **changes}


def curves(
    ax: Axes,
    lines: Mapping[str, Any],
    x: Any = None,  # noqa: ANN401 - whatever matplotlib draws
    *,
    begin: int = 0,
    marks: int | None = None,
    staggered: bool = False,
    **options: object,
) -> None:
    """Draw a curve for each item, with its own colour, line, marker and label.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    lines : mapping of str to Tensor or sequence of float, each `(points,)`
        The curves by their labels.
    x : sequence, `(points,)`, optional
        Where the points stand; `begin`, `begin` + 1, ... unless given.
    begin : int
        Where the first point stands if `x` is not given.
    marks : int, optional
        About how many points of a curve get a marker; all of them unless given.
    staggered : bool
        Whether the markers of each curve begin a little later than those before.
    **options
        As in matplotlib's ``plot``, for all curves.
    """
    for n, (label, line) in enumerate(lines.items()):
        every = max(1, len(line) // marks) if marks else 1
        first = n * every // 5 if staggered else 0
        settings = look(n, label=label, markevery=(first, every), **options)
        ax.plot(range(begin, begin + len(line)) if x is None else x, line, **settings)


def seeds(
    ax: Axes, runs: Runs, step: int, **options: object
) -> dict[str, torch.Tensor]:
    """Draw a thin curve for each seed, and a bold one with markers for their mean.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    runs : mapping of str to sequence of float, or of one such sequence per seed
        One number at each `step`, `2 step`, ....
    step : int
        How far apart the points stand.
    **options
        As in matplotlib's ``plot``, for the means.

    Returns
    -------
    dict of str to Tensor, each `(points,)`
        The means.
    """
    means = {}
    for n, (name, values) in enumerate(runs.items()):
        table = torch.atleast_2d(torch.tensor(values))  # (seeds, points)
        x = range(step, step * (table.shape[1] + 1), step)
        if len(table) > 1:
            ax.plot(x, table.T, **look(n, marker="", lw=0.8, alpha=0.6))
        means[name] = table.mean(0)
        ax.plot(x, means[name], **look(n, label=name, **options))
    return means


def last(lines: Mapping[str, Any], form: str, between: str = " ") -> list[str]:
    """Say where each curve ends, as in "LSTM 0.02".

    Parameters
    ----------
    lines : mapping of str to Tensor or sequence of float
        The curves by their names.
    form : str
        How a number is written, such as ".2g".
    between : str
        What stands between name and number.

    Returns
    -------
    list of str
        One for each curve.
    """
    return [f"{n}{between}{float(line[-1]):{form}}" for n, line in lines.items()]


def plain_ticks(axis: Axis, values: Sequence[float]) -> None:
    """Label a logarithmic axis with 1, 2, 5, 10, ... around some values and 1.

    Parameters
    ----------
    axis : matplotlib.axis.Axis
        The axis.
    values : sequence of float
        What is drawn along it.
    """
    low, high = min(*values, 1.0) / 2, 2 * max(*values, 1.0)
    every = [m * 10.0**e for e in range(-6, 7) for m in (1, 2, 5)]
    ticks = [tick for tick in every if low < tick < high]
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_minor_locator(NullLocator())


def board(width: float, height: float, x: Point, y: Point) -> tuple[Figure, Axes]:
    """Open a figure for nodes and arrows: no axes, and one scale for both directions.

    Parameters
    ----------
    width, height : float
        In inches.
    x, y : pair of float
        What is in sight.

    Returns
    -------
    (Figure, Axes)
    """
    fig, ax = plt.subplots(figsize=(width, height))
    ax.set(xlim=x, ylim=y, aspect="equal")
    ax.axis("off")
    return fig, ax


def node(
    ax: Axes, at: Point, text: str, size: float = 10.5, color: str = INK, **box: object
) -> None:
    """Write a text in a box.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    at : pair of float
        The middle of the box.
    text : str
        What stands in it.
    size : float
        Of the text, in points.
    color : str
        Of the text.
    **box
        As in matplotlib's ``bbox``.
    """
    frame = {"boxstyle": "round,pad=0.45", "facecolor": PALE, "edgecolor": INK, **box}
    look: dict[str, Any] = {"size": size, "color": color, "bbox": frame}
    ax.text(*at, text, ha="center", va="center", zorder=3, **look)


def arrow(ax: Axes, tail: Point, head: Point, **options: object) -> None:
    """Draw an arrow.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    tail, head : pair of float
        Where it begins and ends.
    **options
        As in matplotlib's ``FancyArrowPatch``.
    """
    settings: dict[str, Any] = {"mutation_scale": 11, "color": INK, **options}
    ax.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", **settings))
