"""The draft on windows (Rørnes & Rukan, 2024): large gradients, and truncation."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnn_companion import networks
from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    every,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
)

from ._notes import DRAFT, product, rotation


def spike(kind: str) -> tuple[float, float]:
    """Let an optimizer meet one gradient of a million after a hundred ordinary ones.

    Returns the length of that step in learning rates, and its cosine with the gradient.
    """
    generator = torch.Generator().manual_seed(0)
    w = nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = getattr(torch.optim, kind)([w], lr=0.01)
    before = w.detach().clone()
    for k in range(101):
        g = torch.randn(4, generator=generator, dtype=torch.float64)
        w.grad = g if k < 100 else 1e6 * g
        before = w.detach().clone()
        optimizer.step()
    step = before - w.detach()
    cosine = F.cosine_similarity(step, w.grad, dim=0).item()  # type: ignore[arg-type]
    return step.norm().item() / 0.01, cosine


def steps_at_spike() -> dict[str, tuple[float, float]]:
    return {kind: spike(kind) for kind in ("RMSprop", "Adam")}


def plain_steps(_: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Plant a falsehood: optimizers that step like plain SGD."""
    return {kind: spike("SGD") for kind in ("RMSprop", "Adam")}


@quoted(
    Quoted(
        "4-10",
        DRAFT,
        "2.1.2, behind (3)",
        "holds if",
        where="3-gradients#eq-grad-clip",
        needs="After a gradient that is far too long the step would have to be short, and lead down that gradient.",
        right="They do bound the step, weight by weight: a gradient a million times too "
        "long moves each weight by ten learning rates at most, with torch's settings. "
        "That turns its direction; "
        "clipping shortens it and keeps the direction. Neither changes why it is long.",
    ),
    on=steps_at_spike,
    planted=[plain_steps],
)
def aimed_at_explosion(data: dict[str, tuple[float, float]]) -> Finding:
    """“optimization methods, aimed at handling exploding gradient”"""
    ran = "torch's RMSprop and Adam after a gradient a million times as long as those before: "
    lengths, cosines = zip(*data.values(), strict=True)
    return holds_if(
        "to keep the step short is enough, and its direction may change",
        below(max(lengths), 20.5, ran + "the step in learning rates"),
        above(
            min(cosines), 0.999, ran + "the cosine between step and gradient, the least"
        ),
    )


def growth() -> np.ndarray:
    """Return norms of products of 1 to 12 Jacobians; no loss takes part."""
    W = 2.0 * rotation(4)
    norms = [torch.linalg.matrix_norm(product(W, n), 2).item() for n in range(1, 13)]
    return np.array(norms)


def shrinking(norms: np.ndarray) -> np.ndarray:
    """Plant a falsehood: products that get smaller."""
    return 1 / norms


@quoted(
    Quoted(
        "4-10b",
        DRAFT,
        "2.1.2, behind (6)",
        "wrong",
        where="3-gradients#eq-grad-product",
        needs="The factor by which errors are multiplied on their way back would have to be harmless in itself.",
        right="It is the product of Jacobians that grows, with small errors and with "
        "large ones: the gradient is proportional to the error at the end.",
    ),
    on=growth,
    planted=[shrinking],
)
def minor_errors(norms: np.ndarray) -> Finding:
    """“can lead to gradients blowing up due to only (relatively) minor errors”"""
    ran = "norm of the product of 12 Jacobians, with no error anywhere, recurrent weights 2 times a rotation"
    return trial(below(norms[-1], 2, ran), above(norms[-1], 1000, ran))


def inside() -> tuple[float, float]:
    """Return norms of products within a window of two steps, and of twelve."""
    norms = growth()
    return float(norms[1]), float(norms[11])


@quoted(
    Quoted(
        "4-11",
        DRAFT,
        "2.1.2, behind (6)",
        "holds if",
        where="3-gradients#eq-grad-sliding",
        needs="What is left after truncation would have to be free of large products.",
        right="Truncation bounds the number of factors and not the factors: inside the "
        "window the product grows as before. And the gradient is biased.",
        left_out="“Perhaps the most obvious one”: that there are other ways.",
    ),
    on=inside,
    planted=[swapped],
)
def truncation_resolves(data: tuple[float, float]) -> Finding:
    """“ways of resolving this issue. […] is to simply truncate the amount of terms in (6)”"""
    ran = (
        "norm of the product of Jacobians within a window, in one and the same network"
    )
    short, long = data
    return holds_if(
        "the window is short enough: here two steps, and not twelve",
        below(short, 10, ran),
        below(long, 10, ran),
    )


def influence() -> tuple[Tensor, Tensor]:
    """Differentiate the last state by all inputs: truncated to three steps, and whole."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    X, W, U, b = draw(8, 1, 2), 0.7 * draw(4, 2), 0.7 * draw(4, 4), draw(4)
    zero = torch.zeros(1, 4, dtype=torch.float64)
    found = []
    for cut in (True, False):
        x = X.clone().requires_grad_()
        start = networks.rnn(x[:5], zero, W, U, b)[-1]
        last = networks.rnn(x[5:], start.detach() if cut else start, W, U, b)[-1]
        (gradient,) = torch.autograd.grad(last.sum(), x)
        found.append(gradient.norm(dim=(1, 2)))
    return found[0], found[1]


def nothing_cut(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Plant a falsehood: the truncated gradient reaches every input."""
    return data[1], data[1]


@quoted(
    Quoted(
        "4-11b",
        DRAFT,
        "2.1.2, behind (6)",
        "holds",
        where="3-gradients#eq-grad-sliding",
        needs="Inputs from before the window would have to get no gradient at all, where without truncation they get one.",
        right="So it is. What is left out does not average out either: the truncated gradient is biased.",
    ),
    on=influence,
    planted=[nothing_cut],
)
def long_term_ignored(data: tuple[Tensor, Tensor]) -> Finding:
    """“it has the immediate consequence of ignoring long-term dependencies of the data”"""
    cut, whole = data
    ran = "norms of the last state's gradient at the first five of eight inputs, "
    return every(
        below(cut[:5].max().item(), 1e-300, ran + "truncated to three steps"),
        above(whole[:5].min().item(), 1e-9, ran + "whole"),
    )


@quoted(
    Quoted(
        "4-12",
        DRAFT,
        "abstract, 3, 4 and 5",
        "judged",
        where="2-bptt",
        needs="Text would have to follow the headings.",
        right="It is a draft: there is no implementation, no result and no conclusion "
        "in it, and its references are not filled in. What it describes, a network on "
        "windows, is run in chapters 1 and 6.",
    )
)
def unfinished() -> Finding:
    """“Abstracting very cool”"""
    return judged("a placeholder; nothing is claimed, so nothing can be run")
