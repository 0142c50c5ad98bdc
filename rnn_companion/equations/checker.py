"""Check the equations of chapters, and report of each how it was checked."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lark import Token

from .chapter import Display, displays
from .claims import Evidence, examine
from .conditions import Definition
from .latex import EquationError, Node, end, start
from .statement import Equation, understand
from .tree import symbols

SKIPPED_AT_MOST = 0.03


@dataclass(frozen=True)
class Report:
    """How one equation fared; `status` is ok, failed or skipped."""

    file: str
    label: str
    line: int
    status: str
    reference: str = ""
    draws: int = 0
    max_error: float = 0.0
    reason: str = ""
    indices: str = ""

    def __str__(self) -> str:
        said = f"{self.file}:{self.line}: {self.label or '(no label)'}: {self.status}"
        if self.status != "ok":
            return f"{said}: {self.reason}"
        error = f", largest error {self.max_error:.0e}" if self.draws else ""
        return f"{said}, {self.reference}; {self.draws} draws{error}"

    def as_json(self) -> dict[str, Any]:
        """Turn into what ``--json`` prints."""
        return {k: v for k, v in asdict(self).items() if k != "indices"}


@dataclass
class Chapter:
    """The equations of one file, with what went wrong in reading them."""

    file: str
    displays: list[Display] = field(default_factory=list)
    equations: dict[str, Equation] = field(default_factory=dict)
    definitions: dict[str, dict[str, Definition]] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)

    def check(self) -> None:
        """Check every display, in the order of the page."""
        for display in self.displays:
            if "prose" not in display.options or display.label:
                self.reports.append(self.report(display))
        self.judge_definitions()

    def report(self, display: Display) -> Report:
        """Check one display."""
        found = Report(display.file, display.label, display.line, "ok")
        if reason := display.options.get("skip"):
            return replace(found, status="skipped", reason=reason)
        try:
            evidence = self.judge(display)
        except EquationError as error:
            return failure(display, error)
        except RecursionError:
            return failure(display, EquationError("is nested too deeply to be read"))
        return replace(
            found,
            reference=evidence.reference,
            draws=evidence.draws,
            max_error=evidence.error,
            indices=evidence.covered,
        )

    def judge(self, display: Display) -> Evidence:
        """Understand and run one display; remember what it defines."""
        if not display.label:
            raise EquationError(
                "has no label; give it one, or mark it <!-- eqcheck: prose -->"
            )
        if "prose" in display.options:
            raise EquationError("has a label, so it is no prose; skip it with a reason")
        if display.label in self.equations:
            raise EquationError("this label is given twice")
        known = self.definitions.setdefault(display.world, {})
        equation = understand(display, known)
        self.equations[display.label] = equation
        for definition in equation.definitions:
            if definition.name in known:
                raise EquationError(f"{definition.name} is defined twice")
            known[definition.name] = definition
        self.evidence[display.label] = examine(equation, known)
        return self.evidence[display.label]

    def judge_definitions(self) -> None:
        """Judge every definition by the claims that use it."""
        failed = {report.label for report in self.reports if report.status == "failed"}
        for equation in self.equations.values():
            for definition in equation.definitions:
                users = [e.display.label for e in self.users(definition, equation)]
                named, label = ", ".join(users), equation.display.label
                if not users:
                    self.fail(label, f"no claim uses {definition.name}")
                elif failed.issuperset(users):
                    self.fail(label, f"it, or all that uses it, is wrong: {named}")
                elif not equation.claims:
                    self.amend(label, reference=f"the claims in {named}")

    def users(self, definition: Definition, owner: Equation) -> Iterator[Equation]:
        """Find the equations with a claim that rests on a definition."""
        names, grown = {definition.name}, True
        same = [e for e in self.equations.values() if e.world is owner.world]
        while grown:
            more = {
                d.name for e in same for d in e.definitions if symbols(d.body) & names
            }
            grown, names = not more <= names, names | more
        return (e for e in same if any(c.names & names for c in e.claims))

    def fail(self, label: str, reason: str) -> None:
        """Turn a report into a failure, unless it is one."""
        self.amend(label, status="failed", reason=reason)

    def amend(self, label: str, **changes: str) -> None:
        """Change the report of an equation that has not failed."""
        for i, report in enumerate(self.reports):
            if report.label == label and report.status == "ok":
                self.reports[i] = replace(report, **changes)  # type: ignore[arg-type]


def failure(display: Display, error: EquationError) -> Report:
    """Report what is wrong, with the line and the sub-expression."""
    line, where = display.line, ""
    if error.node is not None and (text := quoted(display, error.node)):
        line = display.line_of(start(error.node))
        where = f" (in `{text}`)" if text not in str(error) else ""
    return Report(display.file, display.label, line, "failed", reason=f"{error}{where}")


def quoted(display: Display, node: Node | Token) -> str:
    """Quote a sub-expression, if it stands in this display."""
    try:
        return " ".join(display.latex[start(node) : end(node)].split())
    except AttributeError:  # a node that the checker made
        return ""


def check_text(text: str, file: str = "text") -> Chapter:
    """Check the equations of a text; see `check_files`.

    Parameters
    ----------
    text
        MyST Markdown.
    file
        Where it comes from: its worlds are in the folder ``worlds`` beside it.

    Returns
    -------
    Chapter
        Its `reports` say how each equation fared.
    """
    chapter = Chapter(file)
    try:
        chapter.displays = list(displays(text, file))
    except EquationError as error:
        chapter.reports = [Report(file, "", error.line, "failed", reason=str(error))]
    chapter.check()
    return chapter


def check_files(paths: Iterable[str | Path]) -> list[Chapter]:
    """Check the equations of chapters.

    Parameters
    ----------
    paths
        MyST Markdown files, anywhere.

    Returns
    -------
    list of Chapter
        One for each file; their `reports` say how each equation fared.

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    chapters = [check_file(path) for path in dict.fromkeys(map(str, paths))]
    counts = Counter(label for chapter in chapters for label in chapter.equations)
    for chapter in chapters:
        for label in chapter.equations:
            if counts[label] > 1:
                chapter.fail(label, "this label is given in two files")
    return chapters


def check_file(path: str) -> Chapter:
    """Check the equations of one file."""
    try:
        return check_text(Path(path).read_text("utf-8"), path)
    except UnicodeDecodeError:
        report = Report(path, "", 1, "failed", reason="is not text in UTF-8")
        return Chapter(path, reports=[report])


def problems(chapters: Iterable[Chapter]) -> list[str]:
    """List what is wrong with a whole run, failed equations apart."""
    reports = [r for c in chapters for r in c.reports]
    skipped = sum(r.status == "skipped" for r in reports)
    if skipped <= SKIPPED_AT_MOST * len(reports):
        return []
    return [
        f"{skipped} of {len(reports)} equations are skipped; "
        f"at most {SKIPPED_AT_MOST:.0%} may be"
    ]
