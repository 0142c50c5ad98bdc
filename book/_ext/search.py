"""Excerpts for the search where there is no server.

Sphinx shows where in a page the words stand by fetching the page, which a browser does
not do for a folder on disk. The words of all pages then come from a script.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SCRIPT = "search-texts.js"
_BEFORE = "window.searchTexts = "


def words(node: nodes.Node) -> str:
    """Write the words of a page as HTML that has nothing but its sections.

    Parameters
    ----------
    node : docutils.nodes.Node
        A finished page, or a part of one.
    """
    if isinstance(node, nodes.raw | nodes.comment | nodes.image):
        return ""
    if isinstance(node, nodes.Text):
        return escape(node.astext(), quote=False)
    inner = "".join(map(words, node.children))
    if isinstance(node, nodes.section):
        return f'<section id="{node["ids"][0]}">{inner}</section>'
    return inner if isinstance(node, nodes.Inline) else f"{inner} "


class Texts:
    """The words of the pages of a build."""

    def __init__(self) -> None:
        self.new: dict[str, str] = {}

    def note(self, app: Sphinx, doctree: nodes.document, docname: str) -> None:
        """Remember a page that is written."""
        self.new[docname] = f'<div role="main">{words(doctree)}</div>'

    def write(self, app: Sphinx, exception: Exception | None) -> None:
        """Write them all, those of pages that stay as they were from before."""
        if exception or app.builder.format != "html" or not self.new:
            return
        path, texts = Path(app.outdir, "_static", SCRIPT), self.new
        if path.exists():
            before = path.read_text(encoding="utf-8")
            old = json.loads(before[len(_BEFORE) : before.rindex(";")])
            texts = {k: v for k, v in old.items() if k in app.env.found_docs} | texts
        said = json.dumps(dict(sorted(texts.items())), ensure_ascii=False)
        path.write_text(f"{_BEFORE}{said};\n", encoding="utf-8")


def load(app: Sphinx, pagename: str, *_: object) -> None:
    """Have the page of the search load them."""
    if pagename == "search":
        app.add_js_file("search.js", priority=100)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    texts = Texts()
    app.connect("doctree-resolved", texts.note)
    app.connect("html-page-context", load)
    app.connect("build-finished", texts.write)
    return {"parallel_read_safe": True, "parallel_write_safe": False}
