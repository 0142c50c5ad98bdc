"""What Sphinx would let through, and this book does not.

A figure without words is a warning, and `make book` turns warnings into errors.
A build with a warning is not remembered: Sphinx keeps what it has read even from
a failed build, so the next one would read nothing, warn of nothing and pass.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.application import ENV_PICKLE_FILENAME
from sphinx.util import logging

if TYPE_CHECKING:
    from sphinx.application import Sphinx

logger = logging.getLogger(__name__)

_FILE_NAME = re.compile(r"_images/|\.(png|svg|jpe?g|gif|webp)\s*$", re.IGNORECASE)


def is_real_alt(alt: str | None) -> bool:
    """Whether a text could tell a reader what a picture shows.

    Without one, notebook outputs get the path of the image file.
    """
    return alt is not None and len(alt.split()) >= 3 and not _FILE_NAME.search(alt)


class _Images(HTMLParser):
    """The alternative texts of the ``<img>`` in a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.alts: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))


def html_alts(html: str) -> list[str | None]:
    """List the alternative text of every image in a piece of HTML."""
    images = _Images()
    images.feed(html)
    return images.alts


def check_images(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Warn of every image of a page that has no real alternative text."""
    for node in doctree.findall(nodes.image):
        _warn_unless_real(node.get("alt"), node, docname)
    for raw in doctree.findall(nodes.raw):
        if raw.get("format") == "html":
            for alt in html_alts(raw.astext()):
                _warn_unless_real(alt, raw, docname)


def _warn_unless_real(alt: str | None, node: nodes.Node, docname: str) -> None:
    if not is_real_alt(alt):
        logger.warning(
            "image without alternative text (alt=%r): say in words what it shows, "
            "with rnn_companion.figures.frames.Picture for a figure from code",
            alt,
            location=node if node.source else docname,
            type="strict",
            subtype="alt",
        )


def forget_failed_build(app: Sphinx, exception: Exception | None) -> None:
    """Have the next build read everything again, if this one warned."""
    if exception or app._warncount:
        Path(app.doctreedir, ENV_PICKLE_FILENAME).unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", check_images)
    app.connect("build-finished", forget_failed_build)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
