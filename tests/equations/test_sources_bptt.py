"""What the four sources print about backpropagation, and what they should print.

Each wrong form, in the book's letters, is refused by the checker; its right twin
beside it passes, so that none is refused for the way it is written.
"""

from pathlib import Path

import pytest

from rnn_companion.equations import check_text

PAGE = str(Path(__file__).parents[2] / "book" / "page.md")  # beside the book's worlds

# world, where it is printed, the wrong form, the right one
FORMS = [
    (
        "bptt",
        "the forecasting report, (5), one symbol: all total",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\mathrm{d} h_t}{\mathrm{d} w}"
        r" + \sum_{i=1}^{t-1} \left( \prod_{j=i+1}^{t}"
        r" \frac{\partial h_j}{\partial h_{j-1}} \right)"
        r" \frac{\mathrm{d} h_i}{\mathrm{d} w}, \quad t = 1, \dots, T",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w}"
        r" + \sum_{i=1}^{t-1} \left( \prod_{j=i+1}^{t}"
        r" \frac{\partial h_j}{\partial h_{j-1}} \right)"
        r" \frac{\partial h_i}{\partial w}, \quad t = 1, \dots, T",
    ),
    (
        "bptt",
        "the same, all direct",
        r"\frac{\partial h_t}{\partial w} = \frac{\partial h_t}{\partial w}"
        r" + \sum_{i=1}^{t-1} \left( \prod_{j=i+1}^{t}"
        r" \frac{\partial h_j}{\partial h_{j-1}} \right)"
        r" \frac{\partial h_i}{\partial w}, \quad t = 1, \dots, T",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w}"
        r" + \frac{\partial h_t}{\partial h_{t-1}}"
        r" \frac{\mathrm{d} h_{t-1}}{\mathrm{d} w}, \quad t = 1, \dots, T",
    ),
    (
        "bptt",
        "the same, its product from low index to high",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} h_{t-2}} ="
        r" \frac{\partial h_{t-1}}{\partial h_{t-2}}"
        r" \frac{\partial h_t}{\partial h_{t-1}}, \quad t = 2, \dots, T",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} h_{t-2}} ="
        r" \frac{\partial h_t}{\partial h_{t-1}}"
        r" \frac{\partial h_{t-1}}{\partial h_{t-2}}, \quad t = 2, \dots, T",
    ),
    (
        "bptt",
        "the forecasting report, (25), all total",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\mathrm{d} h_t}{\mathrm{d} w}"
        r" + \frac{\partial h_t}{\partial h_{t-1}}"
        r" \frac{\mathrm{d} h_{t-1}}{\mathrm{d} w}, \quad t = 1, \dots, T",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w}"
        r" + \frac{\partial h_t}{\partial h_{t-1}} \frac{\partial h_{t-1}}{\partial w}"
        r" + \frac{\partial h_t}{\partial h_{t-1}}"
        r" \frac{\partial h_{t-1}}{\partial h_{t-2}}"
        r" \frac{\mathrm{d} h_{t-2}}{\mathrm{d} w}, \quad t = 2, \dots, T",
    ),
    (
        "bptt",
        "the forecasting report, (6), no transpose",
        r"\nabla_{W_{hq}} L = \sum_{t=1}^{T} (\nabla_{o_t} L) h_t",
        r"\nabla_{W_{hq}} L = \sum_{t=1}^{T} (\nabla_{o_t} L) h_t^\top",
    ),
    (
        "bptt",
        "the same, each step's own loss: no 1/T",
        r"\nabla_{W_{hq}} L = \sum_{t=1}^{T} (\nabla_{o_t} \ell_t) h_t^\top",
        r"\nabla_{W_{hq}} L ="
        r" \frac{1}{T} \sum_{t=1}^{T} (\nabla_{o_t} \ell_t) h_t^\top",
    ),
    (
        "bptt",
        "the forecasting report, (7), no slope of the activation",
        r"\nabla_{W_{xh}} L = \sum_{t=1}^{T} (\nabla_{h_t} L) x_t^\top",
        r"\nabla_{W_{xh}} L = \sum_{t=1}^{T}"
        r" \operatorname{diag}(1 - h_t \odot h_t) (\nabla_{h_t} L) x_t^\top",
    ),
    (
        "bptt",
        "the forecasting report, (8), no 1/T",
        r"\frac{\mathrm{d} L}{\mathrm{d} w} = \sum_{t=1}^{T}"
        r" \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t}"
        r" \frac{\mathrm{d} h_t}{\mathrm{d} w}",
        r"\frac{\mathrm{d} L}{\mathrm{d} w} = \frac{1}{T} \sum_{t=1}^{T}"
        r" \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t}"
        r" \frac{\mathrm{d} h_t}{\mathrm{d} w}",
    ),
    (
        "bptt",
        "the lecture notes, gradient of h, the weights of the input",
        r"\nabla_{h_t} L = W_{xh}^\top \operatorname{diag}(1 - h_{t+1} \odot h_{t+1})"
        r" \nabla_{h_{t+1}} L + W_{hq}^\top \nabla_{o_t} L, \quad t = 1, \dots, T - 1",
        r"\nabla_{h_t} L = W_{hh}^\top \operatorname{diag}(1 - h_{t+1} \odot h_{t+1})"
        r" \nabla_{h_{t+1}} L + W_{hq}^\top \nabla_{o_t} L, \quad t = 1, \dots, T - 1",
    ),
    (
        "bptt",
        "the same, the diagonal after the transpose",
        r"\nabla_{h_t} L = \operatorname{diag}(1 - h_{t+1} \odot h_{t+1}) W_{hh}^\top"
        r" \nabla_{h_{t+1}} L + W_{hq}^\top \nabla_{o_t} L, \quad t = 1, \dots, T - 1",
        r"\nabla_{h_T} L = W_{hq}^\top \nabla_{o_T} L",
    ),
    (
        "bptt",
        "the lecture notes, gradients of W and U exchanged",
        r"\nabla_{W_{xh}} L = \sum_{t=1}^{T}"
        r" \operatorname{diag}(1 - h_t \odot h_t) (\nabla_{h_t} L) h_{t-1}^\top",
        r"\nabla_{W_{hh}} L = \sum_{t=1}^{T}"
        r" \operatorname{diag}(1 - h_t \odot h_t) (\nabla_{h_t} L) h_{t-1}^\top",
    ),
    (
        "softmax",
        "the lecture notes and the palindrome report, targets of any sum",
        r"\nabla_o \ell = \hat{y} - y",
        r"\nabla_o \ell = \left( \sum_{k=1}^{q} y_k \right) \hat{y} - y",
    ),
    (
        "bptt",
        "the palindrome report, gradient of the head, transposed",
        r"\nabla_{W_{hq}} \ell_T = h_T (\nabla_{o_T} \ell_T)^\top",
        r"\nabla_{W_{hq}} \ell_T = (\nabla_{o_T} \ell_T) h_T^\top",
    ),
    (
        "bptt",
        "the palindrome report, the weights reached through the initial state alone",
        r"\nabla_{W_{hh}} \ell_T = (\nabla_{h_0} \ell_T) h_0^\top",
        r"\nabla_{W_{hh}} \ell_T = \sum_{t=1}^{T} (\nabla_{a_t} \ell_T) h_{t-1}^\top",
    ),
    (
        "bptt",
        "the palindrome report, a column for a Jacobian",
        r"\frac{\partial h_t}{\partial h_{t-1}} ="
        r" W_{hh}^\top (1 - h_t \odot h_t), \quad t = 1, \dots, T",
        r"\frac{\partial h_t}{\partial h_{t-1}} ="
        r" \operatorname{diag}(1 - h_t \odot h_t) W_{hh}, \quad t = 1, \dots, T",
    ),
    (
        "softmax",
        "the palindrome report, a number for the gradient by the probabilities",
        r"\nabla_{\hat{y}} \ell = -\sum_{k=1}^{q} \frac{y_k}{\hat{y}_k}",
        r"\frac{\partial \ell}{\partial \hat{y}_k} = -\frac{y_k}{\hat{y}_k},"
        r" \quad k = 1, \dots, q",
    ),
    (
        "softmax",
        "the palindrome report, the sum of squares for the square of the sum",
        r"\frac{\partial \hat{y}_i}{\partial o_i} ="
        r" \frac{\exp(o_i) \sum_{k=1}^{q} \exp(o_k) - \exp(o_i) \exp(o_i)}"
        r"{\sum_{k=1}^{q} \exp(o_k)^2}, \quad i = 1, \dots, q",
        r"\frac{\partial \hat{y}_i}{\partial o_i} ="
        r" \frac{\exp(o_i) \sum_{k=1}^{q} \exp(o_k) - \exp(o_i) \exp(o_i)}"
        r"{\left( \sum_{k=1}^{q} \exp(o_k) \right)^2}, \quad i = 1, \dots, q",
    ),
    (
        "bptt",
        "the windows draft, (6), one activation for both steps",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w}"
        r" + \frac{\partial h_t}{\partial h_{t-1}} \left("
        r" \frac{\partial h_t}{\partial w} + \frac{\partial h_t}{\partial h_{t-1}}"
        r" \frac{\mathrm{d} h_{t-2}}{\mathrm{d} w} \right), \quad t = 2, \dots, T",
        r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w}"
        r" + \frac{\partial h_t}{\partial h_{t-1}} \left("
        r" \frac{\partial h_{t-1}}{\partial w}"
        r" + \frac{\partial h_{t-1}}{\partial h_{t-2}}"
        r" \frac{\mathrm{d} h_{t-2}}{\mathrm{d} w} \right), \quad t = 2, \dots, T",
    ),
]


def status(world: str, latex: str) -> tuple[str, str]:
    """Check one display on its own; return its status and the reason."""
    page = f"<!-- eqcheck: world={world} -->\n\n$$\n{latex}\n$$ (eq-source)\n"
    (report,) = check_text(page, PAGE).reports
    assert report.label == "eq-source"
    return report.status, report.reason


@pytest.mark.parametrize(
    ("world", "wrong", "right"),
    [(world, wrong, right) for world, _, wrong, right in FORMS],
    ids=[place for _, place, _, _ in FORMS],
)
def test_the_printed_form_is_refused_and_the_right_one_passes(
    world: str, wrong: str, right: str
) -> None:
    assert status(world, right) == ("ok", "")
    refused, reason = status(world, wrong)
    assert refused == "failed"
    assert reason
