"""Records of a grid as a table: medians over the seeds, and how many there are.

Source: chapter *Forecasting Microsoft*; the form is the forecasting report's.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from rnn_companion.forecasting.records import Record
from rnn_companion.forecasting.settings import Experiment

COLUMNS = (
    "protocol",
    "cell",
    "length",
    "configuration",
    "optimizer",
    "epochs",
    "hidden_size",
    "learning_rate",
)
ERRORS = ("mse", "persistence", "skill")
ACROSS = ("cell", "configuration", "optimizer")


def table(records: Iterable[Record]) -> pd.DataFrame:
    """Tabulate validation errors as the forecasting report did.

    Parameters
    ----------
    records : iterable of Record
        Of a grid; the seeds of a cell are summed up.

    Returns
    -------
    pandas.DataFrame
        One row for each combination of everything but the seed: data and settings
        (of the less usual ones, those that differ among the records), the number of
        its records ``n``, the median, least and greatest error over them,
        persistence's median error on the same targets, and the median skill.
    """
    rows = [
        {
            **asdict(record.experiment),
            "data": record.provenance.data,
            "mse": record.mse,
            "persistence": record.persistence_mse,
            "skill": record.skill,
        }
        for record in records
    ]
    settings = [f.name for f in fields(Experiment) if f.name not in (*COLUMNS, "seed")]
    found = pd.DataFrame(rows, columns=["data", *COLUMNS, *settings, *ERRORS])
    differing = [name for name in settings if found[name].nunique(dropna=False) > 1]
    by = ["data", *COLUMNS, *differing]
    return found.groupby(by, sort=False, as_index=False, dropna=False).agg(
        n=("mse", "size"),
        mse=("mse", "median"),
        least=("mse", "min"),
        greatest=("mse", "max"),
        persistence=("persistence", "median"),
        skill=("skill", "median"),
    )


def study_table(cells: pd.DataFrame) -> Iterator[str]:
    """Write out what `table` gives in the forecasting report's own form.

    Parameters
    ----------
    cells : pandas.DataFrame
        From `table`.

    Yields
    ------
    str
        For each data set, protocol and whatever else differs: lengths down, cells,
        configurations and optimizers across, in each cell the median validation error
        and, in brackets, of how many runs; below, what there is to beat. Runs that
        differ in their epochs alone stand in one cell, one after the other.
    """
    settings = {f.name for f in fields(Experiment)}
    inside = {"protocol", "length", "epochs", *ACROSS}
    other = [name for name in cells.columns if name in settings - inside]
    differing = [name for name in other if cells[name].nunique(dropna=False) > 1]
    apart = cells.groupby(["data", "protocol", *differing], sort=False, dropna=False)
    for (data, protocol, *values), group in apart:
        pairs = zip(differing, values, strict=True)
        said = "".join(f", {name} {_plain(value)}" for name, value in pairs)
        naive = f"tomorrow = today: {group['persistence'].median():.2g} in the median"
        title = f"{data}, {protocol} protocol{said}: median squared validation error"
        yield f"{title} (number of runs)\n{_wide(group).to_string()}\n{naive}"


def _plain(value: Any) -> str:  # noqa: ANN401 - of any setting
    if isinstance(value, float):  # what pandas makes of None is not a number
        return "None" if math.isnan(value) else f"{value:g}"
    return str(value)


def _wide(group: pd.DataFrame) -> pd.DataFrame:
    pairs = zip(group["mse"], group["n"], strict=True)
    shown = group.assign(shown=[f"{mse:.2g} ({n})" for mse, n in pairs])
    wide = shown.pivot_table(
        index="length", columns=list(ACROSS), values="shown", aggfunc=", ".join
    )
    columns = wide.sort_index(axis=1, ascending=[False, True, True])  # RNN before LSTM
    return columns.fillna("-")
