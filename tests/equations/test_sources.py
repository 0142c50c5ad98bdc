"""What the sources print about recurrence is refused, and its right form holds.

Here are the forms of chapter 1, and those of chapter 2 that can be misread in more
ways than one; `WRONG` lists place, world, the equation as printed, the right one.
"""
# ruff: noqa: E501 (an equation stays on its line)

from pathlib import Path

import pytest

from rnn_companion.equations import Report, check_text

PAGE = str(Path(__file__).parents[2] / "book" / "page.md")  # beside the book's worlds

PRODUCT = r"\left( \prod_{j=%s}^{t} \frac{\partial h_j}{\partial h_{j-1}} \right)"
CLOSED = (
    r"\frac{%s h_t}{%s w} = \frac{\partial h_t}{\partial w} + \sum_{i=1}^{t-1} "
    r"%s \frac{\partial h_i}{\partial w}"
)
TWICE = (
    r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{%s h_t}{%s w} + "
    r"\frac{\partial h_t}{\partial h_{t-1}} \frac{%s h_{t-1}}{%s w} + "
    r"\frac{\partial h_t}{\partial h_{t-1}} \frac{\partial h_{t-1}}{\partial h_{t-2}} "
    r"\frac{%s h_{t-2}}{%s w}, \quad t = 2, \dots, T"
)
D, P = r"\mathrm{d}", r"\partial"
SUM = r"\sum_{k=1}^{q} \exp(o_k)"
LAYERS = r"\quad l = 1, 2, \quad t = 1, \dots, T"

WRONG = {
    "forecasting report, boxed form: the product from j = 1": (
        "bptt",
        CLOSED % (D, D, PRODUCT % "1"),
        CLOSED % (D, D, PRODUCT % "i+1"),
    ),
    "forecasting report, (25), read with direct derivatives": (
        "bptt",
        TWICE % (P, P, P, P, P, P),
        TWICE % (P, P, P, P, D, D),
    ),
    "forecasting report, w_h: matrices stacked on each other": (
        "recurrence",
        r"a_t = \begin{bmatrix} W_{xh} \\ W_{hh} \end{bmatrix} "
        r"\begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix} + b_h",
        r"a_t = \begin{bmatrix} W_{hh} & W_{xh} \end{bmatrix} "
        r"\begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix} + b_h",
    ),
    "forecasting report, w_h: side by side in the other order": (
        "recurrence",
        r"a_t = \begin{bmatrix} W_{xh} & W_{hh} \end{bmatrix} "
        r"\begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix} + b_h",
        r"a_t = \begin{bmatrix} W_{xh} & W_{hh} \end{bmatrix} "
        r"\begin{bmatrix} x_t \\ h_{t-1} \end{bmatrix} + b_h",
    ),
    "forecasting report, (11) to (13): the plus before the bias lost": (
        "bptt-batch",
        r"A_t = X_t W_{xh}^\top + H_{t-1} W_{hh}^\top b_h",
        r"A_t = X_t W_{xh}^\top + H_{t-1} W_{hh}^\top + \mathbf{1} b_h^\top",
    ),
    "palindrome report, softmax: the outputs summed, not their exponentials": (
        "softmax",
        rf"\frac{{\partial \hat{{y}}_i}}{{\partial o_i}} = "
        rf"\frac{{\exp(o_i) \sum_{{k=1}}^{{q}} o_k - \exp(o_i)^2}}{{\left( {SUM} \right)^2}}",
        rf"\frac{{\partial \hat{{y}}_i}}{{\partial o_i}} = "
        rf"\frac{{\exp(o_i) {SUM} - \exp(o_i)^2}}{{\left( {SUM} \right)^2}}",
    ),
    "palindrome report, softmax, i and j different: zero times": (
        "softmax",
        r"\frac{\partial \hat{y}_i}{\partial o_j} = "
        rf"\frac{{0 \exp(o_j)}}{{\left( {SUM} \right)^2}}, \quad i \ne j",
        r"\frac{\partial \hat{y}_i}{\partial o_j} = "
        rf"\frac{{0 - \exp(o_i) \exp(o_j)}}{{\left( {SUM} \right)^2}}, \quad i \ne j",
    ),
    "windows draft, (1): the lower layer one step late": (
        "recurrence",
        r"h_t^{(l)} = \tanh(W_{xh}^{(l)} h_{t-1}^{(l-1)} + W_{hh}^{(l)} h_{t-1}^{(l)}"
        rf" + b_h^{{(l)}}), {LAYERS}",
        r"h_t^{(l)} = \tanh(W_{xh}^{(l)} h_t^{(l-1)} + W_{hh}^{(l)} h_{t-1}^{(l)}"
        rf" + b_h^{{(l)}}), {LAYERS}",
    ),
    "windows draft, (6): dots after an exact line": (
        "bptt",
        (TWICE % (P, P, P, P, D, D)).replace(r", \quad t", r" + \dots, \quad t"),
        TWICE % (P, P, P, P, D, D),
    ),
}  # fmt: skip


def check(world: str, latex: str) -> Report:
    text = f"<!-- eqcheck: world={world} -->\n$$\n{latex}\n$$ (eq-it)"
    (report,) = check_text(text, PAGE).reports
    return report


@pytest.mark.parametrize("place", WRONG)
def test_the_printed_form_is_refused(place: str) -> None:
    world, printed, _ = WRONG[place]
    report = check(world, printed)
    assert report.status == "failed"
    assert report.label == "eq-it"


@pytest.mark.parametrize("place", WRONG)
def test_the_right_form_holds(place: str) -> None:
    world, _, right = WRONG[place]
    report = check(world, right)
    assert report.status == "ok", report.reason
    assert report.max_error < 1e-12
