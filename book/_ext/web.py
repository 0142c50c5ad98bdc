"""What a page needs on the web: buttons, a description, a site map, a page for 404.

One setting says where the book's sources are, `repository: url` in ``_config.yml``.
With it each page links to its source and to a form for issues, and each chapter to
Colab and Binder; without it those links are absent. Colab opens the notebooks on the
branch that holds the published book.
"""

from __future__ import annotations

from html import escape
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from docutils import nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx
    from sphinx.config import Config

HOSTS = {"github.com": "gh", "gitlab.com": "gl"}  # with the names that Binder has
COLAB, BINDER = "https://colab.research.google.com", "https://mybinder.org/v2"
PUBLISHED = "gh-pages"  # the branch that .github/workflows/book.yml fills
LONGEST = 200  # characters of a description
NOT_FOUND = """\
<section><h1>There is no such page</h1>
<p>It may have moved. The contents are on the left, the search above; the book begins
on its <a href="{start}">first page</a>.</p></section>"""


def find_repository(app: Sphinx, config: Config) -> None:
    """Turn the links to the sources on, if it is said where they are."""
    options = config.html_theme_options
    address = options.get("repository_url", "").rstrip("/")
    if not address:
        options.pop("repository_url", None)
        return
    buttons = ("use_repository_button", "use_edit_page_button", "use_issues_button")
    options.update(dict.fromkeys(buttons, True), repository_url=address)
    if not config.html_baseurl:
        config.html_baseurl = published_at(address)


def published_at(address: str) -> str:
    """Say where GitHub or GitLab publishes the pages of a repository; else nothing.

    Parameters
    ----------
    address : str
        Such as ``https://github.com/owner/name``.
    """
    place = urlsplit(address)
    parts = place.path.strip("/").split("/")
    if place.netloc not in HOSTS or len(parts) != 2:
        return ""
    owner, name = parts
    return f"https://{owner.lower()}.{place.netloc.split('.')[0]}.io/{name}/"


def launches(address: str, branch: str, page: str) -> list[dict[str, str]]:
    """List the buttons that open a chapter somewhere else.

    Parameters
    ----------
    address : str
        Of the repository.
    branch : str
        Where its sources are.
    page : str
        The chapter, such as ``book/2-bptt``.
    """
    place = urlsplit(address)
    if place.netloc not in HOSTS:
        return []
    name = place.path.strip("/")
    copy = f"notebooks/{PurePosixPath(page).name}.ipynb"  # made by .binder/postBuild
    where = quote(name, safe="/" if place.netloc == "github.com" else "")
    binder = f"{BINDER}/{HOSTS[place.netloc]}/{where}/{branch}?urlpath=lab/tree/{copy}"
    found = [_link("Binder", binder)]
    if place.netloc == "github.com":
        notebook = f"{name}/blob/{PUBLISHED}/_sources/{page}.ipynb"
        found.insert(0, _link("Colab", f"{COLAB}/github/{notebook}"))
    return found


def _link(name: str, url: str) -> dict[str, str]:
    icon = "fas fa-rocket"
    said = f"Open this chapter on {name}"
    return {"type": "link", "text": name, "url": url, "icon": icon, "tooltip": said}


def add_to_page(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Describe a page for search engines and previews, and add its buttons."""
    options = app.config.html_theme_options
    address, branch = options.get("repository_url"), options.get("repository_branch")
    if address and "ipynb_source" in context:
        buttons = launches(address, branch or "main", pagename)
        group = {"type": "group", "label": "launch-buttons", "buttons": buttons}
        said = {"tooltip": "Open this chapter elsewhere", "icon": "fas fa-rocket"}
        if buttons:
            context["header_buttons"].insert(0, {**group, **said})
    if doctree is not None:
        context["metatags"] = context.get("metatags", "") + _metatags(
            app.config, app.env.titles[pagename].astext(), description(doctree)
        )


def description(doctree: nodes.document) -> str:
    """Return the first paragraph of a page, cut at a word."""
    paragraphs = (
        p.astext().replace("\n", " ") for p in doctree.findall(nodes.paragraph)
    )
    words = next((p for p in paragraphs if len(p) > 40), "").split()
    while sum(map(len, words)) + len(words) > LONGEST:
        words.pop()
    return " ".join(words)


def _metatags(config: Config, title: str, text: str) -> str:
    tags = {"og:type": "article", "og:site_name": config.project, "og:title": title}
    if text:
        tags["og:description"] = text
    if config.html_baseurl:
        tags["og:image"] = f"{config.html_baseurl}_static/card.png"
        tags["og:image:alt"] = f"{config.project}: a network unrolled over its steps"
    lines = [f'<meta property="{k}" content="{escape(v)}">' for k, v in tags.items()]
    if text:
        lines.append(f'<meta name="description" content="{escape(text)}">')
    return "\n".join(lines)


def not_found(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Make the page that a server shows where there is none."""
    start = f"{app.config.root_doc}.html"
    base = app.config.html_baseurl  # the page is shown at addresses of any depth
    tag = f'<base href="{escape(base)}">' if base else ""
    context = {"title": "No such page", "body": NOT_FOUND.format(start=start)}
    yield "404", {**context, "metatags": tag}, "page.html"


def write_site_map(app: Sphinx, exception: Exception | None) -> None:
    """List all pages by their addresses, if the book has one."""
    base = app.config.html_baseurl
    if exception or app.builder.format != "html" or not base:
        return
    pages = [f"{base}{name}.html" for name in sorted(app.env.found_docs)]
    rows = "".join(f"  <url><loc>{escape(page)}</loc></url>\n" for page in pages)
    schema = "http://www.sitemaps.org/schemas/sitemap/0.9"
    Path(app.outdir, "sitemap.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<urlset xmlns="{schema}">\n{rows}</urlset>\n',
        encoding="utf-8",
    )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", find_repository)
    app.connect("html-collect-pages", not_found)
    app.connect("html-page-context", add_to_page, priority=600)
    app.connect("build-finished", write_site_map)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
