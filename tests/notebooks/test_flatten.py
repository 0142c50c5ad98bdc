"""Chapters become notebooks of plain Markdown, and lose no word on the way."""

import re
from pathlib import Path

import pytest

from rnn_companion.notebooks.flatten import FlattenError, flatten
from rnn_companion.notebooks.names import Book, BookError, Citation, Names, citations

ROOT = Path(__file__).parents[2]
HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
---

"""
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
        (
            "```{trial} 2-bptt\n```",
            "What the sources say: *Claims on trial* in the book, 2-bptt.",
        ),
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
        (
            "* a\n\n  $$\n  h = x\n  $$ (eq-state)\n\n  ```python\n  {eq}`x`\n  ```",
            "* a\n\n  $$\n  h = x\n  \\tag{1.2}\n  $$\n\n  ```python\n  {eq}`x`\n  ```",
        ),
        (
            "- ```python\n  {eq}`x`\n  ```\n\nand {eq}`eq-state`",
            "- ```python\n  {eq}`x`\n  ```\n\nand (1.2)",
        ),
        ("so\n$$ h $$ by {eq}`eq-state`", "so\n$$ h $$ by (1.2)"),
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


def test_a_book_without_a_build_has_the_numbers_of_its_pages() -> None:
    """Counted from the sources; chapter 2's first equation is 2.1."""
    names = Book(ROOT).names()
    assert names.equations["eq-bptt-a"] == "2.1"
    assert names.equations["eq-preactivation"] == "1.1"
    assert names.titles["2-bptt"] == "Backpropagation through time"
    assert Book(ROOT).chapter("2-bptt") == ROOT / "book" / "2-bptt.md"


def test_a_book_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BookError, match="no book here"):
        Book(tmp_path).names()
    with pytest.raises(BookError, match="has no chapter '2-rnn'; it has 1-recurrence"):
        Book(ROOT).chapter("2-rnn")
