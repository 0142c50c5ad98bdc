"""What was run, where, and with what result; and the file that keeps it.

A record file is text, one record of JSON a line. Lines are only ever added. What a
record of any kind has (settings, provenance, a key, its line of JSON) is in
`RunRecord`; forecasts are one kind.

Source: chapter *Recurrence*, section *On real prices*, and chapter *Forecasting
Microsoft*.
"""

import io
import json
import os
import platform
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Self,
    TypeVar,
    get_args,
    get_type_hints,
    overload,
)

import torch

from rnn_companion import __version__
from rnn_companion.forecasting.forecasts import Errors, Part
from rnn_companion.forecasting.forecasts import Forecasts as Forecasts
from rnn_companion.forecasting.settings import Experiment, require_choice

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from filelock import BaseFileLock

# Versions of the results, by kind of record. Raise one by hand when the same settings
# begin to give other numbers: older records then no longer count. Tests hold small
# runs against stored numbers, so that such a change is noticed.
RESULTS = {"forecast": 1, "memory": 1, "text": 1, "adding": 1, "clock": 1, "lesson": 1}
FORECASTS = ("all", "ends", "last", "none")  # that a record keeps
ALLOWED = {  # see `allowed_difference`
    "forecast": 1e-3,
    "memory": 1e-2,
    "text": 1e-2,
    "adding": 1e-2,
    "clock": 1e-2,
    "lesson": 1e-2,
}


@dataclass(frozen=True)
class Provenance:
    """Where a record comes from: enough to run it again and compare.

    Parameters
    ----------
    data, checksum : str
        Name and SHA-256 of the data.
    device : str
        What it ran on.
    versions : dict
        Python, torch and this package.
    date : str
        When it ended, ISO, UTC.
    seconds : float
        How long it took.
    results : int
        Version of the results that it belongs to, see `RESULTS`.
    """

    data: str
    checksum: str
    device: str
    versions: dict[str, str]
    date: str
    seconds: float
    results: int

    @classmethod
    def of_run(
        cls,
        kind: str,
        data: str,
        checksum: str,
        device: torch.device,
        started: float,
        share: int = 1,
    ) -> Self:
        """Say where a record comes from whose run ends now, by this program.

        Parameters
        ----------
        kind : str
            Of the record, one of `RESULTS`.
        data, checksum : str
            Name and SHA-256 of the data.
        device : torch.device
            What it ran on.
        started : float
            When, by ``time.perf_counter()``.
        share : int
            Runs made at the same time, which share the seconds.
        """
        cuda = device.type == "cuda"
        return cls(
            data=data,
            checksum=checksum,
            device=torch.cuda.get_device_name(device) if cuda else device.type,
            versions={
                "python": platform.python_version(),
                "torch": torch.__version__,
                "rnn_companion": __version__,
            },
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=round((time.perf_counter() - started) / share, 3),
            results=RESULTS[kind],
        )


class RunRecord:
    """What records of every kind have; each kind is a frozen dataclass.

    Its fields are those of JSON, tuples of them, and dataclasses of such fields.

    Attributes
    ----------
    kind : str
        One of `RESULTS`.
    made_from : type
        The dataclass of the settings. Each of its fields has a default.
    settings : dict
        All settings of the run, the seed among them.
    provenance : Provenance
        Data, device, versions, time.
    """

    kind: ClassVar[str]
    made_from: ClassVar[type[Any]]
    settings: dict[str, Any]
    provenance: Provenance

    @property
    def key(self) -> str:
        """Settings, data and version of the results: equal keys, equal numbers."""
        origin = self.provenance
        return self.key_of(self.settings, origin.checksum, origin.results)

    @classmethod
    def key_of(
        cls, settings: dict[str, Any], checksum: str, results: int | None = None
    ) -> str:
        """Name a record before it is there: see `key`.

        Parameters
        ----------
        settings : dict
            Of the run. One that is missing counts as having its default. So a new
            setting, if its default is what was done before, leaves the keys of older
            records as they are.
        checksum : str
            Of the data.
        results : int, optional
            Version of the results; today's by default.
        """
        results = RESULTS[cls.kind] if results is None else results
        settings = asdict(cls.made_from()) | settings
        return json.dumps([settings, checksum, results], sort_keys=True)

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)  # type: ignore[call-overload]

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            If the line is no record of this kind.
        """
        try:
            record: Self = _typed(cls, json.loads(line))
        except (AttributeError, LookupError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"not a record of the kind {cls.kind!r} ({error}): {line[:60]!r}"
            ) from None
        return record


def _typed(kind: Any, value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    """Turn what JSON gives into a field of this type: tuples and dataclasses."""
    parts = get_args(kind)
    if isinstance(value, list):
        whole = is_dataclass(parts[0])
        return tuple(_typed(parts[0], v) for v in value) if whole else tuple(value)
    of: Any = next((part for part in (kind, *parts) if is_dataclass(part)), None)
    if of is None or value is None:
        return value
    types = get_type_hints(of)
    return of(**{name: _typed(types[name], v) for name, v in value.items()})


def rounded(value: float) -> float:
    """Round to four significant digits, as records keep what is only drawn."""
    return float(f"{value:.4g}")


@dataclass(frozen=True)
class Record(RunRecord, Errors):
    """The result of one experiment.

    Parameters
    ----------
    settings : dict
        The experiment's settings, the seed among them.
    training_loss, validation_loss : tuple of float
        Mean squared error of the scaled closes, one entry an epoch.
    mse_by_position, persistence_by_position : tuple of float
        Validation error of each of the K outputs, of the model and of
        "tomorrow = today", on the same targets. The model has the weights of the last
        epoch; with `patience`, those of the epoch with the least validation loss.
    forecasts : Forecasts or None
        Left out where the data may not be given back.
    provenance : Provenance
        Data, device, versions, time.
    gradient_norms : tuple of float
        Largest norm of the gradient in each epoch, before penalty and clipping, if
        the experiment asks for it.
    test : Part or None
        Forecasts of the same model for the test part, and their errors, if the
        experiment has such a part.
    """

    kind: ClassVar[str] = "forecast"
    made_from: ClassVar[type[Any]] = Experiment

    settings: dict[str, Any]
    training_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    mse_by_position: tuple[float, ...]
    persistence_by_position: tuple[float, ...]
    forecasts: Forecasts | None
    provenance: Provenance
    gradient_norms: tuple[float, ...] = ()
    test: Part | None = None

    @property
    def experiment(self) -> Experiment:
        """The settings as an experiment, to run it again."""
        return Experiment(**self.settings)

    def with_forecasts(self, which: str) -> "Record":
        """Drop forecasts, which together with the dates give the data back.

        Parameters
        ----------
        which : str
            ``"all"``, ``"ends"`` (each window's first and last output, two hundredths
            of all at length 100), ``"last"`` (the last alone) or ``"none"``.
        """
        require_choice("forecasts", which, FORECASTS)
        test = self.test and replace(
            self.test, forecasts=self._kept(self.test.forecasts, which)
        )
        return replace(self, forecasts=self._kept(self.forecasts, which), test=test)

    def _kept(self, forecasts: Forecasts | None, which: str) -> Forecasts | None:
        if which == "all" or forecasts is None:
            return forecasts
        last = len(self.mse_by_position)
        positions = {"ends": (1, last), "last": (last,)}
        return forecasts.at(positions[which]) if which in positions else None


def origin(records: "Iterable[RunRecord | Provenance]", *, live: bool = False) -> str:
    """Say where numbers come from, as the book does below its figures.

    Parameters
    ----------
    records : iterable of Record, of records of another kind, or of Provenance
        What the numbers are of; at least one.
    live : bool
        Whether they were run just now.
    """
    made = [r if isinstance(r, Provenance) else r.provenance for r in records]
    devices = ", ".join(sorted({p.device for p in made}))
    days = sorted({p.date[:10] for p in made})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return (
        f"({'Run when this page was built' if live else 'Recorded'}: {len(made)} "
        f"run{'s' * (len(made) > 1)} on {devices}, {when}, "
        f"{sum(p.seconds for p in made):.0f} seconds.)"
    )


def allowed_difference(kind: str) -> float:
    """Return how far a loss may lie from a recorded one if only rounding differs.

    ``abs(loss / recorded - 1)`` is at most this, whatever device each was computed
    on: another device, and another processor of the same kind, adds up in another
    order, so that float32's rounding of 6e-8 differs at each step, and training makes
    more of it. Measured on a CPU against float64, where rounding hardly counts:

    - ``"forecast"``: 1.9e-5 at most, for an RNN and an LSTM of 512 units, length 3,
      ten epochs, three seeds each, by hand and by autograd;
    - ``"memory"``: nothing in the four digits that are kept, for six trials of up to
      300 steps, also with their units in another order;
    - ``"text"``: 1.5e-3 at most, for 30 steps with two seeds (the first steps of
      RMSprop have the same length however small a gradient, so its rounding counts).

    Where there is another way to compute the same, between the two:

    - ``"clock"``: 6e-4 at most, over the first 20 steps of phased LSTMs, gradients by
      hand and by autograd, alone and side by side;
    - ``"lesson"``: 7e-7 at most, over the first 20 steps with clipping, alone and side
      by side. Without clipping it was 1e-2: that training is unstable.

    It holds for such runs only. Where training is unstable less may decide: of one
    recorded run, of length 50, the loss jumped to 1.2, and did not when it was run
    again (chapter 6).

    Parameters
    ----------
    kind : str
        Of the record, one of `RESULTS`.

    Returns
    -------
    float
        At least six times what was measured; for kinds that keep four digits, ten
        times what the last of them may be off.

    Raises
    ------
    ValueError
        For an unknown kind.
    """
    require_choice("kind", kind, ALLOWED)
    return ALLOWED[kind]


class RecordFileError(ValueError):
    """A record file holds something that is not a record."""


class MissingRecordError(LookupError):
    """A record file lacks records that a chapter or a program needs."""


S = TypeVar("S", bound="DataclassInstance")  # settings of a run
R = TypeVar("R", bound=RunRecord)  # its record


class RecordFile(Generic[R]):
    """A file of records to which several processes may add at once.

    A record is added whole or not at all. After a crash all earlier lines are there,
    and what is left of an unfinished line is removed.

    Parameters
    ----------
    path : str or Path
        A file of JSON lines. It need not exist. Beside it stand its lock and,
        while a line is being written, the length to go back to.
    kind : type
        Of the records; `Record` by default.
    """

    @overload
    def __init__(self: "RecordFile[Record]", path: str | Path) -> None: ...

    @overload
    def __init__(self, path: str | Path, kind: type[R]) -> None: ...

    def __init__(self, path: str | Path, kind: type[Any] = Record) -> None:
        self.path = Path(path)
        self._kind = kind
        self._undo = self.path.with_name(self.path.name + ".undo")
        self._known = False  # to hold nothing but records

    def read(self) -> list[R]:
        """Read every record, in the order they were added.

        Raises
        ------
        RecordFileError
            If a line is torn or foreign: names file and line. Nothing is changed.
        """
        if self._torn():  # or another process is just writing
            with self._lock():
                self._roll_back()
        return self._records()

    def find(
        self, wanted: Iterable[S], data: str, *, command: str, gaps: bool = False
    ) -> dict[S, R]:
        """Look up the records of some settings, as today's program would make them.

        Parameters
        ----------
        wanted : iterable of settings
            Such as `Experiment`.
        data : str
            Checksum of the data they must have run on. Where there are several
            editions of the data and any will do, their name.
        command : str
            What makes the records, for the message.
        gaps : bool
            Whether some of them may be missing.

        Returns
        -------
        dict of settings to record
            Those that ran with just these settings, on these data, by this version
            of the results, in the order of `wanted`.

        Raises
        ------
        MissingRecordError
            If one is missing; with `gaps`, if all are. Names the first that is
            missing, and the command.
        RecordFileError
            If the file is torn or foreign.
        """
        name = self._kind.key_of
        there = {
            name(record.settings, data, record.provenance.results): record
            for record in self.read()
            if data in (record.provenance.checksum, record.provenance.data)
        }
        keys = {settings: name(asdict(settings), data) for settings in wanted}
        missing = [settings for settings, key in keys.items() if key not in there]
        if missing and (len(missing) == len(keys) or not gaps):
            raise MissingRecordError(
                f"{self.path} lacks {len(missing)} of {len(keys)} records, of version "
                f"{RESULTS[self._kind.kind]} of the results, the first that of "
                f"{missing[0]}; to make them: {command}"
            )
        return {settings: there[k] for settings, k in keys.items() if k in there}

    def append(self, record: R) -> None:
        """Add a record, and return when it is on the disk.

        Raises
        ------
        RecordFileError
            If the file is torn or foreign.
        OSError
            If the disk is full, for example; the file is then as it was.
        """
        line = record.to_json().encode() + b"\n"
        with self._lock():
            self._roll_back()
            if self._torn() or not self._known:
                self._records()  # refuses what it cannot read
            with self.path.open("ab", buffering=0) as file:
                self._undo.write_text(str(file.tell()))
                try:
                    _write(file, line)
                finally:
                    self._roll_back()

    def _records(self) -> list[R]:
        lines: list[bytes] = []
        with suppress(FileNotFoundError):
            lines = self.path.read_bytes().splitlines(keepends=True)
        records = [self._parse(n, line) for n, line in enumerate(lines, 1)]
        self._known = True
        return records

    def _lock(self) -> "BaseFileLock":
        from filelock import FileLock

        self.path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self.path}.lock")

    def _roll_back(self) -> None:
        """Take back half a line, left by whoever was stopped while writing it."""
        with suppress(FileNotFoundError, ValueError):
            length = int(self._undo.read_text())
            if self._torn():
                os.truncate(self.path, length)
        self._undo.unlink(missing_ok=True)

    def _torn(self) -> bool:
        """Whether the last line has no end."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"

    def _parse(self, number: int, line: bytes) -> R:
        try:
            if not line.endswith(b"\n"):
                raise ValueError("the line is torn: it has no end")
            record: R = self._kind.from_json(line.decode())
            return record
        except ValueError as error:
            raise RecordFileError(
                f"{self.path}, line {number}: {error}; correct or remove the line, "
                "or name another file"
            ) from None


def _write(file: io.FileIO, line: bytes) -> None:
    """Write in one go and wait for the disk."""
    if file.write(line) != len(line):
        raise OSError(28, "the disk is full; the record was not written", file.name)
    os.fsync(file.fileno())
