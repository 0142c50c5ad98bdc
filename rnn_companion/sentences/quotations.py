"""Quotations, and the documents in which they stand.

`quotations.json` beside the claims lists every quotation that was found, with the
SHA-256 of its document and its line there, so that the documents need not be at hand.
"""

import json
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from rnn_companion.claims.registry import Claim

from .pages import CODE, LATEX, QUOTE, ROLE, sentences

WORDS = 4  # shorter phrases in quotation marks need not be quotations
GAP = re.compile(r"\s*\[?(?:…|\.\.\.)\]?\s*")
NUMBER = re.compile(r"^ *(?:- )?\d{1,3} (?:• )?", re.MULTILINE)  # of a printed line
NAME = "quotations.json"


def plain(text: str) -> str:
    """Write a text so that line breaks, dashes and quotation marks do not matter."""
    text = re.sub(r"</?\w+>|\*+", "", re.sub(r"-\n\s*", "-", text))
    text = text.translate(str.maketrans("“”‘’–—", "\"\"''--"))
    return " ".join(text.split())


def printed(document: str) -> str:
    """Write a document like `plain`, without the numbers in front of its lines."""
    return plain(NUMBER.sub("", document))


def quotations(
    pages: Iterable[str | Path], claims: Iterable[Claim]
) -> Iterator[tuple[str, str]]:
    """Yield every quotation with its place: of sources' claims, and on pages."""
    for made in claims:
        if made.source and made.source.verdict:
            yield from ((q, f"{made.file}:{made.line}") for q in quoted_in(made))
    for page in pages:
        for sentence in sentences(Path(page).read_text("utf-8"), str(page)):
            for quote in quoted_on(sentence.text):
                yield quote, f"{page}:{sentence.line}"


def quoted_in(made: Claim) -> list[str]:
    """Take the words between quotation marks out of a source's claim."""
    own = LATEX.sub(" … ", made.sentence)
    quotes = [" ".join(found.group()[1:-1].split()) for found in QUOTE.finditer(own)]
    return [quote for quote in quotes if re.search(r"\w", quote)]


def quoted_on(text: str) -> Iterator[str]:
    """Yield what a sentence quotes, if it is long enough to be a quotation."""
    own = text
    for kind in (LATEX, ROLE, CODE):
        own = kind.sub(" … ", own)
    for found in QUOTE.finditer(own):
        words = found.group()[1:-1].strip(" .,;")
        if len(re.findall(r"[A-Za-z]{2,}", words)) >= WORDS:
            yield " ".join(words.split())


def found_in(quote: str, document: str) -> int:
    """Find the pieces of a quotation one after another; -1 where one is missing."""
    begin, at = -1, 0
    for piece in filter(None, GAP.split(plain(quote))):
        at = document.find(piece.strip(" *_"), at)
        if at < 0:
            return -1
        begin = at if begin < 0 else begin
    return begin


def keep(
    book: Path, sources: Path, pages: Iterable[str | Path], claims: dict[str, Claim]
) -> list[str]:
    """Find every quotation in the documents of a folder, and write the list.

    Parameters
    ----------
    book
        The folder of the pages.
    sources
        A folder of text files.
    pages, claims
        What quotes.

    Returns
    -------
    list of str
        The quotations that stand nowhere, with their places.

    Raises
    ------
    FileNotFoundError
        If the folder has no text files.
    """
    paths = sorted(sources.glob("*.txt"))
    if not paths:
        raise FileNotFoundError(2, "no text files in it", str(sources))
    texts = {path: path.read_text("utf-8", errors="replace") for path in paths}
    listed: dict[str, dict[str, str | int]] = {}
    missing: list[str] = []
    own = phrases(book)
    for quote, place in quotations(pages, claims.values()):
        hits = [
            (p, at)
            for p, t in texts.items()
            if (at := found_in(quote, printed(t))) >= 0
        ]
        if hits:
            path, at = hits[0]
            listed[quote] = {
                "sha256": sha256(path.read_bytes()).hexdigest(),
                "line": _line(texts[path], at),
            }
        elif quote not in own:
            missing.append(f"{place}: no document says “{quote}”")
    write(book, listed)
    return missing


def _line(text: str, at: int) -> int:
    """Find the line of a document from the place in its plain form."""
    lines = text.splitlines()
    for n in range(1, len(lines) + 1):
        if len(printed("\n".join(lines[:n]))) > at:
            return n
    return len(lines)


def phrases(book: Path) -> dict[str, str]:
    """Read the phrases in quotation marks that quote none of the documents."""
    path = book / "claims" / "phrases.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def known(book: Path) -> dict[str, dict[str, str | int]]:
    """Read the list of quotations that were found."""
    path = book / "claims" / NAME
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(book: Path, listed: dict[str, dict[str, str | int]]) -> None:
    """Keep the list."""
    text = json.dumps(dict(sorted(listed.items())), indent=1, ensure_ascii=False)
    (book / "claims" / NAME).write_text(text + "\n", "utf-8")


def unlisted(
    book: Path, pages: Iterable[str | Path], claims: Iterable[Claim]
) -> list[str]:
    """Say which quotations stand in neither list, with their places."""
    listed = {*known(book), *phrases(book)}
    return [
        f"{place}: not in the list of quotations: “{quote}”"
        for quote, place in quotations(pages, claims)
        if quote not in listed
    ]
