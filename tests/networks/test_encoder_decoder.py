"""`encoder_decoder` against torch's networks, step by step."""

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import Forecaster, Layout, networks
from tests.recurrences import network, random


def both(
    T: int, K: int, *, forced: bool = False, same: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return inputs, targets, outputs and those of torch's two networks."""
    reads, writes = (network(nn.RNN, 2, 4, 1, seed) for seed in (0, 0 if same else 1))
    W_hq, b_q = random(2, 4, seed=2), random(2, seed=3)
    X = random(T, 3, 2, seed=4).requires_grad_()
    Y = random(K, 3, 2, seed=5).requires_grad_()
    ours = networks.encoder_decoder(
        X,
        K,
        networks.rnn_parameters(reads)[0],
        networks.rnn_parameters(writes)[0],
        W_hq,
        b_q,
        Y if forced else None,
    )
    state = reads(X[:-1])[1] if T > 1 else torch.zeros(1, 3, 4, dtype=X.dtype)
    read, theirs = X[-1:], []
    for k in range(K):
        H, state = writes(read, state)
        theirs.append(nn.functional.linear(H[0], W_hq, b_q))
        read = Y[k : k + 1] if forced else theirs[-1][None]
    return X, Y, ours, torch.stack(theirs)


@pytest.mark.parametrize("forced", [False, True])
@pytest.mark.parametrize(("T", "K"), [(1, 1), (1, 3), (4, 1), (5, 4)])
def test_it_is_two_of_torchs_networks_in_turn(T: int, K: int, forced: bool) -> None:
    _, _, ours, theirs = both(T, K, forced=forced)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_with_one_set_of_weights_it_is_the_shifted_configuration() -> None:
    layout = Layout("many-to-many-shifted", 6, horizon=3)
    model = Forecaster("rnn", layout, hidden_size=5).double()
    assert isinstance(model.cell, nn.RNN)
    (layer,) = networks.rnn_parameters(model.cell)
    X = random(6, 4, 1)
    head = model.head.weight, model.head.bias
    ours = networks.encoder_decoder(X, 3, layer, layer, *head)
    torch.testing.assert_close(ours, model(X), rtol=0, atol=1e-12)


def test_teacher_forcing_cuts_the_way_through_the_outputs() -> None:
    """`eq-conf-mixed`: the last output depends on the targets read before it."""
    _, Y, forced, _ = both(3, 3, forced=True)
    (slope,) = torch.autograd.grad(forced[-1].sum(), Y)
    assert slope[:-1].abs().min() > 0
    assert slope[-1].abs().max() == 0  # the last target is never read
    _, Y, own, _ = both(3, 3)
    (slope,) = torch.autograd.grad(
        own.sum(), Y, allow_unused=True, materialize_grads=True
    )
    assert slope.abs().max() == 0


def test_what_cannot_be_written_is_refused() -> None:
    (layer,) = networks.rnn_parameters(network(nn.RNN, 2, 4, 1, 0))
    W_hq, b_q = random(2, 4), random(2)
    with pytest.raises(ValueError, match="K must be at least 1, got 0"):
        networks.encoder_decoder(random(3, 2, 2), 0, layer, layer, W_hq, b_q)
    with pytest.raises(ValueError, match="W_hq has shape"):
        networks.encoder_decoder(random(3, 2, 2), 1, layer, layer, random(3, 4), b_q)
