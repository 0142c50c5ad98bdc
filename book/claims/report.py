"""The claims of the forecasting report (Ul Islam, 2024)."""

from rnn_companion.claims import Finding, Quoted, judged, quoted
from rnn_companion.sentences.formulas import formula

REPORT = "ulislam2024"


@quoted(
    Quoted(
        "0-15",
        REPORT,
        "1.1",
        "judged",
        where="1-recurrence#eq-rnn",
        needs="One matrix would have to make the state from input and state, and the output.",
        right="Three matrices and two biases, each shared by all time steps.",
    )
)
def one_weight_matrix() -> Finding:
    """“there is only one weight matrix, shared throughout the entire RNN at all time steps”"""
    return judged(
        "the report's own equations (1) and (2) have three: W_hh, W_xh and W_o"
    )


boxed = formula(
    Quoted(
        "0-2",
        REPORT,
        "(5) and the boxed form at the end",
        "wrong",
        where="2-bptt#eq-bptt-recursion",
        needs="The same symbol on both sides would have to mean the same derivative.",
        right="The derivatives on the right are direct ones.",
    ),
    "the derivative by the weights, with one symbol on both sides",
    said=r"\frac{\mathrm{d} h_t}{\mathrm{d} W_{hh}} = \frac{\mathrm{d} h_t}{\mathrm{d} W_{hh}} + \sum_{i=1}^{t-1} \left( \prod_{j=i+1}^{t} \frac{\partial h_j}{\partial h_{j-1}} \right) \frac{\mathrm{d} h_i}{\mathrm{d} W_{hh}}",
    right=r"\frac{\mathrm{d} h_t}{\mathrm{d} W_{hh}} = \frac{\partial h_t}{\partial W_{hh}} + \sum_{i=1}^{t-1} \left( \prod_{j=i+1}^{t} \frac{\partial h_j}{\partial h_{j-1}} \right) \frac{\partial h_i}{\partial W_{hh}}",
    world="bptt",
)
