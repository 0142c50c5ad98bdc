"""A random cell driven by noise, to see how far its gradients reach."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnn_companion.gradients._cells import Cell, empty_cell, states
from rnn_companion.gradients._jacobians import jacobians, norm_against_lag
from rnn_companion.gradients._matrices import spectral_norm, starting_matrix


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A random cell, driven by noise.

    Parameters
    ----------
    cell : str
        ``"rnn"`` (tanh), ``"lstm"`` or ``"gru"``.
    hidden_size, length : int
        Units, as many as inputs, and steps.
    radius : float
        Spectral radius of each recurrent matrix; a gated cell has one for each gate.
    input_scale : float
        Standard deviation of what the inputs add to a pre-activation.
    start : str
        As in `starting_matrix`.
    forget_bias : float
        Bias of an LSTM's forget gate; all other biases are zero.
    seed : int
        Of weights and inputs.

    Raises
    ------
    ValueError
        From each method, for an unknown cell or start, or an impossible radius.
    """

    cell: str = "rnn"
    hidden_size: int = 32
    length: int = 50
    radius: float = 1.0
    input_scale: float = 0.5
    start: str = "gaussian"
    forget_bias: float = 0.0
    seed: int = 0

    def make(self) -> tuple[Cell, Tensor]:
        """Draw the cell, in float64, and its inputs, `(T, d)` with d = h."""
        h, draws = self.hidden_size, torch.Generator().manual_seed(self.seed)
        cell = empty_cell(self.cell, h, h)
        for W in cell.weight_hh.data.split(h):
            W.copy_(starting_matrix(self.start, h, self.radius, draws))
        std = self.input_scale / math.sqrt(h)
        nn.init.normal_(cell.weight_ih, std=std, generator=draws)
        nn.init.zeros_(cell.bias_ih)
        nn.init.zeros_(cell.bias_hh)
        if self.cell == "lstm":
            cell.bias_ih.data[h : 2 * h] = self.forget_bias
        return cell, torch.randn(self.length, h, generator=draws, dtype=torch.float64)

    def eigenvalues(self) -> Tensor:
        """Return the eigenvalues of the recurrent matrix, of each gate, `(.., h)`."""
        cell, _ = self.make()
        gates = cell.weight_hh.detach().split(self.hidden_size)
        found: Tensor = torch.linalg.eigvals(torch.stack(gates)).flatten()
        return found

    def bound(self) -> Tensor:
        """Return the bound of a tanh cell across lags 0 to T (`eq-grad-bound`).

        ``(gamma sigma)^lag``, with the largest slope gamma that occurred and the
        spectral norm sigma of W_hh.
        """
        cell, X = self.make()
        gamma = (1 - states(cell, X).detach()[1:] ** 2).max()
        sigma = spectral_norm(cell.weight_hh.detach())
        return (gamma * sigma) ** torch.arange(self.length + 1)

    def norms(self) -> Tensor:
        """Return the norm of the derivative across lags 0 to T, `(T+1,)`."""
        return norm_against_lag(jacobians(*self.make()))
