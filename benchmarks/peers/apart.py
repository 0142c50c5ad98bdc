"""A process for each peer: libraries, threads and settings do not meet."""

import multiprocessing
import os
import time
import warnings
from collections.abc import Iterator
from importlib import import_module
from multiprocessing.connection import Connection

import torch

from benchmarks.peers import PEERS
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.windows import Windows

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def apart(
    name: str, experiment: Experiment, windows: Windows, threads: int, clock: str
) -> Iterator[tuple[float, float]]:
    """Train a peer in its own process; yield loss and seconds of each epoch.

    The process starts with the first turn, and waits while others have theirs.
    """
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    asked = there, name, experiment, windows, threads, clock
    process = spawn.Process(target=_serve, args=asked, daemon=True)
    process.start()
    there.close()
    try:
        for _ in range(experiment.epochs):
            here.send("your turn")
            yield here.recv()
    except EOFError:
        raise RuntimeError(f"{name} has stopped: see its own message above") from None
    finally:
        process.kill()  # a Trainer would not be terminated
        process.join()


def _serve(
    pipe: Connection,
    name: str,
    experiment: Experiment,
    windows: Windows,
    threads: int,
    clock: str,
) -> None:
    """In the peer's process: train, and wait for each turn."""
    now = CLOCKS[clock]
    pipe.recv()
    started = now()

    def done(loss: float) -> None:
        nonlocal started
        pipe.send((loss, now() - started))
        pipe.recv()
        started = now()

    backend = PEERS[name].backend
    os.environ |= {"KERAS_BACKEND": backend, "NPROC": str(threads)}  # XLA's threads
    torch.set_num_threads(threads)
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    warnings.simplefilter("ignore")
    train = import_module(f"benchmarks.peers.{PEERS[name].module}").train
    train(experiment, windows, done)
