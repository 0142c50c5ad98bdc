"""Backpropagation through time, cut short (chapter 3).

Every strategy is one list of weights, `xi_t`: by what the derivative is multiplied
where it passes from step t back to step t-1. Full: one. Regular: zero every tau
steps. Randomized: 1/pi with probability pi, else zero. The backward pass is that of
`bptt`, with these weights in its recursion.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_companion.gradients.bptt import RNN_SHAPES, RNNGradients, weight_gradients
from rnn_companion.networks import shapes

MOST_LINKS = 16  # 2^16 patterns


class Patterns(NamedTuple):
    """Every outcome of the weights of a randomized truncation."""

    xi: Tensor  # (2^T, T)
    probability: Tensor  # (2^T,)


class Comparison(NamedTuple):
    """How an estimate of a gradient misses, in units of the exact gradient's norm."""

    bias: float  # distance of the mean from the exact gradient
    spread: float  # root mean square distance of an estimate from the mean
    cosine: float  # of the angle between the mean and the exact gradient


def full(T: int) -> Tensor:
    """Return the weights `xi_1, ..., xi_T` that cut nothing: ones.

    Parameters
    ----------
    T : int
        Length of the sequence.

    Returns
    -------
    Tensor, `(T,)`

    Raises
    ------
    ValueError
        If T is not a whole number of at least 1.
    """
    return torch.ones(_whole("T", T), dtype=torch.float64)


def regular(T: int, tau: int) -> Tensor:
    """Return weights that cut the sequence into parts of tau steps (`eq-grad-regular`).

    Parameters
    ----------
    T : int
        Length of the sequence.
    tau : int
        Steps a part; from T on nothing is cut.

    Returns
    -------
    Tensor, `(T,)`
        Zero where a part begins that is not the first, else one.

    Raises
    ------
    ValueError
        If T or tau is not a whole number of at least 1.
    """
    xi = full(T)
    xi[_whole("tau", tau) :: tau] = 0
    return xi


def randomized(
    T: int, pi: float, generator: torch.Generator, *, draws: int | None = None
) -> Tensor:
    """Draw weights that cut at random and make up for it (`eq-grad-mean`).

    Source: Tallec and Ollivier, *Unbiasing truncated backpropagation through time*
    (2017), with one probability for all steps.

    ``xi_t = 1 / pi`` with probability pi, else zero.

    Parameters
    ----------
    T : int
        Length of the sequence.
    pi : float
        Probability that a step passes the derivative on.
    generator : torch.Generator
        Draws.
    draws : int, optional
        How many lists of weights; one by default.

    Returns
    -------
    Tensor, `(T,)` or `(draws, T)`

    Raises
    ------
    ValueError
        If pi does not lie in (0, 1].
    """
    shape = (_whole("T", T),) if draws is None else (draws, _whole("T", T))
    kept = torch.rand(shape, generator=generator, dtype=torch.float64)
    return (kept < _probability(pi)).double() / pi


def all_patterns(T: int, pi: float) -> Patterns:
    """List every outcome of `randomized`, with its probability.

    Parameters
    ----------
    T : int
        Length of the sequence, at most 16.
    pi : float
        As in `randomized`.

    Returns
    -------
    Patterns
        All 2^T lists of weights; the probabilities add up to one.

    Raises
    ------
    ValueError
        If pi does not lie in (0, 1], or T is too long to list.
    """
    if _whole("T", T) > MOST_LINKS:
        raise ValueError(f"T = {T} has 2^{T} patterns: at most {MOST_LINKS} steps")
    kept = (torch.arange(2**T)[:, None] >> torch.arange(T).flip(0)).double() % 2
    probability = (kept * _probability(pi) + (1 - kept) * (1 - pi)).prod(1)
    return Patterns(kept / pi, probability)


@shapes(**RNN_SHAPES, xi="T")
def truncated_backward(
    G: Tensor, X: Tensor, H: Tensor, W_xh: Tensor, W_hh: Tensor, xi: Tensor
) -> RNNGradients:
    """Return the gradients of a tanh layer, every link weighted (`eq-grad-delta`).

    ``Delta_t = (G_t + xi_{t+1} Delta_{t+1} W_hh) * (1 - H_t^2)``. With `full` it is
    `bptt.rnn_backward`. Nothing is changed in place, so that `torch.func.vmap` runs it
    over many lists of weights at once.

    Parameters
    ----------
    G, X, H, W_xh, W_hh : Tensor
        As in `bptt.rnn_backward`.
    xi : Tensor, `(T,)`
        The weight of the link from each step to the one before.

    Returns
    -------
    RNNGradients
        What this strategy takes for the gradients of X, H_0, W_xh, W_hh and b_h.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    slope, xi = 1 - H[1:] ** 2, xi.to(H.dtype)  # (T, B, h)
    Delta = [slope[-1] * G[-1]]
    for t in range(len(X) - 2, -1, -1):
        Delta.append(slope[t] * (G[t] + xi[t + 1] * Delta[-1] @ W_hh))
    D = torch.stack(Delta[::-1])  # (T, B, h)
    return RNNGradients(D @ W_xh, xi[0] * D[0] @ W_hh, *weight_gradients(D, X, H))


@shapes(**RNN_SHAPES)
def sliding_backward(
    G: Tensor, X: Tensor, H: Tensor, W_xh: Tensor, W_hh: Tensor, tau: int
) -> RNNGradients:
    """Return the gradients of losses that go back tau steps each (`eq-grad-sliding`).

    The sum of chapter 2 ends after tau terms for every loss alike. The paths of one
    length are taken together, so this costs tau batched steps.

    Parameters
    ----------
    G, X, H, W_xh, W_hh : Tensor
        As in `bptt.rnn_backward`.
    tau : int
        Steps that the derivative of each loss passes through; from T on, all.

    Returns
    -------
    RNNGradients
        As from `truncated_backward`.

    Raises
    ------
    ValueError
        If tau is not a whole number of at least 1, or a shape does not fit the others.
    """
    slope = 1 - H[1:] ** 2  # (T, B, h)
    paths = slope * G  # (T, B, h): from each loss into its own step
    Delta = paths.clone()
    for lag in range(1, min(_whole("tau", tau), len(X))):
        paths = slope[:-lag] * (paths[1:] @ W_hh)  # (T-lag, B, h)
        Delta[:-lag] += paths
    return RNNGradients(Delta @ W_xh, Delta[0] @ W_hh, *weight_gradients(Delta, X, H))


def compare(
    estimates: Tensor, exact: Tensor, probability: Tensor | None = None
) -> Comparison:
    """Compare estimates of a gradient with the gradient itself.

    Parameters
    ----------
    estimates : Tensor, `(n, ...)`
        What a strategy took for the gradient, n times.
    exact : Tensor, `(...)`
        The gradient.
    probability : Tensor, `(n,)`, optional
        Of each estimate; equal by default.

    Returns
    -------
    Comparison
    """
    n, e = len(estimates), exact.flatten()
    p = exact.new_full((n,), 1 / n) if probability is None else probability
    mean = p @ estimates.flatten(1)
    variance = p @ (estimates.flatten(1) - mean).square().sum(1)
    return Comparison(
        bias=float((mean - e).norm() / e.norm()),
        spread=float(variance.clamp(min=0).sqrt() / e.norm()),
        cosine=float(mean @ e / mean.norm() / e.norm()),
    )


def path_weights(xi: Tensor) -> Tensor:
    """Return with what weight each path counts (`eq-grad-xi`).

    Entry (t, i) is the product of `xi_j` over j = i+1, ..., t; zero for i > t.

    Parameters
    ----------
    xi : Tensor, `(T,)`
        The weight of the link from each step to the one before.

    Returns
    -------
    Tensor, `(T, T)`
        From loss t (row) to the use of the weights in step i (column).
    """
    T = len(xi)
    weights = xi.new_zeros(T, T)
    for t in range(T):
        links = torch.cat([xi[1 : t + 1], xi.new_ones(1)])
        weights[t, : t + 1] = links.flip(0).cumprod(0).flip(0)
    return weights


def mean_weights(T: int, tau: int, pi: float) -> dict[str, Tensor]:
    """Return with what weight each strategy counts the paths of each lag, on average.

    Parameters
    ----------
    T : int
        Length of the sequence.
    tau : int
        Of the regular and the sliding strategy.
    pi : float
        Of the randomized one.

    Returns
    -------
    dict of str to Tensor, each `(T,)`
        For lags 0 to T-1, by strategy; the full gradient counts each path once.
    """
    lag = torch.arange(T, dtype=torch.float64)
    part = torch.arange(_whole("T", T)) // _whole("tau", tau)
    together = (part.unsqueeze(0) == part.unsqueeze(1)).double()  # (T, T)
    kept = torch.stack([together.diagonal(-n).mean() for n in range(T)])
    return {
        "full": torch.ones(T, dtype=torch.float64),
        "regular": kept,
        "sliding": (lag < tau).double(),
        "randomized": torch.ones(T, dtype=torch.float64),
        "without the weight": _probability(pi) ** lag,
    }


def _whole(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return value


def _probability(pi: float) -> float:
    if not 0 < pi <= 1:
        raise ValueError(f"pi must lie in (0, 1], got {pi}")
    return pi
