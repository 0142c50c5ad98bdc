"""What the claims of chapter 9 share."""

from functools import cache
from pathlib import Path

import numpy as np

from rnn_companion.forecasting.records import RecordFile
from rnn_companion.tasks import text
from rnn_companion.tasks.text import TextRecord

RECORDS = Path(__file__).parents[1] / "records/text.jsonl"


MODEL = Path(__file__).parents[1] / "records/text.pt"


Pair = tuple[np.ndarray, np.ndarray]


@cache
def records() -> tuple[TextRecord, ...]:
    """Read the assignment's trainings: the help topics, and twice the fairy tales."""
    return tuple(smaller(128))


def smaller(units: int, **settings: object) -> list[TextRecord]:
    """Read the recorded trainings of so many units a layer, by seed."""
    wanted = {"hidden_size": units, **settings}.items()
    found = RecordFile(RECORDS, TextRecord).read()
    chosen = [r for r in found if wanted <= r.settings.items()]
    return sorted(chosen, key=lambda r: int(r.settings["seed"]))


@cache
def held_out() -> str:
    """Take what the recorded model has not read, without characters it lacks."""
    known = model().vocabulary
    return "".join(c for c in text.load_corpus().split(0.9)[1] if c in known)


@cache
def model() -> text.CharacterModel:
    return text.load_model(MODEL)
