"""The forecasting report (Ul Islam, 2024), section 1.1.1: long products, truncation."""

from itertools import product

import torch
from torch import Tensor

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    equal,
    every,
    holds_if,
    quoted,
    swapped,
    trial,
)

from ._report import DRAWN, REPORT, T, network, unroll


@quoted(
    Quoted(
        "0-16",
        REPORT,
        "1.1.1",
        "holds if",
        where="3-gradients#eq-grad-bound",
        needs="A product of matrices would have to behave as a product of numbers does. Entries of 0.9 whose product explodes, and entries of 2 whose product is zero, show that it need not.",
        right=r"For one unit, if the factors keep a distance from one in size. For many units: if $\gamma \sigma_{\max} < 1$ the product vanishes; it can explode only if $\gamma \sigma_{\max} > 1$, and need not.",
    ),
    on=lambda: (
        (torch.full((1, 1), 1.1), torch.full((1, 1), 0.9)),
        (torch.diag(torch.full((3,), 2.0), 1), torch.full((4, 4), 0.9)),
    ),
    planted=[swapped, lambda data: (data[0], data[0])],
)
def terms_above_or_below_one(data: tuple[tuple[Tensor, Tensor], ...]) -> Finding:
    """“if the sequence is long, this product term will either be very large (if each gradient term $> 1$ ) or be miniscule (if each gradient term $< 1$ ).”"""
    (large, small), (many_large, many_small) = data
    ran = "the norm of the 100th power, of one term above 1 and one below; and of matrices with entries of 2 and of 0.9"
    return holds_if(
        "there is one unit, so that the terms are numbers, and they keep a distance from 1",
        every(above(power(large), 1e3, ran), below(power(small), 1e-3, ran)),
        every(above(power(many_large), 1e3, ran), below(power(many_small), 1e-3, ran)),
    )


def power(A: Tensor) -> float:
    """Compute the norm of the 100th power."""
    return float(torch.linalg.matrix_power(A.double(), 100).norm())


@quoted(
    Quoted(
        "0-17",
        REPORT,
        "1.1.1",
        "wrong",
        where="3-gradients#eq-grad-regular",
        needs="Every path would have to be counted, with a product that is cut after so many factors.",
        right="The *sum* is truncated, as the report says itself two sentences on: a path is counted with its whole product, or not at all.",
    ),
    on=lambda: (cut_products(2), kept_paths(2)),
    planted=[swapped],
)
def product_or_sum(both: tuple[Tensor, Tensor]) -> Finding:
    """“To solve this issue, several techniques are used to truncate this product.”"""
    truth, ran = (
        detached(2),
        f"regular truncation to parts of two steps, by detaching the state, {DRAWN}",
    )
    return trial(*(equal(found, truth, ran) for found in both))


def gradient_when(enter_weights: dict[int, float], only: int = 0) -> Tensor:
    """Let autograd find the gradient of the summed loss, each link to t weighted.

    With `only`, of the loss of that step alone.
    """
    net = network()
    w = net.w.clone().requires_grad_()

    def enter(t: int, state: Tensor) -> Tensor:
        weight = enter_weights.get(t, 1.0)
        return state.detach() + weight * (state - state.detach())

    outputs = unroll(w, net.states[0], net.inputs, enter)[1:] @ net.head[0].T
    losses = (outputs + net.head[1] - net.targets).square().sum(1)
    return torch.autograd.grad(losses[only - 1] if only else losses.sum(), w)[0]


def detached(tau: int) -> Tensor:
    """Detach the state between parts of `tau` steps."""
    return gradient_when(dict.fromkeys(range(tau + 1, T + 1, tau), 0.0))


def kept_paths(tau: int) -> Tensor:
    """Sum whole paths, those that stay inside one part."""
    pairs = [(t, i) for t in range(1, T + 1) for i in range(1, t + 1)]
    part = [network().path(t, i) for t, i in pairs if (t - 1) // tau == (i - 1) // tau]
    return torch.stack(part).sum(0)


def cut_products(tau: int) -> Tensor:
    """Sum all paths, each with its last `tau` factors at most."""
    net, found = network(), torch.zeros_like(network().w)
    for t in range(1, T + 1):
        for i in range(1, t + 1):
            links = net.product(t, max(i, t - tau))
            found += net.errors[t - 1] @ net.head[0] @ links @ net.direct[i]
    return found


@quoted(
    Quoted(
        "0-17b",
        REPORT,
        "1.1.1",
        "holds if",
        where="3-gradients#eq-grad-sliding",
        needs="From each loss, all paths have to be counted that go back less than so many steps, and no others.",
        right="So it is if each loss goes back by itself. The report's figure 3 shows what programs do instead: the sequence is cut into parts, and a path counts if it stays in its part.",
    ),
    on=lambda: (each_by_itself(2), detached(2)),
    planted=[swapped],
)
def sum_is_truncated(both: tuple[Tensor, Tensor]) -> Finding:
    r"""“In regular truncated BPTT, the sum is truncated after $\tau$ steps”"""
    ran = f"the sum over the paths of the last two steps before each loss, against autograd with the state detached, {DRAWN}"
    steps = [(t, i) for t in range(1, T + 1) for i in range(max(1, t - 1), t + 1)]
    short = torch.stack([network().path(t, i) for t, i in steps]).sum(0)
    return holds_if(
        "every loss goes back so many steps of its own",
        *(equal(short, found, ran) for found in both),
    )


def each_by_itself(tau: int) -> Tensor:
    """Detach the state `tau` steps before each loss, one loss at a time."""
    each = [gradient_when({t - tau + 1: 0.0}, only=t) for t in range(1, T + 1)]
    return torch.stack(each).sum(0)


@quoted(
    Quoted(
        "0-18",
        REPORT,
        "1.1.1",
        "holds if",
        where="3-gradients#eq-grad-unbiased",
        needs=r"In the mean over all ways to cut, the gradient would have to be the full one, for that is what the strategy is for {cite}`tallec2017`.",
        right=r"Every link that is kept, with probability $\pi$, gets the weight $1/\pi$; then $\mathbb{E}[\hat{g}] = g$.",
        left_out="the word “random”, since it stands in quotation marks of its own; the brackets behind say the same",
    ),
    on=lambda: (mean_over_cuts(1 / 0.7), mean_over_cuts(1.0)),
    planted=[swapped],
)
def random_cuts(both: tuple[Tensor, Tensor]) -> Finding:
    """“in randomized BPTT, the initial sequences are split up into sub-sequences of […] length (here, the length of the subsequences are cast as random variables).”"""
    ran = f"the mean over all 16 ways to cut, each with its probability, against the full gradient, {DRAWN}"
    weighted, bare = (equal(found, gradient_when({}), ran) for found in both)
    return holds_if("each link that is kept has the weight 1/pi", weighted, bare)


def mean_over_cuts(weight: float, keep: float = 0.7) -> Tensor:
    """Average the truncated gradient over all patterns of kept links."""
    mean = torch.zeros_like(network().w)
    for kept in product((0, 1), repeat=T - 1):
        chance = keep ** sum(kept) * (1 - keep) ** (T - 1 - sum(kept))
        mean += chance * gradient_when(
            {t: weight * k for t, k in zip(range(2, T + 1), kept, strict=True)}
        )
    return mean
