"""Tables and pages for the students and the teacher.

Pages hold text only: whatever a submission contains is escaped, and a policy in
each page forbids scripts, pictures and connections.
"""

from __future__ import annotations

import io
import statistics
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from nbformat import NotebookNode

from rnn_companion.homework import markup
from rnn_companion.homework.files import (
    Course,
    CourseError,
    read_table,
    write,
    write_table,
)
from rnn_companion.homework.grade import Graded
from rnn_companion.homework.run import Outcome
from rnn_companion.notebooks.render import render

ALIKE = 0.8  # share of rare phrases from which on two submissions are shown

# By student and answer: the points that a person gave, if any, and a comment.
Read = dict[tuple[str, str], tuple[float | None, str]]


@dataclass(frozen=True)
class Sheet:
    """What an assignment asks: its exercises, and the points of each cell."""

    title: str
    exercises: list[markup.Exercise]
    points: dict[str, float]
    texts: list[str]

    @property
    def most(self) -> float:
        """All points together."""
        return sum(self.points.values())

    def exercise(self, name: str) -> str:
        """Name the exercise that a cell belongs to."""
        return next(e.title for e in self.exercises if name in e.grade_ids)


def sheet(source: NotebookNode) -> Sheet:
    """Read what an assignment asks from the teacher's notebook."""
    points: dict[str, float] = {}
    texts, exercises = [], []
    for title, cells in markup.grouped(source):
        marks = [markup.mark(cell) for cell in cells]
        own = {m["grade_id"]: float(m["points"]) for m in marks if m["grade"]}
        names = tuple(m["grade_id"] for m in marks)
        exercises.append(markup.Exercise(title, sum(own.values()), 0, names))
        texts += [m["grade_id"] for m in marks if m["grade"] and m["solution"]]
        points |= own
    title = source.metadata["rnn_companion"]["title"]
    return Sheet(title, exercises, points, sorted(texts))


def report(
    course: Course, assignment: str, graded: Sequence[Graded], problems: Sequence[str]
) -> list[Path]:
    """Write all tables and pages of an assignment.

    Parameters
    ----------
    course : Course
    assignment : str
    graded : sequence of Graded
    problems : sequence of str
        What could not be graded.

    Returns
    -------
    list of Path
        The teacher's page and the tables. Each student's page lies under
        ``feedback``.

    Raises
    ------
    CourseError
        If ``to-read.csv`` gives points that cannot be.
    """
    asked = sheet(course.read_source(assignment))
    folder = course.graded(assignment)
    read = _read_by_hand(folder / "to-read.csv", asked)
    for one in graded:
        points = {n: p for (s, n), (p, _) in read.items() if s == one.student}
        one.points |= {n: p for n, p in points.items() if one.points.get(n) is None}
        comments = {n: c for (s, n), (_, c) in read.items() if s == one.student}
        page = _feedback(asked, one, comments)
        write(course.feedback(assignment, one.student), page)
    tables = _tables(asked, assignment, graded, read)
    for name, (columns, rows) in tables.items():
        write_table(folder / name, columns, rows)
    overview = folder / "index.html"
    write(overview, _teacher(asked, graded, problems))
    return [overview, *(folder / name for name in tables)]


def total(graded: Graded) -> float:
    """Add up the points given so far."""
    return sum(points or 0.0 for points in graded.points.values())


def _read_by_hand(path: Path, asked: Sheet) -> Read:
    """Read what the teacher gave for free texts."""
    found: Read = {}
    for row in read_table(path):
        name, told = row["answer"], row["points"].strip().replace(",", ".")
        try:
            points = float(told) if told else None
        except ValueError:
            points = -1.0
        most = asked.points.get(name, 0.0)
        if points is not None and not 0 <= points <= most:
            raise CourseError(
                f"{path.name}: {row['student']}, {name}: {told!r} is no number from 0 "
                f"to {most:g}"
            )
        found[row["student"], name] = (points, row["comment"])
    return found


def _tables(
    asked: Sheet, assignment: str, graded: Sequence[Graded], read: Read
) -> dict[str, tuple[list[str], list[list[str]]]]:
    """Make the tables, by the names of their files: columns and rows."""
    canvas = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment]
    totals = [(one.student, one.identifier, f"{total(one):g}") for one in graded]
    return {
        "scores.csv": (
            ["student", "exercise", "points", "max", "flags"],
            [_score(asked, one, e) for one in graded for e in asked.exercises],
        ),
        "to-read.csv": (
            ["student", "answer", "max", "points", "comment", "text"],
            [row for one in graded for row in _to_read(asked, one, read)],
        ),
        "canvas.csv": (canvas, [[s, i, "", "", "", t] for s, i, t in totals]),
        "moodle.csv": (
            ["Identifier", "Full name", "Grade"],
            [[i and f"Participant {i}", s, t] for s, i, t in totals],
        ),
    }


def _score(asked: Sheet, one: Graded, exercise: markup.Exercise) -> list[str]:
    given = [one.points[n] for n in exercise.grade_ids if n in asked.points]
    points = "" if None in given else f"{sum(p or 0 for p in given):g}"
    flags = "; ".join(one.flags)
    return [one.student, exercise.title, points, f"{exercise.points:g}", flags]


def _to_read(asked: Sheet, one: Graded, read: Read) -> list[list[str]]:
    """List a student's free texts, with what has been given for them already."""
    rows = []
    for name in asked.texts:
        points, comment = read.get((one.student, name), (None, ""))
        if one.points[name] is not None and points is None and not comment:
            continue  # left empty, so nothing to read
        given = "" if points is None else f"{points:g}"
        most = f"{asked.points[name]:g}"
        rows.append([one.student, name, most, given, comment, one.answers[name]])
    return rows


def _feedback(asked: Sheet, one: Graded, comments: Mapping[str, str]) -> str:
    unread = sum(asked.points[n] for n, p in one.points.items() if p is None)
    return render(
        "homework",
        "feedback.html",
        total=total,
        why=_why,
        asked=asked,
        one=one,
        comments=comments,
        unread=unread,
        printed=_printed,
        sandboxed=one.sandboxed,
    )


def _printed(outcome: Outcome) -> str:
    """Repeat what a cell printed; of an answer also its error."""
    if outcome.kind != "run":
        return outcome.text.strip()
    error = outcome.error
    last = f"{error['name']}: {error['message']} ({error['where']})" if error else ""
    cut = "\n(more was printed; it is cut here)" if outcome.cut else ""
    return "\n".join(part for part in (outcome.text.strip() + cut, last) if part)


def _why(one: Graded, name: str) -> str:
    """Say why a test failed: the visible check's words, or a hidden one's hint."""
    errors = [o.error for o in one.outcomes if o.kind == "test" and o.name == name]
    for error in errors:
        if error:
            kind = "" if error["name"] in ("Wrong", "Ended") else f"{error['name']}: "
            return f"{kind}{error['message']}" or error["name"]
    return one.hints.get(name, "")


def _teacher(asked: Sheet, graded: Sequence[Graded], problems: Sequence[str]) -> str:
    totals = [total(one) for one in graded]
    return render(
        "homework",
        "teacher.html",
        total=total,
        asked=asked,
        graded=graded,
        median=statistics.median(totals) if totals else 0.0,
        problems=problems,
        histogram=_histogram(totals, asked.most),
        failures=_failures(asked, graded),
        similar=similar({one.student: one.answers for one in graded}),
        sandboxed=all(one.sandboxed for one in graded),
    )


def _failures(
    asked: Sheet, graded: Sequence[Graded]
) -> list[tuple[str, str, int, str]]:
    """List the tests, those that failed most first, with what was said most often."""
    rows = []
    for name in (name for name in asked.points if name not in asked.texts):
        failed = [one for one in graded if one.points[name] == 0]
        said = Counter(_why(one, name) for one in failed).most_common(1)
        words = said[0][0] if said else ""
        rows.append((asked.exercise(name), name, len(failed), words))
    return sorted(rows, key=lambda row: -row[2])


def _histogram(totals: Sequence[float], most: float) -> list[tuple[float, float, int]]:
    """Count totals in five equal parts; the last holds the full marks."""
    width = most / 5
    counts = Counter(min(int(value / width), 4) for value in totals)
    return [(k * width, (k + 1) * width, counts[k]) for k in range(5)]


def similar(answers: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, float]]:
    """Find submissions that share most of what few others wrote.

    Short exercises have few right answers, so what many wrote tells nothing. Of
    the runs of five words or signs, those count that at most a tenth of all
    submissions (but always two) contain.

    Parameters
    ----------
    answers : mapping
        By student, their answers by name.

    Returns
    -------
    list of (str, str, float)
        Pairs, and which share of the smaller submission's rare runs is in the other
        if it is at least `ALIKE`; the most alike first.
    """
    runs = {s: _runs("\n".join(texts.values())) for s, texts in answers.items()}
    counts = Counter(run for own in runs.values() for run in own)
    often = max(2, len(runs) // 10)
    rare = {s: {r for r in own if counts[r] <= often} for s, own in runs.items()}
    pairs = []
    for a, b in combinations(sorted(rare), 2):
        fewest = min(len(rare[a]), len(rare[b]))
        if fewest >= 10:
            share = len(rare[a] & rare[b]) / fewest
            pairs += [(a, b, share)] if share >= ALIKE else []
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[k : k + 5]) for k in range(len(words) - 4)}


def _words(text: str) -> list[str]:
    """Split a text into words and signs: by Python's rules if it is Python."""
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return [token.string for token in tokens if token.string.strip()]
    except (tokenize.TokenError, SyntaxError):
        return text.split()
