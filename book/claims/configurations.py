"""Sentences of the chapter *Input/output configurations*, with evidence."""

from collections.abc import Callable
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
from rnn_companion.forecasting.together import Plan, forecasts_together, train_together
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


def through_outputs(cut: bool = False) -> Pair:
    """Differentiate a later day's loss: by the package, and with outputs read again."""
    model = drawn(LAYOUTS[3], 4).requires_grad_()
    X, target = inputs(3, 4, 5), inputs(6, 1, 5)
    weights = list(model.parameters())
    (layer,) = networks.rnn_parameters(cast(nn.RNN, model.cell))
    H, read, losses = torch.zeros(5, 16, dtype=torch.float64), X[0], []
    for t in range(6):
        H = networks.rnn_step(read, H, *layer)
        out = model.head(H)
        again = out.detach() if cut else out
        read = X[t + 1] if t < 3 else again
    for last in (model(X)[-1], out):
        losses.append(((last - target[0]) ** 2).mean())
    slopes = [torch.autograd.grad(one, weights) for one in losses]
    one, other = (torch.cat([p.flatten() for p in each]) for each in slopes)
    return one, other


@claim(on=through_outputs, planted=[lambda _: through_outputs(cut=True)])
def configurations_own_in_training(found: Pair) -> Finding:
    """This package's networks do so in training too: a shifted network reads no close after day $T$, and the gradient of a later day's loss goes back through the outputs that were read."""
    ran = "gradient of the third day's loss, by the package and step by step"
    return equal(found[0], found[1], ran, rtol=1e-9)


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


# Why many-to-one loses

TRIALS = range(100, 112)  # seeds that the page does not use
MASKS = ([7], [1, 7], [4, 5, 6, 7], [7])  # the last one on dealt windows


@cache
def by_mask() -> Pair:
    """Return log(error after seven days) and its derivative by the last close.

    Both are (mask, seed); the last mask is on dealt windows.
    """
    split = Experiment(configuration=ALIGNED, length=7).split(load_prices())
    X, Y, n = split.training.inputs, split.training.targets, len(TRIALS)
    draw = torch.Generator().manual_seed(1)
    order = [torch.randperm(X.shape[1], generator=draw) for _ in range(6)]
    dealt = torch.stack([*(X[t, o] for t, o in enumerate(order)), X[6]])
    kept = torch.tensor([[float(t in m) for t in range(1, 8)] for m in MASKS])
    plan, V = Plan(way="aligned"), split.validation.inputs
    weights = train_together(
        plan,
        torch.stack([X, X, X, dealt]).repeat_interleave(n, 0),
        Y,
        seeds=[*TRIALS] * 4,
        masks=kept.repeat_interleave(n, 0),
        device="cpu",
    )
    more = torch.cat([V[:-1], V[-1:] + 1e-2])
    last, moved = (forecasts_together(plan, weights, x)[:, -1] for x in (V, more))
    error = (last - split.validation.targets[-1]).square().mean((1, 2))
    slope = (moved - last).mean((1, 2)) / 1e-2
    return error.log().view(4, n), slope.view(4, n)


def exchanged(*order: int) -> Callable[[Pair], Pair]:
    """Plant a falsehood: say that the masks were others."""
    return lambda found: (found[0][[*order]], found[1][[*order]])


@claim(on=by_mask, planted=[exchanged(1, 0, 2, 3)])
def configurations_first_day_helps(found: Pair) -> Finding:
    """With the loss of the first day beside that of the last, the network forecasts better after seven days."""
    e = found[0]
    return sign_test(e[0] - e[1], "log of the error with day 7 alone over days 1 and 7")


@claim(on=by_mask, planted=[exchanged(1, 0, 2, 3)])
def configurations_hangs(found: Pair) -> Finding:
    """Its forecast then hangs more on the last close."""
    d = found[1]
    return sign_test(d[1] - d[0], "derivative by the last close, days 1 and 7 less 7")


@claim(on=by_mask, planted=[exchanged(0, 2, 1, 3)])
def configurations_late_days(found: Pair) -> Finding:
    """Three more losses of late days do not help as much as that one."""
    e = found[0]
    return sign_test(e[2] - e[1], "log of the error with days 4 to 7 over days 1 and 7")


@claim(on=by_mask, planted=[exchanged(3, 1, 2, 0)])
def configurations_dealt(found: Pair) -> Finding:
    """A network that learns from dealt windows reads hardly anything but the last close."""
    alone, *_, dealt = found[1]
    ran = f"derivative by the last close, {len(alone)} seeds, the median: "
    return every(
        above(float(dealt.median()), 0.85, f"{ran}learnt from dealt windows"),
        below(float(alone.median()), 0.85, f"{ran}learnt from windows as they are"),
    )


@claim(on=by_mask, planted=[exchanged(0, 3, 2, 1)])
def configurations_dealt_larger(found: Pair) -> Finding:
    """Yet its error is larger than with the first day's loss."""
    e = found[0]
    return sign_test(e[3] - e[1], "log of the error, dealt windows over days 1 and 7")


# Several days ahead


def one_day_at_a_time(first: int = 3) -> Pair:
    """Force a network, and run the aligned one on all days, the last of which count."""
    layouts = Layout("many-to-many-shifted", 4, 3), Layout(ALIGNED, 6)
    shifted, longer = (drawn(layout, 3) for layout in layouts)
    (layer,) = networks.rnn_parameters(cast(nn.RNN, shifted.cell))
    X, Y = inputs(1, 4, 5), inputs(2, 3, 5)
    head = shifted.head.weight, shifted.head.bias
    forced = networks.encoder_decoder(X, 3, layer, layer, *head, Y)
    return forced, longer(torch.cat([X, Y[:-1]]))[first : first + 3]


@claim(on=one_day_at_a_time, planted=[lambda _: one_day_at_a_time(2)])
def configurations_forced_is_aligned(found: Pair) -> Finding:
    """If both networks have the same weights, a forced network is the aligned network on $T + K - 1$ days with a mask that keeps the last $K$ outputs."""
    ran = (
        "three outputs of a forced network, and the last of an aligned one on six days"
    )
    return equal(found[0], found[1], ran, rtol=1e-12)


AHEAD = range(100, 120)


@cache
def ahead(way: str, forced: bool) -> Tensor:
    """Return log(error), (seed, day ahead), of networks that forecast five days."""
    split = Experiment(configuration="many-to-many-shifted", length=5, horizon=5).split(
        load_prices()
    )
    plan = Plan(way=way, horizon=5, forced=forced)
    learn, judge = split.training, split.validation
    weights = train_together(
        plan, learn.inputs, learn.targets, seeds=AHEAD, device="cpu"
    )
    forecast = forecasts_together(plan, weights, judge.inputs)
    return (forecast - judge.targets).square().mean((2, 3)).log()


def direct_less_recursive() -> Tensor:
    """Return log(error of direct / of recursive), (seed, day ahead)."""
    return ahead("direct", False) - ahead("recursive", True)


@claim(on=direct_less_recursive, planted=[negated, lambda rows: rows.flip(1)])
def configurations_direct_recursive(rows: Tensor) -> Finding:
    """One day ahead the recursive network has the smaller error, five days ahead the direct one."""
    return every(
        sign_test(rows[:, 0], "log of direct error over recursive, one day ahead"),
        sign_test(-rows[:, 4], "the same turned round, five days ahead"),
    )


def own_less_forced() -> Tensor:
    """Return log(error on own outputs / with teacher forcing), one day ahead."""
    own, taught = (ahead("encoder-decoder", forced) for forced in (False, True))
    return own[:, 0] - taught[:, 0]


@claim(on=own_less_forced, planted=[negated])
def configurations_forcing_helps(found: Tensor) -> Finding:
    """Teacher forcing gives the encoder-decoder a smaller error one day ahead."""
    return sign_test(found, "log of the error on own outputs over that of forcing")


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
