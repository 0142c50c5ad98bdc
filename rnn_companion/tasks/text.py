"""Text, a character at a time: corpora, the character model, sampling.

Source: chapter *Text*; the defaults are those of the assignment behind the
palindrome report.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnn_companion.forecasting.experiment import (
    OPTIMIZERS,
    DivergenceError,
    choose_device,
    provenance,
)
from rnn_companion.forecasting.records import RESULTS, Provenance, record_key
from rnn_companion.progress import progress_bar

__all__ = [
    "CharacterModel",
    "Corpus",
    "Mark",
    "TextRecord",
    "TextTraining",
    "context_loss",
    "load_corpus",
    "load_model",
    "longest_copy",
    "probabilities",
    "sample",
    "save_model",
    "show",
    "stream",
    "train",
]

SHORTEST = 1000  # characters that a corpus must have
CONTEXTS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 30)  # characters read before the target
CURVE_EVERY = 10  # steps that share one entry of the loss curve

State = tuple[Tensor, Tensor]  # H and C of the LSTM, each (layers, B, h)

_GUTENBERG = re.compile(
    r"^\s*\*\*\* ?(START|END) OF (?:THE|THIS) PROJECT GUTENBERG EBOOK.*$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True)
class Corpus:
    """A text to learn from.

    Parameters
    ----------
    text : str
        At least 1000 characters.
    name, licence : str
        What it is, and on what terms it may be passed on.

    Raises
    ------
    ValueError
        If the text is too short.
    """

    text: str
    name: str
    licence: str = "not stated"

    def __post_init__(self) -> None:
        if len(self.text) < SHORTEST:
            blank = not self.text.strip()
            what = "is empty" if blank else f"has {len(self.text)} characters"
            raise ValueError(
                f"{self.name} {what}: give a text of at least {SHORTEST} characters"
            )

    @cached_property
    def vocabulary(self) -> str:
        """Every character of the text once, sorted."""
        return "".join(sorted(set(self.text)))

    @property
    def checksum(self) -> str:
        """SHA-256 of the text: two equal sums mean equal texts."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def split(self, training: float) -> tuple[str, str]:
        """Cut into a first part to learn from and a last part to validate on."""
        end = round(training * len(self.text))
        return self.text[:end], self.text[end:]


def load_corpus(path: str | Path | None = None, *, cut: bool = True) -> Corpus:
    """Load a text.

    Parameters
    ----------
    path : str or Path, optional
        A UTF-8 text file. By default the topics that Python's own ``help()`` shows:
        most of the language reference, part of every Python, each paragraph once.
    cut : bool
        Whether to leave out what stands before and after a book of Project
        Gutenberg: its header and its licence.

    Returns
    -------
    Corpus

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is empty, too short or not UTF-8: says what to do.
    """
    if path is None:
        return _python_topics()
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file}: byte {error.object[error.start]:#04x} at {error.start} is not "
            "UTF-8; save the file as UTF-8 (iconv -f ISO-8859-1 -t UTF-8, say)"
        ) from None
    return Corpus(_cut_gutenberg(text) if cut else text, name=file.name)


def _cut_gutenberg(text: str) -> str:
    """Return what stands between Project Gutenberg's two marks, if it has them."""
    start, end = 0, len(text)
    if not _GUTENBERG.search(text):
        return text
    for mark in _GUTENBERG.finditer(text):
        if mark[1].upper() == "START":
            start = mark.end()
        else:
            end = min(end, mark.start())
    return text[start:end].strip() + "\n"


def _python_topics() -> Corpus:
    from pydoc_data.topics import topics

    whole = "\n\n".join(topics[name].strip() for name in sorted(topics))
    paragraphs = dict.fromkeys(whole.split("\n\n"))  # several topics share some
    return Corpus(
        "\n\n".join(paragraphs) + "\n",
        name="Python's help() topics",
        licence="Python Software Foundation License 2",
    )


class CharacterModel(nn.Module):
    """An LSTM that reads characters one-hot and scores the next one.

    Parameters
    ----------
    vocabulary : str
        Every character it knows, once.
    hidden_size, layers : int
        Units of each layer, stacked layers.
    generator : torch.Generator, optional
        Draws the start: uniform in ±1/√h, as torch does.
    """

    def __init__(
        self,
        vocabulary: str,
        *,
        hidden_size: int = 128,
        layers: int = 2,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self._index = {character: k for k, character in enumerate(vocabulary)}
        with torch.device("meta"):  # no draw from the global generator
            self.cell = nn.LSTM(len(vocabulary), hidden_size, layers)
            self.head = nn.Linear(hidden_size, len(vocabulary))
        self.to_empty(device="cpu")
        bound = 1 / math.sqrt(hidden_size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Score the character after each one read.

        Parameters
        ----------
        x : Tensor
            Numbers of characters, shape (T, B).
        state : (H, C), optional
            The state to go on from, each (layers, B, h); zeros by default.

        Returns
        -------
        o : Tensor
            Scores, the inputs of the softmax, shape (T, B, V).
        state : (H, C)
            The state after the last character.
        """
        X = nn.functional.one_hot(x, len(self.vocabulary)).to(self.head.weight.dtype)
        H, state = self.cell(X, state)  # (T, B, h)
        return self.head(H), state

    def encode(self, text: str) -> Tensor:
        """Turn text into numbers of characters, shape (len(text),).

        Raises
        ------
        ValueError
            If the text is empty or holds characters that the model does not know.
        """
        if not text:
            raise ValueError("the text is empty: give at least one character")
        unknown = sorted(set(text) - set(self.vocabulary))
        if unknown:
            raise ValueError(
                f"the model has never seen {', '.join(map(repr, unknown))}: "
                "leave out what its corpus lacks"
            )
        numbers = [self._index[character] for character in text]
        return torch.tensor(numbers, device=self.head.weight.device)


def probabilities(o: Tensor, temperature: float = 1.0) -> Tensor:
    """Turn scores into probabilities (`eq-temperature`).

    Parameters
    ----------
    o : Tensor
        Scores, shape (..., V).
    temperature : float
        Below 1 favours what is likely already, above 1 what is not.

    Returns
    -------
    Tensor
        Shape (..., V); the last axis sums to 1.

    Raises
    ------
    ValueError
        If the temperature is not a positive number.
    """
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature must be a positive number, got {temperature}: to take the "
            "likeliest character each time, use None (--greedy)"
        )
    return torch.softmax(o / temperature, dim=-1)


@torch.no_grad()
def stream(
    model: CharacterModel,
    prompt: str,
    *,
    temperature: float | None = 1.0,
    generator: torch.Generator | None = None,
) -> Iterator[tuple[str, float]]:
    """Write on after a prompt, for ever: a character and its probability at a time.

    Parameters
    ----------
    model : CharacterModel
        What writes.
    prompt : str
        What it reads first.
    temperature : float or None
        See `probabilities`; None takes the likeliest character each time.
    generator : torch.Generator, optional
        Decides the draw; by default one with seed 0.

    Yields
    ------
    character : str
    probability : float
        Of this character in the distribution it was drawn from; without a
        temperature, in the model's own.

    Raises
    ------
    ValueError
        If the prompt is empty or holds unknown characters, or the temperature is
        not positive.
    """
    generator = generator or torch.Generator().manual_seed(0)
    probabilities(torch.zeros(1), 1.0 if temperature is None else temperature)
    return _stream(model, model.encode(prompt), temperature, generator)


@torch.no_grad()
def _stream(
    model: CharacterModel,
    read: Tensor,
    temperature: float | None,
    generator: torch.Generator,
) -> Iterator[tuple[str, float]]:
    state: State | None = None
    while True:
        o, state = model(read.unsqueeze(1), state)  # (T, 1, V)
        p = probabilities(o[-1, 0].cpu(), temperature or 1.0)  # (V,)
        drawn = (
            p.argmax() if temperature is None else p.multinomial(1, generator=generator)
        )
        k = int(drawn)
        yield model.vocabulary[k], float(p[k])
        read = torch.tensor([k], device=read.device)


def sample(
    model: CharacterModel,
    prompt: str,
    count: int,
    *,
    temperature: float | None = 1.0,
    generator: torch.Generator | None = None,
) -> str:
    """Write `count` characters after a prompt; the rest is as in `stream`.

    Returns
    -------
    str
        The new characters, without the prompt.
    """
    written = stream(model, prompt, temperature=temperature, generator=generator)
    return "".join(character for character, _ in islice(written, count))


def show(written: Iterator[tuple[str, float]], count: int, *, width: int = 76) -> None:
    """Print what is written as it comes, and break long lines at a blank.

    Parameters
    ----------
    written : iterator of (str, float)
        From `stream`.
    count : int
        Characters to print.
    width : int
        After how many characters the next blank becomes a line break.
    """
    column, kept = 0, []
    for character, _ in islice(written, count):
        broken = "\n" if character == " " and column >= width else character
        column = 0 if broken == "\n" else column + 1
        if os.environ.get("RNN_COMPANION_BOOK"):  # a page takes it in one piece
            kept.append(broken)
        else:
            print(broken, end="", flush=sys.stdout.isatty())
    print("".join(kept))


def longest_copy(written: str, corpus: str) -> str:
    """Find the longest passage of `written` that stands in `corpus`, word for word.

    Parameters
    ----------
    written, corpus : str
        The sample, and the text it may have been copied from.

    Returns
    -------
    str
        The first of the longest ones; empty if the two share no character.
    """
    best = ""
    for start in range(len(written)):
        while start + len(best) < len(written):
            longer = written[start : start + len(best) + 1]
            if longer not in corpus:
                break
            best = longer
    return best


@torch.no_grad()
def context_loss(
    model: CharacterModel,
    text: str,
    contexts: Sequence[int] = CONTEXTS,
    *,
    count: int = 2000,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Measure the loss on the same characters after reading more and more of them.

    Parameters
    ----------
    model : CharacterModel
        Starts from a zero state each time.
    text : str
        Where the characters are taken from, longer than the longest context.
    contexts : sequence of int
        How many characters are read before the one to tell, each at least 1.
    count : int
        How many characters to tell, drawn at random.
    generator : torch.Generator, optional
        Decides which; by default one with seed 0.

    Returns
    -------
    Tensor
        Cross-entropy in nats, shape (len(contexts), count); a column is one target.

    Raises
    ------
    ValueError
        If the text is not longer than the longest context.
    """
    generator = generator or torch.Generator().manual_seed(0)
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
        For a setting that means nothing: names it and what it may be.
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
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"unknown optimizer {self.optimizer!r}: "
                f"choose one of {', '.join(OPTIMIZERS)}"
            )
        for name, value in asdict(self).items():
            if name not in ("optimizer", "seed") and not value > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        for name in ("decay", "training"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be at most 1, got {getattr(self, name)}")

    def model(self, vocabulary: str) -> CharacterModel:
        """Make the untrained model, the same for the same seed."""
        return CharacterModel(
            vocabulary,
            hidden_size=self.hidden_size,
            layers=self.layers,
            generator=_generator(self.seed, "start"),
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
        30 characters by the likeliest path after the text's first one; None where
        the corpus may not be given back.
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
class TextRecord:
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

    settings: dict[str, Any]
    characters: int
    vocabulary_size: int
    training_loss: tuple[float, ...]
    training_accuracy: tuple[float, ...]
    marks: tuple[Mark, ...]
    provenance: Provenance

    @property
    def key(self) -> str:
        """Settings, corpus and version of the results: equal keys, equal numbers."""
        made_from = self.provenance.checksum, self.provenance.results
        return record_key(self.settings, *made_from)

    def to_json(self) -> str:
        """Write as one line of JSON."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> TextRecord:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            If the line is no record of a text.
        """
        try:
            fields = {k: _tuples(v) for k, v in json.loads(line).items()}
            marks = [{k: _tuples(v) for k, v in m.items()} for m in fields.pop("marks")]
            origin = Provenance(**fields.pop("provenance"))
            kept = tuple(Mark(**mark) for mark in marks)
            return cls(marks=kept, provenance=origin, **fields)
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(
                f"not a record of a text ({error}): {line[:60]!r}"
            ) from None


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
    numbers, windows = model.encode(learned), _generator(training.seed, "windows")
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
            _require_finite(since, step, training)
            marks.append(
                _mark(training, model, step, since, learned, held_out, private)
            )
        if not last:
            _step(training, model, optimizer, loss)
            schedule.step()
    return model, TextRecord(
        settings=asdict(training),
        characters=len(corpus.text),
        vocabulary_size=len(corpus.vocabulary),
        training_loss=_curve(seen, 0),
        training_accuracy=_curve(seen, 1),
        marks=tuple(marks),
        provenance=provenance(
            corpus.name,
            corpus.checksum,
            place,
            time.perf_counter() - started,
            RESULTS["text"],
        ),
    )


def save_model(model: CharacterModel, path: str | Path) -> None:
    """Write a model: its weights in half precision, its sizes, its vocabulary.

    Parameters
    ----------
    model : CharacterModel
        The model.
    path : str or Path
        A file, replaced if it exists and left as it was if writing fails.
    """
    saved = {
        "vocabulary": model.vocabulary,
        "hidden_size": model.cell.hidden_size,
        "layers": model.cell.num_layers,
        "weights": {k: v.cpu().half() for k, v in model.state_dict().items()},
    }
    file = Path(path)
    part = file.with_name(file.name + ".part")
    torch.save(saved, part)
    part.replace(file)


def load_model(path: str | Path) -> CharacterModel:
    """Read what `save_model` wrote; nothing in the file is run.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds no character model.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location="cpu")
        model = CharacterModel(
            saved["vocabulary"],
            hidden_size=saved["hidden_size"],
            layers=saved["layers"],
        )
        model.load_state_dict({k: v.float() for k, v in saved["weights"].items()})
    except (KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as e:
        reason = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise ValueError(
            f"{path} holds no character model ({reason}): "
            "give a file that save_model wrote"
        ) from None
    return model


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


def _step(
    training: TextTraining,
    model: CharacterModel,
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
) -> None:
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), training.clip)
    optimizer.step()


def _require_finite(seen: list[Tensor], step: int, training: TextTraining) -> None:
    bad = (~torch.stack(seen)[:, 0].isfinite()).nonzero()
    if len(bad):
        first = step - len(seen) + 1 + int(bad[0])
        raise DivergenceError(
            f"the training loss is not finite at step {first}: try a learning_rate "
            f"below {training.learning_rate:g}"
        )


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
        validation = [_rounded(v) for v in _validate(training, model, held_out)]
    return Mark(
        step=step,
        loss=_rounded(loss),
        accuracy=_rounded(accuracy),
        mean_loss=_rounded(torch.stack(since)[:, 0].mean().item()),
        validation_loss=validation[0],
        validation_accuracy=validation[1],
        context_loss=tuple(_rounded(v) for v in context.tolist()),
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
    return tuple(_rounded(v.mean().item()) for v in values.split(CURVE_EVERY))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _tuples(value: Any) -> Any:  # noqa: ANN401 - JSON has no narrower type
    return tuple(value) if isinstance(value, list) else value


def _generator(seed: int, purpose: str) -> torch.Generator:
    """Make a CPU generator for one purpose, so that no draw shifts another."""
    stream = ("start", "windows").index(purpose)
    return torch.Generator().manual_seed(2 * seed + stream)
