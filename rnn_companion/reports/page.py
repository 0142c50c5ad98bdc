"""One HTML page that needs nothing beside itself."""

from __future__ import annotations

from html import escape
from string import Template

import pandas as pd

from rnn_companion.figures.frames import Picture

_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
body { color: #222; background: #fff; font: 1rem/1.5 system-ui, sans-serif;
 max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { border: 0; border-bottom: 1px solid #ccc; padding: .3em .6em;
 text-align: right; vertical-align: top }
th:first-child, td:first-child { text-align: left }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


class Heading(str):
    """A text that heads what follows it on a page."""


def page(title: str, *parts: str | pd.DataFrame | Picture) -> str:
    """Put texts, tables and pictures on one page without scripts or requests.

    Parameters
    ----------
    title : str
        The page's title and heading.
    *parts : str, Heading, pandas.DataFrame or Picture
        From top to bottom: a paragraph, a heading, a table without its index, a
        picture with
        its alternative text and its caption. Texts are escaped.

    Returns
    -------
    str
        The page.
    """
    body = "\n".join(_html(part) for part in parts)
    return _PAGE.substitute(title=escape(title), body=body)


def _html(part: str | pd.DataFrame | Picture) -> str:
    if isinstance(part, Heading):
        return f"<h2>{escape(part)}</h2>"
    if isinstance(part, str):
        return f"<p>{escape(part)}</p>"
    if isinstance(part, Picture):
        return str(part._repr_mimebundle_()["text/html"])
    # The browser can scroll a table that is too wide, by keys as well.
    table = part.to_html(index=False, border=0)
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="table">{table}</div>'
    )
