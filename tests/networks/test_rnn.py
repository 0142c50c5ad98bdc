"""`networks` against torch's own recurrent networks, in float64."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rnn_companion import networks
from rnn_companion.gradients import cell_of
from tests.recurrences import network, random


@settings(deadline=None, max_examples=60)
@given(
    T=st.integers(1, 40),
    B=st.integers(1, 4),
    d=st.integers(1, 4),
    h=st.integers(1, 5),
    layers=st.integers(1, 3),
    start=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_rnn_is_torchs(
    T: int, B: int, d: int, h: int, layers: int, start: float, seed: int
) -> None:
    module = network(nn.RNN, d, h, layers, seed)
    X = random(T, B, d, seed=seed)
    H_0 = start * random(layers, B, h, seed=seed + 1)
    output, h_n = module(X, H_0)
    H = networks.stack(networks.rnn, X, H_0, networks.rnn_parameters(module))
    torch.testing.assert_close(H[-1], output, rtol=0, atol=1e-12)
    last = torch.stack([H_l[-1] for H_l in H])
    torch.testing.assert_close(last, h_n, rtol=0, atol=1e-12)


def test_one_sample_steps_in_columns() -> None:
    """`a_t = W_xh x_t + W_hh h_{t-1} + b_h` for one sample, without a batch."""
    W_xh, W_hh, b_h = random(4, 3), random(4, 4, seed=1), random(4, seed=2)
    x_t, h_prev = random(3, seed=3), random(4, seed=4)
    h_t = networks.rnn_step(x_t, h_prev, W_xh, W_hh, b_h)
    expected = torch.tanh(W_xh.mv(x_t) + W_hh.mv(h_prev) + b_h)
    torch.testing.assert_close(h_t, expected, rtol=0, atol=1e-14)


GOOD = {
    "X": (5, 2, 3),
    "H_0": (2, 4),
    "W_xh": (4, 3),
    "W_hh": (4, 4),
    "b_h": (4,),
}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("X", (5, 3)),
        ("X", (0, 2, 3)),
        ("W_xh", (4, 2)),
        ("W_hh", (4, 3)),
        ("b_h", (4, 1)),
        ("H_0", (4,)),
        ("H_0", (1, 4)),  # would broadcast without a word
    ],
)
def test_wrong_shapes_are_named(name: str, shape: tuple[int, ...]) -> None:
    arguments = {key: random(*size) for key, size in (GOOD | {name: shape}).items()}
    with pytest.raises(ValueError, match=rf"^{name} has shape"):
        networks.rnn(**arguments)


def test_what_is_expected_is_told_with_the_sizes_that_are_known() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        networks.rnn(**{k: random(*v) for k, v in (GOOD | {"X": (0, 2, 3)}).items()})
    said = "X has shape (0, 2, 3): expected (T, B, d), each at least 1"
    assert str(caught.value) == said
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        networks.rnn(**{k: random(*v) for k, v in (GOOD | {"H_0": (1, 4)}).items()})
    said = "H_0 has shape (1, 4): expected (B, h), where B = 2, h = 4"
    assert str(caught.value) == said


def test_a_stack_needs_a_state_for_each_layer() -> None:
    layers = networks.rnn_parameters(network(nn.RNN, 3, 4, 2))
    with pytest.raises(ValueError, match="2 layers"):
        networks.stack(networks.rnn, random(5, 2, 3), random(1, 2, 4), layers)


READERS: list[tuple[Callable[..., object], Callable[..., nn.RNNBase]]] = [
    (networks.rnn_parameters, nn.RNN),
    (networks.lstm_parameters, nn.LSTM),
    (networks.gru_parameters, nn.GRU),
    (cell_of, nn.RNN),
    (cell_of, nn.LSTM),
    (cell_of, nn.GRU),
]
OTHER_MODULES = [
    *(
        (read, kind, options, wanted)
        for read, kind in READERS
        for options, wanted in [
            ({"batch_first": True}, "batch_first=False"),
            ({"dropout": 0.5}, "dropout=0"),
            ({"bidirectional": True}, "bidirectional=False"),
            ({"bias": False}, "bias=True"),
        ]
    ),
    (networks.rnn_parameters, nn.RNN, {"nonlinearity": "relu"}, "nonlinearity='tanh'"),
    (cell_of, nn.RNN, {"nonlinearity": "relu"}, "nonlinearity='tanh'"),
    (networks.lstm_parameters, nn.LSTM, {"proj_size": 2}, "proj_size=0"),
    (cell_of, nn.LSTM, {"proj_size": 2}, "proj_size=0"),
]


@pytest.mark.parametrize(("read", "kind", "options", "wanted"), OTHER_MODULES)
def test_a_module_that_computes_something_else_is_refused(
    read: Callable[..., object],
    kind: Callable[..., nn.RNNBase],
    options: dict[str, Any],
    wanted: str,
) -> None:
    with pytest.raises(ValueError, match=rf"must be made with {wanted}$"):
        read(kind(3, 4, 2, **options))


@pytest.mark.parametrize("read", [read for read, _ in READERS[:3]])
@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_each_kind_of_module_is_read_by_its_own_function(
    read: Callable[..., object], kind: Callable[..., nn.RNNBase]
) -> None:
    if (read, kind) in READERS:
        assert read(kind(3, 4))
    else:
        with pytest.raises(ValueError, match=r"is no torch\.nn\.(RNN|LSTM|GRU)$"):
            read(kind(3, 4))
