"""The list of symbols: every symbol of a chapter, one meaning to a letter."""

import pytest
from symbols import Symbol, problems, table

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
