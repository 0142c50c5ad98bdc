"""Questions about the time, for an LSTM and for one behind a clock.

Source: chapter *A clock in the cell*, section *Does it converge faster?*
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rnn_companion.devices import choose_device, one_thread
from rnn_companion.forecasting.engine import exact_matmul
from rnn_companion.forecasting.grid import complete
from rnn_companion.forecasting.records import (
    Provenance,
    RecordFile,
    RunRecord,
    rounded,
)
from rnn_companion.forecasting.settings import require_choice, require_positive
from rnn_companion.gradients import PhasedLSTM

__all__ = [
    "EVERY",
    "ClockRecord",
    "ClockTrial",
    "event",
    "levels",
    "recorded",
    "run_trials",
    "sines",
    "train",
    "trials",
]

CELLS = ("lstm", "phased-lstm")
EVERY = 20  # steps, whose batches share one entry of a record
UNITS = 32
RATES = (0.01, 0.03)


def sines(B: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Sample sine waves at irregular times, some with a period from five to six.

    Parameters
    ----------
    B : int
        How many waves.
    generator : torch.Generator
        Decides the draw.

    Returns
    -------
    values, times : Tensor, each `(48, B)`
        Within 64 units of time.
    label : Tensor, `(B,)`
        1 for a period in [5, 6], 0 for another one from 1 to 100.
    """
    special = torch.rand(B, generator=generator) < 0.5
    other = torch.exp(math.log(100) * torch.rand(8 * B, generator=generator))
    other = other[(other < 5) | (other > 6)][:B]
    period = torch.where(special, 5 + torch.rand(B, generator=generator), other)
    start = 60 * torch.rand(B, generator=generator)
    times = (start + 64 * torch.rand(48, B, generator=generator)).sort(0).values
    shift = 2 * math.pi * torch.rand(B, generator=generator)
    return torch.sin(2 * math.pi * times / period + shift), times, special.float()


def levels(B: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a level each ten steps, 1 or -1, in noise; asked is the fourth last.

    Parameters
    ----------
    B, generator
        As in `sines`.

    Returns
    -------
    values, times : Tensor, each `(70, B)`
        At the times 1 to 70.
    label : Tensor, `(B,)`
        1 if that level is 1.
    """
    level = 2.0 * torch.randint(0, 2, (7, B), generator=generator) - 1
    noise = torch.randn(70, B, generator=generator)
    times = torch.arange(1.0, 71.0)[:, None].expand(70, B)
    return level.repeat_interleave(10, dim=0) + noise, times, (level[-4] > 0).float()


def event(B: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw noise that lies higher, or lower, for eight steps somewhere.

    Parameters
    ----------
    B, generator
        As in `sines`.

    Returns
    -------
    values, times : Tensor, each `(64, B)`
        At the times 1 to 64.
    label : Tensor, `(B,)`
        1 for higher.
    """
    up = torch.randint(0, 2, (B,), generator=generator).float()
    since = torch.arange(64)[:, None] - torch.randint(0, 57, (B,), generator=generator)
    height = ((since >= 0) & (since < 8)) * (2 * up - 1)
    times = torch.arange(1.0, 65.0)[:, None].expand(64, B)
    return height + torch.randn(64, B, generator=generator), times, up


TASKS = {"sines": sines, "levels": levels, "event": event}
STEPS = {"sines": 200, "levels": 100, "event": 160}
CLOCKS = {  # periods, open share, learning rate
    "sines": [(2, 20, 0.3, 0.01), (2, 20, 0.3, 0.03), (1, 100, 0.05, 0.01)],
    "levels": [(20, 100, 0.2, 0.01), (1, 10, 0.2, 0.01)],
    "event": [(20, 100, 0.2, 0.01), (20, 100, 0.2, 0.03)],
}


@dataclass(frozen=True, kw_only=True)
class ClockTrial:
    """One network and one question: everything that decides the result.

    Parameters
    ----------
    task : str
        ``"sines"``, ``"levels"`` or ``"event"``.
    cell : str
        ``"lstm"``, which reads the time as a second input, or ``"phased-lstm"``.
    spread : bool
        Whether an LSTM's forget biases are spread (`eq-gate-spread`) or 1.
    shortest, longest : float
        Periods of a phased LSTM at the start.
    r_on : float
        Open share of its periods at the start.
    learning_rate : float
        Of Adam.
    steps : int
        A multiple of `EVERY`, each with fresh sequences.
    batch_size : int
        Sequences a step.
    seed : int
        Of the start and of all sequences.

    Raises
    ------
    ValueError
        For an invalid setting: names it and what it may be.
    """

    task: str = "levels"
    cell: str = "lstm"
    spread: bool = False
    shortest: float = 1.0
    longest: float = 20.0
    r_on: float = 0.05
    learning_rate: float = 0.01
    steps: int = 100
    batch_size: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("task", self.task, tuple(TASKS))
        require_choice("cell", self.cell, CELLS)
        require_positive(self, "learning_rate", "steps", "batch_size")
        if self.steps % EVERY:
            raise ValueError(f"steps must be a multiple of {EVERY}, got {self.steps}")
        if self.spread and self.cell != "lstm":
            raise ValueError(f"spread is for the cell 'lstm', not {self.cell!r}")

    def model(self, generator: torch.Generator) -> "Classifier":
        """Make the untrained network."""
        make: Callable[..., nn.Module] = partial(WithTime, spread=self.spread)
        if self.cell == "phased-lstm":
            periods = self.shortest, self.longest
            make = partial(PhasedLSTM, 1, periods=periods, r_on=self.r_on)
        return Classifier(make, generator)


class WithTime(nn.Module):
    """An LSTM that reads the time as a second input."""

    def __init__(self, h: int, generator: torch.Generator, spread: bool) -> None:
        super().__init__()
        self.cell = nn.LSTM(2, h)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(h**-0.5), h**-0.5, generator=generator)
        odds = 1 + 98 * torch.rand(h, generator=generator)  # D - 1, of 1 to 99
        with torch.no_grad():
            i, f, _, _ = self.cell.get_parameter("bias_ih_l0").chunk(4)
            self.cell.get_parameter("bias_hh_l0")[: 2 * h] = 0
            f.copy_(odds.log() if spread else torch.ones(h))
            if spread:
                i.copy_(-f)

    def forward(self, X: Tensor, times: Tensor) -> Any:  # noqa: ANN401 - as torch's
        """Run over a sequence, `(T, B, 1)`, at its times, `(T, B)`."""
        return self.cell(torch.cat([X, (times[..., None] - 60) / 40], dim=2))


class Classifier(nn.Module):
    """A cell, and a score from its last state."""

    def __init__(
        self, make: Callable[..., nn.Module], generator: torch.Generator
    ) -> None:
        super().__init__()
        self.cell, self.head = make(UNITS, generator=generator), nn.Linear(UNITS, 1)
        nn.init.uniform_(self.head.weight, -0.2, 0.2, generator=generator)
        nn.init.zeros_(self.head.bias)


@dataclass(frozen=True)
class ClockRecord(RunRecord):
    """The result of one trial.

    Parameters
    ----------
    settings : dict
        The trial's settings, the seed among them.
    accuracy, loss : tuple of float
        Of each `EVERY` batches in turn, each measured before its step; the mean.
    provenance : Provenance
        Device, versions, time. The data are the task itself.
    """

    kind: ClassVar[str] = "clock"
    made_from: ClassVar[type[Any]] = ClockTrial

    settings: dict[str, Any]
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]
    provenance: Provenance


def trials(seeds: Iterable[int] = range(3)) -> list[ClockTrial]:
    """List the trials of the chapter: both starts and rates of an LSTM, every clock."""
    found = []
    for task, seed in product(TASKS, tuple(seeds)):
        plain = ClockTrial(task=task, steps=STEPS[task], seed=seed)
        found += [
            replace(plain, spread=spread, learning_rate=rate)
            for spread, rate in product((False, True), RATES)
        ]
        found += [
            replace(
                plain,
                cell="phased-lstm",
                shortest=float(low),
                longest=float(high),
                r_on=r_on,
                learning_rate=rate,
            )
            for low, high, r_on, rate in CLOCKS[task]
        ]
    return found


@one_thread()
@exact_matmul()
def train(batch: Sequence[ClockTrial], *, device: str = "auto") -> list[ClockRecord]:
    """Train networks that differ in nothing but the seed, side by side.

    Parameters
    ----------
    batch : sequence of ClockTrial
        The settings of each.
    device : str
        See `choose_device`. The sequences are the same on every device.

    Returns
    -------
    list of ClockRecord

    Raises
    ------
    ValueError
        If the trials differ in more than the seed.
    """
    if len({replace(trial, seed=0) for trial in batch}) != 1:
        raise ValueError("trials side by side must differ in nothing but the seed")
    started, place, first = time.perf_counter(), choose_device(device), batch[0]
    draws = [torch.Generator().manual_seed(trial.seed) for trial in batch]
    models = [t.model(draw).to(place) for t, draw in zip(batch, draws, strict=True)]
    parameters = [p for model in models for p in model.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=first.learning_rate, fused=True)
    right, losses = [], []
    for _ in range(first.steps):
        drawn = [TASKS[first.task](first.batch_size, draw) for draw in draws]
        columns = zip(*drawn, strict=True)
        values, times, label = (torch.stack(each).to(place) for each in columns)
        score = _scores(models, values[..., None], times)
        loss = nn.functional.binary_cross_entropy_with_logits(
            score, label, reduction="none"
        ).mean(1)
        optimizer.zero_grad()
        loss.sum().backward()
        for model in models:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        right.append(((score > 0) == (label > 0.5)).float().mean(1))
    made = Provenance.of_run(
        ClockRecord.kind, "clock", "", place, started, share=len(batch)
    )
    return [
        ClockRecord(asdict(trial), _means(accuracy), _means(loss), made)
        for trial, accuracy, loss in zip(
            batch, torch.stack(right, 1), torch.stack(losses, 1), strict=True
        )
    ]


def _scores(models: Sequence[Classifier], X: Tensor, times: Tensor) -> Tensor:
    """Ask each network about its own sequences, `(S, B)`; clocks run as one batch."""
    cells = [model.cell for model in models]
    if isinstance(cells[0], PhasedLSTM):
        states = PhasedLSTM.side_by_side(cells, X, times)[:, -1]  # type: ignore[arg-type]
    else:
        asked = zip(cells, X, times, strict=True)
        states = torch.stack([cell(x, t)[0][-1] for cell, x, t in asked])
    scores = [m.head(state).T for m, state in zip(models, states, strict=True)]
    return torch.cat(scores)


def _means(values: Tensor) -> tuple[float, ...]:
    """Return the mean of each `EVERY` entries, as a record keeps it."""
    return tuple(rounded(v) for v in values.view(-1, EVERY).mean(1).tolist())


def run_trials(
    trials: Sequence[ClockTrial],
    *,
    device: str = "auto",
    **options: Any,  # noqa: ANN401 - `complete` names them
) -> list[ClockRecord]:
    """Run trials and go on where an earlier call was stopped.

    Parameters
    ----------
    trials : sequence of ClockTrial
        Those that differ in nothing but the seed are run as one batch.
    device : str
        See `choose_device`.
    **options
        Such as `out` and `workers`, as in `rnn_companion.forecasting.grid.run_all`.

    Returns
    -------
    list of ClockRecord
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
        partial(train, device=device),
        ClockRecord,
        "",
        cost=lambda trial: trial.steps,
        device=device,
        together=_together,
        **options,
    )


def _together(todo: Sequence[ClockTrial], _: int) -> list[tuple[ClockTrial, ...]]:
    batches: dict[ClockTrial, list[ClockTrial]] = {}
    for trial in todo:
        batches.setdefault(replace(trial, seed=0), []).append(trial)
    return [tuple(batch) for batch in batches.values()]


def recorded(path: str | Path, trials: Iterable[ClockTrial]) -> list[ClockRecord]:
    """Look trials up in a record file.

    Raises
    ------
    MissingRecordError
        If one is missing: names it, and the command that makes it.
    RecordFileError
        If the file is torn or foreign.
    """
    command = "python -m benchmarks.records --chapters"
    found = RecordFile(path, ClockRecord).find(trials, "", command=command)
    return list(found.values())
