"""The GRU of chapter 4, in torch's form and in that of its first paper."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnn_companion.networks._shapes import shapes, weights_by_layer

GRU_SHAPES = {
    "X": "T B d",
    "W_x": "3h d",
    "W_h": "3h h",
    "b": "3h",
    "b_hn": "h",
    "H_0": "B h",
}


class GRUParameters(NamedTuple):
    """The parameters of one GRU layer: the rows of r, z and n, in this order."""

    W_x: Tensor  # (3h, d)
    W_h: Tensor  # (3h, h)
    b: Tensor  # (3h,)
    b_hn: Tensor  # (h,): multiplied by the reset gate, so no part of b


def gru_step(
    x_t: Tensor, h_prev: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> Tensor:
    """Return the next hidden state of a GRU layer (chapter 4, `eq-gru-r` onwards).

    In torch's form: the reset gate acts after the product with W_hn.
    ``r = sigmoid(W_xr x_t + W_hr h_{t-1} + b_r)``, z likewise,
    ``n = tanh(W_xn x_t + b_n + r * (W_hn h_{t-1} + b_hn))`` and
    ``h_t = (1 - z) * n + z * h_{t-1}``.

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev : Tensor, `(B, h)` or `(h,)`
        The hidden state of the step before.
    W_x, W_h, b, b_hn : Tensor, `(3h, d)`, `(3h, h)`, `(3h,)`, `(h,)`
        The parameters of the layer.

    Returns
    -------
    Tensor, `(B, h)` or `(h,)`
        The hidden state of this step.
    """
    x_r, x_z, x_n = (x_t @ W_x.T + b).chunk(3, dim=-1)
    h_r, h_z, h_n = (h_prev @ W_h.T).chunk(3, dim=-1)
    r_t = torch.sigmoid(x_r + h_r)
    z_t = torch.sigmoid(x_z + h_z)
    n_t = torch.tanh(x_n + r_t * (h_n + b_hn))
    return (1 - z_t) * n_t + z_t * h_prev


@shapes(**GRU_SHAPES)
def gru(
    X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> Tensor:
    """Run a GRU layer over a sequence: `gru_step` at every step (chapter 4).

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    H_0 : Tensor, `(B, h)`
        The initial hidden state.
    W_x, W_h, b, b_hn : Tensor, `(3h, d)`, `(3h, h)`, `(3h,)`, `(h,)`
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
        H_t = gru_step(X_t, H_t, W_x, W_h, b, b_hn)
        H.append(H_t)
    return torch.stack(H)


@shapes(**GRU_SHAPES)
def gru_textbook(X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor) -> Tensor:
    """Run a GRU layer in the form of its first paper (chapter 4, `eq-gru-before`).

    Cho et al. (2014) reset the state before the product with W_hn, torch after it:
    ``n = tanh(W_xn x_t + W_hn (r * h_{t-1}) + b_n)``. The two are different functions
    of the same weights.

    Parameters
    ----------
    X, H_0, W_x, W_h, b
        As in `gru`.

    Returns
    -------
    Tensor, `(T, B, h)`
        The hidden states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    W_hr, W_hz, W_hn = W_h.chunk(3)
    H, H_t = [], H_0
    for X_t in X:
        x_r, x_z, x_n = (X_t @ W_x.T + b).chunk(3, dim=-1)
        r_t = torch.sigmoid(x_r + H_t @ W_hr.T)
        z_t = torch.sigmoid(x_z + H_t @ W_hz.T)
        n_t = torch.tanh(x_n + (r_t * H_t) @ W_hn.T)
        H_t = (1 - z_t) * n_t + z_t * H_t
        H.append(H_t)
    return torch.stack(H)


def gru_parameters(module: nn.GRU) -> list[GRUParameters]:
    """Return the parameters of each layer of a `torch.nn.GRU`.

    As `rnn_parameters` does, but for the candidate's biases, which are not added up:
    the second one is inside the bracket that the reset gate multiplies.

    Parameters
    ----------
    module : torch.nn.GRU

    Returns
    -------
    list of GRUParameters

    Raises
    ------
    ValueError
        As in `rnn_parameters`.
    """
    h = module.hidden_size
    return [
        GRUParameters(
            W_x, W_h, torch.cat([(b_ih + b_hh)[: 2 * h], b_ih[2 * h :]]), b_hh[2 * h :]
        )
        for W_x, W_h, b_ih, b_hh in weights_by_layer(module, nn.GRU)
    ]
