"""How a function is held against the book's own, and its mistake found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Function = Callable[..., Any]
Mistakes = Mapping[str, Function]


class Wrong(AssertionError):
    """What is wrong with a function, in words; shown without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


def examine(
    name: str,
    function: Function,
    reference: Function,
    cases: Sequence[tuple[Any, ...]],
    mistakes: Mistakes,
) -> None:
    """Hold a function against the book's own, and name its mistake.

    Parameters
    ----------
    name : str
        What the function is called.
    function, reference : callable
        The reader's and the book's.
    cases : sequence of tuple
        Arguments. One case should be such that wrong shapes go unnoticed, to learn
        what a function that fails on the others computes.
    mistakes : mapping of str to callable
        What a wrong function computes, by its diagnosis.

    Raises
    ------
    Wrong
        With the diagnosis.
    """
    if not callable(function):
        raise Wrong(f"{name}: give the function itself, not {function!r:.40}")
    for arguments in cases:
        wrong = _try(function, reference, arguments)
        if wrong is not None:
            raise Wrong(f"{name}: {_named(function, cases, mistakes) or wrong}.")
        if _try(function, reference, arguments) is not None:
            raise Wrong(
                f"{name}: right at first, wrong when called again with the same "
                "arguments: something is kept from one call to the next, such as the "
                "hidden state of the previous batch."
            )
    print(f"{name}: correct.")


def _try(
    function: Function, reference: Function, arguments: tuple[Any, ...]
) -> str | None:
    """Say how a function differs from the reference, if it does."""
    expected = reference(*copies(arguments))
    mine = copies(arguments)
    try:
        found = function(*mine)
    except NotImplementedError:
        return "is not written yet"
    except Exception as error:  # whatever a reader's function does
        return f"raises {type(error).__name__}: {error}"
    for number, (before, after) in enumerate(zip(arguments, mine, strict=True), 1):
        if isinstance(before, Tensor) and not torch.equal(before, after):
            return f"changes its argument number {number} in place"
    return difference(found, expected)


def difference(found: object, expected: object) -> str | None:
    """Say how two results differ, in words."""
    if isinstance(expected, tuple):
        if not isinstance(found, tuple | list) or len(found) != len(expected):
            return f"returns no tuple of {len(expected)}"
        pairs = enumerate(zip(found, expected, strict=True), 1)
        told = [(k, difference(a, b)) for k, (a, b) in pairs]
        return next((f"result {k}: {text}" for k, text in told if text), None)
    if found is None:
        return "returns nothing: is there a return?"
    if isinstance(expected, Tensor) and expected.ndim and not isinstance(found, Tensor):
        return f"returns a {type(found).__name__}, not a tensor"
    try:
        a = torch.as_tensor(found).detach().to(torch.float64)
        b = torch.as_tensor(expected).detach().to(torch.float64)
    except (TypeError, ValueError, RuntimeError):
        return f"returns a {type(found).__name__} that is no number"
    if a.shape != b.shape:
        return f"returns shape {tuple(a.shape)}, not {tuple(b.shape)}"
    if not torch.isfinite(a).all():
        return "returns values that are not finite"
    off = (a - b).abs().max().item() if a.numel() else 0.0
    size = b.abs().max().item() if b.numel() else 0.0
    exact = isinstance(found, Tensor) and found.dtype == torch.float64
    close = off <= (1e-8 if exact else 1e-5) * max(1.0, size)
    return None if close else f"is off by as much as {off:.2g}"


def _named(
    function: Function, cases: Sequence[tuple[Any, ...]], mistakes: Mistakes
) -> str | None:
    """Name the mistake that computes what the function computes, wherever both do."""
    found = [_result(function, arguments) for arguments in cases]
    for diagnosis, mistake in mistakes.items():
        wrong = [_result(mistake, arguments) for arguments in cases]
        both = [(f, w) for f, w in zip(found, wrong, strict=True) if f and w]
        if both and all(difference(f[0], w[0]) is None for f, w in both):
            return diagnosis
    return None


def _result(function: Function, arguments: tuple[Any, ...]) -> tuple[Any] | None:
    try:
        return (function(*copies(arguments)),)
    except Exception:  # then it tells nothing here
        return None


def copies(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copy the tensors among arguments, for a function may change them."""
    return tuple(a.clone() if isinstance(a, Tensor) else a for a in arguments)


def draw(*shapes: tuple[int, ...], seed: int = 0) -> tuple[Tensor, ...]:
    """Draw normal numbers, the same for the same shapes and seed."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in shapes
    )
