"""Daily closing prices: load them, and refuse what cannot be trusted.

Source: chapter *Recurrence*, section *On real prices*, and chapter *Forecasting
Microsoft*.
"""

import csv
import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

DATE_COLUMNS = ("date", "datetime", "timestamp", "time")
PRICE_COLUMNS = ("adj close", "adj_close", "adjusted close", "close", "close/last")
SHARES = "AAPL", "FB", "GOOG", "IBM", "MSFT"  # that `bokeh_sampledata` ships
DEFAULT_DAYS = 1511  # as many as the forecasting report had

# A date is followed by nothing or by a time of day, which is not read.
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?=$|[ T])")
_YEAR_LAST = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})(?=$|[ T])")
_COMPACT = re.compile(r"(\d{4})()(\d{2})(\d{2})(?=$|[ T])")


@dataclass(frozen=True)
class Prices:
    """Daily closes in order of time.

    Parameters
    ----------
    dates : pandas.DatetimeIndex
        Trading days, ascending, shape (n,).
    close : numpy.ndarray
        Closing prices in dollars, float64, shape (n,).
    name : str
        Where they come from, for captions and records.
    high, low : numpy.ndarray, optional
        The highest and the lowest price of each day, shape (n,), where both are known.
    """

    dates: pd.DatetimeIndex
    close: NDArray[np.float64]
    name: str
    high: NDArray[np.float64] | None = None
    low: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.close)

    @property
    def checksum(self) -> str:
        """SHA-256 of days and closes: two equal sums mean equal data."""
        days = self.dates.to_numpy().astype("datetime64[D]").astype("<i8")
        closes = self.close.astype("<f8")
        return hashlib.sha256(days.tobytes() + closes.tobytes()).hexdigest()


def load_prices(
    path: str | Path | None = None,
    *,
    column: str | None = None,
    dayfirst: bool | None = None,
) -> Prices:
    """Load daily closing prices.

    Parameters
    ----------
    path : str or Path, optional
        A CSV file of daily prices with a header, rows in any order; columns high and
        low are read where it has both. By default the last 1511 days of Microsoft's
        adjusted close in ``bokeh_sampledata`` (public domain, ends 2013-03-01).
    column : str, optional
        Name of the price column; by default the adjusted close where there is
        one, else the close.
    dayfirst : bool, optional
        Whether 3/4/2015 is the 3rd of April. Needed only if no row tells.

    Returns
    -------
    Prices

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If anything in the file cannot be trusted: names file, column and row
        and says what to do. No row is ever dropped.
    """
    if path is None:
        return load_share("MSFT", days=DEFAULT_DAYS)
    return _Table.read(Path(path)).prices(column, dayfirst)


def load_share(name: str, days: int | None = None) -> Prices:
    """Load a share that ``bokeh_sampledata`` ships (public domain).

    Parameters
    ----------
    name : str
        Its ticker: AAPL, FB, GOOG, IBM or MSFT.
    days : int, optional
        How many of its last days; all by default.

    Returns
    -------
    Prices
        Adjusted closes; high and low as they were traded.

    Raises
    ------
    ValueError
        If no such share is shipped, or it has fewer days: names what there is.
    """
    from bokeh_sampledata import stocks

    if name not in SHARES:
        raise ValueError(f"no share {name!r}: choose one of {', '.join(SHARES)}")
    share = getattr(stocks, name)  # columns by name; later versions have a table too
    whole = len(share["date"])
    days = whole if days is None else days
    if not 1 <= days <= whole:
        raise ValueError(f"days must lie between 1 and {whole}, got {days}")
    close, high, low = (
        np.array(share[column], dtype=np.float64)[-days:]
        for column in ("adj_close", "high", "low")
    )
    return Prices(
        pd.DatetimeIndex(pd.to_datetime(share["date"]))[-days:], close, name, high, low
    )


@dataclass(frozen=True)
class _Table:
    """The text of a CSV file, with the line number of every row."""

    file: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, list[str]], ...]

    @classmethod
    def read(cls, file: Path) -> "_Table":
        lines = _decode(file).splitlines()
        if not "".join(lines).strip():
            raise ValueError(f"{file}: the file is empty; give a CSV of daily prices")
        reader = csv.reader(lines, delimiter=_delimiter(lines))
        numbered = [(reader.line_num, row) for row in reader if row]
        header = tuple(name.strip() for name in numbered[0][1])
        return cls(file, header, tuple(numbered[1:]))

    def prices(self, column: str | None, dayfirst: bool | None) -> Prices:
        date, price = self._find("date", DATE_COLUMNS), self._price_column(column)
        if not self.rows:
            raise ValueError(f"{self.file}: no rows below the header; nothing to load")
        days = pd.DatetimeIndex(_parse_dates(self._cells(date), dayfirst))
        self._refuse_duplicates(days, date)
        order = days.argsort()
        close, *others = (
            values[order] for values in (self._numbers(price), *self._range())
        )
        return Prices(days[order], close, self.file.stem, *others)

    def _numbers(self, column: str) -> NDArray[np.float64]:
        return np.array([_parse_price(cell) for cell in self._cells(column)])

    def _range(self) -> list[NDArray[np.float64]]:
        """Read high and low, or nothing where one of them has no column."""
        by_name = {name.casefold(): name for name in self.header}
        if not {"high", "low"} <= set(by_name):
            return []
        high, low = self._numbers(by_name["high"]), self._numbers(by_name["low"])
        for cell, lowest, wrong in zip(
            self._cells(by_name["high"]), low, high < low, strict=True
        ):
            if wrong:
                raise cell.refuse(f"is below the day's low of {lowest}; correct them")
        return [high, low]

    def _find(self, kind: str, names: Sequence[str]) -> str:
        by_name = {name.casefold(): name for name in self.header}
        for name in names:
            if name in by_name:
                return by_name[name]
        raise ValueError(
            f"{self.file}: no {kind} column among {', '.join(self.header)}; "
            f"name one of them {' or '.join(map(repr, names))}"
        )

    def _price_column(self, column: str | None) -> str:
        if column is None:
            return self._find("price", PRICE_COLUMNS)
        return self._find("price", (column.casefold(),))

    def _cells(self, column: str) -> list["_Cell"]:
        place = self.header.index(column)
        return [
            _Cell(
                self.file, column, line, row[place].strip() if place < len(row) else ""
            )
            for line, row in self.rows
        ]

    def _refuse_duplicates(self, days: pd.DatetimeIndex, column: str) -> None:
        if days.is_unique:
            return
        day = days[days.duplicated()][0]
        lines = [line for (line, _), d in zip(self.rows, days, strict=True) if d == day]
        raise ValueError(
            f"{self.file}, column {column!r}, rows {' and '.join(map(str, lines))}: "
            f"{day:%Y-%m-%d} stands more than once; keep one row a day"
        )


@dataclass(frozen=True)
class _Cell:
    file: Path
    column: str
    row: int  # line of the file, the header being line 1
    text: str

    def refuse(self, why: str) -> ValueError:
        return ValueError(
            f"{self.file}, column {self.column!r}, row {self.row}: {self.text!r} {why}"
        )


def _decode(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: not UTF-8 text (byte {error.start}); save it as 'CSV UTF-8'"
        ) from None


def _delimiter(lines: Sequence[str]) -> str:
    header = next(line for line in lines if line.strip())
    return max(",;\t", key=header.count)


def _parse_price(cell: _Cell) -> float:
    text = cell.text.removeprefix("$")
    if "_" in text:  # Python reads 1_0 as ten; a price file does not mean that
        raise cell.refuse("is not a number; correct it or remove the row")
    try:
        price = float(text)
    except ValueError:
        raise cell.refuse("is not a number; correct it or remove the row") from None
    if not math.isfinite(price):
        raise cell.refuse("is not a finite number; correct it or remove the row")
    if price <= 0:
        raise cell.refuse("is not a positive price; correct it or remove the row")
    return price


def _parse_dates(cells: list[_Cell], dayfirst: bool | None) -> list[pd.Timestamp]:
    """Read every date the same way: ISO, or day and month in one order."""
    year_last = [(cell, m) for cell in cells if (m := _YEAR_LAST.match(cell.text))]
    if year_last:
        dayfirst = _resolve_order(year_last, dayfirst)
    return [_parse_date(cell, bool(dayfirst)) for cell in cells]


def _resolve_order(
    dates: list[tuple[_Cell, re.Match[str]]], dayfirst: bool | None
) -> bool:
    day_leads = _first(cell for cell, m in dates if int(m[1]) > 12)
    month_leads = _first(cell for cell, m in dates if int(m[3]) > 12)
    if day_leads and month_leads:
        raise day_leads.refuse(
            f"has the day first, but row {month_leads.row} ({month_leads.text!r}) "
            "the month; write all dates as 2015-04-01"
        )
    told = None if not (day_leads or month_leads) else bool(day_leads)
    if told is None and dayfirst is None:
        raise dates[0][0].refuse(
            "could be read with the day or the month first, and no row tells; "
            "say dayfirst=True or dayfirst=False"
        )
    if told is not None and dayfirst is not None and told != dayfirst:
        cell = day_leads or month_leads
        assert cell is not None
        raise cell.refuse(f"cannot be read with dayfirst={dayfirst}; leave it out")
    return bool(dayfirst) if told is None else told


def _first(cells: Iterator[_Cell]) -> _Cell | None:
    return next(cells, None)


def _parse_date(cell: _Cell, dayfirst: bool) -> pd.Timestamp:
    if match := _YEAR_FIRST.match(cell.text) or _COMPACT.match(cell.text):
        year, month, day = match[1], match[3], match[4]
    elif match := _YEAR_LAST.match(cell.text):
        day, month = (match[1], match[3]) if dayfirst else (match[3], match[1])
        year = match[4]
    else:
        raise cell.refuse("is not a date; write it as 2015-04-01")
    try:
        return pd.Timestamp(int(year), int(month), int(day))
    except ValueError:
        raise cell.refuse("is not a day of the calendar; correct it") from None
