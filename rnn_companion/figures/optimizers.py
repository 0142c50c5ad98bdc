"""The figures of chapter 11, *Optimizers*."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from rnn_companion.figures.draw import curves, last, look
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import INK, figure
from rnn_companion.gradients.optimizers import Momentum, descend

VALLEY, STEPS = (1.0, 0.1), 30  # curvatures across and along; steps that are shown


def walk(learning_rate: float, momentum: float) -> Tensor:
    """Follow momentum down the valley of `descent_by_hand` (`eq-momentum`).

    Parameters
    ----------
    learning_rate, momentum : float
        Step size, and how much of the velocity is kept; 0 is plain descent.

    Returns
    -------
    Tensor, `(STEPS + 1, 2)`
        The weights, which start at (1, 1).
    """
    curvatures = torch.tensor(VALLEY, dtype=torch.float64)
    rule = Momentum(learning_rate, mu=momentum)
    return descend(rule, lambda w: curvatures * w, torch.ones_like(curvatures), STEPS)


def descent_by_hand() -> Frames:
    """Choose a learning rate and a momentum, and walk down a valley.

    Returns
    -------
    Frames
        With the controls `learning_rate` and `momentum`.
    """

    def draw(**settings: float) -> Figure:
        return _walked(walk(**settings))

    def alt(**settings: float) -> str:
        path = walk(**settings)
        across, along = path[-1].abs().tolist()
        crossed = int((path[1:, 0] * path[:-1, 0] < 0).sum())
        return (
            f"A path of {STEPS} steps from the side of a valley, learning rate "
            f"{settings['learning_rate']:g}, momentum {settings['momentum']:g}. It "
            f"crosses the valley's floor {crossed} times and ends {across:.2g} beside "
            f"it and {along:.2g} from the minimum along it."
        )

    return Frames(
        draw,
        {"learning_rate": (0.5, 1.0, 1.5, 1.9, 2.1), "momentum": (0.0, 0.5)},
        alt,
        caption="Left, the path in a valley ten times as steep across as along. "
        "Right, the distance from the minimum in both directions.",
        steady=True,
    )


@figure
def _walked(path: Tensor) -> Figure:
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4))
    grid = torch.linspace(-2.0, 2.0, 60)
    across, along = torch.meshgrid(grid, grid, indexing="xy")
    height = (VALLEY[0] * across**2 + VALLEY[1] * along**2) / 2
    contours = grid.numpy(), grid.numpy(), height.sqrt().numpy()
    left.contour(*contours, 10, colors="#BBBBBB", linewidths=0.8)
    left.plot(*path.T, **look(0, ms=4, lw=1.1))
    left.set(
        xlabel="across $w_1$", ylabel="along $w_2$", xlim=(-2, 2), ylim=(-0.7, 1.2)
    )
    left.grid(visible=False)
    distances = dict(
        zip(("across", "along"), path.abs().clamp_min(1e-8).T, strict=True)
    )
    curves(right, distances, marks=5, staggered=True)
    right.set(yscale="log", ylim=(1e-8, 100), xlabel="step $k$", ylabel="distance")
    right.legend()
    return fig


@figure
def descents(paths: Mapping[str, Tensor], curvatures: tuple[float, float]) -> Picture:
    """Draw how rules descend into a long valley, and how near they come.

    Parameters
    ----------
    paths : mapping of str to Tensor, each `(steps + 1, 2)`
        The weights on the way.
    curvatures : pair of float
        Those of the quadratic, along the two weights.

    Returns
    -------
    Picture
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.9))
    reach = max(float(path.abs().max()) for path in paths.values()) * 1.1
    grid = torch.linspace(-reach, reach, 80)
    across, along = torch.meshgrid(grid, grid, indexing="xy")
    height = (curvatures[0] * across**2 + curvatures[1] * along**2) / 2
    contours = grid.numpy(), grid.numpy(), height.sqrt().numpy()
    left.contour(*contours, 12, colors="#BBBBBB", linewidths=0.8)
    for n, path in enumerate(paths.values()):
        left.plot(*path.T, **look(n, ms=3, markevery=5, lw=1.3))
    distances = {name: path.norm(dim=1) for name, path in paths.items()}
    drawn = {name: distance.clamp_min(1e-18) for name, distance in distances.items()}
    curves(right, drawn, marker="", lw=1.5)
    left.set(xlabel="$w_1$", ylabel="$w_2$", ylim=(-0.4 * reach, reach))
    left.grid(visible=False)
    right.set(yscale="log", xlabel="step $k$", ylabel="distance from the minimum")
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return Picture(
        fig,
        alt="Left, the paths of four rules across the contours of a long valley. "
        "Right, their distance from the minimum against the step, on a logarithmic "
        f"axis. It ends at: {', '.join(last(distances, '.0e'))}.",
        caption="Four rules in one valley. Those that divide by the size of the "
        "gradient head for the minimum as if both directions were equally steep. "
        "RMSprop comes nearest, and does not stay: with ever less to divide by, its "
        "steps grow again. (Distances below 1e-18 are cut off.)",
    )


@figure
def learning_rates(
    sweeps: Mapping[str, Mapping[float, float]], levels: Mapping[str, float]
) -> Picture:
    """Draw the validation error against the learning rate.

    Parameters
    ----------
    sweeps : mapping of str to mapping of float to float
        For each model the error at each learning rate; NaN where it diverged.
    levels : mapping of str to float
        Errors to compare with, such as that of "tomorrow = today".

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7, 4.2))
    said = []
    for n, (name, sweep) in enumerate(sweeps.items()):
        table = pd.Series(dict(sweep)).sort_index()
        ax.plot(table.index, table, **look(n, label=name))
        gone, height = table.index[table.isna()], 0.6 * 0.7**n
        hollow = look(n, linestyle="", mfc="none", ms=9)
        ax.plot(gone, [height] * len(gone), **hollow)
        for rate in gone:
            ax.annotate(" diverged", (rate, height), fontsize=8.5, va="center")
        best = f"{table.min():.1g} at {table.idxmin():g}"
        said.append(f"{name}: {table.iloc[0]:.1g} at {table.index[0]:g}, best {best}")
        if len(gone):
            said[-1] += f", diverged at {', '.join(f'{rate:g}' for rate in gone)}"
    words: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "fontsize": 9}
    for n, (name, level) in enumerate(levels.items()):
        line, end, side = ((":", 0, "left"), ("--", 1, "right"))[n % 2]
        ax.axhline(level, color=INK, linestyle=line, lw=1)
        ax.annotate(name, (end, level), ha=side, va="bottom", **words)
        said.append(f"{name}: {level:.1g}")
    ax.set(xscale="log", yscale="log", ylim=(None, 1.2), xlabel="learning rate")
    ax.set_ylabel("validation error (scaled, squared)")
    ax.legend(fontsize=9.5, loc="center left")
    return Picture(
        fig,
        alt=f"Validation error against learning rate. {'. '.join(said)}.",
        caption="Each point is a model trained from the same start with that learning "
        "rate and nothing else changed. Hollow marks: the loss became infinite.",
    )
