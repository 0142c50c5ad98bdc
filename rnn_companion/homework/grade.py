"""Run what was handed in, and give it points: ``rnn-companion homework grade``.

First a submission runs from top to bottom with the tests that students see; only
then do the hidden tests reach its kernel, each with the variables that its
exercise left. So nothing that an answer prints can hold a hidden test. A cell that
hangs or takes its kernel down costs that cell: a fresh kernel repeats the others.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import nbformat
from nbgrader.utils import determine_grade

import rnn_companion
from rnn_companion.homework import markup
from rnn_companion.homework.files import Course, CourseError, write
from rnn_companion.homework.sandbox import Died, Sandbox, Session
from rnn_companion.progress import progress_bar

Kind = Literal["run", "give", "test", "hidden"]

CELL, WHOLE = 20.0, 120.0  # seconds for a cell, and for a submission
TAMPERED = "the checker was tampered with"
KERNEL = "a kernel was ended"
CUT = "output cut"
OPEN = "graded without a sandbox"

# What must fail and what must pass, whatever an answer has done to its kernel.
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


@dataclass(frozen=True)
class Step:
    """A cell to be run."""

    kind: Kind
    name: str
    source: str


@dataclass
class Outcome:
    """How a cell went."""

    name: str
    kind: str
    source: str
    error: dict[str, str] | None = None
    text: str = ""
    cut: bool = False


@dataclass
class Graded:
    """What became of a submission."""

    student: str
    assignment: str
    key: str = ""
    walls: bool = True
    identifier: str = ""
    points: dict[str, float | None] = field(default_factory=dict)
    hints: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        write(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def load(cls, path: Path) -> Graded:
        """Read it back."""
        found = json.loads(path.read_text(encoding="utf-8"))
        outcomes = [Outcome(**outcome) for outcome in found.pop("outcomes")]
        return cls(**found, outcomes=outcomes)


class Run:
    """One submission in its kernels.

    Parameters
    ----------
    sandbox : Sandbox
    steps : list of Step
        Everything but the hidden tests, in order.
    cell, whole : float
        Seconds that a cell and the whole may take.
    """

    def __init__(
        self, sandbox: Sandbox, steps: list[Step], cell: float, whole: float
    ) -> None:
        self.sandbox, self.steps = sandbox, steps
        self.cell, self.left = cell, whole
        self.deadly: set[Step] = set()
        self.session: Session | None = None

    def outcome(self, step: Step) -> Outcome:
        """Run a step, in the kernel that ran those before it."""
        verb = (
            "run" if step.kind == "run" else "give" if step.kind == "give" else "test"
        )
        try:
            reply = self._ask(**{verb: step.source})
        except Died as death:
            self.deadly.add(step)
            self.close()
            return Outcome(step.name, step.kind, step.source, _death(death))
        done = Outcome(step.name, step.kind, step.source, reply["error"])
        done.text, done.cut = str(reply["text"]), bool(reply["cut"])
        return done

    def visible(self) -> Iterator[Outcome]:
        """Run all steps; keep the variables after each test."""
        for number, step in enumerate(self.steps):
            if self.session is None:
                self._repeat(self.steps[:number])
            yield self.outcome(step)
            if step.kind == "test" and self.session is not None:
                self._keep(step.name)

    def hidden(self, name: str, source: str) -> Outcome:
        """Run a hidden test with the variables that its exercise left."""
        step = Step("hidden", name, source)
        if self.session is None:
            self._repeat(self.steps)
        try:
            reply = self._ask(back=name)
        except Died as death:
            return Outcome(name, "hidden", source, _death(death))
        if reply["error"]:
            return Outcome(name, "hidden", source, reply["error"])
        return self.outcome(step)

    def _ask(self, **message: str) -> dict[str, Any]:
        if self.session is None:
            self.session = self.sandbox.session()
        if self.left <= 0:
            raise Died("had used up the time for all cells together")
        started = time.monotonic()
        try:
            return self.session.ask(min(self.cell, self.left), **message)
        finally:
            self.left -= time.monotonic() - started

    def _keep(self, name: str) -> None:
        try:
            self._ask(keep=name)
        except Died:
            self.close()

    def _repeat(self, steps: list[Step]) -> None:
        """Bring a fresh kernel to where the last one was."""
        for step in steps:
            if step in self.deadly:
                continue
            self.outcome(step)
            if self.session is None:  # deadly only now; each round there is one less
                self._repeat(steps)
                return
            if step.kind == "test":
                self._keep(step.name)

    def close(self) -> None:
        """End the kernel."""
        if self.session is not None:
            self.session.close()
        self.session = None


def _death(death: Died) -> dict[str, str]:
    return {"name": "Ended", "message": f"the cell {death}", "where": ""}


def plan(source: Any, submission: Any) -> list[Step]:  # noqa: ANN401
    """Put a submission's answers among the teacher's cells, without hidden tests."""
    answers = {
        cell.metadata["nbgrader"]["grade_id"]: cell.source
        for cell in submission.cells
        if "nbgrader" in cell.metadata
    }
    own: dict[str, list[str]] = {}
    for cell in submission.cells:
        if "rnn_companion" in cell.metadata:
            own.setdefault(cell.metadata["rnn_companion"]["before"], []).append(
                cell.source
            )
    steps: list[Step] = []
    for cell in source.cells:
        about = cell.metadata.get("nbgrader")
        if about and about["solution"]:
            name = about["grade_id"]
            steps += [Step("run", f"before {name}", code) for code in own.get(name, [])]
            if cell.cell_type == "code":
                steps.append(Step("run", name, answers[name]))
        elif cell.cell_type == "code" and about:
            visible, _ = markup.split_tests(cell.source)
            steps.append(Step("test", about["grade_id"], visible))
        elif cell.cell_type == "code":
            steps.append(Step("give", cell.get("id", ""), cell.source))
    return steps + [Step("run", "at the end", code) for code in own.get("", [])]


def hidden_tests(source: Any, overlay: Mapping[str, str]) -> dict[str, str]:  # noqa: ANN401
    """Collect the hidden tests of an assignment, a private overlay's among them.

    Raises
    ------
    CourseError
        If the overlay names a test that is not there.
    """
    tests = {}
    for cell in source.cells:
        about = cell.metadata.get("nbgrader")
        if about and not about["solution"]:
            name = about["grade_id"]
            parts = [markup.split_tests(cell.source)[1], overlay.get(name, "")]
            tests[name] = "\n".join(part for part in parts if part)
    if unknown := set(overlay) - set(tests):
        raise CourseError(
            f"the overlay names {min(unknown)!r}; the tests are {', '.join(tests)}"
        )
    return {name: test for name, test in tests.items() if test}


def grade_one(
    sandbox: Sandbox,
    source: Any,  # noqa: ANN401
    submission: Any,  # noqa: ANN401
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
    result = Graded(about["student"], about["assignment"], walls=sandbox.walls)
    result.identifier = about["identifier"]
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
    flags = set(about["flags"]) | ({TAMPERED} if tampered else set())
    flags |= {CUT} if any(o.cut for o in result.outcomes) else set()
    flags |= {KERNEL} if run.deadly else set()
    flags |= set() if sandbox.walls else {OPEN}
    result.flags = sorted(flags)
    _give_points(result, source, submission, errors)
    return result


def _hint(error: dict[str, str] | None, test: str) -> str:
    """Say why a hidden test failed, in its author's words or not at all."""
    if error is None:
        return ""
    said = error.get("message")
    if said in markup.hints(test):
        return str(said)
    return "A check that is not shown failed."


def _tampered(run: Run) -> bool:
    """Try what must fail and what must pass, in the kernel as it was left."""
    if run.session is None:
        run._repeat(run.steps)
    told = [
        (run.outcome(Step("test", "", code)), code) for code in MUST_FAIL + MUST_PASS
    ]
    return any((o.error is None) == (code in MUST_FAIL) for o, code in told)


def _give_points(
    result: Graded,
    source: Any,  # noqa: ANN401
    submission: Any,  # noqa: ANN401
    errors: Mapping[str, dict[str, str] | None],
) -> None:
    """Let nbgrader turn what failed into points."""
    answers = {
        c.metadata.get("nbgrader", {}).get("grade_id"): c for c in submission.cells
    }
    for cell in source.cells:
        about = cell.metadata.get("nbgrader")
        if not about:
            continue
        name = about["grade_id"]
        if about["solution"]:
            result.answers[name] = answers[name].source
        if about["grade"]:
            judged = answers[name].copy() if about["solution"] else cell.copy()
            if cell.cell_type == "code":
                judged.outputs = _as_outputs(errors[name])
            result.points[name] = determine_grade(judged)[0]


def _as_outputs(error: dict[str, str] | None) -> list[Any]:
    if error is None:
        return []
    said = {"ename": error["name"], "evalue": "", "traceback": []}
    return [nbformat.v4.new_output("error", **said)]


def grade(
    course: Course,
    assignment: str,
    *,
    overlay: Mapping[str, str] | None = None,
    walls: bool = True,
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
    walls : bool
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
        If there is no sandbox to be had.
    """
    source, overlay = course.read_source(assignment), overlay or {}
    hidden_tests(source, overlay)
    students = course.students(assignment)
    if not students:
        raise CourseError(f"nobody has handed in {assignment}: collect first")
    done: dict[str, Graded] = {}
    waiting: dict[str, str] = {}
    for student in students:
        key = _key(course, assignment, student, overlay, walls)
        path = _result(course, assignment, student)
        if path.exists() and not again and Graded.load(path).key == key:
            done[student] = Graded.load(path)
        else:
            waiting[student] = key
    problems = []
    if waiting:
        with Sandbox(walls) as sandbox, ThreadPoolExecutor(jobs) as pool:

            def work(student: str, key: str) -> Graded:
                path = course.submitted(assignment, student)
                submission = nbformat.read(path, as_version=4)
                graded = grade_one(sandbox, source, submission, overlay)
                graded.key = key
                graded.save(_result(course, assignment, student))
                return graded

            futures = {pool.submit(work, s, k): s for s, k in waiting.items()}
            problems = _gather(futures, done)
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
    walls: bool,
) -> str:
    """Sum up all that a grade depends on."""
    settings = [dict(sorted(overlay.items())), walls, rnn_companion.__version__]
    digest = hashlib.sha256(json.dumps(settings).encode())
    digest.update(course.source(assignment).read_bytes())
    digest.update(course.submitted(assignment, student).read_bytes())
    return digest.hexdigest()
