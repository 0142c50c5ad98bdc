"""What the claims of several files look at: records, and one small network."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnn_companion.tasks.memory import TrialRecord
from rnn_companion.tasks.sweep import recipe_of, recorded, trials

BOOK = Path(__file__).parents[1]
NOTES, DRAFT, PALINDROMES = "artemov2018", "rornes2024", "georgiou2018"


@cache
def palindrome_trials() -> tuple[TrialRecord, ...]:
    """Read the trials of chapter 7."""
    return tuple(recorded(BOOK / "records/memory.jsonl", trials()))


def steps(cell: str, recipe: str, length: int) -> list[int]:
    """List the steps that each seed needed; all it had where it did not get there."""
    found = [
        r
        for r in palindrome_trials()
        if (r.trial.cell, recipe_of(r.trial), r.trial.length) == (cell, recipe, length)
    ]
    return [r.steps for r in sorted(found, key=lambda r: r.trial.seed)]


class Small(NamedTuple):
    """A tanh network that reads a sequence, with a cross-entropy loss at its end.

    Columns as in the sources: states are (n, 1), weights out x in.
    """

    x: list[Tensor]
    h: list[Tensor]  # h[0] is the start
    W_x: Tensor
    W_h: Tensor
    W_p: Tensor
    b: Tensor
    y: Tensor
    y_hat: Tensor
    by_W_h: Tensor  # what autograd says the gradient is
    by_W_p: Tensor
    by_start: Tensor


def small(start: float = 0.0, seed: int = 0, length: int = 6) -> Small:
    """Run the network once, forwards and backwards."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    d, n, K = 3, 5, 4
    W_x, b = 0.7 * draw(n, d), 0.3 * draw(n, 1)
    W_h, W_p = (0.7 * draw(n, n)).requires_grad_(), draw(K, n).requires_grad_()
    x = [draw(d, 1) for _ in range(length)]
    h = [(start * draw(n, 1)).requires_grad_()]
    for x_t in x:
        h.append(torch.tanh(W_x @ x_t + W_h @ h[-1] + b))
    p = W_p @ h[-1]
    y = F.one_hot(torch.tensor([1]), K).double().T
    loss = F.cross_entropy(p.T, torch.tensor([1]))
    gradients = torch.autograd.grad(loss, [W_h, W_p, h[0]])
    return Small(
        x,
        [state.detach() for state in h],
        W_x,
        W_h.detach(),
        W_p.detach(),
        b,
        y,
        p.detach().softmax(0),
        *gradients,
    )


def by_logits(targets: Tensor, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return y_hat - y and what autograd says, for targets (K,) of a cross-entropy."""
    generator = torch.Generator().manual_seed(seed)
    o = torch.randn(len(targets), generator=generator, dtype=torch.float64)
    o.requires_grad_()
    loss = -(targets * o.log_softmax(0)).sum()
    (gradient,) = torch.autograd.grad(loss, o)
    return o.detach().softmax(0) - targets, gradient


def product(W: Tensor, steps: int, seed: int = 0) -> Tensor:
    """Multiply the Jacobians of a tanh network with weights W over some steps, near zero."""
    generator = torch.Generator().manual_seed(seed)
    cell = nn.RNN(1, len(W), bias=False, dtype=torch.float64)
    with torch.no_grad():
        cell.get_parameter("weight_hh_l0").copy_(W)
        cell.get_parameter("weight_ih_l0").fill_(0.01)
    X = 0.1 * torch.randn(steps, 1, generator=generator, dtype=torch.float64)

    def last(start: Tensor) -> Tensor:
        out: Tensor = cell(X, start[None])[1][0]
        return out

    zero = torch.zeros(len(W), dtype=torch.float64)
    jacobian: Tensor = torch.autograd.functional.jacobian(last, zero)
    return jacobian


def rotation(n: int, seed: int = 0) -> Tensor:
    """Draw an orthogonal matrix."""
    generator = torch.Generator().manual_seed(seed)
    Q: Tensor = torch.linalg.qr(
        torch.randn(n, n, generator=generator, dtype=torch.float64)
    )[0]
    return Q
