"""The forecasting report (Ul Islam, 2024), sections 2.2 and 3: what training does."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rnn_companion import Experiment, load_prices
from rnn_companion.claims import (
    Finding,
    Quoted,
    every,
    holds_if,
    quoted,
    sign_test,
    swapped,
    trial,
    undecided,
)
from rnn_companion.forecasting.experiment import fit_side_by_side
from rnn_companion.forecasting.records import Record

from ._report import REPORT
from ._report_runs import FILES, runs

Array = NDArray[np.float64]


def over_constant(records: Iterable[Record]) -> Array:
    """Divide losses by that of the training targets' mean."""
    ratios = []
    for record in records:
        split = record.experiment.split(load_prices())
        off = split.validation.targets - split.training.targets.mean()
        ratios.append(record.mse / off.square().mean().item())
    return np.array(ratios)


def recorded_by_sgd() -> Array:
    """Take the LSTMs of the grid, dealt out at random as the report's."""
    grid = runs("book", "source").items()
    kept = [each for key, each in grid if (key.cell, key.optimizer) == ("lstm", "sgd")]
    return over_constant(record for each in kept for record in each)


def trained_by_sgd(rate: float) -> Array:
    """Train small LSTMs at another learning rate."""
    base = Experiment(
        cell="lstm",
        length=3,
        hidden_size=32,
        epochs=5,
        optimizer="sgd",
        protocol="source",
    )
    seeds = [replace(base, learning_rate=rate, seed=seed) for seed in range(5)]
    return over_constant(record for _, record in fit_side_by_side(seeds, load_prices()))


@cache
def both_by_sgd() -> tuple[Array, Array]:
    """Collect the runs at the report's learning rate, and at a larger one."""
    return recorded_by_sgd(), trained_by_sgd(0.3)


@quoted(
    Quoted(
        "0-30",
        REPORT,
        "2.2",
        "holds if",
        where="6-forecasting",
        needs="It would have to fail at other learning rates, too.",
        right="At a learning rate of 0.001 and without momentum it learns next to nothing in this time. With larger steps it learns.",
    ),
    on=both_by_sgd,
    planted=[swapped, lambda both: (both[0], both[0])],
)
def lstm_fails_under_sgd(both: tuple[Array, Array]) -> Finding:
    """“it seems that the LSTM fails to learn or update its weights optimally when it is optimized via SGD”"""
    ran = "LSTMs under SGD, this book's series: loss over that of the best constant of the training days, less one half; "
    small, large = both
    return holds_if(
        "the learning rate is 0.001 as in the report, without momentum",
        sign_test(small - 0.5, ran + "recorded, with the report's settings"),
        sign_test(large - 0.5, ran + "32 units, 5 epochs, learning rate 0.3, 5 seeds"),
    )


@quoted(
    Quoted(
        "0-27",
        REPORT,
        "2.2",
        "wrong",
        where="3-gradients#eq-grad-bound",
        needs="From 50 to 100 steps the derivative would have to go on growing.",
        right="It grows at first and then stays as it is: each further step adds a path whose product is smaller.",
    ),
    on=lambda: norms_by_length(),
    planted=[lambda norms: norms[:, :1] * np.array([3, 7, 50, 100])],
)
def larger_with_length(norms: Array) -> Finding:
    """“After all, the larger the sequence length the larger the gradient computed in equation 5.”"""
    ran = "the norm of the derivative of the last state by the recurrent weights, 16 units as torch draws them, closes of this book's series, 20 seeds: "
    three, seven, fifty, hundred = np.log(norms).T
    return trial(
        sign_test(
            hundred - fifty - 0.01,
            ran + "growth of its logarithm beyond 0.01, 50 to 100 days",
        ),
        every(
            sign_test(seven - three, ran + "growth of its logarithm, 3 to 7 days"),
            sign_test(
                0.01 - np.abs(hundred - fifty),
                ran + "50 to 100 days, 0.01 less its change",
            ),
        ),
    )


def norms_by_length() -> Array:
    """Measure the derivative in equation (5), of windows that end on the same day."""
    close = torch.tensor(load_prices().close[-100:])
    X = ((close - close.min()) / (close.max() - close.min())).view(-1, 1)
    return np.array(
        [[norm_at(seed, X[-n:]) for n in (3, 7, 50, 100)] for seed in range(20)]
    )


def norm_at(seed: int, X: torch.Tensor) -> float:
    """Compute its norm for one network and one window."""
    torch.manual_seed(seed)
    model = nn.RNN(1, 16, dtype=torch.float64)
    last = model(X)[0][-1]
    weights = model.get_parameter("weight_hh_l0")
    (rows,) = torch.autograd.grad(
        last, weights, torch.eye(16, dtype=torch.float64), is_grads_batched=True
    )
    return float(rows.norm())


@quoted(
    Quoted(
        "0-28",
        REPORT,
        "3",
        "cannot be decided",
        where="6-forecasting",
        needs="A gradient of one of its runs would have to be shown.",
        right="Large gradients do occur in such training: chapter 6 shows one of ours. Whether the report met one, its figures do not tell.",
    )
)
def exploding_gradient() -> Finding:
    """“The striking property of RNNs known as the exploding gradient (sometimes ‘vanishing’) has been discovered in this practical setting.”"""
    found = [r for name in FILES for each in runs(*name).values() for r in each]
    jumps = sum(
        max(np.divide(r.training_loss[1:], r.training_loss[:-1])) > 10 for r in found
    )
    return undecided(
        "the report shows no gradient and no course of a loss. Of this book's "
        f"{len(found)} recorded runs {jumps} have an epoch whose training loss is more "
        "than ten times that of the epoch before"
    )
