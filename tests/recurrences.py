"""What the tests of the recurrences share: random tensors, networks, comparisons."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.RNNBase)


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def network(
    kind: Callable[..., M], d: int, h: int, layers: int, seed: int = 0, bound: float = 1
) -> M:
    """Return a network of torch's whose weights come from a local generator."""
    module = kind(d, h, layers, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return module


def outputs_and_gradients(
    run: Callable[..., Sequence[Tensor]], module: nn.Module, *arguments: Tensor
) -> list[Tensor]:
    """Return the outputs, and the gradients of a loss that none of them escapes."""
    variables = [a.clone().requires_grad_() for a in arguments]
    outputs = run(*variables)
    loss = torch.stack(
        [(random(*o.shape, seed=99) * o + o**2).mean() for o in outputs]
    ).sum()
    gradients = torch.autograd.grad(loss, [*variables, *module.parameters()])
    return [*outputs, *gradients]


def assert_equal(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def assert_finite_difference(
    loss: Callable[..., Tensor],
    arguments: Sequence[Tensor],
    gradients: Sequence[Tensor],
    index: int,
) -> None:
    """Compare one gradient with central differences along a random direction."""
    step = 1e-6 * random(*arguments[index].shape, seed=8)
    up, down = list(arguments), list(arguments)
    up[index], down[index] = arguments[index] + step, arguments[index] - step
    torch.testing.assert_close(
        (gradients[index] * step).sum(),
        (loss(*up) - loss(*down)) / 2,
        rtol=1e-7,
        atol=1e-13,
    )
