"""How far a gradient reaches (chapter 3).

The derivative of a late state with respect to an early one is a product of Jacobians.
Here it is taken exactly, for torch's cells, and its norm is given for each lag. `X` is
`(T, d)`, without a batch; a state has n = h numbers, that of an LSTM 2h (h and c).
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from rnn_companion.devices import one_thread
from rnn_companion.gradients._cells import Cell, run, states, step
from rnn_companion.gradients._matrices import square


@one_thread()
@torch.no_grad()
def jacobians(cell: Cell, X: Tensor) -> Tensor:
    """Return the Jacobian of every step along a sequence (`eq-grad-jacobian`).

    ``J_t = diag(1 - h_t^2) W_hh`` for a tanh cell; automatic differentiation of the
    step for any other.

    Parameters
    ----------
    cell : torch.nn.RNNCell, LSTMCell or GRUCell
    X : Tensor, `(T, d)`
        The inputs; the state starts at zero.

    Returns
    -------
    Tensor, `(T, n, n)`
        The derivative of each state with respect to the one before.
    """
    S = states(cell, X)
    if isinstance(cell, nn.RNNCell) and cell.nonlinearity == "tanh":
        return (1 - S[1:] ** 2).unsqueeze(-1) * cell.weight_hh
    J: Tensor = vmap(jacrev(partial(step, cell), argnums=1))(X, S[:-1])
    return J


def products(J: Tensor) -> Tensor:
    """Multiply Jacobians back from the last step (`eq-grad-product`).

    Parameters
    ----------
    J : Tensor, `(T, n, n)`
        The Jacobian of every step.

    Returns
    -------
    Tensor, `(T+1, n, n)`
        At index l, the lag, the derivative of the last state with respect to the one
        l steps before it: ``J[T-1] @ J[T-2] @ ... @ J[T-l]``.

    Raises
    ------
    ValueError
        If a Jacobian is not square, or not finite.
    """
    P = [torch.eye(square(J).shape[-1], dtype=J.dtype, device=J.device)]
    for J_k in J.flip(0):
        P.append(P[-1] @ J_k)
    return torch.stack(P)


def products_by_vjp(cell: Cell, X: Tensor) -> Tensor:
    """Take the same products by backpropagating every unit vector at once.

    Parameters
    ----------
    cell, X
        As in `jacobians`.

    Returns
    -------
    Tensor, `(T+1, n, n)`
        As from `products`.
    """
    S = run(cell, X)
    units = torch.eye(len(S[-1]), dtype=X.dtype)
    rows = torch.autograd.grad(S[-1], S[::-1], units, is_grads_batched=True)
    return torch.stack(rows)


@one_thread()
def norm_against_lag(J: Tensor, lags: Sequence[int] | None = None) -> Tensor:
    """Return the spectral norm of the derivative across each lag.

    Parameters
    ----------
    J : Tensor, `(T, n, n)`
        The Jacobian of every step.
    lags : sequence of int, optional
        Which lags, counted back from the last step; 0 to T by default.

    Returns
    -------
    Tensor, `(lags,)`

    Raises
    ------
    ValueError
        If a lag is negative or longer than the sequence, or as in `products`.
    """
    lags = range(len(J) + 1) if lags is None else lags
    for lag in lags:
        if not 0 <= lag <= len(J):
            raise ValueError(
                f"lag {lag} lies outside the sequence: {len(J)} steps have lags "
                f"0 to {len(J)}"
            )
    norms: Tensor = torch.linalg.matrix_norm(products(J)[list(lags)], 2)
    return norms


@one_thread()
def lyapunov_exponents(J: Tensor) -> Tensor:
    """Return how fast small changes of the state grow a step (`eq-grad-exponent`).

    With ``Q_0 = I`` and ``Q_t R_t = J_t Q_{t-1}``, the product of the Jacobians is
    ``Q_T R_T ... R_1`` (`eq-grad-qr`), and exponent i is the mean over t of
    ``log |(R_t)_ii|``: no number grows with the length of the product.

    Parameters
    ----------
    J : Tensor, `(T, n, n)`
        The Jacobian of every step.

    Returns
    -------
    Tensor, `(n,)`
        Natural logarithms a step, the largest first; minus infinity for a direction
        that is lost.

    Raises
    ------
    ValueError
        If a Jacobian is not square, or not finite, or there is none.

    Notes
    -----
    Source: Benettin, Galgani, Giorgilli and Strelcyn (1980). For finite T the largest
    is the growth of a column of the product, at most ``log |J_T ... J_1| / T``. Where a
    Jacobian sends the first column to zero, that is minus infinity.
    """
    if not len(square(J)):
        raise ValueError("there is no Jacobian: a sequence has at least one step")
    Q = torch.eye(J.shape[-1], dtype=J.dtype, device=J.device)
    total = J.new_zeros(J.shape[-1])
    for J_t in J:
        Q, R = torch.linalg.qr(J_t @ Q)
        total += R.diagonal().abs().log()
    return (total / len(J)).sort(descending=True).values
