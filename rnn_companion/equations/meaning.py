r"""What each construction of `latex.lark` means on a tape: one method a rule.

A matrix ``\prod`` puts its highest index leftmost, ``^\top`` transposes and ``^T``
is a power. Indices and ranges are in `conditions`, names in `symbols`, ``\partial``
and ``\mathrm{d}`` in `derivatives`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

import torch
from lark import Token, Tree
from torch import Tensor

from . import algebra
from .algebra import Value, number, shape_of
from .conditions import written
from .derivatives import Derivatives
from .latex import EquationError, Node, end, plain_name, start
from .tree import bound_index

ELEMENTWISE: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh, "exp": torch.exp, "log": torch.log, "ln": torch.log,
    "cos": torch.cos, "sin": torch.sin, "sign": torch.sign, "relu": torch.relu,
}  # fmt: skip


class Meaning(Derivatives):
    """Values of expressions on one tape, with some indices fixed."""

    def value(self, node: Node) -> Value:
        """Evaluate an expression; errors name the innermost one they concern."""
        try:
            value: Value = getattr(self, f"_on_{node.data}")(*node.children)
        except EquationError as error:
            error.node = error.node or node
            raise
        except RecursionError:
            raise
        except (RuntimeError, ArithmeticError, ValueError) as error:
            raise EquationError(f"cannot be computed: {error}", node) from None
        self.notes.shapes[start(node), end(node)] = value.shape
        return value

    # Symbols and their scripts ------------------------------------------------

    def _on_number(self, token: Token) -> Value:
        return number(float(token))

    def _on_symbol(self, token: Token) -> Value:
        return self.named(str(token), [], [])

    def _on_subscript(self, base: Node, script: Node) -> Value:
        if name := self.name_of(Tree("subscript", [base, script])):
            return self.named(*name)
        if base.data == "norm":
            kind = self.write(script).strip("{}")
            return algebra.norm(self.value(base.children[0]), kind)
        return algebra.entry(self.value(base), tuple(self.indices(script)))

    def _on_superscript(self, base: Node, exponent: Node) -> Value:
        if name := self.name_of(Tree("superscript", [base, exponent])):
            return self.named(*name)
        if exponent.data == "transposed":
            return algebra.transposed(self.value(base))
        if base.data == "symbol" and self.is_e(str(base.children[0])):
            return Value(torch.exp(self.value(exponent).tensor))
        if exponent.data == "group":
            raise EquationError("has no index in brackets; a power has none around it")
        if self.write(exponent) == "T":
            raise EquationError(r"T is the length, ^T a power: a transpose is ^\top")
        return algebra.power(self.value(base), self.value(exponent))

    # Arithmetic ---------------------------------------------------------------

    def _on_group(self, inner: Node) -> Value:
        return self.value(inner)

    def _on_plus(self, a: Node, sign: Token, b: Node) -> Value:
        left, right = self.value(a), self.value(b)
        found = algebra.add(left, right, -1 if sign == "-" else 1)
        if found is None:
            advice = "two of one shape would fit" + self.like(left)
            self.refuse(a, left, b, right, advice)
        return found

    _on_minus = _on_plus

    def _on_negative(self, _: Token, a: Node) -> Value:
        value = self.value(a)
        return Value(-value.tensor, value.number)

    def _on_times(self, a: Node, b: Node) -> Value:
        left, right = self.value(a), self.value(b)
        found = algebra.times(left, right)
        if found is None:
            self.refuse(a, left, b, right, self.fitting(a, left, b, right))
        return found

    def _on_odot(self, a: Node, _: Token, b: Node) -> Value:
        left, right = self.value(a), self.value(b)
        if left.shape != right.shape:
            advice = rf"\odot needs two of one shape{self.like(left)}"
            self.refuse(a, left, b, right, advice)
        return Value(left.tensor * right.tensor)

    def _on_over(self, a: Node, b: Node) -> Value:
        left, right = self.value(a), self.value(b)
        found = algebra.over(left, right)
        if found is None:
            advice = "divide by a scalar, or by the same shape"
            self.refuse(a, left, b, right, advice)
        return found

    def _on_modulo(self, a: Node, b: Node) -> Value:
        return Value(torch.remainder(self.value(a).tensor, self.value(b).tensor))

    def refuse(
        self, a: Node, left: Value, b: Node, right: Value, advice: str
    ) -> NoReturn:
        """Name two sub-expressions that do not go together."""
        raise EquationError(
            f"`{self.write(a)}` has shape {shape_of(left.shape)}, "
            f"`{self.write(b)}` has {shape_of(right.shape)}: {advice}"
        )

    def like(self, value: Value) -> str:
        """Suggest the symbols of a shape."""
        values = self.tape.values.items()
        names = {name for (name, *_), v in values if tuple(v.shape) == value.shape}
        what = f"; {', '.join(sorted(names))} have shape {shape_of(value.shape)}"
        return what if names else ""

    def fitting(self, a: Node, left: Value, b: Node, right: Value) -> str:
        """Suggest a transpose or an order of factors that would multiply."""
        one, two = self.write(a), self.write(b)
        flipped = [Value(v.tensor.T) if len(v.shape) == 2 else v for v in (left, right)]
        ways = {
            rf"`{one}^\top {two}`": algebra.times(flipped[0], right),
            rf"`{one} {two}^\top`": algebra.times(left, flipped[1]),
            f"`{two} {one}`": algebra.times(right, left),
            rf"`{one} \odot {two}`": left.shape == right.shape,
        }
        fits = ", ".join(way for way, fit in ways.items() if fit)
        return f"what would fit: {fits}" if fits else "no product fits"

    def _on_root(self, inner: Node) -> Value:
        return Value(torch.sqrt(self.value(inner).tensor))

    def _on_norm(self, inner: Node) -> Value:
        return algebra.norm(self.value(inner))

    def _on_absolute(self, inner: Node) -> Value:
        return Value(torch.abs(self.scalar(inner).tensor))

    def _on_ceil(self, inner: Node) -> Value:
        return Value(torch.ceil(self.scalar(inner).tensor))

    def scalar(self, inner: Node) -> Value:
        """Evaluate what has to be a scalar."""
        value = self.value(inner)
        if value.shape != ():
            said = f"has shape {shape_of(value.shape)}: a scalar belongs here"
            raise EquationError(said, inner)
        return value

    def _on_matrix(self, *rows: Node) -> Value:
        return algebra.stack([[*map(self.value, row.children)] for row in rows])

    def _on_cases(self, *rows: Node) -> Value:
        lines = [row.children for row in rows]
        last = [value for value, condition in lines if condition.data == "otherwise"]
        met = [
            value
            for value, condition in lines
            if condition.data == "condition"
            and all(map(self.holds, condition.children))
        ] or last
        if len(met) != 1:
            where = f" at {written(self.at)}" if self.at else ""
            raise EquationError(f"{len(met)} of the cases apply{where}; it must be one")
        return self.value(met[0])

    # Over an index ------------------------------------------------------------

    def _on_bigop(
        self, operator: Token, limits: Node, upper: Node | None, body: Node
    ) -> Value:
        runs, place = self.runs(limits, upper), (start(limits), end(limits))
        self.notes.empty[place] = self.notes.empty.get(place, True) and not runs
        if not runs:
            return self.empty(operator, limits, body)
        combine = algebra.add if operator == r"\sum" else algebra.times
        ordered = sorted(runs, key=lambda at: -next(iter(at.values())))
        total, *others = [self.within(**at).value(body) for at in ordered]
        for value in others:
            combined = combine(total, value)
            if combined is None:
                shape = shape_of(value.shape)
                said = f"`{self.write(body)}` has shape {shape}"
                raise EquationError(f"{said}: {operator} cannot run over it")
            total = combined
        return total

    def empty(self, operator: Token, limits: Node, body: Node) -> Value:
        """Evaluate an empty sum or product: zero or one, of the right shape."""
        name, unit = bound_index(limits), float(operator == r"\prod")
        for k in self.pool(name, wide=True):
            try:
                like = self.within(**{name: k}).value(body).tensor
            except EquationError:
                continue
            square = like.dim() == 2 and like.shape[0] == like.shape[1]
            if square and unit:
                return Value(torch.eye(len(like), dtype=torch.float64))
            return Value(torch.full_like(like, unit))
        return number(unit)

    def _on_extreme(self, operator: Token, limits: Node, body: Node) -> Value:
        runs = self.runs(limits, None)
        return algebra.extreme(operator, [self.within(**at).value(body) for at in runs])

    def _on_extreme_of(self, operator: Token, arguments: Node) -> Value:
        return algebra.extreme(operator, [*map(self.value, arguments.children)])

    def _on_expectation(self, operator: Token, body: Node) -> Value:
        tapes = self.tape.outcomes
        chances = [(p, replace(self, tape=o).value(body).tensor) for p, o in tapes]
        if all(torch.equal(v, chances[0][1]) for _, v in chances):
            raise EquationError("is not random: it needs no expectation")
        mean = torch.stack([p * v for p, v in chances]).sum(0)
        if plain_name(operator) == "E":
            return Value(mean)
        return Value(torch.stack([p * (v - mean) ** 2 for p, v in chances]).sum(0))

    # Functions ----------------------------------------------------------------

    def _on_call(self, token: Token, modifiers: Node, arguments: Node) -> Value:
        inner = arguments.children if arguments.data == "arguments" else [arguments]
        values = [self.value(a) for a in inner]
        own = str(token) in self.tape.functions
        name = str(token) if own else plain_name(token).lstrip("\\")
        primed = any(m.data == "prime" for m in modifiers.children)
        result = self.slope(name, values) if primed else self.applied(name, values)
        for m in modifiers.children:
            if m.data == "base":
                raise EquationError(f"the subscript of {token} is not known")
            if m.data != "prime":
                result = algebra.power(result, self.value(m))
        return result

    def applied(self, name: str, values: list[Value]) -> Value:
        """Apply a function; in a scrambled world it means something else."""
        if name == "diag":
            return algebra.diagonal(values[0])
        made = self.rule(name)(*(v.tensor for v in values))
        if name not in self.tape.functions:
            self.notes.used.add(f"torch.{name}")
        if not self.tape.scrambled:
            return Value(made)
        bend = self.tape.noise(("function", name), (2,))
        return Value(made * bend[0] + bend[1])

    def rule(self, name: str) -> Callable[..., Tensor]:
        """Find a function of the world, of torch, or the softmax."""
        if name == "softmax" and name not in self.tape.functions:
            return lambda x: torch.softmax(x, 1 if x.shape[1] > 1 else 0)
        known = {**ELEMENTWISE, **self.tape.functions}
        if name not in known:
            raise EquationError(f"{name} is no known function")
        return known[name]

    def slope(self, name: str, values: list[Value]) -> Value:
        """Differentiate an elementwise function at its argument."""
        x = values[0].tensor
        if self.tape.scrambled:
            what = ("slope", name, tuple(x.reshape(-1).tolist()))
            return Value(self.tape.noise(what, x.shape))
        self.notes.used.add("autograd")
        x = x if x.requires_grad else x.detach().requires_grad_()
        made = self.rule(name)(x).sum()
        return Value(torch.autograd.grad(made, x, create_graph=True)[0])
