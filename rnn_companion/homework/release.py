"""Hand out a chapter's exercises: ``rnn-companion homework release``."""

from __future__ import annotations

import base64
import mimetypes
import re
from datetime import datetime
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from nbgrader.utils import compute_checksum

from rnn_companion.homework import markup
from rnn_companion.homework.files import Course, CourseError, write, write_notebook
from rnn_companion.notebooks.flatten import flatten
from rnn_companion.notebooks.names import Book, title
from rnn_companion.notebooks.render import render
from rnn_companion.notebooks.wheel import install_cell, zipped

_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!data:|https?:)([^)\s]+)\)")


def _with_pictures(source: str, folder: Path) -> str:
    """Put pictures into the text itself, so that it needs no other file."""

    def embedded(found: re.Match[str]) -> str:
        path = folder / found[2]
        if not path.is_file():
            raise CourseError(f"the picture {found[2]} is missing")
        kind = mimetypes.guess_type(path.name)[0]
        data = base64.b64encode(path.read_bytes()).decode()
        return f"![{found[1]}](data:{kind};base64,{data})"

    return _PICTURE.sub(embedded, source)


def release(
    chapter: str, book: Path, course: Course, due: datetime | None, force: bool = False
) -> list[Path]:
    """Make an assignment of a chapter's exercises.

    Parameters
    ----------
    chapter : str
        Its name, such as ``2-bptt``.
    book : Path
        The book's folder.
    course : Course
        Where the assignment goes.
    due : datetime or None
        When it is to be handed in.
    force : bool
        Release again, though answers to another version are in.

    Returns
    -------
    list of Path
        What was written: the teacher's notebook, the students', the zip.

    Raises
    ------
    BookError
        If there is no such chapter.
    CourseError
        If answers to another version are in.
    MarkupError
        If an exercise is not marked as it must be.
    """
    home = Book(book)
    path, settings = home.chapter(chapter), home.read("_config.yml")["sphinx"]
    text = path.read_text(encoding="utf-8")
    found, names = markup.in_chapter(text), home.names()
    asked = _with_points(markup.section(text), found)
    source = flatten(asked, names)
    student = flatten(markup.without_answers(asked), names)
    about = {"assignment": chapter, "title": title(text)}
    for notebook in (source, student):
        _complete(notebook, about, path.parent)
    notes = render("homework", "instructions.md", found=found, due=due, **about)
    code = "\n".join(c.source for c in source.cells if c.cell_type == "code")
    head = [
        new_markdown_cell(notes, id="instructions"),
        install_cell(settings["config"].get("notebook_install_source"), code=code),
    ]
    student.cells = [*head, *(c for c in student.cells if c.source != markup.HEADING)]
    _refuse_to_change(course, chapter, source, force)
    write_notebook(course.source(chapter), source)
    write_notebook(course.release(chapter), student)
    handed_out = course.release(chapter)
    archive = handed_out.parent.with_suffix(".zip")
    contents = {handed_out.name: handed_out.read_bytes(), "README.md": notes.encode()}
    write(archive, zipped({f"{chapter}/{n}": c for n, c in contents.items()}))
    return [course.source(chapter), handed_out, archive]


def _with_points(section: str, found: list[markup.Exercise]) -> str:
    for exercise in found:
        note = f"*{exercise.points:g} points, about {exercise.minutes} minutes.*"
        heading = f"### {exercise.title}\n"
        section = section.replace(heading, f"{heading}\n{note}\n", 1)
    return section


def _complete(notebook: NotebookNode, about: dict[str, str], folder: Path) -> None:
    """Say which assignment this is, put pictures in, write nbgrader's metadata."""
    notebook.metadata["rnn_companion"] = about
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _with_pictures(cell.source, folder)
        if "nbgrader" in cell.metadata:
            full = markup.expand(cell.metadata["nbgrader"], cell.cell_type)
            cell.metadata["nbgrader"] = full
            cell.metadata["nbgrader"]["checksum"] = compute_checksum(cell)
            cell["id"] = full["grade_id"]


def _refuse_to_change(
    course: Course, chapter: str, source: NotebookNode, force: bool
) -> None:
    """Keep an assignment as it is once answers to it are in."""
    if force or not course.source(chapter).exists() or not course.students(chapter):
        return
    before = course.read_source(chapter)
    if [c.source for c in before.cells] != [c.source for c in source.cells]:
        raise CourseError(
            f"answers to {chapter} are in, and the chapter has changed since it was "
            "released; --force releases it again all the same"
        )
