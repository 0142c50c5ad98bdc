"""Every exercise of every chapter: full marks, none, and each mistake by its name."""

from collections.abc import Callable

import jupytext
import nbformat
import pytest
from nbgrader.preprocessors import ClearHiddenTests, ClearSolutions
from nbgrader.utils import determine_grade

from rnn_companion.homework import markup
from rnn_companion.homework.files import Course
from rnn_companion.homework.grade import Graded
from rnn_companion.homework.report import _why

from .conftest import filled, points
from .wrong_answers import ROOT, WRONG, assignments, chapters, written


def of_chapter(chapter: str) -> list[markup.Exercise]:
    return markup.in_chapter((ROOT / "book" / f"{chapter}.md").read_text("utf-8"))


def rounds() -> list[tuple[str, int]]:
    """One submission holds the k-th wrong answer to every exercise."""
    return [
        (chapter, k)
        for chapter, answers in WRONG.items()
        if chapter in assignments()
        for k in range(max(len(wrong) for wrong in answers.values()))
    ]


@pytest.mark.parametrize("chapter", assignments())
def test_a_free_text_says_what_each_of_its_points_is_for(chapter: str) -> None:
    text = (ROOT / "book" / f"{chapter}.md").read_text("utf-8")
    notebook = jupytext.reads(text, fmt="md:myst")
    texts = [c for c in notebook.cells if c.cell_type == "markdown" and markup.mark(c)]
    assert texts
    for cell in texts:
        _, rubric = cell.source.split("**One point each for**")
        assert rubric.count("\n* ") == markup.mark(cell)["points"]
    assert "One point each" not in markup.without_answers(text)


@pytest.mark.parametrize("chapter", chapters())
def test_a_chapter_has_four_kinds_of_exercise(chapter: str) -> None:
    """One to write, one to mend, one on real prices, one in free words."""
    kinds = {exercise.title.split(":")[0] for exercise in of_chapter(chapter)}
    assert kinds >= {"Write", "Mend", "On real prices", "In your own words"}


@pytest.mark.parametrize("chapter", assignments())
def test_each_exercise_has_three_wrong_answers(chapter: str) -> None:
    notebook = jupytext.reads(
        markup.section((ROOT / "book" / f"{chapter}.md").read_text("utf-8")), "md:myst"
    )
    asked = {
        cell.metadata["nbgrader"]["grade_id"]
        for cell in notebook.cells
        if cell.cell_type == "code"
        and cell.metadata.get("nbgrader", {}).get("solution")
    }
    assert set(WRONG[chapter]) == asked
    assert all(len(wrong) >= 3 for wrong in WRONG[chapter].values())


@pytest.mark.parametrize("chapter", assignments())
def test_the_reference_gets_all_and_the_untouched_release_nothing(
    chapter: str, course: Course, graded: Callable[..., Graded]
) -> None:
    texts = {
        cell.metadata["nbgrader"]["grade_id"]
        for cell in course.read_source(chapter).cells
        if cell.cell_type == "markdown" and "nbgrader" in cell.metadata
    }
    full = graded(chapter, filled(course, chapter, {}), cell=60)
    most = {
        cell.metadata["nbgrader"]["grade_id"]: cell.metadata["nbgrader"]["points"]
        for cell in course.read_source(chapter).cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    }
    assert full.points == {n: None if n in texts else p for n, p in most.items()}
    assert full.flags == []
    assert not [o.error for o in full.outcomes if o.error]
    empty = graded(chapter, nbformat.read(course.release(chapter), 4), cell=60)
    assert empty.points == dict.fromkeys(most, 0)
    assert empty.flags == []


@pytest.mark.parametrize(("chapter", "k"), rounds())
def test_wrong_answers_are_caught_and_told_why(
    chapter: str, k: int, course: Course, graded: Callable[..., Graded]
) -> None:
    """Each wrong answer costs its own exercise, with the hint meant for it."""
    reference = {
        c.metadata["nbgrader"]["grade_id"]: c.source
        for c in filled(course, chapter, {}).cells
        if "nbgrader" in c.metadata
    }
    wrong = {
        name: written(w[k], reference[name])
        for name, w in WRONG[chapter].items()
        if k < len(w)
    }
    texts = {name: answer for name, (answer, _) in wrong.items()}
    notebook = filled(course, chapter, texts)
    names = [
        c.metadata["nbgrader"]["grade_id"]
        for c in notebook.cells
        if "nbgrader" in c.metadata
    ]
    result = graded(chapter, notebook, cell=60)
    tests = {name: names[names.index(name) + 1] for name in wrong}
    for name, (_, said) in wrong.items():
        assert said in _why(result, tests[name])
    lost = {name for name, given in result.points.items() if given == 0}
    assert lost == set(tests.values())


@pytest.mark.parametrize("chapter", assignments())
def test_students_get_what_nbgrader_would_give_them(
    chapter: str, course: Course
) -> None:
    """Our stubs and cuts are nbgrader's own, cell by cell."""
    notebook = course.read_source(chapter)
    for step in (ClearSolutions(), ClearHiddenTests()):
        notebook, _ = step.preprocess(notebook, {})
    theirs = {
        c.metadata["nbgrader"]["grade_id"]: c.source
        for c in notebook.cells
        if "nbgrader" in c.metadata
    }
    release = nbformat.read(course.release(chapter), 4)
    ours = {
        c.metadata["nbgrader"]["grade_id"]: c.source
        for c in release.cells
        if "nbgrader" in c.metadata
    }
    assert ours == {name: text.rstrip("\n") for name, text in theirs.items()}
    assert all(
        determine_grade(c)[0] == 0
        for c in release.cells
        if c.cell_type == "markdown" and "nbgrader" in c.metadata
    )


def test_points_add_up(course: Course, graded: Callable[..., Graded]) -> None:
    full = graded("1-recurrence", filled(course, "1-recurrence", {}))
    assert points(full) == 9
