"""Run every chapter's equations in the build, and mark each on its page.

An equation that does not hold is a warning with its file, line and label, so that
``-W`` fails the build. In HTML each labelled equation gets a small mark that opens
how it was checked; other formats show nothing.
"""

from __future__ import annotations

import json
import re
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from fresh import package_folder
from notebooks import number_of
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from rnn_companion.equations import Chapter, Report

logger = logging.getLogger(__name__)

HERE = "equation-number"  # stands for a number until all pages are read
WORLDS = Path(__file__).parents[1] / "worlds"

NAMES = {"ok": "checked", "skipped": "not checked", "failed": "wrong"}
SIGNS = {"ok": "✓", "skipped": "–", "failed": "✗"}


def check_page(app: Sphinx, doctree: nodes.document) -> None:
    """Check the equations of the page that was just read, and mark them."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".md":
        return
    kept = Path(app.doctreedir, "equations", f"{path.stem}.json")
    marks, all_hold = marks_of(path, kept, app.config.equation_checker)
    for block in list(doctree.findall(nodes.math_block)):
        if label := block.get("label"):
            if label in marks:
                mark(block, marks[label])
            elif all_hold:
                warn(path, block.line or 0, f"{label}: stands where it is not checked")


def marks_of(path: Path, kept: Path, checker: str) -> tuple[dict[str, str], bool]:
    """Check a page, or take the marks of a page with the same equations.

    Parameters
    ----------
    path : Path
        The page.
    kept : Path
        Where its marks are kept from build to build, if all its equations hold.
    checker : str
        `fingerprint` of the checker.

    Returns
    -------
    marks : dict of str to str
        The mark of each label, in HTML.
    all_hold : bool
        Whether all equations hold.
    """
    text = path.read_text("utf-8")
    key = sha256((HERE + checker + what_is_checked(text)).encode()).hexdigest()
    if kept.exists() and (found := json.loads(kept.read_text("utf-8")))["key"] == key:
        return found["marks"], True
    from rnn_companion.equations import check_text  # needs torch, most builds do not

    chapter = check_text(text, str(path))
    reports = chapter.reports
    failed = [report for report in reports if report.status == "failed"]
    for report in failed:
        warn(path, report.line, f"{report.label or 'no label'}: {report.reason}")
    marks = {report.label: html(report) for report in reports}
    if not failed:
        kept.parent.mkdir(parents=True, exist_ok=True)
        found = {"key": key, "marks": marks, "symbols": symbols_in(chapter)}
        kept.write_text(json.dumps(found), "utf-8")
    return marks, not failed


def symbols_in(chapter: Chapter) -> dict[str, list[str]]:
    """List the symbols of each equation, in the order of the page."""
    return {label: sorted(e.names) for label, e in chapter.equations.items()}


def what_is_checked(text: str) -> str:
    """Leave out the paragraphs that hold no display, no comment and no fence."""
    telling = ("$$", "<!--", "-->", "```", "~~~", ":::", "\\[", "\\begin{")
    kept = [p for p in text.split("\n\n") if any(mark in p for mark in telling)]
    return "\n\n".join(kept)


def mark(block: nodes.math_block, text: str) -> None:
    """Put the mark beside one labelled equation."""
    at = block.parent.index(block)
    while at and isinstance(block.parent[at - 1], nodes.target):
        at -= 1
    block.parent.insert(at, nodes.raw("", text, format="html"))


def html(report: Report) -> str:
    """Write the mark: closed a sign, open the whole story."""
    label = escape(report.label)
    name = f"{HERE}({label}) is {NAMES[report.status]}"
    rows = "".join(
        f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in story(report).items()
    )
    return (
        f'<details class="equation-mark {report.status}">'
        f'<summary aria-label="{name}" title="{name}">{SIGNS[report.status]}</summary>'
        f"<div><strong>{name}</strong> <code>{label}</code>"
        f"<dl>{rows}</dl></div></details>"
    )


def story(report: Report) -> dict[str, str]:
    """Tell how an equation was checked, or why it was not."""
    if report.status != "ok":
        return {"why": report.reason}
    return {
        "against": report.reference,
        "random draws": str(report.draws),
        "indices": report.indices or "none",
        "largest error": f"{report.max_error:.1e}",
    }


def put_numbers(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Let the marks say the numbers of their equations, which are known at last."""

    def number(found: re.Match[str]) -> str:
        return f"Equation ({number_of(app.env, found[1])})"

    for raw in doctree.findall(nodes.raw):
        if HERE in raw.astext():
            text = re.sub(rf"{HERE}\(([^)]*)\)", number, raw.astext())
            raw.children = [nodes.Text(text)]
            raw.rawsource = text


def warn(path: Path, line: int, message: str) -> None:
    """Warn of an equation, with its place."""
    logger.warning(message, location=f"{path}:{line}", type="equations")


def fingerprint() -> str:
    """Hash the checker and the worlds: a change there reads every page again."""
    folders = package_folder("rnn_companion") / "equations", WORLDS
    kinds = {".py", ".lark", ".toml"}
    files = sorted(p for f in folders for p in f.rglob("*") if p.suffix in kinds)
    return sha256(b"\0".join(p.read_bytes() for p in files)).hexdigest()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the check with Sphinx."""
    app.add_config_value("equation_checker", fingerprint(), "env", str)
    app.connect("doctree-read", check_page)
    app.connect("doctree-resolved", put_numbers)
    app.add_css_file("equation-marks.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
