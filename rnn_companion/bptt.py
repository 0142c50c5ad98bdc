"""Backpropagation through time, written out by hand (chapter 2).

`rnn` is `cells.rnn` with its own backward pass, as a `torch.autograd.Function`: a
model that calls it trains as any other. The states at the pre-activation,
`Delta_t = dL/dA_t`, are found backwards in time; the gradient of each weight is then
one product over all steps, where autograd would add up T small ones.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from rnn_companion.cells import check_rnn, rnn_parameters, stack

__all__ = ["RNN", "RNNGradients", "rnn", "rnn_backward", "rnn_forward"]


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
    """Return the hidden states of steps 0 to T, `(T+1, B, h)` (chapter 1).

    The inputs' share of all pre-activations is one product; only the recurrence has
    to wait for the step before.
    """
    T, B, h = len(X), *H_0.shape
    H = X.new_empty(T + 1, B, h)
    H[0] = H_0
    A = torch.addmm(b_h, X.flatten(0, 1), W_xh.T).view(T, B, h)
    for t in range(1, T + 1):
        torch.addmm(A[t - 1], H[t - 1], W_hh.T, out=H[t]).tanh_()
    return H


def rnn_backward(
    G: Tensor, X: Tensor, H: Tensor, W_xh: Tensor, W_hh: Tensor
) -> RNNGradients:
    """Return all gradients of a tanh layer (chapter 2, `eq-Delta` onwards).

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
    Delta = 1 - H[1:] ** 2  # (T, B, h): the slopes of tanh at each step
    Delta[-1] *= G[-1]
    for t in range(len(X) - 2, -1, -1):
        Delta[t] *= torch.addmm(G[t], Delta[t + 1], W_hh)

    rows = Delta.flatten(0, 1)  # (TB, h)
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

    The drop-in replacement of `cells.rnn`; several layers by `cells.stack`.

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
