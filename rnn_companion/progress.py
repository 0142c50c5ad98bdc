"""One kind of progress bar: in a terminal and a live notebook, nowhere else."""

import os
from collections.abc import Iterable
from typing import Any

from tqdm.auto import tqdm


def progress_bar(
    work: Iterable[Any] | None,
    *,
    show: bool = True,
    **options: Any,  # noqa: ANN401 - whatever tqdm takes
) -> "tqdm[Any]":
    """Show how far the work has come, and leave nothing behind.

    Parameters
    ----------
    work : iterable or None
        What to go through; None if the caller moves the bar itself.
    show : bool
        Whether to show a bar at all. There is none where nobody watches (a pipe,
        a built page), nor if ``TQDM_DISABLE`` is set, as for any tqdm bar.
    **options
        Further options of tqdm, such as ``desc``, ``unit`` and ``total``.
    """
    hidden = not show or bool(os.environ.get("TQDM_DISABLE"))
    # None lets tqdm look whether the output is a terminal; a notebook always shows.
    return tqdm(work, leave=False, disable=True if hidden else None, **options)
