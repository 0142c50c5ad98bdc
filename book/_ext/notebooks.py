"""Every chapter as a notebook, behind the page's download button.

The notebook's first cell installs the package where it is missing and leaves what
is installed alone, so that it runs on Colab as it does at home.
"""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Mapping
from functools import partial
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import flatten
import fresh
import nbformat
from docutils import nodes
from pybtex.backends.plaintext import Backend
from pybtex.database import BibliographyData, parse_file
from pybtex.style.formatting.plain import Style
from sphinx.util import logging

from rnn_companion.homework import markup

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

logger = logging.getLogger(__name__)

PACKAGE = "rnn_companion"

_FROM_SOURCE = """\
# Installs the book's package where it is missing; an installed torch stays as it is.
import importlib.util

if importlib.util.find_spec("{package}") is None:
    %pip install --quiet "{source}"
"""

_FROM_WITHIN = '''\
# Installs the book's package where it is missing; an installed torch stays as it is.
# The package itself is the text below: a Python wheel, in base64.
import base64
import importlib.util
import pathlib
import tempfile

if importlib.util.find_spec("{package}") is None:
    wheel = pathlib.Path(tempfile.mkdtemp(), "{name}")
    wheel.write_bytes(base64.b64decode("""
{text}
"""))
    %pip install --quiet {{wheel}}
'''

_FILES = '''
# Writes the files that the chapter reads, where they are missing: a zip, in base64.
import base64
import io
import pathlib
import zipfile

with zipfile.ZipFile(io.BytesIO(base64.b64decode("""
{text}
"""))) as archive:
    for name in archive.namelist():
        if not pathlib.Path(name).exists():
            archive.extract(name)
'''

_WHEEL = """\
Wheel-Version: 1.0
Generator: Recurrence you can run
Root-Is-Purelib: true
Tag: py3-none-any
"""


def install_cell(source: str, files: Mapping[str, Path]) -> Any:  # noqa: ANN401
    """Make the first cell of a notebook.

    Parameters
    ----------
    source : str
        What pip installs the package from; empty for a copy of the package inside
        the cell itself.
    files : mapping of str to Path
        The files that the notebook reads, by the names that it gives them.

    Returns
    -------
    nbformat.NotebookNode
    """
    if source:
        code = _FROM_SOURCE.format(package=PACKAGE, source=source)
    else:
        name, content = wheel()
        code = _FROM_WITHIN.format(package=PACKAGE, name=name, text=_base64(content))
    if files:
        packed = _zip({name: path.read_bytes() for name, path in files.items()})
        code += _FILES.format(text=_base64(packed))
    return nbformat.from_dict(
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "install",
            "metadata": {"jupyter": {"source_hidden": True}, "cellView": "form"},
            "outputs": [],
            "source": code.rstrip(),
        }
    )


def wheel() -> tuple[str, bytes]:
    """Pack the installed package into a wheel, the same bytes for the same sources."""
    folder, about = fresh.package_folder(PACKAGE), distribution(PACKAGE)
    info = f"{PACKAGE}-{about.version}.dist-info"
    contents = {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
    texts = {
        "METADATA": about.read_text("METADATA") or about.read_text("PKG-INFO") or "",
        "entry_points.txt": about.read_text("entry_points.txt") or "",
        "WHEEL": _WHEEL,
    }
    contents |= {f"{info}/{name}": text.encode() for name, text in texts.items()}
    names = [*contents, f"{info}/RECORD"]
    contents[names[-1]] = "".join(f"{name},,\n" for name in names).encode()
    return f"{PACKAGE}-{about.version}-py3-none-any.whl", _zip(contents)


def _zip(contents: Mapping[str, bytes]) -> bytes:
    """Pack files without their dates, so that the same files make the same bytes."""
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(ZipInfo(name), content, ZIP_DEFLATED, 9)
    return packed.getvalue()


def _base64(content: bytes) -> str:
    return "\n".join(textwrap.wrap(base64.b64encode(content).decode(), 4000))


def names_of(env: BuildEnvironment) -> flatten.Names:
    """Read what the labels of the book stand for out of a finished build."""
    equations = {
        label: _number(env, label, docname, number)
        for label, (docname, number) in env.get_domain("math").equations.items()  # type: ignore[attr-defined]
    }
    titles = {name.split("/")[-1]: t.astext() for name, t in env.titles.items()}
    for label, (_, _, title) in env.get_domain("std").labels.items():  # type: ignore[attr-defined]
        titles.setdefault(label, title)
    files = env.config.bibtex_bibfiles
    return flatten.Names(equations, titles, citations(Path(env.srcdir), files))


def _number(env: BuildEnvironment, label: str, docname: str, number: int) -> str:
    """Give an equation the number that the page shows."""
    shown = env.toc_fignumbers.get(docname, {}).get("displaymath", {})
    parts = shown.get(nodes.make_id(f"equation-{label}"), (number,))
    return ".".join(map(str, parts))


def citations(folder: Path, files: list[str]) -> dict[str, flatten.Citation]:
    """Read the sources of the book's bibliographies."""
    entries = [e for name in files for e in parse_file(folder / name).entries.items()]
    data = BibliographyData(entries)
    return {
        entry.key: flatten.Citation(
            _authors(data.entries[entry.key]),
            str(data.entries[entry.key].fields.get("year", "no date")),
            entry.text.render(Backend()),
        )
        for entry in Style().format_bibliography(data)
    }


def _authors(entry: Any) -> str:  # noqa: ANN401 - pybtex has no types
    last = [
        " ".join(part.render(Backend()) for part in person.rich_last_names)
        for person in entry.persons.get("author", [])
    ]
    return " and ".join(last) if len(last) < 3 else f"{last[0]} et al."


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
    names, source = names_of(app.env), app.config.notebook_install_source
    for docname in sorted(written & {*chapters(app.env)}):
        path = Path(app.env.doc2path(docname))
        text = path.read_text(encoding="utf-8")
        files = fresh.files_named(fresh.chapter_code(text), path.parent)
        try:
            notebook = flatten.flatten(markup.without_answers(text), names)
        except (flatten.FlattenError, markup.MarkupError) as problem:
            logger.warning("no notebook: %s", problem, location=docname)
            continue
        for cell in notebook.cells:
            cell.metadata.pop("nbgrader", None)  # nothing here is handed in
        notebook.cells.insert(0, install_cell(source, files))
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
