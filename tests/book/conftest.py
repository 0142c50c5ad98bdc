"""The book, built once for all tests, and small books built to fail."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[2]
HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""


def toc_pages() -> list[str]:
    """List the pages of the book's table of contents."""

    def walk(entry: object) -> list[str]:
        if isinstance(entry, list):
            return [name for part in entry for name in walk(part)]
        if not isinstance(entry, dict):
            return []
        own = [entry[key] for key in ("root", "file") if key in entry]
        inner = [
            entry[key] for key in ("parts", "chapters", "sections") if key in entry
        ]
        return own + walk(inner)

    return walk(yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8")))


def toc_notebooks() -> list[str]:
    """List those of them that run."""
    return [
        page
        for page in toc_pages()
        if "kernelspec:" in (ROOT / f"{page}.md").read_text(encoding="utf-8")
    ]


def is_chapter(page: str) -> bool:
    """Whether a page is one of the numbered chapters."""
    return page.rpartition("/")[2][0].isdigit()


def toc_chapters() -> list[str]:
    """List the numbered chapters."""
    return [page for page in toc_notebooks() if is_chapter(page)]


@dataclass(frozen=True)
class Build:
    """What `make book` did to a folder."""

    folder: Path
    code: int
    log: str

    @property
    def html(self) -> Path:
        return self.folder / "_build" / "html"

    def page(self, name: str) -> str:
        return (self.html / f"{name}.html").read_text(encoding="utf-8")


def build(folder: Path, **environment: str) -> Build:
    """Build a book as `make book` does."""
    command = Path(sys.executable).with_name("jupyter-book")
    ours = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}
    done = subprocess.run(
        [command, "build", folder, "-W", "-n", "--keep-going"],
        cwd=ROOT,
        env={**ours, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    return Build(folder, done.returncode, plain)


@pytest.fixture(scope="session")
def book() -> Build:
    """Build the book itself; what has not changed is not run again."""
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build" / "book.lock"):  # other tests may build it too
        built = build(ROOT)
    if built.code:
        pytest.fail(f"the book does not build:\n{built.log[-6000:]}")
    return built


@pytest.fixture
def small_book(tmp_path: Path) -> Callable[..., Path]:
    """Write a book of a few pages, under the settings of the real one."""

    def write(pages: dict[str, str], repository: str = "", **settings: object) -> Path:
        config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
        config["bibtex_bibfiles"] = [str(ROOT / f) for f in config["bibtex_bibfiles"]]
        config["logo"] = config["html"]["favicon"] = str(ROOT / config["logo"])
        config["repository"]["url"] = repository
        sphinx = config["sphinx"]
        sphinx["local_extensions"] = {
            name: str(ROOT / path) for name, path in sphinx["local_extensions"].items()
        }
        sphinx["config"]["html_static_path"] = [str(ROOT / "book" / "_static")]
        sphinx["config"].update(settings)
        toc = {
            "format": "jb-book",
            "root": "intro",
            "parts": [
                {"numbered": True, "chapters": [{"file": name} for name in pages]}
            ],
        }
        (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
        (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc))
        (tmp_path / "intro.md").write_text("# A small book\n")
        for name, text in pages.items():
            (tmp_path / f"{name}.md").write_text(HEADER + text, encoding="utf-8")
        return tmp_path

    return write
