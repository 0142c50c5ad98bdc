"""What is measured on a GPU, tried at tiny size on a CPU."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, gpu_parts
from rnn_companion import Experiment, grid, load_prices, recorded, run
from rnn_companion.forecasting.gpu_table import NONE, gpu_table
from rnn_companion.forecasting.records import RecordFile

TINY = ["--device", "cpu", "--tiny", "--workers", "1", "--out"]
CONTENDERS = ["plain", "plain tf32", "compiled", "ours", "by hand"]


@dataclass(frozen=True)
class Calls:
    """Three calls for one folder: without time, with time, and once more."""

    folder: Path
    statuses: list[int]
    results: list[dict[str, Any]]
    records: list[dict[str, bytes]]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Calls:
    folder = tmp_path_factory.mktemp("gpu")
    made = Calls(folder, [], [], [])
    for extra in (["--minutes", "0"], [], []):
        made.statuses.append(gpu.main([*TINY, str(folder), *extra]))
        made.results.append(json.loads((folder / "gpu.json").read_text()))
        lines = {path.name: path.read_bytes() for path in folder.glob("*.jsonl")}
        made.records.append(lines)
    return made


@pytest.mark.slow
def test_what_there_is_no_time_for_is_said_and_done_by_the_next_call(
    calls: Calls,
) -> None:
    assert calls.statuses == [1, 0, 0]
    first, second, third = calls.results
    assert list(first["parts"]) == list(second["parts"]) == list(gpu.BUDGETS)
    assert {part["status"] for part in first["parts"].values()} == {"not run"}
    assert all("not done within" in part["why"] for part in first["parts"].values())
    assert {part["status"] for part in second["parts"].values()} == {"done"}
    assert third == second
    assert calls.records[0] == {}
    assert calls.records[2] == calls.records[1]


@pytest.mark.slow
def test_every_contender_trains_as_a_run_does(calls: Calls) -> None:
    """The last epoch's loss of each, by the package's own `run`."""
    rows = calls.results[1]["parts"]["steps"]["rows"]
    places = [(row["cell"], row["length"]) for row in rows]
    assert places == [("rnn", 3), ("rnn", 5), ("lstm", 3), ("lstm", 5)]
    for row in rows:
        assert list(row["contenders"]) == CONTENDERS, row["why"]
        experiment = Experiment(
            cell=row["cell"],
            length=row["length"],
            configuration="many-to-many-aligned",
            hidden_size=8,
            epochs=2,
        )
        expected = run(experiment, device="cpu", progress=False).training_loss[-1]
        for taken in row["contenders"].values():
            assert taken["loss"] == pytest.approx(expected, rel=1e-4)
            assert taken["ms"] > 0
        assert row["strays"] == []


@pytest.mark.slow
def test_every_part_has_its_numbers(calls: Calls) -> None:
    results = calls.results[1]
    parts = results["parts"]
    assert results["machine"]["torch"] == torch.__version__
    assert not parts["tests"]["rows"][0].get("failed")
    assert parts["grid"]["rows"] == [{"runs": 16, "of": 16}]
    assert parts["grid"]["whole"] == parts["grid"]["taken"] > 0
    assert not parts["grid"]["estimated"]
    assert [row["length"] for row in parts["seeds"]["rows"]] == [3, 5, 3, 5]
    assert all(row["off"] < 1e-4 for row in parts["seeds"]["rows"])
    assert parts["memory"]["rows"][0]["megabytes"] > 0
    assert parts["records"]["rows"] == [{"runs": 64, "of": 64}]
    assert len(results["goals"]) == 3


@pytest.mark.slow
def test_the_records_are_such_as_the_book_takes(calls: Calls) -> None:
    data = load_prices().checksum
    for protocol in ("honest", "source"):
        path = calls.folder / f"{protocol}-protocol.jsonl"
        wanted = grid(
            lengths=(3, 5),
            seeds=(0, 1),
            protocol=protocol,
            hidden_size=8,
            epochs=2,
        )
        assert len(RecordFile(path).read()) == len(wanted)
        for experiment, record in recorded(path, wanted, data).items():
            drawn = protocol == "honest" and experiment.seed == 0
            assert (record.forecasts is not None) == drawn


@pytest.mark.slow
def test_the_table_shows_each_number(calls: Calls, tmp_path: Path) -> None:
    results = calls.results[1]
    table = gpu_table(calls.folder / "gpu.json")
    assert table == gpu_table(results)
    for row in results["parts"]["steps"]["rows"]:
        (line,) = (
            line
            for line in table.splitlines()
            if line.startswith(f"| {row['cell'].upper()} {row['length']} |")
        )
        shown = [float(cell) for cell in line.split("|")[2:-1]]
        measured = [taken["ms"] for taken in row["contenders"].values()]
        assert shown == pytest.approx(measured, rel=0.01)
    seconds = results["parts"]["grid"]["whole"]
    assert f"The whole grid takes {seconds:.0f} s." in table
    assert gpu_table(tmp_path / "gpu.json") == NONE


def test_goals_are_judged_by_the_worst_cell() -> None:
    def row(length: int, plain: float, rounded: float, ours: float) -> dict[str, Any]:
        ms = {"plain": plain, "plain tf32": rounded, "ours": ours}
        return {
            "length": length,
            "contenders": {name: {"ms": value} for name, value in ms.items()},
        }

    rows = [row(3, 10, 9, 1), row(50, 8, 10, 2), row(100, 1, 1, 1)]
    parts: dict[str, Any] = {
        "steps": {"rows": rows},
        "grid": {"whole": 61.0},
        "seeds": {"rows": [{"one": 1, "ten": 1.9}, {"one": 2, "ten": 3}]},
    }
    found = gpu_parts.goals(parts).values()
    assert [(goal["found"], goal["met"]) for goal in found] == [
        (4.0, True),
        (61.0, False),
        (1.9, True),
    ]
    unknown = gpu_parts.goals({}).values()
    assert {goal["met"] for goal in unknown} == {None}


def only(
    monkeypatch: pytest.MonkeyPatch, part: Callable[..., None], seconds: float
) -> None:
    """Let the command have one part."""
    monkeypatch.setattr(gpu, "BUDGETS", {"steps": seconds})
    monkeypatch.setattr(gpu_parts, "PARTS", {"steps": part})


ROW = {
    "cell": "rnn",
    "length": 3,
    "contenders": {"plain": {"ms": 2.0}, "ours": {"ms": 1.0}},
}


def test_a_part_over_its_budget_is_stopped_and_keeps_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even while an ``except Exception`` is waiting for it."""
    seen = []

    def endless(plan: object, found: dict[str, Any], save: Callable[[], None]) -> None:
        seen.append(copy.deepcopy(found.get("rows", [])))
        found["rows"] = [ROW]
        save()
        while True:
            try:
                sum(range(100))
            except Exception:  # as an executor has it
                continue

    only(monkeypatch, endless, 0.2)
    for _ in range(2):
        assert gpu.main([*TINY, str(tmp_path)]) == 1
        part = json.loads((tmp_path / "gpu.json").read_text())["parts"]["steps"]
        assert part["status"] == "stopped"
        assert part["rows"] == [ROW]
    assert seen == [[], [ROW]]


def test_a_part_that_fails_does_not_take_the_others_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ArithmeticError("nothing to divide by")

    only(monkeypatch, failing, 60)
    assert gpu.main([*TINY, str(tmp_path)]) == 1
    part = json.loads((tmp_path / "gpu.json").read_text())["parts"]["steps"]
    assert part["status"] == "failed"
    assert part["why"] == "ArithmeticError: nothing to divide by"


def test_losses_that_disagree_are_a_failure() -> None:
    rows = [
        {"cell": c, "length": n, "strays": ["ours"]}
        for c in ("rnn", "lstm")
        for n in (3, 5)
    ]
    plan = gpu_parts.Plan(Path(), "cpu", load_prices(), 1, tiny=True)
    with pytest.raises(RuntimeError, match="not the plain loop's loss: ours"):
        gpu_parts.steps(plan, {"rows": rows}, lambda: None)


def test_results_of_another_machine_are_put_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {"machine": {"device": "another"}, "parts": {"steps": {"status": "done"}}}
    (tmp_path / "gpu.json").write_text(json.dumps(other))
    only(monkeypatch, lambda plan, found, save: None, 60)
    assert gpu.main([*TINY, str(tmp_path)]) == 0
    assert json.loads((tmp_path / "gpu.json").read_text())["machine"] != {
        "device": "another"
    }
    (kept,) = tmp_path.glob("gpu-*.json")
    assert json.loads(kept.read_text()) == other


def test_what_is_missing_is_said_before_anything_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lacking = {"bokeh_sampledata", "tqdm"}
    monkeypatch.setattr(gpu, "find_spec", lambda n: None if n in lacking else True)
    assert gpu.main([*TINY, str(tmp_path / "out")]) == 2
    said = capsys.readouterr().out
    assert "pip install tqdm bokeh_sampledata" in said
    assert "--data prices.csv" in said
    assert not (tmp_path / "out").exists()


def test_without_pytest_the_rest_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "FOR_TESTS", ("no_such_package",))
    monkeypatch.setattr(gpu, "BUDGETS", {"tests": 60.0, "steps": 60.0})
    nothing: Callable[..., None] = lambda plan, found, save: None  # noqa: E731
    monkeypatch.setitem(gpu_parts.PARTS, "steps", nothing)
    assert gpu.main([*TINY, str(tmp_path)]) == 1
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert parts["tests"]["status"] == "not run"
    assert parts["tests"]["why"] == "pip install no_such_package"
    assert parts["steps"]["status"] == "done"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert gpu.main(["--out", str(tmp_path / "out")]) == 2
    assert "the device 'cuda' cannot be used" in capsys.readouterr().out
