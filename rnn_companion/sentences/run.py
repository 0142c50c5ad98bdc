"""Run the claims of a book."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnn_companion.claims.finding import Finding, undecided
from rnn_companion.claims.registry import Claim, ClaimError


@dataclass(frozen=True)
class Result:
    """A claim that was run; `problem` says what is wrong, if anything is."""

    claim: Claim
    finding: Finding
    seconds: float
    problem: str = ""

    def __str__(self) -> str:
        said = ", ".join(f"{k}: {v}" for k, v in self.finding.rows().items())
        place = f"{self.claim.file}:{self.claim.line}: {self.claim.id}"
        what = self.problem or self.finding.verdict
        return f"{place}: {what}; {said} ({self.seconds:.1f} s)"

    def as_json(self) -> dict[str, Any]:
        """Turn into what ``--json`` prints and the build keeps."""
        claim, source = self.claim, self.claim.source
        return {
            "id": claim.id,
            "sentence": claim.sentence,
            "file": claim.file,
            "line": claim.line,
            "said": claim.said,
            "formula": claim.formula,
            "source": asdict(source) if source else None,
            "verdict": self.finding.verdict,
            "rows": self.finding.rows(),
            "problem": self.problem,
            "seconds": round(self.seconds, 2),
        }


def files_of(book: Path) -> list[Path]:
    """List the files of claims beside a book's pages, without what they share."""
    return sorted(p for p in (book / "claims").glob("*.py") if p.stem[0] != "_")


def load_claims(path: Path) -> list[Claim]:
    """Import a file of claims, and list them in its order.

    Raises
    ------
    ClaimError
        If the file does not run.
    """
    from rnn_companion.equations import EquationError
    from rnn_companion.equations.worlds import import_file

    try:
        module = import_file(path.resolve())
    except EquationError as error:
        raise ClaimError(str(error)) from error
    return [made for made in vars(module).values() if isinstance(made, Claim)]


def book_claims(book: Path) -> list[Claim]:
    """Load the claims of a book.

    Raises
    ------
    ClaimError
        If two have one id.
    """
    found: dict[str, Claim] = {}
    for path in files_of(book):
        for made in load_claims(path):
            if made.id in found:
                raise ClaimError(f"{path}: there is a claim {made.id} already")
            found[made.id] = made
    return list(found.values())


def examine(claim: Claim) -> Result:
    """Run a claim, and hold its verdict against the expected one."""
    began, problem = time.perf_counter(), ""
    try:
        finding = claim.run()
    except Exception as error:  # whatever a check does; the others are run
        problem = f"does not run: {type(error).__name__}: {error}"
        finding = undecided(problem)
    seconds = time.perf_counter() - began
    if not problem and finding.verdict != claim.expected:
        problem = f"is said to be “{claim.expected}”, and is “{finding.verdict}”"
    return Result(claim, finding, seconds, problem)


def survey(claims: Iterable[Claim], share: float) -> tuple[str, list[str]]:
    """Plant every falsehood.

    Parameters
    ----------
    claims
        The claims.
    share
        How many must be noticed, of all.

    Returns
    -------
    table : str
        How many were, by file.
    missed : list of str
        Those that were not, if they are too many.
    """
    files: dict[str, list[bool]] = {}
    missed: list[str] = []
    for claim in claims:
        noticed = claim.noticed()
        files.setdefault(Path(claim.file).name, []).extend(noticed)
        missed += [
            f"{claim.file}:{claim.line}: {claim.id}: falsehood {n + 1} is not noticed"
            for n, seen in enumerate(noticed)
            if not seen
        ]
    rows = [score(name, seen) for name, seen in files.items()]
    everything = [seen for one in files.values() for seen in one]
    enough = sum(everything) >= share * len(everything)
    return "\n".join([*rows, score("all", everything)]), [] if enough else missed


def score(name: str, noticed: Sequence[bool]) -> str:
    """Write one line of the table."""
    return f"{name:28} {sum(noticed):4} of {len(noticed):4} falsehoods noticed"
