"""A kernel's client that does not wait for ever.

Figures that are moved by hand make kernel and client send to each other while a cell
runs. That can swallow the sign that there is more to send or to read: the answer then
lies on one of the two sides, and both wait. So the client looks again each second, and
now and then asks the kernel for something, which makes it look too.
"""

from __future__ import annotations

from queue import Empty
from time import monotonic
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type

SECONDS = 1.0


class PatientChannel(AsyncZMQSocketChannel):
    """A channel that asks its socket anew while it waits."""

    async def get_msg(  # type: ignore[override]  # as in its own base
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        """Get a message.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; for ever by default.

        Raises
        ------
        queue.Empty
            If none has come by then.
        """
        end = float("inf") if timeout is None else monotonic() + timeout
        seconds = 0
        while True:
            left = max(0.0, end - monotonic())
            try:
                return await super().get_msg(timeout=min(SECONDS, left))
            except Empty:
                if left <= SECONDS:
                    raise
            seconds += 1
            if seconds.bit_count() == 1:  # after 1, 2, 4, 8 ... seconds
                self.send(self.session.msg("kernel_info_request"))


class PatientClient(AsyncKernelClient):
    """A client whose channel for answers is patient."""

    shell_channel_class = Type(PatientChannel)


class Kernels(AsyncKernelManager):
    """Starts kernels, and gives them such clients."""

    client_class = "kernels.PatientClient"
