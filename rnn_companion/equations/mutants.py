r"""Change every equation in the ways authors get them wrong; each change must fail.

A mutant is the display's own LaTeX with one thing changed, and goes through the
whole checker. Not made are those that cannot be false: two factors exchanged of
which one is a scalar, the range of what holds beyond it. A mutant that passes all
the same is a survivor; the world's module records why it is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from lark import Token, Tree

from .checker import Chapter, examine
from .latex import EquationError, Node, end, start
from .statement import RANGES, Equation, Row, is_symbol, understand
from .worlds import survivors

FLOOR = 0.97
EXCHANGED = {
    r"\tanh": r"\exp", r"\exp": r"\tanh", r"\log": r"\exp", r"\ln": r"\exp",
    r"\max": r"\min", r"\min": r"\max", r"\sum": r"\prod", r"\prod": r"\sum",
    r"\sin": r"\cos", r"\cos": r"\sin",
}  # fmt: skip
FLIPPED = {
    r"\le": r"\ge", r"\leq": r"\ge", r"\ge": r"\le", r"\geq": r"\le",
    "<": ">", ">": "<", r"\lt": ">", r"\gt": "<", r"\ne": "=", r"\neq": "=",
}  # fmt: skip
STRICTER = {
    "<": r"\le ",
    r"\le": "<",
    r"\leq": "<",
    ">": r"\ge ",
    r"\ge": ">",
    r"\geq": ">",
}


@dataclass(frozen=True)
class Mutant:
    """A display with one thing changed."""

    kind: str
    latex: str

    @property
    def text(self) -> str:
        """The LaTeX on one line, as the records of survivors have it."""
        return " ".join(self.latex.split())


@dataclass(frozen=True)
class Edit:
    """One replacement in a display."""

    kind: str
    begin: int
    end: int
    text: str


@dataclass
class Mutator:
    """Makes the mutants of one equation.

    Parameters
    ----------
    equation
        The equation.
    shapes
        The shapes of its sub-expressions, by their place in the display.
    """

    equation: Equation
    shapes: dict[tuple[int, int], tuple[int, ...]]

    def __post_init__(self) -> None:
        self.latex = self.equation.display.latex
        self.tape = self.equation.world.draws[0]

    def mutants(self) -> Iterator[Mutant]:
        """Make all mutants, each once."""
        seen = {" ".join(self.latex.split())}
        for edit in self.edits():
            mutant = Mutant(
                edit.kind, self.latex[: edit.begin] + edit.text + self.latex[edit.end :]
            )
            if mutant.text not in seen:
                seen.add(mutant.text)
                yield mutant

    def edits(self) -> Iterator[Edit]:
        """Walk over the statements of the display."""
        for row in self.equation.tree.children:
            assert isinstance(row, Tree)
            for item in row.children:
                assert isinstance(item, Tree)
                inner = item.children[0] if item.data == "given" else item
                if Row.is_condition(inner, self.equation.world):
                    part = "part" in self.equation.display.options
                    yield from () if part else self.of_condition(inner)
                    continue
                if item.data == "bare":
                    yield self.edit("bound", inner, f"{self.write(inner)} + 1")
                    continue
                if item.data == "given":
                    yield self.edit("condition", item, "")
                sides = (
                    inner.children[1:] if inner.data == "definition" else inner.children
                )
                yield from self.of_sides(sides)

    def of_sides(self, sides: Sequence[Node | Token]) -> Iterator[Edit]:
        """Change the sides of a claim, or the body of a definition."""
        for side in sides:
            if not isinstance(side, Tree):
                continue
            if side.data == "relation":
                relation = str(side.children[0])
                if relation in FLIPPED:
                    yield self.edit("relation", side, FLIPPED[relation])
                    yield self.edit("relation", side, "=")
                continue
            if side is sides[-1] and side.data != "number":
                yield self.edit("sign", side, f"-{self.write(side)}")
            yield from self.of_tree(side)

    def of_tree(self, node: Node) -> Iterator[Edit]:
        """Change one thing anywhere in an expression."""
        named = getattr(self, f"of_{node.data}", None)
        if named:
            yield from named(node)
        name = is_symbol(node) and node.data in {"symbol", "subscript", "superscript"}
        if name:
            yield from self.of_name(node)
        for child in node.children:
            if isinstance(child, Tree) and not (
                name and is_symbol(child) and child is node.children[0]
            ):
                yield from self.of_tree(child)

    def edit(self, kind: str, node: Node | Token, text: str) -> Edit:
        """Replace a node."""
        return Edit(kind, start(node), end(node), text)

    def write(self, node: Node | Token) -> str:
        """Quote a node."""
        return self.latex[start(node) : end(node)]

    def shape(self, node: Node) -> tuple[int, ...]:
        """Look up the shape a node had."""
        return self.shapes.get((start(node), end(node)), ())

    def of_plus(self, node: Node) -> Iterator[Edit]:
        """Change a sign, drop a term."""
        *left, operator, right = node.children
        assert isinstance(operator, Token)
        if not left:
            yield self.edit("sign", operator, "")
            return
        yield self.edit("sign", operator, "-" if operator == "+" else "+")
        yield self.edit("term", node, self.write(left[0]))
        yield self.edit(
            "term", node, f"{'' if operator == '+' else '-'}{{{self.write(right)}}}"
        )

    of_minus = of_plus

    def of_times(self, node: Node) -> Iterator[Edit]:
        """Drop a factor, exchange two."""
        left, right = node.children[0], node.children[-1]
        assert isinstance(left, Tree)
        assert isinstance(right, Tree)
        yield self.edit("factor", node, self.write(left))
        yield self.edit("factor", node, self.write(right))
        last = left.children[-1] if left.data == "times" else left
        if self.shape(last) and self.shape(right):
            swapped = f"{{{self.write(right)}}} {{{self.write(last)}}}"
            yield Edit("order", start(last), end(right), swapped)

    def of_over(self, node: Node) -> Iterator[Edit]:
        """Drop the numerator or the denominator, turn a fraction over."""
        above, below = self.write(node.children[0]), self.write(node.children[-1])
        for text in (
            f"{{{above}}}",
            rf"\frac{{1}}{{{below}}}",
            rf"\frac{{{below}}}{{{above}}}",
        ):
            yield self.edit("factor", node, text)

    def of_odot(self, node: Node) -> Iterator[Edit]:
        r"""Drop a factor of ``\odot``, or make it a matrix product."""
        left, operator, right = node.children
        yield self.edit("factor", node, self.write(left))
        yield self.edit("factor", node, self.write(right))
        yield self.edit("product", operator, "")

    def of_superscript(self, node: Node) -> Iterator[Edit]:
        """Drop or change an exponent, drop a transpose."""
        base, exponent = node.children
        if exponent.data in {"transposed", "layer_transposed"}:
            yield self.edit("transpose", node, self.write(base))
        elif not (is_symbol(node) and exponent.data == "group"):
            yield self.edit("exponent", node, self.write(base))
            if exponent.data != "elementwise":
                yield self.edit(
                    "exponent", exponent, f"{{{self.write(exponent).strip('{}')} + 1}}"
                )

    def of_name(self, node: Node) -> Iterator[Edit]:
        """Transpose a symbol, exchange it, shift its indices."""
        if len(self.shape(node)) == 2:
            yield self.edit("transpose", node, rf"{{{self.write(node)}}}^\top")
        base = node
        while base.data != "symbol":
            base, script = base.children
            yield from self.of_script(script)
        for other in self.others(str(base.children[0]), scripted=base is not node):
            yield self.edit("symbol", base, self.spaced(base, other))

    def spaced(self, base: Node, other: str) -> str:
        """Write another symbol so that it does not run into its neighbours."""
        before = " " if self.write(base).startswith("\\") else ""
        after = " " if other.startswith("\\") and other[-1].isalpha() else ""
        return f"{before}{other}{after}"

    def of_script(self, script: Node) -> Iterator[Edit]:
        """Shift an index."""
        indices = script.children if script.data == "indices" else [script]
        if script.data not in {"indices", "one", "group"}:
            return
        if len(indices) == 1 and indices[0].data == "times":
            first, last = indices[0].children[0], indices[0].children[-1]
            yield self.edit(
                "index", script, f"{{{self.write(last)} {self.write(first)}}}"
            )
            return
        for index in indices:
            for shift in ("+ 1", "- 1"):
                shifted = f"{self.write(index).strip('{()}')} {shift}"
                wrapped = {"one": "{%s}", "group": "(%s)"}.get(
                    script.data, "%s"
                ) % shifted
                yield self.edit("index", index, wrapped)

    def others(self, name: str, scripted: bool) -> list[str]:
        """Pick symbols of the same kind that could stand here by mistake."""
        here = self.equation.names
        if not scripted and name in self.tape.sizes:
            kin = set(self.tape.sizes)
        elif not scripted and name in self.equation.world.indices:
            kin = here & self.equation.world.indices
        elif arities := self.tape.arities(name):
            kin = {n for n, _, _ in self.tape.values if self.tape.arities(n) & arities}
        else:
            return []
        alike = self.axes(name)
        return sorted(
            kin - {name}, key=lambda n: (self.axes(n) != alike, n not in here, n)
        )[:3]

    def axes(self, name: str) -> int:
        """Count how many axes of a symbol are longer than one."""
        values = (v for (n, _, _), v in self.tape.values.items() if n == name)
        return sum(n > 1 for n in next(values, torch.tensor(0)).shape)

    def of_number(self, node: Node) -> Iterator[Edit]:
        """Change a number."""
        value = float(self.write(node))
        for other in (value + 1, value - 1):
            if other or value > 1:
                yield self.edit(
                    "number", node, f"{other:g}" if other >= 0 else f"({other:g})"
                )

    def of_bigop(self, node: Node) -> Iterator[Edit]:
        """Shift a bound, exchange sum and product."""
        operator, limits, upper, _ = node.children
        assert isinstance(limits, Tree)
        yield self.edit("function", operator, EXCHANGED[str(operator)])
        if upper is not None:
            for shift in ("+ 1", "- 1"):
                first = limits.children[0].children[-1]
                yield self.edit("bound", first, f"{self.write(first)} {shift}")
                yield self.edit(
                    "bound", upper, f"{{{self.write(upper).strip('{}')} {shift}}}"
                )
        elif limits.data == "limits":
            for statement in limits.children:
                yield from self.of_condition(statement)

    def of_limits(self, node: Node) -> Iterator[Edit]:
        """Leave limits to the operator they belong to."""
        return iter(())

    def of_extreme(self, node: Node) -> Iterator[Edit]:
        """Exchange maximum and minimum."""
        operator = str(node.children[0])
        if operator in EXCHANGED:
            yield self.edit("function", node.children[0], EXCHANGED[operator])
        yield self.edit("function", node, self.write(node.children[-1]))

    of_extreme_of = of_extreme

    def of_call(self, node: Node) -> Iterator[Edit]:
        """Drop a function, its prime, or exchange it."""
        function, modifiers, arguments = node.children
        assert isinstance(arguments, Tree)
        if str(function) in EXCHANGED:
            yield self.edit("function", function, EXCHANGED[str(function)])
        if len(arguments.children) == 1 or arguments.data != "arguments":
            yield self.edit("function", node, f"{{{self.write(arguments).strip()}}}")
        for modifier in modifiers.children:
            yield self.edit(
                "exponent",
                modifier,
                "2"
                if modifier.data == "number" and self.write(modifier) != "2"
                else "3"
                if modifier.data == "number"
                else "",
            )

    def of_derivative(self, node: Node) -> Iterator[Edit]:
        """Exchange direct and total derivative."""
        kinds = [c for c in node.children if isinstance(c, Token) and c.type == "D"]
        other = r"\mathrm{d} " if kinds[0] == r"\partial" else r"\partial "
        text, shift = self.write(node), start(node)
        for kind in reversed(kinds):
            text = text[: start(kind) - shift] + other + text[end(kind) - shift :]
        yield self.edit("derivative", node, text)
        if len(self.shape(node)) == 2:
            yield self.edit("transpose", node, rf"{{{self.write(node)}}}^\top")

    of_operator = of_derivative

    def of_gradient(self, node: Node) -> Iterator[Edit]:
        """Drop the gradient's operator."""
        yield self.edit("function", node, self.write(node.children[-1]))

    def of_root(self, node: Node) -> Iterator[Edit]:
        """Drop a root."""
        yield self.edit("function", node, f"{{{self.write(node.children[0])}}}")

    of_norm = of_absolute = of_floor = of_ceil = of_root

    def of_expectation(self, node: Node) -> Iterator[Edit]:
        """Drop an expectation."""
        yield self.edit("function", node, f"{{{self.write(node.children[-1])}}}")

    def of_condition(self, node: Node) -> Iterator[Edit]:
        """Make a range narrower and wider."""
        relations = [str(r.children[0]) for r in node.children if r.data == "relation"]
        bounds = node.children[-2:] if node.data in RANGES else node.children[::2]
        if node.data == "chain" and set(relations) <= {"=", r"\ne", r"\neq"}:
            return
        for bound in (bounds[0], bounds[-1]):
            for shift in ("+ 1", "- 1"):
                yield self.edit("bound", bound, f"{self.write(bound)} {shift}")
        for relation in node.children[1::2]:
            if (
                relation.data == "relation"
                and (sign := self.write(relation)) in STRICTER
            ):
                yield self.edit("relation", relation, STRICTER[sign])


def caught(chapter: Chapter, equation: Equation, latex: str) -> bool:
    """Tell whether the checker refuses a display in which something was changed."""
    known = dict(chapter.definitions.get(equation.display.world, {}))
    for definition in equation.definitions:
        known.pop(definition.name)
    try:
        changed = understand(replace(equation.display, latex=latex), known)
        known |= {d.name: d for d in changed.definitions}
        examine(changed, known)
        for definition in equation.definitions:
            if not any(d.name == definition.name for d in changed.definitions):
                return True
            for user in chapter.users(definition, equation):
                examine(user, known)
    except EquationError:
        return True
    return False


def survey(chapters: Iterable[Chapter]) -> tuple[str, list[str]]:
    """Try all mutants of chapters.

    Parameters
    ----------
    chapters
        Chapters whose equations hold.

    Returns
    -------
    table : str
        Caught and total for each chapter, and every survivor with its reason.
    problems : list of str
        Survivors without a recorded reason, reasons whose mutant no longer
        survives, and a score below the floor.
    """
    lines, wrong, caught_all, total_all = [], [], 0, 0
    for chapter in chapters:
        living, total = surviving(chapter)
        caught_all, total_all = caught_all + total - len(living), total_all + total
        lines.append(score(chapter.file, total - len(living), total))
        reasons = {
            (label, text): why
            for label in chapter.equations
            for text, why in survivors().get(label, {}).items()
        }
        for label, mutant in living:
            reason = reasons.pop((label, mutant.text), "")
            lines.append(
                f"  {label} ({mutant.kind}): {mutant.text}\n    {reason or 'NO REASON'}"
            )
            wrong += (
                []
                if reason
                else [f"{label}: a mutant survives without a reason: {mutant.text}"]
            )
        wrong += [
            f"{label}: a reason is recorded, but this is caught or not made: {text}"
            for label, text in reasons
        ]
    lines.append(score("all", caught_all, total_all))
    if caught_all < FLOOR * total_all:
        wrong.append(
            f"{caught_all} of {total_all} mutants are caught; the floor is {FLOOR:.0%}"
        )
    return "\n".join(lines), wrong


def surviving(chapter: Chapter) -> tuple[list[tuple[str, Mutant]], int]:
    """Try the mutants of one chapter: those that survive, and how many there were."""
    living, total = [], 0
    for label, evidence in chapter.evidence.items():
        equation = chapter.equations[label]
        for mutant in Mutator(equation, evidence.notes.shapes).mutants():
            total += 1
            if not caught(chapter, equation, mutant.latex):
                living.append((label, mutant))
    return living, total


def score(name: str, count: int, total: int) -> str:
    """Write a line of the table."""
    return f"{name}: {count} of {total} mutants caught" + (
        f" ({count / total:.1%})" if total else ""
    )
