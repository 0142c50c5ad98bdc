"""How far a gradient reaches, and what keeps it in bounds (chapter 3).

The derivative of a late state with respect to an early one is a product of Jacobians.
Here it is taken exactly, for tanh, LSTM and GRU cells, and its norm is held against
the lag; then the gradients of whole models are watched while they train.

Sequences of this module have no batch: `X` is `(T, d)`, states are `(T+1, n)`, where
n = h, but 2h for an LSTM, whose state is h and c together.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

__all__ = [
    "Drive",
    "cell_of",
    "clip",
    "free_and_forced",
    "jacobians",
    "make_cell",
    "norm_against_lag",
    "products",
    "products_by_vjp",
    "spectral_norm",
    "spectral_radius",
    "starting_matrix",
    "states",
    "total_norm",
]

Cell = nn.RNNCell | nn.LSTMCell | nn.GRUCell
CELLS: dict[str, type[Cell]] = {
    "rnn": nn.RNNCell,
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
}
STARTS = ("gaussian", "orthogonal", "identity")

RECURRENT = "cell.weight_hh_l0"
SYMBOLS = {  # torch's names and the book's; bias_hh has the gradient of bias_ih
    "cell.weight_ih_l0": "W_xh",
    RECURRENT: "W_hh",
    "cell.bias_ih_l0": "b_h",
    "head.weight": "W_hq",
    "head.bias": "b_q",
}


# Matrices


def spectral_radius(W: Tensor) -> float:
    """Return the largest modulus of an eigenvalue (`eq-grad-radius`).

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
    return float(torch.linalg.eigvals(_square(W)).abs().max())


def spectral_norm(W: Tensor) -> float:
    """Return the largest singular value: the most that W stretches a vector.

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
    return float(torch.linalg.matrix_norm(_square(W), 2))


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


# Cells, one step at a time


def make_cell(
    kind: str,
    d: int,
    h: int,
    *,
    radius: float,
    input_scale: float = 1.0,
    start: str = "gaussian",
    forget_bias: float = 0.0,
    generator: torch.Generator,
) -> Cell:
    """Make a cell whose recurrent matrices, one a gate, have one spectral radius.

    Parameters
    ----------
    kind : str
        ``"rnn"`` (tanh), ``"lstm"`` or ``"gru"``.
    d, h : int
        Inputs and units.
    radius : float
        Spectral radius of each recurrent matrix.
    input_scale : float
        Standard deviation of what inputs of variance one add to a pre-activation.
    start : str
        See `starting_matrix`.
    forget_bias : float
        Bias of an LSTM's forget gate; all other biases are zero.
    generator : torch.Generator
        Draws.

    Returns
    -------
    torch.nn.RNNCell, LSTMCell or GRUCell
        In float64.

    Raises
    ------
    ValueError
        For an unknown kind or start, or an impossible radius.
    """
    cell = _empty_cell(kind, d, h)
    W_h = cell.weight_hh.data.split(h)
    for W in W_h:
        W.copy_(starting_matrix(start, h, radius, generator))
    nn.init.normal_(cell.weight_ih, std=input_scale / math.sqrt(d), generator=generator)
    nn.init.zeros_(cell.bias_ih)
    nn.init.zeros_(cell.bias_hh)
    if kind == "lstm":
        cell.bias_ih.data[h : 2 * h] = forget_bias
    return cell


def cell_of(module: nn.RNNBase) -> Cell:
    """Take the first layer of a recurrent module as a cell, in float64.

    Parameters
    ----------
    module : torch.nn.RNN, LSTM or GRU
        With biases.

    Returns
    -------
    torch.nn.RNNCell, LSTMCell or GRUCell
        With the module's weights.
    """
    kind = type(module).__name__.lower()
    cell = _empty_cell(kind, module.input_size, module.hidden_size)
    for name, parameter in cell.named_parameters():
        parameter.data.copy_(module.get_parameter(f"{name}_l0").detach())
    return cell


def step(cell: Cell, x_t: Tensor, s_prev: Tensor) -> Tensor:
    """Return the next state, `(n,)`, from an input `(d,)` and the state before."""
    if isinstance(cell, nn.LSTMCell):
        h_prev, c_prev = s_prev.chunk(2)
        return torch.cat(cell(x_t, (h_prev, c_prev)))
    s_t: Tensor = cell(x_t, s_prev)
    return s_t


def states(cell: Cell, X: Tensor) -> Tensor:
    """Run a cell over a sequence, from zero.

    Parameters
    ----------
    cell : torch.nn.RNNCell, LSTMCell or GRUCell
    X : Tensor, `(T, d)`
        The inputs.

    Returns
    -------
    Tensor, `(T+1, n)`
        The states of steps 0 to T.
    """
    S = [_zero_state(cell)]
    for x_t in X:
        S.append(step(cell, x_t, S[-1]))
    return torch.stack(S)


# Jacobians and their products


@torch.no_grad()
def jacobians(cell: Cell, X: Tensor) -> Tensor:
    """Return the Jacobian of every step along a sequence (`eq-grad-jacobian`).

    Of a tanh cell by its formula, diag(1 - h_t^2) W_hh; of a gated one by automatic
    differentiation of the step.

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
    if isinstance(cell, nn.RNNCell):
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
    _square(J)
    P = [torch.eye(J.shape[-1], dtype=J.dtype)]
    for J_k in J.flip(0):
        P.append(P[-1] @ J_k)
    return torch.stack(P)


def products_by_vjp(cell: Cell, X: Tensor) -> Tensor:
    """Take the same products by backpropagating every unit vector at once.

    Parameters
    ----------
    cell : torch.nn.RNNCell, LSTMCell or GRUCell
    X : Tensor, `(T, d)`
        The inputs; the state starts at zero.

    Returns
    -------
    Tensor, `(T+1, n, n)`
        As from `products`.
    """
    S = [_zero_state(cell).requires_grad_()]
    for x_t in X:
        S.append(step(cell, x_t, S[-1]))
    units = torch.eye(len(S[-1]), dtype=X.dtype)
    rows = torch.autograd.grad(S[-1], S[::-1], units, is_grads_batched=True)
    return torch.stack(rows)


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
        If a lag is negative or longer than the sequence, or a Jacobian is not square
        or not finite.
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


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A random cell, driven by noise.

    Parameters
    ----------
    cell : str
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    hidden_size, length : int
        Units and steps.
    radius : float
        Spectral radius of each recurrent matrix.
    input_scale : float
        Standard deviation of the inputs' share of a pre-activation.
    start : str
        See `starting_matrix`.
    forget_bias : float
        Of an LSTM.
    seed : int
        Of weights and inputs.
    """

    cell: str = "rnn"
    hidden_size: int = 32
    length: int = 50
    radius: float = 1.0
    input_scale: float = 0.5
    start: str = "gaussian"
    forget_bias: float = 0.0
    seed: int = 0

    def make(self) -> tuple[Cell, Tensor]:
        """Draw the cell and its inputs, `(T, d)` with d = h."""
        generator = torch.Generator().manual_seed(self.seed)
        cell = make_cell(
            self.cell,
            self.hidden_size,
            self.hidden_size,
            radius=self.radius,
            input_scale=self.input_scale,
            start=self.start,
            forget_bias=self.forget_bias,
            generator=generator,
        )
        shape = self.length, self.hidden_size
        return cell, torch.randn(shape, generator=generator, dtype=torch.float64)

    def eigenvalues(self) -> Tensor:
        """Return the eigenvalues of the recurrent matrix, of each gate, `(.., h)`."""
        cell, _ = self.make()
        gates = cell.weight_hh.detach().split(self.hidden_size)
        found: Tensor = torch.linalg.eigvals(torch.stack(gates)).flatten()
        return found

    def bound(self) -> Tensor:
        """Return the bound of a tanh cell across lags 0 to T (`eq-grad-bound`)."""
        cell, X = self.make()
        gamma = (1 - states(cell, X).detach()[1:] ** 2).max()
        sigma = spectral_norm(cell.weight_hh.detach())
        return (gamma * sigma) ** torch.arange(self.length + 1)

    def norms(self) -> Tensor:
        """Return the norm of the derivative across lags 0 to T, `(T+1,)`."""
        return norm_against_lag(jacobians(*self.make()))


# Remedies


def clip(gradients: Sequence[Tensor], threshold: float) -> list[Tensor]:
    """Shorten the gradient to a threshold, keeping its direction (`eq-grad-clip`).

    Source: Pascanu, Mikolov and Bengio (2013). All tensors together are one vector.
    `torch.nn.utils.clip_grad_norm_` adds 1e-6 to the norm that it divides by.

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
        If the threshold is not positive, or a gradient is not finite: no factor
        mends that.
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
    """
    return {
        "free": W_hh + W_xh @ W_hq,
        "inputs forced": W_hh,
        "units forced": W_hh * ~clamped,
    }


# Watching a model train


def _empty_cell(kind: str, d: int, h: int) -> Cell:
    if kind not in CELLS:
        raise ValueError(f"unknown cell {kind!r}: choose one of {', '.join(CELLS)}")
    with torch.device("meta"):  # no draw from the global generator
        cell = CELLS[kind](d, h, dtype=torch.float64)
    return cell.to_empty(device="cpu")


def _zero_state(cell: Cell) -> Tensor:
    n = cell.hidden_size * (2 if isinstance(cell, nn.LSTMCell) else 1)
    return cell.weight_hh.new_zeros(n)


def _square(W: Tensor) -> Tensor:
    if W.dim() < 2 or W.shape[-1] != W.shape[-2]:
        raise ValueError(f"the matrix has shape {tuple(W.shape)}: it must be square")
    if not W.isfinite().all():
        raise ValueError("the matrix has entries that are NaN or infinite")
    return W
