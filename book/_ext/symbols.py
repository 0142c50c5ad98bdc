"""The notation page: every symbol of every chapter, one meaning to a letter.

`symbols.toml` beside the pages lists them. A symbol stands there once for each of its
meanings, with the chapters in which it has it, a shape, and the equation in which it is
met first. The build holds the list against the equations of the chapters: a symbol that
is missing, or is listed for a chapter that does not have it, a wrong first place, and a
letter with two meanings and no reason are warnings, and fail it.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)

NAME = "symbols.toml"
Used = Mapping[int, Mapping[str, list[str]]]


class Symbol(NamedTuple):
    """A symbol in one of its meanings.

    Attributes
    ----------
    names : list of str
        Its LaTeX, as the checker of equations writes it; several where one meaning
        serves a family such as the weights of the gates.
    chapters : list of int
        Where it has this meaning.
    means : str
        Markdown.
    first : str
        The label of the equation in which the first of the names is met first.
    shape : str
        Of the value; empty for a number.
    why : str
        Why the letter has this meaning too, if it has another one.
    group : str
        Under which heading it stands.
    """

    names: list[str]
    chapters: list[int]
    means: str
    first: str
    shape: str
    why: str
    group: str


def read(path: Path) -> list[Symbol]:
    """Read the list."""
    groups: dict[str, list[dict[str, Any]]] = tomllib.loads(path.read_text("utf-8"))
    empty = {"shape": "", "why": ""}
    return [
        Symbol(**(empty | row), group=group)
        for group, rows in groups.items()
        for row in rows
    ]


def problems(listed: list[Symbol], used: Used) -> Iterator[str]:
    """Hold the list against the symbols of the chapters.

    Parameters
    ----------
    listed : list of Symbol
        The list.
    used : mapping
        By chapter and label, the symbols of an equation, in the order of the page.

    Yields
    ------
    str
        What is wrong.
    """
    places: dict[tuple[str, int], list[str]] = {}
    for chapter, equations in used.items():
        for label, names in equations.items():
            for name in names:
                places.setdefault((name, chapter), []).append(label)
    meanings = [(n, c, s) for s in listed for n in s.names for c in s.chapters]
    for (name, chapter), labels in sorted(places.items()):
        if not any((n, c) == (name, chapter) for n, c, _ in meanings):
            yield f"{name} of chapter {chapter} ({labels[0]}) is not listed"
    for name, chapter, _ in meanings:
        if (name, chapter) not in places:
            yield f"{name} is listed for chapter {chapter}, which does not have it"
    shared = Counter((n, c) for n, c, _ in meanings)
    for symbol in listed:
        name, chapter = where = symbol.names[0], min(symbol.chapters)
        labels = places.get(where, [])
        possible = labels if shared[where] > 1 else labels[:1]
        if labels and symbol.first not in possible:
            said = f"{name}: chapter {chapter} has it first in"
            yield f"{said} {labels[0]}, not in {symbol.first or 'no equation'}"
    yield from unexplained(listed)


def unexplained(listed: list[Symbol]) -> Iterator[str]:
    """Yield the letters with several meanings of which not all but one say why."""
    rows = sorted((name, symbol) for symbol in listed for name in symbol.names)
    for name, group in groupby(rows, key=lambda row: row[0]):
        found = [symbol for _, symbol in group]
        if sum(not symbol.why for symbol in found) > 1:
            told = "; ".join(symbol.means for symbol in found)
            yield f"{name} has several meanings and no reason why: {told}"


def table(rows: list[Symbol]) -> str:
    """Write one group as a table; without shapes, if all of it are numbers."""
    heads = ["symbol", "meaning", "shape", "first in", "chapters"]
    cells = [
        [
            ", ".join(f"${name}$" for name in row.names),
            f"{row.means} ({row.why})" if row.why else row.means,
            f"${row.shape}$" if row.shape else "",
            f"{{eq}}`{row.first}`",
            ", ".join(map(str, row.chapters)),
        ]
        for row in rows
    ]
    if not any(row.shape for row in rows):
        for line in [heads, *cells]:
            del line[2]
    marks = ["---"] * len(heads)
    plain = [[cell.replace("|", "&#124;") for cell in line] for line in cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, marks, *plain])


class Symbols(SphinxDirective):
    """The symbols of one group, as a table."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """Write it as Markdown, and have it read."""
        path = Path(self.env.doc2path(self.env.docname)).parent / NAME
        self.env.note_dependency(str(path))
        rows = [row for row in read(path) if row.group == self.arguments[0]]
        if not rows:
            raise self.error(f"{NAME} has no group {self.arguments[0]}")
        box = nodes.container(classes=["symbols"])
        self.state.nested_parse(StringList(table(rows).split("\n"), NAME), 0, box)
        return [box]


def check(app: Sphinx, env: BuildEnvironment) -> None:
    """Hold the list against the equations that were checked."""
    used: dict[int, dict[str, list[str]]] = {}
    for path in sorted(Path(app.doctreedir, "equations").glob("*.json")):
        if number := re.match(r"\d+", path.stem):
            found = json.loads(path.read_text("utf-8"))
            used[int(number.group())] = found["symbols"]
    for docname in env.found_docs:
        listed = Path(env.doc2path(docname)).parent / NAME
        if listed.exists():
            for problem in problems(read(listed), used):
                logger.warning("%s", problem, location=str(listed), type="symbols")
            return


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_directive("symbols", Symbols)
    app.connect("env-check-consistency", check)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
