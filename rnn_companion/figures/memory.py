"""The figures of chapter 7, on the length of the memory."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, tensor

from rnn_companion.figures.draw import curves, look, plain_ticks
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, MARKERS, figure
from rnn_companion.tasks.memory import TrialRecord
from rnn_companion.tasks.sweep import RECIPES, recipe_of

CELLS = {"rnn": "RNN", "lstm": "LSTM"}
AT_THE_RIGHT: dict[str, Any] = {  # the name of a level
    "xycoords": ("axes fraction", "data"),
    "textcoords": "offset points",
    "ha": "right",
    "color": "#555555",
}


@figure
def latch(digits: Tensor, H: Tensor) -> Picture:
    """Show the units of a hand-built network while digits go by.

    Parameters
    ----------
    digits : Tensor, `(T,)`
        What is read.
    H : Tensor, `(T, h)`
        The hidden states.

    Returns
    -------
    Picture
    """
    fig, (top, below) = plt.subplots(
        2, 1, figsize=(7.2, 3.8), sharex=True, height_ratios=[1, 2]
    )
    steps, first = range(1, len(digits) + 1), int(digits[0])
    top.plot(steps, digits, ":", color="#777777", lw=1)
    top.scatter(steps, digits, s=12, color="#777777", zorder=3)
    top.scatter([1], [first], s=60, color=COLORS[3], zorder=4)
    top.set_title(f"The first digit is {first}", loc="left", color=COLORS[3], size=10)
    top.set(ylabel="digit", ylim=(-0.8, 9.8), yticks=[0, 3, 6, 9])
    units = {f"unit {n}": state for n, state in enumerate(H.T, start=1)}
    curves(below, units, begin=1, marker="")
    below.set(xlabel="step", ylabel="state", ylim=(-1.2, 1.2))
    below.legend(ncols=len(units), loc="center")
    signs = ", ".join("above" if s > 0 else "below" for s in H[-1].tolist())
    return Picture(
        fig,
        alt=f"Above, {len(digits)} random digits, the first of them {first}. Below, "
        f"the states of {len(units)} units: from the first step to the last they stay "
        f"close to plus or minus one ({signs} zero) and only tremble.",
        caption="The hand-built network reads. The first digit decides the signs of "
        "its units; everything that comes later makes them tremble and turns none.",
    )


def by_length(records: Sequence[TrialRecord]) -> Frames:
    """Choose a length, and see which recipe learns it.

    Parameters
    ----------
    records : sequence of TrialRecord
        Of any length and of the recipes of `rnn_companion.tasks.sweep`.

    Returns
    -------
    Frames
        With the control `digits_read`.
    """

    def draw(digits_read: int) -> Figure:
        fig, axes = plt.subplots(1, 2, figsize=(8.4, 4.3), sharey=True)
        for ax, cell in zip(axes, CELLS, strict=True):
            _accuracies(ax, cell, _of(records, cell, digits_read))
            ax.set_title(f"{CELLS[cell]}, {digits_read} digits")
        axes[0].set(ylabel="validation accuracy")
        return fig

    def alt(digits_read: int) -> str:
        told = [_told(records, cell, digits_read) for cell in CELLS]
        return f"Validation accuracy against training step. {' '.join(told)}"

    return Frames(
        draw,
        {"digits_read": _lengths(records)},
        alt,
        caption="Choose how many digits are read. Each curve is one seed. It ends in a "
        "sign where the task is solved, and without one where its steps were used up. "
        "Not every recipe was run at every length.",
    )


def _accuracies(ax: Axes, cell: str, records: Sequence[TrialRecord]) -> None:
    """Draw a curve for each record; the first of each recipe has a label."""
    for n, recipe in enumerate(RECIPES[cell]):
        label: str | None = recipe
        for record in (r for r in records if recipe_of(r.trial) == recipe):
            end = {"marker": MARKERS[n] if record.solved else "None", "markevery": [-1]}
            line = look(n, markersize=7, lw=1.3, label=label, **end)
            ax.plot(record.checks.step, record.checks.validation_accuracy, **line)
            label = None
    ax.axhline(0.1, color="#777777", lw=0.8, ls="-")
    ax.annotate("chance", (1, 0.1), (2, 2), fontsize=8.5, **AT_THE_RIGHT)
    ax.set(xlabel="training step", xscale="log", xlim=(40, 12_000), ylim=(-0.03, 1.05))
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), fontsize=9)


@figure
def start_against_steps(
    records: Sequence[TrialRecord], carried: Sequence[float]
) -> Picture:
    """Show the steps that trials needed against the gradient at their start.

    Parameters
    ----------
    records : sequence of TrialRecord
        Of any kind.
    carried : sequence of float
        For each, the gradient at the first input over that at the last, untrained.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.2, 4.2))
    groups: dict[tuple[str, float], list[tuple[float, TrialRecord]]] = {}
    for x, r in zip(carried, records, strict=True):
        groups.setdefault((r.trial.cell, r.trial.learning_rate), []).append((x, r))
    told = []
    for n, ((cell, rate), found) in enumerate(sorted(groups.items())):
        name = f"{CELLS[cell]}, rate {rate:g}"
        for solved in (True, False):
            points = [(x, r.steps) for x, r in found if r.solved == solved]
            fill, word = (COLORS[n], "") if solved else ("none", ", not solved")
            if points:
                sign: dict[str, Any] = {"marker": MARKERS[n], "s": 42}
                sign |= {"edgecolor": COLORS[n], "facecolor": fill}
                ax.scatter(*zip(*points, strict=True), label=name + word, **sign)
        steps = [r.steps for _, r in found if r.solved]
        told.append(
            f"{name}: {len(steps)} of {len(found)} solved"
            + (f", after {min(steps)} to {max(steps)} steps" if steps else "")
        )
    ax.set(xscale="log", xlabel="gradient at the first digit over that at the last")
    ax.set(yscale="log", ylabel="steps done")
    fig.legend(loc="outside lower center", ncols=3)
    return Picture(
        fig,
        alt="Steps of each trial against the gradient that its untrained network lets "
        f"through, both on logarithmic scales. {'; '.join(told)}.",
        caption="Each sign is one trial: the gradient at its first digit, before "
        "training, and the steps until it was solved. Empty signs were not solved in "
        "the steps they had.",
    )


@figure
def largest_norms(records: Sequence[TrialRecord]) -> Picture:
    """Show the largest gradient of each trial, before clipping.

    Parameters
    ----------
    records : sequence of TrialRecord
        Of any kind.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.2, 3.9))
    for n, (cell, name) in enumerate(CELLS.items()):
        for solved in (True, False):
            chosen = [r for r in records if r.trial.cell == cell and r.solved == solved]
            x = [r.trial.length * (1 + 0.04 * n) for r in chosen]
            y = [max(r.checks.gradient_norm) for r in chosen]
            sign: dict[str, Any] = {
                "marker": MARKERS[n],
                "edgecolor": COLORS[n],
                "s": 42,
            }
            fill, word = (COLORS[n], "solved") if solved else ("none", "not solved")
            ax.scatter(x, y, facecolor=fill, label=f"{name}, {word}", **sign)
    ax.axhline(10, color="#777777", lw=1)
    ax.annotate("clipped above this", (0.99, 10), (0, 3), fontsize=9, **AT_THE_RIGHT)
    lengths = _lengths(records)
    ax.set(yscale="log", ylabel="largest gradient norm")
    ax.set(xscale="log", xlabel="digits read")
    ax.set_xticks(lengths, map(str, lengths))
    ax.minorticks_off()
    ax.legend()
    worst = max(records, key=lambda r: max(r.checks.gradient_norm))
    return Picture(
        fig,
        alt="Largest gradient norm of each trial against the digits read, both on "
        f"logarithmic scales. The largest is {max(worst.checks.gradient_norm):.0f}"
        f", of {CELLS[worst.trial.cell]} with {worst.trial.length} digits.",
        caption="The largest norm of the gradient that each trial met, before it was "
        "clipped to 10. Filled signs are trials that solved the task.",
    )


@figure
def days_used(
    errors: Mapping[str, Sequence[Sequence[float]]], kept: Sequence[int]
) -> Picture:
    """Show the error when only the last days of a window are its own.

    Parameters
    ----------
    errors : mapping of str to sequence of sequence of float, `(seeds, len(kept))`
        Over persistence's, from `errors_with_days_kept`.
    kept : sequence of int
        How many days stayed; the last of them are all.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7.2, 3.9))
    medians = {name: _median(each) for name, each in errors.items()}
    for n, each in enumerate(errors.values()):
        ax.plot(kept, tensor(each).T, **look(n, marker="", lw=0.8, alpha=0.6))
    curves(ax, medians, kept)
    ax.axhline(1, color="#777777", lw=1)
    ax.annotate("tomorrow = today", (1, 1), (0, -12), **AT_THE_RIGHT, fontsize=9)
    ax.set(xscale="log", xlabel="days kept, k (the days before: another window's)")
    ax.set(yscale="log", ylabel="error over persistence's")
    ax.set_xticks(kept, map(str, kept))
    ax.minorticks_off()
    plain_ticks(ax.yaxis, [e for each in errors.values() for row in each for e in row])
    ax.legend()
    told = "; ".join(
        f"{name}, "
        + ", ".join(f"{k} days {v:.2g}" for k, v in zip(kept, m, strict=True))
        for name, m in medians.items()
    )
    return Picture(
        fig,
        alt="Error over that of tomorrow = today against the days that are a window's "
        f"own, both on logarithmic scales. Medians: {told}.",
        caption="The error of trained networks on windows of which only the last k "
        "days are their own. Thin: one seed each; bold: their medians.",
    )


def _median(rows: Sequence[Sequence[float]]) -> list[float]:
    """Return the median of each column."""
    return tensor(rows).quantile(0.5, 0).tolist()


def _lengths(records: Sequence[TrialRecord]) -> list[int]:
    return sorted({record.trial.length for record in records})


def _of(records: Sequence[TrialRecord], cell: str, length: int) -> list[TrialRecord]:
    return [r for r in records if (r.trial.cell, r.trial.length) == (cell, length)]


def _told(records: Sequence[TrialRecord], cell: str, length: int) -> str:
    """Say in words how the trials of a cell and length ended."""
    recipes: dict[str, list[str]] = {}
    for r in _of(records, cell, length):
        end = (
            f"solved at step {r.steps}" if r.solved else f"{r.accuracy:.0%} at the end"
        )
        recipes.setdefault(recipe_of(r.trial), []).append(end)
    if not recipes:
        return f"{CELLS[cell]} with {length} digits: not run."
    ends = "; ".join(f"{name}: {', '.join(e)}" for name, e in recipes.items())
    return f"{CELLS[cell]} with {length} digits, {ends}."
