"""Sentences of the chapter *Forecasting Microsoft*, with evidence.

Most look at records: of both series, under both protocols.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import sympy as sp
import torch
from numpy.typing import NDArray
from statsmodels.datasets import co2, elnino

from rnn_companion import Experiment, Prices, load_prices, mean_over_seeds, run
from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    negated,
    rank_test,
    sign_test,
    swapped,
    symbolic,
)
from rnn_companion.forecasting.grid import grid
from rnn_companion.forecasting.records import (
    Forecasts,
    MissingRecordError,
    Record,
    RecordFile,
)

RECORDS = Path(__file__).parents[1] / "records"
FILES = {  # series and protocol
    ("this", "honest"): "records/honest-protocol.jsonl",
    ("report", "honest"): "records/honest-protocol-report.jsonl",
    ("this", "source"): "records/source-protocol.jsonl",
    ("report", "source"): "records/source-protocol-report.jsonl",
}
MM, MO = "many-to-many-aligned", "many-to-one"
PRINTED = {  # figure 14 of the report, Adam and SGD in turn
    ("rnn", MM): {3: (1.4e-4, 2e-2), 7: (1.4e-4, 1e-2), 50: (5e-4, 1e-3)},
    ("rnn", MO): {3: (2e-4, 4e-3), 7: (3e-4, 4e-4), 50: (2e-4, 6e-4)},
    ("lstm", MM): {3: (1e-4, 6.4e-2), 7: (2e-4, 6.5e-2), 50: (1e-3, 6e-2)},
    ("lstm", MO): {3: (3e-4, 6.5e-2), 7: (4e-4, 5.8e-2), 50: (2e-4, 5e-2)},
}
Array = NDArray[np.float64]
Cell = tuple[str, str, int, str]
Two = tuple[Array, Array]


@cache
def runs(series: str, protocol: str) -> list[Record]:
    """Read the runs of one grid, without those that were run again."""
    wanted = set(grid(seeds=range(10), protocol=protocol))
    found = RecordFile(RECORDS / Path(FILES[series, protocol]).name).read()
    return [r for r in found if r.experiment in wanted]


@cache
def cells(series: str, protocol: str) -> dict[Cell, list[Record]]:
    """Collect the runs of one grid by cell."""
    found: dict[Cell, list[Record]] = {}
    for r in runs(series, protocol):
        e = r.experiment
        key = (e.cell, e.configuration, e.length, e.optimizer)
        found.setdefault(key, []).append(r)
    return found


def over_naive(r: Record) -> float:
    """Return error over persistence's after the last day read."""
    return r.mse_by_position[-1] / r.persistence_by_position[-1]


def medians(series: str, protocol: str) -> dict[Cell, float]:
    """Return the median error over persistence's by cell."""
    return {
        cell: median(map(over_naive, each))
        for cell, each in cells(series, protocol).items()
    }


@claim(
    on=lambda: [len(cells(*name)) for name in FILES],
    planted=[lambda found: [found[0] - 1, *found[1:]]],
)
def forecasting_runs_of_all_32(found: list[int]) -> Finding:
    """This chapter has runs of all 32 in two ways: as the report did it, and so that no later day is used for an earlier one."""
    ran = "networks of which there is a record, by series and protocol"
    return equal(found, [32] * 4, ran)


# Persistence first


def two_scalers(over: bool = True) -> Array:
    """Return errors of a forecast, over persistence's, under two scalers."""
    close = load_prices().close
    truth, today, before = close[2:], close[1:-1], close[:-2]
    rows = []
    for known in (close[:300], close):
        width = known.max() - known.min()
        error = np.mean(((today + before) / 2 - truth) ** 2) / width**2
        naive = np.mean((today - truth) ** 2) / width**2
        rows.append([error / naive if over else error, error])
    return np.array(rows)


@claim(on=two_scalers, planted=[lambda _: two_scalers(over=False)])
def forecasting_ratio_free(found: Array) -> Finding:
    """A *ratio* of two errors on the same days is free of this; the skill {eq}`eq-skill` is such a ratio."""
    ran = "mean of two closes as a forecast, scaled by 300 days and by all: "
    (one, narrow), (other, wide) = found
    return every(
        equal(one, other, f"{ran}its error over persistence's", rtol=1e-9),
        above(narrow / wide, 1.5, f"{ran}its error, one over the other"),
    )


# How the future leaks in


def changed_future(protocol: str = "honest") -> tuple[Array, Array, int]:
    """Return what is learnt from, also if later closes were others; the first day judged."""
    prices, found, first = load_prices(), [], 0
    known = int(0.8 * len(prices))
    later = prices.close.copy()
    later[known:] *= np.linspace(2, 3, len(later) - known)
    for close in (prices.close, later):
        series = Prices(prices.dates, close, "changed")
        split = Experiment(length=7, protocol=protocol).split(series)
        both = split.training.inputs.flatten(), split.training.targets.flatten()
        scaler = torch.tensor([split.scaler.minimum, split.scaler.maximum])
        found.append(torch.cat([*both, scaler]).double().numpy())
        first = int(split.validation.days.min()) - known
    return found[0], found[1], first


@claim(on=changed_future, planted=[lambda _: changed_future("source")])
def forecasting_honest_split(found: tuple[Array, Array, int]) -> Finding:
    """The **honest** protocol of this book splits by date: the network and the scaler see the first 80 % of the days, and are judged on the rest."""
    one, other, first = found
    ran = "training windows and scaler, as they are and with other closes after 80 %"
    return every(
        equal(one, other, ran, rtol=0),
        equal(first, 0, "first day judged, counted from the end of the first 80 %"),
    )


def windows_with_a_day(target_too: bool = False) -> Array:
    """Count the windows that hold a day: (length, windows of which it is no target)."""
    rows = []
    for length in (1, 3, 7, 50):
        split = Experiment(length=length, protocol="source").split(load_prices())
        targets = torch.cat([split.training.days, split.validation.days], 1).flatten()
        day = 700
        holding = ((targets >= day) & (targets - length <= day)).sum()
        rows.append([length, int(holding) - (0 if target_too else 1)])
    return np.array(rows, dtype=float)


@claim(on=windows_with_a_day, planted=[lambda _: windows_with_a_day(target_too=True)])
def forecasting_windows_of_a_day(found: Array) -> Finding:
    """But windows overlap: besides the one whose target it is, a day far from both ends stands in $T$ other windows of $T + 1$ days."""
    ran = "windows of 1, 3, 7 and 50 days that hold a day, counted in the split"
    return equal(found[:, 1], found[:, 0], ran)


@cache
def seen_in_training() -> Array:
    """Return the share of targets that training windows hold, 1511 days, by cell."""
    days = pd.bdate_range("2015-04-01", periods=1511)
    series = Prices(days, np.linspace(1, 2, 1511), "days alone")
    rows = []
    for configuration in (MM, MO):
        for length in (3, 7, 50, 100):
            for seed in range(2):
                experiment = Experiment(
                    configuration=configuration,
                    length=length,
                    protocol="source",
                    seed=seed,
                )
                split = experiment.split(series)
                last = split.training.days[-1].numpy()
                seen = np.zeros(1511, dtype=bool)
                for back in range(length + 1):
                    seen[last - back] = True
                rows.append(seen[split.validation.days.flatten().numpy()].mean())
    return np.array(rows)


@claim(on=seen_in_training, planted=[lambda shares: 1 - shares])
def forecasting_nearly_every(shares: Array) -> Finding:
    """So nearly every close that the report's networks have to forecast was a target or an input in training."""
    ran = (
        "1511 days dealt at random, both settings, four lengths, two draws: least share"
    )
    return above(float(shares.min()), 0.95, ran)


# Folds: each day judged once


KINDS = ("shuffled", "blocked", "forward")


def past() -> Prices:
    """Return the days before the last fifth."""
    prices = load_prices()
    known = int(0.8 * len(prices))
    return Prices(prices.dates[:known], prices.close[:known], prices.name)


@cache
def lines_in_folds() -> Array:
    """Return the error of a line through known targets over persistence's, by kind."""
    series, found = past(), []
    for kind in KINDS:
        errors = np.zeros(2)
        for fold in range(1, 6):
            split = Experiment(protocol=f"{kind}-folds", fold=fold).split(series)
            learnt = split.training.days[-1].numpy()
            judged = split.validation.days[-1].numpy()
            truth = series.close[judged]
            line = np.interp(judged, learnt, series.close[learnt])
            naive = series.close[judged - 1]
            errors += [((f - truth) ** 2).sum() for f in (line, naive)]
        found.append(errors[0] / errors[1])
    return np.array(found)


@claim(on=lines_in_folds, planted=[lambda found: found[::-1], lambda found: found / 20])
def forecasting_line_in_folds(found: Array) -> Finding:
    """The line does in shuffled folds about what {eq}`eq-fc-line-mean` says, …: it seems to beat “tomorrow = today” by far, and is of no use as a forecast, as the other rows show."""
    ran = "a straight line through the known targets, error over persistence's, "
    said = 1 / 6 + 1 / (3 * 0.8)
    return every(
        between(found[0] / said, 0.85, 1.15, f"{ran}shuffled folds, over the formula"),
        above(float(found[1:].min()), 10, f"{ran}the other folds, least"),
    )


@cache
def network_in_folds() -> Array:
    """Return the network's median error over persistence's, by kind, and later."""
    base = Experiment(configuration=MM, hidden_size=64)
    wanted = [
        replace(base, protocol=f"{kind}-folds", fold=fold, seed=seed)
        for kind in KINDS
        for fold in range(1, 6)
        for seed in range(3)
    ]
    file = RecordFile(RECORDS / "folds.jsonl")
    found = file.find(wanted, past().checksum, command="")
    medians = [
        median(over_naive(r) for e, r in found.items() if e.protocol.startswith(kind))
        for kind in KINDS
    ]
    later = [run(replace(base, seed=seed), progress=False) for seed in range(3)]
    return np.array([*medians, median(map(over_naive, later))])


@claim(
    on=network_in_folds,
    planted=[
        lambda found: found * [0.5, 1, 1, 1],
        lambda found: found * [1, 1, 1, 2],
    ],
)
def forecasting_folds_promise(found: Array) -> Finding:
    """Of this network the three kinds of folds promise about the same, and about what then came."""
    ran = "medians of error over persistence's, by kind of folds and on later days: largest over least"
    return below(float(found.max() / found.min()), 1.25, ran)


# The report's table beside ours


def longest(series: str) -> tuple[int, int]:
    """Count records with forecasts, and the longest list of numbers in any."""
    found = [r for p in ("honest", "source") for r in runs(series, p)]
    lists = [
        len(values)
        for r in found
        for values in (r.training_loss, r.mse_by_position, r.persistence_by_position)
    ]
    return sum(r.forecasts is not None for r in found), max(lists)


@claim(on=lambda: longest("report"), planted=[lambda _: longest("this")])
def forecasting_no_row(found: tuple[int, int]) -> Finding:
    """The data are a CSV file from Kaggle; since its licence is unclear, this book keeps no row of it, only the errors of the runs."""
    ran = "records of the report's series: "
    return every(
        equal(found[0], 0, f"{ran}those that keep forecasts"),
        below(found[1], 101, f"{ran}the longest list, of epochs or positions"),
    )


@cache
def beside() -> Array:
    """Return the printed loss and the median of ours, by cell."""
    ours = {c: median(r.mse for r in e) for c, e in cells("report", "source").items()}
    return np.array(
        [
            [loss, ours[cell, configuration, length, optimizer]]
            for (cell, configuration), row in PRINTED.items()
            for length, pair in row.items()
            for optimizer, loss in zip(("adam", "sgd"), pair, strict=True)
        ]
    )


@claim(on=beside, planted=[lambda t: np.stack([t[:, 0], t[::-1, 1]], 1)])
def forecasting_table_again(found: Array) -> Finding:
    """… of the … printed cells that are recorded lie within a factor of 2.5 of ours."""
    factors = np.abs(np.log(found[:, 1] / found[:, 0]))
    near = int((factors <= np.log(2.5)).sum())
    return between(near, 20, len(found), "cells of figure 14 within a factor of 2.5")


@cache
def best_printed() -> tuple[float, float]:
    """Return the best printed loss, and persistence's on such splits."""
    naive = [r.persistence_by_position[-1] for r in runs("report", "source")]
    return float(beside()[:, 0].min()), float(np.mean(naive))


@claim(on=best_printed, planted=[lambda pair: (pair[0], 3 * pair[1])])
def forecasting_best_printed(pair: tuple[float, float]) -> Finding:
    """One unseeded run, printed to one digit, does not tell the two apart."""
    best, naive = pair
    ran = "persistence's error over the best printed loss, which is rounded to a digit"
    return between(naive / best, 0.5, 1.5, ran)


@claim(on=best_printed, planted=[lambda pair: (pair[0], 3 * pair[1])])
def forecasting_yesterday(pair: tuple[float, float]) -> Finding:
    """So does yesterday's price, with an error of the size of the best that the report prints."""
    ran = "persistence's error over the best printed loss"
    return between(pair[1] / pair[0], 0.5, 2, ran)


# The honest grid


def records_found(blind: bool = False) -> list[int]:
    """Look recorded runs up: as they are, and with one thing changed at a time."""
    prices = load_prices()
    some = runs("this", "honest")[:6]
    wanted = [r.experiment for r in some]
    older = [replace(r, provenance=replace(r.provenance, results=0)) for r in some]
    others = [replace(e, epochs=e.epochs + 1) for e in wanted]
    cases = (
        (some, wanted, prices.checksum),
        (some, others, prices.checksum),
        (some, wanted, "0" * 64),
        (older, wanted, prices.checksum),
    )
    counts = []
    with TemporaryDirectory() as folder:
        for n, (kept, asked, checksum) in enumerate(cases):
            file = RecordFile(Path(folder) / f"{n}.jsonl")
            file.path.write_text("".join(r.to_json() + "\n" for r in kept), "utf-8")
            try:
                counts.append(len(file.find(asked, checksum, command="", gaps=True)))
            except MissingRecordError:
                counts.append(0)
    return [counts[0]] * 4 if blind else counts


@claim(on=records_found, planted=[lambda _: records_found(blind=True), swapped])
def forecasting_records_fit(counts: list[int]) -> Finding:
    """A record is used only if its settings, its data and its version of the results are those of this page."""
    ran = (
        "six records looked up: as they are, other settings, other data, older results"
    )
    return equal(counts, [6, 0, 0, 0], ran)


def cells_lose() -> Array:
    """Return log(error over persistence's) of this series' honest cells."""
    return np.log(list(medians("this", "honest").values()))


@claim(on=cells_lose, planted=[negated])
def forecasting_most_cells_lose(found: Array) -> Finding:
    """So most of these networks are farther from tomorrow's close than today's close is."""
    return sign_test(found, "cells of the honest grid, log of error over persistence's")


def last_losses() -> list[tuple[float, ...]]:
    """List the validation losses of the honest runs with Adam, epoch by epoch."""
    return [
        r.validation_loss
        for r in runs("this", "honest")
        if r.experiment.optimizer == "adam" and r.experiment.seed < 3
    ]


@claim(
    on=last_losses,
    planted=[lambda found: [(each[-1],) * len(each) for each in found]],
)
def forecasting_last_epoch(found: list[tuple[float, ...]]) -> Finding:
    """Of the … runs with Adam, the validation loss of the last epoch and of the last but one differ by a factor of … in the median, and of … at most; in … runs some earlier epoch was better than the last by more than a factor of 1.5."""
    swings = [max(b / a, a / b) for *_, a, b in found]
    missed = [losses[-1] / min(losses) > 1.5 for losses in found]
    ran = "runs of the honest grid with Adam: "
    return every(
        above(median(swings), 1.1, f"{ran}last epoch and last but one, median factor"),
        above(max(swings), 3, f"{ran}largest factor"),
        above(sum(missed), 1, f"{ran}runs that some epoch beats by a factor of 1.5"),
    )


def of_shape(layers: int, units: int) -> Array:
    """Return error over persistence's of ten seeds of each cell, this series."""
    wanted = [
        Experiment(cell=cell, layers=layers, hidden_size=units, seed=seed)
        for cell in ("rnn", "lstm")
        for seed in range(10)
    ]
    file = RecordFile(RECORDS / "layers.jsonl")
    found = file.find(wanted, load_prices().checksum, command="")
    return np.array([over_naive(found[e]) for e in wanted])


@claim(
    on=lambda: (np.log(of_shape(2, 32)), np.log(of_shape(1, 55))),
    planted=[swapped],
)
def forecasting_layer_or_width(pair: Two) -> Finding:
    """The wide layer spends its weights better here."""
    ran = "log error of two layers of 32 less that of one layer of 55, RNN and LSTM, ten seeds each"
    return sign_test(pair[0] - pair[1], ran)


# Two series, two protocols


def factors(series: str, optimizer: str) -> Array:
    """Return by cell the error by date over the one dealt, over persistence's."""
    dealt, late = medians(series, "source"), medians(series, "honest")
    found = [late[c] / dealt[c] for c in dealt if c in late and c[-1] == optimizer]
    return np.log(found)


@claim(on=lambda: factors("this", "sgd"), planted=[negated])
def forecasting_date_costs_sgd(found: Array) -> Finding:
    """With SGD a split by date costs most cells something on this book's series, where no validation day lies beyond the range."""
    ran = "log of the error by date over the one dealt at random, cells with SGD"
    prices = load_prices().close
    known = int(0.8 * len(prices))
    inside = prices[known:].max() / prices[:known].max()
    beyond = between(inside, 0, 1, "highest validation close over highest training one")
    return every(sign_test(found, ran), beyond)


@claim(
    on=lambda: (factors("this", "adam"), factors("report", "adam")),
    planted=[swapped, lambda pair: (pair[0] + 1, pair[1])],
)
def forecasting_date_adam(pair: Two) -> Finding:
    """With Adam the median cell loses little by date on either series; on the report's a few lose much."""
    this, report = (np.exp(each) for each in pair)
    ran = "error by date over the one dealt at random, cells with Adam: "
    return every(
        between(float(np.median(this)), 0.67, 1.5, f"{ran}median, this series"),
        between(float(np.median(report)), 0.67, 1.5, f"{ran}median, the report's"),
        below(float(this.max()), 3, f"{ran}largest, this series"),
        above(float(np.sort(report)[-2]), 3, f"{ran}second largest, the report's"),
    )


def scattered(of_mean: Callable[[Array], Array] | None = None) -> Array:
    """Return the error of a mean of forecasts, the mean error, and the spread."""
    draw, rows = np.random.default_rng(0), []
    days = tuple(str(day.date()) for day in pd.bdate_range("2020-01-01", periods=30))
    for _ in range(20):
        truth, forecast = draw.normal(size=30), draw.normal(size=(4, 30))
        made = [
            Forecasts(days, (1,) * 30, tuple(truth), tuple(one), tuple(truth), 0, 1)
            for one in forecast
        ]
        errors = ((forecast - truth) ** 2).mean(1)
        spread = forecast.var(0).mean()
        mean = mean_over_seeds(made).mse_by_position[0]
        rows.append([errors.max() if of_mean else mean, errors.mean(), spread])
    return np.array(rows)


@claim(on=scattered, planted=[lambda _: scattered(np.max)])
def forecasting_mean_of_seeds(found: Array) -> Finding:
    """Its squared error is never above the mean of their squared errors, and lower by as much as they differ (`mean_over_seeds`)."""
    of_mean, mean, spread = found.T
    ran = "twenty times four random forecasts of 30 days: "
    return every(
        equal(mean - of_mean, spread, f"{ran}what is won, against the variance"),
        below(float((of_mean - mean).max()), 1e-12, f"{ran}largest loss by the mean"),
    )


def last_ones(r: Record) -> Two:
    """Return forecast and truth after the last day read."""
    assert r.forecasts is not None
    last = r.forecasts.at((max(r.forecasts.positions),))
    return np.array(last.forecast), np.array(last.truth)


@cache
def drawn_runs() -> list[Record]:
    """List the runs whose forecasts the records keep: first seeds, this series."""
    found = runs("this", "honest")
    return [r for r in found if r.forecasts is not None and r.experiment.seed == 0]


def off_the_price(optimizer: str) -> Array:
    """Return root mean squared error over the closes' deviation, 3 and 100 days."""
    pairs = [
        last_ones(r)
        for r in drawn_runs()
        if r.settings["optimizer"] == optimizer and r.settings["length"] in (3, 100)
    ]
    return np.array([np.sqrt(np.mean((f - t) ** 2)) / t.std() for f, t in pairs])


@claim(on=lambda: off_the_price("adam"), planted=[lambda _: off_the_price("sgd")])
def forecasting_close_to_price(found: Array) -> Finding:
    """Those of the networks trained with Adam lie close to the price, whatever their skill:"""
    ran = "error over the standard deviation of the closes, largest of the runs drawn"
    return below(float(found.max()), 0.5, ran)


# Figures 6 to 13, and what the zigzag is


def jumpiness(r: Record) -> float:
    """Return the mean step of the joined line over the close's mean daily move."""
    assert r.forecasts is not None
    order = np.lexsort((r.forecasts.positions, r.forecasts.dates))
    line = np.array(r.forecasts.forecast)[order]
    by_date = dict(zip(r.forecasts.dates, r.forecasts.truth, strict=True))
    close = np.array([by_date[day] for day in sorted(by_date)])
    return float(np.abs(np.diff(line)).mean() / np.abs(np.diff(close)).mean())


@cache
def jumps() -> dict[Cell, float]:
    """Return how jumpy each line of figures 6 to 13 is, first seeds."""
    return {
        (e.cell, e.configuration, e.length, e.optimizer): jumpiness(r)
        for r in drawn_runs()
        for e in [r.experiment]
    }


def exchanged(found: dict[Cell, float]) -> dict[Cell, float]:
    """Plant: the settings many-to-many and many-to-one exchanged."""
    other = {MM: MO, MO: MM}
    return {(c, other[s], n, o): value for (c, s, n, o), value in found.items()}


@claim(on=jumps, planted=[exchanged])
def forecasting_zigzag_grows(found: dict[Cell, float]) -> Finding:
    """What the report saw is there: many-to-many lines zigzag, each of them more at … days than at …; many-to-one lines do not, they move less than the price itself (at most … times)."""
    many = {(c, n, o): v for (c, s, n, o), v in found.items() if s == MM}
    grown = [v / many[c, 3, o] for (c, n, o), v in many.items() if n == 100]
    one = [v for (_, s, _, _), v in found.items() if s == MO]
    ran = "mean step of the joined line over the price's, first seeds: "
    return every(
        above(min(grown), 1, f"{ran}at 100 days over that at 3, least"),
        below(max(one), 1, f"{ran}many-to-one, largest"),
    )


def pairs_under_sgd() -> Array:
    """Return log(RNN's jumpiness / LSTM's) under SGD, by setting and length."""
    found = jumps()
    return np.array(
        [
            np.log(value / found["lstm", s, n, o])
            for (c, s, n, o), value in found.items()
            if c == "rnn" and o == "sgd"
        ]
    )


@claim(on=pairs_under_sgd, planted=[negated])
def forecasting_rnn_varies_more(found: Array) -> Finding:
    """By this measure the RNN's line moves more in … of … pairs under SGD, and in … of … with Adam."""
    ran = "log of the RNN's mean step over the LSTM's, first seeds, this book's series"
    return sign_test(found, ran)


def outputs_of_a_day(configuration: str = MM) -> list[list[int]]:
    """List the positions from which one day is forecast, for several lengths."""
    found = []
    for length in (3, 7, 50):
        experiment = Experiment(configuration=configuration, length=length)
        days = experiment.split(load_prices()).validation.days
        middle = int(days.float().median())
        found.append(sorted((1 + k) for k, n in (days == middle).nonzero().tolist()))
    return found


@claim(on=outputs_of_a_day, planted=[lambda _: outputs_of_a_day(MO)])
def forecasting_forecasts_a_day(found: list[list[int]]) -> Finding:
    """Every window gives $T$ forecasts, and windows overlap, so that one day gets several: one from a network that has read all of its window, one from a network that has read a single close."""
    ran = "days read by the forecasts of one validation day, windows of 3, 7, 50 days"
    wanted = [list(range(1, n + 1)) for n in (3, 7, 50)]
    return equal([*chain(*found)], [*chain(*wanted)], ran)


def first_position() -> Array:
    """Return log(error of the first position / the largest other), by run."""
    found = [
        np.log(r.mse_by_position[0] / max(r.mse_by_position[1:]))
        for (_, s, n, o), each in cells("report", "source").items()
        for r in each
        if s == MM and n >= 50 and o == "adam"
    ]
    return np.array(found)


@claim(on=first_position, planted=[negated])
def forecasting_largest_first(found: Array) -> Finding:
    """In the networks that were recorded for the table above, with Adam and windows of 50 or 100 days, the error is mostly largest at the first day read."""
    return sign_test(found, "log of the first error over the largest other, by run")


# Was an exploding gradient "discovered"?


def worst_jump(r: Record) -> tuple[float, int]:
    """Return an epoch's largest loss over the one before, and which epoch, from 0."""
    return max((b / a, n) for n, (a, b) in enumerate(pairwise(r.training_loss), 1))


@cache
def with_norms() -> list[Record]:
    """List the runs that were run again with norms of the gradient."""
    files = (RecordFile(RECORDS / Path(file).name).read() for file in FILES.values())
    return [r for found in files for r in found if r.gradient_norms]


@cache
def twice() -> Two:
    """Return the largest jumps of runs that were run twice: first time, again."""
    first = {
        (r.experiment, r.provenance.checksum): worst_jump(r)[0]
        for name in FILES
        for r in runs(*name)
    }
    pairs = [
        (first[key], worst_jump(r)[0])
        for r in with_norms()
        if (key := (replace(r.experiment, gradient_norms=False), r.provenance.checksum))
        in first
    ]
    one, other = np.array(pairs).T
    return one, other


@claim(on=twice, planted=[lambda pair: (pair[0], pair[0])])
def forecasting_settings_do_not_decide(pair: Two) -> Finding:
    """So these settings, with the same data and seeds, do not decide alone whether such a loss jumps."""
    ran = (
        "runs that were run twice: those with a jump above ten in one of the two alone"
    )
    return above(int(((pair[0] > 10) != (pair[1] > 10)).sum()), 0, ran)


def norms() -> Array:
    """Return the largest over the median norm of a run, of those run again."""
    kept = [r.gradient_norms for r in with_norms() if r.gradient_norms]
    return np.array([max(values) / median(values) for values in kept])


@claim(on=norms, planted=[lambda found: found / found])
def forecasting_large_gradients(found: Array) -> Finding:
    """So large gradients do occur in such training."""
    ran = "largest norm of the gradient over the median epoch's, runs again: largest"
    return above(float(found.max()), 10, ran)


# Without trend or season


@cache
def carbon_dioxide() -> tuple[Array, Array]:
    """Return error over persistence's, (dealt or by date, seed): of it, of its changes."""
    weekly = co2.load_pandas().data["co2"]["1974-06":].dropna()
    return by_protocol(weekly), by_protocol(weekly.diff().dropna())


def by_protocol(values: pd.Series) -> Array:
    """Train three small networks on a series under both protocols."""
    data = Prices(pd.DatetimeIndex(values.index), np.array(values, float), "a series")
    made = [
        Experiment(hidden_size=32, protocol=protocol, seed=seed)
        for protocol in ("source", "honest")
        for seed in range(3)
    ]
    ratios = [over_naive(run(e, data, progress=False)) for e in made]
    return np.array(ratios).reshape(2, 3)


@claim(on=carbon_dioxide, planted=[swapped])
def forecasting_rise_loses(pair: Two) -> Finding:
    """The series that rises loses by date, by a factor of …; its changes, of the same weeks, do not."""
    rise, change = pair
    ran = "error over persistence's by date and dealt at random, three seeds each: "
    return every(
        above(rise[1].min() / rise[0].max(), 2, f"{ran}carbon dioxide, least factor"),
        between(
            float(np.median(change[1]) / np.median(change[0])),
            0.67,
            1.5,
            f"{ran}its changes, factor of the medians",
        ),
    )


@claim(
    on=lambda: (carbon_dioxide()[1], by_protocol(sea())),
    planted=[
        lambda pair: (carbon_dioxide()[0], pair[1]),
        lambda pair: (1 / pair[0], pair[1]),
    ],
)
def forecasting_season_found(pair: Two) -> Finding:
    """On the two series with a season and without the rise these networks beat “tomorrow = today”."""
    ran = "error over persistence's, both protocols, three seeds each: largest, "
    return every(
        below(float(pair[0].max()), 1, f"{ran}changes of carbon dioxide"),
        below(float(pair[1].max()), 1, f"{ran}temperature of the sea"),
    )


def sea() -> pd.Series:
    """Return the temperature of the sea off Peru, by month."""
    years = elnino.load_pandas().data.set_index("YEAR")
    months = pd.date_range(f"{years.index[0]:.0f}-01-01", periods=years.size, freq="MS")
    return pd.Series(years.to_numpy().ravel(), months)


@cache
def by_quarter(independent: bool = False) -> Array:
    """Return log(persistence's error / zero's) on log-returns, by quarter."""
    prices = load_prices()
    returns = np.diff(np.log(prices.close))
    quarter = np.asarray(prices.dates.year * 4 + prices.dates.quarter)[1:]
    if independent:
        returns = np.random.default_rng(0).permutation(returns)
    rows = []
    for q in np.unique(quarter):
        r = returns[quarter == q]
        if len(r) > 30:
            rows.append(np.log(np.mean(np.diff(r) ** 2) / np.mean(r[1:] ** 2)))
    return np.array(rows)


@claim(
    on=lambda: (by_quarter(independent=True), by_quarter()),
    planted=[lambda pair: (-pair[0], pair[1]), lambda pair: (pair[0], -pair[1])],
)
def forecasting_zero_beats(pair: Two) -> Finding:
    """If returns are independent of one another, "tomorrow = today" is a bad forecast of them, and a network that says "zero" beats it; with the returns as they are it mostly does, too."""
    ran = "log of persistence's error over zero's, by quarter, returns "
    return every(
        sign_test(pair[0], f"{ran}in random order"),
        sign_test(pair[1], f"{ran}as they are"),
    )


def any_forecast(covariance: float = 0.0) -> sp.Expr:
    """Subtract noise and (rho x - f)^2 from any forecast's expected squared error."""
    rho, x, f, noise, variance = sp.symbols("rho x f epsilon sigma_2")
    square = sp.expand((rho * x + noise - f) ** 2)
    # the noise has mean 0 and is independent of all that is known, so of f
    expected = square.coeff(noise, 0) + variance + covariance * square.coeff(noise, 1)
    return expected - variance - (rho * x - f) ** 2


@claim(on=any_forecast, planted=[lambda _: any_forecast(0.5)])
def forecasting_no_better(found: sp.Expr) -> Finding:
    r"""In the mean over the noise no forecast has a smaller squared error than $\rho x_t$, and its skill, over many days, is"""
    ran = "expected error of any forecast f, less that of the noise and (ρx - f)²"
    return symbolic(found, ran)


@claim(on=cells_lose, planted=[lambda found: found / 10])
def forecasting_several_times(found: Array) -> Finding:
    """(For the closes themselves this does not clear the training: many cells of the honest grid have several times the error of a forecast that repeats the last close.)"""
    share = float((found > np.log(3)).mean())
    return above(share, 0.25, "share of the cells with over three times its error")


# What the sources say


def spreads(optimizer: str) -> Array:
    """Return an LSTM's standard deviation of forecasts over that of the closes."""
    pairs = [
        last_ones(r)
        for r in drawn_runs()
        if r.settings["cell"] == "lstm" and r.settings["optimizer"] == optimizer
    ]
    return np.array([f.std() / t.std() for f, t in pairs])


@claim(on=lambda: spreads("sgd"), planted=[lambda _: spreads("adam")])
def forecasting_lstm_constant(found: Array) -> Finding:
    """Under SGD at this learning rate the LSTM's forecast is almost a constant."""
    ran = "deviation of its forecasts over that of the closes, this series, the largest"
    return below(float(found.max()), 0.2, ran)


@cache
def at_fifty() -> Two:
    """Return errors by position at 50 days, Adam: (seed, position) of RNN and LSTM."""
    found = cells("report", "source")
    rnn, lstm = (
        np.array([r.mse_by_position for r in found[c, MM, 50, "adam"]])
        for c in ("rnn", "lstm")
    )
    return rnn, lstm


@claim(on=at_fifty, planted=[swapped])
def forecasting_gap_found(pair: Two) -> Finding:
    """Our runs find the gap too; the last lines of this section say where."""
    rnn, lstm = (each.mean(1) for each in pair)  # over positions
    return rank_test(lstm, rnn, "loss of LSTM and RNN, 50 days, many-to-many, Adam")


@claim(on=at_fifty, planted=[lambda p: (p[0][:, ::-1], p[1][:, ::-1]), swapped])
def forecasting_gap_at_the_start(pair: Two) -> Finding:
    """The first five positions of the window make … % of the difference; after the last day read it is … against …."""
    rnn, lstm = (each.mean(0) for each in pair)  # over seeds
    gap = lstm - rnn
    share = gap[:5].sum() / gap.sum()
    last = f"{lstm[-1]:.2g} against {rnn[-1]:.2g}"
    ran = f"share of the first five positions in the difference (last: {last})"
    return between(share if gap.sum() > 0 else 0, 0.5, 1.5, ran)


@cache
def settings(optimizer: str) -> Array:
    """Return log(many-to-one's error / many-to-many's), over persistence's, by pair."""
    rows = []
    for name in FILES:
        found = {r.experiment: over_naive(r) for r in runs(*name)}
        rows += [
            np.log(found[other] / value)
            for e, value in found.items()
            if e.configuration == MM and e.optimizer == optimizer
            if (other := replace(e, configuration=MO)) in found
        ]
    return np.array(rows)


@claim(on=lambda: settings("adam"), planted=[negated])
def forecasting_mm_ahead_with_adam(found: Array) -> Finding:
    """Asked the same question, tomorrow's close after all days read, many-to-many has the smaller error in most of our pairs of runs with Adam."""
    ran = (
        "log of many-to-one's error over many-to-many's, over persistence's, four grids"
    )
    return sign_test(found, ran)


@claim(on=lambda: settings("sgd"), planted=[negated])
def forecasting_mo_ahead_with_sgd(found: Array) -> Finding:
    """With SGD it is the other way round."""
    ran = (
        "log of many-to-many's error over many-to-one's, over persistence's, four grids"
    )
    return sign_test(-found, ran)
