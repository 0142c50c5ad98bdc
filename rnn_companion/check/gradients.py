"""Checks of chapter 3: exploding and vanishing gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes


def _cases() -> list[tuple[Tensor, ...]]:
    sizes = ((6, 4), (1, 3), (4, 5))
    drawn = [draw((T + 1, h), (T + 1, h), (h, h), seed=T) for T, h in sizes]
    return [(g, torch.tanh(A), W_hh) for g, A, W_hh in drawn]


def _ratios(g: Tensor, H: Tensor, W_hh: Tensor) -> Tensor:
    carried = (g[1:] * (1 - H[1:] ** 2)) @ W_hh
    sizes: Tensor = carried.norm(dim=1) / g[1:].norm(dim=1)
    return sizes


def _penalty(g: Tensor, H: Tensor, W_hh: Tensor) -> Tensor:
    return ((_ratios(g, H, W_hh) - 1) ** 2).sum()


_SOFT_CONSTRAINT = mistakes(
    "it is a sum over the steps, not their mean",
    lambda g, H, W: _penalty(g, H, W) / (len(g) - 1),
    "the square is missing",
    lambda g, H, W: (_ratios(g, H, W) - 1).sum(),
    "the ratio is held against 1 before it is squared: subtract 1",
    lambda g, H, W: (_ratios(g, H, W) ** 2).sum(),
    "the ratio is upside down",
    lambda g, H, W: ((1 / _ratios(g, H, W) - 1) ** 2).sum(),
    "the Jacobian lacks the factor 1 - h^2",
    lambda g, H, W: _penalty(g, torch.zeros_like(H), W),
    "the slope belongs to the wrong step: J_{t+1} takes h_{t+1}",
    lambda g, H, W: _penalty(g, H.roll(1, 0), W),
    "W_hh is transposed: a row times the Jacobian is (g * (1 - h^2)) @ W_hh",
    lambda g, H, W: _penalty(g, H, W.T),
    "the norm below belongs to g_{t+1}, not to g_t",
    lambda g, H, W: (
        (_ratios(g, H, W) * g[1:].norm(dim=1) / g[:-1].norm(dim=1) - 1) ** 2
    ).sum(),
)


@compared_with(_penalty, _SOFT_CONSTRAINT)
def soft_constraint() -> Cases:
    """Check ``soft_constraint(g, H, W_hh)``: how far steps change a gradient's norm.

    Takes the gradients at the states, g (T+1, h), the states H (T+1, h), both
    from step 0 to T, and W_hh; returns the sum over all steps of
    ``(|g_{t+1} J_{t+1}| / |g_{t+1}| - 1)^2``.
    """
    return _cases()


def _reach_with(
    states: Callable[[Tensor], Tensor] = lambda H: H[1:],
    J: Callable[[Tensor, Tensor], Tensor] = lambda h, W: torch.diag(1 - h**2) @ W,
    norm: Callable[[Tensor], Tensor] = lambda P: torch.linalg.matrix_norm(P, 2),
    left: bool = True,
) -> Function:
    """Make the product of Jacobians, right or wrong as its parts are."""

    def run(W_hh: Tensor, H: Tensor) -> Tensor:
        product = torch.eye(len(W_hh), dtype=W_hh.dtype)
        for h_t in states(H):
            product = J(h_t, W_hh) @ product if left else product @ J(h_t, W_hh)
        return norm(product)

    return run


_REACH = mistakes(
    "the slopes are those of h_0 to h_{T-1}; the Jacobian of step t takes h_t",
    _reach_with(states=lambda H: H[:-1]),
    "h_0 is no step's result: there are T Jacobians, not T + 1",
    _reach_with(states=lambda H: H),
    "the Jacobians are in the wrong order: the latest stands leftmost",
    _reach_with(left=False),
    "the slope scales the rows of W_hh, so it stands left of it",
    _reach_with(J=lambda h, W: W @ torch.diag(1 - h**2)),
    "the factor 1 - h^2 is missing",
    _reach_with(J=lambda h, W: W),
    "W_hh is transposed",
    _reach_with(J=lambda h, W: torch.diag(1 - h**2) @ W.T),
    "this is the Frobenius norm; the largest stretch is the spectral norm",
    _reach_with(norm=lambda P: torch.linalg.matrix_norm(P)),
    "this is the spectral radius; the largest stretch is the spectral norm",
    _reach_with(norm=lambda P: torch.linalg.eigvals(P).abs().max()),
)


@compared_with(_reach_with(), _REACH)
def reach() -> Cases:
    """Check ``reach(W_hh, H)``: the spectral norm of dh_T/dh_0.

    Takes W_hh (h, h) and the states h_0 to h_T, (T+1, h); returns a number.
    """
    return [(W_hh, H) for _, H, W_hh in _cases()]


_NORMS = ([1.0, 4.0, 2.0, 0.5, 0.4, 1.1, 0.2, 0.05], [3.0, 1.0, 1.0, 0.5, 0.3, 0.2])


def _days_back(norms: Tensor, share: float) -> int:
    within = norms.cumsum(0) >= share * norms.sum()
    return int(within.long().argmax()) + 1


_DAYS_BACK = mistakes(
    "it is one too few: lag 0 is the first of them",
    lambda n, share: _days_back(n, share) - 1,
    "it is one too many",
    lambda n, share: _days_back(n, share) + 1,
    "the lags are counted from the far end; begin with lag 0",
    lambda n, share: _days_back(n.flip(0), share),
    "the norms are sorted; keep the order of the lags",
    lambda n, share: _days_back(n.sort(descending=True).values, share),
    "the norms are squared; they are to be added as they are",
    lambda n, share: _days_back(n**2, share),
    "these are the lags whose own norm is large; add the norms up",
    lambda n, share: int((n >= (1 - share) * n.max()).sum()),
)


@compared_with(_days_back, _DAYS_BACK)
def days_back() -> Cases:
    """Check ``days_back(norms, share)``: how many lags make up a share of the norms.

    Takes norms by lag, (L,), from lag 0 on, and a share below 1; returns the
    smallest number of lags, counted from lag 0, whose norms are at least that
    share of the sum of all.
    """
    norms = [torch.tensor(n, dtype=torch.float64) for n in _NORMS]
    return [(n, share) for n in norms for share in (0.9, 0.5)]
