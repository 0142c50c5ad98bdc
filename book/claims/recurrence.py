"""Claims of chapter 1: the cell, unrolled, in layers and in training."""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion import Forecaster, Layout
from rnn_companion.claims import (
    Finding,
    above,
    below,
    claim,
    equal,
    every,
    swapped,
)
from rnn_companion.networks import rnn_parameters

from ._recurrence import D, H, T, draw, generator, layer, reach

# One cell


def long_run() -> Tensor:
    """Run 16 units with large weights for 2000 steps."""
    module = nn.RNN(1, 16, dtype=torch.float64)
    for p in module.parameters():
        nn.init.normal_(p, std=0.25, generator=generator(2))
    with torch.no_grad():
        states: Tensor = module(draw(2000, 1))[0]
    return states


@claim(on=long_run, planted=[torch.atanh])
def recurrence_states_stay_inside(states: Tensor) -> Finding:
    """Since tanh stays strictly between $-1$ and $1$, so does every entry of every
    later state, however long the sequence.
    """
    ran = "16 units with large weights, 2000 steps: the largest entry in size"
    return below(float(states.abs().max()), 1, ran)


def dense_and_recurrent() -> tuple[Tensor, Tensor]:
    """Take the next state from torch's recurrent and from its dense layer."""
    module, x, h = layer(), draw(D), draw(H).tanh()
    dense = nn.Linear(D + H, H, dtype=torch.float64)
    with torch.no_grad():
        W, U, b = rnn_parameters(module)[0]
        dense.weight.copy_(torch.cat([W, U], 1))
        dense.bias.copy_(b)
        return torch.cat(
            [dense(torch.cat([x, h])).tanh(), dense(torch.cat([x, 0 * h])).tanh()]
        ), (
            torch.cat(
                [module(x[None], h[None])[0][0], module(x[None], 0 * h[None])[0][0]]
            )
        )


@claim(on=dense_and_recurrent, planted=[lambda pair: (pair[0].flip(0), pair[1])])
def recurrence_is_a_dense_layer(pair: tuple[Tensor, Tensor]) -> Finding:
    """So a recurrent layer is an ordinary dense layer whose input contains its own
    last output.
    """
    return equal(*pair, "torch.nn.Linear with tanh against torch.nn.RNN, one step")


# Unrolled


def unrolled() -> tuple[Tensor, Tensor]:
    """Run T dense layers that share their weights, and the recurrent one."""
    module, X = layer(), draw(T, D)
    with torch.no_grad():
        step = nn.Linear(D + H, H, dtype=torch.float64)
        W, U, b = rnn_parameters(module)[0]
        step.weight.copy_(torch.cat([W, U], 1))
        step.bias.copy_(b)
        h = torch.zeros(H, dtype=torch.float64)
        for dense, x in zip([step] * T, X, strict=True):
            h = dense(torch.cat([x, h])).tanh()
        return h, module(X)[0][-1]


def own_weights(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Give the last of the layers weights of its own."""
    last = nn.Linear(H, H, dtype=torch.float64)
    nn.init.uniform_(last.weight, -0.5, 0.5, generator=generator(3))
    return last(pair[0]).tanh().detach(), pair[1]


@claim(on=unrolled, planted=[own_weights])
def recurrence_is_feed_forward(pair: tuple[Tensor, Tensor]) -> Finding:
    """A recurrent network over $T$ steps *is* a feed-forward network of $T$ layers
    that share their weights.
    """
    return equal(*pair, f"{T} dense layers, one after the other, against torch.nn.RNN")


def reach_with_and_without() -> tuple[Tensor, Tensor]:
    """Take the derivatives with a W_hh, and without one."""
    module = layer()
    cut = nn.RNN(D, H, dtype=torch.float64)
    cut.load_state_dict(module.state_dict())
    cut.get_parameter("weight_hh_l0").data.zero_()
    return reach(lambda X: module(X)[0]), reach(lambda X: cut(X)[0])


@claim(
    on=reach_with_and_without,
    planted=[lambda pair: (pair[0].T, pair[1]), lambda pair: (pair[0], pair[0])],
)
def recurrence_inputs_so_far(pair: tuple[Tensor, Tensor]) -> Finding:
    """A state *can* depend on every input so far, not on the last one alone (whether
    it does, the weights decide: with $W_{hh} = 0$ it depends on the last one only);
    and none depends on an input that is still to come:
    """
    whole, cut = pair
    ran = f"derivatives of {T} states by {T} inputs, torch.nn.RNN"
    past = whole[torch.ones(T, T).tril().bool()]
    return every(
        above(float(past.min()), 1e-6, ran),
        equal(whole.triu(1), torch.zeros(T, T), f"{ran}: those to come"),
        equal(cut - cut.diag().diag(), torch.zeros(T, T), f"{ran}: without W_hh"),
        above(float(cut.diag().min()), 1e-6, f"{ran}: without W_hh, the last"),
    )


def first_to_hundredth() -> tuple[float, ...]:
    """Take dh_100/dx_1 of a linear unit at two weights, by autograd."""
    found = []
    for w_h in (0.9, 1.8):
        x = torch.ones(100, dtype=torch.float64, requires_grad=True)
        h = x.new_zeros(())
        for x_t in x:
            h = 0.7 * x_t + w_h * h
        found.append(float(torch.autograd.grad(h, x)[0][0]))
    return tuple(found)


@claim(on=first_to_hundredth, planted=[lambda pair: (2 * pair[0], pair[1])])
def recurrence_ninety_nine_times(pair: tuple[float, float]) -> Finding:
    """It would reach the hundredth state through $w_h$ ninety-nine times."""
    times = np.log2(pair[1] / pair[0])
    return equal(
        times, 99, "a linear unit: how often twice the weight doubles the slope"
    )


def pushed(w_h: float) -> float:
    """Push a unit once; what is left after 500 steps without input."""
    h = np.tanh(1.0)
    for _ in range(500):
        h = np.tanh(w_h * h)
    return float(h)


@claim(on=lambda: (pushed(1.5), pushed(0.8)), planted=[swapped])
def recurrence_no_return(left: tuple[float, float]) -> Finding:
    """Try `w_h` = 1.5: after a push the state does not return to zero."""
    ran = "one unit, one push, 500 steps without input"
    return every(
        above(left[0], 0.5, f"{ran}, w_h = 1.5"),
        below(left[1], 1e-6, f"{ran}, w_h = 0.8"),
    )


# Layers, parameters, steps


def stacked() -> Tensor:
    """Take derivatives of the upper layer's states by its own input and past."""
    module = layer(2)
    upper = nn.RNN(H, H, dtype=torch.float64)
    upper.load_state_dict(
        {k.replace("l1", "l0"): v for k, v in module.state_dict().items() if "l1" in k}
    )
    with torch.no_grad():
        lower = nn.RNN(D, H, dtype=torch.float64)
        lower.load_state_dict(
            {k: v for k, v in module.state_dict().items() if "l0" in k}
        )
        below_, top = lower(draw(T, D))[0], module(draw(T, D))[0]
        late = torch.cat([torch.zeros(1, H), below_[:-1]])
        return torch.stack([top, upper(below_)[0], upper(late)[0]])


@claim(on=stacked, planted=[lambda runs: runs[[0, 2, 1]]])
def recurrence_layer_below(runs: Tensor) -> Finding:
    """Look at the two lower indices: the layer *below* is read at the **same** step
    $t$, the layer's *own* past at step $t - 1$.
    """
    torchs, same, late = runs
    ran = "torch.nn.RNN of two layers, and its upper layer alone"
    off = float((late - torchs).norm() / torchs.norm())
    return every(equal(same, torchs, ran), above(off, 0.1, f"{ran}, one step late"))


@cache
def kept_counts() -> np.ndarray:
    """Count the parameters of forecasters that read 3, 7 and 100 days."""
    models = (
        Forecaster("rnn", Layout(configuration, days), hidden_size=5)
        for configuration in ("many-to-one", "many-to-many-aligned")
        for days in (3, 7, 100)
    )
    return np.array([sum(p.numel() for p in model.parameters()) for model in models])


@claim(on=kept_counts, planted=[lambda n: n * np.array([3, 7, 100] * 2)])
def recurrence_count_without_length(counts: np.ndarray) -> Finding:
    """The number of parameters does not depend on $T$, since every step uses the same
    ones.
    """
    ran = "forecasters that read 3, 7 and 100 days"
    return equal(counts, np.full(len(counts), 5 * (1 + 5 + 2) + 6), ran)


def torchs_counts() -> np.ndarray:
    """Count what torch stores, by its number of units: with one bias and with two."""
    rows = []
    for h in (1, 5, 32):
        sizes = {n: p.numel() for n, p in nn.RNN(3, h).named_parameters()}
        needed = sum(v for n, v in sizes.items() if n != "bias_hh_l0")
        rows.append([sum(sizes.values()) - needed, h])
    return np.array(rows)


@claim(on=torchs_counts, planted=[lambda rows: rows * [0, 1]])
def recurrence_two_biases(rows: np.ndarray) -> Finding:
    """Torch stores two bias vectors in a layer, `bias_ih` and `bias_hh`, where one
    would do, and so has $h$ more:
    """
    return equal(rows[:, 0], rows[:, 1], "torch.nn.RNN with 1, 5 and 32 units")


def steps_with(
    optimizer: type[torch.optim.Optimizer], rate: float, scale: float
) -> Tensor:
    """Train a layer for 20 steps; the loss is the mean over time, times a scale."""
    module = nn.RNN(D, H, dtype=torch.float64)
    module.load_state_dict(layer().state_dict())
    made = optimizer(module.parameters(), lr=rate)  # type: ignore[call-arg]
    X, Y = draw(T, 2, D), draw(T, 2, H) / 3
    for _ in range(20):
        made.zero_grad()
        (scale * (module(X)[0] - Y).square().mean()).backward()
        made.step()
    before = layer().parameters()
    moved = zip(module.parameters(), before, strict=True)
    return torch.cat([(p - q).detach().flatten() for p, q in moved])


def of_sgd() -> list[Tensor]:
    """Train with the mean, with the sum, and with the sum at a T-th of the rate."""
    ways = ((0.1, 1), (0.1, T), (0.1 / T, T))
    return [steps_with(torch.optim.SGD, rate, scale) for rate, scale in ways]


@claim(on=of_sgd, planted=[lambda runs: [runs[0], runs[2], runs[1]]])
def recurrence_sum_needs_smaller_rate(runs: list[Tensor]) -> Finding:
    """Plain gradient descent then takes steps $T$ times as long, and needs a learning
    rate $T$ times as small for the same ones.
    """
    mean, total, slower = runs
    ran = f"20 steps of gradient descent, T = {T}"
    apart = float((total - mean).norm() / mean.norm())
    return every(
        equal(slower, mean, f"{ran}, a rate {T} times as small"),
        above(apart, 1, f"{ran}, the same rate: how far apart the weights move"),
    )


def of_adam() -> list[Tensor]:
    """Train with the mean and with the sum; then by plain gradient descent."""
    adam = [steps_with(torch.optim.Adam, 0.01, scale) for scale in (1, T)]
    return adam + of_sgd()[:2]


@claim(on=of_adam, planted=[lambda runs: runs[2:] + runs[:2]])
def recurrence_adam_nearly_the_same(runs: list[Tensor]) -> Finding:
    """Adam, which this chapter uses, divides each gradient by its own typical size and
    takes nearly the same steps with both.
    """
    ran = f"20 steps of Adam with the mean and with the sum, T = {T}"
    return equal(runs[1], runs[0], ran, rtol=1e-4)
