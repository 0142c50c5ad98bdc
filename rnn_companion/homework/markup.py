"""Exercises as they stand in a chapter: nbgrader's cells, in MyST Markdown.

The section *Exercises* of a chapter holds one subsection for each exercise. Its
cells carry nbgrader's metadata in short: a solution cell its ``grade_id`` and
``solution: true``, a test its ``grade_id`` and ``points``, a free text all three.
``minutes`` says how long the exercise takes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nbformat import NotebookNode

from rnn_companion.notebooks.blocks import outside_fences

CODE_STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
TEXT_STUB = "YOUR ANSWER HERE"
HEADING = "## Exercises"
KEYS = {"grade_id", "solution", "points", "minutes"}

_REGION = re.compile(r"^(\s*)###\s*(BEGIN|END) (SOLUTION|HIDDEN TESTS)\s*$")
_BREAK = re.compile(r"^\+\+\+\s*(\{.*\})?\s*$")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class MarkupError(ValueError):
    """An exercise is not marked as it must be."""


@dataclass(frozen=True)
class Exercise:
    """What a reader is told about an exercise."""

    title: str
    points: float
    minutes: int
    grade_ids: tuple[str, ...]


def section(chapter: str) -> str:
    """Cut the section *Exercises* out of a chapter.

    Parameters
    ----------
    chapter : str
        The chapter's source.

    Returns
    -------
    str
        The chapter's header and the section, a chapter in itself.

    Raises
    ------
    MarkupError
        If there is none.
    """
    lines = chapter.split("\n")
    prose = outside_fences(chapter)
    marks = [at for at, line in prose.items() if line.startswith("## ")]
    start = next((at for at in marks if lines[at].strip() == HEADING), None)
    if start is None:
        raise MarkupError(f"the chapter has no section called {HEADING[3:]!r}")
    end = next((at for at in marks if at > start), len(lines))
    header = lines.index("---", 1) + 1 if lines[0] == "---" else 0
    return "\n".join([*lines[:header], "", *lines[start:end]])


def without_answers(text: str) -> str:
    """Take solutions, model answers and hidden tests out of a chapter.

    Parameters
    ----------
    text : str
        A chapter, or the source of one code cell.

    Returns
    -------
    str
        The same with nbgrader's stubs in place of what was to be written.

    Raises
    ------
    MarkupError
        If a region is not closed.
    """
    kept: list[str] = []
    for line, kind in _marked(text):
        found = _REGION.match(line)
        if found and (found[2], found[3]) == ("BEGIN", "SOLUTION"):
            kept += [found[1] + stub for stub in CODE_STUB]
        elif not kind:
            kept.append(line)
    return replace_answers("\n".join(kept), lambda _: TEXT_STUB)


def _marked(source: str) -> Iterator[tuple[str, str]]:
    """Yield lines with the kind of region that they are in; markers belong to it.

    Raises
    ------
    MarkupError
        If a region is not closed, or a marker stands where it cannot.
    """
    inside = ""
    for line in source.split("\n"):
        found = _REGION.match(line)
        if not found:
            yield line, inside
            continue
        _, edge, kind = found.groups()
        if (edge == "BEGIN") == bool(inside) or (inside and inside != kind):
            raise MarkupError(f"{line.strip()!r} does not belong where it stands")
        yield line, kind
        inside = kind if edge == "BEGIN" else ""
    if inside:
        raise MarkupError(f"a region BEGIN {inside} is never closed")


def replace_answers(text: str, put: Callable[[str], str]) -> str:
    """Put something else in the place of each model answer.

    Parameters
    ----------
    text : str
        A chapter.
    put : callable
        From the answer to what shall stand there.

    Returns
    -------
    str

    Raises
    ------
    MarkupError
        If a heading stands in an answer: then its end is missing.
    """
    lines = text.split("\n")
    prose = outside_fences(text)
    starts = [at for at, line in prose.items() if _answer_begins(line)]
    kept, after = [], 0
    for at in starts:
        end = next(
            (b for b in range(at + 1, len(lines)) if _ends(lines, b)), len(lines)
        )
        answer = lines[at + 1 : end]
        if any(b in prose and lines[b].startswith("#") for b in range(at + 1, end)):
            raise MarkupError(f"close the answer after {lines[at]!r} with a line +++")
        kept += [*lines[after : at + 1], put("\n".join(answer).strip("\n")), ""]
        after = end
    return "\n".join([*kept, *lines[after:]])


def _answer_begins(line: str) -> bool:
    found = _BREAK.match(line)
    return bool(found and found[1] and '"nbgrader"' in found[1])


def _ends(lines: list[str], at: int) -> bool:
    return bool(_BREAK.match(lines[at])) or lines[at].startswith("```{code-cell}")


def without_markers(source: str) -> str:
    """Take the markers out of a cell, and leave what they enclose."""
    return "\n".join(s for s in source.split("\n") if not _REGION.match(s))


def split_tests(source: str) -> tuple[str, str]:
    """Split a test cell into what students see and what they do not.

    Returns
    -------
    visible, hidden : str
    """
    lines = [(s, kind) for s, kind in _marked(source) if not _REGION.match(s)]
    visible, hidden = (
        "\n".join(s for s, kind in lines if bool(kind) == secret).strip("\n")
        for secret in (False, True)
    )
    return visible, hidden


def hints(source: str) -> set[str]:
    """List the messages of a test's asserts, which are shown though the test is not.

    Only literal texts count: a message computed with an answer could hold the test's
    own source.
    """
    return {
        node.msg.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assert)
        and isinstance(node.msg, ast.Constant)
        and isinstance(node.msg.value, str)
    }


def expand(metadata: Mapping[str, Any], cell_type: str) -> dict[str, Any]:
    """Write a cell's metadata out, as nbgrader's schema has it.

    Parameters
    ----------
    metadata : mapping
        The chapter's short form.
    cell_type : {"code", "markdown"}

    Returns
    -------
    dict

    Raises
    ------
    MarkupError
        If the cell is no answer, no test, or says something unknown.
    """
    name = str(metadata.get("grade_id", ""))
    if not _ID.fullmatch(name):
        raise MarkupError(f"grade_id {name!r}: letters, digits, - and _, at most 64")
    if unknown := set(metadata) - KEYS:
        raise MarkupError(f"{name}: unknown key {min(unknown)!r}")
    solution, points = bool(metadata.get("solution")), metadata.get("points")
    if points is not None and not (isinstance(points, int | float) and points > 0):
        raise MarkupError(f"{name}: points must be a number above zero")
    if not solution and points is None:
        raise MarkupError(f"{name}: give 'solution: true', or 'points' for a test")
    if (cell_type == "markdown") != (solution and points is not None):
        raise MarkupError(
            f"{name}: a free text has a solution and points, a code cell one of them"
        )
    return {
        "schema_version": 3,
        "grade_id": name,
        "grade": points is not None,
        "solution": solution,
        "locked": not solution,
        "task": False,
        **({} if points is None else {"points": points}),
    }


def mark(cell: NotebookNode) -> Mapping[str, Any]:
    """Read nbgrader's metadata of a cell; empty where there is none."""
    found = cell.metadata.get("nbgrader")
    return found if isinstance(found, dict) else {}


def name(cell: NotebookNode) -> str:
    """Read a cell's ``grade_id``; empty where there is none."""
    return str(mark(cell).get("grade_id", ""))


def is_answer(cell: NotebookNode) -> bool:
    """Whether a cell is one to be filled in by a student."""
    return bool(mark(cell).get("solution"))


def grouped(notebook: NotebookNode) -> list[tuple[str, list[NotebookNode]]]:
    """Gather the cells with nbgrader's metadata below the headings ``###``.

    Returns
    -------
    list of (str, list of nbformat.NotebookNode)
        The title of each exercise, and its cells.

    Raises
    ------
    MarkupError
        If one stands above the first heading.
    """
    found: list[tuple[str, list[NotebookNode]]] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            lines = outside_fences(cell.source).values()
            found += [(s[4:].strip(), []) for s in lines if s.startswith("### ")]
        if "nbgrader" in cell.metadata:
            if not found:
                name = mark(cell).get("grade_id", "")
                raise MarkupError(f"{name}: stands before the first exercise")
            found[-1][1].append(cell)
    return [(title, cells) for title, cells in found if cells]


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """List the exercises of a notebook, in order, and check their markup.

    Parameters
    ----------
    notebook : nbformat.NotebookNode
        With the short metadata; each exercise begins with a heading ``###``.

    Returns
    -------
    list of Exercise

    Raises
    ------
    MarkupError
        Naming the cell, if one is not marked as it must be.
    """
    seen: set[str] = set()
    for cell in (cell for _, cells in grouped(notebook) for cell in cells):
        full = expand(mark(cell), cell.cell_type)
        name = full["grade_id"]
        if name in seen:
            raise MarkupError(f"{name}: two cells have this grade_id")
        seen.add(name)
        _check_source(name, full, cell)
    return [
        _exercise(title, list(map(mark, cells))) for title, cells in grouped(notebook)
    ]


def _check_source(name: str, full: Mapping[str, Any], cell: NotebookNode) -> None:
    if cell.cell_type == "markdown":
        return
    student = without_answers(cell.source)
    if full["solution"] and CODE_STUB[1] not in student:
        raise MarkupError(f"{name}: no ### BEGIN SOLUTION in a solution cell")
    if not student.strip():
        raise MarkupError(f"{name}: nothing is left for a student to see")


def _exercise(title: str, cells: list[Mapping[str, Any]]) -> Exercise:
    points = sum(cell.get("points", 0) for cell in cells)
    minutes = sum(cell.get("minutes", 0) for cell in cells)
    if not points or not minutes:
        raise MarkupError(f"{title}: says no points or no minutes")
    return Exercise(title, points, minutes, tuple(cell["grade_id"] for cell in cells))


def in_chapter(chapter: str) -> list[Exercise]:
    """List the exercises of a chapter's source.

    Parameters
    ----------
    chapter : str

    Returns
    -------
    list of Exercise

    Raises
    ------
    MarkupError
        As for `section` and `exercises`.
    """
    import jupytext

    return exercises(jupytext.reads(section(chapter), fmt="md:myst"))
