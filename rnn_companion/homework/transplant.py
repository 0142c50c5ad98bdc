"""Find a student's answers, wherever they are now, and put them into the release.

Students rename and copy notebooks, move, duplicate and delete cells, and some
editors drop what nbgrader knows a cell by. So an answer is looked for by its
``grade_id``, then by the cell's id, then by the function that it defines, then by
where it stands. Everything else that grading needs is the teacher's own.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from typing import Any

NAMES_LOST = "cells had lost their names"
DUPLICATED = "cells duplicated"
MISSING = "answers missing"
TESTS_CHANGED = "tests changed"
TESTS_REMOVED = "tests removed"


@dataclass(frozen=True)
class Transplant:
    """A release with a student's answers in it."""

    notebook: Any
    flags: tuple[str, ...]


def transplant(release: Any, handed_in: Any) -> Transplant:  # noqa: ANN401
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
    for cell in release.cells:
        cell = copy.deepcopy(cell)
        if _is_answer(cell):
            name = cell.metadata["nbgrader"]["grade_id"]
            sources = [c.source for c in handed_in.cells if matched.get(id(c)) == name]
            flags |= {DUPLICATED} if len(sources) > 1 else set()
            flags |= {MISSING} if not sources else set()
            sources = _filled(sources, cell.source)
            result.cells += _own_cells(handed_in, matched, name, release)
            cell.source = "\n\n".join(sources) or cell.source
        result.cells.append(cell)
    result.cells += _own_cells(handed_in, matched, "", release)
    return Transplant(result, tuple(sorted(flags | _tests(release, handed_in))))


def _is_answer(cell: Any) -> bool:  # noqa: ANN401
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def _matched(release: Any, handed_in: Any) -> tuple[dict[int, str], set[str]]:  # noqa: ANN401
    """Name the answer that each cell is, by the surest sign that it bears."""
    answers = {c.metadata["nbgrader"]["grade_id"]: c for c in _answers(release)}
    matched: dict[int, str] = {}
    lost = False
    for sign in (_by_name, _by_id, _by_definition):
        waiting = set(answers) - set(matched.values())
        for cell in handed_in.cells:
            if id(cell) in matched or _given(cell, release):
                continue
            known = answers if sign is _by_name else {n: answers[n] for n in waiting}
            if name := sign(cell, known):
                matched[id(cell)] = name
                lost = lost or sign is not _by_name
    for name in [n for n in answers if n not in matched.values()]:
        if cell := _by_place(release, handed_in, name, matched):
            matched[id(cell)] = name
            lost = True
    return matched, {NAMES_LOST} if lost else set()


def _answers(release: Any) -> list[Any]:  # noqa: ANN401
    return [cell for cell in release.cells if _is_answer(cell)]


def _by_name(cell: Any, answers: dict[str, Any]) -> str | None:  # noqa: ANN401
    told = cell.metadata.get("nbgrader")
    name = told.get("grade_id") if isinstance(told, dict) else None
    fits = name in answers and answers[name].cell_type == cell.cell_type
    return str(name) if fits else None


def _by_id(cell: Any, answers: dict[str, Any]) -> str | None:  # noqa: ANN401
    name = cell.get("id")
    fits = name in answers and answers[name].cell_type == cell.cell_type
    return str(name) if fits else None


def _by_definition(cell: Any, answers: dict[str, Any]) -> str | None:  # noqa: ANN401
    if cell.cell_type != "code":
        return None
    defined = _defined(cell.source)
    names = (name for name, a in answers.items() if _defined(a.source) & defined)
    return next(names, None)


def _defined(source: str) -> set[str]:
    """List the functions and classes that a cell defines, if it can be read."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def _by_place(
    release: Any,  # noqa: ANN401
    handed_in: Any,  # noqa: ANN401
    name: str,
    matched: dict[int, str],
) -> Any:  # noqa: ANN401
    """Take the first unknown cell of the kind after the one that stood before."""
    place = next(
        k for k, c in enumerate(release.cells) if _is_answer(c) and _name(c) == name
    )
    kind, before = release.cells[place].cell_type, release.cells[place - 1].source
    cells = iter(handed_in.cells)
    if not any(_same(cell.source, before) for cell in cells):
        return None
    for cell in cells:  # those after it
        if _given(cell, release) or id(cell) in matched:
            return None
        if cell.cell_type == kind and cell.source.strip():
            return cell
    return None


def _name(cell: Any) -> str:  # noqa: ANN401
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _same(a: str, b: str) -> bool:
    return "".join(a.split()) == "".join(b.split())


def _given(cell: Any, release: Any) -> bool:  # noqa: ANN401
    """Whether a cell is one that was handed out, and no answer."""
    own = (c for c in release.cells if not _is_answer(c))
    return any(_same(cell.source, c.source) for c in own)


def _filled(sources: list[str], stub: str) -> list[str]:
    """Drop copies, and what was never filled in."""
    filled = (s for s in dict.fromkeys(sources) if s.strip())
    return [source for source in filled if not _same(source, stub)]


def _own_cells(
    handed_in: Any,  # noqa: ANN401
    matched: dict[int, str],
    before: str,
    release: Any,  # noqa: ANN401
) -> list[Any]:
    """Take the student's own code cells that stand before an answer."""
    own: list[Any] = []
    found: list[Any] = []
    tests = {_name(c) for c in release.cells if c.metadata.get("nbgrader")}
    for cell in handed_in.cells:
        if id(cell) in matched:
            found += own if matched[id(cell)] == before else []
            own = []
        elif (
            cell.cell_type == "code"
            and cell.source.strip()
            and not _given(cell, release)
            and _name(cell) not in tests
            and not _install(cell)
        ):
            own.append(cell)
    return [_plain(cell, before) for cell in (found if before else own)]


def _install(cell: Any) -> bool:  # noqa: ANN401
    return cell.get("id") == "install" or "b64decode" in cell.source


def _plain(cell: Any, before: str) -> Any:  # noqa: ANN401
    import nbformat

    plain = nbformat.v4.new_code_cell(cell.source)
    plain.metadata["rnn_companion"] = {"before": before}
    return plain


def _tests(release: Any, handed_in: Any) -> set[str]:  # noqa: ANN401
    """Say what became of the tests; it changes no grade, for the teacher's are run."""
    flags = set()
    sources = [cell.source for cell in handed_in.cells]
    names = {_name(cell): cell for cell in handed_in.cells}
    for cell in release.cells:
        if not cell.metadata.get("nbgrader") or _is_answer(cell):
            continue
        if any(_same(cell.source, source) for source in sources):
            continue
        flags.add(TESTS_CHANGED if _name(cell) in names else TESTS_REMOVED)
    return flags
