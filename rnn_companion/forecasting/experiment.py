"""An experiment: frozen settings in, a record out.

Source: chapter *Recurrence*, section *On real prices*.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from rnn_companion.forecasting.engine import exact_matmul, training_step
from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.forecasting.prices import Prices, load_prices
from rnn_companion.forecasting.records import Forecasts, Provenance, Record
from rnn_companion.forecasting.settings import OPTIMIZERS, Experiment
from rnn_companion.forecasting.windows import Split, Windows
from rnn_companion.progress import progress_bar

__all__ = [
    "OPTIMIZERS",
    "DivergenceError",
    "Experiment",
    "choose_device",
    "clipped_step",
    "make_optimizer",
    "require_finite",
    "run",
    "train",
]


class DivergenceError(ArithmeticError):
    """A loss became NaN or infinite."""


def choose_device(name: str = "auto") -> torch.device:
    """Choose where to compute; nothing else in the package does.

    Parameters
    ----------
    name : str
        A torch device such as ``"cpu"`` or ``"cuda:1"``; ``"auto"`` takes CUDA
        where there is one, else Apple's MPS, else the CPU.
    """
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def run(
    experiment: Experiment,
    prices: Prices | None = None,
    *,
    device: str = "auto",
    progress: bool = True,
) -> Record:
    """Train a model and compare its forecasts with what happened.

    Parameters
    ----------
    experiment : Experiment
        The settings.
    prices : Prices, optional
        The data; Microsoft's by default.
    device : str
        See `choose_device`.
    progress : bool
        Whether to show a bar in a terminal or a live notebook.

    Returns
    -------
    Record
        The same on the CPU for the same settings and data.

    Raises
    ------
    DivergenceError
        If a training loss is no longer finite: says at which step.
    ValueError
        If the prices are too few.
    """
    prices = load_prices() if prices is None else prices
    started, place = time.perf_counter(), choose_device(device)
    with exact_matmul():
        split = experiment.split(prices)
        model = experiment.model().to(place)
        training, validation = split.training.to(place), split.validation.to(place)
        losses = []
        for training_loss in train(experiment, model, training, progress=progress):
            outputs = _outputs(model, validation)
            error = _squared_error(outputs, validation.targets)
            losses.append((training_loss, error.mean().item()))
    persistence = _squared_error(validation.persistence, validation.targets)
    origin = prices.name, prices.checksum
    return Record(
        settings=asdict(experiment),
        training_loss=tuple(t for t, _ in losses),
        validation_loss=tuple(v for _, v in losses),
        mse_by_position=tuple(error.tolist()),
        persistence_by_position=tuple(persistence.tolist()),
        forecasts=_forecasts(outputs, validation, split, prices),
        provenance=Provenance.of_run(Record.kind, *origin, place, started),
    )


def train(
    experiment: Experiment,
    model: Forecaster,
    windows: Windows,
    *,
    progress: bool = True,
) -> Iterator[float]:
    """Train a model in place, an epoch at a time.

    Parameters
    ----------
    experiment : Experiment
        The settings.
    model : Forecaster
        From `Experiment.model`.
    windows : Windows
        To learn from, on the model's device.
    progress : bool
        As in `run`.

    Yields
    ------
    float
        The mean training loss of each epoch, each batch measured before its step.

    Raises
    ------
    DivergenceError
        As in `run`.
    """
    order = experiment.generator("order")
    step = training_step(
        model,
        make_optimizer(experiment, model),
        clip=experiment.clip,
        rounded=experiment.precision == "bfloat16",
    )
    bar = progress_bar(
        range(experiment.epochs),
        show=progress,
        desc=f"{experiment.cell} {experiment.configuration} {experiment.length}",
        unit="epoch",
    )
    hint = f"try a learning_rate below {experiment.learning_rate:g}"
    hint += " or clip=1.0" if experiment.clip is None else ""
    for epoch in bar:
        dealt = torch.randperm(len(windows), generator=order).to(windows.inputs.device)
        batches = dealt.split(experiment.batch_size)
        losses = torch.stack(
            [step(windows.inputs[:, b], windows.targets[:, b]) for b in batches]
        )
        require_finite(losses, epoch * len(losses), f" (epoch {epoch + 1}): {hint}")
        loss = losses.mean().item()
        bar.set_postfix(loss=f"{loss:.5f}")
        yield loss


def make_optimizer(experiment: Experiment, model: nn.Module) -> torch.optim.Optimizer:
    """Make the experiment's optimizer, fused where torch has it."""
    parameters, name = list(model.parameters()), experiment.optimizer
    device = parameters[0].device.type
    options: dict[str, Any] = {}
    if name != "rmsprop" and device != "mps":
        options["fused"] = True
    if name != "sgd" and device == "cuda":
        options["capturable"] = True  # in a CUDA graph
    return OPTIMIZERS[name](parameters, lr=experiment.learning_rate, **options)


def clipped_step(
    loss: Tensor, model: nn.Module, optimizer: torch.optim.Optimizer, clip: float
) -> Tensor:
    """Take a step down a loss's gradient, its norm limited to `clip`.

    Returns
    -------
    Tensor
        The norm before, shape ().
    """
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    return norm


def require_finite(losses: Tensor, done: int, hint: str) -> None:
    """Refuse losses of which one is NaN or infinite.

    Parameters
    ----------
    losses : Tensor
        Of one step after another, shape (steps,).
    done : int
        Steps before the first of them.
    hint : str
        What to do; ends the message.

    Raises
    ------
    DivergenceError
        Says at which step.
    """
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        first = int(bad[0])
        raise DivergenceError(
            f"the training loss is {losses[first].item()} at step {done + first + 1}"
            + hint
        )


@torch.no_grad()
def _outputs(model: Forecaster, windows: Windows) -> Tensor:
    outputs: Tensor = model(windows.inputs)
    return outputs


def _squared_error(forecast: Tensor, targets: Tensor) -> Tensor:
    return (forecast - targets).square().mean((1, 2))  # (K, N, 1) -> (K,)


def _forecasts(
    outputs: Tensor, windows: Windows, split: Split, prices: Prices
) -> Forecasts:
    count = len(windows)

    def flat(values: Tensor) -> tuple[float, ...]:  # (K, N, 1) -> K N floats
        return tuple(values.flatten().tolist())

    return Forecasts(
        dates=tuple(prices.dates[windows.days.flatten().numpy()].strftime("%Y-%m-%d")),
        positions=tuple(k + 1 for k in range(len(outputs)) for _ in range(count)),
        truth=flat(windows.targets),
        forecast=flat(outputs),
        persistence=flat(windows.persistence),
        minimum=split.scaler.minimum,
        maximum=split.scaler.maximum,
    )
