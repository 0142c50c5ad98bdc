"""A course with every exercise, and a sandbox, made once."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from rnn_companion.homework import markup
from rnn_companion.homework.files import Course
from rnn_companion.homework.grade import Graded, grade_one
from rnn_companion.homework.release import release
from rnn_companion.homework.sandbox import Sandbox
from rnn_companion.homework.transplant import transplant

from .wrong_answers import ROOT, assignments


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Release every chapter and project."""
    made = Course(tmp_path_factory.mktemp("course"))
    for chapter in assignments():
        release(chapter, ROOT, made, None)
    return made


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """Start the sandbox. Where there is none these tests are skipped, but not in CI."""
    if shutil.which("bwrap") is None:
        message = "bubblewrap is not installed: nothing was run in a sandbox"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with Sandbox() as started:
        yield started


def filled(course: Course, chapter: str, answers: Mapping[str, str]) -> NotebookNode:
    """Fill a release in: with these answers, and the reference's elsewhere."""
    reference = {
        cell.metadata["nbgrader"]["grade_id"]: markup.without_markers(cell.source)
        for cell in course.read_source(chapter).cells
        if cell.metadata.get("nbgrader", {}).get("solution")
    }
    notebook: NotebookNode = nbformat.read(course.release(chapter), as_version=4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in reference:
            cell.source = answers.get(name, reference[name])
    return notebook


@pytest.fixture(scope="session")
def graded(course: Course, sandbox: Sandbox) -> Callable[..., Graded]:
    """Hand a notebook in and grade it, without the way through files."""

    def grade(
        chapter: str, notebook: NotebookNode, cell: float = 15, whole: float = 90
    ) -> Graded:
        pristine = nbformat.read(course.release(chapter), as_version=4)
        moved = transplant(pristine, notebook)
        about = {"student": "a", "identifier": "", "flags": list(moved.flags)}
        moved.notebook.metadata["rnn_companion"] |= about
        source = course.read_source(chapter)
        return grade_one(sandbox, source, moved.notebook, {}, cell=cell, whole=whole)

    return grade


def points(graded: Graded) -> float:
    return sum(value or 0 for value in graded.points.values())


def folder_of(path: Path) -> set[str]:
    return {p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file()}
