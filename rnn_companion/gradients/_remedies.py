"""Remedies of chapter 3: clipping, and teacher forcing."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def clip(gradients: Sequence[Tensor], threshold: float) -> list[Tensor]:
    """Shorten the gradient to a threshold, keeping its direction (`eq-grad-clip`).

    ``min(1, threshold / |g|) g``. All tensors together are one vector g.
    `torch.nn.utils.clip_grad_norm_` adds 1e-6 to the norm that it divides by.
    Source: Pascanu, Mikolov and Bengio (2013).

    Parameters
    ----------
    gradients : sequence of Tensor
        The gradient of each parameter.
    threshold : float
        The largest norm that is left alone.

    Returns
    -------
    list of Tensor
        Of the same shapes.

    Raises
    ------
    ValueError
        If the threshold is not positive, or a gradient is not finite.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be positive, got {threshold}")
    norm = total_norm(gradients)
    if not norm.isfinite():
        raise ValueError(f"the gradient has norm {norm}: look for what overflowed")
    factor = (threshold / norm).clamp(max=1)
    return [factor * g for g in gradients]


def total_norm(gradients: Iterable[Tensor]) -> Tensor:
    """Return the norm of all gradients together, as of one long vector."""
    norm: Tensor = torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients]))
    return norm


def free_and_forced(
    W_xh: Tensor, W_hh: Tensor, W_hq: Tensor, clamped: Tensor
) -> dict[str, Tensor]:
    """Return the recurrent matrices with and without teacher forcing (`eq-grad-free`).

    A network whose output is its next input has the recurrent matrix
    ``W_hh + W_xh W_hq``. Forcing the input (teacher forcing as it is meant today)
    leaves ``W_hh``; forcing units of the state (as it was meant first, by Williams and
    Zipser) clears their columns as well.

    Parameters
    ----------
    W_xh, W_hh, W_hq : Tensor, `(h, d)`, `(h, h)`, `(d, h)`
        The weights.
    clamped : Tensor, `(h,)`, bool
        The units whose state is replaced by a target.

    Returns
    -------
    dict
        ``"free"``, ``"inputs forced"`` and ``"units forced"``, each `(h, h)`.

    Raises
    ------
    ValueError
        If `clamped` is not a mask of truth values.
    """
    if clamped.dtype != torch.bool:
        raise ValueError(f"clamped has dtype {clamped.dtype}: expected torch.bool")
    return {
        "free": W_hh + W_xh @ W_hq,
        "inputs forced": W_hh,
        "units forced": W_hh * ~clamped,
    }
