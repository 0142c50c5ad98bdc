"""What a check found out about a sentence."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

Verdict = Literal["holds", "holds if", "wrong", "cannot be decided", "judged"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Finding:
    """A verdict with its evidence.

    Parameters
    ----------
    verdict
        What became of the sentence.
    ran
        What was run, on what.
    found
        The number found, in words.
    allowed
        The numbers that would have let the sentence hold.
    n
        Over how many independent trials (seeds, days, draws); 0 where nothing varies.
    chance
        How often chance alone would give as much.
    because
        The condition of "holds if", or the reason of "judged" and "cannot be decided".
    """

    verdict: Verdict
    ran: str
    found: str = ""
    allowed: str = ""
    n: int = 0
    chance: float | None = None
    because: str = ""

    @property
    def holds(self) -> bool:
        """Whether the sentence holds as it stands."""
        return self.verdict == "holds"

    def rows(self) -> dict[str, str]:
        """List what a reader is shown, by its heading."""
        chance = "" if self.chance is None else f"{self.chance:.2g}"
        what = "if" if self.verdict == "holds if" else "reason"
        told = {
            what: self.because,
            "ran": self.ran,
            "found": self.found,
            "allowed": self.allowed,
            "n": str(self.n or ""),
            "by chance": chance,
        }
        return {name: text for name, text in told.items() if text}


def judged(reason: str) -> Finding:
    """Say why a sentence is judged by reading it: there is nothing to run."""
    return Finding("judged", "", because=reason)


def undecided(reason: str, ran: str = "") -> Finding:
    """Say why a sentence cannot be decided with what is at hand."""
    return Finding("cannot be decided", ran, because=reason)


def every(*findings: Finding) -> Finding:
    """Join findings: the sentence holds if each part does."""
    failed = [f for f in findings if not f.holds]
    chances = [f.chance for f in findings if f.chance is not None]
    return Finding(
        "wrong" if failed else "holds",
        _joined(f.ran for f in failed or findings),
        _joined(f.found for f in failed or findings),
        _joined(f.allowed for f in failed or findings),
        min((f.n for f in findings if f.n), default=0),
        max(chances, default=None),
    )


def holds_if(condition: str, met: Finding, unmet: Finding) -> Finding:
    """Judge a sentence under a condition that it does not state.

    It holds as it stands if it holds where the condition is not met too, and is
    wrong if it fails where the condition is met.
    """
    if met.holds and not unmet.holds:
        found = f"{met.found}; otherwise {unmet.found}"
        return replace(met, verdict="holds if", because=condition, found=found)
    return every(met, unmet)


def trial(said: Finding, right: Finding) -> Finding:
    """Judge what a source says beside the right form of it.

    Wrong needs both: what is said fails, and the right form holds.
    """
    if said.holds:
        return said
    if not right.holds:
        return undecided(f"the right form fails too: {right.found}", said.ran)
    found = f"as said: {said.found}; the right form: {right.found}"
    return replace(said, found=found)


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(t for t in texts if t))
