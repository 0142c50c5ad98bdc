"""Every chapter as a notebook, behind the page's download button.

The notebook's first cell installs the package where it is missing and leaves what
is installed alone, so that it runs on Colab as it does at home.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util import logging

from rnn_companion.homework import markup
from rnn_companion.notebooks.names import Names, citations

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)


def names_of(env: BuildEnvironment) -> Names:
    """Read what the labels of the book stand for out of a finished build."""
    equations = {
        label: number_of(env, label)
        for label in env.get_domain("math").equations  # type: ignore[attr-defined]
    }
    titles = {name.split("/")[-1]: t.astext() for name, t in env.titles.items()}
    for label, (_, _, title) in env.get_domain("std").labels.items():  # type: ignore[attr-defined]
        titles.setdefault(label, title)
    files = env.config.bibtex_bibfiles
    numbers = {
        name.split("/")[-1]: ".".join(map(str, at[""]))
        for name, at in env.toc_secnumbers.items()
        if at.get("")
    }
    return Names(equations, titles, citations(Path(env.srcdir), files), numbers)


def number_of(env: BuildEnvironment, label: str) -> str:
    """Give an equation the number that the page shows."""
    docname, number = env.get_domain("math").equations[label]  # type: ignore[attr-defined]
    shown = env.toc_fignumbers.get(docname, {}).get("displaymath", {})
    parts = shown.get(nodes.make_id(f"equation-{label}"), (number,))
    return ".".join(map(str, parts))


def chapters(env: BuildEnvironment) -> list[str]:
    """List the pages that are notebooks."""
    return sorted(name for name in env.found_docs if "kernelspec" in env.metadata[name])


def offer(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: object,
) -> None:
    """Put the notebook into the page's download menu."""
    if pagename in app.env.found_docs and "kernelspec" in app.env.metadata[pagename]:
        context["ipynb_source"] = f"{pagename}.ipynb"


def write_all(written: set[str], app: Sphinx, exception: Exception | None) -> None:
    """Write the notebooks of the pages written, once everything has its number."""
    if exception or app.builder.format != "html" or not written:
        return
    # Only here: jupytext, and a server of notebooks with it, take a while to import.
    from rnn_companion.homework.reader import reader_notebook
    from rnn_companion.notebooks.flatten import FlattenError

    names, settings = names_of(app.env), app.config
    for docname in sorted(written & {*chapters(app.env)}):
        try:
            notebook = reader_notebook(
                Path(app.env.doc2path(docname)),
                names,
                source=settings.notebook_install_source,
                folded=settings.exercise_solutions == "folded",
            )
        except (FlattenError, markup.MarkupError) as problem:
            logger.warning("no notebook: %s", problem, location=docname)
            continue
        target = Path(app.outdir, "_sources", f"{docname}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("notebook_install_source", "", "html", str)
    app.connect("html-page-context", offer, priority=100)
    written: set[str] = set()  # pages, in this build
    app.connect("doctree-resolved", lambda app, tree, name: written.add(name))
    app.connect("build-finished", partial(write_all, written), priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
