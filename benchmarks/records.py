"""Make the records that travel with the book, or run a sample of them again.

    python -m benchmarks.records --workers 2 [--report-data Microsoft_Stock.csv]
    python -m benchmarks.records --chapters
    python -m benchmarks.records --again 8 [--lengths 3 7] [--report-data ...]

Cheapest runs first. The report's own prices are not part of the book; without them
only the records of the book's own series are made. `--again` changes nothing: it says
how far today's numbers are from the recorded ones, and exits with 1 if an error of a
forecast is more than 0.001 of itself off, or a trial's loss after its first 50 steps
more than 0.05. Later steps enlarge differences of rounding, so that on another machine
a trial may need more steps, or fewer; they are printed only.
"""

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from rnn_companion.forecasting.experiment import run
from rnn_companion.forecasting.folds import FOLDS
from rnn_companion.forecasting.grid import cost, grid, recorded, run_all
from rnn_companion.forecasting.prices import Prices, load_prices
from rnn_companion.forecasting.records import Record, RecordFile
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.targets import target
from rnn_companion.tasks import clock, lessons
from rnn_companion.tasks.adding import run_sums, sums
from rnn_companion.tasks.memory import TrialRecord, run_trial

RECORDS = Path(__file__).parent.parent / "book" / "records"
PROTOCOLS = ("honest", "source")
FORECAST_OFF, TRIAL_OFF = 1e-3, 0.05  # relative differences allowed
VARIED = ("cell", "configuration", "optimizer", "protocol", "length")


def main() -> None:
    """Run every grid, seed by seed, length by length; or some runs again."""
    settings = _settings()
    if settings.again or settings.trials_again:
        sys.exit(run_again(settings))
    machine = settings.device, settings.workers
    for_chapters(*machine)
    if settings.chapters:
        return
    series = {"": load_prices()}
    for kind in ("return", "range"):
        out, prices = RECORDS / "targets.jsonl", target(load_prices(), kind)
        record(out, prices, grid(hidden_size=32, epochs=10), *machine, "last")
    sgd = Experiment(cell="lstm", hidden_size=32, epochs=12, optimizer="sgd")
    for rate in (0.001, 0.1):  # chapter 11, beside the live run of seed 0
        seeds = [replace(sgd, learning_rate=rate, seed=s) for s in range(10)]
        record(RECORDS / "rates.jsonl", series[""], seeds, *machine, "none")
    run_sums(sums(), out=RECORDS / "adding.jsonl", device=machine[0], workers=1)
    for prices, experiments, name in chapter_6(series[""]):
        record(RECORDS / name, prices, experiments, *machine, "none")
    if settings.report_data:
        series["-report"] = load_prices(settings.report_data)
    for seed in settings.seeds:
        for lengths in ((3, 7), (50,), (100,)):
            for name, prices in series.items():
                for protocol in PROTOCOLS:
                    out = RECORDS / f"{protocol}-protocol{name}.jsonl"
                    experiments = grid(
                        lengths=lengths, seeds=(seed,), protocol=protocol
                    )
                    record(out, prices, experiments, *machine)


def chapter_6(prices: Prices) -> Iterator[tuple[Prices, list[Experiment], str]]:
    """List what chapter 6 has beside the grids: folds of the first days, and layers."""
    known = int(0.8 * len(prices))
    past = Prices(prices.dates[:known], prices.close[:known], prices.name)
    one = Experiment(configuration="many-to-many-aligned", hidden_size=64)
    for kind, fold in product(FOLDS, range(1, 6)):
        dealt = replace(one, protocol=f"{kind}-folds", fold=fold)
        yield past, [replace(dealt, seed=s) for s in range(3)], "folds.jsonl"
    for cell, (layers, units) in product(("rnn", "lstm"), ((1, 32), (2, 32), (1, 55))):
        stacked = Experiment(cell=cell, layers=layers, hidden_size=units)
        yield prices, [replace(stacked, seed=s) for s in range(10)], "layers.jsonl"


def for_chapters(device: str, workers: int | None) -> None:
    """Complete what chapters 3 and 8 do not train anew: minutes in all."""
    how: dict[str, Any] = {"device": device, "workers": workers}
    plan = [lesson for row in lessons.trial().values() for lesson in row]
    made = len(lessons.run_lessons(plan, out=RECORDS / "lessons.jsonl", **how))
    print(f"lessons.jsonl: {made} records")
    made = len(clock.run_trials(clock.trials(), out=RECORDS / "clock.jsonl", **how))
    print(f"clock.jsonl: {made} records")
    rows = [row for by_name in lessons.forecasts().values() for row in by_name.values()]
    remedies = [experiment for row in rows for experiment in row]
    out = RECORDS / "remedies.jsonl"
    record(out, load_prices(), remedies, device, workers, "none")


def record(
    out: Path,
    prices: Prices,
    experiments: Sequence[Experiment],
    device: str,
    workers: int | None,
    forecasts: str | None = None,
) -> None:
    """Complete one grid; unless told, only what the book draws keeps its forecasts."""
    seeds, lengths = ({getattr(e, n) for e in experiments} for n in ("seed", "length"))
    drawn = out.name == "honest-protocol.jsonl" and seeds == {0}
    records = run_all(
        sorted(experiments, key=cost),
        prices,
        out=out,
        device=device,
        workers=workers,
        forecasts=forecasts or ("ends" if drawn else "none"),
    )
    print(f"{out.name}, lengths {lengths}, seeds {seeds}: {len(records)} records")


def run_again(settings: argparse.Namespace) -> int:
    """Hold today's errors against the recorded ones; return the exit status."""
    data = settings.report_data
    prices, name = load_prices(data), "-report" if data else ""
    kept = [
        record
        for protocol in PROTOCOLS
        for record in recorded(
            RECORDS / f"{protocol}-protocol{name}.jsonl",
            grid(lengths=settings.lengths, seeds=settings.seeds, protocol=protocol),
            prices.checksum,
            gaps=True,
        ).values()
    ]
    print(f"{'run':58}{'recorded':>13}{'now':>13}{'apart':>9}")
    near = [
        *forecasts_near(spread(kept, settings.again), prices, settings.device),
        *trials_near(settings.trials_again, settings.device),
    ]
    return int(not all(near))


def spread(records: Iterable[Record], count: int) -> list[Record]:
    """Choose cheap records that differ from each other.

    One after another the one whose settings are rarest among those chosen, where
    e times the cost weighs as much as a setting that was seen once.
    """
    waiting = list(records)
    chosen: list[Record] = []
    seen: Counter[tuple[str, object]] = Counter()

    def weight(record: Record) -> float:
        rarity = sum(seen[pair] for pair in _varied(record))
        return rarity + math.log(cost(record.experiment))

    while waiting and len(chosen) < count:
        chosen.append(min(waiting, key=weight))
        waiting.remove(chosen[-1])
        seen.update(_varied(chosen[-1]))
    return chosen


def _varied(record: Record) -> list[tuple[str, object]]:
    return [(name, record.settings[name]) for name in VARIED]


def forecasts_near(
    records: Iterable[Record], prices: Prices, device: str
) -> Iterator[bool]:
    """Run experiments again; print a line for each, yield whether they are near."""
    for then in records:
        now = run(then.experiment, prices, device=device, progress=False)
        yield _compare(_name(then.experiment), then.mse, now.mse, FORECAST_OFF)


def _name(e: Experiment) -> str:
    varied = (str(getattr(e, name)) for name in VARIED)
    return f"{' '.join(varied)} seed {e.seed}"


def trials_near(count: int, device: str) -> Iterator[bool]:
    """Run the quickest trials again; compare the loss at the first check."""
    records = RecordFile(RECORDS / "memory.jsonl", TrialRecord).read()
    for then in sorted(records, key=lambda r: r.provenance.seconds)[:count]:
        now = run_trial(then.trial, device=device, progress=False)
        name = f"palindromes {then.trial.cell} {then.trial.length}"
        name += f" {then.trial.encoding} seed {then.trial.seed}"
        first, again = (r.checks.validation_loss[0] for r in (then, now))
        yield _compare(name, first, again, TRIAL_OFF)
        _compare("  steps", then.steps, now.steps, TRIAL_OFF)


def _compare(name: str, then: float, now: float, allowed: float) -> bool:
    apart = abs(now / then - 1)
    print(f"{name:58}{then:13.6g}{now:13.6g}{apart:9.1e}", flush=True)
    return apart <= allowed


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--report-data", metavar="CSV", help="the forecasting report's own prices")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--workers", type=int, help="processes side by side; default: one a core")
    add("--device", default="auto")
    add("--chapters", action="store_true", help="those of chapters 3 and 8 alone")
    add("--again", type=int, default=0, help="recorded experiments to run again")
    add("--trials-again", type=int, default=0, help="palindrome trials to run again")
    add("--lengths", nargs="+", type=int, default=[3, 7], help="of those run again")
    return parser.parse_args()


if __name__ == "__main__":
    main()
