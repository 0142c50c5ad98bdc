"""Measure how fast the training step is on this machine, and how fast it could be.

    python -m benchmarks.speed            one model at a time, contenders in turn
    python -m benchmarks.speed --grid     the 32 runs, a tenth of the epochs
    python -m benchmarks.speed --memory   peak memory of an LSTM of length 100

The losses of all contenders are compared, and must agree.
"""

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator

import torch

from benchmarks.contenders import CONTENDERS, plain
from rnn_companion.engine import _medium_is_exact, exact_matmul
from rnn_companion.experiment import Experiment, run
from rnn_companion.grid import cost, grid, run_all
from rnn_companion.prices import Prices, load_prices

TOLERANCE = 1e-4  # relative, of losses after the last epoch


def main() -> None:
    settings = _settings()
    prices = load_prices()
    torch.set_num_threads(settings.threads)
    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, "
        f"{settings.threads} thread(s); clock: {settings.clock}; the other float32 "
        f"matmul is {'exact and used' if _medium_is_exact() else 'not exact here'}"
    )
    if settings.grid:
        compare_grids(prices, settings)
    elif settings.memory:
        run(Experiment(cell="lstm", length=100, epochs=1), prices, progress=False)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory of an LSTM of length 100: {peak:.0f} MB")
    else:
        compare_steps(prices, settings)


def compare_steps(prices: Prices, settings: argparse.Namespace) -> None:
    clock = {"wall": time.perf_counter, "cpu": time.process_time}[settings.clock]
    roof = matmul_roof(clock)
    print(f"the best matmul measured: {roof:.0f} GFLOP/s\n")
    head = "ms/step  GFLOP/s  of the roof  x plain  loss"
    print(f"{'cell':5}{'length':>7}  {'contender':10}{head}")
    for cell in settings.cells:
        for length in settings.lengths:
            experiment = Experiment(
                cell=cell,
                length=length,
                configuration="many-to-many-aligned",
                epochs=settings.epochs,
            )
            for line in compare(experiment, prices, clock, roof):
                print(line, flush=True)


def compare(
    experiment: Experiment, prices: Prices, clock: Callable[[], float], roof: float
) -> Iterator[str]:
    """Train by turns, an epoch each; yield a line for each contender."""
    windows = experiment.split(prices).training
    steps = -(-len(windows) // experiment.batch_size)
    running = {name: make(experiment, windows) for name, make in CONTENDERS.items()}
    times: dict[str, list[float]] = {name: [] for name in running}
    losses = {}
    for _ in range(experiment.epochs):
        for name, epochs in running.items():
            started = clock()
            losses[name] = next(epochs)
            times[name].append((clock() - started) / steps)
    flops = 6 * cost(experiment) / experiment.epochs * experiment.batch_size
    for name, seconds in times.items():
        median = statistics.median(seconds)
        rate = flops / median / 1e9
        ratio = statistics.median(times["plain"]) / median
        off = abs(losses[name] / losses["plain"] - 1)
        assert off < TOLERANCE, f"{name} has loss {losses[name]}: {losses}"
        yield (
            f"{experiment.cell:5}{experiment.length:>7}  {name:10}{1e3 * median:7.2f}"
            f"{rate:9.0f}{rate / roof:13.0%}{ratio:9.2f}  {losses[name]:.8f}"
        )


def matmul_roof(clock: Callable[[], float]) -> float:
    """Measure the best rate of a large exact product, in GFLOP/s."""
    draw = torch.Generator().manual_seed(0)
    A, B = (torch.randn(1536, 1536, generator=draw) for _ in range(2))
    times = []
    with exact_matmul():
        for _ in range(12):
            started = clock()
            A @ B
            times.append(clock() - started)
    return 2 * 1536**3 / min(times) / 1e9


def compare_grids(prices: Prices, settings: argparse.Namespace) -> None:
    """Time the study's runs: the plain loop one by one, ours side by side."""
    some = {"cells": settings.cells, "lengths": settings.lengths}
    adam = grid(epochs=1, optimizers=("adam",), **some)
    sgd = grid(epochs=10, optimizers=("sgd",), **some)
    experiments = sorted(adam + sgd, key=cost, reverse=True)
    started = time.perf_counter()
    records = run_all(experiments, prices, workers=settings.workers, forecasts="none")
    ours_took = time.perf_counter() - started
    started = time.perf_counter()
    for experiment, record in zip(experiments, records, strict=True):
        *_, last = plain(experiment, experiment.split(prices).training)
        assert abs(record.training_loss[-1] / last - 1) < TOLERANCE, experiment
    plain_took = time.perf_counter() - started
    print(
        f"ours {ours_took:.0f} s (validation included), plain loop {plain_took:.0f} s "
        f"(without): {plain_took / ours_took:.2f} times as fast"
    )


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--cells", nargs="+", default=["rnn", "lstm"])
    add("--lengths", nargs="+", type=int, default=[3, 7, 50, 100])
    add("--epochs", type=int, default=5)
    add("--threads", type=int, default=torch.get_num_threads())
    add(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: for one thread on a machine that does other things too",
    )
    add("--grid", action="store_true")
    add("--workers", type=int)
    add("--memory", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
