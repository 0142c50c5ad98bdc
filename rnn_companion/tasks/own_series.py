"""A series of one's own: another one for each name, whose best forecast is known.

Three laws, drawn by the name. A *walk* cannot be forecast better than by its last
value. A *slow* series comes back to its mean so slowly that a few hundred days hardly
show it. An *echo* repeats, in part, what it did some days ago.

Source: the project *A forecast judged honestly*.
"""

import unicodedata
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

__all__ = ["Law", "best_forecasts", "law_of", "own_series"]

DAYS = 1500
WARM_UP = 200  # days that are thrown away, so that the start is forgotten
KINDS = ("walk", "slow", "echo")


@dataclass(frozen=True)
class Law:
    """How a series goes on: x_t - m = sum_k a_k (x_{t-k} - m) + s e_t, e_t normal.

    Parameters
    ----------
    kind : str
        ``"walk"``, ``"slow"`` or ``"echo"``.
    coefficients : dict of int to float
        The a_k that are not zero, by k.
    mean, deviation : float
        m and s. No forecast has a mean squared error below s^2 in the long run.
    """

    kind: str
    coefficients: dict[int, float]
    mean: float
    deviation: float


def own_series(name: str, days: int = DAYS, *, word: str = "") -> Tensor:
    """Return the series that belongs to a name.

    Parameters
    ----------
    name : str
        Upper and lower case, and how many blanks stand between, make no difference.
    days : int
        How long it is.
    word : str
        Another word, another series that follows the same law.

    Returns
    -------
    Tensor, `(days,)`
        float64.

    Raises
    ------
    ValueError
        If the name is empty, or there is no day.
    """
    if days < 1:
        raise ValueError(f"days must be at least 1, got {days}")
    law, plain = law_of(name), _plain(name)
    generator = _generator(f"days of {plain}, {word}")
    noise = torch.randn(WARM_UP + days, generator=generator, dtype=torch.float64)
    most = max(law.coefficients)
    path = [0.0] * most
    for shock in (law.deviation * noise).tolist():
        path.append(sum(a * path[-k] for k, a in law.coefficients.items()) + shock)
    kept = torch.tensor(path[-days:], dtype=torch.float64)
    return kept + law.mean


def law_of(name: str) -> Law:
    """Return the law that the series of a name follows: for who corrects.

    Parameters
    ----------
    name : str
        As in `own_series`.

    Returns
    -------
    Law

    Raises
    ------
    ValueError
        If the name is empty.
    """
    plain = _plain(name)
    if not plain:
        raise ValueError("the name is empty: write your own")
    generator = _generator(f"law of {plain}")
    drawn = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
    kind = KINDS[int(3 * drawn[0])]
    coefficients = {
        "walk": {1: 1.0},
        "slow": {1: 0.96 + 0.02 * drawn[1]},
        "echo": {
            1: 0.25 + 0.2 * drawn[1],
            4 + int(6 * drawn[2]): 0.3 + 0.2 * drawn[3],
        },
    }[kind]
    return Law(kind, coefficients, mean=20 + 60 * drawn[4], deviation=0.5 + drawn[2])


def best_forecasts(series: Tensor, law: Law) -> Tensor:
    """Return the best forecast of each day by those before: its conditional mean.

    Parameters
    ----------
    series : Tensor, `(n,)`
        That follows the law.
    law : Law

    Returns
    -------
    Tensor, `(n - p,)`
        Of the days after the first p, where p is the greatest lag of the law.

    Raises
    ------
    ValueError
        If the series has no such day.
    """
    most = max(law.coefficients)
    if len(series) <= most:
        raise ValueError(f"the law looks {most} days back, and there are {len(series)}")
    away = series - law.mean
    parts = [a * away[most - k : -k] for k, a in law.coefficients.items()]
    return law.mean + torch.stack(parts).sum(0)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _generator(words: str) -> torch.Generator:
    seed = int.from_bytes(sha256(words.encode()).digest()[:7], "big")
    return torch.Generator().manual_seed(seed)
