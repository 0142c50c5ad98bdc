"""Matrices: their spectral radius and norm, and how a recurrent one starts."""

import math

import torch
from torch import Tensor, nn

STARTS = ("gaussian", "orthogonal", "identity")


def spectral_radius(W: Tensor) -> float:
    """Return the spectral radius, ``max |lambda|`` over eigenvalues (`eq-grad-radius`).

    Parameters
    ----------
    W : Tensor, `(n, n)`

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If W is not square, or not finite.
    """
    return float(torch.linalg.eigvals(square(W)).abs().max())


def spectral_norm(W: Tensor) -> float:
    """Return the spectral norm, ``max |W x| / |x|``: the largest singular value.

    Parameters
    ----------
    W : Tensor, `(n, n)`

    Returns
    -------
    float

    Raises
    ------
    ValueError
        As in `spectral_radius`.
    """
    return float(torch.linalg.matrix_norm(square(W), 2))


def starting_matrix(
    start: str, h: int, radius: float, generator: torch.Generator
) -> Tensor:
    """Draw a recurrent matrix of a given spectral radius.

    Sources: Saxe, McClelland and Ganguli (2014) for the orthogonal start, Le, Jaitly
    and Hinton (2015) for the identity.

    Parameters
    ----------
    start : str
        ``"gaussian"``, ``"orthogonal"`` or ``"identity"``.
    h : int
        Units.
    radius : float
        Spectral radius, at least 0.
    generator : torch.Generator
        Draws; the same draw is scaled for every radius.

    Returns
    -------
    Tensor, `(h, h)`, float64

    Raises
    ------
    ValueError
        For an unknown start, or a radius that is negative or not finite.
    """
    if start not in STARTS:
        raise ValueError(f"unknown start {start!r}: choose one of {', '.join(STARTS)}")
    if not 0 <= radius < math.inf:
        raise ValueError(f"radius must be finite and not negative, got {radius}")
    W = torch.eye(h, dtype=torch.float64)
    if start == "orthogonal":
        nn.init.orthogonal_(W, generator=generator)
    if start == "gaussian":
        W = torch.randn(h, h, generator=generator, dtype=torch.float64)
        W = W / spectral_radius(W)
    return radius * W


def square(W: Tensor) -> Tensor:
    """Return W, one matrix or several, or refuse what is not square and finite."""
    if W.dim() < 2 or W.shape[-1] != W.shape[-2]:
        raise ValueError(f"the matrix has shape {tuple(W.shape)}: it must be square")
    if not W.isfinite().all():
        raise ValueError("the matrix has entries that are NaN or infinite")
    return W
