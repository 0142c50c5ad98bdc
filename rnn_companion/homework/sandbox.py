"""Where submissions run: a warm kernel in a sandbox of bubblewrap's.

The sandbox has no network and no processes but its own; it sees the system, the
Python environment and the package read-only, and nothing else of the machine. Each
submission gets a fork of the kernel, confined further (`confine`).
"""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from ctypes.util import find_library
from pathlib import Path
from types import TracebackType
from typing import Any

import rnn_companion

REPLY = 2_000_000  # bytes; a kernel that says more is cut off
SETTINGS = {
    "HOME": "/tmp",
    "IPYTHONDIR": "/tmp/.ipython",
    "LANG": "C.UTF-8",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": "/tmp/.matplotlib",
    **{f"{name}_NUM_THREADS": "1" for name in ("MKL", "OMP", "OPENBLAS")},
    "PATH": "/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONWARNINGS": "ignore",
    "TMPDIR": "/tmp",
    "TQDM_DISABLE": "1",
}
_WITHOUT = "--no-sandbox runs submissions with all that you may do yourself."


class SandboxError(RuntimeError):
    """No sandbox can be started; the message says what to do."""


class Died(Exception):
    """A kernel ended before it answered; the message says how."""


class Session:
    """One submission's kernel.

    Parameters
    ----------
    address : Path
        Where the warm kernel listens.
    """

    def __init__(self, address: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(os.fspath(address))
        self._rest = b""

    def ask(self, seconds: float, **message: str) -> dict[str, Any]:
        """Send the kernel a message and wait for its reply.

        Parameters
        ----------
        seconds : float
            How long it may take.
        **message
            One of ``run``, ``give``, ``test``, ``keep``, ``back``, with its text.

        Returns
        -------
        dict
            ``error`` (None, or ``name``, ``message``, ``where``), ``text``, ``cut``.

        Raises
        ------
        Died
            If it did not answer in time, or not at all; then the session is over.
        """
        if self._rest or select.select([self._socket], [], [], 0)[0]:
            raise Died(
                "did not start: the kernel had ended, or sent what it was not asked for"
            )
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            raise Died("did not start: the kernel had ended") from None
        deadline = time.monotonic() + seconds
        reply: Any = None
        while not isinstance(reply, dict):
            try:
                reply = json.loads(self._line(deadline, seconds) or b"null")
            except (ValueError, RecursionError):
                raise Died("sent something that is no reply") from None
        return _checked(reply)

    def _line(self, deadline: float, seconds: float) -> bytes:
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._socket], [], [], left)[0]:
                raise Died(f"took more than {seconds:g} seconds")
            try:
                found = self._socket.recv(65536)
            except OSError:
                found = b""
            self._rest += found
            if not found or len(self._rest) > REPLY:
                raise Died("sent too much" if found else "ended")
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def close(self) -> None:
        """Close the connection, which ends the kernel."""
        self._socket.close()


def _checked(reply: dict[str, Any]) -> dict[str, Any]:
    """Keep what a reply may hold, in its types: an answer may have forged it."""
    if "died" in reply or not {"error", "text", "cut"} <= set(reply):
        raise Died(str(reply.get("died") or "sent something that is no reply")[:200])
    error = reply["error"]
    if error is not None:
        told = error if isinstance(error, dict) else {}
        error = {k: str(told.get(k, ""))[:2000] for k in ("name", "message", "where")}
    return {"error": error, "text": str(reply["text"]), "cut": bool(reply["cut"])}


class Sandbox:
    """A warm kernel, as a context manager.

    Parameters
    ----------
    sandboxed : bool
        If not, submissions run with all that their user may do.

    Raises
    ------
    SandboxError
        On entering, if no sandbox can be started.
    """

    def __init__(self, sandboxed: bool = True) -> None:
        self.sandboxed = sandboxed

    def __enter__(self) -> Sandbox:
        """Start the kernel and wait until it is warm."""
        command = self._command()
        self._folder = Path(tempfile.mkdtemp(prefix="rnn-companion-"))  # mode 0700
        self.address = self._folder / "kernel"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.fspath(self.address))
        listener.listen(64)
        log = self._folder / "log"
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                [*command, str(listener.fileno())],
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                env=SETTINGS if self.sandboxed else {**os.environ, **SETTINGS},
                start_new_session=True,
            )
        listener.close()
        try:
            self._wait_until_warm(log)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def session(self) -> Session:
        """Fork a kernel for one submission."""
        return Session(self.address)

    def _wait_until_warm(self, log: Path) -> None:
        try:
            session = self.session()
            try:
                session.ask(300, run="")
            finally:
                session.close()
        except (Died, OSError) as problem:
            said = log.read_text(errors="replace").strip() or str(problem)
            raise SandboxError(
                f"the sandbox does not start: {said.splitlines()[-1]}. Grade on a "
                f"machine that lets bubblewrap make namespaces; {_WITHOUT}"
            ) from None

    def _command(self) -> list[str]:
        if not sys.platform.startswith("linux"):
            raise SandboxError(
                "submissions run on Linux only: elsewhere, grade in a Linux virtual "
                "machine or container"
            )
        program = [sys.executable, "-m", "rnn_companion.homework.warm"]
        if not self.sandboxed:
            return [*program, "--no-sandbox"]
        needed = {
            "bubblewrap": shutil.which("bwrap"),
            "libseccomp2": find_library("seccomp"),
        }
        if lacking := " ".join(name for name, found in needed.items() if not found):
            raise SandboxError(
                f"not installed: {lacking}. On Debian and Ubuntu, apt install "
                f"{lacking}; {_WITHOUT}"
            )
        return [str(needed["bubblewrap"]), *_arguments(), "--", *program]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the kernel and all that it started."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _arguments() -> list[str]:
    """Write bubblewrap's arguments."""
    seen = ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/etc/ld.so.cache"]
    package = Path(rnn_companion.__file__).parent
    needed = dict.fromkeys([sys.base_prefix, sys.prefix, os.fspath(package)])
    scratch = _scratch(needed)
    values = {k: v.replace("/tmp", scratch, 1) for k, v in SETTINGS.items()}
    settings = [part for k, v in values.items() for part in ("--setenv", k, v)]
    return [
        *("--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"),
        *("--die-with-parent", "--new-session", "--clearenv", *settings),
        *(part for path in seen for part in ("--ro-bind-try", path, path)),
        *(part for path in needed for part in ("--ro-bind", path, path)),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", scratch, "--chdir", scratch),
        *("--remount-ro", "/dev", "--remount-ro", "/"),
    ]


def _scratch(needed: Iterable[str]) -> str:
    """Choose where submissions may write: /tmp, unless that hides what they need."""
    inside = any(Path(path).is_relative_to("/tmp") for path in needed)
    return "/scratch" if inside else "/tmp"
