"""torch's cells, one step at a time, with one vector as their state.

Sequences have no batch here: `X` is `(T, d)`, states are `(T+1, n)`, where n = h, but
2h for an LSTM, whose state is h and c side by side.
"""

import torch
from torch import Tensor, nn

from rnn_companion.networks import weights_by_layer

Cell = nn.RNNCell | nn.LSTMCell | nn.GRUCell
CELLS: dict[str, type[Cell]] = {
    "rnn": nn.RNNCell,
    "lstm": nn.LSTMCell,
    "gru": nn.GRUCell,
}


def empty_cell(kind: str, d: int, h: int) -> Cell:
    """Make a tanh, LSTM or GRU cell in float64 whose weights are still to be set."""
    if kind not in CELLS:
        raise ValueError(f"unknown cell {kind!r}: choose one of {', '.join(CELLS)}")
    with torch.device("meta"):  # no draw from the global generator
        cell = CELLS[kind](d, h, dtype=torch.float64)
    return cell.to_empty(device="cpu")


def cell_of(module: nn.RNNBase) -> Cell:
    """Take the first layer of a recurrent module as a cell, in float64.

    Parameters
    ----------
    module : torch.nn.RNN, LSTM or GRU
        As plain as in `rnn_parameters`.

    Returns
    -------
    torch.nn.RNNCell, LSTMCell or GRUCell
        With the module's weights.

    Raises
    ------
    ValueError
        As in `rnn_parameters`.
    """
    weights = next(weights_by_layer(module, nn.RNNBase))
    kind = type(module).__name__.lower()
    cell = empty_cell(kind, module.input_size, module.hidden_size)
    for parameter, weight in zip(cell.parameters(), weights, strict=True):
        parameter.data.copy_(weight.detach())
    return cell


def step(cell: Cell, x_t: Tensor, s_prev: Tensor) -> Tensor:
    """Return the next state, `(n,)`, from an input `(d,)` and the state before."""
    if isinstance(cell, nn.LSTMCell):
        h_prev, c_prev = s_prev.chunk(2)
        return torch.cat(cell(x_t, (h_prev, c_prev)))
    s_t: Tensor = cell(x_t, s_prev)
    return s_t


def run(cell: Cell, X: Tensor) -> list[Tensor]:
    """Run a cell from zero; the first state asks for gradients."""
    n = cell.hidden_size * (2 if isinstance(cell, nn.LSTMCell) else 1)
    S = [cell.weight_hh.new_zeros(n).requires_grad_()]
    for x_t in X:
        S.append(step(cell, x_t, S[-1]))
    return S


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
    return torch.stack(run(cell, X))
