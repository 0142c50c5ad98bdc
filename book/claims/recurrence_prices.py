"""Claims of chapter 1: on real prices, and what the sources say."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion import Experiment, load_prices, run
from rnn_companion.claims import (
    Finding,
    above,
    claim,
    equal,
    every,
    sign_test,
    swapped,
)
from rnn_companion.forecasting.experiment import fit_side_by_side
from rnn_companion.forecasting.records import Record, RecordFile
from rnn_companion.networks import rnn_parameters
from rnn_companion.networks.graph import Name, direct_dependences

from ._recurrence import D, H, T, draw, layer, reach

RECORDS = Path(__file__).parents[1] / "records/honest-protocol.jsonl"


Graph = dict[Name, tuple[Name, ...]]


# On real prices


def scaled() -> tuple[Tensor, Tensor]:
    """Scale the training prices, and again when later prices are five times as high."""
    prices, made = load_prices(), Experiment(length=7)
    split = made.split(prices)
    first = int(split.validation.days.min())
    other = prices.close * np.where(np.arange(len(prices)) < first, 1, 5)
    again = made.split(replace(prices, close=other))
    return split.training.inputs, again.training.inputs


def by_all_days(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Scale by the largest close of all days, which was raised."""
    return pair[0], pair[1] / 5


@claim(on=scaled, planted=[by_all_days])
def recurrence_scaled_by_training_days(pair: tuple[Tensor, Tensor]) -> Finding:
    """The smallest and the largest close are taken from the **training days alone**:
    otherwise the scaled training prices would contain something of the prices to be
    forecast.
    """
    ran = "scaled training prices, with later closes as they are and five times as high"
    return equal(*pair, ran)


def loop_and_run() -> tuple[Tensor, Tensor]:
    """Write the training loop out for 16 units, and let `run` do it: two loss curves."""
    made, prices = Experiment(length=7, hidden_size=16, epochs=4), load_prices()
    train, known = made.split(prices).training, int(0.8 * len(prices))
    close = torch.tensor(prices.close)
    low, high = close[:known].min(), close[:known].max()
    windows = ((close - low) / (high - low)).float().unfold(0, 8, 1)[: len(train)]
    draws, order = (torch.Generator().manual_seed(seed) for seed in (1, 2))
    cell, head = nn.RNN(1, 16), nn.Linear(16, 1)
    weights = [*cell.parameters(), *head.parameters()]
    for p in weights:
        nn.init.uniform_(p, -0.25, 0.25, generator=draws)
    optimizer = torch.optim.Adam(weights, lr=0.001)
    losses = []
    for _ in range(made.epochs):
        seen = []
        for batch in torch.randperm(len(windows), generator=order).split(32):
            X = windows[batch, :7].T.unsqueeze(2)
            L = nn.functional.mse_loss(head(cell(X)[0][-1]), windows[batch, 7:])
            optimizer.zero_grad()
            L.backward()
            optimizer.step()
            seen.append(L.item())
        losses.append(np.mean(seen))
    record = run(made, prices, device="cpu", progress=False)
    return torch.tensor(losses), torch.tensor(record.training_loss)


@claim(on=loop_and_run, planted=[lambda pair: (pair[0].flip(0), pair[1])])
def recurrence_loop_and_run(pair: tuple[Tensor, Tensor]) -> Finding:
    """The loop and `run` give the same numbers, up to rounding."""
    ran = "16 units, the losses of four epochs"
    return equal(pair[0].double(), pair[1].double(), ran, rtol=1e-3)


@cache
def small_networks() -> tuple[Record, ...]:
    """Train six networks of 16 units on the chapter's windows."""
    made = [
        Experiment(
            length=7, hidden_size=16, batch_size=128, learning_rate=0.008, seed=s
        )
        for s in range(6)
    ]
    made = [replace(e, epochs=4) for e in made]
    fitted = fit_side_by_side(made, load_prices(), device="cpu", progress=False)
    return tuple(record for _, record in fitted)


def leads() -> np.ndarray:
    """Correlate changes of each forecast with the day before's, and the same day's."""
    rows = []
    for record in small_networks():
        table = record.forecasts.table()  # type: ignore[union-attr]
        told, true = np.diff(table["forecast"]), np.diff(table["truth"])
        rows.append(
            [np.corrcoef(told[1:], true[:-1])[0, 1], np.corrcoef(told, true)[0, 1]]
        )
    return np.array(rows)


@claim(on=leads, planted=[lambda rows: rows[:, ::-1]])
def recurrence_networks_follow(rows: np.ndarray) -> Finding:
    """Such networks follow the price; they do not lead it."""
    ran = (
        "six networks of 16 units, a seed each: by how much the correlation with the "
        "day before's change is above that with the same day's"
    )
    return sign_test(rows[:, 0] - rows[:, 1], ran)


def day_by_day() -> Tensor:
    """Raise one of seven days at a time: by how much the untrained forecast moves."""
    made = Experiment(length=7)
    model = made.model().double()
    X = made.split(load_prices()).validation.inputs[:, ::10].double()
    sizes = []
    with torch.no_grad():
        for day in range(7):
            raised = X.clone()
            raised[day] += 1e-3
            sizes.append(float((model(raised) - model(X)).abs().mean()) / 1e-3)
    return torch.tensor(sizes)


@claim(
    on=day_by_day, planted=[lambda sizes: sizes * torch.tensor([0, 0, 0, 0, 0, 0, 1])]
)
def recurrence_seven_days_reach(sizes: Tensor) -> Finding:
    """Before training, none of the seven is zero."""
    ran = "differences of an untrained network's output, 31 windows; the smallest"
    return above(float(sizes.min()), 1e-6, ran)


def errors_of(length: int) -> list[tuple[float, float]]:
    """Pair the error of each recorded network with that of the linear forecast."""
    made, prices = Experiment(length=length, seed=0), load_prices()
    split = made.split(prices)

    def columns(X: Tensor) -> Tensor:
        days = X.squeeze(2).T.double()
        return torch.cat([days, torch.ones_like(days[:, :1])], 1)

    fit = torch.linalg.lstsq(
        columns(split.training.inputs), split.training.targets[0].double()
    ).solution
    told = columns(split.validation.inputs) @ fit
    linear = float((told - split.validation.targets[0]).square().mean())
    runs = [replace(made, seed=seed) for seed in range(3)]
    found = RecordFile(RECORDS).find(runs, prices.checksum, command="")
    return [(found[e].mse, linear) for e in runs]


@claim(
    on=lambda: np.array([pair for days in (3, 7, 50) for pair in errors_of(days)]),
    planted=[lambda rows: rows[:, ::-1]],
)
def recurrence_linear_errs_less(rows: np.ndarray) -> Finding:
    """A linear forecast fitted to the same windows has the smaller error on the same
    days, in these runs and in those that [chapter 6](6-forecasting.md) records for 3
    and 50 days.
    """
    ran = "recorded networks that read 3, 7 and 50 days, three seeds each; log ratios"
    return every(
        above(
            float((rows[:, 0] - rows[:, 1]).min()), 0, f"{ran}: the least difference"
        ),
        sign_test(np.log(rows[:, 0] / rows[:, 1]), ran),
    )


# What the sources say


def shared(parents: Graph) -> dict[int, set[str]]:
    """List the parameters that each step reads, for its state and its output."""
    return {
        t: {n for m in "ho" for n, s in parents[m, t] if s is None} for t in (1, 2, 3)
    }


def two_steps_two_matrices(read: dict[int, set[str]]) -> dict[int, set[str]]:
    """Give the third step a recurrent matrix of its own."""
    return read | {3: read[3] - {"W_hh"} | {"W_hh of step 3"}}


@claim(on=lambda: shared(direct_dependences(3)), planted=[two_steps_two_matrices])
def recurrence_three_matrices(read: dict[int, set[str]]) -> Finding:
    """There are three matrices and two biases, *each* shared by all time steps, as the
    second drawing shows.
    """
    ran = "parameters that autograd finds in three steps"
    matrices = {n for names in read.values() for n in names}
    counts = [sum(n[0] == letter for n in matrices) for letter in "Wb"]
    return every(
        equal(counts, [3, 2], ran),
        equal(
            [len(names) for names in read.values()], [5, 5, 5], f"{ran}: at each step"
        ),
    )


def concatenated() -> dict[str, Tensor]:
    """Multiply the stacked vector by the matrices, in both orders."""
    module, x, h = layer(), draw(H)[:D], draw(H)
    W, U, _ = (p.detach() for p in rnn_parameters(module)[0])
    both = torch.cat([h, x])
    right = {"beside": torch.cat([U, W], 1) @ both, "expected": W @ x + U @ h}
    return right | {"exchanged": torch.cat([W, U], 1) @ both}


def order_exchanged(made: dict[str, Tensor]) -> dict[str, Tensor]:
    return made | {"beside": made["exchanged"], "exchanged": made["beside"]}


@claim(on=concatenated, planted=[order_exchanged])
def recurrence_order_of_vectors(made: dict[str, Tensor]) -> Finding:
    """With columns, as in the report's equation (1), the matrices have to stand side by
    side and in the order of the vectors, as in {eq}`eq-concat`.
    """
    expected = made["expected"]
    off = float((made["exchanged"] - expected).norm() / expected.norm())
    ran = "a random layer, [W_hh W_xh] times [h; x]"
    return every(
        equal(made["beside"], expected, ran), above(off, 0.1, f"{ran}, exchanged")
    )


def late_and_not() -> tuple[Tensor, Tensor]:
    """Derivatives of the upper states by the inputs: as printed, and torch's."""
    module = layer(2)
    W, U, b, c, *upper = module.parameters()

    def printed(X: Tensor) -> Tensor:
        h = g = X.new_zeros(H)
        tops = []
        for x in X:
            g = torch.tanh(upper[0] @ h + upper[1] @ g + upper[2] + upper[3])
            h = torch.tanh(W @ x + U @ h + b + c)
            tops.append(g)
        return torch.stack(tops)

    return reach(printed).diag(), reach(lambda X: module(X)[0]).diag()


@claim(on=late_and_not, planted=[swapped])
def recurrence_one_step_late(pair: tuple[Tensor, Tensor]) -> Finding:
    """As printed: off by … %, and the second layer's state at a step no longer depends on
    the input of that step.
    """
    printed, torchs = pair
    ran = "two layers, the derivative of the upper state by the input of its step"
    return every(
        equal(printed, torch.zeros(T), f"{ran}, as printed"),
        above(float(torchs.min()), 1e-3, f"{ran}, torch.nn.RNN"),
    )


def last_outputs() -> tuple[Tensor, ...]:
    """Let one set of weights read windows as many-to-one and as many-to-many."""
    one = Experiment(length=7, hidden_size=16).model()
    many = Experiment(
        length=7, hidden_size=16, configuration="many-to-many-aligned"
    ).model()
    many.load_state_dict(one.state_dict())
    X = Experiment(length=7).split(load_prices()).validation.inputs[:, :50]
    X = X.clone().requires_grad_()
    outputs = many(X)
    (slopes,) = torch.autograd.grad(outputs[-1].sum(), X)
    return outputs[-1].detach(), one(X)[-1].detach(), slopes.abs().mean((1, 2))


def second_last(made: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Let the last output see the last day alone."""
    return (*made[:2], made[2] * torch.tensor([0, 0, 0, 0, 0, 0, 1]))


@claim(
    on=last_outputs,
    planted=[second_last, lambda made: (made[0].flip(0), made[1], made[2])],
)
def recurrence_last_output_the_same(made: tuple[Tensor, ...]) -> Finding:
    """The last output of a many-to-many network is the same function of the inputs as
    that of a many-to-one network, and the seven derivatives [above](#on-real-prices)
    are not zero.
    """
    many, one, slopes = made
    ran = "one set of weights, 50 windows of seven days"
    return every(
        equal(many, one, ran, rtol=1e-6),
        above(float(slopes.min()), 1e-6, f"{ran}: the smallest derivative"),
    )
