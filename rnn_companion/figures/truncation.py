"""The figures of truncation in chapter 3: paths that are kept, and what that does."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from rnn_companion.figures.draw import curves
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, PALE, figure
from rnn_companion.gradients.truncation import Comparison

STRATEGIES = ("regular", "sliding", "randomized", "without the weight")


@figure
def strategies(counted: Mapping[str, Tensor]) -> Picture:
    """Show which paths each strategy counts, and with what weight.

    Parameters
    ----------
    counted : mapping of str to Tensor, each `(T, T)`
        For each strategy the weight of the path from loss t (row) to the use of the
        weights in step i (column); zero where it is not counted.

    Returns
    -------
    Picture
    """
    rows = (len(counted) + 1) // 2
    fig, panels = plt.subplots(rows, 2, figsize=(8.4, 4.1 * rows), squeeze=False)
    for axes, (name, weights) in zip(panels.flat, counted.items(), strict=False):
        _grid(axes, weights)
        axes.set_title(name, fontsize=10)
    for axes in panels.flat[len(counted) :]:
        axes.axis("off")
    said = ", ".join(f"{name}: {int((w > 0).sum())}" for name, w in counted.items())
    T = len(next(iter(counted.values())))
    return Picture(
        fig,
        alt=f"Triangles of the {T * (T + 1) // 2} paths from a loss back to a use of "
        f"the weights. Filled, because counted: {said}.",
        caption="A square is the path from the loss of step t (row) to the use of the "
        "weights in step i (column). Dark: it counts once. Darkest, with its weight in "
        "it: it counts for more. Pale: it is left out.",
    )


def _grid(axes: Axes, weights: Tensor) -> None:
    """Draw the triangle of paths: a square each, dark if it counts."""
    T = len(weights)
    for t in range(T):
        for i in range(t + 1):
            weight = float(weights[t, i])
            color = PALE if weight == 0 else COLORS[0] if weight <= 1 else INK
            axes.add_patch(Rectangle((i + 0.55, t + 0.55), 0.9, 0.9, color=color))
            if weight > 1:
                label = axes.text(i + 1, t + 1, f"{weight:.1f}", fontsize=7)
                label.set(color="white", ha="center", va="center")
    axes.set(xlim=(0.4, T + 0.6), ylim=(T + 0.6, 0.4), aspect="equal")
    axes.set(xlabel="use of the weights i", ylabel="loss t")
    axes.set_xticks(range(1, T + 1, 3))
    axes.set_yticks(range(1, T + 1, 3))
    axes.grid(visible=False)


def laboratory(
    weights: Mapping[tuple[int, float], Mapping[str, Tensor]],
    comparisons: Mapping[tuple[int, float], Mapping[str, Comparison]],
    start: tuple[int, float] | None = None,
) -> Frames:
    """Move tau and pi, and see what they do to the gradient.

    Parameters
    ----------
    weights : mapping of (tau, pi) to mapping of str to Tensor, `(T,)`
        With what weight each strategy counts paths of each lag, on average.
    comparisons : mapping of (tau, pi) to mapping of str to Comparison
        Bias and spread of each strategy.
    start : (tau, pi), optional
        Where the controls stand at first.

    Returns
    -------
    Frames
        With the controls `tau` and `pi`.
    """

    def draw(tau: int, pi: float) -> Figure:
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.2))
        curves(left, {name: weights[tau, pi][name] for name in STRATEGIES}, ms=4)
        left.set(ylim=(-0.05, 1.15), xlabel="lag (steps back)", ylabel="mean weight")
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        _errors(right, comparisons[tau, pi])
        names = left.get_legend_handles_labels()
        fig.legend(*names, loc="outside lower center", ncols=4)
        fig.suptitle(f"parts of {tau} steps; a link is kept with probability {pi:g}")
        return fig

    def alt(tau: int, pi: float) -> str:
        found = "; ".join(
            f"{name}: bias {c.bias:.2g}, spread {c.spread:.2g}"
            for name, c in comparisons[tau, pi].items()
        )
        return (
            "Left, the mean weight of paths against their lag. Right, bias and spread "
            f"of each strategy, in units of the gradient. {found}."
        )

    taus, pis = (sorted(set(values)) for values in zip(*weights, strict=True))
    return Frames(
        draw,
        {"tau": taus, "pi": pis[::-1]},
        alt,
        caption="Truncation on a window of prices. Left: with what weight a strategy "
        "counts the paths of each lag, on average; the exact gradient counts all of "
        "them once. Right: its bias and its spread, as shares of the norm of the exact "
        "gradient; a zero is drawn at the left edge.",
        start=dict(zip(("tau", "pi"), start or (), strict=False)),
        steady=True,
    )


def _errors(axes: Axes, comparisons: Mapping[str, Comparison]) -> None:
    floor, top = 1e-3, len(STRATEGIES)
    for color, name, y in zip(COLORS, STRATEGIES, range(top, 0, -1), strict=False):
        found = comparisons[name]
        for value, marker, filled, height in (
            (found.bias, "s", color, y + 0.12),
            (found.spread, "D", "white", y - 0.12),
        ):
            at = max(value, floor)
            axes.plot([floor, at], [height] * 2, color=color, linestyle="-")
            axes.plot(at, height, marker, color=color, markerfacecolor=filled)
    for marker, filled, name in (("s", INK, "bias"), ("D", "white", "spread")):
        axes.plot([], [], marker, color=INK, markerfacecolor=filled, label=name)
    axes.set(xscale="log", xlim=(floor, 1e2), ylim=(0.5, top + 0.5))
    axes.set_xlabel("share of the exact gradient's norm")
    axes.set_yticks(range(top, 0, -1), STRATEGIES)
    axes.legend(fontsize=8.5, loc="upper right")
