r"""What each construction of `latex.lark` means on a tape.

One method a rule. ``\partial`` is the direct derivative, ``\mathrm{d}`` the
total one, a matrix ``\prod`` puts its highest index leftmost, ``^\top``
transposes and ``^T`` is a power.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import product
from typing import Any

import torch
from lark import Token, Tree
from torch import Tensor

from . import algebra
from .algebra import Value, number, scalar, shape_of
from .latex import EquationError, Node, end, plain_name, start
from .tape import Key, Tape, jacobian

Range = tuple[int, str | int]
ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    r"\tanh": torch.tanh, "tanh": torch.tanh, r"\exp": torch.exp, "exp": torch.exp,
    r"\log": torch.log, r"\ln": torch.log, "log": torch.log, r"\cos": torch.cos,
    r"\sin": torch.sin, "sign": torch.sign, "relu": torch.relu,
}  # fmt: skip
LETTERS = ("i", "j", "k", "l", "m", "n", "r", "s", "t", "u")
RELATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: bool(a == b), "<": lambda a, b: bool(a < b),
    r"\lt": lambda a, b: bool(a < b), r"\le": lambda a, b: bool(a <= b),
    r"\leq": lambda a, b: bool(a <= b), ">": lambda a, b: bool(a > b),
    r"\gt": lambda a, b: bool(a > b), r"\ge": lambda a, b: bool(a >= b),
    r"\geq": lambda a, b: bool(a >= b), r"\ne": lambda a, b: bool(a != b),
    r"\neq": lambda a, b: bool(a != b),
}  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """A symbol that a chapter defines with ``:=``."""

    name: str
    parameters: tuple[str, ...]
    body: Node
    text: str
    label: str
    line: int
    conditions: tuple[Node, ...] = ()


Place = tuple[int, int]


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
class Meaning:
    """Values of expressions on one tape, with some indices fixed.

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
    """

    tape: Tape
    text: str
    ranges: Mapping[str, Range]
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    at: Mapping[str, int] = field(default_factory=dict)
    replaced: Mapping[Key, Tensor] = field(default_factory=dict)
    notes: Notes = field(default_factory=lambda: Notes())

    def value(self, node: Node) -> Value:
        """Evaluate an expression; errors name the innermost one they concern."""
        try:
            value: Value = getattr(self, f"_on_{node.data}")(*node.children)
        except EquationError as error:
            error.node = error.node or node
            raise
        except (RuntimeError, ArithmeticError, ValueError) as error:
            raise EquationError(f"cannot be computed: {error}", node) from None
        self.notes.shapes[start(node), end(node)] = value.shape
        return value

    def write(self, node: Node | Token) -> str:
        """Quote an expression from the page."""
        return " ".join(self.text[start(node) : end(node)].split())

    def within(self, **at: int) -> Meaning:
        """Fix further indices."""
        return replace(self, at={**self.at, **at})

    # Whole numbers: indices, bounds and side conditions -----------------------

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
            case "plus" | "minus" | "times" | "over":
                inner = [self.exact(c) for c in node.children if isinstance(c, Tree)]
                parts = [p for p in inner if p is not None]
                whole = len(parts) == len(inner)
                return combined(str(node.data), parts) if whole else None
        return None

    def integer(self, node: Node) -> int:
        """Evaluate an index."""
        whole = self.exact(node)
        if whole is None or whole.denominator != 1:
            raise EquationError(
                f"`{self.write(node)}` is no whole number: no index", node
            )
        return int(whole)

    def holds(self, statement: Node) -> bool:
        """Decide a side condition."""
        first, *rest = statement.children
        if statement.data == "bare":
            return True
        if statement.data in {"series", "members"}:
            low, high = sorted(self.integer(n) for n in statement.children[-2:])
            return low <= self.integer(first) <= high
        if statement.data == "listed":
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
        found = []
        for choice in product(*pools):
            at = dict(zip(names, choice, strict=True))
            if all(self.within(**at).holds(c) for c in conditions):
                found.append(at)
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
        if limits.data == "symbol" and upper is None:
            return self.assignments([name], [])
        if upper is None:
            return self.assignments([name], limits.children)
        (chain,) = limits.children if limits.data == "limits" else (limits,)
        relations = [r for _, r, _ in links(chain)] if chain.data == "chain" else []
        if relations != ["="] or chain.children[0].data != "symbol":
            raise EquationError("limits are written _{k=1}^{T}", limits)
        first, last = self.integer(chain.children[2]), self.integer(upper)
        return [{name: k} for k in range(first, last + 1)]

    # Symbols ------------------------------------------------------------------

    def _on_number(self, token: Token) -> Value:
        return number(float(token))

    def _on_symbol(self, token: Token) -> Value:
        return self.named(str(token), [], [])

    def _on_subscript(self, base: Node, subscripts: Node) -> Value:
        name = self.name_of(Tree("subscript", [base, subscripts]))
        if name:
            return self.named(*name)
        if base.data == "norm":
            return algebra.norm(
                self.value(base.children[0]), self.write(subscripts).strip("{}")
            )
        return algebra.entry(self.value(base), tuple(self.indices(subscripts)))

    def _on_superscript(self, base: Node, exponent: Node) -> Value:
        name = self.name_of(Tree("superscript", [base, exponent]))
        if name:
            return self.named(*name)
        match exponent.data:
            case "transposed":
                return algebra.transposed(self.value(base))
            case "layer_transposed":
                layer = Tree("superscript", [base, exponent.children[0]], base.meta)
                return algebra.transposed(self.value(layer))
            case "elementwise":
                to = self.value(exponent.children[-1])
                return Value(self.value(base).tensor ** to.tensor)
        if self.is_e(base):
            return Value(torch.exp(self.value(exponent).tensor))
        if exponent.data == "group":
            raise EquationError("has no index in brackets; a power has none around it")
        if self.write(exponent) == "T":
            raise EquationError(r"T is the length, ^T a power: a transpose is ^\top")
        return algebra.power(self.value(base), self.value(exponent))

    def is_e(self, node: Node) -> bool:
        """Tell Euler's number from a symbol of the world."""
        name = str(node.children[0]) if node.data == "symbol" else ""
        return plain_name(name) == "e" and not self.tape.arities(name)

    def name_of(self, node: Node) -> tuple[str, list[int], list[int]] | None:
        """Read a symbol with its subscripts and its superscript in brackets."""
        below: list[int] = []
        layer: list[int] = []
        while node.data in {"subscript", "superscript"}:
            base, script = node.children
            if node.data == "subscript":
                if base.data not in {"symbol", "superscript"}:
                    return None
                below = self.subscripts(base, script)
            elif script.data == "group" and self.layered(base):
                layer = [self.integer(script)]
            else:
                return None
            node = base
        return (str(node.children[0]), below, layer) if node.data == "symbol" else None

    def subscripts(self, base: Node, script: Node) -> list[int]:
        """Evaluate the subscripts of a symbol, which has to exist."""
        try:
            return self.indices(script)
        except EquationError:
            name = base.children[0]
            if base.data == "superscript" or self.tape.arities(str(name)):
                raise
            whole = f"{name}_{{{self.write(script).strip('{}')}}}"
            raise EquationError(
                f"{whole} has no meaning here; {self.known()}"
            ) from None

    def layered(self, node: Node) -> bool:
        """Tell whether a symbol has an index as superscript."""
        while node.data == "subscript":
            node = node.children[0]
        if node.data != "symbol":
            return False
        return any(above for _, above in self.tape.arities(str(node.children[0])))

    def indices(self, subscripts: Node) -> list[int]:
        """Evaluate subscripts: ``t``, ``t,i`` or ``ij``."""
        if subscripts.data == "one":
            return [self.integer(self.single(subscripts))]
        items = list(subscripts.children)
        if len(items) == 1 and items[0].data == "times":
            items = factors(items[0])
            if any(i.data != "symbol" for i in items):
                items = list(subscripts.children)
        return [self.integer(item) for item in items]

    def single(self, one: Node) -> Node:
        """Read a script without braces as a node."""
        token = one.children[0]
        assert isinstance(token, Token)
        kind = "number" if token.type == "NUMBER" else "symbol"
        return Tree(kind, [token], one.meta)

    def named(self, name: str, below: list[int], layer: list[int]) -> Value:
        """Look up a symbol: an index, a size, a definition or one of the world."""
        if not below and not layer:
            if name in self.at or name in self.tape.sizes:
                return scalar({**self.tape.sizes, **self.at}[name])
            if plain_name(name) == "e" and not self.tape.arities(name):
                return Value(torch.tensor(1.0, dtype=torch.float64).exp())
        if name in self.definitions:
            return self.defined(self.definitions[name], below)
        if name == r"\delta" and len(below) == 2 and not self.tape.arities(name):
            return scalar(float(below[0] == below[1]))
        key, parts = self.key(name, below, layer)
        value = Value(self.read(key))
        self.notes.used.add(self.tape.sources.get(name, ""))
        return algebra.entry(value, parts) if parts else value

    def key(
        self, name: str, below: list[int], layer: list[int]
    ) -> tuple[Key, tuple[int, ...]]:
        """Split the subscripts of a symbol into its own and those of a component."""
        arities = self.tape.arities(name)
        if not arities:
            raise EquationError(f"{name} has no meaning here; {self.known()}")
        arity = next((a for a in arities if a[1] == len(layer)), min(arities))
        if len(below) < arity[0] or len(layer) != arity[1]:
            raise EquationError(
                f"{name} takes {arity[0]} subscripts and {arity[1]} in brackets above"
            )
        return (name, tuple(below[: arity[0]]), tuple(layer)), tuple(below[arity[0] :])

    def known(self) -> str:
        """List what this world knows."""
        names = sorted({n for n, _, _ in self.tape.values} | set(self.definitions))
        sizes = ", ".join(self.tape.sizes)
        return f"the world knows {', '.join(names)} and the sizes {sizes}"

    def read(self, key: Key) -> Tensor:
        """Read the tape; where one argument is varied, the others are constants."""
        if key in self.replaced:
            return self.replaced[key]
        value = self.tape.get(key)
        return value.detach() if self.replaced else value

    def defined(self, what: Definition, below: list[int]) -> Value:
        """Evaluate a definition at these indices."""
        parts = tuple(below[len(what.parameters) :])
        if len(below) < len(what.parameters):
            raise EquationError(f"{what.name} takes {len(what.parameters)} subscripts")
        at = dict(zip(what.parameters, below, strict=False))
        inside = replace(self, text=what.text, at=at, notes=Notes(self.notes.used))
        self.within_range(inside, what, at)
        try:
            value = inside.value(what.body)
        except EquationError as error:
            raise EquationError(f"{error} (in {what.name}, by {what.label})") from None
        self.notes.used.add(f"its definition in {what.label}")
        return algebra.entry(value, parts) if parts else value

    def within_range(
        self, inside: Meaning, what: Definition, at: dict[str, int]
    ) -> None:
        """Refuse an index at which a definition was not made."""
        outside = replace(inside, at={})
        if at and at not in outside.assignments(at, what.conditions):
            raise EquationError(f"{what.name} is not defined at {written(at)}")

    # Arithmetic ---------------------------------------------------------------

    def _on_group(self, inner: Node) -> Value:
        return self.value(inner)

    def _on_plus(self, a: Node, _: Token, b: Node) -> Value:
        return self.added(a, b, 1)

    def _on_minus(self, *parts: Node) -> Value:
        if len(parts) == 2:
            value = self.value(parts[1])
            return Value(-value.tensor, value.number)
        return self.added(parts[0], parts[2], -1)

    def added(self, a: Node, b: Node, sign: int) -> Value:
        """Add two terms of one shape."""
        left, right = self.value(a), self.value(b)
        return algebra.add(left, right, sign) or self.refuse(
            a, left, b, right, f"two of one shape would fit{self.like(left)}"
        )

    def _on_times(self, a: Node, *rest: Node) -> Value:
        left, right = self.value(a), self.value(rest[-1])
        return algebra.times(left, right) or self.refuse(
            a, left, rest[-1], right, self.fitting(a, left, rest[-1], right)
        )

    def _on_odot(self, a: Node, _: Token, b: Node) -> Value:
        left, right = self.value(a), self.value(b)
        if left.shape != right.shape:
            self.refuse(
                a, left, b, right, rf"\odot needs two of one shape{self.like(left)}"
            )
        return Value(left.tensor * right.tensor)

    def _on_over(self, a: Node, *rest: Node) -> Value:
        left, right = self.value(a), self.value(rest[-1])
        return algebra.over(left, right) or self.refuse(
            a, left, rest[-1], right, "divide by a scalar, or by the same shape"
        )

    def _on_modulo(self, a: Node, _: Token, b: Node) -> Value:
        return Value(torch.remainder(self.value(a).tensor, self.value(b).tensor))

    def refuse(self, a: Node, left: Value, b: Node, right: Value, advice: str) -> Value:
        """Name two sub-expressions that do not go together."""
        raise EquationError(
            f"`{self.write(a)}` has shape {shape_of(left.shape)}, "
            f"`{self.write(b)}` has {shape_of(right.shape)}: {advice}"
        )

    def like(self, value: Value) -> str:
        """Suggest the symbols of a shape."""
        names = {
            k[0] for k, v in self.tape.values.items() if tuple(v.shape) == value.shape
        }
        what = f"; {', '.join(sorted(names))} have shape {shape_of(value.shape)}"
        return what if names else ""

    def fitting(self, a: Node, left: Value, b: Node, right: Value) -> str:
        """Suggest a transpose or an order of factors that would multiply."""
        one, two = self.write(a), self.write(b)
        flipped = [Value(v.tensor.T) if len(v.shape) == 2 else v for v in (left, right)]
        ways = {
            rf"{one}^\top {two}": (flipped[0], right),
            rf"{one} {two}^\top": (left, flipped[1]),
            f"{two} {one}": (right, left), rf"{one} \odot {two}": (),
        }  # fmt: skip
        fits = [w for w, pair in ways.items() if pair and algebra.times(*pair)]
        fits += [rf"{one} \odot {two}"] if left.shape == right.shape else []
        return (
            "what would fit: " + ", ".join(f"`{w}`" for w in fits)
            if fits
            else "no product fits"
        )

    def _on_root(self, inner: Node) -> Value:
        return Value(torch.sqrt(self.value(inner).tensor))

    def _on_norm(self, inner: Node) -> Value:
        return algebra.norm(self.value(inner))

    def _on_absolute(self, inner: Node) -> Value:
        return self.of_scalar(inner, torch.abs)

    def _on_floor(self, inner: Node) -> Value:
        return self.of_scalar(inner, torch.floor)

    def _on_ceil(self, inner: Node) -> Value:
        return self.of_scalar(inner, torch.ceil)

    def of_scalar(self, inner: Node, rule: Callable[[Tensor], Tensor]) -> Value:
        """Apply what is only meant for scalars."""
        value = self.value(inner)
        if value.shape != ():
            raise EquationError(
                f"has shape {shape_of(value.shape)}: a scalar belongs here", inner
            )
        return Value(rule(value.tensor))

    def _on_matrix(self, *rows: Node) -> Value:
        return algebra.stack(
            [[self.value(cell) for cell in row.children] for row in rows]
        )

    def _on_beside(self, *cells: Node) -> Value:
        return algebra.stack([[self.value(cell) for cell in cells]])

    def _on_above(self, *cells: Node) -> Value:
        return algebra.stack([[self.value(cell)] for cell in cells])

    def _on_cases(self, *rows: Node) -> Value:
        met = [row.children[0] for row in rows if self.applies(row.children[1])]
        if not met:
            met = [r.children[0] for r in rows if r.children[1].data == "otherwise"]
        if len(met) != 1:
            raise EquationError(
                f"{len(met)} of the cases apply{self.here()}; it must be one"
            )
        return self.value(met[0])

    def applies(self, condition: Node) -> bool:
        """Decide one line of a distinction of cases."""
        return condition.data == "condition" and all(
            map(self.holds, condition.children)
        )

    def here(self) -> str:
        """Say at which indices we are."""
        return f" at {written(self.at)}" if self.at else ""

    # Over an index ------------------------------------------------------------

    def _on_bigop(
        self, operator: Token, limits: Node, upper: Node | None, body: Node
    ) -> Value:
        runs = self.runs(limits, upper)
        place = start(limits), end(limits)
        self.notes.empty[place] = self.notes.empty.get(place, True) and not runs
        ordered = sorted(runs, key=lambda at: -next(iter(at.values())))
        values = [self.within(**at).value(body) for at in ordered]
        if not values:
            return self.empty(operator, limits, body)
        total = values[0]
        for value in values[1:]:
            joined = (
                algebra.add(total, value)
                if operator == r"\sum"
                else algebra.times(total, value)
            )
            if joined is None:
                raise EquationError(
                    f"`{self.write(body)}` has shape {shape_of(value.shape)}: "
                    f"{operator} cannot run over it"
                )
            total = joined
        return total

    def empty(self, operator: Token, limits: Node, body: Node) -> Value:
        """Evaluate an empty sum or product: zero or one, of the right shape."""
        name = bound_index(limits)
        for k in self.pool(name, wide=True):
            try:
                like = self.within(**{name: k}).value(body).tensor
            except EquationError:
                continue
            square = (
                like.dim() == 2
                and like.shape[0] == like.shape[1]
                and operator == r"\prod"
            )
            unit = (
                torch.eye(len(like), dtype=torch.float64)
                if square
                else torch.ones_like(like)
            )
            return Value(unit if operator == r"\prod" else torch.zeros_like(like))
        return number(float(operator == r"\prod"))

    def _on_extreme(self, operator: Token, limits: Node, body: Node) -> Value:
        runs = self.runs(limits, None)
        return extreme(operator, [self.within(**at).value(body) for at in runs])

    def _on_extreme_of(self, operator: Token, arguments: Node) -> Value:
        return extreme(operator, [self.value(a) for a in arguments.children])

    def _on_limit(self, _: Token, index: Node, __: Token, body: Node) -> Value:
        near, far = (
            self.within(**{str(index.children[0]): k}).value(body) for k in (400, 800)
        )
        if algebra.distance(near, far) > 1e-6:
            raise EquationError("does not settle: 400 and 800 steps differ")
        return far

    def _on_expectation(self, operator: Token, body: Node) -> Value:
        chances = [
            (p, replace(self, tape=o).value(body).tensor) for p, o in self.tape.outcomes
        ]
        if not chances or all(torch.equal(v, chances[0][1]) for _, v in chances):
            raise EquationError("is not random: it needs no expectation")
        mean = torch.stack([p * v for p, v in chances]).sum(0)
        if plain_name(operator) == "E":
            return Value(mean)
        return Value(torch.stack([p * (v - mean) ** 2 for p, v in chances]).sum(0))

    # Functions ----------------------------------------------------------------

    def _on_call(self, token: Token, modifiers: Node, arguments: Node) -> Value:
        inner = arguments.children if arguments.data == "arguments" else [arguments]
        values = [self.value(a) for a in inner]
        name = str(token) if str(token) in self.tape.functions else plain_name(token)
        name = (
            name
            if name in ELEMENTWISE or name in self.tape.functions
            else plain_name(name)
        )
        primed = [m for m in modifiers.children if m.data == "prime"]
        result = self.slope(name, values) if primed else self.applied(name, values)
        for m in modifiers.children:
            if m.data == "base":
                raise EquationError(f"the subscript of {token} is not known")
            if m.data != "prime":
                result = algebra.power(result, self.value(m))
        return result

    def applied(self, name: str, values: list[Value]) -> Value:
        """Apply a function; in a scrambled world it means something else."""
        if name in STRUCTURAL:
            return STRUCTURAL[name](values[0])
        rule = self.rule(name)
        self.notes.used.add(
            f"torch.{name.strip(chr(92))}"
            if name in ELEMENTWISE or name == "softmax"
            else ""
        )
        made = rule(*(v.tensor for v in values))
        if not self.tape.scrambled:
            return Value(made)
        bend = self.tape.noise(("function", name), (2,))
        return Value(made * bend[0] + bend[1])

    def rule(self, name: str) -> Callable[..., Tensor]:
        """Find a function of the world, of torch, or the softmax."""
        if name in self.tape.functions:
            return self.tape.functions[name]
        if name == "softmax":
            return lambda x: torch.softmax(x, 1 if x.shape[1] > 1 else 0)
        if name not in ELEMENTWISE:
            raise EquationError(f"{name} is no known function")
        return ELEMENTWISE[name]

    def slope(self, name: str, values: list[Value]) -> Value:
        """Differentiate an elementwise function at its argument."""
        x = values[0].tensor
        if self.tape.scrambled:
            return Value(
                self.tape.noise(("slope", name, tuple(x.reshape(-1).tolist())), x.shape)
            )
        self.notes.used.add("autograd")
        x = x if x.requires_grad else x.detach().requires_grad_()
        made = self.rule(name)(x).sum()
        return Value(torch.autograd.grad(made, x, create_graph=True)[0])

    # Derivatives --------------------------------------------------------------

    def _on_derivative(self, upper: Token, of: Node, *rest: Node) -> Value:
        lower, by = rest[-2:]
        return self.derivative(str(upper), str(lower), of, by)

    def _on_operator(self, upper: Token, lower: Token, by: Node, of: Node) -> Value:
        return self.derivative(str(upper), str(lower), of, by)

    def derivative(self, upper: str, lower: str, of: Node, by: Node) -> Value:
        """Differentiate, and lay the result out."""
        direct = upper == r"\partial"
        if direct != (lower == r"\partial"):
            raise EquationError(r"mixes \partial and \mathrm{d}")
        key, parts = self.place(by)
        raw, shape = self.directly(of, key) if direct else self.totally(of, key)
        below = tuple(self.tape.values[key].shape)
        if not direct:
            self.compare(of, raw, key)
        if parts:
            raw = raw.flatten(raw.dim() - len(below))[..., flat(parts, below)]
            below = ()
        self.notes.used.add("autograd")
        return algebra.differential(raw, shape, below)

    def place(self, node: Node) -> tuple[Key, tuple[int, ...]]:
        """Read what is differentiated by: a symbol, or a component of one."""
        named = Meaning.reference(self, node)
        if named is None or named[0] in self.definitions:
            raise EquationError(
                f"`{self.write(node)}` is nothing to differentiate by", node
            )
        key, parts = self.key(*named)
        self.tape.get(key)
        return key, parts

    def reference(self, node: Node) -> tuple[str, list[int], list[int]] | None:
        """Read a node as a symbol, where it is one."""
        while node.data == "group":
            node = node.children[0]
        return self.name_of(node)

    def totally(self, of: Node, by: Key) -> tuple[Tensor, tuple[int, ...]]:
        """Differentiate along every path."""
        value = self.value(of)
        whole = (*value.shape, *self.tape.values[by].shape)
        if self.tape.scrambled:
            return self.nonsense("total", of, by, whole), value.shape
        named = self.reference(of)
        plain = named if named and named[0] not in self.definitions else None
        memo = self.key(*plain) if plain else None
        known = memo[0] if memo and not memo[1] else None
        return self.tape.total(value.tensor, by, known), value.shape

    def compare(self, of: Node, raw: Tensor, by: Key) -> None:
        """Note whether a total derivative is no other than the direct one."""
        named = self.reference(of)
        if self.tape.scrambled or named is None or named[0] in self.definitions:
            return
        key, parts = self.key(*named)
        agrees = self.tape.has_argument(key, by)
        if agrees:
            direct = self.tape.direct(key, by)
            shape = tuple(self.tape.values[key].shape)
            agrees = torch.allclose(
                raw, direct[component(parts, shape)] if parts else direct
            )
        place = start(of), end(of)
        self.notes.direct[place] = self.notes.direct.get(place, True) and agrees

    def directly(self, of: Node, by: Key) -> tuple[Tensor, tuple[int, ...]]:
        """Differentiate a symbol by its argument, or an expression by what it shows."""
        named = self.reference(of)
        if named is None or named[0] in self.definitions:
            return self.visibly(of, by)
        key, parts = self.key(*named)
        shape = tuple(self.tape.get(key).shape)
        raw = self.tape.direct(key, by)
        if parts:
            raw, shape = raw[component(parts, shape)], ()
        return (
            self.nonsense("direct", of, by, raw.shape) if self.tape.scrambled else raw
        ), shape

    def visibly(self, of: Node, by: Key) -> tuple[Tensor, tuple[int, ...]]:
        """Differentiate an expression by a symbol that stands in it."""
        leaf = self.tape.get(by).detach().requires_grad_()
        value = replace(self, replaced={by: leaf}).value(of)
        if not value.tensor.requires_grad:
            raise EquationError(f"`{self.write(of)}` does not contain {by[0]}")
        raw = jacobian(value.tensor, leaf)
        return (
            self.nonsense("direct", of, by, raw.shape) if self.tape.scrambled else raw
        ), value.shape

    def nonsense(self, kind: str, of: Node, by: Key, shape: Iterable[int]) -> Tensor:
        """Scramble a derivative."""
        at = tuple(sorted(self.at.items()))
        named = self.reference(of)
        what = str(named) if named else (self.write(of), at)
        return self.tape.noise((kind, what, by), tuple(shape))

    def _on_gradient(self, by: Node, of: Node) -> Value:
        node = self.single(by) if by.data == "one" else by.children[0]
        key, parts = self.place(node)
        raw, shape = self.totally(of, key)
        if shape != ():
            raise EquationError(
                rf"has shape {shape_of(shape)}: \nabla is for scalars", of
            )
        self.notes.used.add("autograd")
        return Value(raw[component(parts, tuple(raw.shape))] if parts else raw)


def flat(parts: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Find the place of a component in the flattened tensor."""
    return int(torch.arange(math.prod(shape)).reshape(shape)[component(parts, shape)])


def component(parts: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Turn indices that count from 1 into a position of a tensor of this shape."""
    padded = (*parts, 1) if len(parts) == 1 and shape[1:] == (1,) else parts
    padded = (1, *parts) if len(parts) == 1 and shape[:1] == (1,) else padded
    if len(padded) != len(shape) or any(
        not 1 <= i <= n for i, n in zip(padded, shape, strict=True)
    ):
        raise EquationError(f"has no component {parts} in shape {shape_of(shape)}")
    return tuple(i - 1 for i in padded)


def extreme(operator: str, values: list[Value]) -> Value:
    """Take the largest or smallest of scalars, or of the components of a column."""
    if len(values) > 1 and any(v.shape for v in values):
        raise EquationError(f"{operator} compares scalars")
    if not values:
        raise EquationError(f"{operator} runs over nothing")
    together = torch.cat([v.tensor.reshape(-1) for v in values])
    return Value(
        together.max()
        if plain_name(operator) in {"max", r"\max", r"\sup"}
        else together.min()
    )


def diagonal(value: Value) -> Value:
    """Make a diagonal matrix of a column."""
    if len(value.shape) != 2 or value.shape[1] != 1:
        raise EquationError(
            f"diag of shape {shape_of(value.shape)}: a column belongs here"
        )
    return Value(torch.diag(value.tensor[:, 0]))


def trace(value: Value) -> Value:
    """Sum the diagonal of a square matrix."""
    if len(value.shape) != 2 or value.shape[0] != value.shape[1]:
        raise EquationError(
            f"tr of shape {shape_of(value.shape)}: a square matrix belongs here"
        )
    return Value(value.tensor.trace())


def columns(value: Value) -> Value:
    """Stack the columns of a matrix."""
    return Value(value.tensor.T.reshape(-1, 1))


STRUCTURAL = {"diag": diagonal, "tr": trace, "vec": columns}


def combined(rule: str, parts: list[Fraction]) -> Fraction | None:
    """Combine whole numbers."""
    match rule, parts:
        case "plus", [a, b]:
            return a + b
        case "minus", [a, b]:
            return a - b
        case "minus", [a]:
            return -a
        case "times", [a, b]:
            return a * b
        case "over", [a, b] if b:
            return a / b
    return None


def links(chain: Node) -> Iterator[tuple[Node, str, Node]]:
    """Split ``a < b = c`` into its links."""
    parts = chain.children
    for a, relation, b in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
        yield a, str(relation.children[0]), b


def factors(node: Node) -> list[Node]:
    """Flatten a product written side by side."""
    if node.data != "times":
        return [node]
    return [*factors(node.children[0]), *factors(node.children[-1])]


def symbols(node: Node) -> set[str]:
    """Collect the symbols of a condition."""
    return {str(s.children[0]) for s in node.iter_subtrees() if s.data == "symbol"}


def unequal(statement: Node) -> bool:
    r"""Tell a condition such as ``i \ne j``, which bounds nothing."""
    return statement.data == "chain" and all(
        r in {r"\ne", r"\neq"} for _, r, _ in links(statement)
    )


def bound_index(limits: Node) -> str:
    """Find the index that a sum, product or maximum runs over: the first it names."""
    tokens = limits.scan_values(lambda t: isinstance(t, Token) and t.type == "NAME")
    return next(map(str, tokens), "")


def written(at: Mapping[str, int]) -> str:
    """Write indices as a reader would."""
    return ", ".join(f"{name}={value}" for name, value in at.items())
