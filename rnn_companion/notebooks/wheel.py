"""The package inside a notebook: a wheel in the text of the notebook's first cell.

What chapters never import is left out of it. Such a wheel says so in its version,
``0.1.0+chapters``, and pip puts the whole package in its place when asked to.
"""

from __future__ import annotations

import base64
import lzma
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distribution
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import nbformat
from nbformat import NotebookNode

from rnn_companion.notebooks.render import render

PACKAGE = "rnn_companion"
WIDTH = 4000  # characters of a line of packed bytes
TOOLS = (
    "cli",
    "equations",
    "homework",
    "notebooks",
    "reports",
    "sentences",
)  # not for chapters
KEPT = (  # what a notebook's host has is not replaced
    "ipywidgets",
    "matplotlib",
    "numpy",
    "pandas",
    "scipy",
    "statsmodels",
    "sympy",
    "torch",
    "tqdm",
)
COMPARE = ("arch", "statsmodels")  # of the extra `compare`

_STRING = re.compile(r"""(["'])([^"'\n]+)\1""")
_WHEEL = """\
Wheel-Version: 1.0
Generator: Recurrence you can run
Root-Is-Purelib: true
Tag: py3-none-any
"""


def install_cell(
    source: str, files: Mapping[str, Path] | None = None, code: str = ""
) -> NotebookNode:
    """Make the first cell of a notebook.

    Parameters
    ----------
    source : str
        What pip installs the package from; empty for a copy of the package inside
        the cell itself.
    files : mapping of str to Path, optional
        The files that the notebook reads, by the names that it gives them.
    code : str
        The notebook's own code. If it imports one of `TOOLS`, the whole package is
        packed, and installed where those are missing; if it imports one of `COMPARE`,
        they are installed too.

    Returns
    -------
    nbformat.NotebookNode
    """
    tools = tools_in(code)
    compared = re.search(rf"^(?:from|import) (?:{'|'.join(COMPARE)})\b", code, re.M)
    modules = [PACKAGE, *(f"{PACKAGE}.{tool}" for tool in tools)]
    modules += COMPARE if compared else ()
    contents = {name: path.read_bytes() for name, path in (files or {}).items()}
    name, text = ("", "") if source else _embedded(bool(tools))
    cell = render(
        "notebooks",
        "install.py.jinja",
        missing=" or ".join(
            f'importlib.util.find_spec("{m}") is None' for m in modules
        ),
        source=source,
        kept=KEPT,
        extra="[compare]" if compared else "",
        name=name,
        wheel=text,
        files=_as_text(zipped(contents)) if contents else "",
    )
    folded = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return NotebookNode(
        nbformat.v4.new_code_cell(cell.rstrip(), id="install", metadata=folded)
    )


@cache
def _embedded(whole: bool) -> tuple[str, str]:
    """Return the wheel's name, and the wheel as text."""
    name, content = wheel(whole)
    return name, _as_text(lzma.compress(content))


def tools_in(code: str) -> list[str]:
    """List those of `TOOLS` that code may import: it has them in a line with ours."""
    ours = "\n".join(line for line in code.split("\n") if PACKAGE in line)
    return [tool for tool in TOOLS if re.search(rf"\b{tool}\b", ours)]


def files_named(code: str, folder: Path) -> dict[str, Path]:
    """Find the files that code names in its strings, as seen from a folder."""
    named = sorted({found[2] for found in _STRING.finditer(code)})
    return {name: folder / name for name in named if os.path.isfile(folder / name)}


def wheel(whole: bool = False) -> tuple[str, bytes]:
    """Pack the installed package into a wheel, the same bytes for the same sources.

    Parameters
    ----------
    whole : bool
        With `TOOLS` and the command line.

    Returns
    -------
    name : str
        The file's name.
    content : bytes
    """
    spec, about = find_spec(PACKAGE), distribution(PACKAGE)
    folder = Path(str(spec and spec.origin)).parent
    version = about.version if whole else f"{about.version}+chapters"
    info = f"{PACKAGE}-{version}.dist-info"
    contents = {
        path.relative_to(folder.parent).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
        if whole or path.relative_to(folder).with_suffix("").parts[0] not in TOOLS
    }
    told = about.read_text("METADATA") or about.read_text("PKG-INFO") or ""
    fields = told.partition("\n\n")[0].replace(  # without the long description
        f"\nVersion: {about.version}", f"\nVersion: {version}"
    )
    contents[f"{info}/METADATA"] = fields.encode()
    contents[f"{info}/WHEEL"] = _WHEEL.encode()
    if whole:
        commands = about.read_text("entry_points.txt") or ""
        contents[f"{info}/entry_points.txt"] = commands.encode()
    names = [*contents, f"{info}/RECORD"]
    contents[names[-1]] = "".join(f"{name},,\n" for name in names).encode()
    return f"{PACKAGE}-{version}-py3-none-any.whl", zipped(contents, ZIP_STORED)


def zipped(contents: Mapping[str, bytes], method: int = ZIP_DEFLATED) -> bytes:
    """Pack files without their dates, so that the same files make the same bytes.

    Stored files that are compressed together take a quarter less than one by one.
    """
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, content in contents.items():
            archive.writestr(ZipInfo(name), content, method, 9)
    return packed.getvalue()


def _as_text(content: bytes) -> str:
    text = base64.b85encode(content).decode()  # a twentieth shorter than base64
    return "\n".join(text[at : at + WIDTH] for at in range(0, len(text), WIDTH))
