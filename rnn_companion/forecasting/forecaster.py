"""A cell and an input/output configuration make a model.

Source: chapters *Recurrence* (`eq-rnn`, `eq-output`, `eq-count`) and
*Input/output configurations*.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnn_companion.forecasting.configurations import Layout

CELLS: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn": nn.RNN,
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


class Forecaster(nn.Module):
    """A recurrent cell with a linear head, read out as the layout says.

    o_t = W_hq h_t + b_q. The hidden state starts at zero in every window. Days after
    the last input are forecast one by one, each output being the next input.

    Parameters
    ----------
    cell : str
        ``"rnn"`` (tanh), ``"lstm"`` or ``"gru"``.
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
        make = _known_cell(cell)
        self.layout = layout
        with torch.device("meta"):  # no draw from the global generator
            self.cell = make(input_size, _positive(hidden_size), layers)
            self.head = nn.Linear(hidden_size, output_size)
        self.to_empty(device="cpu")
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

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


def count_parameters(
    cell: str, d: int, h: int, q: int, *, layers: int = 1, biases: int = 1
) -> int:
    """Count weights and biases by formula (`eq-count`).

    gates · h (d + h + biases) for a layer, d being h above the first, and q (h + 1)
    for the linear head; an RNN has 1 gate, a GRU 3, an LSTM 4.

    Parameters
    ----------
    cell : str
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
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
    return recurrent + q * (h + 1)


def _known_cell(cell: str) -> Callable[..., nn.RNNBase]:
    if cell not in CELLS:
        raise ValueError(f"unknown cell {cell!r}: choose one of {', '.join(CELLS)}")
    return CELLS[cell]


def _positive(hidden_size: int) -> int:
    if hidden_size < 1:
        raise ValueError(f"hidden_size must be at least 1, got {hidden_size}")
    return hidden_size
