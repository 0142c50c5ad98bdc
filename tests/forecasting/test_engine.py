"""The fast training step against autograd, and against what it leaves behind."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from rnn_companion.forecasting import engine
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import (
    CapturedStep,
    HandWrittenGradients,
    exact_matmul,
    training_step,
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
    gradients = HandWrittenGradients(ours)
    for seed, size in ((1, 3), (2, 2), (3, 3)):  # kept buffers are not left dirty
        X, Y = (v.double() for v in batch(layout, size, seed))
        loss = nn.functional.mse_loss(reference(X), Y)
        reference.zero_grad()
        loss.backward()
        assert float(gradients(X, Y)) == pytest.approx(loss.item(), rel=1e-14)
        for mine, theirs in zip(ours.parameters(), reference.parameters(), strict=True):
            assert mine.grad is not None
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("clip", [None, 0.01])
def test_a_step_is_what_the_textbook_loop_does(cell: str, clip: float | None) -> None:
    ours, reference = make(cell, ALIGNED), make(cell, ALIGNED)
    step = training_step(ours, torch.optim.SGD(ours.parameters(), lr=0.1), clip=clip)
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
    fits = HandWrittenGradients.fits
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
            step = CapturedStep(step, model, rule, record)
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


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_cuda_graph_trains_as_the_plain_step(cell: str) -> None:
    losses = []
    for graph in (False, True):
        model = make(cell, ALIGNED, 32).cuda()
        rule = torch.optim.Adam(model.parameters(), fused=True, capturable=True)
        step = training_step(model, rule)
        assert isinstance(step, CapturedStep)
        chosen = step if graph else step.step
        batches = [batch(ALIGNED, 3 - s % 2, s) for s in range(6)]
        losses.append([float(chosen(X.cuda(), Y.cuda())) for X, Y in batches])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
