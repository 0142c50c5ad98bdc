"""Chapters become notebooks of plain Markdown, and lose no word on the way."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from flatten import Citation, FlattenError, Names, flatten
from notebooks import citations, install_cell, wheel

from rnn_companion.homework import markup

from .conftest import HEADER, ROOT, Build, toc_notebooks

NAMES = Names(
    equations={"eq-state": "1.2"},
    titles={"2-bptt": "Backpropagation", "a-section": "A section"},
    citations={"artemov2018": Citation("Artemov", "2018", "A. Artemov. Lecture 13.")},
)


LISTED = "\n---\n## References\n\n* A. Artemov. Lecture 13."


def flat(text: str) -> str:
    """Flatten a chapter of one cell of text."""
    cells = flatten(HEADER + text, NAMES).cells
    return "\n---\n".join(cell.source for cell in cells)


@pytest.mark.parametrize(
    ("myst", "plain"),
    [
        ("$$\nh = x\n$$ (eq-state)", "$$\nh = x\n\\tag{1.2}\n$$"),
        ("$$ h = x $$ (eq-state)", "$$\n h = x \n\\tag{1.2}\n$$"),
        ("$$\nh = x\n$$", "$$\nh = x\n$$"),
        ("```{math}\n:label: eq-state\nh = x\n```", "$$\nh = x\n\\tag{1.2}\n$$"),
        ("By {eq}`eq-state`, so", "By (1.2), so"),
        ("In {cite:t}`artemov2018`,", "In Artemov (2018)," + LISTED),
        ("so {cite}`artemov2018`.", "so (Artemov, 2018)." + LISTED),
        ("see {doc}`2-bptt`", "see Backpropagation"),
        ("see [](2-bptt.md), [here](2-bptt.md)", "see Backpropagation, here"),
        ("see [](#a-section) and <#a-section>", "see A section and A section"),
        ("see {ref}`there <a-section>`", "see there"),
        ("by [](#eq-state)", "by (1.2)"),
        ("at [a page](https://example.org/x)", "at [a page](https://example.org/x)"),
        ("{math}`x^2` and `{eq}` as code", "$x^2$ and `{eq}` as code"),
        ("a <!-- gone --> b", "a b"),
        ("`<!-- said -->` b", "`<!-- said -->` b"),
        ("a\n\n<!-- gone\nand gone -->\n\nb", "a\n\nb"),
        ("(a-section)=\n## Title", "## Title"),
        ("```{note}\nBeware.\n```", "> **Note**\n>\n> Beware."),
        (
            ":::{admonition} A *title*\n:class: tip\nOne.\n\nTwo.\n:::",
            "> **A *title***\n>\n> One.\n>\n> Two.",
        ),
        (
            "````{exercise} Shapes\n:label: ex-1\nWhat?\n```python\nx = 1\n```\n````",
            "> **Exercise. Shapes**\n>\n> What?\n> ```python\n> x = 1\n> ```",
        ),
        (
            "```{note}\n$$\nh = x\n$$ (eq-state)\n```",
            "> **Note**\n>\n> $$ h = x \\tag{1.2} $$",
        ),
        (
            "{cite}`artemov2018`\n\n```{bibliography}\n:style: plain\n```",
            "(Artemov, 2018)\n\n* A. Artemov. Lecture 13.",
        ),
        (
            "```python\n# {eq}`eq-state` <!-- stays -->\n```",
            "```python\n# {eq}`eq-state` <!-- stays -->\n```",
        ),
    ],
)
def test_every_form_that_chapters_use(myst: str, plain: str) -> None:
    assert flat(myst) == plain


@pytest.mark.parametrize(
    ("myst", "message"),
    [
        ("{eq}`eq-none`", "no equation is called 'eq-none'"),
        ("{cite}`nobody`", "no source is called 'nobody'"),
        ("[](nowhere.md)", "no page or section is called 'nowhere'"),
        ("{glue}`x`", "the role {glue}"),
        ("```{mermaid}\nx\n```", "the directive {mermaid}"),
        ("<!-- open", "never closed"),
        ("$$\nopen", "never closed"),
    ],
)
def test_what_has_no_plain_form_is_named(myst: str, message: str) -> None:
    with pytest.raises(FlattenError, match=re.escape(message)):
        flat(myst)


def test_hidden_code_is_folded_and_code_is_kept() -> None:
    text = "```{code-cell} ipython3\n:tags: [remove-input]\n{eq} = 1\n```\n"
    (cell,) = flatten(HEADER + text, NAMES).cells
    assert cell.source == "{eq} = 1"
    assert cell.metadata["jupyter"]["source_hidden"] is True


def test_the_books_own_sources_can_be_cited() -> None:
    found = citations(ROOT, ["book/references.bib"])
    assert found["ulislam2024"].author == "Ul Islam"
    assert found["rornes2024"].author == "Rørnes and Rukan"
    assert found["artemov2018"].year == "2018"
    assert all(c.reference for c in found.values())


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
    cells = notebook.cells[1:]
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


def test_the_install_cell_takes_its_source_from_the_settings() -> None:
    code = install_cell("git+https://example.org/book", {}).source
    assert '%pip install --quiet "git+https://example.org/book"' in code
    assert 'find_spec("rnn_companion") is None' in code


def test_a_notebook_brings_the_files_that_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bib = ROOT / "book" / "references.bib"
    code = install_cell("nothing", {"a/one.bib": bib, "two.bib": bib}).source
    (tmp_path / "two.bib").write_text("the reader's own")
    monkeypatch.chdir(tmp_path)
    exec(code.partition("# Writes")[2].partition("\n")[2], {})
    assert (tmp_path / "a" / "one.bib").read_bytes() == bib.read_bytes()
    assert (tmp_path / "two.bib").read_text() == "the reader's own"


def test_the_package_inside_a_notebook_installs(tmp_path: Path) -> None:
    name, content = wheel()
    assert wheel()[1] == content  # the same book gives the same notebook
    (tmp_path / name).write_bytes(content)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
    there = tmp_path / "there"
    subprocess.run(
        [*pip, "--no-deps", "--target", there, tmp_path / name],
        check=True,
        cwd=there.parent,
    )
    code = "import rnn_companion; print(rnn_companion.__file__)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        cwd=there,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert Path(found.strip()).parent == there / "rnn_companion"
    ours = {
        p.name for p in (ROOT / "rnn_companion").rglob("*.py*") if p.suffix != ".pyc"
    }
    assert ours == {
        p.name for p in (there / "rnn_companion").rglob("*.py*") if p.suffix != ".pyc"
    }
