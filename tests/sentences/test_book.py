"""The book's own claims: every falsehood is noticed, every quotation is known."""

from functools import cache
from pathlib import Path

import pytest

from rnn_companion.claims import Claim
from rnn_companion.sentences.pages import problems, sentences, stated_in
from rnn_companion.sentences.quotations import unlisted
from rnn_companion.sentences.run import book_claims, files_of, survey

BOOK = Path(__file__).parents[2] / "book"
PAGES = sorted(BOOK.glob("*.md"))


@cache
def claims() -> list[Claim]:
    return book_claims(BOOK)


@pytest.mark.slow
@pytest.mark.parametrize("file", [path.name for path in files_of(BOOK)])
def test_at_least_95_percent_of_the_planted_falsehoods_are_noticed(file: str) -> None:
    """Each file by itself, so that none hides behind another."""
    mine = [made for made in claims() if Path(made.file).name == file]
    table, missed = survey(mine, 0.95)
    assert not missed, table


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_each_strong_sentence_of_a_page_has_a_check_or_a_reason(page: Path) -> None:
    assert list(problems(sentences(page.read_text("utf-8")), stated_in(BOOK))) == []


@pytest.mark.slow
def test_sentences_are_read_from_the_files_as_python_reads_them() -> None:
    read = {name: said.sentence for name, said in stated_in(BOOK).items()}
    assert read == {m.id: m.sentence for m in claims() if not m.source}


@pytest.mark.slow
def test_each_claim_of_the_book_stands_on_a_page() -> None:
    marked = {
        name
        for page in PAGES
        for sentence in sentences(page.read_text("utf-8"))
        for name in sentence.claims
    }
    assert {made.id for made in claims() if not made.source} == marked


@pytest.mark.slow
def test_each_quotation_is_in_the_list_of_those_that_were_found() -> None:
    assert unlisted(BOOK, PAGES, claims()) == []
