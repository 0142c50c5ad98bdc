r"""Find the displays of a chapter, and what its comments say about them.

A display is ``$$ ... $$ (eq-name)``. Comments of the form
``<!-- eqcheck: world=bptt -->`` name the world for all that follows; the others
are for the next display alone: ``prose`` (no label, nothing to check),
``identity`` (true by algebra alone), ``part`` (true beyond the range it states),
``rtol=1e-6``, ``skip="reason"``.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field

from .latex import EquationError

KNOWN = {"world", "prose", "identity", "part", "rtol", "skip"}
LOOSEST = 1e-3
#: Directives whose content is no Markdown.
PASSIVE = {
    *("bibliography", "code", "code-block", "code-cell", "eval-rst"),
    *("literalinclude", "mermaid", "raw", "sourcecode", "toctree"),
}
FENCE = re.compile(r"^[ \t>]*(`{3,}|~{3,}|:{3,})[ \t]*(.*?)[ \t]*$", re.MULTILINE)
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
ASIDE = re.compile(r"<!--(?!\s*eqcheck:).*?-->", re.DOTALL)
FOUND = re.compile(
    r"<!--\s*eqcheck:(?P<said>.*?)-->"
    r"|(?<!\\)\$\$(?P<latex>.*?)(?<!\\)\$\$(?:[ \t]*\((?P<label>[^)\s]+)\))?",
    re.DOTALL,
)
STRAY = re.compile(
    r"(?<!\\)\$\$|\\\[|\\begin\{(?:equation|align|gather|eqnarray|multline)\*?\}"
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
    text, world, options = visible(text), "", dict[str, str]()
    refuse_strays(text)
    for match in FOUND.finditer(text):
        begin = max(match.start(), match.start("latex"))
        line = text.count("\n", 0, begin) + 1
        if match["said"] is not None:
            options |= comment(match["said"], line)
            world = options.pop("world", world)
            continue
        label = match["label"] or ""
        yield Display(file, line, match["latex"], label, world, options)
        options = {}
    if options:
        said = ", ".join(options)
        raise EquationError(f"no equation follows the last eqcheck {said}", line=1)


def comment(said: str, line: int) -> dict[str, str]:
    """Read the options of a comment."""
    try:
        pairs = [word.partition("=") for word in shlex.split(said)]
    except ValueError as error:
        raise EquationError(f"eqcheck comment: {error}", line=line) from None
    options = {name: value for name, _, value in pairs}
    for name, value in options.items():
        if name not in KNOWN:
            known = ", ".join(sorted(KNOWN))
            raise EquationError(f"eqcheck knows {known}, but not {name}", line=line)
        if (name in {"world", "skip", "rtol"}) != bool(value.strip()):
            raise EquationError(
                f"eqcheck {name} has the wrong value {value!r}", line=line
            )
        if name == "rtol" and not sensible(value):
            raise EquationError(f"rtol={value} is no number up to {LOOSEST}", line=line)
    return options


def sensible(rtol: str) -> bool:
    """Accept a tolerance that still tells right from wrong."""
    try:
        return 0 < float(rtol) <= LOOSEST
    except ValueError:
        return False


def visible(text: str) -> str:
    """Blank out code and comments, in which a $$ is no equation; positions stay."""
    out, fences = list(text), list[tuple[str, bool, int]]()
    for match in FENCE.finditer(text):
        mark, info = match.groups()
        name = info.strip("{").split("}")[0].strip()
        if fences and mark.startswith(fences[-1][0]) and not info:
            _, passive, begin = fences.pop()
            blank(out, begin, match.start() if passive else begin)
        elif not (fences and fences[-1][1]):
            if info.startswith("{") and name == "math":
                line = text.count("\n", 0, match.start()) + 1
                raise EquationError("write displays as $$ ... $$ (label)", line=line)
            code = not info.startswith("{") and mark[0] != ":"
            fences.append((mark, code or name in PASSIVE, match.end()))
    for _, passive, begin in fences:
        blank(out, begin, len(text) if passive else begin)
    for pattern in (CODE, ASIDE):
        for match in pattern.finditer("".join(out)):
            blank(out, match.start(), match.end())
    return "".join(out)


def blank(out: list[str], begin: int, end: int) -> None:
    """Replace characters by spaces, but for line ends."""
    out[begin:end] = [c if c == "\n" else " " for c in out[begin:end]]


def refuse_strays(text: str) -> None:
    """Refuse equations in a form that would not be read."""
    rest = list(text)
    for match in FOUND.finditer(text):
        blank(rest, match.start(), match.end())
    if stray := STRAY.search("".join(rest)):
        line = text.count("\n", 0, stray.start()) + 1
        what = stray.group()
        raise EquationError(
            f"`{what}` opens no display: write $$ ... $$ (label)", line=line
        )
