"""Claims of chapter 9 (records/text.jsonl, text.pt): training, counts, tales, units."""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    every,
    sign_test,
    swapped,
)
from rnn_companion.tasks import text
from rnn_companion.tasks.text import TextRecord, TextTraining

from ._text import MODEL, Pair, held_out, model, records, smaller

PRINTED = (1.444, 1.399, 1.300, 1.264, 1.206, 1.180, 1.132)  # steps 800, 1200, ...


PRINTED_ACCURACY = (0.56, 0.58, 0.60, 0.61, 0.62, 0.63, 0.65)


def grimm() -> TextRecord:
    """Take the training on the fairy tales with the settings of the assignment."""
    wanted = {"optimizer": "rmsprop", "training": 1.0}
    (found,) = (r for r in records() if wanted.items() <= r.settings.items())
    return found


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
