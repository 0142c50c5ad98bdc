"""Texts to learn from: the one that every Python has, and any file.

Source: chapter *Text*.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

SHORTEST = 1000  # characters that a corpus must have

_GUTENBERG = re.compile(
    r"^\s*\*\*\* ?(START|END) OF (?:THE|THIS) PROJECT GUTENBERG EBOOK.*$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Corpus:
    """A text to learn from.

    Parameters
    ----------
    text : str
        At least 1000 characters.
    name, licence : str
        What it is, and on what terms it may be passed on.

    Raises
    ------
    ValueError
        If the text is too short.
    """

    text: str
    name: str
    licence: str = "not stated"

    def __post_init__(self) -> None:
        if len(self.text) < SHORTEST:
            blank = not self.text.strip()
            what = "is empty" if blank else f"has {len(self.text)} characters"
            raise ValueError(
                f"{self.name} {what}: give a text of at least {SHORTEST} characters"
            )

    @cached_property
    def vocabulary(self) -> str:
        """Every character of the text once, sorted."""
        return "".join(sorted(set(self.text)))

    @property
    def checksum(self) -> str:
        """SHA-256 of the text: two equal sums mean equal texts."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def split(self, training: float) -> tuple[str, str]:
        """Cut into a first part to learn from and a last part to validate on."""
        end = round(training * len(self.text))
        return self.text[:end], self.text[end:]


def load_corpus(path: str | Path | None = None, *, cut: bool = True) -> Corpus:
    """Load a text.

    Parameters
    ----------
    path : str or Path, optional
        A UTF-8 text file. By default the topics that Python's own ``help()`` shows:
        most of the language reference, part of every Python, each paragraph once.
    cut : bool
        Whether to leave out what stands before and after a book of Project
        Gutenberg: its header and its licence.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, too short or not UTF-8: says what to do.
    """
    if path is None:
        return _python_topics()
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: byte {error.object[error.start]:#04x} at {error.start} is not "
            "UTF-8; save the file as UTF-8 (iconv -f ISO-8859-1 -t UTF-8, say)"
        ) from None
    return Corpus(_cut_gutenberg(text) if cut else text, name=file.name)


def _cut_gutenberg(text: str) -> str:
    """Return what stands between Project Gutenberg's two marks, if it has them."""
    start, end = 0, len(text)
    if not _GUTENBERG.search(text):
        return text
    for mark in _GUTENBERG.finditer(text):
        if mark[1].upper() == "START":
            start = mark.end()
        else:
            end = min(end, mark.start())
    return text[start:end].strip() + "\n"


def _python_topics() -> Corpus:
    from pydoc_data.topics import topics

    whole = "\n\n".join(topics[name].strip() for name in sorted(topics))
    paragraphs = dict.fromkeys(whole.split("\n\n"))  # several topics share some
    return Corpus(
        "\n\n".join(paragraphs) + "\n",
        name="Python's help() topics",
        licence="Python Software Foundation License 2",
    )
