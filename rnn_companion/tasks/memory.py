"""The palindrome task: how long a network can keep a digit.

A palindrome of digits is read but for its last digit, which the network has to
predict. It equals the first digit, which must be kept through T steps.

Source: chapter *How long is the memory?*; the defaults are those of the assignment
behind the palindrome report.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rnn_companion.devices import choose_device, one_thread
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import exact_matmul
from rnn_companion.forecasting.experiment import (
    DivergenceError,
    clipped_step,
)
from rnn_companion.forecasting.forecaster import (
    CELLS,
    STARTS,
    Forecaster,
    set_forget_bias,
    set_orthogonal,
)
from rnn_companion.forecasting.records import Provenance, RunRecord, rounded
from rnn_companion.forecasting.settings import require_choice, require_positive, seeded
from rnn_companion.progress import progress_bar

__all__ = [
    "DIGITS",
    "Checks",
    "Trial",
    "TrialRecord",
    "encode",
    "latch",
    "palindromes",
    "run_trial",
]

DIGITS = 10
ENCODINGS = ("scalar", "one-hot")
PURPOSES = ("start", "orthogonal", "training", "validation")  # of random numbers
SOLVED = 0.999  # validation accuracy at which a trial stops
CHECK_EVERY = 50  # steps
VALIDATION_SIZE = 1000


def palindromes(
    length: int,
    count: int,
    *,
    generator: torch.Generator,
    validation: bool = False,
) -> tuple[Tensor, Tensor]:
    """Draw palindromes of `length` + 1 digits: those to read, and the last one.

    Training and validation never share one. The digits of the first half sum to a
    multiple of ten in a validation palindrome, and to none in a training one; within
    each kind all are equally likely, and so are all first digits.

    Parameters
    ----------
    length : int
        Digits that are read, T, at least 2.
    count : int
        How many to draw, B.
    generator : torch.Generator
        Decides the draw, and by its device where the digits are made.
    validation : bool
        Whether to draw from the palindromes kept for validation.

    Returns
    -------
    digits : Tensor
        Integers 0 to 9, shape (T, B).
    targets : Tensor
        The digit that follows, which equals ``digits[0]``, shape (B,).

    Raises
    ------
    ValueError
        If the length is below 2: no half is left to tell the two kinds apart.
    """
    if length < 2:
        raise ValueError(f"length must be at least 2, got {length}")
    half = (length + 2) // 2  # of length + 1 digits, the middle one included
    place = generator.device
    left = torch.randint(DIGITS, (half, count), generator=generator, device=place)
    remainder = (
        torch.zeros(count, dtype=torch.long, device=place)
        if validation
        else torch.randint(1, DIGITS, (count,), generator=generator, device=place)
    )
    left[-1] = (remainder - left[:-1].sum(0)) % DIGITS
    right = left.flip(0)[(length + 1) % 2 :]  # an odd one has its middle once
    whole = torch.cat([left, right])  # (T + 1, B)
    return whole[:-1], whole[-1]


def encode(digits: Tensor, encoding: str) -> Tensor:
    """Turn digits into inputs: the digit itself, or one input for each digit.

    Parameters
    ----------
    digits : Tensor
        Integers 0 to 9, shape (T, B).
    encoding : str
        ``"scalar"`` or ``"one-hot"``.

    Returns
    -------
    Tensor
        Shape (T, B, 1) or (T, B, 10), float32.

    Raises
    ------
    ValueError
        For an unknown encoding.
    """
    require_choice("encoding", encoding, ENCODINGS)
    if encoding == "scalar":
        return digits.float().unsqueeze(-1)
    return nn.functional.one_hot(digits, DIGITS).float()


def latch(length: int, encoding: str = "one-hot") -> Forecaster:
    """Build, by hand, a tanh network that solves the task at any length.

    h_t = tanh(W_xh x_t + w h_{t-1} + b_h) (`eq-latch`). The first step writes a code
    of the first digit into the signs of the units, and w is so large that no later
    input changes a sign. With one-hot inputs four units keep the digit's four bits;
    with scalar inputs nine units keep whether it is at least 1, 2, ..., 9.

    Parameters
    ----------
    length : int
        Digits that are read, T.
    encoding : str
        ``"scalar"`` or ``"one-hot"``.

    Returns
    -------
    Forecaster
        With weights that are whole numbers, or halves.

    Raises
    ------
    ValueError
        For an unknown encoding.
    """
    require_choice("encoding", encoding, ENCODINGS)
    digit = torch.arange(DIGITS).unsqueeze(1)
    if encoding == "one-hot":
        code = 2.0 * ((digit >> torch.arange(4)) & 1) - 1  # (10, 4): the bits
        W_xh, b_h, w = 2 * code.T, torch.zeros(4), 4.0
    else:
        code = 2.0 * (digit > torch.arange(9)) - 1  # (10, 9): at least 1, 2, ..., 9?
        W_xh, b_h, w = torch.ones(9, 1), -torch.arange(9) - 0.5, 40.0
    h = len(b_h)
    weights = {
        "cell.weight_ih_l0": W_xh,
        "cell.weight_hh_l0": w * torch.eye(h),
        "cell.bias_ih_l0": b_h,
        "cell.bias_hh_l0": torch.zeros(h),
        "head.weight": code,  # the digit whose code agrees with most units wins
        "head.bias": torch.zeros(DIGITS),
    }
    model = Trial(length=length, encoding=encoding, hidden_size=h).model()
    model.load_state_dict(weights)
    return model


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One network on the palindrome task: everything that decides the result.

    Parameters
    ----------
    cell : str
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
    length : int
        Digits that are read, T.
    encoding : str
        ``"scalar"`` (one input, the digit itself) or ``"one-hot"`` (ten).
    start : str
        ``"uniform"`` is torch's, ``"orthogonal"`` is `set_orthogonal`.
    forget_bias : float, optional
        Of an LSTM at the start; torch's small random one by default.
    hidden_size : int
        Units, h.
    learning_rate : float
        Of RMSprop.
    batch_size : int
        Palindromes a step, drawn anew each time.
    clip : float
        Largest allowed norm of the gradient.
    steps : int
        At most; a trial that has solved the task stops.
    seed : int
        Of the start and of all palindromes.

    Raises
    ------
    ValueError
        For an invalid setting: names it and what it may be.
    """

    cell: str = "rnn"
    length: int = 10
    encoding: str = "scalar"
    start: str = "uniform"
    forget_bias: float | None = None
    hidden_size: int = 128
    learning_rate: float = 1e-3
    batch_size: int = 128
    clip: float = 10.0
    steps: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("cell", self.cell, CELLS)
        require_choice("encoding", self.encoding, ENCODINGS)
        require_choice("start", self.start, STARTS)
        sizes = ("hidden_size", "learning_rate", "batch_size", "clip", "steps")
        require_positive(self, *sizes)
        if self.length < 2:
            raise ValueError(f"length must be at least 2, got {self.length}")
        if self.forget_bias is not None and self.cell != "lstm":
            raise ValueError(f"forget_bias is for the cell 'lstm', not {self.cell!r}")

    def generator(self, purpose: str) -> torch.Generator:
        """Make the generator of one of `PURPOSES`, the same for the same seed."""
        return seeded(self.seed, purpose, PURPOSES)

    def model(self) -> Forecaster:
        """Make the untrained model, the same for the same seed."""
        model = Forecaster(
            self.cell,
            Layout("many-to-one", self.length),
            input_size=1 if self.encoding == "scalar" else DIGITS,
            hidden_size=self.hidden_size,
            output_size=DIGITS,
            generator=self.generator("start"),
        )
        if self.start == "orthogonal":
            set_orthogonal(model, self.generator("orthogonal"))
        if self.forget_bias is not None:
            set_forget_bias(model, self.forget_bias)
        return model


@dataclass(frozen=True)
class Checks:
    """What was seen during training, one entry for every check.

    Parameters
    ----------
    step : tuple of int
        Steps done.
    training_loss, training_accuracy : tuple of float
        Mean over the batches since the check before, each measured before its step.
    validation_loss, validation_accuracy : tuple of float
        On 1000 palindromes that are never trained on.
    gradient_norm : tuple of float
        Largest norm of the gradient since the check before, before clipping.
    """

    step: tuple[int, ...]
    training_loss: tuple[float, ...]
    training_accuracy: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    gradient_norm: tuple[float, ...]


@dataclass(frozen=True)
class TrialRecord(RunRecord):
    """The result of one trial.

    Parameters
    ----------
    settings : dict
        The trial's settings, the seed among them.
    checks : Checks
        Its course.
    provenance : Provenance
        Device, versions, time. The data are the task itself.
    """

    kind: ClassVar[str] = "memory"
    made_from: ClassVar[type[Any]] = Trial

    settings: dict[str, Any]
    checks: Checks
    provenance: Provenance

    @property
    def trial(self) -> Trial:
        """The settings as a trial, to run it again."""
        return Trial(**self.settings)

    @property
    def steps(self) -> int:
        """Steps done."""
        return self.checks.step[-1]

    @property
    def accuracy(self) -> float:
        """Validation accuracy at the last check."""
        return self.checks.validation_accuracy[-1]

    @property
    def solved(self) -> bool:
        """Whether the last check was (nearly) without error."""
        return self.accuracy >= SOLVED


@exact_matmul()
@one_thread()
def run_trial(
    trial: Trial, *, device: str = "auto", progress: bool = True
) -> TrialRecord:
    """Train a network on palindromes until it has solved the task, or all its steps.

    Parameters
    ----------
    trial : Trial
        The settings.
    device : str
        See `choose_device`. The palindromes are the same on every device.
    progress : bool
        Whether to show a bar in a terminal or a live notebook.

    Returns
    -------
    TrialRecord

    Raises
    ------
    DivergenceError
        If a loss is no longer finite: says by which step.
    """
    started, place = time.perf_counter(), choose_device(device)
    model = trial.model().to(place)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=trial.learning_rate)
    training, validation = map(trial.generator, ("training", "validation"))
    held_out = _drawn(trial, VALIDATION_SIZE, validation, place, validation=True)
    rows: list[list[float]] = []
    seen: list[Tensor] = []
    bar = progress_bar(
        range(1, trial.steps + 1),
        show=progress,
        desc=f"{trial.cell} {trial.length}",
        unit="step",
    )
    for step in bar:
        batch = _drawn(trial, trial.batch_size, training, place)
        seen.append(_step(trial, model, optimizer, *batch))
        if step % CHECK_EVERY == 0 or step == trial.steps:
            rows.append(_check(trial, model, step, torch.stack(seen), held_out))
            seen.clear()
            bar.set_postfix(accuracy=f"{rows[-1][4]:.3f}")
            if rows[-1][4] >= SOLVED:
                break
    bar.close()
    return TrialRecord(
        settings=asdict(trial),
        checks=Checks(*(tuple(column) for column in zip(*rows, strict=True))),
        provenance=Provenance.of_run(
            TrialRecord.kind, "palindromes", "", place, started
        ),
    )


def _drawn(
    trial: Trial,
    count: int,
    generator: torch.Generator,
    place: torch.device,
    *,
    validation: bool = False,
) -> tuple[Tensor, Tensor]:
    """Draw palindromes and move them to a device."""
    digits, targets = palindromes(
        trial.length, count, generator=generator, validation=validation
    )
    return digits.to(place), targets.to(place)


def _step(
    trial: Trial,
    model: Forecaster,
    optimizer: torch.optim.Optimizer,
    digits: Tensor,
    targets: Tensor,
) -> Tensor:
    """Take one step; return loss, accuracy and gradient norm from before it."""
    loss, accuracy = _measure(trial, model, digits, targets)
    norm = clipped_step(loss, model, optimizer, trial.clip)
    return torch.stack([loss.detach(), accuracy, norm])


def _measure(
    trial: Trial, model: Forecaster, digits: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    outputs = model(encode(digits, trial.encoding))[0]  # (B, 10)
    hits = (outputs.argmax(1) == targets).float()
    return nn.functional.cross_entropy(outputs, targets), hits.mean()


@torch.no_grad()
def _check(
    trial: Trial,
    model: Forecaster,
    step: int,
    seen: Tensor,
    held_out: tuple[Tensor, Tensor],
) -> list[float]:
    """Summarise the steps since the last check, and validate."""
    if not seen.isfinite().all():
        raise DivergenceError(
            f"the loss or its gradient is not finite by step {step}: try a "
            f"learning_rate below {trial.learning_rate:g}"
        )
    loss, accuracy = _measure(trial, model, *held_out)
    training_loss, training_accuracy, _ = seen.mean(0).tolist()
    values = [training_loss, training_accuracy, loss.item(), accuracy.item()]
    return [step, *map(rounded, [*values, seen[:, 2].max().item()])]
