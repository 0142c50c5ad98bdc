"""Claims: a sentence, the data that it is about, and the check."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .finding import VERDICTS, Finding, Verdict

Judge = Callable[..., Finding]
Lie = Callable[[Any], Any]
BY_READING = {"judged", "cannot be decided"}


class ClaimError(ValueError):
    """A claim that is not written as it must be."""


@dataclass(frozen=True)
class Quoted:
    """Where a claim of a source stands, and what the book says of it.

    Parameters
    ----------
    id
        A short name, such as 0-5.
    source
        Its citation key in ``references.bib``.
    place
        The section, equation or figure.
    verdict
        What the check must find; the page shows what it found.
    where
        The page that derives it, and a label there: ``2-bptt#eq-bptt-sum``.
    needs
        What would have to be true for the claim to hold, in Markdown.
    right
        The right form, in Markdown; empty if the claim is right as it stands.
    left_out
        Why nothing is lost by what the quotation leaves out, if it leaves out anything.
    """

    id: str
    source: str
    place: str
    verdict: Verdict
    where: str
    needs: str
    right: str = ""
    left_out: str = ""

    @property
    def chapter(self) -> str:
        """The page that derives it."""
        return self.where.partition("#")[0]


@dataclass(frozen=True)
class Claim:
    """A sentence that is checked; see `claim`.

    Parameters
    ----------
    id
        As a chapter names it.
    sentence
        As it stands on the page, or in the source.
    judge
        Looks at the data and returns a finding.
    on
        Gathers the data; none where nothing can be run.
    planted
        Ways to change the data so that the verdict must change.
    source
        Where it stands, for a claim of a source.
    said, formula, world
        Of a formula: as the source prints it, its right form, and the world in which
        both are run.
    file, line
        Where the check is written.
    """

    id: str
    sentence: str
    judge: Judge
    on: Callable[[], Any] | None
    planted: tuple[Lie, ...] = ()
    source: Quoted | None = None
    said: str = ""
    formula: str = ""
    world: str = ""
    file: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    @property
    def expected(self) -> Verdict:
        """The verdict that the check must find."""
        return self.source.verdict if self.source else "holds"

    def run(self) -> Finding:
        """Gather the data and look at them.

        Raises
        ------
        ClaimError
            If nothing is gathered and the verdict is not one by reading.
        """
        if self.on is not None:
            return self.judge(self.on())
        finding = self.judge()
        if finding.verdict not in BY_READING:
            raise ClaimError(f"{self.id}: the verdict {finding.verdict} needs data")
        return finding

    def noticed(self) -> list[bool]:
        """Plant each falsehood: whether the check then finds something else."""
        if self.on is None:
            return []
        return [
            self.judge(lie(self.on())).verdict != self.expected for lie in self.planted
        ]


def claim(
    on: Callable[[], Any] | None = None,
    planted: Sequence[Lie] = (),
    source: Quoted | None = None,
) -> Callable[[Judge], Claim]:
    """Make a claim of a check whose docstring is the sentence.

    Parameters
    ----------
    on
        Gathers the data that the check looks at.
    planted
        Each takes the data and returns some with which the sentence is false.
    source
        Where it stands, if it is a source's; see `quoted`.

    Returns
    -------
    Callable
        Turns the function into a `Claim`. Its name, with hyphens, is the claim's id.

    Raises
    ------
    ClaimError
        If there is no sentence, or data and no falsehood.
    """

    def made(judge: Judge) -> Claim:
        code = inspect.unwrap(judge).__code__
        name = source.id if source else judge.__name__.replace("_", "-")
        sentence = " ".join(inspect.cleandoc(judge.__doc__ or "").split())
        where = code.co_filename, code.co_firstlineno
        return checked(
            Claim(
                name,
                sentence,
                judge,
                on,
                tuple(planted),
                source,
                file=where[0],
                line=where[1],
            )
        )

    return made


def quoted(
    source: Quoted,
    on: Callable[[], Any] | None = None,
    planted: Sequence[Lie] = (),
) -> Callable[[Judge], Claim]:
    """Make a claim of a source of a check whose docstring is the quotation."""
    return claim(on, planted, source)


def checked(made: Claim) -> Claim:
    """Refuse a claim that is not written as it must be."""
    if not made.sentence:
        raise ClaimError(f"{made.id}: the docstring must be the sentence")
    if made.on is not None and not made.planted:
        raise ClaimError(f"{made.id}: no falsehood is planted")
    if made.expected not in VERDICTS:
        raise ClaimError(f"{made.id}: no such verdict: {made.expected}")
    return made
