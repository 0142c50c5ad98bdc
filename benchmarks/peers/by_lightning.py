"""Lightning's Trainer around the plain loop's model, loader and optimizer."""

import logging
from collections.abc import Callable, Iterator

import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler

from benchmarks.contenders import BatchFirst, WindowDataset, orders, plain_optimizer
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.windows import Windows


def train(
    experiment: Experiment, windows: Windows, done: Callable[[float], None]
) -> None:
    """Call `done` with the loss of each epoch."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    data, order = WindowDataset(windows), Dealt(experiment, windows)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=experiment.epochs,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    loader = DataLoader(data, experiment.batch_size, sampler=order)
    trainer.fit(Module(experiment, done), loader)


class Module(LightningModule):  # type: ignore[misc]
    """The plain loop's step."""

    def __init__(self, experiment: Experiment, done: Callable[[float], None]) -> None:
        super().__init__()
        self.experiment, self.done = experiment, done
        self.model = BatchFirst(experiment.model())
        self.losses: list[Tensor] = []

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        X, Y = batch
        loss = nn.functional.mse_loss(self.model(X), Y)
        self.losses.append(loss.detach())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return plain_optimizer(self.experiment, self.model)

    def on_train_epoch_end(self) -> None:
        self.done(torch.stack(self.losses).mean().item())
        self.losses.clear()


class Dealt(Sampler[int]):
    """Another order in each epoch, the same as everyone's."""

    def __init__(self, experiment: Experiment, windows: Windows) -> None:
        self.orders, self.length = orders(experiment, windows), len(windows)

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[int]:
        return iter(next(self.orders).tolist())
