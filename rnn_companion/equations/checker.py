"""Run the equations of chapters, and say of each how it was checked.

A claim must hold on every draw of its world, at every index it is stated for.
It must not hold when all symbols are scrambled, or it would lean on algebra
alone; a bound must be attained somewhere, and not everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lark import Token

from . import algebra
from .algebra import Value, shape_of
from .chapter import Display, displays
from .latex import EquationError, Node, end, start
from .meaning import Definition, Meaning, Notes, symbols, written
from .statement import Claim, Equation, understand
from .tape import Tape

RTOL = 1e-9
SKIPPED_AT_MOST = 0.03
STRICT = {"<", ">", r"\lt", r"\gt"}
UNEQUAL = {r"\ne", r"\neq"}
DOWNWARD = {">", r"\gt", r"\ge", r"\geq"}

Definitions = Mapping[str, Definition]


@dataclass(frozen=True)
class Report:
    """How one equation fared; `status` is ok, failed or skipped."""

    file: str
    label: str
    line: int
    status: str
    reference: str = ""
    draws: int = 0
    max_error: float = 0.0
    reason: str = ""
    indices: str = ""

    def __str__(self) -> str:
        said = f"{self.file}:{self.line}: {self.label or '(no label)'}: {self.status}"
        if self.status != "ok":
            return f"{said}: {self.reason}"
        error = f", largest error {self.max_error:.0e}" if self.draws else ""
        return f"{said}, {self.reference}; {self.draws} draws{error}"

    def as_json(self) -> dict[str, Any]:
        """Turn into what ``--json`` prints."""
        return {k: v for k, v in asdict(self).items() if k != "indices"}


@dataclass
class Evidence:
    """What the runs of an equation have shown."""

    draws: int = 0
    error: float = 0.0
    indices: dict[str, set[int]] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)

    @property
    def reference(self) -> str:
        """What the equation was held against."""
        return ", ".join(sorted(self.notes.used - {""})) or "exact arithmetic"

    @property
    def covered(self) -> str:
        """Which indices were tried."""
        return ", ".join(f"{n} = {min(v)} to {max(v)}" for n, v in self.indices.items())


# One equation ---------------------------------------------------------------------


def examine(equation: Equation, known: Definitions) -> Evidence:
    """Run all that a display says.

    Parameters
    ----------
    equation
        The display, understood.
    known
        The definitions it may use, its own among them.

    Returns
    -------
    Evidence
        If everything holds.

    Raises
    ------
    EquationError
        Where it does not.
    """
    evidence = Evidence()
    identity = "identity" in equation.display.options
    alone = []
    for claim in equation.claims:
        Trial(claim, equation, known, evidence).run()
        alone.append(leans_on_algebra(claim, equation, known))
        if alone[-1] and not identity:
            raise EquationError(
                "holds whatever its symbols mean: it says nothing about them; "
                "mark it <!-- eqcheck: identity --> if that is the point",
                claim.right,
            )
    if identity and not any(alone):
        raise EquationError("does not hold by algebra alone; drop the mark `identity`")
    for definition in equation.definitions:
        evaluate(definition, equation, known, evidence)
    refuse_idle(evidence.notes, equation)
    return evidence


def refuse_idle(notes: Notes, equation: Equation) -> None:
    r"""Refuse what does no work: a sum of nothing, a \mathrm{d} that is a \partial."""
    latex = equation.display.latex
    for begin, stop in (place for place, always in notes.direct.items() if always):
        raise EquationError(
            f"the total derivative of `{latex[begin:stop]}` is its direct one here, "
            r"as there is no other path: write \partial"
        )
    for begin, stop in (place for place, always in notes.empty.items() if always):
        raise EquationError(f"runs over nothing: `{latex[begin:stop]}` is always empty")


def meaning(equation: Equation, tape: Tape, known: Definitions) -> Meaning:
    """Give an equation its meaning on a tape."""
    return Meaning(tape, equation.display.latex, equation.world.ranges, known)


def evaluate(
    what: Definition, equation: Equation, known: Definitions, evidence: Evidence
) -> None:
    """See that a definition has a value wherever it is made."""
    for tape in equation.world.draws:
        here = seen(meaning(equation, tape, known), evidence)
        for at in here.assignments(what.parameters, what.conditions):
            here.within(**at).value(what.body)
            note(evidence, at)


def seen(here: Meaning, evidence: Evidence) -> Meaning:
    """Let a meaning write down what it sees."""
    return replace(here, notes=evidence.notes)


def note(evidence: Evidence, at: Mapping[str, int]) -> None:
    """Remember which indices were tried."""
    for name, index in at.items():
        evidence.indices.setdefault(name, set()).add(index)


def leans_on_algebra(claim: Claim, equation: Equation, known: Definitions) -> bool:
    """Tell whether a claim survives the scrambling of all its symbols."""
    for tape in equation.world.scrambled:
        here = meaning(equation, tape, known)
        for at in islice(here.assignments(claim.free, claim.conditions), 4):
            try:
                true = holds(claim, *sides(claim, here.within(**at)), RTOL)
            except EquationError:
                true = False
            if not true:
                return False
    return True


def sides(claim: Claim, here: Meaning) -> tuple[Value, Value]:
    """Evaluate both sides, which must have one shape."""
    left, right = here.value(claim.left), here.value(claim.right)
    zero = any(v.number and not v.tensor for v in (left, right))
    if left.shape != right.shape and not zero:
        raise EquationError(
            f"`{here.write(claim.left)}` has shape {shape_of(left.shape)}, "
            f"`{here.write(claim.right)}` has {shape_of(right.shape)}{here.like(left)}",
            claim.right,
        )
    return left, right


def holds(claim: Claim, left: Value, right: Value, rtol: float) -> bool:
    """Compare two sides."""
    apart = algebra.distance(left, right)
    if claim.relation == "=":
        return apart <= rtol
    if claim.relation in UNEQUAL:
        return rtol * 1e3 < apart < float("inf")
    gap = slack(claim, left, right)
    return gap > 0 if claim.relation in STRICT else gap >= -rtol


def slack(claim: Claim, left: Value, right: Value) -> float:
    """Measure how much room a bound leaves, relative to the larger side."""
    sign = -1 if claim.relation in DOWNWARD else 1
    scale = max(left.tensor.abs().max().item(), right.tensor.abs().max().item(), 1e-300)
    return sign * (right.tensor - left.tensor).min().item() / scale


@dataclass
class Trial:
    """The runs of one claim over all draws and indices."""

    claim: Claim
    equation: Equation
    known: Definitions
    evidence: Evidence
    runs: int = 0
    largest: float = 0.0
    room: list[float] = field(default_factory=list)
    unmet: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rtol = float(self.equation.display.options.get("rtol", RTOL))
        self.bound = self.claim.relation not in {"=", *UNEQUAL}

    def run(self) -> None:
        """Try the claim everywhere, then ask what that was worth."""
        world = self.equation.world
        tapes = [*world.draws, *(world.tight_draws if self.bound else [])]
        for number, tape in enumerate(tapes, 1):
            here = seen(meaning(self.equation, tape, self.known), self.evidence)
            for at in here.assignments(self.claim.free, self.claim.conditions):
                self.at(at, here.within(**at), number)
        self.evidence.draws = max(self.evidence.draws, len(tapes))
        self.judge()
        if self.claim.conditions and "part" not in self.equation.display.options:
            self.refuse_narrow()

    def at(self, at: Mapping[str, int], here: Meaning, number: int) -> None:
        """Try the claim at one place."""
        claim = self.claim
        met = all(map(here.holds, claim.given))
        left, right = self.sides(here, at, number)
        true = holds(claim, left, right, self.rtol)
        if not met:
            self.unmet.append(true)
            return
        if not true:
            raise EquationError(
                self.difference(here, left, right, at, number), claim.right
            )
        self.runs += 1
        note(self.evidence, at)
        self.largest = max(self.largest, left.tensor.abs().max().item())
        if claim.relation == "=":
            self.evidence.error = max(
                self.evidence.error, algebra.distance(left, right)
            )
        elif self.bound:
            self.room.append(slack(claim, left, right))

    def sides(
        self, here: Meaning, at: Mapping[str, int], number: int
    ) -> tuple[Value, Value]:
        """Evaluate both sides; an error says at which index it came up."""
        try:
            return sides(self.claim, here)
        except EquationError as error:
            where = f" (at {written(at)})" if at else ""
            raise EquationError(f"{error}{where}", error.node) from None

    def difference(
        self,
        here: Meaning,
        left: Value,
        right: Value,
        at: Mapping[str, int],
        number: int,
    ) -> str:
        """Say where two sides differ most, and by how much."""
        where = f"at {written(at)}, " if at else ""
        gap, entry = (left.tensor - right.tensor).abs().reshape(-1), ""
        shape, worst = shape_like(left, right), int(gap.argmax())
        if len(gap) > 1:
            spot = torch.unravel_index(torch.tensor(worst), shape)
            entry = f" in entry ({', '.join(str(int(i) + 1) for i in spot)})"
        a, b = (v.tensor.expand(shape).reshape(-1)[worst] for v in (left, right))
        one, two = f"{a:.6g}", f"{b:.6g}: {self.claim.relation} is false"
        return (
            f"{where}draw {number}{entry}: `{here.write(self.claim.left)}` is {one} "
            f"but `{here.write(self.claim.right)}` is {two}"
        )

    def judge(self) -> None:
        """Refuse what held without saying anything."""
        claim = self.claim
        zero = any(n.data == "number" for n in (claim.left, claim.right))
        if not self.runs:
            raise EquationError(
                "was never tried: no index or draw meets its conditions", claim.left
            )
        if claim.relation == "=" and self.largest < 1e-12 and not zero:
            raise EquationError(
                "is zero on both sides wherever it was tried", claim.left
            )
        if claim.given and (not self.unmet or all(self.unmet)):
            raise EquationError("holds without its condition", claim.given[0])
        if self.bound and min(self.room) > (1e-3 if claim.relation in STRICT else 1e-9):
            raise EquationError(
                f"is never attained: it leaves {min(self.room):.1g} of the larger side",
                claim.right,
            )
        if self.bound and max(self.room) < 1e-9:
            raise EquationError(
                "is an equality wherever it was tried: write =", claim.right
            )

    def refuse_narrow(self) -> None:
        """Refuse a range beyond which the claim holds just as well."""
        tapes = self.equation.world.draws
        beyond = [b for b in map(self.just_beyond, tapes) if b is not None]
        if all(beyond):
            raise EquationError(
                f"also holds at {written(beyond[0][0])}: state the whole range, "
                "or mark it <!-- eqcheck: part -->",
                self.claim.conditions[0],
            )

    def just_beyond(self, tape: Tape) -> list[dict[str, int]] | None:
        """Find where a claim holds one step outside; None where it is not meant to."""
        here = meaning(self.equation, tape, self.known)
        inside = here.assignments(self.claim.free, self.claim.conditions)
        if not any(
            all(map(here.within(**at).holds, self.claim.given)) for at in inside
        ):
            return None
        steps = [
            {**at, name: at[name] + s} for at in inside for name in at for s in (-1, 1)
        ]
        return [
            at for at in steps if at not in inside and self.extends(here.within(**at))
        ]

    def extends(self, here: Meaning) -> bool:
        """Tell whether the claim holds at one place, without a record of it."""
        try:
            met = all(map(here.holds, self.claim.given))
            return met and holds(self.claim, *sides(self.claim, here), self.rtol)
        except EquationError:
            return False


def shape_like(left: Value, right: Value) -> tuple[int, ...]:
    """Find the shape of two sides, of which one may be a written number."""
    return tuple(torch.broadcast_shapes(left.shape, right.shape))


# Chapters -------------------------------------------------------------------------


@dataclass
class Chapter:
    """The equations of one file, with what went wrong in reading them."""

    file: str
    displays: list[Display] = field(default_factory=list)
    equations: dict[str, Equation] = field(default_factory=dict)
    definitions: dict[str, dict[str, Definition]] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)

    def check(self) -> None:
        """Check every display, in the order of the page."""
        for display in self.displays:
            if "prose" not in display.options or display.label:
                self.reports.append(self.report(display))
        self.settle_definitions()

    def report(self, display: Display) -> Report:
        """Check one display."""
        found = Report(display.file, display.label, display.line, "ok")
        if reason := display.options.get("skip"):
            return replace(found, status="skipped", reason=reason)
        try:
            evidence = self.judge(display)
        except EquationError as error:
            return failure(display, error)
        return replace(
            found,
            reference=evidence.reference,
            draws=evidence.draws,
            max_error=evidence.error,
            indices=evidence.covered,
        )

    def judge(self, display: Display) -> Evidence:
        """Understand and run one display; remember what it defines."""
        if not display.label:
            raise EquationError(
                "has no label; give it one, or mark it <!-- eqcheck: prose -->"
            )
        if "prose" in display.options:
            raise EquationError("has a label, so it is no prose; skip it with a reason")
        if display.label in self.equations:
            raise EquationError("this label is given twice")
        known = self.definitions.setdefault(display.world, {})
        equation = understand(display, known)
        self.equations[display.label] = equation
        for definition in equation.definitions:
            if definition.name in known:
                raise EquationError(f"{definition.name} is defined twice")
            known[definition.name] = definition
        self.evidence[display.label] = examine(equation, known)
        return self.evidence[display.label]

    def settle_definitions(self) -> None:
        """Judge every definition by the claims that use it."""
        failed = {report.label for report in self.reports if report.status == "failed"}
        for equation in self.equations.values():
            for definition in equation.definitions:
                users = [e.display.label for e in self.users(definition, equation)]
                named = ", ".join(users)
                if not users:
                    self.fail(equation.display, f"no claim uses {definition.name}")
                elif failed.issuperset(users):
                    self.fail(
                        equation.display, f"it, or all that uses it, is wrong: {named}"
                    )
                elif not equation.claims:
                    self.amend(equation.display, reference=f"the claims in {named}")

    def users(self, definition: Definition, owner: Equation) -> Iterator[Equation]:
        """Find the equations with a claim that rests on a definition."""
        names, grown = {definition.name}, True
        same = [e for e in self.equations.values() if e.world is owner.world]
        while grown:
            more = {
                d.name for e in same for d in e.definitions if symbols(d.body) & names
            }
            grown, names = not more <= names, names | more
        return (e for e in same if any(c.names & names for c in e.claims))

    def fail(self, display: Display, reason: str) -> None:
        """Turn a report into a failure, unless it is one."""
        self.amend(display, status="failed", reason=reason)

    def amend(self, display: Display, **changes: str) -> None:
        """Change the report of an equation that has not failed."""
        for i, report in enumerate(self.reports):
            if report.label == display.label and report.status == "ok":
                self.reports[i] = replace(report, **changes)  # type: ignore[arg-type]


def failure(display: Display, error: EquationError) -> Report:
    """Report what is wrong, with the line and the sub-expression."""
    line, where = display.line, ""
    if error.node is not None and (text := quoted(display, error.node)):
        line = display.line_of(start(error.node))
        where = f" (in `{text}`)" if text not in str(error) else ""
    return Report(display.file, display.label, line, "failed", reason=f"{error}{where}")


def quoted(display: Display, node: Node | Token) -> str:
    """Quote a sub-expression, if it stands in this display."""
    try:
        return " ".join(display.latex[start(node) : end(node)].split())
    except AttributeError:  # a node that the checker made
        return ""


def check_text(text: str, file: str = "text") -> Chapter:
    """Check the equations of a text; see `check_files`."""
    chapter = Chapter(file)
    try:
        chapter.displays = list(displays(text, file))
    except EquationError as error:
        chapter.reports = [Report(file, "", error.line, "failed", reason=str(error))]
    chapter.check()
    return chapter


def check_files(paths: Iterable[str | Path]) -> list[Chapter]:
    """Check the equations of chapters.

    Parameters
    ----------
    paths
        MyST Markdown files, anywhere.

    Returns
    -------
    list of Chapter
        One for each file; their `reports` say how each equation fared.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    chapters = [check_file(path) for path in dict.fromkeys(map(str, paths))]
    counts = Counter(label for chapter in chapters for label in chapter.equations)
    for chapter in chapters:
        for equation in chapter.equations.values():
            if counts[equation.display.label] > 1:
                chapter.fail(equation.display, "this label is given in two files")
    return chapters


def check_file(path: str) -> Chapter:
    """Check the equations of one file."""
    try:
        return check_text(Path(path).read_text("utf-8"), path)
    except UnicodeDecodeError:
        report = Report(path, "", 1, "failed", reason="is not text in UTF-8")
        return Chapter(path, reports=[report])


def problems(chapters: Iterable[Chapter]) -> list[str]:
    """List what is wrong with a whole run, failed equations apart."""
    reports = [r for c in chapters for r in c.reports]
    skipped = sum(r.status == "skipped" for r in reports)
    if skipped <= SKIPPED_AT_MOST * len(reports):
        return []
    return [
        f"{skipped} of {len(reports)} equations are skipped; "
        f"at most {SKIPPED_AT_MOST:.0%} may be"
    ]
