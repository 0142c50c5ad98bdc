"""One submission, cell by cell, in kernels of a sandbox.

A cell that hangs or ends its kernel costs that cell: a fresh kernel repeats the
others.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from rnn_companion.homework.sandbox import Died, Sandbox, Session

Kind = Literal["run", "give", "test", "hidden"]


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


class Run:
    """One submission in its kernels: a fresh one after each that ended.

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
        verb = "test" if step.kind == "hidden" else step.kind
        try:
            reply = self._ask(**{verb: step.source})
        except Died as death:
            self.deadly.add(step)
            self.close()
            reply = {"error": _death(death)}
        return Outcome(step.name, step.kind, step.source, **reply)

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
        self.restart()
        try:
            error = self._ask(back=name)["error"]
        except Died as death:
            error = _death(death)
        if error:
            return Outcome(name, "hidden", source, error)
        return self.outcome(Step("hidden", name, source))

    def restart(self) -> None:
        """Start a kernel and run all steps in it, if there is none."""
        if self.session is None:
            self._repeat(self.steps)

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
        """Run steps again in a fresh kernel, without those that ended one."""
        for step in steps:
            if step in self.deadly:
                continue
            self.outcome(step)
            if self.session is None:  # ended by this step; the next round skips it
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
