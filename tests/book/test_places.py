"""What the four sources describe has a place in the book, and the place is there."""

import re
from pathlib import Path

BOOK = Path(__file__).parents[2] / "book"
LABELS = Path(__file__).parents[1] / "equations" / "labels.txt"
ROW = re.compile(r"\| \{cite:t\}`(\w+)`, ([^|]+) \| ([^|]+) \| ([^|]+) \|")
CHAPTER = re.compile(r"chapter (\d+), (\*[^*]+\*(?:, \*[^*]+\*)*)")


def rows() -> list[tuple[str, str, str, str]]:
    return ROW.findall((BOOK / "trial.md").read_text("utf-8"))


def test_each_source_is_gone_through() -> None:
    named = [source for source, *_ in rows()]
    assert set(named) == {"ulislam2024", "artemov2018", "georgiou2018", "rornes2024"}
    assert len(named) > 30


def test_each_place_is_an_equation_or_a_section_that_exists() -> None:
    labels = {line.split()[1] for line in LABELS.read_text("utf-8").splitlines()}
    headings = {
        int(path.stem.split("-")[0]): re.findall(
            r"^##+ (.+)$", path.read_text("utf-8"), re.MULTILINE
        )
        for path in BOOK.glob("[0-9]*.md")
    }
    for source, place, what, where in rows():
        equations = re.findall(r"\{eq\}`([\w-]+)`", where)
        assert set(equations) <= labels, (source, place, what)
        sections = [
            (int(number), heading)
            for number, names in CHAPTER.findall(where)
            for heading in re.findall(r"\*([^*]+)\*", names)
        ]
        assert equations or sections, (source, place, what)
        assert all(heading in headings[number] for number, heading in sections), where
        assert where.count("*") == 2 * len(sections), where  # none was misread
