r"""The sentences of a chapter, and which of them are strong.

A strong sentence (``STRONG``) needs a mark behind it, on the same line as its last
words: ``<!-- claim: id -->`` if a check stands for it, or ``<!-- strong: reason -->``:

* ``definition``: it says how something is made or named here,
* ``quotation``: others say it, and are quoted,
* ``equation``: the equation or derivation in its section says it,
* ``cell``: an ``assert`` in its section says it,
* ``instruction``: it tells the reader or a program what to do.

Words inside quotation marks, code and formulas do not count.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from rnn_companion.notebooks.blocks import parser

STRONG = re.compile(
    r"\b(only|never|always|every|all|none|cannot|can't|must|the limit is|because"
    r"|therefore|(?:better|worse) than)\b",
    re.IGNORECASE,
)
REASONS = {"definition", "quotation", "equation", "cell", "instruction"}
COMMENT = re.compile(r"\s*<!--\s*(claim|strong):\s*([\w.-]+)\s*-->")
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LATEX = re.compile(r"(?<!\\)\$\$?.+?\$\$?", re.DOTALL)
QUOTE = re.compile(r"\"[^\"]*\"|“[^”]*”")
ROLE = re.compile(r"\{[\w:]+\}`[^`]*`")
END = re.compile(
    r"[.!?][\"”)*_]*(?:\s*<!--[^>]*-->)*(?=\s+[\"“(*_\[{`$]*[A-Z0-9…]|\s*$)|\n\s*\n"
)
SILENT = {"raw", "bibliography", "trial", "eval-rst"}  # directives without sentences
SHORT = re.compile(r"\b(?:[A-Z]|e\.g|i\.e|cf|vs|al|[Nn]o|[Ee]q|[Ss]ec|[Ff]ig)$")


class Stated(NamedTuple):
    """The sentence that a check stands for, and where the check is written."""

    sentence: str
    place: str


@dataclass(frozen=True)
class Sentence:
    """A sentence of a page.

    Parameters
    ----------
    file, line
        Where it begins.
    text
        Its Markdown without comments, on one line; "…" for what code fills in.
    claims
        Ids of the checks that stand for it.
    reasons
        Why it may be strong without one.
    shown
        What its section shows: "equation" and "cell" (an assertion).
    """

    file: str
    line: int
    text: str
    claims: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    shown: frozenset[str] = frozenset()

    @property
    def strong(self) -> str:
        """The first strong word of its own, if it has one."""
        own = self.text
        for kind in (LATEX, ROLE, CODE, QUOTE):
            own = kind.sub(" ", own)
        found = STRONG.search(own)
        return found.group() if found else ""

    def problem(self) -> str:
        """Say what is wrong with its mark, if anything is."""
        unknown = [r for r in self.reasons if r not in REASONS]
        if unknown:
            return f"{unknown[0]} is no reason; there are {', '.join(sorted(REASONS))}"
        for reason in {"equation", "cell"} & {*self.reasons} - self.shown:
            what = "equation" if reason == "equation" else "assert"
            return f"its reason is “{reason}”, and its section has no {what}"
        if self.strong and not self.claims and not self.reasons:
            return f"says “{self.strong}” with neither a check nor a reason"
        return ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


def sentences(text: str, file: str = "text") -> list[Sentence]:
    """List the sentences of a chapter, those that its cells write too.

    Parameters
    ----------
    text
        MyST Markdown.
    file
        Where it comes from.

    Returns
    -------
    list of Sentence
        In the order of the page.
    """
    found: list[Sentence] = []
    section = 0  # where the section begins among those found
    shown: set[str] = set()
    for kind, content, line in _pieces(text):
        if kind == "heading":
            found[section:] = _with(found[section:], shown)
            section, shown = len(found), set()
        elif kind in {"equation", "cell"}:
            shown.add(kind)
        if kind in {"heading", "prose"}:
            found += split(content, file, line)
    found[section:] = _with(found[section:], shown)
    return found


def _with(found: Iterable[Sentence], shown: set[str]) -> list[Sentence]:
    return [replace(sentence, shown=frozenset(shown)) for sentence in found]


def _pieces(text: str, first: int = 1) -> Iterator[tuple[str, str, int]]:
    """Yield headings, prose, and whether an equation or an assertion was met."""
    previous = ""
    for token in parser().parse(text):
        line = first + (token.map or (0, 0))[0]
        if token.type == "inline":
            kind = "heading" if previous == "heading_open" else "prose"
            yield kind, token.content, line
            if "{eq}`" in token.content:
                yield "equation", "", line
        elif token.type in {"math_block", "math_block_label"}:
            yield "equation", "", line
        elif token.type in {"fence", "colon_fence"}:
            yield from _fenced(token.info, token.content, line + 1)
        previous = token.type


def _fenced(info: str, content: str, line: int) -> Iterator[tuple[str, str, int]]:
    name = info.strip().strip("{:").split("}")[0]
    if name == "code-cell":
        if re.search(r"\bassert\b|\bassert_", content):
            yield "cell", "", line
        for written, at in computed(content):
            yield "prose", written, line + at
    elif info.strip().startswith("{") and name not in SILENT:
        yield from _pieces(content, line)


def computed(code: str) -> Iterator[tuple[str, int]]:
    """Yield the texts that a cell passes to ``Markdown``, "…" for computed parts."""
    plain = re.sub(r"^\s*[%!:].*$", "", code, flags=re.MULTILINE)
    try:
        tree = ast.parse(plain)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Markdown":
            for argument in node.args:
                yield _written(argument), argument.lineno - 1


def _written(node: ast.expr) -> str:
    """Put a string expression together."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_written(part) for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _written(node.left) + _written(node.right)
    return "…"


def split(text: str, file: str, line: int) -> Iterator[Sentence]:
    """Cut a paragraph into sentences; a mark belongs to the one before it."""
    masked = text
    for kind in (CODE, LATEX):
        masked = kind.sub(lambda found: "x" * len(found.group()), masked)
    begin = 0
    for end in END.finditer(masked):
        if SHORT.search(masked[begin : end.start()]) and end.group()[0] == ".":
            continue
        yield from _sentence(text, begin, end.end(), file, line)
        begin = end.end()
    yield from _sentence(text, begin, len(text), file, line)


def _sentence(
    text: str, begin: int, end: int, file: str, line: int
) -> Iterator[Sentence]:
    piece = text[begin:end]
    plain = " ".join(re.sub(r"<!--.*?-->", "", piece).split())
    if not plain:
        return
    blank = len(piece) - len(piece.lstrip())
    at = line + text.count("\n", 0, begin + blank)
    marks = COMMENT.findall(piece)
    claims = tuple(name for kind, name in marks if kind == "claim")
    yield Sentence(file, at, plain, claims, tuple(n for k, n in marks if k == "strong"))


def stated_in(book: Path) -> dict[str, Stated]:
    """Read the sentences of the claims beside a book's pages, without running them.

    Parameters
    ----------
    book
        The folder of the pages.

    Returns
    -------
    dict of str to Stated
        By id.
    """
    found = {}
    for path in sorted((book / "claims").glob("[!_]*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and _is_claim(node):
                sentence = " ".join((ast.get_docstring(node) or "").split())
                place = f"{path}:{node.lineno}"
                found[node.name.replace("_", "-")] = Stated(sentence, place)
    return found


def _is_claim(function: ast.FunctionDef) -> bool:
    calls = [getattr(decorator, "func", None) for decorator in function.decorator_list]
    return any(getattr(call, "id", "") == "claim" for call in calls)


def problems(
    found: Iterable[Sentence], stated: Mapping[str, Stated]
) -> Iterator[tuple[int, str]]:
    """Say of each sentence what is wrong with its mark.

    Parameters
    ----------
    found
        The sentences of a page.
    stated
        What the book's checks stand for, by id.

    Yields
    ------
    line : int
        Where the sentence begins.
    problem : str
        What is wrong, and what to do.
    """
    for sentence in found:
        if said := sentence.problem():
            yield sentence.line, f"{said}: {sentence.text}"
        for name in sentence.claims:
            if name not in stated:
                yield sentence.line, f"there is no claim {name}"
            elif stated[name].sentence != sentence.text:
                yield (
                    sentence.line,
                    f"the check {name} stands for another sentence; read the check, "
                    f"then write this one into {stated[name].place}: {sentence.text}",
                )
