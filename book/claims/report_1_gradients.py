"""The forecasting report (Ul Islam, 2024), section 1.1.1: gradients."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnn_companion.claims import (
    Finding,
    Quoted,
    equal,
    holds_if,
    quoted,
    swapped,
    trial,
)
from rnn_companion.sentences.formulas import formula

from ._report import DRAWN, REPORT, N, T, network, parts, run_on


@quoted(
    Quoted(
        "0-1f",
        REPORT,
        "1.1.1, (4), and appendix, (19)",
        "holds if",
        where="2-bptt#eq-bptt-chain",
        needs=r"The derivative of the state has to be the total one, $\mathrm{d} h_t / \mathrm{d} w$.",
        right=r"$\frac{\mathrm{d} \ell_t}{\mathrm{d} w} = \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t} \frac{\mathrm{d} h_t}{\mathrm{d} w}$",
    ),
    on=lambda: (
        r"\frac{\mathrm{d} \ell_t}{\mathrm{d} w} = \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t} \frac{\mathrm{d} h_t}{\mathrm{d} w}",
        r"\frac{\mathrm{d} \ell_t}{\mathrm{d} w} = \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t} \frac{\partial h_t}{\partial w}",
    ),
    planted=[swapped],
)
def chain_rule(readings: tuple[str, str]) -> Finding:
    r"""“the loss at a particular time instant t follows the chain rule of derivatives.” $\frac{\partial l_t}{\partial w_h} = \frac{\partial l_t}{\partial o_t} \frac{\partial o_t}{\partial h_t} \frac{\partial h_t}{\partial w_h}$"""
    return holds_if(
        "the state is differentiated along every path, not only directly",
        *run_on("bptt", *readings),
    )


boxed = formula(
    Quoted(
        "0-2",
        REPORT,
        "1.1.1, (5), and the boxed form at the end",
        "wrong",
        where="2-bptt#eq-bptt-closed",
        needs="If one symbol is one derivative, the sum would have to be zero.",
        right="The derivatives on the right are direct ones, that on the left is total.",
    ),
    "“Observe equation 5.” Here with one derivative for its one symbol, the total one",
    said=r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\mathrm{d} h_t}{\mathrm{d} w} + \sum_{i=1}^{t-1} \left( \prod_{j=i+1}^{t} \frac{\partial h_j}{\partial h_{j-1}} \right) \frac{\mathrm{d} h_i}{\mathrm{d} w}, \quad t = 1, \dots, T",
    right=r"\frac{\mathrm{d} h_t}{\mathrm{d} w} = \frac{\partial h_t}{\partial w} + \sum_{i=1}^{t-1} \left( \prod_{j=i+1}^{t} \frac{\partial h_j}{\partial h_{j-1}} \right) \frac{\partial h_i}{\partial w}, \quad t = 1, \dots, T",
    world="bptt",
)


@quoted(
    Quoted(
        "0-3",
        REPORT,
        "1.1.1, (5)",
        "holds if",
        where="2-bptt#eq-bptt-product",
        needs="The product has to carry a change of $h_i$ to $h_t$, step by step.",
        right="The highest index stands leftmost: $J_t J_{t-1} \\cdots J_{i+1}$. For one unit the order does not matter.",
    ),
    on=lambda: (paths_to_last(falling=True), paths_to_last(falling=False)),
    planted=[swapped],
)
def order_of_factors(orders: tuple[Tensor, Tensor]) -> Finding:
    r"""(5) has $\prod_{j=i+1}^{t} \frac{\partial h_j}{\partial h_{j-1}}$, and says of its factors that it “has to recursively calculate the change of $h_j$ wrt $h_{j-1}$”"""
    ran = f"the sum over paths against the total derivative of the last state, {DRAWN}"
    return holds_if(
        "the factor with the highest index stands leftmost",
        *(equal(found, network().total[T], ran) for found in orders),
    )


def paths_to_last(falling: bool) -> Tensor:
    """Sum the paths of equation (5) to the last state, with direct derivatives."""
    net = network()
    each = [net.product(T, i, falling) @ net.direct[i] for i in range(1, T)]
    return net.direct[T] + torch.stack(each).sum(0)


@quoted(
    Quoted(
        "0-8",
        REPORT,
        "1.1.1, (6)",
        "wrong",
        where="2-bptt#eq-bptt-W-hq",
        needs="A column times a column would have to be a matrix.",
        right=r"$\nabla_{W_{hq}} L = \sum_t (\nabla_{o_t} L) \, h_t^\top$, where $L$ is the mean loss, so that its $1/T$ is in the derivative by $o_t$.",
    ),
    on=lambda: (
        r"\nabla_{W_{hq}} L = \sum_{t=1}^{T} (\nabla_{o_t} L) h_t",
        r"\nabla_{W_{hq}} L = \sum_{t=1}^{T} (\nabla_{o_t} L) h_t^\top",
    ),
    planted=[swapped],
)
def by_the_head(forms: tuple[str, str]) -> Finding:
    r"""(6): $\frac{\partial L}{\partial W_{oh}} = \sum_t^T \frac{\partial L}{\partial o_t} h_t$, where $W_{oh}$ “is the weight matrix from the hidden layer to the output layer”"""
    return trial(*run_on("bptt", *forms))


@quoted(
    Quoted(
        "0-9",
        REPORT,
        "1.1.1, (7)",
        "holds if",
        where="2-bptt#eq-bptt-W-xh",
        needs="The slope of the activation has to be one, and the derivative by $h_t$ has to be total. (The transpose that (6) lacks is supplied here too.)",
        right=r"$\nabla_{W_{xh}} L = \sum_t \operatorname{diag}(1 - h_t \odot h_t) \, (\nabla_{h_t} L) \, x_t^\top$ for tanh. Without an activation, the case that the textbook treats, the slope is one.",
    ),
    on=lambda: tuple(by_inputs(act) for act in (torch.clone, torch.tanh)),
    planted=[swapped, lambda both: tuple((found * 0, right) for found, right in both)],
)
def by_the_inputs(both: tuple[tuple[Tensor, Tensor], ...]) -> Finding:
    r"""(7): $\frac{\partial L}{\partial W_{hx}} = \sum_t^T \frac{\partial L}{\partial h_t} x_t$, where $W_{hx}$ “is the weight matrix from the input layer to the hidden layer”"""
    ran = "the sum of outer products against autograd, weights drawn at random"
    linear, with_tanh = (equal(found, right, ran) for found, right in both)
    return holds_if("there is no activation: phi(a) = a", linear, with_tanh)


def by_inputs(activation: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """Compute (7) as outer products, and the gradient by autograd."""
    net = network()
    W_xh, W_hh, b_h = parts(net.w)
    W_xh = W_xh.clone().requires_grad_()
    states = [net.states[0]]
    for x in net.inputs:
        states.append(activation(W_xh @ x + W_hh @ states[-1] + b_h))
    H = torch.stack(states[1:])
    loss = (H @ net.head[0].T + net.head[1] - net.targets).square().sum(1).mean()
    right, *by_states = torch.autograd.grad(loss, [W_xh, *states[1:]])
    return torch.stack(by_states).T @ net.inputs, right


@quoted(
    Quoted(
        "0-10",
        REPORT,
        "1.1.1, before (4) to (8)",
        "wrong",
        where="2-bptt#eq-bptt-b-h",
        needs="The formulas would have to cover every parameter: the biases of (1) and (2) as well.",
        right=r"Missing are $\nabla_{b_h} L = \sum_t \delta_t$, $\nabla_{b_q} L = \sum_t \nabla_{o_t} L$, the form in which the recurrent part is computed, $\nabla_{W_{hh}} L = \sum_t \delta_t h_{t-1}^\top$, and the recursion that gives $\delta_t$.",
    ),
    on=lambda: (by_hand(biases=False), by_hand(biases=True)),
    planted=[swapped],
)
def every_parameter(both: tuple[Tensor, Tensor]) -> Finding:
    """“The gradients of this total loss with respect to the learnable parameters are,” (4) to (8)"""
    found = network().gradients
    truth = torch.cat([found[name].flatten() for name in ("w", "W_o", "b_o")])
    ran = f"the gradient by all parameters, zero where no formula is given, against autograd, {DRAWN}"
    given, complete = (equal(gradient, truth, ran) for gradient in both)
    return trial(given, complete)


def by_hand(biases: bool) -> Tensor:
    """Compute the gradient by all parameters by the recursion of the deltas."""
    net = network()
    W_o = net.head[0]
    errors, (_, W_hh, _) = net.errors / T, parts(net.w)
    slopes, deltas = 1 - net.states[1:] ** 2, [torch.zeros(N, dtype=torch.float64)]
    for error, slope in zip(errors.flip(0), slopes.flip(0), strict=True):
        deltas.insert(0, slope * (W_o.T @ error + W_hh.T @ deltas[0]))
    delta = torch.stack(deltas[:-1])
    blocks = [
        delta.T @ net.inputs,
        delta.T @ net.states[:-1],
        delta.sum(0) * biases,
        errors.T @ net.states[1:],
        errors.sum(0) * biases,
    ]
    return torch.cat([block.flatten() for block in blocks])


lost_mean = formula(
    Quoted(
        "0-11",
        REPORT,
        "1.1.1, (8)",
        "wrong",
        where="2-bptt#eq-bptt-paths",
        needs="The loss would have to be the sum over the steps; (3) has their mean.",
        right="The factor $1/T$ of the loss stays in its gradient, as in the report's (18).",
    ),
    "“The gradients of this total loss with respect to the learnable parameters are,” the last of them",
    said=r"\frac{\mathrm{d} L}{\mathrm{d} w} = \sum_{t=1}^{T} \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t} \frac{\mathrm{d} h_t}{\mathrm{d} w}",
    right=r"\frac{\mathrm{d} L}{\mathrm{d} w} = \frac{1}{T} \sum_{t=1}^{T} \frac{\partial \ell_t}{\partial o_t} \frac{\partial o_t}{\partial h_t} \frac{\mathrm{d} h_t}{\mathrm{d} w}",
    world="bptt",
)
