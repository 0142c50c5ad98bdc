"""Jacobian products against autograd, bounds on random matrices, clipping."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.autograd.functional import jacobian
from torch.utils._python_dispatch import TorchDispatchMode

from rnn_companion import gradients as gr
from rnn_companion.gradients._cells import Cell
from rnn_companion.gradients._matrices import STARTS
from tests.recurrences import random

KINDS = ("rnn", "lstm", "gru")


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


# Jacobian products


@settings(deadline=None, max_examples=30)
@given(
    cell=st.sampled_from(KINDS),
    h=st.integers(1, 6),
    T=st.integers(1, 25),
    radius=st.floats(0, 1.6),
    scale=st.floats(0, 2),
    bias=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_products_and_vector_jacobian_products_agree(
    cell: str, h: int, T: int, radius: float, scale: float, bias: float, seed: int
) -> None:
    """Equation eq-grad-product, for every cell and every lag."""
    drive = gr.Drive(
        cell=cell,
        hidden_size=h,
        length=T,
        radius=radius,
        input_scale=scale,
        forget_bias=bias,
        seed=seed,
    )
    forward = gr.products(gr.jacobians(*drive.make()))
    backward = gr.products_by_vjp(*drive.make())
    assert forward.shape == backward.shape == (T + 1, *forward.shape[1:])
    largest = max(1.0, float(backward.abs().max()))
    assert_close(forward / largest, backward / largest, 1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_states_are_torchs(kind: str) -> None:
    """The same cell, run by torch as a whole layer."""
    cell, X = gr.Drive(cell=kind, hidden_size=5, length=9, forget_bias=1.0).make()
    module = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind]
    layer = module(5, 5, dtype=torch.float64)
    for name, parameter in cell.named_parameters():
        layer.get_parameter(f"{name}_l0").data.copy_(parameter.data)
    H, _ = layer(X)
    assert_close(gr.states(cell, X)[1:, :5], H)
    again = gr.cell_of(layer)
    assert type(again) is type(cell)
    assert_close(gr.states(again, X), gr.states(cell, X))


def test_the_jacobian_of_a_tanh_step_is_autograds() -> None:
    """Equation eq-grad-jacobian."""
    cell, X = gr.Drive(hidden_size=4, length=6).make()
    S = gr.states(cell, X).detach()
    for t, J_t in enumerate(gr.jacobians(cell, X)):
        expected = jacobian(lambda s, t=t: cell(X[t], s), S[t])
        assert_close(J_t, expected)


def test_the_jacobian_of_a_relu_step_is_its_own() -> None:
    """diag(1 - h^2) W_hh is tanh's; where ReLU is off its rows are zero."""
    cell = nn.RNNCell(3, 4, nonlinearity="relu", dtype=torch.float64)
    with torch.no_grad():
        for i, parameter in enumerate(cell.parameters()):
            parameter.copy_(random(*parameter.shape, seed=i))
    X = random(6, 3, seed=9)
    S = gr.states(cell, X).detach()
    slopes = (S[1:] > 0).double()
    assert 0 < float(slopes.mean()) < 1
    assert_close(gr.jacobians(cell, X), slopes[..., None] * cell.weight_hh.detach())


def test_the_highest_index_stands_leftmost() -> None:
    J = random(4, 3, 3)
    found = gr.products(J)
    assert_close(found[0], torch.eye(3, dtype=torch.float64))
    assert_close(found[4], J[3] @ J[2] @ J[1] @ J[0])
    assert_close(found[2], J[3] @ J[2])
    assert not torch.allclose(found[4], J[0] @ J[1] @ J[2] @ J[3])


def test_a_chosen_lag_is_counted_back_from_the_end() -> None:
    J = random(5, 3, 3)
    found = gr.norm_against_lag(J, [2, 0])
    assert_close(found[0], torch.linalg.svdvals(J[4] @ J[3])[0])
    assert_close(found[1], torch.ones((), dtype=torch.float64))
    assert_close(gr.norm_against_lag(J)[[2, 0]], found)


def test_exponents_of_a_diagonal_system_are_its_mean_logarithms() -> None:
    """Equation eq-grad-exponent: units that do not see each other, in closed form."""
    factors = random(40, 4).abs() + torch.tensor([0.1, 3.0, 0.5, 1.0])
    found = gr.lyapunov_exponents(torch.diag_embed(factors))
    assert_close(found, factors.log().mean(0).sort(descending=True).values)


def test_exponents_of_a_linear_map_are_its_eigenvalues() -> None:
    """Each step the same matrix: the logarithms of the moduli, in the limit."""
    V, moduli = random(3, 3) + 2 * torch.eye(3), torch.tensor([1.5, 0.9, 0.2]).double()
    W = V @ moduli.diag() @ V.inverse()
    found = gr.lyapunov_exponents(W.expand(2000, 3, 3))
    assert_close(found, moduli.log(), 5e-3)
    assert float(found[0]) == pytest.approx(math.log(gr.spectral_radius(W)), abs=5e-3)


def test_exponents_add_up_to_the_volume() -> None:
    """Their sum is the mean logarithm of the determinants, whatever the Jacobians."""
    J = random(30, 5, 5)
    expected = torch.linalg.slogdet(J).logabsdet.mean()
    assert_close(gr.lyapunov_exponents(J).sum(), expected)


def test_the_largest_exponent_is_the_growth_of_the_norm() -> None:
    """Equation eq-grad-lyapunov, on a driven cell."""
    J = gr.jacobians(*gr.Drive(hidden_size=6, length=300, radius=1.2).make())
    growth = float(gr.norm_against_lag(J, [300])[0].log() / 300)
    assert growth - 0.02 < float(gr.lyapunov_exponents(J)[0]) <= growth + 1e-12


def test_exponents_of_a_lost_direction_and_of_no_step() -> None:
    lost = gr.lyapunov_exponents(torch.diag(torch.tensor([2.0, 0.0])).expand(5, 2, 2))
    assert lost.tolist() == [pytest.approx(math.log(2)), -math.inf]
    with pytest.raises(ValueError, match="there is no Jacobian"):
        gr.lyapunov_exponents(torch.zeros(0, 2, 2))


class Calls(TorchDispatchMode):
    """Counts the operations that torch is asked for."""

    count = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
@pytest.mark.parametrize("cell", KINDS)
@pytest.mark.parametrize(
    "measure", [lambda cell, X: gr.products(gr.jacobians(cell, X)), gr.products_by_vjp]
)
def test_cost_is_linear_in_length(
    measure: Callable[[Cell, Tensor], Tensor], cell: str
) -> None:
    """Counted, not timed: operations, each of one size, lie on a straight line."""

    def cost(T: int) -> int:
        arguments = gr.Drive(cell=cell, hidden_size=4, length=T).make()
        with Calls() as calls:  # type: ignore[no-untyped-call]
            measure(*arguments)
        return int(calls.count)

    a, b, c = cost(20), cost(40), cost(60)
    assert c - b == b - a > 0
    assert b < 2.2 * a


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    start=st.sampled_from(STARTS),
    h=st.integers(1, 8),
    T=st.integers(1, 20),
    radius=st.floats(0, 2),
    scale=st.floats(0, 2),
    seed=st.integers(0, 2**31),
)
def test_the_bound_holds_at_every_lag(
    start: str, h: int, T: int, radius: float, scale: float, seed: int
) -> None:
    """Equation eq-grad-bound, with gamma the largest slope that occurred."""
    drive = gr.Drive(
        hidden_size=h,
        length=T,
        radius=radius,
        input_scale=scale,
        start=start,
        seed=seed,
    )
    cell, X = drive.make()
    gamma = float((1 - gr.states(cell, X).detach()[1:] ** 2).max())
    sigma = gr.spectral_norm(cell.weight_hh.detach())
    assert gamma <= 1
    norms = drive.norms()
    assert (norms <= drive.bound() * (1 + 1e-9) + 1e-300).all()
    slopes = []
    for x_t, h_prev in zip(X, gr.states(cell, X).detach(), strict=False):
        a_t = cell.weight_ih.detach().mv(x_t) + cell.weight_hh.detach().mv(h_prev)
        slopes.append(a_t.cosh() ** -2)
    largest = torch.stack(slopes).max() * sigma
    bound = torch.stack([largest**lag for lag in range(T + 1)])
    torch.testing.assert_close(drive.bound(), bound, rtol=1e-9, atol=1e-300)


@settings(deadline=None, max_examples=100)
@given(n=st.integers(1, 7), power=st.integers(1, 12), seed=st.integers(0, 2**31))
def test_powers_lie_between_radius_and_norm(n: int, power: int, seed: int) -> None:
    """Equations eq-grad-radius and eq-grad-norm, on random matrices."""
    W = random(n, n, seed=seed)
    norm = gr.spectral_norm(torch.linalg.matrix_power(W, power))
    slack = 1 + 1e-9
    assert gr.spectral_radius(W) ** power <= norm * slack
    assert norm <= gr.spectral_norm(W) ** power * slack


def test_radius_and_norm_are_numpys() -> None:
    W = random(6, 6)
    assert math.isclose(
        gr.spectral_radius(W), np.abs(np.linalg.eigvals(W.numpy())).max()
    )
    assert math.isclose(gr.spectral_norm(W), np.linalg.norm(W.numpy(), 2))


def test_the_bound_is_attained() -> None:
    """Orthogonal weights and no input: every slope is one, every norm is one."""
    norms = gr.Drive(start="orthogonal", input_scale=0.0, length=200).norms()
    assert_close(norms, torch.ones(201, dtype=torch.float64), 1e-10)


def test_without_inputs_the_cell_is_linear() -> None:
    """Equation eq-grad-linear: at the state zero the Jacobians are W_hh."""
    drive = gr.Drive(hidden_size=6, length=10, input_scale=0.0, radius=1.3)
    cell, X = drive.make()
    power = torch.linalg.matrix_power(cell.weight_hh.detach(), 10)
    assert_close(gr.products(gr.jacobians(cell, X))[-1], power)


@pytest.mark.parametrize("start", STARTS)
def test_a_start_has_the_radius_asked_for(start: str) -> None:
    generator = torch.Generator().manual_seed(0)
    W = gr.starting_matrix(start, 7, 0.8, generator)
    assert math.isclose(gr.spectral_radius(W), 0.8, rel_tol=1e-12)
    if start != "gaussian":
        assert_close(W.T @ W, 0.64 * torch.eye(7, dtype=torch.float64))


def test_each_start_is_the_one_that_its_name_says() -> None:
    """The identity is drawn by no one; the orthogonal one turns, as the draw says."""
    eye = torch.eye(5, dtype=torch.float64)

    def starting(start: str, seed: int) -> Tensor:
        draws = torch.Generator().manual_seed(seed)
        return gr.starting_matrix(start, 5, 1.0, draws)

    assert_close(starting("identity", 0), eye)
    assert_close(starting("identity", 1), eye)
    for start in ("orthogonal", "gaussian"):
        first, again, other = (starting(start, seed) for seed in (0, 0, 1))
        assert_close(first, again)
        assert float((first - other).norm()) > 1
        assert float((first - eye).norm()) > 1
    gaussian = starting("gaussian", 0)
    assert float((gaussian.T @ gaussian - eye).norm()) > 0.5


def test_a_forget_bias_of_one_opens_the_forget_gate_alone() -> None:
    shut, _ = gr.Drive(cell="lstm", hidden_size=3).make()
    ajar, _ = gr.Drive(cell="lstm", hidden_size=3, forget_bias=1.0).make()
    difference = (ajar.bias_ih + ajar.bias_hh - shut.bias_ih - shut.bias_hh).detach()
    expected = torch.tensor([0.0] * 3 + [1.0] * 3 + [0.0] * 6, dtype=torch.float64)
    assert_close(difference, expected)


# Remedies


@settings(deadline=None, max_examples=60)
@given(
    threshold=st.floats(1e-3, 1e3),
    scale=st.floats(1e-3, 1e4),
    seed=st.integers(0, 2**31),
)
def test_clip_is_torchs(threshold: float, scale: float, seed: int) -> None:
    """Equation eq-grad-clip; torch's 1e-6 below the fraction is taken back."""
    gradients = [scale * random(3, 2, seed=seed), scale * random(4, seed=seed + 1)]
    norm = float(gr.total_norm(gradients))
    assume(abs(norm - threshold) > 1e-4 * threshold)
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    nn.utils.clip_grad_norm_(parameters, threshold)
    exact = (norm + 1e-6) / norm if norm > threshold else 1.0
    for found, parameter in zip(gr.clip(gradients, threshold), parameters, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(found, exact * parameter.grad, rtol=1e-9, atol=0)


def test_clip_keeps_the_direction_and_small_gradients() -> None:
    gradients = [random(3, 3), random(2, seed=1)]
    whole = torch.cat([g.flatten() for g in gradients])
    short = torch.cat([g.flatten() for g in gr.clip(gradients, 0.1)])
    assert math.isclose(float(short.norm()), 0.1, rel_tol=1e-12)
    cosine = float(short @ whole / short.norm() / whole.norm())
    assert math.isclose(cosine, 1, rel_tol=1e-12)
    for found, expected in zip(gr.clip(gradients, 1e6), gradients, strict=True):
        assert_close(found, expected)
    assert_close(gr.clip([torch.zeros(3)], 1.0)[0], torch.zeros(3))


def test_forcing_cuts_the_paths_that_it_names() -> None:
    """Equation eq-grad-free, by autograd through the output that comes back."""
    W_xh, W_hh, W_hq = random(4, 2), random(4, 4, seed=1), random(2, 4, seed=2)
    clamped = torch.tensor([True, False, False, True])
    targets, h_prev = random(4, seed=3), random(4, seed=4)
    matrices = gr.free_and_forced(W_xh, W_hh, W_hq, clamped)

    def free(h: Tensor) -> Tensor:
        return W_hh @ h + W_xh @ (W_hq @ h)

    def inputs_forced(h: Tensor) -> Tensor:
        return W_hh @ h + W_xh @ targets[:2]

    def units_forced(h: Tensor) -> Tensor:
        return W_hh @ torch.where(clamped, targets, h) + W_xh @ targets[:2]

    for name, a in [
        ("free", free),
        ("inputs forced", inputs_forced),
        ("units forced", units_forced),
    ]:
        assert_close(matrices[name], jacobian(a, h_prev))


# What is refused


@pytest.mark.parametrize("measure", [gr.spectral_radius, gr.spectral_norm, gr.products])
def test_matrices_that_have_no_radius(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(
        ValueError, match=r"^the matrix has shape \(2, 3\): it must be square$"
    ):
        measure(torch.zeros(2, 3))
    for bad in (math.nan, math.inf):
        with pytest.raises(
            ValueError, match=r"^the matrix has entries that are NaN or infinite$"
        ):
            measure(torch.full((2, 2), bad))


@pytest.mark.parametrize("lag", [6, -1])
def test_a_lag_beyond_the_sequence(lag: int) -> None:
    message = rf"^lag {lag} lies outside the sequence: 5 steps have lags 0 to 5$"
    with pytest.raises(ValueError, match=message):
        gr.norm_against_lag(random(5, 2, 2), [1, lag])


def test_settings_that_mean_nothing() -> None:
    with pytest.raises(ValueError, match=r"^unknown cell 'ltsm': choose one of rnn, "):
        gr.Drive(cell="ltsm").norms()
    with pytest.raises(ValueError, match=r"^unknown start 'zero': choose one of gau"):
        gr.Drive(start="zero").norms()
    with pytest.raises(ValueError, match=r"^radius must be finite and not negative"):
        gr.Drive(radius=-1).norms()
    with pytest.raises(ValueError, match=r"^threshold must be positive, got 0$"):
        gr.clip([torch.ones(2)], 0)
    with pytest.raises(ValueError, match=r"^the gradient has norm nan: look for what"):
        gr.clip([torch.tensor([math.nan])], 1.0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.float64])
def test_a_mask_that_is_none_is_refused(dtype: torch.dtype) -> None:
    """~1 is -2: a mask of numbers would scale columns, not clear them."""
    W = random(3, 3)
    with pytest.raises(ValueError, match=rf"^clamped has dtype {dtype}: expected"):
        gr.free_and_forced(W, W, W, torch.tensor([1, 0, 1], dtype=dtype))


def test_every_gate_has_the_radius_asked_for() -> None:
    drive = gr.Drive(cell="lstm", hidden_size=5, length=2, radius=0.9)
    found = drive.eigenvalues().abs().view(4, 5).max(1).values
    assert_close(found, torch.full((4,), 0.9, dtype=torch.float64))
