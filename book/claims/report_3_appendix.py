"""The forecasting report (Ul Islam, 2024): its proof of equation (5)."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnn_companion.claims import (
    Finding,
    Quoted,
    below,
    equal,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
)

from ._report import DRAWN, REPORT, T, network, run_on

RECURSION = r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w} + \frac{\partial h_t}{\partial h_{t-1}} "
TWICE = (
    RECURSION
    + r"\frac{\partial h_{t-1}}{\partial w} + \frac{\partial h_t}{\partial h_{t-1}} \frac{\partial h_{t-1}}{\partial h_{t-2}} "
)
ONE_STEP = f"the formula against the total derivative of the last state, {DRAWN}"
CONDITION = "the derivative of a function, by what it is written with, is the direct one, and that of a state by the weights is total"


@quoted(
    Quoted(
        "0-1g",
        REPORT,
        "appendix, (20) to (22)",
        "holds if",
        where="2-bptt#eq-bptt-recursion",
        needs="$f_1$ has to be differentiated with $h_{t-1}$ held fixed, and $h_{t-1}$ along every path.",
        right=r"$\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w} + J_t \frac{\mathrm{d} h_{t-1}}{\mathrm{d} w}$: two kinds of derivative, with a symbol each.",
    ),
    on=lambda: (
        RECURSION + r"\frac{\mathrm{d} h_{t-1}}{\mathrm{d} w}, \quad t = 1, \dots, T",
        RECURSION + r"\frac{\partial h_{t-1}}{\partial w}, \quad t = 2, \dots, T",
    ),
    planted=[swapped],
)
def multivariable(readings: tuple[str, str]) -> Finding:
    r"""“by the multivariable chain rule,” $\frac{\partial h_t}{\partial w_h} = \frac{\partial f_1}{\partial w_h} + \frac{\partial f_1}{\partial h_{t-1}} \frac{\partial h_{t-1}}{\partial w_h}$"""
    return holds_if(CONDITION, *run_on("bptt", *readings))


@quoted(
    Quoted(
        "0-1h",
        REPORT,
        "appendix, (23) and (24)",
        "holds if",
        where="2-bptt#eq-bptt-twice",
        needs="As in (20): the functions' derivatives are direct, the last factor is total.",
        right="The last line of the proof that is right as it stands.",
    ),
    on=lambda: (
        TWICE + r"\frac{\mathrm{d} h_{t-2}}{\mathrm{d} w}, \quad t = 2, \dots, T",
        TWICE + r"\frac{\partial h_{t-2}}{\partial w}, \quad t = 3, \dots, T",
    ),
    planted=[swapped],
)
def put_in(readings: tuple[str, str]) -> Finding:
    r"""“from equation 20 and equation 21,” $\frac{\partial h_t}{\partial w_h} = \frac{\partial f_1}{\partial w_h} + \frac{\partial f_1}{\partial h_{t-1}} \frac{\partial f_2}{\partial w_h} + \frac{\partial f_1}{\partial h_{t-1}} \frac{\partial f_2}{\partial h_{t-2}} \frac{\partial h_{t-2}}{\partial w_h}$"""
    return holds_if(CONDITION, *run_on("bptt", *readings))


@quoted(
    Quoted(
        "0-4",
        REPORT,
        "appendix, the boxed form",
        "holds if",
        where="2-bptt#eq-bptt-closed",
        needs="The product has to begin where the direct derivative ends, at $j = i + 1$.",
        right="$j = i + 1$, as in the report's equation (5). In the text at hand a sign is damaged: the report's published source has $j-1=i$ there. Direct derivatives on the right are taken for granted here (0-2 is about them).",
    ),
    on=lambda: (products_from(lambda i: i), products_from(lambda _: 0)),
    planted=[swapped],
)
def product_begins(both: tuple[Tensor, Tensor]) -> Finding:
    r"""The boxed form, with $\prod_{j=1=i}^t$, “is equivalent to,” (25)"""
    read, literal = (equal(found, network().total[T], ONE_STEP) for found in both)
    return holds_if("the damaged index is read as j - 1 = i", read, literal)


def products_from(first: Callable[[int], int]) -> Tensor:
    """Sum over paths whose products begin after `first(i)`."""
    net = network()
    each = [net.product(T, first(i)) @ net.direct[i] for i in range(1, T)]
    return net.direct[T] + torch.stack(each).sum(0)


@quoted(
    Quoted(
        "0-5",
        REPORT,
        "appendix, (25)",
        "wrong",
        where="2-bptt#eq-bptt-twice",
        needs="The derivative of $f_1$ with $h_{t-1}$ held fixed would have to be that of $h_t$ along every path.",
        right="(24), the line before it: two direct derivatives, and a total one at the end.",
    ),
    on=lambda: tuple(twice_with(kinds) for kinds in ("ddd", "ppp", "ppd")),
    planted=[swapped, lambda three: (three[2], three[1], three[2])],
)
def exchanged_for_states(three: tuple[Tensor, Tensor, Tensor]) -> Finding:
    r"""$\frac{\partial h_t}{\partial w_h} + \frac{\partial h_t}{\partial h_{t-1}} \frac{\partial h_{t-1}}{\partial w_h} + \frac{\partial h_t}{\partial h_{t-1}} \frac{\partial h_{t-1}}{\partial h_{t-2}} \frac{\partial h_{t-2}}{\partial w_h}$, since ($f_1 = h_t, f_2 = h_{t-1}$), “which is equivalent to,” the boxed form"""
    truth = network().total[T]
    *readings, right = (float((f - truth).norm() / truth.norm()) for f in three)
    ran = ONE_STEP + "; the nearer of two readings, all total and all direct"
    return trial(below(min(readings), 1e-9, ran), below(right, 1e-9, ran))


def twice_with(kinds: str) -> Tensor:
    """Compute a right side of three terms, each total (d) or direct (p)."""
    net = network()
    a, b, c = (
        (net.total if kind == "d" else net.direct)[t]
        for kind, t in zip(kinds, (T, T - 1, T - 2), strict=True)
    )
    return a + net.links[T] @ b + net.product(T, T - 2) @ c


@quoted(
    Quoted(
        "0-6",
        REPORT,
        "appendix",
        "wrong",
        where="2-bptt#eq-bptt-closed",
        needs="Both would have to have the same right side; the textbook's has derivatives of $f$ by the weights, with the state before held fixed.",
        right="The textbook's equation is the one that holds. The report's differs by writing $h$ for $f$.",
    ),
    on=lambda: (sum_over_paths(total=True), sum_over_paths(total=False)),
    planted=[lambda both: (both[1], both[1])],
)
def same_as_textbook(both: tuple[Tensor, Tensor]) -> Finding:
    """“Which is the same as equation 9.7.7 in [1].”"""
    report, textbook = both
    ran = (
        f"the right sides of both, the report's with its symbol read as total, {DRAWN}"
    )
    return trial(
        equal(report, textbook, ran), equal(textbook, network().total[T], ONE_STEP)
    )


def sum_over_paths(total: bool) -> Tensor:
    """Compute the right side of equation (5)."""
    net = network()
    by_w = net.total if total else net.direct
    each = [net.product(T, i) @ by_w[i] for i in range(1, T)]
    return by_w[T] + torch.stack(each).sum(0)


@quoted(
    Quoted(
        "0-7",
        REPORT,
        "appendix",
        "judged",
        where="2-bptt#eq-bptt-twice",
        needs=r"Equation (11) would have to hold the derivative of $h_{t-2}$.",
        right="(25), or (24), is meant.",
    )
)
def equation_eleven() -> Finding:
    r"""“In equation 11, if we expand $\frac{\partial h_{t-2}}{\partial w_h}$”"""
    return judged("the report's equation (11) is the input gate of the LSTM")


@quoted(
    Quoted(
        "0-7b",
        REPORT,
        "appendix",
        "holds if",
        where="2-bptt#eq-bptt-closed",
        needs="The term that stands before the sum, $i = t$, has to count as one of its terms.",
        right=r"There are $t$ terms, $i = 1$ to $t$. In the boxed form the sum ends at $t - 1$, since the term of $i = t$ stands outside.",
        left_out="a footnote at the end of the page, in the middle of the word",
    ),
    on=lambda: (paths_to(T), network().direct[T] + paths_to(T)),
    planted=[swapped],
)
def ends_at_t(both: tuple[Tensor, Tensor]) -> Finding:
    """“every term's last (right-[…]most) term is partial of $h_i$ as $i$ progresses from the beginning and ends at $t$ as we move from right to left in the summation”"""
    inside, outside = (equal(found, network().total[T], ONE_STEP) for found in both)
    return holds_if("the term before the sum is counted in it", inside, outside)


def paths_to(last: int) -> Tensor:
    """Sum the terms i = 1 to `last`, with direct derivatives."""
    net = network()
    each = [net.product(T, i) @ net.direct[i] for i in range(1, last + 1)]
    return torch.stack(each).sum(0)
