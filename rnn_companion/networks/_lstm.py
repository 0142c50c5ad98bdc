"""The LSTM of chapter 4, with its gates."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnn_companion.networks._shapes import (
    check_inputs,
    check_layers,
    check_shapes,
    weights_by_layer,
)


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
    """Open the gates of an LSTM (chapter 4, `eq-lstm-i` to `eq-lstm-o`).

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
    """Keep, write and show the cell (chapter 4, `eq-lstm-c` and `eq-lstm-h`).

    Parameters
    ----------
    gates : Gates
        What `lstm_gates` returned.
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
    """Return the next hidden state and cell state of an LSTM layer (chapter 4).

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev, c_prev : Tensor, `(B, h)` or `(h,)`
        The states of the step before.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the layer.

    Returns
    -------
    h_t, c_t : Tensor, each `(B, h)` or `(h,)`
        The states of this step.
    """
    return lstm_cell(lstm_gates(x_t, h_prev, W_x, W_h, b), c_prev)


def lstm(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Run an LSTM layer over a sequence (chapter 4, `eq-lstm-i` to `eq-lstm-h`).

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
    check_lstm(X, H_0, C_0, W_x, W_h, b)
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
    X : Tensor, `(T, B, d)`
        The inputs of the first layer.
    H_0, C_0 : Tensor, `(layers, B, h)`
        The initial states of each layer.
    layers : sequence of parameter tuples
        The parameters of each layer, the first one first.

    Returns
    -------
    list of (H, C), each `(T, B, h)`
        The states of each layer; the last H is the output of the stack.

    Raises
    ------
    ValueError
        If `H_0` or `C_0` does not hold one state for each layer, or a shape does
        not fit.
    """
    for name, start in (("H_0", H_0), ("C_0", C_0)):
        check_layers(name, start, len(layers))
    states = []
    for H_0_l, C_0_l, parameters in zip(H_0, C_0, layers, strict=True):
        X, C = recurrence(X, H_0_l, C_0_l, *parameters)  # (T, B, h)
        states.append((X, C))
    return states


def lstm_parameters(module: nn.LSTM) -> list[LSTMParameters]:
    """Return the parameters of each layer of a `torch.nn.LSTM`.

    As in `rnn_parameters`, torch's two biases are added up.

    Parameters
    ----------
    module : torch.nn.LSTM
        A network in one direction, with biases and without projection.

    Returns
    -------
    list of LSTMParameters
        One for each layer; gradients flow through them to the module's own weights.

    Raises
    ------
    ValueError
        If the module has two directions, no biases or a projection.
    """
    if module.bidirectional or not module.bias or module.proj_size:
        raise ValueError(
            f"{module} cannot be read as LSTM layers: "
            "it must use one direction, biases and no projection"
        )
    return [
        LSTMParameters(W_x, W_h, b_ih + b_hh)
        for W_x, W_h, b_ih, b_hh in weights_by_layer(module)
    ]


def check_lstm(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> None:
    """Raise a ValueError that names the first tensor whose shape does not fit."""
    B, d = check_inputs(X)
    h = len(W_x) // 4
    check_shapes(
        f"X has batch size {B} and {d} inputs, and W_x has the rows of {h} units "
        "for each of i, f, g, o",
        W_x=(W_x, (4 * h, d)),
        W_h=(W_h, (4 * h, h)),
        b=(b, (4 * h,)),
        H_0=(H_0, (B, h)),
        C_0=(C_0, (B, h)),
    )
