"""The gradients of one-layer forecasters, written out by hand.

Source: chapters *Backpropagation through time* and *LSTM*. The samples of a batch lie
in columns, so that each line reads as the equation for one sample, and because a CPU
multiplies that way round a quarter faster. Several networks of one shape are
differentiated side by side: they are the leading dimension, S, of every tensor.
Buffers are kept from step to step.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion.forecasting.forecaster import Forecaster

__all__ = ["HandWrittenGradients", "Links", "fits", "stacked"]

Links = Callable[[int], Sequence[float]]


def stacked(models: Sequence[nn.Module]) -> list[nn.Parameter]:
    """Stack the parameters of models of one shape, and make the models views of it.

    Parameters
    ----------
    models : sequence of nn.Module
        S models. From now on their parameters, and the gradients of these, are views
        of what is returned: whoever changes one changes the other.

    Returns
    -------
    list of nn.Parameter, each `(S, ...)`
        With gradients of zero.
    """
    stacks = []
    for parameters in zip(*(model.parameters() for model in models), strict=True):
        alone = len(parameters) == 1
        data = [p.data for p in parameters]
        stack = nn.Parameter(data[0][None] if alone else torch.stack(data))
        stack.grad = torch.zeros_like(stack)
        for s, parameter in enumerate(parameters):
            parameter.data, parameter.grad = stack.data[s], stack.grad[s]
        stacks.append(stack)
    return stacks


def fits(model: Forecaster) -> bool:
    """Whether the gradients of this model are written out here.

    That is an RNN or LSTM of one layer that never reads its own outputs.
    """
    return (
        type(model.cell) in _LAYERS
        and model.cell.num_layers == 1
        and model.layout.horizon == 1
    )


class HandWrittenGradients:
    """Mean squared errors of forecasters, and their gradients, by hand.

    With delta_t = dL/da_t of the pre-activations, dL/dW_hh is the sum over t of
    delta_t h_{t-1}^T; dL/dW_xh and dL/db_h likewise, with x_t and 1.
    Called with inputs `(S, T, B, d)` and targets `(S, K, B, q)` it fills the
    parameters' ``grad`` and returns the losses, `(S,)`. Source: chapters
    *Backpropagation through time* (`eq-bptt-delta` onwards) and *LSTM*.

    Parameters
    ----------
    models : sequence of Forecaster
        S models of one shape for which `fits` is true.
    links : callable, optional
        From T to the weights `xi_1, ..., xi_T` of the links between steps
        (`eq-grad-delta`); by default nothing is cut.
    sliding : int, optional
        Each loss goes back so many steps (`eq-grad-sliding`), for an RNN.
    """

    def __init__(
        self,
        models: Sequence[Forecaster],
        links: Links | None = None,
        sliding: int | None = None,
    ) -> None:
        self.kind = _LAYERS[type(models[0].cell)]
        self.hidden_size = models[0].cell.hidden_size
        *self.cell, self.W_hq, self.b_q = stacked(models)
        self.links, self.sliding = links, sliding
        self.layers: dict[tuple[int, int], _Layer] = {}  # by T and B

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All parameters, each `(S, ...)`."""
        return [*self.cell, self.W_hq, self.b_q]

    @torch.no_grad()
    def __call__(self, X: Tensor, Y: Tensor) -> Tensor:
        """Fill in the gradients, return the losses."""
        X, Y = X.mT, Y.flatten(1, 2).mT  # (S, T, d, B), (S, q, KB)
        layer = self._layer(X.shape[1], X.shape[3])
        H = layer.forward(X)[..., -Y.shape[2] :]  # (S, h, KB)
        error = self.W_hq @ H + self.b_q[..., None] - Y  # (S, q, KB)
        G = error * (2 / error[0].numel())  # dL/dO
        _multiply(G, H.mT, out=self.W_hq.grad)
        torch.sum(G, 2, out=self.b_q.grad)
        G = G.unflatten(2, (-1, X.shape[3])).transpose(1, 2)  # (S, K, q, B)
        xi = [1.0] * layer.T if self.links is None else self.links(layer.T)
        layer.backward(X, self.W_hq.mT, G, xi, self.sliding)
        return error.square().mean((1, 2))

    def _layer(self, T: int, B: int) -> "_Layer":
        if (T, B) not in self.layers:
            self.layers[T, B] = self.kind(self.cell, self.hidden_size, T, B)
        return self.layers[T, B]


class _Layer:
    """S layers that start at zero, for T steps and B samples; samples in columns.

    What the weights' gradients sum over, all H and Delta, is kept as (S, rows, T, B):
    one product then sums over steps and samples.
    """

    gates: int

    def __init__(self, cell: Sequence[nn.Parameter], h: int, T: int, B: int) -> None:
        S, rows = len(cell[0]), self.gates * h
        self.T, self.B = T, B
        self.cell = cell  # W_xh, W_hh and two biases
        empty = cell[0].new_empty
        self.A = empty(S, T, rows, B)  # pre-activations, then gates
        self.dH = empty(S, T, h, B)
        self.Delta = empty(S, rows, B)  # of the step in hand
        self.all_H = empty(S, h, T, B)
        self.all_Delta = empty(S, rows, T, B)
        self.W_hh_T = empty(S, h, rows)

    def activate(self, t: int) -> Tensor:
        """From the pre-activations of step t to its state."""
        raise NotImplementedError

    def differentiate(self, t: int, xi: float) -> None:
        """From dL/dh_t to dL/da_t; xi weights the direct path from step t + 1."""
        raise NotImplementedError

    def forward(self, X: Tensor) -> Tensor:  # (S, T, d, B) -> (S, h, TB)
        W_xh, W_hh, b, b_too = self.cell
        for A, W, bias, x in zip(self.A, W_xh, b + b_too, X, strict=True):
            torch.baddbmm(bias[:, None], W.expand(self.T, -1, -1), x, out=A)
        self.all_H[:, :, 0] = H = self.activate(0)  # h_0 = 0
        for t in range(1, self.T):
            _add_product(self.A[:, t], W_hh, H)
            self.all_H[:, :, t] = H = self.activate(t)
        return self.all_H.flatten(2)

    def backward(
        self,
        X: Tensor,
        W_hq_T: Tensor,
        G: Tensor,
        xi: Sequence[float],
        sliding: int | None,
    ) -> None:
        """From G = dL/dO, (S, K, q, B), to the gradients of the parameters."""
        first = self.T - G.shape[1]  # the first step with an output
        self.dH[:, :first].zero_()
        for dH, W, g in zip(self.dH, W_hq_T, G, strict=True):
            torch.matmul(W, g, out=dH[first:])
        if sliding is None:
            self._back_through_time(xi)
        else:
            self.slide(sliding)
        self._weights(X)

    def _back_through_time(self, xi: Sequence[float]) -> None:
        W_hh_T = self._transposed(self.cell[1])
        for t in reversed(range(self.T)):
            link = xi[t + 1] if t < self.T - 1 else 0.0
            if link:
                _add_product(self.dH[:, t], W_hh_T, self.Delta, link)
            self.differentiate(t, link)
            self.all_Delta[:, :, t] = self.Delta

    def slide(self, tau: int) -> None:
        """Let each loss go back tau steps (`eq-grad-sliding`)."""
        raise ValueError("sliding truncation is for the cell 'rnn'")

    def _transposed(self, W_hh: Tensor) -> Tensor:
        """Copy it if that pays: it takes as long as it saves in six products."""
        return self.W_hh_T.copy_(W_hh.mT) if self.T > 6 else W_hh.mT

    def _weights(self, X: Tensor) -> None:
        """Sum over all steps and samples in one product for each weight."""
        W_xh, W_hh, *biases = self.cell
        Delta, H = self.all_Delta.flatten(2), self.all_H.flatten(2)  # (S, rows, TB)
        _multiply(Delta, X.mT.flatten(1, 2), out=W_xh.grad)
        _multiply(Delta[..., self.B :], H[..., : -self.B].mT, out=W_hh.grad)
        for b in biases:
            torch.sum(Delta, 2, out=b.grad)


class _RNN(_Layer):
    gates = 1

    def activate(self, t: int) -> Tensor:
        return _tanh(self.A[:, t], out=self.A[:, t])

    def differentiate(self, t: int, xi: float) -> None:
        dH, square = self.dH[:, t], self.A[:, t].square()  # tanh' = 1 - tanh^2
        torch.addcmul(dH, dH, square, value=-1, out=self.Delta)

    def slide(self, tau: int) -> None:
        W_hh_T = self.cell[1].mT[:, None]  # (S, 1, h, h)
        slope = 1 - self.A.square()  # (S, T, h, B)
        paths = slope * self.dH
        Delta = paths.clone()
        for lag in range(1, min(tau, self.T)):
            paths = slope[:, :-lag] * (W_hh_T @ paths[:, 1:])
            Delta[:, :-lag] += paths
        self.all_Delta.copy_(Delta.transpose(1, 2))


class _LSTM(_Layer):
    gates = 4  # i, f, g, o

    def __init__(self, cell: Sequence[nn.Parameter], h: int, T: int, B: int) -> None:
        super().__init__(cell, h, T, B)
        S = len(cell[0])
        self.C = self.dH.new_zeros(S, T + 1, h, B)
        self.tanh_C = torch.empty_like(self.dH)
        self.H = torch.empty_like(self.dH[:, 0])
        self.dC = torch.empty_like(self.H)

    def activate(self, t: int) -> Tensor:
        i, f, g, o = self._gates(self.A[:, t])
        for gate in (i, f, o):
            gate.sigmoid_()
        _tanh(g, out=g)
        torch.mul(f, self.C[:, t], out=self.C[:, t + 1]).addcmul_(i, g)
        _tanh(self.C[:, t + 1], out=self.tanh_C[:, t])
        return torch.mul(o, self.tanh_C[:, t], out=self.H)

    def differentiate(self, t: int, xi: float) -> None:
        i, f, g, o = self._gates(self.A[:, t])
        d_i, d_f, d_g, d_o = self._gates(self.Delta)
        if not xi:
            self.dC.zero_()
        elif xi != 1:
            self.dC.mul_(xi)
        slope = torch.addcmul(o, o, self.tanh_C[:, t].square(), value=-1)
        self.dC.addcmul_(self.dH[:, t], slope)  # dL/dc_t
        gates = self.A[:, t]
        torch.addcmul(gates, gates, gates, value=-1, out=self.Delta)  # sigma's slopes
        torch.addcmul(i, i, g.square(), value=-1, out=d_g)
        d_i.mul_(g).mul_(self.dC)
        d_f.mul_(self.C[:, t]).mul_(self.dC)
        d_g.mul_(self.dC)
        d_o.mul_(self.tanh_C[:, t]).mul_(self.dH[:, t])
        self.dC.mul_(f)  # the direct path to c_{t-1}

    @staticmethod
    def _gates(rows: Tensor) -> tuple[Tensor, ...]:  # (S, 4h, B)
        gates: tuple[Tensor, ...] = rows.unflatten(1, (4, -1)).unbind(1)
        return gates


def _multiply(left: Tensor, right: Tensor, out: Tensor | None) -> None:
    """Multiply S pairs of matrices; a single pair faster than as a batch of one."""
    assert out is not None  # a gradient: `stacked` made it
    if len(out) == 1:
        torch.mm(left[0], right[0], out=out[0])
    else:
        torch.bmm(left, right, out=out)


def _add_product(out: Tensor, left: Tensor, right: Tensor, weight: float = 1) -> None:
    """Add S weighted products of matrices in place."""
    if len(out) == 1:
        out[0].addmm_(left[0], right[0], alpha=weight)
    else:
        out.baddbmm_(left, right, alpha=weight)


def _tanh(x: Tensor, out: Tensor) -> Tensor:
    """On a CPU by NumPy, which on some is nine times as fast as torch's (by MKL)."""
    if x.device.type != "cpu":
        return torch.tanh(x, out=out)
    np.tanh(x.numpy(), out=out.numpy())
    return out


_LAYERS: dict[type[nn.Module], type[_Layer]] = {nn.RNN: _RNN, nn.LSTM: _LSTM}
