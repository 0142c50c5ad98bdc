"""What depends directly on what in a recurrent network, as autograd finds it.

Source: chapter *Recurrence*, section *The same network, drawn*. The chapter's
diagrams are drawn from this.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import linear, mse_loss

from rnn_companion.networks._rnn import rnn_step

# ("h", 2) is h_2; a parameter has no time: ("W_hh", None)
Name = tuple[str, int | None]


@dataclass
class _Tape:
    """Named leaves, and for each computed one the leaves that it reads."""

    leaves: dict[Name, Tensor] = field(default_factory=dict)
    parents: dict[Name, tuple[Name, ...]] = field(default_factory=dict)

    def leaf(self, name: str, *shape: int, t: int | None = None) -> Tensor:
        self.leaves[name, t] = torch.full(shape, 0.1, requires_grad=True)
        return self.leaves[name, t]

    def computed(self, name: str, value: Tensor, t: int | None = None) -> Tensor:
        """Ask what the value depends on, then cut it off as a new leaf."""
        leaves = list(self.leaves.values())
        slopes = torch.autograd.grad(value.sum(), leaves, allow_unused=True)
        used = [n for n, s in zip(self.leaves, slopes, strict=True) if s is not None]
        self.parents[name, t] = tuple(used)
        self.leaves[name, t] = value.detach().requires_grad_()
        return self.leaves[name, t]


def direct_dependences(T: int = 3) -> dict[Name, tuple[Name, ...]]:
    """Find what each state, output and loss of a tanh network reads directly.

    Parameters
    ----------
    T : int
        Number of time steps, at least 1.

    Returns
    -------
    dict
        From each computed quantity to the quantities and parameters whose
        direct derivative exists; a quantity is a pair of name and time step.

    Raises
    ------
    ValueError
        If there is no step.
    """
    if T < 1:
        raise ValueError(f"a network needs at least one time step, got T={T}")
    tape = _Tape()
    W_xh, W_hh, W_hq = (tape.leaf(name, 1, 1) for name in ("W_xh", "W_hh", "W_hq"))
    b_h, b_q = tape.leaf("b_h", 1), tape.leaf("b_q", 1)
    h, losses = tape.leaf("h", 1, 1, t=0), []
    for t in range(1, T + 1):
        x, y = tape.leaf("x", 1, 1, t=t), tape.leaf("y", 1, 1, t=t)
        h = tape.computed("h", rnn_step(x, h, W_xh, W_hh, b_h), t)
        o = tape.computed("o", linear(h, W_hq, b_q), t)
        losses.append(tape.computed("ℓ", mse_loss(o, y), t))
    tape.computed("L", torch.stack(losses).mean())
    return tape.parents


def roll(parents: dict[Name, tuple[Name, ...]]) -> set[tuple[str, str, int]]:
    """Forget the time steps: edges of the rolled network as (from, to, delay).

    Parameters
    ----------
    parents : dict
        From `direct_dependences`.

    Returns
    -------
    set of tuple
        Between quantities that have a time step; the recurrent edge is the one
        with a delay of 1.
    """
    return {
        (source, target, t - s)
        for (target, t), sources in parents.items()
        for source, s in sources
        if t is not None and s is not None
    }
