"""Exercises on the pages: a stub in a box, and no answer where none may be."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import ROOT, Build, build, toc_chapters

PAGE = """
# Growth

Text.

## Exercises

### Write: doubling

Double $x$.

```{code-cell} ipython3
:nbgrader: {grade_id: double, solution: true, minutes: 5}

def double(x):
    ### BEGIN SOLUTION
    secretsolution = x + x
    return secretsolution
    ### END SOLUTION
```

```{code-cell} ipython3
:nbgrader: {grade_id: double-check, points: 2}

visiblecheck = double(2)
print("printed" + "bytest")
### BEGIN HIDDEN TESTS
secrettest = double(3)
assert secrettest == 6
### END HIDDEN TESTS
```

### In words

Why?

+++ {"nbgrader": {"grade_id": "why", "solution": true, "points": 1, "minutes": 3}}

Because of the *secretanswer*.

+++

## What to read next

Afterwords.
"""
SOLUTIONS = ("secretsolution", "secretanswer")
NEVER = (
    "secrettest",
    "printedbytest",
    "HIDDEN TESTS",
    "BEGIN SOLUTION",
    "END SOLUTION",
)


def output(built: Build) -> Iterator[tuple[str, str]]:
    """Yield every file of the finished book, whatever its kind."""
    for path in sorted(built.html.rglob("*")):
        if path.is_file():
            yield (
                path.relative_to(built.html).as_posix(),
                path.read_text(encoding="utf-8", errors="replace"),
            )


def holding(built: Build, word: str) -> list[str]:
    return [name for name, text in output(built) if word.lower() in text.lower()]


@pytest.mark.book
@pytest.mark.parametrize("setting", ["folded", "hidden"])
def test_no_answer_leaks(small_book: Callable[..., Path], setting: str) -> None:
    """Searched: pages, search index, sources, notebooks, everything that is written."""
    built = build(small_book({"growth": PAGE}, exercise_solutions=setting))
    assert built.code == 0, built.log
    for word in NEVER:
        assert holding(built, word) == []
    for word in SOLUTIONS:
        folded = ["_sources/growth.ipynb", "growth.html"]
        assert holding(built, word) == (folded if setting == "folded" else [])
    page = built.page("growth")
    folds = re.findall(r"<details class=\"solution\">.*?</details>", page, re.DOTALL)
    assert len(folds) == (2 if setting == "folded" else 0)
    opened = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    assert not any(word in opened for word in SOLUTIONS)
    for shown in ("NotImplementedError", "visiblecheck", "about 5 minutes", "Why?"):
        assert shown in page
    assert page.count('class="exercise"') == 2
    for name in ("growth.ipynb", "growth.md"):
        text = (built.html / "_sources" / name).read_text(encoding="utf-8")
        assert all(s in text for s in ("NotImplementedError", "YOUR ANSWER", "Afterw"))
    notebook = json.loads((built.html / "_sources" / "growth.ipynb").read_text())
    assert not any("nbgrader" in cell["metadata"] for cell in notebook["cells"])


FAULTS = {
    "wrong": ("return secretsolution", "return x", "AssertionError"),
    "open": ("    ### END SOLUTION\n", "", "BEGIN SOLUTION is never closed"),
    "worthless": ('"points": 1, ', "", "a free text has a solution and points"),
    "swallows": ("\n+++\n\n## What", "\n## What", "with a line +++"),
}


@pytest.mark.book
def test_a_fault_in_an_exercise_fails_the_build(
    small_book: Callable[..., Path],
) -> None:
    assert all(old in PAGE for old, _, _ in FAULTS.values())
    pages = {name: PAGE.replace(old, new) for name, (old, new, _) in FAULTS.items()}
    built = build(small_book(pages))
    assert built.code == 1
    for name, (_, _, said) in FAULTS.items():
        told = rf"{name}.*{re.escape(said)}"
        assert re.search(told, built.log, re.DOTALL), built.log


@pytest.mark.book
def test_the_book_itself_keeps_its_secrets(book: Build) -> None:
    """No line of a hidden test, and no marker, is anywhere in what was built.

    The teacher's guide alone says what the markers are called.
    """
    text = {name: t for name, t in output(book) if "book/teaching." not in name}
    searched = text.pop("_static/search-texts.js")  # has the guide's words too
    for marker in ("BEGIN SOLUTION", "BEGIN HIDDEN", "END SOLUTION", "END HIDDEN"):
        assert not any(marker in content for content in text.values())
    text["search"] = searched
    for chapter in toc_chapters():
        source = (ROOT / f"{chapter}.md").read_text(encoding="utf-8")
        hidden = re.findall(r"BEGIN HIDDEN TESTS\n(.*?)\n### END", source, re.DOTALL)
        lines = {s.strip() for part in hidden for s in part.split("\n")}
        for line in (s for s in lines if len(s) > 25):
            found = [name for name, content in text.items() if line in content]
            assert found == [], line
