"""The LSTM of chapter 4, with its gates."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnn_companion.networks._shapes import check_states, shapes, weights_by_layer

LSTM_SHAPES = {
    "X": "T B d",
    "W_x": "4h d",
    "W_h": "4h h",
    "b": "4h",
    "H_0": "B h",
    "C_0": "B h",
}


class LSTMParameters(NamedTuple):
    """The parameters of one LSTM layer: the rows of i, f, g and o, in this order."""

    W_x: Tensor  # (4h, d)
    W_h: Tensor  # (4h, h)
    b: Tensor  # (4h,)


class Gates(NamedTuple):
    """The gates of an LSTM at one step, or at all of them; `g` is the candidate."""

    i: Tensor  # (B, h), in (0, 1)
    f: Tensor  # (B, h), in (0, 1)
    g: Tensor  # (B, h), in (-1, 1)
    o: Tensor  # (B, h), in (0, 1)


def lstm_gates(
    x_t: Tensor, h_prev: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> Gates:
    """Return the gates of an LSTM (chapter 4, `eq-lstm-i` to `eq-lstm-o`).

    ``a = W_x x_t + W_h h_{t-1} + b`` has four parts of h rows each, and
    ``i = sigmoid(a_i), f = sigmoid(a_f), g = tanh(a_g), o = sigmoid(a_o)``.

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev : Tensor, `(B, h)` or `(h,)`
        The hidden state of the step before.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the layer.

    Returns
    -------
    Gates
        Input gate, forget gate, candidate and output gate, each `(B, h)` or `(h,)`.
    """
    a_i, a_f, a_g, a_o = (x_t @ W_x.T + h_prev @ W_h.T + b).chunk(4, dim=-1)
    return Gates(
        i=torch.sigmoid(a_i),
        f=torch.sigmoid(a_f),
        g=torch.tanh(a_g),
        o=torch.sigmoid(a_o),
    )


def lstm_cell(gates: Gates, c_prev: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states that follow from the gates (`eq-lstm-c` and `eq-lstm-h`).

    ``c_t = f * c_{t-1} + i * g`` and ``h_t = o * tanh(c_t)``

    Parameters
    ----------
    gates : Gates
        From `lstm_gates`.
    c_prev : Tensor, `(B, h)` or `(h,)`
        The cell state of the step before.

    Returns
    -------
    h_t, c_t : Tensor, each `(B, h)` or `(h,)`
        The hidden state and the cell state of this step.
    """
    i, f, g, o = gates
    c_t = f * c_prev + i * g
    return o * torch.tanh(c_t), c_t


def lstm_step(
    x_t: Tensor, h_prev: Tensor, c_prev: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the next states of an LSTM layer: `lstm_gates`, then `lstm_cell`.

    Parameters
    ----------
    x_t, h_prev, c_prev, W_x, W_h, b : Tensor
        As in `lstm_gates` and `lstm_cell`.

    Returns
    -------
    h_t, c_t : Tensor, each `(B, h)` or `(h,)`
        The hidden state and the cell state of this step.
    """
    return lstm_cell(lstm_gates(x_t, h_prev, W_x, W_h, b), c_prev)


@shapes(**LSTM_SHAPES)
def lstm(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Run an LSTM layer over a sequence: `lstm_step` at every step (chapter 4).

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    H_0, C_0 : Tensor, `(B, h)`
        The initial hidden state and cell state.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the layer.

    Returns
    -------
    H, C : Tensor, each `(T, B, h)`
        The hidden states and the cell states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    H, C = [], []
    H_t, C_t = H_0, C_0
    for X_t in X:
        H_t, C_t = lstm_step(X_t, H_t, C_t, W_x, W_h, b)
        H.append(H_t)
        C.append(C_t)
    return torch.stack(H), torch.stack(C)


def lstm_stack(
    recurrence: Callable[..., tuple[Tensor, Tensor]],
    X: Tensor,
    H_0: Tensor,
    C_0: Tensor,
    layers: Sequence[tuple[Tensor, ...]],
) -> list[tuple[Tensor, Tensor]]:
    """Run LSTM layers on top of each other, as `stack` does for other cells.

    Parameters
    ----------
    recurrence : callable
        `lstm` of this module or of `rnn_companion.gradients.bptt`.
    X, H_0, C_0, layers
        As in `stack`; `C_0` as `H_0`.

    Returns
    -------
    list of (H, C), each `(T, B, h)`
        The states of each layer; the last H is the output of the stack.

    Raises
    ------
    ValueError
        As in `stack`.
    """
    check_states("H_0", H_0, len(layers))
    check_states("C_0", C_0, len(layers))
    states = []
    for H_0_l, C_0_l, parameters in zip(H_0, C_0, layers, strict=True):
        X, C = recurrence(X, H_0_l, C_0_l, *parameters)  # (T, B, h)
        states.append((X, C))
    return states


def lstm_parameters(module: nn.LSTM) -> list[LSTMParameters]:
    """Return the parameters of each layer of a `torch.nn.LSTM`.

    As `rnn_parameters` does: torch's two biases are added up, and the module must be
    as plain, without a projection.

    Parameters
    ----------
    module : torch.nn.LSTM

    Returns
    -------
    list of LSTMParameters

    Raises
    ------
    ValueError
        As in `rnn_parameters`.
    """
    return [
        LSTMParameters(W_x, W_h, b_ih + b_hh)
        for W_x, W_h, b_ih, b_hh in weights_by_layer(module, nn.LSTM)
    ]
