"""Sentences of the chapter *Input/output configurations*, with evidence."""

from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn

from rnn_companion import Experiment, Forecaster, Layout, load_prices, networks
from rnn_companion.claims import (
    Finding,
    above,
    below,
    claim,
    equal,
    every,
    negated,
    sign_test,
    swapped,
    symbolic,
)
from rnn_companion.forecasting.records import Record, RecordFile
from rnn_companion.forecasting.windows import cut_windows

RECORDS = Path(__file__).parents[1] / "records"
GRIDS = ("records/honest-protocol.jsonl", "records/source-protocol-report.jsonl")
ALIGNED = "many-to-many-aligned"
LAYOUTS = (
    Layout("one-to-one", 1),
    Layout("one-to-many", 1, horizon=3),
    Layout("many-to-one", 4),
    Layout("many-to-many-shifted", 4, horizon=3),
    Layout(ALIGNED, 4),
)
SEEDS = 12
Pair = tuple[Tensor, Tensor]


def drawn(layout: Layout, seed: int = 0, h: int = 16) -> Forecaster:
    """Make an RNN with a head, in double precision."""
    source = torch.Generator().manual_seed(seed)
    model = Forecaster("rnn", layout, hidden_size=h, generator=source).double()
    return model.requires_grad_(requires_grad=False)


def inputs(seed: int, *shape: int) -> Tensor:
    """Draw closes in [0, 1]."""
    source = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, 1, generator=source, dtype=torch.float64)


def sizes(h: int = 16) -> list[list[tuple[int, ...]]]:
    """List the shapes of the weights of all five, the last one with h units."""
    models = [drawn(one) for one in LAYOUTS[:-1]] + [drawn(LAYOUTS[-1], h=h)]
    return [[tuple(p.shape) for p in model.parameters()] for model in models]


@claim(on=sizes, planted=[lambda _: sizes(17)])
def configurations_same_weights(shapes: list[list[tuple[int, ...]]]) -> Finding:
    """Which of them are used is a choice, the **configuration**, and it changes neither the equations of chapter 1 nor the number of weights."""
    counts = [sum(int(np.prod(shape)) for shape in each) for each in shapes]
    ran = "weights of one RNN with a head in each of the five configurations"
    return equal(counts, [counts[0]] * len(counts), ran)


# Five ways to connect


@cache
def reach() -> list[Tensor]:
    """Change one input at a time: by layout, which outputs move, (K, T)."""
    found = []
    for layout in LAYOUTS:
        model, X = drawn(layout, 5), inputs(1, layout.length, 1)
        before, columns = model(X).flatten(), []
        for t in range(layout.length):
            changed = X.clone()
            changed[t] += 0.5
            columns.append((model(changed).flatten() - before).abs() > 1e-12)
        found.append(torch.stack(columns, dim=1))
    return found


@claim(on=reach, planted=[lambda found: [found[-1], *found[1:]]])
def configurations_all_seen(found: list[Tensor]) -> Finding:
    """In all but the last, every output has seen every input."""
    ran = "one input changed at a time: outputs that do not move, of four networks"
    return equal(sum(int((~seen).sum()) for seen in found[:-1]), 0, ran)


@claim(
    on=reach,
    planted=[
        lambda found: [*found[:-1], found[-1].T],
        lambda found: [torch.ones(4, 4, dtype=torch.bool)],
    ],
)
def configurations_aligned_seen(found: list[Tensor]) -> Finding:
    """In the aligned one the first output has seen one day, the second two, and only the last has seen them all."""
    ran = "one input changed at a time: days that move each of four outputs"
    return equal(found[-1].sum(1), [1, 2, 3, 4], ran)


# Reading its own outputs


def by_itself(true: bool = False) -> Pair:
    """Forecast three days by one network, and one day at a time by its copy."""
    shifted, single = (
        drawn(LAYOUTS[3], 2),
        Forecaster("rnn", LAYOUTS[2], hidden_size=16),
    )
    single.double().load_state_dict(shifted.state_dict())
    X = inputs(3, 7, 5)
    together, read, outputs = shifted(X[:4]), X[:4], []
    with torch.no_grad():
        for k in range(3):
            outputs.append(single(read))
            read = torch.cat([read, X[4 + k, None] if true else outputs[-1]])
    return together, torch.cat(outputs)


@claim(on=by_itself, planted=[lambda _: by_itself(true=True)])
def configurations_feedback(found: Pair) -> Finding:
    """After its last input a network can go on by itself: the forecast of a day is read as if it were that day's close."""
    ran = (
        "three days by one network, and day by day by its copy that reads the forecasts"
    )
    return equal(found[0], found[1], ran, rtol=1e-12)


# What the loss averages


def losses(late: int = 0) -> Pair:
    """Compare torch's loss of each configuration with the masked mean over steps."""
    closes, pairs = inputs(4, 40)[:, 0], []
    for layout in LAYOUTS:
        model, T, K = drawn(layout, 7), layout.length, layout.outputs
        windows = cut_windows(closes, layout)
        ours = nn.functional.mse_loss(model(windows.inputs), windows.targets)
        (parameters,) = networks.rnn_parameters(cast(nn.RNN, model.cell))
        last = T if layout.aligned else T + K - 1  # the step of the last output
        starts = windows.days[0] - layout.first_target
        H, errors = torch.zeros(len(starts), 16, dtype=torch.float64), []
        read = windows.inputs[0]
        for t in range(1, last + 1):
            H = networks.rnn_step(read, H, *parameters)
            output = model.head(H)
            errors.append(((output[:, 0] - closes[starts + t]) ** 2).mean())
            read = windows.inputs[t] if t < T else output
        mask = torch.arange(1, last + 1) > last - K - late
        pairs.append((ours, torch.stack(errors)[mask].mean()))
    one, other = zip(*pairs, strict=True)
    return torch.stack(one), torch.stack(other)


@claim(on=losses, planted=[lambda _: losses(late=1)])
def configurations_one_loss(found: Pair) -> Finding:
    """Then every configuration has this one loss, with another mask:"""
    ran = "mean squared error of five networks, and the masked mean over all steps run"
    return equal(found[0], found[1], ran, rtol=1e-9)


def difference(share: sp.Expr | None = None) -> sp.Expr:
    """Subtract what the text says from L - L_last, for five steps."""
    steps = sp.symbols("l_1:6")
    early, last = sum(steps[:-1]) / 4, steps[-1]
    share = sp.Rational(4, 5) if share is None else share
    return sp.Add(*steps) / 5 - last - share * (early - last)


@claim(on=difference, planted=[lambda _: difference(sp.Rational(1, 5))])
def configurations_equally_good(found: sp.Expr) -> Finding:
    r"""So two networks that are *equally good* after $T$ days can report different losses: the many-to-one its $L_{\mathrm{last}}$, the aligned one mostly its $L_{\mathrm{early}}$, which holds the outputs that have read fewer days."""
    ran = "for five steps, L less L_last is 4/5 of (L_early less L_last)"
    return symbolic(found, ran)


# On real prices


@cache
def aligned_runs(file: str) -> list[Record]:
    """Read the aligned runs with Adam on windows of 50 and 100 days."""
    return [
        r
        for r in RecordFile(RECORDS / Path(file).name).read()
        if r.settings["configuration"] == ALIGNED
        and r.settings["optimizer"] == "adam"
        and r.settings["length"] >= 50
    ]


def cold_starts() -> Tensor:
    """Return log(error of the first output / of the last), by run."""
    ends = [
        (r.mse_by_position[0], r.mse_by_position[-1]) for r in aligned_runs(GRIDS[0])
    ]
    first, last = np.log(ends).T
    return torch.tensor(first - last)


@claim(on=cold_starts, planted=[negated])
def configurations_cold_start(found: Tensor) -> Finding:
    """In the recorded runs of the next chapter, with Adam and windows of 50 or 100 days, the first output mostly has a larger error than the last."""
    return sign_test(found, "log of the first output's error over the last one's")


@cache
def by_distance() -> Tensor:
    """Return persistence's squared error for one and three days ahead, by quarter."""
    prices = load_prices()
    close = np.log(prices.close)
    quarter = np.asarray(prices.dates.year * 4 + prices.dates.quarter)
    rows = []
    for q in np.unique(quarter):
        at = np.flatnonzero(quarter == q)
        at = at[at + 3 < len(close)]
        if len(at) > 30:
            rows.append([np.mean((close[at + k] - close[at]) ** 2) for k in (1, 2, 3)])
    return torch.tensor(np.array(rows))


@claim(on=by_distance, planted=[lambda rows: rows.flip(1)])
def configurations_persistence_by_distance(rows: Tensor) -> Finding:
    """Persistence gets worse with distance too, and the figure is relative to it:"""
    ran = "squared moves of Microsoft's log price, quarter by quarter: "
    one, two, three = rows.T
    return every(
        sign_test(two - one, f"{ran}two days less one"),
        sign_test(three - two, f"{ran}three less two"),
    )


@cache
def first_days() -> Pair:
    """Return the first validation day of the last output: aligned, many-to-one."""
    prices, days = load_prices(), []
    for name in (ALIGNED, "many-to-one"):
        splits = [
            Experiment(configuration=name, length=n).split(prices) for n in (3, 7, 50)
        ]
        days.append(torch.stack([s.validation.days[-1].min() for s in splits]))
    return days[0], days[1]


@claim(on=first_days, planted=[swapped])
def configurations_starts_later(found: Pair) -> Finding:
    """(An aligned window needs all its targets among the validation days, so its last output starts later than the forecast of a many-to-one network.)"""
    ran = "windows of 3, 7 and 50 days: days that the last output starts later"
    return equal(found[0] - found[1], [2, 6, 49], ran)


# What the sources say


@cache
def anew() -> Tensor:
    """Return how far outputs are off that begin anew each day, (network, step)."""
    rows = []
    for seed in range(SEEDS):
        model, X = drawn(LAYOUTS[-1], seed), inputs(seed, 4, 1)
        alone = torch.cat([model(X[t : t + 1]) for t in range(4)])
        rows.append((model(X) - alone).abs().flatten())
    return torch.stack(rows)


@claim(on=anew, planted=[lambda gap: gap.flip(1), lambda gap: 0 * gap])
def configurations_begin_anew(gap: Tensor) -> Finding:
    """The first outputs agree; the later ones are off by up to …."""
    ran = f"{SEEDS} random networks that begin anew each day, "
    return every(
        below(float(gap[:, 0].max()), 1e-12, f"{ran}largest gap on the first day"),
        above(float(gap[:, 1:].max(1).values.min()), 1e-3, f"{ran}least later gap"),
    )


@cache
def by_day() -> Tensor:
    """Return how much a small change of each day moves the last output."""
    rows = []
    for seed in range(SEEDS):
        model, X = drawn(LAYOUTS[-1], seed), inputs(seed, 4, 1)
        changes = torch.eye(4, dtype=torch.float64)[:, :, None] * 1e-3
        moved = [model(X + c[:, None])[-1] - model(X)[-1] for c in changes]
        rows.append(torch.cat(moved).abs().flatten() / 1e-3)
    return torch.stack(rows)


@claim(on=by_day, planted=[lambda rows: rows * torch.tensor([0, 0, 0, 1])])
def configurations_all_days(rows: Tensor) -> Finding:
    """And the last output depends on all days, not on one alone: its derivatives by the four inputs are …."""
    ran = f"finite differences of the last output, {SEEDS} random networks, the least"
    return above(float(rows.min()), 1e-6, ran)


def averaged() -> Tensor:
    """Return log(loss over all positions / error after the last day), by run."""
    runs = aligned_runs(GRIDS[1])
    return torch.tensor([r.mse / r.mse_by_position[-1] for r in runs]).log()


@claim(on=averaged, planted=[negated])
def configurations_loss_above_last(found: Tensor) -> Finding:
    """In most of our runs of its grid with Adam and windows of 50 or 100 days, the many-to-many loss is larger than the same network's error after the last day read."""
    return sign_test(found, "log of the loss over the error of the last output")
