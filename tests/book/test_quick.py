"""Pages are numbered by their outlines as they would be by the whole of them."""

from types import SimpleNamespace
from typing import Any

from docutils import nodes
from quick import by_outlines, forget, outline_of


class Domain:
    """Counts equations."""

    def get_enumerable_node_type(self, node: nodes.Node) -> str | None:
        return "displaymath" if isinstance(node, nodes.math_block) else None


def page(*labels: str) -> nodes.document:
    """Make a page: a section with a section in it, an equation in a box in each."""
    made = nodes.document(None, None)
    inner = nodes.section("", ids=["inner"])
    outer = nodes.section("", nodes.paragraph("", "words"), ids=["outer"])
    for section, label in zip((outer, inner), labels, strict=True):
        block = nodes.math_block("", "x = 1", ids=[label])
        section += nodes.container("", nodes.paragraph("", "more"), block)
    outer += inner
    made += outer
    return made


def places(tree: nodes.Node) -> list[tuple[str, list[str]]]:
    """List the equations of a page, each with the sections around it."""
    found: list[tuple[str, list[str]]] = []
    for block in tree.findall(nodes.math_block):
        above: list[str] = []
        node = block.parent
        while node is not None:
            above += node["ids"] if isinstance(node, nodes.section) else []
            node = node.parent
        found.append((block["ids"][0], above))
    return found


def test_an_outline_has_each_equation_in_its_sections_and_no_words() -> None:
    env: Any = SimpleNamespace(domains={"math": Domain()})
    whole = page("one", "two")
    short = outline_of(env, lambda name: whole, "page")
    assert (
        places(short)
        == places(whole)
        == [
            ("one", ["outer"]),
            ("two", ["inner", "outer"]),
        ]
    )
    assert not list(short.findall(nodes.paragraph))


def test_a_page_is_unpickled_again_only_after_it_was_read_again() -> None:
    read: list[str] = []

    class Env(SimpleNamespace):
        def get_doctree(self, name: str) -> nodes.document:
            read.append(name)
            return page(f"{name}-{len(read)}", "two")

    def first(collector: object, env: Any) -> list[str]:  # noqa: ANN401
        return [places(env.get_doctree("page"))[0][0]]

    env: Any = Env(domains={"math": Domain()})
    number = by_outlines(first)
    assert number(None, env) == number(None, env) == ["page-1"]
    assert "get_doctree" not in vars(env)  # what numbering saw was for its time alone
    forget(SimpleNamespace(), env, "page")  # type: ignore[arg-type]
    assert number(None, env) == ["page-2"]
    assert read == ["page", "page"]
