"""The forecasting report (Ul Islam, 2024), section 1.1: the network and its loss."""

import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    Quoted,
    between,
    equal,
    holds_if,
    judged,
    quoted,
    swapped,
)
from rnn_companion.sentences.formulas import formula

from ._report import DRAWN, REPORT, D, N, Q, network, parts

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
        where="1-recurrence#eq-rnn",
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
    W_xh, W_hh, _ = parts(net.w)
    truth = torch.stack(
        [W_xh @ x + W_hh @ h for x, h in zip(net.inputs, net.states, strict=False)]
    )
    rows, columns = both
    return holds_if(
        "inputs and states are rows, the input first in both stacks",
        equal(rows, truth, ran),
        equal(columns, truth, ran),
    )


def both_stacks() -> tuple[Tensor, Tensor]:
    """Multiply rows by stacked matrices; and columns, in the order of the names."""
    net = network()
    W_xh, W_hh, _ = parts(net.w)
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
