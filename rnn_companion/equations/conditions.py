"""Whole numbers on a tape: indices, the ranges they run over, side conditions."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any, Self

from lark import Token, Tree
from torch import Tensor

from . import algebra
from .algebra import Value
from .latex import EquationError, Node, end, start
from .tape import Key, Tape
from .tree import bound_index, links, relations, symbols, unequal

Range = tuple[int, str | int]
Place = tuple[int, int]
LETTERS = ("i", "j", "k", "l", "m", "n", "r", "s", "t", "u")
LONGEST = 1000  # of a sum or product
RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, r"\ne": operator.ne, r"\neq": operator.ne,
    "<": operator.lt, r"\lt": operator.lt, r"\le": operator.le, r"\leq": operator.le,
    ">": operator.gt, r"\gt": operator.gt, r"\ge": operator.ge, r"\geq": operator.ge,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "plus": operator.add, "minus": operator.sub,
    "times": operator.mul, "over": operator.truediv,
}  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """A symbol that a chapter defines with ``:=``."""

    name: str
    parameters: tuple[str, ...]
    body: Node
    text: str
    label: str
    conditions: tuple[Node, ...] = ()


@dataclass
class Notes:
    """What evaluation finds out on its way, by place in the display.

    `used` are the references; `direct` tells of a total derivative whether it was
    always the direct one, `empty` of a sum whether it always was.
    """

    used: set[str] = field(default_factory=set)
    shapes: dict[Place, tuple[int, ...]] = field(default_factory=dict)
    direct: dict[Place, bool] = field(default_factory=dict)
    empty: dict[Place, bool] = field(default_factory=dict)


@dataclass
class Conditions:
    """What holds on one tape, with some indices fixed.

    Parameters
    ----------
    tape
        The draw of the world.
    text
        The display the nodes come from.
    ranges
        Where an index runs if nothing is said.
    definitions
        What the chapter has defined so far.
    at
        The indices that are fixed.
    replaced
        Symbols with another value than the tape's; all others are then constants.
    notes
        What evaluation finds out.
    """

    tape: Tape
    text: str
    ranges: Mapping[str, Range]
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    at: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[Key, Tensor] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)

    def value(self, node: Node) -> Value:
        """Evaluate an expression: see `Meaning`."""
        raise NotImplementedError

    def write(self, node: Node | Token) -> str:
        """Quote an expression from the page."""
        return " ".join(self.text[start(node) : end(node)].split())

    def within(self, **at: int) -> Self:
        """Fix further indices."""
        return replace(self, at={**self.at, **at})

    def exact(self, node: Node) -> Fraction | None:
        """Evaluate what is made of indices, sizes and whole numbers alone."""
        match node.data:
            case "number":
                return Fraction(str(node.children[0]))
            case "symbol":
                known = {**self.tape.sizes, **self.at}.get(str(node.children[0]))
                return None if known is None else Fraction(known)
            case "group":
                return self.exact(node.children[0])
            case "plus" | "minus" | "negative" | "times" | "over":
                inner = [self.exact(c) for c in node.children if isinstance(c, Tree)]
                return combined(str(node.data), inner)
        return None

    def integer(self, node: Node) -> int:
        """Evaluate an index."""
        whole = self.exact(node)
        if whole is None or whole.denominator != 1:
            said = f"`{self.write(node)}` is no whole number: no index"
            raise EquationError(said, node)
        return int(whole)

    def holds(self, statement: Node) -> bool:
        """Decide a side condition."""
        first, *rest = statement.children
        match statement.data:
            case "bare":
                return True
            case "series" | "members":
                low, high = sorted(self.integer(n) for n in rest[-2:])
                return low <= self.integer(first) <= high
            case "listed":
                return self.integer(first) in [self.integer(n) for n in rest]
        return all(self.related(a, r, b) for a, r, b in links(statement))

    def related(self, a: Node, relation: str, b: Node) -> bool:
        """Compare two sides: exactly if whole, else within rounding."""
        sides = [self.exact(side) for side in (a, b)]
        if None not in sides:
            return RELATIONS[relation](*sides)
        left, right = self.value(a), self.value(b)
        if relation == "=":
            return algebra.distance(left, right) < 1e-9
        return RELATIONS[relation](left.tensor.item(), right.tensor.item())

    def assignments(
        self, names: Iterable[str], conditions: Iterable[Node]
    ) -> list[dict[str, int]]:
        """List the indices that the conditions allow, tried two wider than usual.

        An index without a condition runs where the world says it does.
        """
        names, conditions = list(names), list(conditions)
        stated = {n for c in conditions if not unequal(c) for n in symbols(c)}
        pools = [self.pool(name, name in stated) for name in names]
        every = [dict(zip(names, choice, strict=True)) for choice in product(*pools)]
        found = [at for at in every if all(map(self.within(**at).holds, conditions))]
        for name, pool in zip(names, pools, strict=True):
            if name in stated and {pool[0], pool[-1]} & {at[name] for at in found}:
                raise EquationError(
                    rf"{name} is not bounded; state its whole range: 1 \le {name} \le T"
                )
        return found

    def pool(self, name: str, wide: bool) -> range:
        """Where to try an index: its usual range, or two more on each side."""
        if name not in self.ranges and not wide:
            raise EquationError(f"the range of {name} is not stated")
        low, high = self.ranges.get(name, (1, max(self.tape.sizes.values())))
        last = self.tape.sizes[high] if isinstance(high, str) else high
        return range(low - 2, last + 3) if wide else range(low, last + 1)

    def runs(self, limits: Node, upper: Node | None) -> list[dict[str, int]]:
        """List the indices under a sum, product or maximum."""
        name = bound_index(limits)
        if upper is None:
            stated = [] if limits.data == "symbol" else limits.children
            return self.assignments([name], stated)
        (chain,) = limits.children if limits.data == "limits" else (limits,)
        if relations(chain) != ["="] or chain.children[0].data != "symbol":
            raise EquationError("limits are written _{k=1}^{T}", limits)
        first, last = self.integer(chain.children[2]), self.integer(upper)
        if last - first >= LONGEST:
            said = f"runs over {last - first + 1} indices; at most {LONGEST} are tried"
            raise EquationError(said, limits)
        return [{name: k} for k in range(first, last + 1)]


def combined(rule: str, parts: list[Fraction | None]) -> Fraction | None:
    """Combine whole numbers; None where one is not."""
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts) or (rule == "over" and not whole[-1]):
        return None
    return -whole[0] if len(whole) == 1 else ARITHMETIC[rule](*whole)


def written(at: Mapping[str, int]) -> str:
    """Write indices as a reader would."""
    return ", ".join(f"{name}={value}" for name, value in at.items())
