"""What was found for a share: texts, tables, a page, and JSON."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from rnn_companion.figures.volatility import forecasters
from rnn_companion.forecasting.baselines import BASELINES
from rnn_companion.reports.page import Heading, page
from rnn_companion.reports.share import LEVEL, Outlook, OwnShare

SURE = 0.05  # a smaller p-value is beyond doubt
CERTAIN = f"{100 * LEVEL:g} %"
SIMPLEST = {"persistence": "“tomorrow = today”", "mean": "the mean"}
WORDS = {
    "range": "a day's volatility by its high and low, as Parkinson estimates it.",
    "p": "how often the best of all forecasts would look so much better, or more, if "
    "none were better (Hansen's test of superior predictive ability).",
    "validation": "squared error over that of persistence on the validation days.",
    "test": "the same on the test days.",
    "low, high": f"ends of its {CERTAIN} interval, by a block bootstrap.",
    "in set": f"whether the {CERTAIN} model confidence set of the test days holds it.",
}
UNITS: dict[str, tuple[str, Callable[[float], float]]] = {
    "price": ("", lambda x: x),
    "return": (" %", lambda x: 100 * float(np.expm1(x))),
    "range": (" % a day", lambda x: 100 * float(np.exp(x))),
}


def table(outlook: Outlook) -> pd.DataFrame:
    """Write the errors of every forecast as texts, the best on the validation first.

    Parameters
    ----------
    outlook : Outlook
        Of one target.

    Returns
    -------
    pandas.DataFrame
        Its columns are explained in `WORDS`.
    """
    rows = [
        {
            "forecast": str(row.Index),
            "validation": f"{row.validation:.3f}",
            "test": f"{row.ratio:.3f}",
            "low": f"{row.low:.3f}",
            "high": f"{row.high:.3f}",
            "in set": "yes" if row.kept else "no",
        }
        for row in outlook.models.itertuples()
    ]
    return pd.DataFrame(rows)


def heading(share: OwnShare) -> list[str]:
    """Say what was done with which days, and which targets are left out.

    Parameters
    ----------
    share : OwnShare
        At least one target.

    Returns
    -------
    list of str
    """
    days = share.prices.dates
    done = (
        f"{share.prices.name}, {len(days)} days from {days[0]:%Y-%m-%d} to "
        f"{days[-1]:%Y-%m-%d}. Every forecast is made the day before. All models are "
        "fitted on the first days, the training days. The validation days after them "
        "say when the networks stop, and choose a forecast for tomorrow. The test "
        "days, the last ones, choose nothing."
    )
    return [done, *(f"No {kind}: {why}." for kind, why in share.left_out.items())]


def sentences(outlook: Outlook) -> list[str]:
    """Say what to make of one target, and what is forecast for tomorrow.

    Parameters
    ----------
    outlook : Outlook
        Of one target.

    Returns
    -------
    list of str
    """
    return [_can_be_forecast(outlook), _the_set(outlook), _tomorrow(outlook)]


def _can_be_forecast(outlook: Outlook) -> str:
    others, days = len(outlook.models) - 1, outlook.tested_on
    when = f"on the {len(days)} test days from {days[0]:%Y-%m-%d}"
    said = {name: f"{SIMPLEST[name]} ({_p(p)})" for name, p in outlook.p.items()}
    open_ones = [said[name] for name, p in outlook.p.items() if p >= SURE]
    if not open_ones:
        return (
            f"At least one of the {others} other forecasts of the {outlook.kind} is "
            f"better than {' and one than '.join(said.values())}, {when}."
        )
    return (
        f"None of the {others} other forecasts of the {outlook.kind} is shown to be "
        f"better than {' or than '.join(open_ones)}, {when}; this does not show "
        "that none is."
    )


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _the_set(outlook: Outlook) -> str:
    kept = outlook.models.index[outlook.models["kept"]]
    rules = [str(name) for name in kept if name in BASELINES]
    networks = len(outlook.models) - len(BASELINES)
    said = (
        f"The {CERTAIN} confidence set holds {len(kept) - len(rules)} of {networks} "
        f"networks and means of networks, and {len(rules)} of {len(BASELINES)} simple "
        f"rules ({', '.join(rules) or 'none'})"
    )
    untold = ": these days do not tell which of them is the best"
    return f"{said}{untold if len(kept) > 1 else ''}."


def _tomorrow(outlook: Outlook) -> str:
    days, (unit, _) = outlook.chosen_by, UNITS[outlook.kind]
    middle, low, high = (f"{value:.4g}" for value in in_units(outlook))
    return (
        f"Chosen on the {len(days)} validation days from {days[0]:%Y-%m-%d}: "
        f"{outlook.chosen}{_against_persistence(outlook)}. For the trading day "
        f"after {outlook.tested_on[-1]:%Y-%m-%d} it forecasts a {outlook.kind} of "
        f"{middle}{unit}; with the middle {CERTAIN} of its errors on the test days "
        f"added, {low} to {high}{unit}."
    )


def _against_persistence(outlook: Outlook) -> str:
    row = outlook.models.loc[outlook.chosen]
    if outlook.chosen == "persistence":
        return ""
    return (
        f", whose squared error on the test days is {row['ratio']:.3f} times that of "
        f"{SIMPLEST['persistence']} ({CERTAIN} interval {row['low']:.3f} to "
        f"{row['high']:.3f})"
    )


def in_units(outlook: Outlook) -> tuple[float, float, float]:
    """Give tomorrow's forecast and its interval as a reader counts.

    Parameters
    ----------
    outlook : Outlook
        Of one target.

    Returns
    -------
    tuple of float
        The price in the file's currency, the return in percent, or the volatility by
        the range in percent a day.
    """
    _, shown = UNITS[outlook.kind]
    middle, low, high = outlook.tomorrow
    return shown(middle), shown(low), shown(high)


def as_text(share: OwnShare) -> str:
    """Write all of it for a terminal.

    Parameters
    ----------
    share : OwnShare
        At least one target.

    Returns
    -------
    str
    """
    parts = heading(share)
    for outlook in share.outlooks:
        parts += [outlook.kind.upper(), table(outlook).to_string(index=False)]
        parts += sentences(outlook)
    return "\n\n".join(parts)


def share_page(share: OwnShare) -> str:
    """Make one HTML page of sentences, tables and pictures.

    Parameters
    ----------
    share : OwnShare
        At least one target.

    Returns
    -------
    str
        The page; it holds its pictures and asks for nothing.
    """
    pictures = forecasters({one.kind: one.models for one in share.outlooks})
    parts: list[Any] = heading(share)
    for one in share.outlooks:
        parts += [Heading(one.kind.capitalize()), *sentences(one), table(one)]
        parts.append(pictures.picture(target=one.kind))
    notes = pd.DataFrame(list(WORDS.items()), columns=["word", "what it means"])
    return page(f"What can be forecast of {share.prices.name}?", *parts, notes)


def as_json(share: OwnShare) -> dict[str, Any]:
    """Give all of it for programs.

    Parameters
    ----------
    share : OwnShare
        At least one target.

    Returns
    -------
    dict
        Of what JSON knows.
    """
    return {
        "name": share.prices.name,
        "days": len(share.prices),
        "last_day": f"{share.prices.dates[-1]:%Y-%m-%d}",
        "left_out": share.left_out,
        "targets": [_json(outlook) for outlook in share.outlooks],
    }


def _json(outlook: Outlook) -> dict[str, Any]:
    middle, low, high = in_units(outlook)
    unit = UNITS[outlook.kind][0].strip() or "as in the file"
    return {
        **asdict(outlook),
        "models": outlook.models.rename_axis("model").reset_index().to_dict("records"),
        "chosen_by": len(outlook.chosen_by),
        "tested_on": len(outlook.tested_on),
        "tomorrow": {"forecast": middle, "low": low, "high": high, "unit": unit},
        "sentences": sentences(outlook),
    }
