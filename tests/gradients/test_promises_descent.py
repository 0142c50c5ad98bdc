"""What the room of gradients promises of descent, truncation and gradients by hand."""

import math
from dataclasses import asdict
from typing import Any

import pytest
import torch
from torch import nn

from rnn_companion import bptt, truncation
from rnn_companion.gradients.optimizers import (
    SGD,
    Adam,
    ByHand,
    Momentum,
    RMSprop,
    Rule,
    descend,
)
from tests.recurrences import assert_equal, network, random


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Rules of descent


def steps(rule: Rule, gradients: list[float], w: float = 1.0) -> list[float]:
    weight, found = torch.tensor([w]).double(), []
    state = rule.start(weight)
    for g in gradients:
        weight, state = rule.step(weight, torch.tensor([g]).double(), state)
        found.append(weight.item())
    return found


def test_the_rules_in_plain_numbers() -> None:
    """Two steps with the gradients 2 and -1, from w = 1."""
    g_1, g_2 = 2.0, -1.0
    assert steps(SGD(0.1), [g_1, g_2]) == pytest.approx([0.8, 0.9])
    u_2 = 0.5 * g_1 + g_2  # eq-momentum
    expected = [1 - 0.1 * g_1, 1 - 0.1 * g_1 - 0.1 * u_2]
    assert steps(Momentum(0.1, mu=0.5), [g_1, g_2]) == pytest.approx(expected)
    v_1 = 0.25 * g_1**2  # eq-rmsprop
    v_2 = 0.75 * v_1 + 0.25 * g_2**2
    w_1 = 1 - 0.1 * g_1 / (math.sqrt(v_1) + 0.5)
    w_2 = w_1 - 0.1 * g_2 / (math.sqrt(v_2) + 0.5)
    found = steps(RMSprop(0.1, beta=0.75, eps=0.5), [g_1, g_2])
    assert found == pytest.approx([w_1, w_2])
    m_2 = (0.6 * 0.4 * g_1 + 0.4 * g_2) / (1 - 0.6**2)  # eq-adam, without bias
    v_2 = (0.75 * 0.25 * g_1**2 + 0.25 * g_2**2) / (1 - 0.75**2)
    w_1 = 1 - 0.1 * g_1 / (abs(g_1) + 0.5)
    w_2 = w_1 - 0.1 * m_2 / (math.sqrt(v_2) + 0.5)
    found = steps(Adam(0.1, beta_1=0.6, beta_2=0.75, eps=0.5), [g_1, g_2])
    assert found == pytest.approx([w_1, w_2])


def test_the_rules_have_torchs_defaults() -> None:
    weight = [nn.Parameter(torch.zeros(1))]
    rmsprop = torch.optim.RMSprop(weight).defaults
    adam = torch.optim.Adam(weight).defaults
    assert asdict(RMSprop(0.1)) == {
        "eta": 0.1,
        "beta": rmsprop["alpha"],
        "eps": rmsprop["eps"],
    }
    assert asdict(Adam(0.1)) == {
        "eta": 0.1,
        "beta_1": adam["betas"][0],
        "beta_2": adam["betas"][1],
        "eps": adam["eps"],
    }
    assert asdict(Momentum(0.1)) == {"eta": 0.1, "mu": 0.9}


def test_the_ends_of_the_ranges_of_settings() -> None:
    """Zero is a share of the past that may be kept; one is not, for nothing is new."""
    gradients = [2.0, -1.0, 0.5]
    assert steps(Momentum(0.1, mu=0.0), gradients) == steps(SGD(0.1), gradients)
    assert steps(Adam(0.1, beta_1=0.0, beta_2=0.0), gradients) == pytest.approx(
        [0.9, 1.0, 0.9]  # each by eta against the sign
    )
    for make in (
        lambda: Momentum(0.1, mu=1.0),
        lambda: RMSprop(0.1, beta=1.0),
        lambda: Adam(0.1, beta_1=1.0),
        lambda: Adam(0.1, eps=0.0),
        lambda: SGD(-0.1),
    ):
        with pytest.raises(ValueError, match="must be"):
            make()


def test_a_path_begins_at_its_starting_point() -> None:
    start = random(2, 3)
    assert torch.equal(descend(SGD(0.1), lambda w: w, start, 0), start.unsqueeze(0))
    path = descend(Momentum(0.1), lambda w: 2 * w, start, 2)
    first = start - 0.1 * 2 * start
    second = first - 0.1 * (0.9 * 2 * start + 2 * first)
    assert_equal(list(path), [start, first, second])


def test_every_weight_of_every_group_remembers_its_own() -> None:
    """Each as if it were alone, also where some weights got no gradient once."""
    weights = [nn.Parameter(random(3, seed=s)) for s in range(3)]
    starts = [w.detach().clone() for w in weights]
    optimizer = ByHand([{"params": weights[:2]}, {"params": weights[2:]}], Adam(0.1))  # type: ignore[list-item]
    for k in range(3):
        for n, w in enumerate(weights):
            w.grad = None if (n, k) == (1, 1) else random(3, seed=10 * n + k)
        optimizer.step()
    for n, (w, at) in enumerate(zip(weights, starts, strict=True)):
        state = Adam(0.1).start(at)
        for k in range(3):
            if (n, k) != (1, 1):
                at, state = Adam(0.1).step(at, random(3, seed=10 * n + k), state)
        assert_equal([w.detach()], [at])


# Truncation


@pytest.mark.parametrize("T", [0, -1, 2.0, True])
def test_a_length_is_a_whole_number_of_steps(T: Any) -> None:  # noqa: ANN401
    message = rf"^T must be a whole number of at least 1, got {T!r}$"
    for make in (
        truncation.full,
        lambda T: truncation.regular(T, 2),
        lambda T: truncation.randomized(T, 0.5, seeded()),
        lambda T: truncation.all_patterns(T, 0.5),
    ):
        with pytest.raises(ValueError, match=message):
            make(T)


def test_regular_weights_are_zero_where_a_part_begins() -> None:
    """`eq-grad-regular`, parts of three of eight steps."""
    assert truncation.regular(8, 3).tolist() == [1, 1, 1, 0, 1, 1, 0, 1]
    assert truncation.regular(8, 1).tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    assert truncation.regular(8, 8).tolist() == [1] * 8
    assert truncation.full(1).tolist() == [1]


def test_patterns_are_all_outcomes_of_one_draw() -> None:
    """Two steps in plain numbers, and the longest sequence that may be listed."""
    xi, probability = truncation.all_patterns(2, 0.8)
    listed = dict(zip(map(tuple, xi.tolist()), probability.tolist(), strict=True))
    assert listed == pytest.approx(
        {
            (0.0, 0.0): 0.2**2,
            (0.0, 1.25): 0.2 * 0.8,
            (1.25, 0.0): 0.8 * 0.2,
            (1.25, 1.25): 0.8**2,
        }
    )
    assert truncation.all_patterns(16, 0.5).xi.shape == (2**16, 16)
    assert truncation.randomized(3, 0.5, seeded()).shape == (3,)
    assert truncation.randomized(3, 0.5, seeded(), draws=4).shape == (4, 3)


def test_the_backward_pass_keeps_the_states_precision() -> None:
    X, H_0, W_xh, W_hh, b_h = (
        random(*s).float() for s in ((5, 2, 3), (2, 4), (4, 3), (4, 4), (4,))
    )
    H = bptt.rnn_forward(X, H_0, W_xh, W_hh, b_h)
    G = random(5, 2, 4, seed=9).float()
    kept = [t.clone() for t in (G, X, H, W_xh, W_hh)]
    for found in (
        truncation.truncated_backward(G, X, H, W_xh, W_hh, truncation.regular(5, 2)),
        truncation.sliding_backward(G, X, H, W_xh, W_hh, 2),
        bptt.rnn_backward(G, X, H, W_xh, W_hh),
    ):
        assert {gradient.dtype for gradient in found} == {torch.float32}
        shapes = [tuple(gradient.shape) for gradient in found]
        assert shapes == [(5, 2, 3), (2, 4), (4, 3), (4, 4), (4,)]
    for before, after in zip(kept, (G, X, H, W_xh, W_hh), strict=True):
        assert torch.equal(before, after)  # nothing is changed in place


def test_a_link_cut_before_the_first_step_leaves_the_first_state_out() -> None:
    """`xi_1` weighs the derivative that reaches H_0, and nothing else."""
    X, H_0, W_xh, W_hh, b_h = (
        random(*s) for s in ((4, 2, 3), (2, 4), (4, 3), (4, 4), (4,))
    )
    H, G = bptt.rnn_forward(X, H_0, W_xh, W_hh, b_h), random(4, 2, 4, seed=9)
    weights = truncation.full(4)
    whole = truncation.truncated_backward(G, X, H, W_xh, W_hh, weights)
    weights[0] = 0.25
    part = truncation.truncated_backward(G, X, H, W_xh, W_hh, weights)
    assert_equal([part.H_0], [whole.H_0 / 4])
    assert_equal([part.X, *part[2:]], [whole.X, *whole[2:]])


def test_comparing_in_plain_numbers() -> None:
    """Estimates (3, 0) and (3, 8) of (0, 5): their mean (3, 4) is as long as it."""
    estimates = torch.tensor([[3.0, 0.0], [3.0, 8.0]])
    found = truncation.compare(estimates, torch.tensor([0.0, 5.0]))
    assert found.bias == pytest.approx(math.sqrt(9 + 1) / 5)
    assert found.spread == pytest.approx(4 / 5)
    assert found.cosine == pytest.approx(4 / 5)
    weighed = truncation.compare(
        estimates, torch.tensor([0.0, 5.0]), torch.tensor([0.75, 0.25])
    )  # mean (3, 2), distances 2 and 6
    assert weighed.bias == pytest.approx(math.sqrt(9 + 9) / 5)
    assert weighed.spread == pytest.approx(math.sqrt(0.75 * 4 + 0.25 * 36) / 5)
    assert weighed.cosine == pytest.approx(2 / math.sqrt(13))


def test_mean_weights_of_the_shortest_sequence() -> None:
    for name, weights in truncation.mean_weights(1, 1, 0.5).items():
        assert weights.tolist() == [1], name
    two = truncation.mean_weights(2, 5, 0.5)
    assert two["regular"].tolist() == two["sliding"].tolist() == [1, 1]
    assert two["without the weight"].tolist() == [1, 0.5]


# Backpropagation by hand


def test_forward_passes_keep_all_states_from_the_first_on() -> None:
    X, H_0, C_0 = random(3, 2, 3), random(2, 4, seed=1), random(2, 4, seed=2)
    H = bptt.rnn_forward(X, H_0, random(4, 3), random(4, 4), random(4))
    assert H.shape == (4, 2, 4)
    assert torch.equal(H[0], H_0)
    lstm = random(16, 3), random(16, 4), random(16)
    H, C, S = bptt.lstm_forward(X, H_0, C_0, *lstm)
    assert torch.equal(H[0], H_0)
    assert torch.equal(C[0], C_0)
    i, f, g, o = S.chunk(4, dim=2)
    assert_equal([C[1:], H[1:]], [f * C[:-1] + i * g, o * C[1:].tanh()])
    W_x, W_h, b, b_hn = random(12, 3), random(12, 4), random(12), random(4, seed=3)
    H, S, M = bptt.gru_forward(X, H_0, W_x, W_h, b, b_hn)
    assert torch.equal(H[0], H_0)
    assert_equal([M], [torch.einsum("tbh,gh->tbg", H[:-1], W_h[8:]) + b_hn])
    _, z, n = S.chunk(3, dim=2)
    assert_equal([H[1:]], [(1 - z) * n + z * H[:-1]])


def test_no_gradient_at_the_cell_states_is_one_of_zero() -> None:
    X, H_0, C_0 = random(3, 2, 3), random(2, 4, seed=1), random(2, 4, seed=2)
    weights = random(16, 3), random(16, 4), random(16)
    kept = bptt.lstm_forward(X, H_0, C_0, *weights)
    G = random(3, 2, 4, seed=5)
    none = bptt.lstm_backward(G, None, X, *kept, *weights[:2])
    zero = bptt.lstm_backward(G, torch.zeros_like(G), X, *kept, *weights[:2])
    assert_equal(none, zero)


@pytest.mark.parametrize(("ours", "torchs"), [(bptt.RNN, nn.RNN), (bptt.LSTM, nn.LSTM)])
def test_modules_return_the_last_state_of_every_layer(ours: Any, torchs: Any) -> None:  # noqa: ANN401
    """Three layers, two samples, seven steps: no two sizes that could be mistaken."""
    module = network(nn.RNN, 5, 4, 3)
    other = bptt.RNN(5, 4, 3, dtype=torch.float64)
    other.load_state_dict(module.state_dict())
    X = random(7, 2, 5, seed=1)
    assert_equal(other(X), module(X))
