"""Every chapter runs as a notebook too, as a reader runs it in Jupyter."""

import fresh
import jupytext
import pytest
from jupyter_cache import get_cache
from runs import Run

from .conftest import ROOT, is_chapter, toc_notebooks

BY_HAND = "application/vnd.jupyter.widget-view+json"


@pytest.mark.slow
@pytest.mark.parametrize("chapter", toc_notebooks())
def test_a_chapter_runs_as_a_live_notebook(
    chapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cell fails, and a figure can be moved by hand.

    The outputs looked at are those of these very cells and of all that they import:
    of this run or, where nothing has changed since, of an earlier one.
    """
    monkeypatch.delenv("RNN_COMPANION_BOOK", raising=False)
    source = ROOT / f"{chapter}.md"
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="md:myst")
    state = fresh.key(source, fresh.Package(ROOT / "rnn_companion"))
    cache = ROOT / "_build" / "live" / chapter.replace("/", "-") / state
    run = Run(notebook, source, cache, timeout=900)
    if not run.is_cached():
        run()
    _, notebook = get_cache(cache).merge_match_into_notebook(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(cell.execution_count for cell in cells if cell.source.strip())
    assert not any(output.output_type == "error" for output in outputs)
    if is_chapter(chapter):
        assert any(BY_HAND in output.get("data", {}) for output in outputs)
