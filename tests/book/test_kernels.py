"""An answer that lies unnoticed, with the client or with the kernel, is found."""

import asyncio
from collections.abc import Callable
from queue import Empty
from typing import Any

import kernels
import pytest
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.session import Session

ANSWER = {"content": "answer"}


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Callable[..., kernels.PatientChannel]:
    """Make a channel whose answer comes with a wait, or once the kernel is asked."""

    def make(
        wait: int, asked: int = 0, seconds: float = 0.01
    ) -> kernels.PatientChannel:
        made = object.__new__(kernels.PatientChannel)
        made.session = Session()
        waits: list[float | None] = []
        sent: list[str] = []

        async def get_msg(self: object, timeout: float | None = None) -> dict[str, Any]:
            waits.append(timeout)
            if len(waits) >= wait and len(sent) >= asked:
                return ANSWER
            await asyncio.sleep(timeout or 0)
            raise Empty

        monkeypatch.setattr(kernels, "SECONDS", seconds)
        monkeypatch.setattr(AsyncZMQSocketChannel, "get_msg", get_msg)
        monkeypatch.setattr(made, "send", lambda m: sent.append(m["msg_type"]))
        monkeypatch.setattr(made, "sent", sent, raising=False)
        return made

    return make


@pytest.mark.parametrize("timeout", [None, 5.0])
@pytest.mark.parametrize(("wait", "asked"), [(1, 0), (2, 0), (1, 1), (1, 3)])
def test_a_client_looks_again_and_asks(
    channel: Callable[..., kernels.PatientChannel],
    timeout: float | None,
    wait: int,
    asked: int,
) -> None:
    made = channel(wait, asked)
    assert asyncio.run(made.get_msg(timeout)) == ANSWER


def test_a_kernel_that_is_busy_for_long_is_asked_seldom(
    channel: Callable[..., kernels.PatientChannel],
) -> None:
    """After 1, 2, 4 ... 64 seconds: what waits is answered all at once."""
    made = channel(wait=101, seconds=0.001)
    asyncio.run(made.get_msg(None))
    assert vars(made)["sent"] == ["kernel_info_request"] * 7


def test_a_client_gives_up_when_it_is_told_to(
    channel: Callable[..., kernels.PatientChannel],
) -> None:
    made = channel(wait=2, seconds=1.0)
    with pytest.raises(Empty):
        asyncio.run(made.get_msg(0.01))
