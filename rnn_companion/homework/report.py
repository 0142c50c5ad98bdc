"""Tell students and teacher how it went.

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
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from rnn_companion.homework import markup
from rnn_companion.homework.files import (
    Course,
    CourseError,
    read_table,
    write,
    write_table,
)
from rnn_companion.homework.grade import Graded

ALIKE = 0.8  # share of rare phrases from which on two submissions are shown


@dataclass(frozen=True)
class Sheet:
    """What an assignment asks: its exercises, and the points of each cell."""

    title: str
    exercises: list[markup.Exercise]
    points: dict[str, float]
    texts: set[str]

    @property
    def most(self) -> float:
        """All points together."""
        return sum(self.points.values())

    def exercise(self, name: str) -> str:
        """Name the exercise that a cell belongs to."""
        return next(e.title for e in self.exercises if name in e.grade_ids)


def sheet(source: Any) -> Sheet:  # noqa: ANN401 - nbformat has no types
    """Read what an assignment asks from the teacher's notebook."""
    found: list[tuple[str, list[str]]] = []
    points: dict[str, float] = {}
    texts = set()
    for cell in source.cells:
        if cell.cell_type == "markdown" and cell.source.startswith(("### ", "\n### ")):
            found.append((cell.source.strip().split("\n")[0][4:], []))
        elif cell.cell_type == "markdown" and "\n### " in cell.source:
            title = cell.source.split("\n### ")[1].split("\n")[0]
            found.append((title, []))
        if about := cell.metadata.get("nbgrader"):
            name = about["grade_id"]
            found[-1][1].append(name)
            if about["grade"]:
                points[name] = float(about["points"])
            if about["grade"] and about["solution"]:
                texts.add(name)
    exercises = [
        markup.Exercise(title, sum(points.get(n, 0) for n in names), 0, tuple(names))
        for title, names in found
        if names
    ]
    title = source.metadata["rnn_companion"]["title"]
    return Sheet(title, exercises, points, texts)


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
    written = [
        _scores(folder, asked, graded),
        _to_read(folder, asked, graded, read),
        _canvas(folder, assignment, graded),
        _moodle(folder, graded),
    ]
    for one in graded:
        page = _feedback(
            asked, one, {n: c for (s, n), (_, c) in read.items() if s == one.student}
        )
        write(course.feedback(assignment, one.student), page)
    overview = folder / "index.html"
    write(overview, _teacher(asked, graded, problems))
    return [overview, *written]


def total(graded: Graded) -> float:
    """Add up the points given so far."""
    return sum(points or 0.0 for points in graded.points.values())


def _read_by_hand(
    path: Path, asked: Sheet
) -> dict[tuple[str, str], tuple[float | None, str]]:
    """Read what the teacher gave for free texts."""
    found = {}
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


def _scores(folder: Path, asked: Sheet, graded: Sequence[Graded]) -> Path:
    rows = []
    for one in graded:
        for exercise in asked.exercises:
            names = [n for n in exercise.grade_ids if n in asked.points]
            given = [one.points[n] for n in names]
            points = "" if None in given else f"{sum(p or 0 for p in given):g}"
            rows.append(
                {
                    "student": one.student,
                    "exercise": exercise.title,
                    "points": points,
                    "max": f"{exercise.points:g}",
                    "flags": "; ".join(one.flags),
                }
            )
    path = folder / "scores.csv"
    write_table(path, ["student", "exercise", "points", "max", "flags"], rows)
    return path


def _to_read(
    folder: Path,
    asked: Sheet,
    graded: Sequence[Graded],
    read: Mapping[tuple[str, str], tuple[float | None, str]],
) -> Path:
    """List the free texts, with what has been given for them already."""
    rows = []
    for one in graded:
        for name in sorted(asked.texts):
            points, comment = read.get((one.student, name), (None, ""))
            if one.points[name] is not None and points is None and not comment:
                continue  # left empty, so nothing to read
            rows.append(
                {
                    "student": one.student,
                    "answer": name,
                    "max": f"{asked.points[name]:g}",
                    "points": "" if points is None else f"{points:g}",
                    "comment": comment,
                    "text": one.answers[name],
                }
            )
    path = folder / "to-read.csv"
    columns = ["student", "answer", "max", "points", "comment", "text"]
    write_table(path, columns, rows)
    return path


def _canvas(folder: Path, assignment: str, graded: Sequence[Graded]) -> Path:
    columns = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment]
    rows = [
        {"Student": one.student, "ID": one.identifier, assignment: f"{total(one):g}"}
        for one in graded
    ]
    write_table(folder / "canvas.csv", columns, rows)
    return folder / "canvas.csv"


def _moodle(folder: Path, graded: Sequence[Graded]) -> Path:
    rows = [
        {
            "Identifier": f"Participant {one.identifier}" if one.identifier else "",
            "Full name": one.student,
            "Grade": f"{total(one):g}",
        }
        for one in graded
    ]
    write_table(folder / "moodle.csv", ["Identifier", "Full name", "Grade"], rows)
    return folder / "moodle.csv"


def _render(template: str, **values: object) -> str:
    pages = Environment(
        loader=PackageLoader("rnn_companion.homework"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return pages.get_template(template).render(**values)


def _feedback(asked: Sheet, one: Graded, comments: Mapping[str, str]) -> str:
    exercises = []
    for exercise in asked.exercises:
        names = set(exercise.grade_ids)
        lines = [
            {
                "points": one.points[name],
                "most": asked.points[name],
                "hint": _why(one, name),
                "comment": comments.get(name, ""),
            }
            for name in exercise.grade_ids
            if name in asked.points
        ]
        said = [
            {"where": "It printed:" if o.kind == "run" else "The check:", "text": text}
            for o in one.outcomes
            if o.name.removeprefix("before ") in names
            and (text := _told(o) if o.kind == "run" else o.text.strip())
        ]
        answers = [one.answers[n] for n in exercise.grade_ids if n in one.answers]
        exercises.append(
            {"title": exercise.title, "lines": lines, "answers": answers, "said": said}
        )
    unread = sum(asked.points[n] for n, p in one.points.items() if p is None)
    return _render(
        "feedback.html",
        title=asked.title,
        student=one.student,
        total=total(one),
        most=asked.most,
        unread=unread,
        exercises=exercises,
        walls=one.walls,
    )


def _told(outcome: Any) -> str:  # noqa: ANN401
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
    failures: list[dict[str, Any]] = []
    for name in asked.points:
        if name in asked.texts:
            continue
        failed = [one for one in graded if one.points[name] == 0]
        said = Counter(_why(one, name) for one in failed).most_common(1)
        item = {"name": name, "title": asked.exercise(name), "failed": len(failed)}
        failures.append({**item, "said": said[0][0] if said else ""})
    failures.sort(key=lambda item: -item["failed"])
    rows = [
        {"student": one.student, "total": total(one), "flags": one.flags}
        for one in graded
    ]
    texts = [
        {"student": one.student, "title": asked.exercise(n), "answer": one.answers[n]}
        for one in graded
        for n in sorted(asked.texts)
        if one.points[n] is None
    ]
    return _render(
        "teacher.html",
        title=asked.title,
        walls=all(one.walls for one in graded),
        rows=rows,
        median=statistics.median(totals) if totals else 0.0,
        most=asked.most,
        problems=problems,
        histogram=_histogram(totals, asked.most),
        failures=failures,
        similar=similar({one.student: one.answers for one in graded}),
        texts=texts,
    )


def _histogram(totals: Sequence[float], most: float) -> list[tuple[float, float, int]]:
    """Count totals in five equal parts; the last holds the full marks."""
    width = most / 5
    counts = Counter(min(int(value / width), 4) for value in totals)
    return [(k * width, (k + 1) * width, counts[k]) for k in range(5)]


def similar(
    answers: Mapping[str, Mapping[str, str]], alike: float = ALIKE
) -> list[tuple[str, str, float]]:
    """Find submissions that share most of what few others wrote.

    Short exercises have few right answers, so what many wrote tells nothing. Of
    the runs of five words or signs, those count that at most a tenth of all
    submissions (but always two) contain.

    Parameters
    ----------
    answers : mapping
        By student, their answers by name.
    alike : float
        The share of the smaller submission's rare runs from which on a pair counts.

    Returns
    -------
    list of (str, str, float)
        Pairs and their shares, the most alike first.
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
            pairs += [(a, b, share)] if share >= alike else []
    return sorted(pairs, key=lambda pair: (-pair[2], pair[:2]))


def _runs(text: str, length: int = 5) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[k : k + length]) for k in range(len(words) - length + 1)}


def _words(text: str) -> list[str]:
    """Part a text into words and signs, as Python does where it can."""
    try:
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        return [token.string for token in tokens if token.string.strip()]
    except (tokenize.TokenError, SyntaxError):
        return text.split()
