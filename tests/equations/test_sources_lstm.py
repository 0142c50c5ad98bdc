"""What the sources print about LSTM, Adam and the time gate, and what they should.

As in `test_sources_bptt`: the wrong form is refused, its right twin passes.
"""

from pathlib import Path

import pytest

from rnn_companion.equations import check_text

PAGE = str(Path(__file__).parents[2] / "book" / "page.md")  # beside the book's worlds

EVERY = r", \quad t = 1, \dots, T"
STEP = r", \quad k = 1, \dots, N"

# world, where it is printed, the wrong form, the right one
FORMS = [
    (
        "lstm",
        "the forecasting report, (11), no plus before the bias",
        r"i_t = \sigma(W_{xi} x_t + W_{hi} h_{t-1} \odot b_i)" + EVERY,
        r"i_t = \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i)" + EVERY,
    ),
    (
        "lstm",
        "the forecasting report, (11), by the letter",
        r"i_t = \sigma(W_{xi} x_t + W_{hi} h_{t-1} b_i)" + EVERY,
        r"f_t = \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f)" + EVERY,
    ),
    (
        "lstm",
        "the palindrome report, 1.5a, the candidate is added with the input gate",
        r"c_t = f_t \odot c_{t-1} + (i_t + g_t)" + EVERY,
        r"c_t = f_t \odot c_{t-1} + i_t \odot g_t" + EVERY,
    ),
    (
        "lstm",
        "the palindrome report, 1.5a, the output gate on the bare cell state",
        r"h_t = o_t \odot c_t" + EVERY,
        r"h_t = o_t \odot \tanh(c_t)" + EVERY,
    ),
    (
        "lstm",
        "often heard: the gradient of an LSTM is an identity, or its forget gates",
        r"\frac{\mathrm{d} c_t}{\mathrm{d} c_{t-1}} = \operatorname{diag}(f_t)"
        r", \quad t = 2, \dots, T",
        r"\frac{\partial c_t}{\partial c_{t-1}} = \operatorname{diag}(f_t)" + EVERY,
    ),
    (
        "counts",
        "the palindrome report, 1.5b, as many outputs as inputs",
        r"P_{\mathrm{LSTM}} + P_{\mathrm{head}} = 4 (d h + h h + h) + h d + d",
        r"P_{\mathrm{LSTM}} + P_{\mathrm{head}} = 4 (d h + h h + h) + h q + q",
    ),
    (
        "adam",
        "the palindrome report, 1.4, divided by the mean square itself",
        r"w_k = w_{k-1} - \eta \frac{\hat{m}_k}{\hat{v}_k + \varepsilon}" + STEP,
        r"w_k = w_{k-1} - \eta \frac{\hat{m}_k}{\sqrt{\hat{v}_k} + \varepsilon}" + STEP,
    ),
    (
        "adam",
        "the same, the means not repaired",
        r"w_k = w_{k-1} - \eta \frac{m_k}{\sqrt{v_k} + \varepsilon}" + STEP,
        r"\hat{m}_k = \frac{m_k}{1 - \beta_1^k}" + STEP,
    ),
    (
        "time-gate",
        "the palindrome report, strict on both sides",
        r"k_t = \begin{cases} \frac{2 \phi_t}{r_{\mathrm{on}}}"
        r" & \text{if } \phi_t < \frac{r_{\mathrm{on}}}{2} \\"
        r" 2 - \frac{2 \phi_t}{r_{\mathrm{on}}} & \text{if }"
        r" \frac{r_{\mathrm{on}}}{2} < \phi_t < r_{\mathrm{on}} \\"
        r" \alpha \phi_t & \text{otherwise} \end{cases}" + EVERY,
        r"k_t = \begin{cases} \frac{2 \phi_t}{r_{\mathrm{on}}}"
        r" & \text{if } \phi_t \le \frac{r_{\mathrm{on}}}{2} \\"
        r" 2 - \frac{2 \phi_t}{r_{\mathrm{on}}} & \text{if }"
        r" \frac{r_{\mathrm{on}}}{2} < \phi_t \le r_{\mathrm{on}} \\"
        r" \alpha \phi_t & \text{otherwise} \end{cases}" + EVERY,
    ),
    (
        "phased",
        "the palindrome report, 2.2, the hidden state ungated",
        r"h_t = \tilde{h}_t" + EVERY,
        r"h_t = k_t \odot \tilde{h}_t + (1 - k_t) \odot h_{t-1}" + EVERY,
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
