"""The device is chosen in one place, and a wrong one is refused before any work."""

import pytest
import torch

from rnn_companion import DeviceError, Experiment, choose_device, devices, run
from rnn_companion.devices import require_memory
from tests.forecasting.conftest import made_prices


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set no device by the environment."""
    monkeypatch.delenv(devices.VARIABLE, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [
        (True, True, "cuda"),
        (True, False, "cuda"),
        (False, True, "mps"),
        (False, False, "cpu"),
    ],
)
def test_cuda_comes_first_then_an_mps_that_is_right_then_the_cpu(
    cuda: bool, mps: bool, chosen: str, machine: pytest.MonkeyPatch
) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: cuda)
    machine.setattr(devices, "mps_is_right", lambda: mps)
    assert choose_device() == choose_device("auto") == torch.device(chosen)
    assert choose_device("cpu") == torch.device("cpu")


def test_the_environment_chooses_where_no_argument_does(
    machine: pytest.MonkeyPatch,
) -> None:
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setenv(devices.VARIABLE, "cpu")
    assert choose_device() == torch.device("cpu")
    machine.setenv(devices.VARIABLE, "meta")
    assert choose_device() == torch.device("meta")
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "quantum", "cpu:x"])
def test_a_device_that_is_not_there_is_named_before_anything_is_read(
    name: str, machine: pytest.MonkeyPatch
) -> None:
    message = f"the device {name!r} cannot be used .*: say auto or cpu"
    with pytest.raises(DeviceError, match=message):
        choose_device(name)
    with pytest.raises(DeviceError, match=message):
        run(Experiment(hidden_size=4), made_prices(), device=name)
    machine.setenv(devices.VARIABLE, name)
    with pytest.raises(DeviceError, match=message):
        run(Experiment(hidden_size=4), made_prices())


def test_a_job_that_does_not_fit_is_refused_before_it_trains(
    machine: pytest.MonkeyPatch,
) -> None:
    machine.setattr(torch.cuda, "mem_get_info", lambda device: (2**20, 2**30))
    require_memory(torch.device("cuda"), 2**20)
    require_memory(torch.device("cpu"), 2**50)
    with pytest.raises(DeviceError, match="cuda has 1 MB of memory free, and about 2"):
        require_memory(torch.device("cuda"), 2**21)
