"""What a submission costs: graded by nbgrader as it is, and by the warm kernel.

    python benchmarks/homework.py [--submissions 30] [--many 300] [--chapter NAME]

Both grade the same submissions in one run, nbgrader a few of them. Nothing else
should be running.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from rnn_companion.homework import markup
from rnn_companion.homework.files import Course
from rnn_companion.homework.grade import grade
from rnn_companion.homework.release import release

ROOT = Path(__file__).parents[1]


def make_course(folder: Path, chapter: str, count: int) -> Course:
    """Hand in one right answer out of two, under many names."""
    course = Course(folder)
    release(chapter, ROOT, course, None)
    source = course.read_source(chapter)
    answers = {c.id: markup.without_markers(c.source) for c in source.cells}
    for number in range(count):
        notebook = nbformat.read(course.release(chapter), as_version=4)
        about = {"student": f"s{number:03}", "identifier": "", "flags": []}
        notebook.metadata["rnn_companion"] |= about
        for cell in notebook.cells:
            if number % 2 and cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = answers[cell.id]
        target = course.submitted(chapter, f"s{number:03}")
        target.parent.mkdir(parents=True)
        nbformat.write(notebook, target)
    return course


def by_nbgrader(course: Course, chapter: str, count: int) -> float:
    """Return the wall time a submission of `nbgrader autograde`, as it comes."""
    folder = Path(tempfile.mkdtemp())
    shutil.copytree(course.folder / "source", folder / "source")
    for student in course.students(chapter)[:count]:
        target = folder / "submitted" / student / chapter
        target.mkdir(parents=True)
        shutil.copy(course.submitted(chapter, student), target)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    binaries = Path(sys.executable).parent  # nbgrader calls alembic by its name
    environment["PATH"] = f"{binaries}{os.pathsep}{environment['PATH']}"
    program = [sys.executable, "-m", "nbgrader"]
    quiet = {"cwd": folder, "env": environment, "check": True, "capture_output": True}
    subprocess.run([*program, "generate_assignment", chapter], **quiet)  # type: ignore[call-overload]
    started = time.perf_counter()
    subprocess.run([*program, "autograde", chapter], **quiet)  # type: ignore[call-overload]
    return (time.perf_counter() - started) / count


def by_us(course: Course, chapter: str, jobs: int) -> float:
    """Return the wall time of `homework grade`, the kernel's start included."""
    started = time.perf_counter()
    graded, problems = grade(course, chapter, jobs=jobs)
    assert graded
    assert not problems
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--submissions", type=int, default=30)
    parser.add_argument("--many", type=int, default=0)
    parser.add_argument("--plain", type=int, default=6, help="for nbgrader")
    parser.add_argument("--chapter", default="1-recurrence")
    parser.add_argument("--jobs", type=int, default=2)
    settings = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for count in filter(None, (settings.submissions, settings.many)):
        with tempfile.TemporaryDirectory() as folder:
            course = make_course(Path(folder), settings.chapter, count)
            wall = by_us(course, settings.chapter, settings.jobs)
            print(f"{count} submissions: {wall:.1f} s, {wall / count:.2f} s each")
            if count == settings.submissions:
                plain = by_nbgrader(course, settings.chapter, settings.plain)
                print(f"nbgrader as it is: {plain:.2f} s each, one after another")


if __name__ == "__main__":
    main()
