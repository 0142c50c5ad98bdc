"""The training step, as fast as the machine allows.

On a CPU a single tanh or LSTM layer is differentiated by hand, as in the chapters
*Backpropagation through time* and *LSTM*. The samples of a batch lie in columns, so
that each line reads as the equation for one sample, and because a CPU multiplies
that way round a quarter faster. Buffers are kept from step to step. On a GPU the
step is recorded once as a CUDA graph and replayed. All else is left to autograd.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion.forecasting.forecaster import Forecaster

__all__ = [
    "CapturedStep",
    "HandWrittenGradients",
    "exact_matmul",
    "medium_is_exact",
    "training_step",
]

Gradients = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[Tensor, Tensor], Tensor]


def training_step(
    model: Forecaster,
    optimizer: torch.optim.Optimizer,
    *,
    clip: float | None = None,
    rounded: bool = False,
) -> Step:
    """Make the fastest step that this model has on its device.

    Parameters
    ----------
    model : Forecaster
        Trained in place.
    optimizer : torch.optim.Optimizer
        Over the model's parameters.
    clip : float, optional
        Largest allowed norm of the gradient.
    rounded : bool
        Whether products may be rounded to bfloat16 (weights are not).

    Returns
    -------
    callable
        Takes inputs (T, B, d) and targets (K, B, q), makes one step and returns the
        mean squared error before it, a tensor without gradient.
    """
    if HandWrittenGradients.fits(model) and not rounded:
        gradients: Gradients = HandWrittenGradients(model)
    else:
        gradients = _autograd(model, rounded)

    def step(X: Tensor, Y: Tensor) -> Tensor:
        loss = gradients(X, Y)
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        return loss

    if model.head.weight.is_cuda:
        return CapturedStep(step, model, optimizer)
    return step


def _autograd(model: Forecaster, rounded: bool) -> Gradients:
    device = model.head.weight.device.type

    def gradients(X: Tensor, Y: Tensor) -> Tensor:
        model.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=rounded):
            outputs = model(X)
        loss = nn.functional.mse_loss(outputs.float(), Y)
        loss.backward()
        return loss.detach()

    return gradients


class HandWrittenGradients:
    """Mean squared error of a one-layer forecaster and its gradients, by hand.

    With delta_t = dL/da_t of the pre-activations, dL/dW_hh is the sum over t of
    delta_t h_{t-1}^T; dL/dW_xh and dL/db_h likewise, with x_t and 1.
    Source: chapters *Backpropagation through time* (`eq-bptt-delta` onwards) and
    *LSTM*. Called with inputs (T, B, d) and targets (K, B, q), it fills the
    parameters' ``grad`` and returns the loss.

    Parameters
    ----------
    model : Forecaster
        One for which `fits` is true.
    """

    def __init__(self, model: Forecaster) -> None:
        self.model = model
        self.layers: dict[tuple[int, int], _Layer] = {}  # by T and B
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)

    @staticmethod
    def fits(model: Forecaster) -> bool:
        """Whether the model is on a CPU, one layer, and never reads its outputs."""
        return (
            type(model.cell) in _LAYERS
            and model.cell.num_layers == 1
            and model.layout.horizon == 1
            and model.head.weight.device.type == "cpu"
        )

    @torch.no_grad()
    def __call__(self, X: Tensor, Y: Tensor) -> Tensor:
        """Fill in the gradients, return the loss."""
        W_hq, b_q = self.model.head.weight, self.model.head.bias
        X, Y = X.mT, Y.flatten(0, 1).T  # (T, d, B), (q, KB)
        layer = self._layer(len(X), X.shape[2])
        H = layer.forward(X)[:, -Y.shape[1] :]  # (h, KB)
        error = W_hq @ H + b_q[:, None] - Y  # (q, KB)
        G = error * (2 / error.numel())  # dL/dO
        torch.mm(G, H.T, out=W_hq.grad)
        torch.sum(G, 1, out=b_q.grad)
        layer.backward(X, W_hq.T, G.unflatten(1, (-1, X.shape[2])).transpose(0, 1))
        return error.square().mean()

    def _layer(self, T: int, B: int) -> "_Layer":
        if (T, B) not in self.layers:
            kind = _LAYERS[type(self.model.cell)]
            self.layers[T, B] = kind(self.model.cell, T, B)
        return self.layers[T, B]


class _Layer:
    """A layer that starts at zero, for T steps and B samples; samples in columns.

    What the weights' gradients sum over, all H and Delta, is kept as (rows, T, B): one
    product then sums over steps and samples.
    """

    gates: int

    def __init__(self, cell: nn.RNNBase, T: int, B: int) -> None:
        h, rows = cell.hidden_size, self.gates * cell.hidden_size
        self.T, self.B = T, B
        self.parameters = list(cell.parameters())  # W_xh, W_hh and two biases
        empty = self.parameters[0].new_empty
        self.A = empty(T, rows, B)  # pre-activations, then gates
        self.dH = empty(T, h, B)
        self.Delta = empty(rows, B)  # of the step in hand
        self.all_H = empty(h, T, B)
        self.all_Delta = empty(rows, T, B)
        self.W_hh_T = empty(h, rows)

    def activate(self, t: int) -> Tensor:
        """From the pre-activations of step t to its state."""
        raise NotImplementedError

    def differentiate(self, t: int) -> None:
        """From dL/dh_t to dL/da_t."""
        raise NotImplementedError

    def forward(self, X: Tensor) -> Tensor:  # (T, d, B) -> (h, TB)
        W_xh, W_hh, b, b_too = self.parameters
        bias = (b + b_too)[:, None].expand_as(self.A)
        torch.baddbmm(bias, W_xh.expand(self.T, -1, -1), X, out=self.A)
        self.all_H[:, 0] = H = self.activate(0)  # h_0 = 0
        for t in range(1, self.T):
            self.A[t].addmm_(W_hh, H)
            self.all_H[:, t] = H = self.activate(t)
        return self.all_H.flatten(1)

    def backward(self, X: Tensor, W_hq_T: Tensor, G: Tensor) -> None:
        """From G = dL/dO, (K, q, B), to the gradients of the parameters."""
        first = self.T - len(G)  # the first step with an output
        self.dH[:first].zero_()
        torch.matmul(W_hq_T, G, out=self.dH[first:])
        W_hh_T = self._transposed(self.parameters[1])
        for t in reversed(range(self.T)):
            if t < self.T - 1:
                self.dH[t].addmm_(W_hh_T, self.Delta)
            self.differentiate(t)
            self.all_Delta[:, t] = self.Delta
        self._weights(X)

    def _transposed(self, W_hh: Tensor) -> Tensor:
        """Copy it if that pays: it takes as long as it saves in six products."""
        return self.W_hh_T.copy_(W_hh.T) if self.T > 6 else W_hh.T

    def _weights(self, X: Tensor) -> None:
        """Sum over all steps and samples in one product for each weight."""
        W_xh, W_hh, *biases = self.parameters
        Delta, H = self.all_Delta.flatten(1), self.all_H.flatten(1)  # (rows, TB)
        torch.mm(Delta, X.mT.flatten(0, 1), out=W_xh.grad)
        torch.mm(Delta[:, self.B :], H[:, : -self.B].T, out=W_hh.grad)
        for b in biases:
            torch.sum(Delta, 1, out=b.grad)


class _RNN(_Layer):
    gates = 1

    def activate(self, t: int) -> Tensor:
        return _tanh(self.A[t], out=self.A[t])

    def differentiate(self, t: int) -> None:
        dH, square = self.dH[t], self.A[t].square()  # tanh' = 1 - tanh^2
        torch.addcmul(dH, dH, square, value=-1, out=self.Delta)


class _LSTM(_Layer):
    gates = 4  # i, f, g, o

    def __init__(self, cell: nn.RNNBase, T: int, B: int) -> None:
        super().__init__(cell, T, B)
        self.C = self.dH.new_zeros(T + 1, *self.dH.shape[1:])
        self.tanh_C = torch.empty_like(self.dH)
        self.H = torch.empty_like(self.dH[0])
        self.dC = torch.empty_like(self.dH[0])

    def activate(self, t: int) -> Tensor:
        gates = self.A[t].view(4, *self.H.shape)
        gates[:2].sigmoid_()
        _tanh(gates[2], out=gates[2])
        gates[3].sigmoid_()
        i, f, g, o = gates
        torch.mul(f, self.C[t], out=self.C[t + 1]).addcmul_(i, g)
        _tanh(self.C[t + 1], out=self.tanh_C[t])
        return torch.mul(o, self.tanh_C[t], out=self.H)

    def differentiate(self, t: int) -> None:
        gates = self.A[t].view(4, *self.H.shape)
        Delta = self.Delta.view_as(gates)
        i, f, g, o = gates
        if t == self.T - 1:
            self.dC.zero_()
        slope = torch.addcmul(o, o, self.tanh_C[t].square(), value=-1)
        self.dC.addcmul_(self.dH[t], slope)  # dL/dc_t
        torch.addcmul(gates, gates, gates, value=-1, out=Delta)  # slopes of sigma
        torch.addcmul(i, i, g.square(), value=-1, out=Delta[2])
        Delta[0].mul_(g)
        Delta[1].mul_(self.C[t])
        Delta[:3].mul_(self.dC)
        Delta[3].mul_(self.tanh_C[t]).mul_(self.dH[t])
        self.dC.mul_(f)  # the direct path to c_{t-1}


def _tanh(x: Tensor, out: Tensor) -> Tensor:
    """By NumPy, which on some CPUs is nine times as fast as torch's (by MKL)."""
    np.tanh(x.numpy(), out=out.numpy())
    return out


_LAYERS: dict[type[nn.RNNBase], type[_Layer]] = {nn.RNN: _RNN, nn.LSTM: _LSTM}


@contextmanager
def exact_matmul() -> Iterator[None]:
    """Multiply float32 matrices the fastest way that is still exact, inside.

    Torch's "medium" precision allows a CPU another library, on many machines twice
    as fast at the same accuracy; on those with bfloat16 matrix units, and on GPUs,
    it rounds. So it is tried first, and kept only if its products are as good as
    float32's. cuDNN, which runs the recurrent layers of a GPU, rounds unless told not
    to.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("medium" if medium_is_exact() else "highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


@cache
def medium_is_exact() -> bool:
    """Whether "medium" on the CPU errs by at most 1e-6, relative to the product."""
    if torch.cuda.is_available():  # there it means TF32
        return False
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        return max(_matmul_error(*shape) for shape in _SHAPES) < 1e-6
    finally:
        torch.set_float32_matmul_precision(before)


_SHAPES = ((512, 512, 32), (2048, 512, 32), (512, 1600, 512))  # as a step multiplies


def _matmul_error(rows: int, inner: int, columns: int) -> float:
    draw = torch.Generator().manual_seed(0)
    A = torch.randn(rows, inner, generator=draw)
    B = torch.randn(inner, columns, generator=draw)
    exact = A.double() @ B.double()
    return float(((A @ B).double() - exact).norm() / exact.norm())


class CapturedStep:
    """A training step recorded as a CUDA graph for each batch size, and replayed.

    Without a graph each of the hundreds of small kernels of a step waits for Python
    to launch it. The trial runs that a recording needs are undone, so training is
    what it would be without.

    Parameters
    ----------
    step : callable
        One step of training: inputs and targets in, loss out. Must not wait for the
        device.
    model : nn.Module
    optimizer : torch.optim.Optimizer
        What the step changes.
    record : callable, optional
        Turns a function without arguments into one that replays it; a CUDA graph by
        default.
    """

    def __init__(
        self,
        step: Step,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        record: Callable[[Callable[[], Tensor]], Callable[[], Tensor]] | None = None,
    ) -> None:
        self.step, self.model, self.optimizer = step, model, optimizer
        self.record = record or _record_cuda_graph
        self.recorded: dict[
            tuple[torch.Size, torch.Size],
            tuple[Tensor, Tensor, Callable[[], Tensor]],
        ] = {}

    def __call__(self, X: Tensor, Y: Tensor) -> Tensor:
        """Copy the batch to where the recording reads it, and replay."""
        if (X.shape, Y.shape) not in self.recorded:
            self.recorded[X.shape, Y.shape] = self._record(X, Y)
        X_read, Y_read, replay = self.recorded[X.shape, Y.shape]
        X_read.copy_(X)
        Y_read.copy_(Y)
        return replay().clone()

    def _record(
        self, X: Tensor, Y: Tensor
    ) -> tuple[Tensor, Tensor, Callable[[], Tensor]]:
        X_read, Y_read = X.clone(), Y.clone()
        with undone(self.model, self.optimizer):
            replay = self.record(lambda: self.step(X_read, Y_read))
        return X_read, Y_read, replay


def _record_cuda_graph(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    aside, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    with torch.cuda.graph(graph):
        loss = step()

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


@contextmanager
def undone(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Restore weights and optimizer state, in place, at the end of the block."""

    def tensors() -> list[Tensor]:
        state = [v for s in optimizer.state.values() for v in s.values()]
        return [*model.parameters(), *(v for v in state if isinstance(v, Tensor))]

    before = {id(tensor): tensor.detach().clone() for tensor in tensors()}
    yield
    with torch.no_grad():
        for tensor in tensors():
            tensor.copy_(before.get(id(tensor), torch.zeros_like(tensor)))
