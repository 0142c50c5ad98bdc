"""Make the records that travel with the book, or go on where they end.

    python -m benchmarks.records --workers 2 [--report-data Microsoft_Stock.csv]

Cheapest runs first. The report's own prices are not part of the book; without them
only the records of the book's own series are made.
"""

import argparse
from pathlib import Path

from rnn_companion.forecasting.grid import cost, grid, run_all
from rnn_companion.forecasting.prices import Prices, load_prices

RECORDS = Path(__file__).parent.parent / "book" / "records"
PROTOCOLS = ("honest", "source")


def main() -> None:
    """Run every grid, seed by seed, length by length."""
    settings = _settings()
    series = {"": load_prices()}
    if settings.report_data:
        series["-report"] = load_prices(settings.report_data)
    for seed in settings.seeds:
        for lengths in ((3, 7), (50,), (100,)):
            for name, prices in series.items():
                for protocol in PROTOCOLS:
                    out = RECORDS / f"{protocol}-protocol{name}.jsonl"
                    record(out, prices, protocol, lengths, seed, settings)


def record(
    out: Path,
    prices: Prices,
    protocol: str,
    lengths: tuple[int, ...],
    seed: int,
    settings: argparse.Namespace,
) -> None:
    """Complete one grid; only what the book draws keeps its forecasts."""
    drawn = out.name == "honest-protocol.jsonl" and seed == 0
    experiments = grid(lengths=lengths, seeds=(seed,), protocol=protocol)
    records = run_all(
        sorted(experiments, key=cost),
        prices,
        out=out,
        device=settings.device,
        workers=settings.workers,
        forecasts="ends" if drawn else "none",
    )
    print(f"{out.name}, lengths {lengths}, seed {seed}: {len(records)} records")


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--report-data", metavar="CSV", help="the forecasting report's own prices")
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--workers", type=int, help="processes side by side; default: one a core")
    add("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
