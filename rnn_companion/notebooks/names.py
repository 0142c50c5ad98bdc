"""What the labels of a book stand for: numbers, titles and sources."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pybtex.backends.plaintext import Backend
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.style.formatting.plain import Style

_EQUATION = re.compile(r"^.*\$\$\s*\(([\w:.-]+)\)\s*$", re.MULTILINE)


class BookError(ValueError):
    """A book has no such file or chapter; the message says what to do."""


@dataclass(frozen=True)
class Citation:
    """A source as the text cites it, and as a list of references gives it."""

    author: str
    year: str
    reference: str = ""


@dataclass(frozen=True)
class Names:
    """What labels stand for: numbers of equations and chapters, titles, sources."""

    equations: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    citations: Mapping[str, Citation] = field(default_factory=dict)
    numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Book:
    """A book as its sources have it, without a build.

    Parameters
    ----------
    root : Path
        The folder of ``_config.yml`` and ``_toc.yml``.
    """

    root: Path

    def chapter(self, name: str) -> Path:
        """Find a chapter, or a project, by its name.

        Raises
        ------
        BookError
            If there is none, or no book.
        """
        found = {path.stem: path for path in [*self.chapters(), *self.projects()]}
        if name not in found:
            raise BookError(
                f"the book has no chapter {name!r}; it has {', '.join(found)}"
            )
        return found[name]

    def names(self) -> Names:
        """Count equations as the pages do, by chapter and in order.

        Raises
        ------
        BookError
            If there is no book.
        """
        equations: dict[str, str] = {}
        titles: dict[str, str] = {}
        numbers: dict[str, str] = {}
        for number, path in enumerate(self.chapters(), 1):
            text = path.read_text(encoding="utf-8")
            labels = _EQUATION.findall(text)
            equations |= {label: f"{number}.{k}" for k, label in enumerate(labels, 1)}
            titles[path.stem] = title(text)
            numbers[path.stem] = str(number)
        for path in self.projects():
            titles[path.stem] = title(path.read_text(encoding="utf-8"))
        files = self.read("_config.yml").get("bibtex_bibfiles", [])
        return Names(equations, titles, citations(self.root, files), numbers)

    def chapters(self) -> list[Path]:
        """List the numbered chapters."""
        return self._pages(lambda part: bool(part.get("numbered")))

    def projects(self) -> list[Path]:
        """List the pages of the part *Projects*."""
        return self._pages(lambda part: part.get("caption") == "Projects")

    def _pages(self, wanted: Callable[[Mapping[str, Any]], bool]) -> list[Path]:
        parts = (p for p in self.read("_toc.yml").get("parts", []) if wanted(p))
        pages = (entry["file"] for part in parts for entry in part["chapters"])
        return [self.root / f"{page}.md" for page in pages]

    def read(self, name: str) -> dict[str, Any]:
        """Read ``_config.yml`` or ``_toc.yml``.

        Raises
        ------
        BookError
            If it is missing.
        """
        path = self.root / name
        if not path.exists():
            raise BookError(f"no book here: {path} is missing; say --book FOLDER")
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def title(chapter: str) -> str:
    """Read a chapter's title from its source."""
    return next(s[2:].strip() for s in chapter.split("\n") if s.startswith("# "))


def citations(folder: Path, files: Sequence[str]) -> dict[str, Citation]:
    """Read the sources of a book's bibliographies, by their keys."""
    entries = [e for name in files for e in parse_file(folder / name).entries.items()]
    data = BibliographyData(entries)
    return {
        entry.key: Citation(
            _authors(data.entries[entry.key]),
            str(data.entries[entry.key].fields.get("year", "no date")),
            entry.text.render(Backend()),
        )
        for entry in Style().format_bibliography(data)
    }


def _authors(entry: Entry) -> str:
    last = [
        " ".join(part.render(Backend()) for part in person.rich_last_names)
        for person in entry.persons.get("author", [])
    ]
    return " and ".join(last) if len(last) < 3 else f"{last[0]} et al."
