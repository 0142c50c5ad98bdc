"""Backpropagation through time, written out by hand (chapter 2).

`rnn` is `networks.rnn` with its own backward pass, as a `torch.autograd.Function`: a
model that calls it trains as any other. The gradients at the pre-activations,
`Delta_t = dL/dA_t`, are found backwards in time; the gradient of each weight is then
one product over all steps, where autograd would add up T small ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from rnn_companion.networks import (
    check_gru,
    check_lstm,
    check_rnn,
    gru_parameters,
    lstm_parameters,
    lstm_stack,
    rnn_parameters,
    stack,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUGradients",
    "LSTMGradients",
    "RNNGradients",
    "gru",
    "gru_backward",
    "gru_forward",
    "lstm",
    "lstm_backward",
    "lstm_forward",
    "rnn",
    "rnn_backward",
    "rnn_forward",
]


class RNNGradients(NamedTuple):
    """The gradients of a loss; each has the shape of what it belongs to."""

    X: Tensor  # (T, B, d)
    H_0: Tensor  # (B, h)
    W_xh: Tensor  # (h, d)
    W_hh: Tensor  # (h, h)
    b_h: Tensor  # (h,)


def rnn_forward(
    X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor
) -> Tensor:
    """Return the hidden states of steps 0 to T, `(T+1, B, h)` (`eq-bptt-batch-A`).

    The inputs' share of all pre-activations is one product, which waits in the place
    of the states; only the recurrence has to go step by step.
    """
    H = torch.cat([H_0[None], nn.functional.linear(X, W_xh, b_h)])
    for t in range(1, len(H)):
        torch.addmm(H[t], H[t - 1], W_hh.T, out=H[t]).tanh_()
    return H


def rnn_backward(
    G: Tensor, X: Tensor, H: Tensor, W_xh: Tensor, W_hh: Tensor
) -> RNNGradients:
    """Return all gradients of a tanh layer (chapter 2, from `eq-bptt-batch-last`).

    Parameters
    ----------
    G : Tensor, `(T, B, h)`
        What reaches each state from the loss of its own step (and from layers above):
        the direct derivatives of L with respect to `H_1, ..., H_T`.
    X : Tensor, `(T, B, d)`
        The inputs.
    H : Tensor, `(T+1, B, h)`
        The states of steps 0 to T, from `rnn_forward`.
    W_xh, W_hh : Tensor, `(h, d)`, `(h, h)`
        The weights of the layer.

    Returns
    -------
    RNNGradients
        The gradients for X, H_0, W_xh, W_hh and b_h.
    """
    Delta = 1 - H[1:] ** 2  # (T, B, h): the slopes of tanh, for now
    Delta[-1] *= G[-1]
    for t in range(len(X) - 2, -1, -1):
        Delta[t] *= torch.addmm(G[t], Delta[t + 1], W_hh)

    rows = Delta.flatten(0, 1)  # (T B, h): a sum over t is one product
    return RNNGradients(
        X=Delta @ W_xh,
        H_0=Delta[0] @ W_hh,
        W_xh=rows.T @ X.flatten(0, 1),
        W_hh=rows.T @ H[:-1].flatten(0, 1),
        b_h=rows.sum(0),
    )


class _RNN(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        X: Tensor,
        H_0: Tensor,
        W_xh: Tensor,
        W_hh: Tensor,
        b_h: Tensor,
    ) -> Tensor:
        H = rnn_forward(X, H_0, W_xh, W_hh, b_h)
        ctx.save_for_backward(X, H, W_xh, W_hh)
        return H[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, G: Tensor) -> RNNGradients:
        return rnn_backward(G, *ctx.saved_tensors)  # type: ignore[attr-defined]


def rnn(X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> Tensor:
    """Run a tanh layer whose backward pass is written by hand (chapter 2).

    The drop-in replacement of `networks.rnn`; several layers by `networks.stack`.

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
        The hidden states of steps 1 to T. Their gradients flow to all five arguments.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    check_rnn(X, H_0, W_xh, W_hh, b_h)
    H: Tensor = _RNN.apply(X, H_0, W_xh, W_hh, b_h)  # type: ignore[no-untyped-call]
    return H


class RNN(nn.RNN):
    """A `torch.nn.RNN` whose backward pass is written by hand.

    It has torch's parameters under torch's names, so the weights of one load into
    the other. Tanh, one direction, time first.
    """

    def forward(  # type: ignore[override]
        self, X: Tensor, H_0: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states of the last layer and the last state of each layer.

        Parameters
        ----------
        X : Tensor, `(T, B, d)`
            The inputs, time first.
        H_0 : Tensor, `(layers, B, h)`, optional
            The initial hidden states; zero by default.

        Returns
        -------
        H : Tensor, `(T, B, h)`
            The states of the last layer at steps 1 to T.
        h_n : Tensor, `(layers, B, h)`
            The state of each layer at step T.

        Raises
        ------
        ValueError
            If a shape does not fit, or the module is not a stack of tanh layers.
        """
        layers = rnn_parameters(self)
        if H_0 is None:
            H_0 = X.new_zeros(len(layers), X.shape[1], self.hidden_size)
        H = stack(rnn, X, H_0, layers)
        return H[-1], torch.stack([H_l[-1] for H_l in H])


class LSTMGradients(NamedTuple):
    """The gradients of a loss; each has the shape of what it belongs to."""

    X: Tensor  # (T, B, d)
    H_0: Tensor  # (B, h)
    C_0: Tensor  # (B, h)
    W_x: Tensor  # (4h, d)
    W_h: Tensor  # (4h, h)
    b: Tensor  # (4h,)


def lstm_forward(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run an LSTM layer and keep what its backward pass needs (chapter 4).

    Returns
    -------
    H, C : Tensor, each `(T+1, B, h)`
        The states of steps 0 to T.
    S : Tensor, `(T, B, 4h)`
        The gates and the candidate of steps 1 to T: i, f, g, o side by side.
    """
    T, B, h = len(X), *H_0.shape
    H, C = X.new_empty(T + 1, B, h), X.new_empty(T + 1, B, h)
    H[0], C[0] = H_0, C_0
    S = torch.addmm(b, X.flatten(0, 1), W_x.T).view(T, B, 4 * h)
    for t in range(1, T + 1):
        S[t - 1].addmm_(H[t - 1], W_h.T)
        i, f, g, o = S[t - 1].chunk(4, dim=1)  # (B, h)
        i.sigmoid_(), f.sigmoid_(), g.tanh_(), o.sigmoid_()
        torch.addcmul(f * C[t - 1], i, g, out=C[t])
        torch.mul(o, C[t].tanh(), out=H[t])
    return H, C, S


def lstm_backward(
    G_H: Tensor,
    G_C: Tensor | None,
    X: Tensor,
    H: Tensor,
    C: Tensor,
    S: Tensor,
    W_x: Tensor,
    W_h: Tensor,
) -> LSTMGradients:
    """Return all gradients of an LSTM layer (chapter 4, `eq-lstm-dh` onwards).

    Parameters
    ----------
    G_H : Tensor, `(T, B, h)`
        The direct derivatives of L with respect to `H_1, ..., H_T`: what reaches
        each from the loss of its own step (and from layers above).
    G_C : Tensor, `(T, B, h)`, or None
        The same of `C_1, ..., C_T`; None where L does not read the cell states.
    X : Tensor, `(T, B, d)`
        The inputs.
    H, C, S : Tensor
        From `lstm_forward`.
    W_x, W_h : Tensor, `(4h, d)`, `(4h, h)`
        The weights of the layer.

    Returns
    -------
    LSTMGradients
        The gradients for X, H_0, C_0, W_x, W_h and b.
    """
    h = H.shape[2]
    i, f, g, o = S.chunk(4, dim=2)  # (T, B, h)
    tanh_C = C[1:].tanh()
    to_cell = o * (1 - tanh_C**2)  # from H_t to C_t
    slopes = torch.cat(
        [g * i * (1 - i), C[:-1] * f * (1 - f), i * (1 - g**2)], dim=2
    )  # (T, B, 3h): from C_t to the pre-activations of i, f, g
    slopes_o = tanh_C * o * (1 - o)  # from H_t to the pre-activation of o

    Delta = torch.empty_like(S)  # (T, B, 4h)
    dH, dC = torch.zeros_like(H[0]), torch.zeros_like(C[0])
    for t in range(len(X) - 1, -1, -1):
        dH = dH + G_H[t]
        dC = torch.addcmul(dC, dH, to_cell[t])
        if G_C is not None:
            dC = dC + G_C[t]
        torch.mul(dC.repeat(1, 3), slopes[t], out=Delta[t, :, : 3 * h])
        torch.mul(dH, slopes_o[t], out=Delta[t, :, 3 * h :])
        dH, dC = Delta[t] @ W_h, dC * f[t]  # now those of the step before

    rows = Delta.flatten(0, 1)  # (TB, 4h)
    return LSTMGradients(
        X=Delta @ W_x,
        H_0=dH,
        C_0=dC,
        W_x=rows.T @ X.flatten(0, 1),
        W_h=rows.T @ H[:-1].flatten(0, 1),
        b=rows.sum(0),
    )


class _LSTM(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        X: Tensor,
        H_0: Tensor,
        C_0: Tensor,
        W_x: Tensor,
        W_h: Tensor,
        b: Tensor,
    ) -> tuple[Tensor, Tensor]:
        H, C, S = lstm_forward(X, H_0, C_0, W_x, W_h, b)
        ctx.save_for_backward(X, H, C, S, W_x, W_h)
        ctx.set_materialize_grads(False)
        return H[1:], C[1:]

    @staticmethod
    @once_differentiable
    def backward(
        ctx: FunctionCtx, G_H: Tensor | None, G_C: Tensor | None
    ) -> LSTMGradients:
        X, H, *kept = ctx.saved_tensors  # type: ignore[attr-defined]
        if G_H is None:  # L reads the cell states alone
            G_H = torch.zeros_like(H[1:])
        return lstm_backward(G_H, G_C, X, H, *kept)


def lstm(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Run an LSTM layer whose backward pass is written by hand (chapter 4).

    The drop-in replacement of `networks.lstm`; several layers by `networks.lstm_stack`.

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
        The states of steps 1 to T. Their gradients flow to all six arguments.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    check_lstm(X, H_0, C_0, W_x, W_h, b)
    states: tuple[Tensor, Tensor] = _LSTM.apply(X, H_0, C_0, W_x, W_h, b)  # type: ignore[no-untyped-call]
    return states


class LSTM(nn.LSTM):
    """A `torch.nn.LSTM` whose backward pass is written by hand.

    It has torch's parameters under torch's names, so the weights of one load into
    the other. One direction, time first, no projection.
    """

    def forward(  # type: ignore[override]
        self, X: Tensor, start: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the states of the last layer and the last states of each layer.

        Parameters
        ----------
        X : Tensor, `(T, B, d)`
            The inputs, time first.
        start : pair of Tensor, each `(layers, B, h)`, optional
            The initial hidden states and cell states; zero by default.

        Returns
        -------
        H : Tensor, `(T, B, h)`
            The hidden states of the last layer at steps 1 to T.
        (h_n, c_n) : pair of Tensor, each `(layers, B, h)`
            The states of each layer at step T.

        Raises
        ------
        ValueError
            If a shape does not fit, or the module is no stack of plain layers.
        """
        layers = lstm_parameters(self)
        if start is None:
            zeros = X.new_zeros(len(layers), X.shape[1], self.hidden_size)
            start = zeros, zeros
        states = lstm_stack(lstm, X, *start, layers)
        h_n, c_n = zip(*((H[-1], C[-1]) for H, C in states), strict=True)
        return states[-1][0], (torch.stack(h_n), torch.stack(c_n))


class GRUGradients(NamedTuple):
    """The gradients of a loss; each has the shape of what it belongs to."""

    X: Tensor  # (T, B, d)
    H_0: Tensor  # (B, h)
    W_x: Tensor  # (3h, d)
    W_h: Tensor  # (3h, h)
    b: Tensor  # (3h,)
    b_hn: Tensor  # (h,)


def gru_forward(
    X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a GRU layer and keep what its backward pass needs (chapter 4).

    Returns
    -------
    H : Tensor, `(T+1, B, h)`
        The states of steps 0 to T.
    S : Tensor, `(T, B, 3h)`
        The gates and the candidate of steps 1 to T: r, z, n side by side.
    M : Tensor, `(T, B, h)`
        What the reset gate multiplies, `H_{t-1} W_hn^T + b_hn`.
    """
    T, B, h = len(X), *H_0.shape
    H, M = X.new_empty(T + 1, B, h), X.new_empty(T, B, h)
    H[0] = H_0
    S = torch.addmm(b, X.flatten(0, 1), W_x.T).view(T, B, 3 * h)
    for t in range(1, T + 1):
        r, z, n = S[t - 1].chunk(3, dim=1)  # (B, h)
        S[t - 1, :, : 2 * h].addmm_(H[t - 1], W_h[: 2 * h].T).sigmoid_()
        torch.addmm(b_hn, H[t - 1], W_h[2 * h :].T, out=M[t - 1])
        n.addcmul_(r, M[t - 1]).tanh_()
        torch.lerp(n, H[t - 1], z, out=H[t])  # (1 - z) n + z h
    return H, S, M


def gru_backward(
    G: Tensor,
    X: Tensor,
    H: Tensor,
    S: Tensor,
    M: Tensor,
    W_x: Tensor,
    W_h: Tensor,
) -> GRUGradients:
    """Return all gradients of a GRU layer (chapter 4, `eq-gru-dn` onwards).

    Parameters
    ----------
    G : Tensor, `(T, B, h)`
        The direct derivatives of L with respect to `H_1, ..., H_T`.
    X : Tensor, `(T, B, d)`
        The inputs.
    H, S, M : Tensor
        From `gru_forward`.
    W_x, W_h : Tensor, `(3h, d)`, `(3h, h)`
        The weights of the layer.

    Returns
    -------
    GRUGradients
        The gradients for X, H_0, W_x, W_h, b and b_hn.
    """
    h = H.shape[2]
    r, z, n = S.chunk(3, dim=2)  # (T, B, h)
    slopes_n = (1 - z) * (1 - n**2)
    slopes = torch.cat(
        [slopes_n * M * r * (1 - r), (H[:-1] - n) * z * (1 - z), slopes_n], dim=2
    )  # (T, B, 3h): from H_t to the pre-activations of r, z, n

    Delta = torch.empty_like(S)  # (T, B, 3h)
    inner = torch.empty_like(S)  # the same, where W_h meets them
    dH = torch.zeros_like(H[0])
    for t in range(len(X) - 1, -1, -1):
        dH = dH + G[t]
        torch.mul(dH.repeat(1, 3), slopes[t], out=Delta[t])
        inner[t] = Delta[t]
        inner[t, :, 2 * h :] *= r[t]
        dH = torch.addmm(dH * z[t], inner[t], W_h)  # now that of the step before

    rows, inner_rows = Delta.flatten(0, 1), inner.flatten(0, 1)  # (TB, 3h)
    return GRUGradients(
        X=Delta @ W_x,
        H_0=dH,
        W_x=rows.T @ X.flatten(0, 1),
        W_h=inner_rows.T @ H[:-1].flatten(0, 1),
        b=rows.sum(0),
        b_hn=inner_rows[:, 2 * h :].sum(0),
    )


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        X: Tensor,
        H_0: Tensor,
        W_x: Tensor,
        W_h: Tensor,
        b: Tensor,
        b_hn: Tensor,
    ) -> Tensor:
        H, S, M = gru_forward(X, H_0, W_x, W_h, b, b_hn)
        ctx.save_for_backward(X, H, S, M, W_x, W_h)
        return H[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, G: Tensor) -> GRUGradients:
        return gru_backward(G, *ctx.saved_tensors)  # type: ignore[attr-defined]


def gru(
    X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> Tensor:
    """Run a GRU layer whose backward pass is written by hand (chapter 4).

    The drop-in replacement of `networks.gru`; several layers by `networks.stack`.

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
        The hidden states of steps 1 to T. Their gradients flow to all six arguments.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    check_gru(X, H_0, W_x, W_h, b, b_hn)
    H: Tensor = _GRU.apply(X, H_0, W_x, W_h, b, b_hn)  # type: ignore[no-untyped-call]
    return H


class GRU(nn.GRU):
    """A `torch.nn.GRU` whose backward pass is written by hand.

    It has torch's parameters under torch's names, so the weights of one load into
    the other. One direction, time first.
    """

    def forward(  # type: ignore[override]
        self, X: Tensor, H_0: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the states of the last layer and the last state of each layer.

        Parameters
        ----------
        X : Tensor, `(T, B, d)`
            The inputs, time first.
        H_0 : Tensor, `(layers, B, h)`, optional
            The initial hidden states; zero by default.

        Returns
        -------
        H : Tensor, `(T, B, h)`
            The states of the last layer at steps 1 to T.
        h_n : Tensor, `(layers, B, h)`
            The state of each layer at step T.

        Raises
        ------
        ValueError
            If a shape does not fit, or the module is no stack of plain layers.
        """
        layers = gru_parameters(self)
        if H_0 is None:
            H_0 = X.new_zeros(len(layers), X.shape[1], self.hidden_size)
        H = stack(gru, X, H_0, layers)
        return H[-1], torch.stack([H_l[-1] for H_l in H])
