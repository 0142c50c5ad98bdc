"""Run chapters side by side, as many at a time as there are cores."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from kernels import Kernels
from sphinx.util import logging

if TYPE_CHECKING:
    from nbformat import NotebookNode

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A notebook to be run.

    Attributes
    ----------
    notebook : NotebookNode
        Its cells.
    path : Path
        Its source; it is run in the folder of that.
    cache : Path
        The jupyter-cache that keeps its outputs.
    timeout : int
        Seconds that a cell may take.
    """

    notebook: NotebookNode
    path: Path
    cache: Path
    timeout: int

    def is_cached(self) -> bool:
        """Whether the cache has the outputs of these very cells."""
        try:
            get_cache(self.cache).match_cache_notebook(self.notebook)
        except KeyError:
            return False
        return True

    def __call__(self) -> float:
        """Run it and keep its outputs.

        Returns
        -------
        float
            Seconds that it took.

        Raises
        ------
        RuntimeError
            With the traceback, if a cell failed or took too long.
        """
        folder = str(self.path.parent)
        quiet = ["--log-level=ERROR"]  # a kernel warns that it is reached by TCP
        how = {"kernel_manager_class": Kernels, "extra_arguments": quiet}
        result = single_nb_execution(self.notebook, folder, self.timeout, False, **how)
        if result.err is not None:
            raise RuntimeError(result.exc_string)
        kept = CacheBundleIn(
            result.nb, str(self.path), data={"execution_seconds": result.time}
        )
        get_cache(self.cache).cache_notebook_bundle(
            kept, check_validity=False, overwrite=True
        )
        return float(result.time)


class Runs:
    """Runs under way, and those that failed.

    The threads are daemons, so that an interrupted build ends at once; a kernel ends
    with the process that started it.

    Parameters
    ----------
    runs : dict of str to Run
        What to run, by name; the first are begun first.
    """

    def __init__(self, runs: dict[str, Run]) -> None:
        self.failed: set[str] = set()
        self._waiting = set(runs)
        self._todo: SimpleQueue[tuple[str, Run]] = SimpleQueue()
        self._done: SimpleQueue[tuple[str, float | Exception]] = SimpleQueue()
        for item in runs.items():
            self._todo.put(item)
        at_once = min(len(runs), os.cpu_count() or 1)
        if runs:
            logger.info("running %d notebooks, %d at a time", len(runs), at_once)
        for _ in range(at_once):
            Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        """Run one notebook after the other, until none is left."""
        with suppress(Empty):
            while True:
                name, run = self._todo.get_nowait()
                try:
                    self._done.put((name, run()))
                except Exception as error:
                    self._done.put((name, error))

    def wait_for(self, name: str) -> None:
        """Wait until a notebook has been run, if it is to be; report all that end."""
        while name in self._waiting:
            done, result = self._done.get()
            self._waiting.remove(done)
            if isinstance(result, Exception):
                self.failed.add(done)
                message = f"the notebook failed: {result}"
                logger.warning(message, location=done, type="fresh")
            else:
                logger.info("%s: ran in %.1f seconds", done, result)
