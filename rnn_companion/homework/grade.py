"""Run what was handed in, and give it points: ``rnn-companion homework grade``.

First a submission runs from top to bottom with the tests that students see; only
then do the hidden tests reach its kernel, each with the variables that its
exercise left. So nothing that an answer prints can hold a hidden test. A cell that
hangs or takes its kernel down costs that cell: a fresh kernel repeats the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_output
from nbgrader.utils import determine_grade

import rnn_companion
from rnn_companion.homework import markup
from rnn_companion.homework.files import Course, CourseError, write
from rnn_companion.homework.run import Outcome, Run, Step
from rnn_companion.homework.sandbox import Sandbox
from rnn_companion.progress import progress_bar

CELL, WHOLE = 20.0, 120.0  # seconds for a cell, and for a submission
TAMPERED = "the checker was tampered with"
KERNEL = "a kernel was ended"
CUT = "output cut"
NO_SANDBOX = "graded without a sandbox"

# Tests that must fail and tests that must pass, unless an answer changed its kernel.
MUST_FAIL = [
    "assert 1 == 2",
    "import torch; assert torch.allclose(torch.zeros(2), torch.ones(2))",
    "import torch; assert torch.equal(torch.zeros(2), torch.ones(2))",
    "import torch; torch.testing.assert_close(torch.zeros(2), torch.ones(2))",
    "import torch; assert float((torch.zeros(2) - torch.ones(2)).abs().max()) < 1e-6",
    "from rnn_companion import check; check.rnn_step(lambda X, H, *weights: H)",
    "from rnn_companion.check.examine import difference; assert not difference(1, 2)",
    "assert abs(-2.0) < 1e-6 or max(2, 3) < 1 or len([1, 2]) < 1 or sum([2, 3]) < 1",
]
MUST_PASS = [
    "import torch; assert torch.allclose(torch.ones(2), torch.ones(2))",
    "from rnn_companion import networks, check; check.rnn_step(networks.rnn_step)",
]


@dataclass
class Graded:
    """What became of a submission."""

    student: str
    assignment: str
    key: str = ""
    sandboxed: bool = True
    identifier: str = ""
    points: dict[str, float | None] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it to a file."""
        write(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path, key: str) -> Graded | None:
        """Read it back, if it is there and has the same key."""
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if found.get("key") != key:
            return None
        outcomes = [Outcome(**outcome) for outcome in found.pop("outcomes")]
        return cls(**found, outcomes=outcomes)


def plan(source: NotebookNode, submission: NotebookNode) -> list[Step]:
    """Put a submission's answers among the teacher's cells, without hidden tests."""
    answers = {markup.name(cell): cell.source for cell in submission.cells}
    own: dict[str, list[Step]] = {}  # the student's other cells, by the next answer
    for cell in submission.cells:
        if "rnn_companion" in cell.metadata:
            before = cell.metadata["rnn_companion"]["before"]
            name = f"before {before}" if before else "at the end"
            own.setdefault(before, []).append(Step("run", name, cell.source))
    steps: list[Step] = []
    for cell in source.cells:
        name = markup.name(cell)
        if markup.is_answer(cell):
            steps += own.get(name, [])
            if cell.cell_type == "code":
                steps.append(Step("run", name, answers[name]))
        elif cell.cell_type == "code" and name:
            visible, _ = markup.split_tests(cell.source)
            steps.append(Step("test", name, visible))
        elif cell.cell_type == "code":
            steps.append(Step("give", cell.get("id", ""), cell.source))
    return steps + own.get("", [])


def hidden_tests(source: NotebookNode, overlay: Mapping[str, str]) -> dict[str, str]:
    """Collect the hidden tests of an assignment, a private overlay's among them.

    Raises
    ------
    CourseError
        If the overlay names a test that is not there.
    """
    tests = {}
    for cell in source.cells:
        name = markup.name(cell)
        if name and not markup.is_answer(cell):
            parts = [markup.split_tests(cell.source)[1], overlay.get(name, "")]
            tests[name] = "\n".join(part for part in parts if part)
    if unknown := set(overlay) - set(tests):
        raise CourseError(
            f"the overlay names {min(unknown)!r}; the tests are {', '.join(tests)}"
        )
    return {name: test for name, test in tests.items() if test}


def grade_one(
    sandbox: Sandbox,
    source: NotebookNode,
    submission: NotebookNode,
    overlay: Mapping[str, str],
    cell: float = CELL,
    whole: float = WHOLE,
) -> Graded:
    """Run a submission and give it points.

    Parameters
    ----------
    sandbox : Sandbox
    source, submission : nbformat.NotebookNode
        The teacher's notebook, and a release with a student's answers.
    overlay : mapping of str to str
        Further hidden tests, by ``grade_id``.
    cell, whole : float
        Seconds that a cell and the whole may take.

    Returns
    -------
    Graded
        Points are None where a person must read.
    """
    about = submission.metadata["rnn_companion"]
    result = Graded(about["student"], about["assignment"])
    result.identifier, result.sandboxed = about["identifier"], sandbox.sandboxed
    run = Run(sandbox, plan(source, submission), cell, whole)
    try:
        result.outcomes = list(run.visible())
        errors = {o.name: o.error for o in result.outcomes if o.kind == "test"}
        for name, test in hidden_tests(source, overlay).items():
            if errors[name] is None:
                errors[name] = run.hidden(name, test).error
                result.hints[name] = _hint(errors[name], test)
        tampered = _tampered(run)
    finally:
        run.close()
    seen = {
        TAMPERED: tampered,
        CUT: any(outcome.cut for outcome in result.outcomes),
        KERNEL: bool(run.deadly),
        NO_SANDBOX: not sandbox.sandboxed,
    }
    result.flags = sorted({*about["flags"], *(flag for flag in seen if seen[flag])})
    _give_points(result, source, submission, errors)
    return result


def _hint(error: dict[str, str] | None, test: str) -> str:
    """Say why a hidden test failed: the message it was given, or nothing of it."""
    if error is None:
        return ""
    said = error["message"]
    return said if said in markup.hints(test) else "A check that is not shown failed."


def _tampered(run: Run) -> bool:
    """Run tests of known result in the kernel as the answers left it."""
    run.restart()

    def passes(code: str) -> bool:
        return run.outcome(Step("test", "", code)).error is None

    return any([*map(passes, MUST_FAIL), not all([*map(passes, MUST_PASS)])])


def _give_points(
    result: Graded,
    source: NotebookNode,
    submission: NotebookNode,
    errors: Mapping[str, dict[str, str] | None],
) -> None:
    """Let nbgrader turn what failed into points."""
    answers = {markup.name(cell): cell for cell in submission.cells}
    for cell in source.cells:
        name = markup.name(cell)
        judged = cell.copy()
        if markup.is_answer(cell):
            judged = answers[name].copy()
            result.answers[name] = judged.source
        if markup.mark(cell).get("grade"):
            if cell.cell_type == "code":
                judged.outputs = [new_output("error")] if errors[name] else []
            result.points[name] = determine_grade(judged)[0]


def grade(
    course: Course,
    assignment: str,
    *,
    overlay: Mapping[str, str] | None = None,
    sandboxed: bool = True,
    jobs: int = 1,
    again: bool = False,
) -> tuple[list[Graded], list[str]]:
    """Grade all submissions of an assignment that have not been graded yet.

    Parameters
    ----------
    course : Course
    assignment : str
    overlay : mapping of str to str, optional
        Further hidden tests, by ``grade_id``.
    sandboxed : bool
        Whether to run them in a sandbox.
    jobs : int
        How many at a time.
    again : bool
        Grade those that have been graded, too.

    Returns
    -------
    graded : list of Graded
        All of them, by student.
    problems : list of str
        Submissions that could not be graded, with the reason.

    Raises
    ------
    CourseError
        If the assignment has not been released, or nobody handed anything in.
    SandboxError
        If no sandbox can be started.
    """
    source, overlay = course.read_source(assignment), overlay or {}
    hidden_tests(source, overlay)
    students = course.students(assignment)
    if not students:
        raise CourseError(f"nobody has handed in {assignment}: collect first")
    keys = {s: _key(course, assignment, s, overlay, sandboxed) for s in students}
    results = {s: _result(course, assignment, s) for s in students}
    before = {} if again else {s: Graded.load(results[s], keys[s]) for s in students}
    done = {student: graded for student, graded in before.items() if graded}
    waiting = [student for student in students if student not in done]
    if not waiting:
        return [done[student] for student in students], []

    def work(student: str) -> Graded:
        path = course.submitted(assignment, student)
        submission = nbformat.read(path, as_version=4)
        graded = grade_one(sandbox, source, submission, overlay)
        graded.key = keys[student]
        graded.save(results[student])
        return graded

    with Sandbox(sandboxed) as sandbox, ThreadPoolExecutor(jobs) as pool:
        problems = _gather({pool.submit(work, s): s for s in waiting}, done)
    return [done[student] for student in students if student in done], problems


def _gather(futures: dict[Future[Graded], str], done: dict[str, Graded]) -> list[str]:
    problems = []
    try:
        with progress_bar(None, total=len(futures), unit="submission") as bar:
            for future in as_completed(futures):
                student = futures[future]
                try:
                    done[student] = future.result()
                except Exception as problem:  # one submission must not stop the rest
                    told = f"{type(problem).__name__}: {problem}"
                    problems.append(f"{student}: not graded ({told})")
                bar.update()
    except BaseException:  # interrupted: what is done is kept, the rest is not begun
        for future in futures:
            future.cancel()
        raise
    return sorted(problems)


def _result(course: Course, assignment: str, student: str) -> Path:
    return course.graded(assignment) / "submissions" / f"{student}.json"


def _key(
    course: Course,
    assignment: str,
    student: str,
    overlay: Mapping[str, str],
    sandboxed: bool,
) -> str:
    """Hash all that a grade depends on."""
    version = rnn_companion.__version__
    settings = {"overlay": overlay, "sandboxed": sandboxed, "version": version}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(course.source(assignment).read_bytes())
    digest.update(course.submitted(assignment, student).read_bytes())
    return digest.hexdigest()
