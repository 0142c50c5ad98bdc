"""A bar where somebody watches, and only there."""

import io
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from rnn_companion.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar_and_keeps_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(range(3), desc="learning") as bar:
        assert list(bar) == [0, 1, 2]
    shown = terminal.getvalue()
    assert "learning" in shown
    assert shown.rsplit("\r", 1)[-1].strip() == ""  # wiped at the end


@pytest.mark.parametrize("why", ["not asked for", "TQDM_DISABLE"])
def test_no_bar(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    if why == "TQDM_DISABLE":
        monkeypatch.setenv("TQDM_DISABLE", "1")
    terminal = Terminal()
    bar = progress_bar(range(3), show=why == "TQDM_DISABLE", file=terminal)
    assert list(bar) == [0, 1, 2]
    assert terminal.getvalue() == ""


@pytest.mark.slow
@pytest.mark.parametrize("building", [True, False])
def test_a_live_notebook_shows_one_and_a_built_page_keeps_none(
    monkeypatch: pytest.MonkeyPatch, building: bool
) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1" if building else "")
    source = (
        "from rnn_companion.progress import progress_bar\n"
        "for _ in progress_bar(range(3)): pass"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3").execute()
    assert bool(notebook.cells[0].outputs) is not building
