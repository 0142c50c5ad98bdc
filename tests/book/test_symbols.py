"""The list of symbols: every symbol of a chapter, one meaning to a letter."""

import re
from pathlib import Path

import pytest
from equation_marks import symbols_in
from symbols import NAME, Symbol, problems, read, table

from rnn_companion.equations.checker import check_text

BOOK = Path(__file__).parents[2] / "book"

STATE = Symbol(["h"], [1, 2], "state", "eq-h", "h", "", "network")
GATE = Symbol(["o"], [2], "output gate", "eq-o", "h", "", "gates")
USED = {1: {"eq-h": ["h"]}, 2: {"eq-h2": ["h"], "eq-o": ["h", "o"]}}


def test_a_list_that_is_right_has_no_problems() -> None:
    assert list(problems([STATE, GATE], USED)) == []


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ([STATE], "o of chapter 2 (eq-o) is not listed"),
        (
            [STATE, GATE._replace(chapters=[1, 2])],
            "o is listed for chapter 1, which does not have it",
        ),
        (
            [STATE._replace(first="eq-h2"), GATE],
            "h: chapter 1 has it first in eq-h, not in eq-h2",
        ),
        (
            [STATE._replace(chapters=[1]), STATE._replace(chapters=[2]), GATE],
            "h has several meanings and no reason why: state; state",
        ),
    ],
)
def test_each_fault_of_the_list_is_named(listed: list[Symbol], said: str) -> None:
    assert said in list(problems(listed, USED))


def test_a_second_meaning_needs_a_reason_and_then_passes() -> None:
    units = Symbol(["h"], [2], "hidden units", "eq-h2", "", "it has no index", "sizes")
    listed = [STATE._replace(chapters=[1]), units, GATE]
    assert list(problems(listed, USED)) == []
    assert "hidden units (it has no index)" in table([units])


def test_shapes_have_a_column_where_there_are_any() -> None:
    assert "| shape |" in table([STATE, GATE])
    assert "shape" not in table([STATE._replace(shape="")])


def test_where_a_chapter_has_a_letter_once_its_first_place_is_the_first() -> None:
    used = {1: {"eq-h": ["h"], "eq-later": ["h"]}}
    late = STATE._replace(chapters=[1], first="eq-later")
    assert list(problems([late], used)) == [
        "h: chapter 1 has it first in eq-h, not in eq-later"
    ]
    units = late._replace(means="hidden units", why="it has no index")
    assert list(problems([STATE._replace(chapters=[1]), units], used)) == []


@pytest.mark.slow
def test_the_notation_page_has_every_symbol_of_every_chapter() -> None:
    used = {}
    for path in BOOK.glob("*.md"):
        if number := re.match(r"\d+", path.stem):
            chapter = check_text(path.read_text("utf-8"), str(path))
            used[int(number.group())] = symbols_in(chapter)
    assert list(problems(read(BOOK / NAME), used)) == []
