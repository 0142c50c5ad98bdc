"""The palindrome report (Georgiou, 2018): its formulas, and its time gate."""

from fractions import Fraction
from functools import cache

import numpy as np
import sympy as sp
import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    equal,
    every,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
)
from rnn_companion.networks import time_gate
from rnn_companion.sentences.formulas import formula

from ._notes import PALINDROMES, Small, by_logits, small

RANGE = r", \quad t = 1, \dots, T"

# Its W_hx, W_hh and W_ph are W_xh, W_hh and W_hq here, and p is o.

forward = formula(
    Quoted(
        "2-1",
        PALINDROMES,
        "1.1.1",
        "holds",
        where="1-recurrence#eq-rnn",
        needs="Torch's cell would have to compute the same.",
    ),
    "“RNN and loss equations:” the state",
    said=(said := r"h_t = \tanh(W_{xh} x_t + W_{hh} h_{t-1} + b_h)" + RANGE),
    right=said,
    world="recurrence",
)

head = formula(
    Quoted(
        "2-1b",
        PALINDROMES,
        "1.1.1",
        "holds",
        where="1-recurrence#eq-output",
        needs="Torch's linear layer would have to compute the same.",
    ),
    "“RNN and loss equations:” the output",
    said=(said := r"o_t = W_{hq} h_t + b_q" + RANGE),
    right=said,
    world="recurrence",
)

loss = formula(
    Quoted(
        "2-1c",
        PALINDROMES,
        "1.1.1",
        "holds",
        where="2-bptt#eq-bptt-ce",
        needs="Torch's cross-entropy would have to be the same.",
        right="Right; what is meant is the loss of the last step, which the printed line does not say.",
    ),
    "“RNN and loss equations:” the loss",
    said=(said := r"\ell = -\sum_{k=1}^{q} y_k \log(\hat{y}_k)"),
    right=said,
    world="softmax",
)

OWN = r"\frac{\partial \hat{y}_i}{\partial o_i} = \frac{%s}{%s}, \quad i = 1, \dots, q"
SUM = r"\sum_{k=1}^{q} \exp(o_k)"
SQUARE = rf"\left( {SUM} \right)^2"

denominator = formula(
    Quoted(
        "2-2",
        PALINDROMES,
        "1.1.1, 1)",
        "wrong",
        where="2-bptt#eq-bptt-softmax-own",
        needs="The sum of squares would have to be the square of the sum.",
        right="The quotient rule squares the whole denominator. The sums also run over "
        "an index that their terms do not have, and $x$ and $\\hat{x}$ change places; "
        "the result below is right again.",
    ),
    "“1) Softmax Derivative”, its denominators, at $i = j$",
    said=OWN
    % (
        rf"\exp(o_i) {SUM} - \exp(o_i) \exp(o_i)",
        r"\sum_{k=1}^{q} (\exp(o_k))^2",
    ),
    right=OWN % (rf"\exp(o_i) {SUM} - \exp(o_i) \exp(o_i)", SQUARE),
    world="softmax",
)

numerator = formula(
    Quoted(
        "2-3",
        PALINDROMES,
        "1.1.1, 1)",
        "wrong",
        where="2-bptt#eq-bptt-softmax-own",
        needs="The sum of the scores would have to be the sum of their exponentials.",
        right="In the third line, and in the first behind $i \\neq j$, an $\\exp$ is "
        "missing under the sum. (Here with the right denominator.)",
    ),
    "“1) Softmax Derivative”, the third line, at $i = j$",
    said=OWN % (r"\exp(o_i) \sum_{k=1}^{q} o_k - \exp(o_i) \exp(o_i)", SQUARE),
    right=OWN % (rf"\exp(o_i) {SUM} - \exp(o_i) \exp(o_i)", SQUARE),
    world="softmax",
)

OTHER = r"\frac{\partial \hat{y}_i}{\partial o_j} = \frac{%s}{%s}, \quad i \ne j"

nothing_times = formula(
    Quoted(
        "2-4",
        PALINDROMES,
        "1.1.1, 1)",
        "wrong",
        where="2-bptt#eq-bptt-softmax-other",
        needs="Scores would have to leave each other's probabilities alone.",
        right="The product that is subtracted is lost in this line, and back in the next. "
        "(Here with the right denominator.)",
    ),
    "“1) Softmax Derivative”, the middle line at $i \\neq j$",
    said=OTHER % (r"0 \exp(o_j)", SQUARE),
    right=OTHER % (rf"0 \cdot {SUM} - \exp(o_i) \exp(o_j)", SQUARE),
    world="softmax",
)

softmax_own = formula(
    Quoted(
        "2-4b",
        PALINDROMES,
        "1.1.1, 1)",
        "holds",
        where="2-bptt#eq-bptt-softmax-own",
        needs="The quotient rule.",
    ),
    "“1) Softmax Derivative”, the result at $i = j$",
    said=(
        said
        := r"\frac{\partial \hat{y}_i}{\partial o_i} = \hat{y}_i (1 - \hat{y}_i), \quad i = 1, \dots, q"
    ),
    right=said,
    world="softmax",
)

softmax_other = formula(
    Quoted(
        "2-4c",
        PALINDROMES,
        "1.1.1, 1)",
        "holds",
        where="2-bptt#eq-bptt-softmax-other",
        needs="The quotient rule, with a constant numerator.",
    ),
    "“1) Softmax Derivative”, the result at $i \\neq j$",
    said=(
        said
        := r"\frac{\partial \hat{y}_i}{\partial o_j} = -\hat{y}_i \hat{y}_j, \quad i \ne j"
    ),
    right=said,
    world="softmax",
)

by_probability = formula(
    Quoted(
        "2-5",
        PALINDROMES,
        "1.1.1, 2)",
        "wrong",
        where="2-bptt#eq-bptt-ce-probability",
        needs="All probabilities would have to have one and the same derivative.",
        right="The derivative is a column: entry $i$ has the one term of the sum in "
        "which $\\hat{y}_i$ stands.",
    ),
    "“2) Derivatives with respect the $W_{ph}$”, by the probabilities",
    said=r"\frac{\partial \ell}{\partial \hat{y}_i} = -\sum_{k=1}^{q} y_k \frac{1}{\hat{y}_k}, \quad i = 1, \dots, q",
    right=r"\frac{\partial \ell}{\partial \hat{y}_i} = -\frac{y_i}{\hat{y}_i}, \quad i = 1, \dots, q",
    world="softmax",
)

Pair = tuple[Tensor, Tensor]


def one_digit_and_two() -> tuple[Pair, Pair]:
    """Return the gradient, as said and by autograd, for one digit and for two."""
    one, two = torch.zeros(2, 10, dtype=torch.float64)
    one[3], two[3], two[7] = 1.0, 1.0, 1.0
    return by_logits(one), by_logits(two)


@quoted(
    Quoted(
        "2-6",
        PALINDROMES,
        "1.1.1, 2)",
        "holds if",
        where="2-bptt#eq-bptt-ce-gradient",
        needs="In the last step the $y_k$ would have to sum to one.",
        right="With the report's targets, one digit each, it is so. The step before the "
        "last is right for any targets.",
    ),
    on=one_digit_and_two,
    planted=[swapped],
)
def by_scores(data: tuple[Pair, Pair]) -> Finding:
    r"""“2) Derivatives with respect the $W_{ph}$”, by the scores: $-y_i + \hat{y}_i$"""
    ran = "ŷ - y against autograd, with one digit as target and with two at once"
    met, unmet = data
    return holds_if("the targets sum to one", equal(*met, ran), equal(*unmet, ran))


def by_head() -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient of W_ph as printed, as it should be, and by autograd."""
    net = small()
    error = net.y_hat - net.y
    return net.h[-1] @ error.T, error @ net.h[-1].T, net.by_W_p


def first_two(data: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Plant a falsehood: what is printed and what is right exchanged."""
    return data[1], data[0], data[2]


@quoted(
    Quoted(
        "2-7",
        PALINDROMES,
        "1.1.1, 2)",
        "wrong",
        where="2-bptt#eq-bptt-W-hq",
        needs="The matrix would have to be hidden × out, and multiply the state from the right.",
        right=r"$(\hat{y} - y) h^\top$, of the shape out × hidden that the report's own $p = W_{ph} h + b_p$ asks for. What is printed is its transpose.",
    ),
    on=by_head,
    planted=[first_two],
)
def head_gradient(data: tuple[Tensor, Tensor, Tensor]) -> Finding:
    r"""“2) Derivatives with respect the $W_{ph}$”: $h^{(t)} (-y + \hat{y})^T$"""
    printed, right, true = data
    ran = "a tanh network of 5 units and 4 classes, against autograd"
    return trial(equal(printed, true, ran), equal(right, true, ran))


def through_time(net: Small) -> Tensor:
    """Sum over all steps: delta_t times the state before it."""
    delta = (1 - net.h[-1] ** 2) * (net.W_p.T @ (net.y_hat - net.y))
    total = torch.zeros_like(net.W_h)
    for t in range(len(net.x), 0, -1):
        total = total + delta @ net.h[t - 1].T
        delta = (1 - net.h[t - 1] ** 2) * (net.W_h.T @ delta)
    return total


def through_start() -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradient of W_hh as printed, summed over steps, and by autograd.

    Two networks: one starts at zero, as usual, the other anywhere.
    """
    nets = small(), small(start=1.0)
    printed = torch.stack([net.by_start @ net.h[0].T for net in nets])
    summed = torch.stack([through_time(net) for net in nets])
    return printed, summed, torch.stack([net.by_W_h for net in nets])


@quoted(
    Quoted(
        "2-8",
        PALINDROMES,
        "1.1.1, 3)",
        "wrong",
        where="2-bptt#eq-bptt-W-hh",
        needs="The recurrent matrix would have to act at the start alone, and make $h^{(0)}$.",
        right=r"The start is the one state that no weight has made. Every step's use of the matrix counts: $\sum_{t=1}^{T} \delta_t h_{t-1}^\top$. With $h^{(0)} = 0$, as usual, the printed gradient is zero and the matrix would not learn.",
    ),
    on=through_start,
    planted=[first_two],
)
def recurrent_gradient(data: tuple[Tensor, Tensor, Tensor]) -> Finding:
    r"""“thus we have to propagate back and cover the error of the sequence to the $h_0$”: $h^{(0)} (\delta_h)^T$"""
    printed, right, true = data
    ran = "two tanh networks of 5 units, one of which starts at zero, against autograd"
    return trial(equal(printed, true, ran), equal(right, true, ran))


jacobian = formula(
    Quoted(
        "2-9",
        PALINDROMES,
        "1.1.1, 3)",
        "wrong",
        where="2-bptt#eq-bptt-jacobian",
        needs="The derivative of a column by a column would have to be a column.",
        right="It is a square matrix, the slopes in a diagonal times $W_{hh}$. The "
        "printed product is what is left of it when it acts on a column of ones.",
    ),
    "the derivative of a state by the one before it, as a column",
    said=r"\frac{\partial h_t}{\partial h_{t-1}} = W_{hh}^\top (1 - h_t \odot h_t)"
    + RANGE,
    right=r"\frac{\partial h_t}{\partial h_{t-1}} = \operatorname{diag}(1 - h_t \odot h_t) W_{hh}"
    + RANGE,
    world="bptt",
)


@quoted(
    Quoted(
        "2-10",
        PALINDROMES,
        "1.1.1, 3)",
        "judged",
        where="2-bptt#eq-bptt-W-hh",
        needs="What is put together would have to be the derivative by $W_{ph}$, as its first and last line say.",
        right="It is the one by $W_{hh}$; and the product over $t$ has factors that are "
        "counted by $c$. What it comes to is on trial in 2-8.",
    )
)
def putting_together() -> Finding:
    """“Putting it all together”"""
    return judged("two slips of the pen, which the text around them clears up")


@cache
def powers() -> tuple[np.ndarray, np.ndarray]:
    """Return norms of the powers of two matrices.

    The entries of the first are all below one, those of the second above, in size.
    """
    below_one = np.full((4, 4), 0.9)
    above_one = 2.0 * np.array([[1.0, -1.0], [1.0, -1.0]])
    small_entries, large_entries = (
        np.array([np.linalg.norm(np.linalg.matrix_power(A, n)) for n in range(1, 21)])
        for A in (below_one, above_one)
    )
    return small_entries, large_entries


@quoted(
    Quoted(
        "2-11",
        PALINDROMES,
        "1.1.1, 3)",
        "wrong",
        where="3-gradients#eq-grad-bound",
        needs="A product of matrices with entries below one would have to vanish.",
        right="True of numbers, which do not come near to one. Of matrices it is norms "
        "that decide: the product vanishes if the largest singular value of each factor "
        "stays below one. All entries 0.9 are no hindrance to growth.",
    ),
    on=powers,
    planted=[swapped],
)
def values_below_one(data: tuple[np.ndarray, np.ndarray]) -> Finding:
    """“Vanishing gradients occur when the gradients have values less than one”"""
    ran = "norm of the twentieth power of a 4 × 4 matrix with all entries 0.9"
    norm = data[0][-1]
    return trial(below(norm, 1, ran), above(norm, 1e6, ran))


@quoted(
    Quoted(
        "2-11b",
        PALINDROMES,
        "1.1.1, 3)",
        "wrong",
        where="3-gradients#eq-grad-nilpotent",
        needs="A product of matrices with entries above one would have to explode.",
        right="A largest singular value above one is needed for explosion, and not "
        "enough: a matrix with entries 2 and −2 has a square of zero.",
    ),
    on=powers,
    planted=[swapped],
)
def values_above_one(data: tuple[np.ndarray, np.ndarray]) -> Finding:
    """“Exploding gradients is exactly the opposite, when our gradients are bigger than 1, the product between the steps results into a huge gradient.”"""
    ran = "norm of the twentieth power of a 2 × 2 matrix with all entries of 2 in size"
    norm = data[1][-1]
    return trial(above(norm, 1, ran), below(norm, 1e-9, ran))


adam = formula(
    Quoted(
        "2-16",
        PALINDROMES,
        "1.2.1",
        "wrong",
        where="11-optimizers#eq-adam",
        needs="The mean of the squares would have to be measured in the units of the gradient.",
        right="Divided is by the square *root* of the mean square, as in RMSprop. And "
        "both means are repaired first, as they start at zero.",
        left_out="“as was for the momentum”, said of the average.",
    ),
    "“we multiply the learning rate with the average of gradients […] and we divide it by the square average of gradients as in RMSProp”",
    said=r"w_k = w_{k-1} - \eta \frac{m_k}{v_k + \varepsilon}, \quad k = 1, \dots, N",
    right=r"w_k = w_{k-1} - \eta \frac{\hat{m}_k}{\sqrt{\hat{v}_k} + \varepsilon}, \quad k = 1, \dots, N",
    world="adam",
)

candidate = formula(
    Quoted(
        "2-18",
        PALINDROMES,
        "1.3.1",
        "wrong",
        where="4-lstm#eq-lstm-c",
        needs="The input gate would have to be a summand.",
        right="It is a factor, which takes a share of the candidate; the product is "
        "what is added to the cell.",
        left_out="The range of the output, which is on trial in 2-18b.",
    ),
    "“Creates the new candidate values. […] which output is added with input gate's output in order to increase or decrease a corresponding value in the cell state”",
    said=r"c_t = f_t \odot c_{t-1} + i_t + g_t" + RANGE,
    right=r"c_t = f_t \odot c_{t-1} + i_t \odot g_t" + RANGE,
    world="lstm",
)


def gaps() -> tuple[float, float]:
    """Return how far tanh stays below one at 20: in double precision, and exactly."""
    rounded = 1 - torch.tanh(torch.tensor(20.0, dtype=torch.float64)).item()
    exact = float(sp.N(1 - sp.tanh(20), 50))
    return rounded, exact


@quoted(
    Quoted(
        "2-18b",
        PALINDROMES,
        "1.3.1",
        "holds if",
        where="4-lstm#eq-lstm-g",
        needs="The ends of the range would have to be reached.",
        right="The range is $(-1, 1)$, and $(0, 1)$ for a sigmoid: the ends are left "
        "out. Rounded numbers do reach them.",
        left_out="What stands between describes the candidate.",
    ),
    on=gaps,
    planted=[swapped],
)
def closed_range(data: tuple[float, float]) -> Finding:
    """“Input modulation gate : […] The output range is $[-1,1]$”"""
    ran = "1 - tanh(20)"
    rounded, exact = data
    return holds_if(
        "numbers are rounded to double precision; exactly, no end is reached",
        below(rounded, 1e-30, f"{ran}, in double precision and with 50 digits"),
        below(exact, 1e-30, ran),
    )


@quoted(
    Quoted(
        "2-18c",
        PALINDROMES,
        "1.3.1",
        "judged",
        where="4-lstm#eq-lstm-i",
        needs="A gate would have to have hidden layers of its own.",
        right="Each gate is a single layer: a linear map and a sigmoid.",
    )
)
def gates_are_layers() -> Finding:
    """“Is a fully connected MLP with sigmoid activation”"""
    return judged("a matter of naming: the count in 1.3.2 has one layer a gate")


shown = formula(
    Quoted(
        "2-19",
        PALINDROMES,
        "1.3.1",
        "wrong",
        where="4-lstm#eq-lstm-h",
        needs="The state would have to be shown without being squashed.",
        right="The output gate multiplies $\\tanh(c_t)$.",
    ),
    "“its output is multiplied by the current cell state to remove any information that we don't want to output”",
    said=r"h_t = o_t \odot c_t" + RANGE,
    right=r"h_t = o_t \odot \tanh(c_t)" + RANGE,
    world="lstm",
)


def counted(d: int, n: int, outputs: int) -> tuple[int, int]:
    """Return the report's count, and what torch holds with one bias a gate."""
    said = (4 * ((d * n) + (n * n) + n)) + (n * d) + d
    cell, head = nn.LSTM(d, n), nn.Linear(n, outputs)
    held = sum(p.numel() for module in (cell, head) for p in module.parameters())
    return said, held - cell.get_parameter("bias_hh_l0").numel()


def two_sizes() -> tuple[tuple[int, int], tuple[int, int]]:
    """Count with digits one-hot, and with digits as numbers."""
    return counted(10, 128, 10), counted(1, 128, 10)


@quoted(
    Quoted(
        "2-20",
        PALINDROMES,
        "1.3.2",
        "holds if",
        where="4-lstm#eq-lstm-count-head",
        needs="The network would have to have as many outputs as inputs.",
        right="With $K$ outputs the head has $nK + K$. With the assignment's scalar "
        "digits, $d = 1$ and $K = 10$, these are 67 850 parameters and not 66 689. "
        "Torch keeps a second bias for each gate, $4n$ more.",
        left_out="The report says in brackets that it assumes equal sizes.",
    ),
    on=two_sizes,
    planted=[swapped],
)
def parameters(data: tuple[tuple[int, int], tuple[int, int]]) -> Finding:
    """“i assume that the same one hot vector which has d dimensions is used for both input and output”: $(4 * ((d * n) + (n * n) + n)) + (n * d) + d$"""
    ran = "the formula against the parameters of torch's LSTM and linear head, n = 128, one bias a gate"
    met, unmet = data
    return holds_if(
        "there are as many outputs as inputs, and one bias a gate",
        equal(*met, ran),
        equal(*unmet, ran),
    )


# The time gate


@quoted(
    Quoted(
        "2-21",
        PALINDROMES,
        "2.1",
        "judged",
        where="8-time-gate#eq-gate-phi",
        needs="The gate would have to have a parameter of that name.",
        right="It is $s = 3$, the shift, as in the report's own 2.3.",
    )
)
def sigma_is_s() -> Finding:
    r"""“which are initialized as $\tau = 10, \sigma = 3$ and $r_{on} = 0.4001$”"""
    return judged("a slip of the pen: with a shift of 3 its table comes out, see 2-22")


PHASES = [
    "0.8",
    "0.9",
    "0",
    "0.1",
    "0.2",
    "0.3",
    "0.4",
    "0.5",
    "0.6",
    "0.7",
    "0.8",
    "0.9",
    "0.0",
]
PRINTED = (0, 0, 0, 0.5, 1, 0.5, 0, 0, 0, 0, 0, 0, 0)
RISING, FALLING = {3, 4, 5, 13}, {6, 7}  # where the two columns say True
OPEN = Fraction(4001, 10000)

Table = list[tuple[Fraction, bool, bool]]


def exact_table(shift: int = 3) -> Table:
    """Compute the phases and the two columns of table 1 in fractions."""
    phases = [Fraction(t - shift, 10) % 1 for t in range(1, 14)]
    return [(phi, phi < OPEN / 2, OPEN > phi > OPEN / 2) for phi in phases]


def late(_: Table) -> Table:
    """Plant a falsehood: a clock that is one step late."""
    return exact_table(shift=4)


@quoted(
    Quoted(
        "2-22",
        PALINDROMES,
        "table 1",
        "holds",
        where="8-time-gate#eq-gate-phi",
        needs="All 13 phases and both columns of truth values would have to be exact.",
        right="They are, with $\\phi_t = ((t - s) \\bmod \\tau) / \\tau$.",
    ),
    on=exact_table,
    planted=[late],
)
def phases(table: Table) -> Finding:
    """“Table 1: Toy example for gate”: the phases, and which of the two conditions holds"""
    wrong = sum(
        row != (Fraction(printed), t in RISING, t in FALLING)
        for t, (row, printed) in enumerate(zip(table, PHASES, strict=True), start=1)
    )
    return below(wrong, 1, "39 entries in exact fractions: rows that differ")


def exact_gate() -> list[Fraction]:
    """Compute the gate of table 1 in fractions."""
    return [
        2 * phi / OPEN if rising else 2 - 2 * phi / OPEN if falling else Fraction(0)
        for phi, rising, falling in exact_table()
    ]


def one_step_late(gate: list[Fraction]) -> list[Fraction]:
    """Plant a falsehood: a gate that is one step late."""
    return [gate[-1], *gate[:-1]]


@quoted(
    Quoted(
        "2-23",
        PALINDROMES,
        "table 1",
        "holds",
        where="8-time-gate#eq-gate-k",
        needs="All 13 values would have to be right to the digit printed.",
        right="They are. Unrounded, the gate is at 0.4999, 0.9998 and 0.5004 in the "
        "middle of its open phase, and at $t = 7$ it is still open a little, to 0.0005.",
    ),
    on=exact_gate,
    planted=[one_step_late],
)
def gate_values(gate: list[Fraction]) -> Finding:
    """“Table 1: Toy example for gate”: the values of the gate"""
    off = max(abs(float(k) - shown) for k, shown in zip(gate, PRINTED, strict=True))
    ran = "the gate in exact fractions: the largest difference from the 13 printed values, which have one digit"
    return below(off, 0.05, ran)


def at_the_middle() -> tuple[Fraction, Fraction, float]:
    """Return the gate at the middle of its open phase: strict, with <=, by torch."""
    phi, r_on = Fraction(1, 5), Fraction(2, 5)
    rising = 2 * phi / r_on
    falling = 2 - 2 * phi / r_on
    strict = rising if phi < r_on / 2 else falling if r_on > phi > r_on / 2 else 0
    closed = rising if phi <= r_on / 2 else falling if r_on >= phi > r_on / 2 else 0
    clock = (torch.tensor(v, dtype=torch.float64) for v in (10.0, 3.0, 0.4))
    tau, s, open_share = clock
    near = time_gate(
        torch.tensor(5 - 1e-9, dtype=torch.float64), tau, s, open_share
    ).item()
    return Fraction(strict), Fraction(closed), near


def exchanged(
    data: tuple[Fraction, Fraction, float],
) -> tuple[Fraction, Fraction, float]:
    """Plant a falsehood: the strict gate is the one that is open."""
    return data[1], data[0], data[2]


@quoted(
    Quoted(
        "2-24",
        PALINDROMES,
        "table 1",
        "wrong",
        where="8-time-gate#eq-gate-k",
        needs="No phase would have to fall on the middle of the open phase.",
        right="With $\\le$ in place of $<$ the two conditions meet. As printed the "
        "middle belongs to neither, and the gate is shut where it should be wide open; "
        "$r_{\\mathrm{on}} = 0.4001$ in place of 0.4 keeps the toy example away from it.",
    ),
    on=at_the_middle,
    planted=[exchanged],
)
def strict_inequalities(data: tuple[Fraction, Fraction, float]) -> Finding:
    r"""“$\phi^{(t)} < \frac{r_{on}}{2}$” and “$r_{on} > \phi^{(t)} > \frac{r_{on}}{2}$”, and otherwise closed"""
    strict, closed, near = data
    ran = "the gate with an open share of 0.4 at t = 5, in exact fractions, against torch's just before it"
    return trial(
        equal(float(strict), near, ran, rtol=1e-6),
        equal(float(closed), near, ran, rtol=1e-6),
    )


update = formula(
    Quoted(
        "2-25",
        PALINDROMES,
        "2.2",
        "holds",
        where="8-time-gate#eq-gate-c",
        needs="The cell would have to go from its old value to the proposed one, as far as the gate is open.",
        right="Right, and half of it: $h_t$ is updated in the same way, and the "
        "proposals are a whole LSTM step.",
    ),
    "“Update equation:”",
    said=(said := r"c_t = k_t \odot \tilde{c}_t + (1 - k_t) \odot c_{t-1}" + RANGE),
    right=said,
    world="phased",
)


def left_alone() -> np.ndarray:
    """Count, for rising periods, the longest stretch of steps with the gate shut."""
    found = []
    for period in (5, 10, 20, 40):
        longest = run = 0
        for t in range(1, 4 * period):
            shut = Fraction(t - 3, period) % 1 >= OPEN
            run = run + 1 if shut else 0
            longest = max(longest, run)
        found.append(longest)
    return np.array(found)


def periods_exchanged(stretches: np.ndarray) -> np.ndarray:
    """Plant a falsehood: long periods with short stretches."""
    return stretches[::-1]


@quoted(
    Quoted(
        "2-35",
        PALINDROMES,
        "2.2",
        "holds",
        where="8-time-gate#eq-gate-path",
        needs="With a longer period a cell would have to be left alone for longer.",
        right=r"For $(1 - r_{\mathrm{on}}) \tau$ at a time. The memory does not reach "
        "beyond an open phase in which the gate opens fully: there the cell is overwritten.",
    ),
    on=left_alone,
    planted=[periods_exchanged],
)
def longer_memory(stretches: np.ndarray) -> Finding:
    """“you can achieve a longer and adjustable memory length through τ”"""
    ran = "longest stretches of steps with the toy gate shut, at periods of 5, 10, 20 and 40: the least growth from one to the next"
    return above(np.diff(stretches).min(), 0, ran)


def two_phases() -> list[Fraction]:
    """Return the gate at steps 3 to 7."""
    return exact_gate()[2:7]


def turned(gate: list[Fraction]) -> list[Fraction]:
    """Plant a falsehood: a gate that first closes and then opens."""
    return [1 - k for k in gate]


@quoted(
    Quoted(
        "2-25b",
        PALINDROMES,
        "2.2",
        "holds",
        where="8-time-gate#eq-gate-k",
        needs="The gate would have to rise from step 3 to step 5, and to fall from there to step 7.",
    ),
    on=two_phases,
    planted=[turned],
)
def rises_and_falls(gate: list[Fraction]) -> Finding:
    """“values go from 0 to 1 (timesteps 3-5 in figure 5), then it follows the phase that decreasing the influence of the current state”"""
    change = np.diff([float(k) for k in gate])
    ran = "the toy gate in exact fractions, steps 3 to 7: "
    return every(
        above(change[:2].min(), 0, ran + "its least rise up to step 5"),
        below(change[2:].max(), 0, ran + "its least fall from there"),
    )
