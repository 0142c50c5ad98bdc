"""Verdicts follow the evidence."""

import numpy as np
import pytest
import sympy as sp
import torch
from scipy.stats import binom

from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    equal,
    every,
    holds_if,
    judged,
    rank_test,
    sign_test,
    symbolic,
    trial,
    undecided,
)


@pytest.mark.parametrize(
    ("finding", "verdict"),
    [
        (equal([1.0, 2.0], torch.tensor([1.0, 2.0]), "sums"), "holds"),
        (equal([1.0, 2.0], [1.0, 2.1], "sums"), "wrong"),
        (equal([1.0, 2.0], [1.0, 2.1], "sums", rtol=0.05), "holds"),
        (equal([[1.0, 2.0]], [1.0, 2.0], "shapes"), "wrong"),
        (below(1, 2, "a"), "holds"),
        (below(2, 2, "a"), "wrong"),
        (above(2, 1, "a"), "holds"),
        (above(float("nan"), 1, "a"), "wrong"),
        (between(1, 1, 2, "a"), "holds"),
        (between(2.1, 1, 2, "a"), "wrong"),
        (symbolic(sp.sin(1) ** 2 + sp.cos(1) ** 2 - 1, "sines"), "holds"),
        (symbolic(sp.Matrix([[sp.Symbol("x"), 0]]), "a matrix"), "wrong"),
    ],
)
def test_a_comparison_holds_or_not(finding: Finding, verdict: str) -> None:
    assert finding.verdict == verdict
    assert finding.ran
    assert finding.found


@pytest.mark.parametrize(("positive", "n"), [(5, 5), (4, 5), (9, 10), (8, 10)])
def test_the_sign_test_says_how_often_chance_gives_as_many(
    positive: int, n: int
) -> None:
    """P(B(n, 1/2) >= k), here from the binomial distribution itself."""
    differences = np.r_[np.ones(positive), -np.ones(n - positive)]
    finding = sign_test(differences, "seeds")
    chance = float(binom.sf(positive - 1, n, 0.5))
    assert finding.chance == pytest.approx(chance)
    assert finding.holds == (chance <= 0.05)
    assert finding.n == n


def test_three_seeds_cannot_pass_a_sign_test() -> None:
    assert not sign_test([1.0, 2.0, 3.0], "three seeds").holds


def test_differences_of_zero_count_against_an_effect() -> None:
    assert not sign_test(np.zeros(20), "twenty ties").holds


def test_the_rank_test_of_three_against_three_is_right_by_chance_in_one_of_twenty() -> (
    None
):
    """One of the 20 ways to choose which three are the larger ones."""
    finding = rank_test([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], "two cells")
    assert finding.chance == pytest.approx(1 / 20)
    assert finding.holds
    assert not rank_test([4.0, 5.0, 2.5], [1.0, 2.0, 3.0], "two cells").holds


YES, NO = below(1, 2, "yes"), below(3, 2, "no")


def test_a_sentence_holds_if_each_part_does() -> None:
    assert every(YES, YES).holds
    assert every(YES, NO).verdict == "wrong"
    assert every(YES, NO).ran == "no"


@pytest.mark.parametrize(
    ("met", "unmet", "verdict"),
    [
        (YES, NO, "holds if"),
        (YES, YES, "holds"),
        (NO, YES, "wrong"),
        (NO, NO, "wrong"),
    ],
)
def test_a_condition_is_one_if_it_decides(
    met: Finding, unmet: Finding, verdict: str
) -> None:
    assert holds_if("targets sum to one", met, unmet).verdict == verdict


@pytest.mark.parametrize(
    ("said", "right", "verdict"),
    [
        (YES, YES, "holds"),
        (NO, YES, "wrong"),
        (NO, NO, "cannot be decided"),
    ],
)
def test_a_source_is_wrong_if_the_right_form_holds(
    said: Finding, right: Finding, verdict: str
) -> None:
    assert trial(said, right).verdict == verdict


def test_a_reader_is_shown_what_there_is() -> None:
    assert judged("a matter of names").rows() == {"reason": "a matter of names"}
    assert undecided("no card at hand", "nothing").rows()["ran"] == "nothing"
    shown = sign_test(np.ones(6), "six seeds").rows()
    assert shown["n"] == "6"
    assert shown["by chance"] == "0.016"
