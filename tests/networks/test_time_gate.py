"""The time gate and the phased LSTM: exact arithmetic, finite differences, limits."""

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from math import floor

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnn_companion import networks

layer_of: Callable[..., tuple[Tensor, Tensor]] = networks.phased_lstm
leaky_gate: Callable[..., Tensor] = partial(networks.time_gate, alpha=0.01)


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def number(value: float | Fraction) -> Tensor:
    return torch.tensor(float(value), dtype=torch.float64)


def exact(
    t: Fraction, tau: Fraction, s: Fraction, r_on: Fraction, alpha: Fraction
) -> Fraction:
    """`eq-gate-phi` and `eq-gate-k` in whole numbers and their ratios."""
    phi = (t - s) / tau - floor((t - s) / tau)
    if phi <= r_on / 2:
        return 2 * phi / r_on
    if phi <= r_on:
        return 2 - 2 * phi / r_on
    return alpha * phi


ratios = st.fractions(min_value=-50, max_value=50, max_denominator=64)
shares = st.fractions(
    min_value=Fraction(1, 64), max_value=Fraction(63, 64), max_denominator=64
)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    t=ratios,
    tau=st.fractions(min_value=Fraction(1, 8), max_value=50, max_denominator=64),
    s=ratios,
    r_on=shares,
    alpha=st.sampled_from([Fraction(0), Fraction(1, 1000), Fraction(1, 2)]),
)
def test_the_gate_is_exact_arithmetics(
    t: Fraction, tau: Fraction, s: Fraction, r_on: Fraction, alpha: Fraction
) -> None:
    phi = (t - s) / tau - floor((t - s) / tau)
    assume(min(abs(phi - edge) for edge in (0, 1, r_on)) > Fraction(1, 10**9))
    found = networks.time_gate(
        number(t), number(tau), number(s), number(r_on), float(alpha)
    )
    expected = float(exact(t, tau, s, r_on, alpha))
    assert found.item() == pytest.approx(expected, abs=1e-11)


def test_the_toy_table_of_the_palindrome_report() -> None:
    """Period 10, shift 3, r_on 0.4001: as printed after rounding to one digit."""
    t = torch.arange(1, 14).double()
    found = networks.time_gate(t, number(10), number(3), number(0.4001))
    printed = [0, 0, 0, 0.5, 1, 0.5, 0, 0, 0, 0, 0, 0, 0]
    assert [round(k, 1) for k in found.tolist()] == printed
    assert found[6].item() == pytest.approx(2 - 0.8 / 0.4001, abs=1e-15)  # t = 7
    assert found[6] > 0  # still open, a little


@pytest.mark.parametrize(("phi", "k"), [(0.0, 0.0), (0.25, 1.0), (0.5, 0.0)])
def test_the_edges_belong_to_the_open_phase(phi: float, k: float) -> None:
    """At r_on/2 the gate is wide open, where the report's strict < would close it."""
    found = networks.time_gate(number(8 * phi), number(8), number(0), number(0.5), 0.1)
    assert found.item() == k


@settings(deadline=None, max_examples=100)
@given(
    t=st.floats(-40, 40),
    tau=st.floats(0.5, 20),
    s=st.floats(-5, 5),
    r_on=st.floats(0.05, 0.95),
)
def test_its_derivatives_where_they_exist(
    t: float, tau: float, s: float, r_on: float
) -> None:
    """Autograd's against central differences, away from jumps and kinks."""
    at = [number(v).requires_grad_() for v in (t, tau, s, r_on)]
    phi = ((t - s) / tau) % 1
    assume(min(abs(phi - edge) for edge in (0, r_on / 2, r_on, 1)) > 1e-4)
    k = leaky_gate(*at)
    step = 1e-7
    for index, gradient in enumerate(torch.autograd.grad(k, at)):
        moved = []
        for sign in (1, -1):
            values = [v.detach() for v in at]
            values[index] = values[index] + sign * step
            moved.append(leaky_gate(*values).item())
        difference = (moved[0] - moved[1]) / (2 * step)
        assert gradient.item() == pytest.approx(difference, rel=1e-4, abs=1e-5)


def layer(T: int = 6) -> list[Tensor]:
    """Return X, times, H_0, C_0, W_x, W_h, b, tau, s, r_on; T, B, d, h = T, 2, 3, 4."""
    shapes = [(T, 2, 3), (T, 2), (2, 4), (2, 4), (16, 3), (16, 4), (16,)]
    weights = [0.5 * random(*s, seed=i) for i, s in enumerate(shapes)]
    weights[1] = (
        7 * torch.rand(T, 2, generator=torch.Generator().manual_seed(5)).double()
    )
    tau = torch.tensor([2.3, 3.1, 5.7, 11.3]).double()
    return [*weights, tau, 0.3 * tau, torch.tensor([0.3, 0.5, 0.7, 0.9]).double()]


@pytest.mark.slow
def test_all_gradients_of_the_whole_layer_are_finite_differences() -> None:
    arguments = [a.requires_grad_() for a in layer()]
    assert torch.autograd.gradcheck(partial(layer_of, alpha=0.01), arguments)


def test_the_layer_by_the_letter() -> None:
    """`eq-gate-c` and `eq-gate-h`, one sample and unit after the other."""

    def gate(*at: Tensor) -> Tensor:
        t, tau, s, r_on = (Fraction(float(v)) for v in at)
        return number(exact(t, tau, s, r_on, Fraction(0.1)))

    X, times, H_0, C_0, W_x, W_h, b, tau, s, r_on = layer()
    H, C = networks.phased_lstm(
        X, times, H_0, C_0, W_x, W_h, b, tau, s, r_on, alpha=0.1
    )
    cell = torch.nn.LSTMCell(3, 4, dtype=torch.float64)
    with torch.no_grad():
        for parameter, value in zip(
            cell.parameters(), [W_x, W_h, b, 0 * b], strict=True
        ):
            parameter.copy_(value)
    for n in range(2):
        h_t, c_t = H_0[n], C_0[n]
        for t in range(len(X)):
            proposed = cell(X[t, n], (h_t, c_t))
            k = torch.stack(
                [gate(times[t, n], tau[j], s[j], r_on[j]) for j in range(4)]
            )
            h_t = h_t + k * (proposed[0] - h_t)
            c_t = c_t + k * (proposed[1] - c_t)
            torch.testing.assert_close(H[t, n], h_t, rtol=0, atol=1e-12)
            torch.testing.assert_close(C[t, n], c_t, rtol=0, atol=1e-12)


def test_wide_open_it_is_an_lstm() -> None:
    """At the middle of the open phase k = 1, and the clock is gone."""
    X, _, H_0, C_0, W_x, W_h, b, *_ = layer()
    ones = torch.ones(4).double()
    times = torch.arange(len(X)).double() + 0.25  # phi = 1/4 = r_on / 2
    H, C = networks.phased_lstm(
        X, times, H_0, C_0, W_x, W_h, b, ones, 0 * ones, ones / 2
    )
    expected = networks.lstm(X, H_0, C_0, W_x, W_h, b)
    torch.testing.assert_close((H, C), expected, rtol=0, atol=1e-12)


def test_closed_it_passes_state_and_gradient_untouched() -> None:
    """`eq-gate-closed`: without leak, the closed phase's Jacobian is the identity."""
    X, _, H_0, C_0, W_x, W_h, b, *_ = layer(50)
    ones = torch.ones(4).double()
    times = torch.linspace(0.51, 0.99, len(X)).double()
    C_0.requires_grad_()

    def last(C_0: Tensor) -> Tensor:
        clock = ones, 0 * ones, ones / 2
        return networks.phased_lstm(X, times, H_0, C_0, W_x, W_h, b, *clock)[1][-1]

    assert torch.equal(last(C_0), C_0)
    jacobian = torch.autograd.functional.jacobian(last, C_0.detach())
    assert torch.equal(jacobian.reshape(8, 8), torch.eye(8).double())


@pytest.mark.parametrize(
    ("tau", "r_on", "alpha", "message"),
    [
        (0.0, 0.5, 0.0, "tau must be positive, got 0"),
        (-1.0, 0.5, 0.0, "tau must be positive, got -1"),
        (float("nan"), 0.5, 0.0, "tau must be positive, got nan"),
        (1.0, 0.0, 0.0, "r_on must lie between 0 and 1, got 0"),
        (1.0, 1.0, 0.0, "r_on must lie between 0 and 1, got 1"),
        (1.0, 0.5, -0.1, "alpha must lie in \\[0, 1\\], got -0.1"),
        (1.0, 0.5, 2.0, "alpha must lie in \\[0, 1\\], got 2"),
    ],
)
def test_a_clock_out_of_its_domain_is_named(
    tau: float, r_on: float, alpha: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        networks.time_gate(number(1), number(tau), number(0), number(r_on), alpha)


@pytest.mark.parametrize(
    ("index", "shape", "name"),
    [
        (1, (5,), "times"),
        (1, (6, 3), "times"),
        (7, (1,), "tau"),
        (9, (3,), "r_on"),
        (4, (15, 3), "W_x"),
    ],
)
def test_wrong_shapes_are_named(index: int, shape: tuple[int, ...], name: str) -> None:
    arguments = layer()
    arguments[index] = torch.full(shape, 0.5).double()
    with pytest.raises(ValueError, match=rf"^{name} has shape"):
        layer_of(*arguments)
