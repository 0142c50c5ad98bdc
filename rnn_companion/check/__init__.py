"""Checks of what a reader writes in the exercises, which say what is wrong.

Each check runs a function on small random inputs and compares it with the book's
own. Where they differ it tries the mistakes that are often made, and names the one
that gives the same wrong numbers. Nothing here is secret, and nothing is graded.

>>> from rnn_companion import networks, check
>>> check.rnn_step(networks.rnn_step)
rnn_step: correct.
"""

from rnn_companion.check.bptt import deltas, gradient_by_lag, head_gradients
from rnn_companion.check.configurations import (
    aligned_windows,
    error_by_position,
    masked_loss,
)
from rnn_companion.check.examine import Wrong
from rnn_companion.check.forecasting import best_constant, hit_rate, standardize
from rnn_companion.check.gradients import days_back, reach, soft_constraint
from rnn_companion.check.lstm import cell_gradients, lstm_step, rnn_size
from rnn_companion.check.memory import forget_bias, half_life, palindrome_task
from rnn_companion.check.recurrence import rnn, rnn_step, skill
from rnn_companion.check.text import letters, top_k, with_temperature
from rnn_companion.check.time_gate import phase, share_open, time_gate

__all__ = [
    "Wrong",
    "aligned_windows",
    "best_constant",
    "cell_gradients",
    "days_back",
    "deltas",
    "error_by_position",
    "forget_bias",
    "gradient_by_lag",
    "half_life",
    "head_gradients",
    "hit_rate",
    "letters",
    "lstm_step",
    "masked_loss",
    "palindrome_task",
    "phase",
    "reach",
    "rnn",
    "rnn_size",
    "rnn_step",
    "share_open",
    "skill",
    "soft_constraint",
    "standardize",
    "time_gate",
    "top_k",
    "with_temperature",
]
