"""An assignment on its whole way, through a real JupyterLab in a real browser."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import pytest

from rnn_companion.cli import main

from .wrong_answers import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHAPTER = "1-recurrence"
ANSWERS = {  # what the student types, by what stands in the cell
    "def rnn(": """\
def rnn(X, H_0, W_xh, W_hh, b_h):
    states = []
    H = H_0
    for X_t in X:
        H = torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)
        states.append(H)
    return torch.stack(states)
""",
    "def rnn_step(": """\
def rnn_step(X_t, H, W_xh, W_hh, b_h):
    return torch.tanh(X_t @ W_xh.T + H @ W_hh + b_h)
""",
}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Start JupyterLab in a student's folder, with no settings but its own."""
    folder = tmp_path / "student"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    for name in ("CONFIG", "DATA", "RUNTIME"):
        environment[f"JUPYTER_{name}_DIR"] = str(tmp_path / name.lower())
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.ip=127.0.0.1", "--IdentityProvider.token="]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            with suppress(OSError):
                urllib.request.urlopen(f"{address}/api", timeout=5).close()
                break
            time.sleep(0.5)
        else:
            pytest.fail((tmp_path / "log").read_text())
        yield address, folder
    finally:
        server.terminate()
        server.wait(60)


def write_into(page: "Page", marker: str, answer: str) -> None:
    """Replace what stands in a code cell, as one would by hand."""
    cell = page.locator(".jp-CodeCell", has_text=marker).first
    cell.scroll_into_view_if_needed()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(answer)


def saved(notebook: Path, before: str) -> bool:
    """Whether a notebook was written, and to its end."""
    text = notebook.read_text(encoding="utf-8")
    with suppress(ValueError):
        return text != before and "W_hh is transposed" in str(json.loads(text))
    return False


@pytest.mark.browser
def test_from_release_to_feedback(
    lab: tuple[str, Path], browser: "Browser", sandbox: object, tmp_path: Path
) -> None:
    """Open, fill in, run, save, hand in, grade, open the feedback."""
    address, folder = lab
    course = tmp_path / "course"
    assert (
        main(["homework", "release", CHAPTER, f"--out={course}", f"--book={ROOT}"]) == 0
    )
    with ZipFile(course / "release" / f"{CHAPTER}.zip") as archive:
        archive.extractall(folder)
    notebook = folder / CHAPTER / f"{CHAPTER}.ipynb"
    before = notebook.read_text(encoding="utf-8")

    page = browser.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{address}/lab/tree/{CHAPTER}/{CHAPTER}.ipynb?reset")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    for marker, answer in ANSWERS.items():
        write_into(page, marker, answer)
    page.locator(".lm-MenuBar-itemLabel", has_text="Run").click()
    page.locator(".lm-Menu-itemLabel", has_text="Run All Cells").first.click()
    # Jupyter stops at the first error: the step with W_hh the wrong way round.
    told = page.locator(".jp-OutputArea-output", has_text="W_hh is transposed")
    told.first.wait_for()
    assert "✗ rnn_step: W_hh is transposed" in told.first.inner_text()
    assert "Traceback" not in told.first.inner_text()
    assert page.locator(".jp-OutputArea-output", has_text="rnn: correct.").count() == 1
    page.keyboard.press("Control+S")
    for _ in range(100):
        if saved(notebook, before):
            break
        page.wait_for_timeout(100)
    page.close()

    handed_in = tmp_path / "from the platform.zip"
    with ZipFile(handed_in, "w") as archive:
        archive.write(notebook, "Ada Byron_7_assignsubmission_file_/my homework.ipynb")
    assert main(["homework", "collect", str(handed_in), f"--course={course}"]) == 0
    assert main(["homework", "grade", CHAPTER, f"--course={course}", "--jobs=1"]) == 0

    feedback = course / "feedback" / "Ada Byron" / CHAPTER / f"{CHAPTER}.html"
    page = browser.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(feedback.as_uri())
    text = page.locator("body").inner_text()
    assert "Ada Byron: 4 of 12 points" in text
    assert "rnn_step: W_hh is transposed" in text
    page.goto((course / "graded" / CHAPTER / "index.html").as_uri())
    assert "1 submissions" in page.locator("body").inner_text()
    assert problems == []
    page.close()
