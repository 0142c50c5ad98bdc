"""What the room of gradients promises of starts, Jacobians and remedies."""

import math
from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.functional import jacobian

from rnn_companion import gradients as gr
from tests.recurrences import assert_equal, random

STARTS = ("gaussian", "orthogonal", "identity")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Starts


def test_the_identity_is_the_identity_and_draws_nothing() -> None:
    draw = seeded()
    W = gr.starting_matrix("identity", 5, 0.7, draw)
    assert torch.equal(W, 0.7 * torch.eye(5, dtype=torch.float64))
    assert torch.equal(draw.get_state(), seeded().get_state())


def test_an_orthogonal_start_is_any_rotation_not_the_identity() -> None:
    """Saxe et al.: drawn evenly, so entries have mean 0 and variance 1/h."""
    W = gr.starting_matrix("orthogonal", 60, 1.0, seeded())
    assert_equal([W.T @ W], [torch.eye(60, dtype=torch.float64)])
    assert abs(float(W.mean())) < 0.01
    assert float(W.diagonal().abs().mean()) < 0.3
    other = gr.starting_matrix("orthogonal", 60, 1.0, seeded(1))
    assert float((W * other).sum().abs()) < 10  # 60 if the two were the same


def test_a_gaussian_start_has_independent_normal_entries() -> None:
    """The circular law: with radius 1 their standard deviation is near 1/sqrt(h)."""
    W = gr.starting_matrix("gaussian", 100, 1.0, seeded())
    scaled = W / W.std()
    assert W.std().item() == pytest.approx(0.1, rel=0.15)
    assert abs(float(scaled.mean())) < 0.04
    assert (scaled**4).mean().item() == pytest.approx(3, rel=0.1)  # normal
    assert not torch.allclose(W.T @ W, torch.eye(100, dtype=torch.float64), atol=0.3)


@pytest.mark.parametrize("start", STARTS)
def test_the_same_draw_is_scaled_for_every_radius(start: str) -> None:
    one, three = (gr.starting_matrix(start, 6, r, seeded()) for r in (1.0, 3.0))
    assert_equal([three], [3 * one])
    nothing = gr.starting_matrix(start, 6, 0.0, seeded())
    assert torch.equal(nothing.abs(), torch.zeros(6, 6, dtype=torch.float64))


@pytest.mark.parametrize("radius", [-0.1, math.inf, math.nan])
def test_a_radius_that_no_matrix_has_is_refused(radius: float) -> None:
    message = rf"^radius must be finite and not negative, got {radius}$"
    with pytest.raises(ValueError, match=message):
        gr.starting_matrix("gaussian", 3, radius, seeded())


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_a_cells_inputs_add_their_scale_to_a_preactivation(kind: str) -> None:
    """Inputs of variance one: W_x x has standard deviation input_scale; no biases."""
    cell, X = gr.Drive(
        cell=kind, hidden_size=100, length=400, radius=0.5, input_scale=2.0
    ).make()
    assert cell.weight_ih.std().item() * 10 == pytest.approx(2.0, rel=0.03)
    assert cell.weight_ih.mean().item() * 10 == pytest.approx(0, abs=0.1)
    assert (X @ cell.weight_ih.T).std().item() == pytest.approx(2.0, rel=0.05)
    assert not cell.bias_ih.any()
    assert not cell.bias_hh.any()
    assert cell.weight_hh.dtype == torch.float64
    radii = [gr.spectral_radius(W.detach()) for W in cell.weight_hh.split(100)]
    assert radii == pytest.approx([0.5] * len(radii))


def test_only_an_lstm_has_a_forget_bias_and_only_there() -> None:
    for kind, rows in (("lstm", 4), ("gru", 3), ("rnn", 1)):
        cell, _ = gr.Drive(cell=kind, hidden_size=3, forget_bias=1.5).make()
        expected = torch.zeros(3 * rows, dtype=torch.float64)
        if kind == "lstm":
            expected[3:6] = 1.5
        assert torch.equal(cell.bias_ih + cell.bias_hh, expected)


@pytest.mark.parametrize("module", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_cell_of_a_module_is_its_first_layer(module: Any) -> None:  # noqa: ANN401
    """In float64, whatever the module has, and apart from it."""
    layers = module(3, 4, 2)
    before = torch.get_rng_state()
    cell = gr.cell_of(layers)
    assert torch.equal(torch.get_rng_state(), before)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for name in names:
        found, expected = getattr(cell, name), getattr(layers, f"{name}_l0")
        assert found.dtype == torch.float64
        assert torch.equal(found, expected.double())
    with torch.no_grad():
        layers.weight_hh_l0.zero_()
    assert cell.weight_hh.any()


# Jacobians


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_every_jacobian_is_autograds_of_its_own_step(kind: str) -> None:
    """`eq-grad-jacobian`; of an LSTM with respect to h and c together."""
    cell, X = gr.Drive(cell=kind, hidden_size=3, length=4, radius=1.4).make()

    def step(t: int, state: Tensor) -> Tensor:
        if isinstance(cell, nn.LSTMCell):
            return torch.cat(cell(X[t], (state[:3], state[3:])))
        stepped: Tensor = cell(X[t], state)
        return stepped

    found = gr.jacobians(cell, X)
    state = torch.zeros(6 if kind == "lstm" else 3, dtype=torch.float64)
    assert torch.equal(gr.states(cell, X)[0], state)
    for t in range(4):
        expected = jacobian(lambda s, t=t: step(t, s), state)
        assert_equal([found[t]], [expected])
        state = step(t, state).detach()
        assert_equal([gr.states(cell, X)[t + 1]], [state])


@pytest.mark.parametrize("start", STARTS)
def test_the_bound_is_the_largest_slope_times_the_norm_to_the_lag(start: str) -> None:
    """`eq-grad-bound`; the slopes of tanh by autograd, the norm by eigenvalues."""
    drive = gr.Drive(
        hidden_size=4, length=6, start=start, radius=0.9, input_scale=0.8, seed=3
    )
    cell, X = drive.make()
    h, slopes = torch.zeros(4, dtype=torch.float64), []
    for x in X:
        a = (cell.weight_ih @ x + cell.weight_hh @ h).detach().requires_grad_()
        h = torch.tanh(a)
        slopes.append(torch.autograd.grad(h.sum(), a)[0].max())
        h = h.detach()
    W = cell.weight_hh.detach()
    sigma = torch.linalg.eigvalsh(W.T @ W).max().sqrt()
    factor = float(max(slopes) * sigma)
    assert max(slopes) < 1
    expected = torch.tensor([factor**lag for lag in range(7)], dtype=torch.float64)
    torch.testing.assert_close(drive.bound(), expected, rtol=1e-12, atol=0)


def test_the_norm_across_a_lag_is_that_of_the_product() -> None:
    J = random(4, 3, 3)
    found = gr.norm_against_lag(J)
    product = torch.eye(3, dtype=torch.float64)
    for lag in range(5):
        expected = torch.linalg.eigvalsh(product.T @ product).max().sqrt()
        torch.testing.assert_close(found[lag], expected)
        if lag < 4:
            product = product @ J[3 - lag]
    assert len(found) == 5
    assert gr.norm_against_lag(J, []).shape == (0,)
    assert gr.products(J.float()).dtype == torch.float32


def test_the_drive_is_standard_normal_noise_of_its_seed() -> None:
    drive = gr.Drive(hidden_size=20, length=500)
    cell, X = drive.make()
    assert X.shape == (500, 20)
    assert abs(float(X.mean())) < 0.03
    assert X.std().item() == pytest.approx(1, rel=0.03)
    share = (X @ cell.weight_ih.T).std().item()
    assert share == pytest.approx(0.5, rel=0.12)
    assert torch.equal(drive.make()[1], X)
    assert not torch.equal(gr.Drive(hidden_size=20, length=500, seed=1).make()[1], X)


def test_the_drive_of_the_chapters_curves() -> None:
    assert asdict(gr.Drive()) == {
        "cell": "rnn",
        "hidden_size": 32,
        "length": 50,
        "radius": 1.0,
        "input_scale": 0.5,
        "start": "gaussian",
        "forget_bias": 0.0,
        "seed": 0,
    }


def test_the_drives_eigenvalues_are_those_of_every_gate() -> None:
    drive = gr.Drive(cell="gru", hidden_size=4, length=2, seed=2)
    cell, _ = drive.make()
    found = drive.eigenvalues()
    assert found.shape == (12,)
    gates = cell.weight_hh.detach().split(4)
    for W, values in zip(gates, found.split(4), strict=True):
        assert values.sum().real.item() == pytest.approx(W.trace().item())
        product = values.prod()
        assert product.real.item() == pytest.approx(torch.linalg.det(W).item())


@pytest.mark.parametrize("measure", [gr.spectral_radius, gr.spectral_norm, gr.products])
def test_one_entry_that_is_no_number_is_enough(measure: Any) -> None:  # noqa: ANN401
    for bad in (math.nan, -math.inf):
        W = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
        W[0, 1, 2] = bad
        with pytest.raises(ValueError, match="entries that are NaN or infinite"):
            measure(W[0] if measure is not gr.products else W)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (3, 2), (2, 2, 3)])
def test_what_is_not_square_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="it must be square"):
        gr.products(torch.ones(shape))
    if len(shape) < 3:
        with pytest.raises(ValueError, match="it must be square"):
            gr.spectral_radius(torch.ones(shape))


# Remedies


def test_clipping_in_plain_numbers() -> None:
    """`eq-grad-clip`: 3 and 4 are one vector of length 5."""
    gradients = [torch.tensor([3.0]), torch.tensor([[4.0]])]
    assert float(gr.total_norm(gradients)) == 5
    for threshold, expected in (
        (2.5, (1.5, 2.0)),
        (5.0, (3.0, 4.0)),
        (9.0, (3.0, 4.0)),
    ):
        found = gr.clip(gradients, threshold)
        assert [g.shape for g in found] == [(1,), (1, 1)]
        assert [g.item() for g in found] == pytest.approx(expected)
    assert [g.item() for g in gradients] == [3, 4]  # left as they were
    for threshold in (0.0, -1.0, math.nan):
        with pytest.raises(ValueError, match=r"^threshold must be positive, got "):
            gr.clip(gradients, threshold)
    with pytest.raises(ValueError, match=r"^the gradient has norm inf"):
        gr.clip([*gradients, torch.tensor([math.inf])], 1.0)
