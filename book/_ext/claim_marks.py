"""Run the claims in the build, mark checked sentences, and show sources on trial.

A claim whose verdict is not the expected one is a warning with file and line, so that
``-W`` fails the build; so is a strong sentence without a mark. What a file of claims
found is kept until something that it depends on changes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from docutils.statemachine import StringList
from fresh import Package, library_versions, package_folder
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from rnn_companion.notebooks.wheel import files_named

if TYPE_CHECKING:
    from sphinx.application import Sphinx

logger = logging.getLogger(__name__)

COMMENT = re.compile(r"\s*<!--\s*(claim|strong):\s*([\w.-]+)\s*-->\s*")
TRIAL = "trial"  # the page on which the sources' claims stand
SIGNS = {
    **{"holds": "✓", "holds if": "✓ if", "wrong": "✗"},
    **{"cannot be decided": "?", "judged": "–"},
}
Result = dict[str, Any]


def state(source: Path) -> str:
    """Hash the files of claims: a change there reads every page again."""
    folders = source / "claims", source / "book" / "claims"
    kept = sorted(path for folder in folders for path in folder.glob("*.*"))
    return sha256(b"\0".join(p.read_bytes() for p in kept)).hexdigest()


@cache
def our_package() -> tuple[Package, str]:
    """Take the package whose modules claims import, and the state of all of it."""
    package = Package(package_folder("rnn_companion"))
    return package, package.digest(package.modules)


def key(path: Path, exactly: bool) -> str:
    """Name the state of what a file of claims depends on.

    Parameters
    ----------
    path : Path
        The file.
    exactly : bool
        Whether modules that it does not import are left out, which takes longer.

    Returns
    -------
    str
        Changes when its claims must be run again.
    """
    book, (package, whole) = path.parents[1], our_package()
    code = path.read_text("utf-8") + shared_text(path.parent)
    modules = package.digest(package.needed_by(code)) if exactly else whole
    hashed = sha256(f"{code}{modules}{library_versions(package.name)}".encode())
    beside = [*(book / "worlds").glob("*.py"), *files_named(code, book).values()]
    for file in sorted(beside):
        hashed.update(digest_of(file))
    return hashed.hexdigest()


@cache
def shared_text(folder: Path) -> str:
    """Join what the files of claims of a folder share."""
    return "\n".join(p.read_text("utf-8") for p in sorted(folder.glob("_*.py")))


@cache
def digest_of(file: Path) -> bytes:
    """Hash a file that many files of claims may depend on."""
    return sha256(file.read_bytes()).digest()


@cache
def results(book: Path, kept: Path) -> dict[str, Result]:
    """Run the claims of a folder of pages, or take what was found before, by id."""
    found: dict[str, Result] = {}
    for path in sorted((book / "claims").glob("[!_]*.py")):
        for result in results_of(path, kept / f"{path.stem}.json"):
            found[result["id"]] = result
    return found


def results_of(path: Path, kept: Path) -> list[Result]:
    """Run the claims of a file, or take what was found before."""
    found = json.loads(kept.read_text("utf-8")) if kept.exists() else {}
    whole = key(path, exactly=False)
    if found.get("whole") == whole:
        return list(found["results"])
    now = key(path, exactly=True)
    if found.get("key") == now:
        kept.write_text(json.dumps(found | {"whole": whole}), "utf-8")
        return list(found["results"])
    from rnn_companion.claims.registry import ClaimError
    from rnn_companion.sentences.run import examine, load_claims

    try:
        rows = [examine(made).as_json() for made in load_claims(path)]
    except ClaimError as error:
        logger.warning("%s", error, location=str(path))
        return []
    failed = [row for row in rows if row["problem"]]
    for row in failed:
        where = f"{path}:{row['line']}"
        logger.warning(
            "%s: %s: %s", row["id"], row["problem"], row["rows"], location=where
        )
    if not failed:
        kept.parent.mkdir(parents=True, exist_ok=True)
        found = {"whole": whole, "key": now, "results": rows}
        kept.write_text(json.dumps(found), "utf-8")
    return rows


def results_beside(app: Sphinx, page: Path) -> dict[str, Result]:
    """Take the results of the claims beside a page."""
    return results(page.parent, Path(app.outdir).parent / ".claims")


def check_page(app: Sphinx, doctree: nodes.document) -> None:
    """Hold the sentences of the page that was just read against their checks."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".md" or not (path.parent / "claims").is_dir():
        return
    from rnn_companion.sentences.pages import Stated, problems, sentences

    found = results_beside(app, path)
    stated = {
        name: Stated(result["sentence"], f"{result['file']}:{result['line']}")
        for name, result in found.items()
    }
    for line, said in problems(sentences(path.read_text("utf-8")), stated):
        logger.warning("%s", said, location=f"{path}:{line}", type="claims")
    for raw in list(doctree.findall(nodes.raw)):
        if comment := COMMENT.fullmatch(raw.astext()):
            kind, name = comment.groups()
            shown = html(found[name]) if kind == "claim" and name in found else ""
            raw.replace_self(nodes.raw("", shown, format="html"))


def html(result: Result) -> str:
    """Write the mark: closed a sign, open the whole story."""
    name = f"claim-{escape(result['id'])}"
    rows = "".join(
        f"<span><i>{k}</i> {escape(v)}</span>" for k, v in result["rows"].items()
    )
    return (
        f'<button type="button" class="claim-mark" popovertarget="{name}" '
        f'aria-label="How this sentence was checked">✓</button>'
        f'<span popover class="claim-story" id="{name}">'
        f"<b>This sentence was checked.</b>{rows}</span>"
    )


class Trial(SphinxDirective):
    """The sources' claims: of one chapter in short, or all of them in full."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Write them as Markdown, and have it read."""
        page = Path(self.env.doc2path(self.env.docname))
        found = results_beside(self.env.app, page).values()
        rows = sorted((r for r in found if r["source"]), key=in_order)
        if self.arguments:
            chapter = self.arguments[0]
            mine = [r for r in rows if r["source"]["where"].split("#")[0] == chapter]
            return self.read(in_short(mine), ["trial-short"], "")
        counted = self.read(counts(rows), ["trial-counts"], "")
        return counted + [node for row in rows for node in self.card(row)]

    def card(self, row: Result) -> list[nodes.Node]:
        """Show one claim in full."""
        source = row["source"]
        classes = [
            "trial",
            f"source-{source['source']}",
            f"chapter-{source['where'].partition('#')[0]}",
            f"verdict-{slug(row['verdict'])}",
        ]
        return self.read(in_full(row), classes, f"trial-{source['id']}")

    def read(self, text: str, classes: list[str], name: str) -> list[nodes.Node]:
        """Read Markdown into a box."""
        box = nodes.container(classes=classes, ids=[name] if name else [])
        self.state.nested_parse(StringList(text.split("\n"), "trial"), 0, box)
        return [box]


def in_order(row: Result) -> tuple[str, list[int], str]:
    """Sort claims by source, then by the numbers in their ids."""
    name = row["id"]
    return row["source"]["source"], [int(n) for n in re.findall(r"\d+", name)], name


def slug(verdict: str) -> str:
    """Write a verdict as a class."""
    return verdict.replace(" ", "-")


def counts(rows: list[Result]) -> str:
    """Count the verdicts by source."""
    found = Counter((r["source"]["source"], r["verdict"]) for r in rows)
    sources = list(dict.fromkeys(r["source"]["source"] for r in rows))
    lines = [f"| source | {' | '.join(SIGNS)} | all |", "|---" * 7 + "|"]
    for source in sources:
        numbers = [found[source, verdict] for verdict in SIGNS]
        cells = " | ".join(str(n) for n in [*numbers, sum(numbers)])
        lines.append(f"| {{cite:t}}`{source}` | {cells} |")
    whole = [sum(found[s, verdict] for s in sources) for verdict in SIGNS]
    cells = " | ".join(f"**{n}**" for n in [*whole, sum(whole)])
    return "\n".join([*lines, f"| **all** | {cells} |"])


def in_short(rows: list[Result]) -> str:
    """Write the claims of one chapter as a table."""
    if not rows:
        return ""
    lines = [
        "| claim | where it stands | what the source says | verdict |",
        "|---" * 4 + "|",
    ]
    for row in rows:
        source, said = row["source"], row["sentence"].replace("|", "\\|")
        link = f'<a href="{TRIAL}.html#trial-{source["id"]}">{source["id"]}</a>'
        place = f"{{cite:t}}`{source['source']}`, {source['place']}"
        lines.append(f"| {link} | {place} | {said} | {verdict_of(row)} |")
    return "\n".join(lines)


def verdict_of(row: Result) -> str:
    """Write a verdict with its condition."""
    condition = row["rows"].get("if", "")
    return f"**{row['verdict']}** {condition}".strip()


def in_full(row: Result) -> str:
    """Write one claim with all that belongs to it."""
    source = row["source"]
    said = f"**{source['id']}** {{cite:t}}`{source['source']}`, {source['place']}: "
    parts = [f"{said}{row['sentence']}"]
    if row["said"]:
        parts.append(f"$$\n{row['said']}\n$$")
    parts.append(f"**Verdict: {row['verdict']}.**")
    story = row["rows"]
    told = {
        "Would have to be true": source["needs"],
        "Left out of the quotation": source["left_out"],
        **{f"{k[0].upper()}{k[1:]}": literal(v) for k, v in story.items()},
        "Right form": source["right"],
    }
    parts += [f"* *{name}:* {text}" for name, text in told.items() if text]
    if row["formula"] and row["formula"] != row["said"]:
        parts.append(f"$$\n{row['formula']}\n$$")
    parts.append(f"*Derived in* {link_to(source['where'])}.")
    return "\n\n".join(parts)


def literal(text: str) -> str:
    """Write a text so that Markdown leaves it as it is."""
    return re.sub(r"([\\`*_{}\[\]<>$|#])", r"\\\1", text)


def link_to(where: str) -> str:
    """Link to the place that derives a claim."""
    page, _, label = where.partition("#")
    link = f"[]({page}.md)"
    return f"{link}, {{eq}}`{label}`" if label.startswith("eq-") else link


def add_filter(app: Sphinx, pagename: str, *_: object) -> None:
    """Load the filter on the page that has something to filter."""
    if pagename.rpartition("/")[2] == TRIAL:
        app.add_js_file("trial.js")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("claims_state", state(Path(app.srcdir)), "env", str)
    app.add_directive("trial", Trial)
    app.connect("doctree-read", check_page)
    app.connect("html-page-context", add_filter)
    app.add_css_file("claim-marks.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
