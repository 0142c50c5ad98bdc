"""Copies of the chapters for readers: whole, folded, and never written over."""

from pathlib import Path

import nbformat
import pytest
import yaml

from rnn_companion.cli import main
from rnn_companion.homework import markup
from rnn_companion.homework.reader import reader_notebook
from rnn_companion.notebooks.names import Book

from .wrong_answers import ROOT

CHAPTER = ROOT / "book" / "1-recurrence.md"
FOLD = "<details>"


@pytest.fixture(scope="module")
def folded() -> nbformat.NotebookNode:
    """Make chapter 1's notebook."""
    return reader_notebook(CHAPTER, Book(ROOT).names())


def test_every_solution_stands_in_a_fold_that_does_not_run(
    folded: nbformat.NotebookNode,
) -> None:
    """Each as the chapter has it, and nowhere else."""
    source = CHAPTER.read_text("utf-8")
    solutions = [
        part.partition("### END SOLUTION")[0].strip()
        for part in source.split("### BEGIN SOLUTION")[1:]
    ]
    code, prose = (
        "\n".join(c.source for c in folded.cells if c.cell_type == kind)
        for kind in ("code", "markdown")
    )
    assert len(solutions) == 3
    assert all(solution in prose and solution not in code for solution in solutions)
    assert code.count(markup.CODE_STUB[1]) == len(solutions)
    assert prose.count(FOLD) == prose.count("</details>") == len(solutions) + 1
    assert "HIDDEN TESTS" not in code + prose


def test_run_all_goes_on_past_an_exercise(folded: nbformat.NotebookNode) -> None:
    """JupyterLab does so where a cell has this tag."""
    stubs = [c for c in folded.cells if markup.CODE_STUB[1] in c.source]
    checks = [c for c in folded.cells if c.source.startswith("check.")]
    assert stubs
    assert checks
    for cell in stubs + checks:
        assert "raises-exception" in cell.metadata.tags


def test_a_book_with_hidden_solutions_makes_copies_without(tmp_path: Path) -> None:
    config = {"sphinx": {"config": {"exercise_solutions": "hidden"}}}
    part = {"numbered": True, "chapters": [{"file": "one"}]}
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump({"parts": [part]}))
    text = CHAPTER.read_text("utf-8")
    exercises = markup.section(text)
    plain = exercises.replace("{eq}", "").replace("{cite:t}", "")
    (tmp_path / "one.md").write_text(plain.replace("## Exercises", "# One"))
    out = tmp_path / "copies"
    assert main(["notebooks", "--book", str(tmp_path), "--out", str(out)]) == 0
    copy = nbformat.read(out / "one.ipynb", as_version=4)
    assert FOLD not in str(copy)
    assert copy.cells[1].source.startswith("# 1. One")


def test_a_copy_that_a_reader_has_worked_on_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["notebooks", "--book", str(ROOT), "--out", str(tmp_path)]
    assert main(command) == 0
    copies = sorted(tmp_path.glob("*.ipynb"))
    home = Book(ROOT)
    pages = {path.stem for path in [*home.chapters(), *home.projects()]}
    assert {copy.stem for copy in copies} == pages
    copies[0].write_text("mine")
    copies[1].unlink()
    capsys.readouterr()
    assert main(command) == 0
    said = capsys.readouterr().out
    assert copies[0].read_text() == "mine"
    assert copies[1].exists()
    assert "1 notebooks written" in said
    assert copies[0].name in said
    assert copies[1].name not in said


def test_a_folder_without_a_book_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notebooks", "--book", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "no book here" in capsys.readouterr().err
