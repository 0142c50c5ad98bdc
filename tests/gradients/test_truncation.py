"""Truncated gradients against autograd, and their expectations taken exactly."""

import math
from collections.abc import Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.func import vmap

from rnn_companion import bptt, networks, truncation
from tests.recurrences import random


def layer(T: int, B: int = 2, d: int = 3, h: int = 4, seed: int = 0) -> list[Tensor]:
    """Return X, H_0, W_xh, W_hh, b_h."""
    shapes = [(T, B, d), (B, h), (h, d), (h, h), (h,)]
    return [0.7 * random(*s, seed=seed + i) for i, s in enumerate(shapes)]


Known = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def by_hand(arguments: list[Tensor], G: Tensor) -> Known:
    """Return what the backward functions take but for the weights of the links."""
    X, _, W_xh, W_hh, _ = arguments
    return G, X, bptt.rnn_forward(*arguments), W_xh, W_hh


def by_autograd(arguments: list[Tensor], G: Tensor, xi: Tensor) -> list[Tensor]:
    """Weight each link in the forward pass: its value is kept, its derivative not."""
    X, H_t, *weights = [a.clone().requires_grad_() for a in arguments]
    leaves, loss = [X, H_t, *weights], G.new_zeros(())
    for X_t, G_t, xi_t in zip(X, G, xi, strict=True):
        passed_on = xi_t * H_t + (1 - xi_t) * H_t.detach()
        H_t = networks.rnn_step(X_t, passed_on, *weights)
        loss = loss + (G_t * H_t).sum()
    return list(torch.autograd.grad(loss, leaves))


def assert_equal(
    found: Iterable[Tensor], expected: Iterable[Tensor], tolerance: float = 1e-12
) -> None:
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    T=st.integers(1, 20),
    tau=st.integers(1, 25),
    pi=st.floats(0.2, 1),
    seed=st.integers(0, 2**31),
)
def test_each_strategy_is_autograds_with_weighted_links(
    T: int, tau: int, pi: float, seed: int
) -> None:
    """Equation eq-grad-delta, for the links of every strategy."""
    arguments, G = layer(T, seed=seed), random(T, 2, 4, seed=seed + 9)
    draw = truncation.randomized(T, pi, torch.Generator().manual_seed(seed))
    for xi in (truncation.full(T), truncation.regular(T, tau), draw):
        found = truncation.truncated_backward(*by_hand(arguments, G), xi)
        expected = by_autograd(arguments, G, xi)
        scale = max(1.0, *(float(e.abs().max()) for e in expected))
        assert_equal([f / scale for f in found], [e / scale for e in expected])


def test_nothing_cut_is_full_backpropagation() -> None:
    arguments, G = layer(9), random(9, 2, 4, seed=9)
    known = by_hand(arguments, G)
    full = bptt.rnn_backward(*known)
    assert_equal(truncation.truncated_backward(*known, truncation.full(9)), full)
    assert_equal(truncation.truncated_backward(*known, truncation.regular(9, 9)), full)
    assert_equal(truncation.sliding_backward(*known, 9), full)
    assert_equal(truncation.sliding_backward(*known, 99), full)


@pytest.mark.parametrize("tau", [1, 2, 4, 7])
def test_regular_truncation_is_each_part_on_its_own(tau: int) -> None:
    """Equation eq-grad-regular: autograd on parts whose first state is a constant."""
    (X, H_t, *weights), G = layer(7), random(7, 2, 4, seed=9)
    known = by_hand([X, H_t, *weights], G)
    found = truncation.truncated_backward(*known, truncation.regular(7, tau))
    leaves = [w.clone().requires_grad_() for w in weights]
    loss = G.new_zeros(())
    for X_part, G_part in zip(X.split(tau), G.split(tau), strict=True):
        H = networks.rnn(X_part, H_t.detach(), *leaves)
        loss, H_t = loss + (G_part * H).sum(), H[-1]
    assert_equal(found[2:], torch.autograd.grad(loss, leaves))


@pytest.mark.parametrize("tau", [1, 2, 3, 7])
def test_sliding_truncation_is_each_loss_on_its_own(tau: int) -> None:
    """Equation eq-grad-sliding: autograd from a constant tau steps before each loss."""
    (X, H_0, *weights), G = layer(7), random(7, 2, 4, seed=9)
    known = by_hand([X, H_0, *weights], G)
    found = truncation.sliding_backward(*known, tau)
    H, leaves = known[2], [w.clone().requires_grad_() for w in weights]
    loss = G.new_zeros(())
    for t in range(7):
        start = max(0, t - tau + 1)
        h_t = networks.rnn(X[start : t + 1], H[start], *leaves)[-1]
        loss = loss + (G[t] * h_t).sum()
    assert_equal(found[2:], torch.autograd.grad(loss, leaves))


@settings(deadline=None, max_examples=25)
@given(T=st.integers(1, 8), pi=st.floats(0.1, 1), seed=st.integers(0, 2**31))
def test_randomized_truncation_is_unbiased(T: int, pi: float, seed: int) -> None:
    """Equation eq-grad-unbiased: the mean over all patterns is the full gradient."""
    known = by_hand(layer(T, seed=seed), random(T, 2, 4, seed=seed + 9))
    xi, probability = truncation.all_patterns(T, pi)
    assert math.isclose(float(probability.sum()), 1, rel_tol=1e-12)
    each = vmap(truncation.truncated_backward, (None,) * 5 + (0,))(*known, xi)
    means = [torch.einsum("n,n...->...", probability, e) for e in each]
    full = bptt.rnn_backward(*known)
    scale = max(1.0, *(float(f.abs().max()) for f in full))
    assert_equal([m / scale for m in means], [f / scale for f in full], 1e-11)


@pytest.mark.parametrize("pi", [0.3, 0.8])
def test_without_the_weight_every_path_shrinks_by_pi_a_link(pi: float) -> None:
    """Equation eq-grad-unweighted: the mean is the gradient of links weighted by pi."""
    known = by_hand(layer(6), random(6, 2, 4, seed=9))
    xi, probability = truncation.all_patterns(6, pi)
    each = vmap(truncation.truncated_backward, (None,) * 5 + (0,))(*known, pi * xi)
    means = [torch.einsum("n,n...->...", probability, e) for e in each]
    everywhere = torch.full((6,), pi, dtype=torch.float64)
    assert_equal(means, truncation.truncated_backward(*known, everywhere))
    full = bptt.rnn_backward(*known)
    assert not torch.allclose(means[3], full.W_hh, rtol=1e-2)


def test_the_draws_have_the_distribution_that_is_listed() -> None:
    """Mean and variance of a path over n links: eq-grad-mean and eq-grad-variance."""
    generator = torch.Generator().manual_seed(0)
    drawn = truncation.randomized(4, 0.8, generator, draws=200_000).prod(1)
    xi, probability = truncation.all_patterns(4, 0.8)
    exact = (probability * xi.prod(1) ** 2).sum() - 1
    assert math.isclose(float(exact), 0.8**-4 - 1, rel_tol=1e-12)
    error = float((drawn.mean() - 1).abs())
    assert error < 5 * math.sqrt(float(exact) / len(drawn))
    assert math.isclose(float(drawn.var()), float(exact), rel_tol=0.02)
    assert sorted(drawn.unique().tolist()) == pytest.approx([0, 0.8**-4], rel=1e-12)


def test_certain_links_cut_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = truncation.randomized(50, 1.0, generator)
    torch.testing.assert_close(drawn, truncation.full(50), rtol=0, atol=0)


def test_drawing_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    truncation.randomized(5, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("tau", [0, -3, 2.5, True])
def test_a_tau_below_one_is_refused(tau: int) -> None:
    known = by_hand(layer(4), random(4, 2, 4))
    message = rf"^tau must be a whole number of at least 1, got {tau!r}$"
    with pytest.raises(ValueError, match=message):
        truncation.regular(4, tau)
    with pytest.raises(ValueError, match=message):
        truncation.sliding_backward(*known, tau)


@pytest.mark.parametrize("pi", [0.0, -0.1, 1.01, math.nan])
def test_a_pi_outside_its_range_is_refused(pi: float) -> None:
    with pytest.raises(ValueError, match=rf"^pi must lie in \(0, 1\], got {pi}$"):
        truncation.randomized(4, pi, torch.Generator())
    with pytest.raises(ValueError, match=rf"^pi must lie in \(0, 1\], got {pi}$"):
        truncation.all_patterns(4, pi)


def test_what_does_not_fit_is_named() -> None:
    known = by_hand(layer(4), random(4, 2, 4))
    with pytest.raises(
        ValueError, match=r"^xi has shape \(3,\): expected \(T\), where T = 4$"
    ):
        truncation.truncated_backward(*known, truncation.full(3))
    with pytest.raises(ValueError, match=r"^T must be a whole number of at least 1"):
        truncation.full(0)
    with pytest.raises(ValueError, match=r"^T = 17 has 2\^17 patterns"):
        truncation.all_patterns(17, 0.5)


def test_mean_weights_are_means_over_the_links() -> None:
    """Counted over all pairs of a loss and a use, and over all patterns."""
    T, tau, pi = 7, 3, 0.6
    weights = truncation.mean_weights(T, tau, pi)
    xi, probability = truncation.all_patterns(T, pi)
    links = {
        "full": truncation.full(T).unsqueeze(0),
        "regular": truncation.regular(T, tau).unsqueeze(0),
        "randomized": xi,
        "without the weight": pi * xi,
    }
    for name, rows in links.items():
        p = probability if len(rows) > 1 else torch.ones(1, dtype=torch.float64)
        for lag in range(T):
            paths = [rows[:, t - lag + 1 : t + 1].prod(1) for t in range(lag, T)]
            mean = torch.stack(paths).mean(0) @ p
            torch.testing.assert_close(weights[name][lag], mean)
    assert weights["sliding"].tolist() == [1, 1, 1, 0, 0, 0, 0]


def test_weights_of_paths_make_the_weighted_gradient() -> None:
    """Equation eq-grad-xi: the paths one by one, each the difference of two cuts."""
    T = 6
    arguments, G = layer(T, seed=3), random(T, 2, 4, seed=4)
    xi = truncation.randomized(T, 0.6, torch.Generator().manual_seed(2))
    weights = truncation.path_weights(xi)
    total = torch.zeros_like(arguments[3])
    for t in range(T):
        for i in range(t + 1):
            only_t = torch.zeros_like(G)
            only_t[t] = G[t]
            until, less = truncation.full(T), truncation.full(T)
            until[i] = 0  # uses i, ..., t
            less[i + 1 if i < t else i] = 0  # uses i+1, ..., t
            share = truncation.truncated_backward(*by_hand(arguments, only_t), until)
            rest = truncation.truncated_backward(*by_hand(arguments, only_t), less)
            own = share.W_hh - rest.W_hh if i < t else share.W_hh
            total += weights[t, i] * own
    found = truncation.truncated_backward(*by_hand(arguments, G), xi).W_hh
    torch.testing.assert_close(total, found)


def test_compare_splits_the_error() -> None:
    """Mean squared distance = squared bias + variance; all over the exact norm."""
    exact, estimates = random(3, 2), random(50, 3, 2, seed=1) + 1
    found = truncation.compare(estimates, exact)
    distance = (estimates - exact).flatten(1).square().sum(1).mean()
    expected = math.sqrt(float(distance)) / float(exact.norm())
    assert math.hypot(found.bias, found.spread) == pytest.approx(expected, rel=1e-12)
    p = torch.zeros(50, dtype=torch.float64)
    p[7] = 1
    alone = truncation.compare(estimates, estimates[7], p)
    assert alone.bias == pytest.approx(0, abs=1e-15)
    assert alone.spread == 0
    assert alone.cosine == pytest.approx(1)
