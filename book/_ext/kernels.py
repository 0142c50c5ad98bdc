"""Start kernels as copies of one process that has imported the libraries.

To import torch and the rest takes each chapter's kernel about five seconds. Where a
process can be forked, one does it for all: Python's forkserver.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from typing import Any

from jupyter_client.manager import AsyncKernelManager

INLINE = "module://matplotlib_inline.backend_inline"  # as a kernel sets it by itself


def preload(modules: Sequence[str]) -> None:
    """Say what every kernel has imported before it starts."""
    if modules and sys.platform == "linux":
        os.environ.setdefault("MPLBACKEND", INLINE)  # matplotlib reads it once
        multiprocessing.get_context("forkserver").set_forkserver_preload([*modules])


def _serve(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be a kernel."""
    from ipykernel.kernelapp import launch_new_instance

    os.setsid()  # an interrupted build ends its kernels itself
    os.chdir(folder)
    os.environ.update(environment)
    sys.path[:] = ["", *(path for path in sys.path if path)]  # begins with its folder
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # the kernel ends with it
    quiet = "--IPKernelApp.log_level=50"  # what it warns of is no reader's concern
    launch_new_instance(argv=[*arguments, parent, quiet])


class _Popen:
    """A forked process with the methods of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, process: ForkServerProcess) -> None:
        process.start()
        self.process = process
        self.pid = process.pid

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int | None:
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        if self.pid is not None and self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        self.process.kill()


class ForkedKernels(AsyncKernelManager):
    """Starts a Python kernel by a fork."""

    async def _async_launch_kernel(self, kernel_cmd: list[str], **kw: Any) -> None:  # noqa: ANN401
        provisioner: Any = self.provisioner
        options = kernel_cmd[kernel_cmd.index("-f") :]  # ... -m ipykernel_launcher -f
        given = options, kw["cwd"], kw["env"]
        context = multiprocessing.get_context("forkserver")
        process = context.Process(target=_serve, args=given, daemon=True)
        provisioner.process = _Popen(process)
        provisioner.pid, provisioner.pgid = provisioner.process.pid, None
        self._reconcile_connection_info(provisioner.connection_info)


def manager() -> type[AsyncKernelManager]:
    """Choose how kernels are started here."""
    return ForkedKernels if sys.platform == "linux" else AsyncKernelManager
