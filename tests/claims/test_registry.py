"""A claim is a sentence, its data, a check, and a falsehood that the check notices."""

from pathlib import Path

import numpy as np
import pytest

from rnn_companion.claims import (
    Claim,
    ClaimError,
    Finding,
    Quoted,
    above,
    below,
    claim,
    judged,
    negated,
    quoted,
    sign_test,
    swapped,
)
from rnn_companion.sentences.formulas import formula
from rnn_companion.sentences.run import book_claims, examine, load_claims, survey

SOURCE = Quoted("9-1", "someone2026", "p. 1", "wrong", "2-bptt", "two are equal")


def effect() -> np.ndarray:
    return np.arange(1.0, 8.0)


@claim(on=effect, planted=[negated])
def rates_differ(values: np.ndarray) -> Finding:
    """The larger rate
    is faster.
    """
    return sign_test(values, "seven seeds")


def test_the_docstring_is_the_sentence_and_the_name_the_id() -> None:
    assert rates_differ.sentence == "The larger rate is faster."
    assert rates_differ.id == "rates-differ"
    assert rates_differ.expected == "holds"
    assert Path(rates_differ.file).name == Path(__file__).name


def test_a_claim_that_holds_has_no_problem_and_notices_its_falsehood() -> None:
    result = examine(rates_differ)
    assert not result.problem
    assert result.as_json()["rows"]["n"] == "7"
    assert rates_differ.noticed() == [True]


def test_a_claim_that_does_not_hold_is_a_problem_with_its_place() -> None:
    @claim(on=lambda: -effect(), planted=[negated])
    def false(values: np.ndarray) -> Finding:
        """The larger rate is faster."""
        return sign_test(values, "seven seeds")

    result = examine(false)
    assert result.problem == "is said to be “holds”, and is “wrong”"
    assert str(result).startswith(f"{false.file}:{false.line}: false: ")


def test_a_check_that_breaks_is_a_problem_with_its_place() -> None:
    @claim(on=lambda: effect().reshape(7, 1, 1)[9], planted=[negated])
    def broken(values: np.ndarray) -> Finding:
        """The larger rate is faster."""
        return sign_test(values, "seven seeds")

    assert examine(broken).problem.startswith("does not run: IndexError: ")


def test_a_check_that_looks_at_nothing_does_not_notice() -> None:
    @claim(on=effect, planted=[negated])
    def blind(values: np.ndarray) -> Finding:
        """It is so."""
        return below(1, 2, "nothing")

    table, missed = survey([rates_differ, blind], 0.95)
    assert "1 of    2" in table
    assert missed == [f"{blind.file}:{blind.line}: blind: falsehood 1 is not noticed"]
    assert survey([rates_differ, blind], 0.5)[1] == []


def test_a_planted_verdict_is_noticed() -> None:
    """The source is right, and the book says that it is wrong."""

    @quoted(SOURCE, on=lambda: (1.0, 2.0), planted=[swapped])
    def right(pair: tuple[float, float]) -> Finding:
        """“the second is larger”"""
        return above(pair[1], pair[0], "both")

    assert examine(right).problem == "is said to be “wrong”, and is “holds”"


def test_data_need_a_falsehood() -> None:
    with pytest.raises(ClaimError, match="no falsehood is planted"):

        @claim(on=effect)
        def trusting(values: np.ndarray) -> Finding:
            """It is so."""
            return sign_test(values, "seven seeds")


def test_a_claim_needs_a_sentence() -> None:
    with pytest.raises(ClaimError, match="the docstring must be the sentence"):

        @claim(on=effect, planted=[negated])
        def silent(values: np.ndarray) -> Finding:
            return sign_test(values, "seven seeds")


def test_without_data_nothing_holds() -> None:
    @claim()
    def bold() -> Finding:
        """It is so."""
        return below(1, 2, "nothing")

    with pytest.raises(ClaimError, match="the verdict holds needs data"):
        bold.run()


def test_what_cannot_be_run_is_judged() -> None:
    @quoted(Quoted("9-2", "someone2026", "p. 1", "judged", "2-bptt", "one name"))
    def named() -> Finding:
        """“RMSProb”"""
        return judged("a name")

    assert not examine(named).problem
    assert named.noticed() == []


STEP = r"s_t = W s_{t-1} + x_t"
FLIPPED = r"s_t = W s_{t-1} - x_t"


@pytest.mark.parametrize(
    ("said", "right", "verdict"),
    [
        (FLIPPED, STEP, "wrong"),
        (STEP, STEP, "holds"),
        (FLIPPED, FLIPPED, "cannot be decided"),
    ],
)
def test_a_formula_is_run_as_printed_and_as_it_should_be(
    tmp_path: Path, said: str, right: str, verdict: str
) -> None:
    """A flipped sign in the right form is noticed: it then fails as well."""
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "leaky.py").write_text(WORLD)
    (tmp_path / "claims").mkdir()
    path = tmp_path / "claims" / "step.py"
    path.write_text(FORMULA.format(verdict=verdict, said=said, right=right))
    made = load_claims(path)[0]
    assert not examine(made).problem
    assert made.noticed() == [right == STEP]  # nothing true, nothing to falsify


WORLD = """
from rnn_companion.equations import Tape, world

@world("leaky", sizes=[{"n": 3, "T": 5}, {"n": 4, "T": 3}])
def leaky(tape: Tape) -> None:
    n, T = tape.sizes["n"], tape.sizes["T"]
    W = tape.leaf("W", tape.normal(n, n))
    s = tape.leaf("s", tape.normal(n, 1), 0)
    for t in range(1, T + 1):
        x = tape.leaf("x", tape.normal(n, 1), t)
        s = tape.step("s", lambda W, s, x: W @ s + x, (W, s, x), t)
"""
FORMULA = """
from rnn_companion.claims import Quoted
from rnn_companion.sentences.formulas import formula

step = formula(
    Quoted("9-3", "someone2026", "(1)", "{verdict}", "2-bptt", "a step"),
    "the step", said=r"{said}", right=r"{right}", world="leaky",
)
"""


def test_two_claims_of_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "claims").mkdir()
    text = (
        "from rnn_companion.claims import claim, judged\n\n"
        "@claim()\ndef same():\n    'It is so.'\n    return judged('read')\n"
    )
    for name in ("a", "b"):
        (tmp_path / "claims" / f"{name}.py").write_text(text)
    with pytest.raises(ClaimError, match="there is a claim same already"):
        book_claims(tmp_path)


def test_a_file_that_does_not_run_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    with pytest.raises(ClaimError, match=r"broken.py: ZeroDivisionError"):
        load_claims(path)


def test_a_formula_is_a_claim_like_any_other() -> None:
    made = formula(SOURCE, "a step", said=STEP, right=STEP, world="leaky")
    assert isinstance(made, Claim)
    assert made.expected == "wrong"
