"""What `benchmarks.gpu` measured on a GPU, as a table.

Source: chapter *Forecasting Microsoft*, section *The honest grid*.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["gpu_table"]

CONTENDERS = {
    "plain": "plain loop",
    "plain tf32": "with TF32",
    "compiled": "torch.compile",
    "ours": "ours",
    "by hand": "ours by hand",
}
NONE = "No GPU has been measured yet: `python -m benchmarks.gpu --out FOLDER` does."


def gpu_table(measured: str | Path | dict[str, Any]) -> str:
    """Write in Markdown what was measured on a GPU.

    Parameters
    ----------
    measured : str, Path or dict
        The file ``gpu.json`` of ``python -m benchmarks.gpu``, or what it holds.

    Returns
    -------
    str
        Milliseconds a training step of each contender for each cell and length, and
        a line about the whole grid, seeds side by side and memory. If there is no
        such file, a sentence that says so.
    """
    if not isinstance(measured, dict):
        if not Path(measured).exists():
            return NONE
        measured = json.loads(Path(measured).read_text())
        assert isinstance(measured, dict)
    return "\n".join(_lines(measured["machine"], measured["parts"]))


def _lines(machine: dict[str, Any], parts: dict[str, Any]) -> Iterator[str]:
    where = f"{machine['device']}, torch {machine['torch']}"
    yield f"Milliseconds a training step on {where}:"
    yield ""
    yield "| | " + " | ".join(CONTENDERS.values()) + " |"
    yield "|---" * (1 + len(CONTENDERS)) + "|"
    for row in parts.get("steps", {}).get("rows", []):
        taken = row["contenders"]
        cells = [f"{taken[n]['ms']:.3g}" if n in taken else "" for n in CONTENDERS]
        yield f"| {row['cell'].upper()} {row['length']} | {' | '.join(cells)} |"
    yield ""
    yield " ".join(_sentences(parts))


def _sentences(parts: dict[str, Any]) -> Iterator[str]:
    grid = parts.get("grid", {})
    if grid.get("whole"):
        about = "about " if grid["estimated"] else ""
        yield f"The whole grid takes {about}{grid['whole']:.0f} s."
    for row in parts.get("seeds", {}).get("rows", []):
        yield (
            f"Ten seeds side by side, {row['cell'].upper()} {row['length']}: "
            f"{row['ten'] / row['one']:.2f} times the seconds of one."
        )
    for row in parts.get("memory", {}).get("rows", []):
        yield f"An LSTM of length {row['length']} takes {row['megabytes']} MB."
