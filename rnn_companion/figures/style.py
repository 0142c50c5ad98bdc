"""How every figure of the book looks.

The colours are those of Okabe and Ito, which the colour-blind tell apart, and
every colour comes with a line style of its own, so that a figure also reads in
grey. Nothing here touches matplotlib's global settings: a figure gets the style
while it is drawn, and the reader's own plots stay as they were.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import ParamSpec, TypeVar

import matplotlib as mpl
from cycler import cycler

P = ParamSpec("P")
R = TypeVar("R")

COLORS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")
INK = "#222222"  # text, axes, outlines
PALE = "#E8EEF2"  # filled shapes that carry a label

_RC = {
    "axes.axisbelow": True,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=LINES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "figure.figsize": (7.0, 3.8),
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.5,
    "grid.color": "#D5D5D5",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.bbox": "standard",
    "savefig.facecolor": "white",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def style() -> AbstractContextManager[None]:
    """Give the book's style to what is drawn inside the ``with`` block.

    It starts from matplotlib's defaults, so a figure looks the same whatever
    style the reader has set.

    Returns
    -------
    AbstractContextManager
        Leaves the reader's settings as they were.
    """
    kept = {"backend", "interactive"}
    defaults = {k: v for k, v in mpl.rcParamsDefault.items() if k not in kept}
    return mpl.rc_context({**defaults, **_RC})  # type: ignore[dict-item]


def figure(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the book's style, and close what pyplot has opened.

    A notebook shows every open pyplot figure after a cell; a closed one is
    shown once, by the `Picture` that holds it.

    Parameters
    ----------
    draw : callable
        Draws with matplotlib and returns anything.

    Returns
    -------
    callable
        The same function, in style.
    """

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        import matplotlib.pyplot as plt

        before = set(plt.get_fignums())
        try:
            with style():
                return draw(*args, **kwargs)
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)

    return drawn
