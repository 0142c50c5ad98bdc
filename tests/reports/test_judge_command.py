"""The command judge: its table, its page, its exit status."""

import json
import re
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnn_companion.cli import main
from rnn_companion.forecasting.judge import Verdict, judge
from rnn_companion.reports.verdicts import WORST, picture, table

pytestmark = pytest.mark.slow  # seconds each; `make check` leaves them out


@pytest.fixture(scope="module")
def forecasts() -> pd.DataFrame:
    """Make an autoregression of coefficient 0.4, and forecasts of every kind."""
    draw = np.random.default_rng(0)
    x = np.zeros(400)
    for t in range(1, len(x)):
        x[t] = 0.4 * x[t - 1] + draw.normal()
    before = np.append(0, x[:-1])
    return pd.DataFrame(
        {
            "date": pd.bdate_range("2015-01-01", periods=len(x)),
            "truth": x,
            "right": 0.4 * before,
            "<b>noise</b>": 3 * draw.normal(size=len(x)),
            "leak": 0.5 * x,
        }
    )


@pytest.fixture(scope="module")
def verdicts(forecasts: pd.DataFrame) -> tuple[Verdict, ...]:
    return judge(forecasts)


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        (["right"], 0),
        (["<b>noise</b>"], 1),
        (["right", "<b>noise</b>"], 0),
        (["leak"], 3),
        (["right", "leak"], 3),
    ],
)
def test_the_exit_status_says_what_was_found(
    tmp_path: Path, forecasts: pd.DataFrame, columns: list[str], status: int
) -> None:
    path = tmp_path / "forecasts.csv"
    forecasts[["date", "truth", *columns]].to_csv(path, index=False)
    assert main(["judge", str(path)]) == status


def test_bad_input_and_a_missing_library_are_neither_of_these(
    tmp_path: Path,
    forecasts: pd.DataFrame,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "forecasts.csv"
    assert main(["judge", str(path)]) == 2
    assert "forecasts.csv: No such file" in capsys.readouterr().err
    forecasts.drop(columns="truth").to_csv(path, index=False)
    assert main(["judge", str(path)]) == 2
    assert "no column 'truth'" in capsys.readouterr().err
    forecasts.to_csv(path, index=False)
    monkeypatch.setitem(sys.modules, "statsmodels.api", None)
    assert main(["judge", str(path)]) == 2
    assert "rnn-companion[compare]" in capsys.readouterr().err


def test_a_pipe_gives_json_to_programs(
    forecasts: pd.DataFrame,
    verdicts: tuple[Verdict, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", _pipe(forecasts.to_csv(index=False)))
    assert main(["judge", "-", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == ["right", "<b>noise</b>", "leak"]
    assert [one["status"] for one in found] == ["better", "worse", "leak"]
    for one, verdict in zip(found, verdicts, strict=True):
        assert one["skill"] == pytest.approx(verdict.skill)
        assert one["sentence"] == verdict.sentence


def _pipe(text: str) -> StringIO:
    pipe = StringIO(text)
    pipe.name = "<stdin>"
    return pipe


def test_the_terminal_has_the_table_and_a_sentence_for_each(
    tmp_path: Path,
    forecasts: pd.DataFrame,
    verdicts: tuple[Verdict, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "forecasts.csv"
    forecasts.to_csv(path, index=False)
    main(["judge", str(path), "--html", str(tmp_path / "page.html")])
    said = capsys.readouterr().out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    for verdict in verdicts:
        assert f"{verdict.name}: {verdict.sentence}" in said
        for number in (f"{verdict.mse:.4g}", f"{verdict.skill:.3f}"):
            assert number in said
            assert f"<td>{number}</td>" in page


def test_the_page_asks_for_nothing_and_escapes_names(
    tmp_path: Path, forecasts: pd.DataFrame
) -> None:
    path = tmp_path / "page.html"
    forecasts.to_csv(tmp_path / "f.csv", index=False)
    main(["judge", str(tmp_path / "f.csv"), "--html", str(path)])
    page = path.read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt;noise&lt;/b&gt;: Worse than" in page
    assert page.count('src="data:image/png;base64,') == page.count("src=") == 1
    assert not re.search(r"href=|url\(|<script|@import", page)
    assert "default-src 'none'" in page


def test_horizons_are_named_where_there_are_several(forecasts: pd.DataFrame) -> None:
    rows = [
        forecasts.assign(horizon=h)[["date", "horizon", "truth", "right"]]
        for h in (1, 2)
    ]
    found = judge(pd.concat(rows, ignore_index=True))
    assert list(table(found)["forecast"]) == ["right, 1 ahead", "right, 2 ahead"]


def test_the_picture_shows_the_numbers(verdicts: tuple[Verdict, ...]) -> None:
    shown = picture(verdicts)
    skills, fits, gains = shown.figure.axes
    for n, verdict in enumerate(verdicts):
        ends, middle = skills.lines[2 * n : 2 * n + 2]
        inside = np.clip([verdict.low, verdict.high], WORST, 1)
        assert list(np.asarray(ends.get_xdata())) == list(inside)
        assert list(np.asarray(middle.get_xdata())) == [max(verdict.skill, WORST)]
        distances = np.square(np.asarray(fits.lines[n].get_ydata(), dtype=float))
        assert distances == pytest.approx(list(verdict.fit.values()))
        last = np.asarray(gains.lines[n].get_ydata(), dtype=float)[-1]
        assert last == pytest.approx(verdict.skill)  # as the caption says
        assert f"{verdict.name}: {verdict.skill:.3f}" in shown.alt
    for axes in shown.figure.axes:
        assert axes.get_xlabel()
