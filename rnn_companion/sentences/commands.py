"""The subcommand ``claims``."""

import argparse
import json
import sys
from pathlib import Path

SHARE = 0.95


def add_claims(parser: argparse.ArgumentParser) -> None:
    """Check that the sentences of chapters are no stronger than what is shown."""
    add = parser.add_argument
    add("files", nargs="*", metavar="FILE.md", help="pages whose sentences are read")
    add(
        "--run",
        dest="checks",
        action="store_true",
        help="run the checks beside the pages too",
    )
    add("--planted", action="store_true", help="plant falsehoods; each must be noticed")
    add("--only", metavar="ID", help="with --run or --planted: this claim alone")
    add("--json", action="store_true", help="with --run: print a list of findings")
    add(
        "--sources",
        metavar="FOLDER",
        help="find every quotation in the documents of a folder, and keep the list",
    )
    parser.set_defaults(run=run_claims)


def run_claims(settings: argparse.Namespace) -> int:
    """Run the subcommand `claims`."""
    from .pages import problems, sentences, stated_in

    folders = sorted({Path(file).resolve().parent for file in settings.files})
    stated = {name: said for book in folders for name, said in stated_in(book).items()}
    wrong = [
        f"{file}:{line}: {said}"
        for file in settings.files
        for line, said in problems(sentences(Path(file).read_text("utf-8")), stated)
    ]
    if settings.checks or settings.planted or settings.sources:
        wrong += run_checks(settings, folders)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return int(bool(wrong))


def run_checks(settings: argparse.Namespace, folders: list[Path]) -> list[str]:
    """Do what needs the claims themselves; say what is wrong."""
    from .run import book_claims, examine, survey

    known = {c.id: c for folder in folders for c in book_claims(folder)}
    chosen = [c for c in known.values() if settings.only in (None, c.id)]
    wrong: list[str] = []
    if settings.sources:
        from .quotations import keep

        for folder in folders:
            wrong += keep(folder, Path(settings.sources), settings.files, known)
    if settings.checks:
        results = [examine(made) for made in chosen]
        if settings.json:
            print(json.dumps([result.as_json() for result in results], indent=1))
        else:
            print(*results, sep="\n")
        wrong += [str(result) for result in results if result.problem]
    if settings.planted:
        table, missed = survey(chosen, SHARE)
        print(table)
        wrong += missed
    return wrong
