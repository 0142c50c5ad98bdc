"""The claims of chapter 1."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion import Experiment, Forecaster, Layout, load_prices, run
from rnn_companion.claims import (
    Finding,
    above,
    below,
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

RECORDS = Path(__file__).parents[1] / "records/honest-protocol.jsonl"
T, D, H = 6, 3, 4
Graph = dict[Name, tuple[Name, ...]]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@cache
def layer(layers: int = 1) -> nn.RNN:
    """Draw a tanh layer of torch, and one on top of it."""
    module = nn.RNN(D, H, num_layers=layers, dtype=torch.float64)
    for p in module.parameters():
        nn.init.uniform_(p, -0.5, 0.5, generator=generator(p.numel()))
    return module


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(1), dtype=torch.float64)


def reach(read: Callable[[Tensor], Tensor]) -> Tensor:
    """Take the norm of the derivative of each state (row) by each input, (T, T)."""
    found = torch.autograd.functional.jacobian(read, draw(T, D))  # (T, h, T, d)
    sizes: Tensor = torch.as_tensor(found).norm(dim=(1, 3))
    return sizes


# One cell


def long_run() -> Tensor:
    """Run 16 units with large weights for 2000 steps."""
    module = nn.RNN(1, 16, dtype=torch.float64)
    for p in module.parameters():
        nn.init.normal_(p, std=0.25, generator=generator(2))
    with torch.no_grad():
        states: Tensor = module(draw(2000, 1))[0]
    return states


@claim(on=long_run, planted=[torch.atanh])
def recurrence_states_stay_inside(states: Tensor) -> Finding:
    """Since tanh stays strictly between $-1$ and $1$, so does every entry of every
    later state, however long the sequence.
    """
    ran = "16 units with large weights, 2000 steps: the largest entry in size"
    return below(float(states.abs().max()), 1, ran)


def dense_and_recurrent() -> tuple[Tensor, Tensor]:
    """Take the next state from torch's recurrent and from its dense layer."""
    module, x, h = layer(), draw(D), draw(H).tanh()
    dense = nn.Linear(D + H, H, dtype=torch.float64)
    with torch.no_grad():
        W, U, b = rnn_parameters(module)[0]
        dense.weight.copy_(torch.cat([W, U], 1))
        dense.bias.copy_(b)
        return torch.cat(
            [dense(torch.cat([x, h])).tanh(), dense(torch.cat([x, 0 * h])).tanh()]
        ), (
            torch.cat(
                [module(x[None], h[None])[0][0], module(x[None], 0 * h[None])[0][0]]
            )
        )


@claim(on=dense_and_recurrent, planted=[lambda pair: (pair[0].flip(0), pair[1])])
def recurrence_is_a_dense_layer(pair: tuple[Tensor, Tensor]) -> Finding:
    """So a recurrent layer is an ordinary dense layer whose input contains its own
    last output.
    """
    return equal(*pair, "torch.nn.Linear with tanh against torch.nn.RNN, one step")


# Unrolled


def unrolled() -> tuple[Tensor, Tensor]:
    """Run T dense layers that share their weights, and the recurrent one."""
    module, X = layer(), draw(T, D)
    with torch.no_grad():
        step = nn.Linear(D + H, H, dtype=torch.float64)
        W, U, b = rnn_parameters(module)[0]
        step.weight.copy_(torch.cat([W, U], 1))
        step.bias.copy_(b)
        h = torch.zeros(H, dtype=torch.float64)
        for dense, x in zip([step] * T, X, strict=True):
            h = dense(torch.cat([x, h])).tanh()
        return h, module(X)[0][-1]


def own_weights(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Give the last of the layers weights of its own."""
    last = nn.Linear(H, H, dtype=torch.float64)
    nn.init.uniform_(last.weight, -0.5, 0.5, generator=generator(3))
    return last(pair[0]).tanh().detach(), pair[1]


@claim(on=unrolled, planted=[own_weights])
def recurrence_is_feed_forward(pair: tuple[Tensor, Tensor]) -> Finding:
    """A recurrent network over $T$ steps *is* a feed-forward network of $T$ layers
    that share their weights.
    """
    return equal(*pair, f"{T} dense layers, one after the other, against torch.nn.RNN")


def reach_with_and_without() -> tuple[Tensor, Tensor]:
    """Take the derivatives with a W_hh, and without one."""
    module = layer()
    cut = nn.RNN(D, H, dtype=torch.float64)
    cut.load_state_dict(module.state_dict())
    cut.get_parameter("weight_hh_l0").data.zero_()
    return reach(lambda X: module(X)[0]), reach(lambda X: cut(X)[0])


@claim(
    on=reach_with_and_without,
    planted=[lambda pair: (pair[0].T, pair[1]), lambda pair: (pair[0], pair[0])],
)
def recurrence_inputs_so_far(pair: tuple[Tensor, Tensor]) -> Finding:
    """A state *can* depend on every input so far, not on the last one alone (whether
    it does, the weights decide: with $W_{hh} = 0$ it depends on the last one only);
    and none depends on an input that is still to come:
    """
    whole, cut = pair
    ran = f"derivatives of {T} states by {T} inputs, torch.nn.RNN"
    past = whole[torch.ones(T, T).tril().bool()]
    return every(
        above(float(past.min()), 1e-6, ran),
        equal(whole.triu(1), torch.zeros(T, T), f"{ran}: those to come"),
        equal(cut - cut.diag().diag(), torch.zeros(T, T), f"{ran}: without W_hh"),
        above(float(cut.diag().min()), 1e-6, f"{ran}: without W_hh, the last"),
    )


def first_to_hundredth() -> tuple[float, ...]:
    """Take dh_100/dx_1 of a linear unit at two weights, by autograd."""
    found = []
    for w_h in (0.9, 1.8):
        x = torch.ones(100, dtype=torch.float64, requires_grad=True)
        h = x.new_zeros(())
        for x_t in x:
            h = 0.7 * x_t + w_h * h
        found.append(float(torch.autograd.grad(h, x)[0][0]))
    return tuple(found)


@claim(on=first_to_hundredth, planted=[lambda pair: (2 * pair[0], pair[1])])
def recurrence_ninety_nine_times(pair: tuple[float, float]) -> Finding:
    """It would reach the hundredth state through $w_h$ ninety-nine times."""
    times = np.log2(pair[1] / pair[0])
    return equal(
        times, 99, "a linear unit: how often twice the weight doubles the slope"
    )


def pushed(w_h: float) -> float:
    """Push a unit once; what is left after 500 steps without input."""
    h = np.tanh(1.0)
    for _ in range(500):
        h = np.tanh(w_h * h)
    return float(h)


@claim(on=lambda: (pushed(1.5), pushed(0.8)), planted=[swapped])
def recurrence_no_return(left: tuple[float, float]) -> Finding:
    """Try `w_h` = 1.5: after a push the state does not return to zero."""
    ran = "one unit, one push, 500 steps without input"
    return every(
        above(left[0], 0.5, f"{ran}, w_h = 1.5"),
        below(left[1], 1e-6, f"{ran}, w_h = 0.8"),
    )


# Layers, parameters, steps


def stacked() -> Tensor:
    """Take derivatives of the upper layer's states by its own input and past."""
    module = layer(2)
    upper = nn.RNN(H, H, dtype=torch.float64)
    upper.load_state_dict(
        {k.replace("l1", "l0"): v for k, v in module.state_dict().items() if "l1" in k}
    )
    with torch.no_grad():
        lower = nn.RNN(D, H, dtype=torch.float64)
        lower.load_state_dict(
            {k: v for k, v in module.state_dict().items() if "l0" in k}
        )
        below_, top = lower(draw(T, D))[0], module(draw(T, D))[0]
        late = torch.cat([torch.zeros(1, H), below_[:-1]])
        return torch.stack([top, upper(below_)[0], upper(late)[0]])


@claim(on=stacked, planted=[lambda runs: runs[[0, 2, 1]]])
def recurrence_layer_below(runs: Tensor) -> Finding:
    """Look at the two lower indices: the layer *below* is read at the **same** step
    $t$, the layer's *own* past at step $t - 1$.
    """
    torchs, same, late = runs
    ran = "torch.nn.RNN of two layers, and its upper layer alone"
    off = float((late - torchs).norm() / torchs.norm())
    return every(equal(same, torchs, ran), above(off, 0.1, f"{ran}, one step late"))


@cache
def kept_counts() -> np.ndarray:
    """Count the parameters of forecasters that read 3, 7 and 100 days."""
    models = (
        Forecaster("rnn", Layout(configuration, days), hidden_size=5)
        for configuration in ("many-to-one", "many-to-many-aligned")
        for days in (3, 7, 100)
    )
    return np.array([sum(p.numel() for p in model.parameters()) for model in models])


@claim(on=kept_counts, planted=[lambda n: n * np.array([3, 7, 100] * 2)])
def recurrence_count_without_length(counts: np.ndarray) -> Finding:
    """The number of parameters does not depend on $T$, since every step uses the same
    ones.
    """
    ran = "forecasters that read 3, 7 and 100 days"
    return equal(counts, np.full(len(counts), 5 * (1 + 5 + 2) + 6), ran)


def torchs_counts() -> np.ndarray:
    """Count what torch stores, by its number of units: with one bias and with two."""
    rows = []
    for h in (1, 5, 32):
        sizes = {n: p.numel() for n, p in nn.RNN(3, h).named_parameters()}
        needed = sum(v for n, v in sizes.items() if n != "bias_hh_l0")
        rows.append([sum(sizes.values()) - needed, h])
    return np.array(rows)


@claim(on=torchs_counts, planted=[lambda rows: rows * [0, 1]])
def recurrence_two_biases(rows: np.ndarray) -> Finding:
    """Torch stores two bias vectors in a layer, `bias_ih` and `bias_hh`, where one
    would do, and so has $h$ more:
    """
    return equal(rows[:, 0], rows[:, 1], "torch.nn.RNN with 1, 5 and 32 units")


def steps_with(
    optimizer: type[torch.optim.Optimizer], rate: float, scale: float
) -> Tensor:
    """Train a layer for 20 steps; the loss is the mean over time, times a scale."""
    module = nn.RNN(D, H, dtype=torch.float64)
    module.load_state_dict(layer().state_dict())
    made = optimizer(module.parameters(), lr=rate)  # type: ignore[call-arg]
    X, Y = draw(T, 2, D), draw(T, 2, H) / 3
    for _ in range(20):
        made.zero_grad()
        (scale * (module(X)[0] - Y).square().mean()).backward()
        made.step()
    before = layer().parameters()
    moved = zip(module.parameters(), before, strict=True)
    return torch.cat([(p - q).detach().flatten() for p, q in moved])


def of_sgd() -> list[Tensor]:
    """Train with the mean, with the sum, and with the sum at a T-th of the rate."""
    ways = ((0.1, 1), (0.1, T), (0.1 / T, T))
    return [steps_with(torch.optim.SGD, rate, scale) for rate, scale in ways]


@claim(on=of_sgd, planted=[lambda runs: [runs[0], runs[2], runs[1]]])
def recurrence_sum_needs_smaller_rate(runs: list[Tensor]) -> Finding:
    """Plain gradient descent then takes steps $T$ times as long, and needs a learning
    rate $T$ times as small for the same ones.
    """
    mean, total, slower = runs
    ran = f"20 steps of gradient descent, T = {T}"
    apart = float((total - mean).norm() / mean.norm())
    return every(
        equal(slower, mean, f"{ran}, a rate {T} times as small"),
        above(apart, 1, f"{ran}, the same rate: how far apart the weights move"),
    )


def of_adam() -> list[Tensor]:
    """Train with the mean and with the sum; then by plain gradient descent."""
    adam = [steps_with(torch.optim.Adam, 0.01, scale) for scale in (1, T)]
    return adam + of_sgd()[:2]


@claim(on=of_adam, planted=[lambda runs: runs[2:] + runs[:2]])
def recurrence_adam_nearly_the_same(runs: list[Tensor]) -> Finding:
    """Adam, which this chapter uses, divides each gradient by its own typical size and
    takes nearly the same steps with both.
    """
    ran = f"20 steps of Adam with the mean and with the sum, T = {T}"
    return equal(runs[1], runs[0], ran, rtol=1e-4)


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
