"""The LSTM of `networks` and `bptt` against torch, autograd and finite differences."""

from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_companion import bptt, networks
from tests.recurrences import (
    assert_equal,
    assert_finite_difference,
    network,
    outputs_and_gradients,
    random,
)

Run = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def stacked(recurrence: Callable[..., tuple[Tensor, Tensor]], module: nn.LSTM) -> Run:
    """Return H of the last layer, and the last H and C of every layer."""

    def run(X: Tensor, H_0: Tensor, C_0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        layers = networks.lstm_parameters(module)
        states = networks.lstm_stack(recurrence, X, H_0, C_0, layers)
        h_n = torch.stack([H[-1] for H, _ in states])
        c_n = torch.stack([C[-1] for _, C in states])
        return states[-1][0], h_n, c_n

    return run


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(
    T=st.integers(1, 25),
    B=st.integers(1, 4),
    d=st.integers(1, 4),
    h=st.integers(1, 5),
    layers=st.integers(1, 3),
    start=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_outputs_states_and_all_gradients_are_torchs(
    T: int, B: int, d: int, h: int, layers: int, start: float, seed: int
) -> None:
    module = network(nn.LSTM, d, h, layers, seed)
    X = random(T, B, d, seed=seed)
    H_0 = start * random(layers, B, h, seed=seed + 1)
    C_0 = start * random(layers, B, h, seed=seed + 2)

    def torchs(X: Tensor, H_0: Tensor, C_0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output, (h_n, c_n) = module(X, (H_0, C_0))
        return output, h_n, c_n

    expected = outputs_and_gradients(torchs, module, X, H_0, C_0)
    for recurrence in (bptt.lstm, networks.lstm):
        run = stacked(recurrence, module)
        assert_equal(outputs_and_gradients(run, module, X, H_0, C_0), expected)


def layer(T: int = 6) -> list[Tensor]:
    """Return X, H_0, C_0, W_x, W_h, b with T, B, d, h = T, 2, 3, 4."""
    shapes = [(T, 2, 3), (2, 4), (2, 4), (16, 3), (16, 4), (16,)]
    return [0.5 * random(*s, seed=i) for i, s in enumerate(shapes)]


@pytest.mark.slow
@pytest.mark.parametrize("T", [1, 2, 6])
def test_gradcheck(T: int) -> None:
    arguments = tuple(a.requires_grad_() for a in layer(T))
    assert torch.autograd.gradcheck(bptt.lstm, arguments)


@pytest.mark.parametrize("index", range(6), ids=bptt.LSTMGradients._fields)
def test_gradients_are_finite_differences(index: int) -> None:
    """Central differences along a random direction, for each gradient on its own."""
    arguments = layer()
    G_H, G_C = random(6, 2, 4, seed=7), random(6, 2, 4, seed=9)

    def loss(*arguments: Tensor) -> Tensor:
        H, C = networks.lstm(*arguments)
        return (G_H * H + G_C * C).sum()

    X, _, _, W_x, W_h, _ = arguments
    kept = bptt.lstm_forward(*arguments)
    gradients = bptt.lstm_backward(G_H, G_C, X, *kept, W_x, W_h)
    assert_finite_difference(loss, arguments, gradients, index)


@pytest.mark.parametrize("which", ["H", "C"])
def test_a_loss_may_read_one_of_the_two_states_alone(which: str) -> None:
    found, expected = [
        torch.autograd.grad(
            dict(zip("HC", run(*arguments), strict=True))[which].square().sum(),
            arguments,
        )
        for run in (bptt.lstm, networks.lstm)
        for arguments in [[a.requires_grad_() for a in layer()]]
    ]
    assert_equal(found, expected)


def test_a_closed_cell_keeps_its_state_and_its_gradient() -> None:
    """With f = 1 and i = 0, dC_T/dC_0 along the cell is the identity (`eq-lstm-path`).

    At pre-activations of +-800 the gates are exactly 0 and 1 in float64.
    """
    X, H_0, C_0, W_x, W_h, _ = layer(50)
    b = torch.tensor([-800.0, 800.0, 0.0, 0.0]).repeat_interleave(4).double()
    C_0.requires_grad_()
    _, C = networks.lstm(X, H_0, C_0, 0 * W_x, 0 * W_h, b)
    torch.testing.assert_close(C[-1], C_0, rtol=0, atol=0)
    jacobian = torch.autograd.functional.jacobian(
        lambda c: networks.lstm(X, H_0, c, 0 * W_x, 0 * W_h, b)[1][-1], C_0.detach()
    )
    torch.testing.assert_close(
        jacobian.reshape(8, 8), torch.eye(8).double(), rtol=0, atol=0
    )


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("started", [False, True])
def test_the_module_replaces_torchs(layers: int, started: bool) -> None:
    """Same weights, same names, same answers, same gradients."""
    torchs = network(nn.LSTM, 3, 4, layers)
    ours = bptt.LSTM(3, 4, layers, dtype=torch.float64)
    ours.load_state_dict(torchs.state_dict())
    X, start = random(6, 2, 3), None
    if started:
        start = random(layers, 2, 4, seed=1), random(layers, 2, 4, seed=2)
    (H, last), (H_torch, last_torch) = ours(X, start), torchs(X, start)
    assert_equal([H, *last], [H_torch, *last_torch])

    def gradients(module: nn.LSTM, outputs: list[Tensor]) -> Sequence[Tensor]:
        loss = torch.stack([o.sin().sum() for o in outputs]).sum()
        return torch.autograd.grad(loss, list(module.parameters()))

    assert_equal(gradients(ours, [H, *last]), gradients(torchs, [H_torch, *last_torch]))


def test_the_second_derivative_is_refused() -> None:
    """The backward pass is not itself differentiable: better an error than a zero."""
    arguments = [a.requires_grad_() for a in layer()]
    H, _ = bptt.lstm(*arguments)
    (gradient,) = torch.autograd.grad((H**2).sum(), arguments[4], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(gradient.sum())


def test_one_sample_steps_in_columns() -> None:
    """The step also takes one sample; the equations of chapter 4 in columns."""
    W_x, W_h, b = random(16, 3), random(16, 4, seed=1), random(16, seed=2)
    x_t, h_prev, c_prev = random(3, seed=3), random(4, seed=4), random(4, seed=5)
    a_i, a_f, a_g, a_o = (W_x.mv(x_t) + W_h.mv(h_prev) + b).view(4, 4)
    c_t = a_f.sigmoid() * c_prev + a_i.sigmoid() * a_g.tanh()
    assert_equal(
        networks.lstm_step(x_t, h_prev, c_prev, W_x, W_h, b),
        [a_o.sigmoid() * c_t.tanh(), c_t],
    )


GOOD = {
    "X": (5, 2, 3),
    "H_0": (2, 4),
    "C_0": (2, 4),
    "W_x": (16, 3),
    "W_h": (16, 4),
    "b": (16,),
}


@pytest.mark.parametrize("run", [networks.lstm, bptt.lstm])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("X", (5, 3)),
        ("X", (0, 2, 3)),
        ("W_x", (16, 2)),
        ("W_x", (15, 3)),
        ("W_h", (16, 3)),
        ("b", (4,)),
        ("H_0", (4,)),
        ("C_0", (1, 4)),  # would broadcast without a word
    ],
)
def test_wrong_shapes_are_named(
    run: Callable[..., object], name: str, shape: tuple[int, ...]
) -> None:
    arguments = {key: random(*size) for key, size in (GOOD | {name: shape}).items()}
    with pytest.raises(ValueError, match=rf"^{name} has shape"):
        run(*arguments.values())


@pytest.mark.parametrize("name", ["H_0", "C_0"])
def test_a_stack_needs_a_state_for_each_layer(name: str) -> None:
    layers = networks.lstm_parameters(network(nn.LSTM, 3, 4, 2))
    start = {"H_0": random(2, 2, 4), "C_0": random(2, 2, 4)} | {name: random(1, 2, 4)}
    with pytest.raises(ValueError, match=f"^{name} .* 2 layers"):
        networks.lstm_stack(networks.lstm, random(5, 2, 3), layers=layers, **start)
