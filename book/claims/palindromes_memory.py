"""The palindrome report (Georgiou, 2018): how long the memory is, and optimizers."""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    between,
    equal,
    holds_if,
    quoted,
    rank_test,
    sign_test,
    trial,
)
from rnn_companion.gradients import optimizers
from rnn_companion.tasks.memory import encode, latch, palindromes
from rnn_companion.tasks.sweep import recipe_of

from ._notes import PALINDROMES, palindrome_trials, steps

# How long is the memory?


def beyond_fifteen() -> list[tuple[str, int, bool]]:
    """List the RNN's trials at more than 15 digits: recipe, length, solved."""
    return [
        (recipe_of(r.trial), r.trial.length, r.solved)
        for r in palindrome_trials()
        if r.trial.cell == "rnn" and r.trial.length > 15
    ]


def none_solved(data: list[tuple[str, int, bool]]) -> list[tuple[str, int, bool]]:
    """Plant a falsehood: no trial was solved."""
    return [(recipe, length, False) for recipe, length, _ in data]


@quoted(
    Quoted(
        "2-12",
        PALINDROMES,
        "1.2",
        "wrong",
        where="7-memory",
        needs="No training of such a network could solve more than 15 digits.",
        right="With the settings of the assignment it depends on the seed beyond 15 "
        "digits. With one-hot digits, an orthogonal start and smaller steps the same "
        "128 units learn 20, 30 and 50 digits with each of three seeds.",
    ),
    on=beyond_fifteen,
    planted=[none_solved],
)
def more_than_fifteen(data: list[tuple[str, int, bool]]) -> Finding:
    """“RNNs cannot learn palindrome sequence that exceed the size of 15 numbers.”"""
    plain = [done for recipe, _, done in data if recipe == "as assigned"]
    ours = [
        done for recipe, _, done in data if recipe == "one-hot, orthogonal, small steps"
    ]
    said = below(
        sum(plain),
        1,
        f"{len(plain)} recorded trials of the RNN at 20 and 30 digits with the settings of the assignment: how many were solved",
    )
    right = above(sum(ours), len(ours) - 1, "the same with another start")
    return trial(said, right)


def told_by_hand() -> tuple[Tensor, Tensor]:
    """Ask the hand-built network of four units about a thousand digits."""
    generator = torch.Generator().manual_seed(0)
    digits, targets = palindromes(1000, 100, generator=generator, validation=True)
    with torch.no_grad():
        scores = latch(1000)(encode(digits, "one-hot"))[0]
    return scores.argmax(1), targets


def forgotten(data: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Plant a falsehood: answers that have nothing to do with the question."""
    return data[0].roll(1), data[1]


@quoted(
    Quoted(
        "2-12b",
        PALINDROMES,
        "1.2",
        "wrong",
        where="7-memory#eq-latch-keep",
        needs="As the reason why 15 digits are the end: no weights would let such a "
        "network hold a digit for longer.",
        right="What is asked for is one digit, 3.3 bits, and four tanh units with "
        "weights set by hand hold it for a thousand steps. What training finds is "
        "another question: it changes with start, encoding and step size.",
    ),
    on=told_by_hand,
    planted=[forgotten],
)
def what_it_can_encode(data: tuple[Tensor, Tensor]) -> Finding:
    """“RNN memory has limitation on the number of symbols or numbers that can encode and remember.”"""
    answers, targets = data
    share = (answers == targets).double().mean().item()
    ran = "100 palindromes of 1000 digits, read by four tanh units with weights set by hand: share told right"
    return trial(below(share, 0.999, ran), above(share, 0.999, ran))


Steps = tuple[list[int], list[int]]


def both_cells() -> tuple[Steps, Steps]:
    """Return the steps of RNN and LSTM, with open forget gates and as assigned."""
    return (
        (steps("rnn", "as assigned", 20), steps("lstm", "forget bias 1", 20)),
        (steps("rnn", "as assigned", 15), steps("lstm", "as assigned", 15)),
    )


def cells_exchanged(data: tuple[Steps, Steps]) -> tuple[Steps, Steps]:
    """Plant a falsehood: the LSTM's steps given to the RNN."""
    (a, b), (c, d) = data
    return (b, a), (d, c)


@quoted(
    Quoted(
        "2-13",
        PALINDROMES,
        "1.3.3",
        "holds if",
        where="7-memory#eq-forget-start",
        needs="With either cell left as it is started, the LSTM would have to learn "
        "longer palindromes.",
        right="With a forget bias of 1 the LSTM learns 20 digits with three seeds of "
        "three, the RNN with one. As torch starts it, it fails at 15 digits, which "
        "the RNN learns. And an RNN with another start learns 50 digits as well.",
    ),
    on=both_cells,
    planted=[cells_exchanged],
)
def bigger_capabilities(data: tuple[Steps, Steps]) -> Finding:
    """“the capabilities of a LSTM is way bigger than RNN”"""
    started, assigned = data
    ran = "steps to learn palindromes of {} digits, three recorded seeds each"
    return holds_if(
        "its forget gates start open, and the RNN starts as torch starts it",
        rank_test(*started, ran.format(20)),
        rank_test(*assigned, ran.format(15)),
    )


# Optimizers


@cache
def course(kind: type[torch.optim.Optimizer], rate: float, count: int) -> np.ndarray:
    """Let torch descend into x^2/2 from 1; the places x."""
    x = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = kind([x], lr=rate)  # type: ignore[call-arg]
    places = [1.0]
    for _ in range(count):
        x.grad = x.detach().clone()
        optimizer.step()
        places.append(x.item())
    return np.array(places)


def rmsprop_course() -> np.ndarray:
    return course(torch.optim.RMSprop, 0.1, 1500)


def plain_course(_: np.ndarray) -> np.ndarray:
    """Plant a falsehood: the places of plain gradient descent."""
    return course(torch.optim.SGD, 0.1, 1500)


@quoted(
    Quoted(
        "2-14",
        PALINDROMES,
        "1.2.1",
        "wrong",
        where="11-optimizers#eq-cycle",
        needs="Near the minimum the steps would have to get shorter, and a weight that "
        "is at the minimum would have to stay there.",
        right="The gradient is divided by the root of its own running mean square, so "
        "the effective rate *grows* as gradients shrink. In the bowl $w^2 / 2$ the "
        "weight comes very near, is driven out again, and ends jumping to and fro "
        "across the minimum in steps of one learning rate.",
    ),
    on=rmsprop_course,
    planted=[plain_course],
)
def shorter_near_the_minimum(places: np.ndarray) -> Finding:
    """“if we are heading towards the minimal the step size will automatically decrease. In that way optimal weights will stay the same while non-optimal weights will continue with higher learning steps”"""
    lengths = np.abs(np.diff(places))
    last = lengths[-50:].mean() / 0.1
    ran = "torch's RMSprop with rate 0.1 in the bowl x²/2 from 1, 1500 steps: length of the last 50 in learning rates"
    return trial(below(last, 0.1, ran), between(last, 0.9, 1.1, ran))


RATES = (1e-4, 1e-2, 1.0)


def left_over() -> np.ndarray:
    """Return the distance after 500 steps at each rate: the largest of the last 20."""
    courses = [course(torch.optim.RMSprop, rate, 500) for rate in RATES]
    return np.array([np.abs(places[-20:]).max() for places in courses])


def all_alike(distances: np.ndarray) -> np.ndarray:
    """Plant a falsehood: the rate makes no difference."""
    return np.full_like(distances, distances.min())


@quoted(
    Quoted(
        "2-15",
        PALINDROMES,
        "1.2.1",
        "wrong",
        where="11-optimizers#eq-rmsprop",
        needs="Learning rates that lie far apart would have to lead equally near.",
        right="RMSprop makes a step independent of the *scale* of the gradient. How "
        "long it is remains the learning rate's to say: too small, and the way is not "
        "done; too large, and the weight ends far from the minimum.",
    ),
    on=left_over,
    planted=[all_alike],
)
def no_rate_to_adjust(distances: np.ndarray) -> Finding:
    """RMSprop “takes away the need to adjust learning rate while it does it automatically”"""
    rates = ", ".join(f"{rate:g}" for rate in RATES)
    ran = f"torch's RMSprop in the bowl x²/2 from 1, at rates {rates}: the largest of the three distances after 500 steps"
    worst = distances.max()
    return trial(below(worst, 0.1, ran), above(worst, 0.5, ran))


def coasting() -> tuple[Tensor, Tensor, Tensor]:
    """Give torch's SGD one gradient, then zeros; and the two rules, by hand."""
    gradients = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    w = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer, found = torch.optim.SGD([w], lr=0.1), []
    for g in gradients:
        w.grad = g[None]
        optimizer.step()
        found.append(w.item())
    rules = []
    for rule in (optimizers.Momentum(0.1), optimizers.SGD(0.1)):
        path = torch.zeros(1, dtype=torch.float64)
        state, places = rule.start(path), []
        for g in gradients:
            path, state = rule.step(path, g[None], state)
            places.append(path)
        rules.append(torch.cat(places))
    momentum, plain = rules
    return torch.tensor(found, dtype=torch.float64), momentum, plain


def with_velocity(data: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Plant a falsehood: SGD that coasts."""
    return data[1], data[1], data[2]


@quoted(
    Quoted(
        "2-17",
        PALINDROMES,
        "1.2.1",
        "wrong",
        where="11-optimizers#eq-momentum",
        needs="Plain SGD would have to go on after a gradient has become zero.",
        right="Plain SGD remembers nothing. Momentum is a rule of its own, which adds "
        "a velocity to it.",
    ),
    on=coasting,
    planted=[with_velocity],
)
def momentum_in_vanilla(data: tuple[Tensor, Tensor, Tensor]) -> Finding:
    """“momentum that is used in vanilla stochastic gradient descend”"""
    found, momentum, plain = data
    ran = "torch.optim.SGD as it comes, one gradient and then zeros"
    return trial(equal(found, momentum, ran), equal(found, plain, ran))


def three_ends() -> np.ndarray:
    """Return distances (starts, rules) from the bottom of ten valleys, by torch."""
    ends = []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        curvature = 0.1 + 0.9 * torch.rand(3, generator=generator, dtype=torch.float64)
        start = torch.randn(3, generator=generator, dtype=torch.float64)
        row = []
        for kind, rate in (
            (torch.optim.SGD, 1.0),
            (torch.optim.RMSprop, 0.01),
            (torch.optim.Adam, 0.01),
        ):
            w = nn.Parameter(start.clone())
            optimizer = kind([w], lr=rate)
            for _ in range(150):
                w.grad = curvature * w.detach()
                optimizer.step()
            row.append(w.detach().norm().item())
        ends.append(row)
    return np.array(ends)


def rules_exchanged(ends: np.ndarray) -> np.ndarray:
    """Plant a falsehood: the distances of SGD given to the others."""
    return ends[:, [1, 0, 0]]


@quoted(
    Quoted(
        "2-17b",
        PALINDROMES,
        "1.2.1",
        "wrong",
        where="11-optimizers#eq-sgd",
        needs="Adaptive rates would have to end nearer to the minimum whatever the task is.",
        right="It depends on the task and on the rates. In a valley that is not very "
        "long, plain gradient descent with a rate that suits it ends nearer than "
        "RMSprop and Adam with a rate of 0.01; where some slopes are very flat it can "
        "be the other way round.",
        left_out="The words between say that the adaptive rate is the main difference.",
    ),
    on=three_ends,
    planted=[rules_exchanged],
)
def better_results(ends: np.ndarray) -> Finding:
    """“the adaptive learning rate. That fact give to the model the capability to […] achieve better results”"""
    plain, *adaptive = ends.T
    best = np.minimum(*adaptive)
    ran = "ten valleys, 150 steps of torch's SGD at rate 1 and of RMSprop and Adam at 0.01: log of plain over the better adaptive distance"
    ratio = np.log(plain / best)
    return trial(sign_test(ratio, ran), sign_test(-ratio, ran))
