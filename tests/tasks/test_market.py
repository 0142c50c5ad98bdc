"""The market as a text, and counts: by hand, by pandas, on a text of known chances."""

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from rnn_companion.forecasting.prices import Prices
from rnn_companion.tasks.text import CharacterModel, Counts, letters

ABC = "abc"


def walk(days: int = 1500, seed: int = 0) -> Prices:
    """Return prices whose returns are normal."""
    returns = 0.01 * np.random.default_rng(seed).standard_normal(days - 1)
    close = 100 * np.exp(np.concatenate([[0], returns.cumsum()]))
    return Prices(pd.bdate_range("2000-01-03", periods=days), close, "walk")


def chain(length: int) -> str:
    """Draw a text: after each letter the next one with 0.8, any with 0.1 more."""
    generator, text = np.random.default_rng(1), "a"
    while len(text) < length:
        after = ABC[(ABC.index(text[-1]) + 1) % 3]
        text += after if generator.random() < 0.7 else ABC[generator.integers(3)]
    return text


@pytest.mark.parametrize("order", [0, 1, 3])
@pytest.mark.parametrize("before", ["", "a", "abca", "cccc"])
def test_the_chances_of_all_characters_add_up_to_1(order: int, before: str) -> None:
    counts = Counts(chain(200), ABC + "d", order)
    chances = [counts.probability(character, before) for character in ABC + "d"]
    assert sum(chances) == pytest.approx(1, abs=1e-12)
    assert min(chances) > 0  # d too, which the text lacks


def test_order_0_by_hand() -> None:
    """In aaab, u = 2 of V = 4: P(a) = (3 + 2/4) / (4 + 2), P(d) = (0 + 2/4) / 6."""
    counts = Counts("aaab", "abcd", 0)
    assert counts.probability("a", "bbb") == pytest.approx(3.5 / 6)
    assert counts.probability("d", "a") == pytest.approx(0.5 / 6)


def test_order_1_by_hand() -> None:
    """In abaab, a is followed by b twice and by a once, and P(b) = (2 + 1) / 7."""
    counts = Counts("abaab", "ab", 1)
    assert counts.probability("b", "a") == pytest.approx((2 + 2 * 3 / 7) / (3 + 2))
    assert counts.probability("b", "b") == pytest.approx((0 + 1 * 3 / 7) / (1 + 1))


def test_on_a_long_chain_the_surprise_is_the_chains_entropy() -> None:
    """0.8 and twice 0.1: 0.639 nats; a longer context than the chain's adds nothing."""
    text, start = chain(30_000), 20_000
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.1))
    found = {
        order: Counts(text[:start], ABC, order).surprise(text, start).mean().item()
        for order in (0, 1, 2)
    }
    assert found[0] == pytest.approx(math.log(3), abs=0.01)
    assert found[1] == pytest.approx(entropy, abs=0.03)
    assert found[1] <= found[2] < found[1] + 0.01


def test_the_surprise_is_that_of_each_character_after_what_stands_before() -> None:
    text, counts = chain(60), Counts(chain(40), ABC, 2)
    by_one = [-math.log(counts.probability(text[n], text[:n])) for n in range(7, 60)]
    assert counts.surprise(text, 7).tolist() == pytest.approx(by_one)


def test_what_cannot_be_counted_is_named() -> None:
    with pytest.raises(ValueError, match="order must be at least 0, got -1"):
        Counts("ab", "ab", -1)
    with pytest.raises(ValueError, match="the vocabulary lacks 'b', 'c'"):
        Counts("abc", "a", 1)
    with pytest.raises(ValueError, match="the vocabulary lacks 'x'"):
        Counts("ab", "ab", 1).surprise("axb")


# The state carried over ---------------------------------------------------------


def test_a_networks_surprise_is_that_of_reading_all_that_stands_before() -> None:
    """Read anew for each character, from an empty state."""
    draw = torch.Generator().manual_seed(0)
    model, text = CharacterModel(ABC, hidden_size=7, generator=draw).double(), chain(20)
    expected = []
    for n in range(5, 20):
        o, _ = model(model.encode(text[:n])[:, None])
        expected.append(-o[-1, 0].log_softmax(0)[ABC.index(text[n])].item())
    assert model.surprise(text, 5).tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("start", [0, 20, -1])
def test_a_start_with_nothing_before_or_after_it_is_refused(start: int) -> None:
    with pytest.raises(ValueError, match="start must lie between 1 and 19"):
        CharacterModel(ABC, hidden_size=2).surprise(chain(20), start)


# Letters ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5, 26])
def test_letters_are_pandas_quantiles_of_the_training_days(count: int) -> None:
    prices = walk()
    returns = pd.Series([math.log(b / a) for a, b in pairwise(prices.close)])
    first = round(0.8 * len(returns))
    parts = pd.qcut(returns[:first], count, labels=False)
    text = letters(prices, count=count).text
    assert len(text) == len(returns)
    assert [ord(c) - ord("a") for c in text[:first]] == parts.tolist()
    sizes = Counter(text[:first]).values()
    assert max(sizes) - min(sizes) <= 1


def test_later_days_have_no_say_in_the_letters_before() -> None:
    calm = walk()
    end = 1 + round(0.8 * 1499)
    wild = calm.close.copy()
    wild[end:] *= np.exp(np.linspace(0, 3, len(wild) - end))
    changed = Prices(calm.dates, wild, "walk")
    assert letters(changed).text[: end - 1] == letters(calm).text[: end - 1]
    assert letters(changed).text[end:].count("e") > letters(calm).text[end:].count("e")


@pytest.mark.parametrize("count", [1, 27])
def test_how_many_letters_there_can_be(count: int) -> None:
    with pytest.raises(ValueError, match=f"count must be 2 to 26, got {count}"):
        letters(walk(), count=count)


def test_too_few_days_make_no_text() -> None:
    with pytest.raises(ValueError, match="walk in 5 letters has 99 characters"):
        letters(walk(100))
