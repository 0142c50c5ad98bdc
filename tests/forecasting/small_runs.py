"""Small runs of every kind, and the file that holds their numbers.

A record says with which settings it was made, so its numbers must be what the code of
today gives for them. These runs are small enough to repeat in every test; their
learning rates are large, so that after two epochs any change of a gradient, of a start
or of the order of batches shows in the losses.

Run as a program it writes the numbers anew::

    python -m tests.forecasting.small_runs
"""

import json
import sys
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnn_companion import Experiment, Prices, run
from rnn_companion.forecasting.records import RESULTS
from rnn_companion.tasks import adding, clock, lessons, memory, text, watch

FILE = Path(__file__).with_name("results.json")
COMMAND = "python -m tests.forecasting.small_runs"
WHAT_TO_DO = (
    "If the change of numbers is meant, older records no longer hold: raise "
    "RESULTS[{kind!r}] in rnn_companion/forecasting/records.py and write the numbers "
    f"anew by `{COMMAND}`. If it is not meant, the last change of the code is wrong."
)

Numbers = dict[str, Any]  # lists of floats; a text where characters were written

CELLS = ("rnn", "lstm", "gru")
LAYOUTS = {  # length and horizon
    "one-to-one": (1, 1),
    "one-to-many": (1, 3),
    "many-to-one": (3, 1),
    "many-to-many-shifted": (3, 2),
    "many-to-many-aligned": (3, 1),
}
RATES = {"adam": 0.05, "sgd": 0.5, "rmsprop": 0.02}


# Tolerances


def tolerance(kind: str, what: str, settings: dict[str, Any]) -> dict[str, float]:
    """Return how far numbers may lie apart on another machine.

    Float32 rounds by 6e-8; another CPU adds up in another order, and the few steps
    of a small run multiply that by less than a thousand: 1e-4. A product in bfloat16
    rounds by 4e-3, so another order of adding may change the second digit. Records
    of trials and texts are rounded to four digits, of which the last may flip: 1e-3.
    Of a thousand validation samples a few may stand on the edge between two answers;
    of the eighty that a clock's entry counts, two.
    """
    if "accuracy" in what or what == "right":
        return {"rel": 0, "abs": 0.03 if kind == "clock" else 5e-3}
    if settings.get("precision") == "bfloat16":
        return {"rel": 3e-2, "abs": 1e-6}
    rounded = kind != "forecast" and what not in ("start", "end")
    return {"rel": 1.5e-3 if rounded else 1e-4, "abs": 1e-6}


def significant(values: Iterable[float]) -> list[float]:
    """Round to six significant digits."""
    return [float(f"{value:.6g}") for value in values]


def digest(tensors: Iterable[Tensor]) -> list[float]:
    """Return a number that changes with any entry, and with their order."""
    flat = torch.cat([tensor.detach().flatten() for tensor in tensors]).double()
    return significant([float(flat @ torch.linspace(1, 2, len(flat)).double())])


# Forecasts


def made_prices(days: int = 40) -> Prices:
    """Make prices that rise above all training days, so that a leak of them shows."""
    n = np.arange(days)
    close = 30 + 8 * np.sin(n / 3) + 3 * np.sin(1.7 * n) + n
    return Prices(pd.bdate_range("2020-01-01", periods=days), close, "made")


def experiment(cell: str, configuration: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    length, horizon = LAYOUTS[configuration]
    optimizer = more.get("optimizer", "adam")
    return {
        "cell": cell,
        "configuration": configuration,
        "length": length,
        "horizon": horizon,
        "hidden_size": 4,
        "learning_rate": RATES[optimizer],
        "epochs": 2,
        "batch_size": 8,
        **more,
    }


def forecast_settings() -> list[dict[str, Any]]:
    every = [
        experiment(cell, configuration, protocol=protocol, optimizer=optimizer)
        for cell, configuration, protocol, optimizer in product(
            CELLS, LAYOUTS, ("honest", "source"), RATES
        )
    ]
    one = partial(experiment, configuration="many-to-one")
    ahead = partial(experiment, configuration="many-to-many-shifted")
    changes: list[dict[str, Any]] = [
        {"layers": 2, "hidden_size": 3},
        {"clip": 0.1, "optimizer": "sgd"},
        {"batch_size": 7, "epochs": 3, "seed": 1, "protocol": "source"},
        {"length": 8, "hidden_size": 5, "training": 0.6},
    ]
    more = [one(cell, **change) for cell, change in product(CELLS, changes)]
    more += [ahead(cell, clip=0.1, layers=2, optimizer="rmsprop") for cell in CELLS]
    # not the LSTM: many CPUs have none in bfloat16
    more += [one("gru", precision="bfloat16"), ahead("rnn", precision="bfloat16")]
    more += [one("lstm", batch_size=size) for size in (1, 1000)]
    later: list[dict[str, Any]] = [
        {"training": 0.6, "test": 0.2},
        {"decay": "cosine", "epochs": 3},
        {"patience": 1, "epochs": 20, "training": 0.6, "test": 0.2},
    ]
    return (
        every + more + [one(cell, **change) for cell, change in product(CELLS, later)]
    )


def forecast(settings: dict[str, Any]) -> Numbers:
    record = run(Experiment(**settings), made_prices(), device="cpu", progress=False)
    assert record.forecasts is not None
    columns = record.forecasts.truth, record.forecasts.forecast
    test = record.test and {
        "test_mse_by_position": significant(record.test.mse_by_position),
        "test_persistence": significant(record.test.persistence_by_position),
    }
    return {
        "start": digest(Experiment(**settings).model().parameters()),
        "training_loss": significant(record.training_loss),
        "validation_loss": significant(record.validation_loss),
        "mse_by_position": significant(record.mse_by_position),
        "persistence_by_position": significant(record.persistence_by_position),
        "forecasts": digest(map(torch.tensor, columns)),
        "range": significant([record.forecasts.minimum, record.forecasts.maximum]),
        **(test or {}),
    }


# Palindromes


def trial_settings() -> list[dict[str, Any]]:
    small = {"length": 3, "hidden_size": 5, "batch_size": 16, "steps": 12}
    every = [
        {"cell": cell, "encoding": encoding, "start": start, **small}
        for cell, encoding, start in product(
            CELLS, ("scalar", "one-hot"), ("uniform", "orthogonal")
        )
    ]
    more: list[dict[str, Any]] = [
        {"cell": "lstm", "forget_bias": 1.0},
        {"cell": "lstm", "forget_bias": 4.0, "start": "orthogonal"},
        {"cell": "rnn", "encoding": "one-hot", "clip": 0.05, "length": 4},
        {"cell": "gru", "seed": 1, "steps": 52, "learning_rate": 2e-3},  # two checks
    ]
    return [{"learning_rate": 0.02, **s} for s in every + [small | m for m in more]]


def trial(settings: dict[str, Any]) -> Numbers:
    small = memory.Trial(**settings)
    checks = memory.run_trial(small, device="cpu", progress=False).checks
    return {
        "start": digest(small.model().parameters()),
        "steps": list(checks.step),
        "training_loss": list(checks.training_loss),
        "training_accuracy": list(checks.training_accuracy),
        "validation_loss": list(checks.validation_loss),
        "validation_accuracy": list(checks.validation_accuracy),
        "gradient_norm": list(checks.gradient_norm),
    }


# Characters


def made_corpus() -> text.Corpus:
    """Make a text of 1200 characters whose words come in no simple order."""
    words = ("net ", "of ", "cells\n", "and ", "gates ", "opens ")
    chosen = "".join(words[n * n % 7 % 6] for n in range(400))
    return text.Corpus(chosen[:1200], name="made")


def text_settings() -> list[dict[str, Any]]:
    small = {
        "length": 4,
        "hidden_size": 5,
        "layers": 1,
        "batch_size": 3,
        "learning_rate": 0.02,
        "steps": 12,
        "mark_every": 12,
    }
    changes: list[dict[str, Any]] = [
        {"optimizer": "rmsprop"},
        {"optimizer": "adam", "training": 1.0},
        {"optimizer": "sgd", "learning_rate": 2.0, "temperature": 2.0},
        {"optimizer": "sgd", "learning_rate": 2.0, "clip": 0.05},
        {"layers": 2, "hidden_size": 4, "temperature": 0.5, "seed": 1},
        {"decay_every": 3, "decay": 0.5, "mark_every": 5},
    ]
    return [small | change for change in changes]


def character_training(settings: dict[str, Any]) -> Numbers:
    corpus, training = made_corpus(), text.TextTraining(**settings)
    model, record = text.train(training, corpus, device="cpu", progress=False)
    marks = record.marks
    validated = [m for m in marks if m.validation_loss is not None]
    return {
        "start": digest(training.model(corpus.vocabulary).parameters()),
        "end": digest(model.parameters()),
        "steps": [mark.step for mark in marks],
        "training_loss": list(record.training_loss),
        "training_accuracy": list(record.training_accuracy),
        "loss": [mark.loss for mark in marks],
        "mean_loss": [mark.mean_loss for mark in marks],
        "validation_loss": [mark.validation_loss for mark in validated],
        "validation_accuracy": [mark.validation_accuracy for mark in validated],
        "context_loss": list(marks[-1].context_loss),
        "written": marks[-1].written,
    }


# Sums


def adding_settings() -> list[dict[str, Any]]:
    small = {"length": 4, "hidden_size": 3, "batch_size": 8, "steps": 6}
    changes: list[dict[str, Any]] = [
        {"cell": "rnn"},
        {"cell": "rnn", "start": "orthogonal", "clip": 0.05},
        {"cell": "lstm", "seed": 1},
        {"cell": "lstm", "forget_bias": 3.0, "learning_rate": 0.05},
    ]
    return [small | change for change in changes]


def addition(settings: dict[str, Any]) -> Numbers:
    (record,), (model,) = adding.learn([adding.Adding(**settings)], device="cpu")
    return {
        "start": digest(adding.Adding(**settings).model().parameters()),
        "end": digest(model.parameters()),
        "steps": list(record.step),
        "error": list(record.error),
    }


# Clocks, and lessons with remedies


def clock_settings() -> list[dict[str, Any]]:
    small = {"steps": 20, "batch_size": 4, "learning_rate": 0.03}
    cells: list[dict[str, Any]] = [
        {"cell": "lstm"},
        {"cell": "lstm", "spread": True, "seed": 1},
        {"cell": "phased-lstm", "shortest": 2.0, "longest": 30.0, "r_on": 0.3},
    ]
    return [{"task": t, **small, **c} for t, c in product(clock.TASKS, cells)]


def clock_trial(settings: dict[str, Any]) -> Numbers:
    (record,) = clock.train([clock.ClockTrial(**settings)], device="cpu")
    return {"accuracy": list(record.accuracy), "loss": list(record.loss)}


def lesson_settings() -> list[dict[str, Any]]:
    small = {"length": 4, "hidden_size": 5, "steps": 24, "batch_size": 8}
    changes: list[dict[str, Any]] = [
        {"start": "gaussian", "seed": 1},
        {"start": "identity", "radius": 1.0},
        {"threshold": 0.1},
        {"optimizer": "adam", "learning_rate": 0.02},
        {"l1": 0.05},
        {"l2": 0.3, "threshold": 1.0},
    ]
    return [small | change for change in changes]


def lesson(settings: dict[str, Any]) -> Numbers:
    (record,) = lessons.train([watch.Lesson(**settings)], device="cpu")
    ends = {"first": [record.first], "last": [record.last], "right": [record.right]}
    return ends | {"largest": [record.largest], "left": [record.left]}


# All of them

KINDS: dict[
    str,
    tuple[Callable[[], list[dict[str, Any]]], Callable[[dict[str, Any]], Numbers]],
] = {
    "forecast": (forecast_settings, forecast),
    "memory": (trial_settings, trial),
    "text": (text_settings, character_training),
    "adding": (adding_settings, addition),
    "clock": (clock_settings, clock_trial),
    "lesson": (lesson_settings, lesson),
}


def name_of(settings: dict[str, Any]) -> str:
    """Name a run by all its settings, as they stand in a record."""
    return json.dumps(settings, sort_keys=True)


def runs() -> list[tuple[str, str]]:
    """List kind and name of every small run."""
    return [(kind, name_of(s)) for kind, (make, _) in KINDS.items() for s in make()]


def numbers(kind: str, name: str) -> Numbers:
    """Run a small run."""
    return KINDS[kind][1](json.loads(name))


def differences(kind: str, name: str, found: Numbers, stored: Numbers) -> list[str]:
    """Say what of a run's numbers lies apart from the stored ones."""
    return [
        f"{what}: {found.get(what)} now, {stored.get(what)} stored"
        for what in sorted(found.keys() | stored.keys())
        if not _close(
            found.get(what),
            stored.get(what),
            **tolerance(kind, what, json.loads(name)),
        )
    ]


def _close(found: Any, stored: Any, *, rel: float, abs: float) -> bool:  # noqa: ANN401
    if not (isinstance(found, list) and isinstance(stored, list)):
        return bool(found == stored)
    return len(found) == len(stored) and bool(np.allclose(found, stored, rel, abs))


def read() -> dict[str, Any]:
    """Read the versions of the results, and the numbers of each kind by name."""
    stored: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return stored


def write() -> None:
    """Write all numbers, unless some changed and the version did not."""
    stored = read() if FILE.exists() else {"versions": {}}
    lines = []
    for kind in KINDS:
        new = {name: numbers(k, name) for k, name in runs() if k == kind}
        old = stored.get(kind, {})
        changed = [n for n in new if n in old and differences(kind, n, new[n], old[n])]
        if changed and stored["versions"].get(kind, 0) >= RESULTS[kind]:
            sys.exit(
                f"{len(changed)} runs give other numbers: raise RESULTS[{kind!r}] in "
                "rnn_companion/forecasting/records.py first"
            )
        rows = (f"{json.dumps(n)}: {json.dumps(v)}" for n, v in new.items())
        lines.append(f'"{kind}": {{\n' + ",\n".join(rows) + "\n}")
    versions = f'"versions": {json.dumps(RESULTS)}'
    FILE.write_text("{\n" + ",\n".join([versions, *lines]) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
