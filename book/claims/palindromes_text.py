"""The palindrome report (Georgiou, 2018): what it says of text."""

import math
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
    judged,
    quoted,
    sign_test,
    trial,
    undecided,
)
from rnn_companion.tasks import text
from rnn_companion.tasks.text import TextTraining

from ._notes import BOOK, PALINDROMES


@cache
def courses() -> dict[str, text.TextRecord]:
    """Read the three trainings of chapter 9."""
    file = BOOK / "records/text.jsonl"
    grimm = "grimms_fairy_tales.txt"
    manual = "ac6036576ba3c1cb34e34b2c778e9ec98ebecea31419f9e8e60476f0b170c4fc"
    return {
        "fairy tales": text.recorded(file, TextTraining(training=1.0), grimm),
        "fairy tales, Adam": text.recorded(
            file, TextTraining(training=1.0, optimizer="adam"), grimm
        ),
        "Python's manual": text.recorded(file, TextTraining(), manual),
    }


def by_context() -> np.ndarray:
    """Return the loss after 400 steps with each context read, (trainings, contexts)."""
    marks = [
        next(m for m in record.marks if m.step == 400) for record in courses().values()
    ]
    return np.array([mark.context_loss for mark in marks])


def short_sight(losses: np.ndarray) -> np.ndarray:
    """Plant a falsehood: nothing is gained beyond the third character."""
    at = text.CONTEXTS.index(3)
    return np.where(np.arange(losses.shape[1]) > at, losses[:, at : at + 1], losses)


@quoted(
    Quoted(
        "2-28",
        PALINDROMES,
        "3.1",
        "wrong",
        where="9-text",
        needs="After 400 steps, characters before the last three would have to make no "
        "difference to the loss.",
        right="Most of what the model knows after 400 steps comes from the last three "
        "characters, and not all of it. An LSTM has no window of a fixed width; and "
        "repeated words are no evidence of one, as greedy writing repeats too.",
    ),
    on=by_context,
    planted=[short_sight],
)
def two_or_three(losses: np.ndarray) -> Finding:
    """“That happens because model's memory consider the previous 2 or 3 character to predict the next character.”"""
    at = text.CONTEXTS.index(3)
    beyond = (losses[:, at] - losses[:, -1]).min()
    ran = f"{len(losses)} recorded trainings after 400 steps, the same 2000 characters each: what 30 characters read gain over 3, in nats, the least"
    return trial(below(beyond, 0.01, ran), above(beyond, 0.01, ran))


def later_gains() -> np.ndarray:
    """Return what 30 characters gain over 3 at steps 800 to 1600, (trainings, steps)."""
    at = text.CONTEXTS.index(3)
    return np.array(
        [
            [
                m.context_loss[at] - m.context_loss[-1]
                for m in record.marks
                if 800 <= m.step <= 1600
            ]
            for record in courses().values()
        ]
    )


def no_gain(gains: np.ndarray) -> np.ndarray:
    """Plant a falsehood: longer contexts are of no use."""
    return 0 * gains


@quoted(
    Quoted(
        "2-28b",
        PALINDROMES,
        "3.1",
        "holds",
        where="9-text",
        needs="At steps 800 to 1600, characters before the last three would have to lower the loss.",
        right="They do, in the three trainings that are recorded here; and in all three they did so at step 400 already, by less.",
    ),
    on=later_gains,
    planted=[no_gain],
)
def more_than_three(gains: np.ndarray) -> Finding:
    """“our model starts to remember and find correlation for more than 2-3 character”"""
    ran = "three recorded trainings at steps 800, 1200 and 1600: what 30 characters read gain over 3, in nats, the least"
    return above(gains.min(), 0.01, ran)


@cache
def warm_and_cold() -> np.ndarray:
    """Train with temperatures of 0.5 and 2: mean loss of the last steps, (2, seeds)."""
    corpus = text.load_corpus()
    numbers = torch.tensor([corpus.vocabulary.index(c) for c in corpus.text[:20000]])
    found = [
        [brief_loss(numbers, corpus.vocabulary, tau, seed) for seed in range(6)]
        for tau in (0.5, 2.0)
    ]
    return np.array(found)


def brief_loss(numbers: Tensor, vocabulary: str, tau: float, seed: int) -> float:
    """Train a small model for 30 steps; return its mean loss in the last ten."""
    model = TextTraining(hidden_size=16, layers=1, seed=seed).model(vocabulary)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.002)
    generator = torch.Generator().manual_seed(seed)
    losses = []
    for _ in range(30):
        starts = torch.randint(len(numbers) - 16, (8,), generator=generator)
        window = numbers[starts + torch.arange(16).unsqueeze(1)]  # (T + 1, B)
        o, _ = model(window[:-1])
        loss = nn.functional.cross_entropy(o.flatten(0, 1) / tau, window[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses[-10:]))


def temperatures_exchanged(losses: np.ndarray) -> np.ndarray:
    """Plant a falsehood: the losses of the one given to the other."""
    return losses[::-1]


@quoted(
    Quoted(
        "2-29",
        PALINDROMES,
        "3.1",
        "holds",
        where="9-text#eq-text-rescaled-step",
        needs="Of two networks that start alike, the one with temperature 0.5 would "
        "have to be further after as many steps.",
        right="So it is here. It is no property of a temperature beyond this: dividing "
        "the scores is starting the head with other weights and giving it another "
        "learning rate, $\\eta / \\tau^2$ for plain gradient descent, $\\eta / \\tau$ "
        "for RMSprop.",
    ),
    on=warm_and_cold,
    planted=[temperatures_exchanged],
)
def faster_when_cold(losses: np.ndarray) -> Finding:
    """“for temperature 0.5 the training was faster”"""
    cold, warm = losses
    return sign_test(
        warm - cold,
        "loss after 30 steps with temperature 2 less that with 0.5, a small LSTM, six seeds",
    )


TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)


def entropies() -> np.ndarray:
    """Return entropies of softmax at rising temperatures, (draws, temperatures)."""
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(50, 87, generator=generator, dtype=torch.float64)
    each = [
        torch.distributions.Categorical(logits=2 * scores / tau).entropy()
        for tau in TEMPERATURES
    ]
    found: np.ndarray = torch.stack(each, 1).numpy()
    return found


def upside_down(found: np.ndarray) -> np.ndarray:
    """Plant a falsehood: the temperatures in reverse order."""
    return found[:, ::-1]


@quoted(
    Quoted(
        "2-30",
        PALINDROMES,
        "3.1",
        "holds",
        where="9-text#eq-entropy-slope",
        needs="Whatever the scores are, the choice would have to be more spread out at "
        "a higher temperature.",
        right="The entropy of the choice grows with the temperature, for given scores, "
        "and stands still if all scores are equal.",
    ),
    on=entropies,
    planted=[upside_down],
)
def more_or_less_greedy(found: np.ndarray) -> Finding:
    """“a term that is called temperature in order to make it more or less greedy”"""
    ran = "entropy of the softmax of 50 × 87 random scores at five temperatures: the least growth from one to the next"
    return above(np.diff(found, axis=1).min(), 0, ran)


@quoted(
    Quoted(
        "2-30b",
        PALINDROMES,
        "3.1",
        "cannot be decided",
        where="9-text#eq-entropy-slope",
        needs="Several networks trained with each temperature would have to differ so "
        "in what they write.",
        right="For given scores a higher temperature spreads the choice out (2-30). "
        "These samples come from two networks that were also *trained* differently.",
    ),
)
def more_diverse() -> Finding:
    """“the generated phrases contained more diverse vocabulary, however we get also sequence of letters that don't assemble a word”"""
    return undecided(
        "the phrases are not shown, nor is it said at which temperature they were drawn; "
        "training and sampling were changed together, in one network each"
    )


SAMPLES = {  # the report's table 2, by training step
    400: "Ved the king the king the king",
    800: "Ond the seast and said, 'Wha",
    1200: "Marly the stream and the strea",
    1600: "You have a son with the stream",
    2000: "the second strength to be go",
    2400: "[and the second son went to t",
    2800: "' said the cat, 'I am not",
    3200: "And the cook said, 'I will n",
}


def sample_lengths() -> list[int]:
    return [len(sample) for sample in SAMPLES.values()]


def five_more(lengths: list[int]) -> list[int]:
    """Plant a falsehood: samples that are longer."""
    return [n + 5 for n in lengths]


@quoted(
    Quoted(
        "2-31",
        PALINDROMES,
        "3.1 and table 2",
        "cannot be decided",
        where="9-text",
        needs="Each of the eight sentences would have to have 30 characters.",
        right="Those that are not 30 long are shorter. Blanks and line breaks at either "
        "end do not show in print, so they may have been 30.",
    ),
    on=sample_lengths,
    planted=[five_more],
)
def size_thirty(lengths: list[int]) -> Finding:
    """“let the model to finish a sentence of size 30”"""
    ran = "characters of the sentences in table 2 behind step 0, counted"
    found = ", ".join(map(str, lengths))
    if max(lengths) > 30:
        return below(max(lengths), 31, ran)
    exact = equal(lengths, [30] * len(lengths), ran)
    if exact.holds:
        return exact
    return undecided(
        f"they are {found} characters long, none longer than 30; what layout swallowed is not known",
        ran,
    )


def at_start() -> tuple[float, int]:
    """Return the printed loss at step 0, and the number of the book's characters."""
    return 4.515, courses()["fairy tales"].vocabulary_size


def fewer_characters(data: tuple[float, int]) -> tuple[float, int]:
    """Plant a falsehood: a text with half as many different characters."""
    return data[0], data[1] // 2


@quoted(
    Quoted(
        "2-31b",
        PALINDROMES,
        "table 2",
        "holds",
        where="9-text#eq-text-start",
        needs="A network that knows nothing yet loses a little more than the logarithm "
        "of the number of characters: all scores nearly equal, but not quite.",
        right="As it should be for this book: random scores with variance $s^2$ cost "
        "about $s^2 / 2$ more than equal ones.",
    ),
    on=at_start,
    planted=[fewer_characters],
)
def loss_at_start(data: tuple[float, int]) -> Finding:
    """A loss of “4.515” at step 0"""
    loss, characters = data
    ran = f"the printed loss, and ln {characters} for the fairy tales as Project Gutenberg has them"
    return between(loss, math.log(characters), math.log(characters) + 0.1, ran)


@quoted(
    Quoted(
        "2-32",
        PALINDROMES,
        "3.2",
        "judged",
        where="9-text",
        needs="The two samples would have to be 1500 characters long.",
        right="They are, up to layout. More worth noting: the first ends in a verse "
        "that stands word for word in the fairy tales, and in the second there is a "
        "piece of the licence that Project Gutenberg puts behind its books.",
    ),
)
def fifteen_hundred() -> Finding:
    """“the network purpose is to generate a paragraph of 1500 character”"""
    return judged(
        "counted in the report: 1479 and 1507 characters with line breaks as blanks, as near to 1500 as layout lets one count"
    )


@quoted(
    Quoted(
        "2-33",
        PALINDROMES,
        "1.2.1 and 3.1",
        "judged",
        where="11-optimizers#eq-rmsprop",
        needs="One name for one thing.",
        right="The optimizer is RMSprop. And the numbers of the questions are those of "
        "the assignment: 3.1 answers a question 2.1 once more, of its third part.",
    ),
)
def two_names() -> Finding:
    """“RMSProb tries to dampen the oscillations” and “as in RMSProp”"""
    return judged("a name: the report writes it in three ways, which mislead nobody")
