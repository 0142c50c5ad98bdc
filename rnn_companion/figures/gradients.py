"""The figures of chapter 3, *Exploding and vanishing gradients*."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from torch import Tensor

from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, LINES, MARKERS, PALE, figure
from rnn_companion.gradients.truncation import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "cells",
    "laboratory",
    "lessons",
    "powers",
    "prices",
    "radius",
    "reaches",
    "strategies",
]

SMALLEST = 1e-12  # what is below is drawn at the floor
STRATEGIES = ("regular", "sliding", "randomized", "without the weight")


# Matrices and cells


@figure
def powers(norms: Mapping[str, Tensor]) -> Picture:
    """Show the norms of the powers of some matrices.

    Parameters
    ----------
    norms : mapping of str to Tensor
        For each matrix, by its name, the norm of its powers 0, 1, 2, ....

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    fig, axes = plt.subplots(figsize=(7.0, 3.4))
    for i, (name, values) in enumerate(norms.items()):
        shown = [float(v) for v in values if v > 0]
        axes.plot(range(len(shown)), shown, marker=MARKERS[i], markersize=4, label=name)
    axes.axhline(1, color=INK, linewidth=0.8, linestyle="-")
    axes.set(yscale="log", xlabel="power n", ylabel="norm of the n-th power")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    ends = ", ".join(f"{k}: {_power_of_ten(float(v[-1]))}" for k, v in norms.items())
    return Picture(
        fig,
        alt=f"Norms of matrix powers on a logarithmic axis. At the last power, {ends}.",
        caption="Three matrices whose entries mislead. A zero cannot be drawn on a "
        "logarithmic axis: where a curve ends, the power is the zero matrix.",
    )


def radius(
    eigenvalues: Mapping[tuple[float, float], Tensor],
    norms: Mapping[tuple[float, float], Tensor],
    bounds: Mapping[tuple[float, float], Tensor],
) -> Frames:
    """Move the spectral radius, and see the norm against the lag.

    Parameters
    ----------
    eigenvalues : mapping of (radius, input scale) to Tensor, `(h,)`
        Of the recurrent matrix.
    norms : mapping of (radius, input scale) to Tensor, `(T+1,)`
        Norm of the derivative across lags 0 to T.
    bounds : mapping of (radius, input scale) to Tensor, `(T+1,)`
        Its bound.

    Returns
    -------
    Frames
        With the controls `spectral_radius` and `input_scale`.
    """

    def draw(spectral_radius: float, input_scale: float) -> "Figure":
        import matplotlib.pyplot as plt

        at = spectral_radius, input_scale
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.9), width_ratios=[2, 3])
        _plane(left, eigenvalues[at], max(r for r, _ in norms))
        _against_lag(right, spectral_radius, norms[at], bounds[at])
        return fig

    def alt(spectral_radius: float, input_scale: float) -> str:
        values = norms[spectral_radius, input_scale]
        inside = "inside" if spectral_radius < 1 else "outside"
        if spectral_radius == 1:
            inside = "on"
        last = len(values) - 1
        return (
            f"Left, the eigenvalues in the plane; the largest lies {inside} the unit "
            f"circle, at {spectral_radius:g}. Right, the norm of the derivative across "
            f"each lag, with inputs of scale {input_scale:g}: "
            f"{float(values[1]):.2g} at lag 1, {_power_of_ten(float(values[last]))} "
            f"at lag {last}."
        )

    return Frames(
        draw,
        {
            "spectral_radius": sorted({r for r, _ in norms}),
            "input_scale": sorted({s for _, s in norms}),
        },
        alt,
        caption="A tanh network of random weights. Left: the eigenvalues of its "
        "recurrent matrix and the unit circle. Right: the norm of the derivative "
        "against the lag, as measured; the power of the spectral radius; and the "
        "bound. Without inputs (scale 0) all units stay at zero, where tanh is linear.",
    )


def _plane(axes: "Axes", eigenvalues: Tensor, widest: float) -> None:
    from matplotlib.patches import Circle

    values = eigenvalues.numpy()
    axes.add_patch(Circle((0, 0), 1, facecolor=PALE, edgecolor=INK, linewidth=1.2))
    axes.plot(values.real, values.imag, "o", color=COLORS[0], markersize=4)
    edge = 1.1 * widest
    axes.set(
        xlim=(-edge, edge),
        ylim=(-edge, edge),
        aspect="equal",
        xlabel="real part",
        ylabel="imaginary part",
    )


def _against_lag(axes: "Axes", rho: float, norms: Tensor, bound: Tensor) -> None:
    lags = range(len(norms))
    curves = {
        "measured": norms,
        "power of the spectral radius": rho ** bound.new_tensor(lags),
        "bound": bound,
    }
    for name, curve in curves.items():
        axes.plot(lags, curve.clamp(min=1e-40), label=name)
    axes.axhline(1, color=INK, linewidth=0.8, linestyle="-")
    axes.set(
        yscale="log",
        ylim=(SMALLEST, 1e12),
        xlabel="lag (steps back)",
        ylabel="norm of the derivative",
        title=f"spectral radius {rho:g}",
    )
    axes.legend(loc="lower left", fontsize=9)


@figure
def cells(norms: Mapping[float, Mapping[str, Tensor]]) -> Picture:
    """Show the norm against the lag for several cells, with the spread over seeds.

    Parameters
    ----------
    norms : mapping of float to mapping of str to Tensor, `(seeds, T+1)`
        For each spectral radius and each cell.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, panels = plt.subplots(1, len(norms), figsize=(8.4, 3.6), sharey=True)
    for axes, (rho, by_cell) in zip(panels, norms.items(), strict=True):
        for i, (name, values) in enumerate(by_cell.items()):
            lags, drawn = range(values.shape[1]), values.clamp(min=1e-40)
            low, high = drawn.min(0).values, drawn.max(0).values
            axes.fill_between(lags, low, high, color=COLORS[i], alpha=0.2, linewidth=0)
            axes.plot(
                lags,
                drawn.median(0).values,
                color=COLORS[i],
                linestyle=LINES[i],
                marker=MARKERS[i],
                markevery=10,
                markersize=4,
                label=name,
            )
        axes.axhline(1, color=INK, linewidth=0.8, linestyle="-")
        axes.set(
            yscale="log",
            ylim=(1e-10, 1e4),
            xlabel="lag (steps back)",
            title=f"spectral radius {rho:g}",
        )
    panels[0].set_ylabel("norm of the derivative")
    panels[-1].legend(fontsize=8.5, loc="lower left")
    ends = "; ".join(
        f"at radius {rho:g} "
        + ", ".join(
            f"{name} {_power_of_ten(float(v.median(0).values[-1]))}"
            for name, v in by_cell.items()
        )
        for rho, by_cell in norms.items()
    )
    return Picture(
        fig,
        alt=f"Norm of the derivative against the lag. Medians at the last lag: {ends}.",
        caption="The state of a random cell, driven by noise: the norm of its "
        "derivative with respect to an earlier state. Lines are medians over the "
        "seeds, bands run from the smallest to the largest. The state of an LSTM is "
        "hidden and cell state together.",
    )


# Training


def prices(norms: Mapping[int, Mapping[str, Tensor]]) -> Frames:
    """Show gradient norms while training on windows of several lengths.

    Parameters
    ----------
    norms : mapping of int to mapping of str to Tensor, `(steps,)`
        For each length and each parameter the norm of its gradient at each step.

    Returns
    -------
    Frames
        With the control `parameter`.
    """
    lengths = list(norms)

    def draw(parameter: str) -> "Figure":
        import matplotlib.pyplot as plt

        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), width_ratios=[3, 2])
        for length, by_name in norms.items():
            curve = by_name[parameter]
            left.plot(range(1, len(curve) + 1), curve, linewidth=1.2, label=f"{length}")
        left.set(yscale="log", xlabel="training step", ylabel=f"norm for {parameter}")
        left.legend(title="days in the window", fontsize=8.5, title_fontsize=9, ncols=2)
        _first_steps(right, norms, parameter)
        return fig

    def alt(parameter: str) -> str:
        first = ", ".join(
            f"{float(norms[n][parameter][0]):.2f} with {n} days" for n in lengths
        )
        largest = max(float(norms[n][parameter].max()) for n in lengths)
        return (
            f"Left, the norm of the gradient for {parameter} at every training step; "
            f"the largest of all is {largest:.2f}. Right, at the first step: {first}."
        )

    return Frames(
        draw,
        {"parameter": list(norms[lengths[0]])},
        alt,
        caption="A tanh network that learns Microsoft's prices. Left: the norm of the "
        "gradient for the chosen parameter at every step. Right: at the first step, "
        "against the length of the window, for all parameters; the chosen one is bold.",
    )


def _first_steps(
    axes: "Axes", norms: Mapping[int, Mapping[str, Tensor]], chosen: str
) -> None:
    lengths = list(norms)
    for i, name in enumerate(norms[lengths[0]]):
        axes.plot(
            lengths,
            [float(norms[n][name][0]) for n in lengths],
            marker=MARKERS[i],
            markersize=5,
            linewidth=3 if name == chosen else 1,
            label=name,
        )
    axes.set(xscale="log", xlabel="days in the window", ylabel="norm at the first step")
    axes.set_xticks(lengths, [str(n) for n in lengths])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=8.5, ncols=2)


@figure
def reaches(before: Tensor, after: Mapping[int, Tensor]) -> Picture:
    """Show how far gradients reach before and after training.

    Parameters
    ----------
    before : Tensor, `(T+1,)`
        Norm against lag of the untrained network.
    after : mapping of int to Tensor
        For each length the same of the trained one.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(figsize=(7.0, 3.6))
    axes.plot(range(len(before)), before, color=INK, linewidth=2.6, label="untrained")
    for i, (length, norms) in enumerate(after.items()):
        axes.plot(
            range(len(norms)),
            norms,
            color=COLORS[i],
            linestyle=LINES[i],
            marker=MARKERS[i],
            markevery=max(1, len(norms) // 8),
            markersize=5,
            label=f"trained on {length} days",
        )
    axes.set(yscale="log", xlabel="lag (days back)", ylabel="norm of the derivative")
    axes.legend(fontsize=9)
    return Picture(
        fig,
        alt="Norm of the derivative of the last state against the lag in days, on a "
        f"logarithmic axis. Untrained, {_power_of_ten(float(before[-1]))} at lag "
        f"{len(before) - 1}; trained, "
        + ", ".join(
            f"{_power_of_ten(float(norms[-1]))} at lag {length}"
            for length, norms in after.items()
        )
        + ".",
        caption="How far a gradient reaches on windows of prices (medians over some "
        "windows), before training and after it.",
    )


@figure
def lessons(
    without: Sequence[tuple[Tensor, Tensor]],
    clipped: Sequence[tuple[Tensor, Tensor]],
    *,
    chance: float,
    threshold: float,
) -> Picture:
    """Show losses and gradient norms of training without and with clipping.

    Parameters
    ----------
    without, clipped : sequence of (losses, norms)
        For each seed the loss and the norm of the gradient before clipping.
    chance : float
        Loss of a guess.
    threshold : float
        Where gradients were clipped.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, panels = plt.subplots(2, 2, figsize=(8.4, 4.8), sharex=True, sharey="row")
    for column, (name, runs) in enumerate(
        [("without clipping", without), (f"clipped at {threshold:g}", clipped)]
    ):
        above, below = panels[:, column]
        for i, (losses, norms) in enumerate(runs):
            look = {"color": COLORS[i], "linestyle": LINES[i], "linewidth": 1.1}
            above.plot(losses, label=f"seed {i}", **look)
            below.plot(norms, **look)
        above.axhline(chance, color=INK, linewidth=0.8, linestyle="-")
        above.set_title(name)
        below.axhline(threshold, color=INK, linewidth=0.8, linestyle="-")
        below.set(yscale="log", xlabel="training step")
    panels[0, 0].set(ylabel="loss", ylim=(0, 2.5 * chance))
    panels[0, 0].legend(fontsize=8.5, ncols=3)
    panels[1, 0].set_ylabel("norm of the gradient")
    ends = [
        ", ".join(f"{float(losses[-20:].mean()):.2g}" for losses, _ in runs)
        for runs in (without, clipped)
    ]
    return Picture(
        fig,
        alt="Loss and gradient norm of networks that learn palindromes. Final losses "
        f"without clipping: {ends[0]}; clipped: {ends[1]}; a guess: {chance:.2g}.",
        caption="Networks that learn palindromes, the same starts without and with "
        "clipping. Horizontal lines: the loss of a guess (above), the threshold "
        "(below). Norms are those before clipping.",
    )


# Truncation


@figure
def strategies(
    dates: Sequence[object], close: Sequence[float], parts: Mapping[str, Sequence[int]]
) -> Picture:
    """Show where each strategy cuts a series.

    Parameters
    ----------
    dates : sequence
        Days, `(T,)`.
    close : sequence of float
        Closing prices, `(T,)`.
    parts : mapping of str to sequence of int
        For each strategy the positions at which a new part begins, without 0.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, rows = plt.subplots(len(parts), 1, figsize=(8.4, 4.4), sharex=True)
    T = len(close)
    for axes, (name, cuts) in zip(rows, parts.items(), strict=True):
        edges = [0, *cuts, T]
        for i, (start, stop) in enumerate(pairwise(edges)):
            steps = range(start, stop)
            look = {"color": COLORS[i % 2 * 3], "marker": MARKERS[i % 2]}
            axes.plot(steps, close[start:stop], linestyle="-", markersize=3.5, **look)
        for cut in cuts:
            axes.axvline(cut - 0.5, color=INK, linewidth=1, linestyle=":")
        axes.set_ylabel("dollars", fontsize=9)
        axes.set_title(name, loc="left", fontsize=9.5)
        axes.grid(visible=False)
    rows[-1].set_xlabel(f"trading days from {dates[0]} to {dates[-1]}")
    counts = ", ".join(f"{len(cuts) + 1} by {name}" for name, cuts in parts.items())
    return Picture(
        fig,
        alt=f"The same prices in rows, cut into parts: {counts}.",
        caption="The same days of Microsoft's prices, cut by each strategy. The state "
        "passes every dotted line, the gradient does not.",
    )


def laboratory(
    weights: Mapping[tuple[int, float], Mapping[str, Tensor]],
    comparisons: Mapping[tuple[int, float], Mapping[str, Comparison]],
) -> Frames:
    """Move tau and pi, and see what they do to the gradient.

    Parameters
    ----------
    weights : mapping of (tau, pi) to mapping of str to Tensor, `(T,)`
        With what weight each strategy counts paths of each lag, on average.
    comparisons : mapping of (tau, pi) to mapping of str to Comparison
        Bias and spread of each strategy.

    Returns
    -------
    Frames
        With the controls `tau` and `pi`.
    """

    def draw(tau: int, pi: float) -> "Figure":
        import matplotlib.pyplot as plt
        from matplotlib.ticker import MaxNLocator

        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 4.2))
        _weights(left, weights[tau, pi])
        _errors(right, comparisons[tau, pi])
        left.xaxis.set_major_locator(MaxNLocator(integer=True))
        fig.legend(
            *left.get_legend_handles_labels(), loc="outside lower center", ncols=4
        )
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

    return Frames(
        draw,
        {
            "tau": sorted({t for t, _ in weights}),
            "pi": sorted({p for _, p in weights}, reverse=True),
        },
        alt,
        caption="Truncation on a window of prices. Left: with what weight a strategy "
        "counts the paths of each lag, on average; the exact gradient counts all of "
        "them once. Right: its bias and its spread, as shares of the norm of the exact "
        "gradient; a zero is drawn at the left edge.",
    )


def _weights(axes: "Axes", weights: Mapping[str, Tensor]) -> None:
    for i, name in enumerate(STRATEGIES):
        axes.plot(
            weights[name],
            color=COLORS[i],
            linestyle=LINES[i],
            marker=MARKERS[i],
            markersize=4,
            label=name,
        )
    axes.set(ylim=(-0.05, 1.15), xlabel="lag (steps back)", ylabel="mean weight")


def _errors(axes: "Axes", comparisons: Mapping[str, Comparison]) -> None:
    floor = 1e-3
    for i, name in enumerate(STRATEGIES):
        found, y = comparisons[name], len(STRATEGIES) - i
        for value, marker, shift in (
            (found.bias, "s", 0.12),
            (found.spread, "D", -0.12),
        ):
            at = max(value, floor)
            axes.plot([floor, at], [y + shift] * 2, color=COLORS[i], linestyle="-")
            filled = COLORS[i] if marker == "s" else "white"
            axes.plot(at, y + shift, marker, color=COLORS[i], markerfacecolor=filled)
    for marker, filled, name in (("s", INK, "bias"), ("D", "white", "spread")):
        axes.plot([], [], marker, color=INK, markerfacecolor=filled, label=name)
    axes.set(xscale="log", xlim=(floor, 1e2), ylim=(0.5, len(STRATEGIES) + 0.5))
    axes.set_xlabel("share of the exact gradient's norm")
    axes.set_yticks(range(len(STRATEGIES), 0, -1), STRATEGIES)
    axes.legend(fontsize=8.5, loc="upper right")


def _power_of_ten(value: float) -> str:
    return f"{value:.1e}"
