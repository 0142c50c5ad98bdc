"""What the recurrences promise beside agreeing with torch's: equations in numbers."""

import math
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import networks
from rnn_companion.networks.graph import direct_dependences, roll
from tests.recurrences import assert_equal, network, random


def number(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def logistic(a: float) -> float:
    return 1 / (1 + math.exp(-a))


# GRU


def gru_layer(d: int = 3, h: int = 4) -> list[Tensor]:
    """Return W_x, W_h, b, b_hn."""
    return [
        random(3 * h, d),
        random(3 * h, h, seed=1),
        random(3 * h, seed=2),
        random(h, seed=3),
    ]


def test_the_textbook_gru_by_the_letter_for_several_units() -> None:
    """`eq-gru-before`: r, z and n of each unit as sums over units, in plain numbers."""
    W_x, W_h, b, _ = (W.tolist() for W in gru_layer())
    X, h_prev = random(2, 1, 3, seed=4), random(1, 4, seed=5)
    found = networks.gru_textbook(X, h_prev, *gru_layer()[:3])
    before: list[float] = h_prev[0].tolist()
    for x, H in zip(X[:, 0].tolist(), found[:, 0], strict=True):

        def sums(row: int, state: list[float], x: list[float] = x) -> float:
            read = sum(w * value for w, value in zip(W_x[row], x, strict=True))
            kept = sum(w * value for w, value in zip(W_h[row], state, strict=True))
            return float(read + kept + b[row])

        r = [logistic(sums(j, before)) for j in range(4)]
        z = [logistic(sums(4 + j, before)) for j in range(4)]
        reset = [r_j * h_j for r_j, h_j in zip(r, before, strict=True)]
        n = [math.tanh(sums(8 + j, reset)) for j in range(4)]
        before = [(1 - z[j]) * n[j] + z[j] * before[j] for j in range(4)]
        torch.testing.assert_close(H, number(*before), rtol=0, atol=1e-13)


def test_a_gru_step_takes_one_sample_or_a_batch_in_rows() -> None:
    x, h_prev = random(5, 3, seed=4), random(5, 4, seed=5)
    batch = networks.gru_step(x, h_prev, *gru_layer())
    cell = nn.GRUCell(3, 4, dtype=torch.float64)
    W_x, W_h, b, b_hn = gru_layer()
    second = torch.cat([torch.zeros(8).double(), b_hn])
    with torch.no_grad():
        for parameter, value in zip(
            cell.parameters(), (W_x, W_h, b, second), strict=True
        ):
            parameter.copy_(value)
    for n in range(5):
        one = networks.gru_step(x[n], h_prev[n], *gru_layer())
        assert_equal([one, batch[n]], [cell(x[n], h_prev[n])] * 2)


def test_an_lstm_step_takes_one_sample_or_a_batch_in_rows() -> None:
    x, h_prev, c_prev = random(5, 3), random(5, 4, seed=1), random(5, 4, seed=2)
    weights = random(16, 3, seed=3), random(16, 4, seed=4), random(16, seed=5)
    batch = networks.lstm_step(x, h_prev, c_prev, *weights)
    for n in range(5):
        one = networks.lstm_step(x[n], h_prev[n], c_prev[n], *weights)
        assert_equal(one, [states[n] for states in batch])


# Shapes


@pytest.mark.parametrize("shape", [(2, 4), (2, 1, 2, 4), (3, 2, 4)])
def test_a_stack_starts_from_one_state_a_layer_and_names_another(
    shape: tuple[int, ...],
) -> None:
    """Two layers: neither two rows, nor a fourth axis, nor three layers will do."""
    X, wrong, fits = random(5, 2, 3), random(*shape), random(2, 2, 4)
    rnn = networks.rnn_parameters(network(nn.RNN, 3, 4, 2))
    lstm = networks.lstm_parameters(network(nn.LSTM, 3, 4, 2))
    size = re.escape(str(shape))
    expected = rf"has shape {size}: expected \(layers, B, h\) with 2 layers$"
    with pytest.raises(ValueError, match=rf"^H_0 {expected}"):
        networks.stack(networks.rnn, X, wrong, rnn)
    with pytest.raises(ValueError, match=rf"^H_0 {expected}"):
        networks.lstm_stack(networks.lstm, X, wrong, fits, lstm)
    with pytest.raises(ValueError, match=rf"^C_0 {expected}"):
        networks.lstm_stack(networks.lstm, X, fits, wrong, lstm)


def test_a_wrong_shape_is_named_with_the_one_expected() -> None:
    layer = random(4, 3), random(4, 4), random(4)
    with pytest.raises(
        ValueError,
        match=r"^H_0 has shape \(1, 4\): expected \(B, h\), where B = 2, h = 4$",
    ):
        networks.rnn(random(5, 2, 3), random(1, 4), *layer)
    with pytest.raises(
        ValueError, match=r"^X has shape \(2, 3\): expected \(T, B, d\)"
    ):
        networks.rnn(random(2, 3), random(2, 4), *layer)
    with pytest.raises(ValueError, match=r"^W_h has shape \(12, 4\): expected \(4h, h"):
        networks.lstm(
            random(5, 2, 3),
            random(2, 4),
            random(2, 4),
            random(16, 3),
            random(12, 4),
            random(16),
        )
    with pytest.raises(ValueError, match=r"^b has shape \(16,\): expected \(3h"):
        networks.gru(
            random(5, 2, 3),
            random(2, 4),
            random(12, 3),
            random(12, 4),
            random(16),
            random(4),
        )


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_one_step_of_one_sample_with_one_input_and_one_unit_fits(
    kind: Callable[..., nn.RNNBase],
) -> None:
    module = network(kind, 1, 1, 1)
    X, start = random(1, 1, 1), random(1, 1, 1, seed=1)
    if isinstance(module, nn.LSTM):
        layers = networks.lstm_parameters(module)
        found = networks.lstm_stack(networks.lstm, X, start, start, layers)[0][0]
        expected = module(X, (start, start))[0]
    elif isinstance(module, nn.GRU):
        gru = networks.gru_parameters(module)
        found = networks.stack(networks.gru, X, start, gru)[0]
        expected = module(X, start)[0]
    else:
        assert isinstance(module, nn.RNN)
        rnn = networks.rnn_parameters(module)
        found = networks.stack(networks.rnn, X, start, rnn)[0]
        expected = module(X, start)[0]
    assert_equal([found], [expected])


# The time gate


@pytest.mark.parametrize(
    ("tau", "r_on", "message"),
    [
        ((5.0, -2.0), (0.5, 0.5), "tau must be positive, got -2: a period"),
        ((5.0, 0.0), (0.5, 0.5), "tau must be positive, got 0: a period"),
        ((5.0, 5.0), (0.5, 1.5), "r_on must lie between 0 and 1, got 1.5: a share"),
        ((5.0, 5.0), (0.0, 0.5), "r_on must lie between 0 and 1, got 0: a share"),
    ],
)
def test_one_unit_out_of_its_domain_is_enough(
    tau: tuple[float, ...], r_on: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        networks.time_gate(number(1), number(*tau), number(0, 0), number(*r_on))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_closed_gate_leaks_alpha_times_the_phase(alpha: float) -> None:
    """`eq-gate-k`, closed: k = alpha phi; no leak and a full one are both allowed."""
    t = number(2.5, 3.0, 3.9)
    k = networks.time_gate(t, number(4), number(0), number(0.5), alpha)
    assert_equal([k], [alpha * t / 4])
    assert networks.time_gate(t[:1], number(4), number(0), number(0.5)) == 0  # default


def test_the_layers_leak_is_none_by_default() -> None:
    weights = random(16, 3), random(16, 4), random(16)
    X, start = random(5, 2, 3), random(2, 4)
    clock = 4 * torch.ones(4).double(), 0 * random(4), 0.5 + 0 * random(4)
    times = 4 * torch.arange(5).double() + 3  # phi = 3/4: closed
    H, C = networks.phased_lstm(X, times, start, start, *weights, *clock)
    assert torch.equal(H, start.expand(5, 2, 4))
    assert torch.equal(C, H)


# The drawn graph


def test_the_graph_has_three_steps_unless_told_otherwise() -> None:
    assert direct_dependences() == direct_dependences(3)


def test_rolling_up_forgets_the_steps_and_keeps_the_delay() -> None:
    """An edge from step s to step t > s has the delay t - s; parameters have none."""
    parents: dict[tuple[str, int | None], tuple[tuple[str, int | None], ...]] = {
        ("a", 5): (("a", 4), ("b", 5), ("c", 2), ("W", None)),
        ("L", None): (("a", 5),),
    }
    assert roll(parents) == {("a", "a", 1), ("b", "a", 0), ("c", "a", 3)}


# Shapes


def test_the_first_tensor_that_has_a_size_sets_it() -> None:
    """Also where the size stands with a factor or with one more."""

    @networks.shapes(H="T+1 B", W="3h", X="T h")
    def takes(H: Tensor, W: Tensor, X: Tensor) -> bool:
        return True

    H, W = torch.zeros(6, 2), torch.zeros(12)
    assert takes(H, W, torch.zeros(5, 4))
    for T, h in ((6, 4), (5, 12), (7, 4)):
        message = rf"^X has shape \({T}, {h}\): expected \(T, h\), where T = 5, h = 4$"
        with pytest.raises(ValueError, match=message):
            takes(H, W, torch.zeros(T, h))
