"""The kernel in which answers run: warmed up once, forked for each submission.

Most of what a submission would cost is the start of Python and ``import torch``.
Here that is done once, inside the sandbox. For each connection the warm process
forks a watcher, which forks the kernel. The kernel is confined and runs one
submission, cell by cell, as the connection tells it. The watcher ends it when the
connection closes or it starts too many threads, and reports how it ended.

Messages are lines of JSON. ``{"run": source}`` runs an answer as Jupyter would,
``{"give": source}`` a cell of the teacher's, whose variables every test gets back;
``{"test": source}`` a test, past IPython, whose hooks an answer may have changed;
``{"keep": name}`` remembers all variables and ``{"back": name}`` restores them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from rnn_companion.homework import confine

MEMORY, FILES, THREADS = 2048, 64, 64  # megabytes, megabytes, threads
TEXT = 20_000  # characters of output that a cell may show

MODULES = [
    "matplotlib.pyplot",
    "matplotlib_inline.backend_inline",
    "pandas",
    "rnn_companion.gradients.bptt",
    "rnn_companion.check",
    "rnn_companion.forecasting.experiment",
    "sympy",
]
COMPARED = ["arch.bootstrap", "statsmodels.tsa.ar_model"]  # of the extra `compare`


class Capped(io.StringIO):
    """Keeps the first of what is printed; the rest is counted as lost."""

    lost = False

    def write(self, text: str) -> int:
        """Keep what fits."""
        room = TEXT - self.tell()
        self.lost = self.lost or len(text) > room
        super().write(text[:room])
        return len(text)


class Kernel:
    """Runs cells; what it needs for that is not among their variables."""

    def __init__(self) -> None:
        from IPython.core.history import HistoryManager
        from IPython.core.interactiveshell import InteractiveShell

        HistoryManager.enabled = False  # type: ignore[assignment]  # a trait
        shell: Any = InteractiveShell.instance()
        shell._showtraceback = lambda *_: None
        shell.enable_gui = lambda *_: None  # for %matplotlib inline
        self.shell = shell
        self.names: dict[str, Any] = self.shell.user_ns
        self.kept: dict[str, dict[str, Any]] = {}
        self.given: dict[str, Any] = {}
        self.compile, self.exec = compile, exec  # before answers change builtins

    def answer(self, message: dict[str, str]) -> dict[str, Any]:
        """Do what a message says, and tell how it went."""
        ((verb, text),) = message.items()
        output = Capped()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            error = getattr(self, f"_{verb}")(text)
        return {"error": error, "text": output.getvalue(), "cut": output.lost}

    def _run(self, source: str) -> dict[str, str] | None:
        result = self.shell.run_cell(source, store_history=False)
        return _told(result.error_before_exec or result.error_in_exec)

    def _give(self, source: str) -> dict[str, str] | None:
        before = dict(self.names)
        error = self._run(source)
        self.given |= {k: v for k, v in self.names.items() if before.get(k) is not v}
        return error

    def _test(self, source: str) -> dict[str, str] | None:
        self.names.update(self.given)
        try:
            self.exec(self.compile(source, "<test>", "exec"), self.names)
        except BaseException as error:
            return _told(error)
        return None

    def _keep(self, name: str) -> None:
        self.kept[name] = dict(self.names)

    def _back(self, name: str) -> None:
        self.names.clear()
        self.names.update(self.kept[name])


def _told(error: BaseException | None) -> dict[str, str] | None:
    """Tell an error's name, message and line; its class may be an answer's own."""
    if error is None:
        return None
    try:
        said = str(error)[:2000]
    except BaseException:  # its own __str__ may raise anything
        said = "(its message cannot be shown)"
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "ipython-input" in f.filename or f.filename == "<test>"]
    line = own[-1] if own else None
    test = line is not None and line.filename == "<test>"
    where = (
        "" if line is None else f"line {line.lineno}" + (" of the test" if test else "")
    )
    return {"name": type(error).__name__[:80], "message": said, "where": where}


def serve(connection: socket.socket, kernel: Kernel) -> None:
    """Run cells until the connection closes."""
    with connection.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            reply = kernel.answer(json.loads(line))
            connection.sendall(json.dumps(reply).encode() + b"\n")


def watch(process: int, connection: socket.socket) -> str:
    """Wait until a kernel ends, or end it; say why it ended.

    Returns
    -------
    str
        Empty if the connection was closed.
    """
    poll, reason = select.poll(), ""
    poll.register(connection, select.POLLRDHUP)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return reason or _ending(status)
        if poll.poll(100):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return ""
        if _threads(process) > THREADS:
            reason = f"started more than {THREADS} threads"
            os.kill(process, signal.SIGKILL)


def _ending(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended itself with status {os.waitstatus_to_exitcode(status)}"


def _threads(process: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        status = Path(f"/proc/{process}/status").read_text().split("\n")
        return int(next(s for s in status if s.startswith("Threads:")).split()[1])
    return 0


def kernel_process(connection: socket.socket, kernel: Kernel, sandboxed: bool) -> None:
    """Become the process that runs one submission."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(quiet, descriptor)
    confine.limit(MEMORY, FILES)
    if sandboxed:
        confine.own_files(FILES)
        confine.lock()
    serve(connection, kernel)


def attend(connection: socket.socket, kernel: Kernel, sandboxed: bool) -> None:
    """Fork the kernel for a connection, watch it, and report its end."""
    if sandboxed:
        confine.own_namespaces()
    process = os.fork()
    if process == 0:
        _end_with(lambda: kernel_process(connection, kernel, sandboxed))
    reason = watch(process, connection)
    with contextlib.suppress(OSError):
        connection.sendall(b"\n" + json.dumps({"died": reason}).encode() + b"\n")


def _end_with(work: Callable[[], None]) -> None:
    """Do a forked process's work and exit, without returning to its parent's code."""
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _compare_once() -> None:
    """Have torch import what it needs to compare tensors and to report a difference."""
    import torch

    for other in torch.zeros(2), torch.ones(2):
        with contextlib.suppress(AssertionError):
            torch.testing.assert_close(torch.zeros(2), other)


def main() -> None:
    """Warm up, then fork for each connection to the socket that was passed on."""
    for name in MODULES:
        __import__(name)
    with contextlib.suppress(ModuleNotFoundError):  # then `judge` says what is missing
        for name in COMPARED:
            __import__(name)
    _compare_once()
    kernel = Kernel()
    listener = socket.socket(fileno=int(sys.argv[-1]))
    sandboxed = "--no-sandbox" not in sys.argv
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # watchers leave no zombies
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            _end_with(partial(attend, connection, kernel, sandboxed))
        connection.close()


if __name__ == "__main__":
    main()
