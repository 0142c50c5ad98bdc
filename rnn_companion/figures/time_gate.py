"""The figures of chapter 8, *A clock in the cell*."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, LINES, MARKERS, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["accuracy_curves", "clock", "kept"]

LENGTH = 40


def clock() -> Frames:
    """Set the clock of one unit and see when it opens and what it keeps.

    Returns
    -------
    Frames
        With the controls `period`, `shift` and `open_ratio`.
    """

    def gate(period: float, shift: float, open_ratio: float, times: Tensor) -> Tensor:
        tau, s, r_on = times.new_tensor([period, shift, open_ratio])
        return networks.time_gate(times, tau, s, r_on)

    def alt(**values: float) -> str:
        k = gate(**values, times=_steps())
        left = (1 - k[1:]).prod()
        return (
            f"A gate of period {values['period']:g}, shift {values['shift']:g} and "
            f"open ratio {values['open_ratio']:g}: of {LENGTH} steps it is open at "
            f"{int((k > 0).sum())}; at the end, {left:.3f} of the first step's state "
            "is left."
        )

    def draw(**values: float) -> "Figure":
        fine = torch.linspace(0.5, LENGTH + 0.5, 2000, dtype=torch.float64)
        k = gate(**values, times=_steps())
        return _clock(fine, gate(**values, times=fine), k)

    return Frames(
        draw,
        {
            "period": (10, 15, 20, 30),
            "shift": (0, 3, 6),
            "open_ratio": (0.4, 0.2, 0.1, 0.05),
        },
        alt,
        caption=(
            "One unit's clock, without leak. Above, how far the gate is open; a dot "
            "for each step of the sequence. Below, how much of the state of each "
            "step is left after the last one, the product of all 1 - k that follow."
        ),
    )


def _steps() -> Tensor:
    return torch.arange(1, LENGTH + 1).double()


@figure
def _clock(fine: Tensor, opening: Tensor, k: Tensor) -> "Figure":
    import matplotlib.pyplot as plt

    fig, (top, bottom) = plt.subplots(2, sharex=True, figsize=(7, 4.2))
    steps = _steps().numpy()
    top.plot(fine.numpy(), opening.numpy(), color=COLORS[0], lw=1.2)
    top.plot(steps, k.numpy(), "o", color=INK, ms=4)
    top.set(ylabel="opening $k_t$", ylim=(-0.05, 1.08))
    after = torch.cat([k[1:], k.new_zeros(1)])
    left = (1 - after).flip(0).cumprod(0).flip(0)
    bottom.bar(steps, left.numpy(), color=COLORS[1], edgecolor=INK, lw=0.5)
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
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 3.4))
    for n, (name, norm) in enumerate(norms.items()):
        ax.plot(
            range(1, len(norm) + 1),
            norm.numpy(),
            color=COLORS[n],
            linestyle=LINES[n],
            marker=MARKERS[n],
            markevery=(n, 6),
            label=name,
        )
    ax.set(
        yscale="log", xlabel="step $t$", ylabel=r"norm of $\mathrm{d}c_t/\mathrm{d}c_0$"
    )
    ax.legend()
    ends = ", ".join(f"{name} {float(norm[-1]):.2g}" for name, norm in norms.items())
    return Picture(
        fig,
        alt=f"The norm by step, on a logarithmic axis. At the last step: {ends}.",
        caption=(
            "How much of a change of the first cell state arrives. Closed: all of it. "
            "Behind a clock: what the open steps leave, a stair. Open: what the "
            "LSTM's own forget gates leave."
        ),
    )


@figure
def accuracy_curves(
    curves: Mapping[str, Sequence[Sequence[float]]], every: int, question: str
) -> Picture:
    """Draw accuracies by training step, a thin line a seed and a bold one their mean.

    Parameters
    ----------
    curves : mapping of str to sequence of sequences of float
        For each model and each seed, the accuracy after each `every` steps.
    every : int
        How many training steps a point stands for.
    question : str
        What the models are asked, for the caption.

    Returns
    -------
    Picture
    """
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4.4))
    ends = []
    for n, (name, seeds) in enumerate(curves.items()):
        table = torch.tensor(seeds)  # (seeds, points)
        steps = [every * (j + 1) for j in range(table.shape[1])]
        look: dict[str, Any] = {"color": COLORS[n], "linestyle": LINES[n]}
        ax.plot(steps, table.T.numpy(), lw=0.8, alpha=0.6, **look)
        mean = table.mean(0)
        ax.plot(steps, mean.numpy(), marker=MARKERS[n], lw=2.2, label=name, **look)
        ends.append(f"{name}: {float(mean[-1]):.2f}")
    ax.axhline(0.5, color=INK, linestyle=":", lw=1, label="guessing")
    ax.set(xlabel="training step", ylabel="accuracy", ylim=(0.4, 1.02))
    fig.legend(loc="outside lower center", ncols=2)
    return Picture(
        fig,
        alt=(
            f"{question} Accuracy by training step. "
            f"At the end, on average: {'; '.join(ends)}."
        ),
        caption=(
            f"{question} Accuracy on fresh sequences while training; thin lines are "
            "single seeds, thick ones their mean."
        ),
    )
