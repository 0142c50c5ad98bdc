"""The forecasting report's training loop, in our own words: what to be faster than.

A dataset that hands out one window at a time, a shuffling loader, a batch-first
model, autograd, the optimizer with its defaults, a loss read back at every step.
Start and order of batches are the experiment's, so the losses must be ours too.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from rnn_companion.experiment import Experiment, _generator
from rnn_companion.forecaster import Forecaster
from rnn_companion.prices import Prices
from rnn_companion.windows import Windows


class WindowDataset(Dataset[tuple[Tensor, Tensor]]):
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
        H, _ = self.cell(X)
        O = self.head(H)  # noqa: E741 - the book's name
        outputs: Tensor = O if self.layout.aligned else O[:, -1:]
        return outputs


@dataclass
class Timed:
    training_loss: list[float]
    validation_loss: list[float]
    seconds: list[float]  # an epoch of training


def plain_loop(
    experiment: Experiment,
    prices: Prices,
    clock: Callable[[], float] = time.perf_counter,
) -> Timed:
    """Train as the report did; return losses and the time of each epoch."""
    split = experiment.split(prices)
    model = BatchFirst(experiment.model())
    make = torch.optim.Adam if experiment.optimizer == "adam" else torch.optim.SGD
    optimizer = make(model.parameters(), lr=experiment.learning_rate)
    order = _generator(experiment.seed, "order")
    training = WindowDataset(split.training)
    result = Timed([], [], [])
    for _ in range(experiment.epochs):
        dealt = torch.randperm(len(training), generator=order).tolist()
        started = clock()
        loader = DataLoader(training, experiment.batch_size, sampler=dealt)
        result.training_loss.append(_epoch(model, loader, optimizer))
        result.seconds.append(clock() - started)
        result.validation_loss.append(_validate(model, split.validation))
    return result


def _epoch(
    model: nn.Module,
    loader: DataLoader[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
) -> float:
    total = 0.0
    for X, Y in loader:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(X), Y)
        total += loss.item()
        loss.backward()
        optimizer.step()
    return total / len(loader)


@torch.no_grad()
def _validate(model: nn.Module, windows: Windows) -> float:
    loader = DataLoader(WindowDataset(windows), 32)
    errors = [nn.functional.mse_loss(model(X), Y, reduction="sum") for X, Y in loader]
    return float(torch.stack(errors).sum()) / windows.targets.numel()
