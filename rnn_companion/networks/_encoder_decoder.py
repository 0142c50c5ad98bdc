"""Two tanh layers in turn: one reads, the other writes (chapter 5)."""

import torch
from torch import Tensor

from rnn_companion.networks._rnn import RNNParameters, rnn, rnn_step
from rnn_companion.networks._shapes import shapes


@shapes(X="T B d", W_hq="d h", b_q="d", Y="K B d")
def encoder_decoder(
    X: Tensor,
    K: int,
    encoder: RNNParameters,
    decoder: RNNParameters,
    W_hq: Tensor,
    b_q: Tensor,
    Y: Tensor | None = None,
) -> Tensor:
    """Read a sequence with one layer and go on with another (`eq-conf-decoder`).

    ``h_t = tanh(W_xh x_t + W_hh h_{t-1} + b_h)`` with the encoder's weights for
    t < T and the decoder's from T on, ``o_t = W_hq h_t + b_q`` for t >= T, and
    ``x_{T+k} = o_{T+k-1}`` (`eq-conf-feedback`) or, with teacher forcing,
    ``x_{T+k} = y_{T+k-1}`` (`eq-conf-mixed`). With the same weights twice it is the
    shifted many-to-many configuration.

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs. The decoder reads the last of them first.
    K : int
        Outputs, at least 1.
    encoder, decoder : RNNParameters
        The two layers, of h units each.
    W_hq, b_q : Tensor, `(d, h)`, `(d,)`
        The head: outputs have the size of inputs, since they are read as such.
    Y : Tensor, `(K, B, d)`, optional
        The targets, for teacher forcing: read in place of the outputs. By default the
        network reads its own outputs.

    Returns
    -------
    Tensor, `(K, B, d)`
        The outputs, o_T to o_{T+K-1}.

    Raises
    ------
    ValueError
        If a shape does not fit the others, or K is below 1.

    Notes
    -----
    Two networks in turn: Cho et al. (2014) and Sutskever, Vinyals and Le (2014).
    """
    if K < 1:
        raise ValueError(f"K must be at least 1, got {K}")
    H = X.new_zeros(X.shape[1], W_hq.shape[1])
    if len(X) > 1:
        H = rnn(X[:-1], H, *encoder)[-1]
    read, outputs = X[-1], []
    for k in range(K):
        H = rnn_step(read, H, *decoder)
        outputs.append(H @ W_hq.T + b_q)
        read = outputs[-1] if Y is None else Y[k]
    return torch.stack(outputs)
