"""Claims of chapter 2: what the sources say."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.functional import jacobian
from torch.utils.flop_counter import FlopCounterMode

from rnn_companion.claims import (
    Finding,
    above,
    below,
    claim,
    equal,
    every,
    swapped,
)
from rnn_companion.gradients import bptt

from ._bptt import D, H, Network, Pair, T, derivatives, loss, missed, network, states


def by_autograd(
    name: str, net: Network, act: Callable[[Tensor], Tensor] = torch.tanh
) -> Tensor:
    """Differentiate the loss by one of the network's tensors."""
    leaf = getattr(net, name).clone().requires_grad_()
    found: Tensor
    (found,) = torch.autograd.grad(loss(net._replace(**{name: leaf}), act), leaf)
    return found


class Arriving(NamedTuple):
    """What arrives at the outputs, the states, the pre-activations, (T, ...)."""

    outputs: Tensor
    states: Tensor
    sums: Tensor
    H: Tensor  # the states from h_0 on, (T+1, h)


def arriving(act: Callable[[Tensor], Tensor] = torch.tanh) -> Arriving:
    """Let autograd find the gradients by outputs, states and pre-activations."""
    net, h = network(), network().start
    kept: list[list[Tensor]] = [[], [], []]
    H = [h]
    for x in net.X:
        a = (net.W @ x + net.U @ h + net.b).requires_grad_()
        h = act(a)
        o = net.V @ h
        for row, value in zip(kept, (o, h, a), strict=True):
            row.append(value)
        H.append(h)
    L = (torch.stack(kept[0]) - net.Y).square().mean()
    found = [
        torch.stack(torch.autograd.grad(L, row, retain_graph=True)) for row in kept
    ]
    outputs, hidden, sums = found
    return Arriving(outputs, hidden, sums, torch.stack(H).detach())


@cache
def appendix() -> dict[str, float]:
    """Put lines (24) and (25) together, with total and with direct derivatives."""
    direct, total, J = derivatives()
    second, right = J[-1] @ J[-2], total[-1]
    return {
        "(24)": missed(direct[-1] + J[-1] @ direct[-2] + second @ total[-3], right),
        "(25), total": missed(
            total[-1] + J[-1] @ total[-2] + second @ total[-3], right
        ),
        "(25), direct": missed(
            direct[-1] + J[-1] @ direct[-2] + second @ direct[-3], right
        ),
    }


@claim(
    on=appendix,
    planted=[lambda m: m | {"(24)": m["(25), total"], "(25), total": m["(24)"]}],
)
def bptt_last_right_line(misses: dict[str, float]) -> Finding:
    """So (24) is the last right line of that appendix."""
    ran = f"the derivative of h_T by W_hh, {H} units, T = {T}"
    wrong = min(misses["(25), total"], misses["(25), direct"])
    return every(
        below(misses["(24)"], 1e-12, f"{ran}: the miss of (24)"),
        above(wrong, 0.05, f"{ran}: the miss of (25), read either way"),
    )


def without_mean() -> dict[str, Tensor]:
    """Take (6) and (8) with the derivative of each step's own loss."""
    net, found = network(), arriving()
    own = T * found.outputs  # dl_t/do_t
    _, total, _ = derivatives()
    return {
        "(6)": own.T @ found.H[1:],
        "(6), right": by_autograd("V", net),
        "(8)": sum(
            (o @ net.V @ D for o, D in zip(own, total, strict=True)),
            own.new_zeros(H * H),
        ),
        "(8), right": by_autograd("U", net).flatten(),
    }


@claim(on=without_mean, planted=[lambda m: m | {"(8)": m["(8)"] / T}])
def bptt_lost_factor(made: dict[str, Tensor]) -> Finding:
    r"""A miss of $T - 1$ is a factor $T$: the $1/T$ of the loss is lost in (8), and in
    (6) if $\partial L$ is read as the derivative of one step's loss.
    """
    ran = f"(6) and (8) with the derivative of each step's own loss, T = {T}"
    return every(
        *(
            equal(made[n], T * made[f"{n}, right"], f"{ran}: {n}")
            for n in ("(6)", "(8)")
        )
    )


def linear(a: Tensor) -> Tensor:
    return a.clone()


def seven() -> dict[str, float]:
    """Take (7) with an outer product, for two activations, and by a local derivative."""
    found = {}
    acts: dict[str, Callable[[Tensor], Tensor]] = {"a": linear, "tanh": torch.tanh}
    for name, act in acts.items():
        right, a = by_autograd("W", network(), act), arriving(act)
        found[name] = missed(a.states.T @ network().X, right)
    a = arriving()
    local = (1 - a.H[1:] ** 2) * (a.outputs @ network().V)
    found["local"] = missed(local.T @ network().X, by_autograd("W", network()))
    total = (1 - a.H[1:] ** 2) * a.states
    found["total"] = missed(total.T @ network().X, by_autograd("W", network()))
    return found


@claim(
    on=seven,
    planted=[
        lambda m: m | {"a": m["tanh"], "tanh": m["a"]},
        lambda m: m | {"local": m["total"], "total": m["local"]},
    ],
)
def bptt_seven_needs_slope(misses: dict[str, float]) -> Finding:
    r"""And (7) is right for $\phi(a) = a$, the example of its textbook, and wrong for
    tanh; it also needs the *total* derivative by $h_t$, for which the report has no
    recursion.
    """
    ran = f"(7) with an outer product, {H} units, T = {T}: the miss"
    return every(
        below(misses["a"], 1e-12, f"{ran} for a linear network"),
        above(misses["tanh"], 0.1, f"{ran} for tanh"),
        below(misses["total"], 1e-12, f"{ran} with the slope and the total derivative"),
        above(misses["local"], 0.1, f"{ran} with the slope and the local one"),
    )


def notes_backward() -> dict[str, Tensor]:
    """Take the notes' two gradients as printed, and both of autograd's."""
    net, a = network(), arriving()
    delta = (1 - a.H[1:] ** 2) * a.states
    return {
        "grad W": delta.T @ a.H[:-1],
        "grad U": delta.T @ net.X,
        "W": by_autograd("W", net),
        "U": by_autograd("U", net),
    }


def letters_kept(made: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let the notes print each gradient under its own letter."""
    return made | {"grad W": made["grad U"], "grad U": made["grad W"]}


@claim(on=notes_backward, planted=[letters_kept])
def bptt_letters_exchanged(made: dict[str, Tensor]) -> Finding:
    """**The lecture notes** {cite}`artemov2018` use $W$ for the inputs and $U$ for the
    recurrence when they go forward, and the other way round when they go backward.
    """
    ran = "what is printed as grad W and grad U, against autograd's by U and by W"
    return every(
        equal(made["grad W"], made["U"], ran), equal(made["grad U"], made["W"], ran)
    )


def at_zero() -> Pair:
    """Take the outer product of the error at step 0 with h_0 = 0, and the gradient."""
    net = network()._replace(start=torch.zeros(H, dtype=torch.float64))
    return torch.outer(by_autograd("start", net), net.start), by_autograd("U", net)


@claim(on=at_zero, planted=[swapped])
def bptt_nothing_through_the_start(pair: Pair) -> Finding:
    """With the usual start, $h^{(0)} = 0$, its gradient is zero and $W_{hh}$ would not
    change.
    """
    ran = "the gradient taken at step 0 alone"
    return every(
        equal(pair[0], torch.zeros(H, H), ran),
        above(float(pair[1].norm()), 1e-3, "the whole gradient's norm, by autograd"),
    )


def softmax_steps() -> dict[str, Tensor]:
    """Put in the printed denominator, the result, and autograd's Jacobian."""
    o = torch.tensor([0.4, -0.2, 1.1], dtype=torch.float64)
    E, p = o.exp(), o.softmax(0)
    numerators = torch.diag(E) * E.sum() - torch.outer(E, E)
    return {
        "steps": numerators / (E**2).sum(),
        "result": torch.diag(p) - torch.outer(p, p),
        "right": jacobian(lambda o: o.softmax(0), o),
    }


@claim(
    on=softmax_steps,
    planted=[lambda m: m | {"steps": m["result"], "result": m["steps"]}],
)
def bptt_softmax_result(made: dict[str, Tensor]) -> Finding:
    """The softmax steps in between do not hold as printed; their result does."""
    ran = "three classes, against autograd"
    return every(
        above(missed(made["steps"], made["right"]), 0.1, f"{ran}: the steps' miss"),
        equal(made["result"], made["right"], f"{ran}: the result"),
    )


def no_recurrence() -> tuple[Tensor, Tensor]:
    """Differentiate h_T by W where U is zero: through all steps, and the last alone."""
    net = network()._replace(U=torch.zeros(H, H, dtype=torch.float64))
    before = states(net)[T - 1]
    whole = jacobian(lambda W: states(net._replace(W=W))[T], net.W)
    last = jacobian(lambda W: torch.tanh(W @ net.X[-1] + net.U @ before + net.b), net.W)
    return whole, last


def with_recurrence(pair: Pair) -> Pair:
    """Let earlier steps add to it."""
    net = network()
    return jacobian(lambda W: states(net._replace(W=W))[T], net.W), pair[1]


@claim(
    on=no_recurrence, planted=[with_recurrence, lambda pair: (0 * pair[0], 0 * pair[1])]
)
def bptt_without_recurrence(pair: Pair) -> Finding:
    """It does; what is absent there is the second term of {eq}`eq-bptt-recursion`."""
    ran = "the derivative of a state by W_xh where W_hh = 0"
    return every(
        above(float(pair[0].norm()), 0.1, f"{ran}: its norm"),
        equal(*pair, f"{ran}: total against direct"),
    )


def one_sweep() -> tuple[Tensor, Tensor, float]:
    """Sweep back once by hand: the gradients, autograd's, and the passes it costs."""
    net, a = network(), arriving()
    arrives = (a.outputs @ net.V)[:, None]
    with FlopCounterMode(display=False) as counter:
        found = bptt.rnn_backward(arrives, net.X[:, None], a.H[:, None], net.W, net.U)
    passes = counter.get_total_flops() / (2 * T * H * (D + H))
    by_hand = [found.W_xh, found.W_hh, found.b_h, found.H_0]
    right = [by_autograd(name, net) for name in ("W", "U", "b", "start")]
    columns = (torch.cat([g.flatten() for g in gs]) for gs in (by_hand, right))
    return (*columns, passes)


@claim(on=one_sweep, planted=[lambda made: (made[0], made[1], T * made[2])])
def bptt_one_sweep(made: tuple[Tensor, Tensor, float]) -> Finding:
    """One sweep backwards gives all of them: see [what it costs](#what-it-costs)."""
    by_hand, right, passes = made
    return every(
        equal(by_hand, right, "four gradients of one sweep, against autograd's"),
        below(passes, 2.01, "multiplications of the sweep, in forward passes"),
    )


def by_text() -> np.ndarray:
    """Take one miss of each text: (25), the recursion, the chain to 0, one slope."""
    net, a, (direct, total, J) = network(), arriving(), derivatives()
    slope = 1 - a.H[1:] ** 2
    after = net.U.T @ a.states[1] * slope[1]  # the slope comes after the product
    same = direct[-2] * (slope[-1] / slope[-2])[:, None]
    one_slope = direct[-1] + J[-1] @ (same + J[-1] @ total[-3])
    return np.array(
        [
            appendix()["(25), direct"],
            missed(after + net.V.T @ a.outputs[0], a.states[0]),
            missed(*at_zero()),
            missed(one_slope, total[-1]),
        ]
    )


@claim(on=by_text, planted=[lambda misses: misses * [1, 1, 1, 0]])
def bptt_in_each_text(misses: np.ndarray) -> Finding:
    """In each of the four texts that this book examines some of these equations are
    wrong; the [end of the chapter](#what-the-sources-say) runs them as they were
    printed.
    """
    ran = "one equation of each, against autograd: the smallest miss"
    return above(float(misses.min()), 0.05, ran)
