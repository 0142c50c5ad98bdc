"""Run every chapter's equations in the build, and mark each on its page.

An equation that does not hold is a warning with its file, line and label, so that
``-W`` fails the build. In HTML each labelled equation gets a small mark that opens
how it was checked; other formats show nothing.
"""

from __future__ import annotations

from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from fresh import package_folder
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from rnn_companion.equations import Report

logger = logging.getLogger(__name__)

WORLDS = Path(__file__).parents[1] / "worlds"

NAMES = {"ok": "checked", "skipped": "not checked", "failed": "does not hold"}
SIGNS = {"ok": "✓", "skipped": "–", "failed": "✗"}


def check_page(app: Sphinx, doctree: nodes.document) -> None:
    """Check the equations of the page that was just read, and mark them."""
    from rnn_companion.equations import check_text  # needs torch, most builds do not

    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".md":
        return
    reports = {
        r.label: r for r in check_text(path.read_text("utf-8"), str(path)).reports
    }
    for report in reports.values():
        if report.status == "failed":
            warn(path, report.line, f"{report.label or 'no label'}: {report.reason}")
    for block in list(doctree.findall(nodes.math_block)):
        if label := block.get("label"):
            mark(block, label, reports, path)


def mark(
    block: nodes.math_block, label: str, reports: dict[str, Report], path: Path
) -> None:
    """Put the mark beside one labelled equation."""
    if label not in reports:
        if not any(r.status == "failed" for r in reports.values()):
            warn(path, block.line or 0, f"{label}: stands where it is not checked")
        return
    at = block.parent.index(block)
    while at and isinstance(block.parent[at - 1], nodes.target):
        at -= 1
    block.parent.insert(at, nodes.raw("", html(reports[label]), format="html"))


def html(report: Report) -> str:
    """Write the mark: closed a sign, open the whole story."""
    name = f"Equation {escape(report.label)}: {NAMES[report.status]}"
    rows = "".join(
        f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in story(report).items()
    )
    return (
        f'<details class="equation-mark {report.status}">'
        f'<summary aria-label="{name}" title="{name}">{SIGNS[report.status]}</summary>'
        f"<div><strong>{name}</strong><dl>{rows}</dl></div></details>"
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
    app.add_css_file("equation-marks.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
