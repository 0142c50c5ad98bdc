"""Where to compute, and in how many threads: chosen here and nowhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn

__all__ = ["DeviceError", "choose_device", "one_thread"]

VARIABLE = "RNN_COMPANION_DEVICE"
WIDE = 512  # units; the widest layer of the book
RIGHT = 1e-5  # how far Apple's MPS may differ from the CPU, relative


class DeviceError(ValueError):
    """There is no such device, or it has not enough memory."""


def choose_device(name: str = "auto") -> torch.device:
    """Choose where to compute.

    Parameters
    ----------
    name : str
        A torch device such as ``"cpu"`` or ``"cuda:1"``. ``"auto"`` takes what the
        environment variable RNN_COMPANION_DEVICE names, else CUDA where there is
        one, else Apple's MPS where it computes what the CPU does, else the CPU.

    Returns
    -------
    torch.device

    Raises
    ------
    DeviceError
        For an unknown device, or one that this machine lacks.
    """
    if name == "auto":
        name = os.environ.get(VARIABLE) or "auto"
    if name != "auto":
        return _existing(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if mps_is_right() else "cpu")


def _existing(name: str) -> torch.device:
    """Return the device of a name, after something was computed on it."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).add_(1)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).split("\n")[0].split(". ")[0]
        raise DeviceError(
            f"the device {name!r} cannot be used ({reason}): say auto or cpu, or leave "
            f"{VARIABLE} unset"
        ) from None
    return device


@cache
def mps_is_right() -> bool:
    """Whether MPS is there and runs a recurrent layer as the CPU does, to 1e-5."""
    if not torch.backends.mps.is_available():
        return False
    with torch.device("meta"):
        layer = nn.LSTM(1, 32)
    layer = layer.to_empty(device="cpu")
    draw = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -0.2, 0.2, generator=draw)
    X = torch.rand(20, 4, 1, generator=draw)
    with torch.no_grad():
        expected = layer(X)[0]
        found = layer.to("mps")(X.to("mps"))[0].cpu()
    return bool((found - expected).norm() <= RIGHT * expected.norm())


@contextmanager
def one_thread(units: int = 0) -> Iterator[None]:
    """Compute on the CPU in one thread, unless a layer is wider than 512 units.

    A second thread does not pay for products this small, and slows them down several
    times where another program keeps one of the two waiting. The threads are then
    what they were before. Also a decorator: ``@one_thread()``.

    Parameters
    ----------
    units : int
        Width of the layer, in hidden units.
    """
    before = torch.get_num_threads()
    if units <= WIDE:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def require_memory(device: torch.device, needed: int) -> None:
    """Raise a DeviceError if a CUDA device has fewer bytes free than are needed."""
    if device.type != "cuda":
        return
    free, _ = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if needed > free:
        raise DeviceError(
            f"{device} has {free / 2**20:.0f} MB of memory free, and about "
            f"{needed / 2**20:.0f} MB are needed: take fewer units, a shorter "
            "window or a smaller batch, or say device='cpu'"
        )
