"""The device is chosen in one place, and a wrong one is refused before any work."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from rnn_companion import (
    DeviceError,
    Experiment,
    choose_device,
    devices,
    memory,
    run,
    run_all,
    text,
)
from rnn_companion.devices import require_memory
from rnn_companion.forecasting.grid import GridError
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


# Nothing pins the CPU


class ReachedError(Exception):
    """A training has come to its first step."""


@pytest.fixture
def elsewhere(machine: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Choose torch's device without memory; note where the first step is taken.

    Nothing can be computed there, so a training that gets this far has moved its
    weights and its data to the device that was chosen.
    """
    machine.setenv(devices.VARIABLE, "meta")
    seen: list[str] = []

    def note(optimizer: torch.optim.Optimizer, *_: object) -> None:
        weights = [p for group in optimizer.param_groups for p in group["params"]]
        seen.extend(sorted({p.device.type for p in weights}))
        seen.extend(sorted({p.grad.device.type for p in weights}))
        raise ReachedError

    hook = register_optimizer_step_pre_hook(note)
    yield seen
    hook.remove()


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_training_goes_where_the_default_device_says(
    cell: str, elsewhere: list[str]
) -> None:
    with pytest.raises(ReachedError):
        run(Experiment(cell=cell, hidden_size=4, length=3), made_prices())
    assert set(elsewhere) == {"meta"}


@pytest.mark.parametrize(
    "training",
    [
        lambda: run_all([Experiment(hidden_size=4)], made_prices(), workers=1),
        lambda: memory.run_trial(memory.Trial(hidden_size=4, steps=1)),
        lambda: text.train(text.TextTraining(hidden_size=4, layers=1, steps=1)),
    ],
    ids=["a grid", "a trial", "a text"],
)
def test_every_training_asks_for_the_default_device(
    training: Callable[[], object], machine: pytest.MonkeyPatch
) -> None:
    machine.setenv(devices.VARIABLE, "quantum")
    with pytest.raises((DeviceError, GridError), match="the device 'quantum' cannot"):
        training()


BOOK = Path(__file__).parents[1] / "book"


@pytest.mark.parametrize("chapter", sorted(p.name for p in BOOK.glob("[0-9]*.md")))
def test_no_chapter_names_a_device(chapter: str) -> None:
    source = (BOOK / chapter).read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```\{code-cell\}.*?\n(.*?)```", source, re.DOTALL))
    assert re.findall(r"""["'](?:cpu|cuda|mps)(?::\d+)?["']|\.cuda\(""", code) == []


@pytest.mark.parametrize("units", [8, 513])
def test_a_network_that_is_not_wide_trains_in_one_thread_and_leaves_the_threads(
    units: int, machine: pytest.MonkeyPatch
) -> None:
    """The chapters' calls, with no setting of torch or of the environment."""
    before, seen = torch.get_num_threads(), set()
    hook = register_optimizer_step_pre_hook(
        lambda *_: seen.add(torch.get_num_threads())
    )
    torch.set_num_threads(2)
    try:
        short = Experiment(length=3, hidden_size=units, epochs=1, batch_size=64)
        run(short, made_prices(), device="cpu")
        if units == 8:
            memory.run_trial(memory.Trial(cell="rnn", length=5, steps=2))
            tiny = text.TextTraining(hidden_size=4, layers=1, steps=1, length=5)
            text.train(tiny, text.Corpus("0123456789" * 200, "digits", "MIT"))
        assert torch.get_num_threads() == 2
    finally:
        hook.remove()
        torch.set_num_threads(before)
    assert seen == {1 if units == 8 else 2}
