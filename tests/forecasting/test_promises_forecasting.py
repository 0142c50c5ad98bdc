"""What the room of forecasting promises, done by hand or in plain torch."""

import json
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from rnn_companion import (
    Experiment,
    Forecaster,
    Layout,
    Prices,
    Record,
    count_parameters,
    grid,
    load_prices,
    origin,
    run,
    run_all,
)
from rnn_companion.forecasting import engine
from rnn_companion.forecasting import experiment as experiments
from rnn_companion.forecasting import grid as grids
from rnn_companion.forecasting.by_hand import HandWrittenGradients
from rnn_companion.forecasting.configurations import Configuration
from rnn_companion.forecasting.engine import (
    CapturedStep,
    StepOptions,
    side_by_side_step,
    training_step,
)
from rnn_companion.forecasting.experiment import DivergenceError
from rnn_companion.forecasting.grid import GridError, cost
from rnn_companion.forecasting.records import (
    RESULTS,
    Forecasts,
    Provenance,
    RecordFile,
    RunRecord,
)
from rnn_companion.forecasting.windows import (
    MinMaxScaler,
    cut_windows,
    leaky_random_split,
    split_by_date,
)
from tests.forecasting.conftest import in_batches


def made(days: int = 40) -> Prices:
    close = 30 + 8 * np.sin(np.arange(days) / 3) + np.arange(days) / 4
    return Prices(pd.bdate_range("2020-01-01", periods=days), close, "made")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# Configurations

LAYOUTS = {  # outputs, first target, span, last known input of each output
    Layout("one-to-one", 1): (1, 1, 2, (0,)),
    Layout("one-to-many", 1, 3): (3, 1, 4, (0, 0, 0)),
    Layout("many-to-one", 4): (1, 4, 5, (3,)),
    Layout("many-to-many-shifted", 4, 2): (2, 4, 6, (3, 3)),
    Layout("many-to-many-aligned", 4): (4, 1, 5, (0, 1, 2, 3)),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_layout_says_which_days_go_in_and_out(layout: Layout) -> None:
    outputs, first, span, known = LAYOUTS[layout]
    assert (layout.outputs, layout.first_target) == (outputs, first)
    assert (layout.span, layout.last_known) == (span, known)
    assert layout.aligned == (layout.configuration == "many-to-many-aligned")


def test_what_a_configuration_reads_and_forecasts() -> None:
    assert {c for c in Configuration if c.reads_many} == {
        "many-to-one",
        "many-to-many-shifted",
        "many-to-many-aligned",
    }
    ahead = {c for c in Configuration if c.forecasts_ahead}
    assert ahead == {"one-to-many", "many-to-many-shifted"}


@pytest.mark.parametrize("configuration", Configuration)
def test_one_day_in_and_one_day_out_always_fit(configuration: str) -> None:
    layout = Layout(configuration, 1)
    assert (layout.horizon, layout.outputs, layout.span) == (1, 1, 2)


# Windows


def test_scaling_in_plain_numbers() -> None:
    """`eq-scale` and `eq-unscale`: 10 to 30 dollars are 0 to 1."""
    scaler = MinMaxScaler.fit(torch.tensor([20.0, 30, 10, 15]))
    assert scaler == MinMaxScaler(10, 30)
    dollars, scaled = torch.tensor([10.0, 15, 30, 40]), torch.tensor([0, 0.25, 1, 1.5])
    torch.testing.assert_close(scaler.scale(dollars), scaled)
    torch.testing.assert_close(scaler.unscale(scaled), dollars)


def test_windows_are_chosen_by_number_and_keep_their_layout() -> None:
    windows = cut_windows(torch.arange(9.0), Layout("many-to-many-shifted", 3, 2))
    chosen = windows[torch.tensor([4, 1])]
    assert (len(windows), len(chosen)) == (5, 2)
    assert chosen.inputs[..., 0].T.tolist() == [[4, 5, 6], [1, 2, 3]]
    assert chosen.targets[..., 0].T.tolist() == [[7, 8], [4, 5]]
    assert chosen.days.T.tolist() == [[7, 8], [4, 5]]
    assert chosen.layout == windows.layout
    moved = chosen.to(torch.device("meta"))
    assert moved.inputs.is_meta
    assert moved.targets.is_meta
    assert not moved.days.is_meta  # they count days of the series, which stays


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_series_as_long_as_one_window_is_one_window(layout: Layout) -> None:
    assert len(cut_windows(torch.arange(float(layout.span)), layout)) == 1
    short = rf"^{layout.span - 1} days are too few for a window of {layout.span} "
    with pytest.raises(ValueError, match=short):
        cut_windows(torch.arange(layout.span - 1.0), layout)


@pytest.mark.parametrize("training", [0.0, 1.0, -0.5, math.nan])
def test_a_fraction_that_leaves_nothing_is_refused(training: float) -> None:
    message = rf"^training must lie between 0 and 1, got {training}$"
    layout = Layout("many-to-one", 3)
    with pytest.raises(ValueError, match=message):
        split_by_date(made(), layout, training=training)
    with pytest.raises(ValueError, match=message):
        leaky_random_split(
            made(), layout, training=training, generator=torch.Generator()
        )


@pytest.mark.parametrize("training", [None, 0.5])
def test_the_windows_of_a_split_by_date(training: float | None) -> None:
    """Every window once, but for those whose targets lie on both sides."""
    layout = Layout("many-to-many-shifted", 3, 2)
    more = {} if training is None else {"training": training}
    split, known = split_by_date(made(), layout, **more), int(40 * (training or 0.8))
    firsts = split.training.days[0].tolist(), split.validation.days[0].tolist()
    assert firsts == (list(range(3, known - 1)), list(range(known, 39)))
    close = made().close[:known]
    assert split.scaler == MinMaxScaler(close.min(), close.max())


def test_as_few_days_as_will_do() -> None:
    """A window's span to learn from, and its targets to be judged by."""
    layout = Layout("many-to-many-shifted", 2, 2)
    split = split_by_date(made(6), layout, training=4 / 6 + 1e-9)
    assert (len(split.training), len(split.validation)) == (1, 1)


def test_the_leaky_split_deals_out_every_window_once() -> None:
    layout = Layout("many-to-one", 3)
    before = torch.get_rng_state()

    def dealt(seed: int, **more: float) -> tuple[list[int], list[int]]:
        generator = torch.Generator().manual_seed(seed)
        split = leaky_random_split(made(), layout, generator=generator, **more)
        close = made().close
        assert split.scaler == MinMaxScaler(close.min(), close.max())
        return split.training.days[0].tolist(), split.validation.days[0].tolist()

    training, validation = dealt(0)
    assert len(training) == int(0.8 * 37)
    assert sorted(training + validation) == list(range(3, 40))
    assert training != sorted(training)
    assert validation == sorted(validation)
    assert dealt(0) == (training, validation)
    assert dealt(1)[1] != validation
    assert len(dealt(0, training=0.5)[0]) == 18
    assert torch.equal(torch.get_rng_state(), before)


# Models


def test_counting_parameters_in_plain_numbers() -> None:
    """`eq-count`: the weights of 2 inputs, 3 units, 4 outputs, written out."""
    head = 4 * 3 + 4
    for cell, gates in (("rnn", 1), ("lstm", 4), ("gru", 3)):
        first, second = gates * (3 * 2 + 3 * 3 + 3), gates * (3 * 3 + 3 * 3 + 3)
        assert count_parameters(cell, 2, 3, 4) == first + head
        assert count_parameters(cell, 2, 3, 4, layers=2) == first + second + head
        assert count_parameters(cell, 2, 3, 4, biases=2) == first + gates * 3 + head
    with pytest.raises(ValueError, match="unknown cell 'elman': choose one of rnn"):
        count_parameters("elman", 1, 1, 1)


def test_a_model_reads_and_tells_one_number_unless_told_otherwise() -> None:
    model = Forecaster("gru", Layout("many-to-one", 3), hidden_size=1)
    assert model(draw(3, 2, 1)).shape == (1, 2, 1)
    assert model.cell.num_layers == 1
    other = Forecaster(
        "gru", Layout("many-to-one", 3), input_size=2, hidden_size=5, output_size=4
    )
    assert other(draw(3, 7, 2)).shape == (1, 7, 4)
    with pytest.raises(ValueError, match="hidden_size must be at least 1, got -1"):
        Forecaster("gru", Layout("many-to-one", 3), hidden_size=-1)


# The training step


@pytest.mark.parametrize("configuration", ["many-to-one", "many-to-many-aligned"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("length", [2, 7, 12])
def test_gradients_by_hand_are_autograds_at_any_length(
    cell: str, configuration: str, length: int
) -> None:
    """More samples than units and fewer; long ones take a shortcut of their own."""
    layout = Layout(configuration, length)
    start = torch.Generator().manual_seed(0)
    model = Forecaster(cell, layout, hidden_size=4, generator=start).double()
    gradients = HandWrittenGradients([model])
    for size in (7, 2):
        X = draw(length, size, 1).double()
        Y = draw(layout.outputs, size, 1, seed=1).double()
        loss = gradients(X[None], Y[None])
        expected = (model(X) - Y).square().mean()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
        assert not loss.requires_grad
        parameters = list(model.parameters())
        by_autograd = torch.autograd.grad(expected, parameters)
        found = [parameter.grad for parameter in parameters]
        torch.testing.assert_close(found, list(by_autograd), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_rounded_products_change_the_third_digit_and_no_weights_type(cell: str) -> None:
    def losses(rounded: bool) -> list[float]:
        start = torch.Generator().manual_seed(0)
        model = Forecaster(
            cell, Layout("many-to-one", 5), hidden_size=32, generator=start
        )
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        step = training_step(model, optimizer, StepOptions(rounded=rounded))
        X, Y = draw(5, 16, 1), draw(1, 16, 1, seed=1)
        found = [step(X, Y) for _ in range(3)]
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert found[0].dtype == torch.float32
        return [float(loss) for loss in found]

    exact, rounded = losses(False), losses(True)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=2e-2)


def test_a_recorded_loss_is_not_overwritten_by_the_next() -> None:
    """A graph writes every loss to the same place; what was returned must stay."""
    place = torch.zeros(())

    def record(step: Callable[[], Tensor]) -> Callable[[], Tensor]:
        return lambda: place.copy_(step())

    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = CapturedStep(
        lambda X, Y: (X - Y).square().mean(), [model], optimizer, record
    )
    first = step(torch.zeros(2), torch.ones(2))
    second = step(torch.zeros(2), 3 * torch.ones(2))
    assert (float(first), float(second)) == (1, 9)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_gradients_are_by_hand_on_a_cpu_and_wherever_they_must_be(device: str) -> None:
    """As told in `engine`; "meta" stands for a device that is no CPU."""

    def by_hand(cell: str, count: int = 1, **options: Any) -> bool:  # noqa: ANN401
        layout = Layout("many-to-one", 3)
        models = [Forecaster(cell, layout, hidden_size=2) for _ in range(count)]
        models = [model.to(device) for model in models]
        found = engine._gradients(models, StepOptions(**options))
        return isinstance(found, HandWrittenGradients)

    assert by_hand("rnn") == by_hand("lstm") == (device == "cpu")
    assert by_hand("rnn", 2)
    assert by_hand("rnn", sliding=2)
    assert by_hand("lstm", links=lambda T: [1.0] * T)
    assert not by_hand("gru")
    assert not by_hand("rnn", rounded=True)


@pytest.mark.parametrize(("l1", "l2"), [(0.25, 0), (0, 0.5), (0.25, 0.5)])
@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_either_penalty_shrinks_the_recurrent_weights_alone(
    cell: str, l1: float, l2: float
) -> None:
    """Equation eq-grad-decay: one step of SGD with each penalty and without."""

    def stepped(options: StepOptions) -> dict[str, Tensor]:
        start = torch.Generator().manual_seed(0)
        layout = Layout("many-to-one", 3)
        model = Forecaster(cell, layout, hidden_size=2, generator=start).double()
        before = model.cell.get_parameter("weight_hh_l0").detach().clone()
        rule = torch.optim.SGD(model.parameters(), lr=0.125)
        step = side_by_side_step([model], rule, options)
        step(draw(1, 3, 4, 1).double(), draw(1, 1, 4, 1).double())
        return {"before": before, **{n: p.data for n, p in model.named_parameters()}}

    plain, shrunk = stepped(StepOptions()), stepped(StepOptions(l1=l1, l2=l2))
    W = plain["before"]
    less = 0.125 * (l1 * torch.where(W > 0, 1.0, -1.0) + l2 * W)
    for name, weights in plain.items():
        expected = weights - less if name == "cell.weight_hh_l0" else weights
        torch.testing.assert_close(shrunk[name], expected, rtol=1e-12, atol=1e-14)


def test_medium_products_are_never_exact_beside_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There "medium" means TF32, whatever the CPU's products are like."""
    monkeypatch.setattr(engine, "_matmul_error", lambda *shape: 0.0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not engine.medium_is_exact.__wrapped__()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert engine.medium_is_exact.__wrapped__()


# Experiments


def test_the_defaults_are_the_reports() -> None:
    assert asdict(Experiment()) == {
        "cell": "rnn",
        "configuration": "many-to-one",
        "length": 7,
        "horizon": 1,
        "hidden_size": 512,
        "layers": 1,
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "epochs": 10,
        "batch_size": 32,
        "clip": None,
        "training": 0.8,
        "protocol": "honest",
        "precision": "float32",
        "seed": 0,
        "start": "uniform",
        "forget_bias": None,
        "l1": 0.0,
        "l2": 0.0,
        "truncation": "full",
        "tau": None,
        "pi": None,
        "gradient_norms": False,
        "test": 0.0,
        "decay": "none",
        "patience": None,
        "folds": 5,
        "fold": 1,
    }


@pytest.mark.parametrize(
    "setting", ["hidden_size", "layers", "learning_rate", "epochs", "batch_size"]
)
def test_settings_are_positive(setting: str) -> None:
    for value in (0, -1):
        with pytest.raises(
            ValueError, match=f"^{setting} must be positive, got {value}"
        ):
            Experiment(**{setting: value})  # type: ignore[arg-type]
    assert getattr(Experiment(**{setting: 1}), setting) == 1  # type: ignore[arg-type]


def test_settings_that_mean_nothing_are_named() -> None:
    with pytest.raises(
        ValueError,
        match=r"^unknown precision 'half': choose one of float32, bfloat16$",
    ):
        Experiment(precision="half")
    for clip in (0.0, math.nan):
        with pytest.raises(
            ValueError, match=f"^clip must be positive or None, got {clip}"
        ):
            Experiment(clip=clip)


def test_a_forget_bias_is_for_lstms() -> None:
    """It is the bias of the forget gates at the start; a GRU and an RNN have none."""
    for cell in ("lstm", "phased-lstm"):
        model = Experiment(cell=cell, hidden_size=3, forget_bias=2.5).model()
        biases = [p.data for n, p in model.cell.named_parameters() if "bias" in n]
        opened = torch.stack(biases).sum(0)[3:6]  # gates i, f, g, o of three units
        assert opened.tolist() == [2.5] * 3
    for cell in ("rnn", "gru"):
        with pytest.raises(ValueError, match=f"is for an LSTM, not for '{cell}'"):
            Experiment(cell=cell, forget_bias=2.5)


def test_the_probability_of_a_link_lies_between_zero_and_one() -> None:
    """Every link at probability 1; none is weighted otherwise than by 0 or 1 / pi."""
    for pi, weights in ((1.0, {1.0}), (0.5, {0.0, 2.0}), (0.25, {0.0, 4.0})):
        options = Experiment(truncation="randomized", pi=pi).step_options()
        assert options.links is not None
        assert set(options.links(200)) == weights
    for pi in (0.0, -0.5, 1.5, math.nan):
        with pytest.raises(ValueError, match=rf"^pi must lie in \(0, 1\], got {pi}$"):
            Experiment(truncation="randomized", pi=pi)


def test_every_purpose_of_every_seed_has_a_generator_of_its_own() -> None:
    """Links and orthogonal starts, which came later, are far from the first three."""
    early, late = ("split", "start", "order"), ("links", "orthogonal")

    def seeds(purposes: tuple[str, ...]) -> list[int]:
        return [
            Experiment(seed=seed).generator(purpose).initial_seed()
            for seed in range(100)
            for purpose in purposes
        ]

    assert seeds(early) == list(range(300))
    assert len(set(seeds(late))) == 200
    assert min(seeds(late)) >= 2**40


def test_no_purpose_and_no_seed_shares_its_draws_with_another() -> None:
    """The same split for every start, the same start for every protocol."""
    base = Experiment(hidden_size=4, protocol="source")

    def start(e: Experiment) -> Tensor:
        return torch.cat([p.detach().flatten() for p in e.model().parameters()])

    def dealt(e: Experiment) -> list[int]:
        return e.split(made()).training.days[0].tolist()

    assert dealt(replace(base, hidden_size=9, cell="lstm")) == dealt(base)
    assert torch.equal(start(replace(base, protocol="honest")), start(base))
    others = [replace(base, seed=seed) for seed in range(1, 5)]
    assert all(dealt(other) != dealt(base) for other in others)
    assert not any(torch.equal(start(other), start(base)) for other in others)


def test_a_split_takes_its_share_of_training_days_and_its_protocol() -> None:
    one = Experiment(training=0.5)
    split = one.split(made())
    assert split.validation.days.min() == 20
    assert split.scaler == split_by_date(made(), one.layout, training=0.5).scaler
    other = replace(one, protocol="source").split(made())
    assert other.scaler == MinMaxScaler(made().close.min(), made().close.max())
    assert len(other.training) == int(0.5 * len(range(7, 40)))


@pytest.mark.parametrize(
    ("optimizer", "device", "options"),
    [
        ("adam", "cpu", {"fused": True}),
        ("sgd", "cpu", {"fused": True}),
        ("rmsprop", "cpu", {}),
        ("adam", "cuda", {"fused": True}),
        ("sgd", "cuda", {"fused": True}),
        ("rmsprop", "cuda", {}),
        ("adam", "mps", {}),
        ("adam", "meta", {}),
        ("rmsprop", "mps", {}),
    ],
)
def test_an_optimizer_is_fused_where_torch_can(
    optimizer: str,
    device: str,
    options: dict[str, bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weight = SimpleNamespace(device=SimpleNamespace(type=device))
    model: Any = SimpleNamespace(parameters=lambda: iter([weight]))
    monkeypatch.setitem(
        vars(experiments)["OPTIMIZERS"], optimizer, lambda parameters, **given: given
    )
    setting = Experiment(optimizer=optimizer, learning_rate=0.25)
    made_with: Any = experiments.make_optimizer(setting, model)
    assert made_with == {"lr": 0.25, **options}


@pytest.mark.parametrize("clip", [None, 1e20])
def test_a_divergence_is_told_by_its_step_in_its_epoch(clip: float | None) -> None:
    """The step and the epoch by an ordinary loop that counts; four steps an epoch."""
    setting = Experiment(
        length=3,
        hidden_size=4,
        optimizer="sgd",
        learning_rate=3e3,
        batch_size=8,
        clip=clip,
    )
    split, model = setting.split(made()), setting.model()
    order = torch.Generator().manual_seed(2)
    losses: list[float] = []
    while all(map(math.isfinite, losses)):
        dealt = torch.randperm(len(split.training), generator=order)
        for batch in dealt.split(8):
            forecast = model(split.training.inputs[:, batch])
            loss = (forecast - split.training.targets[:, batch]).square().mean()
            gradients = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():
                for weight, gradient in zip(model.parameters(), gradients, strict=True):
                    weight.sub_(3e3 * gradient)
            losses.append(loss.item())
    first = [math.isfinite(loss) for loss in losses].index(False)
    assert 4 < first < 40  # in a later epoch
    hint = " or clip=1.0" if clip is None else ""
    message = (
        rf"^the training loss is (nan|inf) at step {first + 1} \(epoch "
        rf"{first // 4 + 1}\): try a learning_rate below 3000{hint}$"
    )
    with pytest.raises(DivergenceError, match=message):
        run(setting, made(), device="cpu", progress=False)


@pytest.mark.parametrize(("batch_size", "samples"), [(2, 8), (32, 32)])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_memory_is_that_of_weights_and_of_all_steps(
    cell: str, layers: int, batch_size: int, samples: int
) -> None:
    """Weights as of torch's network of h inputs; 40 days have 8 to validate on."""
    kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
    rows = {"rnn": 5, "lstm": 20, "gru": 15}[cell]  # gates of five units

    def needed(length: int) -> int:
        setting = Experiment(
            cell=cell,
            layers=layers,
            length=length,
            hidden_size=5,
            batch_size=batch_size,
        )
        return experiments._bytes_needed(setting, setting.split(made()), 1)

    numbers = sum(p.numel() for p in kind(5, 5, layers).parameters())
    a_step = needed(4) - needed(3)
    assert a_step == 16 * layers * samples * (rows + 5 + 5)
    assert needed(3) - 3 * a_step == 16 * numbers


def test_a_record_holds_every_number_of_its_run() -> None:
    """One entry an epoch, one for each output; means, not sums."""
    setting = Experiment(
        configuration="many-to-many-shifted",
        length=3,
        horizon=2,
        hidden_size=4,
        epochs=3,
    )
    record = run(setting, made(), device="cpu", progress=False)
    assert record.settings == asdict(setting)
    assert len(record.training_loss) == len(record.validation_loss) == 3
    assert record.forecasts is not None
    table = record.forecasts.table(dollars=False)
    split = setting.split(made())
    truth = split.validation.targets[..., 0]
    naive = split.validation.inputs[-1, :, 0]
    found = record.persistence_by_position
    expected = (truth - naive).square().mean(1).tolist()
    assert found == pytest.approx(expected, rel=1e-5)
    assert record.validation_loss[-1] == pytest.approx(
        ((table["forecast"] - table["truth"]) ** 2).mean(), rel=1e-5
    )
    assert record.forecasts.positions == (1,) * 7 + (2,) * 7
    days = made().dates.strftime("%Y-%m-%d")
    assert record.forecasts.dates == (*days[32:39], *days[33:40])


def test_where_a_record_comes_from_is_told_to_the_millisecond() -> None:
    started = time.perf_counter() - 1000
    found = Provenance.of_run("memory", "made", "sum", torch.device("cpu"), started)
    assert (found.data, found.checksum, found.device) == ("made", "sum", "cpu")
    assert 1000 <= found.seconds == round(found.seconds, 3)
    assert found.results == RESULTS["memory"]
    assert set(found.versions) == {"python", "torch", "rnn_companion"}
    when = datetime.fromisoformat(found.date)
    assert when.tzinfo == UTC
    assert when.microsecond == 0


# Records

PLACE = Provenance("made", "sum", "cpu", {"torch": "2"}, "2026-01-01", 1.0, 1)


def record(**changes: Any) -> Record:  # noqa: ANN401
    forecasts = Forecasts(
        dates=("2020-01-03", "2020-01-02", "2020-01-06", "2020-01-03"),
        positions=(1, 1, 2, 2),
        truth=(0.0, 0.5, 1.0, 1.5),
        forecast=(0.1, 0.2, 0.3, 0.4),
        persistence=(0.5, 0.25, 0.0, -0.5),
        minimum=10.0,
        maximum=30.0,
    )
    plain = Record(
        {"seed": 0}, (1.0,), (1.0,), (0.1, 0.3), (0.5, 0.75), forecasts, PLACE
    )
    return replace(plain, **changes)


def test_errors_and_skill_in_plain_numbers() -> None:
    """`eq-skill`: 1 - 0.2 / 0.625."""
    assert record().mse == pytest.approx(0.2)
    assert record().persistence_mse == pytest.approx(0.625)
    assert record().skill == pytest.approx(1 - 0.32)


def test_the_table_of_forecasts_is_in_dollars_and_in_order() -> None:
    forecasts = record().forecasts
    assert forecasts is not None
    table = forecasts.table()
    assert list(table.index) == [0, 1, 2, 3]
    assert list(table.columns) == [
        "date",
        "position",
        "truth",
        "forecast",
        "persistence",
    ]
    assert list(table["date"].dt.day) == [2, 3, 3, 6]
    assert list(table["position"]) == [1, 1, 2, 2]
    assert table["truth"].tolist() == [20, 10, 40, 30]
    assert table["forecast"].tolist() == pytest.approx([14, 12, 18, 16])
    assert table["persistence"].tolist() == [15, 20, 0, 10]
    scaled = forecasts.table(dollars=False)
    assert scaled["truth"].tolist() == [0.5, 0.0, 1.5, 1.0]


def test_forecasts_that_are_not_kept_cannot_be_cut_down() -> None:
    bare = record().with_forecasts("none")
    for which in ("all", "ends", "none"):
        assert bare.with_forecasts(which) == bare
    long = record(mse_by_position=(0.1, 0.2, 0.3)).with_forecasts("ends").forecasts
    assert long is not None
    assert long.positions == (1, 1)  # of positions 1 and 3 there is only the first
    assert record().with_forecasts("ends") == record()  # of two both are ends
    assert record().with_forecasts("none") == bare


def test_a_key_does_not_depend_on_the_order_of_settings() -> None:
    one, other = {"b": 1, "a": {"d": 2, "c": 3}}, {"a": {"c": 3, "d": 2}, "b": 1}
    assert record(settings=one).key == record(settings=other).key
    filled = asdict(Experiment()) | one  # what is missing has its default
    assert json.loads(record(settings=one).key) == [filled, "sum", 1]


def test_an_empty_file_holds_no_records_and_takes_the_first(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.touch()
    file = RecordFile(path)
    assert file.read() == []
    file.append(record())
    assert file.read() == RecordFile(path).read() == [record()]
    assert path.read_text() == record().to_json() + "\n"
    assert not (tmp_path / "records.jsonl.undo").exists()


def test_a_record_in_a_folder_that_is_not_there_makes_it(tmp_path: Path) -> None:
    file = RecordFile(tmp_path / "not" / "there" / "records.jsonl")
    file.append(record())
    assert file.read() == [record()]


def test_a_record_may_hold_dataclasses_and_tuples_of_them() -> None:
    @dataclass(frozen=True)
    class Point:
        name: str
        at: tuple[float, ...]

    @dataclass(frozen=True)
    class Drawn(RunRecord):
        kind = "memory"
        made_from = Experiment
        settings: dict[str, Any]
        provenance: Provenance
        best: Point | None
        points: tuple[Point, ...]
        numbers: tuple[int, ...]

    two = Point("a", (1.0, 2.0)), Point("b", ())
    for best in (two[0], None):
        drawn = Drawn({"seed": 1}, PLACE, best, two, (1, 2))
        assert Drawn.from_json(drawn.to_json()) == drawn


def test_origin_counts_runs_and_adds_up_their_seconds() -> None:
    same = [record()] * 3
    assert origin(same) == "(Recorded: 3 runs on cpu, 2026-01-01, 3 seconds.)"


# Prices


def write(folder: Path, text: str) -> Path:
    file = folder / "prices.csv"
    file.write_text(text)
    return file


def test_the_twelfth_day_of_a_month_tells_no_order(tmp_path: Path) -> None:
    """Only a number above 12 cannot be a month."""
    both = write(tmp_path, "Date,Close\n12/1/2020,1\n1/12/2020,2\n12/12/2020,3")
    with pytest.raises(ValueError, match="could be read with the day or the month"):
        load_prices(both)
    day = load_prices(write(tmp_path, "Date,Close\n12/1/2020,1\n13/1/2020,2"))
    assert list(day.dates.strftime("%m-%d")) == ["01-12", "01-13"]
    month = load_prices(write(tmp_path, "Date,Close\n1/12/2020,1\n1/13/2020,2"))
    assert list(month.dates.strftime("%m-%d")) == ["01-12", "01-13"]


@pytest.mark.parametrize("dayfirst", [None, True])
def test_what_a_row_tells_may_be_told_as_well(
    tmp_path: Path, dayfirst: bool | None
) -> None:
    file = write(tmp_path, "Date,Close\n2/1/2020,1\n13/1/2020,2")
    assert load_prices(file, dayfirst=dayfirst).dates[0] == pd.Timestamp(2020, 1, 2)
    with pytest.raises(ValueError, match=r"row 3: .* cannot be read with dayfirst=Fal"):
        load_prices(file, dayfirst=False)


@pytest.mark.parametrize("text", ["2020-01-02", "2020/1/2", "2020.01.02", "20200102"])
@pytest.mark.parametrize("time", ["", " 16:00:00", "T09:30"])
@pytest.mark.parametrize("dayfirst", [None, True, False])
def test_a_date_that_begins_with_its_year_has_one_meaning(
    tmp_path: Path, text: str, time: str, dayfirst: bool | None
) -> None:
    file = write(tmp_path, f"Date,Close\n{text}{time},1.5")
    found = load_prices(file, dayfirst=dayfirst)
    assert found.dates[0] == pd.Timestamp(2020, 1, 2)
    assert found.close.tolist() == [1.5]


@pytest.mark.parametrize("text", ["2020-01/02", "1/2-2020", "2020-01-021", "2020-1-2x"])
def test_what_is_nearly_a_date_is_none(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"row 2: .* is not a date"):
        load_prices(write(tmp_path, f"Date,Close\n{text},1"), dayfirst=True)


def test_rows_are_counted_as_lines_of_the_file(tmp_path: Path) -> None:
    """Blank lines count; all rows of a day are named."""
    text = "Date,Close\n2020-01-02,1\n\n2020-01-03,2\n2020-01-02,3\n\n2020-01-02,4\n"
    with pytest.raises(ValueError, match="'Date', rows 2 and 5 and 7: 2020-01-02 stan"):
        load_prices(write(tmp_path, text))
    with pytest.raises(ValueError, match="column 'Close', row 4: 'x' is not a number"):
        load_prices(write(tmp_path, "Date,Close\n\n2020-01-02,1\n2020-01-03,x"))


def test_columns_are_found_by_any_case_and_the_best_price_first(tmp_path: Path) -> None:
    text = "CLOSE\t Timestamp\tADJ CLOSE\n9\t2020-01-02\t$1.5"
    file = write(tmp_path, text)
    assert load_prices(file).close.tolist() == [1.5]
    assert load_prices(file, column="close").close.tolist() == [9]
    with pytest.raises(ValueError, match=r"no price column among .*; name one of them"):
        load_prices(file, column="open")


def test_the_smallest_price_is_positive(tmp_path: Path) -> None:
    found = load_prices(write(tmp_path, "Date,Close\n2020-01-02,0.01\n2020-01-03,1e-9"))
    assert found.close.tolist() == [0.01, 1e-9]
    assert len(found) == 2


# Grids


def test_cost_is_the_number_of_products_with_a_recurrent_weight() -> None:
    """Epochs, steps and weights written out: gates times units squared a layer."""
    base = Experiment(length=5, hidden_size=3, epochs=7)
    assert cost(base) == 7 * 5 * 3 * 3
    assert cost(replace(base, layers=2)) == 2 * cost(base)
    assert cost(replace(base, cell="lstm")) == 4 * cost(base)
    assert cost(replace(base, cell="gru")) == 3 * cost(base)


def test_epochs_are_the_reports_unless_told_otherwise() -> None:
    names = ("adam", "sgd", "rmsprop")

    def epochs(**more: int) -> list[int]:
        one = grid(cells=("rnn",), lengths=(3,), optimizers=names, **more)  # type: ignore[arg-type]
        return [e.epochs for e in one][:3]

    assert epochs() == [10, 100, 10]
    assert epochs(epochs=2) == [2, 2, 2]


@pytest.mark.parametrize(
    ("device", "cores", "workers"),
    [("cpu", 4, 4), ("cpu", 64, 64), ("cpu", None, 1), ("cuda", 4, 4), ("cuda", 64, 8)],
)
def test_there_is_a_worker_a_core_but_few_on_one_gpu(
    device: str, cores: int | None, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grids, "choose_device", torch.device)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert grids._workers(device) == workers


def test_an_executor_is_given_all_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three runs that wait for each other end only if they run side by side."""
    together = threading.Barrier(3, timeout=30)

    def waits(*args: Any, **kwargs: Any) -> Record:  # noqa: ANN401
        together.wait()
        return run(*args, **kwargs)

    monkeypatch.setattr(grids, "fit_side_by_side", in_batches(waits))
    work = grid(
        cells=("rnn",), lengths=(2, 3, 4), optimizers=("adam",), epochs=1, hidden_size=2
    )[::2]
    with ThreadPoolExecutor(3) as threads:
        records = run_all(work, made(), executor=threads, device="cpu", progress=False)
    assert [r.settings["length"] for r in records] == [2, 3, 4]


def test_all_failures_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    bad: dict[str, Any] = {"learning_rate": 1e30, "optimizer": "sgd"}
    small: dict[str, Any] = {"hidden_size": 2, "epochs": 1, "batch_size": 4}
    work = [
        Experiment(length=2, **small),
        Experiment(length=3, **small, **bad),
        Experiment(length=4, **small),
        Experiment(length=5, **small, **bad),
    ]
    out = tmp_path / "records.jsonl"
    with pytest.raises(
        GridError,
        match=r"^2 of the runs failed, the others are done; the first to fail, "
        r"Experiment\(.*length=3.*: the training loss is",
    ):
        run_all(work, made(), out=out, workers=1, device="cpu", progress=False)
    assert [r.settings["length"] for r in RecordFile(out).read()] == [2, 4]
