"""The command ``rnn-companion``.

A subcommand is a function that adds its arguments to a parser and names what
runs it; it stands in `COMMANDS`, and imports what it needs only when it runs.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path


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
    from rnn_companion.equations import check_files, load_file, problems
    from rnn_companion.equations.mutants import survey

    for path in settings.worlds:
        load_file(path)
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


COMMANDS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "equations": add_equations,
}


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the whole command."""
    parser = argparse.ArgumentParser(
        prog="rnn-companion", description="Tools of the book."
    )
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
        The exit status: 0 if all is well, 1 if a check failed, 2 for bad input.
    """
    settings = make_parser().parse_args(arguments)
    try:
        return int(settings.run(settings))
    except OSError as error:
        name = Path(error.filename).name if error.filename else ""
        print(f"rnn-companion: {name}: {error.strerror}", file=sys.stderr)
        return 2
