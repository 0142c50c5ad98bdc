"""The trials that chapter 7 rests on, and how they are run side by side.

Source: chapter *How long is the memory?*, sections *The trials* and *Start, rate and
cell, one by one*.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from rnn_companion.forecasting.forecaster import GATES
from rnn_companion.forecasting.grid import complete
from rnn_companion.forecasting.records import RecordFile
from rnn_companion.tasks.memory import Trial, TrialRecord, run_trial

__all__ = [
    "RATES",
    "RECIPES",
    "STARTS",
    "factorial",
    "more_seeds",
    "recipe_of",
    "recorded",
    "run_trials",
    "trials",
]

# What the chapter changes, one thing at a time, from the assignment's settings.
RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "rnn": {
        "as assigned": {},
        "one-hot": {"encoding": "one-hot"},
        "one-hot, orthogonal": {"encoding": "one-hot", "start": "orthogonal"},
        "one-hot, orthogonal, small steps": {
            "encoding": "one-hot",
            "start": "orthogonal",
            "learning_rate": 2e-4,
        },
        "orthogonal, small steps": {"start": "orthogonal", "learning_rate": 2e-4},
    },
    "lstm": {
        "as assigned": {},
        "forget bias 1": {"forget_bias": 1.0},
        "one-hot, forget bias 1": {"encoding": "one-hot", "forget_bias": 1.0},
        "one-hot, forget bias 4": {"encoding": "one-hot", "forget_bias": 4.0},
    },
}

_ASSIGNED, _OURS = 10_000, 5_000  # steps: every change gets half of the assignment's
_SWEEP: list[tuple[str, str, tuple[int, ...], int]] = [
    ("rnn", "as assigned", (5, 10, 15, 20, 30), _ASSIGNED),
    ("rnn", "one-hot", (20,), _OURS),
    ("rnn", "one-hot, orthogonal", (20,), _OURS),
    ("rnn", "one-hot, orthogonal, small steps", (20, 30, 50), _OURS),
    ("rnn", "orthogonal, small steps", (30,), _OURS),
    ("lstm", "as assigned", (5, 10, 15, 20), _ASSIGNED),
    ("lstm", "forget bias 1", (20,), _OURS),
    ("lstm", "one-hot, forget bias 1", (30,), _OURS),
    ("lstm", "one-hot, forget bias 4", (50,), _OURS),
]


def trials(seeds: Iterable[int] = range(3)) -> list[Trial]:
    """List the trials of the chapter.

    Parameters
    ----------
    seeds : iterable of int
        Each trial is run once for each.

    Returns
    -------
    list of Trial
        The assignment's settings at 5 to 30 digits (20 with an LSTM), and every
        recipe at the lengths that the chapter compares.
    """
    return [
        replace(
            Trial(cell=cell, length=length, steps=steps, seed=seed),
            **RECIPES[cell][recipe],
        )
        for cell, recipe, lengths, steps in _SWEEP
        for length, seed in product(lengths, tuple(seeds))
    ]


# What is run with more seeds: cell, recipe and length.
_MORE = {
    ("rnn", "one-hot, orthogonal, small steps", 20): range(3, 10),
    ("rnn", "one-hot, orthogonal, small steps", 30): range(3, 10),
    ("rnn", "as assigned", 15): range(3, 6),
}


def more_seeds() -> list[Trial]:
    """List the trials that the chapter runs beyond the three seeds of `trials`.

    Returns
    -------
    list of Trial
        The RNN as assigned at 15 digits; with one-hot digits, an orthogonal start and
        small steps at 20 and 30.
    """
    return [
        trial
        for trial in trials(range(3, 10))
        if trial.seed in _MORE.get((trial.cell, recipe_of(trial), trial.length), ())
    ]


# What `factorial` combines: each cell from torch's start and from a better one.
STARTS: dict[str, dict[str, dict[str, Any]]] = {
    "rnn": {"torch's": {}, "changed": {"start": "orthogonal"}},
    "lstm": {"torch's": {}, "changed": {"forget_bias": 1.0}},
}
RATES = (2e-4, 1e-3)


def factorial(seeds: Iterable[int] = range(10)) -> list[Trial]:
    """List small trials that combine every start, rate and cell.

    Only what is combined differs from one to the other: 15 one-hot digits, 32 units,
    32 palindromes a step and at most 800 steps.

    Parameters
    ----------
    seeds : iterable of int
        Each combination is run once for each.

    Returns
    -------
    list of Trial
        By cell, start, rate and seed, the last changing fastest.
    """
    drawn = tuple(seeds)
    return [
        Trial(
            cell=cell,
            length=15,
            encoding="one-hot",
            hidden_size=32,
            batch_size=32,
            steps=800,
            learning_rate=rate,
            seed=seed,
            **changes,
        )
        for cell, starts in STARTS.items()
        for changes in starts.values()
        for rate, seed in product(RATES, drawn)
    ]


def recipe_of(trial: Trial) -> str:
    """Name the recipe that a trial follows, or ``"other"``."""
    plain = Trial(
        cell=trial.cell, length=trial.length, steps=trial.steps, seed=trial.seed
    )
    for name, changes in RECIPES.get(trial.cell, {}).items():
        if trial == replace(plain, **changes):
            return name
    return "other"


def cost(trial: Trial) -> int:
    """Estimate the work of a trial that is not solved early."""
    return trial.steps * trial.length * GATES[trial.cell]


def run_trials(
    trials: Sequence[Trial],
    *,
    device: str = "auto",
    **options: Any,  # noqa: ANN401 - `complete` names them
) -> list[TrialRecord]:
    """Run trials side by side, and go on where an earlier call was stopped.

    Parameters
    ----------
    trials : sequence of Trial
        Started in this order.
    device : str
        See `choose_device`.
    **options
        Such as `out` and `workers`, as in `rnn_companion.forecasting.grid.run_all`.

    Returns
    -------
    list of TrialRecord
        In the order asked for.

    Raises
    ------
    GridError
        If trials failed: names the first and its reason, after all others are done.
    RecordFileError
        If `out` is torn or foreign.
    """
    return complete(
        trials,
        partial(_run_batch, device=device),
        TrialRecord,
        "",
        cost=cost,
        device=device,
        **options,
    )


def _run_batch(batch: tuple[Trial, ...], device: str) -> list[TrialRecord]:
    return [run_trial(trial, device=device, progress=False) for trial in batch]


def recorded(
    path: str | Path, trials: Iterable[Trial], *, gaps: bool = False
) -> list[TrialRecord]:
    """Look trials up in a record file.

    The parameters are those of `rnn_companion.forecasting.grid.recorded`.

    Returns
    -------
    list of TrialRecord
        Of this version of the results, in the order in which they were run.

    Raises
    ------
    MissingRecordError
        If one is missing: names it, and the command that makes it.
    RecordFileError
        If the file is torn or foreign.
    """
    wanted = list(trials)
    few = {" --factorial": factorial(), " --more-seeds": more_seeds()}
    kind = next((name for name, own in few.items() if set(wanted) & set(own)), "")
    command = f"rnn-companion palindromes{kind} --out {path}"
    file = RecordFile(path, TrialRecord)
    found = file.find(wanted, "", command=command, gaps=gaps)
    return sorted(found.values(), key=lambda record: record.provenance.date)
