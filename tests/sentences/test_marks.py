"""Marks behind checked sentences, sources on trial, and builds that fail."""

import subprocess
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
CONF = f"""
import sys
sys.path.insert(0, {str(BOOK / "_ext")!r})
extensions = ["myst_parser", "sphinxcontrib.bibtex", "claim_marks"]
bibtex_bibfiles = ["references.bib"]
myst_enable_extensions = ["dollarmath"]
project = "notes"
"""
BIB = "@misc{someone2026, author = {Someone}, title = {Something}, year = {2026}}\n"
CLAIMS = '''
from rnn_companion.claims import Quoted, below, claim, quoted, swapped

@claim(on=lambda: (1.0, 2.0), planted=[swapped])
def three_is_large(pair):
    """The second is never below the first."""
    return below(*pair, "two numbers")

SOURCE = Quoted("7-1", "someone2026", "p. 1", "wrong", "index", "small", "It is large.")

@quoted(SOURCE, on=lambda: (3.0, 2.0), planted=[swapped])
def small(pair):
    """“the first is the small one”"""
    return below(*pair, "two numbers")
'''
PAGE = """# Notes

The second is never below the first. <!-- claim: three-is-large -->

```{trial} index
```
"""
TRIAL = """# On trial

```{trial}
```

```{bibliography}
```
"""


def build(folder: Path, page: str = PAGE, claims: str = CLAIMS) -> tuple[str, str]:
    """Build a book of two pages; return the first and what was said."""
    (folder / "claims").mkdir(exist_ok=True)
    written = {
        "conf.py": CONF,
        "references.bib": BIB,
        "index.md": page + "\n```{toctree}\ntrial\n```\n",
        "trial.md": TRIAL,
        "claims/notes.py": claims,
    }
    for name, text in written.items():
        (folder / name).write_text(text, "utf-8")
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-b", "html"]
    done = subprocess.run(
        [*command, folder, folder / "out" / "html"],
        capture_output=True,
        text=True,
        check=False,
    )
    html = (folder / "out" / "html" / "index.html").read_text("utf-8")
    assert bool(done.returncode) == bool(done.stderr.strip())
    return html, done.stderr


@pytest.mark.slow
def test_a_checked_sentence_wears_a_mark_that_opens_its_evidence(
    tmp_path: Path,
) -> None:
    html, said = build(tmp_path)
    assert not said
    assert "The second is never below the first.<button" in html.replace(" <b", "<b")
    story = html[html.index('id="claim-three-is-large"') :]
    assert "<i>found</i> 1</span>" in story
    assert "<i>allowed</i> below 2</span>" in story
    assert "<!-- claim" not in html
    assert 'href="trial.html#trial-7-1">7-1</a>' in html
    trial = (tmp_path / "out" / "html" / "trial.html").read_text("utf-8")
    assert 'class="trial source-someone2026 chapter-index verdict-wrong' in trial
    assert "It is large." in trial
    assert "trial.js" in trial
    assert "trial.js" not in html


FAULTY_CLAIMS = CLAIMS.replace("(1.0, 2.0)", "(2.0, 1.0)").replace('"wrong"', '"holds"')
FAULTY_PAGE = """# Notes

The second is never ever below the first. <!-- claim: three-is-large -->

It always is.

It is so. <!-- claim: three-is-small -->
"""


@pytest.mark.slow
def test_what_is_not_shown_fails_the_build_with_its_place(tmp_path: Path) -> None:
    """A false sentence, a wrong verdict, and three sentences that do not fit."""
    _, warned = build(tmp_path, FAULTY_PAGE, FAULTY_CLAIMS)
    wrong = "is said to be “holds”, and is “wrong”"
    for place, said in [
        ("notes.py:4", f"three-is-large: {wrong}"),
        ("notes.py:11", f"7-1: {wrong}"),
        ("index.md:3", "stands for another sentence"),
        ("index.md:5", "says “always” with neither a check nor a reason"),
        ("index.md:7", "there is no claim three-is-small"),
    ]:
        assert any(place in line and said in line for line in warned.splitlines())


@pytest.mark.slow
def test_what_was_found_is_kept_until_its_check_changes(tmp_path: Path) -> None:
    """The check leaves a line in a file whenever it runs."""
    log = tmp_path / "log"
    spying = CLAIMS.replace(
        '    return below(*pair, "two numbers")\n\nSOURCE',
        f'    open({str(log)!r} + ".txt", "a").write("ran\\n")\n'
        '    return below(*pair, "two numbers")\n\nSOURCE',
    )
    build(tmp_path, claims=spying)
    build(tmp_path, PAGE + "\nAnother sentence.\n", spying)
    assert log.with_suffix(".txt").read_text() == "ran\n"
    build(tmp_path, claims=spying + "\n")
    assert log.with_suffix(".txt").read_text() == "ran\nran\n"
