"""Checks of what a reader writes in the exercises, which say what is wrong.

Each check runs a function on small random inputs and compares it with the book's
own. Where they differ it tries the mistakes that are often made, and names the one
that gives the same wrong numbers. Nothing here is secret, and nothing is graded.

>>> from rnn_companion import cells, check
>>> check.rnn_step(cells.rnn_step)
rnn_step: correct.
"""

from rnn_companion.check.bptt import deltas, gradient_by_lag, head_gradients
from rnn_companion.check.examine import Wrong
from rnn_companion.check.recurrence import rnn, rnn_step, skill

__all__ = [
    "Wrong",
    "deltas",
    "gradient_by_lag",
    "head_gradients",
    "rnn",
    "rnn_step",
    "skill",
]
