"""The values a world gives its symbols, and their two kinds of derivative.

A tape holds one random draw of a world. Columns are stored as ``(n, 1)``, rows
as ``(1, n)``, scalars as ``()``; everything is float64 and part of one autograd
graph, so a total derivative is autograd's own. The direct derivative of a
symbol differentiates the one function that makes it from its arguments.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any, Self

import torch
from torch import Tensor

from .latex import EquationError

Indices = tuple[int, ...]
Key = tuple[str, Indices, Indices]
Rule = Callable[..., Tensor]
Form = tuple[Rule, tuple[Key, ...]]  # one way to make a symbol, of which others
Layer = int | None
Number = Tensor | float
Tensors = Sequence[Tensor]


@dataclass
class Tape:
    """One draw of a world.

    Parameters
    ----------
    sizes
        The sizes of this draw, such as ``{"d": 3, "h": 4, "T": 5}``.
    seed
        Seed of the draw's own generator.
    tight
        Whether the draw should make the world's inequalities equalities.
    chosen
        Outcomes of the random symbols, by position; see `chance`.
    """

    sizes: Mapping[str, int]
    seed: int = 0
    tight: bool = False
    chosen: tuple[int, ...] = ()
    values: dict[Key, Tensor] = field(default_factory=dict)
    forms: dict[Key, list[Form]] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Rule] = field(default_factory=dict)
    probabilities: list[Sequence[float]] = field(default_factory=list)
    outcomes: list[tuple[float, Self]] = field(default_factory=list)
    scrambled: bool = False
    _keys: dict[int, Key] = field(default_factory=dict)
    _arities: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    _memory: dict[Hashable, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)

    # What a world writes ------------------------------------------------------

    def normal(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Draw standard normal numbers of this shape, in float64."""
        return scale * torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def leaf(self, name: str, value: Tensor, *at: int, layer: Layer = None) -> Tensor:
        """Name a value that nothing else on the tape makes.

        Parameters
        ----------
        name
            The symbol, as the chapter writes it: ``x``, ``W_{hh}``.
        value
            Its value: a scalar, column, row or matrix.
        at
            Its subscripts: ``tape.leaf("x", value, t)`` is :math:`x_t`.
        layer
            Its superscript in brackets, if it has one.

        Returns
        -------
        Tensor
            The value, on the tape.
        """
        value = value.detach().to(torch.float64).requires_grad_()
        return self.put(name, value, *at, layer=layer)

    def put(
        self, name: str, value: Number, *at: int, layer: Layer = None, source: str = ""
    ) -> Tensor:
        """Name a value as it is, with whatever made it in autograd's graph.

        Parameters
        ----------
        name, value, at, layer
            As in `leaf`.
        source
            Where the value comes from, as reports name it: ``torch.nn.RNN``.

        Returns
        -------
        Tensor
            The value, on the tape, in float64.
        """
        key = (name, at, () if layer is None else (layer,))
        value = torch.as_tensor(value, dtype=torch.float64)
        self.values[key] = value
        self._keys[id(value)] = key
        self._arities.setdefault(name, set()).add((len(at), len(key[2])))
        if source:
            self.sources[name] = source
        return value

    def step(
        self, name: str, rule: Rule, arguments: Tensors, *at: int, layer: Layer = None
    ) -> Tensor:
        r"""Name :math:`y = f(a, b, \dots)`, whose direct arguments are a, b, and so on.

        Parameters
        ----------
        name, at, layer
            As in `leaf`.
        rule
            The function f, of tensors.
        arguments
            Values on the tape; ``\partial`` is by one of these.

        Returns
        -------
        Tensor
            The value y, on the tape.
        """
        value = self.put(name, rule(*arguments), *at, layer=layer)
        self.also(value, rule, arguments)
        return value

    def also(self, value: Tensor, rule: Rule, arguments: Sequence[Tensor]) -> None:
        """Give a symbol a further form: the same value from other arguments.

        Parameters
        ----------
        value
            A value on the tape.
        rule, arguments
            As in `step`.

        Raises
        ------
        AssertionError
            If the value differs.
        """
        same(value, rule(*arguments))
        form = rule, tuple(self._keys[id(a)] for a in arguments)
        self.forms.setdefault(self._keys[id(value)], []).append(form)

    def confirm(self, value: Tensor, reference: Tensor, source: str) -> None:
        """Hold a symbol against its reference, which reports then name.

        Parameters
        ----------
        value
            A value on the tape.
        reference
            The same, made another way; of the same shape.
        source
            What made the reference: ``torch.nn.LSTMCell``.

        Raises
        ------
        AssertionError
            If they differ by more than rounding.
        """
        same(value, reference)
        self.sources[self._keys[id(value)][0]] = source

    def gradient(self, name: str, of: Tensor, by: Tensor, *at: int) -> Tensor:
        """Name autograd's gradient of a scalar; it has the shape of `by`."""
        (value,) = torch.autograd.grad(of, by, retain_graph=True)
        return self.put(name, value, *at, source="autograd")

    def chance(
        self, values: Sequence[Tensor], probabilities: Sequence[float]
    ) -> Tensor:
        """Draw from finitely many values; expectations run over all of them.

        Parameters
        ----------
        values
            The values, of one shape.
        probabilities
            Their probabilities, which sum to 1.

        Returns
        -------
        Tensor
            One of the values.
        """
        turn = len(self.probabilities)
        self.probabilities.append(probabilities)
        return values[self.chosen[turn] if turn < len(self.chosen) else 0]

    # What the checker reads ---------------------------------------------------

    def arities(self, name: str) -> set[tuple[int, int]]:
        """Count the subscripts and superscripts a symbol may have; none if unknown."""
        return self._arities.get(name, set())

    def get(self, key: Key) -> Tensor:
        """Look a symbol up; what does not exist is an error that says what does."""
        if key not in self.values:
            raise EquationError(self.no_such(key))
        if any(
            not torch.equal(self.values[key], o.values[key]) for _, o in self.outcomes
        ):
            said = f"{shown(key)} is random: it belongs inside an expectation"
            raise EquationError(said)
        if self.scrambled:
            return self.noise(("value", key), self.values[key].shape)
        return self.values[key]

    def no_such(self, key: Key) -> str:
        """Say where the indices of a symbol run."""
        size = len(key[1]), len(key[2])
        known = [
            a + b for n, a, b in self.values if (n, len(a), len(b)) == (key[0], *size)
        ]
        spans = [f"{min(axis)} to {max(axis)}" for axis in zip(*known, strict=True)]
        return f"{shown(key)} does not exist: its indices run {', '.join(spans)}"

    def noise(self, what: Hashable, shape: Sequence[int]) -> Tensor:
        """Return numbers that mean nothing, the same each time for the same thing."""
        if what not in self._memory:
            uniform = torch.rand(
                tuple(shape), generator=self.generator, dtype=torch.float64
            )
            self._memory[what] = uniform + 0.1
        return self._memory[what]

    def total(self, value: Tensor, by: Key, memo: Key | None = None) -> Tensor:
        """Differentiate along every path; the shape is that of value, then of `by`."""
        known = ("total", memo, by)
        if memo is None or known not in self._memory:
            self._memory[known] = jacobian(value, self.values[by])
        return self._memory[known]

    def direct(self, of: Key, by: Key) -> Tensor:
        """Differentiate the function that makes `of` by its own argument `by`."""
        form = self.form_of(of, by)
        if form is None:
            raise EquationError(self.no_argument(of, by))
        known, (rule, arguments) = ("direct", of, by), form
        if known not in self._memory:
            inputs = {a: self.values[a].detach().requires_grad_() for a in arguments}
            made = rule(*(inputs[a] for a in arguments))
            self._memory[known] = jacobian(made, inputs[by])
        return self._memory[known]

    def form_of(self, of: Key, by: Key) -> Form | None:
        """Find how a symbol is made from another without detour, if it is."""
        return next((f for f in self.forms.get(of, []) if by in f[1]), None)

    def no_argument(self, of: Key, by: Key) -> str:
        """Say which arguments there are."""
        forms = [", ".join(map(shown, those)) for _, those in self.forms.get(of, [])]
        return (
            f"{shown(by)} is no direct argument of {shown(of)}, which is a function of "
            f"({') or of ('.join(forms) or 'nothing'}); "
            r"the total derivative is written \mathrm{d}"
        )


def jacobian(of: Tensor, by: Tensor) -> Tensor:
    """Differentiate every number of `of` by every number of `by`."""
    if not of.requires_grad:
        return of.new_zeros((*of.shape, *by.shape))
    settings: dict[str, Any] = {
        "retain_graph": True,
        "allow_unused": True,
        "materialize_grads": True,
    }
    rows = [torch.autograd.grad(n, by, **settings)[0] for n in of.reshape(-1)]
    return torch.stack(rows).reshape((*of.shape, *by.shape))


def same(value: Tensor, other: Tensor) -> None:
    """Refuse a world that differs from its reference."""
    if value.shape != other.shape or not torch.allclose(value, other, 1e-10, 1e-12):
        raise AssertionError("the world's value differs from its reference")


def shown(key: Key) -> str:
    """Write a symbol with its indices."""
    name, at, layer = key
    below = f"_{{{','.join(map(str, at))}}}" if at else ""
    return name + below + (f"^{{({layer[0]})}}" if layer else "")


def with_outcomes(tape: Tape, build: Callable[[Tape], None]) -> Tape:
    """Add to a tape with random symbols the tapes of all its outcomes."""
    ways = [range(len(p)) for p in tape.probabilities]
    for chosen in product(*ways) if ways else ():
        outcome = Tape(tape.sizes, tape.seed, tape.tight, chosen)
        build(outcome)
        chances = zip(tape.probabilities, chosen, strict=True)
        tape.outcomes.append((prod(p[choice] for p, choice in chances), outcome))
    return tape
