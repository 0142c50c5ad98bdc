"""An experiment: frozen settings in, a record out.

Source: chapter *Recurrence*, section *On real prices*; the defaults are those
of the forecasting report.
"""

import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import torch
from torch import Tensor, nn

from rnn_companion import __version__
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import exact_matmul, training_step
from rnn_companion.forecasting.forecaster import CELLS, Forecaster
from rnn_companion.forecasting.prices import Prices, load_prices
from rnn_companion.forecasting.records import RESULTS, Forecasts, Provenance, Record
from rnn_companion.forecasting.windows import (
    Split,
    Windows,
    leaky_random_split,
    split_by_date,
)
from rnn_companion.progress import progress_bar

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
PROTOCOLS = ("honest", "source")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides a result but the data and the device.

    Parameters
    ----------
    cell : str
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    configuration : str
        One of the five input/output configurations.
    length, horizon : int
        Days read, and days forecast after them.
    hidden_size, layers : int
        Units of the hidden state, stacked layers.
    optimizer : str
        ``"adam"``, ``"sgd"`` or ``"rmsprop"``.
    learning_rate : float
        Step size, positive.
    epochs, batch_size : int
        Passes through the training windows, and windows a step.
    clip : float, optional
        Largest allowed norm of the gradient; none by default.
    training : float
        Fraction of the data to learn from.
    protocol : str
        ``"honest"`` splits by date, ``"source"`` is `leaky_random_split`.
    precision : str
        ``"float32"``, or ``"bfloat16"`` for products rounded to three digits, which
        some machines compute faster. Errors are always measured in float32.
    seed : int
        Of everything random: split, start, order of batches.

    Raises
    ------
    ValueError
        For a setting that means nothing: names it and what it may be.
    """

    cell: str = "rnn"
    configuration: str = "many-to-one"
    length: int = 7
    horizon: int = 1
    hidden_size: int = 512
    layers: int = 1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 32
    clip: float | None = None
    training: float = 0.8
    protocol: str = "honest"
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        _one_of("cell", self.cell, CELLS)
        _one_of("optimizer", self.optimizer, OPTIMIZERS)
        _one_of("protocol", self.protocol, PROTOCOLS)
        _one_of("precision", self.precision, PRECISIONS)
        for name in ("hidden_size", "layers", "learning_rate", "epochs", "batch_size"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive or None, got {self.clip}")
        self.layout  # noqa: B018 - raises for an impossible one

    @property
    def layout(self) -> Layout:
        """Configuration, length and horizon together."""
        return Layout(self.configuration, self.length, self.horizon)

    def split(self, prices: Prices) -> Split:
        """Cut and split the prices by this experiment's protocol."""
        if self.protocol == "honest":
            return split_by_date(prices, self.layout, training=self.training)
        dealer = _generator(self.seed, "split")
        return leaky_random_split(
            prices, self.layout, training=self.training, generator=dealer
        )

    def model(self) -> Forecaster:
        """Make the untrained model, the same for the same seed."""
        return Forecaster(
            self.cell,
            self.layout,
            hidden_size=self.hidden_size,
            layers=self.layers,
            generator=_generator(self.seed, "start"),
        )


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
        for training_loss in _train(experiment, model, training, progress=progress):
            outputs = _outputs(model, validation)
            error = _squared_error(outputs, validation.targets)
            losses.append((training_loss, error.mean().item()))
    persistence = _squared_error(validation.persistence, validation.targets)
    return Record(
        settings=asdict(experiment),
        training_loss=tuple(t for t, _ in losses),
        validation_loss=tuple(v for _, v in losses),
        mse_by_position=tuple(error.tolist()),
        persistence_by_position=tuple(persistence.tolist()),
        forecasts=_forecasts(outputs, validation, split, prices),
        provenance=provenance(
            prices.name,
            prices.checksum,
            place,
            seconds=time.perf_counter() - started,
            results=RESULTS["forecast"],
        ),
    )


def _train(
    experiment: Experiment, model: Forecaster, windows: Windows, *, progress: bool
) -> Iterator[float]:
    """Yield the mean training loss of each epoch."""
    order = _generator(experiment.seed, "order")
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
    for epoch in bar:
        dealt = torch.randperm(len(windows), generator=order).to(windows.inputs.device)
        batches = dealt.split(experiment.batch_size)
        losses = torch.stack(
            [step(windows.inputs[:, b], windows.targets[:, b]) for b in batches]
        )
        _require_finite(losses, epoch, experiment)
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


def _require_finite(losses: Tensor, epoch: int, experiment: Experiment) -> None:
    bad = (~losses.isfinite()).nonzero()
    if len(bad):
        step = epoch * len(losses) + int(bad[0]) + 1
        raise DivergenceError(
            f"the training loss is {losses[bad[0]].item()} at step {step} (epoch "
            f"{epoch + 1}): try a learning_rate below {experiment.learning_rate:g}"
            + (" or clip=1.0" if experiment.clip is None else "")
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


def provenance(
    data: str, checksum: str, device: torch.device, seconds: float, results: int
) -> Provenance:
    """Say where a record comes from that was made just now, by this program.

    Parameters
    ----------
    data, checksum : str
        Name and SHA-256 of the data.
    device : torch.device
        What it ran on.
    seconds : float
        How long it took.
    results : int
        Version of the results, from `RESULTS`.
    """
    cuda = device.type == "cuda"
    return Provenance(
        data=data,
        checksum=checksum,
        device=torch.cuda.get_device_name(device) if cuda else device.type,
        versions={
            "python": platform.python_version(),
            "torch": torch.__version__,
            "rnn_companion": __version__,
        },
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(seconds, 3),
        results=results,
    )


def _generator(seed: int, purpose: str) -> torch.Generator:
    """Make a CPU generator for one purpose, so that no draw shifts another."""
    stream = ("split", "start", "order").index(purpose)
    return torch.Generator().manual_seed(3 * seed + stream)


def _one_of(name: str, value: str, known: Any) -> None:  # noqa: ANN401
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(known)}")
