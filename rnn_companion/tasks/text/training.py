"""Train a character model, and record how it goes.

Source: chapter *Text*, section *Training*; the defaults are those of the assignment
behind the palindrome report.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rnn_companion.devices import choose_device, one_thread
from rnn_companion.forecasting.engine import exact_matmul
from rnn_companion.forecasting.experiment import (
    clipped_step,
    require_finite,
)
from rnn_companion.forecasting.records import Provenance, RecordFile, RunRecord, rounded
from rnn_companion.forecasting.settings import (
    OPTIMIZERS,
    require_choice,
    require_positive,
    seeded,
)
from rnn_companion.progress import progress_bar
from rnn_companion.tasks.text.corpus import Corpus, load_corpus
from rnn_companion.tasks.text.model import CharacterModel
from rnn_companion.tasks.text.sampling import sample

CONTEXTS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 30)  # characters read before the target
CURVE_EVERY = 10  # steps that share one entry of the loss curve


@dataclass(frozen=True, kw_only=True)
class TextTraining:
    """How a character model is trained: everything but the corpus and the device.

    Parameters
    ----------
    length : int
        Characters of a window, T.
    hidden_size, layers : int
        Units of each layer, stacked layers.
    batch_size : int
        Windows a step, from anywhere in the training text.
    optimizer : str
        ``"rmsprop"``, ``"adam"`` or ``"sgd"``.
    learning_rate : float
        At the start; multiplied by `decay` after every `decay_every` steps.
    decay : float
        At most 1.
    decay_every : int
        Steps.
    clip : float
        Largest allowed norm of the gradient.
    temperature : float
        Of the softmax in training.
    steps, mark_every : int
        Steps in all, and steps between two marks of the record.
    training : float
        Fraction of the text to learn from; the rest validates.
    seed : int
        Of the start and the windows.

    Raises
    ------
    ValueError
        For an invalid setting: names it and what it may be.
    """

    length: int = 30
    hidden_size: int = 128
    layers: int = 2
    batch_size: int = 64
    optimizer: str = "rmsprop"
    learning_rate: float = 2e-3
    decay: float = 0.96
    decay_every: int = 5000
    clip: float = 5.0
    temperature: float = 1.0
    steps: int = 3200
    mark_every: int = 400
    training: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("optimizer", self.optimizer, OPTIMIZERS)
        others = asdict(self).keys() - {"optimizer", "seed"}
        require_positive(self, *sorted(others))
        for name in ("decay", "training"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be at most 1, got {getattr(self, name)}")

    def generator(self, purpose: str) -> torch.Generator:
        """Make the generator of the ``"start"`` or of the ``"windows"``."""
        return seeded(self.seed, purpose, ("start", "windows"))

    def model(self, vocabulary: str) -> CharacterModel:
        """Make the untrained model, the same for the same seed."""
        return CharacterModel(
            vocabulary,
            hidden_size=self.hidden_size,
            layers=self.layers,
            generator=self.generator("start"),
        )


@dataclass(frozen=True)
class Mark:
    """What the model could do after some steps.

    Parameters
    ----------
    step : int
        Steps done.
    loss, accuracy : float
        Of the last training batch before the step, as a training log shows them;
        at step 0, of the first batch.
    mean_loss : float
        Over all training batches since the mark before.
    validation_loss, validation_accuracy : float or None
        On all of the held-out text, in windows of the training length; None
        without one.
    context_loss : tuple of float
        Mean cross-entropy after 1, 2, 3, 4, 6, 8, 12, 16, 20 and 30 characters, on
        the same 2000 held-out ones (on training ones without a held-out text).
    written : str or None
        The 30 characters after the text's first one, the likeliest each time; None
        for a private corpus.
    """

    step: int
    loss: float
    accuracy: float
    mean_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    context_loss: tuple[float, ...]
    written: str | None


@dataclass(frozen=True)
class TextRecord(RunRecord):
    """The result of one training.

    Parameters
    ----------
    settings : dict
        Of the training, the seed among them.
    characters, vocabulary_size : int
        Size of the corpus, and how many different characters it has, V.
    training_loss, training_accuracy : tuple of float
        Mean over every ten steps, each batch measured before its step.
    marks : tuple of Mark
        From step 0 to the last.
    provenance : Provenance
        Corpus, device, versions, time.
    """

    kind: ClassVar[str] = "text"
    made_from: ClassVar[type[Any]] = TextTraining

    settings: dict[str, Any]
    characters: int
    vocabulary_size: int
    training_loss: tuple[float, ...]
    training_accuracy: tuple[float, ...]
    marks: tuple[Mark, ...]
    provenance: Provenance


@exact_matmul()
@one_thread()
def train(
    training: TextTraining | None = None,
    corpus: Corpus | None = None,
    *,
    device: str = "auto",
    progress: bool = True,
    private: bool = False,
) -> tuple[CharacterModel, TextRecord]:
    """Train a character model.

    Parameters
    ----------
    training : TextTraining, optional
        The settings; the assignment's by default.
    corpus : Corpus, optional
        The text; Python's own by default.
    device : str
        See `choose_device`.
    progress : bool
        Whether to show a bar in a terminal or a live notebook.
    private : bool
        Whether to keep everything that the model wrote out of the record.

    Returns
    -------
    model : CharacterModel
    record : TextRecord

    Raises
    ------
    DivergenceError
        If a loss is no longer finite: says at which step.
    ValueError
        If the training part or the held-out part is shorter than a window.
    """
    training = training or TextTraining()
    corpus = corpus or load_corpus()
    started, place = time.perf_counter(), choose_device(device)
    model = training.model(corpus.vocabulary).to(place)
    learned, held_out = _parts(corpus, training)
    numbers, windows = model.encode(learned), training.generator("windows")
    optimizer = OPTIMIZERS[training.optimizer](
        model.parameters(), lr=training.learning_rate
    )
    schedule = torch.optim.lr_scheduler.StepLR(
        optimizer, training.decay_every, training.decay
    )
    seen: list[Tensor] = []
    marks: list[Mark] = []
    steps = range(training.steps + 1)
    for step in progress_bar(steps, show=progress, desc=corpus.name, unit="step"):
        batch = _windows(numbers, training, windows)
        loss, accuracy = _measure(model, batch, training.temperature)
        seen.append(torch.stack([loss.detach(), accuracy]))
        last = step == training.steps
        if last or step % training.mark_every == 0:
            since = seen[marks[-1].step + 1 if marks else 0 :]
            losses = torch.stack(since)[:, 0]
            hint = f": try a learning_rate below {training.learning_rate:g}"
            require_finite(losses, step - len(since), hint)
            marks.append(
                _mark(training, model, step, since, learned, held_out, private)
            )
        if not last:
            clipped_step(loss, model, optimizer, training.clip)
            schedule.step()
    return model, TextRecord(
        settings=asdict(training),
        characters=len(corpus.text),
        vocabulary_size=len(corpus.vocabulary),
        training_loss=_curve(seen, 0),
        training_accuracy=_curve(seen, 1),
        marks=tuple(marks),
        provenance=Provenance.of_run(
            TextRecord.kind, corpus.name, corpus.checksum, place, started
        ),
    )


def recorded(path: str | Path, training: TextTraining, data: str) -> TextRecord:
    """Look a training up in a record file.

    Parameters
    ----------
    path : str or Path
        From ``rnn-companion text train --record``.
    training : TextTraining
        The settings.
    data : str
        Checksum of the corpus, or its name where any edition will do.

    Returns
    -------
    TextRecord
        By this version of the results.

    Raises
    ------
    MissingRecordError
        If there is none: names the settings, and the command that makes it.
    RecordFileError
        If the file is torn or foreign.
    """
    command = f"rnn-companion text train --out MODEL.pt --record {path}"
    file = RecordFile(path, TextRecord)
    return file.find([training], data, command=command)[training]


@one_thread()
@torch.no_grad()
def context_loss(
    model: CharacterModel,
    text: str,
    contexts: Sequence[int] = CONTEXTS,
    *,
    count: int = 2000,
) -> Tensor:
    """Measure the loss on the same characters after reading more and more of them.

    Parameters
    ----------
    model : CharacterModel
        Starts from a zero state each time.
    text : str
        Where the characters are taken from, longer than the longest context.
    contexts : sequence of int
        How many characters are read before the one to predict, each at least 1.
    count : int
        How many characters to predict, drawn at random, the same each time.

    Returns
    -------
    Tensor
        Cross-entropy in nats, shape (len(contexts), count); a column is one target.

    Raises
    ------
    ValueError
        If the text is not longer than the longest context.
    """
    generator = torch.Generator().manual_seed(0)
    longest = max(contexts)
    if len(text) <= longest:
        raise ValueError(
            f"a text of {len(text)} characters has none with {longest} before it: "
            "give a longer text or shorter contexts"
        )
    numbers = model.encode(text)
    targets = torch.randint(longest, len(text), (count,), generator=generator)
    losses = []
    for context in contexts:
        before = torch.arange(-context, 0).unsqueeze(1)  # (T, 1)
        o, _ = model(numbers[(targets + before).to(numbers.device)])
        truth = numbers[targets.to(numbers.device)]
        losses.append(nn.functional.cross_entropy(o[-1], truth, reduction="none"))
    return torch.stack(losses).cpu()


def _parts(corpus: Corpus, training: TextTraining) -> tuple[str, str]:
    """Split the corpus, and see that each part holds a window."""
    parts = corpus.split(training.training)
    shortest = max(training.length, *CONTEXTS) + 2
    for part in parts if parts[1] else parts[:1]:
        if len(part) < shortest:
            raise ValueError(
                f"{corpus.name}: a part of {len(part)} characters is shorter than a "
                f"window of {shortest}: give a longer text, a smaller length or "
                "another training"
            )
    return parts


def _windows(
    numbers: Tensor, training: TextTraining, generator: torch.Generator
) -> Tensor:
    """Cut windows from anywhere: inputs and, one step later, targets."""
    highest = len(numbers) - training.length
    starts = torch.randint(highest, (training.batch_size,), generator=generator)
    offsets = torch.arange(training.length + 1).unsqueeze(1)
    return numbers[(starts + offsets).to(numbers.device)]  # (T + 1, B)


def _measure(
    model: CharacterModel, windows: Tensor, temperature: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return mean cross-entropy and accuracy over all steps of all windows."""
    o, _ = model(windows[:-1])  # (T, B, V)
    o, truth = o.flatten(0, 1) / temperature, windows[1:].flatten()
    hits = (o.argmax(1) == truth).float()
    return nn.functional.cross_entropy(o, truth), hits.mean()


@torch.no_grad()
def _mark(
    training: TextTraining,
    model: CharacterModel,
    step: int,
    since: list[Tensor],
    learned: str,
    held_out: str,
    private: bool,
) -> Mark:
    loss, accuracy = since[-1].tolist()
    context = context_loss(model, held_out or learned).mean(1)
    validation: list[float | None] = [None, None]
    if held_out:
        validation = [rounded(v) for v in _validate(training, model, held_out)]
    return Mark(
        step=step,
        loss=rounded(loss),
        accuracy=rounded(accuracy),
        mean_loss=rounded(torch.stack(since)[:, 0].mean().item()),
        validation_loss=validation[0],
        validation_accuracy=validation[1],
        context_loss=tuple(rounded(v) for v in context.tolist()),
        written=None if private else sample(model, learned[0], 30, temperature=None),
    )


def _validate(
    training: TextTraining, model: CharacterModel, text: str
) -> tuple[float, float]:
    """Measure loss and accuracy on the whole text, window after window."""
    T = training.length
    count = (len(text) - 1) // T
    starts = torch.arange(count) * T
    offsets = torch.arange(T + 1).unsqueeze(1)
    numbers = model.encode(text)
    loss, accuracy = _measure(model, numbers[(starts + offsets).to(numbers.device)])
    return loss.item(), accuracy.item()


def _curve(seen: list[Tensor], column: int) -> tuple[float, ...]:
    """Average every ten steps; the batch after the last step is left out."""
    values = torch.stack(seen[:-1])[:, column]
    return tuple(rounded(v.mean().item()) for v in values.split(CURVE_EVERY))
