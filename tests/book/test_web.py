"""The book on the web: every link arrives, and one setting makes the others."""

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import urlopen
from xml.etree import ElementTree

import pytest
import yaml

from .conftest import ROOT, Build, build, toc_pages

PREFIX = "/some/where/"
PAGE = (
    "# Growth\n\nWhy does a number that is doubled each day grow so fast at its end?\n"
)
LINKED = re.compile(r'<(?:a|link|script|img)\b[^>]*?\b(?:href|src)="([^"]*)"')
NAMED = re.compile(r'\b(?:id|name)="([^"]*)"')


class Quiet(SimpleHTTPRequestHandler):
    """Serve a folder below a prefix; elsewhere there is nothing."""

    def translate_path(self, path: str) -> str:
        if not path.startswith(PREFIX):
            return str(Path(str(self.directory), "nothing"))
        return super().translate_path(path[len(PREFIX) - 1 :])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def served(book: Build) -> Iterator[str]:
    """Serve the built book below a prefix; give the address of its folder."""
    handler = partial(Quiet, directory=str(book.html))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()


@pytest.mark.book
def test_every_link_within_the_book_arrives(served: str) -> None:
    """From the first page on, below a prefix: files, and places within pages."""
    waiting, wrong = [urljoin(served, "book/intro.html")], []
    pages: dict[str, set[str]] = {}
    linked: list[tuple[str, str]] = []
    while waiting:
        address = waiting.pop()
        if address in pages:
            continue
        try:
            with urlopen(address) as answer:
                kind, content = answer.headers.get_content_type(), answer.read()
        except HTTPError as error:
            wrong.append((address, error.code))
            pages[address] = set()
            continue
        text = content.decode() if kind == "text/html" else ""
        pages[address] = {unescape(name) for name in NAMED.findall(text)}
        for link in map(unescape, LINKED.findall(text)):
            target, place = urldefrag(urljoin(address, link))
            if target.startswith(served):
                waiting.append(target)
                linked.append((target, place))
    assert wrong == []
    lost = {
        (target, place)
        for target, place in linked
        if place and pages[target] and place not in pages[target]
    }
    assert lost == set()
    assert {urljoin(served, f"{page}.html") for page in toc_pages()} <= set(pages)


@pytest.mark.book
@pytest.mark.parametrize("page", toc_pages())
def test_a_page_says_what_it_is_about_and_names_no_place(
    book: Build, page: str
) -> None:
    """No address is set, so that nothing needs one."""
    html = book.page(page)
    (said,) = re.findall(r'<meta name="description" content="([^"]*)"', html)
    assert 40 < len(unescape(said)) <= 220
    assert 'property="og:title"' in html
    assert "colab.research" not in html
    assert "mybinder" not in html
    assert 'rel="canonical"' not in html


@pytest.mark.slow
def test_one_setting_makes_all_links(small_book: Callable[..., Path]) -> None:
    """The buttons of a chapter, the page's own address, the site map, the 404."""
    home = "https://github.com/Someone/a-book"
    built = build(small_book({"growth": PAGE}, repository=home))
    assert built.code == 0, built.log
    html, base = built.page("growth"), "https://someone.github.io/a-book/"
    links = {unescape(link) for link in LINKED.findall(html)}
    colab = "https://colab.research.google.com/github/Someone/a-book/blob/gh-pages"
    assert f"{colab}/_sources/growth.ipynb" in links
    assert (
        "https://mybinder.org/v2/gh/Someone/a-book/main"
        "?urlpath=lab/tree/notebooks/growth.ipynb"
    ) in links
    assert home in links
    assert f"{home}/edit/main/growth.md" in links
    assert any(link.startswith(f"{home}/issues/new") for link in links)
    assert f"{base}growth.html" in links  # canonical
    assert f'content="{base}_static/card.png"' in html
    assert (built.html / "_static" / "card.png").exists()
    rows = ElementTree.parse(built.html / "sitemap.xml").getroot()
    assert {row[0].text for row in rows} == {f"{base}growth.html", f"{base}intro.html"}
    assert f'<base href="{base}">' in built.page("404")
    assert "colab" not in built.page("intro")  # it has nothing to run


def test_the_hosts_files_run_what_the_makefile_has() -> None:
    """Both publish what `make book` builds."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    for name in (".github/workflows/book.yml", ".gitlab-ci.yml"):
        text = (ROOT / name).read_text("utf-8")
        assert yaml.safe_load(text)
        assert "make book" in text
        assert "_build/html" in text
        assert set(re.findall(r"make (\w+)", text)) <= targets
    binder = yaml.safe_load((ROOT / ".binder/environment.yml").read_text("utf-8"))
    assert "pytorch-cpu" in str(binder["dependencies"])
    assert "rnn-companion notebooks" in (ROOT / ".binder/postBuild").read_text("utf-8")


def test_the_branch_that_colab_reads_is_the_one_that_is_published() -> None:
    workflow = (ROOT / ".github/workflows/book.yml").read_text("utf-8")
    extension = (ROOT / "book/_ext/web.py").read_text("utf-8")
    (branch,) = re.findall(r'^PUBLISHED = "(.*?)"', extension, re.M)
    assert f"HEAD:{branch}" in workflow
    assert urlsplit("https://github.com").netloc in extension
