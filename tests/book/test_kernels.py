"""An answer that came unnoticed is found all the same."""

import asyncio
from queue import Empty
from typing import Any

import kernels
import nbformat
import pytest
from jupyter_client.channels import AsyncZMQSocketChannel
from nbclient import NotebookClient


class Deaf(AsyncZMQSocketChannel):
    """Hears nothing in the first wait, whatever has come."""

    waits = 0

    async def get_msg(  # type: ignore[override]  # as in its own base
        self, timeout: float | None = None
    ) -> dict[str, Any]:
        type(self).waits += 1
        if self.waits > 1:
            return {"content": "answer"}
        await asyncio.sleep(timeout or 0)
        raise Empty


def channel(monkeypatch: pytest.MonkeyPatch, seconds: float) -> kernels.PatientChannel:
    monkeypatch.setattr(kernels, "SECONDS", seconds)
    monkeypatch.setattr(AsyncZMQSocketChannel, "get_msg", Deaf.get_msg)
    Deaf.waits = 0
    made = object.__new__(kernels.PatientChannel)
    monkeypatch.setattr(kernels.PatientChannel, "waits", 0, raising=False)
    return made


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_a_client_looks_again(
    monkeypatch: pytest.MonkeyPatch, timeout: float | None
) -> None:
    made = channel(monkeypatch, seconds=0.01)
    assert asyncio.run(made.get_msg(timeout)) == {"content": "answer"}


def test_a_client_gives_up_when_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    made = channel(monkeypatch, seconds=1.0)
    with pytest.raises(Empty):
        asyncio.run(made.get_msg(0.01))


def test_a_notebook_that_is_run_has_such_a_client() -> None:
    """As `nbclient` makes it, which runs the chapters."""
    notebook = nbformat.v4.new_notebook()
    quiet = ["--log-level=ERROR"]
    how: dict[str, Any] = {
        "kernel_manager_class": kernels.Kernels,
        "extra_arguments": quiet,
    }
    runner = NotebookClient(notebook, **how)
    with runner.setup_kernel():
        assert isinstance(runner.kc, kernels.PatientClient)
        assert isinstance(runner.kc.shell_channel, kernels.PatientChannel)
