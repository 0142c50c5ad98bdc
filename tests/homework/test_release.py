"""What is handed out, and what is kept back."""

import re
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zipfile import ZipFile

import nbformat
import pytest

from rnn_companion.cli import main
from rnn_companion.homework import markup
from rnn_companion.homework.files import Course, CourseError
from rnn_companion.homework.grade import Graded
from rnn_companion.homework.markup import MarkupError
from rnn_companion.homework.release import release

from .conftest import filled
from .wrong_answers import ROOT, assignments

CHAPTER = "2-bptt"
MARKUP = re.compile(r"^(\s*)(`{3,}|:{3,})\{|\{[a-z:]+\}`|^\+\+\+", re.MULTILINE)


@pytest.mark.parametrize("chapter", assignments())
def test_a_release_holds_plain_markdown_and_no_answer(
    chapter: str, course: Course
) -> None:
    notebook = nbformat.read(course.release(chapter), as_version=4)
    nbformat.validate(notebook)
    whole = "\n".join(c.source for c in notebook.cells if c.get("id") != "install")
    assert "BEGIN" not in whole
    source = course.read_source(chapter)
    for cell in source.cells:
        if cell.metadata.get("nbgrader", {}).get("locked"):
            hidden = markup.split_tests(cell.source)[1].split("\n")
            secrets = {line.strip() for line in hidden if len(line) > 25}
            assert not [secret for secret in secrets if secret in whole]
    for cell in notebook.cells:
        assert not cell.get("outputs")
        if cell.cell_type == "markdown":
            assert not MARKUP.search(cell.source), cell.source
    assert whole.startswith(f"# {source.metadata['rnn_companion']['title']}: exercises")
    assert len([c for c in notebook.cells if c.get("id") == "install"]) == 1


def test_instructions_say_what_when_and_for_how_much(tmp_path: Path) -> None:
    course = Course(tmp_path)
    due = datetime(2027, 3, 1, 12)
    _, _, archive = release(CHAPTER, ROOT, course, due)
    with ZipFile(archive) as packed:
        names = packed.namelist()
        notes = packed.read(f"{CHAPTER}/README.md").decode()
        notebook = packed.read(f"{CHAPTER}/{CHAPTER}.ipynb").decode()
    assert names == [f"{CHAPTER}/{CHAPTER}.ipynb", f"{CHAPTER}/README.md"]
    assert notebook == course.release(CHAPTER).read_text("utf-8")
    assert "15 points, about 75 minutes." in notes
    assert "Due Monday 1 March 2027, 12:00." in notes
    found = markup.in_chapter((ROOT / "book" / f"{CHAPTER}.md").read_text("utf-8"))
    assert all(f"| {e.title} | {e.points:g} |" in notes for e in found)


@pytest.mark.slow
def test_releasing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = release(CHAPTER, ROOT, Course(tmp_path / "a"), None)
    again = release(CHAPTER, ROOT, Course(tmp_path / "b"), None)
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.slow
def test_a_release_with_answers_in_is_not_changed_unasked(tmp_path: Path) -> None:
    course = Course(tmp_path / "course")
    book = tmp_path / "book"
    shutil.copytree(ROOT / "book", book / "book", ignore=shutil.ignore_patterns("rec*"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, book / name)
    release(CHAPTER, book, course, None)
    answer = course.submitted(CHAPTER, "ann")
    answer.parent.mkdir(parents=True)
    shutil.copy(course.release(CHAPTER), answer)
    release(CHAPTER, book, course, None)  # nothing has changed
    chapter = book / "book" / f"{CHAPTER}.md"
    chapter.write_text(chapter.read_text("utf-8").replace("softmax(-1)", "softmax(2)"))
    with pytest.raises(CourseError, match="answers to 2-bptt are in"):
        release(CHAPTER, book, course, None)
    release(CHAPTER, book, course, None, force=True)
    assert "softmax(2)" in course.source(CHAPTER).read_text("utf-8")


def test_pictures_are_put_into_the_text(tmp_path: Path) -> None:
    from rnn_companion.homework.release import _with_pictures

    (tmp_path / "dot.png").write_bytes(b"\x89PNG")
    found = _with_pictures(
        "See ![a dot](dot.png) and ![far](https://x/y.png).", tmp_path
    )
    assert found == (
        "See ![a dot](data:image/png;base64,iVBORw==) and ![far](https://x/y.png)."
    )
    with pytest.raises(CourseError, match=r"lost.png is missing"):
        _with_pictures("![no](lost.png)", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["release", "no-such"], "the book has no chapter 'no-such'; it has 1-recurr"),
        (["release", "2-bptt", "--book", "/tmp"], "no book here"),
        (["grade", "2-bptt", "--course", "nowhere"], "has not been released into"),
        (["collect", "x.zip", "--course", "nowhere"], "nothing has been released"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["homework", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


GOOD = {"grade_id": "a", "solution": True}


@pytest.mark.parametrize(
    ("metadata", "kind", "said"),
    [
        ({"solution": True}, "code", "grade_id ''"),
        ({"grade_id": "a b", "points": 1}, "code", "letters, digits"),
        ({"grade_id": "a", "pionts": 1}, "code", "unknown key 'pionts'"),
        ({"grade_id": "a"}, "code", "give 'solution: true', or 'points'"),
        ({"grade_id": "a", "points": -1}, "code", "above zero"),
        ({**GOOD, "points": 1}, "code", "a free text has a solution and points"),
        (GOOD, "markdown", "a free text has a solution and points"),
    ],
)
def test_wrong_marks_are_named(
    metadata: dict[str, object], kind: str, said: str
) -> None:
    with pytest.raises(MarkupError, match=re.escape(said)):
        markup.expand(metadata, kind)


def test_an_overlay_brings_hidden_tests_of_the_teachers_own(
    course: Course, graded: Callable[..., Graded]
) -> None:
    from rnn_companion.homework.grade import hidden_tests

    source = course.read_source("1-recurrence")
    tests = hidden_tests(source, {"skill-check": "assert False, 'own'"})
    assert tests["skill-check"].endswith("assert False, 'own'")
    with pytest.raises(CourseError, match="the overlay names 'none-such'"):
        hidden_tests(source, {"none-such": "pass"})
    assert filled(course, "1-recurrence", {})
