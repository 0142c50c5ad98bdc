"""Small tales by a grammar of our own: a text whose entropy is known exactly.

Source: chapter *Text*, section *Tales whose entropy is known*.
"""

import math
from random import Random

from rnn_companion.tasks.text.corpus import Corpus

__all__ = ["tales"]

ANIMALS = ("fox", "crow", "wolf", "lion", "mouse", "crane", "frog", "hare")
PLACES = ("at the well", "in the snow", "on the ice", "by the mill")
THINGS = ("cheese", "pear", "ring", "drum")
FIRST = ("Give me your {}!", "Is that my {}?", "Will you sell me the {}?")
ANSWERS = ("Catch me!", "Sing, and it is yours.", "Not for all the gold of the king!")
ENDS = ("ran off with", "sat down and ate", "never gave away")

TALE = "A {} met a {} {}.\n\u201c{}\u201d said the {}.\n\u201c{}\u201d said the {}.\n"
LAST = "And the {} {} the {}.\n\n"


def tales(count: int, seed: int = 0) -> tuple[Corpus, tuple[float, ...]]:
    r"""Tell tales by a grammar.

    Two animals meet at a place; one of them, by a coin, speaks of a thing; the other
    answers; and one of them, by a coin, keeps it. All that can be chosen is chosen
    with equal chances, and two different lists of choices never give the same tale,
    so that a tale has the probability

        P = \prod_{i} 1 / n_i,

    n_i being the number of possibilities of the i-th choice. The names of the
    speakers and of the thing come again without a choice, many characters later.

    Parameters
    ----------
    count : int
        How many, at least 10.
    seed : int
        Of the choices.

    Returns
    -------
    corpus : Corpus
        The tales, an empty line after each.
    cost : tuple of float, `(count,)`
        -ln P of each tale, in nats: no model can expect to pay less.

    Raises
    ------
    ValueError
        If there are too few tales for a corpus.
    """
    if count < 10:
        raise ValueError(f"count must be at least 10, got {count}")
    draw = Random(f"tales-{seed}")
    told, costs = [], []
    for _ in range(count):
        tale, cost = _tell(draw)
        told.append(tale)
        costs.append(cost)
    return Corpus("".join(told), "tales by a grammar", "as this book's"), tuple(costs)


def _tell(draw: Random) -> tuple[str, float]:
    """Return a tale and -ln of its probability."""
    cost = 0.0

    def choose(options: tuple[str, ...]) -> str:
        nonlocal cost
        cost += math.log(len(options))
        return options[int(draw.random() * len(options))]

    one = choose(ANIMALS)
    other = choose(tuple(a for a in ANIMALS if a != one))
    place = choose(PLACES)
    asks = choose((one, other))
    answers = other if asks == one else one
    thing, words = choose(THINGS), choose(FIRST)
    speech = words.format(thing), asks, choose(ANSWERS), answers
    ending = choose((one, other)), choose(ENDS), thing
    return TALE.format(one, other, place, *speech) + LAST.format(*ending), cost
