"""The remedies of chapter 3 in one trial, and its records.

Source: chapter *Exploding and vanishing gradients*, section *The remedies in one
trial*.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch

from rnn_companion.devices import choose_device
from rnn_companion.forecasting.grid import complete
from rnn_companion.forecasting.records import (
    Provenance,
    RecordFile,
    RunRecord,
    rounded,
)
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.tasks.memory import encode, palindromes
from rnn_companion.tasks.watch import Lesson, Watched, accuracy, reach, watch_lessons

__all__ = [
    "BASE",
    "CHANGES",
    "PENALTIES",
    "SOME",
    "STEPS",
    "LessonRecord",
    "forecasts",
    "head_and_tail",
    "recorded",
    "run_lessons",
    "trial",
]

BASE = Lesson(length=20, hidden_size=32, batch_size=32, steps=200)  # eta = 0.1
CHANGES: dict[str, dict[str, Any]] = {
    "base": {},
    "Gaussian start": {"start": "gaussian"},
    "radius 1": {"radius": 1.0},
    "radius 1, identity": {"radius": 1.0, "start": "identity"},
    "radius 0.58": {"radius": 0.58},
    **{f"L2, λ = {x:g}": {"l2": x} for x in (0.5, 0.05, 0.005)},
    **{f"L1, λ = {x:g}": {"l1": x} for x in (0.06, 0.006, 0.0006)},
}
STEPS: dict[str, dict[str, Any]] = {
    f"η = {x:g}": {"learning_rate": x} for x in (0.03, 0.01, 0.003)
} | {
    f"Adam, η = {x:g}": {"optimizer": "adam", "learning_rate": x}
    for x in (0.001, 0.003, 0.01)
}
PENALTIES: dict[str, dict[str, Any]] = {
    "none": {},
    "clipping at 0.1": {"clip": 0.1},
    "orthogonal start": {"start": "orthogonal"},
    "L2 penalty, λ = 0.01": {"l2": 0.01},
    "L1 penalty, λ = 0.001": {"l1": 0.001},
}
SOME = 20  # steps over which a loss is averaged


def trial(seeds: Iterable[int] = range(6)) -> dict[tuple[str, str], list[Lesson]]:
    """List the lessons of the trial, by what is changed and whether it is clipped.

    Parameters
    ----------
    seeds : iterable of int
        Each is run once for each.

    Returns
    -------
    dict
        By name of the change and ``"alone"`` or ``"clipped"``, one lesson a seed.
    """
    rows = {(name, "alone"): row for name, row in (CHANGES | STEPS).items()}
    rows |= {(n, "clipped"): row | {"threshold": 1.0} for n, row in CHANGES.items()}
    drawn = tuple(seeds)
    return {
        key: [replace(BASE, seed=seed, **row) for seed in drawn]
        for key, row in rows.items()
    }


def forecasts(
    lengths: Iterable[int] = (7, 50, 100), seeds: Iterable[int] = range(3)
) -> dict[int, dict[str, list[Experiment]]]:
    """List the forecasts with and without remedies, by length and remedy."""
    drawn = tuple(seeds)
    return {
        T: {
            name: [
                Experiment(
                    length=T,
                    hidden_size=32,
                    epochs=4,
                    batch_size=128,
                    learning_rate=0.008,
                    gradient_norms=True,
                    seed=seed,
                    **row,
                )
                for seed in drawn
            ]
            for name, row in PENALTIES.items()
        }
        for T in lengths
    }


@dataclass(frozen=True)
class LessonRecord(RunRecord):
    """What became of one network that learned palindromes.

    Parameters
    ----------
    settings : dict
        The lesson's settings, the seed among them.
    first, last : float
        Mean loss of the first, and of the last twenty steps.
    largest : float
        Largest norm of the gradient, before clipping.
    right : float
        Share of 1000 new palindromes that are told rightly.
    left : float
        Median norm of the derivative of the last state by the start, for two
        palindromes.
    provenance : Provenance
        Device, versions, time. The data are the task itself.
    """

    kind: ClassVar[str] = "lesson"
    made_from: ClassVar[type[Any]] = Lesson

    settings: dict[str, Any]
    first: float
    last: float
    largest: float
    right: float
    left: float
    provenance: Provenance

    @property
    def lesson(self) -> Lesson:
        """The settings as a lesson, to run it again."""
        return Lesson(**self.settings)


def head_and_tail(watched: Watched) -> tuple[float, float]:
    """Return the mean loss of the first steps, and of the last, as a record has it."""
    first, last = watched.losses[:SOME].mean(), watched.losses[-SOME:].mean()
    return float(f"{first:.6g}"), float(f"{last:.6g}")


def train(lessons: Sequence[Lesson], *, device: str = "auto") -> list[LessonRecord]:
    """Train networks side by side, see `watch_lessons`, and look at each.

    Parameters
    ----------
    lessons : sequence of Lesson
        Of one length, hidden size, batch size and number of steps.
    device : str
        See `choose_device`.

    Returns
    -------
    list of LessonRecord

    Raises
    ------
    ValueError
        If there is no lesson, or sizes or steps differ.
    """
    started, place = time.perf_counter(), choose_device(device)
    trained = watch_lessons(lessons, device=device)
    draws = torch.Generator().manual_seed(1)
    probe = encode(palindromes(lessons[0].length, 2, generator=draws)[0], "one-hot")
    made = Provenance.of_run(
        LessonRecord.kind, "palindromes", "", place, started, share=len(lessons)
    )
    return [
        LessonRecord(
            asdict(lesson),
            *head_and_tail(watched),
            largest=rounded(float(watched.total.max())),
            right=accuracy(model, device=device),
            left=rounded(float(reach(model, probe, device=device)[:, -1].median())),
            provenance=made,
        )
        for lesson, (model, watched) in zip(lessons, trained, strict=True)
    ]


def run_lessons(
    lessons: Sequence[Lesson],
    *,
    device: str = "auto",
    **options: Any,  # noqa: ANN401 - `complete` names them
) -> list[LessonRecord]:
    """Train networks side by side and go on where an earlier call was stopped.

    Parameters
    ----------
    lessons : sequence of Lesson
        As for `train`.
    device : str
        See `choose_device`.
    **options
        Such as `out` and `workers`, as in `rnn_companion.forecasting.grid.run_all`.

    Returns
    -------
    list of LessonRecord
        In the order asked for.

    Raises
    ------
    GridError
        If one failed: names the first and its reason, after all others are done.
    RecordFileError
        If `out` is torn or foreign.
    """
    return complete(
        lessons,
        partial(train, device=device),
        LessonRecord,
        "",
        cost=lambda lesson: lesson.steps,
        device=device,
        together=lambda todo, _: [tuple(todo)],
        **options,
    )


def recorded(path: str | Path, lessons: Iterable[Lesson]) -> list[LessonRecord]:
    """Look lessons up in a record file.

    Raises
    ------
    MissingRecordError
        If one is missing: names it, and the command that makes it.
    RecordFileError
        If the file is torn or foreign.
    """
    command = "python -m benchmarks.records --chapters"
    found = RecordFile(path, LessonRecord).find(lessons, "", command=command)
    return list(found.values())
