"""The command ``rnn-companion``.

A subcommand is a function that adds its arguments to a parser and names what
runs it; it stands in `COMMANDS`, and imports what it needs only when it runs.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rnn_companion import __version__
from rnn_companion.homework.commands import add_homework, add_notebooks
from rnn_companion.reports.commands import add_forecast, add_judge
from rnn_companion.sentences.commands import add_claims
from rnn_companion.tasks.text.commands import add_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

W = TypeVar("W")  # settings of a run

DEFAULT = "default: %(default)s"
STRATEGIES = {"many-to-many": "many-to-many-aligned"}  # the study's name for it


def add_equations(parser: argparse.ArgumentParser) -> None:
    """Check that the labelled equations of chapters hold."""
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="chapters in MyST Markdown"
    )
    parser.add_argument(
        "--json", action="store_true", help="print a list of results as JSON"
    )
    parser.add_argument(
        "--mutants",
        action="store_true",
        help="change each equation in many ways; each must fail",
    )
    parser.add_argument(
        "--worlds",
        action="append",
        default=[],
        metavar="FILE.py",
        help="worlds of your own",
    )
    parser.set_defaults(run=equations)


def equations(settings: argparse.Namespace) -> int:
    """Run the subcommand `equations`."""
    from rnn_companion.equations import (
        EquationError,
        check_files,
        load_file,
        problems,
    )
    from rnn_companion.equations.mutants import survey

    try:
        for path in settings.worlds:
            load_file(path)
    except EquationError as error:
        print(f"rnn-companion: {error}", file=sys.stderr)
        return 2
    chapters = check_files(settings.files)
    reports = [report for chapter in chapters for report in chapter.reports]
    wrong = problems(chapters)
    if settings.json:
        print(json.dumps([report.as_json() for report in reports], indent=1))
    else:
        print(*reports, sep="\n")
    failed = bool(wrong) or any(report.status == "failed" for report in reports)
    if settings.mutants and not failed:
        table, wrong = survey(chapters)
        print(table)
        failed = bool(wrong)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return int(failed)


def add_grid(parser: argparse.ArgumentParser) -> None:
    """Run the forecasting study, or go on where it was stopped."""
    add = parser.add_argument
    add("--out", required=True, metavar="RECORDS.jsonl", help="where records are kept")
    add("--data", metavar="CSV", help="daily prices; Microsoft's by default")
    add("--cells", type=_words, default="rnn,lstm", help=DEFAULT)
    add("--lengths", type=_numbers, default="3,7,50,100", help=DEFAULT)
    add("--strategies", type=_words, default="many-to-many,many-to-one", help=DEFAULT)
    add("--optimizers", type=_words, default="adam,sgd", help=DEFAULT)
    add("--epochs", type=int, help="default: 10, and 100 for SGD")
    add("--hidden", type=int, default=512, help="hidden units; default: %(default)s")
    add("--learning-rate", type=float, default=1e-3, help=DEFAULT)
    add("--seeds", type=_numbers, default="0", help=DEFAULT)
    add(
        "--protocol",
        choices=("honest", "source"),
        default="honest",
        help="split by date, or at random as the source did; default: %(default)s",
    )
    add("--precision", choices=("float32", "bfloat16"), default="float32")
    _add_machines(parser)
    add(
        "--forecasts",
        choices=("all", "ends", "last", "none"),
        default="all",
        help="keep all, each window's first and last, its last, or errors only, for "
        "data that may not be given back; default: %(default)s",
    )
    parser.set_defaults(run=run_grid)


def run_grid(settings: argparse.Namespace) -> int:
    """Run the subcommand `grid`."""
    from rnn_companion.forecasting.grid import cost, grid, run_all
    from rnn_companion.forecasting.prices import load_prices

    experiments = grid(
        cells=settings.cells,
        lengths=settings.lengths,
        configurations=[STRATEGIES.get(s, s) for s in settings.strategies],
        optimizers=settings.optimizers,
        seeds=settings.seeds,
        epochs=settings.epochs,
        hidden_size=settings.hidden,
        learning_rate=settings.learning_rate,
        protocol=settings.protocol,
        precision=settings.precision,
    )
    prices = load_prices(settings.data)
    start = partial(run_all, prices=prices, forecasts=settings.forecasts)
    return _run_side_by_side(settings, experiments, cost, start)


def _run_side_by_side(
    settings: argparse.Namespace,
    work: Sequence[W],
    cost: Callable[[W], int],
    start: Callable[..., Sequence[object]],
) -> int:
    """Run experiments or trials; side by side, the longest must not come last."""
    alone = settings.workers == 1
    with _dask(settings.dask) as executor:
        records = start(
            sorted(work, key=cost, reverse=not alone),
            out=settings.out,
            device=settings.device,
            workers=settings.workers,
            executor=executor,
        )
    print(f"{len(records)} records in {settings.out}")
    return 0


@contextmanager
def _dask(address: str | None) -> "Iterator[Executor | None]":
    if address is None:
        yield None
        return
    from distributed import Client

    with Client(address) as client:
        yield client.get_executor()


def add_table(parser: argparse.ArgumentParser) -> None:
    """Print the forecasting study's table from records: medians over the seeds."""
    parser.add_argument("records", metavar="RECORDS.jsonl")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.set_defaults(run=run_table)


def run_table(settings: argparse.Namespace) -> int:
    """Run the subcommand `table`."""
    from rnn_companion.forecasting.records import RecordFile
    from rnn_companion.forecasting.tables import study_table, table

    if not Path(settings.records).exists():
        raise FileNotFoundError(2, "no such file", settings.records)
    cells = table(RecordFile(settings.records).read())
    if settings.json:
        print(cells.to_json(orient="records", indent=1))
    else:
        print(*study_table(cells), sep="\n\n")
    return 0


def add_palindromes(parser: argparse.ArgumentParser) -> None:
    """Run the trials of the palindrome task, or go on where they were stopped."""
    add = parser.add_argument
    add("--out", required=True, metavar="RECORDS.jsonl", help="where records are kept")
    add("--cells", type=_words, default="rnn,lstm", help=DEFAULT)
    add("--lengths", type=_numbers, help="digits to read; default: all of chapter 7")
    add("--recipes", type=lambda text: text.split(";"), help="separated by semicolons")
    add("--seeds", type=_numbers, help="default: 0,1,2, and 0 to 9 with --factorial")
    add(
        "--factorial",
        action="store_true",
        help="the small trials that combine start, rate and cell, instead",
    )
    add(
        "--more-seeds",
        action="store_true",
        help="the trials beyond the three seeds, for recipes that have them, instead",
    )
    _add_machines(parser)
    parser.set_defaults(run=run_palindromes)


def run_palindromes(settings: argparse.Namespace) -> int:
    """Run the subcommand `palindromes`."""
    from rnn_companion.tasks.sweep import (
        cost,
        factorial,
        more_seeds,
        recipe_of,
        run_trials,
        trials,
    )

    if settings.factorial:
        planned = factorial(settings.seeds or range(10))
    elif settings.more_seeds:
        planned = more_seeds()
    else:
        planned = trials(settings.seeds or range(3))
    chosen = [
        trial
        for trial in planned
        if trial.cell in settings.cells
        and trial.length in (settings.lengths or [trial.length])
        and recipe_of(trial) in (settings.recipes or [recipe_of(trial)])
    ]
    if not chosen:
        raise ValueError("no trial of chapter 7 has these cells, lengths and recipes")
    return _run_side_by_side(settings, chosen, cost, run_trials)


def _add_machines(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--device", default="auto", help="such as cpu or cuda:1; default: %(default)s")
    add("--workers", type=int, help="processes side by side; default: one a core")
    add("--dask", metavar="ADDRESS", help="a Dask scheduler that runs them instead")


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        message = f"{text!r} is not a list of numbers such as 3,7,50"
        raise argparse.ArgumentTypeError(message) from None


COMMANDS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "equations": add_equations,
    "claims": add_claims,
    "grid": add_grid,
    "table": add_table,
    "palindromes": add_palindromes,
    "text": add_text,
    "homework": add_homework,
    "notebooks": add_notebooks,
    "judge": add_judge,
    "forecast": add_forecast,
}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="rnn-companion", description="Tools of the book."
    )
    parser.add_argument("--version", action="version", version=__version__)
    subcommands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, add in COMMANDS.items():
        add(subcommands.add_parser(name, help=add.__doc__, description=add.__doc__))
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        What stands after ``rnn-companion``; by default, what was typed.

    Returns
    -------
    int
        The exit status: 0 if all is well, 1 if a check or a run failed, 2 for bad
        input, 130 if it was interrupted, 141 if nothing reads its output any more;
        `judge --help` says what its 3 means.
    """
    settings = make_parser().parse_args(arguments)
    try:
        status = int(settings.run(settings))
        sys.stdout.flush()
    except BrokenPipeError:  # what reads our output has ended, such as `head`
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - Python flushes it at its end
        return 141
    except OSError as error:
        print(f"rnn-companion: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    except (ImportError, RuntimeError, ValueError) as error:
        print(f"rnn-companion: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    except KeyboardInterrupt:
        print("rnn-companion: stopped; the same command goes on", file=sys.stderr)
        return 130
    return status
