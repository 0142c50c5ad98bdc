"""What the other modules ask of the tree of a display."""

from collections.abc import Iterator

from lark import Token

from .latex import Node


def links(chain: Node) -> Iterator[tuple[Node, str, Node]]:
    """Split ``a < b = c`` into its links."""
    parts = chain.children
    for a, relation, b in zip(parts[::2], parts[1::2], parts[2::2], strict=False):
        yield a, str(relation.children[0]), b


def relations(statement: Node) -> list[str]:
    """List the relations of a chain; none if it is no chain."""
    chain = statement.data == "chain"
    return [relation for _, relation, _ in links(statement)] if chain else []


def unequal(statement: Node) -> bool:
    r"""Tell a condition such as ``i \ne j``, which bounds nothing."""
    return statement.data == "chain" and set(relations(statement)) <= {r"\ne", r"\neq"}


def factors(node: Node) -> list[Node]:
    """Flatten a product written side by side."""
    if node.data != "times":
        return [node]
    return [*factors(node.children[0]), *factors(node.children[-1])]


def symbols(node: Node) -> set[str]:
    """Collect the symbols of an expression."""
    return {str(s.children[0]) for s in node.iter_subtrees() if s.data == "symbol"}


def bound_index(limits: Node) -> str:
    """Find the index that a sum, product or maximum runs over: the first it names."""
    tokens = limits.scan_values(lambda t: isinstance(t, Token) and t.type == "NAME")
    return next(map(str, tokens), "")


def is_symbol(node: Node) -> bool:
    """Tell a symbol with scripts from an expression with scripts."""
    while node.data in {"subscript", "superscript"}:
        node = node.children[0]
    return node.data == "symbol"


def scripts(node: Node) -> Iterator[Node]:
    """Walk over all scripts of a symbol."""
    while node.data in {"subscript", "superscript"}:
        node, script = node.children
        yield script
