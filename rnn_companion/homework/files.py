"""Where a course keeps what, and how it is written.

The folders are those of nbgrader: ``source``, ``release``, ``submitted``,
``feedback``; what grading found lies in ``graded``.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode


class CourseError(ValueError):
    """Something in a course is not as it must be; the message says what to do."""


class Course:
    """A folder with the assignments of a course.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def source(self, assignment: str) -> Path:
        """Name the teacher's notebook, with solutions and hidden tests."""
        return self.folder / "source" / assignment / f"{assignment}.ipynb"

    def release(self, assignment: str) -> Path:
        """Name the notebook that students get."""
        return self.folder / "release" / assignment / f"{assignment}.ipynb"

    def submitted(self, assignment: str, student: str) -> Path:
        """Name a student's answers, transplanted into the release."""
        return self.folder / "submitted" / student / assignment / f"{assignment}.ipynb"

    def graded(self, assignment: str) -> Path:
        """Name the folder of what grading found."""
        return self.folder / "graded" / assignment

    def feedback(self, assignment: str, student: str) -> Path:
        """Name the page that a student gets back."""
        return self.folder / "feedback" / student / assignment / f"{assignment}.html"

    def released(self) -> list[str]:
        """List the assignments that have been released."""
        return sorted(path.stem for path in self.folder.glob("source/*/*.ipynb"))

    def students(self, assignment: str) -> list[str]:
        """List those who have handed something in that could be read."""
        found = self.folder.glob(f"submitted/*/{assignment}/{assignment}.ipynb")
        return sorted(path.parts[-3] for path in found)

    def read_source(self, assignment: str) -> NotebookNode:
        """Read a released assignment, answers included.

        Raises
        ------
        CourseError
            If there is none of that name.
        """
        path = self.source(assignment)
        if not path.exists():
            known = ", ".join(self.released()) or "nothing"
            raise CourseError(
                f"{assignment} has not been released into {self.folder}; "
                f"released there: {known}"
            )
        return NotebookNode(nbformat.read(path, as_version=4))


def write(path: Path, content: str | bytes) -> None:
    """Write a file and its folders; an interruption leaves no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    Path(name).chmod(0o644)
    Path(name).replace(path)


def write_notebook(path: Path, notebook: NotebookNode) -> None:
    """Write a notebook, checked against its format."""
    nbformat.validate(notebook)
    write(path, nbformat.writes(notebook) + "\n")


def write_table(
    path: Path, columns: list[str], rows: Iterable[Iterable[object]]
) -> None:
    """Write a CSV file in which a spreadsheet finds no formula to compute."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_as_text(value) for value in row] for row in rows)
    write(path, text.getvalue())


def _as_text(value: object) -> object:
    """Put a quote before what a spreadsheet would compute."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a CSV file, if it is there."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
