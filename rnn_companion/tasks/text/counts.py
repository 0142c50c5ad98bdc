"""Counts of characters: what a text model has to beat.

Source: Witten and Bell (1991), method C; chapter *Text*, section *On real prices: the
market as a text*.
"""

from collections import Counter, defaultdict

import torch
from torch import Tensor

__all__ = ["Counts"]


class Counts:
    """Forecast a character from the few before it, by counting.

    With n(z, c) for how often c followed the context z in the text, n(z) for their
    sum and u(z) for the number of different c, the probability of c after z is

        P(c | z) = (n(z, c) + u(z) P(c | z')) / (n(z) + u(z)),

    where z' is z without its first character; before the empty context stands 1/V.

    Parameters
    ----------
    text : str
        What is counted.
    vocabulary : str
        Every character that may come, V of them.
    order : int
        Characters of the longest context; 0 counts single characters.

    Raises
    ------
    ValueError
        If the order is negative, or the text has a character that the vocabulary lacks.
    """

    def __init__(self, text: str, vocabulary: str, order: int) -> None:
        if order < 0:
            raise ValueError(f"order must be at least 0, got {order}")
        self.vocabulary, self.order = vocabulary, order
        self._check(text)
        self.followers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for at, character in enumerate(text):
            for k in range(min(order, at) + 1):
                self.followers[text[at - k : at]][character] += 1

    def probability(self, character: str, before: str) -> float:
        """Return P(character | the last `order` characters of `before`)."""
        p = 1 / len(self.vocabulary)
        for k in range(min(self.order, len(before)) + 1):
            seen = self.followers.get(before[len(before) - k :])
            if seen is None:
                break
            p = (seen[character] + len(seen) * p) / (seen.total() + len(seen))
        return p

    def surprise(self, text: str, start: int = 1) -> Tensor:
        """Return -ln P of each character of a text from `start` on, in nats.

        Parameters
        ----------
        text : str
            Read from its beginning; what stands before a character is its context.
        start : int
            The first character that is told.

        Returns
        -------
        Tensor, `(len(text) - start,)`

        Raises
        ------
        ValueError
            If the text has a character that the vocabulary lacks.
        """
        self._check(text)
        p = [
            self.probability(text[at], text[max(0, at - self.order) : at])
            for at in range(start, len(text))
        ]
        return -torch.tensor(p, dtype=torch.float64).log()

    def _check(self, text: str) -> None:
        if unknown := sorted(set(text) - set(self.vocabulary)):
            raise ValueError(f"the vocabulary lacks {', '.join(map(repr, unknown))}")
