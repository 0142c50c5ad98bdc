"""A chapter as its readers get it: a notebook with its answers folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from rnn_companion.homework import markup
from rnn_companion.homework.files import write_notebook
from rnn_companion.notebooks.flatten import flatten
from rnn_companion.notebooks.names import Book, Names
from rnn_companion.notebooks.wheel import files_named, install_cell

_HEADING = re.compile("#{1,3} ")


def reader_notebook(
    path: Path, names: Names, *, source: str = "", folded: bool = True
) -> NotebookNode:
    """Make the notebook that a reader of a chapter downloads.

    Parameters
    ----------
    path : Path
        The chapter.
    names : Names
        What its labels stand for.
    source : str
        What pip installs the package from; empty for a copy inside the notebook.
    folded : bool
        Whether each exercise ends with its solution, to be opened by hand.

    Returns
    -------
    nbformat.NotebookNode
        Whole by itself: its first cell installs what is missing and writes the files
        that it reads.

    Raises
    ------
    FlattenError, MarkupError
        If something in the chapter has no form in a notebook.
    """
    text = path.read_text(encoding="utf-8")
    notebook: NotebookNode = flatten(markup.without_answers(text), names)
    answered = flatten(text, names)
    cells = notebook.cells
    if number := names.numbers.get(path.stem):
        cells[0].source = cells[0].source.replace("# ", f"# {number}. ", 1)
    if folded:
        cells = list(_with_folds(cells, answered.cells))
    for cell in cells:
        _leave_unasked(cell)
    code = "\n".join(c.source for c in answered.cells if c.cell_type == "code")
    first = install_cell(source, files_named(code, path.parent), code)
    notebook.cells = [first, *cells]
    return notebook


def _leave_unasked(cell: NotebookNode) -> None:
    """Take nbgrader's marks off; "run all" goes on past what is not answered yet."""
    marked = cell.metadata.pop("nbgrader", None)
    if marked and cell.cell_type == "code":
        cell.metadata["tags"] = [*cell.metadata.get("tags", []), "raises-exception"]


def _with_folds(
    asked: list[NotebookNode], answered: list[NotebookNode]
) -> Iterator[NotebookNode]:
    """Put what answers an exercise at its end, folded, where it does not run."""
    waiting: list[NotebookNode] = []
    for cell, answer in zip(asked, answered, strict=True):
        if cell.cell_type == "markdown" and _HEADING.match(cell.source):
            yield from waiting
            waiting.clear()
        yield cell
        if markup.is_answer(answer):
            waiting.append(_fold(answer, len(waiting)))
    yield from waiting


def _fold(answer: NotebookNode, number: int) -> NotebookNode:
    title, text = "A possible answer", answer.source
    if answer.cell_type == "code":
        title = "A solution"
        text = f"```python\n{markup.without_markers(answer.source)}\n```"
    fold = f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"
    name = f"fold-{markup.name(answer)}-{number}"
    cell: NotebookNode = new_markdown_cell(fold, id=name)
    return cell


def write_copies(book: Path, out: Path) -> Iterator[tuple[Path, bool]]:
    """Write every chapter as its reader's notebook; leave those that are there.

    Parameters
    ----------
    book : Path
        The book's folder; its settings say what becomes of the solutions.
    out : Path
        Where the copies go.

    Yields
    ------
    path : Path
    new : bool
        Whether it was written; what a reader has worked on stays as it is.

    Raises
    ------
    BookError
        If there is no book.
    """
    home = Book(book)
    names, settings = home.names(), home.read("_config.yml")["sphinx"]["config"]
    make = partial(
        reader_notebook,
        names=names,
        source=settings.get("notebook_install_source", ""),
        folded=settings.get("exercise_solutions") != "hidden",
    )
    for chapter in [*home.chapters(), *home.projects()]:
        path = out / f"{chapter.stem}.ipynb"
        new = not path.exists()
        if new:
            write_notebook(path, make(chapter))
        yield path, new
