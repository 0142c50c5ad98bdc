"""A cell and an input/output configuration make a model.

Source: chapters *Recurrence* (`eq-rnn`, `eq-output`, `eq-count`) and
*Input/output configurations*.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rnn_companion.forecasting.configurations import Layout
from rnn_companion.gradients import PhasedLSTM

T = TypeVar("T", bound=nn.Module)

CELLS: dict[str, Callable[..., nn.Module]] = {
    "rnn": nn.RNN,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
    "phased-lstm": PhasedLSTM,
}
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "phased-lstm": 4}
STARTS = ("uniform", "orthogonal")
PERIODS, OPEN = (2.0, 20.0), 0.3  # days, and open share, of a phased LSTM's clocks


class Forecaster(nn.Module):
    """A recurrent cell with a linear head, read out as the layout says.

    o_t = W_hq h_t + b_q. The hidden state starts at zero in every window. Days after
    the last input are forecast one by one, each output being the next input.

    Parameters
    ----------
    cell : str
        ``"rnn"`` (tanh), ``"lstm"``, ``"gru"`` or ``"phased-lstm"``, whose units open
        for 0.3 of periods that are drawn between 2 and 20 days (chapter 8).
    layout : Layout
        Which days go in and which come out.
    input_size, hidden_size, output_size, layers : int
        d, h, q and the number of stacked layers.
    generator : torch.Generator, optional
        Draws the start: uniform in ±1/√h, as torch does.

    Raises
    ------
    ValueError
        For an unknown cell, a size below 1, or outputs that should become
        inputs but have another size.
    """

    def __init__(
        self,
        cell: str,
        layout: Layout,
        *,
        input_size: int = 1,
        hidden_size: int,
        output_size: int = 1,
        layers: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if layout.horizon > 1 and input_size != output_size:
            raise ValueError(
                f"{layout.configuration} reads its own outputs: input_size "
                f"{input_size} and output_size {output_size} must be equal"
            )
        if cell == "phased-lstm" and layout.horizon > 1:
            raise ValueError("a phased-lstm forecasts one day: leave horizon at 1")
        self.layout = layout
        self.cell: nn.RNNBase = _make_cell(
            cell, input_size, hidden_size, layers, generator
        )
        self.head = _drawn(
            nn.Linear, hidden_size, output_size, h=hidden_size, by=generator
        )

    def forward(self, X: Tensor) -> Tensor:  # (T, B, d) -> (K, B, q)
        """Forecast the targets of a batch of windows.

        Parameters
        ----------
        X : Tensor
            Scaled closes, shape (T, B, d).

        Returns
        -------
        Tensor
            Outputs, shape (K, B, q).
        """
        H, state = self.cell(X)  # (T, B, h)
        outputs = [self.head(H if self.layout.aligned else H[-1:])]  # (T or 1, B, q)
        for _ in range(self.layout.horizon - 1):
            H, state = self.cell(outputs[-1], state)
            outputs.append(self.head(H))
        return torch.cat(outputs)


def _make_cell(
    cell: str, d: int, h: int, layers: int, generator: torch.Generator | None
) -> Any:  # noqa: ANN401 - a phased LSTM is used as torch's cells are
    make = _known_cell(cell)
    if h < 1:
        raise ValueError(f"hidden_size must be at least 1, got {h}")
    if make is not PhasedLSTM:
        return _drawn(make, d, h, layers, h=h, by=generator)
    if layers != 1:
        raise ValueError(
            f"a phased-lstm has one layer, got {layers}: leave layers at 1"
        )
    return PhasedLSTM(d, h, periods=PERIODS, r_on=OPEN, generator=generator)


def _drawn(
    make: Callable[..., T], *sizes: int, h: int, by: torch.Generator | None
) -> T:
    """Make a module whose parameters are uniform in ±1/√h."""
    with torch.device("meta"):  # no draw from the global generator
        module = make(*sizes)
    module.to_empty(device="cpu")
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -(h**-0.5), h**-0.5, generator=by)
    return module


def set_orthogonal(model: Forecaster, generator: torch.Generator) -> None:
    """Start every recurrent matrix as an orthogonal one, W^T W = I (`eq-orthogonal`).

    Source: Saxe, McClelland and Ganguli (2014). The gates of an LSTM or a GRU get
    one orthogonal matrix each.
    """
    for name, weight in model.cell.named_parameters():
        if name.startswith("weight_hh"):
            for W_hh in weight.data.split(weight.shape[1]):
                nn.init.orthogonal_(W_hh, generator=generator)


@torch.no_grad()
def set_forget_bias(model: Forecaster, bias: float) -> None:
    """Start an LSTM with open forget gates, b_f = bias (`eq-forget-start`).

    With zero inputs a cell then keeps sigma(bias) of itself at each step. Torch has
    two biases; the first is set and the second cleared.

    Raises
    ------
    ValueError
        If the cell is no LSTM.
    """
    if not isinstance(model.cell, nn.LSTM | PhasedLSTM):
        raise ValueError("forget_bias needs an LSTM: set cell='lstm' or leave it None")
    for name, parameter in model.cell.named_parameters():
        if name.startswith("bias"):
            gates = parameter.chunk(4)  # i, f, g, o
            gates[1].fill_(bias if name.startswith("bias_ih") else 0.0)


def count_parameters(
    cell: str, d: int, h: int, q: int, *, layers: int = 1, biases: int = 1
) -> int:
    """Count weights and biases by formula (`eq-count`).

    gates · h (d + h + biases) for a layer, d being h above the first, and q (h + 1)
    for the linear head; an RNN has 1 gate, a GRU 3, an LSTM 4.

    Parameters
    ----------
    cell : str
        One of `CELLS`; a phased LSTM has three more numbers a unit.
    d, h, q, layers : int
        Sizes of input, hidden state and output; stacked layers.
    biases : int
        Bias vectors a gate: 1 as in the equations, 2 as torch stores them.

    Returns
    -------
    int
        Parameters of cell and linear head.
    """
    _known_cell(cell)
    inputs = [d] + [h] * (layers - 1)
    recurrent = sum(GATES[cell] * h * (size + h + biases) for size in inputs)
    clocks = 3 * h if cell == "phased-lstm" else 0
    return recurrent + clocks + q * (h + 1)


def _known_cell(cell: str) -> Callable[..., nn.Module]:
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}: choose one of {', '.join(CELLS)}")
    return CELLS[cell]
