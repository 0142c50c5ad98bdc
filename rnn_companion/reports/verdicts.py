"""What was judged of forecasts: a table, a picture, a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

from rnn_companion.figures.draw import look
from rnn_companion.figures.frames import Picture
from rnn_companion.figures.style import COLORS, INK, figure
from rnn_companion.forecasting.judge import LEVEL, Verdict
from rnn_companion.reports.page import page

WORST = -1.0  # skills below it are drawn here: one must not hide the others
COLUMNS = {
    "days": "how many days it is judged by.",
    "MSE, MAE": "mean squared and mean absolute error.",
    "MASE": "mean absolute error over the truth's mean daily move.",
    "rule": "the best on these days of three simple rules: persistence (the last known "
    "day again), the mean of all days so far, the drift (persistence plus mean moves).",
    "skill": "the part of the rule's squared error that the forecast avoids.",
    "low, high": f"ends of its {100 * LEVEL:g} % interval, by a block bootstrap.",
    "p": "of forecast and rule being equally good (Diebold-Mariano; Holm's method for "
    "several forecasts).",
    "shift": "it lies nearest to the truth of so many days before; 0 unless p < 0.05.",
    "same days": "correlation of its errors with those of persistence.",
    "days needed": "to tell it from persistence (5 % level, 80 % power).",
}


def labels(verdicts: Sequence[Verdict]) -> list[str]:
    """Name each verdict; with its horizon where there are several.

    Parameters
    ----------
    verdicts : sequence of Verdict
        At least one.

    Returns
    -------
    list of str
    """
    if len({verdict.horizon for verdict in verdicts}) == 1:
        return [verdict.name for verdict in verdicts]
    return [f"{verdict.name}, {verdict.horizon} ahead" for verdict in verdicts]


def table(verdicts: Sequence[Verdict]) -> pd.DataFrame:
    """Write the numbers of verdicts as texts, a row each.

    Parameters
    ----------
    verdicts : sequence of Verdict
        At least one.

    Returns
    -------
    pandas.DataFrame
        Its columns are explained in `COLUMNS`.
    """
    rows = [
        {
            "forecast": label,
            "days": f"{v.days}",
            "MSE": f"{v.mse:.4g}",
            "MAE": f"{v.mae:.4g}",
            "MASE": f"{v.mase:.3f}",
            "rule": v.rule,
            "skill": f"{v.skill:.3f}",
            "low": f"{v.low:.3f}",
            "high": f"{v.high:.3f}",
            "p": f"{v.p:.2g}",
            "shift": f"{v.shift}",
            "same days": f"{v.same_days:.2f}",
            "days needed": "-" if v.days_needed is None else f"{v.days_needed:,}",
        }
        for label, v in zip(labels(verdicts), verdicts, strict=True)
    ]
    return pd.DataFrame(rows)


def sentences(verdicts: Sequence[Verdict]) -> list[str]:
    """Give each verdict in words, after its name.

    Parameters
    ----------
    verdicts : sequence of Verdict
        At least one.

    Returns
    -------
    list of str
    """
    named = zip(labels(verdicts), verdicts, strict=True)
    return [f"{label}: {verdict.sentence}" for label, verdict in named]


@figure
def picture(verdicts: Sequence[Verdict]) -> Picture:
    """Draw skills with their intervals, the shift test, and the gain day by day.

    Parameters
    ----------
    verdicts : sequence of Verdict
        At least one; the lower panels show the first six.

    Returns
    -------
    Picture
    """
    height = 0.9 + 0.35 * len(verdicts)
    fig = plt.figure(figsize=(7.2, height + 3.2))
    parts = fig.subfigures(2, 1, squeeze=False, height_ratios=[height, 3.2])
    above, below = parts[:, 0]  # each with margins of its own
    names = labels(verdicts)
    _draw_skills(above.subplots(), dict(zip(names, verdicts, strict=True)))
    fits, gains = below.subplots(1, 2)
    first = verdicts[: len(COLORS)]
    _draw_fits(fits, first)
    _draw_gains(gains, first)
    said = "; ".join(
        f"{name}: {v.skill:.3f}, interval {v.low:.3f} to {v.high:.3f}, nearest to the "
        f"truth of {min(v.fit, key=v.fit.__getitem__)} days before"
        for name, v in zip(names, verdicts, strict=True)
    )
    return Picture(
        fig,
        alt=f"Skill against the best simple rule, with a line at 0. {said}.",
        caption="Above: skill against the best simple rule, better at the right of the "
        f"dashed line; what is below {WORST:g} is drawn there. Below left, with the "
        "same marks: how near the forecasts lie to the truth of so many days before, "
        "at the dashed line to that of their own day. Below right: the part of the "
        "rule's whole error avoided up to each day; it ends at the skill.",
    )


def _draw_skills(ax: Axes, verdicts: Mapping[str, Verdict]) -> None:
    for n, v in enumerate(verdicts.values()):
        low, middle, high = np.clip([v.low, v.skill, v.high], WORST, 1)
        ax.plot([low, high], [n, n], **look(n, linestyle="-", marker="|"))
        ax.plot([middle], [n], **look(n, linestyle="none"))
    ax.axvline(0, color=INK, linestyle="--", linewidth=1)
    ax.set_yticks(range(len(verdicts)), [fill(name, 30) for name in verdicts])
    ax.set(
        ylim=(len(verdicts) - 0.5, -0.5), xlabel="skill against the best simple rule"
    )


def _draw_fits(ax: Axes, verdicts: Sequence[Verdict]) -> None:
    for n, v in enumerate(verdicts):
        ax.plot(list(v.fit), np.sqrt(list(v.fit.values())), **look(n))
    ax.axvline(0, color=INK, linestyle="--", linewidth=1)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="truth of so many days before", ylabel="root mean squared distance")


def _draw_gains(ax: Axes, verdicts: Sequence[Verdict]) -> None:
    for n, v in enumerate(verdicts):
        whole = v.gain.sum() + v.mse * v.days  # the rule's squared errors
        every = max(1, len(v.gain) // 8)
        settings = look(n, markevery=(n * every // 6, every))
        ax.plot(v.gain.index, v.gain.cumsum() / whole, **settings)
    ax.axhline(0, color=INK, linestyle="--", linewidth=1)
    low, high = ax.get_ylim()
    ax.set_ylim(max(low, WORST), min(high, 1))
    if isinstance(verdicts[0].gain.index, pd.DatetimeIndex):
        dates = AutoDateLocator(maxticks=5)
        ax.xaxis.set_major_locator(dates)
        words = ConciseDateFormatter(dates)
        ax.xaxis.set_major_formatter(words)
    ax.set(xlabel="day", ylabel="avoided so far")


def verdict_page(verdicts: Sequence[Verdict]) -> str:
    """Make one HTML page of sentences, table and picture.

    Parameters
    ----------
    verdicts : sequence of Verdict
        At least one.

    Returns
    -------
    str
        The page; it holds its picture and asks for nothing.
    """
    notes = pd.DataFrame(list(COLUMNS.items()), columns=["column", "what it says"])
    return page(
        "Is the forecast any good?",
        *sentences(verdicts),
        table(verdicts),
        picture(verdicts),
        notes,
    )
