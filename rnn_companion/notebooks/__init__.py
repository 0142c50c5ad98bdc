"""Chapters as notebooks of plain Markdown, which any Jupyter shows.

`blocks` reads a chapter's Markdown, `flatten` rewrites it, `book` knows what the
book's labels stand for, and `wheel` packs the package into a notebook's first cell.
It needs the extra ``book``.
"""
