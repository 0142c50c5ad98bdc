"""Checks of chapter 11: steps down a gradient."""

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes

Step = tuple[Tensor, Tensor, Tensor]


def _adam(
    root: Function = torch.sqrt,
    ages: Function = lambda k: (k, k),
    betas: tuple[float, float] = (0.9, 0.999),
    square: Function = lambda g: g**2,
    inside: bool = False,
    sign: int = -1,
) -> Function:
    """Make a step of Adam, right or wrong as its parts are."""

    def run(w: Tensor, g: Tensor, m: Tensor, v: Tensor, k: int) -> Step:
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * square(g)
        first, second = ages(k)
        m_hat = m / (1 - betas[0] ** first) if first else m
        v_hat = v / (1 - betas[1] ** second) if second else v
        below = root(v_hat + 1e-8) if inside else root(v_hat) + 1e-8
        return w + sign * 0.01 * m_hat / below, m, v

    return run


_ADAM_STEP = mistakes(
    "neither mean is corrected: divide them by 1 - beta^k",
    _adam(ages=lambda k: (0, 0)),
    "the mean of the gradients is not corrected: divide it by 1 - beta_1^k",
    _adam(ages=lambda k: (0, k)),
    "the mean of the squares is not corrected: divide it by 1 - beta_2^k",
    _adam(ages=lambda k: (k, 0)),
    "the root is missing: the step is divided by the mean of the squares itself",
    _adam(root=lambda v: v),
    "the gradient is not squared in v",
    _adam(square=lambda g: g.abs()),
    "the betas are exchanged: 0.9 belongs to the gradients, 0.999 to their squares",
    _adam(betas=(0.999, 0.9)),
    "epsilon stands inside the root; it is added to the root",
    _adam(inside=True),
    "it goes up the gradient: subtract the step",
    _adam(sign=1),
    "the corrected means are returned; the next step needs the plain ones",
    lambda w, g, m, v, k: (
        (made := _adam()(w, g, m, v, k))[0],
        made[1] / (1 - 0.9**k),
        made[2] / (1 - 0.999**k),
    ),
)


@compared_with(_adam(), _ADAM_STEP)
def adam_step() -> Cases:
    """Check ``adam_step(w, g, m, v, k)``: one step of Adam at a rate of 0.01.

    Takes weights, gradient, the means before the step and the number of the step;
    returns the new weights and both means. Betas 0.9 and 0.999, epsilon 1e-8.
    """
    w, g, m, v = draw((4,), (4,), (4,), (4,))
    small = torch.full((4,), 1e-5, dtype=w.dtype)
    return [(w, g, m, v**2, 3), (w, g, 0 * m, 0 * v, 1), (w, small, 0 * m, 0 * v, 1)]


def _momentum(
    keep: Function = lambda mu: mu,
    take: Function = lambda mu: 1.0,
    late: bool = False,
    ahead: bool = False,
) -> Function:
    """Make steps with momentum, right or wrong as its parts are."""

    def run(gradient: Function, w: Tensor, eta: float, mu: float, steps: int) -> Tensor:
        u = torch.zeros_like(w)
        for _ in range(steps):
            old = u
            u = keep(mu) * u + take(mu) * gradient(w - eta * mu * u if ahead else w)
            w = w - eta * (old if late else u)
        return w

    return run


_WITH_MOMENTUM = mistakes(
    "the velocity starts anew at every step, so this is plain gradient descent",
    _momentum(keep=lambda mu: 0),
    "the velocity is kept whole: it never slows down; multiply it by mu",
    _momentum(keep=lambda mu: 1),
    "the gradient counts 1 - mu here; in this book's rule it counts whole",
    _momentum(take=lambda mu: 1 - mu),
    "each step is taken with the velocity of the step before",
    _momentum(late=True),
    "the gradient is taken ahead of the weights: that is Nesterov's rule",
    _momentum(ahead=True),
)


@compared_with(_momentum(), _WITH_MOMENTUM)
def with_momentum() -> Cases:
    """Check ``with_momentum(gradient, w, eta, mu, steps)``: steps with a velocity.

    Takes a function from weights to their gradient, the first weights, learning
    rate, mu and the number of steps; returns the last weights.
    """
    (w,) = draw((3,))

    def bowl(w: Tensor) -> Tensor:
        return torch.tensor([1.0, 0.3, 0.1], dtype=w.dtype) * w

    return [(bowl, w, 0.3, 0.8, 7), (bowl, w, 0.5, 0.5, 4), (bowl, w, 0.1, 0.9, 1)]


def _longest(
    over: float = 2.0, factor: float = 2.0, mean: bool = True, at: int = -1
) -> Function:
    """Make the limit of a step from the eigenvalues of X^T X."""

    def run(X: Tensor) -> Tensor:
        squares: Tensor = torch.linalg.eigvalsh(X.T @ X)
        return over / (factor * squares[at] / (len(X) if mean else 1))

    return run


_LONGEST_STEP = mistakes(
    "the step may be twice as long: the limit is 2 over the curvature, not 1",
    _longest(over=1.0),
    "the 2 of the square's derivative is missing in the curvature",
    _longest(factor=1.0),
    "the loss is a mean: its curvature is divided by the number of windows",
    _longest(mean=False),
    "the flattest direction sets no limit; take the largest eigenvalue",
    _longest(at=0),
    "singular values of X are the roots of the eigenvalues of X^T X",
    lambda X: len(X) / torch.linalg.svdvals(X).max(),
    "the trace is the sum of all curvatures; the largest one alone sets the limit",
    lambda X: len(X) / (X**2).sum(),
)


@compared_with(_longest(), _LONGEST_STEP)
def longest_step() -> Cases:
    """Check ``longest_step(X)``: the limit of the learning rate of a linear forecast.

    Takes windows (N, d), N above d; returns a number, two over the largest curvature
    of the mean squared error.
    """
    a, b = draw((12, 3), (5, 2), seed=1)
    return [(a,), (3 * b + 1,)]
