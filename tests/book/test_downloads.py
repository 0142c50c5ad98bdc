"""The notebook behind each page's download button, held against the page."""

import re

import nbformat
import pytest

from rnn_companion.homework import markup

from .conftest import ROOT, Build, is_chapter, toc_notebooks


@pytest.mark.book
@pytest.mark.parametrize("chapter", toc_notebooks())
def test_a_chapter_downloads_as_a_plain_notebook(book: Build, chapter: str) -> None:
    """Looked at from outside: the page on one side, the notebook on the other."""
    path = book.html / "_sources" / f"{chapter}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    page, source = book.page(chapter), (ROOT / f"{chapter}.md").read_text("utf-8")
    source = markup.without_answers(source)
    assert f"{chapter.split('/')[-1]}.ipynb" in page  # the download button
    install, *cells = notebook.cells
    if is_chapter(chapter):
        wheel = re.search(r'b85decode\("""(.*?)"""', install.source, re.DOTALL)
        assert wheel is not None
        assert len(wheel[1]) <= 200_000
    text = "\n".join(c.source for c in cells if c.cell_type == "markdown")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    role = r"(?:^|[\s(\[,;])\{[\w:.-]+\}`"
    myst = r"```\{|:::|^<!--|^\([\w-]+\)=|^%|\$\$ *\("
    assert not re.findall(f"{role}|{myst}", prose, re.MULTILINE)
    shown = re.findall(r'class="eqno">\(([\d.]+)\)', page)
    assert re.findall(r"\\tag\{(.*?)\}", text) == shown
    assert sum(c.cell_type == "code" for c in cells) == source.count("{code-cell}")
    assert _words(source) <= _words(text)


def _words(markdown: str) -> set[str]:
    """Collect the plain words of a chapter's paragraphs."""
    paragraphs = re.sub(
        r"^---$.*?^---$|```\{code-cell\}.*?^```|<!--.*?-->|\$\$.*?\$\$"
        r"|\(eq-[^)]*\)|`[^`\n]*`|\{[^}]*\}|\]\([^)]*\)|^[:(`][^\n]*$",
        " ",
        markdown,
        flags=re.DOTALL | re.MULTILINE,
    )
    return set(re.findall(r"\b[a-z]{4,}\b", paragraphs))
