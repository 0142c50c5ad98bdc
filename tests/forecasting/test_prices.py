"""`load_prices` reads any honest file of daily prices and refuses the rest."""

import hashlib
import re
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnn_companion import Prices, load_prices, load_share
from rnn_companion.forecasting.records import RecordFile

KAGGLE = "Date,Open,Close\n4/1/2015 16:00:00,40.6,40.72\n4/13/2015 16:00:00,40.7,41.76"
KAGGLE_DASHES = (
    "Date,Open,Close,Volume\n04-13-2015 16:00,1,41.76,9\n04-01-2015 16:00,1,40.72,9"
)
YAHOO = "Date,Close,Adj Close\n2015-04-01,99,40.72\n2015-04-13,99,41.76"
YFINANCE = (
    "Date,Close\n2015-04-01 00:00:00-04:00,40.72\n2015-04-13 00:00:00-04:00,41.76"
)
STOOQ = "Date,Open,High,Close,Volume\n2015-04-01,1,1,40.72,9\n2015-04-13,1,1,41.76,9"
STOOQ_TEXT = "date,close\n20150401,40.72\n20150413,41.76"
DAY_FIRST = "Date;Close\n01.04.2015;40.72\n13.04.2015;41.76\n"
NASDAQ = "Date,Close/Last\n04/13/2015,$41.76\n04/01/2015,$40.72"
BOM = "\ufeffDate,Close\n2015-04-01,40.72\n\n2015-04-13,41.76\n"


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "prices.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize(
    "text",
    [KAGGLE, KAGGLE_DASHES, YAHOO, YFINANCE, STOOQ, STOOQ_TEXT, DAY_FIRST, NASDAQ, BOM],
)
def test_every_known_format_gives_the_same_two_days(tmp_path: Path, text: str) -> None:
    prices = load_prices(write(tmp_path, text))
    assert list(prices.dates.strftime("%Y-%m-%d")) == ["2015-04-01", "2015-04-13"]
    assert prices.close.tolist() == [40.72, 41.76]
    assert prices.name == "prices"


def test_default_series_is_the_last_1511_adjusted_closes() -> None:
    from bokeh_sampledata import stocks

    msft = stocks.data[stocks.data["ticker"] == "MSFT"].tail(1511)
    prices = load_prices()
    assert len(prices) == 1511
    np.testing.assert_array_equal(prices.close, msft["adj_close"])
    assert (prices.dates == pd.DatetimeIndex(msft["date"])).all()
    assert prices.dates.is_monotonic_increasing


def test_the_default_series_is_the_one_that_the_records_ran_on() -> None:
    file = Path(__file__).parents[2] / "book/records/honest-protocol.jsonl"
    records = RecordFile(file).read()
    assert {r.provenance.checksum for r in records} == {load_prices().checksum}


def test_shares_come_whole_or_with_their_last_days() -> None:
    whole, last = load_share("IBM"), load_share("IBM", days=30)
    assert whole.dates[-30:].equals(last.dates)
    for name in ("close", "high", "low"):
        assert (getattr(whole, name)[-30:] == getattr(last, name)).all()
    with pytest.raises(ValueError, match="no share 'XYZ': choose one of AAPL, FB"):
        load_share("XYZ")
    with pytest.raises(ValueError, match="between 1 and 3270, got 4000"):
        load_share("IBM", days=4000)


def test_high_and_low_are_read_where_a_file_has_both(tmp_path: Path) -> None:
    rows = "\n2020-01-03,4,6,5\n2020-01-02,$2,3,2.5"
    prices = load_prices(write(tmp_path, "Date,Low,HIGH,Close" + rows))
    assert prices.high is not None
    assert prices.low is not None
    assert (prices.high.tolist(), prices.low.tolist()) == ([3, 6], [2, 4])
    alone = load_prices(write(tmp_path, STOOQ))
    assert alone.high is alone.low is None


@pytest.mark.parametrize("order", [[2, 0, 1], [1, 2, 0], [2, 1, 0]])
def test_order_of_rows_does_not_matter(tmp_path: Path, order: list[int]) -> None:
    rows = ["2020-01-02,1.5", "2020-01-03,2.5", "2020-01-06,3.5"]
    text = "\n".join(["Date,Close", *(rows[i] for i in order)])
    assert load_prices(write(tmp_path, text)).close.tolist() == [1.5, 2.5, 3.5]


def test_column_can_be_chosen(tmp_path: Path) -> None:
    file = write(tmp_path, YAHOO)
    assert load_prices(file, column="Close").close.tolist() == [99, 99]
    with pytest.raises(
        ValueError, match="no price column among Date, Close, Adj Close"
    ):
        load_prices(file, column="Open")


@pytest.mark.parametrize(("dayfirst", "month"), [(True, 2), (False, 1)])
def test_dates_that_no_row_decides_are_read_as_told(
    tmp_path: Path, dayfirst: bool, month: int
) -> None:
    file = write(tmp_path, "Date,Close\n1/2/2020,1\n3/2/2020,2")
    if not dayfirst:
        assert load_prices(file, dayfirst=False).dates[0].month == month
    else:
        assert set(load_prices(file, dayfirst=True).dates.month) == {month}


REFUSALS: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "the file is empty"),
    "blank": (" \n\n", "the file is empty"),
    "header only": ("Date,Close\n", "no rows below the header"),
    "no date": ("Day,Close\n2020-01-02,1", "no date column among Day, Close"),
    "no price": ("Date,Volume\n2020-01-02,1", "no price column among Date, Volume"),
    "encoding": (
        "Date,Close\n2020-01-02,1 €".encode("cp1252"),
        "not UTF-8 text (byte 24)",
    ),
    "utf-16": (YAHOO.encode("utf-16"), "not UTF-8 text (byte 0)"),
    "nan": (
        "Date,Close\n2020-01-02,1\n2020-01-03,nan",
        "column 'Close', row 3: 'nan' is not a finite",
    ),
    "null": ("Date,Close\n2020-01-02,null", "row 2: 'null' is not a number"),
    "missing": ("Date,Close\n2020-01-02,", "row 2: '' is not a number"),
    "short row": ("Date,Close\n2020-01-02", "row 2: '' is not a number"),
    "commas only": (
        "Date,Close\n2020-01-02,1\n,",
        "column 'Date', row 3: '' is not a date",
    ),
    "infinite": ("Date,Close\n2020-01-02,inf", "'inf' is not a finite number"),
    "overflow": ("Date,Close\n2020-01-02,1e999", "'1e999' is not a finite number"),
    "zero": ("Date,Close\n2020-01-02,0.0", "'0.0' is not a positive price"),
    "negative": ("Date,Close\n2020-01-02,-3", "'-3' is not a positive price"),
    "underscore": ("Date,Close\n2020-01-02,1_0", "'1_0' is not a number"),
    "decimal comma": ("Date;Close\n2020-01-02;27,9", "'27,9' is not a number"),
    "high below low": (
        "Date,Close,High,Low\n2020-01-02,1,2,1\n2020-01-03,1,1,1.5",
        "column 'High', row 3: '1' is below the day's low of 1.5",
    ),
    "no low": (
        "Date,Close,High,Low\n2020-01-02,1,2,",
        "column 'Low', row 2: '' is not a number",
    ),
    "duplicate": (
        "Date,Close\n2020-01-02,1\n2020-01-03,2\n2020-01-02,1",
        "column 'Date', rows 2 and 4: 2020-01-02 stands more than once",
    ),
    "two a day": ("Date,Close\n2020-01-02 10:00,1\n2020-01-02 16:00,2", "rows 2 and 3"),
    "both ways": (
        "Date,Close\n1/2/2020,1\n3/4/2020,2",
        "column 'Date', row 2: '1/2/2020' could be read",
    ),
    "mixed": (
        "Date,Close\n13/2/2020,1\n2/14/2020,2",
        "row 2: '13/2/2020' has the day first, but row 3",
    ),
    "no such day": (
        "Date,Close\n2021-02-29,1",
        "'2021-02-29' is not a day of the calendar",
    ),
    "two-digit year": ("Date,Close\n1/13/20,1", "'1/13/20' is not a date"),
    "words": (
        "Date,Close\n2020-01-02,1\nSource: somewhere,",
        "row 3: 'Source: somewhere' is not a date",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_trusted_is_refused_by_name(tmp_path: Path, case: str) -> None:
    text, message = REFUSALS[case]
    file = write(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        load_prices(file)
    assert str(file) in str(error.value)


def test_telling_the_wrong_order_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"row 3: .* cannot be read with dayfirst=True"
    ):
        load_prices(write(tmp_path, KAGGLE), dayfirst=True)


def test_missing_file_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        load_prices("nowhere.csv")


def test_checksum_depends_on_days_and_closes_alone() -> None:
    days = pd.DatetimeIndex(["2020-01-02", "2020-01-03"])
    prices = Prices(days, np.array([1.5, 2.5]), "a")
    by_hand = struct.pack("<2q2d", 18263, 18264, 1.5, 2.5)  # days since 1970
    assert prices.checksum == hashlib.sha256(by_hand).hexdigest()
    assert Prices(days, np.array([1.5, 2.5]), "b").checksum == prices.checksum
    assert Prices(days, np.array([1.5, 2.6]), "a").checksum != prices.checksum
