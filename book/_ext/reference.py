"""The page of the package: what a docstring names in backticks.

An equation's label becomes a link to the equation, so a docstring that names one
that is not there stops the build. All else is code.
"""

from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx.application import Sphinx
from sphinx.domains.math import MathReferenceRole


def in_backticks(
    name: str, rawtext: str, text: str, lineno: int, inliner: Inliner, *rest: object
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Read the default role of docstrings."""
    if text.startswith("eq-"):
        return MathReferenceRole()("math:eq", rawtext, text, lineno, inliner)
    return [nodes.literal(rawtext, text)], []


def skip_fields(app: Sphinx, what: str, name: str, member: Any, *rest: Any) -> bool:  # noqa: ANN401
    """Leave out the fields of named tuples, whose docstrings are their numbers."""
    return str(getattr(member, "__doc__", "")).startswith("Alias for field number")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register both."""
    app.add_role("in-backticks", in_backticks)
    app.connect("autodoc-skip-member", lambda *args: skip_fields(*args) or None)
    return {"parallel_read_safe": True}
