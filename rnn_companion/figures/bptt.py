"""The figures of chapter 2, *Backpropagation through time*."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from rnn_companion.figures.draw import Point, curves, look, node
from rnn_companion.figures.frames import Frames, Picture
from rnn_companion.figures.style import COLORS, INK, figure


def paths(heads: Tensor, links: Tensor, uses: Tensor, terms: Tensor) -> Frames:
    """Show the path from a loss term back to one use of the recurrent weight.

    Parameters
    ----------
    heads : Tensor, `(T,)`
        The first factor of a path: from loss term t to the state of its step.
    links : Tensor, `(T,)`
        The factor from the state of step j to the one before it, j = 1, ..., T.
    uses : Tensor, `(T,)`
        The last factor: from the state of step i to the weight, directly.
    terms : Tensor, `(T, T)`
        The product along the path from loss t (row) to use i (column); zero where
        there is none.

    Returns
    -------
    Frames
        With the controls `loss_term` and `weight_use`.
    """
    T = len(heads)

    def factors(t: int, i: int) -> list[float]:
        along = [float(links[j - 1]) for j in range(t, i, -1)]
        return [float(heads[t - 1]), *along, float(uses[i - 1])]

    def draw(loss_term: int, weight_use: int) -> Figure:
        fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.9), width_ratios=[3, 2])
        _network(left, T)
        if weight_use <= loss_term:
            _path(left, loss_term, weight_use, factors(loss_term, weight_use))
        _contributions(right, terms, loss_term, weight_use)
        fig.suptitle(sentence(loss_term, weight_use), fontsize=10.5)
        return fig

    def sentence(loss_term: int, weight_use: int) -> str:
        if weight_use > loss_term:
            return f"No path: the use at step {weight_use} comes after loss {loss_term}"
        product = " × ".join(_number(f) for f in factors(loss_term, weight_use))
        total = _number(float(terms[loss_term - 1, weight_use - 1]), digits=4)
        return f"Loss {loss_term} to use {weight_use}:  {product} = {total}"

    def alt(loss_term: int, weight_use: int) -> str:
        return (
            "An unrolled network of one unit; beside it a table of what each loss "
            "term (row) contributes through each use of the recurrent weight "
            f"(column). {sentence(loss_term, weight_use)}."
        )

    steps = range(1, T + 1)
    return Frames(
        draw,
        {"loss_term": steps[::-1], "weight_use": steps},
        alt,
        caption="Choose a loss term and a use of the recurrent weight. The bold path "
        "is the only one between them; the numbers on it are its factors, and their "
        "product is the framed entry of the table. The sum of the table is the "
        "gradient of the loss with respect to that one weight.",
        steady=True,
    )


def _number(value: float, digits: int = 3) -> str:
    rounded = round(value, digits) or 0.0  # no minus zero
    return f"{rounded:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _network(ax: Axes, T: int) -> None:
    """Draw the unrolled network: losses above, states, uses of the weight below."""
    node(ax, (0, 1), "$h_0$", boxstyle="circle,pad=0.3")
    for t in range(1, T + 1):
        for xs, ys in (([t, t], [2, 1]), ([t, t - 1], [1, 1]), ([t, t], [1, 0])):
            ax.plot(xs, ys, ":", color="#777777", lw=1, zorder=1)
        node(ax, (t, 2), rf"$\ell_{t}$", boxstyle="square,pad=0.35")
        node(ax, (t, 0), "$w$", boxstyle="square,pad=0.35")
        node(ax, (t, 1), rf"$h_{t}$", boxstyle="circle,pad=0.3")
    ax.set(xlim=(-0.4, T + 0.6), ylim=(-0.45, 2.45))
    ax.axis("off")


def _path(ax: Axes, t: int, i: int, factors: Sequence[float]) -> None:
    """Draw the path in bold, a factor beside each of its edges."""
    nodes: list[Point] = [(t, 2), *((j, 1) for j in range(t, i - 1, -1)), (i, 0)]
    for start, end, factor in zip(nodes, nodes[1:], factors, strict=False):
        (x_1, y_1), (x_2, y_2) = start, end
        ax.plot([x_1, x_2], [y_1, y_2], "-", color=COLORS[0], lw=3.5, zorder=2)
        (dx, dy), side = ((0.0, 0.14), "center") if y_1 == y_2 else ((0.1, 0.0), "left")
        at = (x_1 + x_2) / 2 + dx, (y_1 + y_2) / 2 + dy
        ax.text(*at, _number(factor), ha=side, va="center", fontsize=9.5)


def _contributions(ax: Axes, terms: Tensor, t: int, i: int) -> None:
    """Draw the table of all contributions, the chosen one framed."""
    T = len(terms)
    bound = 2 * float(terms.abs().max()) or 2.0
    ax.imshow(terms.numpy(), cmap="PuOr", vmin=-bound, vmax=bound, aspect="auto")
    for row in range(T):
        for column in range(row + 1):
            number = _number(float(terms[row, column]))
            ax.text(column, row, number, ha="center", va="center", fontsize=8)
    ax.add_patch(Rectangle((i - 1.5, t - 1.5), 1, 1, fill=False, edgecolor=INK, lw=2.5))
    labels = [str(step) for step in range(1, T + 1)]
    ax.set_xticks(range(T), labels)
    ax.set_yticks(range(T), labels)
    ax.set(xlabel="use of the weight at step i", ylabel="loss term t")
    ax.grid(visible=False)


@figure
def loss_curves(autograd: Tensor, by_hand: Tensor) -> Picture:
    """Show two loss curves and how far apart they are.

    Parameters
    ----------
    autograd, by_hand : Tensor, `(steps,)`
        The training loss at each step.

    Returns
    -------
    Picture
    """
    fig, (top, bottom) = plt.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    steps = range(1, len(autograd) + 1)
    top.semilogy(steps, autograd, color=COLORS[0], label="autograd")
    dots = look(1, linestyle="none", markeredgecolor=INK, label="by hand")
    every = max(1, len(steps) // 15)
    top.semilogy(steps[::every], by_hand[::every], **dots)
    top.set_ylabel("training loss")
    top.legend()
    difference = (by_hand - autograd).abs() / autograd
    bottom.plot(steps, difference, color=COLORS[0])
    bottom.set(xlabel="step", ylabel="relative difference")
    return Picture(
        fig,
        alt=f"Two training-loss curves over {len(steps)} steps that lie on each other, "
        f"and their relative difference, at most {difference.max():.0e}.",
        caption="Training loss (mean squared error of scaled prices) with autograd's "
        "gradients and with those written by hand, and their relative difference.",
    )


@figure
def cost(lengths: Sequence[int], forward: Tensor, both: Tensor) -> Picture:
    """Show the time of a forward pass, and of forward and backward, against length.

    Parameters
    ----------
    lengths : sequence of int
        The numbers of steps T.
    forward, both : Tensor, `(len(lengths),)`
        Milliseconds.

    Returns
    -------
    Picture
    """
    fig, ax = plt.subplots(figsize=(6.0, 3.2))
    curves(ax, {"forward and backward": both, "forward only": forward}, lengths)
    ax.set(xlabel="length T", ylabel="milliseconds", ylim=(0, None))
    ax.legend()
    return Picture(
        fig,
        alt="Time against length: two lines that rise about in proportion to the "
        f"length, to {forward[-1]:.1f} ms forward and {both[-1]:.1f} ms in all "
        f"at length {lengths[-1]}.",
        caption="Time of one pass over a batch against the length of its sequences.",
    )
