"""Tales by a grammar: their chances, counted in another way."""

import math
import re

import pytest

from rnn_companion.tasks.text import Counts, tales
from rnn_companion.tasks.text.tales import ANIMALS, ANSWERS, ENDS, FIRST, PLACES, THINGS


def test_each_tale_has_one_of_so_many_chances() -> None:
    """Ordered pairs of animals times the other choices; every tale is as likely."""
    speech = 2 * len(THINGS) * len(FIRST) * len(ANSWERS)
    pairs = len(ANIMALS) * (len(ANIMALS) - 1)
    number = pairs * len(PLACES) * speech * 2 * len(ENDS)
    _, cost = tales(20)
    assert cost == pytest.approx([math.log(number)] * 20)


def test_names_and_things_come_again() -> None:
    corpus, cost = tales(200)
    told = corpus.text.split("\n\n")[:-1]
    assert len(told) == len(cost) == 200
    for tale in told:
        one, other = re.findall(r"(?:A|met a) (\w+) ", tale.split("\n")[0])
        assert one != other
        assert set(re.findall(r"said the (\w+)", tale)) == {one, other}
        assert tale.split()[-1].strip(".") in tale.split("\n")[1]


def test_two_seeds_tell_other_tales_and_one_the_same() -> None:
    assert tales(20)[0] == tales(20)[0]
    assert tales(20)[0].text != tales(20, seed=1)[0].text


def test_all_choices_are_made_about_equally_often() -> None:
    text = tales(3000)[0].text
    for options in (ANIMALS, PLACES, THINGS, ENDS, ANSWERS):
        found = [len(re.findall(re.escape(option), text)) for option in options]
        assert min(found) > 0.8 * max(found)


def test_counts_pay_more_than_the_grammar() -> None:
    corpus, cost = tales(400)
    counts = Counts(corpus.text[:40_000], corpus.vocabulary, 6)
    paid = counts.surprise(corpus.text, 40_000).mean().item()
    assert paid > sum(cost) / len(corpus.text)


def test_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 10"):
        tales(9)
