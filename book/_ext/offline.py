"""Pages that ask no other machine for anything.

Mathematics is set by MathJax, from the one file of it that needs no fonts and
loads nothing further; it comes with the package sphinx-mathjax-offline. Thebe, which
Jupyter Book adds to every page to run code on other people's machines, is left out.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

MATHJAX = "tex-svg-full.js"


def use_local_mathjax(app: Sphinx, config: Config) -> None:
    """Copy MathJax among the book's own files, and point the pages at it."""
    found = files("sphinx-mathjax-offline") / "static" / "mathjax" / MATHJAX
    config.html_static_path.append(str(found))
    config.mathjax_path = MATHJAX


def leave_out_thebe(app: Sphinx, config: Config) -> None:
    """Take away what sphinx-thebe would do to the pages."""
    for listeners in app.events.listeners.values():
        ours = [x for x in listeners if x.handler.__module__ != "sphinx_thebe"]
        listeners[:] = ours
    styles = app.registry.css_files
    styles[:] = [style for style in styles if "thebe" not in style[0]]


def set_mathematics_of_the_one_page(app: Sphinx) -> None:
    """Load MathJax where the whole book is one page, named after one without any."""
    if app.builder.name == "singlehtml":
        app.set_html_assets_policy("always")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", use_local_mathjax)
    app.connect("config-inited", leave_out_thebe)
    app.connect("builder-inited", set_mathematics_of_the_one_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
