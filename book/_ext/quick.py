"""What a build would do again and again, or to every page, is done once.

After an edit of one page these took a fifth of the build: the entry points of all
installed packages were read for each citation, and every page was unpickled whole to
number its equations and figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial, wraps
from typing import TYPE_CHECKING, Any

import pybtex.plugin
from docutils import nodes
from sphinx import addnodes
from sphinx.environment.collectors.toctree import TocTreeCollector

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

KEPT = "outlines"  # in the environment, by page


def outline(env: BuildEnvironment, node: nodes.Node) -> Iterator[nodes.Node]:
    """Yield what of a page may have a number, and the sections in which it stands.

    Parameters
    ----------
    env : BuildEnvironment
        Its domains say what may have one.
    node : Node
        The page, or a part of it.
    """
    for child in node.children:
        if isinstance(child, nodes.section):
            section = nodes.section(ids=child["ids"])
            section += list(outline(env, child))
            yield section
        elif isinstance(child, addnodes.toctree):
            yield child.deepcopy()
        elif isinstance(child, nodes.Element):
            numbered = child["ids"] and any(
                domain.get_enumerable_node_type(child)
                for domain in env.domains.values()
            )
            if numbered:
                yield child.deepcopy()
            else:
                yield from outline(env, child)


def outline_of(
    env: BuildEnvironment, whole: Callable[[str], nodes.document], docname: str
) -> nodes.Element:
    """Take the outline of a page, from an earlier build if it was not read since."""
    kept = env.__dict__.setdefault(KEPT, {})
    if docname not in kept:
        page = nodes.Element()
        page += list(outline(env, whole(docname)))
        kept[docname] = page
    found: nodes.Element = kept[docname]
    return found


def by_outlines(
    number: Callable[[Any, BuildEnvironment], list[str]],
) -> Callable[[Any, BuildEnvironment], list[str]]:
    """Have Sphinx number equations and figures by the outlines of the pages."""

    @wraps(number)
    def numbered(collector: object, env: BuildEnvironment) -> list[str]:
        vars(env)["get_doctree"] = partial(outline_of, env, env.get_doctree)
        try:
            return number(collector, env)
        finally:
            del vars(env)["get_doctree"]  # the class has the other one

    return numbered


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Drop the outline of a page that is read again, or is gone."""
    env.__dict__.get(KEPT, {}).pop(docname, None)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    plugins: Any = pybtex.plugin
    if not hasattr(plugins.entry_points, "cache_info"):
        plugins.entry_points = cache(plugins.entry_points)
        collector: Any = TocTreeCollector
        collector.assign_figure_numbers = by_outlines(collector.assign_figure_numbers)
    app.connect("env-purge-doc", forget)
    return {"env_version": 1, "parallel_read_safe": False, "parallel_write_safe": True}
