"""Symbols of a world on a tape: their subscripts, components and definitions."""

from dataclasses import replace

import torch
from lark import Token, Tree
from torch import Tensor

from . import algebra
from .algebra import Value, scalar
from .conditions import Conditions, Definition, Notes, written
from .latex import EquationError, Node, plain_name
from .tape import Key
from .tree import factors

Named = tuple[str, list[int], list[int]]
Parts = tuple[int, ...]


class Symbols(Conditions):
    """What the symbols mean on one tape, with some indices fixed."""

    def is_e(self, name: str) -> bool:
        """Tell Euler's number from a symbol of the world."""
        return plain_name(name) == "e" and not self.tape.arities(name)

    def name_of(self, node: Node) -> Named | None:
        """Read a symbol with its subscripts and its superscript in brackets."""
        below: list[int] = []
        layer: list[int] = []
        while node.data in {"subscript", "superscript"}:
            base, script = node.children
            if bare(base).data == "symbol":  # (W_{hh})_{k,l} is an entry of W_{hh}
                base = bare(base)
            if node.data == "subscript" and base.data in {"symbol", "superscript"}:
                below = self.subscripts(base, script)
            elif (
                node.data == "superscript"
                and script.data == "group"
                and self.has_layers(base)
            ):
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
            name = str(base.children[0])
            if base.data == "superscript" or self.tape.arities(name):
                raise
        whole = f"{name}_{{{self.write(script).strip('{}')}}}"
        raise EquationError(f"{whole} has no meaning here; {self.known()}")

    def has_layers(self, node: Node) -> bool:
        """Tell whether a symbol has an index as superscript."""
        while node.data == "subscript":
            node = node.children[0]
        arities = self.tape.arities(str(node.children[0]))
        return node.data == "symbol" and any(above for _, above in arities)

    def indices(self, subscripts: Node) -> list[int]:
        """Evaluate subscripts: ``t``, ``t,i`` or ``ij``."""
        if subscripts.data == "one":
            return [self.integer(single(subscripts))]
        items = list(subscripts.children)
        letters = factors(items[0]) if len(items) == 1 else []
        if all(letter.data == "symbol" for letter in letters):
            items = letters or items
        return [self.integer(item) for item in items]

    def named(self, name: str, below: list[int], layer: list[int]) -> Value:
        """Look up a symbol: an index, a size, a definition or one of the world."""
        if not below and not layer:
            if name in self.at or name in self.tape.sizes:
                return scalar({**self.tape.sizes, **self.at}[name])
            if self.is_e(name):
                return scalar(torch.e)
        if name in self.definitions:
            return self.defined(self.definitions[name], below)
        if name == r"\delta" and len(below) == 2 and not self.tape.arities(name):
            return scalar(float(below[0] == below[1]))
        key, parts = self.key(name, below, layer)
        value = Value(self.read(key))
        self.notes.used.add(self.tape.sources.get(name, ""))
        return algebra.entry(value, parts) if parts else value

    def key(self, name: str, below: list[int], layer: list[int]) -> tuple[Key, Parts]:
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

    def on_tape(self, node: Node) -> tuple[Key, Parts] | None:
        """Read a node as a symbol of the tape, where it is one."""
        named = self.name_of(bare(node))
        if named is None or named[0] in self.definitions:
            return None
        return self.key(*named)

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
        count = len(what.parameters)
        if len(below) < count:
            raise EquationError(f"{what.name} takes {count} subscripts")
        at, notes = dict(zip(what.parameters, below, strict=False)), Notes()
        notes.used = self.notes.used
        inside = replace(self, text=what.text, at=at, notes=notes)
        ranges = replace(inside, at={})
        if at and at not in ranges.assignments(at, what.conditions):
            raise EquationError(f"{what.name} is not defined at {written(at)}")
        try:
            value = inside.value(what.body)
        except EquationError as error:
            raise EquationError(f"{error} (in {what.name}, by {what.label})") from None
        self.notes.used.add(f"its definition in {what.label}")
        parts = tuple(below[count:])
        return algebra.entry(value, parts) if parts else value


def bare(node: Node) -> Node:
    """Take the brackets off an expression."""
    while node.data == "group":
        node = node.children[0]
    return node


def single(one: Node) -> Node:
    """Read a script without braces as a node."""
    token = one.children[0]
    assert isinstance(token, Token)
    return Tree("number" if token.type == "NUMBER" else "symbol", [token], one.meta)
