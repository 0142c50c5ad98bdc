"""The market as a text: each day a letter.

Source: chapter *Text*, section *On real prices: the market as a text*.
"""

import numpy as np

from rnn_companion.forecasting.prices import Prices
from rnn_companion.tasks.text.corpus import Corpus

__all__ = ["letters"]

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letters(prices: Prices, *, count: int = 5, training: float = 0.8) -> Corpus:
    """Write each day's return as a letter, a for the lowest.

    The borders between the letters cut the returns r_t = ln p_t - ln p_{t-1} of the
    first days, the training days, into parts of equal size, so that the later days
    have no say in them.

    Parameters
    ----------
    prices : Prices
        The series.
    count : int
        How many letters, 2 to 26.
    training : float
        Fraction of the days that set the borders.

    Returns
    -------
    Corpus
        One character for each day but the first.

    Raises
    ------
    ValueError
        If the count is out of range, or there are too few days for a corpus.
    """
    if not 2 <= count <= len(LETTERS):
        raise ValueError(f"count must be 2 to {len(LETTERS)}, got {count}")
    returns = np.diff(np.log(prices.close))
    first = returns[: round(training * len(returns))]
    borders = np.quantile(first, np.linspace(0, 1, count + 1)[1:-1])
    text = "".join(LETTERS[k] for k in np.searchsorted(borders, returns))
    return Corpus(text, name=f"{prices.name} in {count} letters")
