"""Print the whole book: ``python book/_ext/pdf.py PAGE.html BOOK.pdf``, by Chromium.

PAGE is the book as one page of HTML. Links within the book stay links, headings become
the outline, and `page.js` makes what is wide fit the paper.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = """\
make pdf needs Chromium or Chrome, and found neither on the path. Install one, such as
    apt install chromium        (Debian, Ubuntu)
    brew install --cask chromium    (macOS)"""
EDGE = "18mm"
FOOTER = """\
<div style="width:100%;font-size:8px;text-align:center"><span class="pageNumber"></span>
</div>"""
SET = "() => !window.MathJax || MathJax.startup.promise.then(() => true)"
TO_PAPER = "() => dispatchEvent(new Event('beforeprint'))"


def print_book(page: Path, out: Path) -> None:
    """Print a page to a PDF of A4, with an outline.

    Parameters
    ----------
    page : Path
        The book as one page of HTML.
    out : Path
        The PDF.

    Raises
    ------
    FileNotFoundError
        If there is no Chromium: says how to install it.
    """
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        raise FileNotFoundError(MISSING)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"]
        )
        tab = browser.new_page()
        tab.set_default_timeout(600_000)
        tab.goto(page.resolve().as_uri())
        tab.wait_for_function(SET)
        tab.emulate_media(media="print")
        tab.evaluate(TO_PAPER)
        tab.pdf(
            path=out,
            format="A4",
            margin={"top": EDGE, "bottom": EDGE, "left": EDGE, "right": EDGE},
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        browser.close()


if __name__ == "__main__":
    try:
        print_book(Path(sys.argv[1]), Path(sys.argv[2]))
    except FileNotFoundError as problem:
        sys.exit(str(problem))
