"""The figures of chapter 4, *The LSTM*."""

from collections.abc import Mapping, Sequence
from math import exp

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from rnn_companion import networks
from rnn_companion.figures.draw import (
    Runs,
    arrow,
    board,
    curves,
    last,
    look,
    node,
    seeds,
)
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, figure

GATES = (  # place, function, what it does
    (1.6, r"$\sigma$", "forget"),
    (3.0, r"$\sigma$", "write"),
    (4.4, "tanh", "what"),
    (5.8, r"$\sigma$", "show"),
)
ARROWS = (  # from and to
    ((0.0, 4.0), (1.38, 4.0)),
    ((1.82, 4.0), (3.48, 4.0)),
    ((3.92, 4.0), (8.6, 4.0)),
    ((1.6, 1.88), (1.6, 3.78)),
    ((3.0, 1.88), (3.48, 2.62)),
    ((4.4, 1.88), (3.92, 2.62)),
    ((3.7, 3.02), (3.7, 3.78)),
    ((7.0, 4.0), (7.0, 3.18)),
    ((7.0, 2.62), (7.0, 1.82)),
    ((6.12, 1.6), (6.78, 1.6)),
    ((7.22, 1.6), (8.6, 1.6)),
)
CIRCLES = {(1.6, 4.0): "×", (3.7, 4.0): "+", (3.7, 2.8): "×", (7.0, 1.6): "×"}
SYMBOLS = (  # place, text, size, alignment
    ((1.82, 2.83), "$f_t$", 12, "center"),
    ((3.02, 2.25), "$i_t$", 12, "center"),
    ((4.38, 2.25), "$g_t$", 12, "center"),
    ((6.45, 1.8), "$o_t$", 12, "center"),
    ((-0.1, 4.0), "$c_{t-1}$", 13, "right"),
    ((-0.1, 0.9), "$h_{t-1}$", 13, "right"),
    ((8.7, 4.0), "$c_t$", 13, "left"),
    ((8.7, 1.6), "$h_t$", 13, "left"),
)


@figure
def diagram() -> Picture:
    """Draw the cell: what flows where between two steps (`eq-lstm-i` to `eq-lstm-h`).

    Returns
    -------
    Picture
    """
    fig, ax = board(7.6, 4.2, (-0.8, 9.2), (-0.3, 4.5))
    ax.plot([0.0, 5.8], [0.9, 0.9], "-", color=INK, lw=1.4)
    ax.plot([0.7, 0.7], [0.2, 0.9], "-", color=INK, lw=1.4)
    inputs = [((x, 0.9), (x, 1.32)) for x, _, _ in GATES]
    for start, end in (*inputs, *ARROWS):
        arrow(ax, start, end, lw=1.4, mutation_scale=10.5, shrinkA=0, shrinkB=0)
    for x, function, word in GATES:
        node(ax, (x, 1.6), function, size=11)
        ax.text(x + 0.12, 0.62, word, ha="center", va="center", fontsize=9.5)
    node(ax, (7.0, 2.9), "tanh", size=11)
    for at, sign in CIRCLES.items():
        node(ax, at, sign, size=12, boxstyle="circle,pad=0.2", facecolor="white")
    ax.text(0.7, 0.1, "$x_t$", ha="center", va="top", fontsize=13)
    for at, symbol, size, side in SYMBOLS:
        ax.text(*at, symbol, fontsize=size, ha=side, va="center")
    return Picture(
        fig,
        alt="The LSTM cell. A straight line along the top carries the cell state from "
        "c at step t minus 1 to c at step t; on it stand a multiplication by the "
        "forget gate f and an addition of the product of input gate i and candidate g. "
        "The previous hidden state and the input, below, feed four boxes: a sigmoid "
        "each for f, i and o, a tanh for g. On the right the new cell state goes "
        "through tanh and is multiplied by the output gate o, which gives the hidden "
        "state.",
        caption="One step of the LSTM. Boxes have weights and biases of their own, but "
        "for the tanh on the right, which has none; circles work elementwise. Along "
        "the top line, from cell to cell, nothing is squashed and no matrix is "
        "multiplied.",
    )


def one_unit(
    a_g: Tensor, forget_gate: float, input_gate: float, output_gate: float
) -> tuple[Tensor, ...]:
    """Run one LSTM unit on pre-activations set by hand.

    The pre-activations are fed in as four inputs through the identity matrix, with
    no recurrent weights and no bias: what runs is `networks.lstm` as it is.

    Parameters
    ----------
    a_g : Tensor, `(T,)`
        Of the candidate.
    forget_gate, input_gate, output_gate : float
        Of the gates, the same at every step.

    Returns
    -------
    tuple of four Tensor, each `(T,)`
        What is kept, f_t c_{t-1}; what is written, i_t g_t; c_t; h_t.
    """
    parts = (input_gate, forget_gate, a_g, output_gate)
    X = torch.stack([torch.zeros_like(a_g) + a for a in parts], 1)[:, None]  # (T, 1, 4)
    parameters = torch.eye(4).to(X), X.new_zeros(4, 1), X.new_zeros(4)
    zero = X.new_zeros(1, 1)
    H, C = networks.lstm(X, zero, zero, *parameters)
    i, f, g, _ = networks.lstm_gates(X, X.new_zeros(len(X), 1, 1), *parameters)
    kept = f * torch.cat([zero[None], C[:-1]])
    return tuple(part.flatten() for part in (kept, i * g, C, H))


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

    def draw(sequence: str = default, **gates: float) -> Figure:
        a_g = _numbers(sequence)
        return _unit(a_g, gates, *one_unit(a_g, **gates))

    def alt(sequence: str = default, **gates: float) -> str:
        _, _, c, h = one_unit(_numbers(sequence), **gates)
        opened = ", ".join(f"{n} {a:.2f}" for n, a in _openings(gates).items())
        return (
            f"Gates open: {opened}. After {len(c)} steps the cell holds {c[-1]:.3f} "
            f"and shows {h[-1]:.3f}; the largest value it held was "
            f"{c[c.abs().argmax()]:.3f}."
        )

    gates = ("forget_gate", "input_gate", "output_gate")
    return Frames(
        draw,
        dict.fromkeys(gates, (4, 0, -4)),
        alt,
        caption="One unit whose pre-activations are set by hand: 4 opens a gate to "
        "0.98, 0 to one half, -4 to 0.02. Above, the candidate that arrives at each "
        "step; in the middle what the cell keeps of its past and what is written into "
        "it; below, what it shows.",
        live={"sequence": default},
        steady=True,
    )


def _numbers(sequence: str) -> Tensor:
    """Read numbers between commas or spaces."""
    try:
        numbers = [float(word) for word in sequence.replace(",", " ").split()]
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


def _openings(gates: Mapping[str, float]) -> dict[str, float]:
    return {n.removesuffix("_gate"): 1 / (1 + exp(-a)) for n, a in gates.items()}


@figure
def _unit(a_g: Tensor, gates: Mapping[str, float], *parts: Tensor) -> Figure:
    fig, (top, middle, bottom) = plt.subplots(
        3, sharex=True, figsize=(7, 5), height_ratios=[2, 3, 2]
    )
    T = len(a_g)
    kept, written, c, h = (part.numpy() for part in parts)
    steps = np.arange(1, T + 1)
    edge = {"edgecolor": INK, "lw": 0.5}
    top.bar(steps, a_g.tanh().numpy(), color=COLORS[5], **edge)
    top.set(ylabel="candidate $g_t$", ylim=(-1.1, 1.1))
    left = {"color": COLORS[0], "label": "kept $f_t c_{t-1}$"}
    right = {"color": COLORS[1], "label": "written $i_t g_t$", "hatch": "///"}
    middle.bar(steps - 0.2, kept, width=0.36, **left, **edge)
    middle.bar(steps + 0.2, written, width=0.36, **right, **edge)
    middle.plot(steps, c, "D-", color=INK, ms=4, lw=1, label="cell $c_t$")
    reach = 1.1 * max(1.0, np.abs(c).max())
    middle.set(ylabel="cell", ylim=(-reach, reach))
    middle.legend(ncols=3, fontsize=9, loc="lower left")
    bottom.plot(steps, h, "o-", color=COLORS[3], ms=5)
    bottom.set(ylabel="shown $h_t$", xlabel="step $t$", ylim=(-1.1, 1.1))
    opened = ",  ".join(f"{n} gate {a:.2f}" for n, a in _openings(gates).items())
    values = f"$c_{{{T}}}$ = {c[-1]:.3f},  $h_{{{T}}}$ = {h[-1]:.3f}"
    title = f"{opened};  {values}".replace("-", "\N{MINUS SIGN}")
    fig.suptitle(title, fontsize=10.5)
    return fig


@figure
def gradient_left(shares: Mapping[str, Tensor]) -> Picture:
    """Draw how much of the gradient of the last state is left after so many steps.

    Parameters
    ----------
    shares : mapping of str to Tensor, each `(lags,)`
        For each network the norm at lag 0, 1, ...

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots()
    drawn = {name: share.clamp_min(1e-12) for name, share in shares.items()}
    curves(ax, drawn, marks=10, staggered=True)
    ax.set(yscale="log", xlabel="steps back")
    ax.set_ylabel("gradient of the last state, relative")
    ax.legend()
    steps = max(len(share) for share in shares.values()) - 1
    return Picture(
        fig,
        alt=f"How much of the gradient of the last state is left after 0 to {steps} "
        f"steps, on a logarithmic axis. At {steps} steps: "
        f"{', '.join(last(shares, '.0e', ': '))}.",
        caption="The gradient of the last state by a state so many steps back, as a "
        "share of its value at the last step; median over several random networks "
        "before training.",
    )


@figure
def validation_curves(errors: Runs, persistence: float) -> Picture:
    """Draw validation errors by epoch, and that of "tomorrow = today".

    Parameters
    ----------
    errors : mapping of str to sequence of float, or of one such sequence per seed
        Validation error after each epoch. Seeds are drawn thin, and bold their mean.
    persistence : float
        The error of "tomorrow = today".

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots()
    means = seeds(ax, errors, step=1)
    ax.axhline(persistence, color=INK, linestyle=":", lw=1.2, label="tomorrow = today")
    ax.set(yscale="log", xlabel="epoch", ylabel="validation error (scaled, squared)")
    ax.legend()
    return Picture(
        fig,
        alt=f"Validation error by epoch. At the end: {', '.join(last(means, '.2g'))}; "
        f"tomorrow = today, a horizontal line, {persistence:.2g}.",
        caption="Validation error after each epoch; the dotted line forecasts nothing.",
    )


@figure
def gates_at_marks(
    X: Tensor, gates: networks.Gates, C: Tensor, right: float, said: float
) -> Picture:
    """Draw what gates do while a trained LSTM reads numbers of which two are marked.

    Parameters
    ----------
    X : Tensor, `(T, 2)`
        Numbers and marks, as `numbers_to_add` makes them.
    gates : Gates
        Of the units to be shown, each `(T, units)`.
    C : Tensor, `(T, units)`
        Their cell states.
    right, said : float
        The sum of the marked numbers, and the network's answer.

    Returns
    -------
    Picture
    """
    steps, marked = np.arange(1, len(X) + 1), (X[:, 1] == 1).numpy()
    numbers = X[:, 0].numpy()
    named = {"input $i_t$": gates.i, "forget $f_t$": gates.f, "cell $c_t$": C}
    fig, axes = plt.subplots(4, sharex=True, figsize=(7, 6.4))
    edge = {"edgecolor": INK, "lw": 0.5}
    axes[0].bar(steps[~marked], numbers[~marked], color="white", **edge)
    axes[0].bar(steps[marked], numbers[marked], color=INK, label="marked", **edge)
    axes[0].set(ylabel="number", ylim=(-1.1, 1.8))
    axes[0].legend(loc="upper right", fontsize=9)
    for ax, (name, values) in zip(axes[1:], named.items(), strict=True):
        for n, unit in enumerate(values.T):
            ax.plot(steps, unit, **look(n, ms=3.5, lw=1, label=f"unit {n + 1}"))
        for step in steps[marked]:
            ax.axvline(int(step), color=INK, lw=0.8, linestyle=":")
        ax.set_ylabel(name)
    for ax in axes[1:3]:
        ax.set_ylim(-0.05, 1.05)
    axes[2].legend(ncols=2, fontsize=9, loc="lower right")
    axes[3].set_xlabel("step $t$")
    at = ", ".join(str(int(step)) for step in steps[marked])

    def openings(part: Tensor) -> str:
        return ", ".join(
            f"unit {n + 1} {float(u[marked].mean()):.2f} at the marks and "
            f"{float(u[~marked].mean()):.2f} elsewhere"
            for n, u in enumerate(part.T)
        )

    return Picture(
        fig,
        alt=f"{len(X)} numbers between -1 and 1, of which those at the steps {at} are "
        f"marked. Below, two units of an LSTM. Mean opening of the input gates: "
        f"{openings(gates.i)}. Of the forget gates: {openings(gates.f)}. The cell "
        f"states stay within {float(C.min()):.2f} and {float(C.max()):.2f}. The marked "
        f"numbers sum to {right:.2f}; the network says {said:.2f}.",
        caption="A trained LSTM reads numbers of which two, the dark ones, are marked. "
        "Below them two of its units: how far their input gates and their forget gates "
        "are open, and what they hold. Dotted lines: the marked steps.",
    )
