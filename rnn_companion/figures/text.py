"""The figures of chapter 9, on text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from rnn_companion.figures.draw import curves
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, figure
from rnn_companion.tasks.text import CONTEXTS, CURVE_EVERY, TextRecord

VISIBLE = {"\n": "↵", " ": "␣"}
MONO = "DejaVu Sans Mono"
COLUMNS, ROWS = 62, 6  # of a sample
LIKELIEST = 10

Written = Sequence[tuple[str, float]]


@figure
def course(record: TextRecord) -> Picture:
    """Show loss, perplexity and accuracy in the course of training.

    Parameters
    ----------
    record : TextRecord
        With a held-out text.

    Returns
    -------
    Picture
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
    marks, last = record.marks, record.marks[-1]
    losses = record.training_loss, [mark.validation_loss for mark in marks]
    told = record.training_accuracy, [mark.validation_accuracy for mark in marks]
    for ax, (training, held_out) in ((left, losses), (right, told)):
        steps = [CURVE_EVERY * (n + 1) for n in range(len(training))]
        ax.plot(steps, training, color=COLORS[0], lw=1.2, label="training")
        values = np.array(held_out, dtype=float)
        at = [mark.step for mark in marks]
        ax.plot(at, values, "--s", color=COLORS[3], ms=5, label="held out")
        ax.set(xlabel="training step", ylim=(0, None))
    left.set(ylabel="loss (nats a character)")
    right.set(ylabel="accuracy")
    left.legend()
    functions = np.exp, lambda perplexity: np.log(np.maximum(perplexity, 1e-9))
    scale = left.secondary_yaxis("right", functions=functions)
    scale.set_yticks([1, 2, 3, 5, 10, 30, 100])
    scale.yaxis.set_major_formatter("{x:g}")
    scale.set_ylabel("perplexity", labelpad=1)
    fig.get_layout_engine().set(wspace=0.1)  # type: ignore[union-attr, call-arg]
    return Picture(
        fig,
        alt="Loss and accuracy against training step. The loss falls from "
        f"{marks[0].mean_loss:.2f} to {last.mean_loss:.2f} in training and to "
        f"{last.validation_loss:.2f} on held-out text; the accuracy on held-out text "
        f"rises to {last.validation_accuracy:.0%}. Most of it happens early.",
        caption="Training a character model on Python's own help texts. The scale "
        "between the panels turns the loss into a perplexity.",
    )


def temperature(
    prompt: str,
    vocabulary: str,
    distribution: Callable[[float], Tensor],
    samples: Mapping[float, Written],
) -> Frames:
    """Turn the temperature, and see the next character and a whole sample.

    Parameters
    ----------
    prompt : str
        What the model has read.
    vocabulary : str
        Its V characters.
    distribution : callable
        ``distribution(temperature)`` returns the probabilities of the next character,
        shape (V,).
    samples : mapping of float to sequence of (str, float)
        For each temperature what was written, and the probability of each character.

    Returns
    -------
    Frames
        With the control `temperature`.
    """
    temperatures = sorted(samples)
    first = min(temperatures, key=lambda tau: abs(tau - 1))
    order = distribution(first).argsort(descending=True)[:LIKELIEST].tolist()
    shown = prompt.replace("\n", VISIBLE["\n"])

    def draw(temperature: float) -> Figure:
        fig, (top, below) = plt.subplots(2, 1, figsize=(8.4, 4.9), height_ratios=[5, 6])
        p = distribution(temperature)
        top.bar(range(len(order)), p[order].tolist(), color=COLORS[0], width=0.7)
        characters = [_seen(vocabulary[k]) for k in order]
        top.set_xticks(range(len(order)), characters, family=MONO)
        top.set(ylim=(0, 1), ylabel="probability", xlabel="next character")
        top.set_title(
            f"after “{shown}”, temperature {temperature:g}: entropy {_entropy(p):.2f} "
            f"nats, all others together {1 - float(p[order].sum()):.0%}",
            fontsize=10.5,
        )
        _page(below, samples[temperature])
        return fig

    def alt(temperature: float) -> str:
        p = distribution(temperature)
        best = _seen(vocabulary[order[0]])
        text = "".join(c for c, _ in samples[temperature][: COLUMNS * ROWS])
        return (
            f"Temperature {temperature:g}. The next character after “{shown}” "
            f"is “{best}” with probability {float(p[order[0]]):.2f}; the entropy is "
            f"{_entropy(p):.2f} nats. A sample: {' '.join(text.split())[:160]}"
        )

    return Frames(
        draw,
        {"temperature": temperatures},
        alt,
        caption="Turn the temperature. Above, the distribution from which the next "
        "character is drawn; the order of the bars stays. Below, a sample: the darker "
        "a character's ground, the less probable it was when it was drawn.",
    )


def _entropy(p: Tensor) -> float:
    return float(-(p * p.clamp_min(1e-30).log()).sum())


def _seen(character: str) -> str:
    return VISIBLE.get(character, character)


def _page(ax: Axes, written: Written) -> None:
    """Print characters on a grid, their ground darker the less probable they were."""
    look: dict[str, Any] = {"family": MONO, "fontsize": 9.5, "color": INK}
    for n, (character, p) in enumerate(written[: COLUMNS * ROWS]):
        row, column = divmod(n, COLUMNS)
        shade = 1 - 0.55 * (1 - p) ** 2
        ground = (shade, shade, 0.25 + 0.75 * shade)
        ax.add_patch(Rectangle((column, -row), 1, 1, facecolor=ground))
        text = VISIBLE["\n"] if character == "\n" else character
        x, y = column + 0.5, -row + 0.45
        ax.text(x, y, text, ha="center", va="center", parse_math=False, **look)
    ax.set(xlim=(0, COLUMNS), ylim=(1 - ROWS, 1))
    ax.axis("off")


@figure
def unit(passage: str, values: Tensor, marked: Sequence[bool], what: str) -> Picture:
    """Show a unit's value after each character of a passage.

    Parameters
    ----------
    passage : str
        What was read.
    values : Tensor, `(len(passage),)`
        Between -1 and 1.
    marked : sequence of bool, `(len(passage),)`
        The characters with the property; they are underlined.
    what : str
        Their name, such as "inside a quotation".

    Returns
    -------
    Picture
    """
    rows = -(-len(passage) // COLUMNS)
    fig, ax = plt.subplots(figsize=(8.4, 0.3 + 0.36 * rows))
    signed = float(values[np.array(marked)].mean() - values[~np.array(marked)].mean())
    look: dict[str, Any] = {"family": MONO, "fontsize": 9.5, "parse_math": False}
    for n, (character, value) in enumerate(zip(passage, values.tolist(), strict=True)):
        row, column = divmod(n, COLUMNS)
        depth = (1 + value) / 2  # 0 where the value is -1
        ground = str(1 - 0.8 * depth)
        ax.add_patch(Rectangle((column, -row), 1, 1, facecolor=ground, lw=0))
        ink = "white" if depth > 0.6 else INK
        seen = VISIBLE["\n"] if character == "\n" else character
        x, y = column + 0.5, 0.5 - row
        ax.text(x, y, seen, ha="center", va="center", color=ink, **look)
        if marked[n]:
            under = 0.06 - row
            ax.plot(
                [column, column + 1], [under, under], color=COLORS[3], lw=2.5, zorder=4
            )
    ax.set(xlim=(0, COLUMNS), ylim=(0.9 - rows, 1.1))
    ax.axis("off")
    more = "higher" if signed > 0 else "lower"
    return Picture(
        fig,
        alt=f"{len(passage)} held-out characters, each on a ground that is the darker "
        f"the higher the unit's value is after it. {what.capitalize()}, underlined, "
        f"the value is {more} by {abs(signed):.2f} on average.",
        caption="One unit reads held-out text. The darker the ground, the higher its "
        f"value after the character, white for -1 and darkest for 1. Underlined: "
        f"{what}.",
    )


@figure
def context(record: TextRecord, steps: Sequence[int]) -> Picture:
    """Show how the loss falls when more characters have been read.

    Parameters
    ----------
    record : TextRecord
        With marks at the given steps.
    steps : sequence of int
        The marks to show.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.2, 3.9))
    shown = [mark for mark in record.marks if mark.step in steps]
    losses = {f"after {mark.step} steps": mark.context_loss for mark in shown}
    curves(ax, losses, CONTEXTS, ms=5)
    ax.axvspan(1.9, 3.1, color="#EEEEEE", zorder=0)
    grey: dict[str, Any] = {"ha": "center", "va": "top", "color": "#444444"}
    at = ("data", "axes fraction")
    ax.annotate("“the previous\n2 or 3”", (2.43, 0.97), xycoords=at, fontsize=9, **grey)
    ax.set(xscale="log", xlabel="characters read before the one to tell")
    ax.set_xticks(CONTEXTS, labels=[str(c) for c in CONTEXTS])
    ax.minorticks_off()
    ax.set_ylabel("loss (nats)")
    ax.legend()
    told = "; ".join(
        f"{name} {loss[0]:.2f}, {loss[2]:.2f} and {loss[-1]:.2f}"
        for name, loss in losses.items()
    )
    return Picture(
        fig,
        alt=f"Loss after reading 1, 3 and 30 characters: {told}.",
        caption="The loss on the same held-out characters when 1 to 30 of the "
        "characters before them have been read. Where a curve is still falling, the "
        "model still uses what lies that far back.",
    )
