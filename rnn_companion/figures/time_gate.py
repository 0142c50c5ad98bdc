"""The figures of chapter 8, *A clock in the cell*."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from torch import Tensor

from rnn_companion import networks
from rnn_companion.figures.draw import Runs, curves, last, seeds
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, figure

LENGTH = 40


def clock() -> Frames:
    """Set the clock of one unit and see when it opens and what it keeps.

    Returns
    -------
    Frames
        With the controls `period`, `shift` and `open_ratio`.
    """

    def alt(period: float, shift: float, open_ratio: float) -> str:
        k = _opening(_steps(), period, shift, open_ratio)
        return (
            f"A gate of period {period:g}, shift {shift:g} and open ratio "
            f"{open_ratio:g}: of {LENGTH} steps it is open at {int((k > 0).sum())}; at "
            f"the end, {_left(k)[0]:.3f} of the first step's state is left."
        )

    ratios = (0.4, 0.2, 0.05)
    return Frames(
        _clock,
        {"period": (10, 20, 30), "shift": (0, 3, 6), "open_ratio": ratios},
        alt,
        caption="One unit's clock, without leak. Above, how far the gate is open; a "
        "dot for each step of the sequence. Below, how much of the state of each step "
        "is left after the last one, the product of all 1 - k that follow.",
        steady=True,
    )


def _steps() -> Tensor:
    return torch.arange(1, LENGTH + 1).double()


def _opening(times: Tensor, period: float, shift: float, open_ratio: float) -> Tensor:
    return networks.time_gate(times, *times.new_tensor([period, shift, open_ratio]))


def _left(k: Tensor) -> Tensor:
    """Return how much of the state of each step is left after the last one."""
    after = torch.cat([k[1:], k.new_zeros(1)])
    return (1 - after).flip(0).cumprod(0).flip(0)


@figure
def _clock(period: float, shift: float, open_ratio: float) -> Figure:
    fig, (top, bottom) = plt.subplots(2, sharex=True, figsize=(7, 4.2))
    steps = _steps()
    fine = torch.linspace(0.5, LENGTH + 0.5, 2000, dtype=torch.float64)
    opening, k = (_opening(t, period, shift, open_ratio) for t in (fine, steps))
    top.plot(fine, opening, color=COLORS[0], lw=1.2)
    top.plot(steps, k, "o", color=INK, ms=4)
    top.set(ylabel="opening $k_t$", ylim=(-0.05, 1.08))
    bottom.bar(steps.numpy(), _left(k).numpy(), color=COLORS[1], edgecolor=INK, lw=0.5)
    bottom.set(ylabel=f"left at step {LENGTH}", xlabel="step $t$", ylim=(0, 1.08))
    return fig


@figure
def kept(norms: Mapping[str, Tensor]) -> Picture:
    """Draw how large the derivative of a late cell by the first one is.

    Parameters
    ----------
    norms : mapping of str to Tensor, each `(T,)`
        For each gate the Frobenius norm after 1, ..., T steps.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7, 3.4))
    curves(ax, norms, begin=1, marks=10, staggered=True)
    ax.set(yscale="log", xlabel="step $t$")
    ax.set_ylabel(r"norm of $\mathrm{d}c_t/\mathrm{d}c_0$")
    ax.legend()
    return Picture(
        fig,
        alt="The norm by step, on a logarithmic axis. At the last step: "
        f"{', '.join(last(norms, '.2g'))}.",
        caption="How much of a change of the first cell state arrives. Closed: all of "
        "it. Behind a clock: what the open steps leave, a stair. Open: what the LSTM's "
        "own forget gates leave.",
    )


@figure
def accuracy_curves(accuracies: Runs, every: int, question: str) -> Picture:
    """Draw accuracies by training step, a thin line a seed and a bold one their mean.

    Parameters
    ----------
    accuracies : mapping of str to sequence of sequences of float
        For each model and each seed, the accuracy after each `every` steps.
    every : int
        How many training steps a point stands for.
    question : str
        What the models are asked, for the caption.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(7, 4.4))
    means = seeds(ax, accuracies, step=every, lw=2.2)
    ax.axhline(0.5, color=INK, linestyle=":", lw=1, label="guessing")
    ax.set(xlabel="training step", ylabel="accuracy", ylim=(0.4, 1.02))
    fig.legend(loc="outside lower center", ncols=2)
    return Picture(
        fig,
        alt=f"{question} Accuracy by training step. At the end, on average: "
        f"{'; '.join(last(means, '.2f', ': '))}.",
        caption=f"{question} Accuracy on fresh sequences while training; thin lines "
        "are single seeds, thick ones their mean.",
    )
