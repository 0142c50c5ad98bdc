"""The lecture notes (Artemov, 2018): forwards and backwards."""

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
)
from rnn_companion.sentences.formulas import formula

from ._notes import NOTES, by_logits

# In the book's notation: W, U and V are W_xh, W_hh and W_hq, b and c are b_h and b_q.
RANGE = r", \quad t = 1, \dots, T"


forward = formula(
    Quoted(
        "1-7",
        NOTES,
        "2.1",
        "holds",
        where="1-recurrence#eq-rnn",
        needs="Torch's cell would have to compute the same.",
    ),
    "the recurrence",
    said=(
        said := r"h_t = \tanh(b_h + W_{xh} x_t + W_{hh} h_{t-1})"
        r", \quad t = 1, \dots, T"
    ),
    right=said,
    world="recurrence",
)


output = formula(
    Quoted(
        "1-7b",
        NOTES,
        "2.1",
        "holds",
        where="1-recurrence#eq-output",
        needs="Torch's linear layer would have to compute the same.",
    ),
    "the output",
    said=(said := r"o_t = b_q + W_{hq} h_t" + RANGE),
    right=said,
    world="recurrence",
)


grad_W = formula(
    Quoted(
        "1-1",
        NOTES,
        "2.4",
        "wrong",
        where="2-bptt#eq-bptt-W-xh",
        needs="The matrix $W$ would have to multiply the state, and it multiplies the "
        "input in the notes' own forward equations.",
        right="$W$ and $U$ have changed places between 2.1 and 2.4, as if the backward "
        "pass came from a text that names them the other way round. What is printed "
        "for $W$ is the gradient by $U$.",
    ),
    "“The gradient $\\nabla_{\\mathbf{W}} L$:”",
    said=r"\nabla_{W_{xh}} L = \sum_{t=1}^{T} \operatorname{diag}(1 - h_t \odot h_t) (\nabla_{h_t} L) h_{t-1}^\top",
    right=r"\nabla_{W_{xh}} L = \sum_{t=1}^{T} \operatorname{diag}(1 - h_t \odot h_t) (\nabla_{h_t} L) x_t^\top",
    world="bptt",
)


grad_U = formula(
    Quoted(
        "1-1b",
        NOTES,
        "2.4",
        "wrong",
        where="2-bptt#eq-bptt-W-hh",
        needs="The matrix $U$ would have to multiply the input, and it multiplies the "
        "state in the notes' own forward equations.",
        right="What is printed for $U$ is the gradient by $W$.",
    ),
    "“The gradient $\\nabla_{\\mathbf{U}} L$:”",
    said=r"\nabla_{W_{hh}} L = \sum_{t=1}^{T} \operatorname{diag}(1 - h_t \odot h_t) (\nabla_{h_t} L) x_t^\top",
    right=r"\nabla_{W_{hh}} L = \sum_{t=1}^{T} \operatorname{diag}(1 - h_t \odot h_t) (\nabla_{h_t} L) h_{t-1}^\top",
    world="bptt",
)


grad_h = formula(
    Quoted(
        "1-2",
        NOTES,
        "2.4",
        "wrong",
        where="2-bptt#eq-bptt-state",
        needs="A column would have to be multiplied by a matrix from its right.",
        right="From $h_{t+1}$ back to $h_t$ leads the transposed Jacobian: first the "
        "slopes, then the recurrent matrix, which is $U$ in the notes' forward "
        "equations. The recipe beside it, $(\\partial h_{t+1} / \\partial h_t)^\\top$, "
        "is right; it is carried out in the wrong order.",
        left_out="The symbols of the next state and of the output.",
    ),
    "“as both […] and […] descend from”",
    said=r"\nabla_{h_t} L = W_{xh}^\top (\nabla_{h_{t+1}} L) \operatorname{diag}(1 - h_{t+1} \odot h_{t+1}) + W_{hq}^\top (\nabla_{o_t} L), \quad t = 1, \dots, T - 1",
    right=r"\nabla_{h_t} L = W_{hh}^\top \operatorname{diag}(1 - h_{t+1} \odot h_{t+1}) (\nabla_{h_{t+1}} L) + W_{hq}^\top (\nabla_{o_t} L), \quad t = 1, \dots, T - 1",
    world="bptt",
)


grad_h_last = formula(
    Quoted(
        "1-7c",
        NOTES,
        "2.4",
        "holds",
        where="2-bptt#eq-bptt-last",
        needs="At the end nothing but the output would have to depend on the state.",
    ),
    "“(end of sequence)”",
    said=(said := r"\nabla_{h_T} L = W_{hq}^\top (\nabla_{o_T} L)"),
    right=said,
    world="bptt",
)


grad_V = formula(
    Quoted(
        "1-7d",
        NOTES,
        "2.4",
        "holds",
        where="2-bptt#eq-bptt-W-hq",
        needs="The head would have to act on the loss at each step by that step's output alone.",
    ),
    "“The gradient $\\nabla_{\\mathbf{V}} L$:”",
    said=(said := r"\nabla_{W_{hq}} L = \sum_{t=1}^{T} (\nabla_{o_t} L) h_t^\top"),
    right=said,
    world="bptt",
)


@quoted(
    Quoted(
        "1-3",
        NOTES,
        "2.2",
        "judged",
        where="2-bptt#eq-bptt-ce",
        needs="The two arguments would have to be numbers.",
        right="$L: \\mathbb{R}^K \\times \\mathbb{R}^K \\to [0, \\infty)$, as the "
        "cross-entropy of the notes' appendix compares two columns of $K$ numbers.",
    )
)
def loss_of_numbers() -> Finding:
    r"""“a loss function $L : \mathbb{R} \times \mathbb{R} \rightarrow [0, \infty)$ (such as a cross-entropy loss)”"""
    return judged("the domain is a matter of notation; nothing follows from it")


Pair = tuple[Tensor, Tensor]


def one_class_and_two() -> tuple[Pair, Pair]:
    """Return the gradient, as said and by autograd, for one label and for two."""
    one = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    two = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64)
    return by_logits(one), by_logits(two)


@quoted(
    Quoted(
        "1-4",
        NOTES,
        "2.4",
        "holds if",
        where="2-bptt#eq-bptt-ce-gradient",
        needs="The sum of the targets would have to be one.",
        right=r"In general $\nabla_o \ell = (\sum_k y_k) \hat{y} - y$. One-hot targets "
        "sum to one, several labels at once do not.",
    ),
    on=one_class_and_two,
    planted=[swapped],
)
def grad_o(data: tuple[Pair, Pair]) -> Finding:
    r"""“The gradient $\nabla_{\mathbf{o}^{(t)}} L$:” $\hat{y}_t - y_t$"""
    ran = "ŷ - y against autograd, with one label and with two at once"
    met, unmet = data
    return holds_if("the targets sum to one", equal(*met, ran), equal(*unmet, ran))


@quoted(
    Quoted(
        "1-5",
        NOTES,
        "2.4",
        "judged",
        where="2-bptt#eq-bptt-b-h",
        needs="Derivatives by all that is named would have to follow.",
        right=r"Those by $b$, $c$ and $x_t$ are missing: with $\delta_t = "
        r"\operatorname{diag}(1 - h_t \odot h_t) \nabla_{h_t} L$ they are "
        r"$\sum_t \delta_t$, $\sum_t \nabla_{o_t} L$ and $W^\top \delta_t$.",
        left_out="The lists of the parameters, $W, U, V, b, c$, and of the variables, "
        "$x_t, h_t, o_t$.",
    )
)
def all_derivatives() -> Finding:
    """“we need to compute the derivatives of […] w.r.t. network parameters […] and all the variables”"""
    return judged(
        "five gradients follow, by o, h, V, W and U; those by b, c and x do not"
    )


@quoted(
    Quoted(
        "1-6",
        NOTES,
        "appendix",
        "judged",
        where="2-bptt#eq-bptt-ce-probability",
        needs="A gradient would have to be a column too, and the classes be counted by one letter.",
        right="The gradient by $\\hat{y}$ is printed as a row; as a column it is the "
        "transpose. And the classes are $K$ in part A, $N$ in part B.",
    )
)
def columns() -> Finding:
    r"""“All vectors $\mathbf{x} \in \mathbb{R}^n$ are column vectors”"""
    return judged("a matter of layout: all entries are right, see 1-7e")
