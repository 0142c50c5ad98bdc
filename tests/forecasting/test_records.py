"""The promises of a record file: whole lines, nothing lost, nothing overwritten."""

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
import torch

from rnn_companion import run
from rnn_companion.forecasting import records
from rnn_companion.forecasting.records import (
    Forecasts,
    MissingRecordError,
    Provenance,
    Record,
    RecordFile,
    RecordFileError,
    allowed_difference,
    origin,
)
from rnn_companion.forecasting.settings import Experiment
from tests.forecasting.small_runs import made_prices

BOOK = Path(__file__).parents[2] / "book" / "records"
PLACE = Provenance("MSFT", "sum", "cpu", {"torch": "2"}, "2026-01-01", 1.0, 1)


def make(seed: int = 0, size: int = 0) -> Record:
    series = tuple(0.1 * n for n in range(size))
    forecasts = Forecasts(
        dates=("2013-01-02",) * size,
        positions=tuple(1 + n % 3 for n in range(size)),
        truth=series,
        forecast=series,
        persistence=series,
        minimum=1.0,
        maximum=2.0,
    )
    errors = (0.5, 0.25, 0.125)
    return Record(
        {"cell": "rnn", "seed": seed},
        (1.0,),
        (1.0,),
        errors,
        errors,
        forecasts if size else None,
        PLACE,
    )


@pytest.fixture
def file(tmp_path: Path) -> RecordFile[Record]:
    return RecordFile(tmp_path / "deep" / "records.jsonl")


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rnn_companion.forecasting.records"])
    return context


def test_numbers_say_where_they_come_from() -> None:
    later = replace(PLACE, device="a GPU", date="2026-02-03T04:05:06", seconds=2.6)
    two = [make(), replace(make(1), provenance=later)]
    assert origin(two) == (
        "(Recorded: 2 runs on a GPU, cpu, 2026-01-01 to 2026-02-03, 4 seconds.)"
    )
    assert origin(two[:1], live=True) == (
        "(Run when this page was built: 1 run on cpu, 2026-01-01, 1 seconds.)"
    )


def test_where_a_run_was_made_can_stand_for_its_record() -> None:
    two = [make(), make(1)]
    assert origin([PLACE, PLACE]) == origin(two)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_rounding_stays_within_what_is_allowed_and_another_seed_does_not(
    cell: str,
) -> None:
    """The same training in float64, where a rounding is nothing."""
    experiment = Experiment(cell=cell, length=3, hidden_size=16, epochs=2)
    prices = made_prices(200)
    model, split = experiment.model().double(), experiment.split(prices)
    X, Y = split.training.inputs.double(), split.training.targets.double()
    optimizer = torch.optim.Adam(model.parameters(), lr=experiment.learning_rate)
    order = experiment.generator("order")
    for _ in range(experiment.epochs):
        for batch in torch.randperm(X.shape[1], generator=order).split(32):
            optimizer.zero_grad()
            (model(X[:, batch]) - Y[:, batch]).square().mean().backward()
            optimizer.step()
    with torch.no_grad():
        forecast = model(split.validation.inputs.double())
    exact = (forecast - split.validation.targets).square().mean().item()
    same, other = (
        run(replace(experiment, seed=seed), prices, progress=False).mse
        for seed in (0, 1)
    )
    assert abs(same / exact - 1) <= allowed_difference("forecast")
    assert abs(other / exact - 1) > allowed_difference("forecast")


def test_the_allowed_difference_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown kind 'poem': choose one of forecast"):
        allowed_difference("poem")


def test_what_is_added_is_read_back_in_order(file: RecordFile[Record]) -> None:
    assert file.read() == []
    for seed in range(3):
        file.append(make(seed, 4))
    assert file.read() == [make(seed, 4) for seed in range(3)]
    assert len(file.path.read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda text: text[:-20], 3),
        (lambda text: text.replace('"cell"', "cell", 1), 1),
        (lambda text: text + "date,close\n", 4),
        (lambda text: text + "\n", 4),
        (lambda text: text + "{}\n", 4),
        (lambda text: text + "[1]\n", 4),
    ],
    ids=["torn", "broken JSON", "a CSV", "blank", "no record", "no object"],
)
@pytest.mark.parametrize("use", ["read", "append"])
def test_a_damaged_file_is_refused_by_line_and_left_alone(
    file: RecordFile[Record], damage: Callable[[str], str], line: int, use: str
) -> None:
    for seed in range(3):
        file.append(make(seed))
    text = damage(file.path.read_text())
    file.path.write_text(text)
    again = RecordFile(file.path)
    with pytest.raises(RecordFileError, match=rf"records\.jsonl, line {line}: .*") as e:
        again.read() if use == "read" else again.append(make(9))
    assert "correct or remove the line" in str(e.value)
    assert file.path.read_text() == text


def test_a_line_torn_after_it_was_trusted_is_refused_too(
    file: RecordFile[Record],
) -> None:
    file.append(make())
    with file.path.open("a") as torn:
        torn.write("half")
    with pytest.raises(RecordFileError, match="line 2: the line is torn"):
        file.append(make())


@pytest.mark.parametrize("written", [0, 1, 100])
def test_a_full_disk_leaves_the_file_as_it_was(
    file: RecordFile[Record], monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    file.append(make(0))
    before = file.path.read_bytes()

    class Full:
        name = "records.jsonl"

        def __init__(self, real: object) -> None:
            self.real = real

        def write(self, line: bytes) -> int:
            return int(self.real.write(line[:written]))  # type: ignore[attr-defined]

    real_write = records._write
    monkeypatch.setattr(records, "_write", lambda f, line: real_write(Full(f), line))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="the disk is full"):
        file.append(make(1))
    assert file.path.read_bytes() == before
    monkeypatch.undo()
    file.append(make(1))
    assert file.read() == [make(0), make(1)]


@pytest.mark.slow
def test_two_processes_adding_at_once_lose_nothing(
    file: RecordFile[Record], processes: ForkServerContext
) -> None:
    crowd = [
        processes.Process(
            target=list,  # appends as it goes through the map
            args=(map(file.append, [make(seed, 300) for seed in range(n, n + 20)]),),
        )
        for n in (0, 20, 40)
    ]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
    assert sorted(r.settings["seed"] for r in file.read()) == list(range(60))


@pytest.mark.slow
def test_twenty_kills_while_adding_tear_nothing(
    file: RecordFile[Record], processes: ForkServerContext
) -> None:
    """Each record is 2 MB, so that a kill often falls into a write."""
    draw, big = random.Random(0), make(0, 30_000)
    whole = 0
    for _ in range(20):
        writer = processes.Process(target=list, args=(map(file.append, [big] * 9),))
        writer.start()
        deadline = time.monotonic() + 20
        while not file.path.exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.2))
        writer.kill()
        writer.join()
        lines = len(file.read())
        assert lines >= whole
        whole = lines
    assert whole > 0
    assert all(record == big for record in file.read())


def test_half_a_line_of_a_killed_writer_is_taken_back(file: RecordFile[Record]) -> None:
    file.append(make(0))
    before = file.path.read_bytes()
    undo = file.path.with_name("records.jsonl.undo")
    undo.write_text(str(len(before)))
    file.path.write_bytes(before + make(1).to_json()[:50].encode())
    assert RecordFile(file.path).read() == [make(0)]
    assert file.path.read_bytes() == before
    assert not undo.exists()


def test_a_whole_line_of_a_killed_writer_is_kept(file: RecordFile[Record]) -> None:
    file.append(make(0))
    length = file.path.stat().st_size
    file.append(make(1))
    file.path.with_name("records.jsonl.undo").write_text(str(length))
    assert RecordFile(file.path).read() == [make(0), make(1)]
    file.append(make(2))
    assert file.read() == [make(0), make(1), make(2)]


def test_reading_leaves_no_trace(file: RecordFile[Record]) -> None:
    file.append(make())
    for other in file.path.parent.glob("*.lock"):
        other.unlink()
    file.read()
    assert os.listdir(file.path.parent) == ["records.jsonl"]


def test_the_key_is_settings_data_and_version_of_the_results() -> None:
    record = make()
    for other in (
        replace(record, settings={"seed": 0, "cell": "lstm"}),
        replace(record, provenance=replace(PLACE, checksum="other")),
        replace(record, provenance=replace(PLACE, results=2)),
    ):
        assert other.key != record.key
    swapped = dict(reversed(record.settings.items()))
    later = replace(PLACE, date="2027-01-01", seconds=9.0, device="gpu")
    assert replace(record, settings=swapped, provenance=later).key == record.key


def test_a_record_from_before_a_setting_counts_as_having_its_default(
    tmp_path: Path,
) -> None:
    """Settings that come later leave older records where they are found."""

    @dataclass(frozen=True)
    class Later(Experiment):
        weather: float | None = None
        weekday: int = 0

    class LaterRecord(Record):
        made_from = Later

    older = make()  # has neither, nor most others
    assert older.key == Record.key_of(asdict(Experiment(cell="rnn", seed=0)), "sum")
    assert replace(older, settings={}).key == older.key  # both are defaults
    file = RecordFile(tmp_path / "records.jsonl", LaterRecord)
    file.append(LaterRecord(**vars(older)))
    wanted = Later(weather=None)
    assert file.find([wanted], "sum", command="")[wanted].settings == older.settings
    for other in (Later(weather=1.0), Later(weekday=3), Later(seed=1)):
        with pytest.raises(MissingRecordError, match="lacks 1 of 1"):
            file.find([other], "sum", command="")


def test_every_record_of_the_book_is_found_by_its_own_settings() -> None:
    """None is of older results, or of settings that have changed since."""
    for path in sorted(BOOK.glob("*-protocol*.jsonl")):
        records = RecordFile(path).read()
        wanted = {r.experiment: r for r in records}
        assert len(wanted) == len(records) > 0
        checksum = records[0].provenance.checksum
        assert RecordFile(path).find(wanted, checksum, command="") == wanted


def test_gaps_must_be_allowed_and_a_file_without_any_is_no_gap(
    file: RecordFile[Record],
) -> None:
    file.append(make())
    known, other = Experiment(), Experiment(seed=1)
    assert list(file.find([other, known], "MSFT", command="", gaps=True)) == [known]
    with pytest.raises(MissingRecordError, match=r"1 of 2 .*seed=1.*them: run it"):
        file.find([known, other], "MSFT", command="run it")
    with pytest.raises(MissingRecordError, match="lacks 1 of 1"):
        file.find([other], "MSFT", command="", gaps=True)
    with pytest.raises(MissingRecordError, match="lacks 1 of 1"):
        file.find([known], "other data", command="")


def test_the_ends_are_the_first_and_last_output() -> None:
    ends = make(size=9).with_forecasts("ends").forecasts
    assert ends is not None
    assert ends.positions == (1, 3) * 3
    assert ends.truth == tuple(0.1 * n for n in (0, 2, 3, 5, 6, 8))
    assert make(size=9).with_forecasts("none").forecasts is None
    assert make(size=9).with_forecasts("all") == make(size=9)
    with pytest.raises(ValueError, match="'some': choose one of all, ends, none"):
        make(size=9).with_forecasts("some")
