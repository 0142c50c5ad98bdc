"""What the claims of chapter 2 share."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.functional import jacobian

T, D, H, Q = 5, 3, 4, 2


Pair = tuple[Tensor, Tensor]


class Network(NamedTuple):
    """A random network, its states and what autograd finds."""

    W: Tensor  # from the input, (h, d)
    U: Tensor  # from the state before, (h, h)
    b: Tensor
    V: Tensor  # to the output, (q, h)
    X: Tensor  # (T, d)
    Y: Tensor  # (T, q)
    start: Tensor


@cache
def network() -> Network:
    g = torch.Generator().manual_seed(4)
    shapes = ((H, D), (H, H), (H,), (Q, H), (T, D), (T, Q), (H,))
    return Network(
        *(torch.randn(s, generator=g, dtype=torch.float64) * 0.7 for s in shapes)
    )


def states(net: Network, act: Callable[[Tensor], Tensor] = torch.tanh) -> list[Tensor]:
    """Run a network step by step, (h,) each, the start first."""
    found = [net.start]
    for x in net.X:
        found.append(act(net.W @ x + net.U @ found[-1] + net.b))
    return found


def loss(net: Network, act: Callable[[Tensor], Tensor] = torch.tanh) -> Tensor:
    """Take the mean squared error over the steps."""
    told = torch.stack(states(net, act)[1:]) @ net.V.T
    return (told - net.Y).square().mean()


@cache
def derivatives() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Take direct and total derivatives of the states by U, and the Jacobians."""
    net, H = network(), states(network())

    def step(t: int) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda U, h: torch.tanh(net.W @ net.X[t - 1] + U @ h + net.b)

    def whole(t: int) -> Callable[[Tensor], Tensor]:
        return lambda U: states(net._replace(U=U))[t]

    both = [jacobian(step(t), (net.U, H[t - 1])) for t in range(1, T + 1)]
    direct = [d.reshape(H[0].numel(), -1) for d, _ in both]
    total = [jacobian(whole(t), net.U).reshape(len(H[0]), -1) for t in range(1, T + 1)]
    return direct, total, [J for _, J in both]


def missed(found: Tensor, right: Tensor) -> float:
    return float((found - right).norm() / right.norm())
