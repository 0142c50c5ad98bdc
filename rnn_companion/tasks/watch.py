"""Watch the gradients of a network while it trains (chapter 3)."""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnn_companion.devices import choose_device, one_thread
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import exact_matmul
from rnn_companion.forecasting.experiment import make_optimizer
from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.settings import Experiment, require_choice
from rnn_companion.gradients import (
    cell_of,
    clip,
    jacobians,
    norm_against_lag,
    starting_matrix,
    total_norm,
)
from rnn_companion.tasks.memory import DIGITS, VALIDATION_SIZE, encode, palindromes

__all__ = [
    "Lesson",
    "Watched",
    "accuracy",
    "reach",
    "watch_lesson",
    "watch_lessons",
    "watch_prices",
]

RECURRENT = "cell.weight_hh_l0"
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
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


@one_thread()
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
    """A tanh network that learns palindromes.

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
    optimizer : str
        ``"sgd"``, plain gradient descent, or ``"adam"``.
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

    Raises
    ------
    ValueError
        For an unknown optimizer.
    """

    length: int = 30
    hidden_size: int = 64
    start: str = "orthogonal"
    radius: float = 1.5
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    threshold: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    steps: int = 250
    batch_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("optimizer", self.optimizer, tuple(OPTIMIZERS))

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
@one_thread()
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

    kind = OPTIMIZERS[lesson.optimizer]
    optimizer = kind(model.parameters(), lr=lesson.learning_rate)
    watched = _watch(
        model,
        batches(),
        loss,
        optimizer,
        threshold=lesson.threshold,
        penalty=lesson.penalty,
    )
    return model.cpu(), watched


@exact_matmul()
@one_thread()
def watch_lessons(
    lessons: Sequence[Lesson], *, device: str = "auto"
) -> list[tuple[Forecaster, Watched]]:
    """Train on palindromes as `watch_lesson` does, all networks side by side.

    The numbers are those of `watch_lesson` up to rounding, in a fraction of the time.

    Parameters
    ----------
    lessons : sequence of Lesson
        Of one length, hidden size, batch size and number of steps.
    device : str
        See `choose_device`.

    Returns
    -------
    list of (Forecaster, Watched)
        As from `watch_lesson`, one for each lesson.

    Raises
    ------
    ValueError
        If there is no lesson, or sizes or steps differ.
    """
    shapes = {(n.length, n.hidden_size, n.batch_size, n.steps) for n in lessons}
    if len(shapes) != 1:
        raise ValueError(
            "lessons side by side need one length, hidden_size, batch_size and number "
            f"of steps, got {len(shapes)} combinations"
        )
    place = choose_device(device)
    models = [lesson.model() for lesson in lessons]
    stacks = [
        torch.stack(list(same)).to(place).detach().requires_grad_()
        for same in zip(*(model.parameters() for model in models), strict=True)
    ]
    side_by_side = _SideBySide(lessons, stacks)
    seen = []
    for digits, targets in _batches_by_seed(lessons):
        seen.append(side_by_side.step(digits.to(place), targets.to(place)))
    columns = torch.stack(seen).cpu().double()  # (steps, lessons, parameters + 2)
    trained = [stack.detach().cpu().unbind() for stack in stacks]
    for model, *values in zip(models, *trained, strict=True):
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.data.copy_(value)
    names = list(dict(models[0].named_parameters()))
    order = [names.index(name) for name in SYMBOLS]
    return [
        (model, Watched(tuple(SYMBOLS.values()), c[:, order], c[:, -2], c[:, -1]))
        for model, c in zip(models, columns.unbind(1), strict=True)
    ]


def _batches_by_seed(lessons: Sequence[Lesson]) -> Iterable[tuple[Tensor, Tensor]]:
    """Draw every lesson's digits, (T, S, B), and targets, (S, B), step by step."""
    seeds = sorted({lesson.seed for lesson in lessons})
    orders = [torch.Generator().manual_seed(seed) for seed in seeds]
    at = [seeds.index(lesson.seed) for lesson in lessons]
    length, count = lessons[0].length, lessons[0].batch_size
    for _ in range(lessons[0].steps):
        drawn = [palindromes(length, count, generator=order) for order in orders]
        digits, targets = zip(*drawn, strict=True)
        yield torch.stack(digits, 1)[:, at], torch.stack(targets)[at]


class _SideBySide:
    """S networks and their optimizers: stacks of W_xh, W_hh, b, b, W_hq and b_q."""

    def __init__(self, lessons: Sequence[Lesson], stacks: Sequence[Tensor]) -> None:
        def column(values: Iterable[float]) -> Tensor:
            return stacks[0].new_tensor(list(values))

        self.stacks = stacks
        self.rate = column(lesson.learning_rate for lesson in lessons)
        self.threshold = column(lesson.threshold or torch.inf for lesson in lessons)
        self.l1 = column(lesson.l1 for lesson in lessons)
        self.l2 = column(lesson.l2 for lesson in lessons)
        self.adam = column(lesson.optimizer == "adam" for lesson in lessons) == 1
        self.means = [torch.zeros_like(stack) for stack in stacks]
        self.squares = [torch.zeros_like(stack) for stack in stacks]
        self.steps = 0

    def step(self, digits: Tensor, targets: Tensor) -> Tensor:
        """Take a step; return norms by parameter, in all, and losses, (S, 8)."""
        losses = self._losses(digits, targets)
        found = torch.autograd.grad(losses.sum(), self.stacks)
        with torch.no_grad():
            norms = torch.stack([g.flatten(1).norm(dim=1) for g in found], 1)
            W_hh = self.stacks[1]
            pull = _along(self.l1, W_hh) * W_hh.sign() + _along(self.l2, W_hh) * W_hh
            pulled = [g + pull if i == 1 else g for i, g in enumerate(found)]
            sizes = torch.stack([g.flatten(1).norm(dim=1) for g in pulled], 1)
            factors = (self.threshold / sizes.norm(dim=1)).clamp(max=1)
            self._descend([_along(factors, g) * g for g in pulled])
            return torch.cat(
                [norms, norms.norm(dim=1, keepdim=True), losses[:, None]], 1
            )

    def _losses(self, digits: Tensor, targets: Tensor) -> Tensor:
        W_xh, W_hh, b, b_too, W_hq, b_q = self.stacks
        X = encode(digits, "one-hot").transpose(0, 1)  # (S, T, B, 10)
        A = torch.baddbmm((b + b_too)[:, None], X.flatten(1, 2), W_xh.mT)
        H, W_hh_T = A.new_zeros(()), W_hh.mT
        for t, A_t in enumerate(A.unflatten(1, X.shape[1:3]).unbind(1)):
            H = torch.tanh(torch.baddbmm(A_t, H, W_hh_T) if t else A_t)  # (S, B, h)
        O = torch.baddbmm(b_q[:, None], H, W_hq.mT)
        by_sample = nn.functional.cross_entropy(O.mT, targets, reduction="none")
        return by_sample.mean(1)

    def _descend(self, gradients: Sequence[Tensor]) -> None:
        self.steps += 1
        moments = zip(self.stacks, gradients, self.means, self.squares, strict=True)
        for stack, g, mean, square in moments:
            mean.lerp_(g, 0.1)
            square.lerp_(g.square(), 0.001)
            root = (square / (1 - 0.999**self.steps)).sqrt() + 1e-8
            adams = mean / (1 - 0.9**self.steps) / root
            direction = torch.where(_along(self.adam, g), adams, g)
            stack -= _along(self.rate, g) * direction


def _along(values: Tensor, stack: Tensor) -> Tensor:
    """Bring one number a network into the shape of a stack."""
    return values.view(-1, *[1] * (stack.dim() - 1))


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
