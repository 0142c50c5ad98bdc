"""Figures of the chapter *Recurrence*."""

import re
from collections.abc import Sequence
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, LINES, MARKERS, PALE, figure
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.records import Record
from rnn_companion.networks import rnn
from rnn_companion.networks.graph import Name, roll

ROWS = {"x": 0, "h": 1, "o": 2, "ℓ": 3, "y": 3, "L": 4}
Point = tuple[float, float]


@figure
def rolled(parents: dict[Name, tuple[Name, ...]]) -> Picture:
    """Draw the network folded in time, from `graph.direct_dependences`."""
    edges = sorted(roll(parents))
    fig, ax = _canvas(2.6, 3.6)
    spots = {
        name: (0.8 if name == "y" else 0.0, ROWS[name])
        for edge in edges
        for name in edge[:2]
    }
    for source, target, delay in edges:
        if delay:
            _loop(ax, spots[target])
        else:
            _edge(ax, spots[source], spots[target])
    for name, spot in spots.items():
        _node(ax, spot, f"${_tex(name)}_t$")
    _frame(ax, (-0.6, 1.4), (-0.5, 3.5))
    loops = [target for _, target, delay in edges if delay]
    alt = (
        "The rolled network: "
        + "; ".join(f"{s} feeds {t}" for s, t, delay in edges if not delay)
        + f"; a loop marked with a delay of one step from {loops[0]} to itself."
    )
    return Picture(fig, alt, "The network rolled up in time.")


@figure
def unrolled(parents: dict[Name, tuple[Name, ...]]) -> Picture:
    """Draw the computational graph over time, from `graph.direct_dependences`."""
    steps = max(t for _, t in parents if t is not None)
    fig, ax = _canvas(2.3 + 1.5 * steps, 4.6)
    spots: dict[Name, Point] = {}
    for target, sources in parents.items():
        for name, t in (*sources, target):
            if t is not None:
                spots[name, t] = (1.5 * t + (0.6 if name == "y" else 0.0), ROWS[name])
    spots["L", None] = (1.5 * (steps + 1) / 2, ROWS["L"])
    shared = _shared(parents)
    for row, group in zip((0.5, 1.5), shared, strict=True):
        spots.update(dict.fromkeys(group, (-1.0, row)))
    drawn: set[tuple[Point, Point]] = set()
    for target, sources in parents.items():
        for source in sources:
            ends = spots[source], spots[target]
            if ends not in drawn:  # parameters in one box share one arrow
                _edge(ax, *ends, dashed=source[0][0] in "Wb")
                drawn.add(ends)
    for (name, t), spot in spots.items():
        if (name, t) not in [p for group in shared for p in group]:
            _node(ax, spot, f"${_tex(name)}_{t}$" if t is not None else f"${name}$")
    for group in shared:
        text = ", ".join(f"${_tex(name)}$" for name, _ in group)
        _node(ax, spots[group[0]], text, box=True)
    _frame(ax, (-2.0, 1.5 * steps + 1.1), (-0.5, 4.5))
    alt = f"Computational graph of {steps} time steps. " + " ".join(
        f"{_plain(*target)} reads {', '.join(_plain(*s) for s in sources)}."
        for target, sources in parents.items()
    )
    caption = (
        f"The same network over {steps} steps. An arrow stands wherever automatic "
        "differentiation finds a direct derivative. Dashed: the parameters, the same "
        "ones at every step."
    )
    return Picture(fig, alt, caption)


def unroll(inputs: Sequence[float], *, w_x: float, w_h: float, b: float) -> Frames:
    """Unroll a network of one unit step by step, with its numbers.

    Parameters
    ----------
    inputs : sequence of float
        x_1 to x_T.
    w_x, w_h, b : float
        Weight of the input, recurrent weight, bias.

    Returns
    -------
    Frames
        A slider over the steps; in a live notebook also the reader's own inputs
        and weights.
    """
    text = ", ".join(f"{x:g}" for x in inputs)
    start: dict[str, Any] = {"inputs": text, "w_x": w_x, "w_h": w_h, "b": b}

    def draw(step: int, **own: Any) -> Figure:  # noqa: ANN401
        numbers = {**start, **own}
        return _unrolled_to(step, *_states(**numbers), _sum(step, numbers))

    def alt(step: int, **own: Any) -> str:  # noqa: ANN401
        numbers = {**start, **own}
        return f"Step {step} of {len(_states(**numbers)[0])}: {_sum(step, numbers)}."

    return Frames(
        draw,
        {"step": range(1, len(inputs) + 1)},
        alt,
        f"A network of one unit, step by step: recurrent weight {w_h:g}, input weight "
        f"{w_x:g}, bias {b:g}. Move the slider: each state is computed from the input "
        "below it and the state before it.",
        live=_live(start),
    )


def _live(start: dict[str, Any]) -> dict[str, Any]:
    from ipywidgets import FloatSlider, Text

    sliders = {
        name: FloatSlider(value, min=-2, max=2, step=0.1)
        for name, value in start.items()
        if name != "inputs"
    }
    return {"inputs": Text(start["inputs"]), **sliders}


def _states(
    inputs: str, w_x: float, w_h: float, b: float
) -> tuple[list[float], list[float]]:
    """Read the inputs, and run `networks.rnn` on them: x_1..x_T and h_0..h_T."""
    try:
        xs = [float(x) for x in inputs.split(",")]
    except ValueError:
        raise ValueError(
            f"inputs {inputs!r} are not numbers: write them as 1, 0, -0.5"
        ) from None
    X, H_0 = torch.tensor(xs).view(-1, 1, 1), torch.zeros(1, 1)
    weights = (
        torch.full((1, 1), float(w_x)),
        torch.full((1, 1), float(w_h)),
        torch.full((1,), float(b)),
    )
    return xs, [0.0, *rnn(X, H_0, *weights).flatten().tolist()]


def _sum(step: int, numbers: dict[str, Any]) -> str:
    """Write out the step as arithmetic."""
    xs, hs = _states(**numbers)
    if step > len(xs):
        raise ValueError(f"step {step} needs {step} inputs, there are {len(xs)}")
    terms = (
        f"{numbers['w_x']:g} × {xs[step - 1]:g} + {numbers['w_h']:g} × "
        f"{hs[step - 1]:.3f} + {numbers['b']:g}"
    )
    return f"h_{step} = tanh({terms}) = {hs[step]:.3f}"


def _unrolled_to(step: int, xs: list[float], hs: list[float], text: str) -> Figure:
    fig, ax = _canvas(1.0 + 1.2 * len(xs), 2.4)
    for t, h in enumerate(hs):
        done = t <= step
        if t:
            _edge(ax, (1.5 * t - 1.5, 1), (1.5 * t, 1), faded=not done, gap=27)
            _edge(ax, (1.5 * t, 0), (1.5 * t, 1), faded=not done, gap=23)
            _node(ax, (1.5 * t, 0), f"$x_{t}$\n{xs[t - 1]:g}", faded=not done)
        value = f"\n{h:.3f}" if done else ""
        _node(ax, (1.5 * t, 1), f"$h_{t}${value}", faded=not done, bold=t == step)
    ax.text(0.75 * len(xs), -0.85, re.sub(r"h_(\d+)", r"$h_{\1}$", text), ha="center")
    _frame(ax, (-0.6, 1.5 * len(xs) + 0.6), (-1.0, 1.5))
    return fig


@figure
def prices(series: Prices, first_validation_day: int) -> Picture:
    """Draw the whole series and where validation begins."""
    fig, ax = plt.subplots(figsize=(7.0, 3.0))
    split = series.dates[first_validation_day]
    ax.plot(series.dates, series.close, color=INK, linewidth=1)
    begin, end = mdates.date2num([split, series.dates[-1]])  # type: ignore[no-untyped-call]
    ax.axvspan(begin, end, color=PALE, hatch="//", zorder=0)
    ax.text(begin, series.close.min(), "  validation", va="bottom")
    ax.set(xlabel="day", ylabel="adjusted close (dollars)")
    held = len(series) - first_validation_day
    alt = (
        f"Daily adjusted close of {series.name} from {series.dates[0]:%Y-%m-%d} to "
        f"{series.dates[-1]:%Y-%m-%d}, between {series.close.min():.2f} and "
        f"{series.close.max():.2f} dollars; the last {held} days are marked validation."
    )
    caption = (
        f"{len(series)} trading days of {series.name}. The network learns from the "
        f"first {first_validation_day}, and is judged on the {held} after them."
    )
    return Picture(fig, alt, caption)


@figure
def forecast(record: Record, days: int = 40) -> Picture:
    """Draw the last forecasts of a record, with truth and persistence."""
    assert record.forecasts is not None
    table = record.forecasts.table().tail(days)
    fig, ax = plt.subplots(figsize=(7.0, 3.4))
    names = {
        "truth": "what happened",
        "forecast": "network",
        "persistence": "tomorrow = today",
    }
    for i, (column, label) in enumerate(names.items()):
        ax.plot(
            table["date"],
            table[column],
            label=label,
            marker=MARKERS[i],
            markersize=3,
            color=COLORS[i],
            linestyle=LINES[i],
            linewidth=1.2,
        )
    ax.set(xlabel="day", ylabel="adjusted close (dollars)")
    ax.legend()
    fig.autofmt_xdate()
    miss = (table["forecast"] - table["truth"]).abs().mean()
    naive = (table["persistence"] - table["truth"]).abs().mean()
    alt = (
        f"Three lines over the last {len(table)} validation days: the close; the "
        f"network's forecast, {miss:.2f} dollars off on average; the close of the day "
        f"before, {naive:.2f} dollars off."
    )
    caption = (
        f"The last {len(table)} validation days: what happened, what the network said "
        "the day before, and the close of the day before."
    )
    return Picture(fig, alt, caption)


@figure
def against_persistence(records: Sequence[Record]) -> Picture:
    """Draw the validation error of each seed over that of persistence."""
    ratios = np.array([record.mse / record.persistence_mse for record in records])
    fig, ax = plt.subplots(figsize=(7.0, 1.7))
    ax.plot(
        ratios,
        np.zeros(len(ratios)),
        "o",
        color=COLORS[0],
        label="network, one seed each",
    )
    ax.axvline(1, color=INK, linestyle="--", label="tomorrow = today")
    ax.set(xlabel="validation error over that of “tomorrow = today”", yticks=[])
    ax.set_xlim(0, 1.1 * max(1.0, ratios.max()))
    ax.legend(loc="upper left", ncols=2, bbox_to_anchor=(0, 1.35))
    points = ", ".join(f"{ratio:.2f}" for ratio in sorted(ratios))
    alt = (
        f"{len(ratios)} points, one a seed, at {points} times the error of tomorrow = "
        "today, which is a dashed line at 1."
    )
    caption = (
        f"Validation error of {len(ratios)} networks that differ in their seed alone, "
        "as a multiple of persistence's. Left of the line would be better."
    )
    return Picture(fig, alt, caption)


def _shared(parents: dict[Name, tuple[Name, ...]]) -> list[tuple[Name, ...]]:
    """Group the parameters that are read by the same quantities."""
    readers: dict[Name, list[Name]] = {}
    for target, sources in parents.items():
        for source in sources:
            if source[1] is None and source[0][0] in "Wb":
                readers.setdefault(source, []).append(target)
    groups = {
        tuple(by): tuple(p for p in readers if readers[p] == by)
        for by in readers.values()
    }
    return list(groups.values())


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    fig, ax = plt.subplots(figsize=(width, height))
    ax.axis("off")
    return fig, ax


def _frame(ax: Axes, x: Point, y: Point) -> None:
    ax.set(xlim=x, ylim=y, aspect="equal")


def _node(
    ax: Axes,
    spot: Point,
    text: str,
    *,
    box: bool = False,
    faded: bool = False,
    bold: bool = False,
) -> None:
    ax.text(
        *spot,
        text,
        ha="center",
        va="center",
        color="#999999" if faded else INK,
        zorder=3,
        bbox={
            "boxstyle": "square,pad=0.35" if box else "round,pad=0.45",
            "facecolor": "white" if faded or box else PALE,
            "edgecolor": "#BBBBBB" if faded else INK,
            "linestyle": "--" if faded else "-",
            "linewidth": 2.2 if bold else 1.0,
        },
    )


def _edge(
    ax: Axes,
    tail: Point,
    head: Point,
    *,
    dashed: bool = False,
    faded: bool = False,
    gap: float = 15,
) -> None:
    ax.add_patch(
        FancyArrowPatch(
            tail,
            head,
            arrowstyle="-|>",
            mutation_scale=11,
            shrinkA=gap,
            shrinkB=gap,
            color="#BBBBBB" if faded else INK,
            linestyle="--" if dashed else "-",
            linewidth=0.9 if dashed else 1.2,
        )
    )


def _loop(ax: Axes, spot: Point) -> None:
    x, y = spot
    ax.add_patch(
        FancyArrowPatch(
            (x + 0.1, y + 0.15),
            (x + 0.1, y - 0.15),
            arrowstyle="-|>",
            mutation_scale=11,
            connectionstyle="arc3,rad=-2.4",
            color=INK,
            shrinkA=4,
            shrinkB=4,
        )
    )
    ax.text(x + 0.6, y, "one step\nlater", va="center", fontsize=8.5)


def _tex(name: str) -> str:
    head, _, tail = name.replace("ℓ", r"\ell").partition("_")
    return f"{head}_{{{tail}}}" if tail else head


def _plain(name: str, t: int | None) -> str:
    return name if t is None else f"{name}_{t}"
