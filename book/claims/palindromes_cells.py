"""The palindrome report (Georgiou, 2018): products, optimizers and the LSTM."""

from functools import cache

import numpy as np
import sympy as sp
import torch
from torch import nn

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    equal,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
)
from rnn_companion.sentences.formulas import formula

from ._notes import PALINDROMES

RANGE = r", \quad t = 1, \dots, T"


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
