"""Claims of chapter 9: temperature, and writing."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    above,
    below,
    claim,
    equal,
    every,
    sign_test,
    swapped,
)
from rnn_companion.tasks import text
from rnn_companion.tasks.text import CONTEXTS

from ._text import Pair, held_out, model, records

# Temperature


TEMPERATURES = torch.tensor([0.01, 0.25, 0.5, 1.0, 2.0, 4.0, 100.0]).double()


def scores(count: int = 200, size: int = 20) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    spread = 4 * torch.rand(count, 1, generator=draw, dtype=torch.float64)
    return spread * torch.randn(count, size, generator=draw, dtype=torch.float64)


def probabilities(power: float = 1.0) -> Tensor:
    """Return the probabilities of 200 draws of scores at seven temperatures."""
    taus = TEMPERATURES**power
    return torch.stack([text.probabilities(scores(), float(tau)) for tau in taus])


RAN = "200 draws of 20 scores, seven temperatures"


@claim(on=probabilities, planted=[lambda p: p.flip(0)])
def text_small_temperature(p: Tensor) -> Finding:
    r"""Small $\tau$ stretches the differences until the best score takes nearly
    everything: *greedy*."""
    best = p.max(-1).values.mean(1)
    return every(
        above(best[0].item(), 0.95, f"the mean largest probability at 0.01, {RAN}"),
        below(
            best.diff().max().item(),
            0,
            f"its largest change as the temperature rises, {RAN}",
        ),
    )


@claim(on=probabilities, planted=[lambda p: p.flip(0)])
def text_large_temperature(p: Tensor) -> Finding:
    r"""Large $\tau$ shrinks them until the characters are nearly equally likely."""
    ratio = p[-1].max(-1).values / p[-1].min(-1).values
    return below(
        ratio.max().item(), 1.5, f"largest over least probability at 100, {RAN}"
    )


def orders(power: float = 1.0) -> Tensor:
    """Return the order of the probabilities at temperatures that rounding bears."""
    taus = power * TEMPERATURES[1:]
    return torch.stack([(scores() / tau).softmax(-1).argsort(-1) for tau in taus])


@claim(on=orders, planted=[lambda _: orders(-1.0)])
def text_order_stays(order: Tensor) -> Finding:
    """The order never changes."""
    expected = scores().argsort(-1).expand_as(order)
    return equal(order, expected, f"the order of scores and probabilities, {RAN}")


def entropies(power: float = 1.0) -> np.ndarray:
    """Return the entropy of each draw at seven temperatures."""
    return np.asarray(torch.special.entr(probabilities(power)).sum(-1))


@claim(on=entropies, planted=[lambda _: entropies(-1.0), lambda h: h[:, ::-1][::-1]])
def text_entropy_grows(entropy: np.ndarray) -> Finding:
    """**Between the two, the entropy grows with the temperature.**"""
    least = np.diff(entropy[1:], axis=0).min()
    return above(least, 0, f"the least growth between two temperatures, {RAN}")


def slopes() -> tuple[Tensor, Tensor]:
    """Return dH/dbeta by autograd, for unequal scores and for equal ones."""
    found = []
    for o in (scores(), torch.ones(200, 20).double()):
        beta = torch.linspace(0.2, 3, 200).double().requires_grad_()
        p = torch.softmax(beta[:, None] * o, -1)
        (slope,) = torch.autograd.grad(torch.special.entr(p).sum(), beta)
        found.append(slope)
    return found[0], found[1]


@claim(on=slopes, planted=[swapped, lambda data: (-data[0], data[1])])
def text_entropy_stands_still(found: tuple[Tensor, Tensor]) -> Finding:
    r"""A variance is never negative: as $\beta$ grows, and the temperature falls, the
    entropy falls, and it stands still only if all scores are equal."""
    ran = "the entropy's slope by autograd at 200 draws"
    return every(
        below(found[0].max().item(), 0, f"{ran}: largest, unequal scores"),
        below(
            found[1].abs().max().item(), 1e-12, f"{ran}: largest in size, equal ones"
        ),
    )


# Temperature in training


def trained(
    optimizer: Callable[..., torch.optim.Optimizer],
    tau: float,
    factor: float,
    seed: int,
    whole: bool = False,
) -> Pair:
    """Train with a temperature, and with another start and rate of the head instead.

    Returns the losses of both. `whole` trains an LSTM below the head too.
    """
    found = []
    for instead in (False, True):
        draw = torch.Generator().manual_seed(seed)
        cell, head = nn.LSTM(5, 8).double(), nn.Linear(8, 5).double()
        for p in (*cell.parameters(), *head.parameters()):
            nn.init.uniform_(p, -0.5, 0.5, generator=draw)
        if instead:
            for p in head.parameters():
                p.data /= tau
        rate = 0.02
        groups = [
            {"params": head.parameters(), "lr": rate * (factor if instead else 1)}
        ]
        if whole:
            groups.append({"params": cell.parameters(), "lr": rate})
        step = optimizer(groups)
        losses = []
        for _ in range(20):
            numbers = torch.randint(5, (9, 6), generator=draw)
            H, _ = cell(nn.functional.one_hot(numbers[:-1], 5).double())
            o = head(H).flatten(0, 1) / (1 if instead else tau)
            loss = nn.functional.cross_entropy(o, numbers[1:].flatten())
            step.zero_grad()
            loss.backward()
            step.step()
            losses.append(loss.item())
        found.append(np.array(losses))
    return found[0], found[1]


rmsprop = partial(torch.optim.RMSprop, eps=1e-30)


def by_gradient_descent(factor: float = 4.0) -> Pair:
    return trained(torch.optim.SGD, 0.5, factor, 0)


@claim(on=by_gradient_descent, planted=[lambda _: by_gradient_descent(2.0)])
def text_four_times_the_rate(losses: Pair) -> Finding:
    r"""For plain gradient descent, $\tau = 0.5$ is four times the head's learning
    rate."""
    return equal(*losses, "losses of 20 steps of SGD, the head trained alone")


def by_rmsprop(factor: float = 2.0) -> Pair:
    return trained(rmsprop, 0.5, factor, 0)


@claim(on=by_rmsprop, planted=[lambda _: by_rmsprop(4.0)])
def text_twice_the_rate(losses: Pair) -> Finding:
    """For RMSprop, whose steps do not depend on the scale of the gradient, it is
    twice."""
    return equal(*losses, "losses of 20 steps of RMSprop, the head trained alone")


def whole_networks(factor: float | None = None) -> Pair:
    """Join the losses of several seeds and temperatures, the whole network trained."""
    pairs = [
        trained(rmsprop, tau, factor or 1 / tau, seed, whole=True)
        for tau in (0.5, 2.0)
        for seed in (0, 1)
    ]
    one, other = zip(*pairs, strict=True)
    return np.concatenate(one), np.concatenate(other)


@claim(on=whole_networks, planted=[lambda _: whole_networks(1.0)])
def text_temperature_is_start_and_rate(losses: Pair) -> Finding:
    """So, but for clipping, a temperature in training is another start of the head and
    another learning rate for it."""
    ran = "losses of 20 steps of RMSprop, an LSTM and its head, temperatures 0.5 and 2"
    return equal(*losses, ran)


# Writing, and looking back


@torch.no_grad()
def variety(greedy: bool) -> np.ndarray:
    """Return the share of different stretches of ten among those of texts written."""
    prompts = [held_out()[at : at + 30] for at in range(0, 8000, 1000)]
    net, draw = model(), torch.Generator().manual_seed(0)
    read = torch.stack([net.encode(prompt) for prompt in prompts], dim=1)  # (T, B)
    state, written = None, []
    for _ in range(200):
        o, state = net(read, state)
        p = o[-1].softmax(-1)
        read = p.argmax(-1) if greedy else p.multinomial(1, generator=draw)[:, 0]
        read = read[None]
        written.append(read[0])
    columns = torch.stack(written[50:], dim=1).tolist()
    pieces = [[tuple(c[n : n + 10]) for n in range(len(c) - 9)] for c in columns]
    return np.array([len(set(each)) / len(each) for each in pieces])


@claim(on=lambda: (variety(greedy=False), variety(greedy=True)), planted=[swapped])
def text_drawing_breaks_circles(share: Pair) -> Finding:
    """A character that is drawn can break the circle {cite:p}`holtzman2020`."""
    drawn, greedy = share
    ran = "stretches of ten written once, of all, drawn less greedy, eight prompts"
    return every(
        sign_test(drawn - greedy, ran),
        below(np.median(greedy), 0.7, "the median of the greedy texts"),
    )


AT = {context: n for n, context in enumerate(CONTEXTS)}


def early_gains() -> Pair:
    """Return what the second and third, and what later characters are worth early."""
    losses = np.array([r.marks[1].context_loss for r in records()])
    near = losses[:, AT[1]] - losses[:, AT[3]]
    return near, losses[:, AT[3]] - losses[:, AT[30]]


@claim(on=early_gains, planted=[swapped, lambda data: (data[0], 0 * data[1])])
def text_most_from_three(gains: Pair) -> Finding:
    """After 400 steps the second and third character are worth … nats, and what lies
    beyond the third …: most comes from the last three."""
    near, far = gains
    ran = "in three recorded trainings"
    return every(
        below((far / near).max(), 0.5, f"the largest share of the second, {ran}"),
        above(far.min(), 0.01, f"the least that later characters are worth, {ran}"),
    )


def gains_in_time() -> tuple[np.ndarray, float]:
    """Return what lies beyond the third, now for each target, and after 400 steps."""
    losses = text.context_loss(model(), held_out(), (3, 30)).numpy()
    (own,) = (r for r in records() if r.settings["training"] < 1)
    early = own.marks[1].context_loss
    return losses[0] - losses[1], early[AT[3]] - early[AT[30]]


@claim(
    on=gains_in_time,
    planted=[lambda data: (-data[0], data[1]), lambda data: (data[0] / 2, data[1])],
)
def text_farther_back_later(data: tuple[np.ndarray, float]) -> Finding:
    """An LSTM has no window of 2 or 3 characters; in this one, what lies farther back
    counts more later in training."""
    now, early = data
    error = now.std() / math.sqrt(len(now))
    ran = "what 27 more characters are worth after 3200 steps, less after 400"
    more = above((now.mean() - early) / error, 2, f"{ran}, in standard errors")
    return every(more, above(early, 0, "the same after 400 steps"))
