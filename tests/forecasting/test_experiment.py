"""An experiment gives the same record twice, and the record says what happened."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from rnn_companion import Experiment, Prices, Record, load_prices, run
from rnn_companion.forecasting.configurations import Configuration
from rnn_companion.forecasting.experiment import (
    DivergenceError,
    fit,
    fit_side_by_side,
)
from rnn_companion.forecasting.grid import seeds_together

SMALL: dict[str, Any] = {"hidden_size": 8, "epochs": 2, "length": 3}


def walk(days: int = 120, seed: int = 0) -> Prices:
    steps = np.random.default_rng(seed).normal(0, 1, days)
    dates = pd.bdate_range("2020-01-01", periods=days)
    return Prices(dates, 100 + steps.cumsum(), "random walk")


def without_time(record: Record) -> dict:  # type: ignore[type-arg]
    fields = dataclasses.asdict(record)
    del fields["provenance"]["seconds"], fields["provenance"]["date"]
    return fields


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_the_same_seed_gives_the_same_record(optimizer: str) -> None:
    experiment = Experiment(optimizer=optimizer, **SMALL)
    first, second = (run(experiment, walk(), device="cpu") for _ in range(2))
    assert without_time(first) == without_time(second)
    other = run(dataclasses.replace(experiment, seed=1), walk(), device="cpu")
    assert other.training_loss != first.training_loss


@pytest.mark.parametrize("clip", [None, 0.01])
def test_training_is_plain_torch_written_out(clip: float | None) -> None:
    """The same losses come out of an ordinary loop over the same batches."""
    experiment = Experiment(learning_rate=0.01, clip=clip, **SMALL)
    split, model = experiment.split(walk()), experiment.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    order = torch.Generator().manual_seed(2)
    expected = []
    for _ in range(2):
        losses = []
        for batch in torch.randperm(len(split.training), generator=order).split(32):
            forecast = model(split.training.inputs[:, batch])
            loss = ((forecast - split.training.targets[:, batch]) ** 2).mean()
            model.zero_grad()
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            losses.append(loss.item())
        expected.append(np.mean(losses))
    record = run(experiment, walk(), device="cpu")
    np.testing.assert_allclose(record.training_loss, expected, rtol=1e-5)


def test_a_cosine_lets_the_learning_rate_fall_as_its_formula_says() -> None:
    """The same losses come out of a loop that sets each epoch's rate by hand."""
    epochs = 4
    experiment = Experiment(
        optimizer="sgd",
        learning_rate=0.5,
        decay="cosine",
        **SMALL | {"epochs": epochs},
    )
    split, model = experiment.split(walk()), experiment.model()
    order, expected = torch.Generator().manual_seed(2), []
    for epoch in range(1, epochs + 1):
        rate = 0.5 * (1 + np.cos(np.pi * (epoch - 1) / epochs)) / 2
        losses = []
        for batch in torch.randperm(len(split.training), generator=order).split(32):
            forecast = model(split.training.inputs[:, batch])
            loss = ((forecast - split.training.targets[:, batch]) ** 2).mean()
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    assert parameter.grad is not None
                    parameter.sub_(rate * parameter.grad)
            losses.append(loss.item())
        expected.append(np.mean(losses))
    record = run(experiment, walk(), device="cpu")
    np.testing.assert_allclose(record.training_loss, expected, rtol=1e-5)
    plain = run(dataclasses.replace(experiment, decay="none"), walk(), device="cpu")
    assert plain.training_loss[0] == record.training_loss[0]
    assert plain.training_loss[2] != record.training_loss[2]


def test_a_learning_rate_falls_for_seeds_side_by_side_as_for_one() -> None:
    seeds = [
        Experiment(decay="cosine", seed=s, **SMALL | {"epochs": 3}) for s in (0, 1)
    ]
    both = fit_side_by_side(seeds, walk(), device="cpu")
    for experiment, (_, record) in zip(seeds, both, strict=True):
        alone = run(experiment, walk(), device="cpu")
        np.testing.assert_allclose(record.training_loss, alone.training_loss, rtol=1e-4)


@pytest.mark.parametrize("patience", [1, 3])
def test_training_stops_when_patience_is_at_an_end(patience: int) -> None:
    """Its epochs are the first of those without patience; the best one is kept."""
    experiment = Experiment(
        patience=patience, learning_rate=0.05, **SMALL | {"epochs": 30}
    )
    model, record = fit(experiment, walk(), device="cpu")
    every = run(dataclasses.replace(experiment, patience=None), walk(), device="cpu")
    losses = every.validation_loss
    best = [losses.index(min(losses[: n + 1])) for n in range(len(losses))]
    last = next(n for n in range(len(losses)) if n - best[n] == patience)
    assert last + 1 < len(losses), "this run shows nothing: it does not stop"
    assert record.validation_loss == losses[: last + 1]
    assert record.training_loss == every.training_loss[: last + 1]
    assert record.mse == pytest.approx(losses[best[last]], rel=1e-6)
    kept = dataclasses.replace(experiment, patience=None, epochs=best[last] + 1)
    same, _ = fit(kept, walk(), device="cpu")
    for ours, theirs in zip(model.parameters(), same.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_with_patience_the_best_epoch_is_kept_even_if_none_is_left_to_stop() -> None:
    experiment = Experiment(patience=30, learning_rate=0.05, **SMALL | {"epochs": 30})
    record = run(experiment, walk(), device="cpu")
    assert len(record.validation_loss) == 30
    assert record.mse == pytest.approx(min(record.validation_loss), rel=1e-6)
    assert record.mse < record.validation_loss[-1]


def test_with_patience_each_seed_runs_alone() -> None:
    """In a grid; several at once are refused."""
    seeds = [Experiment(patience=1, seed=s, **SMALL) for s in (0, 1)]
    assert seeds_together(seeds, 1, "cpu") == [(seeds[0],), (seeds[1],)]
    with pytest.raises(ValueError, match="with patience each seed stops alone"):
        fit_side_by_side(seeds, walk(), device="cpu")


@pytest.mark.parametrize("configuration", ["many-to-one", "many-to-many-aligned"])
def test_the_test_part_has_errors_and_forecasts_of_its_own(configuration: str) -> None:
    """Of the last 24 of 120 days; validation has the 24 before them."""
    parts = {"training": 0.6, "test": 0.2, "configuration": configuration}
    record = run(Experiment(**SMALL | parts), walk(), device="cpu")
    assert record.test is not None
    assert record.test.forecasts is not None
    assert record.forecasts is not None
    table = record.test.forecasts.table(dollars=False)
    days = walk().dates
    assert set(table["date"]) == set(days[96:])
    assert set(record.forecasts.table()["date"]) == set(days[72:96])
    error = ((table["forecast"] - table["truth"]) ** 2).groupby(table["position"])
    np.testing.assert_allclose(record.test.mse_by_position, error.mean(), rtol=1e-5)
    naive = ((table["persistence"] - table["truth"]) ** 2).mean()
    assert record.test.skill == pytest.approx(1 - record.test.mse / naive, rel=1e-4)
    assert Record.from_json(record.to_json()) == record


def test_test_days_change_nothing_but_their_own_errors() -> None:
    """Not even the epoch that is kept: nothing is chosen by them."""
    parts = {"training": 0.6, "test": 0.2, "patience": 2, "epochs": 10}
    experiment = Experiment(learning_rate=0.05, **SMALL | parts)
    close = walk().close.copy()
    close[96:] += 30
    other = Prices(walk().dates, close, "another end")
    one, two = (run(experiment, prices, device="cpu") for prices in (walk(), other))
    assert one.validation_loss == two.validation_loss
    assert one.forecasts == two.forecasts
    assert one.test is not None
    assert two.test is not None
    assert one.test.mse != two.test.mse


def test_data_that_may_not_be_given_back_are_not_in_the_test_part_either() -> None:
    parts = {"training": 0.6, "test": 0.2, "configuration": "many-to-many-aligned"}
    record = run(Experiment(**SMALL | parts), walk(), device="cpu")
    assert record.test is not None
    slim = record.with_forecasts("none")
    assert slim.test == dataclasses.replace(record.test, forecasts=None)
    ends = record.with_forecasts("ends").test
    assert ends is not None
    assert ends.forecasts is not None
    assert set(ends.forecasts.positions) == {1, 3}
    assert record.with_forecasts("all") == record


@pytest.mark.parametrize("configuration", Configuration)
def test_a_record_agrees_with_its_own_forecasts(configuration: Configuration) -> None:
    many = configuration.reads_many
    experiment = Experiment(
        configuration=configuration,
        length=3 if many else 1,
        horizon=2 if configuration.forecasts_ahead else 1,
        hidden_size=8,
        epochs=1,
    )
    prices = walk()
    record = run(experiment, prices, device="cpu")
    assert record.forecasts is not None
    scaled = record.forecasts.table(dollars=False)
    error = (scaled["forecast"] - scaled["truth"]) ** 2
    by_position = error.groupby(scaled["position"]).mean()
    np.testing.assert_allclose(record.mse_by_position, by_position, rtol=1e-5)
    assert record.mse == pytest.approx(error.mean(), rel=1e-5)
    assert record.validation_loss[-1] == pytest.approx(record.mse, rel=1e-6)
    naive = ((scaled["persistence"] - scaled["truth"]) ** 2).mean()
    assert record.skill == pytest.approx(1 - error.mean() / naive, rel=1e-4)

    dollars = record.forecasts.table()
    truth = pd.Series(prices.close, prices.dates)[dollars["date"]].to_numpy()
    np.testing.assert_allclose(dollars["truth"], truth, rtol=1e-6)
    assert dollars["date"].min() == prices.dates[96]  # 80 % of 120 days are known
    assert set(dollars["persistence"].round(3)) <= set(prices.close.round(3))


def test_a_record_survives_json() -> None:
    record = run(Experiment(**SMALL), walk(), device="cpu")
    line = record.to_json()
    assert "\n" not in line
    assert Record.from_json(line) == record
    slim = record.with_forecasts("none")
    assert Record.from_json(slim.to_json()) == slim
    assert slim.forecasts is None
    with pytest.raises(ValueError, match="not a record"):
        Record.from_json(json.dumps({"loss": 1}))


def test_provenance_says_where_a_record_comes_from() -> None:
    record = run(Experiment(**SMALL), walk(), device="cpu")
    provenance = record.provenance
    assert provenance.checksum == walk().checksum
    assert provenance.device == "cpu"
    assert provenance.versions["torch"] == torch.__version__
    assert provenance.seconds > 0
    assert record.settings["seed"] == 0


def test_a_diverging_loss_stops_at_its_step() -> None:
    experiment = Experiment(optimizer="sgd", learning_rate=1e30, **SMALL)
    with pytest.raises(
        DivergenceError,
        match=r"is (nan|inf) at step 2 \(epoch 1\): try a learning_rate below 1e\+30",
    ):
        run(experiment, walk(), device="cpu")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"cell": "elman"}, "unknown cell 'elman': choose one of rnn, lstm, gru"),
        (
            {"optimizer": "lion"},
            "unknown optimizer 'lion': choose one of adam, sgd, rmsprop",
        ),
        (
            {"protocol": "k-fold"},
            "unknown protocol 'k-fold': choose one of honest, source",
        ),
        (
            {"fold": 6},
            "fold must lie between 1 and folds, at least 2: got fold 6 of 5",
        ),
        ({"configuration": "two"}, "unknown configuration 'two'"),
        ({"learning_rate": 0.0}, "learning_rate must be positive, got 0.0"),
        ({"decay": "slow"}, "unknown decay 'slow': choose one of none, cosine"),
        ({"patience": 0}, "patience must be positive or None, got 0"),
        (
            {"test": 0.2, "protocol": "source"},
            "test is for the honest protocol: it splits by date",
        ),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, got nan"),
        ({"epochs": 0}, "epochs must be positive, got 0"),
        ({"clip": -1.0}, "clip must be positive or None, got -1.0"),
    ],
)
def test_meaningless_settings_are_refused(setting: dict, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ValueError, match=message):
        Experiment(**setting)


def test_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Experiment().seed = 1  # type: ignore[misc]


def test_running_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    run(Experiment(**SMALL), walk(), device="cpu")
    assert torch.equal(before, torch.get_rng_state())


def test_no_bar_is_left_where_nobody_watches(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(Experiment(**SMALL), walk(), device="cpu")
    assert capsys.readouterr() == ("", "")


def test_an_rnn_beats_the_mean_on_microsoft() -> None:
    record = run(Experiment(length=3, hidden_size=32, epochs=5), device="cpu")
    assert record.forecasts is not None
    truth = record.forecasts.table(dollars=False)["truth"]
    assert record.mse < truth.var() / 4


def test_a_csv_file_goes_all_the_way(tmp_path: Path) -> None:
    file = tmp_path / "msft.csv"
    prices = load_prices()
    table = pd.DataFrame({"Date": prices.dates, "Close": prices.close})
    table.to_csv(file, index=False)
    one = run(Experiment(**SMALL), load_prices(file), device="cpu")
    other = run(Experiment(**SMALL), device="cpu")
    assert one.provenance.checksum == other.provenance.checksum
    assert one.validation_loss == other.validation_loss
