"""`Forecaster` is torch's cell and head, wired as its configuration says."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import Forecaster, networks
from rnn_companion.forecasting.configurations import Configuration, Layout
from rnn_companion.forecasting.forecaster import (
    count_parameters,
    set_forget_bias,
    set_orthogonal,
)
from rnn_companion.gradients import PhasedLSTM

LENGTHS = {
    "one-to-one": (1, 1),
    "one-to-many": (1, 3),
    "many-to-one": (5, 1),
    "many-to-many-shifted": (5, 3),
    "many-to-many-aligned": (5, 1),
}
TORCHS = ("rnn", "lstm", "gru")
PAIRS = list(itertools.product(TORCHS, Configuration))


def make(cell: str, configuration: str, layers: int = 1, seed: int = 0) -> Forecaster:
    layout = Layout(configuration, *LENGTHS[configuration])
    generator = torch.Generator().manual_seed(seed)
    model = Forecaster(cell, layout, hidden_size=4, layers=layers, generator=generator)
    return model.double()


def by_torch(model: Forecaster, cell: str, X: Tensor) -> Tensor:
    """Compute the outputs step by step with torch's single-step cells."""
    make_cell = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}[cell]
    weights = dict(model.cell.named_parameters())
    cells = []
    for layer in range(model.cell.num_layers):
        one = make_cell(1 if layer == 0 else 4, 4, dtype=torch.float64)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(one, name, weights[f"{name}_l{layer}"])
        cells.append(one)
    states: list = [None] * len(cells)  # type: ignore[type-arg]
    outputs: list[Tensor] = []
    layout = model.layout
    for step in range(layout.length + layout.horizon - 1):
        x = X[step] if step < layout.length else outputs[-1]
        for layer, one in enumerate(cells):
            states[layer] = one(x, states[layer])
            x = states[layer][0] if cell == "lstm" else states[layer]
        if layout.aligned or step >= layout.length - 1:
            outputs.append(x @ model.head.weight.T + model.head.bias)
    return torch.stack(outputs)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("cell", "configuration"), PAIRS)
def test_outputs_and_gradients_equal_torchs_cells(
    cell: str, configuration: str, layers: int
) -> None:
    model = make(cell, configuration, layers)
    T, K = model.layout.length, model.layout.outputs
    draw = torch.Generator().manual_seed(1)
    X = torch.randn(T, 6, 1, dtype=torch.float64, generator=draw)  # (T, B, d)
    Y = torch.randn(K, 6, 1, dtype=torch.float64, generator=draw)  # (K, B, q)
    outputs, expected = model(X), by_torch(model, cell, X)
    assert outputs.shape == (K, 6, 1)
    torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12)
    parameters = list(model.parameters())
    ours = torch.autograd.grad((outputs - Y).square().mean(), parameters)
    theirs = torch.autograd.grad((expected - Y).square().mean(), parameters)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("cell", TORCHS)
@pytest.mark.parametrize(("d", "h", "q"), [(1, 512, 1), (3, 4, 6)])
def test_eq_count_in_both_bias_conventions(
    cell: str, layers: int, d: int, h: int, q: int
) -> None:
    model = Forecaster(
        cell,
        Layout("many-to-one", 7),
        input_size=d,
        hidden_size=h,
        output_size=q,
        layers=layers,
    )
    stored = sum(parameter.numel() for parameter in model.parameters())
    assert count_parameters(cell, d, h, q, layers=layers, biases=2) == stored
    second = sum(p.numel() for name, p in model.named_parameters() if "bias_hh" in name)
    assert count_parameters(cell, d, h, q, layers=layers) == stored - second


@pytest.mark.parametrize("cell", TORCHS)
def test_the_start_is_torchs_uniform_and_depends_on_the_seed_alone(cell: str) -> None:
    one, same, other = (make(cell, "many-to-one", seed=s) for s in (0, 0, 1))
    flat = [
        torch.cat([p.flatten() for p in m.parameters()]) for m in (one, same, other)
    ]
    assert torch.equal(flat[0], flat[1])
    assert not torch.equal(flat[0], flat[2])
    big = Forecaster(
        cell,
        Layout("many-to-one", 7),
        hidden_size=100,
        generator=torch.Generator().manual_seed(0),
    )
    start = torch.cat([p.detach().flatten() for p in big.parameters()])
    assert 0.0999 < start.abs().max() <= 0.1  # 1/√h
    assert start.std().item() == pytest.approx(0.1 / 3**0.5, rel=0.02)


def test_a_phased_lstm_forecasts_from_its_last_state() -> None:
    """Equations eq-gate-c, eq-gate-h and eq-output, and the count of its numbers."""
    model = make("phased-lstm", "many-to-one")
    X = torch.randn(5, 6, 1, dtype=torch.float64, generator=torch.Generator())
    cell = model.cell
    assert isinstance(cell, PhasedLSTM)
    zeros = X.new_zeros(6, 4)
    weights = cell.weight_ih_l0, cell.weight_hh_l0, cell.bias_ih_l0
    clock = cell.tau, cell.s, cell.r_on
    days = torch.arange(1.0, 6.0).double()
    H, _ = networks.phased_lstm(X, days, zeros, zeros, *weights, *clock, cell.alpha)
    expected = H[-1] @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(X)[0], expected, rtol=1e-12, atol=1e-12)
    assert bool((cell.tau >= 2).all() and (cell.tau <= 20).all())
    stored = sum(parameter.numel() for parameter in model.parameters())
    assert count_parameters("phased-lstm", 1, 4, 1) == stored
    with pytest.raises(ValueError, match="leave horizon at 1"):
        make("phased-lstm", "one-to-many")
    with pytest.raises(ValueError, match="leave layers at 1"):
        make("phased-lstm", "many-to-one", layers=2)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "phased-lstm"])
def test_an_orthogonal_start_turns_and_does_not_stretch(cell: str) -> None:
    """Equation eq-orthogonal: W^T W = I for the block of each gate."""
    model = make(cell, "many-to-one")
    set_orthogonal(model, torch.Generator().manual_seed(3))
    weights = dict(model.cell.named_parameters())
    for W in weights["weight_hh_l0"].detach().split(4):
        torch.testing.assert_close(W.T @ W, torch.eye(4).double())


@pytest.mark.parametrize("cell", ["lstm", "phased-lstm"])
def test_a_forget_bias_opens_the_forget_gate_alone(cell: str) -> None:
    """Equation eq-forget-start: with zero inputs and states, f = sigma(bias)."""
    model, before = make(cell, "many-to-one"), make(cell, "many-to-one")
    set_forget_bias(model, 2.0)
    biases = [p.data for name, p in model.cell.named_parameters() if "bias" in name]
    old = [p.data for name, p in before.cell.named_parameters() if "bias" in name]
    total = torch.stack(biases).sum(0).detach().chunk(4)
    torch.testing.assert_close(total[1], torch.full((4,), 2.0).double())
    for gate in (0, 2, 3):
        torch.testing.assert_close(total[gate], torch.stack(old).sum(0).chunk(4)[gate])
    with pytest.raises(ValueError, match="forget_bias needs an LSTM"):
        set_forget_bias(make("gru", "many-to-one"), 1.0)


def test_making_a_model_draws_nothing_from_the_global_generator() -> None:
    before = torch.get_rng_state()
    make("lstm", "many-to-one")
    assert torch.equal(before, torch.get_rng_state())


def test_what_cannot_be_built_is_refused() -> None:
    with pytest.raises(
        ValueError, match="unknown cell 'rnm': choose one of rnn, lstm, gru, phased"
    ):
        Forecaster("rnm", Layout("many-to-one", 7), hidden_size=4)
    with pytest.raises(ValueError, match="hidden_size must be at least 1, got 0"):
        Forecaster("rnn", Layout("many-to-one", 7), hidden_size=0)
    with pytest.raises(
        ValueError, match="input_size 3 and output_size 1 must be equal"
    ):
        Forecaster("rnn", Layout("one-to-many", 1, 3), input_size=3, hidden_size=4)
