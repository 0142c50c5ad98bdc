"""Measure how fast the training step is on this machine, and how fast it could be.

    python -m benchmarks.speed            one model at a time, contenders in turn
    python -m benchmarks.speed --peers    and other libraries (requirements.txt here)
    python -m benchmarks.speed --grid     the 32 runs, a tenth of the epochs
    python -m benchmarks.speed --memory   peak memory of an LSTM of length 100

The losses of all contenders are compared with the plain loop's and must agree.
"""

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from benchmarks.contenders import CONTENDERS, plain_study
from benchmarks.peers import PEERS, missing
from benchmarks.peers.apart import CLOCKS, apart
from rnn_companion.forecasting.engine import exact_matmul, medium_is_exact
from rnn_companion.forecasting.experiment import run
from rnn_companion.forecasting.grid import cost, grid, run_all
from rnn_companion.forecasting.prices import Prices, load_prices
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.windows import Windows

TOLERANCE = 1e-4  # relative, of losses after the last epoch
LOOSER = {
    "plain tf32": 0.05,  # as torch comes, cuDNN rounds to ten bits
    "ours bf16": 0.25,  # rounds: what that changes is what the column shows
    "keras": 1e-3,  # takes 1 - 0.999^t in float32, at first 1e-5 off; this grows
}
INSTALL = "pip install -r benchmarks/requirements.txt"

Epochs = Iterator[tuple[float, float]]  # loss and seconds of each


def main() -> None:
    settings = _settings()
    prices = load_prices()
    torch.set_num_threads(settings.threads)
    print(
        f"{platform.processor() or platform.machine()}, torch {torch.__version__}, "
        f"{settings.threads} thread(s); clock: {settings.clock}; the other float32 "
        f"matmul is {'exact and used' if medium_is_exact() else 'not exact here'}"
    )
    if settings.grid:
        compare_grids(prices, settings)
    elif settings.memory:
        peak = peak_memory(Experiment(cell="lstm", length=100, epochs=1), prices)
        print(f"peak memory of an LSTM of length 100: {peak:.0f} MB")
    else:
        compare_steps(prices, settings)


def peak_memory(experiment: Experiment, prices: Prices, device: str = "cpu") -> float:
    """Run an experiment; return the MB of a GPU, or of the process, at its peak."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    run(experiment, prices, device=device, progress=False)
    if on_gpu:
        return torch.cuda.max_memory_reserved() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare_steps(prices: Prices, settings: argparse.Namespace) -> None:
    """Print a line for each model and contender."""
    roof = matmul_roof(CLOCKS[settings.clock])
    print(f"the best float32 matmul measured: {roof:.0f} GFLOP/s")
    for name in PEERS if settings.peers else ():
        if lacking := " and ".join(missing(PEERS[name])):
            print(f"without {name}: {lacking} not installed ({INSTALL})")
    head = "ms/step  GFLOP/s  of the roof  x plain        loss  off by"
    print(f"\n{'cell':5}{'length':>7}  {'contender':12}{head}")
    astray: set[str] = set()
    for cell in settings.cells:
        for length in settings.lengths:
            experiment = Experiment(
                cell=cell,
                length=length,
                configuration="many-to-many-aligned",
                optimizer=settings.optimizer,
                epochs=settings.epochs,
            )
            windows = experiment.split(prices).training
            running = start(experiment, windows, settings)
            astray |= compare(experiment, windows, running, roof)
    if astray:
        raise SystemExit(f"not the plain loop's loss: {', '.join(sorted(astray))}")


def start(
    experiment: Experiment, windows: Windows, settings: argparse.Namespace
) -> dict[str, Epochs]:
    """Make the contenders ready, each to train an epoch at each turn."""
    clock = CLOCKS[settings.clock]
    running = {
        name: timed(make(experiment, windows), clock)
        for name, make in CONTENDERS.items()
    }
    for name, peer in PEERS.items() if settings.peers else ():
        if not missing(peer):
            running[name] = apart(
                name, experiment, windows, settings.threads, settings.clock
            )
    return running


def timed(epochs: Iterator[float], clock: Callable[[], float]) -> Epochs:
    """Time each epoch."""
    started = clock()
    for loss in epochs:
        yield loss, clock() - started
        started = clock()


def compare(
    experiment: Experiment, windows: Windows, running: dict[str, Epochs], roof: float
) -> set[str]:
    """Train by turns, an epoch each; print a line for each contender.

    Returns the names of those whose loss is not the plain loop's.
    """
    taken = take_turns(experiment, windows, running)
    flops = 6 * cost(experiment) / experiment.epochs * len(windows)  # of an epoch
    steps = -(-len(windows) // experiment.batch_size)
    for name, one in taken.items():
        rate = flops / steps / one.ms / 1e6
        print(
            f"{experiment.cell:5}{experiment.length:>7}  {name:12}"
            f"{one.ms:7.2f}{rate:9.0f}{rate / roof:13.0%}"
            f"{taken['plain'].ms / one.ms:9.2f}{one.loss:12.8f}{one.off:8.0e}",
            flush=True,
        )
    return strays(taken)


@dataclass(frozen=True)
class Taken:
    """Milliseconds a step, the last epoch's loss, and how far that is from plain's."""

    ms: float
    loss: float
    off: float


def take_turns(
    experiment: Experiment, windows: Windows, running: dict[str, Epochs]
) -> dict[str, Taken]:
    """Train an epoch each in turn; return the medians of all but the first."""
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
    for _ in range(experiment.epochs):
        for name, epochs in running.items():
            turns[name].append(next(epochs))
    steps = -(-len(windows) // experiment.batch_size)
    expected = turns["plain"][-1][0]
    return {
        name: Taken(  # the first turn warms up, and compiles
            ms=1e3 * statistics.median(took for _, took in seen[1:]) / steps,
            loss=seen[-1][0],
            off=seen[-1][0] / expected - 1,
        )
        for name, seen in turns.items()
    }


def strays(taken: dict[str, Taken]) -> set[str]:
    """Name those whose loss is not the plain loop's."""
    return {name for name, one in taken.items() if not abs(one.off) < tolerance(name)}


def tolerance(name: str) -> float:
    """Look up how far a contender's loss may be from the plain loop's."""
    return LOOSER.get(name.split("-")[0], TOLERANCE)


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
    """Time the study's runs: the plain loop one by one, ours side by side.

    Both measure the error on the validation windows after each epoch.
    """
    some = {"cells": settings.cells, "lengths": settings.lengths}
    adam = grid(epochs=1, optimizers=("adam",), **some)
    sgd = grid(epochs=10, optimizers=("sgd",), **some)
    experiments = sorted(adam + sgd, key=cost, reverse=True)
    started = time.perf_counter()
    records = run_all(experiments, prices, workers=settings.workers, forecasts="none")
    ours_took = time.perf_counter() - started
    started = time.perf_counter()
    for experiment, record in zip(experiments, records, strict=True):
        *_, theirs = plain_study(experiment, experiment.split(prices))
        ours = record.training_loss[-1], record.validation_loss[-1]
        for mine, their in zip(ours, theirs, strict=True):
            assert abs(mine / their - 1) < TOLERANCE, experiment
    plain_took = time.perf_counter() - started
    print(
        f"{len(records)} runs, validation after each epoch included: "
        f"ours {ours_took:.0f} s, plain loop {plain_took:.0f} s, "
        f"{plain_took / ours_took:.2f} times as fast"
    )


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--cells", nargs="+", default=["rnn", "lstm"])
    add("--lengths", nargs="+", type=int, default=[3, 7, 50, 100])
    add("--optimizer", choices=("adam", "sgd"), default="adam")
    add("--epochs", type=int, default=5, help="the first is not timed")
    add("--threads", type=int, default=torch.get_num_threads())
    add(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: for one thread on a machine that does other things too",
    )
    add("--peers", action="store_true", help="other libraries, where installed")
    add("--grid", action="store_true")
    add("--workers", type=int)
    add("--memory", action="store_true")
    settings = parser.parse_args()
    if settings.epochs < 2:
        parser.error("--epochs must be at least 2: the first is not timed")
    return settings


if __name__ == "__main__":
    main()
