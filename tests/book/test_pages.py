"""The built pages: whole, self-contained, readable by keyboard, ear and phone."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from inspect import getmembers, isclass, isfunction
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import nbformat
import pytest
from fresh import Package, key, package_folder
from strict import html_alts, is_real_alt

from .conftest import ROOT, Build, is_chapter, toc_notebooks, toc_pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, ViewportSize

pytestmark = pytest.mark.book

PHONE: "ViewportSize" = {"width": 360, "height": 740}


@pytest.mark.parametrize("page", toc_pages())
def test_every_page_exists_and_every_picture_has_words(book: Build, page: str) -> None:
    html = book.page(page)
    assert "<h1>" in html
    assert [alt for alt in html_alts(html) if not is_real_alt(alt)] == []
    assert "output stderr" not in html
    assert "output traceback" not in html


@pytest.mark.parametrize("chapter", toc_notebooks())
def test_a_chapter_holds_the_figures_that_its_cells_made(
    book: Build, chapter: str
) -> None:
    package = Package(package_folder("rnn_companion"))
    caches = book.folder / "_build" / ".jupyter_cache" / chapter.replace("/", "-")
    runs = (caches / key(ROOT / f"{chapter}.md", package)).glob("**/base.ipynb")
    path = max(runs, key=lambda run: run.stat().st_mtime)
    cells = nbformat.read(path, as_version=4).cells
    outputs = [o for cell in cells for o in cell.get("outputs", [])]
    made = sum("image/png" in output.get("data", {}) for output in outputs)
    html = book.page(chapter)
    assert len(re.findall(r'<figure class="(?:picture|frames)\b', html)) == made
    if is_chapter(chapter):  # each has one to move by hand
        assert '<figure class="frames' in html


@pytest.mark.parametrize("page", toc_notebooks())
def test_each_mark_says_the_number_of_its_equation(book: Build, page: str) -> None:
    html = book.page(page)
    marks = re.findall(r'aria-label="Equation \(([\d.]+)\) is (?:not )?checked"', html)
    assert marks == re.findall(r'class="eqno">\(([\d.]+)\)', html)
    assert "equation-number" not in html


SIGNATURE = re.compile(
    r'<dl class="py (?:function|class|exception)">\s*<dt [^>]*id="([^"]+)"'
)


def public(room: str) -> set[object]:
    """Collect the functions and classes that a room's public modules offer.

    What serves the command line (`commands`) shows itself by `--help`.
    """
    modules = Package(package_folder("rnn_companion")).modules
    return {
        found
        for name in modules
        if name.split(".")[1:2] == [room] and "._" not in name
        if not name.endswith(".commands")
        for key, found in getmembers(import_module(name))
        if (isfunction(found) or isclass(found)) and not key.startswith("_")
        if found.__module__.startswith(name)
    }


@pytest.mark.parametrize("room", ["networks", "gradients", "forecasting", "tasks"])
def test_the_packages_page_shows_all_that_is_public_once(
    book: Build, room: str
) -> None:
    shown = Counter(map(resolve_name, SIGNATURE.findall(book.page("book/api"))))
    assert {thing: shown[thing] for thing in public(room) if shown[thing] != 1} == {}


def test_the_packages_page_has_short_names_and_links_to_the_equations(
    book: Build,
) -> None:
    html = book.page("book/api")
    assert 'id="rnn_companion.networks.rnn"' in html
    assert 'href="1-recurrence.html#equation-eq-rnn"' in html


@dataclass
class Visit:
    """What happened when a page was opened from its file."""

    page: "Page"
    requests: list[str]
    complaints: list[str]


@pytest.fixture(scope="module")
def visit(book: Build, browser: "Browser") -> Callable[[str], Visit]:
    visits: dict[str, Visit] = {}

    def opened(name: str) -> Visit:
        if name not in visits:
            seen = Visit(browser.new_page(viewport=PHONE), [], [])

            def asked(request: "Request") -> None:
                seen.requests.append(request.url)

            def said(message: "ConsoleMessage") -> None:
                if message.type in {"error", "warning"}:
                    seen.complaints.append(message.text)

            seen.page.on("request", asked)
            seen.page.on("console", said)
            seen.page.on("pageerror", lambda e: seen.complaints.append(str(e)))
            seen.page.goto((book.html / f"{name}.html").as_uri())
            seen.page.evaluate("window.MathJax && MathJax.startup.promise")
            visits[name] = seen
        return visits[name]

    return opened


@pytest.mark.browser
@pytest.mark.parametrize("name", [*toc_pages(), "search"])
def test_a_page_asks_no_one_and_complains_of_nothing(
    visit: Callable[[str], Visit], name: str
) -> None:
    seen = visit(name)
    outside = [u for u in seen.requests if not u.startswith(("file:", "data:"))]
    assert outside == []
    assert seen.complaints == []


@pytest.mark.browser
@pytest.mark.parametrize("name", toc_pages())
def test_mathematics_is_set(visit: Callable[[str], Visit], name: str) -> None:
    page = visit(name).page
    assert page.locator(".math:not(:has(mjx-container))").count() == 0
    assert page.locator("mjx-merror, [data-mml-node=merror]").count() == 0


@pytest.mark.browser
@pytest.mark.parametrize("name", toc_pages())
def test_a_page_fits_a_phone(visit: Callable[[str], Visit], name: str) -> None:
    page = visit(name).page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.browser
@pytest.mark.parametrize("name", toc_notebooks())
def test_every_figure_to_move_moves_by_keyboard(
    visit: Callable[[str], Visit], name: str
) -> None:
    page = visit(name).page
    for figure in page.locator("figure.frames").all():
        img = figure.locator("img")
        before = img.get_attribute("src"), img.get_attribute("alt")
        control = figure.locator("input, select").first
        control.focus()
        slides = control.evaluate("node => node.type === 'range'")
        page.keyboard.press("ArrowRight" if slides else "ArrowDown")
        after = img.get_attribute("src"), img.get_attribute("alt")
        assert before[0] != after[0]
        assert before[1] != after[1]
        assert figure.locator("[aria-live]").text_content() == after[1]


@pytest.mark.browser
def test_search_finds_a_page_without_a_server(book: Build, browser: "Browser") -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on(
        "console",
        lambda m: said.append(m.text) if m.type in {"error", "warning"} else None,
    )
    page.goto((book.html / "search.html").as_uri() + "?q=recurrent")
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() >= 1
    page.wait_for_selector("#search-results p.context")
    assert "recurrent" in page.locator("#search-results p.context").first.inner_text()
    assert said == []
    page.close()
