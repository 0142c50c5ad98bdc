"""What the claims of chapter 1 share."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn

T, D, H = 6, 3, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def layer(layers: int = 1) -> nn.RNN:
    """Draw a tanh layer of torch, and one on top of it."""
    module = nn.RNN(D, H, num_layers=layers, dtype=torch.float64)
    for p in module.parameters():
        nn.init.uniform_(p, -0.5, 0.5, generator=generator(p.numel()))
    return module


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(1), dtype=torch.float64)


def reach(read: Callable[[Tensor], Tensor]) -> Tensor:
    """Take the norm of the derivative of each state (row) by each input, (T, T)."""
    found = torch.autograd.functional.jacobian(read, draw(T, D))  # (T, h, T, d)
    sizes: Tensor = torch.as_tensor(found).norm(dim=(1, 3))
    return sizes
