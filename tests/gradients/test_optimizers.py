"""The four rules against torch's optimizers, and what chapter 11 says of them."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_companion.gradients.optimizers import (
    SGD,
    Adam,
    ByHand,
    Momentum,
    RMSprop,
    Rule,
    descend,
)
from tests.recurrences import random

PAIRS = [
    pytest.param(SGD(0.05), torch.optim.SGD, {"lr": 0.05}, id="sgd"),
    pytest.param(
        Momentum(0.05, mu=0.8),
        torch.optim.SGD,
        {"lr": 0.05, "momentum": 0.8},
        id="momentum",
    ),
    pytest.param(
        RMSprop(0.01, beta=0.9, eps=1e-6),
        torch.optim.RMSprop,
        {"lr": 0.01, "alpha": 0.9, "eps": 1e-6},
        id="rmsprop",
    ),
    pytest.param(
        Adam(0.01, beta_1=0.8, beta_2=0.95, eps=1e-6),
        torch.optim.Adam,
        {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-6},
        id="adam",
    ),
    pytest.param(
        RMSprop(0.01), torch.optim.RMSprop, {"lr": 0.01}, id="rmsprop-default"
    ),
    pytest.param(Adam(0.01), torch.optim.Adam, {"lr": 0.01}, id="adam-default"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "optimizer", "options"), PAIRS)
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**31), steps=st.integers(1, 60))
def test_every_step_is_torchs(
    rule: Rule,
    optimizer: type[torch.optim.Optimizer],
    options: dict[str, Any],
    seed: int,
    steps: int,
) -> None:
    """Gradients of no pattern, so that nothing the rule remembers can hide."""
    w = random(3, 2, seed=seed)
    weight = nn.Parameter(w.clone())
    torchs, state = optimizer([weight], **options), rule.start(w)
    for k in range(steps):
        g = random(3, 2, seed=seed + k + 1)
        w, state = rule.step(w, g, state)
        weight.grad = g.clone()
        torchs.step()
        torch.testing.assert_close(w, weight.detach(), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(("rule", "optimizer", "options"), PAIRS)
def test_a_rule_trains_a_model_as_torch_does(
    rule: Rule, optimizer: type[torch.optim.Optimizer], options: dict[str, Any]
) -> None:
    def trained(make: Any) -> list[Tensor]:  # noqa: ANN401
        model = nn.LSTM(2, 3, dtype=torch.float64)
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            nn.init.uniform_(parameter, -1, 1, generator=generator)
        stepper = make(model.parameters())
        for k in range(20):
            stepper.zero_grad()
            model(random(4, 5, 2, seed=k))[0].square().sum().backward()
            stepper.step()
        return [p.detach() for p in model.parameters()]

    by_hand = trained(lambda parameters: ByHand(parameters, rule))
    torchs = trained(lambda parameters: optimizer(parameters, **options))
    torch.testing.assert_close(by_hand, torchs, rtol=0, atol=1e-12)


def test_weights_without_a_gradient_stay() -> None:
    weight = nn.Parameter(torch.ones(2))
    ByHand([weight], Adam(0.1)).step()
    assert weight.tolist() == [1, 1]


def bowl(w: Tensor) -> Tensor:
    """Return the gradient of w^2 / 2."""
    return w


def test_gradient_descent_on_a_bowl_is_a_geometric_sequence() -> None:
    """`eq-sgd` on w^2/2: w_k = (1 - eta)^k w_0, for any eta."""
    for eta in (0.1, 1.0, 1.9, 2.5):
        path = descend(SGD(eta), bowl, torch.ones(1).double(), 20)
        expected = (1 - eta) ** torch.arange(21).double()
        torch.testing.assert_close(path.squeeze(1), expected, rtol=1e-12, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("eta", [0.001, 0.01, 0.1])
def test_rmsprop_ends_in_a_cycle_of_its_learning_rate(eta: float) -> None:
    """Chapter 11, `eq-cycle`: it jumps between +-eta/2, never nearer to the minimum."""
    path = descend(RMSprop(eta), bowl, torch.ones(1).double(), 8000).squeeze(1)
    last = path[-100:]
    torch.testing.assert_close(last.abs(), 0 * last + eta / 2, rtol=1e-3, atol=0)
    assert bool((last[1:] * last[:-1] < 0).all())


def test_rmsprops_rate_grows_on_the_way_to_the_minimum() -> None:
    """Where gradients shrink, eta/sqrt(v) grows: by 1/sqrt(beta) a step at most."""
    rule, w = RMSprop(0.01), torch.ones(1).double()
    state, rates = rule.start(w), []
    for _ in range(400):
        stepped, state = rule.step(w, bowl(w), state)
        rates.append(((w - stepped) / bowl(w)).item())
        w = stepped
    growth = [later / sooner for sooner, later in pairwise(rates[50:])]
    assert min(growth) > 1
    assert growth[-1] == pytest.approx(0.99**-0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0.0), "eta must be positive, got 0.0"),
        (lambda: SGD(float("nan")), "eta must be positive, got nan"),
        (lambda: Momentum(0.1, mu=1.0), "mu must be at least 0 and below 1, got 1.0"),
        (lambda: RMSprop(0.1, beta=-0.1), "beta must be at least 0"),
        (lambda: RMSprop(0.1, eps=0.0), "eps must be positive"),
        (lambda: Adam(0.1, beta_2=2.0), "beta_2 must be at least 0"),
    ],
)
def test_a_setting_out_of_range_is_named(make: Any, message: str) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match=message):
        make()
