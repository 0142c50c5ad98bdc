"""An experiment: frozen settings in, a record out.

Source: chapter *Recurrence*, section *On real prices*.
"""

import math
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from rnn_companion.devices import choose_device, one_thread, require_memory
from rnn_companion.forecasting.engine import exact_matmul, side_by_side_step
from rnn_companion.forecasting.forecaster import GATES, Forecaster
from rnn_companion.forecasting.forecasts import Forecasts, Part
from rnn_companion.forecasting.prices import Prices, load_prices
from rnn_companion.forecasting.records import Provenance, Record
from rnn_companion.forecasting.settings import OPTIMIZERS, Experiment
from rnn_companion.forecasting.windows import Split, Windows
from rnn_companion.progress import progress_bar

__all__ = [
    "OPTIMIZERS",
    "DivergenceError",
    "Experiment",
    "clipped_step",
    "fit",
    "fit_side_by_side",
    "make_optimizer",
    "require_finite",
    "run",
    "train",
]


Epoch = tuple[Tensor, list[float]]  # what `train` yields; S validation losses


class DivergenceError(ArithmeticError):
    """A loss became NaN or infinite."""


def run(
    experiment: Experiment,
    prices: Prices | None = None,
    *,
    device: str = "auto",
    progress: bool = True,
) -> Record:
    """Train a model and hold its forecasts against what happened.

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
    DeviceError
        If there is no such device, or it has not enough memory.
    DivergenceError
        If a training loss is no longer finite: says at which step.
    ValueError
        If the prices are too few.
    """
    return fit(experiment, prices, device=device, progress=progress)[1]


def fit(
    experiment: Experiment,
    prices: Prices | None = None,
    *,
    device: str = "auto",
    progress: bool = True,
) -> tuple[Forecaster, Record]:
    """Do what `run` does, and return the trained model too, on its device."""
    (fitted,) = fit_side_by_side([experiment], prices, device=device, progress=progress)
    return fitted


def fit_side_by_side(
    experiments: Sequence[Experiment],
    prices: Prices | None = None,
    *,
    device: str = "auto",
    progress: bool = True,
) -> list[tuple[Forecaster, Record]]:
    """Train several models as one batch; see `run`.

    Parameters
    ----------
    experiments : sequence of Experiment
        S experiments that differ in their seeds alone; see `engine.StepOptions` for
        what several can do.
    prices, device, progress
        As in `run`.

    Returns
    -------
    list of (Forecaster, Record)
        In the order asked for; each record says its share of the seconds.

    Raises
    ------
    DeviceError, DivergenceError, ValueError
        As in `run`; also if the experiments differ in more than their seeds, or if
        several are asked for with randomized truncation or patience.
    """
    first = experiments[0]
    if any(replace(e, seed=first.seed) != first for e in experiments):
        raise ValueError("experiments side by side may differ in their seeds alone")
    if len(experiments) > 1 and first.truncation == "randomized":
        raise ValueError("randomized truncation draws its links for each seed alone")
    if len(experiments) > 1 and first.patience is not None:
        raise ValueError("with patience each seed stops alone: run one after the other")
    prices = load_prices() if prices is None else prices
    started, place = time.perf_counter(), choose_device(device)
    splits = [experiment.split(prices) for experiment in experiments]
    require_memory(place, _bytes_needed(first, splits[0], len(experiments)))
    with exact_matmul(), one_thread(first.hidden_size):
        models = [experiment.model().to(place) for experiment in experiments]
        epochs = _train(experiments, models, splits, progress)
        made_of = Record.kind, prices.name, prices.checksum, place, started
        origin = Provenance.of_run(*made_of, share=len(experiments))
        together = zip(experiments, models, splits, strict=True)
        return [
            (model, _record(experiment, model, split, prices, s, epochs, origin))
            for s, (experiment, model, split) in enumerate(together)
        ]


def _train(
    experiments: Sequence[Experiment],
    models: Sequence[Forecaster],
    splits: Sequence[Split],
    progress: bool,
) -> list[Epoch]:
    """Train models in place, and measure their validation losses at each epoch."""
    place, patience = models[0].head.weight.device, experiments[0].patience
    training = [split.training.to(place) for split in splits]
    validation = [split.validation.to(place) for split in splits]
    trained = train(experiments, models, training, progress=progress)
    epochs = _epochs(trained, models, validation)
    if patience is not None:
        epochs = _with_patience(epochs, models[0], patience)
    seen = list(epochs)
    for model in models:
        if isinstance(model.cell, nn.RNNBase):  # not side by side any longer
            model.cell.flatten_parameters()
    return seen


def _record(
    experiment: Experiment,
    model: Forecaster,
    split: Split,
    prices: Prices,
    s: int,
    epochs: Sequence[Epoch],
    origin: Provenance,
) -> Record:
    validation = _part(model, split.validation, split, prices)
    test = None if split.test is None else _part(model, split.test, split, prices)
    seen = torch.stack([seen[:, s] for seen, _ in epochs], 1)  # (1 or 2, epochs)
    return Record(
        settings=asdict(experiment),
        training_loss=tuple(seen[0].tolist()),
        validation_loss=tuple(losses[s] for _, losses in epochs),
        mse_by_position=validation.mse_by_position,
        persistence_by_position=validation.persistence_by_position,
        forecasts=validation.forecasts,
        provenance=origin,
        gradient_norms=tuple(seen[1:].flatten().tolist()),
        test=test,
    )


def _epochs(
    trained: Iterable[Tensor],
    models: Sequence[Forecaster],
    validation: Sequence[Windows],
) -> Iterator[Epoch]:
    for seen in trained:
        pairs = zip(models, validation, strict=True)
        yield seen, [_loss(*pair) for pair in pairs]


def _with_patience(
    epochs: Iterable[Epoch], model: Forecaster, patience: int
) -> Iterator[Epoch]:
    """Stop so many epochs after the least validation loss; keep its weights."""
    least, since, kept = math.inf, 0, model.state_dict()
    for seen, losses in epochs:
        yield seen, losses
        since += 1
        if losses[0] < least:
            least, since, kept = losses[0], 0, deepcopy(model.state_dict())
        if since >= patience:
            break
    model.load_state_dict(kept)


def train(
    experiments: Sequence[Experiment],
    models: Sequence[Forecaster],
    windows: Sequence[Windows],
    *,
    progress: bool = True,
) -> Iterator[Tensor]:
    """Train models in place, an epoch at a time.

    Parameters
    ----------
    experiments : sequence of Experiment
        S experiments that differ in their seeds alone.
    models : sequence of Forecaster
        From `Experiment.model`.
    windows : sequence of Windows
        For each model to learn from, on its device.
    progress : bool
        As in `run`.

    Yields
    ------
    Tensor, `(1, S)` or `(2, S)`
        Of each epoch: the mean training losses, each batch measured before its step;
        below, if the experiments ask for it, the largest norms of the gradients.

    Raises
    ------
    DivergenceError
        As in `run`.
    """
    first, orders = experiments[0], [e.generator("order") for e in experiments]
    optimizer = make_optimizer(first, nn.ModuleList(models))
    step = side_by_side_step(models, optimizer, first.step_options())
    schedule = None
    if first.decay == "cosine":
        schedule = CosineAnnealingLR(optimizer, first.epochs)
    bar = progress_bar(
        range(first.epochs),
        show=progress,
        desc=f"{first.cell} {first.configuration} {first.length}",
        unit="epoch",
    )
    for epoch in bar:
        X, Y = _dealt(windows, orders)
        batches = zip(
            X.split(first.batch_size, 2), Y.split(first.batch_size, 2), strict=True
        )
        seen = torch.stack([step(x, y).reshape(-1, len(models)) for x, y in batches])
        hint = (
            f" (epoch {epoch + 1}): try a learning_rate below {first.learning_rate:g}"
        )
        hint += " or clip=1.0" if first.clip is None else ""
        require_finite(seen[:, 0], epoch * len(seen), hint)
        means = torch.cat([seen[:, :1].mean(0), seen[:, 1:].amax(0)])
        bar.set_postfix(loss=f"{means[0].mean().item():.5f}")
        yield means.cpu()
        if schedule is not None:
            schedule.step()


def _dealt(
    windows: Sequence[Windows], orders: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Put the windows of each model into a new order: (S, T, N, 1), (S, K, N, 1)."""
    X, Y = [], []
    for w, order in zip(windows, orders, strict=True):
        dealt = torch.randperm(len(w), generator=order).to(w.inputs.device)
        X.append(w.inputs[:, dealt])
        Y.append(w.targets[:, dealt])
    return torch.stack(X), torch.stack(Y)


def _bytes_needed(experiment: Experiment, split: Split, count: int) -> int:
    """Estimate what networks need: their weights four times, and all their steps.

    They are trained at the same time, and validated and tested one after the other.
    """
    e, rows = experiment, GATES[experiment.cell] * experiment.hidden_size
    weights = e.layers * rows * (2 * e.hidden_size + 2)
    steps = e.layers * e.length * 4 * (rows + 2 * e.hidden_size)
    parts = [part for part in (split.validation, split.test) if part is not None]
    windows = max(count * e.batch_size, *map(len, parts))
    return 4 * (4 * count * weights + steps * windows)


def make_optimizer(experiment: Experiment, model: nn.Module) -> torch.optim.Optimizer:
    """Make the experiment's optimizer, fused on a CPU or a CUDA device."""
    parameters, name = list(model.parameters()), experiment.optimizer
    device = parameters[0].device.type
    options: dict[str, Any] = {}
    if name != "rmsprop" and device in ("cpu", "cuda"):
        options["fused"] = True
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
        Of one step after another, shape (steps,) or (steps, S).
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
        value = losses[tuple(bad[0])].item()
        raise DivergenceError(
            f"the training loss is {value} at step {done + int(bad[0, 0]) + 1}{hint}"
        )


@torch.no_grad()
def _outputs(model: Forecaster, windows: Windows) -> Tensor:
    with warnings.catch_warnings():
        # The weights of networks side by side do not lie as cuDNN likes them.
        warnings.filterwarnings("ignore", "RNN module weights are not part of single")
        outputs: Tensor = model(windows.inputs)
    return outputs


def _loss(model: Forecaster, windows: Windows) -> float:
    errors = _squared_error(_outputs(model, windows), windows.targets).cpu()
    return errors.mean().item()


def _part(model: Forecaster, windows: Windows, split: Split, prices: Prices) -> Part:
    outputs = _outputs(model, windows.to(model.head.weight.device)).cpu()
    return Part(
        tuple(_squared_error(outputs, windows.targets).tolist()),
        tuple(_squared_error(windows.persistence, windows.targets).tolist()),
        _forecasts(outputs, windows, split, prices),
    )


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
