"""Tables of forecasts: read as they stand, or refused with the place and the reason."""

from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnn_companion.forecasting.forecast_table import check_forecasts, load_forecasts

GOOD = "date,truth,mine\n2015-04-02,2,20\n2015-04-01,1,10\n"


def write(folder: Path, text: str, name: str = "f.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace("date,truth", " Date , TRUTH "),
        GOOD.replace("\n", "\r\n"),
        GOOD + "\n,,\n",
        GOOD.replace("2015-04-02", "2015-04-02T16:00:00+00:00"),
    ],
)
def test_rows_are_put_in_order_of_time(tmp_path: Path, text: str) -> None:
    table = load_forecasts(write(tmp_path, text))
    assert list(table.columns) == ["date", "horizon", "truth", "mine"]
    assert list(table["date"].dt.day) == [1, 2]
    assert list(table["horizon"]) == [1, 1]
    assert list(table["truth"]) == [1, 2]
    assert list(table["mine"]) == [10, 20]


def test_a_table_that_was_checked_is_its_own_check(tmp_path: Path) -> None:
    table = load_forecasts(write(tmp_path, GOOD), horizon=3)
    assert list(table["horizon"]) == [3, 3]
    pd.testing.assert_frame_equal(check_forecasts(table), table)


REFUSED = {
    "empty": ("", r"not a table of forecasts: No columns"),
    "only a header": ("date,truth,mine\n", "no rows below the header"),
    "no truth": (GOOD.replace("truth", "x"), "no column 'truth' among date, x, mine"),
    "no date": (GOOD.replace("date", "x"), "no column 'date' among x, truth, mine"),
    "no forecast": ("date,truth\n2015-04-01,1\n", "no forecast beside date and truth"),
    "same name": (GOOD.replace("mine", "Truth"), "two columns are called 'truth'"),
    "no number": (GOOD.replace(",20", ",x"), "column 'mine', row 2: 'x' is not a num"),
    "no cell": (GOOD.replace(",10", ","), "column 'mine', row 3: '' is not a number"),
    "not a number": (GOOD.replace(",2,", ",nan,"), "column 'truth', row 2: 'nan'"),
    "infinite": (GOOD.replace(",2,", ",inf,"), "column 'truth', row 2: 'inf' is not"),
    "short row": (GOOD.replace(",1,10", ",1"), "column 'mine', row 3: '' is not"),
    "no day": (GOOD.replace("-04-02", "-02-31"), "row 2: '2015-02-31' is not a date"),
    "no date cell": (GOOD.replace("2015-04-01", ""), "'date', row 3: '' is not a date"),
    "twice": (GOOD.replace("-02", "-01"), "rows 2 and 3: 2015-04-01 stands more than"),
    "after a blank line": (GOOD + "\n2015-04-03,x,1\n", "'truth', row 5: 'x' is not"),
    "no horizon": (
        GOOD.replace("mine", "horizon"),
        "no forecast beside date and truth",
    ),
    "half a day": (
        "date,truth,horizon,mine\n2015-04-01,1,0.5,1\n",
        "column 'horizon', row 2: '0.5' is not a number of days",
    ),
    "two truths": (
        "date,truth,horizon,mine\n2015-04-01,1,1,1\n2015-04-01,2,2,1\n",
        "the truth of 2015-04-01 differs between its horizons",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_unclear_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(ValueError, match=message) as refused:
        load_forecasts(write(tmp_path, text))
    assert str(refused.value).startswith(str(tmp_path / "f.csv"))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"f\.csv: not UTF-8 text"):
        load_forecasts(tmp_path / "f.csv")


def test_several_files_stand_side_by_side(tmp_path: Path) -> None:
    one, two = write(tmp_path, GOOD, "a.csv"), write(tmp_path, GOOD, "b.csv")
    table = load_forecasts(one, two)
    assert list(table.columns[3:]) == [f"{one}: mine", f"{two}: mine"]
    for name in table.columns[3:]:
        assert list(table[name]) == [10, 20]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (GOOD.replace(",2,", ",2.5,"), "truth of 2015-04-02 is not the same"),
        (GOOD.replace("-02", "-03"), "2 rows stand in one of them alone, first that"),
        (GOOD + "2015-04-03,3,1\n", "1 rows stand in one of them alone.*2015-04-03"),
    ],
)
def test_two_files_of_other_days_or_another_truth(
    tmp_path: Path, other: str, message: str
) -> None:
    one, two = write(tmp_path, GOOD, "a.csv"), write(tmp_path, other, "b.csv")
    with pytest.raises(ValueError, match=message) as refused:
        load_forecasts(one, two)
    assert str(refused.value).startswith(f"{one} and {two}: ")


def test_a_file_given_twice(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with pytest.raises(ValueError, match="is given twice"):
        load_forecasts(path, path)


def test_a_pipe_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = StringIO(GOOD.replace(",20", ",x"))
    pipe.name = "<stdin>"
    with pytest.raises(ValueError, match="<stdin>, column 'mine', row 2"):
        load_forecasts(pipe)


def test_numbers_count_days_too() -> None:
    table = pd.DataFrame({"date": [2, 1], "truth": [2.0, 1.0], "mine": [20, 10]})
    assert list(check_forecasts(table)["mine"]) == [10, 20]
    with pytest.raises(ValueError, match="rows 0 and 1: day 1 stands more than once"):
        check_forecasts(table.assign(date=1))
    with pytest.raises(ValueError, match="the table, column 'truth', row 1: 'nan'"):
        check_forecasts(table.assign(truth=[1.0, np.nan]))
