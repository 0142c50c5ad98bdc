"""Backpropagation through time, written out by hand (chapters 2 and 4).

`rnn`, `lstm` and `gru` are those of `rnn_companion.networks` with backward passes of
their own: a model that calls them trains as any other. The gradients at the
pre-activations, `Delta_t = dL/dA_t`, are found backwards in time; the gradient of each
weight is then one product over all steps, where autograd would add up T small ones.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from rnn_companion import networks
from rnn_companion.networks import shapes

RNN_SHAPES = {**networks.RNN_SHAPES, "H": "T+1 B h", "G": "T B h"}
Pass = Callable[..., tuple[Tensor, ...]]


def _by_hand(forward: Pass, backward: Pass, starts: int) -> Pass:
    """Join a forward and a backward pass into one function for autograd.

    Parameters
    ----------
    forward : callable
        From X, the initial states, W_x, W_h and the biases to the states of steps 0 to
        T, one for each initial state, and what else `backward` needs.
    backward : callable
        From the gradients of the states, X, what `forward` returned, W_x and W_h to
        the gradients of all arguments of `forward`.
    starts : int
        How many initial states there are.

    Returns
    -------
    callable
        From the arguments of `forward` to the states of steps 1 to T.
    """

    class ByHand(torch.autograd.Function):
        @staticmethod
        def forward(ctx: FunctionCtx, X: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
            kept = forward(X, *others)
            ctx.save_for_backward(X, *kept, *others[starts : starts + 2])
            ctx.set_materialize_grads(False)  # None for states that L does not read
            return tuple(states[1:] for states in kept[:starts])

        @staticmethod
        @once_differentiable
        def backward(ctx: FunctionCtx, *G: Tensor | None) -> tuple[Tensor, ...]:
            X, H, *kept = ctx.saved_tensors  # type: ignore[attr-defined]
            G_H = torch.zeros_like(H[1:]) if G[0] is None else G[0]
            return backward(G_H, *G[1:], X, H, *kept)

    return ByHand.apply


class RNNGradients(NamedTuple):
    """The gradients of a loss; each has the shape of what it belongs to."""

    X: Tensor  # (T, B, d)
    H_0: Tensor  # (B, h)
    W_xh: Tensor  # (h, d)
    W_hh: Tensor  # (h, h)
    b_h: Tensor  # (h,)


@shapes(**RNN_SHAPES)
def rnn_forward(
    X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor
) -> Tensor:
    """Return the hidden states of steps 0 to T, `(T+1, B, h)` (`eq-bptt-batch-A`).

    The inputs' share of all pre-activations is one product, which is kept in the place
    of the states; only the recurrence has to go step by step. Arguments and errors as
    in `networks.rnn`.
    """
    H = torch.cat([H_0[None], nn.functional.linear(X, W_xh, b_h)])
    for t in range(1, len(H)):
        torch.addmm(H[t], H[t - 1], W_hh.T, out=H[t]).tanh_()
    return H


@shapes(**RNN_SHAPES)
def rnn_backward(
    G: Tensor, X: Tensor, H: Tensor, W_xh: Tensor, W_hh: Tensor
) -> RNNGradients:
    """Return all gradients of a tanh layer (chapter 2, from `eq-bptt-batch-last`).

    ``Delta_t = (G_t + Delta_{t+1} W_hh) * (1 - H_t^2)``; that of W_hh is the sum over t
    of ``Delta_t^T H_{t-1}``.

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

    Raises
    ------
    ValueError
        If a shape does not fit the others.
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


def weight_gradients(Delta: Tensor, X: Tensor, H: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of W_x, W_h and b: sums over t, each one product."""
    rows = Delta.flatten(0, 1)  # (T B, ...)
    return rows.T @ X.flatten(0, 1), rows.T @ H[:-1].flatten(0, 1), rows.sum(0)


_rnn = _by_hand(lambda *a: (rnn_forward(*a),), rnn_backward, 1)


def rnn(X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> Tensor:
    """Run a tanh layer whose backward pass is `rnn_backward` (chapter 2).

    It takes the place of `networks.rnn`: the same arguments, result and errors. Several
    layers by `networks.stack`.
    """
    (H,) = _rnn(X, H_0, W_xh, W_hh, b_h)
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
        layers = networks.rnn_parameters(self)
        if H_0 is None:
            H_0 = X.new_zeros(len(layers), X.shape[1], self.hidden_size)
        H = networks.stack(rnn, X, H_0, layers)
        return H[-1], torch.stack([H_l[-1] for H_l in H])


class LSTMGradients(NamedTuple):
    """The gradients of a loss; each has the shape of what it belongs to."""

    X: Tensor  # (T, B, d)
    H_0: Tensor  # (B, h)
    C_0: Tensor  # (B, h)
    W_x: Tensor  # (4h, d)
    W_h: Tensor  # (4h, h)
    b: Tensor  # (4h,)


@shapes(**networks.LSTM_SHAPES)
def lstm_forward(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run an LSTM layer and keep what its backward pass needs (chapter 4).

    Arguments and errors as in `networks.lstm`.

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


@shapes(
    **networks.LSTM_SHAPES,
    **{"H": "T+1 B h", "C": "T+1 B h", "S": "T B 4h", "G_H": "T B h", "G_C": "T B h"},
)
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

    ``dC_t = dH_t * o_t * (1 - tanh(C_t)^2) + dC_{t+1} * f_{t+1} + G_C_t`` and
    ``dH_t = G_H_t + Delta_{t+1} W_h``, where Delta_t are dC_t and dH_t times the slopes
    of the gates.

    Parameters
    ----------
    G_H : Tensor, `(T, B, h)`
        The direct derivatives of L with respect to `H_1, ..., H_T`.
    G_C : Tensor, `(T, B, h)`, or None
        Those with respect to `C_1, ..., C_T`; None where L does not read them.
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

    Raises
    ------
    ValueError
        If a shape does not fit the others.
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

    return LSTMGradients(Delta @ W_x, dH, dC, *weight_gradients(Delta, X, H))


_lstm = _by_hand(lstm_forward, lstm_backward, 2)


def lstm(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Run an LSTM layer whose backward pass is `lstm_backward` (chapter 4).

    It takes the place of `networks.lstm`: the same arguments, results and errors.
    Several layers by `networks.lstm_stack`.
    """
    H, C = _lstm(X, H_0, C_0, W_x, W_h, b)
    return H, C


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
        layers = networks.lstm_parameters(self)
        if start is None:
            zeros = X.new_zeros(len(layers), X.shape[1], self.hidden_size)
            start = zeros, zeros
        states = networks.lstm_stack(lstm, X, *start, layers)
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


@shapes(**networks.GRU_SHAPES)
def gru_forward(
    X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run a GRU layer and keep what its backward pass needs (chapter 4).

    Arguments and errors as in `networks.gru`.

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


@shapes(**networks.GRU_SHAPES, H="T+1 B h", S="T B 3h", M="T B h", G="T B h")
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

    ``dH_t = G_t + dH_{t+1} * z_{t+1} + Delta'_{t+1} W_h``, where Delta_t is dH_t times
    the slopes of the gates, and Delta' is Delta with that of n multiplied by r.

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

    Raises
    ------
    ValueError
        If a shape does not fit the others.
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


_gru = _by_hand(gru_forward, gru_backward, 1)


def gru(
    X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> Tensor:
    """Run a GRU layer whose backward pass is `gru_backward` (chapter 4).

    It takes the place of `networks.gru`: the same arguments, result and errors. Several
    layers by `networks.stack`.
    """
    (H,) = _gru(X, H_0, W_x, W_h, b, b_hn)
    return H
