"""What the claims of chapter 7 share."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from torch import nn

from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.tasks.memory import Trial, encode, palindromes
from rnn_companion.tasks.sweep import (
    RECIPES,
)

LARGE, SMALL = "one-hot, orthogonal", "one-hot, orthogonal, small steps"


SEEDS = range(8)


Pair = tuple[np.ndarray, np.ndarray]


def reach(model: Forecaster, length: int, encoding: str) -> float:
    """Return the gradient of the loss at the first input over that at the last."""
    generator = torch.Generator().manual_seed(0)
    digits, targets = palindromes(length, 8, generator=generator)
    X = encode(digits, encoding).requires_grad_()
    loss = nn.functional.cross_entropy(model(X)[0], targets)
    (gradient,) = torch.autograd.grad(loss, X)
    norms = gradient.norm(dim=(1, 2))
    return float(norms[0] / norms[-1])


@cache
def reaches(cell: str, recipe: str, length: int) -> np.ndarray:
    """Return the logarithm of the reach of untrained networks, one a seed."""
    changes = RECIPES[cell][recipe]
    found = []
    for seed in SEEDS:
        trial = replace(Trial(cell=cell, length=length, seed=seed), **changes)
        found.append(math.log10(reach(trial.model(), length, trial.encoding)))
    return np.array(found)
