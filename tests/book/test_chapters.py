"""Every chapter runs as a notebook too, as a reader runs it in Jupyter."""

import os

import fresh
import jupytext
import pytest
from nbclient import NotebookClient

from .conftest import ROOT, is_chapter, toc_notebooks

BY_HAND = "application/vnd.jupyter.widget-view+json"


@pytest.mark.parametrize("chapter", toc_notebooks())
def test_a_chapter_runs_as_a_live_notebook(
    chapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chapter that passed is run again when it, or what it imports, has changed."""
    monkeypatch.delenv("RNN_COMPANION_BOOK", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # as in the build
    source = ROOT / f"{chapter}.md"
    text = source.read_text(encoding="utf-8")
    package = fresh.Package(ROOT / "rnn_companion")
    state = fresh.key(source, package) + fresh.chapter_code(text)
    passed = ROOT / "_build" / "live" / f"{chapter.replace('/', '-')}.txt"
    if passed.exists() and passed.read_text(encoding="utf-8") == state:
        return
    notebook = jupytext.reads(text, fmt="md:myst")
    folder = {"metadata": {"path": os.fspath(source.parent)}}
    NotebookClient(notebook, timeout=600, resources=folder).execute()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    if is_chapter(chapter):
        assert any(BY_HAND in output.get("data", {}) for output in outputs)
    passed.parent.mkdir(parents=True, exist_ok=True)
    passed.write_text(state, encoding="utf-8")
