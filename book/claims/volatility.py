"""What chapter 10 claims of forecasts.

The networks are those of records/honest-protocol.jsonl and records/targets.jsonl.
"""

import math
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    sign_test,
    swapped,
)
from rnn_companion.forecasting.baselines import har
from rnn_companion.forecasting.comparison import (
    beside_baselines,
    spa,
    squared_losses,
)
from rnn_companion.forecasting.grid import grid, recorded
from rnn_companion.forecasting.prices import load_prices, load_share
from rnn_companion.forecasting.scores import mase
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.targets import target

BOOK = Path(__file__).parents[1]
FILES = {
    "price": "records/honest-protocol.jsonl",
    "return": "records/targets.jsonl",
    "range": "records/targets.jsonl",
}
SHARES = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
LAGS = 22
Numbers = np.ndarray
Pair = tuple[np.ndarray, np.ndarray]


@cache
def series(kind: str) -> Numbers:
    return target(load_prices(), kind).close


def known(x: Numbers) -> int:
    """Return how many days there are before the last fifth."""
    return int(0.8 * len(x))


# Brownian days


@cache
def days(drift: float = 0.0, count: int = 4000, steps: int = 500) -> Pair:
    """Return range and last value of simulated days with standard deviation 1."""
    draw = np.random.default_rng(7)
    found = []
    for _ in range(4):
        sizes = draw.standard_normal((count // 4, steps), dtype=np.float32)
        walk = (sizes / math.sqrt(steps) + drift / steps).cumsum(1)
        high, low = np.maximum(walk.max(1), 0), np.minimum(walk.min(1), 0)
        found.append((high - low, walk[:, -1]))
    ranges, ends = zip(*found, strict=True)
    return np.concatenate(ranges), np.concatenate(ends)


def estimates() -> Pair:
    ranges, ends = days()
    return ranges**2 / (4 * math.log(2)), ends**2


@claim(on=estimates, planted=[swapped, lambda data: (2 * data[0], data[1])])
def forecast_range_tells_more(found: Pair) -> Finding:
    """The variance of the estimate by the range is … times smaller than that by the
    squared return: one day's range tells as much as about … days' returns."""
    by_range, by_return = found
    ratio = by_return.var() / by_range.var()
    ran = "variance of the squared return over that of the range's, 4000 walks"
    return between(ratio, 4, 6, ran)


@claim(
    on=lambda: np.log(days()[0]),
    planted=[lambda log: 2 * log, lambda _: np.log(abs(days()[1]))],
)
def forecast_known_sigma(log_range: Numbers) -> Finding:
    r"""So even who knew tomorrow's $\sigma$ would, for such a motion, forecast $y$ with
    a squared error of …."""
    ran = "variance of the logarithm of the range, 4000 walks of known size"
    return between(log_range.var(), 0.07, 0.1, ran)


# What days remember


def correlations(x: Numbers, lags: int = LAGS) -> Numbers:
    z = x - x.mean()
    return np.array([z[k:] @ z[:-k] / (z @ z) for k in range(1, lags + 1)])


def within(part: float = 0.0) -> Numbers:
    """Return the share of lags inside the band, for made days that keep a part."""
    draw = np.random.default_rng(0)
    found = []
    for _ in range(100):
        z = draw.normal(size=1000)
        z[1:] += part * z[:-1]
        found.append(np.mean(abs(correlations(z)) < 1.96 / math.sqrt(len(z))))
    return np.array(found)


@claim(on=within, planted=[lambda _: within(0.6)])
def forecast_band(share: Numbers) -> Finding:
    r"""For $N$ independent days it lies within $\pm 1.96 / \sqrt{N}$ of zero in about
    95 % of cases."""
    ran = "22 lags of 100 series of 1000 independent days: the share inside"
    return between(share.mean(), 0.935, 0.97, ran)


def remembered(kinds: tuple[str, str] = ("range", "return")) -> Pair:
    one, other = (correlations(series(kind)) for kind in kinds)
    return one, other


def forgotten(_: Pair) -> Pair:
    draw = np.random.default_rng(0)
    one, other = (draw.permutation(series(kind)) for kind in ("range", "return"))
    return correlations(one), correlations(other)


@claim(on=remembered, planted=[swapped, forgotten])
def forecast_ranges_remember(found: Pair) -> Finding:
    """Of … lags, … of the returns, … of the squared returns and … of the log-ranges lie
    outside the band of ±…; about one in twenty would by chance."""
    band = 1.96 / math.sqrt(len(series("return")))
    ranges, returns = (abs(values) for values in found)
    ran = "autocorrelations at 22 lags over the band"
    return every(
        above(ranges.min() / band, 1, f"{ran}: the least of the log-range"),
        below(np.median(returns) / band, 1, f"{ran}: the median of the returns"),
    )


def by_share(shuffle: bool = False) -> Numbers:
    """Return the autocorrelation of the log-range at lag 1, share by share."""
    draw, found = np.random.default_rng(0), []
    for name in SHARES:
        x = target(load_share(name), "range").close
        x = draw.permutation(x) if shuffle else x
        found.append(correlations(x, 1)[0] * math.sqrt(len(x)))
    return np.array(found)


@claim(on=by_share, planted=[lambda _: by_share(shuffle=True), lambda rho: -rho])
def forecast_calm_and_wild_last(rho: Numbers) -> Finding:
    """Calm and wild times last: such is the pattern of many shares and markets
    {cite:p}`cont2001`, and it is what a forecast of the range can use."""
    ran = "autocorrelation of the log-range at lag 1, in standard errors, five shares"
    return above(rho.min(), 5, f"the least {ran}")


# Forecasts without a network


def noisy_and_moving() -> Pair:
    """Return by how much the mean of five days is better than the last one.

    The first are series of a level that lasts, under noise; the second random walks.
    """
    draw = np.random.default_rng(0)
    rows = []
    for noise, step in ((1.0, 0.05), (0.0, 1.0)):
        found = []
        for _ in range(20):
            y = draw.normal(scale=step, size=500).cumsum() + noise * draw.normal(
                size=500
            )
            week = np.convolve(y, np.ones(5) / 5, "valid")[:-1]
            last, truth = y[4:-1], y[5:]
            found.append(np.mean((last - truth) ** 2) - np.mean((week - truth) ** 2))
        rows.append(np.array(found))
    return rows[0], rows[1]


@claim(on=noisy_and_moving, planted=[swapped, lambda data: (-data[0], data[1])])
def forecast_one_day_or_a_mean(gain: Pair) -> Finding:
    """So where one day says little about the level, "tomorrow = today" is easy to beat,
    and where the level moves faster than the noise, as with prices, it is not."""
    ran = "error of the last day less that of a week's mean, 20 made series"
    return every(
        sign_test(gain[0], f"{ran}: much noise"),
        sign_test(-gain[1], f"{ran}, sign turned: random walks"),
    )


def smoothed(alpha: float = 0.3, weights: tuple[float, float] = (0.7, 0.3)) -> Pair:
    """Return what a linear network of one unit makes of the ranges, and pandas."""
    keep, take = weights
    h, states = torch.tensor(series("range")[0]), []
    for y in torch.from_numpy(series("range")):
        h = keep * h + take * y
        states.append(h.item())
    return np.array(states), pd.Series(series("range")).ewm(
        alpha=alpha, adjust=False
    ).mean().to_numpy()


@claim(on=smoothed, planted=[lambda _: smoothed(weights=(0.3, 0.7))])
def forecast_smoothing_is_a_network(found: Pair) -> Finding:
    r"""It is {eq}`eq-rnn` with one unit, no bias and no tanh: a recurrent network whose
    two weights are $1 - \alpha$ and $\alpha$."""
    return equal(*found, "the log-range, by such a unit and by pandas' ewm, alpha 0.3")


def day_weights(rule: str = "har") -> Numbers:
    """Return the weight that a forecast gives to each of the last 22 days."""
    x, n = series("range"), known(series("range"))

    def forecast(x: Numbers) -> float:
        if rule == "har":
            return float(har(x, n)[-1])
        return float(pd.Series(x).ewm(alpha=0.2, adjust=False).mean().iloc[-1])

    found = []
    for day in range(1, 23):
        moved = x.copy()
        moved[-day] += 1
        found.append(forecast(moved) - forecast(x))
    return np.array(found)


@claim(on=day_weights, planted=[lambda _: day_weights("smoothing")])
def forecast_har_is_a_staircase(weights: Numbers) -> Finding:
    """Sorted by days it is an autoregression over 22 days whose weights take three
    values, a staircase in place of the smooth decline of
    {eq}`eq-wf-smoothing-closed`:"""
    different = len(np.unique(weights.round(9)))
    return equal(different, 3, "each day moved by 1 in a fitted HAR: different weights")


def own_smoothing(x: Numbers, known: int) -> Numbers:
    """Smooth with the share that has the least error on the known days."""
    best = min(
        np.linspace(0.02, 1, 50),
        key=lambda alpha: np.mean((_levels(x, alpha)[: known - 1] - x[1:known]) ** 2),
    )
    return _levels(x, best)[known - 1 : -1]


def _levels(x: Numbers, alpha: float) -> Numbers:
    return pd.Series(x).ewm(alpha=alpha, adjust=False).mean().to_numpy()


def own_autoregression(x: Numbers, known: int) -> Numbers:
    """Fit an autoregression over 22 days by least squares."""
    rows = np.lib.stride_tricks.sliding_window_view(x, LAGS)
    X = np.column_stack([np.ones(len(rows)), rows])
    b, *_ = np.linalg.lstsq(X[: known - LAGS], x[LAGS:known])
    return np.asarray(X[known - LAGS : -1] @ b)


def losses_of_rules(kind: str) -> dict[str, Numbers]:
    """Return the squared errors of simple rules on the test days."""
    x = series(kind)
    n = known(x)
    told = {
        "persistence": x[n - 1 : -1],
        "mean": np.full(len(x) - n, x[:n].mean()),
        "smoothing": own_smoothing(x, n),
        "autoregression": own_autoregression(x, n),
        "har": har(x, n)[:-1],
    }
    return {name: (forecast - x[n:]) ** 2 for name, forecast in told.items()}


def dm(loss: Numbers, reference: Numbers) -> float:
    """Return the mean difference over its error, by Newey and West's variance."""
    d = loss - reference
    z, n = d - d.mean(), len(d)
    lags = math.ceil(n ** (1 / 3))
    parts = [(1 - k / (lags + 1)) * (z[k:] @ z[: n - k]) for k in range(1, lags + 1)]
    return float(d.mean() / (math.sqrt(z @ z + 2 * sum(parts)) / n))


@cache
def rules_and_mean(*kinds: str) -> tuple[dict[str, Numbers], ...]:
    return tuple(losses_of_rules(kind) for kind in kinds)


@claim(
    on=lambda: rules_and_mean("return", "range"),
    planted=[swapped, lambda data: (data[0], data[0])],
)
def forecast_rules_and_the_mean(data: tuple[dict[str, Numbers], ...]) -> Finding:
    """For returns no rule is much better than the mean, and for the range one is."""
    ratios = []
    for losses in data:
        others = [v.mean() for name, v in losses.items() if name != "mean"]
        ratios.append(min(others) / losses["mean"].mean())
    ran = "least error of four rules over the mean's, last fifth of the days"
    return every(
        above(ratios[0], 0.97, f"{ran}: returns"),
        below(ratios[1], 0.8, f"{ran}: range"),
        below(
            dm(data[1]["smoothing"], data[1]["mean"]), -1.96, "Diebold-Mariano, range"
        ),
    )


# Networks


@cache
def losses_of_networks(kind: str) -> pd.DataFrame:
    """Return the squared errors of the 32 recorded networks and two benchmarks."""
    made = target(load_prices(), kind)
    wanted = grid() if kind == "price" else grid(hidden_size=32, epochs=10)
    found = recorded(BOOK / FILES[kind], wanted, made.checksum)
    names = {f"network {n}": r for n, r in enumerate(found.values())}
    simple = ("persistence", "mean", "har")
    return squared_losses(
        beside_baselines(names, made, known(made.close), models=simple)
    )


def networks(losses: pd.DataFrame) -> list[str]:
    return [n for n in map(str, losses) if n.startswith("network")]


def benchmarks(*kinds: str) -> Numbers:
    """Return the error of the mean over that of tomorrow = today."""
    rules = rules_and_mean(*kinds)
    return np.array([r["mean"].mean() / r["persistence"].mean() for r in rules])


@claim(
    on=lambda: benchmarks("return", "price"),
    planted=[lambda ratios: ratios[::-1], lambda ratios: 1 / ratios],
)
def forecast_two_benchmarks(ratios: Numbers) -> Finding:
    """Two benchmarks, since for returns the mean alone halves persistence's error, and
    to beat persistence there says little; for the price it is the other way round."""
    ran = "error of the mean over that of tomorrow = today, test days"
    return every(
        between(ratios[0], 0.4, 0.6, f"{ran}: returns"),
        above(ratios[1], 10, f"{ran}: price"),
    )


def best_of_32() -> dict[str, pd.DataFrame]:
    return {kind: losses_of_networks(kind) for kind in ("range", "return", "price")}


def with_worse_ranges(data: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    worse = data["range"].copy()
    worse[networks(worse)] *= 2
    return {**data, "range": worse}


def with_better_prices(data: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    better = data["price"].copy()
    better[networks(better)] *= 0.5
    return {**data, "price": better}


@claim(on=best_of_32, planted=[with_worse_ranges, with_better_prices])
def forecast_best_of_32(data: dict[str, pd.DataFrame]) -> Finding:
    """Better than both (p below 0.05) is one of the 32 for the …; for the … that is not
    shown."""
    p = {}
    for kind, benchmark in (
        ("range", "persistence"),
        ("range", "mean"),
        ("return", "mean"),
        ("price", "persistence"),
    ):
        losses = data[kind]
        p[kind, benchmark] = spa(losses[[*networks(losses), benchmark]], benchmark)
    ran = "Hansen's test with 32 recorded networks, p"
    return every(
        below(p["range", "persistence"], 0.05, f"{ran}: range, tomorrow = today"),
        below(p["range", "mean"], 0.05, f"{ran}: range, mean"),
        above(p["return", "mean"], 0.05, f"{ran}: returns, mean"),
        above(p["price", "persistence"], 0.05, f"{ran}: price, tomorrow = today"),
    )


def rule_and_networks() -> tuple[Numbers, Numbers, Numbers]:
    """Return day by day the losses of tomorrow = today, HAR, and the best network."""
    losses = losses_of_networks("range")
    best = losses[networks(losses)].mean().idxmin()
    naive, rule, network = (losses[n].to_numpy() for n in ("persistence", "har", best))
    return naive, rule, network


@claim(
    on=rule_and_networks,
    planted=[
        lambda data: (data[1], data[1] + 1e-9 * data[0], data[2]),
        lambda data: (data[0], data[1], 0.6 * data[2]),
    ],
)
def forecast_not_told_from_a_rule(data: tuple[Numbers, Numbers, Numbers]) -> Finding:
    """So it can be forecast how far the price will move, and these days do not tell a
    network from a rule with one number or with four."""
    naive, rule, network = data
    ran = "Diebold-Mariano on the days that the recorded networks share"
    return every(
        below(dm(rule, naive), -1.96, f"{ran}: HAR against tomorrow = today"),
        between(dm(network, rule), -1.96, 1.96, f"{ran}: the best network against HAR"),
    )


# Many shares, many tries


def ends(whole: bool = False) -> Numbers:
    """Return how many days the other shares' training days end before FB begins."""
    split = Experiment(length=22)
    first = target(load_share("FB"), "range").dates[-1511:][0]
    gaps = []
    for name in SHARES:
        if name != "FB":
            dates = target(load_share(name), "range").dates[-1511:]
            last = dates[-1] if whole else dates[int(split.training * len(dates)) - 1]
            gaps.append((first - last).days)
    return np.array(gaps)


@claim(on=ends, planted=[lambda _: ends(whole=True)])
def forecast_four_end_before_fb(gaps: Numbers) -> Finding:
    """We train RNNs on each share alone, and for as many steps on the training days of
    the five together, each scaled by its own; and for FB on the other four, whose
    training days end before FB begins."""
    ran = "days from the last training day of four shares to FB's first: the least"
    return above(gaps.min(), 0, ran)


def least_p(tries: int = 40) -> Numbers:
    """Return the least of many p-values of forecasts that are as good as another."""
    draw = np.random.default_rng(0)
    z = abs(draw.normal(size=(4000, tries))).max(1)
    return np.array([math.erfc(value / math.sqrt(2)) for value in z])


@claim(on=least_p, planted=[lambda _: least_p(1), lambda _: least_p(10)])
def forecast_forty_tries(p: Numbers) -> Finding:
    """For the best of forty it means next to nothing: if the tries were independent and
    none better, one of them would be below 0.03 with a probability of 1 - 0.97^40,
    about 70 %."""
    ran = "the share of 4000 draws of forty in which the least p is below 0.03"
    return between(float(np.mean(p < 0.03)), 0.68, 0.73, ran)


# Errors in absolute values


def scaled_errors() -> Numbers:
    """Return MASE for the range and the price: persistence, mean, three fitted rules."""
    rows = []
    for kind in ("range", "price"):
        data = target(load_prices(), kind)
        first = known(data.close)
        days = beside_baselines({}, data, first)
        names = ("persistence", "mean", "smoothing", "autoregression", "har")
        errors = [days["truth"] - days[name] for name in names]
        rows.append([mase(error, data.close[:first]) for error in errors])
    return np.array(rows)


@claim(
    on=scaled_errors, planted=[lambda found: found[::-1], lambda found: found[:, ::-1]]
)
def forecast_absolute_errors(found: Numbers) -> Finding:
    """In absolute errors the answers are as before: for the range the three fitted rules come well below persistence and mean, for the price within 1 % of persistence."""
    ran = "MASE of smoothing, autoregression and HAR over the smaller of persistence's and the mean's, 303 days: "
    over = found[:, 2:] / found[:, :2].min(1, keepdims=True)
    return every(
        below(float(over[0].max()), 0.85, f"{ran}range, largest"),
        below(float(np.abs(over[1] - 1).max()), 0.01, f"{ran}price, farthest from 1"),
    )
