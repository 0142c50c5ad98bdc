r"""Find the displays of a chapter, and what its comments say about them.

A display is what MyST takes for one: a block ``$$ ... $$ (eq-name)``. Comments of
the form ``<!-- eqcheck: world=bptt -->`` name the world for all that follows; the
others are for the next display alone: ``prose`` (no label, nothing to check),
``identity`` (true by algebra alone), ``part`` (true beyond the range it states),
``rtol=1e-6``, ``skip="reason"``.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin

from .latex import EquationError

OPTIONS = {"world", "prose", "identity", "part", "rtol", "skip"}
LOOSEST = 1e-3
#: Directives whose content is no Markdown.
VERBATIM = {
    *("bibliography", "code", "code-block", "code-cell", "eval-rst"),
    *("literalinclude", "mermaid", "raw", "sourcecode", "toctree"),
}
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
STRAY = re.compile(
    r"(?<!\\)\$\$|\\\[|\\begin\{(?:equation|align|gather|eqnarray|multline)\*?\}"
    r"|<!--\s*eqcheck:"
)


@dataclass(frozen=True)
class Display:
    """One display equation of a chapter, and how it is to be checked."""

    file: str
    line: int
    latex: str
    label: str = ""
    world: str = ""
    options: dict[str, str] = field(default_factory=dict)

    def line_of(self, position: int) -> int:
        """Find the line of the file on which a position of the LaTeX stands."""
        return self.line + self.latex[:position].count("\n")


@cache
def markdown() -> MarkdownIt:
    """Make a parser that takes for an equation or a fence what MyST does."""
    parser = MarkdownIt("commonmark").use(colon_fence_plugin)
    return parser.use(dollarmath_plugin, allow_labels=True, double_inline=True)


def blocks(text: str, line: int = 1) -> Iterator[tuple[Token, int]]:
    """List the blocks of a text, those inside directives too, with their lines."""
    for token in markdown().parse(text):
        begin = line + (token.map or (0, 0))[0]
        name = token.info.strip("{").split("}")[0].strip()
        directive = token.info.startswith("{") or token.type == "colon_fence"
        if token.type not in {"fence", "colon_fence"}:
            yield token, begin
        elif directive and name == "math":
            raise EquationError("write displays as $$ ... $$ (label)", line=begin)
        elif directive and name not in VERBATIM:
            yield from blocks(token.content, begin + 1)


def displays(text: str, file: str) -> Iterator[Display]:
    """Find the displays of a chapter.

    Parameters
    ----------
    text
        MyST Markdown.
    file
        Where it comes from.

    Yields
    ------
    Display
        In the order of the page.

    Raises
    ------
    EquationError
        If a comment is not understood, or an equation stands where it is not read.
    """
    world, options = "", dict[str, str]()
    for token, line in blocks(text):
        if token.type in {"math_block", "math_block_label"}:
            yield Display(file, line, token.content, token.info, world, options)
            options = {}
        elif token.type == "html_block":
            for found in COMMENT.finditer(token.content):
                at = line + token.content.count("\n", 0, found.start())
                options |= comment(found[1], at)
            world = options.pop("world", world)
            refuse_strays(COMMENT.sub("", token.content), line)
        elif token.type == "inline":
            refuse_strays(CODE.sub("", token.content), line)
    if options:
        said = ", ".join(options)
        raise EquationError(f"no equation follows the last eqcheck {said}", line=1)


def comment(said: str, line: int) -> dict[str, str]:
    """Read the options of a comment, if it is one for the checker."""
    head, colon, said = said.partition("eqcheck:")
    if head.strip() or not colon:
        return {}
    try:
        pairs = [word.partition("=") for word in shlex.split(said)]
    except ValueError as error:
        raise EquationError(f"eqcheck comment: {error}", line=line) from None
    options = {name: value for name, _, value in pairs}
    for name, value in options.items():
        if problem := wrong(name, value):
            raise EquationError(problem, line=line)
    return options


def wrong(name: str, value: str) -> str:
    """Say what is wrong with an option, if anything is."""
    if name not in OPTIONS:
        return f"eqcheck knows {', '.join(sorted(OPTIONS))}, but not {name}"
    if (name in {"world", "skip", "rtol"}) != bool(value.strip()):
        return f"eqcheck {name} has the wrong value {value!r}"
    if name == "rtol" and not is_tolerance(value):
        return f"rtol={value} is no number up to {LOOSEST}"
    return ""


def is_tolerance(rtol: str) -> bool:
    """Accept a tolerance that still tells right from wrong."""
    try:
        return 0 < float(rtol) <= LOOSEST
    except ValueError:
        return False


def refuse_strays(text: str, line: int) -> None:
    """Refuse equations and comments in a form that would not be read."""
    if stray := STRAY.search(text):
        line += text.count("\n", 0, stray.start())
        remedy = "write $$ ... $$ (label) as a block of its own"
        if stray.group().startswith("<!--"):
            remedy = "a comment for the checker stands on its own line"
        raise EquationError(f"`{stray.group()}` opens no display: {remedy}", line=line)
