r"""Sort the statements of a display into claims, definitions and conditions.

``=`` always claims, ``:=`` always defines. A statement about nothing but
indices and sizes is a side condition of the claims on its line; a line of
conditions alone is one for the whole display. ``\text{if}`` before a statement
about values makes it a hypothesis.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lark import Token, Tree

from .chapter import Display
from .conditions import Definition
from .latex import EquationError, Node, parse
from .tree import bound_index, is_symbol, links, relations, scripts, symbols
from .worlds import World, find_world

RANGES = {"series", "members", "listed"}
WHOLE = {"symbol", "number", "group", "plus", "minus", "negative", "times", "over"}
CONDITION = {*WHOLE, "chain", "relation"}


@dataclass(frozen=True)
class Claim:
    """Two sides, how they are said to compare, and when."""

    left: Node
    relation: str
    right: Node
    free: tuple[str, ...]
    conditions: tuple[Node, ...]
    given: tuple[Node, ...]

    @property
    def names(self) -> set[str]:
        """The symbols that stand in it."""
        return set().union(*map(symbols, (self.left, self.right, *self.given)))


@dataclass
class Equation:
    """A display, understood in its world."""

    display: Display
    world: World
    tree: Node
    claims: list[Claim] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)

    def add(
        self, node: Node, conditions: Sequence[Node], given: Sequence[Node]
    ) -> None:
        """Add a claim or a definition, with the conditions that concern it."""
        if node.data == "definition":
            head, body = node.children
            self.definitions.append(self.define(head, body, conditions))
            return
        for left, relation, right in links(node):
            free = set().union(*map(self.free, (left, right, *given)))
            mine = self.concerning(conditions, free)
            names = tuple(sorted(free | self.letters(mine)))
            self.claims.append(Claim(left, relation, right, names, mine, tuple(given)))

    def define(self, head: Node, body: Node, conditions: Sequence[Node]) -> Definition:
        """Read ``J_t := ...``."""
        name, parameters = header(head)
        tape, display = self.world.draws[0], self.display
        if tape.arities(name) or name in tape.functions or name in tape.sizes:
            said = f"{name} is known to the world; a claim is written with ="
            raise EquationError(said, head)
        unknown = self.free(body) - set(parameters)
        if unknown or name in symbols(body):
            what = ", ".join(sorted(unknown)) or name
            raise EquationError(f"{what} is not given by the left side", body)
        mine = self.concerning(conditions, parameters)
        return Definition(name, parameters, body, display.latex, display.label, mine)

    @property
    def names(self) -> set[str]:
        """The symbols that stand in it."""
        return symbols(self.tree)

    def free(self, node: Node) -> set[str]:
        """Collect the indices of an expression that nothing in it binds."""
        return free_indices(node, self.world.indices)

    def letters(self, nodes: Iterable[Node]) -> set[str]:
        """Collect the indices in conditions."""
        return set().union(*map(symbols, nodes)) & self.world.indices

    def concerning(
        self, conditions: Iterable[Node], free: Iterable[str]
    ) -> tuple[Node, ...]:
        """Keep the conditions about these indices."""
        return tuple(c for c in conditions if self.letters([c]) & set(free))


def understand(display: Display, known: Mapping[str, Definition]) -> Equation:
    """Parse a display.

    Parameters
    ----------
    display
        A labelled display of a chapter.
    known
        What has been defined before it, in the same world.

    Returns
    -------
    Equation
        Its claims and definitions.

    Raises
    ------
    EquationError
        If it is not understood, or claims nothing.
    """
    world = find_world(display.world, Path(display.file).parent / "worlds")
    names = [*world.names, *(name for name in known if len(name) > 1)]
    tree = parse(display.latex, names, world.draws[0].functions)
    equation = Equation(display, world, tree)
    rows = [Row(row, world) for row in tree.children if isinstance(row, Tree)]
    for_all = [c for row in rows if not row.claims for c in row.conditions]
    for row in rows:
        for node in row.claims:
            equation.add(node, [*row.conditions, *for_all], row.given)
        if unused := equation.letters(row.conditions) - used_in(equation, rows):
            what = ", ".join(sorted(unused))
            raise EquationError(f"a range is stated for {what}, which is not used")
    if not (equation.claims or equation.definitions):
        raise EquationError(
            "claims nothing; mark it <!-- eqcheck: prose --> if it is not to be checked"
        )
    return equation


def used_in(equation: Equation, rows: Iterable["Row"]) -> set[str]:
    """Collect the free indices of all claims and definitions of a display."""
    nodes = [node for row in rows for node in (*row.claims, *row.given)]
    parts = [part for node in nodes for part in node.children if isinstance(part, Tree)]
    return set().union(*map(equation.free, parts))


class Row:
    """The statements of one line of a display."""

    def __init__(self, row: Node, world: World) -> None:
        self.claims: list[Node] = []
        self.conditions: list[Node] = []
        self.given: list[Node] = []
        self.world = world
        waiting: list[str] = []
        for item in row.children:
            assert isinstance(item, Tree)
            waiting = self.sort(item, waiting)
        if waiting:
            what = ", ".join(waiting)
            raise EquationError(f"{what} stands alone and says nothing", row)

    def sort(self, item: Node, waiting: list[str]) -> list[str]:
        """File a statement; return the indices that still wait for their range."""
        given = item.data == "given"
        node = item.children[0] if given else item
        assert isinstance(node, Tree)
        if node.data == "bare":
            return waiting if self.is_listed(node) else [*waiting, self.index(node)]
        if is_condition(node, self.world):
            self.conditions += ranges_of(node, waiting)
            return []
        if given and node.data != "chain":
            raise EquationError("a condition does not define", node)
        (self.given if given else self.claims).append(node)
        return waiting

    def is_listed(self, bare: Node) -> bool:
        """Read the ``2`` of ``l = 1, 2``: one more value of the index before it."""
        last = self.conditions[-1] if self.conditions else None
        if last is None or symbols(bare) or last.data not in {"chain", "listed"}:
            return False
        if last.data == "chain" and relations(last) != ["="]:
            return False
        values = [c for c in last.children if c.data != "relation"]
        self.conditions[-1] = Tree("listed", [*values, bare.children[0]], last.meta)
        return True

    def index(self, bare: Node) -> str:
        r"""Read the ``i`` of ``i, j = 1, \dots, q``."""
        names = symbols(bare)
        if bare.children[0].data != "symbol" or not names <= self.world.indices:
            raise EquationError("stands alone and says nothing", bare)
        return names.pop()


def is_condition(node: Node, world: World) -> bool:
    """Tell a condition from a claim: it holds nothing but indices and sizes."""
    if node.data in RANGES:
        return True
    names, indices = symbols(node), world.indices
    whole = all(s.data in CONDITION for s in node.iter_subtrees())
    return (
        bool(names & indices) and names <= indices | {*world.draws[0].sizes} and whole
    )


def ranges_of(node: Node, waiting: Sequence[str]) -> list[Node]:
    r"""Give the range of ``j`` in ``i, j = 1, \\dots, q`` to ``i`` as well."""
    if node.data not in RANGES:
        if waiting:
            raise EquationError(f"{', '.join(waiting)} has no range", node)
        return [node]
    first, *rest = node.children
    assert isinstance(first, Tree)
    if first.data != "symbol":
        raise EquationError("a range is stated for one index", node)
    if node.data == "series" and (len(rest) != 3 or str(rest[0].children[0]) != "="):
        raise EquationError(r"a range is written t = 1, \dots, T", node)
    others = [Tree("symbol", [Token("NAME", n)], first.meta) for n in waiting]
    return [Tree(node.data, [index, *rest], node.meta) for index in (first, *others)]


def header(head: Node) -> tuple[str, tuple[str, ...]]:
    """Read the left side of a definition: a new symbol and its indices."""
    parameters: list[Node | Token] = []
    if head.data == "subscript":
        head, script = head.children
        parameters = script.children
    for part in parameters:
        if isinstance(part, Tree) and part.data != "symbol":
            raise EquationError("a definition has plain indices on its left", part)
    if head.data != "symbol":
        raise EquationError("only a new symbol can be defined", head)
    names = (p.children[0] if isinstance(p, Tree) else p for p in parameters)
    return str(head.children[0]), tuple(map(str, names))


def free_indices(
    node: Node, letters: set[str], bound: frozenset[str] = frozenset()
) -> set[str]:
    """Collect the indices that no sum, product or maximum binds."""
    if node.data in {"symbol", "one"}:
        return {str(node.children[0])} & (letters - bound)
    if node.data in {"bigop", "extreme"}:
        bound |= {bound_index(node.children[1])}
    children = [c for c in node.children if isinstance(c, Tree)]
    if node.data in {"subscript", "superscript"} and is_symbol(node):
        children = list(scripts(node))
    return set().union(*(free_indices(c, letters, bound) for c in children))
