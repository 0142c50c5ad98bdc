"""What the room of forecasting promises of records, prices and grids."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from rnn_companion import (
    Experiment,
    Record,
    grid,
    load_prices,
    origin,
    run,
    run_all,
)
from rnn_companion.forecasting import grid as grids
from rnn_companion.forecasting.grid import GridError, cost
from rnn_companion.forecasting.records import (
    Provenance,
    RecordFile,
    RunRecord,
)
from tests.forecasting.conftest import in_batches

from ._promises_forecasting import PLACE, made, record

# Records


def test_errors_and_skill_in_plain_numbers() -> None:
    """`eq-skill`: 1 - 0.2 / 0.625."""
    assert record().mse == pytest.approx(0.2)
    assert record().persistence_mse == pytest.approx(0.625)
    assert record().skill == pytest.approx(1 - 0.32)


def test_the_table_of_forecasts_is_in_dollars_and_in_order() -> None:
    forecasts = record().forecasts
    assert forecasts is not None
    table = forecasts.table()
    assert list(table.index) == [0, 1, 2, 3]
    assert list(table.columns) == [
        "date",
        "position",
        "truth",
        "forecast",
        "persistence",
    ]
    assert list(table["date"].dt.day) == [2, 3, 3, 6]
    assert list(table["position"]) == [1, 1, 2, 2]
    assert table["truth"].tolist() == [20, 10, 40, 30]
    assert table["forecast"].tolist() == pytest.approx([14, 12, 18, 16])
    assert table["persistence"].tolist() == [15, 20, 0, 10]
    scaled = forecasts.table(dollars=False)
    assert scaled["truth"].tolist() == [0.5, 0.0, 1.5, 1.0]


def test_forecasts_that_are_not_kept_cannot_be_cut_down() -> None:
    bare = record().with_forecasts("none")
    for which in ("all", "ends", "none"):
        assert bare.with_forecasts(which) == bare
    long = record(mse_by_position=(0.1, 0.2, 0.3)).with_forecasts("ends").forecasts
    assert long is not None
    assert long.positions == (1, 1)  # of positions 1 and 3 there is only the first
    assert record().with_forecasts("ends") == record()  # of two both are ends
    assert record().with_forecasts("none") == bare


def test_a_key_does_not_depend_on_the_order_of_settings() -> None:
    one, other = {"b": 1, "a": {"d": 2, "c": 3}}, {"a": {"c": 3, "d": 2}, "b": 1}
    assert record(settings=one).key == record(settings=other).key
    filled = asdict(Experiment()) | one  # what is missing has its default
    assert json.loads(record(settings=one).key) == [filled, "sum", 1]


def test_an_empty_file_holds_no_records_and_takes_the_first(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.touch()
    file = RecordFile(path)
    assert file.read() == []
    file.append(record())
    assert file.read() == RecordFile(path).read() == [record()]
    assert path.read_text() == record().to_json() + "\n"
    assert not (tmp_path / "records.jsonl.undo").exists()


def test_a_record_in_a_folder_that_is_not_there_makes_it(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "not" / "there" / "records.jsonl")
    file.append(record())
    assert file.read() == [record()]


def test_a_record_may_hold_dataclasses_and_tuples_of_them() -> None:
    @dataclass(frozen=True)
    class Point:
        name: str
        at: tuple[float, ...]

    @dataclass(frozen=True)
    class Drawn(RunRecord):
        kind = "memory"
        made_from = Experiment
        settings: dict[str, Any]
        provenance: Provenance
        best: Point | None
        points: tuple[Point, ...]
        numbers: tuple[int, ...]

    two = Point("a", (1.0, 2.0)), Point("b", ())
    for best in (two[0], None):
        drawn = Drawn({"seed": 1}, PLACE, best, two, (1, 2))
        assert Drawn.from_json(drawn.to_json()) == drawn


def test_origin_counts_runs_and_adds_up_their_seconds() -> None:
    same = [record()] * 3
    assert origin(same) == "(Recorded: 3 runs on cpu, 2026-01-01, 3 seconds.)"


# Prices


def write(folder: Path, text: str) -> Path:
    file = folder / "prices.csv"
    file.write_text(text)
    return file


def test_the_twelfth_day_of_a_month_tells_no_order(tmp_path: Path) -> None:
    """Only a number above 12 cannot be a month."""
    both = write(tmp_path, "Date,Close\n12/1/2020,1\n1/12/2020,2\n12/12/2020,3")
    with pytest.raises(ValueError, match="could be read with the day or the month"):
        load_prices(both)
    day = load_prices(write(tmp_path, "Date,Close\n12/1/2020,1\n13/1/2020,2"))
    assert list(day.dates.strftime("%m-%d")) == ["01-12", "01-13"]
    month = load_prices(write(tmp_path, "Date,Close\n1/12/2020,1\n1/13/2020,2"))
    assert list(month.dates.strftime("%m-%d")) == ["01-12", "01-13"]


@pytest.mark.parametrize("dayfirst", [None, True])
def test_what_a_row_tells_may_be_told_as_well(
    tmp_path: Path, dayfirst: bool | None
) -> None:
    file = write(tmp_path, "Date,Close\n2/1/2020,1\n13/1/2020,2")
    assert load_prices(file, dayfirst=dayfirst).dates[0] == pd.Timestamp(2020, 1, 2)
    with pytest.raises(ValueError, match=r"row 3: .* cannot be read with dayfirst=Fal"):
        load_prices(file, dayfirst=False)


@pytest.mark.parametrize("text", ["2020-01-02", "2020/1/2", "2020.01.02", "20200102"])
@pytest.mark.parametrize("time", ["", " 16:00:00", "T09:30"])
@pytest.mark.parametrize("dayfirst", [None, True, False])
def test_a_date_that_begins_with_its_year_has_one_meaning(
    tmp_path: Path, text: str, time: str, dayfirst: bool | None
) -> None:
    file = write(tmp_path, f"Date,Close\n{text}{time},1.5")
    found = load_prices(file, dayfirst=dayfirst)
    assert found.dates[0] == pd.Timestamp(2020, 1, 2)
    assert found.close.tolist() == [1.5]


@pytest.mark.parametrize("text", ["2020-01/02", "1/2-2020", "2020-01-021", "2020-1-2x"])
def test_what_is_nearly_a_date_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"row 2: .* is not a date"):
        load_prices(write(tmp_path, f"Date,Close\n{text},1"), dayfirst=True)


def test_rows_are_counted_as_lines_of_the_file(tmp_path: Path) -> None:
    """Blank lines count; all rows of a day are named."""
    text = "Date,Close\n2020-01-02,1\n\n2020-01-03,2\n2020-01-02,3\n\n2020-01-02,4\n"
    with pytest.raises(ValueError, match="'Date', rows 2 and 5 and 7: 2020-01-02 stan"):
        load_prices(write(tmp_path, text))
    with pytest.raises(ValueError, match="column 'Close', row 4: 'x' is not a number"):
        load_prices(write(tmp_path, "Date,Close\n\n2020-01-02,1\n2020-01-03,x"))


def test_columns_are_found_by_any_case_and_the_best_price_first(tmp_path: Path) -> None:
    text = "CLOSE\t Timestamp\tADJ CLOSE\n9\t2020-01-02\t$1.5"
    file = write(tmp_path, text)
    assert load_prices(file).close.tolist() == [1.5]
    assert load_prices(file, column="close").close.tolist() == [9]
    with pytest.raises(ValueError, match=r"no price column among .*; name one of them"):
        load_prices(file, column="open")


def test_the_smallest_price_is_positive(tmp_path: Path) -> None:
    found = load_prices(write(tmp_path, "Date,Close\n2020-01-02,0.01\n2020-01-03,1e-9"))
    assert found.close.tolist() == [0.01, 1e-9]
    assert len(found) == 2


# Grids


def test_cost_is_the_number_of_products_with_a_recurrent_weight() -> None:
    """Epochs, steps and weights written out: gates times units squared a layer."""
    base = Experiment(length=5, hidden_size=3, epochs=7)
    assert cost(base) == 7 * 5 * 3 * 3
    assert cost(replace(base, layers=2)) == 2 * cost(base)
    assert cost(replace(base, cell="lstm")) == 4 * cost(base)
    assert cost(replace(base, cell="gru")) == 3 * cost(base)


def test_epochs_are_the_reports_unless_told_otherwise() -> None:
    names = ("adam", "sgd", "rmsprop")

    def epochs(**more: int) -> list[int]:
        one = grid(cells=("rnn",), lengths=(3,), optimizers=names, **more)  # type: ignore[arg-type]
        return [e.epochs for e in one][:3]

    assert epochs() == [10, 100, 10]
    assert epochs(epochs=2) == [2, 2, 2]


@pytest.mark.parametrize(
    ("device", "cores", "workers"),
    [("cpu", 4, 4), ("cpu", 64, 64), ("cpu", None, 1), ("cuda", 4, 4), ("cuda", 64, 8)],
)
def test_there_is_a_worker_a_core_but_few_on_one_gpu(
    device: str, cores: int | None, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grids, "choose_device", torch.device)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert grids._workers(device) == workers


def test_an_executor_is_given_all_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs that wait for each other end only if they run side by side."""
    together = threading.Barrier(3, timeout=30)

    def waits(*args: Any, **kwargs: Any) -> Record:  # noqa: ANN401
        together.wait()
        return run(*args, **kwargs)

    monkeypatch.setattr(grids, "fit_side_by_side", in_batches(waits))
    work = grid(
        cells=("rnn",), lengths=(2, 3, 4), optimizers=("adam",), epochs=1, hidden_size=2
    )[::2]
    with ThreadPoolExecutor(3) as threads:
        records = run_all(work, made(), executor=threads, device="cpu", progress=False)
    assert [r.settings["length"] for r in records] == [2, 3, 4]


def test_all_failures_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    bad: dict[str, Any] = {"learning_rate": 1e30, "optimizer": "sgd"}
    small: dict[str, Any] = {"hidden_size": 2, "epochs": 1, "batch_size": 4}
    work = [
        Experiment(length=2, **small),
        Experiment(length=3, **small, **bad),
        Experiment(length=4, **small),
        Experiment(length=5, **small, **bad),
    ]
    out = tmp_path / "records.jsonl"
    with pytest.raises(
        GridError,
        match=r"^2 of the runs failed, the others are done; the first to fail, "
        r"Experiment\(.*length=3.*: the training loss is",
    ):
        run_all(work, made(), out=out, workers=1, device="cpu", progress=False)
    assert [r.settings["length"] for r in RecordFile(out).read()] == [2, 4]
