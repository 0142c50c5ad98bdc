"""Checks of chapter 4: the LSTM."""

import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes

S, tanh = torch.sigmoid, torch.tanh


def _step_case(B: int, d: int, h: int) -> tuple[Tensor, ...]:
    shapes = (B, d), (B, h), (B, h), (4 * h, d), (4 * h, h), (4 * h,)
    return draw(*shapes, seed=B)


def _lstm_with(
    C_t: Function = lambda i, f, g, C: S(f) * C + S(i) * tanh(g),
    H_t: Function = lambda o, C_t, C: S(o) * tanh(C_t),
    order: str = "ifgo",
) -> Function:
    """Make a step, right or wrong as its parts are, from the pre-activations."""

    def run(
        X: Tensor, H: Tensor, C: Tensor, W: Tensor, U: Tensor, b: Tensor
    ) -> tuple[Tensor, Tensor]:
        parts = (X @ W.T + H @ U.T + b).chunk(4, dim=-1)
        i, f, g, o = (parts[order.index(gate)] for gate in "ifgo")
        new = C_t(i, f, g, C)
        return H_t(o, new, C), new

    return run


_LSTM_STEP = mistakes(
    "the results are in the wrong order: first H, then C",
    lambda *a: networks.lstm_step(*a)[::-1],
    "the gates are in the wrong order: torch stacks i, f, g, o, and this takes "
    "i, f, o, g",
    _lstm_with(order="ifog"),
    "the gates are in the wrong order: torch stacks i, f, g, o, and this takes "
    "f, i, g, o",
    _lstm_with(order="figo"),
    "the gates are in the wrong order: torch stacks i, f, g, o, and this takes "
    "f, i, o, g",
    _lstm_with(order="fiog"),
    "the candidate g takes tanh, not the sigmoid",
    _lstm_with(lambda i, f, g, C: S(f) * C + S(i) * S(g)),
    "the candidate lacks its tanh",
    _lstm_with(lambda i, f, g, C: S(f) * C + S(i) * g),
    "the input gate is missing",
    _lstm_with(lambda i, f, g, C: S(f) * C + tanh(g)),
    "the forget gate is missing",
    _lstm_with(lambda i, f, g, C: C + S(i) * tanh(g)),
    "the forget gate keeps what it should forget: it is f, not 1 - f",
    _lstm_with(lambda i, f, g, C: (1 - S(f)) * C + S(i) * tanh(g)),
    "H_t lacks the tanh of the cell state",
    _lstm_with(H_t=lambda o, C_t, C: S(o) * C_t),
    "H_t shows the old cell state; it takes the new one",
    _lstm_with(H_t=lambda o, C_t, C: S(o) * tanh(C)),
    "the output gate is missing",
    _lstm_with(H_t=lambda o, C_t, C: tanh(C_t)),
)


@compared_with(networks.lstm_step, _LSTM_STEP)
def lstm_step() -> Cases:
    """Check ``lstm_step(X_t, H, C, W_x, W_h, b)``: one step, for a batch in rows.

    Returns the new hidden and cell states, each (B, h); `networks.lstm_step` is
    the book's own. Gates are stacked in torch's order i, f, g, o.
    """
    return [_step_case(5, 3, 4), _step_case(1, 2, 3), _step_case(4, 4, 4)]


def _cells_back(
    slope: Function | None = None, late: int = 1, direct: int = 1
) -> Function:
    """Make the recursion of the cell's gradient, right or wrong as its parts are."""

    def run(dH: Tensor, F: Tensor, O: Tensor, C: Tensor) -> Tensor:
        own = dH * (O * (1 - tanh(C) ** 2) if slope is None else slope(O, C))
        found = [own[-1]]
        for t in range(len(dH) - 2, -1, -1):
            found.insert(0, own[t] + direct * found[0] * F[t + late])
        return torch.stack(found)

    return run


_CELL_GRADIENTS = mistakes(
    "the path from C_{t+1} to C_t is lost, the one that the LSTM is made for",
    _cells_back(direct=0),
    "the forget gate belongs to the wrong step: C_{t+1} = f_{t+1} C_t + ...",
    _cells_back(late=0),
    "the output gate is missing",
    _cells_back(lambda O, C: 1 - tanh(C) ** 2),
    "the slope of tanh is missing",
    _cells_back(lambda O, C: O),
    "the slope is 1 - C^2; C is not the tanh of anything, tanh(C)^2 is needed",
    _cells_back(lambda O, C: O * (1 - C**2)),
    "the slope of tanh is 1 - tanh(C)^2, not 1 - tanh(C)",
    _cells_back(lambda O, C: O * (1 - tanh(C))),
    "the steps are in the order of the computation, last first",
    lambda *a: _cells_back()(*a).flip(0),
)


@compared_with(_cells_back(), _CELL_GRADIENTS)
def cell_gradients() -> Cases:
    """Check ``cell_gradients(dH, F, O, C)``: the gradients at the cell states.

    Takes the total gradients at the hidden states dH, forget gates F, output
    gates O and cell states C of steps 1 to T, each (T, B, h); returns dL/dC_t
    of all steps, (T, B, h).
    """
    cases = []
    for T, B, h in ((6, 5, 3), (1, 2, 2), (3, 3, 3)):
        dH, F, O, C = draw(*[(T, B, h)] * 4, seed=T)
        cases.append((dH, S(F), S(O), C))
    return cases


def _largest(d: int, most: int, biases: int = 2) -> int:
    h = 0
    while (h + 1) * (d + h + 1 + biases) <= most:
        h += 1
    return h


def _rnn_size(d: int, h: int) -> int:
    return _largest(d, 4 * h * (d + h + 2))


_RNN_SIZE = mistakes(
    "torch stores two biases in a layer; the RNN has one here",
    lambda d, h: _largest(d, 4 * h * (d + h + 2), biases=1),
    "torch stores two biases in a layer; both networks have one here",
    lambda d, h: _largest(d, 4 * h * (d + h + 1), biases=1),
    "this is the smallest that costs more; take the largest that does not",
    lambda d, h: _rnn_size(d, h) + 1,
    "four times the units: that is sixteen times the recurrent weights",
    lambda d, h: 4 * h,
    "this is a GRU's budget: an LSTM has four parts, not three",
    lambda d, h: _largest(d, 3 * h * (d + h + 2)),
    "the LSTM's input weights are missing",
    lambda d, h: _largest(d, 4 * h * (h + 2)),
)


@compared_with(_rnn_size, _RNN_SIZE)
def rnn_size() -> Cases:
    """Check ``rnn_size(d, h)``: the RNN that costs no more than an LSTM.

    Takes input size and the LSTM's units; returns the largest number of units
    with which `nn.RNN` has at most as many parameters, heads left out.
    """
    return [(1, 16), (3, 5), (10, 64), (30, 8), (1, 512)]


def _simpler(counts: Tensor) -> Tensor:
    return (counts[0] < counts[1]).all().double()


_SIMPLER = mistakes(
    "it holds where equal numbers are found; simpler means fewer",
    lambda n: (n[0] <= n[1]).all().double(),
    "only the first size is looked at",
    lambda n: (n[0][0] < n[1][0]).double(),
    "it holds as soon as one size has fewer; ask for fewer at each size",
    lambda n: (n[0] < n[1]).any().double(),
    "the sizes are added up, so that the large ones decide; ask for fewer at each size",
    lambda n: (n[0].sum() < n[1].sum()).double(),
    "the rows are exchanged: the first has the GRU's numbers",
    lambda n: (n[0] > n[1]).all().double(),
    "it holds whatever the numbers are: the check does not look at its data",
    lambda n: torch.ones(()).double(),
)


def _verdict(finding: object) -> Tensor:
    """Turn a finding into 1 where it holds, and 0."""
    if not hasattr(finding, "holds"):
        raise TypeError("return a Finding, such as that of `above` or `below`")
    return torch.tensor(float(finding.holds), dtype=torch.float64)


@compared_with(_simpler, _SIMPLER, of=_verdict)
def simpler() -> Cases:
    """Check ``simpler(counts)``: a claim that has to hold at each size.

    Takes multiplications (2, sizes), those of a GRU above those of an LSTM; returns
    a `claims.Finding` that holds if the first row is the smaller one everywhere.
    """
    rows = [
        ([3.0, 30.0, 300.0], [4.0, 40.0, 400.0]),
        ([4.0, 40.0, 400.0], [3.0, 30.0, 300.0]),
        ([3.0, 30.0, 400.0], [4.0, 40.0, 300.0]),
        ([3.0, 50.0, 300.0], [4.0, 40.0, 400.0]),
        ([5.0, 30.0, 300.0], [4.0, 40.0, 400.0]),
        ([3.0, 40.0, 300.0], [4.0, 40.0, 400.0]),
    ]
    return [(torch.tensor(pair, dtype=torch.float64),) for pair in rows]
