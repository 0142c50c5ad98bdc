"""From a folder of submissions to scores, feedback and the teacher's page."""

import html
import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest

from rnn_companion.cli import main
from rnn_companion.homework import grade as grading
from rnn_companion.homework.files import Course, read_table
from rnn_companion.homework.grade import grade
from rnn_companion.homework.report import similar
from rnn_companion.homework.sandbox import Sandbox, SandboxError

from .conftest import filled, folder_of
from .wrong_answers import WRONG

CHAPTER = "1-recurrence"
WRONG_STEP = WRONG[CHAPTER]["rnn-step"][0][0]
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def handed_in(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Collect four submissions: right, wrong, empty, and hostile in its text."""
    made = Course(tmp_path_factory.mktemp("handed-in") / "course")
    for name in ("source", "release"):
        shutil.copytree(course.folder / name, made.folder / name)
    folder = made.folder.parent / "in"
    folder.mkdir()
    release = nbformat.read(course.release(CHAPTER), 4)
    notebooks = {
        "Right_11_assignsubmission_file_": filled(course, CHAPTER, {}),
        "Wrong_12_assignsubmission_file_": filled(
            course, CHAPTER, {"rnn-step": WRONG_STEP.strip()}
        ),
        "Empty_13_assignsubmission_file_": release,
        "Sly_14_assignsubmission_file_": filled(
            course, CHAPTER, {"beautiful-plot": SCRIPT}
        ),
    }
    for name, notebook in notebooks.items():
        (folder / name).mkdir()
        (folder / name / "work.ipynb").write_text(nbformat.writes(notebook))
    assert main(["homework", "collect", str(folder), "--course", str(made.folder)]) == 0
    return made


@pytest.fixture(scope="module")
def course_graded(handed_in: Course, sandbox: object) -> Course:
    arguments = ["homework", "grade", CHAPTER, "--course", str(handed_in.folder)]
    assert main([*arguments, "--jobs", "2"]) == 0
    return handed_in


def test_scores_feedback_and_overview(course_graded: Course) -> None:
    folder = course_graded.graded(CHAPTER)
    rows = read_table(folder / "scores.csv")
    assert list(rows[0]) == ["student", "exercise", "points", "max", "flags"]
    got = {(r["student"], r["exercise"].split(":")[0]): r["points"] for r in rows}
    assert got["Right", "Write"] == "4"
    assert got["Wrong", "Mend"] == "0"
    assert got["Wrong", "Write"] == "4"
    assert [got["Empty", e] for e in ("Write", "Mend", "On real prices")] == ["0"] * 3
    assert got["Empty", "In your own words"] == "0"
    assert got["Right", "In your own words"] == ""  # a person must read it
    canvas = read_table(folder / "canvas.csv")
    assert {r["ID"]: r[CHAPTER] for r in canvas} == {
        "11": "9",
        "12": "7",
        "13": "0",
        "14": "9",
    }
    moodle = read_table(folder / "moodle.csv")
    assert moodle[0]["Identifier"].startswith("Participant 1")
    page = course_graded.feedback(CHAPTER, "Wrong").read_text("utf-8")
    assert "tanh must take the whole sum" in page
    assert "7 of 12 points" in page
    overview = (folder / "index.html").read_text("utf-8")
    assert "4 submissions, median 8 of 12 points" in overview
    assert overview.index("rnn-step-check") < overview.index("<td>rnn-check</td>")


def test_pages_run_nothing_of_a_students(course_graded: Course) -> None:
    """Escaped, and forbidden by each page's own policy."""
    pages = [course_graded.graded(CHAPTER) / "index.html"]
    pages += list((course_graded.folder / "feedback").rglob("*.html"))
    assert len(pages) == 5
    for path in pages:
        text = path.read_text("utf-8")
        assert "<script" not in text
        assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert html.escape(SCRIPT) in pages[0].read_text("utf-8")


def test_feedback_holds_no_hidden_test(course_graded: Course) -> None:
    source = course_graded.read_source(CHAPTER)
    hidden = re.findall(
        r"BEGIN HIDDEN TESTS\n(.*?)\n### END",
        "\n".join(c.source for c in source.cells),
        re.DOTALL,
    )
    lines = {s.strip() for part in hidden for s in part.split("\n") if len(s) > 25}
    assert lines
    for path in (course_graded.folder / "feedback").rglob("*.html"):
        text = html.unescape(path.read_text("utf-8"))
        assert not any(line in text for line in lines)


def test_points_for_free_texts_are_taken_over(course_graded: Course) -> None:
    """They are given in a table, survive grading again, and must be possible."""
    folder = course_graded.graded(CHAPTER)
    table = folder / "to-read.csv"
    rows = read_table(table)
    assert {row["student"] for row in rows} == {"Right", "Wrong", "Sly"}
    text = table.read_text("utf-8")
    table.write_text(
        text.replace("Right,beautiful-plot,3,,,", "Right,beautiful-plot,3,2.5,Good!,")
    )
    arguments = ["homework", "grade", CHAPTER, "--course", str(course_graded.folder)]
    assert main(arguments) == 0
    rows = read_table(folder / "scores.csv")
    (given,) = [r for r in rows if r["student"] == "Right" and "own" in r["exercise"]]
    assert given["points"] == "2.5"
    page = course_graded.feedback(CHAPTER, "Right").read_text("utf-8")
    assert "11.5 of 12 points" in page
    assert "Good!" in page
    kept = {r["student"]: r["comment"] for r in read_table(table)}
    assert kept["Right"] == "Good!"
    table.write_text(table.read_text("utf-8").replace(",2.5,Good!", ",17,Good!"))
    assert main(arguments) == 2
    table.write_text(text)


def test_grading_goes_on_where_it_was_interrupted(
    handed_in: Course,
    course_graded: Course,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is done is kept, byte for byte; only the rest is run."""
    own = Course(tmp_path / "course")
    shutil.copytree(course_graded.folder, own.folder)
    results = own.graded(CHAPTER) / "submissions"
    before = {p.name: p.read_bytes() for p in results.iterdir()}
    (results / "Wrong.json").unlink()
    ran = []
    real = grading.grade_one

    def watched(*arguments: object, **settings: object) -> object:
        result = real(*arguments, **settings)  # type: ignore[arg-type]
        ran.append(result.student)
        return result

    monkeypatch.setattr(grading, "grade_one", watched)
    graded, problems = grade(own, CHAPTER)
    assert ran == ["Wrong"]
    assert problems == []
    assert [one.student for one in graded] == ["Empty", "Right", "Sly", "Wrong"]
    after = {p.name: p.read_bytes() for p in results.iterdir()}
    assert (
        json.loads(after["Wrong.json"])["points"]
        == json.loads(before["Wrong.json"])["points"]
    )
    del before["Wrong.json"], after["Wrong.json"]
    assert after == before
    assert not [name for name in folder_of(own.folder) if ".unfinished" in name]


def test_a_changed_submission_is_graded_again(course_graded: Course) -> None:
    overlay = {"skill-check": "assert False, 'asked for by the overlay'"}
    graded, _ = grade(course_graded, CHAPTER, overlay=overlay)
    right = next(one for one in graded if one.student == "Right")
    assert right.points["skill-check"] == 0
    assert right.hints["skill-check"] == "asked for by the overlay"


def test_without_a_sandbox_it_refuses_and_says_what_to_do(
    handed_in: Course,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxError, match="apt install bubblewrap"):
        grade(handed_in, CHAPTER, again=True)
    arguments = ["homework", "grade", CHAPTER, "--course", str(handed_in.folder)]
    assert main([*arguments, "--again"]) == 1
    assert "--no-sandbox" in capsys.readouterr().err


def test_no_sandbox_is_on_every_report(course_graded: Course, tmp_path: Path) -> None:
    own = tmp_path / "course"
    shutil.copytree(course_graded.folder, own)
    arguments = ["homework", "grade", CHAPTER, "--course", str(own), "--no-sandbox"]
    assert main(arguments) == 0
    pages = [*own.rglob("feedback/**/*.html"), own / "graded" / CHAPTER / "index.html"]
    for page in pages:
        assert "Graded without a sandbox" in page.read_text("utf-8")
    rows = read_table(own / "graded" / CHAPTER / "scores.csv")
    assert all("without a sandbox" in row["flags"] for row in rows)
    points = [
        float(r["points"]) for r in rows if r["student"] == "Right" and r["points"]
    ]
    assert sum(points) == 9


def test_copies_are_found_and_the_one_right_answer_is_not_held_against_anyone() -> None:
    common = (
        "def f(x):\n    return torch.tanh(x @ W.T + h @ U.T + b)  # the usual way\n"
    )
    answers = {
        f"s{n}": {
            "f": common,
            "why": f"Because reason {n} " * 3 + " ".join(f"w{n}{k}" for k in range(20)),
        }
        for n in range(12)
    }
    essay = (
        "An unusual thought about prices that nobody else in this class would have "
        "written down in quite this way at all"
    )
    answers["s3"]["why"] = essay
    answers["s7"]["why"] = essay + " really"
    pairs = similar(answers)
    assert [pair[:2] for pair in pairs] == [("s3", "s7")]


def test_a_student_called_like_a_formula_is_text(tmp_path: Path) -> None:
    from rnn_companion.homework.files import write_table

    write_table(tmp_path / "t.csv", ["student"], [["=HYPERLINK(1)"]])
    assert read_table(tmp_path / "t.csv")[0]["student"] == "'=HYPERLINK(1)"


def test_elsewhere_than_on_linux_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    for sandboxed in (True, False):
        with pytest.raises(SandboxError, match="on Linux only"):
            Sandbox(sandboxed).__enter__()
