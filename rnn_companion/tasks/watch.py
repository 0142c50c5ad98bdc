"""Watch the gradients of a network while it trains (chapter 3)."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnn_companion.devices import choose_device
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import exact_matmul
from rnn_companion.forecasting.experiment import make_optimizer
from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.gradients import (
    cell_of,
    clip,
    jacobians,
    norm_against_lag,
    starting_matrix,
    total_norm,
)
from rnn_companion.tasks.memory import DIGITS, VALIDATION_SIZE, encode, palindromes

__all__ = ["Lesson", "Watched", "accuracy", "reach", "watch_lesson", "watch_prices"]

RECURRENT = "cell.weight_hh_l0"
SYMBOLS = {  # torch's names and the book's; bias_hh has the gradient of bias_ih
    "cell.weight_ih_l0": "W_xh",
    RECURRENT: "W_hh",
    "cell.bias_ih_l0": "b_h",
    "head.weight": "W_hq",
    "head.bias": "b_q",
}


def reach(model: Forecaster, X: Tensor, *, device: str = "auto") -> Tensor:
    """Return how far the gradients of a model reach in some windows.

    Parameters
    ----------
    model : Forecaster
        With one layer.
    X : Tensor, `(T, N, d)`
        Windows.
    device : str
        See `choose_device`. The CPU takes the place of a device without float64.

    Returns
    -------
    Tensor, `(N, T+1)`
        For each window the norm of the derivative of the last state with respect to
        the state of each lag; on the CPU.
    """
    place = choose_device(device)
    if place.type == "mps":  # which has no float64
        place = torch.device("cpu")
    cell = cell_of(model.cell).to(place)
    windows = X.to(place).double().unbind(1)  # N times (T, d)
    norms = [norm_against_lag(jacobians(cell, x)) for x in windows]
    return torch.stack(norms).cpu()


@dataclass(frozen=True)
class Watched:
    """What was seen while a model trained, a row a step.

    Parameters
    ----------
    parameters : tuple of str
        The book's names of the parameters.
    norms : Tensor, `(steps, parameters)`
        Norm of the loss's gradient by each, before penalty and clipping.
    total : Tensor, `(steps,)`
        Norm of the loss's gradient by all of them together.
    losses : Tensor, `(steps,)`
        Loss of each batch, without the penalty.
    """

    parameters: tuple[str, ...]
    norms: Tensor
    total: Tensor
    losses: Tensor

    def of(self, parameter: str) -> Tensor:
        """Return the norms of one parameter's gradient, `(steps,)`."""
        return self.norms[:, self.parameters.index(parameter)]


def watch_prices(
    experiment: Experiment, prices: Prices, *, device: str = "auto"
) -> tuple[Forecaster, Watched]:
    """Train a tanh network on prices and watch its gradients.

    Parameters
    ----------
    experiment : Experiment
        The settings.
    prices : Prices
        The data; only its training part is used.
    device : str
        See `choose_device`.

    Returns
    -------
    model : Forecaster
        As trained; on the CPU.
    watched : Watched
        On the CPU.
    """
    place = choose_device(device)
    windows = experiment.split(prices).training.to(place)
    model = experiment.model().to(place)
    order = torch.Generator().manual_seed(experiment.seed)
    batches = (
        (windows[batch].inputs, windows[batch].targets)
        for _ in range(experiment.epochs)
        for batch in torch.randperm(len(windows), generator=order).split(
            experiment.batch_size
        )
    )
    optimizer = make_optimizer(experiment, model)
    loss = nn.functional.mse_loss
    watched = _watch(model, batches, loss, optimizer, threshold=experiment.clip)
    return model.cpu(), watched


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A tanh network that learns palindromes by plain gradient descent.

    Parameters
    ----------
    length : int
        Digits that are read, T.
    hidden_size : int
        Units, h.
    start : str
        See `starting_matrix`.
    radius : float
        Spectral radius of W_hh at the start.
    learning_rate : float
        Step size.
    threshold : float, optional
        Of `clip`; none by default.
    l1, l2 : float
        Weights of the penalties on W_hh: the sum of its absolute entries, half the
        sum of their squares (`eq-grad-decay`).
    steps, batch_size : int
        Steps, and palindromes a step, drawn anew each time.
    seed : int
        Of the start and of all palindromes.
    """

    length: int = 30
    hidden_size: int = 64
    start: str = "orthogonal"
    radius: float = 1.5
    learning_rate: float = 0.1
    threshold: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    steps: int = 250
    batch_size: int = 64
    seed: int = 0

    def model(self) -> Forecaster:
        """Make the untrained model, the same for the same seed."""
        generator = torch.Generator().manual_seed(self.seed)
        model = Forecaster(
            "rnn",
            Layout("many-to-one", self.length),
            input_size=DIGITS,
            hidden_size=self.hidden_size,
            output_size=DIGITS,
            generator=generator,
        )
        W_hh = starting_matrix(self.start, self.hidden_size, self.radius, generator)
        model.get_parameter(RECURRENT).data.copy_(W_hh)
        return model

    def penalty(self, model: Forecaster) -> Tensor:
        """Return l1 sum abs(W_hh) + l2/2 sum W_hh^2 (`eq-grad-decay`)."""
        W_hh = model.get_parameter(RECURRENT)
        return self.l1 * W_hh.abs().sum() + self.l2 / 2 * W_hh.square().sum()


@exact_matmul()
def watch_lesson(lesson: Lesson, *, device: str = "auto") -> tuple[Forecaster, Watched]:
    """Train on palindromes and watch the gradients.

    Parameters
    ----------
    lesson : Lesson
        The settings.
    device : str
        See `choose_device`.

    Returns
    -------
    model : Forecaster
        As trained; on the CPU.
    watched : Watched
        On the CPU.
    """
    place = choose_device(device)
    model = lesson.model().to(place)
    order = torch.Generator().manual_seed(lesson.seed)

    def batches() -> Iterable[tuple[Tensor, Tensor]]:
        for _ in range(lesson.steps):
            digits, target = palindromes(
                lesson.length, lesson.batch_size, generator=order
            )
            yield encode(digits, "one-hot").to(place), target.to(place)

    def loss(outputs: Tensor, target: Tensor) -> Tensor:  # (1, B, 10), (B,)
        return nn.functional.cross_entropy(outputs[-1], target)

    optimizer = torch.optim.SGD(model.parameters(), lr=lesson.learning_rate)
    watched = _watch(
        model,
        batches(),
        loss,
        optimizer,
        threshold=lesson.threshold,
        penalty=lesson.penalty,
    )
    return model.cpu(), watched


@torch.no_grad()
def accuracy(model: Forecaster, *, device: str = "auto") -> float:
    """Return the share of 1000 palindromes, none trained on, that it gets right.

    Parameters
    ----------
    model : Forecaster
        From `watch_lesson`.
    device : str
        See `choose_device`.
    """
    place = choose_device(device)
    digits, target = palindromes(
        model.layout.length,
        VALIDATION_SIZE,
        generator=torch.Generator().manual_seed(0),
        validation=True,
    )
    there = deepcopy(model).to(place)
    outputs = there(encode(digits, "one-hot").to(place))  # (1, B, 10)
    return float((outputs[-1].argmax(-1).cpu() == target).double().mean())


def _watch(
    model: Forecaster,
    batches: Iterable[tuple[Tensor, Tensor]],
    loss: Callable[[Tensor, Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    *,
    threshold: float | None = None,
    penalty: Callable[[Forecaster], Tensor] | None = None,
) -> Watched:
    shown = [model.get_parameter(name) for name in SYMBOLS]
    norms, total, losses = [], [], []
    for inputs, targets in batches:
        value = loss(model(inputs), targets)
        optimizer.zero_grad()
        value.backward()
        norms.append(
            torch.stack([torch.linalg.vector_norm(_gradient(p)) for p in shown])
        )
        total.append(total_norm(_gradients(model)))
        losses.append(value.detach())
        if penalty is not None:
            penalty(model).backward()
        if threshold is not None:
            _clip_in_place(model, threshold)
        optimizer.step()
    columns = (torch.stack(c).cpu().double() for c in (norms, total, losses))
    return Watched(tuple(SYMBOLS.values()), *columns)


def _clip_in_place(model: Forecaster, threshold: float) -> None:
    clipped = clip(_gradients(model), threshold)
    for parameter, gradient in zip(model.parameters(), clipped, strict=True):
        parameter.grad = gradient


def _gradients(model: Forecaster) -> list[Tensor]:
    return [_gradient(parameter) for parameter in model.parameters()]


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
