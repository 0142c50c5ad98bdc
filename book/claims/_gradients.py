"""What the claims of chapter 3 share."""

import torch
from torch import Tensor

SEEDS = range(6)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def two_shifts() -> tuple[Tensor, Tensor]:
    """Build N and its transpose."""
    N = torch.full((3,), 2.0, dtype=torch.float64).diag(1)
    return N, N.T
