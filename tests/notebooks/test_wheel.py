"""The package inside a notebook: small, and yet all that the chapters import."""

import ast
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from zipfile import ZipFile

import jupytext
import pytest

from rnn_companion.notebooks.wheel import (
    COMPARE,
    KEPT,
    TOOLS,
    install_cell,
    tools_in,
    wheel,
)

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "book").glob("[0-9]*.md"))


def code(chapter: Path) -> str:
    cells = jupytext.reads(chapter.read_text("utf-8"), fmt="md:myst").cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


def own_imports(source: str) -> Iterator[str]:
    """Yield the imports of the package, wherever in the code they stand."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            statement = ast.unparse(node)
            if "rnn_companion" in statement:
                yield statement


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    ZipFile(io.BytesIO(wheel()[1])).extractall(folder)
    return folder


def test_a_chapter_carries_at_most_200_kilobytes() -> None:
    for chapter in CHAPTERS:
        assert tools_in(code(chapter)) == []
    assert len(install_cell("").source) <= 200_000


def test_the_first_cell_unpacks_the_wheel_that_was_packed(tmp_path: Path) -> None:
    """Run it but for pip, where the package is said to be missing."""
    name, content = wheel()
    cell = install_cell("").source.replace(
        "%pip install --quiet --constraint {kept} {wheel}", "pass"
    )
    cell = cell.replace(
        'find_spec("rnn_companion") is None', 'find_spec("n0ne") is None'
    )
    found: dict[str, Path] = {}
    exec(cell, found)  # the book's own cell
    assert found["wheel"].name == name
    assert found["wheel"].read_bytes() == content
    kept = found["kept"].read_text().splitlines()
    assert f"torch=={version('torch')}" in kept
    assert f"pandas=={version('pandas')}" in kept
    assert len(kept) == len(KEPT)  # all are installed here


@pytest.mark.slow
def test_a_fresh_interpreter_finds_all_imports_in_the_wheel(unpacked: Path) -> None:
    """What chapters import, and what the modules inside import from each other."""
    sources = [path.read_text("utf-8") for path in unpacked.rglob("*.py")]
    sources += [code(chapter) for chapter in CHAPTERS]
    statements = sorted({s for source in sources for s in own_imports(source)})
    assert any("check" in statement for statement in statements)
    program = f"""if True:
        import json, sys
        sys.path.insert(0, {str(unpacked)!r})
        for statement in json.load(sys.stdin):
            exec(statement)
        ours = [m for n, m in sys.modules.items() if n.split(".")[0] == "rnn_companion"]
        assert all(m.__file__.startswith({str(unpacked)!r}) for m in ours)
        print(len(ours))
    """
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        input=json.dumps(statements),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_the_tools_stay_out_of_a_chapters_wheel(unpacked: Path) -> None:
    inside = {path.stem for path in (unpacked / "rnn_companion").iterdir()}
    assert inside.isdisjoint(TOOLS)
    assert inside > {"check", "figures", "forecasting", "gradients", "networks"}


@pytest.mark.parametrize(
    ("source", "tools"),
    [
        ("from rnn_companion.cli import main", ["cli"]),
        ("from rnn_companion import check, equations", ["equations"]),
        ("from rnn_companion import check\nequations = 3", []),
    ],
)
def test_a_page_about_a_tool_gets_the_whole_package(
    source: str, tools: list[str]
) -> None:
    assert tools_in(source) == tools
    first = install_cell("elsewhere", code=source).source
    for module in ("", *(f".{tool}" for tool in tools)):
        assert f'find_spec("rnn_companion{module}") is None' in first


def test_a_chapter_that_compares_forecasts_gets_what_it_compares_with() -> None:
    code = "from statsmodels.tsa.stattools import acf"
    first = install_cell("", code=code).source
    assert "{kept} {wheel}[compare]" in first
    assert all(f'find_spec("{name}") is None' in first for name in COMPARE)
    named = install_cell("git+https://example.org/book", code=code).source
    assert '"rnn-companion[compare] @ git+https://example.org/book"' in named
    assert "compare" not in install_cell("elsewhere", code="import torch").source


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True])
def test_the_package_inside_a_notebook_installs(tmp_path: Path, whole: bool) -> None:
    """Pip takes it for what it is; the command is there only with what it runs."""
    name, content = wheel(whole)
    assert wheel(whole)[1] == content  # the same book gives the same notebook
    (tmp_path / name).write_bytes(content)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
    there = tmp_path / "there"
    subprocess.run(
        [*pip, "--no-deps", "--target", there, tmp_path / name],
        check=True,
        cwd=tmp_path,
    )
    program = (
        "import rnn_companion, importlib.metadata as m\n"
        "print(rnn_companion.__file__, m.version('rnn-companion'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        cwd=there,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert Path(found[0]).parent == there / "rnn_companion"
    assert found[1].endswith("+chapters") is not whole
    assert (there / "bin" / "rnn-companion").exists() is whole
    if whole:
        assert python_files(there) == python_files(ROOT)


def python_files(folder: Path) -> set[str]:
    """List the package's sources and stubs."""
    found = (folder / "rnn_companion").rglob("*.py*")
    return {p.relative_to(folder).as_posix() for p in found if p.suffix != ".pyc"}


def test_the_install_cell_takes_its_source_from_the_settings() -> None:
    code = install_cell("git+https://example.org/book", {}).source
    assert '{kept} "git+https://example.org/book"' in code
    assert 'find_spec("rnn_companion") is None' in code


def test_a_notebook_brings_the_files_that_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bib = ROOT / "book" / "references.bib"
    code = install_cell("nothing", {"a/one.bib": bib, "two.bib": bib}).source
    (tmp_path / "two.bib").write_text("the reader's own")
    monkeypatch.chdir(tmp_path)
    exec(code.partition("# Writes")[2].partition("\n")[2], {})
    assert (tmp_path / "a" / "one.bib").read_bytes() == bib.read_bytes()
    assert (tmp_path / "two.bib").read_text() == "the reader's own"
