"""Formulas of a source on trial, by the checker of equations."""

import inspect
import re
from pathlib import Path

from rnn_companion.claims.finding import Finding, trial
from rnn_companion.claims.registry import Claim, Quoted, checked
from rnn_companion.equations import check_text


def formula(
    source: Quoted, quotation: str, *, said: str, right: str, world: str
) -> Claim:
    """Put a formula of a source on trial: as printed and as it should be.

    Both are run by the checker of equations, in one of the book's worlds. The planted
    falsehood exchanges them.

    Parameters
    ----------
    source
        Where it stands.
    quotation
        Words beside it, as they stand there, or what it is called.
    said, right
        LaTeX; the same text where the source is right.
    world
        The name of a world.

    Returns
    -------
    Claim
        Its check finds *wrong* if what is said fails and the right form holds.
    """
    frame = inspect.stack()[1]
    page = Path(frame.filename).resolve().parents[1] / "claims.md"

    def judge(latex: tuple[str, str]) -> Finding:
        found = [equation(text, world, page) for text in latex]
        return trial(*found)

    def exchanged(latex: tuple[str, str]) -> tuple[str, str]:
        return (right, said) if said != right else (_broken(said), said)

    made = Claim(
        source.id,
        quotation,
        judge,
        lambda: (said, right),
        (exchanged,),
        source,
        said,
        right,
        world,
        frame.filename,
        frame.lineno,
    )
    return checked(made)


def _broken(latex: str) -> str:
    """Change an equation's right side by one half of it."""
    left, _, right = latex.partition("=")
    return f"{left} = \\frac{{1}}{{2}} \\left( {right} \\right)"


def equation(latex: str, world: str, page: Path) -> Finding:
    """Run one equation in a world of the book of a page."""
    text = f"<!-- eqcheck: world={world} -->\n$$\n{latex}\n$$ (eq-on-trial)\n"
    report = check_text(text, str(page)).reports[0]
    ran = f"the formula, run on random numbers in the world “{world}”"
    if report.status == "ok":
        found = f"largest error {report.max_error:.1g}"
        return Finding("holds", f"{ran}, against {report.reference}", found)
    sides = iter(("the left side", "the right side"))
    said = re.sub(r"`[^`]*`", lambda found: next(sides, found[0]), report.reason)
    return Finding("wrong", ran, said)
