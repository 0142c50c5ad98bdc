"""Tables of forecasts and of what happened: load them, refuse what is unclear.

A row is a day: its date, its truth, and one or several forecasts of it. How many
days before its date a forecast was made stands in the column ``horizon``.
"""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_integer_dtype

KEYS = ["date", "horizon"]
DELIMITERS = ",;\t"
LARGEST = np.finfo(np.float64).max


def load_forecasts(*files: str | Path | TextIO, horizon: int = 1) -> pd.DataFrame:
    """Load the forecasts of one file or of several, side by side.

    Parameters
    ----------
    *files : str, Path or open text file
        CSV with a header: date, truth, forecasts, perhaps horizon. Rows in any
        order. Several files have the same days and the same truth; then a
        forecast is called after its file and its column.
    horizon : int
        How many days before its date a forecast was made, in a file without the
        column ``horizon``.

    Returns
    -------
    pandas.DataFrame
        As `check_forecasts` returns it.

    Raises
    ------
    OSError
        If a file cannot be read.
    ValueError
        If anything in a file cannot be trusted, or two files differ in days or in
        truth: says where and what to do.
    """
    tables: dict[str, pd.DataFrame] = {}
    for file in files:
        name = str(file) if isinstance(file, str | Path) else file.name
        if name in tables:
            raise ValueError(f"{name} is given twice; give each file once")
        tables[name] = check_forecasts(_read(file, name), name, horizon)
    return _side_by_side(tables)


def check_forecasts(
    frame: pd.DataFrame, source: str = "the table", horizon: int = 1
) -> pd.DataFrame:
    """Check a table of forecasts and put it in order of time.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns ``date`` (dates, or whole numbers that count days), ``truth``,
        perhaps ``horizon``; every other column is a forecast.
    source : str
        What an error calls the table. It names a row by its label in the index.
    horizon : int
        How many days before its date a forecast was made, where the table has no
        column ``horizon``.

    Returns
    -------
    pandas.DataFrame
        Columns date, horizon, truth and the forecasts, by date and horizon.

    Raises
    ------
    ValueError
        If a column is missing, a cell is no number or no date, a day stands more
        than once, or its truth differs between horizons. No row is dropped.
    """
    frame = _named(frame, source)
    if "horizon" not in frame:
        frame = frame.assign(horizon=horizon)
    days, steps = _days(frame["date"], source), _steps(frame["horizon"], source)
    names = ["truth", *names_of_forecasts(frame)]
    if len(names) == 1:
        raise ValueError(f"{source}: no forecast beside date and truth; add a column")
    numbers = {name: _numbers(frame[name], source) for name in names}
    table = pd.DataFrame({"date": days, "horizon": steps, **numbers})
    _refuse_repeats(table, source)
    _refuse_two_truths(table, source)
    return table.sort_values(KEYS, ignore_index=True)


def names_of_forecasts(table: pd.DataFrame) -> list[str]:
    """Name the columns of a table that hold forecasts.

    Parameters
    ----------
    table : pandas.DataFrame
        As `check_forecasts` returns it.

    Returns
    -------
    list of str
    """
    return [name for name in table.columns if name not in {*KEYS, "truth"}]


def _read(file: str | Path | TextIO, name: str) -> pd.DataFrame:
    """Read all cells as text; a row's label is its line in the file."""
    try:
        if isinstance(file, str | Path):
            text = Path(file).read_text("utf-8-sig")
        else:
            text = file.read().removeprefix("\ufeff")
        frame = pd.read_csv(
            StringIO(text),
            sep=max(DELIMITERS, key=text.partition("\n")[0].count),
            dtype=str,
            keep_default_na=False,
            skip_blank_lines=False,
            index_col=False,
        ).fillna("")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: not UTF-8 text; save it as 'CSV UTF-8'") from None
    except ValueError as error:  # as all errors of pandas' parser are
        raise ValueError(f"{name}: not a table of forecasts: {error}") from None
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    return frame[(frame != "").any(axis=1)]


def _side_by_side(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    first, *others = tables
    if not others:
        return tables[first]
    joined = tables[first][[*KEYS, "truth"]]
    for name, table in tables.items():
        _refuse_other_days(joined, table, f"{first} and {name}")
        columns = {f"{name}: {c}": table[c] for c in names_of_forecasts(table)}
        joined = joined.assign(**columns)
    return joined


def _refuse_other_days(one: pd.DataFrame, other: pd.DataFrame, who: str) -> None:
    odd = one.merge(other, on=KEYS, how="outer", indicator=True).query(
        "_merge != 'both'"
    )
    if len(odd):
        raise ValueError(
            f"{who}: {len(odd)} rows stand in one of them alone, first that of "
            f"{_day(odd['date'].iloc[0])}; keep the days that both have"
        )
    differ = one["truth"] != other["truth"]
    if differ.any():
        raise ValueError(
            f"{who}: the truth of {_day(one['date'][differ].iloc[0])} is not the same; "
            "forecasts of two series cannot be compared"
        )


def _named(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Find date, truth and horizon in whatever case, and refuse what is unclear."""
    names = [str(name).strip() for name in frame.columns]
    known = {*KEYS, "truth"}
    names = [n.casefold() if n.casefold() in known else n for n in names]
    frame = frame.set_axis(names, axis="columns")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{source}: two columns are called {twice[0]!r}; rename one")
    for name in ("date", "truth"):
        if name not in names:
            raise ValueError(
                f"{source}: no column {name!r} among {', '.join(names)}; "
                "call the columns date, truth, and each forecast as you like"
            )
    if frame.empty:
        raise ValueError(f"{source}: no rows below the header; nothing to judge")
    return frame


def _days(cells: pd.Series, source: str) -> pd.Series:
    if is_integer_dtype(cells) or is_datetime64_any_dtype(cells):
        days = cells
    else:
        text = cells.astype(str)
        days = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
        days = days.dt.tz_localize(None)
    _refuse(days.isna(), cells, source, "is not a date; write it as 2015-04-01")
    return days


def _numbers(cells: pd.Series, source: str) -> pd.Series:
    numbers = pd.to_numeric(cells, errors="coerce").astype(np.float64)
    wrong = ~numbers.between(-LARGEST, LARGEST)
    _refuse(wrong, cells, source, "is not a number; correct it or remove the row")
    return numbers


def _steps(cells: pd.Series, source: str) -> pd.Series:
    steps = _numbers(cells, source)
    wrong = (steps < 1) | (steps % 1 != 0)
    _refuse(wrong, cells, source, "is not a number of days such as 1 or 5")
    return steps.astype(int)


def _refuse(wrong: pd.Series, cells: pd.Series, source: str, why: str) -> None:
    if wrong.any():
        n = int(wrong.to_numpy().argmax())
        place = f"{source}, column {cells.name!r}, row {cells.index[n]}"
        raise ValueError(f"{place}: {str(cells.iloc[n])!r} {why}")


def _refuse_repeats(table: pd.DataFrame, source: str) -> None:
    repeated = table[table.duplicated(KEYS, keep=False)]
    if len(repeated):
        day, horizon = repeated["date"].iloc[0], repeated["horizon"].iloc[0]
        same = (repeated["date"] == day) & (repeated["horizon"] == horizon)
        rows = " and ".join(str(row) for row in repeated.index[same])
        raise ValueError(
            f"{source}, rows {rows}: {_day(day)} stands more than once; "
            "keep one row a day, or say the horizon of each"
        )


def _refuse_two_truths(table: pd.DataFrame, source: str) -> None:
    truths = table.groupby("date")["truth"].nunique()
    if (truths > 1).any():
        day = _day(truths.idxmax())
        raise ValueError(f"{source}: the truth of {day} differs between its horizons")


def _day(day: object) -> str:
    return f"{day:%Y-%m-%d}" if isinstance(day, pd.Timestamp) else f"day {day}"
