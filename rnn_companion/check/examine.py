"""How a function is compared with the book's own, and its mistake found."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from textwrap import indent
from typing import Any, cast

import torch
from torch import Tensor

Function = Callable[..., Any]
Mistakes = dict[str, Function]
Cases = Sequence[tuple[Any, ...]]

DOCSTRING = """{summary}

Parameters
----------
function : callable
{what}

Raises
------
Wrong
    With a diagnosis.
"""


class Wrong(AssertionError):
    """What is wrong with a function, in words; shown without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"✗ {self}"]


def mistakes(*entries: str | Function) -> Mistakes:
    """Pair diagnoses with what is computed so: a diagnosis, a function, and so on."""
    return cast(Mistakes, dict(zip(entries[::2], entries[1::2], strict=True)))


def compared_with(
    reference: Function,
    known: Mistakes,
    of: Function = lambda result: result,
    lent: Mapping[str, Function] | None = None,
) -> Callable[[Callable[[], Cases]], Callable[[Function], None]]:
    """Make a check out of a function that returns the cases to try.

    Parameters
    ----------
    reference : callable
        The book's own function.
    known : dict of callable
        What a wrong function computes, by its diagnosis.
    of : callable
        What is compared in the result of a reader's function; all of it by default.
    lent : mapping of str to callable, optional
        What a reader's function may call by name, as `with_lent` lends it.

    Returns
    -------
    callable
        A decorator. What it returns takes a reader's function, prints that it is
        correct or raises `Wrong`. The second paragraph of the docstring says what the
        reader's function takes and returns.
    """

    def decorate(cases: Callable[[], Cases]) -> Callable[[Function], None]:
        name = cases.__name__

        def check(function: Function) -> None:
            if not callable(function):
                raise Wrong(f"{name}: give the function itself, not {function!r:.40}")
            own = with_lent(function, lent) if lent else function
            examine(name, lambda *a: of(own(*a)), reference, cases(), known)

        summary, _, what = inspect.cleandoc(cases.__doc__ or "").partition("\n\n")
        check.__doc__ = DOCSTRING.format(summary=summary, what=indent(what, "    "))
        check.__name__ = check.__qualname__ = name
        check.__module__ = cases.__module__
        return check

    return decorate


def with_lent(function: Function, lent: Mapping[str, Function]) -> Function:
    """Make a function that calls right ones in place of a reader's earlier ones.

    A mistake in an earlier step of a project is not to cost the later steps as well.

    Parameters
    ----------
    function : callable
        A reader's.
    lent : mapping of str to callable
        By the names under which it calls them.

    Returns
    -------
    callable
        The same function; while it runs, these names mean what was lent.
    """
    names: dict[str, Any] = getattr(function, "__globals__", {})

    def run(*arguments: Any) -> Any:  # noqa: ANN401 - whatever it takes and returns
        kept = {name: names[name] for name in lent if name in names}
        names.update(lent)
        try:
            return function(*arguments)
        finally:
            for name in lent:
                names.pop(name, None)
            names.update(kept)

    return run


def examine(
    name: str, function: Function, reference: Function, cases: Cases, known: Mistakes
) -> None:
    """Compare a function with the book's own, and name its mistake.

    Parameters
    ----------
    name : str
        What the function is called.
    function, reference : callable
        The reader's and the book's.
    cases : sequence of tuple
        Arguments. In one case all sizes should be equal: a function with a wrong
        transpose runs there and fails on the others.
    known : dict of callable
        What a wrong function computes, by its diagnosis.

    Raises
    ------
    Wrong
        With the diagnosis.
    """
    for arguments in cases:
        wrong = _try(function, reference, arguments)
        if wrong is not None:
            raise Wrong(f"{name}: {_named(function, cases, known) or wrong}.")
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


def _named(function: Function, cases: Cases, known: Mistakes) -> str | None:
    """Find the mistake that computes the same, in all cases in which both run."""
    found = [_result(function, arguments) for arguments in cases]
    for diagnosis, mistake in known.items():
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
    """Copy the tensors among arguments, since a function may change them."""
    return tuple(a.clone() if isinstance(a, Tensor) else a for a in arguments)


def draw(*shapes: tuple[int, ...], seed: int = 0) -> tuple[Tensor, ...]:
    """Draw normal numbers, the same for the same shapes and seed."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in shapes
    )
