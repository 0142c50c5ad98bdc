"""Ways to hold a number against what it should be, and to make data lie."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .finding import Finding


def _finding(holds: object, ran: str, found: str, allowed: str, **more: Any) -> Finding:  # noqa: ANN401
    return Finding("holds" if holds else "wrong", ran, found, allowed, **more)


def _array(values: object) -> np.ndarray:
    numbers = values.detach().cpu() if hasattr(values, "detach") else values
    return np.asarray(numbers, dtype=float)


def equal(
    found: ArrayLike, expected: ArrayLike, ran: str, rtol: float = 1e-9
) -> Finding:
    """Ask that two arrays agree: norm(found - expected) <= rtol norm(expected)."""
    a, b = _array(found), _array(expected)
    if a.shape != b.shape:
        shapes = f"shape {a.shape} for {b.shape}"
        return Finding("wrong", ran, shapes, f"relative error <= {rtol:g}")
    error = float(np.linalg.norm(a - b) / (np.linalg.norm(b) or 1.0))
    said = f"relative error {error:.2g}"
    return _finding(error <= rtol, ran, said, f"at most {rtol:g}")


def below(found: float, limit: float, ran: str) -> Finding:
    """Ask for a number below a limit."""
    found = float(found)
    return _finding(found < limit, ran, f"{found:.3g}", f"below {limit:.3g}")


def above(found: float, limit: float, ran: str) -> Finding:
    """Ask for a number above a limit."""
    found = float(found)
    return _finding(found > limit, ran, f"{found:.3g}", f"above {limit:.3g}")


def between(found: float, low: float, high: float, ran: str) -> Finding:
    """Ask for a number within two limits."""
    found = float(found)
    allowed = f"{low:.3g} to {high:.3g}"
    return _finding(low <= found <= high, ran, f"{found:.3g}", allowed)


def sign_test(differences: ArrayLike, ran: str, chance: float = 0.05) -> Finding:
    """Ask that differences be positive more often than chance would make them.

    The one-sided sign test: if either sign were as likely, as many positive ones
    among n would come with probability P(B(n, 1/2) >= k). With n <= 4 even k = n
    comes with more than .05, so a claim over seeds needs five.
    """
    from scipy.stats import binomtest

    values = _array(differences).ravel()
    k, n = int((values > 0).sum()), len(values)
    p = float(binomtest(k, n, alternative="greater").pvalue)
    found = f"{k} of {n}, median {np.median(values):.3g}"
    allowed = f"so many by chance with probability at most {chance:g}"
    return _finding(p <= chance, ran, found, allowed, n=n, chance=p)


def rank_test(
    larger: ArrayLike, smaller: ArrayLike, ran: str, chance: float = 0.05
) -> Finding:
    """Ask that one group of independent numbers lie above another.

    The one-sided Mann-Whitney test; three against three is the least that can hold,
    with probability .05.
    """
    from scipy.stats import mannwhitneyu

    a, b = _array(larger).ravel(), _array(smaller).ravel()
    method = "exact" if len(a) + len(b) <= 40 else "asymptotic"
    p = float(mannwhitneyu(a, b, alternative="greater", method=method).pvalue)
    found = f"medians {np.median(a):.3g} and {np.median(b):.3g}"
    allowed = f"as far apart by chance with probability at most {chance:g}"
    return _finding(p <= chance, ran, found, allowed, n=len(a) + len(b), chance=p)


def symbolic(difference: Any, ran: str) -> Finding:  # noqa: ANN401
    """Ask that SymPy simplify a difference to zero."""
    import sympy as sp

    rest = sp.simplify(difference)
    zero = rest.is_zero_matrix if hasattr(rest, "is_zero_matrix") else rest == 0
    said = f"difference {sp.sstr(rest)}"
    return _finding(zero, ran, said if len(said) < 200 else "not zero", "exactly 0")


def swapped(data: Sequence[Any]) -> Any:  # noqa: ANN401
    """Plant a falsehood: the groups of a tuple in reverse order."""
    return type(data)(reversed(data)) if isinstance(data, list) else (*reversed(data),)


def negated(data: Any) -> Any:  # noqa: ANN401
    """Plant a falsehood: the sign of the effect turned."""
    return -_array(data)


def shuffled(data: ArrayLike) -> np.ndarray:
    """Plant a falsehood: the rows in an order that means nothing."""
    return np.random.default_rng(0).permutation(_array(data))
