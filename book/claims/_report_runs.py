"""The recorded runs that the checks of the forecasting report's results look at."""

from collections import defaultdict
from functools import cache
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnn_companion import grid, load_prices, recorded
from rnn_companion.forecasting.records import Record

RECORDS = Path(__file__).resolve().parents[1]
REPORT_DATA = "45716d59f0dbfd3ff3ae8d50c491e2a7bb19886297de00eb147af8786ef504ce"
FILES = {
    ("report", "source"): "records/source-protocol-report.jsonl",
    ("report", "honest"): "records/honest-protocol-report.jsonl",
    ("book", "source"): "records/source-protocol.jsonl",
    ("book", "honest"): "records/honest-protocol.jsonl",
}
MM, MO = "many-to-many-aligned", "many-to-one"
AS_PRINTED = "the report's settings on the report's data, recorded"
BY_DATE = "one recorded run of each network, on this book's series, split by date"
COLUMNS = [
    (c, s, o) for c in ("rnn", "lstm") for s in (MM, MO) for o in ("adam", "sgd")
]
FIGURE_14 = {
    3: (0.00014, 0.02, 0.0002, 0.004, 0.0001, 0.064, 0.0003, 0.065),
    7: (0.00014, 0.01, 0.0003, 0.0004, 0.0002, 0.065, 0.0004, 0.058),
    50: (0.0005, 0.001, 0.0002, 0.0006, 0.001, 0.06, 0.0002, 0.05),
}


class Cell(NamedTuple):
    """A network of the report's table."""

    cell: str
    length: int
    configuration: str
    optimizer: str


PRINTED = {
    Cell(c, length, s, o): loss
    for length, row in FIGURE_14.items()
    for (c, s, o), loss in zip(COLUMNS, row, strict=True)
}


@cache
def runs(series: str, protocol: str) -> dict[Cell, list[Record]]:
    """Collect the recorded runs of a grid by network; one for each seed."""
    data = REPORT_DATA if series == "report" else load_prices().checksum
    wanted = grid(seeds=range(3), protocol=protocol)
    path = RECORDS / FILES[series, protocol]
    found: dict[Cell, list[Record]] = defaultdict(list)
    for e, record in recorded(path, wanted, data, gaps=True).items():
        found[Cell(e.cell, e.length, e.configuration, e.optimizer)].append(record)
    return dict(found)


def over_naive(record: Record) -> float:
    """Return the error over that of tomorrow = today, after all days read."""
    return record.mse_by_position[-1] / record.persistence_by_position[-1]


def beside_printed(cell: str, configuration: str) -> NDArray[np.float64]:
    """Put the printed losses beside the medians of ours: shape (2, 6)."""
    ours = runs("report", "source")
    pairs = [
        (loss, median(r.mse for r in ours[key]))
        for key, loss in PRINTED.items()
        if (key.cell, key.configuration) == (cell, configuration)
    ]
    return np.array(pairs).T


class Line(NamedTuple):
    """How much a drawn line moves from point to point, in mean daily moves.

    Parameters
    ----------
    joined
        The line through the first and the last forecast of each window, by date.
    last
        That through the last ones alone.
    """

    joined: float
    last: float


@cache
def lines() -> dict[Cell, Line]:
    """Measure the lines of the first seeds, as chapter 6 draws them."""
    return {key: line_of(found[0]) for key, found in runs("book", "honest").items()}


def line_of(record: Record) -> Line:
    """Measure both lines of a run."""
    kept = record.forecasts
    assert kept is not None
    days, position = np.array(kept.dates), np.array(kept.positions)
    order = np.lexsort((position, days))
    forecast, truth = np.array(kept.forecast)[order], np.array(kept.truth)[order]
    close = truth[np.unique(days[order], return_index=True)[1]]
    move = np.abs(np.diff(close)).mean()
    last = forecast[position[order] == position.max()]
    joined, alone = (np.abs(np.diff(line)).mean() / move for line in (forecast, last))
    return Line(float(joined), float(alone))
