"""The forecasting report (Ul Islam, 2024): the network, its loss, its gradients."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    Quoted,
    between,
    equal,
    formula,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
)

from ._report import DRAWN, REPORT, D, N, Q, T, network, run_on

state = formula(
    Quoted(
        "0-1a",
        REPORT,
        "1.1, (1), and appendix, (16)",
        "holds",
        where="1-recurrence#eq-rnn",
        needs="The formula has to give the states that torch's own network has.",
    ),
    "“Thus the equations defining the RNN are,” the first of them",
    said=r"h_t = \tanh(W_{hh} h_{t-1} + W_{xh} x_t + b_h)",
    right=r"h_t = \tanh(W_{hh} h_{t-1} + W_{xh} x_t + b_h)",
    world="bptt",
)

output = formula(
    Quoted(
        "0-1b",
        REPORT,
        "1.1, (2)",
        "holds",
        where="1-recurrence#eq-output",
        needs="The output has to be that of torch's linear layer on the same state.",
    ),
    "$W_o$, our $W_{hq}$, has “the weights going from the hidden layer at the current time step to the output layer of the current time step”",
    said=r"o_t = W_{hq} h_t + b_q",
    right=r"o_t = W_{hq} h_t + b_q",
    world="bptt",
)

side_by_side = formula(
    Quoted(
        "0-1c",
        REPORT,
        "1.1",
        "holds",
        where="1-recurrence#eq-concat",
        needs="The two products of equation (1) have to be one, of the matrices side by side.",
    ),
    "“Thus, the input to the current hidden layer is expressed as a concatenation” $[h_{t-1}; x_t]$",
    said=r"a_t = \begin{bmatrix} W_{hh} & W_{xh} \end{bmatrix} \begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix} + b_h, \quad t = 1, \dots, T",
    right=r"a_t = \begin{bmatrix} W_{hh} & W_{xh} \end{bmatrix} \begin{bmatrix} h_{t-1} \\ x_t \end{bmatrix} + b_h, \quad t = 1, \dots, T",
    world="recurrence",
)

mean_loss = formula(
    Quoted(
        "0-1d",
        REPORT,
        "1.1.1, (3), and appendix, (15)",
        "holds",
        where="2-bptt#eq-bptt-loss",
        needs="The loss has to be the mean over the steps.",
    ),
    "“For an RNN, the total loss is expressed as,”",
    said=r"L = \frac{1}{T} \sum_{t=1}^{T} \ell_t",
    right=r"L = \frac{1}{T} \sum_{t=1}^{T} \ell_t",
    world="bptt",
)

gradient_of_mean = formula(
    Quoted(
        "0-1e",
        REPORT,
        "appendix, (18)",
        "holds",
        where="2-bptt#eq-bptt-paths",
        needs="The derivatives have to be total ones, the only ones that a loss has by these weights.",
    ),
    "the gradient of the “emprical loss of the neural network” as a mean over the steps",
    said=r"\frac{\mathrm{d} L}{\mathrm{d} w} = \frac{1}{T} \sum_{t=1}^{T} \frac{\mathrm{d} \ell_t}{\mathrm{d} w}",
    right=r"\frac{\mathrm{d} L}{\mathrm{d} w} = \frac{1}{T} \sum_{t=1}^{T} \frac{\mathrm{d} \ell_t}{\mathrm{d} w}",
    world="bptt",
)


@quoted(
    Quoted(
        "0-15",
        REPORT,
        "1.1",
        "holds if",
        where="1-recurrence#eq-rnn-state",
        needs="Only the step from one hidden state to the next may be meant. State, input and output have a matrix each.",
        right="Three matrices, $W_{xh}$, $W_{hh}$ and $W_{hq}$, and two biases, each shared by all time steps.",
    ),
    on=lambda: shapes_of_matrices(),
    planted=[lambda shapes: shapes * 2, lambda shapes: shapes[1:2]],
)
def one_weight_matrix(shapes: list[tuple[int, ...]]) -> Finding:
    """“throughout the hidden layers at different time steps, *there is only one weight matrix*, shared throughout the entire RNN at all time steps”"""
    ran = "the matrices of torch's RNN and its linear head, counted"
    square = [shape for shape in shapes if shape == (N, N)]
    return holds_if(
        "it speaks of the step from hidden state to hidden state alone",
        between(len(square), 1, 1, ran),
        between(len(shapes), 1, 1, ran),
    )


def shapes_of_matrices() -> list[tuple[int, ...]]:
    """List the shapes of all weight matrices of a network with a head."""
    whole = nn.ModuleList([nn.RNN(D, N), nn.Linear(N, Q)])
    return [tuple(p.shape) for p in whole.parameters() if p.dim() == 2]


@quoted(
    Quoted(
        "0-12",
        REPORT,
        "1.1 and 1.1.1",
        "holds if",
        where="1-recurrence#eq-concat",
        needs="The two stacks have to have one order, and the product has to be one that stacks allow.",
        right="With rows, $[x_t, h_{t-1}]$ from the left and the transposed matrices on top of each other in that order. With columns, as in the report's equation (1), the matrices stand side by side: $[W_{hh}, W_{xh}] \\, [h_{t-1}; x_t]$.",
    ),
    on=lambda: both_stacks(),
    planted=[swapped],
)
def stacked(both: tuple[Tensor, Tensor]) -> Finding:
    """“the input to the current hidden layer is expressed as a concatenation” $[h_{t-1}; x_t]$, and $w_h = [W_{hx}; W_{hh}]$ “is the concatenated weight matrix”"""
    net, ran = network(), f"the stacked product against the sum of the two, {DRAWN}"
    W_xh, W_hh, _ = split_of(net.w)
    truth = torch.stack(
        [W_xh @ x + W_hh @ h for x, h in zip(net.inputs, net.states, strict=False)]
    )
    rows, columns = both
    return holds_if(
        "inputs and states are rows, the input first in both stacks",
        equal(rows, truth, ran),
        equal(columns, truth, ran),
    )


def split_of(w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cut the long column by sizes."""
    x, h, b = w.split([N * D, N * N, N])
    return x.view(N, D), h.view(N, N), b


def both_stacks() -> tuple[Tensor, Tensor]:
    """Multiply rows by stacked matrices; and columns, in the order of the names."""
    net = network()
    W_xh, W_hh, _ = split_of(net.w)
    rows = torch.cat([net.inputs, net.states[:-1]], 1) @ torch.cat([W_xh.T, W_hh.T])
    columns = torch.cat([net.states[:-1], net.inputs], 1).T
    return rows, (torch.cat([W_xh, W_hh], 1) @ columns).T


@quoted(
    Quoted(
        "0-13",
        REPORT,
        "1.1, 1.1.1 and appendix",
        "judged",
        where="1-recurrence#eq-output",
        needs="One matrix would have to keep one name.",
        right="One name for each: here $W_{xh}$, $W_{hh}$, $W_{hq}$, $L$, $o_t$.",
    )
)
def one_name_each() -> Finding:
    """“$W_o$ indicates the weights going from the hidden layer at the current time step to the output layer of the current time step”, and later “$W_{oh}$ is the weight matrix from the hidden layer to the output layer”"""
    return judged(
        "the output's matrix is W_o, W_oh and W_hy, the input's W_xh and W_hx, "
        "the loss L with a hat and without, the activation phi and phi_h; (17) puts "
        "an activation phi_o around the output, which (2) does not have; and the RNN "
        "is written for columns, the LSTM for rows"
    )


# Section 1.1.1: backpropagation through time


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
    W_xh, W_hh, b_h = split_of(net.w)
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
    errors, (_, W_hh, _) = net.errors / T, split_of(net.w)
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
