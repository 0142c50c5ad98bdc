"""The table of a grid: medians over seeds, and of how many runs."""

import json
import statistics
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from rnn_companion import Experiment, Prices, Record, grid, run_all
from rnn_companion.cli import main
from rnn_companion.forecasting.records import Provenance
from rnn_companion.forecasting.tables import study_table, table

PLACE = Provenance("made", "sum", "cpu", {"torch": "2"}, "2026-01-01", 1.0, 1)


def record(error: float, persistence: float = 1.0, **settings: object) -> Record:
    experiment = replace(Experiment(), **settings)  # type: ignore[arg-type]
    errors = (error,), (persistence,)
    return Record(asdict(experiment), (1.0,), (error,), *errors, None, PLACE)


def test_a_cell_is_the_median_of_its_seeds() -> None:
    """Of 1, 2 and 9 it is 2, and the mean is 4."""
    errors = (1.0, 9.0, 2.0)
    three = [record(e, 4.0 * e, seed=s) for s, e in enumerate(errors)]
    (row,) = table(three).to_dict("records")
    assert (row["n"], row["mse"], row["least"], row["greatest"]) == (3, 2, 1, 9)
    assert (row["persistence"], row["skill"]) == (8, 0.75)


def test_the_table_is_in_the_studys_form(
    prices: Prices, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "records.jsonl"
    experiments = grid(
        lengths=(5, 3), cells=("rnn",), seeds=(0, 1, 2), epochs=1, hidden_size=4
    )
    records = run_all(experiments, prices, out=out, workers=1)
    cells = table(records)
    assert len(cells) == 8
    first = [r for r in records if replace(r.experiment, seed=0) == experiments[0]]
    row = cells.iloc[0]
    assert row["n"] == len(first) == 3
    assert row["mse"] == pytest.approx(statistics.median(r.mse for r in first))
    (text,) = study_table(cells)
    *_, three, five, last = text.splitlines()
    assert (three.split()[0], five.split()[0]) == ("3", "5")
    assert three.count("(3)") == five.count("(3)") == 4
    naive = cells["persistence"].median()
    assert last == f"tomorrow = today: {naive:.2g} in the median"

    assert main(["table", "--json", str(out)]) == 0
    as_json = json.loads(capsys.readouterr().out)
    assert as_json[0]["mse"] == pytest.approx(row["mse"])
    assert as_json[0]["n"] == 3
    assert main(["table", str(out)]) == 0
    assert capsys.readouterr().out == text + "\n"


def test_runs_that_differ_in_any_setting_are_not_summed_up() -> None:
    """Whatever differs has a table of its own, which says what it is."""
    records = [
        record(1.0),
        record(2.0, patience=3),
        record(3.0, patience=3, seed=1),
        record(5.0, hidden_size=8),
    ]
    cells = table(records)
    assert list(cells["n"]) == [1, 2, 1]
    texts = list(study_table(cells))
    assert [text.splitlines()[0].split(":")[0] for text in texts] == [
        "made, honest protocol, hidden_size 512, patience None",
        "made, honest protocol, hidden_size 512, patience 3",
        "made, honest protocol, hidden_size 8, patience None",
    ]
    assert "2.5 (2)" in texts[1]


def test_runs_of_different_epochs_stand_in_one_cell_apart() -> None:
    (text,) = study_table(table([record(1.0), record(2.0, epochs=20)]))
    assert "1 (1), 2 (1)" in text


def test_a_cell_without_a_run_is_a_dash() -> None:
    some = [record(1.0), record(2.0, cell="lstm"), record(3.0, length=3)]
    (text,) = study_table(table(some))
    three = next(line for line in text.splitlines() if line.startswith("3 "))
    assert three.split() == ["3", "3", "(1)", "-"]


def test_the_reports_form_has_rnn_before_lstm_and_names_in_order() -> None:
    """Lengths down; cells, then configurations and optimizers by name across."""
    names = ("cell", "configuration", "optimizer", "length")
    rows = [
        (cell, configuration, optimizer, length)
        for cell in ("lstm", "rnn")
        for configuration in ("many-to-one", "many-to-many-aligned")
        for optimizer in ("sgd", "adam")
        for length in (7, 3)
    ]
    cells = pd.DataFrame(rows, columns=list(names))
    cells = cells.assign(
        data="made", protocol="honest", n=2, mse=0.5, persistence=[0.25, 0.75] * 8
    )
    (text,) = study_table(cells)
    lines = [line.split() for line in text.splitlines()]
    both = ["many-to-many-aligned", "many-to-one"]
    assert lines[0][:3] == ["made,", "honest", "protocol:"]
    assert lines[1] == ["cell", "rnn", "lstm"]
    assert lines[2] == ["configuration", *both, *both]
    assert lines[3] == ["optimizer", *["adam", "sgd"] * 4]
    assert [line[0] for line in lines[5:7]] == ["3", "7"]
    assert lines[5][1:] == ["0.5", "(2)"] * 8
    assert lines[-1][-4:] == ["0.5", "in", "the", "median"]


def test_the_table_of_no_file_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: no such file" in capsys.readouterr().err
