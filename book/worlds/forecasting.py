"""The worlds of chapter 6: errors and their units, leaks, returns, a known optimum."""

from fractions import Fraction
from itertools import product

import numpy as np
import pandas as pd
from torch.nn import functional as F

from rnn_companion.equations import Tape, world

from .recurrence import MSE

SIZES = [{"N": 6}, {"N": 5}, {"N": 8}]


@world("forecasting", SIZES)
def forecasting(tape: Tape) -> None:
    """Draw closes in dollars, scaled, with a forecast, and their returns."""
    N = tape.sizes["N"]
    p = 100 + 10 * tape.normal(N + 1)
    spread = tape.put(r"p_{\max}", p.max()) - tape.put(r"p_{\min}", p.min())
    x = (p - p.min()) / spread
    for n in range(1, N + 2):
        tape.put("p", p[n - 1], n)
        tape.put("x", x[n - 1], n)
    guess = x[1:] + 0.1 * tape.normal(N)
    naive = F.mse_loss(x[1:], x[:-1])
    dollars = F.mse_loss(p.min() + spread * guess, p[1:])
    tape.put(r"\mathrm{MSE}_{\mathrm{persistence}}", naive, source=MSE)
    tape.put(r"\mathrm{MSE}", F.mse_loss(guess, x[1:]), source=MSE)
    tape.put(r"\mathrm{MSE}_{\mathrm{dollars}}", dollars, source=MSE)
    changes = pd.Series(p.numpy()).pct_change()
    for n in range(2, N + 2):
        change = tape.put("c", float(changes[n - 1]), n)
        tape.put("r", change.log1p(), n, source="pandas.Series.pct_change")


@world("leak", [{"T": 3}, {"T": 4}, {"T": 2}])
def leak(tape: Tape) -> None:
    """Deal each of the T other windows that hold a day to training, or not."""
    T, a = tape.sizes["T"], Fraction(3 + tape.seed, 7)
    caught = sum(
        Fraction(
            a ** sum(deal) * (1 - a) ** (T - sum(deal))  # of all deals, one by one
        )
        for deal in product((0, 1), repeat=T)
        if any(deal)
    )
    tape.put(r"P_{\mathrm{train}}", float(a))
    tape.put(r"P_{\mathrm{leak}}", float(caught), source="all deals, in fractions")


@world(
    "line", [{"i": 1, "j": 1}, {"i": 2, "j": 3}, {"i": 3, "j": 1}], ranges={"n": (4, 7)}
)
def line(tape: Tape) -> None:
    """Draw a line between known days, i before a day and j after it."""
    i, j = tape.sizes["i"], tape.sizes["j"]
    x = tape.normal(10)
    for day in range(1, 11):
        tape.put("x", x[day - 1], day)
    for n in range(4, 8):
        known = np.array([n - i, n + j])
        between = np.interp(n, known, x.numpy()[known - 1])
        tape.put(r"\tilde{x}", float(between), n, source="numpy.interp")
    tape.put("E", bridge(i, j), source="the covariance of all steps")


def bridge(i: int, j: int) -> float:
    """Return the line's squared error over persistence's, for independent steps."""
    past, to_next = np.tri(i + j + 1, i + j, -1)[[i, i + j]]  # steps from the first day
    error = past - i / (i + j) * to_next  # of x_n, in steps of variance 1
    return float(error @ error)


@world("known-days", [{}])
def known_days(tape: Tape) -> None:
    """Draw lines where each other day is known with some probability."""
    P = 0.35 + 0.25 * tape.seed % 0.6
    mean = sum(
        P**2 * (1 - P) ** (i + j - 2) * bridge(i, j)
        for i, j in product(range(1, 80), repeat=2)
    )
    tape.put(r"P_{\mathrm{train}}", P)
    tape.put(r"E_{\mathrm{line}}", mean, source="the sum over all gaps")


@world("autoregression", SIZES)
def autoregression(tape: Tape) -> None:
    """Score the best forecast of a series that keeps a part of its last value."""
    keep = 0.3 + 0.2 * tape.seed % 0.6
    variance = sum(keep ** (2 * k) for k in range(2000))  # of noise of variance 1
    naive = (1 - keep) ** 2 * variance + 1
    tape.put(r"\rho", keep)
    tape.put(r"S_{\mathrm{best}}", 1 - 1 / naive, source="the sum over all past noise")
