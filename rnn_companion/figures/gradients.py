"""The figures of chapter 3, *Exploding and vanishing gradients*."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from rnn_companion.figures.draw import curves, last, look, plain_ticks
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, PALE, figure
from rnn_companion.forecasting.records import Record

ByState = Mapping[tuple[float, float], Tensor]  # radius and input scale
Lessons = Sequence[tuple[Tensor, Tensor]]  # losses and gradient norms by step


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
    fig, axes = plt.subplots(figsize=(7.0, 3.4))
    curves(axes, {name: n[n > 0] for name, n in norms.items()}, markersize=4)
    _level(axes, 1)
    axes.set(yscale="log", xlabel="power n", ylabel="norm of the n-th power")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return Picture(
        fig,
        alt="Norms of matrix powers on a logarithmic axis. At the last power, "
        f"{', '.join(last(norms, '.1e', ': '))}.",
        caption="Three matrices whose entries mislead. A zero cannot be drawn on a "
        "logarithmic axis: where a curve ends, the power is the zero matrix.",
    )


def radius(eigenvalues: ByState, norms: ByState, bounds: ByState) -> Frames:
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

    def draw(spectral_radius: float, input_scale: float) -> Figure:
        at = spectral_radius, input_scale
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.9), width_ratios=[2, 3])
        _plane(left, eigenvalues[at], 1.1 * max(r for r, _ in norms))
        _against_lag(right, spectral_radius, norms[at], bounds[at])
        return fig

    def alt(spectral_radius: float, input_scale: float) -> str:
        values = norms[spectral_radius, input_scale].tolist()
        inside = "inside" if spectral_radius < 1 else "outside"
        where = "on" if spectral_radius == 1 else inside
        return (
            f"Left, the eigenvalues in the plane; the largest lies {where} the unit "
            f"circle, at {spectral_radius:g}. Right, the norm of the derivative across "
            f"each lag, with inputs of scale {input_scale:g}: {values[1]:.2g} at lag "
            f"1, {values[-1]:.1e} at lag {len(values) - 1}."
        )

    radii, scales = (sorted(set(values)) for values in zip(*norms, strict=True))
    return Frames(
        draw,
        {"spectral_radius": radii, "input_scale": scales},
        alt,
        caption="A tanh network of random weights. Left: the eigenvalues of its "
        "recurrent matrix and the unit circle. Right: the norm of the derivative "
        "against the lag, as measured; the power of the spectral radius; and the "
        "bound. Without inputs (scale 0) all units stay at zero, where tanh is linear.",
        steady=True,
    )


def _plane(axes: Axes, eigenvalues: Tensor, edge: float) -> None:
    axes.add_patch(Circle((0, 0), 1, facecolor=PALE, edgecolor=INK, linewidth=1.2))
    axes.plot(eigenvalues.real, eigenvalues.imag, "o", color=COLORS[0], markersize=4)
    axes.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal")
    axes.set(xlabel="real part", ylabel="imaginary part")


def _against_lag(axes: Axes, rho: float, norms: Tensor, bound: Tensor) -> None:
    lines = {
        "measured": norms,
        "power of the spectral radius": rho ** bound.new_tensor(range(len(norms))),
        "bound": bound,
    }
    drawn = {name: line.clamp(min=1e-40) for name, line in lines.items()}
    curves(axes, drawn, marker="")
    _level(axes, 1)
    axes.set(yscale="log", ylim=(1e-12, 1e12), title=f"spectral radius {rho:g}")
    axes.set(xlabel="lag (steps back)", ylabel="norm of the derivative")
    axes.legend(loc="lower left", fontsize=9)


def _level(axes: Axes, height: float) -> None:
    axes.axhline(height, color=INK, linewidth=0.8, linestyle="-")


@figure
def norms_by_cell(norms: Mapping[float, Mapping[str, Tensor]]) -> Picture:
    """Show the norm against the lag for several cells, with the spread over seeds.

    Parameters
    ----------
    norms : mapping of float to mapping of str to Tensor, `(seeds, T+1)`
        For each spectral radius and each cell.

    Returns
    -------
    Picture
    """
    fig, panels = plt.subplots(1, len(norms), figsize=(8.4, 3.6), sharey=True)
    ends = []
    for axes, (rho, by_cell) in zip(panels, norms.items(), strict=True):
        drawn = {name: values.clamp(min=1e-40) for name, values in by_cell.items()}
        for color, v in zip(COLORS, drawn.values(), strict=False):
            lags, low, high = range(v.shape[1]), v.amin(0), v.amax(0)
            axes.fill_between(lags, low, high, color=color, alpha=0.2, linewidth=0)
        medians = {name: v.median(0).values for name, v in drawn.items()}
        curves(axes, medians, marks=5, markersize=4)
        _level(axes, 1)
        axes.set(yscale="log", ylim=(1e-10, 1e4), title=f"spectral radius {rho:g}")
        axes.set_xlabel("lag (steps back)")
        ends.append(f"at radius {rho:g} {', '.join(last(medians, '.1e'))}")
    panels[0].set_ylabel("norm of the derivative")
    panels[-1].legend(fontsize=8.5, loc="lower left")
    return Picture(
        fig,
        alt="Norm of the derivative against the lag. Medians at the last lag: "
        f"{'; '.join(ends)}.",
        caption="The state of a random cell, driven by noise: the norm of its "
        "derivative with respect to an earlier state. Lines are medians over the "
        "seeds, bands run from the smallest to the largest. The state of an LSTM is "
        "hidden and cell state together.",
    )


def norms_in_training(norms: Mapping[int, Mapping[str, Tensor]]) -> Frames:
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
    parameters = list(next(iter(norms.values())))
    first = {p: [float(by[p][0]) for by in norms.values()] for p in parameters}

    def draw(parameter: str) -> Figure:
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), width_ratios=[3, 2])
        lines = {f"{length}": by[parameter] for length, by in norms.items()}
        curves(left, lines, begin=1, marker="", linewidth=1.2)
        left.set(yscale="log", xlabel="training step", ylabel=f"norm for {parameter}")
        left.legend(title="days in the window", fontsize=8.5, title_fontsize=9, ncols=2)
        curves(right, first, list(norms), markersize=5, linewidth=1)
        right.lines[parameters.index(parameter)].set_linewidth(3)
        right.set(xscale="log", ylim=(0, None), ylabel="norm at the first step")
        right.set_xticks(list(norms), [str(length) for length in norms])
        right.set_xlabel("days in the window")
        right.minorticks_off()
        right.legend(fontsize=8.5, ncols=2)
        return fig

    def alt(parameter: str) -> str:
        pairs = zip(first[parameter], norms, strict=True)
        said = ", ".join(f"{norm:.2f} with {length} days" for norm, length in pairs)
        largest = max(float(by[parameter].max()) for by in norms.values())
        return (
            f"Left, the norm of the gradient for {parameter} at every training step; "
            f"the largest of all is {largest:.2f}. Right, at the first step: {said}."
        )

    return Frames(
        draw,
        {"parameter": parameters},
        alt,
        caption="A tanh network that learns Microsoft's prices. Left: the norm of the "
        "gradient for the chosen parameter at every step. Right: at the first step, "
        "against the length of the window, for all parameters; the chosen one is bold.",
    )


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
    fig, axes = plt.subplots(figsize=(7.0, 3.6))
    axes.plot(range(len(before)), before, color=INK, linewidth=2.6, label="untrained")
    trained = {f"trained on {length} days": norms for length, norms in after.items()}
    curves(axes, trained, marks=8, markersize=5)
    axes.set(yscale="log", xlabel="lag (days back)", ylabel="norm of the derivative")
    axes.legend(fontsize=9, loc="lower left")
    near = min(10, len(before) - 1)  # the shortest windows, which end at once
    inset = axes.inset_axes((0.52, 0.5, 0.46, 0.46))
    inset.plot(range(near + 1), before[: near + 1], color=INK, linewidth=2.6)
    curves(inset, {name: n[: near + 1] for name, n in trained.items()}, markersize=5)
    inset.set(yscale="log", xlim=(-0.3, near + 0.3))
    inset.set_title(f"the first {near} days", fontsize=9)
    inset.tick_params(labelsize=8)
    ends = [f"{float(norms[-1]):.1e} at lag {T}" for T, norms in after.items()]
    return Picture(
        fig,
        alt="Norm of the derivative of the last state against the lag in days, on a "
        f"logarithmic axis. Untrained, {float(before[-1]):.1e} at lag "
        f"{len(before) - 1}; trained, {', '.join(ends)}. An inset enlarges the first "
        "days.",
        caption="How far a gradient reaches on windows of prices (medians over some "
        "windows), before training and after it. The small picture enlarges the first "
        "days, where the short windows end.",
    )


@figure
def remedies(runs: Mapping[int, Mapping[str, Sequence[Record]]]) -> Picture:
    """Show gradient norms of some remedies, and below them what they forecast.

    Parameters
    ----------
    runs : mapping of int to mapping of str to sequence of Record
        For each length and remedy the runs of some seeds, with gradient norms.

    Returns
    -------
    Picture
    """
    shape = 2, len(runs)
    fig, axes = plt.subplots(*shape, figsize=(8.4, 5), sharey="row", squeeze=False)
    every, said = list[float](), list[str]()
    for (above, below), (length, by_name) in zip(axes.T, runs.items(), strict=True):
        norms = {name: _median_norms(records) for name, records in by_name.items()}
        curves(above, norms, begin=1, markersize=5)
        for n, records in enumerate(by_name.values()):
            errors = [record.mse / record.persistence_mse for record in records]
            points = look(n, linestyle="none", alpha=0.8)
            below.plot([n] * len(errors), errors, **points)
            every += errors
        _level(below, 1)
        above.set(yscale="log", xlabel="epoch", title=f"{length} days")
        above.xaxis.set_major_locator(MaxNLocator(integer=True))
        below.set(yscale="log", xticks=[], xlim=(-0.6, len(by_name) - 0.4))
        said.append(f"with {length} days {', '.join(last(norms, '.2g'))}")
    axes[0, 0].set_ylabel("largest norm of the gradient")
    axes[1, 0].set_ylabel("error over that of\n“tomorrow = today”")
    plain_ticks(axes[1, 0].yaxis, every)
    names = axes[0, 0].get_legend_handles_labels()
    fig.legend(*names, loc="outside lower center", ncols=3)
    return Picture(
        fig,
        alt="Above, the largest norm of the gradient in each epoch; in the last, "
        f"{'; '.join(said)}. Below, the validation error of each run over that of "
        f"tomorrow = today: {min(every):.2g} to {max(every):.2g}, with a line at 1.",
        caption="Networks that forecast Microsoft's prices, by the days they read. "
        "Above: the largest norm of the gradient in each epoch, before clipping and "
        "penalty; medians over the seeds. Below: the validation error, a point for "
        "each seed; the line is “tomorrow = today”, and lower is better.",
    )


def _median_norms(records: Sequence[Record]) -> Tensor:
    """Return the median norm in each epoch, `(epochs,)`."""
    return torch.tensor([record.gradient_norms for record in records]).median(0).values


@figure
def lessons(
    without: Lessons, clipped: Lessons, *, chance: float, threshold: float
) -> Picture:
    """Show losses and gradient norms of training without and with clipping.

    Parameters
    ----------
    without, clipped : sequence of (losses, norms), each `(steps,)`
        For each seed the loss and the norm of the gradient before clipping.
    chance : float
        Loss of a guess.
    threshold : float
        Where gradients were clipped.

    Returns
    -------
    Picture
    """
    fig, panels = plt.subplots(2, 2, figsize=(8.4, 4.8), sharex=True, sharey="row")
    columns = {"without clipping": without, f"clipped at {threshold:g}": clipped}
    ends = []
    for (above, below), (name, runs) in zip(panels.T, columns.items(), strict=True):
        losses = {f"seed {i}": loss for i, (loss, _) in enumerate(runs)}
        norms = {f"seed {i}": norm for i, (_, norm) in enumerate(runs)}
        curves(above, losses, marker="", linewidth=1.1)
        curves(below, norms, marker="", linewidth=1.1)
        _level(above, chance)
        _level(below, threshold)
        above.set_title(name)
        below.set(yscale="log", xlabel="training step")
        ends.append(", ".join(f"{float(v[-20:].mean()):.2g}" for v in losses.values()))
    panels[0, 0].set(ylabel="loss", ylim=(0, 2.5 * chance))
    panels[0, 0].legend(fontsize=8.5, ncols=3)
    panels[1, 0].set_ylabel("norm of the gradient")
    return Picture(
        fig,
        alt="Loss and gradient norm of networks that learn palindromes. Final losses "
        f"without clipping: {ends[0]}; clipped: {ends[1]}; a guess: {chance:.2g}.",
        caption="Networks that learn palindromes, the same starts without and with "
        "clipping. Horizontal lines: the loss of a guess (above), the threshold "
        "(below). Norms are those before clipping.",
    )
