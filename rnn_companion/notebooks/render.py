"""Texts and pages from templates."""

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(room: str, template: str, **values: object) -> str:
    """Fill in a template of a room; in HTML, what is filled in is text, not markup."""
    pages = Environment(
        loader=PackageLoader(f"rnn_companion.{room}"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return pages.get_template(template).render(values)
