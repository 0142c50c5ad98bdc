r"""A chapter as a notebook of plain Markdown.

MyST's roles and directives show raw in Jupyter and in Colab. Here they become what
every notebook renders: a labelled equation keeps its number as a ``\tag``, a
reference or a citation becomes the words that the page shows, an admonition becomes
a block quote, comments are left out. What has no such form is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import jupytext
from markdown_it.token import Token
from nbformat import NotebookNode

from rnn_companion.notebooks.blocks import DISPLAYS, FENCES, special
from rnn_companion.notebooks.names import Citation, Names

T = TypeVar("T")

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HIDDEN = {"remove-input", "hide-input", "remove-cell", "hide-cell"}
_NAMED = (
    "attention caution danger error exercise hint important note solution tip warning"
)
QUOTED = {  # a directive, and the title of its block quote; None: its argument
    **{name: name.capitalize() for name in _NAMED.split()},
    **dict.fromkeys(("admonition", "dropdown", "sidebar", "topic")),
    **{"epigraph": "", "margin": "", "seealso": "See also"},
}

_DIRECTIVE = re.compile(r"\s*\{([\w:.-]+)\}[ \t]*(.*?)\s*$")
_OPTION = re.compile(r"^\s*:([\w-]+):\s*(.*)$")
_TITLED = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.DOTALL)
_INLINE = re.compile(
    r"(?P<role>\{[\w:.-]+\})?(?P<ticks>`+)(?P<code>.+?)(?P=ticks)"
    r"|(?P<display>(?m:^)[ \t]*\$\$.*?\$\$)|(?P<open>(?m:^)[ \t]*\$\$)"
    r"|(?P<comment><!--.*?-->[ \t]*\n?)"
    r"|(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)"
    r"|<(?:project:)?#(?P<auto>[\w:.-]+)>",
    re.DOTALL,
)


class FlattenError(ValueError):
    """Something in a chapter has no form in plain Markdown, or names nothing."""


def flatten(chapter: str, names: Names) -> NotebookNode:
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
    notebook: NotebookNode = jupytext.reads(chapter, fmt="md:myst")
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
        lines, done = source.split("\n"), 0
        pieces = []
        for token, begin, end in special(source):
            text = "\n".join(lines[begin:end])
            if _is_prose(token, text):
                continue
            pieces.append(self._prose(lines[done:begin]))
            pieces.append(self._block(token, text, quoted))
            done = end
        pieces.append(self._prose(lines[done:]))
        plain = "\n".join(piece for piece in pieces if piece is not None)
        return re.sub(r"\n{3,}", "\n\n", plain).strip("\n")

    def references(self) -> NotebookNode:
        """Make a last cell that says what the chapter cites."""
        source = f"## References\n\n{self._listed()}"
        return NotebookNode(cell_type="markdown", metadata={}, source=source)

    def _listed(self) -> str:
        return "\n".join(f"* {self._cited(key).reference}" for key in self.cited)

    def _prose(self, lines: list[str]) -> str | None:
        return self._inline("\n".join(lines)) if lines else None

    def _block(self, token: Token, text: str, quoted: bool) -> str | None:
        """Flatten what is not prose; labels and comments are left out."""
        indent = text[: len(text) - len(text.lstrip())]
        if token.type in DISPLAYS:
            return self._equation(_trimmed(token.content), token.info, indent, quoted)
        if token.type not in FENCES:
            return None
        if not (found := _DIRECTIVE.match(token.info)):
            return text
        return _indented(self._directive(found[1], found[2], token.content), indent)

    def _equation(self, lines: list[str], label: str, indent: str, quoted: bool) -> str:
        tag = [rf"{indent}\tag{{{self._number(label)}}}"] if label else []
        if quoted:  # Jupyter would read the marks of the quote as mathematics
            return " ".join(["$$", *(s.strip() for s in [*lines, *tag]), "$$"])
        return "\n".join([f"{indent}$$", *lines, *tag, f"{indent}$$"])

    def _directive(self, name: str, argument: str, content: str) -> str:
        options, text = _options(content.split("\n"))
        if name in QUOTED:
            return self._quote(name, argument, text)
        if name == "math":
            lines = [*filter(None, [argument]), *text.split("\n")]
            return self._equation(lines, options.get("label", ""), "", quoted=False)
        if name in {"code-block", "code", "sourcecode"}:
            return f"```{argument}\n{text}\n```"
        if name == "table":
            return f"**{self._inline(argument)}**\n\n{self.markdown(text)}"
        if name == "bibliography":
            return self._listed()
        if name == "trial":
            return f"What the sources say: *Claims on trial* in the book, {argument}."
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
        if found["ticks"] or found["display"]:
            return found[0]
        if found["open"]:
            raise FlattenError(f"a display {found[0]!r} is never closed")
        if found["comment"]:
            return ""
        if found["auto"]:
            return self._title(found["auto"])
        if "://" in found["target"] or found["target"].startswith("mailto:"):
            return found[0]
        return found["text"] or self._title(found["target"])

    def _role(self, name: str, text: str) -> str:
        if name == "eq":
            return f"({self._number(text)})"
        if name.split(":")[0] == "cite":
            return self._cite(name, text)
        if name in {"ref", "doc", "numref", "term", "download"}:
            titled = _TITLED.match(text)
            return titled[1] if titled else self._title(text)
        if name in _PLAIN:
            return _PLAIN[name].format(text)
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


_PLAIN = {  # roles, and how their text is written
    "abbr": "{}",
    "code": "`{}`",
    "kbd": "`{}`",
    "math": "${}$",
    "sub": "<sub>{}</sub>",
    "sup": "<sup>{}</sup>",
}


def _is_prose(token: Token, text: str) -> bool:
    """Whether a block's lines are left as they are, but for roles and links.

    So are HTML that is no comment, and what begins within a quote or on the first
    line of a list item.
    """
    if token.type != "html_block":
        return not text.lstrip().startswith(token.markup)
    comment, closed, rest = text.partition("-->")
    if not comment.lstrip().startswith("<!--"):
        return True
    if not closed:
        raise FlattenError(f"the comment {text!r} is never closed")
    return bool(rest.strip())


def _trimmed(display: str) -> list[str]:
    """Split a display into its lines, without an empty first or last one."""
    return re.sub(r"\A[ \t]*\n|\n[ \t]*\Z", "", display).split("\n")


def _options(body: list[str]) -> tuple[dict[str, str], str]:
    """Split a directive's options from its content."""
    options: dict[str, str] = {}
    at = 0
    while at < len(body) and (found := _OPTION.match(body[at])):
        options[found[1]] = found[2].strip()
        at += 1
    return options, "\n".join(body[at:]).strip("\n")


def _indented(text: str, indent: str) -> str:
    return "\n".join((indent + line).rstrip() for line in text.split("\n"))


def _keys(text: str) -> list[str]:
    return [key.strip() for key in text.split(",")]


def _look_up(table: Mapping[str, T], label: str, kind: str) -> T:
    if label not in table:
        raise FlattenError(f"no {kind} is called {label!r}")
    return table[label]
