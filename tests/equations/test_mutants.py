"""The mutants: what is made of an equation, and how survivors are accounted for."""
# ruff: noqa: E501 (an equation stays on its line)

from pathlib import Path

import pytest

from rnn_companion.equations import Chapter, check_text
from rnn_companion.equations import mutants as module
from rnn_companion.equations.mutants import Mutator, survey

PAGE = str(Path(__file__).parents[2] / "book" / "page.md")  # beside the book's worlds

DISPLAY = r"""<!-- eqcheck: world=bptt -->

$$
\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w} + \operatorname{diag}(1 - h_t \odot h_t) W_{hh} \frac{\mathrm{d} h_{t-1}}{\mathrm{d} w}, \quad t = 1, \dots, T
$$ (eq-it)

$$
\nabla_{W_{hh}} L = \frac{1}{T} \sum_{t=1}^{T} \sum_{k=1}^{T} (\nabla_{a_t} \ell_k) h_{t-1}^\top
$$ (eq-sum)
"""


@pytest.fixture
def chapter() -> Chapter:
    return check_text(DISPLAY, PAGE)


def made(chapter: Chapter, label: str) -> dict[str, str]:
    mutator = Mutator(chapter.equations[label], chapter.evidence[label].notes.shapes)
    return {mutant.text: mutant.kind for mutant in mutator.mutants()}


def test_every_kind_of_mistake_is_made(chapter: Chapter) -> None:
    kinds = {*made(chapter, "eq-it").values(), *made(chapter, "eq-sum").values()}
    assert kinds >= {
        *("sign", "term", "factor", "order", "product", "transpose", "symbol"),
        *("index", "bound", "number", "function", "derivative"),
    }


@pytest.mark.parametrize(
    "text",
    [
        r"\nabla_{W_{hh}} L = \frac{1}{T} \sum_{t=1}^{T} \sum_{k=1}^{T} (\nabla_{a_t} \ell_k) h_{t-1}",
        r"\nabla_{W_{hh}} L = \frac{1}{T} \sum_{t=1}^{T} \sum_{k=1}^{T} (\nabla_{a_t} \ell_k) h_{t-1 + 1}^\top",
        r"\nabla_{W_{hh}} L = \frac{1}{T} \sum_{t=1 + 1}^{T} \sum_{k=1}^{T} (\nabla_{a_t} \ell_k) h_{t-1}^\top",
        r"\nabla_{W_{hh}} L = -\frac{1}{T} \sum_{t=1}^{T} \sum_{k=1}^{T} (\nabla_{a_t} \ell_k) h_{t-1}^\top",
        r"\nabla_{W_{xh}} L = \frac{1}{T} \sum_{t=1}^{T} \sum_{k=1}^{T} (\nabla_{a_t} \ell_k) h_{t-1}^\top",
    ],
)
def test_a_mutant_is_the_display_with_one_change(chapter: Chapter, text: str) -> None:
    assert text in made(chapter, "eq-sum")


HAR = r"""<!-- eqcheck: world=har -->

$$
\hat{y}_{N+1} = \beta_0 + \beta_d y_N + \frac{\beta_w}{5} \sum_{k=0}^{4} y_{N-k} + \frac{\beta_m}{22} \sum_{k=0}^{21} y_{N-k}
$$ (eq-har)
"""


def test_a_bound_that_is_a_number_is_changed_too() -> None:
    texts = made(check_text(HAR, PAGE), "eq-har")
    assert any(r"\sum_{k=0}^5" in text for text in texts)


@pytest.mark.slow
def test_all_mutants_are_caught_or_accounted_for(chapter: Chapter) -> None:
    table, wrong = survey([chapter])
    assert "mutants caught" in table
    assert wrong == []


def test_a_survivor_needs_a_reason_and_a_reason_a_survivor(
    chapter: Chapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = check_text(
        "<!-- eqcheck: world=bptt -->\n\n$$\n"
        r"\frac{\partial h_t}{\partial a_t} = \operatorname{diag}(1 - h_t \odot h_t)"
        "\n$$ (eq-symmetric)\n",
        PAGE,
    )
    _, wrong = survey([true])
    assert len(wrong) == 2  # without a reason, and with so few mutants under the floor
    text = r"{\frac{\partial h_t}{\partial a_t}}^\top = \operatorname{diag}(1 - h_t \odot h_t)"
    assert text in wrong[0]
    reasons = {"eq-symmetric": {text: "it is symmetric", "h_t = 1": "long gone"}}
    monkeypatch.setattr(module, "survivors", lambda folder: reasons)
    table, wrong = survey([true])
    assert "it is symmetric" in table
    assert (
        "eq-symmetric: a reason is recorded, but this is caught or not made: h_t = 1"
        in wrong
    )
