"""The hand-written gradients against autograd and finite differences."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_companion import bptt, networks, truncation
from tests.recurrences import (
    assert_equal,
    assert_finite_difference,
    network,
    outputs_and_gradients,
    random,
)


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    T=st.integers(1, 40),
    B=st.integers(1, 4),
    d=st.integers(1, 4),
    h=st.integers(1, 5),
    layers=st.integers(1, 3),
    start=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 2**31),
)
def test_outputs_and_all_gradients_are_torchs(
    T: int, B: int, d: int, h: int, layers: int, start: float, seed: int
) -> None:
    bound = 1 / h**0.5  # as torch draws them; larger ones let gradients explode
    module = network(nn.RNN, d, h, layers, seed, bound)
    X = random(T, B, d, seed=seed)
    H_0 = start * random(layers, B, h, seed=seed + 1)

    def stacked(recurrence: Callable[..., Tensor]) -> list[Tensor]:
        def run(X: Tensor, H_0: Tensor) -> tuple[Tensor, Tensor]:
            H = networks.stack(recurrence, X, H_0, networks.rnn_parameters(module))
            return H[-1], torch.stack([H_l[-1] for H_l in H])

        return outputs_and_gradients(run, module, X, H_0)

    expected = outputs_and_gradients(module, module, X, H_0)
    assert_equal(stacked(bptt.rnn), expected)
    assert_equal(stacked(networks.rnn), expected)


def layer(T: int = 6) -> tuple[Tensor, ...]:
    """Return X, H_0, W_xh, W_hh, b_h with T, B, d, h = T, 2, 3, 4."""
    shapes = [(T, 2, 3), (2, 4), (4, 3), (4, 4), (4,)]
    return tuple(0.5 * random(*s, seed=i) for i, s in enumerate(shapes))


@pytest.mark.parametrize("T", [1, 2, 6])
def test_gradcheck(T: int) -> None:
    arguments = tuple(a.requires_grad_() for a in layer(T))
    assert torch.autograd.gradcheck(bptt.rnn, arguments)


@pytest.mark.parametrize("index", range(5), ids=bptt.RNNGradients._fields)
def test_gradients_are_finite_differences(index: int) -> None:
    """Central differences along a random direction, for each gradient on its own."""
    arguments = layer()
    G = random(6, 2, 4, seed=7)

    def loss(*arguments: Tensor) -> Tensor:
        return (G * networks.rnn(*arguments)).sum()

    X, _, W_xh, W_hh, _ = arguments
    gradients = bptt.rnn_backward(G, X, bptt.rnn_forward(*arguments), W_xh, W_hh)
    assert_finite_difference(loss, arguments, gradients, index)


def test_each_of_torchs_two_biases_gets_the_gradient_of_their_sum() -> None:
    module = network(nn.RNN, 3, 4, 1)
    parameters = networks.rnn_parameters(module)
    H = networks.stack(bptt.rnn, random(5, 2, 3), random(1, 2, 4), parameters)[-1]
    biases = [module.get_parameter("bias_ih_l0"), module.get_parameter("bias_hh_l0")]
    a, b, total = torch.autograd.grad((H**2).sum(), [*biases, parameters[0].b_h])
    torch.testing.assert_close(a, total, rtol=0, atol=0)
    torch.testing.assert_close(b, total, rtol=0, atol=0)


def test_the_second_derivative_is_refused() -> None:
    """The backward pass is not itself differentiable: better an error than a zero."""
    arguments = [a.requires_grad_() for a in layer()]
    H = bptt.rnn(*arguments)
    (gradient,) = torch.autograd.grad((H**2).sum(), arguments[3], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        torch.autograd.backward(gradient.sum())


def test_wrong_shapes_are_named() -> None:
    X, H_0, W_xh, W_hh, b_h = layer()
    with pytest.raises(ValueError, match=r"^H_0 has shape \(1, 4\)"):
        bptt.rnn(X, H_0[:1], W_xh, W_hh, b_h)


RNN = {"G": (6, 2, 4), "X": (6, 2, 3), "H": (7, 2, 4), "W_xh": (4, 3), "W_hh": (4, 4)}
LSTM = {
    **{"G_H": (6, 2, 4), "G_C": (6, 2, 4), "X": (6, 2, 3), "H": (7, 2, 4)},
    **{"C": (7, 2, 4), "S": (6, 2, 16), "W_x": (16, 3), "W_h": (16, 4)},
}
GRU = {
    **{"G": (6, 2, 4), "X": (6, 2, 3), "H": (7, 2, 4)},
    **{"S": (6, 2, 12), "M": (6, 2, 4), "W_x": (12, 3), "W_h": (12, 4)},
}


@pytest.mark.parametrize(
    ("backward", "good"),
    [
        (bptt.rnn_backward, RNN),
        (bptt.lstm_backward, LSTM),
        (bptt.gru_backward, GRU),
        (truncation.truncated_backward, {**RNN, "xi": (6,)}),
        (partial(truncation.sliding_backward, tau=2), RNN),
    ],
    ids=["rnn", "lstm", "gru", "truncated", "sliding"],
)
def test_a_backward_pass_names_what_does_not_fit(
    backward: Callable[..., object], good: dict[str, tuple[int, ...]]
) -> None:
    """Another length or batch would broadcast, or be cut, to wrong numbers."""
    assert backward(**{name: random(*size) for name, size in good.items()})
    for name, size in good.items():
        for axis in range(len(size)):
            if name == "X" and axis < 2:
                continue  # X tells the length and the batch to all others
            for n in (size[axis] - 1, size[axis] + 1, 1):
                wrong = (*size[:axis], n, *size[axis + 1 :])
                arguments = {k: random(*v) for k, v in (good | {name: wrong}).items()}
                with pytest.raises(ValueError, match=r"^\w+ has shape .*: expected \("):
                    backward(**arguments)
    arguments = {k: random(*v) for k, v in good.items()}
    first = next(iter(good))
    with pytest.raises(ValueError, match=rf"^{first} has shape \(5, 2, 4\): expected"):
        backward(**{**arguments, first: arguments[first][1:]})
    with pytest.raises(ValueError, match=rf"^{first} has shape \(6, 1, 4\): expected"):
        backward(**{**arguments, first: arguments[first][:, 1:]})


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("start", [None, 1.0])
def test_the_module_replaces_torchs(layers: int, start: float | None) -> None:
    """Same weights, same names, same answers, same gradients."""
    torchs = network(nn.RNN, 3, 4, layers)
    ours = bptt.RNN(3, 4, layers, dtype=torch.float64)
    ours.load_state_dict(torchs.state_dict())
    X = random(6, 2, 3)
    H_0 = None if start is None else start * random(layers, 2, 4)
    answers = []
    for module in (ours, torchs):
        H, h_n = module(X, H_0)
        loss = H.sin().sum() + (h_n**2).sum()
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        answers.append([H, h_n, *gradients])
    assert_equal(*answers)
