"""The phased LSTM as a module: it is `phased_lstm`, starts as it says, and learns."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.gradients import PhasedLSTM


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def phased(d: int = 3, h: int = 4, seed: int = 0, **options: float) -> PhasedLSTM:
    generator = torch.Generator().manual_seed(seed)
    return PhasedLSTM(d, h, generator=generator, **options)  # type: ignore[arg-type]


def module(**options: object) -> PhasedLSTM:
    generator = torch.Generator().manual_seed(0)
    return PhasedLSTM(3, 4, generator=generator, **options).double()  # type: ignore[arg-type]


def test_the_module_is_the_function() -> None:
    """Times 1 to T and zero states, unless told otherwise."""
    m, X = module(periods=(2.0, 9.0), r_on=0.4, alpha=0.01), random(6, 2, 3)
    H, (h_n, c_n) = m(X)
    zero = torch.zeros(2, 4).double()
    weights = m.weight_ih_l0, m.weight_hh_l0, m.bias_ih_l0
    times = torch.arange(1, 7).double()
    expected = networks.phased_lstm(
        X, times, zero, zero, *weights, m.tau, m.s, m.r_on, alpha=0.01
    )
    torch.testing.assert_close((H, c_n), (expected[0], expected[1][-1]))
    torch.testing.assert_close(h_n, H[-1])
    assert bool(((m.tau >= 2) & (m.tau <= 9)).all())
    torch.testing.assert_close(m.r_on, torch.full_like(m.r_on, 0.4), rtol=1e-6, atol=0)


def test_every_parameter_of_the_module_learns_by_its_finite_difference() -> None:
    """The full model, tau, s and r_on among its parameters."""
    m, X = module(periods=(2.0, 9.0), r_on=0.4, alpha=0.05), random(7, 2, 3)
    names = [name for name, _ in m.named_parameters()]
    values = [p.detach().clone().requires_grad_() for p in m.parameters()]

    def loss(*values: Tensor) -> Tensor:
        named = dict(zip(names, values, strict=True))
        H, _ = torch.func.functional_call(m, named, (X,))
        weighed: Tensor = random(*H.shape, seed=3) * H
        return weighed.sum()

    assert {"log_tau", "s", "logit_r_on"} < set(names)
    assert torch.autograd.gradcheck(loss, values)
    assert all((g != 0).any() for g in torch.autograd.grad(loss(*values), values))


def test_models_side_by_side_are_each_alone() -> None:
    """States and gradients; every model with samples and times of its own."""
    models = [phased(seed=seed, periods=(2.0, 9.0)).double() for seed in range(3)]  # type: ignore[arg-type]
    X, times = random(3, 7, 2, 3), random(3, 7, 2, seed=1).cumsum(1)
    weights = random(3, 7, 2, 4, seed=2)
    alone = [m(x, t)[0] for m, x, t in zip(models, X, times, strict=True)]
    together = PhasedLSTM.side_by_side(models, X, times)
    torch.testing.assert_close(together, torch.stack(alone))
    parameters = [p for m in models for p in m.parameters()]
    expected = torch.autograd.grad((weights * torch.stack(alone)).sum(), parameters)
    found = torch.autograd.grad((weights * together).sum(), parameters)
    torch.testing.assert_close(found, expected)
    assert all((g != 0).any() for g in found)


@pytest.mark.parametrize("other", [{"h": 5}, {"alpha": 0.5}])
def test_models_side_by_side_have_one_shape_and_leak(other: dict[str, Any]) -> None:
    models = [phased(), phased(**other)]
    with pytest.raises(ValueError, match="must have one shape and one leak"):
        PhasedLSTM.side_by_side(models, torch.zeros(2, 6, 1, 3), torch.ones(2, 6, 1))


@pytest.mark.parametrize("direction", [1e3, -1e3])
def test_no_step_takes_the_clock_out_of_its_domain(direction: float) -> None:
    m = module()
    with torch.no_grad():
        m.logit_r_on.fill_(direction)
        m.log_tau.fill_(direction / 100)
    m(random(3, 1, 3))
    assert bool(((m.r_on > 0) & (m.r_on < 1) & (m.tau > 0)).all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"r_on": 1.5}, "r_on must lie between 0 and 1"),
        ({"alpha": -1.0}, "alpha must lie in"),
        ({"periods": (0.0, 2.0)}, "periods must be positive and in order"),
        ({"periods": (3.0, 2.0)}, "periods must be positive and in order"),
    ],
)
def test_a_start_that_means_nothing_is_refused(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module(**options)


def test_sizes_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="sizes must be at least 1"):
        PhasedLSTM(1, 0)


def test_weights_start_uniform_in_one_over_root_h() -> None:
    """As torch's LSTM: all of them, on both sides, up to the bound and not beyond."""
    model = phased(d=50, h=64)
    bound = 1 / math.sqrt(64)
    for weight in (model.weight_ih_l0, model.weight_hh_l0, model.bias_ih_l0):
        assert len(weight) == 4 * 64
        assert 0.97 * bound < weight.max() <= bound
        assert 0.97 * bound < -weight.min() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.06)


def test_periods_start_uniform_in_the_logarithm_and_shifts_within_a_period() -> None:
    model = phased(d=1, h=400, periods=(2.0, 32.0))  # type: ignore[arg-type]
    share = (model.tau.detach().log2() - 1) / 4  # of the way from 2 to 32
    assert 0 <= share.min() < 0.02
    assert 0.98 < share.max() <= 1
    assert share.mean().item() == pytest.approx(0.5, abs=0.05)
    shift = (model.s / model.tau).detach()
    assert 0 <= shift.min() < 0.02
    assert 0.98 < shift.max() < 1
    apart = torch.corrcoef(torch.stack([share, shift]))[0, 1]
    assert abs(float(apart)) < 0.2  # drawn on their own


def test_a_module_starts_with_the_papers_clock() -> None:
    """Neil, Pfeiffer & Liu: open for 5 % of the period, a leak of 0.001."""
    model = phased(d=1, h=300)
    torch.testing.assert_close(model.r_on, torch.full((300,), 0.05))
    assert model.alpha == 0.001
    assert 1 <= model.tau.min() < 1.1 < 18 < model.tau.max() <= 20


def test_the_start_is_the_generators() -> None:
    def start(seed: int) -> Tensor:
        return torch.cat([p.detach().flatten() for p in phased(seed=seed).parameters()])

    assert torch.equal(start(0), start(0))
    assert not torch.equal(start(0), start(1))
    before = torch.get_rng_state()
    start(0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((0, 4), {}),
        ((3, 0), {}),
        ((3, 4), {"periods": (1.0, math.inf)}),
        ((3, 4), {"periods": (-1.0, 2.0)}),
        ((3, 4), {"r_on": 0.0}),
        ((3, 4), {"r_on": 1.0}),
        ((3, 4), {"alpha": 1.01}),
    ],
)
def test_a_start_outside_its_range_is_refused(
    sizes: tuple[int, int],
    options: dict[str, float],
) -> None:
    with pytest.raises(ValueError, match="must"):
        phased(*sizes, **options)  # type: ignore[arg-type]


def test_the_ends_of_the_ranges_are_allowed() -> None:
    for alpha in (0.0, 1.0):
        model = phased(1, 1, alpha=alpha, periods=(3.0, 3.0))  # type: ignore[arg-type]
        torch.testing.assert_close(model.tau, torch.full((1,), 3.0))
