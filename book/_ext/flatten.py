r"""A chapter as a notebook of plain Markdown.

MyST's roles and directives show raw in Jupyter and in Colab. Here they become what
every notebook renders: a labelled equation keeps its number as a ``\tag``, a
reference or a citation becomes the words that the page shows, an admonition becomes
a block quote, comments vanish. What has no such form is refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import jupytext
from nbformat import NotebookNode

T = TypeVar("T")

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HIDDEN = {"remove-input", "hide-input", "remove-cell", "hide-cell"}
QUOTED = {  # a directive, and the title of its block quote; None: its argument
    "admonition": None,
    "attention": "Attention",
    "caution": "Caution",
    "danger": "Danger",
    "dropdown": None,
    "epigraph": "",
    "error": "Error",
    "exercise": "Exercise",
    "hint": "Hint",
    "important": "Important",
    "margin": "",
    "note": "Note",
    "seealso": "See also",
    "sidebar": None,
    "solution": "Solution",
    "tip": "Tip",
    "topic": None,
    "warning": "Warning",
}

_FENCE = re.compile(r"^(\s*)(`{3,}|~{3,}|:{3,})(?:\{([\w:.-]+)\}[ \t]*)?(.*)$")
_MATH = re.compile(r"^(\s*)\$\$(.*)$")
_MATH_END = re.compile(r"^(.*)\$\$\s*(?:\(([\w:.-]+)\))?\s*$")
_TARGET = re.compile(r"^\([\w:.-]+\)=\s*$")
_OPTION = re.compile(r"^\s*:([\w-]+):\s*(.*)$")
_TITLED = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.DOTALL)
_INLINE = re.compile(
    r"(?P<role>\{[\w:.-]+\})?(?P<ticks>`+)(?P<code>.+?)(?P=ticks)"
    r"|(?P<comment><!--.*?-->[ \t]*\n?)"
    r"|(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)"
    r"|<(?:project:)?#(?P<auto>[\w:.-]+)>",
    re.DOTALL,
)


class FlattenError(ValueError):
    """Something in a chapter has no form in plain Markdown, or names nothing."""


@dataclass(frozen=True)
class Citation:
    """A source as the text cites it, and as a list of references gives it."""

    author: str
    year: str
    reference: str = ""


@dataclass(frozen=True)
class Names:
    """What labels stand for: numbers of equations, titles of pages, sources."""

    equations: Mapping[str, str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    citations: Mapping[str, Citation] = field(default_factory=dict)


def flatten(chapter: str, names: Names) -> Any:  # noqa: ANN401 - nbformat has no types
    """Turn a chapter into a notebook that any Jupyter renders.

    Parameters
    ----------
    chapter : str
        The chapter's source, in MyST Markdown with code cells.
    names : Names
        What its labels stand for.

    Returns
    -------
    nbformat.NotebookNode
        Without outputs; the same for the same chapter.

    Raises
    ------
    FlattenError
        If a role or directive is not known here, or a label names nothing.
    """
    notebook = jupytext.reads(chapter, fmt="md:myst")
    cited = dict.fromkeys(
        key
        for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", chapter)
        for key in _keys(keys)
    )
    page = _Page(names, list(cited))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = page.markdown(cell.source)
        elif HIDDEN & set(cell.metadata.get("tags", [])):
            cell.metadata.update(jupyter={"source_hidden": True}, cellView="form")
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    if cited and "{bibliography}" not in chapter:
        notebook.cells.append(page.references())
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
    notebook.metadata = {"kernelspec": KERNEL}
    return notebook


class _Page:
    def __init__(self, names: Names, cited: list[str]) -> None:
        self.names = names
        self.cited = cited

    def markdown(self, source: str, quoted: bool = False) -> str:
        """Flatten the Markdown of one cell, or of a directive's body."""
        pieces = [
            self._inline(text) if kind == "prose" else text
            for kind, text in self._blocks(source.split("\n"), quoted)
        ]
        return re.sub(r"\n{3,}", "\n\n", "\n".join(pieces)).strip("\n")

    def references(self) -> Any:  # noqa: ANN401
        """Make a last cell that says what the chapter cites."""
        source = f"## References\n\n{self._listed()}"
        return NotebookNode(cell_type="markdown", metadata={}, source=source)

    def _listed(self) -> str:
        return "\n".join(f"* {self._cited(key).reference}" for key in self.cited)

    def _blocks(self, lines: list[str], quoted: bool) -> Iterator[tuple[str, str]]:
        """Yield runs of prose, and what must not be read as prose."""
        prose: list[str] = []
        at = 0
        while at < len(lines):
            taken = self._block(lines, at, quoted)
            if taken is None:
                prose.append(lines[at])
                at += 1
                continue
            if prose:
                yield "prose", "\n".join(prose)
                prose = []
            text, at = taken
            if text is not None:
                yield "done", text
        if prose:
            yield "prose", "\n".join(prose)

    def _block(
        self, lines: list[str], at: int, quoted: bool
    ) -> tuple[str | None, int] | None:
        """Flatten the block that opens on a line, if one does; say where it ends."""
        line = lines[at]
        if line.lstrip().startswith("<!--"):
            return _comment(lines, at)
        if line.startswith("%") or _TARGET.match(line):
            return None, at + 1
        if found := _MATH.match(line):
            return self._display(lines, at, found, quoted)
        if found := _FENCE.match(line):
            return self._fence(lines, at, found)
        return None

    def _display(
        self, lines: list[str], at: int, found: re.Match[str], quoted: bool
    ) -> tuple[str, int]:
        indent, first = found.groups()
        body = [first] if first.strip() else []
        rest = [first, *lines[at + 1 :]] if body else lines[at + 1 :]
        inner: list[str] = []
        for number, line in enumerate(rest):
            if end := _MATH_END.match(line):
                inner += [end[1]] if end[1].strip() else []
                after = at + number + (1 if body else 2)
                return self._equation(inner, end[2], indent, quoted), after
            inner.append(line)
        raise FlattenError(f"the display {lines[at]!r} is never closed")

    def _equation(
        self, lines: list[str], label: str | None, indent: str, quoted: bool
    ) -> str:
        tag = [rf"{indent}\tag{{{self._number(label)}}}"] if label else []
        if quoted:  # Jupyter would read the marks of the quote as mathematics
            return " ".join(["$$", *(s.strip() for s in [*lines, *tag]), "$$"])
        return "\n".join([f"{indent}$$", *lines, *tag, f"{indent}$$"])

    def _fence(
        self, lines: list[str], at: int, found: re.Match[str]
    ) -> tuple[str | None, int]:
        indent, marks, name, argument = found.groups()
        closing = re.compile(rf"^\s*{re.escape(marks[0])}{{{len(marks)},}}\s*$")
        end = at + 1
        while end < len(lines) and not closing.match(lines[end]):
            end += 1
        body = [line.removeprefix(indent) for line in lines[at + 1 : end]]
        if name is None:
            return "\n".join(lines[at : end + 1]), end + 1
        flat = self._directive(name, argument.strip(), *_options(body))
        return (flat and _indented(flat, indent)), end + 1

    def _directive(
        self, name: str, argument: str, options: dict[str, str], body: list[str]
    ) -> str | None:
        text = "\n".join(body).strip("\n")
        if name in QUOTED:
            return self._quote(name, argument, text)
        if name == "math":
            lines = [*filter(None, [argument]), *text.split("\n")]
            return self._equation(lines, options.get("label"), "", quoted=False)
        if name in {"code-block", "code", "sourcecode"}:
            return f"```{argument}\n{text}\n```"
        if name == "table":
            return f"**{self._inline(argument)}**\n\n{self.markdown(text)}"
        if name == "bibliography":
            return self._listed()
        raise FlattenError(f"the directive {{{name}}} has no form in plain Markdown")

    def _quote(self, name: str, argument: str, text: str) -> str:
        title = QUOTED[name]
        if title is None:
            title, argument = self._inline(argument), ""
        if name in {"exercise", "solution"} and argument:
            title, argument = f"{title}. {self._inline(argument)}", ""
        parts = [f"**{title}**"] if title else []
        parts += [self.markdown(part, quoted=True) for part in (argument, text) if part]
        return _indented("\n\n".join(parts), "> ")

    def _inline(self, text: str) -> str:
        return _INLINE.sub(self._span, text)

    def _span(self, found: re.Match[str]) -> str:
        if found["role"]:
            return self._role(found["role"].strip("{}"), found["code"])
        if found["ticks"]:
            return found[0]
        if found["comment"]:
            return ""
        if found["auto"]:
            return self._title(found["auto"])
        if "://" in found["target"] or found["target"].startswith("mailto:"):
            return found[0]
        return found["text"] or self._title(found["target"])

    def _role(self, name: str, text: str) -> str:
        if name == "math":
            return f"${text}$"
        if name == "eq":
            return f"({self._number(text)})"
        if name.split(":")[0] == "cite":
            return self._cite(name, text)
        if name in {"ref", "doc", "numref", "term", "download"}:
            titled = _TITLED.match(text)
            return titled[1] if titled else self._title(text)
        if name in _PLAIN:
            return _PLAIN[name](text)
        raise FlattenError(f"the role {{{name}}} has no form in plain Markdown")

    def _cite(self, name: str, keys: str) -> str:
        found = [self._cited(key) for key in _keys(keys)]
        if name == "cite:t":
            return ", ".join(f"{c.author} ({c.year})" for c in found)
        return "(" + "; ".join(f"{c.author}, {c.year}" for c in found) + ")"

    def _cited(self, key: str) -> Citation:
        return _look_up(self.names.citations, key, "source")

    def _number(self, label: str) -> str:
        return _look_up(self.names.equations, label, "equation")

    def _title(self, target: str) -> str:
        label = target.rpartition("#")[2] or target
        label = label.removesuffix(".md").rpartition("/")[2]
        if label in self.names.equations:
            return f"({self.names.equations[label]})"
        return _look_up(self.names.titles, label, "page or section")


_PLAIN: dict[str, Callable[[str], str]] = {
    "abbr": lambda text: text,
    "code": lambda text: f"`{text}`",
    "kbd": lambda text: f"`{text}`",
    "sub": lambda text: f"<sub>{text}</sub>",
    "sup": lambda text: f"<sup>{text}</sup>",
}


def _comment(lines: list[str], at: int) -> tuple[str | None, int] | None:
    """Skip a comment that has its lines to itself."""
    for end in range(at, len(lines)):
        _, closed, rest = lines[end].partition("-->")
        if closed:
            return None if rest.strip() else (None, end + 1)
    raise FlattenError(f"the comment {lines[at]!r} is never closed")


def _options(body: list[str]) -> tuple[dict[str, str], list[str]]:
    """Part a directive's options from its content."""
    options: dict[str, str] = {}
    at = 0
    while at < len(body) and (found := _OPTION.match(body[at])):
        options[found[1]] = found[2].strip()
        at += 1
    return options, body[at:]


def _indented(text: str, indent: str) -> str:
    return "\n".join((indent + line).rstrip() for line in text.split("\n"))


def _keys(text: str) -> list[str]:
    return [key.strip() for key in text.split(",")]


def _look_up(table: Mapping[str, T], label: str, kind: str) -> T:
    if label not in table:
        raise FlattenError(f"no {kind} is called {label!r}")
    return table[label]
