"""Try the claims of one display, and ask what it is worth that they held.

A claim must hold on every draw of its world, at every index it is stated for.
It must not hold when all symbols are scrambled, or it would be true by algebra
alone; a bound must be attained somewhere, and not everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

import torch

from . import algebra
from .algebra import Value, shape_of
from .conditions import Definition, Notes, written
from .latex import EquationError
from .meaning import Meaning
from .statement import Claim, Equation
from .tape import Tape

RTOL = 1e-9
STRICT = {"<", ">", r"\lt", r"\gt"}
UNEQUAL = {r"\ne", r"\neq"}
DOWNWARD = {">", r"\gt", r"\ge", r"\geq"}

Definitions = Mapping[str, Definition]
At = Mapping[str, int]


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

    def add(self, at: At) -> None:
        """Remember which indices were tried."""
        for name, index in at.items():
            self.indices.setdefault(name, set()).add(index)


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
    by_algebra = []
    for claim in equation.claims:
        ClaimCheck(claim, equation, known, evidence).run()
        by_algebra.append(holds_by_algebra(claim, equation, known))
        if by_algebra[-1] and not identity:
            raise EquationError(
                "holds whatever its symbols mean: it says nothing about them; "
                "mark it <!-- eqcheck: identity --> if that is the point",
                claim.right,
            )
    if identity and not any(by_algebra):
        raise EquationError("does not hold by algebra alone; drop the mark `identity`")
    for definition in equation.definitions:
        evaluate(definition, equation, known, evidence)
    refuse_needless(evidence.notes, equation)
    return evidence


def refuse_needless(notes: Notes, equation: Equation) -> None:
    r"""Refuse a sum that is always empty, a \mathrm{d} that is always a \partial."""
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
        here = replace(meaning(equation, tape, known), notes=evidence.notes)
        for at in here.assignments(what.parameters, what.conditions):
            here.within(**at).value(what.body)
            evidence.add(at)


def holds_by_algebra(claim: Claim, equation: Equation, known: Definitions) -> bool:
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
class ClaimCheck:
    """The runs of one claim over all draws and indices."""

    claim: Claim
    equation: Equation
    known: Definitions
    evidence: Evidence
    runs: int = 0
    largest: float = 0.0
    room: list[float] = field(default_factory=list)
    true_though_unmet: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rtol = float(self.equation.display.options.get("rtol", RTOL))
        self.bound = self.claim.relation not in {"=", *UNEQUAL}

    def run(self) -> None:
        """Try the claim everywhere, then ask what that was worth."""
        world, claim = self.equation.world, self.claim
        tapes = [*world.draws, *(world.tight_draws if self.bound else [])]
        for number, tape in enumerate(tapes, 1):
            here = replace(self.meaning(tape), notes=self.evidence.notes)
            for at in here.assignments(claim.free, claim.conditions):
                self.try_at(at, here.within(**at), number)
        self.evidence.draws = max(self.evidence.draws, len(tapes))
        self.refuse_empty()
        if self.bound:
            self.refuse_loose()
        if claim.conditions and "part" not in self.equation.display.options:
            self.refuse_narrow()

    def meaning(self, tape: Tape) -> Meaning:
        """Give the equation its meaning on a tape."""
        return meaning(self.equation, tape, self.known)

    def try_at(self, at: At, here: Meaning, number: int) -> None:
        """Try the claim at one place."""
        claim = self.claim
        met = all(map(here.holds, claim.given))
        try:
            left, right = sides(claim, here)
        except EquationError as error:
            where = f" (at {written(at)})" if at else ""
            raise EquationError(f"{error}{where}", error.node) from None
        true = holds(claim, left, right, self.rtol)
        if not met:
            self.true_though_unmet.append(true)
            return
        if not true:
            where = f"at {written(at)}, draw {number}" if at else f"draw {number}"
            said = f"{where}{self.difference(here, left, right)}"
            raise EquationError(said, claim.right)
        self.count(at, left, right)

    def count(self, at: At, left: Value, right: Value) -> None:
        """Record a run in which the claim held."""
        self.runs += 1
        self.evidence.add(at)
        self.largest = max(self.largest, left.tensor.abs().max().item())
        if self.claim.relation == "=":
            error = algebra.distance(left, right)
            self.evidence.error = max(self.evidence.error, error)
        elif self.bound:
            self.room.append(slack(self.claim, left, right))

    def difference(self, here: Meaning, left: Value, right: Value) -> str:
        """Say where two sides differ most, and by how much."""
        gap, entry = (left.tensor - right.tensor).abs().reshape(-1), ""
        shape = torch.broadcast_shapes(left.shape, right.shape)  # one may be a number
        worst = int(gap.argmax())
        if len(gap) > 1:
            spot = torch.unravel_index(torch.tensor(worst), shape)
            entry = f" in entry ({', '.join(str(int(i) + 1) for i in spot)})"
        a, b = (v.tensor.expand(shape).reshape(-1)[worst] for v in (left, right))
        one, two = f"{a:.6g}", f"{b:.6g}: {self.claim.relation} is false"
        return (
            f"{entry}: `{here.write(self.claim.left)}` is {one} "
            f"but `{here.write(self.claim.right)}` is {two}"
        )

    def refuse_empty(self) -> None:
        """Refuse what held without saying anything."""
        claim = self.claim
        zero = any(n.data == "number" for n in (claim.left, claim.right))
        if not self.runs:
            said = "was never tried: no index or draw meets its conditions"
            raise EquationError(said, claim.left)
        if claim.relation == "=" and self.largest < 1e-12 and not zero:
            said = "is zero on both sides wherever it was tried"
            raise EquationError(said, claim.left)
        if claim.given and all(self.true_though_unmet):
            raise EquationError("holds without its condition", claim.given[0])

    def refuse_loose(self) -> None:
        """Refuse a bound that is attained nowhere, or everywhere."""
        least = min(self.room)
        if least > (1e-3 if self.claim.relation in STRICT else 1e-9):
            said = f"is never attained: it leaves {least:.1g} of the larger side"
            raise EquationError(said, self.claim.right)
        if max(self.room) < 1e-9:
            said = "is an equality wherever it was tried: write ="
            raise EquationError(said, self.claim.right)

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
        here, given = self.meaning(tape), self.claim.given
        inside = here.assignments(self.claim.free, self.claim.conditions)
        if not any(all(map(here.within(**at).holds, given)) for at in inside):
            return None
        steps = [at | {n: at[n] + s} for at in inside for n in at for s in (-1, 1)]
        outside = (at for at in steps if at not in inside)
        return [at for at in outside if self.extends(here.within(**at))]

    def extends(self, here: Meaning) -> bool:
        """Tell whether the claim holds at one place, without a record of it."""
        try:
            met = all(map(here.holds, self.claim.given))
            return met and holds(self.claim, *sides(self.claim, here), self.rtol)
        except EquationError:
            return False
