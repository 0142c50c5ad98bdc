"""Let a character model write, and find what it has copied.

Source: chapter *Text*, section *Temperature* (`eq-temperature`).
"""

import math
import os
import sys
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from rnn_companion.tasks.text.model import CharacterModel, State

WIDTH = 76  # characters of a line, before the next blank


def probabilities(o: Tensor, temperature: float = 1.0) -> Tensor:
    """Turn scores into probabilities, softmax(o / temperature) (`eq-temperature`).

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
    """Continue a prompt without end, a character and its probability at a time.

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


def show(written: Iterator[tuple[str, float]], count: int) -> None:
    """Print what is written as it comes, and break long lines at a blank.

    Parameters
    ----------
    written : iterator of (str, float)
        From `stream`.
    count : int
        Characters to print. After 76 on a line the next blank becomes a line break.
    """
    column, kept = 0, []
    for character, _ in islice(written, count):
        broken = "\n" if character == " " and column >= WIDTH else character
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
