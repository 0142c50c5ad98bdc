"""Take in what was handed in: ``rnn-companion homework collect``.

Learning platforms name files in their own ways, students in theirs. Each file is
either put into a pristine release or listed with the reason why not, and its bytes
are kept.
"""

from __future__ import annotations

import io
import json
import re
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

import nbformat
from nbformat import NotebookNode

from rnn_companion.homework.files import (
    Course,
    CourseError,
    write,
    write_notebook,
    write_table,
)
from rnn_companion.homework.transplant import transplant

LARGEST = 30 * 2**20  # bytes of one file
MOST = 5000  # files of one archive
LATE = "late"
SEVERAL = "several submissions"

_MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(file|onlinetext)_?")
_CANVAS = re.compile(r"(?P<name>[^_]+)(?P<late>_LATE)?_(?P<id>\d+)_\d+_(?P<file>.+)")
_AGAIN = re.compile(r"(-\d+|\s*\(\d+\)|[-_ ]+copy\d*)+$", re.IGNORECASE)
_IGNORED = re.compile(r"(^|/)(\.|__MACOSX/)")


@dataclass(frozen=True)
class Found:
    """A file that was handed in."""

    path: str
    content: bytes
    problem: str = ""
    time: tuple[int, ...] = ()


@dataclass(frozen=True)
class Who:
    """A student, as the platform names them."""

    student: str
    identifier: str = ""
    late: bool = False


HandedIn = tuple[Found, Who, NotebookNode]


@dataclass
class Collected:
    """What became of each file: one row each."""

    rows: list[dict[str, str]] = field(default_factory=list)

    def note(self, path: str, student: str, assignment: str, status: str) -> None:
        """Add a row."""
        row = {"file": path, "student": student, "assignment": assignment}
        self.rows.append({**row, "status": status})

    @property
    def unread(self) -> list[dict[str, str]]:
        """What could not be read, or names no student."""
        return [row for row in self.rows if row["status"].startswith("not read")]


def files(place: Path) -> Iterator[Found]:
    """Yield the files in a folder or a zip, of whatever kind.

    Parameters
    ----------
    place : Path

    Raises
    ------
    CourseError
        If it is neither.
    """
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            name = path.relative_to(place).as_posix()
            if path.is_symlink():
                yield Found(name, b"", "it is a symbolic link")
            elif path.is_file() and not _IGNORED.search(name):
                yield from _unpacked(_from_disk(path, name), depth=0)
    elif place.is_file():
        found = _from_disk(place, place.name)
        if place.suffix.lower() == ".zip" and not found.problem:
            yield from _zipped(found, prefix="")
        else:
            yield found
    else:
        raise CourseError(f"{place} is neither a folder nor a file")


def _from_disk(path: Path, name: str) -> Found:
    size, time = path.stat().st_size, (int(path.stat().st_mtime),)
    if size > LARGEST and path.suffix.lower() != ".zip":
        return Found(name, b"", f"it has {size} bytes", time)
    return Found(name, path.read_bytes(), time=time)


def _unpacked(found: Found, depth: int) -> Iterator[Found]:
    """Yield a file, or those inside it if it is an archive."""
    archive = found.path.lower().endswith(".zip") and not found.problem
    if archive and depth <= 2:
        yield from _zipped(found, f"{found.path.removesuffix('.zip')}/", depth)
    else:
        yield found


def _zipped(archive: Found, prefix: str, depth: int = 0) -> Iterator[Found]:
    """Yield an archive's files. No name in it is ever used as a path."""
    try:
        with ZipFile(io.BytesIO(archive.content)) as zipped:
            for number, entry in enumerate(zipped.infolist()):
                if number >= MOST:
                    yield Found(archive.path, b"", f"it has more than {MOST} files")
                    return
                name = prefix + entry.filename.replace("\\", "/")
                if not entry.is_dir() and not _IGNORED.search(name.replace("../", "")):
                    yield from _unpacked(_entry(zipped, entry, name), depth + 1)
    except (BadZipFile, NotImplementedError, OSError, EOFError, ValueError) as problem:
        yield Found(archive.path, archive.content, f"the archive is damaged: {problem}")


def _entry(zipped: ZipFile, entry: ZipInfo, name: str) -> Found:
    if stat.S_ISLNK(entry.external_attr >> 16):
        return Found(name, b"", "it is a symbolic link", entry.date_time)
    try:
        with zipped.open(entry) as file:
            content = file.read(LARGEST + 1)
    except Exception as problem:  # damaged, encrypted, of an unknown kind
        return Found(name, b"", f"it cannot be unpacked: {problem}", entry.date_time)
    if len(content) > LARGEST:
        return Found(name, b"", f"it has more than {LARGEST} bytes", entry.date_time)
    return Found(name, content, time=entry.date_time)


def who(path: str, assignments: list[str]) -> Who:
    """Tell from a file's name who handed it in.

    Parameters
    ----------
    path : str
        As it stood in the archive or folder.
    assignments : list of str
        Names that are not a student's.

    Returns
    -------
    Who
        With an empty name if it cannot be told.
    """
    parts = [part for part in PurePosixPath(path).parts if part not in ("..", "/")]
    for part in parts[:-1]:
        if found := _MOODLE.fullmatch(part):
            return Who(_clean(found["name"]), found["id"])
    if found := _CANVAS.fullmatch(parts[0] if parts else ""):
        return Who(_clean(found["name"]), found["id"], bool(found["late"]))
    folders = [part for part in parts[:-1] if _bare(part, assignments)]
    own = [part for part in folders if part.lower() not in _FOLDERS]
    name = own[0] if own else _bare(PurePosixPath(parts[-1]).stem, assignments)
    return Who(_clean(name))


_FOLDERS = {"submitted", "submissions", "homework", "downloads"}


def _bare(name: str, assignments: list[str]) -> str:
    """Take the assignment's name, and what marks a copy, out of a file's name."""
    for assignment in assignments:
        name = re.sub(re.escape(assignment), "", name, flags=re.IGNORECASE)
    return _AGAIN.sub("", name).strip(" _-.()")


def _clean(name: str) -> str:
    """Turn a student's name into one that a folder can have."""
    plain = unicodedata.normalize("NFKC", name)
    return re.sub(r"[^\w @.-]+", "_", plain).strip(" ._-")[:80].strip(" ._-")


def collect(place: Path, course: Course, assignment: str | None = None) -> Collected:
    """Put what was handed in into the course.

    Parameters
    ----------
    place : Path
        A zip or a folder.
    course : Course
        With at least one release.
    assignment : str, optional
        What it is an answer to; without it, the notebooks say so themselves.

    Returns
    -------
    Collected
        What became of each file; also written to ``collected.csv``.

    Raises
    ------
    CourseError
        If nothing has been released, or `place` is not there.
    """
    released = course.released()
    if not released:
        raise CourseError(f"nothing has been released into {course.folder}")
    if assignment is not None:
        course.read_source(assignment)
    result = Collected()
    latest: dict[tuple[str, str], list[HandedIn]] = {}
    for found in files(place):
        known = who(found.path, released)
        notebook, problem = _read(found)
        target = assignment or (notebook and _assignment(notebook, course)) or ""
        problem = problem or ("" if target else "it answers nothing released here")
        problem = problem or ("" if known.student else "its name says not whose it is")
        if problem:
            _keep_unread(course, found, known)
            result.note(found.path, known.student, target, f"not read: {problem}")
        else:
            mine = latest.setdefault((known.student, target), [])
            mine.append((found, known, notebook))
    for (student, target), several in sorted(latest.items()):
        _take_in(course, student, target, several, result)
    columns = ["file", "student", "assignment", "status"]
    rows = [row.values() for row in result.rows]
    write_table(course.folder / "collected.csv", columns, rows)
    return result


def _read(found: Found) -> tuple[NotebookNode, str]:
    """Read a notebook, or say why it is none."""
    if found.problem:
        return NotebookNode(), found.problem
    if not found.path.lower().endswith((".ipynb", ".json", ".ipynb.txt")):
        return NotebookNode(), "it is no notebook (.ipynb)"
    try:
        raw = json.loads(found.content.decode("utf-8-sig"))
        notebook = nbformat.reads(json.dumps(raw), as_version=4)
        for cell in notebook.cells:
            _ = (cell.cell_type, cell.metadata, cell.source + "")
    except Exception as problem:  # whatever a file can hold
        return NotebookNode(), f"it is no notebook: {type(problem).__name__}"
    return notebook, ""


def _assignment(notebook: NotebookNode, course: Course) -> str | None:
    """Tell which assignment a notebook answers: it says so, or holds its text."""
    told = notebook.metadata.get("rnn_companion")
    name = told.get("assignment") if isinstance(told, dict) else None
    released = course.released()
    if name in released:
        return str(name)
    text = "\n".join(cell.source for cell in notebook.cells)
    counts = {
        name: sum(
            cell.source in text
            for cell in course.read_source(name).cells
            if cell.cell_type == "markdown" and len(cell.source) > 80
        )
        for name in released
    }
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else released[0] if len(released) == 1 else None


def _keep_unread(course: Course, found: Found, known: Who) -> None:
    """Keep the bytes of a file under a safe name."""
    name = re.sub(r"[^\w.-]+", "_", found.path).strip("._")[-100:] or "file"
    if found.content:
        write(course.folder / "unread" / (known.student or "_") / name, found.content)


def _take_in(
    course: Course,
    student: str,
    assignment: str,
    several: list[HandedIn],
    result: Collected,
) -> None:
    """Transplant a student's latest notebook, and keep the others beside it."""
    several.sort(key=lambda item: (item[0].time, item[0].path))
    *others, (found, known, notebook) = several
    release = nbformat.read(course.release(assignment), as_version=4)
    moved = transplant(release, notebook)
    flags = [*moved.flags, *([LATE] if known.late else [])]
    target = course.submitted(assignment, student)
    if others or _differs(target, moved.notebook):
        flags.append(SEVERAL)
    flags.sort()
    _keep_former(target, found.content)
    about = {"student": student, "identifier": known.identifier, "flags": flags}
    moved.notebook.metadata["rnn_companion"] |= about
    write_notebook(target, moved.notebook)
    write(target.with_name("as-handed-in.ipynb"), found.content)
    for other, _, _ in others:
        _keep_unread(course, other, known)
        result.note(other.path, student, assignment, "kept: there is a later one")
    told = f"taken ({', '.join(flags)})" if flags else "taken"
    result.note(found.path, student, assignment, told)


def _differs(target: Path, notebook: NotebookNode) -> bool:
    if not target.exists():
        return False
    before = nbformat.read(target, as_version=4)
    return [c.source for c in before.cells] != [c.source for c in notebook.cells]


def _keep_former(target: Path, content: bytes) -> None:
    """Keep what an earlier collection brought; nothing is overwritten."""
    original = target.with_name("as-handed-in.ipynb")
    if original.exists() and original.read_bytes() != content:
        number = len(list(target.parent.glob("former-*.ipynb"))) + 1
        former = target.with_name(f"former-{number}.ipynb")
        write(former, original.read_bytes())
