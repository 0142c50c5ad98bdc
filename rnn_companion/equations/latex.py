r"""From the LaTeX of a display to a tree.

`latex.lark` holds both the pieces of LaTeX that are known and the grammar; anything
else is refused. What a symbol is depends on the world: with its names ``W_{hh}`` is
one symbol and ``h_t`` a symbol with an index, and ``f(`` is a call only where the
world has a function ``f``.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from itertools import zip_longest
from typing import Any, Literal

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedToken

Node = Tree[Any]


class EquationError(Exception):
    """What is wrong with an equation: in which sub-expression, or on which line."""

    def __init__(
        self, message: str, node: Node | Token | None = None, line: int = 0
    ) -> None:
        super().__init__(message)
        self.node, self.line = node, line


def start(node: Node | Token) -> int:
    """Where a node begins in its display."""
    at = node.start_pos if isinstance(node, Token) else node.meta.start_pos
    return at or 0


def end(node: Node | Token) -> int:
    """Where a node ends in its display."""
    at = node.end_pos if isinstance(node, Token) else node.meta.end_pos
    return at or 0


@cache
def grammar(parser: Literal["lalr"] | None) -> Lark:
    """Build the parser, or the scanner alone, once."""
    text = files(__package__).joinpath("latex.lark").read_text("utf-8")
    return Lark(text, parser=parser, lexer="basic", propagate_positions=True)


def scan(text: str) -> list[Token]:
    """Cut LaTeX into tokens.

    Parameters
    ----------
    text
        The LaTeX of one display.

    Returns
    -------
    list of Token
        Punctuation, commands and single symbols, with their positions.

    Raises
    ------
    EquationError
        At a command or a character that has no meaning here.
    """
    try:
        return list(grammar(None).lex(text))
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
    found = re.compile(r"\\(begin|end)\{\w+\}|\\[a-zA-Z]+|\\?.").match(text, at)
    unknown = found.group() if found else text[at:]
    token = Token("NAME", unknown, at, end_pos=at + len(unknown))
    raise EquationError(f"the checker does not know `{unknown}`", token)


STYLED = re.compile(
    r"(\\[a-zA-Z]+)(?:\s*\{\s*(.*?)\s*\}|\s+(\S+)|(\d|\\.+))", re.DOTALL
)


def plain_name(text: str) -> str:
    r"""Strip the style: ``\operatorname{diag}`` becomes ``diag``."""
    return re.sub(r"^\\[a-zA-Z]+\s*", "", text).strip("{} ") or text


def canonical(text: str) -> str:
    r"""Write a symbol one way: ``\hat y`` and ``\hat{y}`` are the same name."""
    styled = STYLED.fullmatch(text)
    inside = styled and next(filter(None, styled.groups()[1:]), "")
    return f"{styled[1]}{{{inside}}}" if styled else text


def spanning(kind: str, value: str, first: Token, last: Token) -> Token:
    """Make one token of several; it stands where they stand."""
    token = first.update(kind, value)
    token.end_pos = last.end_pos
    return token


def short_scripts(tokens: Iterable[Token]) -> list[Token]:
    r"""Read ``h_{t}`` as ``h_t``; refuse ``x^23``, which LaTeX reads as ``x^2 3``."""
    rest, out = list(tokens), list[Token]()
    while rest:
        token = rest.pop(0)
        script = bool(out) and out[-1].type in {"_SUB", "_SUP"}
        braced = token.type == "_LBRACE" and [t.type for t in rest[1:2]] == ["_RBRACE"]
        if script and braced:
            inner, closing = rest.pop(0), rest.pop(0)
            token = spanning(inner.type, inner.value, token, closing)
        elif script and token.type == "NUMBER" and len(token) > 1:
            said = f"a script of more than one digit has braces: {{{token}}}"
            raise EquationError(said, token)
        out.append(token)
    return out


@cache
def spelling(name: str) -> list[str]:
    """Spell a name of a world as the sequence of its tokens."""
    return [canonical(token) for token in short_scripts(scan(name))]


def with_names(tokens: list[Token], names: Iterable[str]) -> Iterator[Token]:
    """Join the tokens that together are one name of the world, longest first."""
    spelled = sorted(((spelling(n), n) for n in names), key=lambda s: -len(s[0]))
    values, at = [canonical(token) for token in tokens], 0
    while at < len(tokens):
        found = (s for s in spelled if values[at : at + len(s[0])] == s[0])
        parts, name = next(found, (None, values[at]))
        kind, length = ("NAME", len(parts)) if parts else (tokens[at].type, 1)
        yield spanning(kind, name, tokens[at], tokens[at + length - 1])
        at += length


GRIDS = {"_MATRIX": 1, "_CASES": 1, "_ENDMATRIX": -1, "_ENDCASES": -1}
BARS = {"|": "_RABS", r"\|": "_RNORM"}


def in_context(tokens: list[Token], functions: Collection[str]) -> Iterator[Token]:
    """Decide what the tokens around a token say: calls, closing bars, alignment."""
    opened, grids = set[str](), 0
    for token, following in zip_longest(tokens, tokens[1:]):
        kind = token.type
        grids += GRIDS.get(kind, 0)
        if token in BARS:
            kind = BARS[token] if token in opened else kind
            opened ^= {str(token)}
        elif kind == "NAME" and token in functions and following is not None:
            kind = "FUNC" if following.type in {"_LPAREN", "PRIME"} else kind
        if kind != "_AMP" or grids:
            yield token.update(kind)


SEPARATORS = {"_SEP", "_NEWLINE"}
CONTINUES = {"EQ", "RELATION", "PLUS", "MINUS", "_CDOT", "ODOT", "_DEFINE"}
BEFORE_NONE = {"_NEWLINE", "_AMP", "_CASES", "_MATRIX", "_DOTS", "_IF"}
AFTER_NONE = {"_DOTS", "_ENDMATRIX", "_ENDCASES", "_OTHERWISE"}


def one_separator(tokens: Iterable[Token]) -> list[Token]:
    """Keep one separator where several stand, and none inside a statement."""
    out: list[Token] = []
    found: Token | None = None
    for token in tokens:
        if token.type in SEPARATORS:
            found = token if found is None or token.type == "_NEWLINE" else found
            continue
        out += separator(out, found, token)
        out.append(token)
        found = None
    return out


def separator(before: list[Token], found: Token | None, after: Token) -> list[Token]:
    """Find the separator that belongs between two tokens: one or none."""
    if not before or before[-1].type in BEFORE_NONE:
        return []
    if found is None:
        return [after.update("_SEP", "")] if after.type == "_IF" else []
    broken = found.type == "_NEWLINE" and after.type in CONTINUES
    return [] if broken or after.type in AFTER_NONE else [found]


def parse(text: str, names: Sequence[str] = (), functions: Iterable[str] = ()) -> Node:
    """Parse one display.

    Parameters
    ----------
    text
        Its LaTeX.
    names
        The world's names of more than one token, such as ``W_{hh}``.
    functions
        The world's functions, such as ``f``.

    Returns
    -------
    Tree
        Rows of statements; nodes carry their positions in `text`.

    Raises
    ------
    EquationError
        Where the display is not in the language of `latex.lark`.
    """
    named = list(with_names(short_scripts(scan(text)), names))
    tokens = one_separator(in_context(named, set(functions)))
    if not tokens:
        raise EquationError("is empty: there is nothing to check")
    reading = grammar("lalr").parse_interactive()
    try:
        for token in tokens:
            reading.feed_token(token)
        tree: Node = reading.feed_token(Token("$END", "", end(tokens[-1])))
    except UnexpectedToken as error:
        raise EquationError(stopped(error.token, text), error.token) from None
    for product in tree.find_data("times"):
        left, right = product.children
        between = text[end(left) : start(right)]
        if right.data == "number" and not re.search(r"cdot|times", between):
            raise EquationError("a number stands before what it multiplies", product)
    return tree


def stopped(token: Token, text: str) -> str:
    """Say in words where the parser stopped."""
    if token.type == "$END":
        return "the display ends in the middle of an expression"
    before = text[: start(token)].rstrip()[-24:]
    return f"cannot be read at `{token}`, after `{before}`"
