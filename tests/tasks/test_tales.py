"""Tales by a grammar: their chances, counted in another way."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from rnn_companion.tasks.text import Counts, TextTraining, load_model, recorded, tales
from rnn_companion.tasks.text.grammar import (
    ANIMALS,
    ANSWERS,
    ENDS,
    FIRST,
    PLACES,
    THINGS,
)

RECORDS = Path(__file__).parents[2] / "book" / "records"


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


@pytest.mark.slow
def test_the_recorded_model_of_the_tales_is_the_records() -> None:
    """Its loss in windows of 150, against the last mark's."""
    corpus, _ = tales(2000)
    training = TextTraining(
        length=150,
        layers=1,
        hidden_size=64,
        batch_size=16,
        learning_rate=5e-3,
        steps=1600,
        mark_every=400,
    )
    record = recorded(RECORDS / "text.jsonl", training, corpus.checksum)
    _, held_out = corpus.split(0.9)
    network = load_model(RECORDS / "tales.pt")
    windows = network.encode(held_out).unfold(0, 151, 150).T
    with torch.no_grad():
        o, _ = network(windows[:-1])
    loss = nn.functional.cross_entropy(o.flatten(0, 1), windows[1:].flatten())
    assert loss.item() == pytest.approx(record.marks[-1].validation_loss, abs=0.002)
