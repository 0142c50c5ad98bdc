"""A kernel's client that looks for answers more than once.

Figures that are moved by hand have the client send while it waits for a cell's answer.
To send can swallow the sign that the answer has come, and the client then waits for
ever. So it looks again each second.
"""

from __future__ import annotations

from queue import Empty
from time import monotonic
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from traitlets import Type, default

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
        while True:
            left = max(0.0, end - monotonic())
            try:
                return await super().get_msg(timeout=min(SECONDS, left))
            except Empty:
                if left <= SECONDS:
                    raise


class PatientClient(AsyncKernelClient):
    """A client whose channel for answers is patient."""

    shell_channel_class = Type(PatientChannel)


class Kernels(AsyncKernelManager):
    """Starts kernels, and gives them such clients."""

    client_factory = Type(PatientClient, klass=AsyncKernelClient)

    @default("client_factory")
    def _client_factory_default(self) -> type[AsyncKernelClient]:
        return PatientClient  # its base takes what `client_class` names
