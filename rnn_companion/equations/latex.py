r"""From the LaTeX of a display to a tree.

The scanner knows every command by its whole name, so ``\cdots`` is never read
as ``\cdot s``; what it does not know it refuses. The grammar is `latex.lark`.
A world lends the scanner its names: ``W_{hh}`` is one symbol, ``h_t`` a symbol
with an index, and ``f(`` a call only where the world has a function ``f``.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Tree, UnexpectedInput, UnexpectedToken
from lark.lexer import Lexer

Node = Tree[Any]


class EquationError(Exception):
    """What is wrong with an equation: in which sub-expression, or on which line."""

    def __init__(
        self, message: str, node: Node | Token | None = None, line: int = 0
    ) -> None:
        super().__init__(message)
        self.node, self.line = node, line


DELIMITER = r"(?=\s*(?:[()\[\]|]|\\[{}|]|\\[lr](?:Vert|vert|floor|ceil)))"
SKIPPED = re.compile(
    r"(?:\s|~|%.*|\\[,;:! ]"
    rf"|\\(?:left|right|[bB]igg?[lrm]?){DELIMITER}"
    r"|\\(?:displaystyle|nonumber|limits)(?![a-zA-Z])"
    r"|\\(?:begin|end)\{(?:aligned|align\*?|gathered|split)\})+"
)
STYLED = (
    r"\\(?:hat|tilde|bar|overline|mathrm|operatorname"
    r"|mathbf|mathbb|mathcal|boldsymbol|text)"
)
TOKEN = re.compile(
    r"(?P<row>\\\\(?:\[\w+\])?)|(?P<env>\\(?:begin|end)\{\w+\})"
    r"|(?P<text>\\text\s*\{[^{}]*\})"
    rf"|(?P<styled>{STYLED}(?![a-zA-Z])\s*(?:\{{[^{{}}]*\}}|\\[a-zA-Z]+|\w))"
    r"|(?P<command>\\[a-zA-Z]+|\\[{}|])|(?P<number>\d+(?:\.\d+)?)|(?P<letter>[a-zA-Z])"
    r"|(?P<mark>:=|.)",
    re.DOTALL,
)
MARKS = {
    "=": "EQ", ":=": "_DEFINE", "<": "RELATION", ">": "RELATION", "+": "PLUS",
    "-": "MINUS", "/": "SLASH", "_": "_SUB", "^": "_SUP", "{": "_LBRACE",
    "}": "_RBRACE", "(": "_LPAREN", ")": "_RPAREN", "[": "_LBRACKET",
    "]": "_RBRACKET", "&": "_AMP", "'": "PRIME", ",": "_SEP", ".": "_SEP",
    ";": "_SEP", "|": "ABS", r"\|": "NORM",
}  # fmt: skip
COMMANDS = {
    r"\frac": "_FRAC", r"\tfrac": "_FRAC", r"\dfrac": "_FRAC", r"\sqrt": "_SQRT",
    r"\sum": "BIGOP", r"\prod": "BIGOP", r"\lim": "LIM", r"\to": "_TO",
    r"\infty": "INFTY", r"\max": "EXTREME", r"\min": "EXTREME",
    r"\sup": "EXTREME", r"\inf": "EXTREME", r"\partial": "D", r"\nabla": "_NABLA",
    r"\top": "TOP", r"\odot": "ODOT", r"\cdot": "CDOT", r"\times": "CDOT",
    r"\bmod": "MOD", r"\le": "RELATION", r"\leq": "RELATION", r"\ge": "RELATION",
    r"\geq": "RELATION", r"\lt": "RELATION", r"\gt": "RELATION", r"\ne": "RELATION",
    r"\neq": "RELATION", r"\in": "_IN", r"\{": "_LSET", r"\}": "_RSET",
    r"\dots": "_DOTS", r"\ldots": "_DOTS", r"\cdots": "_DOTS", r"\quad": "_SEP",
    r"\qquad": "_SEP", r"\lVert": "_LNORM", r"\rVert": "_RNORM", r"\lvert": "_LABS",
    r"\rvert": "_RABS", r"\lfloor": "_LFLOOR", r"\rfloor": "_RFLOOR",
    r"\lceil": "_LCEIL", r"\rceil": "_RCEIL", r"\tanh": "FUNC", r"\exp": "FUNC",
    r"\log": "FUNC", r"\ln": "FUNC", r"\cos": "FUNC", r"\sin": "FUNC", r"\|": "NORM",
}  # fmt: skip
GREEK = re.compile(
    r"alpha|beta|[gG]amma|[dD]elta|(?:var)?epsilon|zeta|eta|[tT]heta|iota|kappa"
    r"|[lL]ambda|mu|nu|[xX]i|[pP]i|rho|[sS]igma|tau|[uU]psilon|(?:var)?phi|Phi|chi"
    r"|[pP]si|[oO]mega|ell|star|ast"
)
ENVIRONMENTS = {
    r"\begin{bmatrix}": "_MATRIX", r"\end{bmatrix}": "_ENDMATRIX",
    r"\begin{pmatrix}": "_MATRIX", r"\end{pmatrix}": "_ENDMATRIX",
    r"\begin{cases}": "_CASES", r"\end{cases}": "_ENDCASES",
}  # fmt: skip
WORDS = {
    "_IF": {"if", "when", "where", "provided", "provided that"},
    "_SEP": {"", "for", "for all", "and", "with", "for every", "at"},
    "_OTHERWISE": {"otherwise", "else"},
}
#: Functions of every world, under the names that stand in `\operatorname{...}`.
NAMED_FUNCTIONS = {"diag", "softmax", "tr", "vec", "sign", "tanh", "exp", "log", "relu"}


def scan(text: str) -> Iterator[Token]:
    """Cut LaTeX into tokens.

    Parameters
    ----------
    text
        The LaTeX of one display.

    Yields
    ------
    Token
        Punctuation, commands and single symbols, with their positions.

    Raises
    ------
    EquationError
        At a command or a word that has no meaning here.
    """
    at = 0
    while at < len(text):
        if blank := SKIPPED.match(text, at):
            at = blank.end()
            continue
        found = TOKEN.match(text, at)
        assert found
        yield make(kind_of(found), found.group(), at)
        at = found.end()


def make(kind: str, value: str, at: int, end: int | None = None) -> Token:
    """Make a token that knows where it stands in its display."""
    end = at + len(value) if end is None else end
    return Token(kind, value, at, 1, at, 1, end, end)


def kind_of(found: re.Match[str]) -> str:
    """Name the kind of a piece of LaTeX."""
    text = found.group()
    match found.lastgroup:
        case "row":
            return "_NEWLINE"
        case "number":
            return "NUMBER"
        case "letter":
            return "NAME"
        case "mark" if text in MARKS:
            return MARKS[text]
        case "env" if text in ENVIRONMENTS:
            return ENVIRONMENTS[text]
        case "command" if text in COMMANDS:
            return COMMANDS[text]
        case "command" if GREEK.fullmatch(text, 1):
            return "NAME"
        case "text":
            return kind_of_words(text)
        case "styled":
            return kind_of_styled(text)
    raise EquationError(
        f"the checker does not know `{text}`", make("NAME", text, found.start())
    )


def kind_of_words(text: str) -> str:
    r"""Name what ``\text{...}`` stands for: a function, a condition or a pause."""
    words = " ".join(text[text.index("{") + 1 : -1].split()).rstrip(":.,;").lower()
    kinds = [kind for kind, known in WORDS.items() if words in known]
    if words in NAMED_FUNCTIONS:
        return "FUNC"
    return kinds[0] if kinds else "NAME"


def kind_of_styled(text: str) -> str:
    r"""Name what ``\mathrm{...}`` and the like stand for."""
    inside = plain_name(text)
    if text.startswith((r"\mathrm", r"\operatorname")):
        if inside == "d":
            return "D"
        if inside in NAMED_FUNCTIONS:
            return "FUNC"
        if inside in {"max", "min"}:
            return "EXTREME"
    return "EXPECT" if inside in {"E", "Var"} and text[:8] != r"\mathbf{" else "NAME"


def plain_name(text: str) -> str:
    r"""Strip the style: ``\operatorname{diag}`` becomes ``diag``."""
    return re.sub(r"^\\[a-zA-Z]+\s*", "", text).strip("{} ") or text


def canonical(text: str) -> str:
    r"""Write a symbol one way: ``\hat y`` and ``\hat{y}`` are the same name."""
    styled = re.fullmatch(rf"({STYLED})\s*\{{?\s*(.*?)\s*\}}?", text, re.DOTALL)
    return f"{styled[1]}{{{styled[2]}}}" if styled else text


def unbraced(tokens: Iterable[Token]) -> list[Token]:
    r"""Read ``h_{t}`` as ``h_t`` and the ``23`` of ``x^23`` digit by digit."""
    tokens = list(tokens)
    out: list[Token] = []
    while tokens:
        token = tokens.pop(0)
        script = bool(out) and out[-1].type in {"_SUB", "_SUP"}
        if (
            script
            and token.type == "_LBRACE"
            and [t.type for t in tokens[1:2]] == ["_RBRACE"]
        ):
            inner, closing = tokens.pop(0), tokens.pop(0)
            out.append(make(inner.type, inner.value, start(token), end(closing)))
        elif script and token.type == "NUMBER" and len(token) > 1:
            out.append(make("NUMBER", token[0], start(token)))
            tokens.insert(0, make("NUMBER", token[1:], start(token) + 1))
        else:
            out.append(token)
    return out


def start(node: Node | Token) -> int:
    """Where a node begins in its display."""
    at = node.start_pos if isinstance(node, Token) else node.meta.start_pos
    return at or 0


def end(node: Node | Token) -> int:
    """Where a node ends in its display."""
    at = node.end_pos if isinstance(node, Token) else node.meta.end_pos
    return at or 0


@cache
def spelling(name: str) -> tuple[str, ...]:
    """Spell a name of a world as the sequence of its tokens."""
    return tuple(canonical(token) for token in unbraced(scan(name)))


def merged(tokens: list[Token], names: Sequence[str]) -> Iterator[Token]:
    """Join the tokens that together are one name of the world, longest first."""
    spelled = sorted(((spelling(n), n) for n in names), key=lambda s: -len(s[0]))
    values, at = [canonical(token) for token in tokens], 0
    while at < len(tokens):
        for parts, name in spelled:
            if tuple(values[at : at + len(parts)]) == parts:
                last = tokens[at + len(parts) - 1]
                yield make("NAME", name, start(tokens[at]), end(last))
                at += len(parts)
                break
        else:
            token = tokens[at]
            yield make(token.type, values[at], start(token), end(token))
            at += 1


def settled(tokens: list[Token], functions: Collection[str]) -> Iterator[Token]:
    """Decide what needs its neighbours: calls, bars, semicolons, alignment."""
    bars, brackets, grids = {"ABS": 0, "NORM": 0}, 0, 0
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        kind = token.type
        grids += OPENS.get(kind, 0) if kind[1:2] in "MCE" else 0
        brackets += OPENS.get(kind, 0) if kind[1:2] in "LR" else 0
        calls = following is not None and following.type in {"_LPAREN", "PRIME"}
        if kind in bars:
            bars[kind] += 1
            kind = f"_{'RL'[bars[kind] % 2]}{kind}"
        elif token == ";" and brackets:
            kind = "_SEMICOLON"
        elif kind == "NAME" and token in functions and calls:
            kind = "FUNC"
        if kind != "_AMP" or grids:
            yield make(kind, token.value, start(token), end(token))


OPENS = {"_LPAREN": 1, "_LBRACKET": 1, "_RPAREN": -1, "_RBRACKET": -1} | {
    "_MATRIX": 1, "_CASES": 1, "_ENDMATRIX": -1, "_ENDCASES": -1,
}  # fmt: skip
PAUSES = {"_SEP", "_NEWLINE"}
CONTINUES = {"EQ", "RELATION", "PLUS", "MINUS", "CDOT", "ODOT", "_DEFINE"}
STARTS = {"_NEWLINE", "_AMP", "_CASES", "_MATRIX"}


def joined(tokens: Iterable[Token]) -> list[Token]:
    """Keep one separator where several stand, and none inside a statement."""
    out: list[Token] = []
    pause: Token | None = None
    for token in tokens:
        if token.type in PAUSES:
            pause = token if pause is None or token.type == "_NEWLINE" else pause
            continue
        if kept := needed(out, pause, token):
            out.append(kept)
        out.append(token)
        pause = None
    return out


def needed(before: list[Token], pause: Token | None, after: Token) -> Token | None:
    """Find the separator that belongs between two tokens."""
    if not before or before[-1].type in {*STARTS, "_DOTS", "_IF"}:
        return None
    if pause is None and after.type == "_IF":
        return make("_SEP", "", start(after))
    ends = after.type == "_DOTS" or after.type.startswith(("_END", "_OTHER"))
    broken = pause is not None and pause.type == "_NEWLINE"
    return None if ends or (broken and after.type in CONTINUES) else pause


class Tokens(Lexer):
    """Hands ready-made tokens to the parser."""

    def __init__(self, lexer_conf: object) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: object = None) -> Iterator[Token]:  # noqa: ANN401 (as lark has it)
        """Pass the tokens on."""
        return iter(lexer_state)


@cache
def grammar() -> Lark:
    """Build the parser, once."""
    text = files(__package__).joinpath("latex.lark").read_text("utf-8")
    return Lark(text, parser="lalr", lexer=Tokens, propagate_positions=True)


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
    tokens = joined(settled(list(merged(unbraced(scan(text)), names)), set(functions)))
    try:
        tree: Node = grammar().parse(tokens)
    except UnexpectedToken as error:
        raise EquationError(explained(error, text), error.token) from None
    except UnexpectedInput as error:
        raise EquationError(f"cannot be read: {error}") from None
    for product in tree.find_data("times"):
        if product.children[-1].data == "number" and len(product.children) == 2:
            raise EquationError("a number stands before what it multiplies", product)
    return tree


def explained(error: UnexpectedToken, text: str) -> str:
    """Say in words where the parser stopped."""
    if error.token.type == "$END":
        return "the display ends in the middle of an expression"
    before = text[: start(error.token)].rstrip()[-24:]
    return f"cannot be read at `{error.token}`, after `{before}`"
