"""The teacher's guide says what is so."""

import re

import torch
import yaml

from rnn_companion import networks
from rnn_companion.homework import collect, grade, markup, warm
from rnn_companion.homework.commands import add_homework
from rnn_companion.homework.files import Course
from rnn_companion.homework.grade import hidden_tests

from .wrong_answers import ROOT, assignments, chapters

GUIDE = (ROOT / "book" / "teaching.md").read_text(encoding="utf-8")


def test_every_assignment_is_named_once() -> None:
    assigned = re.findall(r"\| `([\w-]+)` \|", GUIDE)
    assert set(assignments()) == set(assigned)
    assert len(set(assigned)) == len(assigned)


def test_minutes_are_those_of_the_exercises() -> None:
    told = {c: int(m) for c, m in re.findall(r"\| `(\d[\w-]+)` \| (\d+) \|", GUIDE)}
    texts = {c: (ROOT / "book" / f"{c}.md").read_text("utf-8") for c in chapters()}
    found = {c: sum(e.minutes for e in markup.in_chapter(t)) for c, t in texts.items()}
    assert found.items() <= told.items()
    assert f"{min(told.values())} to {max(told.values())} minutes" in GUIDE


def test_hours_and_points_are_those_of_the_projects() -> None:
    told = re.findall(r"\| `(project-[\w-]+)` \| ([\d.]+) \| (\d+) \|", GUIDE)
    found = []
    for name in sorted(set(assignments()) - set(chapters())):
        steps = markup.in_chapter((ROOT / "book" / f"{name}.md").read_text("utf-8"))
        minutes, points = (
            sum(getattr(s, w) for s in steps) for w in ("minutes", "points")
        )
        found.append((name, f"{minutes / 60:g}", f"{points:g}"))
    assert found == told


def test_limits_are_those_of_the_code() -> None:
    told = (
        f"{warm.MEMORY // 1024} GB of memory, {warm.FILES} MB of files, "
        f"{grade.CELL:g} seconds a cell"
    )
    assert told in GUIDE
    assert grade.WHOLE == 120
    assert "two minutes together" in GUIDE


def test_the_overlay_of_the_guide_is_right(course: Course) -> None:
    """It names a test that exists, and holds for the book's own function."""
    (block,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    overlay = yaml.safe_load(block)
    hidden_tests(course.read_source("1-recurrence"), overlay)
    for code in overlay.values():
        exec(code, {"torch": torch, "rnn": networks.rnn})


def test_commands_and_files_are_called_what_they_are() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    add_homework(parser)
    for line in re.findall(r"^rnn-companion homework (.+)$", GUIDE, re.MULTILINE):
        parser.parse_args(line.split())
    assert "--overlay mine.yaml" in GUIDE
    assert collect.LATE == "late"
