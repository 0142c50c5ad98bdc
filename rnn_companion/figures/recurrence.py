"""The figures of chapter 1, *Recurrence*."""

import re
from collections.abc import Sequence
from typing import Any

import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_companion.figures.draw import Point, arrow, board, curves, look, node
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import INK, PALE, figure
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.records import Record
from rnn_companion.networks import rnn
from rnn_companion.networks.graph import Name, roll

ROWS = {"x": 0, "h": 1, "o": 2, "ℓ": 3, "y": 3, "L": 4}
GREY = "#BBBBBB"
NOT_YET = {"color": "#999999", "facecolor": "white", "edgecolor": GREY, "ls": "--"}
Parents = dict[Name, tuple[Name, ...]]


@figure
def rolled(parents: Parents) -> Picture:
    """Draw the network folded in time.

    Parameters
    ----------
    parents : dict of (name, step) to tuple of (name, step)
        From `rnn_companion.networks.graph.direct_dependences`.

    Returns
    -------
    Picture
    """
    edges = sorted(roll(parents))
    fig, ax = board(2.6, 3.6, (-0.6, 1.4), (-0.5, 3.5))
    names = dict.fromkeys(name for edge in edges for name in edge[:2])
    spots = {name: (0.8 if name == "y" else 0.0, ROWS[name]) for name in names}
    for source, target, delay in edges:
        if delay:
            _loop(ax, spots[target])
        else:
            _edge(ax, spots[source], spots[target])
    for name, spot in spots.items():
        node(ax, spot, f"${_tex(name)}_t$")
    loops = [target for _, target, delay in edges if delay]
    feeds = "; ".join(f"{s} feeds {t}" for s, t, delay in edges if not delay)
    return Picture(
        fig,
        alt=f"The rolled network: {feeds}; a loop marked with a delay of one step from "
        f"{loops[0]} to itself.",
        caption="The network rolled up in time.",
    )


@figure
def unrolled(parents: Parents) -> Picture:
    """Draw the computational graph over time.

    Parameters
    ----------
    parents : dict of (name, step) to tuple of (name, step)
        As in `rolled`.

    Returns
    -------
    Picture
    """
    steps = max(t for _, t in parents if t is not None)
    right = 1.5 * steps
    fig, ax = board(2.3 + right, 4.6, (-2.0, right + 1.1), (-0.5, 4.5))
    edges = [(source, target) for target in parents for source in parents[target]]
    spots: dict[Name, Point] = {("L", None): (0.75 * (steps + 1), ROWS["L"])}
    for name, t in (n for target in parents for n in (*parents[target], target)):
        if t is not None:
            spots[name, t] = (1.5 * t + (0.6 if name == "y" else 0.0), ROWS[name])
    for (name, t), spot in spots.items():
        node(ax, spot, f"${name}$" if t is None else f"${_tex(name)}_{t}$")
    for row, group in zip((0.5, 1.5), _shared(parents), strict=True):
        text = ", ".join(f"${_tex(name)}$" for name, _ in group)
        node(ax, (-1.0, row), text, boxstyle="square,pad=0.35", facecolor="white")
        spots.update(dict.fromkeys(group, (-1.0, row)))
    ends = {(spots[s], spots[t]): s[0][0] in "Wb" for s, t in edges}
    for (tail, head), dashed in ends.items():  # parameters in one box share one arrow
        line = {"linestyle": "--", "lw": 0.9} if dashed else {"lw": 1.2}
        arrow(ax, tail, head, shrinkA=15, shrinkB=15, **line)
    said = [
        f"{_plain(*target)} reads {', '.join(_plain(*s) for s in sources)}."
        for target, sources in parents.items()
    ]
    return Picture(
        fig,
        alt=f"Computational graph of {steps} time steps. {' '.join(said)}",
        caption=f"The same network over {steps} steps. An arrow stands wherever "
        "automatic differentiation finds a direct derivative. Dashed: the parameters, "
        "the same ones at every step.",
    )


def _shared(parents: Parents) -> list[list[Name]]:
    """Group the parameters that are read by the same quantities."""
    readers: dict[Name, list[Name]] = {}
    for target, sources in parents.items():
        for source in sources:
            if source[1] is None and source[0][0] in "Wb":
                readers.setdefault(source, []).append(target)
    groups: dict[tuple[Name, ...], list[Name]] = {}
    for parameter, by in readers.items():
        groups.setdefault(tuple(by), []).append(parameter)
    return list(groups.values())


def _edge(
    ax: Axes, tail: Point, head: Point, gap: float = 15, color: str = INK
) -> None:
    arrow(ax, tail, head, shrinkA=gap, shrinkB=gap, lw=1.2, color=color)


def _loop(ax: Axes, spot: Point) -> None:
    x, y = spot
    bow = {"connectionstyle": "arc3,rad=-2.4", "shrinkA": 4, "shrinkB": 4}
    arrow(ax, (x + 0.1, y + 0.15), (x + 0.1, y - 0.15), **bow)
    ax.text(x + 0.6, y, "one step\nlater", va="center", fontsize=8.5)


def _tex(name: str) -> str:
    head, _, tail = name.replace("ℓ", r"\ell").partition("_")
    return f"{head}_{{{tail}}}" if tail else head


def _plain(name: str, t: int | None) -> str:
    return name if t is None else f"{name}_{t}"


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
        live=_live(**start),
    )


def _live(inputs: str, **weights: float) -> dict[str, Any]:
    from ipywidgets import FloatSlider, Text

    reach = {"min": -2, "max": 2, "step": 0.1}
    sliders = {name: FloatSlider(value, **reach) for name, value in weights.items()}
    return {"inputs": Text(inputs), **sliders}


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
    W_xh, W_hh, b_h = torch.tensor([w_x, w_h, b], dtype=X.dtype).view(3, 1, 1)
    return xs, [0.0, *rnn(X, H_0, W_xh, W_hh, b_h[0]).flatten().tolist()]


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
    T = len(xs)
    fig, ax = board(1.0 + 1.2 * T, 2.4, (-0.6, 1.5 * T + 0.6), (-1.0, 1.5))
    for t, h in enumerate(hs):
        done, x = t <= step, 1.5 * t
        color = INK if done else GREY
        faded: dict[str, Any] = {} if done else NOT_YET
        if t:
            _edge(ax, (x - 1.5, 1), (x, 1), gap=27, color=color)
            _edge(ax, (x, 0), (x, 1), gap=23, color=color)
            node(ax, (x, 0), f"$x_{t}$\n{xs[t - 1]:g}", **faded)
        value = f"\n{h:.3f}" if done else ""
        node(ax, (x, 1), f"$h_{t}${value}", lw=2.2 if t == step else 1.0, **faded)
    ax.text(0.75 * T, -0.85, re.sub(r"h_(\d+)", r"$h_{\1}$", text), ha="center")
    return fig


@figure
def price_series(prices: Prices, first_validation_day: int) -> Picture:
    """Draw a whole series of prices and where validation begins.

    Parameters
    ----------
    prices : Prices
        In dollars.
    first_validation_day : int
        Its position in the series.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.0, 3.0))
    days, close = prices.dates, prices.close
    ax.plot(days, close, color=INK, linewidth=1)
    begin, end = mdates.date2num([days[first_validation_day], days[-1]])
    ax.axvspan(begin, end, color=PALE, hatch="//", zorder=0)
    ax.text(begin, close.min(), "  validation", va="bottom")
    ax.set(xlabel="day", ylabel="adjusted close (dollars)")
    held = len(prices) - first_validation_day
    return Picture(
        fig,
        alt=f"Daily adjusted close of {prices.name} from {days[0]:%Y-%m-%d} to "
        f"{days[-1]:%Y-%m-%d}, between {close.min():.2f} and {close.max():.2f} "
        f"dollars; the last {held} days are marked validation.",
        caption=f"{len(prices)} trading days of {prices.name}. The network learns from "
        f"the first {first_validation_day}, and is judged on the {held} after them.",
    )


@figure
def forecast(record: Record, days: int = 40) -> Picture:
    """Draw the last forecasts of a record, with truth and persistence.

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
    assert record.forecasts is not None
    table = record.forecasts.table().tail(days)
    fig, ax = plt.subplots(figsize=(7.0, 3.4))
    truth, network, naive = (table[n] for n in ("truth", "forecast", "persistence"))
    lines = {"what happened": truth, "network": network, "tomorrow = today": naive}
    curves(ax, lines, table["date"], markersize=3, linewidth=1.2)
    ax.set(xlabel="day", ylabel="adjusted close (dollars)")
    ax.legend()
    fig.autofmt_xdate()
    return Picture(
        fig,
        alt=f"Three lines over the last {len(table)} validation days: the close; the "
        f"network's forecast, {(network - truth).abs().mean():.2f} dollars off on "
        f"average; the close of the day before, {(naive - truth).abs().mean():.2f} "
        "dollars off.",
        caption=f"The last {len(table)} validation days: what happened, what the "
        "network said the day before, and the close of the day before.",
    )


@figure
def against_persistence(records: Sequence[Record]) -> Picture:
    """Draw the validation error of each seed over that of persistence.

    Parameters
    ----------
    records : sequence of Record
        One a seed.

    Returns
    -------
    Picture
    """
    ratios = sorted(record.mse / record.persistence_mse for record in records)
    fig, ax = plt.subplots(figsize=(7.0, 1.7))
    dots = look(0, linestyle="none", label="network, one seed each")
    ax.plot(ratios, [0] * len(ratios), **dots)
    ax.axvline(1, color=INK, linestyle="--", label="tomorrow = today")
    ax.set(xlabel="validation error over that of “tomorrow = today”", yticks=[])
    ax.set_xlim(0, 1.1 * max(1.0, ratios[-1]))
    ax.legend(loc="upper left", ncols=2, bbox_to_anchor=(0, 1.35))
    points = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return Picture(
        fig,
        alt=f"{len(ratios)} points, one a seed, at {points} times the error of "
        "tomorrow = today, which is a dashed line at 1.",
        caption=f"Validation error of {len(ratios)} networks that differ in their seed "
        "alone, as a multiple of persistence's. Left of the line would be better.",
    )
