"""Captions are plain text: what a page would show as it stands."""

import ast
from pathlib import Path

import pytest

import rnn_companion

FIGURES = sorted(Path(rnn_companion.__path__[0], "figures").glob("*.py"))


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)
def test_no_caption_and_no_alternative_text_holds_latex(path: Path) -> None:
    """No mathematics is set within a figure."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.keyword) and node.arg in ("caption", "alt"):
            texts = [n.value for n in ast.walk(node) if isinstance(n, ast.Constant)]
            assert not any("$" in text for text in texts if isinstance(text, str))
