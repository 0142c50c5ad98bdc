"""The subcommands ``judge`` and ``forecast``: your own forecasts, your own share.

What the command needs is imported only when it runs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnn_companion.forecasting.judge import Verdict

EPILOG = """
exit status: 0 if at least one forecast is better than the best simple rule (p below
0.05), 1 if none is, 2 for bad input or if a library is missing, 3 if a leak is
suspected in any.
"""


def add_judge(parser: argparse.ArgumentParser) -> None:
    """Hold forecasts against simple rules and look for signs of a leak."""
    add = parser.add_argument
    parser.epilog = EPILOG
    add(
        "files",
        nargs="+",
        metavar="FILE.csv",
        help="with the columns date, truth, perhaps horizon, and forecasts; - reads a "
        "pipe; several files have the same days and the same truth",
    )
    add(
        "--horizon",
        type=int,
        default=1,
        metavar="DAYS",
        help="how many days before its date a forecast was made, without such a "
        "column; default: %(default)s",
    )
    add("--html", type=Path, metavar="PAGE.html", help="also write a page")
    add("--json", action="store_true", help="print JSON, for programs")
    parser.set_defaults(run=run_judge)


def run_judge(settings: argparse.Namespace) -> int:
    """Run the subcommand `judge`."""
    from rnn_companion.forecasting.forecast_table import load_forecasts
    from rnn_companion.forecasting.judge import judge
    from rnn_companion.reports.verdicts import sentences, table, verdict_page

    files = [sys.stdin if file == "-" else file for file in settings.files]
    try:
        verdicts = judge(load_forecasts(*files, horizon=settings.horizon))
    except ImportError as error:  # 1 would say that no forecast is better
        print(f"rnn-companion: {error}", file=sys.stderr)
        return 2
    if settings.json:
        print(json.dumps([verdict.as_json() for verdict in verdicts], indent=1))
    else:
        print(table(verdicts).to_string(index=False), *sentences(verdicts), sep="\n\n")
    if settings.html:
        settings.html.write_text(verdict_page(verdicts), encoding="utf-8")
    return exit_status(verdicts)


def exit_status(verdicts: "Sequence[Verdict]") -> int:
    """Say for a script what was found.

    Parameters
    ----------
    verdicts : sequence of Verdict
        Of all forecasts.

    Returns
    -------
    int
        3 if a leak is suspected in any, else 0 if one is better than the best simple
        rule, else 1.
    """
    found = {verdict.status for verdict in verdicts}
    return 3 if "leak" in found else 0 if "better" in found else 1


def add_forecast(parser: argparse.ArgumentParser) -> None:
    """Find out what of your own share can be forecast, and forecast its next day."""
    add = parser.add_argument
    parser.epilog = "exit status: 0 when done, 1 if a run failed, 2 for bad input."
    add(
        "file",
        type=Path,
        metavar="PRICES.csv",
        help="daily prices, with the columns date and close or adjusted close; high "
        "and low for the range",
    )
    add("--column", help="the price column; default: the adjusted close, else close")
    add(
        "--dayfirst",
        action=argparse.BooleanOptionalAction,
        help="how to read 3/4/2015, if no row tells",
    )
    add(
        "--out",
        type=Path,
        metavar="RECORDS.jsonl",
        help="where runs are kept, so that a stopped command goes on; default: "
        "PRICES.runs.jsonl beside the prices",
    )
    add("--html", type=Path, metavar="PAGE.html", help="also write a page")
    add("--json", action="store_true", help="print JSON, for programs")
    add("--device", default="auto", help="such as cpu or cuda:1; default: %(default)s")
    add("--workers", type=int, help="processes side by side; default: one a core")
    parser.set_defaults(run=run_forecast)


def run_forecast(settings: argparse.Namespace) -> int:
    """Run the subcommand `forecast`."""
    from rnn_companion.forecasting.prices import load_prices
    from rnn_companion.reports.share import own_share
    from rnn_companion.reports.share_page import as_json, as_text, share_page

    prices = load_prices(
        settings.file, column=settings.column, dayfirst=settings.dayfirst
    )
    out = settings.out or settings.file.with_suffix(".runs.jsonl")
    print(f"runs are kept in {out}", file=sys.stderr)
    share = own_share(prices, out=out, device=settings.device, workers=settings.workers)
    print(json.dumps(as_json(share), indent=1) if settings.json else as_text(share))
    if settings.html:
        settings.html.write_text(share_page(share), encoding="utf-8")
    return 0
