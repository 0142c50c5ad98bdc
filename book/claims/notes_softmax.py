"""The lecture notes (Artemov, 2018): the softmax's derivatives, and the remedies."""

import numpy as np
import sympy as sp
import torch

from rnn_companion.claims import (
    Finding,
    Quoted,
    holds_if,
    judged,
    quoted,
    sign_test,
    swapped,
    symbolic,
)
from rnn_companion.sentences.formulas import formula

from ._notes import NOTES, product, rotation

by_probability = formula(
    Quoted(
        "1-7e",
        NOTES,
        "appendix, A",
        "holds",
        where="2-bptt#eq-bptt-ce-probability",
        needs="Of the sum one term would have to depend on that probability.",
    ),
    "“A. Derivative of cross-entropy loss”",
    said=(
        said
        := r"\frac{\partial \ell}{\partial \hat{y}_i} = -\frac{y_i}{\hat{y}_i}, \quad i = 1, \dots, q"
    ),
    right=said,
    world="softmax",
)


softmax_own = formula(
    Quoted(
        "1-7f",
        NOTES,
        "appendix, B",
        "holds",
        where="2-bptt#eq-bptt-softmax-own",
        needs="The quotient rule.",
    ),
    "“B. Derivative of softmax”, by its own score",
    said=(
        said
        := r"\frac{\partial \hat{y}_i}{\partial o_i} = \hat{y}_i (1 - \hat{y}_i), \quad i = 1, \dots, q"
    ),
    right=said,
    world="softmax",
)


softmax_other = formula(
    Quoted(
        "1-7g",
        NOTES,
        "appendix, B",
        "holds",
        where="2-bptt#eq-bptt-softmax-other",
        needs="The quotient rule, with a constant numerator.",
    ),
    "“Otherwise, if”: by another score",
    said=(
        said
        := r"\frac{\partial \hat{y}_i}{\partial o_k} = -\hat{y}_i \hat{y}_k, \quad i \ne k"
    ),
    right=said,
    world="softmax",
)


def delta_form() -> sp.Matrix:
    """Return the softmax of three scores: its Jacobian less the form with delta."""
    z = sp.symbols("z_1:4", real=True)
    weights = [sp.exp(each) for each in z]
    y = [each / sum(weights) for each in weights]
    delta = sp.KroneckerDelta
    return sp.Matrix(
        [
            [y[j].diff(z[k]) - y[j] * (delta(j, k) - y[k])]
            for j in range(3)
            for k in range(3)
        ]
    ).T


def without_delta(difference: sp.Matrix) -> sp.Matrix:
    """Plant a falsehood: the delta left out."""
    return difference + sp.Matrix([sp.eye(3).flat()]) / 3


@quoted(
    Quoted(
        "1-7h",
        NOTES,
        "appendix, B",
        "holds",
        where="2-bptt#eq-bptt-softmax-jacobian",
        needs="Both cases in one formula.",
    ),
    on=delta_form,
    planted=[without_delta],
)
def softmax_overall(difference: sp.Matrix) -> Finding:
    r"""“Thus, overall,” $\frac{\partial \hat{y}_j}{\partial z_k} = \hat{y}_j (\delta_{jk} - \hat{y}_k)$"""
    return symbolic(difference, "the softmax of three scores, differentiated by SymPy")


def tanh_slope() -> sp.Expr:
    """Return the slope of tanh, from its definition, less that of the notes."""
    x = sp.Symbol("x", real=True)
    tanh = (sp.exp(x) - sp.exp(-x)) / (sp.exp(x) + sp.exp(-x))
    return tanh.diff(x) - (1 - tanh**2)


def of_sigmoid(difference: sp.Expr) -> sp.Expr:
    """Plant a falsehood: a slope that is at most a quarter."""
    return difference + sp.Rational(3, 4) / sp.cosh(sp.Symbol("x", real=True)) ** 2


@quoted(
    Quoted(
        "1-7i",
        NOTES,
        "appendix, C",
        "holds",
        where="2-bptt#eq-bptt-slope",
        needs="The quotient rule.",
    ),
    on=tanh_slope,
    planted=[of_sigmoid],
)
def derivative_of_tanh(difference: sp.Expr) -> Finding:
    r"""“C. Derivative of tanh (hyperbolic tangent)”: $1 - \tanh^2(x)$"""
    return symbolic(difference, "tanh as the notes define it, differentiated by SymPy")


def decay() -> tuple[np.ndarray, np.ndarray]:
    """Log norms of products of 12 Jacobians, before less after a penalty's shrinking.

    Two groups of ten networks: the weights of one make gradients explode, those of
    the other make them vanish. The penalty takes three tenths off all weights. Counted
    is by how much the norm comes nearer to one.
    """
    found = []
    for size in (1.6, 0.9):
        group = []
        for seed in range(10):
            W = size * rotation(4, seed)
            before, after = (
                torch.linalg.matrix_norm(product(c * W, 12, seed), 2).log().item()
                for c in (1.0, 0.7)
            )
            group.append(abs(before) - abs(after))
        found.append(np.array(group))
    return found[0], found[1]


@quoted(
    Quoted(
        "1-8",
        NOTES,
        "3, what to do",
        "holds if",
        where="3-gradients#eq-grad-decay",
        needs="Smaller weights would have to help against both troubles, as the list is one for both.",
        right="A penalty makes weights smaller, and all products of Jacobians with "
        "them. That helps against explosion, and makes vanishing worse: Pascanu, "
        "Mikolov and Bengio say of it that it rules out long memory.",
    ),
    on=decay,
    planted=[swapped],
)
def penalty(data: tuple[np.ndarray, np.ndarray]) -> Finding:
    """“Penalization of training with L1/L2 loss”, under “What to do about vanishing and exploding gradients”"""
    ran = "products of 12 Jacobians in ten networks each, all weights made smaller by 0.7: how much nearer to one the norm comes, on a log scale"
    exploding, vanishing = data
    return holds_if(
        "the gradients explode; where they vanish it does harm",
        sign_test(exploding, ran),
        sign_test(vanishing, ran),
    )


@quoted(
    Quoted(
        "1-9",
        NOTES,
        "3, what to do",
        "judged",
        where="3-gradients#eq-grad-clamped",
        needs="The words would have to mean today what they meant then, and the list be complete.",
        right="This is the older meaning, of {cite:t}`doya1992`, against the bifurcations that a "
        "network crosses while it learns. Today teacher forcing means that *outputs* "
        "which are read as the next input are replaced by their targets. The two "
        "remedies that the cited paper itself proposes, clipping and a soft constraint "
        "on the length of the gradient, are not in the list.",
    )
)
def teacher_forcing() -> Finding:
    """“Teacher forcing: using targets for some or all of the hidden units.”"""
    return judged("a question of what a word means, and of what a list leaves out")


@quoted(
    Quoted(
        "1-9b",
        NOTES,
        "3, what to do",
        "judged",
        where="3-gradients",
        needs="A network would have to be near its task before it is trained on it.",
        right="It too is one of Doya's remedies, as {cite:t}`pascanu2013` sum them up. How "
        "one does it is not said; starts that work without knowing the target "
        "(orthogonal weights, open forget gates) are in chapters 3 and 7.",
    )
)
def pre_programming() -> Finding:
    """“Pre-programming the model to behave like the target.”"""
    return judged("no method is named that could be run")


@quoted(
    Quoted(
        "1-10",
        NOTES,
        "1, 2.3, 3.1, 3.2 and 4",
        "judged",
        where="3-gradients#eq-grad-radius",
        needs="Text would have to follow the headings.",
        right="They are headings without text, in notes that a lecture went with. What "
        "belongs there stands in chapters 1, 3 and 4.",
    )
)
def empty_headings() -> Finding:
    """“Spectral radius”, “Why gradients may vanish”, “Why gradients may explode”"""
    return judged("nothing is claimed, so nothing can be run")
