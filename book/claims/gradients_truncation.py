"""Claims of chapter 3: truncation."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from rnn_companion import truncation
from rnn_companion.claims import (
    Finding,
    above,
    below,
    claim,
    equal,
    every,
    swapped,
)
from rnn_companion.gradients import bptt, starting_matrix

from ._gradients import generator


@cache
def series() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Let six units read ten days of noise: what arrives, and what they did."""
    g, T, h = generator(2), 10, 6
    W_hh = starting_matrix("orthogonal", h, 1.0, g)
    W_xh = torch.randn(h, 1, generator=g, dtype=torch.float64) / 2
    X = torch.randn(T, 1, 1, generator=g, dtype=torch.float64)
    start = torch.randn(1, h, generator=g, dtype=torch.float64) / 2
    H = bptt.rnn_forward(X, start, W_xh, W_hh, 0 * start[0])
    G = torch.randn(T, 1, h, generator=g, dtype=torch.float64)
    return G, X, H, W_xh, W_hh


@cache
def whole_gradient() -> Tensor:
    """Let autograd find the gradient of W_hh."""
    G, X, H, W_xh, W_hh = series()
    W = W_hh.clone().requires_grad_()
    h, total = H[0], G.new_zeros(())
    for x, g in zip(X, G, strict=True):
        h = torch.tanh(x @ W_xh.T + h @ W.T)
        total = total + (g * h).sum()
    found: Tensor
    (found,) = torch.autograd.grad(total, W)
    return found


def missed(found: Tensor) -> float:
    right = whole_gradient()
    return float((found - right).norm() / right.norm())


def by_fixed_cuts() -> np.ndarray:
    """Cut at fixed places, with tau from 1 to 9: a row a strategy, and without a cut."""
    taus = range(1, 10)
    regular = [
        missed(
            truncation.truncated_backward(*series(), truncation.regular(10, tau)).W_hh
        )
        for tau in taus
    ]
    sliding = [missed(truncation.sliding_backward(*series(), tau).W_hh) for tau in taus]
    uncut = missed(truncation.sliding_backward(*series(), 10).W_hh)
    return np.array([regular, sliding, [uncut] * 9])


@claim(on=by_fixed_cuts, planted=[lambda rows: rows[::-1]])
def gradients_both_biased(rows: np.ndarray) -> Finding:
    """Both leave out paths, always the same ones, so both are **biased**."""
    ran = "ten steps, six units: the miss of the gradient"
    return every(
        above(rows[:2].min(), 1e-3, f"{ran}, tau from 1 to 9"),
        below(rows[2].max(), 1e-12, f"{ran}, tau = 10"),
    )


def by_parts(tau: int = 5) -> tuple[Tensor, Tensor]:
    """Take the gradient part by part with autograd, and with a zero every five steps."""
    G, X, H, W_xh, W_hh = series()
    W = W_hh.clone().requires_grad_()
    total = G.new_zeros(())
    for first in range(0, len(X), tau):
        h = H[first]
        for x, g in zip(X[first : first + tau], G[first : first + tau], strict=True):
            h = torch.tanh(x @ W_xh.T + h @ W.T)
            total = total + (g * h).sum()
    (right,) = torch.autograd.grad(total, W)
    weights = truncation.regular(10, 5)
    return truncation.truncated_backward(*series(), weights).W_hh, right


@claim(on=by_parts, planted=[lambda _: by_parts(2)])
def gradients_zero_every_tau(pair: tuple[Tensor, Tensor]) -> Finding:
    r"""A zero every $\tau$ steps: the regular one."""
    return equal(*pair, "autograd on two parts of five steps, detached from each other")


@cache
def means(pi: float = 0.6) -> dict[str, Tensor]:
    """Run all patterns of cuts: the mean with the weight and without, and the spread."""
    xi, probability = truncation.all_patterns(10, pi)

    def one(weights: Tensor) -> Tensor:
        return truncation.truncated_backward(*series(), weights).W_hh

    run: Callable[[Tensor], Tensor] = torch.func.vmap(one)
    found = run(xi)
    spread = torch.einsum("n,nij->", probability, (found - whole_gradient()).square())
    return {
        "with": torch.einsum("n,nij->ij", probability, found),
        "without": torch.einsum("n,nij->ij", probability, run(pi * xi)),
        "spread": spread.sqrt() / whole_gradient().norm(),
    }


@claim(on=means, planted=[lambda m: m | {"with": m["without"], "without": m["with"]}])
def gradients_unbiased(found: dict[str, Tensor]) -> Finding:
    """so has every product of them, and the estimate is **unbiased**:"""
    ran = "all 1024 patterns of ten links, pi = .6: the miss of the mean"
    return every(
        below(missed(found["with"]), 1e-12, f"{ran}"),
        above(missed(found["without"]), 0.05, f"{ran} without the weight"),
    )


def by_lag() -> tuple[Tensor, Tensor]:
    """Weight each path by pi for each of its links, and take the mean without 1/pi."""
    G, _, H, _, W_hh = series()
    slope, expected = 1 - H[1:, 0] ** 2, torch.zeros_like(W_hh)
    for t in range(10):
        path = slope[t] * G[t, 0]
        for i in range(t, -1, -1):
            expected += 0.6 ** (t - i) * torch.outer(path, H[i, 0])
            path = slope[i - 1] * (W_hh.T @ path)
    return means()["without"], expected


@claim(on=by_lag, planted=[lambda pair: (means()["with"], pair[1])])
def gradients_without_the_weight(pair: tuple[Tensor, Tensor]) -> Finding:
    r"""With weights of one and zero instead, the estimate $\tilde{g}$ counts long paths
    too little, on average by $\pi$ a link:
    """
    return equal(*pair, "all 1024 patterns of ten links, against the sum over paths")


@claim(
    on=lambda: (float(means(0.3)["spread"]), missed(means(0.3)["with"])),
    planted=[swapped],
)
def gradients_far_off_in_a_step(found: tuple[float, float]) -> Finding:
    """An unbiased estimate can be far off in a single step; it is right in the mean over
    many.
    """
    ran = "all 1024 patterns of ten links, pi = .3"
    return every(
        above(found[0], 1, f"{ran}: the spread, in sizes of the gradient"),
        below(found[1], 1e-12, f"{ran}: the miss of the mean"),
    )
