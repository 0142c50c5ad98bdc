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

The worlds of ``book/x.md`` are found beside it, in the Python files of
``book/worlds/``, which may import from one another (``from .recurrence import ...``).
``survivors.toml`` in that folder records the mutants of a label that are true, each
with its reason.
"""

import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from hashlib import sha256
from importlib import import_module, invalidate_caches
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

from .conditions import LETTERS, Range
from .latex import EquationError
from .tape import Tape, with_outcomes

DRAWS = 3
USUAL: Mapping[str, Range] = {"t": (1, "T")}


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
    ranges: Mapping[str, Range]
    tight: bool = False

    def draw(self, seed: int, tight: bool = False) -> Tape:
        """Make one draw."""
        tape = Tape(self.sizes[seed % len(self.sizes)], seed, tight)
        try:
            self.build(tape)
            return with_outcomes(tape, self.build)
        except Exception as error:
            said = f"the world {self.name} cannot be drawn: {described(error)}"
            raise EquationError(said) from error

    @cached_property
    def draws(self) -> list[Tape]:
        """Draws on which every claim must hold."""
        return [self.draw(seed) for seed in range(DRAWS)]

    @cached_property
    def tight_draws(self) -> list[Tape]:
        """Draws in which the bounds are attained."""
        return [self.draw(n, tight=True) for n in range(DRAWS)] if self.tight else []

    @cached_property
    def scrambled(self) -> list[Tape]:
        """Draws in which no symbol means anything: only algebra still holds."""
        return [scramble(tape, again) for tape in self.draws for again in range(3)]

    @cached_property
    def names(self) -> list[str]:
        """Symbols that take more than one token to write."""
        tape = self.draws[0]
        names = [*{n for n, _, _ in tape.values}, *tape.functions, *tape.sizes]
        return [n for n in names if len(n) > 1]

    @cached_property
    def indices(self) -> set[str]:
        """Letters that are indices in this world."""
        tape = self.draws[0]
        bare = {n for n, at, _ in tape.values if not at}
        return {*LETTERS, *self.ranges} - set(tape.sizes) - bare


def scramble(tape: Tape, again: int = 0) -> Tape:
    """Give every symbol, function and derivative numbers without meaning."""
    outcomes = [(p, scramble(o, again)) for p, o in tape.outcomes]
    seed = 1000 * (again + 1) + tape.seed
    return replace(tape, scrambled=True, _memory={}, seed=seed, outcomes=outcomes)


PACKAGE = "_worlds_"
#: Worlds of a notebook, a test or ``--worlds``; those in a book's folder, by module.
OWN: dict[str, World] = {}
IN_FOLDERS: dict[str, dict[str, World]] = {}


def world(
    name: str,
    sizes: Sequence[Mapping[str, int]],
    ranges: Mapping[str, Range] | None = None,
    tight: bool = False,
) -> Callable[[Callable[[Tape], None]], World]:
    """Make a world of a function that fills a tape; see the module's text."""

    def made(build: Callable[[Tape], None]) -> World:
        new = World(name, build, sizes, ranges or USUAL, tight)
        inside = build.__module__.startswith(PACKAGE)
        where = IN_FOLDERS.setdefault(build.__module__, {}) if inside else OWN
        where[name] = new
        return new

    return made


def find_world(name: str, folder: Path) -> World:
    """Find a world by its name: one of your own, or one of a folder.

    Raises
    ------
    EquationError
        If there is none, or one of each.
    """
    beside = folder_worlds(folder.resolve())
    both = [where[name].build.__module__ for where in (OWN, beside) if name in where]
    if len(set(both)) > 1:
        raise EquationError(f"the book has a world called {name} already")
    known = beside | OWN
    if name not in known:
        what = f"there is no world {name!r}" if name else "no world is named before it"
        raise EquationError(f"{what}; there are {', '.join(sorted(known)) or 'none'}")
    return known[name]


@cache
def folder_worlds(folder: Path) -> dict[str, World]:
    """Collect the worlds of a folder by name."""
    found: dict[str, World] = {}
    for path in sorted(folder.glob("*.py")):
        new = file_worlds(path)
        if twice := ", ".join(found.keys() & new):
            raise EquationError(f"{path}: there is a world {twice} already")
        found |= new
    return found


def file_worlds(path: Path) -> dict[str, World]:
    """Import a file, and list its worlds."""
    return IN_FOLDERS.get(import_file(path).__name__, {})


def import_file(path: Path) -> ModuleType:
    """Import a file as a module of its folder's private package.

    Raises
    ------
    EquationError
        If it does not run.
    """
    package, _, _ = (module := module_name(path)).partition(".")
    spec = ModuleSpec(package, None, is_package=True)
    spec.submodule_search_locations = [str(path.parent)]
    sys.modules.setdefault(package, module_from_spec(spec))
    invalidate_caches()
    try:
        return import_module(module)
    except (Exception, SystemExit) as error:
        raise EquationError(f"{path}: {described(error)}") from error


def module_name(path: Path) -> str:
    """Name the module of a file so that two books do not clash in one process."""
    return f"{PACKAGE}{sha256(bytes(path.parent)).hexdigest()[:16]}.{path.stem}"


def described(error: BaseException) -> str:
    """Say what an exception is: its type and its message."""
    return f"{type(error).__name__}: {error}"


def survivors(folder: Path) -> dict[str, dict[str, str]]:
    """Read the reviewed mutants: of a label, the mutant's text and the reason."""
    path = folder / "survivors.toml"
    return tomllib.loads(path.read_text("utf-8")) if path.exists() else {}


def load_file(path: str | Path) -> None:
    """Run a Python file that makes worlds of your own.

    Raises
    ------
    EquationError
        If it does not run.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    path.read_bytes()  # an error that names the file as it was given
    sys.modules.pop(module_name(path.resolve()), None)
    OWN.update(file_worlds(path.resolve()))
