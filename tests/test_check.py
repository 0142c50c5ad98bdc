"""The public checks: what is right passes, and each mistake is called by its name."""

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import bptt, cells, check
from rnn_companion.check import bptt as of_bptt
from rnn_companion.check import recurrence as of_recurrence

MODULES = (of_recurrence, of_bptt)


def catalogue() -> list[tuple[str, str, Callable[..., Any]]]:
    """List all known mistakes, with the check that must know them."""
    found = []
    for module in MODULES:
        for name in public(module):
            table = getattr(module, f"_{name.upper()}")
            found += [(name, said, wrong) for said, wrong in table.items()]
    return found


def public(module: ModuleType) -> list[str]:
    own = [n for n in check.__all__ if hasattr(module, n) and n != "Wrong"]
    return [n for n in own if getattr(module, n).__module__ == module.__name__]


def test_every_check_is_looked_at_here() -> None:
    assert sorted(n for m in MODULES for n in public(m)) == sorted(
        set(check.__all__) - {"Wrong"}
    )


@pytest.mark.parametrize(("name", "said", "wrong"), catalogue())
def test_a_known_mistake_is_named(
    name: str, said: str, wrong: Callable[..., Any]
) -> None:
    with pytest.raises(check.Wrong) as caught:
        getattr(check, name)(wrong)
    assert said in str(caught.value)


def torch_rnn(
    X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor
) -> Tensor:
    """Compute by torch.nn.RNN, which knows nothing of this book."""
    module = nn.RNN(X.shape[2], H_0.shape[1], bias=True, dtype=X.dtype)
    values = (W_xh, W_hh, b_h, torch.zeros_like(b_h))
    for parameter, value in zip(module.parameters(), values, strict=True):
        parameter.data = value
    states: Tensor = module(X, H_0[None])[0].detach()
    return states


def torch_step(X: Tensor, H: Tensor, *weights: Tensor) -> Tensor:
    return torch_rnn(X[None], H, *weights)[0]


def by_autograd(O: Tensor, Y: Tensor, H: Tensor, W_hq: Tensor) -> tuple[Tensor, ...]:
    """Differentiate torch's cross-entropy, at scores moved to where they are."""
    H, W = H.clone().requires_grad_(), W_hq.clone().requires_grad_()
    b = torch.zeros(len(W_hq), dtype=O.dtype, requires_grad=True)
    scores = H @ W.T + b
    scores = scores + (O - scores).detach()
    loss = nn.functional.cross_entropy(scores.flatten(0, 1), Y.flatten(0, 1))
    return torch.autograd.grad(loss, [W, b, H])


def deltas_by_autograd(G: Tensor, H: Tensor, W_hh: Tensor) -> Tensor:
    """Differentiate by a push at each pre-activation."""
    pushes = torch.zeros_like(G, requires_grad=True)
    A = torch.atanh(H[1:]) - H[:-1] @ W_hh.T  # all but the recurrence's share
    state, loss = H[0], torch.zeros((), dtype=G.dtype)
    for a, push, g in zip(A, pushes, G, strict=True):
        state = torch.tanh(a + state @ W_hh.T + push)
        loss = loss + (g * state).sum()
    return torch.autograd.grad(loss, pushes)[0]


def lags_by_autograd(G: Tensor, H: Tensor, W_hh: Tensor) -> Tensor:
    """Give each use of the weights its own copy, each loss its own sweep."""
    copies = [W_hh.clone().requires_grad_() for _ in G]
    A = torch.atanh(H[1:]) - H[:-1] @ W_hh.T
    state, shares = H[0], torch.zeros(len(G), *W_hh.shape, dtype=G.dtype)
    for t, (a, g) in enumerate(zip(A, G, strict=True)):
        state = torch.tanh(a + state @ copies[t].T)
        found = torch.autograd.grad(
            (g * state).sum(), copies[: t + 1], retain_graph=True
        )
        for i, share in enumerate(found):
            shares[t - i] += share
    return shares


def skill_in_words(forecast: Tensor, closes: Tensor) -> float:
    days = list(
        zip(forecast.tolist(), closes[:-1].tolist(), closes[1:].tolist(), strict=True)
    )
    ours = math.fsum((f - after) ** 2 for f, _, after in days)
    return 1 - ours / math.fsum((today - after) ** 2 for _, today, after in days)


RIGHT = {
    "rnn": torch_rnn,
    "rnn_step": torch_step,
    "skill": skill_in_words,
    "head_gradients": by_autograd,
    "deltas": deltas_by_autograd,
    "gradient_by_lag": lags_by_autograd,
}


@pytest.mark.parametrize("name", sorted(set(check.__all__) - {"Wrong"}))
def test_what_is_right_by_another_way_passes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    getattr(check, name)(RIGHT[name])
    assert capsys.readouterr().out == f"{name}: correct.\n"


def leaking() -> Callable[..., Tensor]:
    """Make a recurrence that goes on where its last batch ended."""
    kept: dict[str, Tensor] = {}

    def rnn(X: Tensor, H_0: Tensor, *weights: Tensor) -> Tensor:
        states = cells.rnn(X, kept.get("H", H_0), *weights)
        if len(states) == 6:
            kept["H"] = states[-1]
        return states

    return rnn


def in_place(X: Tensor, H: Tensor, *weights: Tensor) -> Tensor:
    return H.copy_(cells.rnn_step(X, H, *weights))


def unwritten(*arguments: Tensor) -> Tensor:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("name", "function", "said"),
    [
        ("rnn", leaking(), "something is kept from one call to the next"),
        ("rnn_step", in_place, "changes its argument number 2 in place"),
        ("rnn_step", unwritten, "is not written yet"),
        ("rnn_step", lambda *a: None, "is there a return?"),
        ("rnn_step", lambda *a: [1.0], "returns a list, not a tensor"),
        ("rnn_step", lambda X, H, *a: H[:, :1], "returns shape (5, 1), not (5, 4)"),
        ("rnn_step", lambda *a: 1 / 0, "raises ZeroDivisionError"),
        ("rnn_step", lambda X, H, *a: H * math.nan, "not finite"),
        ("rnn_step", lambda X, H, *a: H, "is off by as much as"),
        ("skill", lambda *a: "much", "returns a str that is no number"),
        ("deltas", torch.zeros(3), "give the function itself"),
        ("head_gradients", lambda *a: a[0], "returns no tuple of 3"),
    ],
)
def test_any_other_fault_is_told_in_words(
    name: str, function: Callable[..., Any], said: str
) -> None:
    with pytest.raises(check.Wrong) as caught:
        getattr(check, name)(function)
    assert said in str(caught.value)


def test_a_mistake_that_breaks_on_other_shapes_is_still_named() -> None:
    """W_xh without its transpose fails where d is not h; the square case tells why."""
    with pytest.raises(check.Wrong, match="W_xh is transposed"):
        check.rnn_step(lambda X, H, W, U, b: torch.tanh(X @ W + H @ U.T + b))


def test_the_diagnosis_is_all_that_jupyter_shows() -> None:
    assert check.Wrong("too big")._render_traceback_() == ["✗ too big"]


def test_the_shares_add_up_to_the_packages_gradient() -> None:
    G, H, W = of_bptt._delta_case(5, 3, 4)
    whole = bptt.rnn_backward(G, H[1:], H, W, W).W_hh
    torch.testing.assert_close(of_bptt._by_lag(G, H, W).sum(0), whole)
