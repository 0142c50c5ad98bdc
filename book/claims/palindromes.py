"""The palindrome report (Georgiou, 2018): the network and its gradients."""

import torch
from torch import Tensor

from rnn_companion.claims import (
    Finding,
    Quoted,
    equal,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
)
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
