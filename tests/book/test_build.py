"""What fails the build, and what a change in the package builds again."""

from collections.abc import Callable
from pathlib import Path

import pytest
import strict
from fresh import Package, key

from .conftest import HEADER, build

CELL = "# {name}\n\n```{{code-cell}} ipython3\n{code}\n```\n"

BROKEN = {
    "failing": CELL.format(name="A failing cell", code="assert 1 + 1 == 3"),
    "wordless": CELL.format(
        name="A picture without words",
        code="import matplotlib.pyplot as plt\nplt.plot([1, 2]);",
    ),
    "lost": "# References\n\nTo {eq}`eq-nowhere`, and [](#no-such-section).\n",
    "raw": '# Raw HTML\n\n<img src="x.png">\n\nThe end.\n',
    "unknown": "# No plain form\n\n```{tableofcontents}\n```\n",
}


@pytest.mark.book
def test_each_fault_fails_the_build_and_goes_on_failing(
    small_book: Callable[..., Path],
) -> None:
    """Every fault is a warning that names its page, and a warning is an exit of 1."""
    folder = small_book(BROKEN)
    first, again = build(folder), build(folder)
    for built in (first, again):
        assert built.code == 1
        for page, said in {
            "failing": "AssertionError",
            "wordless": "image without alternative text",
            "lost": "equation not found: eq-nowhere",
            "raw": "image without alternative text",
            "unknown": "no form in plain Markdown",
        }.items():
            lines = [line for line in built.log.splitlines() if "WARNING" in line]
            assert any(page in line for line in lines), (page, built.log)
            assert said in built.log
    assert "no-such-section" in first.log


@pytest.mark.book
def test_a_change_in_the_package_runs_again_what_imports_it(
    small_book: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    package = home / "toy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "deep.py").write_text("VALUE = 'first words'\n")
    (package / "one.py").write_text("from .deep import VALUE\n")
    (package / "two.py").write_text("VALUE = 'other words'\n")
    pages = {
        name: CELL.format(name=name, code=f"from toy.{name} import VALUE\nVALUE")
        for name in ("one", "two")
    }
    folder = small_book(pages, fresh_package="toy")

    def built() -> tuple[str, list[str]]:
        done = build(folder, PYTHONPATH=str(home), PYTHONDONTWRITEBYTECODE="1")
        assert done.code == 0, done.log
        ran = [name for name in pages if f"{name}: ran in" in done.log]
        return done.page("one"), ran

    page, ran = built()
    assert "first words" in page
    assert ran == ["one", "two"]
    assert built()[1] == []
    (package / "deep.py").write_text("VALUE = 'second words'\n")
    page, ran = built()
    assert "second words" in page
    assert ran == ["one"]
    (package / "deep.py").write_text("VALUE = 'first words'\n")
    page, ran = built()
    assert "first words" in page
    assert ran == []  # the old outputs were still there


@pytest.fixture
def toy(tmp_path: Path) -> Package:
    files = {
        "__init__.py": "",
        "__init__.pyi": "from .low import deep as deep\n",
        "low.py": "deep = 1\n",
        "mid.py": "def f():\n    from . import low\n",
        "sub/__init__.py": "from .inner import x\n",
        "sub/inner.py": "from ..mid import f\n",
        "sub/grammar.lark": "start:",
        "lazy/__init__.py": "",
        "lazy/__init__.pyi": "from . import other as other\nfrom ._one import y as y\n",
        "lazy/_one.py": "from ..low import deep\n",
        "lazy/other.py": "",
        "sub/computed.py": "import importlib\nimportlib.import_module('toy.low')\n",
    }
    for name, text in files.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(exist_ok=True)
        path.parent.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return Package(tmp_path / "toy")


LAZY = {"lazy", "lazy._one", "lazy.other"}
ALL = {"", "low", "mid", "sub", "sub.inner", "sub.computed", *LAZY}


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import numpy", set()),
        ("from toy.low import deep", {"", "low"}),
        ("from toy import deep", {"", "low"}),  # a lazy name
        ("from toy import low", {"", "low"}),
        ("import toy.low as low", {"", "low"}),
        ("from toy.mid import f", {"", "mid", "low"}),
        ("from toy.sub import x", {"", "sub", "sub.inner", "mid", "low"}),
        ("from toy.lazy import y", {"", "lazy", "lazy._one", "low"}),
        ("from toy.lazy import other", {"", "lazy", "lazy.other"}),
        ("from toy import lazy", {"", "low", *LAZY}),  # any of its names may be used
        ("import toy", ALL),
        ("import toy.low", ALL),  # binds toy, with all its lazy names
        ("from toy.sub.computed import y", ALL),
        ("%run toy", ALL),
        ("import os; os.system('toy grid')", ALL),
    ],
)
def test_what_a_chapter_needs(toy: Package, code: str, needed: set[str]) -> None:
    assert toy.needed_by(code) == {f"toy.{n}".rstrip(".") for n in needed}


def test_what_else_a_chapter_depends_on(toy: Package, tmp_path: Path) -> None:
    """Data beside a module it needs, and files that its code names; no others."""
    code = "from toy.sub import x\nopen('records/one.txt')"
    chapter = tmp_path / "chapter.md"
    chapter.write_text(HEADER + CELL.format(name="One", code=code))
    (tmp_path / "records").mkdir()
    record, other = tmp_path / "records" / "one.txt", tmp_path / "records" / "two.txt"
    keys = [key(chapter, toy)]
    for path in (record, toy.modules["toy.sub"].with_name("grammar.lark"), other):
        path.write_text("changed")
        keys.append(key(chapter, toy))
    assert keys[0] != keys[1] != keys[2] == keys[3]


@pytest.mark.parametrize(
    ("alt", "real"),
    [
        ("Loss falls over 100 epochs", True),
        ("Inputs/outputs of a cell, drawn.", True),
        (None, False),
        ("", False),
        ("figure", False),
        ("../_images/0123abcd.png", False),
        ("a plot of loss.png", False),
    ],
)
def test_what_counts_as_words(alt: str | None, real: bool) -> None:
    assert strict.is_real_alt(alt) is real
