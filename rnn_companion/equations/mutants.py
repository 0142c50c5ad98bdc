r"""Change every equation in the ways authors get them wrong; each change must fail.

A mutant is the display's own LaTeX with one thing changed, and goes through the
whole checker. Not made are those that cannot be false: two factors exchanged of
which one is a scalar, the range of what holds beyond it. A mutant that passes all
the same is a survivor; ``survivors.toml`` beside the worlds records why it is true.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import torch
from lark import Token, Tree

from .checker import Chapter
from .claims import examine
from .conditions import Place
from .latex import EquationError, Node, end, start
from .statement import RANGES, Equation, is_condition, understand
from .tree import is_symbol, relations
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
    "<": r"\le ", r"\le": "<", r"\leq": "<", ">": r"\ge ", r"\ge": ">", r"\geq": ">",
}  # fmt: skip
#: For each rule of the grammar: the kind of mistake, the part that is replaced (0 is
#: the whole), and what takes its place, in which #1 is the first part.
RULES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "plus": (("sign", 2, "-"), ("term", 0, "#1"), ("term", 0, "{#3}")),
    "minus": (("sign", 2, "+"), ("term", 0, "#1"), ("term", 0, "-{#3}")),
    "negative": (("sign", 1, ""),),
    "times": (("factor", 0, "#1"), ("factor", 0, "#2")),
    "odot": (("factor", 0, "#1"), ("factor", 0, "#3"), ("product", 2, "")),
    "over": (
        ("factor", 0, "{#1}"),
        ("factor", 0, r"\frac{1}{#2}"),
        ("factor", 0, r"\frac{#2}{#1}"),
    ),
    "root": (("function", 0, "{#1}"),),
    "norm": (("function", 0, "{#1}"),),
    "absolute": (("function", 0, "{#1}"),),
    "ceil": (("function", 0, "{#1}"),),
    "expectation": (("function", 0, "{#2}"),),
    "gradient": (("function", 0, "#2"),),
    "extreme": (("function", 0, "#3"),),
    "extreme_of": (("function", 0, "#2"),),
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
    shapes: dict[Place, tuple[int, ...]]

    def __post_init__(self) -> None:
        self.latex = self.equation.display.latex
        self.tape = self.equation.world.draws[0]

    def mutants(self) -> Iterator[Mutant]:
        """Make all mutants, each once."""
        seen = {" ".join(self.latex.split())}
        for mutant in self.changes():
            if mutant.text not in seen:
                seen.add(mutant.text)
                yield mutant

    def changes(self) -> Iterator[Mutant]:
        """Change the statements of the display, one after the other."""
        for item in chain(*(row.children for row in self.equation.tree.children)):
            inner = item.children[0] if item.data == "given" else item
            if is_condition(inner, self.equation.world):
                if "part" not in self.equation.display.options:
                    yield from self.of_condition(inner)
            elif item.data == "bare":
                yield self.edit("bound", inner, f"{self.write(inner)} + 1")
            else:
                if item.data == "given":
                    yield self.edit("condition", item, "")
                yield from self.of_statement(inner)

    def of_statement(self, statement: Node) -> Iterator[Mutant]:
        """Change the relations and sides of a claim, or the body of a definition."""
        *others, last = statement.children
        if last.data != "number":
            yield self.edit("sign", last, f"-{self.write(last)}")
        for side in [last] if statement.data == "definition" else [*others, last]:
            if side.data != "relation":
                yield from self.of_tree(side)
            elif (relation := self.write(side)) in FLIPPED:
                yield self.edit("relation", side, FLIPPED[relation])
                yield self.edit("relation", side, "=")

    def of_tree(self, node: Node) -> Iterator[Mutant]:
        """Change one thing anywhere in an expression."""
        for kind, part, text in RULES.get(node.data, ()):
            replaced = node.children[part - 1] if part else node
            yield self.edit(kind, replaced, self.filled(text, node))
        first = node.children[0] if node.children else None
        if first in EXCHANGED:
            yield self.edit("function", first, EXCHANGED[str(first)])
        yield from getattr(self, f"of_{node.data}", lambda _: ())(node)
        children = node.children
        if node.data in {"symbol", "subscript", "superscript"} and is_symbol(node):
            yield from self.of_name(node)
            children = children[1:]
        for child in children:
            if isinstance(child, Tree):
                yield from self.of_tree(child)

    def edit(self, kind: str, node: Node | Token, text: str) -> Mutant:
        """Replace a node."""
        return self.replaced(kind, start(node), end(node), text)

    def replaced(self, kind: str, begin: int, stop: int, text: str) -> Mutant:
        """Replace a piece of the display."""
        return Mutant(kind, self.latex[:begin] + text + self.latex[stop:])

    def shifts(
        self, kind: str, node: Node | Token, pattern: str = "%s", brackets: str = ""
    ) -> Iterator[Mutant]:
        """Replace a number by the next and the previous one."""
        text = self.write(node).strip(brackets)
        for shift in ("+ 1", "- 1"):
            yield self.edit(kind, node, pattern % f"{text} {shift}")

    def write(self, node: Node | Token) -> str:
        """Quote a node."""
        return self.latex[start(node) : end(node)]

    def filled(self, text: str, node: Node) -> str:
        """Put the parts of a node where their numbers stand."""
        part = lambda found: self.write(node.children[int(found[1]) - 1])  # noqa: E731
        return re.sub(r"#(\d)", part, text)

    def shape(self, node: Node) -> tuple[int, ...]:
        """Look up the shape a node had."""
        return self.shapes.get((start(node), end(node)), ())

    def of_times(self, node: Node) -> Iterator[Mutant]:
        """Exchange two factors."""
        left, right = node.children
        last = left.children[-1] if left.data == "times" else left
        if self.shape(last) and self.shape(right):
            swapped = f"{{{self.write(right)}}} {{{self.write(last)}}}"
            yield self.replaced("order", start(last), end(right), swapped)

    def of_superscript(self, node: Node) -> Iterator[Mutant]:
        """Drop or change an exponent, drop a transpose."""
        base, exponent = node.children
        if exponent.data == "transposed":
            yield self.edit("transpose", node, self.write(base))
        elif not (is_symbol(node) and exponent.data == "group"):
            yield self.edit("exponent", node, self.write(base))
            larger = f"{{{self.write(exponent).strip('{}')} + 1}}"
            yield self.edit("exponent", exponent, larger)

    def transposed(self, node: Node) -> Iterator[Mutant]:
        """Transpose what is no scalar."""
        if len(self.shape(node)) == 2:
            yield self.edit("transpose", node, rf"{{{self.write(node)}}}^\top")

    def of_name(self, node: Node) -> Iterator[Mutant]:
        """Transpose a symbol, exchange it, shift its indices."""
        yield from self.transposed(node)
        base = node
        while base.data != "symbol":
            base, script = base.children
            yield from self.of_script(script)
        before = " " if self.write(base).startswith("\\") else ""
        for other in self.others(str(base.children[0]), scripted=base is not node):
            after = " " if other.startswith("\\") and other[-1].isalpha() else ""
            yield self.edit("symbol", base, f"{before}{other}{after}")

    def of_script(self, script: Node) -> Iterator[Mutant]:
        """Shift an index, or exchange two that are written as one word."""
        indices = script.children if script.data == "indices" else [script]
        if script.data not in {"indices", "one", "group"}:
            return
        if len(indices) == 1 and indices[0].data == "times":
            yield self.edit("index", script, self.filled("{#2 #1}", indices[0]))
            return
        pattern = {"one": "{%s}", "group": "(%s)"}.get(script.data, "%s")
        for index in indices:
            yield from self.shifts("index", index, pattern, "{()}")

    def others(self, name: str, scripted: bool) -> list[str]:
        """Pick symbols of the same kind that could stand here by mistake."""
        here, indices = self.equation.names, self.equation.world.indices
        arities = self.tape.arities(name)
        if not scripted and name in self.tape.sizes:
            kin = set(self.tape.sizes)
        elif not scripted and name in indices:
            kin = here & indices
        else:
            kin = {n for n, _, _ in self.tape.values if self.tape.arities(n) & arities}
        alike = self.axes(name)
        order = lambda n: (self.axes(n) != alike, n not in here, n)  # noqa: E731
        return sorted(kin - {name}, key=order)[:3]

    def axes(self, name: str) -> int:
        """Count how many axes of a symbol are longer than one."""
        values = (v for (n, _, _), v in self.tape.values.items() if n == name)
        return sum(n > 1 for n in next(values, torch.tensor(0)).shape)

    def of_number(self, node: Node) -> Iterator[Mutant]:
        """Change a number."""
        value = float(self.write(node).strip("{}"))  # an upper bound has braces
        for other in (value + 1, value - 1):
            if other or value > 1:
                text = f"{other:g}" if other >= 0 else f"({other:g})"
                yield self.edit("number", node, text)

    def of_bigop(self, node: Node) -> Iterator[Mutant]:
        """Shift the bounds of a sum or product."""
        _, limits, upper, _ = node.children
        if upper is not None:
            yield from self.shifts("bound", limits.children[0].children[-1])
            yield from self.shifts("bound", upper, "{%s}", "{}")
        elif limits.data == "limits":
            for statement in limits.children:
                yield from self.of_condition(statement)

    def of_call(self, node: Node) -> Iterator[Mutant]:
        """Drop a function or its prime, change its power."""
        _, modifiers, arguments = node.children
        if len(arguments.children) == 1 or arguments.data != "arguments":
            yield self.edit("function", node, f"{{{self.write(arguments).strip()}}}")
        for modifier in modifiers.children:
            other = "3" if self.write(modifier) == "2" else "2"
            text = other if modifier.data == "number" else ""
            yield self.edit("exponent", modifier, text)

    def of_derivative(self, node: Node) -> Iterator[Mutant]:
        """Exchange direct and total derivative, transpose it."""
        kinds = [c for c in node.children if isinstance(c, Token)]
        other = r"\mathrm{d} " if kinds[0] == r"\partial" else r"\partial "
        text, shift = self.write(node), start(node)
        for kind in reversed(kinds):
            text = text[: start(kind) - shift] + other + text[end(kind) - shift :]
        yield self.edit("derivative", node, text)
        yield from self.transposed(node)

    of_operator = of_derivative

    def of_condition(self, node: Node) -> Iterator[Mutant]:
        """Make a range narrower and wider."""
        if node.data == "chain" and {*relations(node)} <= {"=", r"\ne", r"\neq"}:
            return
        bounds = node.children[-2:] if node.data in RANGES else node.children[::2]
        for bound in (bounds[0], bounds[-1]):
            yield from self.shifts("bound", bound)
        for relation in (c for c in node.children if c.data == "relation"):
            if (sign := self.write(relation)) in STRICTER:
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
            if definition.name not in known:
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
        reasons = recorded(chapter)
        for label, mutant in living:
            reason = reasons.pop((label, mutant.text), "")
            said = f"  {label} ({mutant.kind}): {mutant.text}"
            lines.append(f"{said}\n    {reason or 'NO REASON'}")
            if not reason:
                what = "a mutant survives without a reason"
                wrong.append(f"{label}: {what}: {mutant.text}")
        what = "a reason is recorded, but this is caught or not made"
        wrong += [f"{label}: {what}: {text}" for label, text in reasons]
    lines.append(score("all", caught_all, total_all))
    if caught_all < FLOOR * total_all:
        said = f"{caught_all} of {total_all} mutants are caught"
        wrong.append(f"{said}; the floor is {FLOOR:.0%}")
    return "\n".join(lines), wrong


def recorded(chapter: Chapter) -> dict[tuple[str, str], str]:
    """Look up the reasons for survivors of a chapter, by label and text."""
    reasons = survivors(Path(chapter.file).parent / "worlds")
    return {
        (label, text): why
        for label in chapter.equations
        for text, why in reasons.get(label, {}).items()
    }


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
    share = f" ({count / total:.1%})" if total else ""
    return f"{name}: {count} of {total} mutants caught{share}"
