"""What all tests share."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ.setdefault("MPLBACKEND", "Agg")  # no windows, whatever the machine
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the book; tests run side by side

SHARED = {"book": "book", "course": "homework", "sandbox": "homework"}

# Without these Chromium looks for its maker's servers at every start.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


SLOW = re.compile(r"^pytestmark = pytest\.mark\.(slow|book)\b", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what is slow throughout, where it would be left out."""
    if config.getoption("markexpr") != "not slow" or collection_path.suffix != ".py":
        return None
    return SLOW.search(collection_path.read_text(encoding="utf-8")) and True


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares a costly fixture in one process, so that it is made once."""
    for item in items:
        costly = SHARED.keys() & set(getattr(item, "fixturenames", ()))
        for fixture in costly:
            item.add_marker(pytest.mark.xdist_group(SHARED[fixture]))
        if costly or {"book", "browser"} & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """Chromium. Where there is none its tests are skipped, but not in CI."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = "Chromium is not installed: the pages were not opened"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield chromium
        chromium.close()
