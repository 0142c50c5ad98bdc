"""What the checks of the forecasting report's claims share."""

from collections.abc import Callable
from functools import cache, reduce
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import jacrev

from rnn_companion.claims import Finding
from rnn_companion.sentences.formulas import equation

REPORT = "ulislam2024"
PAGE = Path(__file__).resolve().parents[1] / "claims.md"
D, N, Q, T = 3, 4, 2, 5  # inputs, units, outputs, steps
DRAWN = (
    f"a tanh network of {N} units and {T} steps, drawn at random, in double precision"
)


class Network(NamedTuple):
    """A small tanh network, its states, and autograd's derivatives; entry t is step t.

    Parameters
    ----------
    w
        The long column of W_xh, W_hh and b_h.
    inputs, targets
        Shapes (T, d) and (T, q).
    head
        W_o and b_o.
    states
        h_0 to h_T, shape (T + 1, h).
    links, direct, total
        J_t; the direct and the total derivative of h_t by w, shape (h, len(w)).
    errors
        The derivative of the loss of each step by its output, shape (T, q).
    gradients
        Of the mean loss, by the name of the parameter; "w" is the long column.
    """

    w: Tensor
    inputs: Tensor
    targets: Tensor
    head: tuple[Tensor, Tensor]
    states: Tensor
    links: list[Tensor]
    direct: list[Tensor]
    total: list[Tensor]
    errors: Tensor
    gradients: dict[str, Tensor]

    def product(self, late: int, early: int, falling: bool = True) -> Tensor:
        """Multiply J_late to J_(early + 1), or in the other order."""
        factors = [self.links[j] for j in range(late, early, -1)]
        order = factors if falling else factors[::-1]
        return reduce(torch.matmul, order, torch.eye(N, dtype=torch.float64))

    def path(self, t: int, i: int) -> Tensor:
        """What the loss of step t says about the use of the weights in step i."""
        return self.errors[t - 1] @ self.head[0] @ self.product(t, i) @ self.direct[i]


def parts(w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the long column into W_xh, W_hh and b_h."""
    W_xh, W_hh, b_h = w.split([N * D, N * N, N])
    return W_xh.view(N, D), W_hh.view(N, N), b_h


def step(w: Tensor, before: Tensor, x: Tensor) -> Tensor:
    """Compute the next state."""
    W_xh, W_hh, b_h = parts(w)
    return torch.tanh(W_xh @ x + W_hh @ before + b_h)


def unroll(
    w: Tensor, start: Tensor, inputs: Tensor, enter: Callable[[int, Tensor], Tensor]
) -> Tensor:
    """Run all steps; `enter` makes of h_(t-1) what step t reads. Shape (T + 1, h)."""
    states = [start]
    for t, x in enumerate(inputs, 1):
        states.append(step(w, enter(t, states[-1]), x))
    return torch.stack(states)


def as_it_is(t: int, state: Tensor) -> Tensor:
    """Let a step read the state before."""
    return state


@cache
def network() -> Network:
    """Draw it, and let autograd find everything."""
    made = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=made, dtype=torch.float64)

    w, inputs, targets, start = draw(N * (D + N + 1)), draw(T, D), draw(T, Q), draw(N)
    W_o, b_o = draw(Q, N), draw(Q)
    H = unroll(w, start, inputs, as_it_is)

    def loss(w: Tensor, W_o: Tensor, b_o: Tensor) -> Tensor:
        outputs = unroll(w, start, inputs, as_it_is)[1:] @ W_o.T + b_o
        return (outputs - targets).square().sum(1).mean()

    by_w, by_W_o, by_b_o = jacrev(loss, (0, 1, 2))(w, W_o, b_o)
    names = ("W_xh", "W_hh", "b_h")
    gradients = dict(zip(names, parts(by_w), strict=True))
    gradients |= {"w": by_w, "W_o": by_W_o, "b_o": by_b_o}
    before = list(zip([start, *H[1:-1]], inputs, strict=True))
    nothing = torch.zeros(N, len(w), dtype=torch.float64)
    return Network(
        w,
        inputs,
        targets,
        (W_o, b_o),
        H,
        [torch.empty(0), *(jacrev(step, 1)(w, h, x) for h, x in before)],
        [nothing, *(jacrev(step)(w, h, x) for h, x in before)],
        list(jacrev(unroll)(w, start, inputs, as_it_is)),
        2 * (H[1:] @ W_o.T + b_o - targets),
        gradients,
    )


def run_on(world: str, *latex: str) -> list[Finding]:
    """Run formulas in a world of the book."""
    return [equation(text, world, PAGE) for text in latex]
