"""The public checks: what is right passes, and each mistake is called by its name."""

import math
import statistics
from collections.abc import Callable
from importlib import import_module
from itertools import accumulate
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from rnn_companion import bptt, check, networks
from rnn_companion.check import bptt as of_bptt
from rnn_companion.claims import above
from tests.check.wrong import (
    WRONG,
    back,
    chosen,
    claimed,
    cut_up,
    descent,
    fifths,
    foretold,
    mean_square,
    moved,
    net,
    regression,
    third,
)

NAMES = (
    "recurrence",
    "bptt",
    "gradients",
    "lstm",
    "configurations",
    "forecasting",
    "memory",
    "clock",
    "text",
    "volatility",
    "optimizers",
    "network",
    "network_share",
    "honest",
)
CHECKS = sorted(set(dir(check)) - {"Wrong"})
MODULES = [import_module(f"rnn_companion.check.{name}") for name in NAMES]


def public(module: ModuleType) -> list[str]:
    own = [n for n in CHECKS if hasattr(module, n)]
    return [n for n in own if getattr(module, n).__module__ == module.__name__]


def test_every_check_is_looked_at_here() -> None:
    assert sorted(n for m in MODULES for n in public(m)) == CHECKS


def test_independent_wrong_functions_meet_every_diagnosis_once() -> None:
    """Those of a step, in `rnn` and `forward`, are met by the test below."""
    met = [(name, said) for name, _, part in WRONG for said in diagnoses(name, part)]
    of_step = diagnoses("rnn_step", "")
    steps = {(name, said) for name in ("rnn", "forward") for said in of_step}
    known = {(name, said) for name in CHECKS for said in diagnoses(name, "")}
    assert len(met) == len(set(met)) == len(WRONG)
    assert known - set(met) < steps


def diagnoses(name: str, part: str) -> list[str]:
    """List what a check can say that contains some words."""
    (module,) = (m for m in MODULES if name in public(m))
    return [said for said in getattr(module, f"_{name.upper()}") if part in said]


@pytest.mark.parametrize(("name", "wrong", "said"), WRONG)
def test_what_an_independent_function_gets_wrong_is_named(
    name: str, wrong: Callable[..., Any], said: str
) -> None:
    """Not from the checks' tables, so that a diagnosis in the wrong place is seen."""
    with pytest.raises(check.Wrong) as caught:
        getattr(check, name)(wrong)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(wrong, said) for name, wrong, said in WRONG if name == "rnn_step"],
)
def test_a_wrong_step_is_named_in_a_sequence_too(
    wrong: Callable[..., Tensor], said: str
) -> None:
    def run(X: Tensor, H_0: Tensor, *weights: Tensor) -> Tensor:
        states = accumulate(X, lambda H, x: wrong(x, H, *weights), initial=H_0)
        return torch.stack(list(states)[1:])

    with pytest.raises(check.Wrong) as caught:
        check.rnn(run)
    assert said in str(caught.value)

    def forward(X: Tensor, *p: Tensor) -> tuple[Tensor, Tensor]:
        H_0 = torch.zeros(X.shape[1], len(p[2]), dtype=X.dtype)
        H = torch.cat([H_0[None], run(X, H_0, *p[:3])])
        return H, H[1:] @ p[3].t() + p[4]

    if "the old state is missing" in said:
        said = "the states are not carried on"
    with pytest.raises(check.Wrong) as caught:
        check.forward(forward)
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


def state_jacobian(h_t: Tensor, W_hh: Tensor) -> Tensor:
    """Differentiate one step at its state, by autograd."""
    a = torch.atanh(h_t)
    jacobian: Tensor = torch.func.jacrev(lambda past: torch.tanh(a + W_hh @ past))(
        torch.zeros_like(h_t)
    )
    return jacobian


def penalty_by_autograd(g: Tensor, H: Tensor, W_hh: Tensor) -> float:
    ratios = [
        (row @ state_jacobian(h, W_hh)).norm() / row.norm()
        for row, h in zip(g[1:], H[1:], strict=True)
    ]
    return math.fsum((float(ratio) - 1) ** 2 for ratio in ratios)


def reach_by_autograd(W_hh: Tensor, H: Tensor) -> float:
    product = torch.linalg.multi_dot(
        [torch.eye(len(W_hh)).double()]
        + [state_jacobian(h, W_hh) for h in H[1:].flip(0)]
        + [torch.eye(len(W_hh)).double()]
    )
    return float(torch.linalg.svdvals(product)[0])


def days_one_by_one(norms: Tensor, share: float) -> int:
    values = norms.tolist()
    enough = (k for k in range(1, 99) if sum(values[:k]) >= share * sum(values))
    return next(enough)


def torch_lstm_step(
    X: Tensor, H: Tensor, C: Tensor, W: Tensor, U: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    cell = nn.LSTMCell(X.shape[1], H.shape[1], dtype=X.dtype)
    values = (W, U, b, torch.zeros_like(b))
    for parameter, value in zip(cell.parameters(), values, strict=True):
        parameter.data = value
    found: tuple[Tensor, Tensor] = cell(X, (H, C))
    return found[0].detach(), found[1].detach()


def cells_by_autograd(dH: Tensor, F: Tensor, O: Tensor, C: Tensor) -> Tensor:
    """Push at each cell state; dH holds totals, so the states pass on nothing else."""
    pushes = torch.zeros_like(C, requires_grad=True)
    written = torch.cat([C[:1], C[1:] - F[1:] * C[:-1]])
    state, loss = torch.zeros_like(C[0]), torch.zeros((), dtype=C.dtype)
    for f, w, push, o, g in zip(F, written, pushes, O, dH, strict=True):
        state = f * state + w + push
        loss = loss + (g * o * torch.tanh(state)).sum()
    return torch.autograd.grad(loss, pushes)[0]


def size_by_counting(d: int, h: int) -> int:
    def count(module: nn.Module) -> int:
        return sum(p.numel() for p in module.parameters())

    with torch.device("meta"):
        most, units = count(nn.LSTM(d, h)), h
        while count(nn.RNN(d, units + 1)) <= most:
            units += 1
    return units


def padded_by_packing(o: Tensor, y: Tensor, ends: Tensor) -> Tensor:
    pack = nn.utils.rnn.pack_padded_sequence
    out, target = (pack(part, ends, enforce_sorted=False).data for part in (o, y))
    return nn.functional.mse_loss(out, target)


def masked_by_selecting(outputs: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    return nn.functional.mse_loss(outputs[mask > 0], targets[mask > 0])


def windows_one_by_one(closes: Tensor, T: int) -> tuple[Tensor, Tensor]:
    starts = range(len(closes) - T)
    x = torch.stack([closes[k : k + T] for k in starts], dim=1)
    y = torch.stack([closes[k + 1 : k + T + 1] for k in starts], dim=1)
    return x, y


def errors_one_by_one(outputs: Tensor, targets: Tensor) -> Tensor:
    pairs = zip(outputs, targets, strict=True)
    return torch.stack([nn.functional.mse_loss(o, y) for o, y in pairs])


def constant_by_adding(training: Tensor, validation: Tensor) -> tuple[float, float]:
    values = training.tolist()
    constant = math.fsum(values) / len(values)
    held = [(v - constant) ** 2 for v in validation.tolist()]
    return constant, math.fsum(held) / len(held)


def standardized_by_statistics(closes: Tensor, training: int) -> Tensor:
    known = closes[:training].tolist()
    mean, deviation = statistics.fmean(known), statistics.pstdev(known)
    return torch.tensor(
        [(p - mean) / deviation for p in closes.tolist()], dtype=closes.dtype
    )


def hits_one_by_one(forecast: Tensor, closes: Tensor) -> float:
    p, f = closes.tolist(), forecast.tolist()
    up = [(f[k] > p[k] and p[k + 1] > p[k]) for k in range(len(f))]
    down = [(f[k] < p[k] and p[k + 1] < p[k]) for k in range(len(f))]
    return float(sum(up) + sum(down)) / len(f)


def palindromes_in_words(half: Tensor) -> tuple[Tensor, Tensor]:
    words = [row + row[::-1] for row in half.tolist()]
    read = torch.tensor([word[:-1] for word in words])
    return read.T, torch.tensor([word[-1] for word in words])


def biases_in_words(
    bias_ih: Tensor, bias_hh: Tensor, value: float
) -> tuple[Tensor, Tensor]:
    i, f, g, o = (bias_ih + bias_hh).chunk(4)
    return torch.cat([i, torch.full_like(f, value), g, o]), torch.zeros_like(bias_hh)


def gate_by_cases(t: Tensor, tau: Tensor, s: Tensor, r_on: Tensor) -> Tensor:
    phi = phase_by_steps(t, tau, s)
    roof = torch.minimum(2 * phi / r_on, 2 - 2 * phi / r_on)
    return roof.relu()


def phase_by_steps(t: Tensor, tau: Tensor, s: Tensor) -> Tensor:
    """Turn the clock on or back, a period at a time."""
    left = (t - s) / tau
    while ((left < 0) | (left >= 1)).any():
        left = left + (left < 0).double() - (left >= 1).double()
    return left


def open_one_by_one(days: int, tau: float, s: float, r_on: float) -> float:
    phases = [math.fmod(day - s + 100 * tau, tau) / tau for day in range(1, days + 1)]
    return sum(1e-9 < p < r_on - 1e-9 for p in phases) / days


def best_by_sorting(o: Tensor, k: int) -> Tensor:
    best = sorted(range(len(o)), key=lambda n: -o[n].item())[:k]
    weights = [math.exp(v) if n in best else 0.0 for n, v in enumerate(o.tolist())]
    return torch.tensor(weights, dtype=o.dtype) / math.fsum(weights)


def powers(o: Tensor, temperature: float) -> Tensor:
    p = o.softmax(0) ** (1 / temperature)
    return p / p.sum()


def letters_by_numpy(returns: Tensor, training: int) -> Tensor:
    bounds = np.quantile(returns[:training].numpy(), [0.2, 0.4, 0.6, 0.8])
    return torch.as_tensor(np.searchsorted(bounds, returns.numpy()))


def smoothed_by_pandas(y: Tensor, alpha: float) -> Tensor:
    levels = pd.Series(y.numpy()).ewm(alpha=alpha, adjust=False).mean()
    return torch.tensor(levels.tolist(), dtype=torch.float64)


def means_by_pandas(y: Tensor, days: int) -> Tensor:
    means = pd.Series(y.numpy()).rolling(days, min_periods=1).mean()
    return torch.tensor(means.tolist(), dtype=torch.float64)


def ranges_one_by_one(high: Tensor, low: Tensor) -> Tensor:
    pairs = zip(high.tolist(), low.tolist(), strict=True)
    widths = [math.log(h) - math.log(l) for h, l in pairs]
    return torch.tensor([w / 2 / math.log(2) ** 0.5 for w in widths], dtype=high.dtype)


def adam_by_torch(w: Tensor, g: Tensor, m: Tensor, v: Tensor, k: int) -> Any:  # noqa: ANN401
    parameter = nn.Parameter(w.clone())
    optimizer = torch.optim.Adam([parameter], lr=0.01)
    optimizer.state[parameter] = {
        "step": torch.tensor(float(k - 1)),
        "exp_avg": m.clone(),
        "exp_avg_sq": v.clone(),
    }
    parameter.grad = g.clone()
    optimizer.step()
    state = optimizer.state[parameter]
    return parameter.detach(), state["exp_avg"], state["exp_avg_sq"]


def momentum_by_torch(
    gradient: Callable[[Tensor], Tensor], w: Tensor, eta: float, mu: float, steps: int
) -> Tensor:
    parameter = nn.Parameter(w.clone())
    optimizer = torch.optim.SGD([parameter], lr=eta, momentum=mu)
    for _ in range(steps):
        parameter.grad = gradient(parameter.detach())
        optimizer.step()
    return parameter.detach()


def step_by_power(X: Tensor) -> float:
    """Find the largest curvature of the mean squared error by power iteration."""
    v = torch.ones(X.shape[1], dtype=X.dtype)
    for _ in range(3000):
        v = X.T @ (X @ v) / len(X)
        v = v / v.norm()
    return float(1 / (X @ v).square().mean())


RIGHT = {
    "adam_step": adam_by_torch,
    "with_momentum": momentum_by_torch,
    "longest_step": step_by_power,
    "forward": net,
    "squared_loss": mean_square,
    "backward": back,
    "numerical": lambda f, W, eps: moved(f, W, eps, lambda a, _, b, e: (a - b) / 2 / e),
    "truncated": back,
    "train": descent,
    "share_windows": cut_up,
    "three_parts": lambda s: fifths(s, 0, 3, 3, 4, 4, 5),
    "fit_ar": regression,
    "ar_forecasts": foretold,
    "choose_order": lambda *a: (lambda errors: errors[min(errors)])(chosen(*a)),
    "final_forecasts": third,
    "own_verdict": claimed(),
    "smooth": smoothed_by_pandas,
    "trailing_mean": means_by_pandas,
    "parkinson": ranges_one_by_one,
    "rnn": torch_rnn,
    "rnn_step": torch_step,
    "skill": skill_in_words,
    "head_gradients": by_autograd,
    "deltas": deltas_by_autograd,
    "gradient_by_lag": lags_by_autograd,
    "soft_constraint": penalty_by_autograd,
    "reach": reach_by_autograd,
    "days_back": days_one_by_one,
    "lstm_step": torch_lstm_step,
    "cell_gradients": cells_by_autograd,
    "rnn_size": size_by_counting,
    "simpler": lambda n: above(n.diff(dim=0).min().item(), 0, "rows"),
    "masked_loss": masked_by_selecting,
    "padded_loss": padded_by_packing,
    "aligned_windows": windows_one_by_one,
    "error_by_position": errors_one_by_one,
    "best_constant": constant_by_adding,
    "standardize": standardized_by_statistics,
    "hit_rate": hits_one_by_one,
    "palindrome_task": palindromes_in_words,
    "forget_bias": biases_in_words,
    "half_life": lambda f: 1 / -math.log2(f),
    "time_gate": gate_by_cases,
    "phase": phase_by_steps,
    "share_open": open_one_by_one,
    "top_k": best_by_sorting,
    "with_temperature": powers,
    "letters": letters_by_numpy,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHECKS)
def test_what_is_right_by_another_way_passes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    getattr(check, name)(RIGHT[name])
    assert capsys.readouterr().out == f"{name}: correct.\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (claimed(order=2), "the best on the third part, which must not choose"),
        (claimed(order=11), "another order has the least error"),
        (claimed(status="better"), "the status is not that of the verdict"),
        (claimed(p=0.5), "p is not that of the verdict"),
        (claimed(p="small"), "p is not that of the verdict"),
        (claimed(name=" "), "the name is empty"),
        ({"name": "Ada Example"}, "give name, order, skill"),
        (0.3, "give name, order, skill"),
    ],
)
def test_a_claim_that_is_not_so_is_told_by_which_slip(
    claim: Any,  # noqa: ANN401 - some are no mapping
    said: str,
) -> None:
    with pytest.raises(check.Wrong) as caught:
        check.own_verdict(claim)
    assert said in str(caught.value)


def test_what_a_function_calls_is_lent_to_it_and_given_back() -> None:
    """A wrong `backward` costs its own step, and stays the reader's own."""
    names: dict[str, Any] = {"torch": torch, "forward": None}
    source = """
def train(X, Y, rate, steps, *p):
    losses = []
    for _ in range(steps):
        H, O = forward(X, *p)
        L, dO = squared_loss(O, Y)
        losses.append(float(L))
        p = [w - rate * g for w, g in zip(p, backward(X, H, dO, p[1], p[3]))]
    return (*p, torch.tensor(losses, dtype=X.dtype))
"""
    exec(source, names)
    check.train(names["train"])
    assert names["forward"] is None
    assert "backward" not in names


def leaking() -> Callable[..., Tensor]:
    """Make a recurrence that goes on where its last batch ended."""
    kept: dict[str, Tensor] = {}

    def rnn(X: Tensor, H_0: Tensor, *weights: Tensor) -> Tensor:
        states = networks.rnn(X, kept.get("H", H_0), *weights)
        if len(states) == 6:
            kept["H"] = states[-1]
        return states

    return rnn


def in_place(X: Tensor, H: Tensor, *weights: Tensor) -> Tensor:
    return H.copy_(networks.rnn_step(X, H, *weights))


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
