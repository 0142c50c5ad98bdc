"""The subcommand ``rnn-companion homework``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

Run = Callable[[argparse.Namespace], int]


def add_homework(parser: argparse.ArgumentParser) -> None:
    """Hand out a chapter's exercises, collect answers, grade them."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_release(actions.add_parser("release", help="make an assignment of a chapter"))
    _add_collect(actions.add_parser("collect", help="take in what was handed in"))
    _add_grade(actions.add_parser("grade", help="run and judge it, in a sandbox"))


def add_notebooks(parser: argparse.ArgumentParser) -> None:
    """Write the chapters as notebooks, for readers to work in."""
    add, out = parser.add_argument, Path("notebooks")
    add("--out", type=Path, default=out, metavar="DIR", help="default: %(default)s")
    add("--book", type=Path, default=Path(), metavar="DIR", help="the book's folder")
    parser.set_defaults(run=run_notebooks)


def run_notebooks(settings: argparse.Namespace) -> int:
    """Run `notebooks`."""
    from rnn_companion.homework.reader import write_copies

    written = list(write_copies(settings.book, settings.out))
    kept = [path.name for path, new in written if not new]
    print(f"{len(written) - len(kept)} notebooks written to {settings.out}")
    if kept:
        print(f"left as they are (delete one for a new copy): {', '.join(kept)}")
    return 0


def _add_release(parser: argparse.ArgumentParser) -> None:
    add, here, course = parser.add_argument, Path(), Path("course")
    add("chapter", help="such as 2-bptt")
    add("--out", type=Path, default=course, metavar="DIR", help="course; %(default)s")
    add("--book", type=Path, default=here, metavar="DIR", help="the book's folder")
    add("--due", type=_day, help="such as 2027-03-01 or 2027-03-01T12:00")
    add("--force", action="store_true", help="though answers to another version are in")
    parser.set_defaults(run=_with_nbgrader(run_release))


def run_release(settings: argparse.Namespace) -> int:
    """Run `homework release`."""
    from rnn_companion.homework.files import Course
    from rnn_companion.homework.release import release

    course = Course(settings.out)
    written = release(
        settings.chapter, settings.book, course, settings.due, settings.force
    )
    what = ("for you alone:", "for students: ", "the same, zip:")
    for kind, path in zip(what, written, strict=True):
        print(kind, path)
    return 0


def _add_collect(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("place", type=Path, metavar="ZIP|DIR", help="as the platform gave it")
    add("--course", type=Path, required=True, metavar="DIR", help="its folder")
    add("--assignment", help="if the notebooks do not say it themselves")
    parser.set_defaults(run=_with_nbgrader(run_collect))


def run_collect(settings: argparse.Namespace) -> int:
    """Run `homework collect`."""
    from rnn_companion.homework.collect import collect
    from rnn_companion.homework.files import Course

    course = Course(settings.course)
    result = collect(settings.place, course, settings.assignment)
    for row in result.rows:
        print(f"{row['student'] or '?'}: {row['file']}: {row['status']}")
    unread = len(result.unread)
    print(f"{len(result.rows) - unread} files taken, {unread} not read", end="")
    print(f"; the list is {course.folder / 'collected.csv'}")
    return int(bool(unread))


def _add_grade(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("assignment", help="such as 2-bptt")
    add("--course", type=Path, required=True, metavar="DIR", help="its folder")
    add("--overlay", type=Path, metavar="YAML", help="hidden tests by grade_id")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="default: %(default)s")
    add("--again", action="store_true", help="grade again what has been graded")
    add("--no-sandbox", action="store_true", help="run with all that you may do")
    parser.set_defaults(run=_with_nbgrader(run_grade))


def run_grade(settings: argparse.Namespace) -> int:
    """Run `homework grade`."""
    from rnn_companion.homework.files import Course
    from rnn_companion.homework.grade import grade
    from rnn_companion.homework.report import report

    course = Course(settings.course)
    graded, problems = grade(
        course,
        settings.assignment,
        overlay=_overlay(settings.overlay),
        sandboxed=not settings.no_sandbox,
        jobs=settings.jobs,
        again=settings.again,
    )
    written = report(course, settings.assignment, graded, problems)
    print(*problems, sep="\n", end="\n" if problems else "", file=sys.stderr)
    if settings.no_sandbox:
        print("WITHOUT A SANDBOX: what ran could do all that you may do")
    print(f"{len(graded)} graded, {len(problems)} not; open {written[0]}")
    return int(bool(problems))


def _overlay(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from None
    values = found.values() if isinstance(found, dict) else [None]
    if not all(isinstance(value, str) for value in values):
        raise ValueError(
            f"{path}: give code by grade_id, as in 'rnn-check: |' and code"
        )
    return dict(found)


def _day(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no date such as 2027-03-01 or 2027-03-01T12:00"
        raise argparse.ArgumentTypeError(message) from None


def _with_nbgrader(run: Run) -> Run:
    """Have a command say so where its libraries are missing."""

    def checked(settings: argparse.Namespace) -> int:
        if find_spec("nbgrader") is None:
            raise RuntimeError(
                "homework needs nbgrader: pip install 'rnn-companion[teach]'"
            )
        return run(settings)

    return checked
