"""The fast training step against autograd, and against what it leaves behind."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import Experiment, Prices
from rnn_companion.forecasting import engine
from rnn_companion.forecasting import experiment as experiments
from rnn_companion.forecasting.by_hand import HandWrittenGradients, fits
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import (
    CapturedStep,
    StepOptions,
    exact_matmul,
    side_by_side_step,
    training_step,
)
from rnn_companion.forecasting.experiment import (
    fit_side_by_side,
    make_optimizer,
    run,
)
from rnn_companion.forecasting.forecaster import Forecaster

ALIGNED = Layout("many-to-many-aligned", 5)
LAST = Layout("many-to-one", 5)
ONE = Layout("one-to-one", 1)


def draw(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(cell: str, layout: Layout, hidden: int = 6) -> Forecaster:
    start = torch.Generator().manual_seed(0)
    return Forecaster(cell, layout, hidden_size=hidden, generator=start)


def batch(layout: Layout, size: int = 3, seed: int = 1) -> tuple[Tensor, Tensor]:
    return (
        draw(layout.length, size, 1, seed=seed),
        draw(layout.outputs, size, 1, seed=seed + 100),
    )


@pytest.mark.parametrize("layout", [ALIGNED, LAST, ONE], ids=str)
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_hand_written_gradients_are_autograds(cell: str, layout: Layout) -> None:
    """Chapter 2, eq-Delta onwards; for the LSTM the same through its cell state."""
    ours, reference = make(cell, layout).double(), make(cell, layout).double()
    gradients = HandWrittenGradients([ours])
    for seed, size in ((1, 3), (2, 2), (3, 3)):  # kept buffers are not left dirty
        X, Y = (v.double() for v in batch(layout, size, seed))
        loss = nn.functional.mse_loss(reference(X), Y)
        reference.zero_grad()
        loss.backward()
        assert float(gradients(X[None], Y[None])) == pytest.approx(
            loss.item(), rel=1e-14
        )
        for mine, theirs in zip(ours.parameters(), reference.parameters(), strict=True):
            assert mine.grad is not None
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("clip", [None, 0.01])
def test_a_step_is_what_the_textbook_loop_does(cell: str, clip: float | None) -> None:
    ours, reference = make(cell, ALIGNED), make(cell, ALIGNED)
    rule = torch.optim.SGD(ours.parameters(), lr=0.1)
    step = training_step(ours, rule, StepOptions(clip=clip))
    optimizer = torch.optim.SGD(reference.parameters(), lr=0.1)
    for seed in range(4):
        X, Y = batch(ALIGNED, seed=seed)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(reference(X), Y)
        loss.backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(reference.parameters(), clip)
        optimizer.step()
        assert float(step(X, Y)) == pytest.approx(loss.item(), rel=1e-5)


def test_only_what_the_hand_written_pass_can_do_is_given_to_it() -> None:
    ahead = Layout("many-to-many-shifted", 5, 2)
    assert fits(make("rnn", LAST))
    assert fits(make("lstm", ALIGNED))
    assert not fits(make("gru", LAST))
    assert not fits(make("rnn", ahead))
    assert not fits(Forecaster("rnn", LAST, hidden_size=4, layers=2))


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_a_recorded_step_trains_as_an_unrecorded_one(
    optimizer: type[torch.optim.Optimizer],
) -> None:
    """The trial runs that a CUDA graph needs leave no trace."""

    def record(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        for _ in range(3):
            step()
        return step

    losses = []
    for captured in (False, True):
        model = make("gru", LAST)
        rule = optimizer(model.parameters(), lr=0.05)  # type: ignore[call-arg]
        step = training_step(model, rule)
        if captured:
            step = CapturedStep(step, [model], rule, record)
        losses.append([float(step(*batch(LAST, 3 - s % 2, s))) for s in range(6)])
    assert losses[0] == losses[1]


def test_the_matmul_precision_is_exact_and_put_back() -> None:
    def settings() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before = settings()
    with exact_matmul():
        assert engine._matmul_error(300, 200, 100) < 1e-6
        assert not torch.backends.cudnn.allow_tf32
    assert settings() == before
    with pytest.raises(KeyError), exact_matmul():
        raise KeyError
    assert settings() == before


def test_a_matmul_that_rounds_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with bfloat16 units errs by about 2e-3 under "medium"."""
    monkeypatch.setattr(engine, "_matmul_error", lambda *shape: 2e-3)
    engine.medium_is_exact.cache_clear()
    try:
        with exact_matmul():
            assert torch.get_float32_matmul_precision() == "highest"
    finally:
        engine.medium_is_exact.cache_clear()


def recorded_on_meta(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    for _ in range(3):
        assert step().device.type == "meta"
    return step


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize(
    ("cell", "count", "extra"),
    [
        ("rnn", 1, {"clip": 0.5, "gradient_norms": True, "l1": 0.1, "l2": 0.1}),
        ("lstm", 1, {}),
        ("gru", 1, {"clip": 0.5}),
        ("phased-lstm", 1, {"gradient_norms": True}),
        ("rnn", 3, {"clip": 0.5, "gradient_norms": True, "l1": 0.1}),
        ("lstm", 3, {"clip": 0.5, "gradient_norms": True}),
        ("rnn", 2, {"truncation": "sliding", "tau": 2}),
        ("rnn", 1, {"truncation": "regular", "tau": 2}),
        ("lstm", 2, {"truncation": "randomized", "pi": 0.5}),
    ],
    ids=str,
)
def test_a_step_stays_on_its_device_and_reads_nothing_back(
    cell: str, count: int, extra: dict[str, Any], optimizer: str
) -> None:
    """What a CUDA graph cannot record fails on the meta device, which has no values."""
    one = Experiment(cell=cell, length=5, hidden_size=4, optimizer=optimizer, **extra)
    models = [one.model().to("meta") for _ in range(count)]
    rule = make_optimizer(one, nn.ModuleList(models))
    plain = side_by_side_step(models, rule, one.step_options())
    step = CapturedStep(plain, models, rule, recorded_on_meta)
    for size in (3, 3, 2):
        X = torch.empty(count, 5, size, 1, device="meta")
        seen = step(X, X[:, :1])
        assert seen.shape == ((2, count) if one.gradient_norms else (count,))


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_an_optimizer_in_a_cuda_graph_counts_its_steps_on_the_device(
    optimizer: str,
) -> None:
    """Only there: a loop without a graph must not be warned of it."""
    model = make("rnn", LAST)
    rule = make_optimizer(Experiment(optimizer=optimizer), model)
    assert not rule.param_groups[0].get("capturable", False)
    CapturedStep(training_step(model, rule), [model], rule)
    assert rule.param_groups[0].get("capturable", True)


def test_windows_are_dealt_on_their_device(prices: Prices) -> None:
    """Their days stay behind, where no index of another device may reach them."""
    one = Experiment(length=5)
    windows = one.split(prices).training
    order = [one.generator("order")]
    X, Y = experiments._dealt([windows.to(torch.device("meta"))], order)
    assert X.device.type == Y.device.type == "meta"
    assert X.shape == (1, *windows.inputs.shape)


cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
EVERY_OPTION = {"clip": 0.5, "gradient_norms": True, "l1": 1e-4, "l2": 1e-3}


@pytest.mark.gpu
@cuda
@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
@pytest.mark.parametrize(
    ("cell", "extra"),
    [
        ("rnn", EVERY_OPTION),
        ("lstm", EVERY_OPTION),
        ("gru", {}),
        ("phased-lstm", {}),
        ("rnn", {"truncation": "sliding", "tau": 2}),
    ],
    ids=str,
)
def test_a_cuda_graph_trains_as_the_plain_step(
    cell: str, extra: dict[str, Any], optimizer: str
) -> None:
    one = Experiment(
        cell=cell,
        configuration="many-to-many-aligned",
        length=5,
        hidden_size=32,
        optimizer=optimizer,
        **extra,
    )
    losses = []
    for device in ("cpu", "cuda"):
        model = one.model().to(device)
        rule = make_optimizer(one, model)
        step = side_by_side_step([model], rule, one.step_options())
        assert isinstance(step, CapturedStep) == (device == "cuda")
        batches = [batch(ALIGNED, 3 - s % 2, s) for s in range(6)]
        losses.append(
            [step(X.to(device)[None], Y.to(device)[None]).cpu() for X, Y in batches]
        )
    torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-6)


@pytest.mark.gpu
@cuda
@pytest.mark.parametrize("configuration", ["many-to-many-aligned", "many-to-one"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_side_by_side_on_a_gpu_is_run_by_run_and_the_cpu(
    cell: str, configuration: str, prices: Prices
) -> None:
    one = Experiment(
        cell=cell, configuration=configuration, length=4, hidden_size=32, epochs=3
    )
    seeds = [replace(one, seed=s) for s in (3, 0, 7)]
    together = fit_side_by_side(seeds, prices, device="cuda", progress=False)
    for experiment, (model, record) in zip(seeds, together, strict=True):
        assert all(parameter.is_cuda for parameter in model.parameters())
        alone = run(experiment, prices, device="cuda", progress=False)
        on_cpu = run(experiment, prices, device="cpu", progress=False)
        for other, rel in ((alone, 1e-4), (on_cpu, 1e-3)):
            for name in ("training_loss", "validation_loss", "mse_by_position"):
                expected = pytest.approx(getattr(other, name), rel=rel)
                assert getattr(record, name) == expected


@pytest.mark.gpu
@cuda
def test_bfloat16_on_a_gpu_is_near_float32(prices: Prices) -> None:
    """And no float16 overflow: cuDNN would take that in bfloat16's place."""
    one = Experiment(cell="lstm", length=5, hidden_size=32, epochs=2)
    exact = run(one, prices, device="cuda", progress=False)
    rounded = replace(one, precision="bfloat16")
    found = run(rounded, prices, device="cuda", progress=False)
    assert found.training_loss == pytest.approx(exact.training_loss, rel=0.05)
    assert found.training_loss != exact.training_loss
