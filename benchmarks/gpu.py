"""Measure everything that a GPU is for, and make the book's records on it.

    python -m benchmarks.gpu --out FOLDER [--data prices.csv] [--minutes 9]

For a bare machine with one NVIDIA GPU and this repository. What is missing it says
before it starts. FOLDER/gpu.json and FOLDER/*-protocol.jsonl are written as it goes;
called again it goes on where it was stopped. Copied to book/records/ they are what
chapter 6 shows.

Exit status: 0 if every part was run and all losses agree, 1 if not, 2 if something
is missing.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

NEEDED = ("torch", "numpy", "pandas", "filelock", "lazy_loader", "tqdm")
PRICES = "bokeh_sampledata"
FOR_TESTS = ("pytest", "hypothesis")
# At most so many seconds for each part; what one leaves the next ones have.
BUDGETS = {
    "tests": 75.0,
    "steps": 165.0,
    "grid": 110.0,
    "seeds": 60.0,
    "memory": 20.0,
    "records": 600.0,
}


class OverBudget(BaseException):
    """The time of a part is over; no ``except Exception`` holds it up."""


def main(arguments: list[str] | None = None) -> int:
    """Measure what is not measured yet; return the exit status."""
    started, settings = time.monotonic(), _settings(arguments)
    if lacking := missing([*NEEDED, *([] if settings.data else [PRICES])]):
        print(f"missing: {' '.join(lacking)}\npip install {' '.join(lacking)}")
        if PRICES in lacking:
            print(f"or, in place of {PRICES}: --data prices.csv")
        return 2
    from benchmarks import gpu_parts  # needs what was looked for above

    try:
        plan = gpu_parts.Plan.of(settings)
    except ValueError as error:
        print(error)
        return 2
    settings.out.mkdir(parents=True, exist_ok=True)
    results = _earlier(settings.out / "gpu.json", plan.machine())
    for name, seconds in BUDGETS.items():
        left = 60 * settings.minutes - (time.monotonic() - started)
        _run_part(name, plan, results, min(seconds, left))
    print(gpu_parts.summary(results))
    return int(not gpu_parts.complete(results))


def missing(packages: list[str]) -> list[str]:
    """Name those that are not installed."""
    return [name for name in packages if find_spec(name) is None]


def _run_part(name: str, plan: Any, results: dict[str, Any], seconds: float) -> None:  # noqa: ANN401 - its module is imported late
    from benchmarks import gpu_parts

    found = results["parts"].setdefault(name, {})
    if found.get("status") == "done":
        return
    started, before = time.monotonic(), found.get("seconds", 0.0)

    def save() -> None:
        found["seconds"] = round(before + time.monotonic() - started, 1)
        results["goals"] = gpu_parts.goals(results["parts"])
        write(plan.out / "gpu.json", results)

    found |= {"status": "stopped", "why": f"not done within {seconds:.0f} s"}
    try:
        if name == "tests" and (lacking := missing(list(FOR_TESTS))):
            raise gpu_parts.NotRunError(f"pip install {' '.join(lacking)}")
        print(f"{name}: at most {seconds:.0f} s", flush=True)
        with deadline(seconds):
            gpu_parts.PARTS[name](plan, found, save)
        found |= {"status": "done", "why": ""}
    except OverBudget:
        nothing = not found.get("rows")
        found["status"] = "not run" if nothing else "stopped"
    except gpu_parts.NotRunError as reason:
        found |= {"status": "not run", "why": str(reason)}
    except Exception as error:  # the other parts are worth having
        found |= {"status": "failed", "why": f"{type(error).__name__}: {error}"}
    save()
    print(f"{name}: {found['status']} {found['why']}", flush=True)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise OverBudget once so much time has passed."""

    def stop(signal_number: int, frame: FrameType | None) -> None:
        raise OverBudget

    if seconds <= 0:
        raise OverBudget
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def write(path: Path, results: dict[str, Any]) -> None:
    """Replace the file as a whole, so that a stop leaves the old or the new one."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")
    os.replace(part, path)


def _earlier(path: Path, machine: dict[str, Any]) -> dict[str, Any]:
    """Go on with what was measured on this machine, else begin anew."""
    new: dict[str, Any] = {"machine": machine, "parts": {}, "goals": {}}
    if not path.exists():
        return new
    old: dict[str, Any] = json.loads(path.read_text())
    if old.get("machine") == machine:
        return old
    kept = path.with_name(f"gpu-{int(path.stat().st_mtime)}.json")
    print(f"{path} is of another machine or version; kept as {kept.name}")
    path.rename(kept)
    return new


def _settings(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER")
    add("--data", metavar="CSV", help=f"prices, in place of {PRICES}")
    add("--device", default="cuda")
    add("--minutes", type=float, default=9.0, help="at most, all parts together")
    add("--workers", type=int, help="processes for grid and records")
    add("--tiny", action="store_true", help="a few small networks: tries the harness")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
