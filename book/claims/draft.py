"""The draft on windows (Rørnes & Rukan, 2024): layers, losses and the chain rule."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    equal,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
)
from rnn_companion.sentences.formulas import equation, formula

from ._notes import BOOK, DRAFT

PAGE = BOOK / "claims.md"


LAYER = r"h_t^{(l)} = \tanh\left(W_{xh}^{(l)} h_{%s}^{(l-1)} + W_{hh}^{(l)} h_{t-1}^{(l)} + b_h^{(l)}\right), \quad l = 1, 2, \quad t = %s, \dots, T"


layers = formula(
    Quoted(
        "4-1",
        DRAFT,
        "(1)",
        "wrong",
        where="1-recurrence#eq-stack",
        needs="A layer would have to read the layer below as it was one step ago.",
        right="It reads the layer below at the *same* step; as printed, every layer "
        "delays its input by a step, and the last state does not depend on the last input.",
    ),
    "“the output of the $j$-th neuron is computed as”",
    said=LAYER % ("t-1", 2),
    right=LAYER % ("t", 1),
    world="recurrence",
)


lowest = formula(
    Quoted(
        "4-2",
        DRAFT,
        "2.1.2",
        "wrong",
        where="1-recurrence#eq-stack-input",
        needs="What layer zero was one step ago would have to be the input of this step.",
        right="Layer zero *is* the input, with the same index: $h_i^0 = X_i$.",
    ),
    r"“for $j = 0$, $\mathbf{h}_{i-1}^j$ is simply the input $X_i$”",
    said=r"h_{t-1}^{(0)} = x_t, \quad t = 2, \dots, T",
    right=r"h_t^{(0)} = x_t, \quad t = 1, \dots, T",
    world="recurrence",
)


@quoted(
    Quoted(
        "4-3",
        DRAFT,
        "2.1.1",
        "judged",
        where="1-recurrence#eq-stack",
        needs="In (1) the index $j$ would have to count single units.",
        right="There $j$ counts layers, $j = 1, \\dots, J$: each has a whole matrix "
        "$\\mathbf{w}_j$, and $j = 0$ is the input.",
    )
)
def layers_called_neurons() -> Finding:
    r"""“The network consists of $J$ neurons, each with associated weights and biases”"""
    return judged("a matter of naming: the equation is one of layers")


@quoted(
    Quoted(
        "4-4",
        DRAFT,
        "2.1.2",
        "judged",
        where="1-recurrence#eq-rnn",
        needs="One state would have to pass from window to window.",
        right="The recurrence runs over the steps *inside* a window, and each window "
        "starts from a state of zero, as the draft says itself for “each propagation "
        "through the network”. Two indices are needed, one for windows and one for steps.",
    )
)
def over_windows() -> Finding:
    r"""“for the $i$-th window, the output of the $j$-th neuron is computed as”"""
    return judged(
        "the index i is that of a window in the text and that of a step in the equation"
    )


def losses() -> tuple[Tensor, Tensor, Tensor]:
    """Cut 100 time points into sliding windows of 20, and forecast each next one.

    Returns the sum of the losses over 100, over their number, and torch's loss.
    """
    generator = torch.Generator().manual_seed(0)
    series = torch.randn(100, generator=generator, dtype=torch.float64).cumsum(0)
    windows = series.unfold(0, 21, 1)
    forecast, target = windows[:, -2], windows[:, -1]
    each = (forecast - target).square()
    by_points, by_targets = (each.sum() / n for n in (100, len(target)))
    return by_points, by_targets, F.mse_loss(forecast, target)


def as_many(data: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Plant a falsehood: as many targets as time points."""
    return data[1], data[0], data[2]


@quoted(
    Quoted(
        "4-5",
        DRAFT,
        "(2)",
        "wrong",
        where="1-recurrence#eq-loss",
        needs="There would have to be one loss for each of the $N$ time points.",
        right="The sum runs over the targets, and their number belongs in front: 100 "
        "time points have 80 targets behind sliding windows of 20.",
        left_out="The sizes of the data, $(N, p_{\\mathrm{out}})$ and $(N, p_{\\mathrm{in}})$.",
    ),
    on=losses,
    planted=[as_many],
)
def points_or_targets(data: tuple[Tensor, Tensor, Tensor]) -> Finding:
    r"""“where $N$ corresponds to the total amount of time points” and $L(y, \tilde{y}) = \frac{1}{N} \sum_{i=1}^N l(y_i, \tilde{y}_i)$"""
    by_points, by_targets, mean = data
    ran = "squared errors behind sliding windows of 20 in 100 time points, against torch's mean"
    return trial(equal(by_points, mean, ran), equal(by_targets, mean, ran))


CHAIN = r"\frac{\mathrm{d} \ell_t}{\mathrm{d} w} = \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t} \frac{%s h_t}{%s w}, \quad t = 1, \dots, T"


def readings() -> tuple[str, str]:
    """Return (5) with the last derivative total, and with it direct."""
    total, direct = (CHAIN % (d, d) for d in (r"\mathrm{d}", r"\partial"))
    return total, direct


@quoted(
    Quoted(
        "4-6",
        DRAFT,
        "(4) and (5)",
        "holds if",
        where="2-bptt#eq-bptt-chain",
        needs="The last factor would have to hold all that the weights did to the state, at all steps.",
        right="Right, with the derivative of the state a total one; (6) shows that it is meant so.",
    ),
    on=readings,
    planted=[swapped],
)
def chain_rule(data: tuple[str, str]) -> Finding:
    r"""“computing the gradient of $L$ with respect to the weights leads to a somewhat more complicated expression”"""
    met, unmet = (equation(latex, "bptt", PAGE) for latex in data)
    return holds_if(
        "the derivative of the state by the weights is the total one", met, unmet
    )


update = formula(
    Quoted(
        "4-6b",
        DRAFT,
        "(3)",
        "holds",
        where="11-optimizers#eq-sgd",
        needs="Torch's SGD would have to take the same step.",
    ),
    "“the standard update rule for the weights”",
    said=(said := r"w_k = w_{k-1} - \eta g_k, \quad k = 1, \dots, N"),
    right=said,
    world="sgd",
)


def without_recurrence() -> np.ndarray:
    """Differentiate a feed-forward layer's state by its weights, for ten inputs."""
    generator = torch.Generator().manual_seed(0)
    norms = []
    for _ in range(10):
        x = torch.randn(3, generator=generator, dtype=torch.float64)
        W = torch.randn(4, 3, generator=generator, dtype=torch.float64)

        def state(W: Tensor, x: Tensor = x) -> Tensor:
            return torch.tanh(W @ x)

        jacobian = torch.autograd.functional.jacobian(state, W)
        norms.append(jacobian.norm().item())
    return np.array(norms)


def vanished(norms: np.ndarray) -> np.ndarray:
    """Plant a falsehood: the derivative is zero."""
    return 0 * norms


@quoted(
    Quoted(
        "4-7",
        DRAFT,
        "2.1.2, behind (5)",
        "wrong",
        where="2-bptt#eq-bptt-recursion",
        needs="The state of a feed-forward network would have to be independent of its weights.",
        right="The factor is there, and without it no such network could learn. What "
        "is absent is the second term of (6), the path through the state before.",
    ),
    on=without_recurrence,
    planted=[vanished],
)
def third_factor(norms: np.ndarray) -> Finding:
    r"""“The third factor, $\nabla_{\mathbf{w}} h_i$, is not present for the FFNN”"""
    ran = "derivative of a feed-forward layer's state by its weights, ten inputs: the smallest norm"
    return trial(below(norms.min(), 1e-9, ran), above(norms.min(), 1e-3, ran))


JACOBIAN = r"\frac{\partial h_{%s}}{\partial h_{%s}}"


TWICE = r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w} + %s \left( \frac{\partial h_{%s}}{\partial w} + %s \frac{\mathrm{d} h_{t-2}}{\mathrm{d} w} \right), \quad t = 2, \dots, T"


NEAR, FAR = JACOBIAN % ("t", "t-1"), JACOBIAN % ("t-1", "t-2")


unrolled = formula(
    Quoted(
        "4-8",
        DRAFT,
        "(6)",
        "wrong",
        where="2-bptt#eq-bptt-twice",
        needs="The activation would have to have one derivative by the weights, whatever the step, and something would have to be missing at the end.",
        right="The second line is complete as it is, without “$+ \\ldots$”, if "
        "$\\sigma$ has the index of its step: its derivative by the weights is another one at each.",
    ),
    "the recursion, unrolled once, read with one $\\sigma$ for both steps",
    said=TWICE % (NEAR, "t", FAR),
    right=TWICE % (NEAR, "t-1", FAR),
    world="bptt",
)


def multiplications(T: int, shared: bool) -> float:
    """Count a backward sweep of T layers in forward passes, weights shared or not."""
    generator = torch.Generator().manual_seed(0)
    count = 1 if shared else T
    W = [torch.randn(4, 3, generator=generator).requires_grad_() for _ in range(count)]
    U = [torch.randn(4, 4, generator=generator).requires_grad_() for _ in range(count)]
    X = torch.randn(T, 2, 3, generator=generator).requires_grad_()
    h = torch.zeros(2, 4, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        for t in range(T):
            h = torch.tanh(X[t] @ W[t % count].T + h @ U[t % count].T)
        forward = counter.get_total_flops()
        h.sum().backward()
    return float((counter.get_total_flops() - forward) / forward)


def sweeps() -> tuple[np.ndarray, np.ndarray]:
    """Count for a recurrent and for a feed-forward network, of 5, 10 and 20 steps."""
    recurrent, forward = (
        np.array([multiplications(T, shared) for T in (5, 10, 20)])
        for shared in (True, False)
    )
    return recurrent, forward


def sweep_for_each_step(
    data: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Plant a falsehood: one more sweep for the gradient of each step."""
    return data[0] * np.array([5, 10, 20]), data[1]


@quoted(
    Quoted(
        "4-9",
        DRAFT,
        "2.1.2, behind (6)",
        "wrong",
        where="2-bptt#eq-bptt-delta-step",
        needs="Going backward would have to cost more, in forward passes, than in a "
        "feed-forward network of as many layers.",
        right="One sweep backwards gives all gradients, as in a feed-forward network: "
        "twice the multiplications of the forward pass in either, however long the "
        "sequence. A sequence of $T$ steps costs what $T$ layers cost, but they have to "
        "be gone through one after another.",
    ),
    on=sweeps,
    planted=[sweep_for_each_step],
)
def additional_propagation(data: tuple[np.ndarray, np.ndarray]) -> Finding:
    """“a much greater computation time, compared to FFNN” as every gradient “computation need an additional propagation through the entire network”"""
    recurrent, forward = data
    ran = "multiplications of the backward sweep over those of the forward pass, 5 to 20 steps, over the same for a feed-forward network of as many layers: the largest"
    worst = (recurrent / forward).max()
    return trial(above(worst, 1.5, ran), below(worst, 1.1, ran))
