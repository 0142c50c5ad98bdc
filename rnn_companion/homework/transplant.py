"""Find a student's answers in what came back, and put them into the release.

Students rename and copy notebooks, move, duplicate and delete cells, and some
editors drop nbgrader's metadata. So an answer is looked for by its ``grade_id``,
then by the cell's id, then by the function that it defines, then by where it
stands. Everything else that grading needs is the teacher's own.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import dropwhile

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from rnn_companion.homework.markup import is_answer, mark, name

NAMES_LOST = "cells had lost their names"
DUPLICATED = "cells duplicated"
MISSING = "answers missing"
TESTS_CHANGED = "tests changed"
TESTS_REMOVED = "tests removed"

Answers = Mapping[str, NotebookNode]  # by grade_id


@dataclass(frozen=True)
class Transplant:
    """A release with a student's answers in it."""

    notebook: NotebookNode
    flags: tuple[str, ...]


def transplant(release: NotebookNode, handed_in: NotebookNode) -> Transplant:
    """Put a student's answers, and cells of their own, into a pristine release.

    Parameters
    ----------
    release : nbformat.NotebookNode
        As it was handed out.
    handed_in : nbformat.NotebookNode
        As it came back.

    Returns
    -------
    Transplant
        Without outputs. Cells of the student's own stand before the answer that
        followed them, and carry its name as ``before``.
    """
    matched, flags = _matched(release, handed_in)
    result = copy.deepcopy(release)
    result.cells = []
    for cell in copy.deepcopy(release.cells):
        if is_answer(cell):
            sources = [
                c.source for c in handed_in.cells if matched.get(id(c)) == name(cell)
            ]
            flags |= {DUPLICATED} if len(sources) > 1 else set()
            flags |= {MISSING} if not sources else set()
            result.cells += _own_cells(handed_in, matched, name(cell), release)
            cell.source = "\n\n".join(_filled(sources, cell.source)) or cell.source
        result.cells.append(cell)
    result.cells += _own_cells(handed_in, matched, "", release)
    return Transplant(result, tuple(sorted(flags | _tests(release, handed_in))))


def _matched(
    release: NotebookNode, handed_in: NotebookNode
) -> tuple[dict[int, str], set[str]]:
    """Tell which answer each cell holds; flag it if any had lost its name."""
    answers = {name(cell): cell for cell in release.cells if is_answer(cell)}
    own = [cell for cell in handed_in.cells if not _given(cell, release)]
    matched = {id(c): n for c in own if (n := _by_name(c, answers))}
    named = len(matched)
    ways: list[Callable[[NotebookNode, Answers], str | None]] = [_by_id, _by_definition]
    for way in ways:
        left = {n: answers[n] for n in answers if n not in matched.values()}
        unknown = [cell for cell in own if id(cell) not in matched]
        matched |= {id(cell): n for cell in unknown if (n := way(cell, left))}
    for lost in [n for n in answers if n not in matched.values()]:
        if cell := _by_place(release, handed_in, answers[lost], matched):
            matched[id(cell)] = lost
    return matched, {NAMES_LOST} if len(matched) > named else set()


def _by_name(cell: NotebookNode, answers: Answers) -> str | None:
    return _fitting(name(cell), cell, answers)


def _by_id(cell: NotebookNode, answers: Answers) -> str | None:
    return _fitting(str(cell.get("id")), cell, answers)


def _fitting(known: str, cell: NotebookNode, answers: Answers) -> str | None:
    fits = known in answers and answers[known].cell_type == cell.cell_type
    return known if fits else None


def _by_definition(cell: NotebookNode, answers: Answers) -> str | None:
    if cell.cell_type != "code":
        return None
    defined = _defined(cell.source)
    return next((n for n, a in answers.items() if _defined(a.source) & defined), None)


def _defined(source: str) -> set[str]:
    """List the functions and classes that a cell defines, if it can be read."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def _by_place(
    release: NotebookNode,
    handed_in: NotebookNode,
    answer: NotebookNode,
    matched: Mapping[int, str],
) -> NotebookNode | None:
    """Take the first unknown cell of the kind after the one that stood before."""
    before = release.cells[release.cells.index(answer) - 1].source
    cells: list[NotebookNode] = handed_in.cells
    for cell in list(dropwhile(lambda c: not _same(c.source, before), cells))[1:]:
        if _given(cell, release) or id(cell) in matched:
            return None
        if cell.cell_type == answer.cell_type and cell.source.strip():
            return cell
    return None


def _same(a: str, b: str) -> bool:
    return "".join(a.split()) == "".join(b.split())


def _given(cell: NotebookNode, release: NotebookNode) -> bool:
    """Whether a cell is one that was handed out, and no answer."""
    given = (c for c in release.cells if not is_answer(c))
    return any(_same(cell.source, c.source) for c in given)


def _filled(sources: list[str], stub: str) -> list[str]:
    """Drop copies, and what was never filled in."""
    filled = (s for s in dict.fromkeys(sources) if s.strip())
    return [source for source in filled if not _same(source, stub)]


def _own_cells(
    handed_in: NotebookNode,
    matched: Mapping[int, str],
    before: str,
    release: NotebookNode,
) -> list[NotebookNode]:
    """Take the student's own code cells that stand before an answer."""
    own: list[NotebookNode] = []
    found: list[NotebookNode] = []
    for cell in handed_in.cells:
        if id(cell) in matched:
            found += own if matched[id(cell)] == before else []
            own = []
        elif _is_own(cell, release):
            own.append(cell)
    about = {"rnn_companion": {"before": before}}
    return [new_code_cell(c.source, metadata=about) for c in (found if before else own)]


def _is_own(cell: NotebookNode, release: NotebookNode) -> bool:
    """Whether a cell is code that was neither handed out nor made of it."""
    if cell.cell_type != "code" or not cell.source.strip():
        return False
    packed = re.search(r"b(64|85)decode", cell.source)
    installs = cell.get("id") == "install" or packed is not None
    marked = {name(c) for c in release.cells if mark(c)}
    return not (installs or name(cell) in marked or _given(cell, release))


def _tests(release: NotebookNode, handed_in: NotebookNode) -> set[str]:
    """Say what became of the tests; it changes no grade, for the teacher's are run."""
    names = {name(cell) for cell in handed_in.cells}
    tests = (c for c in release.cells if mark(c) and not is_answer(c))
    missing = [
        test
        for test in tests
        if not any(_same(test.source, cell.source) for cell in handed_in.cells)
    ]
    return {TESTS_CHANGED if name(c) in names else TESTS_REMOVED for c in missing}
