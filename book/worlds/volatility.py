"""The worlds of chapter 10: ranges, memory of days, simple forecasts, a test."""

import math

import numpy as np
import pandas as pd
import torch
from scipy.integrate import quad
from scipy.stats import norm
from statsmodels.api import OLS
from statsmodels.tsa.stattools import acf, acovf
from torch.nn.functional import l1_loss

from rnn_companion.equations import Tape, world

FELLER = "scipy.integrate.quad of Feller's density"


def density(r: float) -> float:
    """Return the density of a Brownian motion's range over one day at sigma = 1."""
    k = np.arange(1, 400)
    return float(8 * np.sum((-1.0) ** (k - 1) * k**2 * norm.pdf(k * r)))


def moment(power: int) -> float:
    """Integrate; below r = 0.2 the density is less than 1e-50."""
    return float(quad(lambda r: r**power * density(r), 0.2, 15, epsabs=1e-13)[0])


@world("range", [{}])
def ranges(tape: Tape) -> None:
    """Measure a day's volatility by its range, and know how exact that is."""
    sigma = 0.5 + float(torch.rand((), generator=tape.generator))
    high = 3 + float(torch.rand((), generator=tape.generator))
    second, fourth = sigma**2 * moment(2), sigma**4 * moment(4)
    R = float(np.log(high / 3))
    tape.put("R", R)
    tape.put(r"\sigma", sigma)
    tape.put(r"\hat{\sigma}", R * sigma / math.sqrt(second), source=FELLER)
    tape.put("y", math.log(R * sigma / math.sqrt(second)), source=FELLER)
    tape.put("m_2", second, source=FELLER)
    tape.put("m_4", fourth, source=FELLER)
    tape.put(r"\zeta_3", float(np.sum(1 / np.arange(1.0, 200001) ** 3)) + 1.25e-11)
    scale = sigma**2 / second  # of R^2, so that its mean is sigma^2
    tape.put(r"\nu_R", scale**2 * (fourth - second**2), source=FELLER)
    squared = quad(lambda z: (z**2 - 1) ** 2 * norm.pdf(z), -20, 20, epsabs=1e-13)
    tape.put(r"\nu_r", sigma**4 * float(squared[0]), source="scipy.integrate.quad")


@world("days", [{"N": 7, "M": 3}, {"N": 9, "M": 4}, {"N": 8, "M": 5}])
def days(tape: Tape) -> None:
    """Draw a series and its autocorrelations."""
    N, M = tape.sizes["N"], tape.sizes["M"]
    y = tape.normal(N).cumsum(0)
    for n in range(1, N + 1):
        tape.put("y", y[n - 1], n)
    tape.put(r"\bar{y}", y.mean())
    for k, value in enumerate(acf(y.numpy(), nlags=M, fft=True)):
        tape.put(r"\hat{\rho}", float(value), k, source="statsmodels acf")


@world("noisy-level", [{"T": 3}, {"T": 5}, {"T": 4}])
def noisy_level(tape: Tape) -> None:
    """Forecast a constant level behind noise, from one day and from T."""
    T, s = tape.sizes["T"], 0.5 + tape.seed
    covariance = s**2 * np.eye(T + 1)  # of T days and of the day to come

    def error(days: int) -> float:
        w = np.r_[np.zeros(T - days), np.full(days, 1 / days), -1.0]
        return float(w @ covariance @ w)

    tape.put(r"\sigma_{\mathrm{noise}}", s)
    tape.put("E_1", error(1), source="the covariance of all days")
    tape.put("E_T", error(T), source="the covariance of all days")


@world("smoothing", [{"N": 6}, {"N": 4}, {"N": 5}], ranges={"n": (1, "N")})
def smoothing(tape: Tape) -> None:
    """Smooth a series exponentially."""
    N = tape.sizes["N"]
    y = tape.normal(N + 1)  # the first is where it starts
    alpha = 0.2 + 0.2 * tape.seed
    level = pd.Series(y.numpy()).ewm(alpha=alpha, adjust=False).mean()
    tape.put(r"\alpha", alpha)
    tape.put("s", float(level[0]), 0)
    for n in range(1, N + 1):
        tape.put("y", y[n], n)
        tape.put("s", float(level[n]), n, source="pandas.Series.ewm")


@world("har", [{"N": 23}, {"N": 25}, {"N": 24}])
def har(tape: Tape) -> None:
    """Forecast from a day, a week and a month."""
    N = tape.sizes["N"]
    y = pd.Series(tape.normal(N).numpy())
    names = (r"\beta_0", r"\beta_d", r"\beta_w", r"\beta_m")
    beta = [tape.put(name, b) for name, b in zip(names, tape.normal(4), strict=True)]
    for n in range(1, N + 1):
        tape.put("y", float(y[n - 1]), n)
    means = [y.rolling(days).mean().iloc[-1] for days in (1, 5, 22)]
    forecast = beta[0] + sum(b * float(v) for b, v in zip(beta[1:], means, strict=True))
    tape.put(r"\hat{y}", forecast, N + 1, source="pandas.Series.rolling")


@world("losses", [{"N": 9, "M": 2}, {"N": 8, "M": 3}, {"N": 11, "M": 2}])
def losses(tape: Tape) -> None:
    """Compare the losses of two forecasts, day by day."""
    N, M = tape.sizes["N"], tape.sizes["M"]
    d = 0.3 + tape.normal(N)
    for n in range(1, N + 1):
        tape.put("d", d[n - 1], n)
    for k, value in enumerate(acovf(d.numpy(), fft=True, nlag=M)):
        tape.put(r"\hat{\gamma}", float(value), k, source="statsmodels acovf")
    fit = OLS(d.numpy(), np.ones(N)).fit(cov_type="HAC", cov_kwds={"maxlags": M})
    tape.put(r"\bar{d}", float(fit.params[0]))
    tape.put(r"\hat{V}", N * float(fit.bse[0]) ** 2, source="statsmodels HAC")
    tape.put(r"\mathrm{DM}", float(fit.tvalues[0]), source="statsmodels HAC")


@world("scaled-error", [{"N": 5}, {"N": 8}, {"N": 6}])
def scaled_error(tape: Tape) -> None:
    """Forecast some days, and know how persistence did on the days before them."""
    N = tape.sizes["N"]
    before = tape.normal(9)
    y, forecast = tape.normal(N), tape.normal(N)
    for n in range(1, N + 1):
        tape.put("y", y[n - 1], n)
        tape.put(r"\hat{y}", forecast[n - 1], n)
    naive = l1_loss(before[1:], before[:-1])
    tape.put(r"\mathrm{MAE}_{\mathrm{known}}", naive)
    mean = l1_loss(forecast, y) / naive
    tape.put(r"\mathrm{MASE}", mean, source="torch.nn.functional.l1_loss")
