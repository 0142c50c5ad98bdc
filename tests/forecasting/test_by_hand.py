"""Gradients by hand: several networks at once, and cut as chapter 3 cuts them."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import Experiment, Layout, Prices, bptt, run_all, truncation
from rnn_companion.forecasting import grid as grids
from rnn_companion.forecasting.by_hand import HandWrittenGradients, stacked
from rnn_companion.forecasting.engine import StepOptions, side_by_side_step
from rnn_companion.forecasting.experiment import fit, fit_side_by_side, run
from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.forecasting.grid import GridError, seeds_together
from tests.recurrences import random

T, B, h = 6, 3, 5
ALIGNED, LAST = Layout("many-to-many-aligned", T), Layout("many-to-one", T)


def models(cell: str, layout: Layout, count: int = 3) -> list[Forecaster]:
    return [
        Forecaster(
            cell, layout, hidden_size=h, generator=torch.Generator().manual_seed(s)
        ).double()
        for s in range(count)
    ]


@pytest.mark.parametrize("layout", [ALIGNED, LAST], ids=str)
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_several_networks_have_the_gradients_that_each_has_alone(
    cell: str, layout: Layout
) -> None:
    """By autograd, one network after the other."""
    ours, alone = models(cell, layout), models(cell, layout)
    X, Y = random(3, T, B, 1), random(3, layout.outputs, B, 1, seed=1)
    losses = HandWrittenGradients(ours)(X, Y)
    for s, reference in enumerate(alone):
        loss = nn.functional.mse_loss(reference(X[s]), Y[s])
        loss.backward()
        assert float(losses[s]) == pytest.approx(loss.item(), rel=1e-12)
        for mine, theirs in zip(
            ours[s].parameters(), reference.parameters(), strict=True
        ):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-10, atol=1e-13)


def test_stacked_models_are_views_of_the_stack() -> None:
    """Whoever changes the stack changes the models, and the other way round."""
    both = models("lstm", LAST, 2)
    before = [[p.clone() for p in model.parameters()] for model in both]
    stack = stacked(both)
    for s, model in enumerate(both):
        for p, old, whole in zip(model.parameters(), before[s], stack, strict=True):
            assert torch.equal(p, old)
            with torch.no_grad():
                whole[s] += 1
            assert torch.equal(p, old + 1)


def by_chapter_3(model: Forecaster, X: Tensor, Y: Tensor, cut: str) -> Tensor:
    """Return the gradient of W_hh as `truncation` gives it."""
    head = model.head
    W_xh, W_hh, b_ih, b_hh = (p.detach() for p in model.cell.parameters())
    b_h = b_ih + b_hh
    H = bptt.rnn_forward(X, X.new_zeros(B, h), W_xh, W_hh, b_h)  # (T+1, B, h)
    G = torch.zeros_like(H[1:])
    K = len(Y)
    error = H[-K:] @ head.weight.detach().T + head.bias.detach() - Y
    G[-K:] = 2 / error.numel() * error @ head.weight.detach()
    if cut == "sliding":
        return truncation.sliding_backward(G, X, H, W_xh, W_hh, 2).W_hh
    xi = truncation.regular(T, 2)
    return truncation.truncated_backward(G, X, H, W_xh, W_hh, xi).W_hh


@pytest.mark.parametrize("layout", [ALIGNED, LAST], ids=str)
@pytest.mark.parametrize("cut", ["regular", "sliding"])
def test_a_truncated_step_has_the_gradient_of_chapter_3(
    cut: str, layout: Layout
) -> None:
    """Equations eq-grad-delta and eq-grad-sliding, tau = 2."""
    (model,), (reference,) = models("rnn", layout, 1), models("rnn", layout, 1)
    X, Y = random(T, B, 1), random(layout.outputs, B, 1, seed=1)
    options = Experiment(truncation=cut, tau=2).step_options()
    HandWrittenGradients([model], options.links, options.sliding)(X[None], Y[None])
    expected = by_chapter_3(reference, X, Y, cut)
    torch.testing.assert_close(
        model.cell.weight_hh_l0.grad, expected, rtol=1e-10, atol=1e-14
    )


@pytest.mark.parametrize("cut", [2, 3])
def test_an_lstm_is_cut_at_both_of_its_states(cut: int) -> None:
    """Against autograd on windows that start from a detached state."""
    (model,), (reference,) = models("lstm", ALIGNED, 1), models("lstm", ALIGNED, 1)
    X, Y = random(T, B, 1), random(T, B, 1, seed=1)
    links = Experiment(cell="lstm", truncation="regular", tau=cut).step_options().links
    HandWrittenGradients([model], links)(X[None], Y[None])
    state, outputs = None, []
    for part in X.split(cut):
        H, state = reference.cell(part, state)
        state = tuple(s.detach() for s in state)
        outputs.append(reference.head(H))
    nn.functional.mse_loss(torch.cat(outputs), Y).backward()
    for mine, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-10, atol=1e-13)


def given(xi: Tensor, steps: int) -> list[float]:
    return [float(x) for x in xi]


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_randomized_cut_is_right_on_average(cell: str) -> None:
    """Equation eq-grad-mean, over all 2^(T-1) ways to cut, with their probability."""
    pi, X, Y = 0.6, random(T, B, 1), random(T, B, 1, seed=1)
    patterns = truncation.all_patterns(T, pi)
    mean = torch.zeros(1)
    for xi, p in zip(patterns.xi, patterns.probability, strict=True):
        (model,) = models(cell, ALIGNED, 1)
        HandWrittenGradients([model], partial(given, xi))(X[None], Y[None])
        assert model.cell.weight_hh_l0.grad is not None
        mean = mean + p * model.cell.weight_hh_l0.grad
    (full,) = models(cell, ALIGNED, 1)
    nn.functional.mse_loss(full(X), Y).backward()
    torch.testing.assert_close(mean, full.cell.weight_hh_l0.grad, rtol=1e-9, atol=1e-12)


def test_penalties_are_those_of_the_loss() -> None:
    """Equation eq-grad-decay: what autograd adds for l1 |W| and l2 W^2 / 2."""
    (model,), (reference,) = models("rnn", LAST, 1), models("rnn", LAST, 1)
    X, Y = random(T, B, 1), random(1, B, 1, seed=1)
    rule = torch.optim.SGD(model.parameters(), lr=0.1)
    options = StepOptions(l1=0.02, l2=0.3, norms=True)
    seen = side_by_side_step([model], rule, options)(X[None], Y[None])
    loss = nn.functional.mse_loss(reference(X), Y)
    loss.backward()
    grads = [p.grad for p in reference.parameters() if p.grad is not None]
    norm = torch.cat([g.flatten() for g in grads]).norm()
    torch.testing.assert_close(seen[:, 0], torch.stack([loss.detach(), norm]))
    W = dict(reference.cell.named_parameters())["weight_hh_l0"]
    (0.02 * W.abs().sum() + 0.15 * W.square().sum()).backward()
    torch.optim.SGD(reference.parameters(), lr=0.1).step()
    torch.testing.assert_close(model.cell.weight_hh_l0, W)


@pytest.mark.parametrize("protocol", ["honest", "source"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_side_by_side_is_run_by_run(cell: str, protocol: str, prices: Prices) -> None:
    """The same numbers for each seed, trained together or alone."""
    one = Experiment(
        cell=cell,
        configuration="many-to-many-aligned",
        length=4,
        hidden_size=8,
        epochs=3,
        protocol=protocol,
        clip=0.5,
        gradient_norms=True,
    )
    seeds = [replace(one, seed=s) for s in (3, 0, 7)]
    together = fit_side_by_side(seeds, prices, device="cpu", progress=False)
    for experiment, (model, record) in zip(seeds, together, strict=True):
        alone, expected = fit(experiment, prices, device="cpu", progress=False)
        assert record.settings == expected.settings
        for name in ("training_loss", "validation_loss", "gradient_norms"):
            found = getattr(record, name)
            assert found == pytest.approx(getattr(expected, name), rel=1e-4)
            assert len(found) == 3
        for mine, theirs in zip(model.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_only_seeds_may_differ_side_by_side(prices: Prices) -> None:
    pair = [Experiment(hidden_size=4), Experiment(hidden_size=5)]
    with pytest.raises(ValueError, match="may differ in their seeds alone"):
        fit_side_by_side(pair, prices, device="cpu")
    drawn = [
        Experiment(hidden_size=4, truncation="randomized", pi=0.5, seed=s)
        for s in (0, 1)
    ]
    assert seeds_together(drawn, 1, "cpu") == [(drawn[0],), (drawn[1],)]
    with pytest.raises(ValueError, match="draws its links for each seed alone"):
        fit_side_by_side(drawn, prices, device="cpu")
    with pytest.raises(ValueError, match="only an RNN or LSTM of one layer"):
        fit_side_by_side(
            [Experiment(cell="gru", hidden_size=4, seed=s) for s in (0, 1)],
            prices,
            device="cpu",
        )


def test_a_run_keeps_gradient_norms_if_asked(prices: Prices) -> None:
    one = Experiment(length=3, hidden_size=4, epochs=2)
    assert run(one, prices, device="cpu").gradient_norms == ()
    asked = run(replace(one, gradient_norms=True), prices, device="cpu")
    assert len(asked.gradient_norms) == 2
    assert asked.mse == run(one, prices, device="cpu").mse


def test_seeds_of_small_networks_are_batched_and_nothing_else_is(
    prices: Prices, tmp_path: Path
) -> None:
    """As told in `seeds_together`; the records are those of runs one by one."""
    small = [Experiment(hidden_size=4, length=3, epochs=2, seed=s) for s in range(5)]
    big = [replace(e, hidden_size=512) for e in small[:2]]
    gru = [replace(e, cell="gru") for e in small[:2]]
    mixed = [small[0], big[0], gru[0], *small[1:], big[1], gru[1]]
    batches = seeds_together(mixed, 2, "cpu")
    assert batches[:2] == [tuple(small[::2]), tuple(small[1::2])]
    assert sorted(map(len, batches)) == [1, 1, 1, 1, 2, 3]
    assert {e for batch in batches for e in batch} == {*mixed}
    together = run_all(small, prices, out=tmp_path / "r.jsonl", workers=1, device="cpu")
    for experiment, record in zip(small, together, strict=True):
        alone = run(experiment, prices, device="cpu", progress=False)
        assert record.settings == alone.settings
        assert record.mse == pytest.approx(alone.mse, rel=1e-4)


def test_a_seed_that_diverges_costs_the_others_nothing(prices: Prices) -> None:
    """A batch that fails is run again one by one."""
    seeds = [
        Experiment(
            hidden_size=4, length=3, epochs=3, optimizer="sgd", learning_rate=e, seed=s
        )
        for s, e in ((0, 1e30), (1, 1e30), (0, 0.1))
    ]
    with pytest.raises(GridError, match=r"^2 of the runs failed, the others are done"):
        run_all(seeds, prices, workers=1, device="cpu", progress=False)


def test_workers_that_share_a_gpu_are_not_dealt_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Any size goes together there, in one batch; what cannot goes alone."""
    monkeypatch.setattr(grids, "choose_device", lambda name: torch.device("cuda"))
    seeds = [Experiment(cell="lstm", seed=s) for s in range(3)]
    alone = [Experiment(cell="gru", seed=s) for s in range(2)]
    assert seeds_together([*seeds, *alone], 8, "cuda") == [
        tuple(seeds),
        *((one,) for one in alone),
    ]
