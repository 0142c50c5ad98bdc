r"""Worlds: what the symbols of a chapter are, in numbers that torch made.

A world is a function that fills a tape, under a name that chapters use in
``<!-- eqcheck: world=name -->``::

    @world("leaky", sizes=[{"n": 3, "T": 5}, {"n": 4, "T": 3}])
    def leaky(tape: Tape) -> None:
        n, T = tape.sizes["n"], tape.sizes["T"]
        W = tape.leaf("W", tape.normal(n, n))
        s = tape.leaf("s", tape.normal(n, 1), 0)
        for t in range(1, T + 1):
            x = tape.leaf("x", tape.normal(n, 1), t)
            s = tape.step("s", lambda W, s, x: W @ s + x, (W, s, x), t)

* ``leaf`` names a value that nothing on the tape makes, ``step`` one that is made
  from others (its *direct* arguments), ``also`` a second set of arguments,
  ``gradient`` a gradient by autograd, ``put`` anything else.
* ``confirm`` holds a value against torch's own module. Values never come from
  the text: a reference is computed another way than the page computes it.
* All sizes differ, and differ between the draws; columns are ``(n, 1)``.
* ``ranges`` says where an index runs if an equation does not say it.
* ``tight=True`` asks for extra draws (``tape.tight``) in which the bounds of the
  chapter are attained.
* ``tape.chance`` makes a random symbol with finitely many outcomes.
* ``SURVIVORS`` in the same module records the mutants of a label that are true,
  each with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from runpy import run_path

from ..latex import EquationError
from ..meaning import LETTERS, Range
from ..tape import Tape, unfold

DRAWS = 3


@dataclass
class World:
    """A named way to draw values.

    Parameters
    ----------
    name
        As chapters write it.
    build
        Fills a tape.
    sizes
        The sizes, one mapping for each draw (repeated if there are fewer).
    ranges
        Where an index runs if an equation does not say it: ``{"t": (1, "T")}``.
    tight
        Whether it can make inequalities equalities.
    """

    name: str
    build: Callable[[Tape], None]
    sizes: Sequence[Mapping[str, int]]
    ranges: Mapping[str, Range] = field(default_factory=lambda: {"t": (1, "T")})
    tight: bool = False

    def draw(self, seed: int, tight: bool = False) -> Tape:
        """Make one draw."""
        tape = Tape(self.sizes[seed % len(self.sizes)], seed, tight)
        try:
            self.build(tape)
            return unfold(tape, self.build)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise EquationError(
                f"the world {self.name} cannot be drawn: {what}"
            ) from error

    @cached_property
    def draws(self) -> list[Tape]:
        """Draws on which every claim must hold."""
        return [self.draw(seed) for seed in range(DRAWS)]

    @cached_property
    def tight_draws(self) -> list[Tape]:
        """Draws in which the bounds are attained."""
        return (
            [self.draw(seed, tight=True) for seed in range(DRAWS)] if self.tight else []
        )

    @cached_property
    def scrambled(self) -> list[Tape]:
        """Draws in which no symbol means anything: only algebra still holds."""
        return [scramble(tape, again) for tape in self.draws for again in range(3)]

    @cached_property
    def names(self) -> list[str]:
        """Symbols that take more than one token to write."""
        tape = self.draws[0]
        return [
            n
            for n in [*{n for n, _, _ in tape.values}, *tape.functions, *tape.sizes]
            if len(n) > 1
        ]

    @cached_property
    def indices(self) -> set[str]:
        """Letters that are indices in this world."""
        tape = self.draws[0]
        bare = {n for n, at, _ in tape.values if not at}
        return {*LETTERS, *self.ranges} - set(tape.sizes) - bare


def scramble(tape: Tape, again: int = 0) -> Tape:
    """Give every symbol, function and derivative numbers without meaning."""
    outcomes = [(p, scramble(o, again)) for p, o in tape.outcomes]
    return replace(
        tape,
        scrambled=True,
        _memory={},
        seed=1000 * (again + 1) + tape.seed,
        outcomes=outcomes,
    )


REGISTRY: dict[str, World] = {}


def world(
    name: str,
    sizes: Sequence[Mapping[str, int]],
    ranges: Mapping[str, Range] | None = None,
    tight: bool = False,
) -> Callable[[Callable[[Tape], None]], World]:
    """Register a function that fills a tape as a world; see the module's text."""

    def register(build: Callable[[Tape], None]) -> World:
        made = World(name, build, sizes, ranges or {"t": (1, "T")}, tight)
        known = REGISTRY.get(name, made).build.__module__
        if known != build.__module__ and __name__ in f"{known} {build.__module__}":
            raise EquationError(f"the book has a world called {name} already")
        REGISTRY[name] = made
        return made

    return register


def find_world(name: str) -> World:
    """Find a world by its name.

    Raises
    ------
    EquationError
        If there is none.
    """
    load_worlds()
    if name not in REGISTRY:
        known = ", ".join(sorted(REGISTRY))
        raise EquationError(
            f"there is no world {name!r}; there are {known}"
            if name
            else f"no world is named before it; there are {known}"
        )
    return REGISTRY[name]


def load_worlds() -> list[object]:
    """Import the worlds of the book's chapters."""
    return [import_module(f"{__name__}.{m.name}") for m in iter_modules(__path__)]


def survivors() -> dict[str, dict[str, str]]:
    """Collect the reviewed mutants: of a label, the mutant's text and the reason."""
    found: dict[str, dict[str, str]] = {}
    for module in load_worlds():
        for label, reasons in getattr(module, "SURVIVORS", {}).items():
            found.setdefault(label, {}).update(reasons)
    return found


def load_file(path: str | Path) -> None:
    """Run a Python file that registers worlds.

    Raises
    ------
    EquationError
        If it does not run.
    OSError
        If it cannot be read.
    """
    try:
        run_path(str(path), run_name=Path(path).stem)
    except OSError:
        raise
    except Exception as error:
        raise EquationError(f"{path}: {type(error).__name__}: {error}") from error
