"""The training step, as fast as the machine allows.

One-layer tanh and LSTM networks are differentiated by hand (`by_hand`): on a CPU, and
on any device if several are trained side by side. On a GPU the step is recorded once
as a CUDA graph and replayed. All else is left to autograd.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from rnn_companion.forecasting.by_hand import HandWrittenGradients, Links, fits
from rnn_companion.forecasting.forecaster import Forecaster

__all__ = [
    "CapturedStep",
    "StepOptions",
    "exact_matmul",
    "medium_is_exact",
    "side_by_side_step",
    "training_step",
]

Gradients = Callable[[Tensor, Tensor], Tensor]
Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class StepOptions:
    """What a training step does beside following the gradient.

    Parameters
    ----------
    clip : float, optional
        Largest allowed norm of the gradient.
    l1, l2 : float
        Weights of the penalties on W_hh: the sum of its absolute entries, half the
        sum of their squares (`eq-grad-decay`).
    links : callable, optional
        From T to the weights of the links between steps (`eq-grad-delta`); by default
        nothing is cut.
    sliding : int, optional
        Each loss goes back so many steps (`eq-grad-sliding`); by default all.
    rounded : bool
        Whether products may be rounded to bfloat16 (weights are not).
    norms : bool
        Whether to return the gradient's norm below the loss.
    decays : bool
        Whether the learning rate changes during training. Such a step is not recorded
        as a CUDA graph, which would keep the rate of its recording.
    """

    clip: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    links: Links | None = None
    sliding: int | None = None
    rounded: bool = False
    norms: bool = False
    decays: bool = False

    @property
    def by_hand(self) -> bool:
        """Whether only the gradients by hand can do this."""
        return self.links is not None or self.sliding is not None


def training_step(
    model: Forecaster,
    optimizer: torch.optim.Optimizer,
    options: StepOptions | None = None,
) -> Step:
    """Make the fastest step that this model has on its device.

    Parameters
    ----------
    model : Forecaster
        Trained in place.
    optimizer : torch.optim.Optimizer
        Over the model's parameters.
    options : StepOptions, optional
        What else a step does.

    Returns
    -------
    callable
        Takes inputs (T, B, d) and targets (K, B, q), makes one step and returns the
        mean squared error before it, a tensor without gradient.
    """
    step = side_by_side_step([model], optimizer, options or StepOptions())
    return lambda X, Y: step(X[None], Y[None])[..., 0]


def side_by_side_step(
    models: Sequence[Forecaster],
    optimizer: torch.optim.Optimizer,
    options: StepOptions,
) -> Step:
    """Make a step of S models of one shape at once.

    Parameters
    ----------
    models : sequence of Forecaster
        Trained in place; several must fit `by_hand.fits`.
    optimizer : torch.optim.Optimizer
        Over the parameters of all models.
    options : StepOptions
        What else a step does, to each model for itself.

    Returns
    -------
    callable
        Takes inputs (S, T, B, d) and targets (S, K, B, q), makes one step and returns
        the losses (S,) before it; with ``options.norms`` (2, S), the norms below.

    Raises
    ------
    ValueError
        If the gradients of these models or options are not written by hand.
    """
    gradients = _gradients(models, options)

    def step(X: Tensor, Y: Tensor) -> Tensor:
        losses = gradients(X, Y)
        seen = torch.stack([losses, _norms(models)]) if options.norms else losses
        for model in models:
            _penalize(model, options)
            if options.clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), options.clip)
        optimizer.step()
        return seen

    changes = options.links is not None or options.decays
    captured = models[0].head.weight.is_cuda and not changes
    return CapturedStep(step, models, optimizer) if captured else step


def _gradients(models: Sequence[Forecaster], options: StepOptions) -> Gradients:
    alone, possible = len(models) == 1, fits(models[0]) and not options.rounded
    if not possible and (options.by_hand or not alone):
        raise ValueError(
            "only an RNN or LSTM of one layer, with a horizon of 1 and in float32, can "
            "be truncated or trained side by side"
        )
    fastest = models[0].head.weight.device.type == "cpu"
    if possible and (fastest or options.by_hand or not alone):
        return HandWrittenGradients(models, options.links, options.sliding)
    return _autograd(models[0], options.rounded)


def _autograd(model: Forecaster, rounded: bool) -> Gradients:
    def gradients(X: Tensor, Y: Tensor) -> Tensor:
        model.zero_grad()
        with _rounding(X.device.type) if rounded else nullcontext():
            outputs = model(X[0])
        loss = nn.functional.mse_loss(outputs.float(), Y[0])
        loss.backward()
        return loss.detach()[None]

    return gradients


@contextmanager
def _rounding(device: str) -> Iterator[None]:
    """Round products to bfloat16; not by cuDNN, which would take float16 instead."""
    cudnn = torch.backends.cudnn
    before, cudnn.enabled = cudnn.enabled, False
    try:
        with torch.autocast(device, torch.bfloat16):
            yield
    finally:
        cudnn.enabled = before


@torch.no_grad()
def _norms(models: Sequence[Forecaster]) -> Tensor:
    """Return the norm of each model's gradient, (S,)."""
    parts = [[g.norm() for g in _grads(model.parameters())] for model in models]
    return torch.stack([torch.stack(norms).norm() for norms in parts])


def _grads(parameters: Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


@torch.no_grad()
def _penalize(model: Forecaster, options: StepOptions) -> None:
    """Add the penalties' gradient to that of each W_hh."""
    if options.l1 or options.l2:
        for name, W in model.cell.named_parameters():
            if name.startswith("weight_hh"):
                (gradient,) = _grads([W])
                gradient += options.l1 * W.sign() + options.l2 * W


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
    models : sequence of nn.Module
    optimizer : torch.optim.Optimizer
        What the step changes.
    record : callable, optional
        Turns a function without arguments into one that replays it; a CUDA graph by
        default.
    """

    def __init__(
        self,
        step: Step,
        models: Sequence[nn.Module],
        optimizer: torch.optim.Optimizer,
        record: Callable[[Callable[[], Tensor]], Callable[[], Tensor]] | None = None,
    ) -> None:
        self.step, self.models, self.optimizer = step, models, optimizer
        if record is None:
            _count_steps_on_device(optimizer)
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
        with undone(self.models, self.optimizer):
            replay = self.record(lambda: self.step(X_read, Y_read))
        return X_read, Y_read, replay


def _count_steps_on_device(optimizer: torch.optim.Optimizer) -> None:
    """Make an optimizer fit for a CUDA graph; some always are."""
    for group in optimizer.param_groups:
        if "capturable" in group:
            group["capturable"] = True


def _record_cuda_graph(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    aside, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside), warnings.catch_warnings():
        # Optimizers warn of steps outside a graph, such as these.
        warnings.filterwarnings("ignore", ".*constructed with capturable=True")
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
def undone(
    models: Sequence[nn.Module], optimizer: torch.optim.Optimizer
) -> Iterator[None]:
    """Restore weights and optimizer state, in place, at the end of the block."""

    def tensors() -> list[Tensor]:
        state = [v for s in optimizer.state.values() for v in s.values()]
        weights = [p for model in models for p in model.parameters()]
        return [*weights, *(v for v in state if isinstance(v, Tensor))]

    before = {id(tensor): tensor.detach().clone() for tensor in tensors()}
    yield
    with torch.no_grad():
        for tensor in tensors():
            tensor.copy_(before.get(id(tensor), torch.zeros_like(tensor)))
