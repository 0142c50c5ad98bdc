"""The parts of `benchmarks.gpu`: what each measures, and what follows from it.

Each part takes what an earlier call found of it, adds to its rows and saves each.
"""

import argparse
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks import contenders
from benchmarks.records import record
from benchmarks.speed import peak_memory, strays, take_turns, timed
from rnn_companion import __version__
from rnn_companion.devices import choose_device
from rnn_companion.forecasting.experiment import fit, fit_side_by_side
from rnn_companion.forecasting.gpu_table import gpu_table
from rnn_companion.forecasting.grid import grid, recorded
from rnn_companion.forecasting.prices import Prices, load_prices
from rnn_companion.forecasting.records import MissingRecordError, Record
from rnn_companion.forecasting.settings import Experiment

REPOSITORY = Path(__file__).parent.parent
ALIGNED = "many-to-many-aligned"
SIDE_BY_SIDE = 10

Found = dict[str, Any]
Save = Callable[[], None]


class NotRunError(RuntimeError):
    """A part cannot be run here."""


@dataclass(frozen=True)
class Plan:
    """What to measure, on what, and where to write it."""

    out: Path
    device: str
    prices: Prices
    workers: int | None
    tiny: bool

    @classmethod
    def of(cls, settings: argparse.Namespace) -> "Plan":
        """Take the arguments of the command; a ValueError says what is wrong."""
        device, prices = choose_device(settings.device), load_prices(settings.data)
        return cls(settings.out, str(device), prices, settings.workers, settings.tiny)

    @property
    def changed(self) -> dict[str, Any]:
        """Settings of all networks that are not the report's."""
        return {"hidden_size": 8, "epochs": 2} if self.tiny else {}

    @property
    def lengths(self) -> tuple[tuple[int, ...], ...]:
        """Lengths of the windows, cheapest first."""
        return ((3,), (5,)) if self.tiny else ((3, 7), (50,), (100,))

    @property
    def seeds(self) -> range:
        """Seeds of the records."""
        return range(2 if self.tiny else 3)

    def machine(self) -> dict[str, Any]:
        """Name the device, the versions and the data."""
        cuda = torch.device(self.device).type == "cuda"
        name = torch.cuda.get_device_name(self.device) if cuda else platform.machine()
        cudnn = torch.backends.cudnn.version() if cuda else None
        return {
            "device": name,
            "kind": self.device,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": cudnn,
            "rnn_companion": __version__,
            "data": self.prices.name,
            "checksum": self.prices.checksum,
            "tiny": self.tiny,
        }

    def cells(self) -> list[Experiment]:
        """Lay out one network for each cell and length."""
        return [
            Experiment(
                cell=cell,
                length=length,
                configuration=ALIGNED,
                **{"epochs": 5} | self.changed,
            )
            for cell, length in product(("rnn", "lstm"), sum(self.lengths, ()))
        ]

    def grid(
        self, protocol: str, seeds: Sequence[int], lengths: Sequence[int]
    ) -> list[Experiment]:
        """Lay out the report's combinations of these seeds and lengths."""
        return grid(lengths=lengths, protocol=protocol, seeds=seeds, **self.changed)

    def record(self, experiments: Sequence[Experiment]) -> None:
        """Complete these records in the file of their protocol."""
        out = self.out / f"{experiments[0].protocol}-protocol.jsonl"
        record(out, self.prices, experiments, self.device, self.workers)

    def records(self, experiments: Sequence[Experiment]) -> dict[Experiment, Record]:
        """Look up those of these records that are there."""
        out = self.out / f"{experiments[0].protocol}-protocol.jsonl"
        try:
            return recorded(out, experiments, self.prices.checksum, gaps=True)
        except MissingRecordError:
            return {}

    def wait(self) -> None:
        """Wait until the device has done all it was given."""
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize()


def gpu_tests(plan: Plan, found: Found, save: Save) -> None:
    """Run the tests that need a GPU."""
    files = [
        str(path)
        for path in sorted((REPOSITORY / "tests").rglob("test_*.py"))
        if "@pytest.mark.gpu\n" in path.read_text()
        and not (plan.tiny and path.stem != "test_engine")
    ]
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*pytest, *files], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr
    counts = re.findall(r"(\d+) (passed|failed|skipped|error)", last)
    found["rows"] = [{what: int(number) for number, what in counts}]
    if done.returncode:
        found["output"] = (done.stdout + done.stderr)[-4000:]
        raise RuntimeError(f"the GPU tests ended with {last}")


def steps(plan: Plan, found: Found, save: Save) -> None:
    """Time a training step of each contender, by turns, and compare the losses."""
    rows = found.setdefault("rows", [])
    there = {(row["cell"], row["length"]) for row in rows}
    for experiment in plan.cells():
        if (experiment.cell, experiment.length) not in there:
            rows.append(_turns(plan, experiment))
            save()
    if astray := sorted({name for row in rows for name in row["strays"]}):
        raise RuntimeError(f"not the plain loop's loss: {', '.join(astray)}")


def _turns(plan: Plan, experiment: Experiment) -> dict[str, Any]:
    windows = experiment.split(plan.prices).training
    compiled = partial(
        contenders.exact_compiled, backend="eager" if plan.tiny else "inductor"
    )
    row: Found = {"cell": experiment.cell, "length": experiment.length, "why": {}}
    running = {}
    every: dict[str, contenders.Contender] = {
        "plain": contenders.exact_plain,
        "plain tf32": contenders.plain,
        "compiled": compiled,
        "ours": contenders.ours,
        "by hand": contenders.by_hand,
    }
    for name, make in every.items():
        try:  # a first epoch apart: a compiler may be missing
            next(make(replace(experiment, epochs=1), windows, plan.device))
        except Exception as error:
            row["why"][name] = f"{type(error).__name__}: {error}"[:300]
            continue
        running[name] = timed(make(experiment, windows, plan.device), time.perf_counter)
    taken = take_turns(experiment, windows, running)
    row["contenders"] = {name: asdict(one) for name, one in taken.items()}
    row["strays"] = sorted(strays(taken))
    return row


def whole_grid(plan: Plan, found: Found, save: Save) -> None:
    """Time the report's runs: the first of the records that the book takes."""
    experiments = plan.grid("honest", (0,), sum(plan.lengths, ()))
    started, before = time.perf_counter(), found.get("taken", 0.0)
    there = len(plan.records(experiments))
    timed_all = there == sum(row["runs"] for row in found.get("rows", []))
    try:
        if there < len(experiments):
            plan.record(experiments)
    finally:
        done = plan.records(experiments)
        share = sum(map(_steps, done)) / sum(map(_steps, experiments))
        taken = before + time.perf_counter() - started
        found |= {
            "rows": [{"runs": len(done), "of": len(experiments)}] if done else [],
            "taken": taken,
            "whole": taken / share if share and timed_all else None,
            "estimated": len(done) < len(experiments),
        }


def _steps(experiment: Experiment) -> int:
    """Count the steps through time, which take a GPU about as long for all cells."""
    return experiment.epochs * experiment.length


def seeds_side_by_side(plan: Plan, found: Found, save: Save) -> None:
    """Time ten seeds at once against one, and compare each with itself alone."""
    rows = found.setdefault("rows", [])
    there = {(row["cell"], row["length"]) for row in rows}
    lengths = (3, 5) if plan.tiny else (7, 50)
    for cell, length in product(("rnn", "lstm"), lengths):
        if (cell, length) in there:
            continue
        one = Experiment(
            cell=cell, length=length, configuration=ALIGNED, **plan.changed
        )
        rows.append({"cell": cell, "length": length, **_seeds(plan, one)})
        save()


def _seeds(plan: Plan, one: Experiment) -> dict[str, float]:
    every = [replace(one, seed=seed) for seed in range(SIDE_BY_SIDE)]
    known: dict[str, Any] = {
        "prices": plan.prices,
        "device": plan.device,
        "progress": False,
    }
    fit(replace(one, epochs=1), **known)  # warms up
    seconds: dict[str, list[float]] = {"one": [], "ten": []}
    for _ in range(2):
        started = time.perf_counter()
        fit(one, **known)
        plan.wait()
        half = time.perf_counter()
        together = fit_side_by_side(every, **known)
        plan.wait()
        seconds["one"].append(half - started)
        seconds["ten"].append(time.perf_counter() - half)
    off = 0.0
    for seed in (0, SIDE_BY_SIDE // 2, SIDE_BY_SIDE - 1):
        alone, beside = fit(every[seed], **known)[1], together[seed][1]
        for name in ("training_loss", "validation_loss"):
            pairs = zip(getattr(beside, name), getattr(alone, name), strict=True)
            off = max([off, *(abs(ours / theirs - 1) for ours, theirs in pairs)])
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {**medians, "off": off}


def memory(plan: Plan, found: Found, save: Save) -> None:
    """Measure the peak memory of the longest LSTM."""
    longest = Experiment(
        cell="lstm", length=plan.lengths[-1][-1], **plan.changed | {"epochs": 1}
    )
    megabytes = peak_memory(longest, plan.prices, plan.device)
    found["rows"] = [{"length": longest.length, "megabytes": round(megabytes)}]


def records(plan: Plan, found: Found, save: Save) -> None:
    """Make the records of every seed, cheapest first.

    The honest first seed, whose forecasts the book draws, apart from the others.
    """
    first, others = plan.seeds[:1], plan.seeds[1:]
    batches = [
        plan.grid(protocol, seeds, lengths)
        for lengths, (protocol, seeds) in product(
            plan.lengths,
            [("honest", first), ("source", plan.seeds), ("honest", others)],
        )
    ]
    wanted = sum(map(len, batches))
    try:
        for experiments in batches:
            plan.record(experiments)
    finally:
        done = sum(len(plan.records(experiments)) for experiments in batches)
        found["rows"] = [{"runs": done, "of": wanted}] if done else []


PARTS: dict[str, Callable[[Plan, Found, Save], None]] = {
    "tests": gpu_tests,
    "steps": steps,
    "grid": whole_grid,
    "seeds": seeds_side_by_side,
    "memory": memory,
    "records": records,
}


def goals(parts: dict[str, Found]) -> dict[str, dict[str, Any]]:
    """Say of each goal what was found, and whether it is met; None if not known."""
    short = [
        _plain(row) / row["contenders"]["ours"]["ms"]
        for row in parts.get("steps", {}).get("rows", [])
        if row["length"] <= 50 and "ours" in row["contenders"]
    ]
    seeds = [r["ten"] / r["one"] for r in parts.get("seeds", {}).get("rows", [])]
    whole = parts.get("grid", {}).get("whole")
    slowest = max(seeds, default=None)
    least = min(short, default=None)
    return {
        "times the plain loop up to length 50, at least 4": {
            "found": least,
            "met": None if least is None else least >= 4,
        },
        "seconds of the 32 runs, at most 60": {
            "found": whole,
            "met": None if whole is None else whole <= 60,
        },
        "times one seed's seconds for ten, below 2": {
            "found": slowest,
            "met": None if slowest is None else slowest < 2,
        },
    }


def _plain(row: dict[str, Any]) -> float:
    """Milliseconds of the faster plain loop: exact, or as torch comes."""
    taken = row["contenders"]
    loops = ("plain", "plain tf32")
    return min(float(taken[name]["ms"]) for name in loops if name in taken)


def complete(results: dict[str, Any]) -> bool:
    """Whether every part was run to its end."""
    return all(results["parts"].get(n, {}).get("status") == "done" for n in PARTS)


def summary(results: dict[str, Any]) -> str:
    """Write the table, the goals, and what was not run."""
    lines = [gpu_table(results)]
    for name, goal in results["goals"].items():
        met = {True: "met", False: "missed", None: "not known"}[goal["met"]]
        value = "" if goal["found"] is None else f": {goal['found']:.3g}"
        lines.append(f"{name}{value} ({met})")
    for name, found in results["parts"].items():
        if found["status"] != "done":
            lines.append(f"{name}: {found['status']}, {found['why']}")
    return "\n".join(lines)
