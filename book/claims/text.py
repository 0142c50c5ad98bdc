"""What chapter 9 claims; the trainings are those of records/text.jsonl and text.pt."""

import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    sign_test,
    swapped,
)
from rnn_companion.forecasting.records import RecordFile
from rnn_companion.tasks import text
from rnn_companion.tasks.text import CONTEXTS, TextRecord, TextTraining

RECORDS = Path(__file__).parents[1] / "records/text.jsonl"
MODEL = Path(__file__).parents[1] / "records/text.pt"
PRINTED = (1.444, 1.399, 1.300, 1.264, 1.206, 1.180, 1.132)  # steps 800, 1200, ...
PRINTED_ACCURACY = (0.56, 0.58, 0.60, 0.61, 0.62, 0.63, 0.65)
Pair = tuple[np.ndarray, np.ndarray]


@cache
def records() -> tuple[TextRecord, ...]:
    """Read the assignment's trainings: the help topics, and twice the fairy tales."""
    return tuple(smaller(128))


def smaller(units: int, **settings: object) -> list[TextRecord]:
    """Read the recorded trainings of so many units a layer, by seed."""
    wanted = {"hidden_size": units, **settings}.items()
    found = RecordFile(RECORDS, TextRecord).read()
    chosen = [r for r in found if wanted <= r.settings.items()]
    return sorted(chosen, key=lambda r: int(r.settings["seed"]))


def grimm() -> TextRecord:
    """Take the training on the fairy tales with the settings of the assignment."""
    wanted = {"optimizer": "rmsprop", "training": 1.0}
    (found,) = (r for r in records() if wanted.items() <= r.settings.items())
    return found


@cache
def held_out() -> str:
    """Take what the recorded model has not read, without characters it lacks."""
    known = model().vocabulary
    return "".join(c for c in text.load_corpus().split(0.9)[1] if c in known)


@cache
def model() -> text.CharacterModel:
    return text.load_model(MODEL)


# Before training


def new_scores(scale: float = 1.0) -> Pair:
    """Return how far apart the scores of five untrained networks are, and the loss."""
    corpus = text.load_corpus()
    apart, losses = [], []
    for seed in range(5):
        net = TextTraining(seed=seed).model(corpus.vocabulary)
        numbers = net.encode(corpus.text[:150])
        with torch.no_grad():
            o = scale * net(numbers[:-1, None])[0][:, 0]
        apart.append(o.std(dim=1).max().item())
        loss = nn.functional.cross_entropy(o, numbers[1:]).item()
        losses.append(loss - math.log(len(corpus.vocabulary)))
    return np.array(apart), np.array(losses)


@claim(on=new_scores, planted=[lambda _: new_scores(50.0)])
def text_untrained_scores(found: Pair) -> Finding:
    """In an untrained network the scores are nearly equal, and with equal scores the
    loss is"""
    ran = "five untrained networks, 149 characters"
    return every(
        below(found[0].max(), 0.1, f"{ran}: standard deviation of the scores"),
        below(abs(found[1]).max(), 0.05, f"{ran}: loss less ln V, in size"),
    )


def at_start(mark: int = 0) -> Pair:
    """Return the loss of each recorded training at a mark, and ln V."""
    losses = [r.marks[mark].loss for r in records()]
    return np.array(losses), np.log([r.vocabulary_size for r in records()])


@claim(on=at_start, planted=[lambda _: at_start(1)])
def text_perplexity_starts_at_v(found: Pair) -> Finding:
    """Before training it is about $V$."""
    ratios = np.exp(found[0] - found[1])
    ran = "perplexity over V at step 0 of three recorded trainings"
    return every(above(ratios.min(), 0.9, ran), below(ratios.max(), 1.1, ran))


# The report's table


def ahead() -> np.ndarray:
    """Return the recorded losses less those that the report prints."""
    return np.array([m.loss for m in grimm().marks if m.step >= 800]) - PRINTED


@claim(on=ahead, planted=[lambda off: -off, lambda off: off - np.median(off)])
def text_grimm_is_higher(off: np.ndarray) -> Finding:
    """From step 800 on the differences are … to …: the course has the same shape and is
    … nats higher on average."""
    ran = "the recorded losses less the printed ones, from step 800 on"
    return every(
        sign_test(off, ran), below(np.ptp(off), 0.1, f"{ran}: how far they differ")
    )


def behind() -> np.ndarray:
    accuracy = [m.accuracy for m in grimm().marks if m.step >= 800]
    return np.array(PRINTED_ACCURACY) - accuracy


@claim(on=behind, planted=[lambda off: -off, lambda off: off - np.median(off)])
def text_grimm_is_behind(off: np.ndarray) -> Finding:
    """The accuracies of these batches are lower than the report's by … to … percentage
    points."""
    return sign_test(off, "the printed accuracies less the recorded, from step 800 on")


def scattered() -> Pair:
    """Return the differences, and the changes from one ten steps to the next."""
    curve = np.array(grimm().training_loss)
    return ahead(), np.diff(curve[len(curve) // 2 :])


@claim(on=scattered, planted=[lambda data: (data[0] / 10, data[1])])
def text_grimm_not_by_scatter(data: Pair) -> Finding:
    """The scatter of single batches does not explain such a mean difference."""
    off, changes = data
    of_one = math.sqrt(10 * np.mean(changes**2) / 2)  # an entry is a mean of ten
    ratio = off.mean() / (of_one / math.sqrt(len(off)))
    return above(ratio, 4, "the mean of seven differences over its standard error")


# Counts, the state, layers


@cache
def paid() -> tuple[Tensor, Tensor, Tensor]:
    """Return nats of held-out text: counts of order 4, fresh states, carried over."""
    learned, _ = text.load_corpus().split(0.9)
    counts = text.Counts(learned, model().vocabulary, 4).surprise(held_out())
    windows = model().encode(held_out()).unfold(0, 31, 30).T
    with torch.no_grad():
        o, _ = model()(windows[:-1])
    losses = nn.functional.cross_entropy(
        o.flatten(0, 1), windows[1:].flatten(), reduction="none"
    )
    fresh = losses.view(30, -1).T.flatten().double()  # in the order of the text
    over = model().surprise(held_out()).double()
    return counts[: len(fresh)], fresh, over[: len(fresh)]


def in_blocks(difference: Tensor) -> float:
    """Return a mean over its standard error, from blocks of 300 characters."""
    blocks = difference[: len(difference) // 300 * 300].view(-1, 300).mean(1)
    return float(blocks.mean() / (blocks.std() / math.sqrt(len(blocks))))


BLOCKS = "in standard errors, from blocks of 300 held-out characters"


@claim(on=lambda: paid()[:2], planted=[swapped, lambda data: (data[1], data[1] + 0.1)])
def text_ahead_of_counts(found: tuple[Tensor, Tensor]) -> Finding:
    """With fresh states the LSTM is … nats ahead of counts of order 4, … standard errors:
    these two we cannot tell apart."""
    ran = f"counts of order 4 less LSTM, {BLOCKS}"
    return between(in_blocks(found[0] - found[1]), 0, 2, ran)


@claim(on=lambda: paid()[1:], planted=[swapped, lambda data: (data[1], data[1] + 0.1)])
def text_state_carried(found: tuple[Tensor, Tensor]) -> Finding:
    """Carried over, the state is worth … nats a character, … standard errors."""
    fresh, over = found
    return above(in_blocks(fresh - over), 2, f"fresh less carried over, {BLOCKS}")


def stacks() -> np.ndarray:
    """Return held-out losses, (stack, seed): 1 x 64, 2 x 64 and 1 x 92 units."""
    runs = [smaller(u, layers=n, length=30) for n, u in ((1, 64), (2, 64), (1, 92))]
    return np.array([[r.marks[-1].validation_loss for r in found] for found in runs])


@claim(on=stacks, planted=[lambda ends: ends[::-1], lambda ends: ends[[0, 2, 1]]])
def text_layer_or_width(ends: np.ndarray) -> Finding:
    """But one layer of 92 units, with hardly fewer weights, is better still in each, by
    … to …."""
    ran = "held-out losses of three seeds"
    return every(
        above((ends[0] - ends[1]).min(), 0, f"{ran}: 1 layer less 2, least"),
        above((ends[1] - ends[2]).min(), 0, f"{ran}: 2 layers less a wide one, least"),
    )


# Tales by a grammar


@cache
def tales_paid() -> tuple[float, float, float]:
    """Return nats a character: the LSTM, counts of order 8, the forgetful grammar."""
    fables, cost = text.tales(2000)
    cut = len("\n\n".join(fables.text.split("\n\n")[:1800])) + 2
    told, new = fables.text[:cut], fables.text[cut:]
    lstm = text.load_model(MODEL.with_name("tales.pt")).surprise(new)
    counts = text.Counts(told, fables.vocabulary, 8).surprise(new)
    forgetful = (sum(cost[1800:]) + 200 * math.log(512)) / len(new)
    return lstm.mean().item(), counts.mean().item(), forgetful


@claim(
    on=tales_paid,
    planted=[
        lambda data: (data[1], data[0], data[2]),
        lambda data: (data[0] - 0.03, *data[1:]),
    ],
)
def text_tales_forgotten(found: tuple[float, float, float]) -> Finding:
    """The LSTM pays less than these counts, and … nats a character more than the grammar
    with the names forgotten."""
    lstm, counts, forgetful = found
    ran = "nats a character, 200 tales held out"
    return every(
        above(counts - lstm, 0.01, f"{ran}: counts of order 8 less the LSTM"),
        below(abs(lstm - forgetful), 0.005, f"{ran}: LSTM and forgetful grammar"),
    )


# Single units


def correlations(H: Tensor, y: Tensor) -> Tensor:
    Z, y = H - H.mean(0), y - y.mean()
    r: Tensor = (y @ Z) / (Z.norm(dim=0) * y.norm())
    return r


@cache
def unit_states() -> Tensor:
    X = nn.functional.one_hot(model().encode(held_out()[:16000]), 103).float()
    with torch.no_grad():
        H: Tensor = model().cell(X[:, None])[0][:, 0]
    return H


def property_of(passage: str) -> dict[str, Tensor]:
    """Return three properties and, last, the place in the line."""
    inside, column, rows = False, 0, []
    for c in passage:
        inside = not inside if c == '"' else inside and c != "\n"
        column = 0 if c == "\n" else column + 1
        rows.append((inside, c == " ", c.isupper(), column))
    names = ("quotation", "blank", "capital", "column")
    return dict(zip(names, torch.tensor(rows).float().T, strict=True))


def units(seed: int | None = None) -> np.ndarray:
    """Return for each property chance, and the chosen unit's later correlation."""
    H, rows = unit_states(), []
    pages = [property_of(held_out()[a : a + 8000]) for a in (0, 8000)]
    for name, y in pages[0].items():
        shifts = [correlations(H[:8000], y.roll(200 * n)) for n in range(1, 40)]
        chance = max(r.abs().max().item() for r in shifts)
        unit = int(correlations(H[:8000], y).abs().argmax())
        later = pages[1][name]
        if seed is not None:
            later = later[torch.randperm(8000, generator=torch.Generator())]
        rows.append((chance, abs(correlations(H[8000:], later)[unit].item())))
    return np.array(rows)


@claim(on=units, planted=[lambda _: units(0), lambda rows: rows[::-1]])
def text_units_beyond_chance(rows: np.ndarray) -> Finding:
    """The one chosen for the place in the line does not: what it showed was of that
    passage alone."""
    ran = "the later correlation less the largest of 128 units in 39 shifts"
    beyond = rows[:, 1] - rows[:, 0]
    return every(
        above(beyond[:3].min(), 0, f"{ran}: quotations, blanks, capitals, least"),
        below(beyond[3], 0, f"{ran}: place in the line"),
    )


@claim(on=lambda: units()[:, 0], planted=[lambda r: 0 * r])
def text_largest_of_many(chance: np.ndarray) -> Finding:
    """The largest of 128 correlations is never 0, even for a property that has nothing to
    do with the text."""
    return above(chance.min(), 0.01, "largest of 128 units, shifted properties")


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
