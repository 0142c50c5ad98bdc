"""The GRU of `networks` and `bptt` against torch, autograd and finite differences."""

from collections.abc import Callable

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
def test_outputs_and_all_gradients_are_torchs(
    T: int, B: int, d: int, h: int, layers: int, start: float, seed: int
) -> None:
    module = network(nn.GRU, d, h, layers, seed)
    X = random(T, B, d, seed=seed)
    H_0 = start * random(layers, B, h, seed=seed + 1)

    def stacked(recurrence: Callable[..., Tensor]) -> list[Tensor]:
        def run(X: Tensor, H_0: Tensor) -> tuple[Tensor, Tensor]:
            H = networks.stack(recurrence, X, H_0, networks.gru_parameters(module))
            return H[-1], torch.stack([H_l[-1] for H_l in H])

        return outputs_and_gradients(run, module, X, H_0)

    expected = outputs_and_gradients(module, module, X, H_0)
    assert_equal(stacked(bptt.gru), expected)
    assert_equal(stacked(networks.gru), expected)


def layer(T: int = 6) -> list[Tensor]:
    """Return X, H_0, W_x, W_h, b, b_hn with T, B, d, h = T, 2, 3, 4."""
    shapes = [(T, 2, 3), (2, 4), (12, 3), (12, 4), (12,), (4,)]
    return [0.5 * random(*s, seed=i) for i, s in enumerate(shapes)]


@pytest.mark.parametrize("T", [1, 2, 6])
def test_gradcheck(T: int) -> None:
    arguments = tuple(a.requires_grad_() for a in layer(T))
    assert torch.autograd.gradcheck(bptt.gru, arguments)


@pytest.mark.parametrize("index", range(6), ids=bptt.GRUGradients._fields)
def test_gradients_are_finite_differences(index: int) -> None:
    """Central differences along a random direction, for each gradient on its own."""
    arguments = layer()
    G = random(6, 2, 4, seed=7)

    def loss(*arguments: Tensor) -> Tensor:
        return (G * networks.gru(*arguments)).sum()

    X, _, W_x, W_h, *_ = arguments
    kept = bptt.gru_forward(*arguments)
    gradients = bptt.gru_backward(G, X, *kept, W_x, W_h)
    assert_finite_difference(loss, arguments, gradients, index)


def test_the_textbooks_form_by_the_letter() -> None:
    """`eq-gru-before`, one unit and one step, in plain numbers."""
    W_x, W_h, b = random(3, 1), random(3, 1, seed=1), random(3, seed=2)
    x, h = 0.7, -0.4
    a = W_x.squeeze() * x + b
    r = torch.sigmoid(a[0] + W_h[0, 0] * h)
    z = torch.sigmoid(a[1] + W_h[1, 0] * h)
    n = torch.tanh(a[2] + W_h[2, 0] * (r * h))
    found = networks.gru_textbook(
        torch.tensor([[[x]]], dtype=b.dtype),
        torch.tensor([[h]], dtype=b.dtype),
        W_x,
        W_h,
        b,
    )
    torch.testing.assert_close(found.squeeze(), (1 - z) * n + z * h, rtol=0, atol=1e-15)


def test_the_two_forms_agree_for_one_unit_and_for_no_reset_and_else_differ() -> None:
    """Scalars commute: r (W h) = W (r h). Matrices do not, unless r is 1."""
    X, H_0, W_x, W_h, b, _ = layer()
    zero = torch.zeros(4).double()

    def forms(W_h: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return (
            networks.gru(X, H_0, W_x, W_h, b, zero),
            networks.gru_textbook(X, H_0, W_x, W_h, b),
        )

    torchs, textbook = forms(W_h, b)
    assert (torchs - textbook).norm() > 0.01 * torchs.norm()
    open_reset = b + torch.tensor([800.0, 0, 0]).double().repeat_interleave(4)
    assert_equal(*[[form] for form in forms(W_h, open_reset)])
    diagonal = W_h * torch.eye(4).double().repeat(3, 1)
    assert_equal(*[[form] for form in forms(diagonal, b)])


def test_the_candidates_hidden_bias_cannot_be_moved_out() -> None:
    """Torch's second bias of n stands inside the reset gate's bracket."""
    X, H_0, W_x, W_h, b, b_hn = layer()
    moved = torch.cat([b[:8], b[8:] + b_hn])
    inside = networks.gru(X, H_0, W_x, W_h, b, b_hn)
    outside = networks.gru(X, H_0, W_x, W_h, moved, torch.zeros_like(b_hn))
    assert (inside - outside).norm() > 0.01 * inside.norm()


GOOD = {
    "X": (5, 2, 3),
    "H_0": (2, 4),
    "W_x": (12, 3),
    "W_h": (12, 4),
    "b": (12,),
    "b_hn": (4,),
}


@pytest.mark.parametrize("run", [networks.gru, bptt.gru])
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("X", (5, 3)),
        ("W_x", (12, 2)),
        ("W_x", (11, 3)),
        ("W_h", (12, 3)),
        ("b", (4,)),
        ("b_hn", (1,)),  # would broadcast without a word
        ("H_0", (1, 4)),
    ],
)
def test_wrong_shapes_are_named(
    run: Callable[..., object], name: str, shape: tuple[int, ...]
) -> None:
    arguments = {key: random(*size) for key, size in (GOOD | {name: shape}).items()}
    with pytest.raises(ValueError, match=rf"^{name} has shape"):
        run(*arguments.values())
