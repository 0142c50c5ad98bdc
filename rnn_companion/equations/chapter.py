r"""Find the displays of a chapter, and what its comments say about them.

A display is ``$$ ... $$ (eq-name)``. Comments of the form
``<!-- eqcheck: world=bptt -->`` name the world for all that follows; the others
are for the next display alone: ``prose`` (nothing to check), ``identity`` (true
by algebra alone), ``rtol=1e-6``, ``skip="reason"``.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from .latex import EquationError

KNOWN = {"world", "prose", "identity", "rtol", "skip"}
PASSIVE = {
    "code-cell",
    "code-block",
    "code",
    "literalinclude",
    "raw",
    "eval-rst",
    "bibliography",
}
COMMENT = re.compile(r"<!--\s*eqcheck:(.*?)-->", re.DOTALL)
DISPLAY = re.compile(
    r"(?<!\\)\$\$(?P<latex>.*?)(?<!\\)\$\$(?:[ \t]*\((?P<label>[^)\s]+)\))?", re.DOTALL
)
FENCE = re.compile(
    r"^(?P<indent>[ \t>]*)(?P<mark>`{3,}|~{3,})(?P<info>[^\n]*)$", re.MULTILINE
)
STRAY = re.compile(r"(?<!\\)\$\$|\\\[|\\begin\{(?:equation|align|gather|eqnarray)\*?\}")


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


def read_chapter(path: str | Path) -> list[Display]:
    """Read the displays of a chapter.

    Parameters
    ----------
    path
        A MyST Markdown file.

    Returns
    -------
    list of Display
        In the order of the page.

    Raises
    ------
    EquationError
        If a comment is not understood, or an equation stands where it is not read.
    OSError
        If the file cannot be read.
    """
    return displays(Path(path).read_text("utf-8"), str(path))


def displays(text: str, file: str) -> list[Display]:
    """Find the displays of a text; see `read_chapter`."""
    visible = without_code(text, file)
    found, world, options = [], "", {}
    for match in re.finditer(
        f"{COMMENT.pattern}|{DISPLAY.pattern}", visible, re.DOTALL
    ):
        line = text.count("\n", 0, match.start()) + 1
        if match.group(1) is not None:
            said = comment(match.group(1), f"{file}:{line}")
            world = said.pop("world", world)
            options |= said
            continue
        begin = text.count("\n", 0, match.start("latex")) + 1
        label = match["label"] or ""
        found.append(Display(file, begin, match["latex"], label, world, options))
        options = {}
    refuse_strays(visible, file)
    if options:
        raise EquationError(
            f"{file}: eqcheck {', '.join(options)} is followed by no equation"
        )
    return found


def comment(said: str, where: str) -> dict[str, str]:
    """Read the options of a comment."""
    try:
        words = shlex.split(said)
    except ValueError as error:
        raise EquationError(f"{where}: eqcheck comment: {error}") from None
    options = dict(word.split("=", 1) if "=" in word else (word, "") for word in words)
    for name, value in options.items():
        if name not in KNOWN:
            raise EquationError(
                f"{where}: eqcheck does not know {name!r}; it knows {', '.join(sorted(KNOWN))}"
            )
        if name in {"world", "skip", "rtol"} and not value.strip():
            raise EquationError(f"{where}: eqcheck {name}= needs a value")
    return options


def without_code(text: str, file: str) -> str:
    """Blank out code, in which a $$ is no equation; positions stay."""
    out, opened = list(text), None
    for match in FENCE.finditer(text):
        name = match["info"].strip().strip("{}").split("}")[0].split(" ")[0]
        if opened is None:
            directive = match["info"].strip().startswith("{")
            if directive and name == "math":
                line = text.count("\n", 0, match.start()) + 1
                raise EquationError(
                    f"{file}:{line}: write displays as $$ ... $$ (label)"
                )
            if not directive or name in PASSIVE:
                opened = (match["mark"], match.end())
        elif match["mark"].startswith(opened[0]) and not match["info"].strip():
            blank(out, opened[1], match.start())
            opened = None
    if opened:
        blank(out, opened[1], len(text))
    visible = "".join(out)
    for match in re.finditer(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", visible):
        blank(out, match.start(), match.end())
    return "".join(out)


def blank(out: list[str], begin: int, end: int) -> None:
    """Replace characters by spaces, but for line ends."""
    out[begin:end] = [c if c == "\n" else " " for c in out[begin:end]]


def refuse_strays(visible: str, file: str) -> None:
    """Refuse equations in a form that would not be read."""
    rest = list(visible)
    for match in re.finditer(
        f"{COMMENT.pattern}|{DISPLAY.pattern}|<!--.*?-->", visible, re.DOTALL
    ):
        blank(rest, match.start(), match.end())
    if stray := STRAY.search("".join(rest)):
        line = visible.count("\n", 0, stray.start()) + 1
        raise EquationError(
            f"{file}:{line}: `{stray.group()}` opens no display; write $$ ... $$ (label)"
        )
