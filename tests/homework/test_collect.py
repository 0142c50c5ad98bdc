"""What comes back, however it is called and whatever became of it."""

import io
import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import nbformat
import pytest
from nbformat import NotebookNode

from rnn_companion.homework import collect as collecting
from rnn_companion.homework.collect import collect, who
from rnn_companion.homework.files import Course, CourseError, read_table
from rnn_companion.homework.grade import Graded
from rnn_companion.homework.transplant import transplant

from .conftest import filled, folder_of, points
from .test_hostile import FULL

CHAPTER = "1-recurrence"


@pytest.fixture
def own(course: Course, tmp_path: Path) -> Course:
    """Make a course of one test's own, with the same releases."""
    made = Course(tmp_path / "course")
    shutil.copytree(course.folder / "source", made.folder / "source")
    shutil.copytree(course.folder / "release", made.folder / "release")
    return made


def text(notebook: NotebookNode) -> str:
    written: str = nbformat.writes(notebook)
    return written


def sources(notebook: NotebookNode) -> dict[str, str]:
    return {
        c.metadata["nbgrader"]["grade_id"]: c.source
        for c in notebook.cells
        if "nbgrader" in c.metadata
    }


@pytest.mark.parametrize(
    ("path", "student", "identifier", "late"),
    [
        ("alice.ipynb", "alice", "", False),
        ("2-bptt.ipynb", "", "", False),
        ("2-bptt_Alice Smith.ipynb", "Alice Smith", "", False),
        ("alice-2-BPTT (2).ipynb", "alice", "", False),
        ("alice - Copy.ipynb", "alice", "", False),
        ("bob/2-bptt.ipynb", "bob", "", False),
        ("submitted/bob/2-bptt/2-bptt.ipynb", "bob", "", False),
        ("Zoë Ångström_71_assignsubmission_file_/a.ipynb", "Zoë Ångström", "71", False),
        ("Anna Lee_9_assignsubmission_file/x/y.ipynb", "Anna Lee", "9", False),
        ("leeanna_812_55501_2-bptt.ipynb", "leeanna", "812", False),
        ("leeanna_LATE_812_55501_2-bptt-1.ipynb", "leeanna", "812", True),
        ("../../../etc/passwd.ipynb", "etc", "", False),
        ("/absolute/x.ipynb", "absolute", "", False),
        ("a<script>.ipynb", "a_script", "", False),
    ],
)
def test_whose_file_it_is(path: str, student: str, identifier: str, late: bool) -> None:
    """Moodle's, Canvas's, nbgrader's and people's own names."""
    found = who(path, ["1-recurrence", "2-bptt"])
    assert (found.student, found.identifier, found.late) == (student, identifier, late)


def rename(notebook: NotebookNode) -> None:
    """Leave it as it is: the file's name is another."""


def lose_metadata(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.metadata = NotebookNode()


def lose_everything(notebook: NotebookNode) -> None:
    lose_metadata(notebook)
    notebook.metadata = NotebookNode()
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"new-{number}"


def duplicate(notebook: NotebookNode) -> None:
    for cell in list(notebook.cells):
        if cell.metadata.get("nbgrader"):
            copied = nbformat.from_dict({**cell, "id": f"{cell.id}-2"})
            notebook.cells.insert(notebook.cells.index(cell), copied)


def reverse(notebook: NotebookNode) -> None:
    notebook.cells.reverse()


def delete_tests(notebook: NotebookNode) -> None:
    notebook.cells = [
        c for c in notebook.cells if not c.metadata.get("nbgrader", {}).get("locked")
    ]


def delete_given(notebook: NotebookNode) -> None:
    notebook.cells = [c for c in notebook.cells if "nbgrader" in c.metadata]


def split(notebook: NotebookNode) -> None:
    """Jupyter's split gives both halves the same metadata."""
    for cell in list(notebook.cells):
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "rnn":
            half = nbformat.from_dict({**cell, "id": "half", "source": "y = 1"})
            notebook.cells.insert(notebook.cells.index(cell) + 1, half)


def old_format(notebook: NotebookNode) -> None:
    for cell in notebook.cells:
        cell.pop("id", None)
    notebook.nbformat_minor = 4


ACCIDENTS: dict[Callable[[NotebookNode], None], tuple[str, ...]] = {
    rename: (),
    lose_metadata: ("cells had lost their names",),
    lose_everything: ("cells had lost their names",),
    duplicate: ("cells duplicated",),
    reverse: (),
    delete_tests: ("tests removed",),
    delete_given: (),
    split: ("cells duplicated",),
    old_format: (),
}


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda f: f.__name__)
def test_accidents_cost_nobody_points(
    accident: Callable[[NotebookNode], None],
    course: Course,
    graded: Callable[..., Graded],
) -> None:
    notebook = filled(course, CHAPTER, {})
    accident(notebook)
    release = nbformat.read(course.release(CHAPTER), 4)
    wanted = sources(filled(course, CHAPTER, {}))
    moved = transplant(release, nbformat.reads(text(notebook), 4))
    kept = sources(moved.notebook)
    if accident is split:
        wanted["rnn"] += "\n\ny = 1"
    assert kept == wanted
    assert moved.flags == ACCIDENTS[accident]
    if accident in (lose_everything, reverse, duplicate):
        assert points(graded(CHAPTER, notebook)) == FULL


def zipped(files: dict[str, str | bytes], links: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for number, (name, content) in enumerate(files.items()):
            date = (2027, 1, 1, 0, 0, 2 * number)
            archive.writestr(ZipInfo(name, date), content)
        for name, target in (links or {}).items():
            info = ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, target)
    return packed.getvalue()


def test_an_archive_full_of_traps(own: Course, tmp_path: Path) -> None:
    """All is taken or listed; nothing is written outside the course."""
    good = text(filled(own, CHAPTER, {}))
    scripted = filled(own, CHAPTER, {})
    html = {"text/html": "<script>alert(1)</script>"}
    code = next(cell for cell in scripted.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("display_data", html)]
    files: dict[str, str | bytes] = {
        "good.ipynb": good,
        "../../../../evil.ipynb": good,
        "/root/absolute.ipynb": good,
        "C:\\windows\\drive.ipynb": good,
        "broken.ipynb": good[:500],
        "empty.ipynb": b"",
        "binary.ipynb": bytes(range(256)),
        "deep.ipynb": "[" * 100_000,
        "list.ipynb": "[1, 2]",
        "cells.ipynb": json.dumps({"nbformat": 4, "cells": [3], "metadata": {}}),
        "essay.docx": b"PK",
        "bom.ipynb": b"\xef\xbb\xbf" + good.encode(),
        "twice (1).ipynb": good,
        "twice (2).ipynb": good.replace("states.append", "states  .append"),
        "nested.zip": zipped({"nested/answers.ipynb": good}),
        "damaged.zip": b"PK\x03\x04 nothing",
        "__MACOSX/._good.ipynb": b"\0",
        ".DS_Store": b"\0",
        "scripted.ipynb": text(scripted),
    }
    archive = tmp_path / "all.zip"
    archive.write_bytes(zipped(files, {"link.ipynb": "/etc/passwd"}))
    before = folder_of(tmp_path)
    result = collect(archive, own)
    status = {row["file"]: row["status"] for row in result.rows}
    assert len(status) == len(files) - 2 + 1  # without two of the system's, and a link
    taken = {row["student"] for row in result.rows if row["status"].startswith("taken")}
    assert taken == set(own.students(CHAPTER))
    assert taken == {"good", "evil", "root", "C", "bom", "twice", "nested", "scripted"}
    for name in ("broken", "empty", "binary", "deep", "list", "cells"):
        assert status[f"{name}.ipynb"].startswith("not read: it is no notebook")
    assert status["essay.docx"] == "not read: it is no notebook (.ipynb)"
    assert status["link.ipynb"] == "not read: it is a symbolic link"
    assert "damaged" in status["damaged.zip"]
    assert status["twice (1).ipynb"] == "kept: there is a later one"
    assert "several submissions" in status["twice (2).ipynb"]
    new = folder_of(tmp_path) - before
    assert all(name.startswith("course/") for name in new)
    assert not any(".." in name or "evil.ipynb" in name for name in new)
    assert read_table(own.folder / "collected.csv")[0]["file"]
    for path in (own.folder / "submitted").rglob(f"{CHAPTER}.ipynb"):
        assert "<script>" not in path.read_text(encoding="utf-8")
    kept = b"".join(
        p.read_bytes() for p in own.folder.rglob("unread/**/*") if p.is_file()
    )
    assert bytes(range(256)) in kept


def test_a_bomb_is_not_unpacked(
    own: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "LARGEST", 10_000)
    archive = tmp_path / "bomb.zip"
    with ZipFile(archive, "w", ZIP_DEFLATED) as packed:
        packed.writestr("bomb.ipynb", b" " * 10**7)
    (row,) = collect(archive, own).rows
    assert "more than 10000 bytes" in row["status"]


def test_links_in_a_folder_are_not_followed(own: Course, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "eve.ipynb").symlink_to(own.source(CHAPTER))
    (row,) = collect(folder, own).rows
    assert row["status"] == "not read: it is a symbolic link"
    assert own.students(CHAPTER) == []


def test_collecting_again_keeps_what_was_there(own: Course, tmp_path: Path) -> None:
    """A second collection is a second submission; the first stays beside it."""
    folder = tmp_path / "in"
    folder.mkdir()
    first = text(filled(own, CHAPTER, {}))
    (folder / "ann.ipynb").write_text(first)
    assert collect(folder, own).rows[0]["status"] == "taken"
    assert collect(folder, own).rows[0]["status"] == "taken"
    (folder / "ann.ipynb").write_text(first.replace("states, H", "states , H"))
    assert "several submissions" in collect(folder, own).rows[0]["status"]
    kept = list((own.folder / "submitted" / "ann" / CHAPTER).glob("former-*.ipynb"))
    assert [p.read_text() for p in kept] == [first]


def test_a_notebook_says_which_assignment_it_is(own: Course, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for chapter in ("1-recurrence", "2-bptt"):
        notebook = filled(own, chapter, {})
        (folder / f"told {chapter}.ipynb").write_text(text(notebook))
        lose_everything(notebook)
        (folder / f"untold {chapter}.ipynb").write_text(text(notebook))
    collect(folder, own)
    for chapter in ("1-recurrence", "2-bptt"):
        assert own.students(chapter) == ["told", "untold"]


def test_what_cannot_be_collected_is_said(tmp_path: Path, own: Course) -> None:
    with pytest.raises(CourseError, match="nothing has been released"):
        collect(tmp_path, Course(tmp_path / "nowhere"))
    with pytest.raises(CourseError, match="neither a folder nor a file"):
        collect(tmp_path / "missing.zip", own)
    with pytest.raises(CourseError, match="has not been released"):
        collect(tmp_path, own, "no-such-chapter")
