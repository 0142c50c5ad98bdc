"""Four ways to take a step down a gradient, as chapter 11 derives them.

A rule is its settings; what it remembers from step to step is a tuple of tensors
that the caller keeps. So a rule can be read, stepped through and compared with
torch's. `ByHand` puts a rule where a torch optimizer goes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Rule:
    """A way to take a step.

    Parameters
    ----------
    eta : float
        Learning rate, positive.

    Raises
    ------
    ValueError
        For a setting out of its range: names it.
    """

    eta: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value, positive = getattr(self, field.name), field.name in ("eta", "eps")
            if not (value > 0 if positive else 0 <= value < 1):
                allowed = "positive" if positive else "at least 0 and below 1"
                raise ValueError(f"{field.name} must be {allowed}, got {value}")

    def start(self, w: Tensor) -> State:
        """Return what the rule remembers before its first step: one tensor of zeros."""
        return (torch.zeros_like(w),)

    def step(self, w: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the weights after one step, and what to remember.

        Parameters
        ----------
        w, g : Tensor, of one shape
            The weights and the gradient there.
        state : tuple of Tensor
            What `start` or the step before returned.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Rule):
    """Stochastic gradient descent, ``w - eta g`` (`eq-sgd`).

    Parameters and errors as in `Rule`.
    """

    def start(self, w: Tensor) -> State:
        """Remember nothing."""
        return ()

    def step(self, w: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        """Go against the gradient."""
        return w - self.eta * g, ()


@dataclass(frozen=True)
class Momentum(Rule):
    """Gradient descent with momentum, in torch's form (`eq-momentum`).

    ``u = mu u + g``, then ``w - eta u``.

    Parameters
    ----------
    eta : float
        As in `Rule`.
    mu : float
        What is kept of the velocity u, in [0, 1).
    """

    mu: float = 0.9

    def step(self, w: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        """Go against the velocity."""
        (u,) = state
        u = self.mu * u + g
        return w - self.eta * u, (u,)


@dataclass(frozen=True)
class RMSprop(Rule):
    """Divide by the root of a running mean of squares (`eq-rmsprop`).

    ``v = beta v + (1 - beta) g^2``, then ``w - eta g / (sqrt(v) + eps)``.
    Source: Tieleman & Hinton (2012); torch's form and defaults.

    Parameters
    ----------
    eta : float
        As in `Rule`.
    beta : float
        What is kept of the mean square, in [0, 1).
    eps : float
        Added to the root, positive.
    """

    beta: float = 0.99
    eps: float = 1e-8

    def step(self, w: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        """Go against the gradient, each weight in units of its own."""
        (v,) = state
        v = self.beta * v + (1 - self.beta) * g**2
        return w - self.eta * g / (v.sqrt() + self.eps), (v,)


@dataclass(frozen=True)
class Adam(Rule):
    """Momentum over RMSprop, both without their bias (`eq-adam`).

    ``m = beta_1 m + (1 - beta_1) g`` and ``v = beta_2 v + (1 - beta_2) g^2``, each
    divided by ``1 - beta^k`` at step k, then ``w - eta m / (sqrt(v) + eps)``.
    Source: Kingma & Ba (2015), algorithm 1.

    Parameters
    ----------
    eta : float
        As in `Rule`.
    beta_1, beta_2 : float
        What is kept of the mean and of the mean square, in [0, 1).
    eps : float
        Added to the root, positive.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    eps: float = 1e-8

    def start(self, w: Tensor) -> State:
        """Remember a mean and a mean square of zero, and no step."""
        return torch.zeros_like(w), torch.zeros_like(w), torch.zeros(())

    def step(self, w: Tensor, g: Tensor, state: State) -> tuple[Tensor, State]:
        """Go against the mean gradient, each weight in units of its own."""
        m, v, k = state[0], state[1], state[2] + 1
        m = self.beta_1 * m + (1 - self.beta_1) * g
        v = self.beta_2 * v + (1 - self.beta_2) * g**2
        m_hat = m / (1 - self.beta_1 ** k.item())
        v_hat = v / (1 - self.beta_2 ** k.item())
        return w - self.eta * m_hat / (v_hat.sqrt() + self.eps), (m, v, k)


def descend(
    rule: Rule, gradient: Callable[[Tensor], Tensor], w: Tensor, steps: int
) -> Tensor:
    """Follow a rule down from a starting point (chapter 11).

    Parameters
    ----------
    rule : Rule
        Takes the steps.
    gradient : callable
        The gradient at any weights.
    w : Tensor
        The starting point.
    steps : int
        How many steps to take.

    Returns
    -------
    Tensor, `(steps + 1, *w.shape)`
        The starting point and the weights after each step.
    """
    path, state = [w], rule.start(w)
    for _ in range(steps):
        w, state = rule.step(w, gradient(w), state)
        path.append(w)
    return torch.stack(path)


class ByHand(torch.optim.Optimizer):
    """A rule in the place of a torch optimizer.

    Parameters
    ----------
    parameters : iterable of Tensor
        What to train.
    rule : Rule
        Takes the steps.
    """

    def __init__(self, parameters: Iterable[Tensor], rule: Rule) -> None:
        super().__init__(parameters, {})
        self.rule = rule

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Take one step with the gradients that are stored in `.grad`."""
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    state = self.state[w].get("rule", self.rule.start(w))
                    stepped, self.state[w]["rule"] = self.rule.step(w, w.grad, state)
                    w.copy_(stepped)
