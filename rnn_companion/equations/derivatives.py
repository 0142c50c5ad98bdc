r"""The two kinds of derivative: ``\partial`` is direct, ``\mathrm{d}`` is total.

The total derivative of y by x runs along every path from x to y, the direct one
differentiates the one function that makes y, by its own argument x.
"""

from dataclasses import replace

import torch
from lark import Token
from torch import Tensor

from . import algebra
from .algebra import Value, component, shape_of
from .latex import EquationError, Node, end, start
from .symbols import Parts, Symbols, bare, single
from .tape import Key, jacobian

Derivative = tuple[Tensor, tuple[int, ...]]  # and the shape of what is differentiated


class Derivatives(Symbols):
    """What derivatives mean on one tape, with some indices fixed."""

    def _on_derivative(self, upper: Token, of: Node, lower: Token, by: Node) -> Value:
        return self.derivative(upper, lower, of, by)

    def _on_operator(self, upper: Token, lower: Token, by: Node, of: Node) -> Value:
        return self.derivative(upper, lower, of, by)

    def _on_gradient(self, by: Node, of: Node) -> Value:
        key, parts = self.variable(single(by) if by.data == "one" else by.children[0])
        raw, shape = self.total(of, key)
        if shape != ():
            raise EquationError(
                rf"has shape {shape_of(shape)}: \nabla is for scalars", of
            )
        self.notes.used.add("autograd")
        return Value(raw[component(parts, tuple(raw.shape))] if parts else raw)

    def derivative(self, upper: str, lower: str, of: Node, by: Node) -> Value:
        """Differentiate, and lay the result out."""
        direct = upper == r"\partial"
        if direct != (lower == r"\partial"):
            raise EquationError(r"mixes \partial and \mathrm{d}")
        key, parts = self.variable(by)
        raw, shape = self.direct(of, key) if direct else self.total(of, key)
        if not direct:
            self.note_if_direct(of, raw, key)
        below = tuple(self.tape.values[key].shape)
        if parts:
            raw, below = raw[(..., *component(parts, below))], ()  # type: ignore[index]
        self.notes.used.add("autograd")
        return algebra.differential(raw, shape, below)

    def variable(self, node: Node) -> tuple[Key, Parts]:
        """Read what is differentiated by: a symbol, or a component of one."""
        found = self.on_tape(node)
        if found is None:
            said = f"`{self.write(node)}` is nothing to differentiate by"
            raise EquationError(said, node)
        self.tape.get(found[0])
        return found

    def total(self, of: Node, by: Key) -> Derivative:
        """Differentiate along every path."""
        value, found = self.value(of), self.on_tape(of)
        whole = found[0] if found and not found[1] else None
        raw = self.tape.total(value.tensor, by, whole)
        return self.or_scrambled(raw, "total", of, by), value.shape

    def direct(self, of: Node, by: Key) -> Derivative:
        """Differentiate a symbol by its argument, or an expression by what it shows."""
        found = self.on_tape(of)
        if found is None:
            raw, shape = self.direct_of_expression(of, by)
        else:
            key, parts = found
            shape, raw = tuple(self.tape.get(key).shape), self.tape.direct(key, by)
            if parts:
                raw, shape = raw[component(parts, shape)], ()
        return self.or_scrambled(raw, "direct", of, by), shape

    def direct_of_expression(self, of: Node, by: Key) -> Derivative:
        """Differentiate an expression by a symbol that stands in it."""
        leaf = self.tape.get(by).detach().requires_grad_()
        value = replace(self, replaced={by: leaf}).value(of)
        if not value.tensor.requires_grad:
            raise EquationError(f"`{self.write(of)}` does not contain {by[0]}")
        return jacobian(value.tensor, leaf), value.shape

    def note_if_direct(self, of: Node, raw: Tensor, by: Key) -> None:
        """Note whether a total derivative is no other than the direct one."""
        found = self.on_tape(of)
        if self.tape.scrambled or found is None:
            return
        key, parts = found
        agrees = self.tape.form_of(key, by) is not None
        if agrees:
            direct, shape = self.tape.direct(key, by), tuple(self.tape.get(key).shape)
            direct = direct[component(parts, shape)] if parts else direct
            agrees = torch.allclose(raw, direct)
        place = start(of), end(of)
        self.notes.direct[place] = self.notes.direct.get(place, True) and agrees

    def or_scrambled(self, raw: Tensor, kind: str, of: Node, by: Key) -> Tensor:
        """In a scrambled world, put numbers without meaning in a derivative's place."""
        if not self.tape.scrambled:
            return raw
        named = self.name_of(bare(of))
        what = str(named) if named else f"{self.write(of)} {sorted(self.at.items())}"
        return self.tape.noise((kind, what, by), tuple(raw.shape))
