"""Many experiments: lay them out, run them side by side, keep what is done.

Source: chapter *Forecasting Microsoft*; the defaults are the forecasting report's.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from itertools import product
from multiprocessing.context import BaseContext
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from rnn_companion.devices import choose_device
from rnn_companion.forecasting.experiment import fit_side_by_side
from rnn_companion.forecasting.forecaster import GATES
from rnn_companion.forecasting.prices import Prices, load_prices
from rnn_companion.forecasting.records import R, Record, RecordFile, S
from rnn_companion.forecasting.settings import Experiment

SMALL = 65536  # recurrent weights up to which a CPU trains seeds faster together
EPOCHS = {"adam": 10, "sgd": 100, "rmsprop": 10}


def grid(
    *,
    cells: Iterable[str] = ("rnn", "lstm"),
    lengths: Iterable[int] = (3, 7, 50, 100),
    configurations: Iterable[str] = ("many-to-many-aligned", "many-to-one"),
    optimizers: Iterable[str] = ("adam", "sgd"),
    seeds: Iterable[int] = (0,),
    epochs: int | None = None,
    **settings: Any,  # noqa: ANN401 - Experiment checks them
) -> list[Experiment]:
    """Lay out an experiment for every combination.

    Parameters
    ----------
    cells, lengths, configurations, optimizers, seeds : iterables
        What varies; the last moves fastest. By default the forecasting report's
        32 combinations.
    epochs : int, optional
        By default the report's: 100 for SGD, else 10.
    **settings
        Any other setting of `Experiment`, the same for all.

    Returns
    -------
    list of Experiment

    Raises
    ------
    ValueError
        For an invalid setting.
    """
    return [
        Experiment(
            cell=cell,
            length=length,
            configuration=configuration,
            optimizer=optimizer,
            epochs=EPOCHS.get(optimizer, 10) if epochs is None else epochs,
            seed=seed,
            **settings,
        )
        for cell, length, configuration, optimizer, seed in product(
            cells, lengths, configurations, optimizers, seeds
        )
    ]


def recurrent_weights(experiment: Experiment) -> int:
    """Count the recurrent weights of an experiment's network, g h^2 a layer."""
    return GATES[experiment.cell] * experiment.hidden_size**2 * experiment.layers


def cost(experiment: Experiment) -> int:
    """Estimate the work of an experiment, in multiplications of a weight."""
    return experiment.epochs * experiment.length * recurrent_weights(experiment)


class GridError(RuntimeError):
    """Some runs of a grid failed; the others are done and kept."""


def run_all(
    experiments: Sequence[Experiment],
    prices: Prices | None = None,
    *,
    out: str | Path | None = None,
    device: str = "auto",
    workers: int | None = None,
    executor: Executor | None = None,
    forecasts: str = "all",
    progress: bool = True,
) -> list[Record]:
    """Run experiments side by side, and go on where an earlier call was stopped.

    Called in a script that several processes import, this belongs under
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    experiments : sequence of Experiment
        Started in this order. One that stands here twice is run once.
    prices : Prices, optional
        The data; Microsoft's by default.
    out : str or Path, optional
        A record file. Each record is added as its run ends; runs that the file
        holds already, from the same settings and data, are not repeated.
    device : str
        See `choose_device`.
    workers : int, optional
        Processes side by side; by default one a core, of one thread each, which
        together do more than one process of many threads. 1 stays in this process.
    executor : concurrent.futures.Executor, optional
        Runs them in place of own processes: threads, a Dask client's
        ``get_executor()``, whatever has `submit`.
    forecasts : str
        Which forecasts the records keep: ``"all"``, ``"ends"``, ``"last"`` or
        ``"none"``, see `Record.with_forecasts`. Any of them gives the data away.
    progress : bool
        Whether to show runs done, running and time left.

    Returns
    -------
    list of Record
        In the order asked for.

    Raises
    ------
    GridError
        If runs failed: names the first and its reason, after all others are done.
    RecordFileError
        If `out` is torn or foreign.
    """
    prices = load_prices() if prices is None else prices
    return complete(
        experiments,
        partial(_job, prices=prices, device=device, forecasts=forecasts),
        Record,
        prices.checksum,
        together=partial(seeds_together, device=device),
        out=out,
        cost=cost,
        device=device,
        workers=workers,
        executor=executor,
        progress=progress,
    )


def complete(
    settings: Sequence[S],
    job: Callable[[tuple[S, ...]], list[R]],
    kind: type[R],
    checksum: str,
    *,
    cost: Callable[[S], int],
    device: str,
    together: Callable[[Sequence[S], int], list[tuple[S, ...]]] | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = True,
) -> list[R]:
    """Run what a record file lacks, side by side; see `run_all`.

    Parameters
    ----------
    settings : sequence of settings
        Of the runs, such as `Experiment`.
    job : callable
        Makes the runs of a batch and returns their records. It and the settings are
        pickled.
    kind : type
        Of the records.
    checksum : str
        Of the data.
    cost : callable
        Estimates the work of a run, for the time left.
    together : callable, optional
        From the runs and the number of workers to batches; by default each run is a
        batch of its own. A batch that fails is run again one by one.
    device, out, workers, executor, progress
        As in `run_all`.

    Returns
    -------
    list of records
        In the order of `settings`.

    Raises
    ------
    GridError, RecordFileError
        As in `run_all`.
    """
    keys = {one: kind.key_of(asdict(one), checksum) for one in settings}
    file = None if out is None else RecordFile(out, kind)
    done = {record.key: record for record in file.read()} if file else {}
    todo = [one for one, key in keys.items() if key not in done]
    failures: dict[S, BaseException] = {}
    with _executor(executor, workers, len(todo), device) as (pool, width):
        workers = max(1, width - 1)
        batches = together(todo, workers) if together else [(one,) for one in todo]
        for one, result in _results(pool, width, batches, job, cost, progress):
            if isinstance(result, BaseException):
                failures[one] = result
                continue
            if result.key != keys[one]:
                raise GridError(
                    f"{one} was run by another version of the package than this: "
                    "install the same one everywhere; what is done is kept"
                )
            if file is not None:
                file.append(result)
            done[result.key] = result
    _refuse_failures(failures)
    return [done[keys[one]] for one in settings]


def _job(
    batch: tuple[Experiment, ...], prices: Prices, device: str, forecasts: str
) -> list[Record]:
    fitted = fit_side_by_side(batch, prices, device=device, progress=False)
    return [record.with_forecasts(forecasts) for _, record in fitted]


def seeds_together(
    experiments: Sequence[Experiment], workers: int, device: str = "auto"
) -> list[tuple[Experiment, ...]]:
    """Put runs that differ in their seeds alone into batches, where that is faster.

    That is on a GPU, and on a CPU for small networks: five RNNs or LSTMs of up to 64
    units took half the time together, and from 256 units on hardly any was saved
    (7 days in, one thread).

    Parameters
    ----------
    experiments : sequence of Experiment
        Any.
    workers : int
        That the batches are for: what is alike is dealt out to them evenly, if each
        has a core of its own; not on a GPU, which they share.
    device : str
        See `choose_device`.

    Returns
    -------
    list of tuple of Experiment
        Each experiment once; batches in the order of their first.
    """
    on_gpu = choose_device(device).type == "cuda"
    alike: dict[Experiment, list[Experiment]] = {}
    for e in experiments:
        plain = e.layers == 1 and e.horizon == 1 and e.precision == "float32"
        pays = on_gpu or recurrent_weights(e) <= SMALL
        drawn = e.truncation == "randomized"  # links of its own for each seed
        alone = drawn or e.patience is not None  # each seed stops at its own epoch
        fits = plain and pays and not alone and e.cell in ("rnn", "lstm")
        alike.setdefault(replace(e, seed=0) if fits else e, []).append(e)
    return [
        tuple(seeds[first::parts])
        for seeds in alike.values()
        for parts in [1 if on_gpu else min(workers, len(seeds))]
        for first in range(parts)
    ]


def _results(
    pool: Executor,
    width: int,
    batches: Sequence[tuple[S, ...]],
    job: Callable[[tuple[S, ...]], list[R]],
    cost: Callable[[S], int],
    progress: bool,
) -> Iterator[tuple[S, R | BaseException]]:
    """Yield each settings with its record, or with the reason why it has none."""
    waiting, running = list(batches), dict[Future[list[R]], tuple[S, ...]]()
    todo, done = [one for batch in batches for one in batch], 0
    with _bar(todo, cost, progress) as bar:
        while waiting or running:
            while waiting and len(running) < width:
                batch = waiting.pop(0)
                running[pool.submit(job, batch)] = batch
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                batch, failure = running.pop(future), future.exception()
                if failure is not None and len(batch) > 1:
                    waiting = [(one,) for one in batch] + waiting
                    continue
                done += len(batch)
                bar.update(sum(map(cost, batch)))
                bar.set_description_str(f"{done} of {len(todo)} runs")
                results = [failure] if failure is not None else future.result()
                yield from zip(batch, results, strict=True)


def _bar(todo: Collection[S], cost: Callable[[S], int], progress: bool) -> "tqdm[Any]":
    return tqdm(
        total=sum(map(cost, todo)),  # the time left depends on it
        desc=f"0 of {len(todo)} runs",
        bar_format="{desc} {percentage:3.0f}% |{bar}| {elapsed}, {remaining} left",
        disable=None if progress and todo else True,  # None: if no terminal
    )


class _Here(Executor):
    """Runs a job where it is submitted."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        future = Future[Any]()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def _executor(
    executor: Executor | None, workers: int | None, jobs: int, device: str
) -> Iterator[tuple[Executor, int]]:
    """Yield what runs the jobs, and how many to give it at a time."""
    if executor is not None:
        yield executor, max(jobs, 1)
        return
    workers = min(workers or _workers(device), jobs)
    if workers < 2:
        yield _Here(), 1
        return
    context = _process_context()
    stop = context.Event()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (stop,))
    try:
        yield pool, workers + 1
    except BaseException:
        stop.set()  # do not wait for what is running
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _process_context() -> BaseContext:
    """Fork from a process that has imported torch but started no thread."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rnn_companion.forecasting.experiment"])
    return context


def _workers(device: str) -> int:
    cores = os.cpu_count() or 1
    return cores if choose_device(device).type == "cpu" else min(cores, 8)


def _start_worker(stop: Event) -> None:
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    threading.Thread(target=_leave_when_told, args=(stop,), daemon=True).start()


def _leave_when_told(stop: Event) -> None:
    """End this process when the parent says so, or has ended itself."""
    parent = multiprocessing.parent_process()
    while not stop.wait(1) and parent is not None and parent.is_alive():
        pass
    os._exit(1)


def _refuse_failures(failures: dict[S, BaseException]) -> None:
    for settings, error in failures.items():
        raise GridError(
            f"{len(failures)} of the runs failed, the others are done; the first to "
            f"fail, {settings}: {error}"
        ) from error


def recorded(
    path: str | Path,
    experiments: Iterable[Experiment],
    checksum: str,
    *,
    gaps: bool = False,
) -> dict[Experiment, Record]:
    """Look experiments up in a record file.

    Parameters
    ----------
    path : str or Path
        From `run_all`.
    experiments : iterable of Experiment
        What is wanted.
    checksum : str
        Of the data that it must have run on (`Prices.checksum`).
    gaps : bool
        Whether some of them, but not all, may be missing.

    Returns
    -------
    dict of Experiment to Record
        Those that ran with just these settings, on these data, by this version of
        the results.

    Raises
    ------
    MissingRecordError
        If one is missing: names it, and the command that makes it.
    RecordFileError
        If the file is torn or foreign.
    """
    wanted = list(experiments)
    command = f"rnn-companion grid --out {path} {_arguments(wanted)}"
    return RecordFile(path).find(wanted, checksum, command=command, gaps=gaps)


def _arguments(experiments: Sequence[Experiment]) -> str:
    """Write the arguments of ``rnn-companion grid`` that cover some experiments."""
    names = {
        "cells": "cell",
        "lengths": "length",
        "strategies": "configuration",
        "optimizers": "optimizer",
        "seeds": "seed",
        "protocol": "protocol",
        "hidden": "hidden_size",
    }
    values = {
        option: dict.fromkeys(str(getattr(e, name)) for e in experiments)
        for option, name in names.items()
    }
    return " ".join(f"--{option} {','.join(v)}" for option, v in values.items())
