"""The blocks of a chapter's MyST Markdown, as its own parser sees them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.colon_fence import colon_fence_plugin
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.myst_blocks import myst_block_plugin

FENCES = {"fence", "colon_fence"}
DISPLAYS = {"math_block", "math_block_label"}


@cache
def parser() -> MarkdownIt:
    """Make a parser that finds MyST's blocks, and leaves what is within them."""
    markdown = MarkdownIt("commonmark").use(myst_block_plugin).use(colon_fence_plugin)
    return markdown.use(dollarmath_plugin).disable("inline")


def special(text: str) -> Iterator[tuple[Token, int, int]]:
    """Yield the blocks that are not to be read as prose, from top to bottom.

    Parameters
    ----------
    text : str
        MyST Markdown.

    Yields
    ------
    token : markdown_it.token.Token
        A fence, a display, HTML, a label of a section or a comment.
    begin, end : int
        The number of its first line, and of the line after its last, from 0.
    """
    kinds = FENCES | DISPLAYS | {"html_block", "myst_target", "myst_line_comment"}
    for token in parser().parse(text):
        if token.type in kinds and token.map:
            begin, end = token.map
            yield token, begin, end


def outside_fences(text: str) -> dict[int, str]:
    """Take the lines outside fences, by their numbers from 0."""
    fences = [range(a, b) for token, a, b in special(text) if token.type in FENCES]
    lines = enumerate(text.split("\n"))
    return {n: s for n, s in lines if not any(n in fence for fence in fences)}
