"""Strong sentences are found, and each needs a check or a reason."""

import pytest

from rnn_companion.sentences.pages import Stated, problems, sentences
from rnn_companion.sentences.quotations import (
    found_in,
    plain,
    printed,
    quoted_on,
)

PAGE = """\
# A title

It is so. The LSTM never fails. <!-- claim: lstm-fails --> We say
"only in a quotation", `never` in code, $all$ in mathematics.

```{note}
Every gate opens, e.g. the first. So it is.
```

| a table | with `cells` |
|---|---|
| none of it | is lost |

$$
a = b
$$ (eq-a)

* By {eq}`eq-a` it must be so. <!-- strong: equation -->
* It must be so, by hand. <!-- strong: cell -->

## Another section

All of it follows. <!-- strong: equation -->

```{code-cell} ipython3
x = 3
Markdown(f"There are {x} of them, **never more**. "
    + ("and" if x else "or") + f" None is {x:.1f}.")
```
"""


def lines(text: str) -> list[tuple[int, str]]:
    return [(line, said) for line, said in problems(sentences(text), {})]


def test_sentences_are_those_of_the_page_in_its_order() -> None:
    texts = [sentence.text for sentence in sentences(PAGE)]
    assert texts[:4] == [
        "A title",
        "It is so.",
        "The LSTM never fails.",
        'We say "only in a quotation", `never` in code, $all$ in mathematics.',
    ]
    assert "Every gate opens, e.g. the first." in texts
    assert texts[-2:] == [
        "There are … of them, **never more**.",
        "… None is ….",
    ]


def test_a_sentence_knows_its_line_and_its_marks() -> None:
    found = {sentence.text: sentence for sentence in sentences(PAGE)}
    assert found["The LSTM never fails."].line == 3
    assert found["The LSTM never fails."].claims == ("lstm-fails",)
    assert found["It must be so, by hand."].reasons == ("cell",)
    assert found["So it is."].line == 7


def test_strong_words_count_where_the_page_speaks_itself() -> None:
    strong = {s.text: s.strong for s in sentences(PAGE) if s.strong}
    assert [*strong.values()] == [
        "never",
        "Every",
        "none",
        "must",
        "must",
        "All",
        "never",
        "None",
    ]


def test_each_strong_sentence_needs_a_check_or_a_reason_that_is_there() -> None:
    said = "\n".join(f"{line} {text}" for line, text in lines(PAGE))
    assert "3 there is no claim lstm-fails" in said
    assert "7 says “Every” with neither" in said
    assert "its reason is “cell”, and its section has no assert" in said
    assert "its reason is “equation”, and its section has no equation: All" in said
    assert "By {eq}" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Only this. <!-- strong: habit -->", "habit is no reason"),
        ("Only this. <!-- strong: definition -->", ""),
        ("This is so.", ""),
        ("It is better than that.", "says “better than”"),
        ("We can do better.", ""),
        ("Wonly a part of a word.", ""),
    ],
)
def test_reasons_are_few(text: str, said: str) -> None:
    found = [problem for _, problem in lines(text)]
    assert bool(found) == bool(said)
    assert not said or said in found[0]


def test_a_check_stands_for_one_sentence_word_by_word() -> None:
    stated = {"lstm-fails": Stated("The LSTM never fails.", "lstm.py:3")}
    page = "The LSTM\nnever fails. <!-- claim: lstm-fails -->"
    assert list(problems(sentences(page), stated)) == []
    stronger = page.replace("never fails", "never ever fails")
    (line, said), *rest = problems(sentences(stronger), stated)
    assert (line, rest) == (1, [])
    assert "stands for another sentence" in said
    assert "lstm.py:3: The LSTM never ever fails." in said


DOCUMENT = plain(
    "there is only *one*\nweight “matrix”, and the gradient\nis   shared by all"
)


@pytest.mark.parametrize(
    ("quote", "there"),
    [
        ('one weight "matrix", and', True),
        ("only one […] shared by all", True),
        ("only one … shared by all", True),
        ("shared by all […] only one", False),
        ("two weight", False),
    ],
)
def test_a_quotation_stands_word_by_word_in_a_document(quote: str, there: bool) -> None:
    assert (found_in(quote, DOCUMENT) >= 0) == there


def test_a_shortened_quotation_is_another_one() -> None:
    """What is left out without a mark makes words stand together that do not."""
    assert found_in("only one and the gradient", DOCUMENT) < 0


def test_short_phrases_in_quotation_marks_are_no_quotations() -> None:
    text = 'Hold it against "tomorrow = today": “the weights are shared by all”.'
    assert list(quoted_on(text)) == ["the weights are shared by all"]


def test_line_numbers_in_front_of_a_documents_lines_are_no_words_of_it() -> None:
    text = "\n".join(f"{n} the words of line {n} go on" for n in range(1, 30))
    assert found_in("go on the words of line 3", plain(printed(text))) >= 0
