"""The promises of a grid: every run once, in order, whatever stops it."""

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnn_companion.cli import main
from rnn_companion.forecasting import grid as grids
from rnn_companion.forecasting.experiment import DivergenceError, Experiment, run
from rnn_companion.forecasting.grid import (
    GridError,
    cost,
    grid,
    recorded,
    run_all,
    study_table,
    table,
)
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.records import (
    RESULTS,
    MissingRecordError,
    Record,
    RecordFile,
    RecordFileError,
)
from tests.forecasting.conftest import in_batches

DAYS = 80
STUDY = [
    (cell, length, configuration, optimizer)
    for cell in ("rnn", "lstm")
    for length in (3, 7, 50, 100)
    for configuration in ("many-to-many-aligned", "many-to-one")
    for optimizer in ("adam", "sgd")
]


@pytest.fixture(scope="module")
def small() -> list[Experiment]:
    return grid(lengths=(3, 5), epochs=2, hidden_size=4, batch_size=8)


@pytest.fixture(scope="module")
def reference(small: list[Experiment], prices: Prices) -> list[Record]:
    return [_timeless(run(e, prices, device="cpu", progress=False)) for e in small]


@pytest.fixture
def csv(tmp_path: Path, prices: Prices) -> Path:
    path = tmp_path / "made.csv"
    table = pd.DataFrame({"date": prices.dates, "close": prices.close})
    table.to_csv(path, index=False)
    return path


def _timeless(record: Record) -> Record:
    """All of a record but when it was made and how long that took."""
    return replace(record, provenance=replace(record.provenance, date="", seconds=0.0))


def _same(records: list[Record], reference: list[Record]) -> bool:
    return [_timeless(record) for record in records] == reference


def test_the_default_grid_is_the_studys() -> None:
    experiments = grid()
    found = [(e.cell, e.length, e.configuration, e.optimizer) for e in experiments]
    assert found == STUDY
    assert {(e.optimizer, e.epochs) for e in experiments} == {
        ("adam", 10),
        ("sgd", 100),
    }
    shared = {(e.hidden_size, e.batch_size, e.learning_rate) for e in experiments}
    assert shared == {(512, 32, 1e-3)}


def test_seeds_and_other_settings_reach_every_experiment() -> None:
    experiments = grid(seeds=(4, 5), epochs=3, protocol="source", layers=2)
    assert len(experiments) == 64
    assert {(e.epochs, e.protocol, e.layers) for e in experiments} == {(3, "source", 2)}
    assert [e.seed for e in experiments[:4]] == [4, 5, 4, 5]


@pytest.mark.slow
def test_records_come_in_the_order_asked_for(
    small: list[Experiment], prices: Prices, reference: list[Record]
) -> None:
    turned = small[::-1]
    with ThreadPoolExecutor(3) as threads:
        records = run_all(turned, prices, device="cpu", executor=threads)
    assert _same(records[::-1], reference)


def test_an_experiment_asked_for_twice_is_run_once(
    small: list[Experiment], prices: Prices, tmp_path: Path
) -> None:
    out = tmp_path / "records.jsonl"
    records = run_all([small[0], small[1], small[0]], prices, out=out, workers=1)
    assert records[0] is records[2]
    assert len(RecordFile(out).read()) == 2


def test_what_is_in_the_file_is_not_run_again(
    small: list[Experiment],
    prices: Prices,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "records.jsonl"
    first = run_all(small[:3], prices, out=out, workers=1, device="cpu")
    ran = []

    def spy(experiment: Experiment, data: Prices, **more: object) -> Record:
        ran.append(experiment)
        return run(experiment, data, progress=False)

    monkeypatch.setattr(grids, "fit_side_by_side", in_batches(spy))
    again = run_all(small[:5], prices, out=out, workers=1, device="cpu")
    assert ran == small[3:5]
    assert again[:3] == first
    other = Prices(prices.dates, prices.close + 1, "other")
    run_all(small[:1], other, out=out, workers=1)
    assert ran == [*small[3:5], small[0]]  # other data, another run
    monkeypatch.setitem(RESULTS, "forecast", RESULTS["forecast"] + 1)
    run_all(small[:1], prices, out=out, workers=1)
    assert ran[3:] == small[:1]  # another version of the results, another run


def test_what_another_version_ran_is_refused_and_not_kept(
    small: list[Experiment],
    prices: Prices,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A cluster's worker may have another version of the package installed."""
    out = tmp_path / "records.jsonl"

    def other(*args: Any, **kwargs: Any) -> Record:  # noqa: ANN401
        record = run(*args, **kwargs)
        return replace(record, provenance=replace(record.provenance, results=99))

    monkeypatch.setattr(grids, "fit_side_by_side", in_batches(other))
    with pytest.raises(GridError, match="was run by another version of the package"):
        run_all(small[:1], prices, out=out, workers=1)
    assert not out.exists()


def test_only_records_of_these_settings_data_and_results_are_found(
    small: list[Experiment],
    prices: Prices,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "records.jsonl"
    first, second = run_all(small[:2], prices, out=out, workers=1, device="cpu")
    wanted = [small[1], small[2]]
    assert recorded(out, wanted, prices.checksum, gaps=True) == {small[1]: second}
    found = recorded(out, small, prices.checksum, gaps=True)
    assert list(found.values()) == [first, second]
    with pytest.raises(MissingRecordError, match="lacks 2 of 2 records"):
        recorded(out, small[:2], "other data", gaps=True)
    monkeypatch.setitem(RESULTS, "forecast", RESULTS["forecast"] + 1)
    with pytest.raises(MissingRecordError, match=f"version {RESULTS['forecast']} of"):
        recorded(out, small[:2], prices.checksum, gaps=True)


def test_a_missing_record_is_named_with_the_command_that_makes_it(
    prices: Prices, csv: Path, tmp_path: Path
) -> None:
    """Run the very command: then nothing is missing any more."""
    out = tmp_path / "records.jsonl"
    wanted = grid(cells=("lstm",), lengths=(3, 5), seeds=(1,), protocol="source")
    wanted = [replace(e, hidden_size=4, epochs=1) for e in wanted]
    with pytest.raises(MissingRecordError) as error:
        recorded(out, wanted, prices.checksum)
    message, command = str(error.value).split("; to make them: rnn-companion ")
    assert f"{out} lacks 8 of 8 records" in message
    assert str(wanted[0]) in message
    small = ["--epochs", "1", "--hidden", "4", "--workers", "1", "--device", "cpu"]
    assert main([*command.split(), *small, "--data", str(csv)]) == 0
    assert set(recorded(out, wanted, prices.checksum)) == set(wanted)
    with pytest.raises(MissingRecordError, match=r"lacks 1 of 9 records.*length=4"):
        recorded(out, [*wanted, replace(wanted[0], length=4)], prices.checksum)


def test_a_file_that_holds_something_else_is_refused_before_anything_runs(
    small: list[Experiment], prices: Prices, tmp_path: Path
) -> None:
    out = tmp_path / "notes.txt"
    out.write_text("my notes\n")
    with pytest.raises(RecordFileError, match=r"notes\.txt, line 1: not a record"):
        run_all(small, prices, out=out)
    assert out.read_text() == "my notes\n"


def test_one_run_that_fails_costs_only_itself(
    small: list[Experiment], prices: Prices, tmp_path: Path
) -> None:
    wild = replace(small[1], learning_rate=1e30, epochs=5)
    out = tmp_path / "records.jsonl"
    with pytest.raises(GridError, match="1 of the runs failed") as error:
        run_all([wild, *small[:2]], prices, out=out, workers=1)
    assert isinstance(error.value.__cause__, DivergenceError)
    assert len(RecordFile(out).read()) == 2


@pytest.mark.slow
def test_twenty_kills_and_the_grid_is_what_it_would_have_been(
    small: list[Experiment], prices: Prices, reference: list[Record], tmp_path: Path
) -> None:
    """Kill at random moments; each start goes on where the last was stopped."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rnn_companion.forecasting.grid"])
    settings = {"workers": 1, "device": "cpu", "progress": False}
    draw, kills, rounds = random.Random(0), 0, 0
    out = tmp_path / "0.jsonl"
    while kills < 20:
        job = {**settings, "out": out}
        process = context.Process(target=run_all, args=(small, prices), kwargs=job)
        process.start()
        process.join(draw.uniform(0.02, 0.5))
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        records = RecordFile(out).read()
        assert len({record.key for record in records}) == len(records)
        if len(records) == len(small):  # all done: begin another
            assert sorted(map(str, map(_timeless, records))) == sorted(
                map(str, reference)
            )
            rounds += 1
            out = tmp_path / f"{rounds}.jsonl"
    assert _same(run_all(small, prices, out=out, **settings), reference)  # type: ignore[arg-type]
    assert len(RecordFile(out).read()) == len(small)


@pytest.mark.slow
def test_processes_side_by_side_die_with_the_one_that_started_them(
    csv: Path, tmp_path: Path
) -> None:
    """Kill the command, find no process left, run it again: the same records."""
    out = tmp_path / "records.jsonl"
    words = "grid --lengths 3,5 --epochs 20 --hidden 32 --seeds 0,1,2 --workers 2"
    arguments = [*words.split(), "--data", str(csv), "--out", str(out)]
    program = f"import sys; from rnn_companion.cli import main; main({arguments})"
    command = subprocess.Popen(
        [sys.executable, "-c", program], start_new_session=True, env=_one_thread()
    )
    _wait_for(lambda: out.exists() and out.stat().st_size > 0)
    command.kill()
    command.wait()
    done = len(RecordFile(out).read())
    assert 0 < done < 48
    _wait_for(lambda: not _group_lives(command.pid))
    assert main([*arguments[:-6], "--workers", "1", *arguments[-4:]]) == 0
    records = RecordFile(out).read()
    assert len(records) == len({record.key for record in records}) == 48


def _one_thread() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}


def _wait_for(condition: "object", seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_stops_with_one_line_and_loses_nothing(
    csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "records.jsonl"
    calls = []

    def interrupted(experiment: Experiment, *args: object, **kw: object) -> Record:
        calls.append(experiment)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return run(experiment, *args, **kw)  # type: ignore[arg-type]

    monkeypatch.setattr(grids, "fit_side_by_side", in_batches(interrupted))
    command = [*_small_command(csv, out)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    assert main(command) == 130
    signal.signal(signal.SIGINT, before)  # a background job may ignore it
    printed = capsys.readouterr().err.splitlines()
    assert printed[-1] == "rnn-companion: stopped; the same command goes on"
    assert len(RecordFile(out).read()) == 2
    assert main(command) == 0
    assert len(calls) == 3 + 6
    assert len(RecordFile(out).read()) == 8


def _small_command(csv: Path, out: Path, *more: str) -> list[str]:
    words = "grid --lengths 3 --epochs 1 --hidden 4 --workers 1 --device cpu"
    return [*words.split(), "--data", str(csv), "--out", str(out), *more]


@contextmanager
def _dask_cluster(
    folder: Path,
) -> Iterator[tuple[Executor, list[subprocess.Popen[bytes]]]]:
    """Start a scheduler and two workers, processes of their own, on loopback."""
    from distributed import Client

    where = ["--scheduler-file", str(folder / "scheduler.json")]
    loop = ["--host", "127.0.0.1", "--no-dashboard"]
    at_work = [*loop, "--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
    commands = [
        ["scheduler", *where, "--port", "0", *loop],
        *[["worker", *where, *at_work]] * 2,
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "dask", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_one_thread(),
        )
        for command in commands
    ]
    try:
        _wait_for((folder / "scheduler.json").exists)
        with Client(scheduler_file=str(folder / "scheduler.json")) as client:
            client.wait_for_workers(2, timeout=120)
            yield client.get_executor(), processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the cluster's own clean-up
def test_a_cluster_that_loses_a_worker_loses_no_run(
    prices: Prices, tmp_path: Path
) -> None:
    experiments = grid(lengths=(3, 5), epochs=10, hidden_size=16, batch_size=8)
    out = tmp_path / "records.jsonl"
    with _dask_cluster(tmp_path) as (executor, workers):

        class Killing(Executor):
            """Kills a worker when the first run comes back."""

            def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
                future: Future[Any] = executor.submit(fn, *args, **kwargs)
                future.add_done_callback(lambda _: workers[0].kill())
                return future

        records = run_all(
            experiments, prices, out=out, executor=Killing(), device="cpu"
        )
        assert workers[0].wait(30) == -signal.SIGKILL
    with_one_thread = [
        run(e, prices, device="cpu", progress=False) for e in experiments
    ]
    for record, expected in zip(records, with_one_thread, strict=True):
        assert record.settings == expected.settings
        assert record.mse == pytest.approx(expected.mse, rel=1e-4)
    kept = [record.key for record in RecordFile(out).read()]
    assert sorted(kept) == sorted(record.key for record in records)


def test_the_command_makes_the_grid_it_is_asked_for(
    csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "records.jsonl"
    more = ("--cells", "lstm", "--seeds", "1,2", "--protocol", "source")
    assert main(_small_command(csv, out, *more, "--forecasts", "none")) == 0
    assert capsys.readouterr().out == f"8 records in {out}\n"
    records = RecordFile(out).read()
    names = ("cell", "seed", "protocol", "length", "epochs", "hidden_size")
    assert {tuple(r.settings[n] for n in names) for r in records} == {
        ("lstm", seed, "source", 3, 1, 4) for seed in (1, 2)
    }
    assert all(r.forecasts is None for r in records)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--cells", "rnn,gruu"), "unknown cell 'gruu': choose one of rnn, lstm, gru"),
        (("--strategies", "one"), "unknown configuration 'one': choose one of"),
        (("--lengths", "90"), "too few for a window"),
        (("--device", "quantum"), "quantum"),
        (("--epochs", "0"), "epochs must be positive"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(
    csv: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    message: str,
) -> None:
    out = tmp_path / "records.jsonl"
    assert main(_small_command(csv, out, *more)) in (1, 2)
    printed = capsys.readouterr().err
    assert message in printed
    assert "Traceback" not in printed


def test_a_list_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["grid", "--out", "x", "--lengths", "3,x"])
    assert "'3,x' is not a list of numbers such as 3,7,50" in capsys.readouterr().err


def test_the_table_is_the_mean_over_seeds_in_the_studys_form(
    prices: Prices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "records.jsonl"
    experiments = grid(
        lengths=(5, 3), cells=("rnn",), seeds=(0, 1), epochs=1, hidden_size=4
    )
    records = run_all(experiments, prices, out=out, workers=1)
    cells = table(records)
    assert len(cells) == 8
    first = [
        r
        for r in records
        if r.settings == records[0].settings | {"seed": r.settings["seed"]}
    ]
    errors = [float(np.mean(r.mse_by_position)) for r in first]
    row = cells.iloc[0]
    assert row["seeds"] == len(errors) == 2
    assert row["mse"] == pytest.approx(sum(errors) / 2)
    assert (row["least"], row["greatest"]) == (min(errors), max(errors))
    (text,) = study_table(cells)
    *_, three, five, last = text.splitlines()
    assert (three.split()[0], five.split()[0]) == ("3", "5")
    naive = cells["persistence"].mean()
    assert last == f"tomorrow = today: {naive:.2g} in the mean"

    assert main(["table", "--json", str(out)]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert as_json[0]["mse"] == pytest.approx(row["mse"])
    assert main(["table", str(out)]) == 0
    assert capsys.readouterr().out == text + "\n"


def test_the_table_of_no_file_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: no such file" in capsys.readouterr().err


def test_the_cost_orders_the_study_as_its_times_do() -> None:
    costs = [cost(e) for e in grid(cells=("rnn",), optimizers=("adam",))]
    assert costs[0] == costs[1] < costs[2] == costs[3] < costs[4]
    assert cost(grid(cells=("lstm",))[0]) == 4 * costs[0]


@pytest.mark.slow
def test_workers_compute_on_one_thread_each() -> None:
    """Else two processes on two cores would wait for each other."""
    before = torch.get_num_threads()
    from rnn_companion.forecasting.grid import _executor

    with _executor(None, 2, 2, "cpu") as (pool, width):
        assert pool.submit(torch.get_num_threads).result() == 1
        assert width == 3
    assert torch.get_num_threads() == before
