"""Claims of chapter 4: how far the gradient of a gated cell reaches."""

from dataclasses import replace
from functools import cache

import numpy as np

from rnn_companion.claims import Finding, claim, negated, sign_test
from rnn_companion.gradients import Drive


@cache
def reach_by_cell() -> np.ndarray:
    """Take the log norm at lag 30, a row a seed: tanh, LSTM, LSTM with bias 2, GRU."""
    kinds: list[dict[str, str | float]] = [
        {"cell": "rnn"},
        {"cell": "lstm"},
        {"cell": "lstm", "forget_bias": 2.0},
        {"cell": "gru"},
    ]
    same = Drive(hidden_size=16, length=30)
    drives = [[replace(same, seed=s, **kind) for kind in kinds] for s in range(6)]  # type: ignore[arg-type]
    return np.array([[float(d.norms()[-1].log10()) for d in row] for row in drives])


@claim(on=reach_by_cell, planted=[negated])
def lstm_gate_alone(rows: np.ndarray) -> Finding:
    """A gate does not save the gradient by itself."""
    ran = "six seeds, 16 units, radius 1, lag 30: powers of ten of tanh over LSTM"
    return sign_test(rows[:, 0] - rows[:, 1], ran)


@claim(on=reach_by_cell, planted=[negated])
def lstm_gate_opened(rows: np.ndarray) -> Finding:
    """With a forget bias of 2, the LSTM has …: the gate has to *be* opened."""
    ran = "six seeds, 16 units, radius 1, lag 30: powers of ten of forget bias 2 over 0"
    return sign_test(rows[:, 2] - rows[:, 1], ran)
