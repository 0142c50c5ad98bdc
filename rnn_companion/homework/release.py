"""Hand out a chapter's exercises: ``rnn-companion homework release``."""

from __future__ import annotations

import base64
import importlib
import io
import mimetypes
import re
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import yaml
from nbgrader.utils import compute_checksum

from rnn_companion.homework import markup
from rnn_companion.homework.files import Course, CourseError, write, write_notebook

INSTRUCTIONS = """\
# {title}: exercises

{total:g} points, about {minutes} minutes.{due}

* Write your answers where it says `YOUR CODE HERE` or `YOUR ANSWER HERE`, and leave \
the cells with the checks as they are. New cells of your own are welcome.
* The checks say at once what is wrong. There are others when this is graded, so \
passing them is needed, and not enough.
* Before you hand in, restart the kernel and run all cells, save, and hand in this \
notebook. Its name may be changed.

| exercise | points |
|---|---|
{table}
"""

_EQUATION = re.compile(r"^.*\$\$\s*\(([\w:.-]+)\)\s*$", re.MULTILINE)
_PICTURE = re.compile(r"!\[([^\]]*)\]\((?!data:|https?:)([^)\s]+)\)")


@dataclass(frozen=True)
class Book:
    """The book that an assignment comes from.

    Parameters
    ----------
    root : Path
        The folder of ``_config.yml`` and ``_toc.yml``.
    """

    root: Path

    def chapter(self, name: str) -> Path:
        """Find a chapter by its name.

        Raises
        ------
        CourseError
            If there is none, or no book.
        """
        found = {Path(page).name: page for page in self._pages()}
        if name not in found:
            raise CourseError(
                f"the book has no chapter {name!r}; it has {', '.join(found)}"
            )
        return self.root / f"{found[name]}.md"

    def notebook(self, text: str, chapter: Path) -> Any:  # noqa: ANN401
        """Make a notebook of plain Markdown, by the book's own extension."""
        notebook = self._extension("flatten").flatten(text, self._names())
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = _with_pictures(cell.source, chapter.parent)
        return notebook

    def install_cell(self) -> Any:  # noqa: ANN401
        """Make the cell that installs the package where it is missing."""
        config = self._yaml("_config.yml")["sphinx"]["config"]
        source = config.get("notebook_install_source", "")
        return self._extension("notebooks").install_cell(source, {})

    def _extension(self, name: str) -> Any:  # noqa: ANN401 - a module
        folder = str(self.root / "book" / "_ext")
        if folder not in sys.path:
            sys.path.append(folder)
        return importlib.import_module(name)

    def _names(self) -> Any:  # noqa: ANN401
        """Count equations as the book does: by chapter, in order."""
        equations: dict[str, str] = {}
        titles: dict[str, str] = {}
        for number, page in enumerate(self._pages(), 1):
            text = (self.root / f"{page}.md").read_text(encoding="utf-8")
            labels = _EQUATION.findall(text)
            equations |= {label: f"{number}.{k}" for k, label in enumerate(labels, 1)}
            titles[Path(page).name] = _title(text)
        files = self._yaml("_config.yml").get("bibtex_bibfiles", [])
        citations = self._extension("notebooks").citations(self.root, files)
        return self._extension("flatten").Names(equations, titles, citations)

    def _pages(self) -> list[str]:
        """List the numbered chapters."""
        parts = self._yaml("_toc.yml").get("parts", [])
        numbered = (part for part in parts if part.get("numbered"))
        return [entry["file"] for part in numbered for entry in part["chapters"]]

    def _yaml(self, name: str) -> dict[str, Any]:
        path = self.root / name
        if not path.exists():
            raise CourseError(f"no book here: {path} is missing; say --book FOLDER")
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _title(text: str) -> str:
    return next(s[2:].strip() for s in text.split("\n") if s.startswith("# "))


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
    CourseError
        If there is no such chapter, or answers to another version are in.
    MarkupError
        If an exercise is not marked as it must be.
    """
    path = Book(book).chapter(chapter)
    text = path.read_text(encoding="utf-8")
    found = markup.in_chapter(text)
    told = _with_points(markup.section(text), found)
    source = Book(book).notebook(told, path)
    student = Book(book).notebook(markup.without_answers(told), path)
    about = {"assignment": chapter, "title": _title(text)}
    for notebook in (source, student):
        _complete(notebook, about)
    notes = _instructions(found, about["title"], due)
    head = [_markdown(notes, "instructions"), Book(book).install_cell()]
    student.cells = [*head, *(c for c in student.cells if c.source != markup.HEADING)]
    _refuse_to_change(course, chapter, source, force)
    write_notebook(course.source(chapter), source)
    write_notebook(course.release(chapter), student)
    archive = course.release(chapter).parent.with_suffix(".zip")
    write(archive, _zipped(course.release(chapter), notes))
    return [course.source(chapter), course.release(chapter), archive]


def _with_points(section: str, found: list[markup.Exercise]) -> str:
    for exercise in found:
        note = f"*{exercise.points:g} points, about {exercise.minutes} minutes.*"
        heading = f"### {exercise.title}\n"
        section = section.replace(heading, f"{heading}\n{note}\n", 1)
    return section


def _complete(notebook: Any, about: dict[str, str]) -> None:  # noqa: ANN401
    """Fill in nbgrader's metadata, and say which assignment this is."""
    notebook.metadata["rnn_companion"] = about
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            full = markup.expand(cell.metadata["nbgrader"], cell.cell_type)
            cell.metadata["nbgrader"] = full
            cell.metadata["nbgrader"]["checksum"] = compute_checksum(cell)
            cell["id"] = full["grade_id"]


def _instructions(
    found: list[markup.Exercise], title: str, due: datetime | None
) -> str:
    table = "\n".join(f"| {e.title} | {e.points:g} |" for e in found)
    day = f" **Due {due:%A} {due.day} {due:%B %Y, %H:%M}.**" if due else ""
    total, minutes = sum(e.points for e in found), sum(e.minutes for e in found)
    return INSTRUCTIONS.format(
        title=title, total=total, minutes=minutes, due=day, table=table
    )


def _markdown(source: str, name: str) -> Any:  # noqa: ANN401
    import nbformat

    cell = nbformat.v4.new_markdown_cell(source)
    cell["id"] = name
    return cell


def _refuse_to_change(
    course: Course,
    chapter: str,
    source: Any,  # noqa: ANN401
    force: bool,
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


def _zipped(notebook: Path, notes: str) -> bytes:
    packed = io.BytesIO()
    folder = notebook.stem
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, content in (
            (notebook.name, notebook.read_text(encoding="utf-8")),
            ("README.md", notes),
        ):
            archive.writestr(ZipInfo(f"{folder}/{name}"), content, ZIP_DEFLATED)
    return packed.getvalue()
