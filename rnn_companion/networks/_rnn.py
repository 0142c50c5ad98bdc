"""The simple recurrent layer of chapter 1, and layers on top of each other."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnn_companion.networks._shapes import check_states, shapes, weights_by_layer

RNN_SHAPES = {"X": "T B d", "W_xh": "h d", "W_hh": "h h", "b_h": "h", "H_0": "B h"}


class RNNParameters(NamedTuple):
    """The parameters of one tanh layer, out x in."""

    W_xh: Tensor  # (h, d)
    W_hh: Tensor  # (h, h)
    b_h: Tensor  # (h,)


def rnn_step(
    x_t: Tensor, h_prev: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor
) -> Tensor:
    """Return the next hidden state of a tanh layer (chapter 1, `eq-rnn`).

    ``h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)``

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev : Tensor, `(B, h)` or `(h,)`
        The hidden state of the step before.
    W_xh, W_hh, b_h : Tensor, `(h, d)`, `(h, h)`, `(h,)`
        The parameters of the layer.

    Returns
    -------
    Tensor, `(B, h)` or `(h,)`
        The hidden state of this step.
    """
    a_t = x_t @ W_xh.T + h_prev @ W_hh.T + b_h  # (B, h)
    return torch.tanh(a_t)


@shapes(**RNN_SHAPES)
def rnn(X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> Tensor:
    """Run a tanh layer over a sequence: `rnn_step` at every step (`eq-rnn`).

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    H_0 : Tensor, `(B, h)`
        The initial hidden state.
    W_xh, W_hh, b_h : Tensor, `(h, d)`, `(h, h)`, `(h,)`
        The parameters of the layer.

    Returns
    -------
    Tensor, `(T, B, h)`
        The hidden states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    H, H_t = [], H_0
    for X_t in X:
        H_t = rnn_step(X_t, H_t, W_xh, W_hh, b_h)
        H.append(H_t)
    return torch.stack(H)


def stack(
    recurrence: Callable[..., Tensor],
    X: Tensor,
    H_0: Tensor,
    layers: Sequence[tuple[Tensor, ...]],
) -> list[Tensor]:
    """Run layers on top of each other: the states of one are the inputs of the next.

    Parameters
    ----------
    recurrence : callable
        `rnn` or `gru` of this module or of `rnn_companion.gradients.bptt`.
    X : Tensor, `(T, B, d)`
        The inputs of the first layer.
    H_0 : Tensor, `(layers, B, h)`
        The initial hidden state of each layer.
    layers : sequence of parameter tuples
        The parameters of each layer, the first one first.

    Returns
    -------
    list of Tensor, each `(T, B, h)`
        The hidden states of each layer; the last is the output of the stack.

    Raises
    ------
    ValueError
        If `H_0` does not hold one state for each layer, or a shape does not fit.
    """
    check_states("H_0", H_0, len(layers))
    H = []
    for H_0_l, parameters in zip(H_0, layers, strict=True):
        X = recurrence(X, H_0_l, *parameters)  # (T, B, h)
        H.append(X)
    return H


def rnn_parameters(module: nn.RNN) -> list[RNNParameters]:
    """Return the parameters of each layer of a `torch.nn.RNN`.

    Torch keeps two biases a layer where one would do. The layer's `b_h` is their sum,
    so each of the two receives the gradient of `b_h`.

    Parameters
    ----------
    module : torch.nn.RNN
        With tanh, one direction and biases; time first and without dropout.

    Returns
    -------
    list of RNNParameters
        One for each layer; gradients flow through them to the module's own weights.

    Raises
    ------
    ValueError
        If the module is another one: names the option.
    """
    return [
        RNNParameters(W_xh, W_hh, b_ih + b_hh)
        for W_xh, W_hh, b_ih, b_hh in weights_by_layer(module, nn.RNN)
    ]
