"""Exercises on a page: a box around the task, with the answers hidden or folded.

Solutions and hidden tests run with the chapter, so a wrong one fails the build;
then the page is rewritten. `exercise_solutions` says what becomes of the solutions:
``folded`` puts them at the end of their exercise, to be opened by hand, ``hidden``
leaves them out. Hidden tests never reach the output, and the search knows neither.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from rnn_companion.homework import markup

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

logger = logging.getLogger(__name__)


class Folded(nodes.comment):  # type: ignore[misc]  # docutils has no types
    """A solution. As a comment, it is passed over by the search and other formats."""


def open_fold(translator: HTML5Translator, node: Folded) -> None:
    """Write the line that opens a solution when it is clicked."""
    translator.body.append(
        f'<details class="solution"><summary>{node["title"]}</summary>'
    )


def close_fold(translator: HTML5Translator, node: Folded) -> None:
    """Write the end of a solution."""
    translator.body.append("</details>")


def skip(translator: nodes.NodeVisitor, node: Folded) -> None:
    """Leave solutions out of formats that cannot fold."""
    raise nodes.SkipNode


class ModelAnswer(SphinxDirective):
    """The answer to a free text; written by `mark_answers`, never by hand."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Fold the answer."""
        folded = Folded(title="A possible answer")
        self.state.nested_parse(self.content, self.content_offset, folded)
        return [folded]


def mark_answers(app: Sphinx, docname: str, source: list[str]) -> None:
    """Make a directive of each model answer: Sphinx does not see cells of text."""

    def directive(answer: str) -> str:
        return f"`````{{model-answer}}\n{answer}\n`````"

    try:
        source[0] = markup.replace_answers(source[0], directive)
    except markup.MarkupError as problem:
        logger.warning("%s", problem, location=docname)


def rewrite(app: Sphinx, doctree: nodes.document) -> None:
    """Show the exercises as a student gets them."""
    try:
        _rewrite(app, doctree)
    except markup.MarkupError as problem:
        logger.warning("%s", problem, location=app.env.docname)


def _rewrite(app: Sphinx, doctree: nodes.document) -> None:
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code":
            continue
        metadata = cell["cell_metadata"].get("nbgrader")
        if metadata:
            _rewrite_cell(app, cell, metadata)
            _section_of(cell)["classes"].append("exercise")
    for answer in list(doctree.findall(Folded)):
        _section_of(answer)["classes"].append("exercise")
        if app.config.exercise_solutions == "hidden":
            answer.parent.remove(answer)
    _say_how_much(app, doctree)


def _rewrite_cell(app: Sphinx, cell: nodes.container, metadata: dict[str, Any]) -> None:
    """Cut a cell down to its stub or its visible tests, and drop what it printed."""
    for part in list(cell.children):
        if part.get("nb_element") == "cell_code_output":
            cell.remove(part)
    (block,) = cell.findall(nodes.literal_block)
    source = block.astext()
    if metadata.get("solution"):
        folded = Folded(title="A solution")
        folded += _like(block, markup.without_markers(source))
        _section_of(cell).append(folded)
    block.replace_self(_like(block, markup.without_answers(source).strip("\n")))


def _like(block: nodes.literal_block, text: str) -> nodes.literal_block:
    return nodes.literal_block(text, text, **{**block.attributes, "ids": []})


def _section_of(node: nodes.Node) -> nodes.section:
    while not isinstance(node, nodes.section):
        node = node.parent
    return node


def _say_how_much(app: Sphinx, doctree: nodes.document) -> None:
    """Put points and minutes below the title of each exercise."""
    boxes = [s for s in doctree.findall(nodes.section) if "exercise" in s["classes"]]
    if not boxes:
        return
    path = Path(app.env.doc2path(app.env.docname))
    found = markup.in_chapter(path.read_text(encoding="utf-8"))
    for box, exercise in zip(boxes, found, strict=False):  # a faulty one has no box
        box["classes"] = sorted(set(box["classes"]))
        text = f"{exercise.points:g} points · about {exercise.minutes} minutes"
        box.insert(1, nodes.paragraph(text, text, classes=["exercise-points"]))


def clean_sources(written: set[str], app: Sphinx, exception: Exception | None) -> None:
    """Take the answers out of the sources that the pages offer for download."""
    if exception or app.builder.format != "html":
        return
    for docname in written:
        path = Path(app.outdir, "_sources", f"{docname}.md")
        if path.exists():
            text = path.read_text(encoding="utf-8")
            path.write_text(markup.without_answers(text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("exercise_solutions", "folded", "env", str)
    app.add_node(
        Folded,
        html=(open_fold, close_fold),
        latex=(skip, None),
        text=(skip, None),
        man=(skip, None),
        texinfo=(skip, None),
    )
    app.add_css_file("exercises.css")
    app.add_directive("model-answer", ModelAnswer)
    app.connect("source-read", mark_answers)
    app.connect("doctree-read", rewrite)
    written: set[str] = set()  # pages, in this build
    app.connect("doctree-resolved", lambda app, tree, name: written.add(name))
    app.connect("build-finished", partial(clean_sources, written))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
