"""The figures of chapter 4, *The LSTM*."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, LINES, MARKERS, PALE, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "descents",
    "diagram",
    "gates_by_hand",
    "gates_on_prices",
    "learning_rates",
    "memory",
    "one_unit",
    "validation_curves",
]

Point = tuple[float, float]


@figure
def diagram() -> Picture:
    """Draw the cell: what flows where between two steps (`eq-lstm-i` to `eq-lstm-h`).

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7.6, 4.2))
    gate_at = {"f": 1.6, "i": 3.0, "g": 4.4, "o": 5.8}
    _arrow(ax, (0.0, 4.0), (1.38, 4.0))
    _arrow(ax, (1.82, 4.0), (3.48, 4.0))
    _arrow(ax, (3.92, 4.0), (8.6, 4.0))
    ax.plot([0.0, 5.8], [0.9, 0.9], "-", color=INK, lw=1.4)
    ax.plot([0.7, 0.7], [0.2, 0.9], "-", color=INK, lw=1.4)
    for name, x in gate_at.items():
        _arrow(ax, (x, 0.9), (x, 1.32))
        _box(ax, (x, 1.6), "tanh" if name == "g" else r"$\sigma$")
    _arrow(ax, (1.6, 1.88), (1.6, 3.78), "$f_t$")
    _arrow(ax, (3.0, 1.88), (3.48, 2.62), "$i_t$", left=True)
    _arrow(ax, (4.4, 1.88), (3.92, 2.62), "$g_t$")
    _arrow(ax, (3.7, 3.02), (3.7, 3.78))
    _arrow(ax, (7.0, 4.0), (7.0, 3.18))
    _box(ax, (7.0, 2.9), "tanh")
    _arrow(ax, (7.0, 2.62), (7.0, 1.82))
    _arrow(ax, (6.12, 1.6), (6.78, 1.6), "$o_t$", above=True)
    _arrow(ax, (7.22, 1.6), (8.6, 1.6))
    for at, sign in {
        (1.6, 4.0): "×",
        (3.7, 4.0): "+",
        (3.7, 2.8): "×",
        (7.0, 1.6): "×",
    }.items():
        _circle(ax, at, sign)
    ax.text(-0.1, 4.0, "$c_{t-1}$", ha="right", va="center", fontsize=13)
    ax.text(-0.1, 0.9, "$h_{t-1}$", ha="right", va="center", fontsize=13)
    ax.text(0.7, 0.1, "$x_t$", ha="center", va="top", fontsize=13)
    ax.text(8.7, 4.0, "$c_t$", ha="left", va="center", fontsize=13)
    ax.text(8.7, 1.6, "$h_t$", ha="left", va="center", fontsize=13)
    for x, word in zip(
        gate_at.values(), ("forget", "write", "what", "show"), strict=True
    ):
        ax.text(x + 0.12, 0.62, word, ha="center", va="center", fontsize=9.5)
    ax.set(xlim=(-0.8, 9.2), ylim=(-0.3, 4.5), aspect="equal")
    ax.axis("off")
    return Picture(
        fig,
        alt=(
            "The LSTM cell. A straight line along the top carries the cell state from "
            "c at step t minus 1 to c at step t; on it stand a multiplication by the "
            "forget gate f and an addition of the product of input gate i and "
            "candidate g. The previous hidden state and the input, below, feed four "
            "boxes: a sigmoid each for f, i and o, a tanh for g. On the right the new "
            "cell state goes through tanh and is multiplied by the output gate o, "
            "which gives the hidden state."
        ),
        caption=(
            "One step of the LSTM. Boxes have weights and biases of their own, but "
            "for the tanh on the right, which has none; circles work elementwise. "
            "Along the top line, from cell to cell, nothing is squashed and no "
            "matrix is multiplied."
        ),
    )


def _arrow(
    ax: "Axes",
    start: Point,
    end: Point,
    label: str = "",
    *,
    left: bool = False,
    above: bool = False,
) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=end, xytext=start, arrowprops=style)
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    shift = (0.0, 0.2) if above else (-0.22 if left else 0.22, 0.0)
    ax.text(x + shift[0], y + shift[1], label, ha="center", va="center", fontsize=12)


def _box(ax: "Axes", at: Point, text: str) -> None:
    style = {"boxstyle": "round,pad=0.45", "facecolor": PALE, "edgecolor": INK}
    ax.text(*at, text, ha="center", va="center", bbox=style, zorder=3, fontsize=11)


def _circle(ax: "Axes", at: Point, text: str) -> None:
    style = {"boxstyle": "circle,pad=0.2", "facecolor": "white", "edgecolor": INK}
    ax.text(*at, text, ha="center", va="center", bbox=style, zorder=3, fontsize=12)


class Unit(NamedTuple):
    """What happens in one unit at each step; all `(T,)`."""

    kept: Tensor  # f_t c_{t-1}
    written: Tensor  # i_t g_t
    c: Tensor
    h: Tensor


def one_unit(a_i: Tensor, a_f: Tensor, a_g: Tensor, a_o: Tensor) -> Unit:
    """Run one LSTM unit on pre-activations set by hand, each `(T,)`.

    The pre-activations are fed in as four inputs through the identity matrix, with
    no recurrent weights and no bias: what runs is `networks.lstm` as it is.
    """
    X = torch.stack([a_i, a_f, a_g, a_o], dim=1)[:, None]  # (T, 1, 4)
    parameters = torch.eye(4).to(X), X.new_zeros(4, 1), X.new_zeros(4)
    zero = X.new_zeros(1, 1)
    H, C = networks.lstm(X, zero, zero, *parameters)
    i, f, g, _ = networks.lstm_gates(X, X.new_zeros(len(X), 1, 1), *parameters)
    kept = f * torch.cat([zero[None], C[:-1]])
    return Unit(*(part.flatten() for part in (kept, i * g, C, H)))


def gates_by_hand(candidates: Sequence[float]) -> Frames:
    """Set the gates and see what is forgotten, written and shown.

    Parameters
    ----------
    candidates : sequence of float
        The candidate's pre-activation at each step; a live notebook takes the
        reader's own.

    Returns
    -------
    Frames
        With the controls `forget_gate`, `input_gate` and `output_gate`, which are
        pre-activations, the same at every step.
    """
    default = ", ".join(f"{a:g}" for a in candidates)

    def unit(sequence: str, **gates: float) -> Unit:
        a_g = _numbers(sequence)
        a_i, a_f, a_o = (
            torch.full_like(a_g, gates[f"{name}_gate"])
            for name in ("input", "forget", "output")
        )
        return one_unit(a_i, a_f, a_g, a_o)

    def draw(sequence: str = default, **gates: float) -> "Figure":
        return _unit(_numbers(sequence), unit(sequence, **gates), gates)

    def alt(sequence: str = default, **gates: float) -> str:
        result = unit(sequence, **gates)
        opened = ", ".join(f"{n} {_opening(a):.2f}" for n, a in _words(gates))
        return (
            f"Gates open: {opened}. After {len(result.c)} steps the cell holds "
            f"{result.c[-1]:.3f} and shows {result.h[-1]:.3f}; the largest value it "
            f"held was {result.c[result.c.abs().argmax()]:.3f}."
        )

    coarse = (4, 0, -4)
    return Frames(
        draw,
        {
            "forget_gate": (4, 2, 0, -2, -4),
            "input_gate": coarse,
            "output_gate": coarse,
        },
        alt,
        caption=(
            "One unit whose pre-activations are set by hand: 4 opens a gate to 0.98, "
            "0 to one half, -4 to 0.02. Above, the candidate that arrives at each "
            "step; in the middle what the cell keeps of its past and what is written "
            "into it; below, what it shows."
        ),
        live={"sequence": default},
    )


def _numbers(sequence: str) -> Tensor:
    """Read numbers between commas or spaces."""
    words = sequence.replace(",", " ").split()
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise ValueError(
            f"sequence: {str(error).split(': ')[-1]} is not a number; write numbers "
            "between commas"
        ) from None
    if not 1 <= len(numbers) <= 60:
        raise ValueError(f"sequence has {len(numbers)} numbers: write 1 to 60")
    if not all(abs(number) < 1e6 for number in numbers):
        raise ValueError("sequence: write numbers between -1e6 and 1e6")
    return torch.tensor(numbers, dtype=torch.float64)


def _opening(pre_activation: float) -> float:
    return float(torch.sigmoid(torch.tensor(pre_activation)))


def _words(gates: Mapping[str, float]) -> list[tuple[str, float]]:
    return [(name.removesuffix("_gate"), value) for name, value in gates.items()]


@figure
def _unit(a_g: Tensor, unit: Unit, gates: Mapping[str, float]) -> "Figure":
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(3, sharex=True, figsize=(7, 5), height_ratios=[2, 3, 2])
    steps = range(1, len(a_g) + 1)
    top, middle, bottom = axes
    top.bar(steps, a_g.tanh().numpy(), color=COLORS[5], edgecolor=INK, lw=0.5)
    top.set(ylabel="candidate $g_t$", ylim=(-1.1, 1.1))
    sides = {"width": 0.36, "edgecolor": INK, "lw": 0.5}
    left, right = [t - 0.2 for t in steps], [t + 0.2 for t in steps]
    middle.bar(
        left, unit.kept.numpy(), color=COLORS[0], label="kept $f_t c_{t-1}$", **sides
    )
    middle.bar(
        right,
        unit.written.numpy(),
        color=COLORS[1],
        hatch="///",
        label="written $i_t g_t$",
        **sides,
    )
    middle.plot(steps, unit.c.numpy(), "D-", color=INK, ms=4, lw=1, label="cell $c_t$")
    reach = max(1.1, 1.1 * float(unit.c.abs().max()))
    middle.set(ylabel="cell", ylim=(-reach, reach))
    middle.legend(ncols=3, fontsize=9, loc="lower left")
    bottom.plot(steps, unit.h.numpy(), "o-", color=COLORS[3], ms=5)
    bottom.set(ylabel="shown $h_t$", xlabel="step $t$", ylim=(-1.1, 1.1))
    opened = ",  ".join(f"{n} gate {_opening(a):.2f}" for n, a in _words(gates))
    fig.suptitle(
        f"{opened};  $c_{{{len(a_g)}}}$ = {unit.c[-1]:.3f},  "
        f"$h_{{{len(a_g)}}}$ = {unit.h[-1]:.3f}".replace("-", "\N{MINUS SIGN}"),
        fontsize=10.5,
    )
    return fig


@figure
def memory(
    shares: Mapping[str, Tensor], what: str = "gradient of the last state"
) -> Picture:
    """Draw how much of a gradient is left after so many steps.

    Parameters
    ----------
    shares : mapping of str to Tensor, each `(lags,)`
        For each network the norm at lag 0, 1, ...
    what : str
        What the norm is of, for the axis.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    for n, (name, share) in enumerate(shares.items()):
        lags = range(len(share))
        ax.plot(
            lags,
            share.clamp_min(1e-12).numpy(),
            color=COLORS[n],
            linestyle=LINES[n],
            marker=MARKERS[n],
            markevery=(2 * n, 10),
            label=name,
        )
    ax.set(yscale="log", xlabel="steps back", ylabel=f"{what}, relative")
    ax.legend()
    length = len(share) - 1
    left = ", ".join(
        f"{name}: {float(share[-1]):.0e}" for name, share in shares.items()
    )
    return Picture(
        fig,
        alt=(
            f"How much of the {what} is left after 0 to {length} steps, on a "
            f"logarithmic axis. At {length} steps: {left}."
        ),
        caption=(
            f"The {what} by a state so many steps back, as a share of its value at "
            "the last step; median over several random networks before training."
        ),
    )


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
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.9))
    reach = max(float(path.abs().max()) for path in paths.values()) * 1.1
    grid = torch.linspace(-reach, reach, 80)
    across, along = torch.meshgrid(grid, grid, indexing="xy")
    height = (curvatures[0] * across**2 + curvatures[1] * along**2) / 2
    left.contour(
        grid.numpy(),
        grid.numpy(),
        height.sqrt().numpy(),
        12,
        colors="#BBBBBB",
        linewidths=0.8,
    )
    for n, (name, path) in enumerate(paths.items()):
        look: dict[str, Any] = {
            "color": COLORS[n],
            "linestyle": LINES[n],
            "label": name,
        }
        left.plot(*path.T.numpy(), marker=MARKERS[n], ms=3, markevery=5, lw=1.3, **look)
        distance = path.norm(dim=1).clamp_min(1e-18)
        right.plot(distance.numpy(), lw=1.5, **look)
    left.set(xlabel="$w_1$", ylabel="$w_2$", ylim=(-0.4 * reach, reach))
    left.grid(visible=False)
    right.set(yscale="log", xlabel="step $k$", ylabel="distance from the minimum")
    fig.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    ends = ", ".join(f"{n} {float(p[-1].norm()):.0e}" for n, p in paths.items())
    return Picture(
        fig,
        alt=(
            "Left, the paths of four rules across the contours of a long valley. "
            "Right, their distance from the minimum against the step, on a "
            f"logarithmic axis. It ends at: {ends}."
        ),
        caption=(
            "Four rules in one valley. Those that divide by the size of the gradient "
            "head for the minimum as if both directions were equally steep. RMSprop "
            "comes nearest, and does not stay: with ever less to divide by, its steps "
            "grow again. (Distances below 1e-18 are cut off.)"
        ),
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
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.2))
    for n, (name, sweep) in enumerate(sweeps.items()):
        table = pd.Series(dict(sweep)).sort_index()
        look: dict[str, Any] = {"color": COLORS[n], "marker": MARKERS[n]}
        ax.plot(table.index, table, linestyle=LINES[n], label=name, **look)
        gone = table.index[table.isna()]
        ax.plot(
            gone, [0.6 * 0.7**n] * len(gone), linestyle="", mfc="none", ms=9, **look
        )
        for rate in gone:
            ax.annotate(" diverged", (rate, 0.6 * 0.7**n), fontsize=8.5, va="center")
    by_side = ax.get_yaxis_transform()  # across the axes, up in errors
    words: dict[str, Any] = {"fontsize": 9, "va": "bottom"}
    for n, (name, level) in enumerate(levels.items()):
        ax.axhline(level, color=INK, linestyle=(":", "--")[n % 2], lw=1)
        end, side = ((0, "left"), (1, "right"))[n % 2]
        ax.annotate(name, (end, level), xycoords=by_side, ha=side, **words)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="learning rate",
        ylabel="validation error (scaled, squared)",
        ylim=(None, 1.2),
    )
    ax.legend(fontsize=9.5, loc="center left")
    return Picture(
        fig,
        alt="Validation error against learning rate. "
        + _sweeps_in_words(sweeps, levels),
        caption=(
            "Each point is a model trained from the same start with that learning "
            "rate and nothing else changed. Hollow marks: the loss became infinite."
        ),
    )


def _sweeps_in_words(
    sweeps: Mapping[str, Mapping[float, float]], levels: Mapping[str, float]
) -> str:
    said = []
    for name, sweep in sweeps.items():
        table = pd.Series(dict(sweep)).sort_index()
        gone = ", ".join(f"{rate:g}" for rate in table.index[table.isna()])
        said.append(
            f"{name}: {table.iloc[0]:.1g} at {table.index[0]:g}, best "
            f"{table.min():.1g} at {table.idxmin():g}"
            + (f", diverged at {gone}." if gone else ".")
        )
    said += [f"{name}: {level:.1g}." for name, level in levels.items()]
    return " ".join(said)


@figure
def validation_curves(
    curves: Mapping[str, Sequence[float] | Sequence[Sequence[float]]],
    persistence: float,
) -> Picture:
    """Draw validation errors by epoch, and that of "tomorrow = today".

    Parameters
    ----------
    curves : mapping of str to sequence of float, or of one such sequence per seed
        Validation error after each epoch. Seeds are drawn thin, and bold their mean.
    persistence : float
        The error of "tomorrow = today".

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots()
    ends = []
    for n, (name, curve) in enumerate(curves.items()):
        table = torch.atleast_2d(torch.tensor(curve))  # (seeds, epochs)
        epochs = range(1, table.shape[1] + 1)
        look: dict[str, Any] = {"color": COLORS[n], "linestyle": LINES[n]}
        if len(table) > 1:
            ax.plot(epochs, table.T.numpy(), lw=0.8, alpha=0.6, **look)
        mean = table.mean(0)
        ax.plot(epochs, mean.numpy(), marker=MARKERS[n], label=name, **look)
        ends.append(f"{name} {float(mean[-1]):.2g}")
    ax.axhline(persistence, color=INK, linestyle=":", lw=1.2, label="tomorrow = today")
    ax.set(yscale="log", xlabel="epoch", ylabel="validation error (scaled, squared)")
    ax.legend()
    return Picture(
        fig,
        alt=(
            f"Validation error by epoch. At the end: {', '.join(ends)}; "
            f"tomorrow = today, a horizontal line, {persistence:.2g}."
        ),
        caption="Validation error after each epoch; the dotted line forecasts nothing.",
    )


@figure
def gates_on_prices(
    dates: pd.DatetimeIndex, close: Tensor, gates: networks.Gates, C: Tensor
) -> Picture:
    """Draw what the gates of a trained LSTM do while it reads real prices.

    Parameters
    ----------
    dates : pandas.DatetimeIndex
        The days read, `(T,)`.
    close : Tensor, `(T,)`
        Their closes in dollars.
    gates : Gates
        Each `(T, h)`.
    C : Tensor, `(T, h)`
        The cell states.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    named = {"forget $f_t$": gates.f, "input $i_t$": gates.i, "output $o_t$": gates.o}
    fig, (top, *panels) = plt.subplots(
        5, sharex=True, figsize=(7, 7.5), height_ratios=[3, 2, 2, 2, 3]
    )
    top.plot(dates, close.numpy(), color=INK)
    top.set_ylabel("close ($)")
    for ax, (name, gate) in zip(
        panels, {**named, "cell $c_t$": C}.items(), strict=True
    ):
        ax.plot(dates, gate.numpy(), "-", color=COLORS[0], lw=0.7, alpha=0.7)
        ax.set_ylabel(name)
        if gate is not C:
            ax.set_ylim(0, 1)
    fig.autofmt_xdate()
    means = ", ".join(f"{n.split()[0]} {float(g.mean()):.2f}" for n, g in named.items())
    return Picture(
        fig,
        alt=(
            f"{len(dates)} days of closes from {dates[0]:%Y-%m-%d}; below, a line for "
            "every unit: how far its gates are open "
            f"(on average: {means}), and its cell state, which stays within "
            f"{float(C.min()):.2f} and {float(C.max()):.2f}."
        ),
        caption=(
            "A trained LSTM reads a window of closes. Below them a line for each of "
            "its units: the openings of its three gates, and its cell state, which "
            "starts from zero."
        ),
    )
