"""Quotations are found in documents, kept in a list, and missed where they change."""

import json
from pathlib import Path

import pytest

from rnn_companion.claims import Claim, Finding, Quoted, judged, quoted
from rnn_companion.sentences.quotations import keep, known, unlisted

DOCUMENT = "A report.\n\nthe gradient can *also* vanish\nor explode in such a network\n"
PAGE = '# A page\n\nIt says "the gradient can also vanish or explode", in words.\n'
SOURCE = Quoted("9-1", "someone2026", "p. 1", "judged", "2-bptt", "it would have to")


@quoted(SOURCE)
def explodes() -> Finding:
    """“vanish or explode”"""
    return judged("words")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    (tmp_path / "claims").mkdir()
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "report.txt").write_text(DOCUMENT)
    (tmp_path / "page.md").write_text(PAGE)
    return tmp_path


def missing(book: Path, claims: dict[str, Claim] | None = None) -> list[str]:
    return keep(book, book / "sources", [book / "page.md"], claims or {})


def test_what_was_found_is_listed_with_its_line(book: Path) -> None:
    assert missing(book, {"9-1": explodes}) == []
    lines = {quote: entry["line"] for quote, entry in known(book).items()}
    assert lines == {
        "the gradient can also vanish or explode": 3,
        "vanish or explode": 3,
    }
    assert unlisted(book, [book / "page.md"], [explodes]) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("can also vanish", "can vanish"),  # shortened without a mark
        ("also vanish", "always vanish"),
    ],
)
def test_a_changed_quotation_is_in_no_list_and_in_no_document(
    book: Path, old: str, new: str
) -> None:
    missing(book)
    (book / "page.md").write_text(PAGE.replace(old, new))
    (said,) = unlisted(book, [book / "page.md"], [])
    assert said.startswith(f"{book / 'page.md'}:3: not in the list of quotations")
    (said,) = missing(book)
    assert said.startswith(f"{book / 'page.md'}:3: no document says")


def test_a_phrase_of_ones_own_is_listed_by_hand(book: Path) -> None:
    (book / "page.md").write_text("# A page\n\nSay “a phrase that is our own”.\n")
    assert len(missing(book)) == 1
    phrases = {"a phrase that is our own": "an example"}
    (book / "claims" / "phrases.json").write_text(json.dumps(phrases))
    assert missing(book) == []


def test_a_folder_without_documents_is_an_error(book: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keep(book, book / "claims", [book / "page.md"], {})
