"""What the room of forecasting promises of experiments."""

import math
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import (
    Experiment,
    run,
)
from rnn_companion.forecasting import experiment as experiments
from rnn_companion.forecasting.experiment import DivergenceError
from rnn_companion.forecasting.records import (
    RESULTS,
    Provenance,
)
from rnn_companion.forecasting.windows import (
    MinMaxScaler,
    split_by_date,
)

from ._promises_forecasting import made


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
