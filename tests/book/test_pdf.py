"""The book on paper."""

import shutil
import subprocess
import sys
from pathlib import Path

import pdf
import pytest

from .conftest import ROOT

PAGE = """<!doctype html><html lang="en"><title>Two</title><body>
<h1 id="a">One</h1><p><a href="#b">on</a></p><h1 id="b">Two</h1></body></html>"""


@pytest.mark.browser
@pytest.mark.usefixtures("browser")  # skips where there is none
def test_a_page_is_printed_with_an_outline_and_its_links(tmp_path: Path) -> None:
    """In a process of its own, as `make pdf` does."""
    (tmp_path / "page.html").write_text(PAGE)
    program = str(ROOT / "book" / "_ext" / "pdf.py")
    command = [sys.executable, program, "page.html", "book.pdf"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = (tmp_path / "book.pdf").read_bytes()
    assert found.startswith(b"%PDF")
    assert b"/Outlines" in found
    assert b"/Annot" in found


def test_without_a_browser_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(FileNotFoundError, match="apt install chromium"):
        pdf.print_book(tmp_path / "page.html", tmp_path / "book.pdf")
