"""Ways to train the same model on the same batches; each yields its losses.

Every contender is a generator that trains for one epoch at each step, so that they
can take turns on a machine that is not always equally fast.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rnn_companion.forecasting.by_hand import HandWrittenGradients
from rnn_companion.forecasting.engine import CapturedStep, exact_matmul
from rnn_companion.forecasting.experiment import make_optimizer, train
from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.windows import Split, Windows

Contender = Callable[..., Iterator[float]]  # experiment, windows, device


class WindowDataset(Dataset[tuple[Tensor, Tensor]]):
    """Hands out one window at a time."""

    def __init__(self, windows: Windows) -> None:
        self.inputs = windows.inputs.transpose(0, 1)  # (N, T, d)
        self.targets = windows.targets.transpose(0, 1)  # (N, K, q)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, n: int) -> tuple[Tensor, Tensor]:
        return self.inputs[n], self.targets[n]


class BatchFirst(nn.Module):
    """The same weights as a `Forecaster`, read out batch first."""

    def __init__(self, model: Forecaster) -> None:
        super().__init__()
        self.cell, self.head, self.layout = model.cell, model.head, model.layout
        self.cell.batch_first = True

    def forward(self, X: Tensor) -> Tensor:  # (B, T, d) -> (B, K, q)
        outputs: Tensor = self.head(self.cell(X)[0])
        return outputs if self.layout.aligned else outputs[:, -1:]


def plain(
    experiment: Experiment, windows: Windows, device: str = "cpu"
) -> Iterator[float]:
    """Train by the forecasting report's loop, in our own words.

    A loader of single windows, a batch-first model, autograd, the optimizer with its
    defaults, a loss read back at every step.
    """
    model = BatchFirst(experiment.model().to(device))
    yield from _plain(model, model, experiment, windows, device)


def compiled(
    experiment: Experiment,
    windows: Windows,
    device: str = "cpu",
    backend: str = "inductor",
) -> Iterator[float]:
    """Train by the plain loop, the model compiled by torch.compile."""
    model = BatchFirst(experiment.model().to(device))
    forecast = torch.compile(model, backend=backend)
    yield from _plain(model, forecast, experiment, windows, device)


def plain_study(experiment: Experiment, split: Split) -> Iterator[tuple[float, float]]:
    """Train like `plain`, and after each epoch measure the error on the validation."""
    model, data = BatchFirst(experiment.model()), WindowDataset(split.validation)
    for loss in _plain(model, model, experiment, split.training):
        total = 0.0
        for X, Y in DataLoader(data, experiment.batch_size):
            with torch.no_grad():
                total += nn.functional.mse_loss(model(X), Y).item() * len(X)
        yield loss, total / len(data)


def _plain(
    model: BatchFirst,
    forecast: Callable[[Tensor], Tensor],
    experiment: Experiment,
    windows: Windows,
    device: str = "cpu",
) -> Iterator[float]:
    data, optimizer = WindowDataset(windows), plain_optimizer(experiment, model)
    for dealt in orders(experiment, windows):
        total = 0.0
        loader = DataLoader(data, experiment.batch_size, sampler=dealt.tolist())
        for X, Y in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(forecast(X.to(device)), Y.to(device))
            total += loss.item()
            loss.backward()
            optimizer.step()
        yield total / len(loader)


def plain_optimizer(experiment: Experiment, model: nn.Module) -> torch.optim.Optimizer:
    """Make the optimizer with its defaults."""
    make = torch.optim.Adam if experiment.optimizer == "adam" else torch.optim.SGD
    return make(model.parameters(), lr=experiment.learning_rate)


def tuned(experiment: Experiment, windows: Windows) -> Iterator[float]:
    """Tune PyTorch as one would: indexed tensors, fused optimizer, fast matmul."""
    model = experiment.model()
    optimizer = make_optimizer(experiment, model)
    for dealt in orders(experiment, windows):
        with exact_matmul():
            losses = []
            for batch in dealt.split(experiment.batch_size):
                optimizer.zero_grad()
                outputs = model(windows.inputs[:, batch])
                loss = nn.functional.mse_loss(outputs, windows.targets[:, batch])
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        yield torch.stack(losses).mean().item()


def ours(
    experiment: Experiment, windows: Windows, device: str = "cpu"
) -> Iterator[float]:
    """Train as `rnn_companion.forecasting.experiment.run` does."""
    model, there = experiment.model().to(device), windows.to(torch.device(device))
    epochs = train([experiment], [model], [there], progress=False)
    yield from exactly(losses[0].item() for losses in epochs)


def by_hand(
    experiment: Experiment, windows: Windows, device: str = "cpu"
) -> Iterator[float]:
    """Train as ours does on a CPU, whatever the device: gradients by hand."""
    model, there = experiment.model().to(device), windows.to(torch.device(device))
    optimizer = make_optimizer(experiment, model)
    gradients = HandWrittenGradients([model])

    def step(X: Tensor, Y: Tensor) -> Tensor:
        losses = gradients(X, Y)
        optimizer.step()
        return losses

    if model.head.weight.is_cuda:
        step = CapturedStep(step, [model], optimizer)
    yield from exactly(
        torch.cat(
            [
                step(there.inputs[None, :, batch], there.targets[None, :, batch])
                for batch in dealt.to(device).split(experiment.batch_size)
            ]
        )
        .mean()
        .item()
        for dealt in orders(experiment, windows)
    )


def exactly(epochs: Iterator[float]) -> Iterator[float]:
    """Multiply exactly while an epoch is trained, and not between epochs."""
    while True:
        with exact_matmul():
            loss = next(epochs, None)
        if loss is None:
            return
        yield loss


def exact_plain(
    experiment: Experiment, windows: Windows, device: str = "cpu"
) -> Iterator[float]:
    """Train by the plain loop without TF32, to which cuDNN rounds by default."""
    yield from exactly(plain(experiment, windows, device))


def exact_compiled(
    experiment: Experiment, windows: Windows, device: str, backend: str
) -> Iterator[float]:
    """Train by the compiled loop without TF32."""
    yield from exactly(compiled(experiment, windows, device, backend))


def bfloat16(experiment: Experiment, windows: Windows) -> Iterator[float]:
    """Train as ours with products rounded to bfloat16: faster, not the same."""
    return ours(replace(experiment, precision="bfloat16"), windows)


def orders(experiment: Experiment, windows: Windows) -> Iterator[Tensor]:
    """Deal the training windows, as every contender takes them, for each epoch."""
    order = experiment.generator("order")
    for _ in range(experiment.epochs):
        yield torch.randperm(len(windows), generator=order)


CONTENDERS: dict[str, Contender] = {
    "plain": plain,
    "tuned": tuned,
    "ours": ours,
    "ours bf16": bfloat16,
}
