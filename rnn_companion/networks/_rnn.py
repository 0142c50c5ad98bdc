"""The simple recurrent layer of chapter 1, and layers on top of each other."""

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


class RNNParameters(NamedTuple):
    """The parameters of one tanh layer, out x in."""

    W_xh: Tensor  # (h, d)
    W_hh: Tensor  # (h, h)
    b_h: Tensor  # (h,)


def rnn_step(
    x_t: Tensor, h_prev: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor
) -> Tensor:
    """Return the next hidden state of a tanh layer (chapter 1, `eq-rnn`).

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


def rnn(X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> Tensor:
    """Run a tanh layer over a sequence (chapter 1, `eq-rnn`).

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
    check_rnn(X, H_0, W_xh, W_hh, b_h)
    H = []
    H_t = H_0
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
    check_layers("H_0", H_0, len(layers))
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
        A tanh network in one direction, with biases.

    Returns
    -------
    list of RNNParameters
        One for each layer; gradients flow through them to the module's own weights.

    Raises
    ------
    ValueError
        If the module is not a tanh network in one direction with biases.
    """
    if module.nonlinearity != "tanh" or module.bidirectional or not module.bias:
        raise ValueError(
            f"{module} cannot be read as tanh layers: "
            "it must use tanh, one direction and biases"
        )
    return [
        RNNParameters(W_xh, W_hh, b_ih + b_hh)
        for W_xh, W_hh, b_ih, b_hh in weights_by_layer(module)
    ]


def check_rnn(X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> None:
    """Raise a ValueError that names the first tensor whose shape does not fit."""
    B, d = check_inputs(X)
    h = len(W_xh)
    check_shapes(
        f"X has batch size {B} and {d} inputs, and W_xh has {h} units",
        W_xh=(W_xh, (h, d)),
        W_hh=(W_hh, (h, h)),
        b_h=(b_h, (h,)),
        H_0=(H_0, (B, h)),
    )
