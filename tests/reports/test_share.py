"""The command forecast: what it finds in a share whose answer is known."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rnn_companion import Experiment, Prices
from rnn_companion.cli import main
from rnn_companion.forecasting import comparison, grid, scores
from rnn_companion.forecasting.experiment import fit
from rnn_companion.forecasting.targets import target
from rnn_companion.reports import share
from rnn_companion.reports.share import Outlook, OwnShare, own_share
from rnn_companion.reports.share_page import (
    as_json,
    as_text,
    in_units,
    sentences,
    share_page,
    table,
)

pytestmark = pytest.mark.slow  # seconds each; `make check` leaves them out

DAYS, STEPS = 1000, 60
SMALL = Experiment(
    learning_rate=0.01,
    length=5,
    hidden_size=4,
    epochs=4,
    batch_size=16,
    training=0.64,
    test=0.2,
)
small = partial(own_share, settings=SMALL, seeds=2, workers=1, progress=False)


def made_share(seed: int = 1) -> Prices:
    """Make a random walk whose log-volatility is an autoregression of order 1."""
    draw = np.random.default_rng(seed)
    level = np.zeros(DAYS)
    for t in range(1, DAYS):
        level[t] = 0.97 * level[t - 1] + 0.15 * draw.normal()
    moves = draw.normal(size=(DAYS, STEPS)) * 0.01 * np.exp(level)[:, None]
    path = np.log(50) + (moves / np.sqrt(STEPS)).cumsum().reshape(DAYS, STEPS)
    before = np.append(np.log(50), path[:-1, -1])
    return Prices(
        pd.bdate_range("2015-01-01", periods=DAYS),
        np.exp(path[:, -1]),
        "made",
        high=np.exp(np.maximum(path.max(1), before)),
        low=np.exp(np.minimum(path.min(1), before)),
    )


@pytest.fixture(scope="module")
def prices() -> Prices:
    return made_share()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("share") / "runs.jsonl"


@pytest.fixture(scope="module", autouse=True)
def _few_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (scores, comparison):
            patch.setattr(module, "REPETITIONS", 200)
        yield


@pytest.fixture(scope="module")
def found(prices: Prices, runs: Path, _few_draws: None) -> OwnShare:
    return small(prices, out=runs)


def by_kind(found: OwnShare) -> dict[str, Outlook]:
    return {one.kind: one for one in found.outlooks}


def test_the_range_can_be_forecast_and_price_and_return_cannot(found: OwnShare) -> None:
    outlooks = by_kind(found)
    assert list(outlooks) == ["price", "return", "range"]
    assert max(outlooks["range"].p.values()) < 0.05
    assert outlooks["price"].p["persistence"] > 0.05
    assert outlooks["return"].p["mean"] > 0.05
    said = {kind: sentences(one)[0] for kind, one in outlooks.items()}
    assert said["range"].startswith("At least one of the 11 other forecasts")
    assert "price is shown to be better than “tomorrow = today” (p" in said["price"]
    assert "than the mean (p" in said["return"]
    for one in ("price", "return"):
        assert said[one].startswith("None of the 11")
        assert said[one].endswith("this does not show that none is.")


@pytest.mark.parametrize("kind", ["price", "return", "range"])
def test_errors_are_those_of_the_days_after_the_training_days(
    prices: Prices, found: OwnShare, kind: str
) -> None:
    """Of two rules that need nobody to compute them."""
    x, outlook = target(prices, kind).close, by_kind(found)[kind]
    known, first = int(0.64 * (len(x) + 1)), int(0.8 * (len(x) + 1))
    for part, column in (
        (slice(known, first), "validation"),
        (slice(first, None), "ratio"),
    ):
        naive = np.square(x[1:] - x[:-1])[part.start - 1 : part.stop and part.stop - 1]
        mean = np.square(x[part] - x[:known].mean())
        expected = mean.mean() / naive.mean()
        assert outlook.models.loc["mean", column] == pytest.approx(expected)
    assert len(outlook.chosen_by) == first - known
    assert len(outlook.tested_on) == len(x) - first
    assert outlook.tested_on[-1] == prices.dates[-1]


def test_the_validation_days_choose_and_the_test_days_do_not(found: OwnShare) -> None:
    for outlook in found.outlooks:
        assert outlook.chosen == outlook.models["validation"].idxmin()
    assert any(one.chosen != one.models["ratio"].idxmin() for one in found.outlooks)


def test_tomorrows_interval_has_nine_of_ten_errors_of_the_test_days(
    prices: Prices, found: OwnShare
) -> None:
    outlook = by_kind(found)["price"]
    assert outlook.chosen == "persistence"  # so the errors are the daily moves
    (middle, low, high), tested = outlook.tomorrow, len(outlook.tested_on)
    assert middle == prices.close[-1]
    moves = np.diff(prices.close)[-tested:]
    inside = (low - middle <= moves) & (moves <= high - middle)
    assert inside.mean() == pytest.approx(0.9, abs=1 / tested)
    assert (moves < low - middle).mean() == pytest.approx(0.05, abs=1 / tested)
    assert "days from 2017-06-15: persistence. For" in sentences(outlook)[-1]


def test_units_are_those_of_a_reader(prices: Prices, found: OwnShare) -> None:
    """From a log-return and a log-volatility back to percent."""
    outlooks = by_kind(found)
    assert in_units(outlooks["price"]) == outlooks["price"].tomorrow
    last, percent = prices.close[-1], in_units(outlooks["return"])[0]
    tomorrow = last * np.exp(outlooks["return"].tomorrow[0])
    assert last * (1 + percent / 100) == pytest.approx(tomorrow)
    assert np.log(np.array(in_units(outlooks["range"])) / 100) == pytest.approx(
        outlooks["range"].tomorrow
    )


def test_what_stands_for_tomorrows_truth_is_read_by_nothing(prices: Prices) -> None:
    """The network's last forecast is what it makes of the last days that are known."""
    longer = share._with_tomorrow(prices)
    other = replace(longer, close=np.append(prices.close, 1e3))
    model, record = fit(SMALL, longer, device="cpu", progress=False)
    _, changed = fit(SMALL, other, device="cpu", progress=False)
    days, same = share._after_training(record), share._after_training(changed)
    assert days["forecast"].to_list() == same["forecast"].to_list()
    scaler = SMALL.split(prices).scaler
    known = scaler.scale(torch.from_numpy(prices.close[-SMALL.length :])).float()
    with torch.no_grad():
        forecast = scaler.unscale(model(known[:, None, None])[-1, 0, 0]).item()
    assert days["forecast"].iloc[-1] == pytest.approx(forecast, rel=1e-5)


def test_the_mean_over_seeds_is_a_forecast_of_its_own(found: OwnShare) -> None:
    """Its squared error is at most the mean of theirs, since the square is convex."""
    for outlook in found.outlooks:
        ratio = outlook.models["ratio"]
        for cell in ("RNN", "LSTM"):
            seeds = [ratio[f"{cell}, seed {seed}"] for seed in (0, 1)]
            assert ratio[f"mean of 2 {cell}s"] <= np.mean(seeds)


def test_without_high_and_low_the_range_is_left_out(prices: Prices) -> None:
    found = small(replace(prices, high=None, low=None))
    assert [one.kind for one in found.outlooks] == ["price", "return"]
    assert "No range: made: the range needs a column high and a" in as_text(found)


def test_a_day_without_a_range_is_named(prices: Prices) -> None:
    assert prices.high is not None
    assert prices.low is not None
    low = prices.low.copy()
    low[3] = prices.high[3]
    assert "2015-01-06" in share._targets(replace(prices, low=low))[1]["range"]


def test_a_second_call_runs_nothing(
    prices: Prices, runs: Path, found: OwnShare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a run that is in the file already was run again")

    monkeypatch.setattr(grid, "fit_side_by_side", never)
    assert as_json(small(prices, out=runs)) == as_json(found)


def test_the_page_has_the_same_and_asks_for_nothing(found: OwnShare) -> None:
    named = replace(found, prices=replace(found.prices, name="<b>made</b>"))
    page, said = share_page(named), as_text(named)
    for outlook in found.outlooks:
        for cell in table(outlook).to_numpy().flatten():
            assert f"<td>{cell}</td>" in page
            assert cell in said
        assert all(sentence in said for sentence in sentences(outlook))
    assert "<b>" not in page
    assert page.count('src="data:image/png;base64,') == page.count("src=") == 3
    assert not re.search(r"href=|url\(|<script|@import", page)
    assert "default-src 'none'" in page


def written(prices: Prices, path: Path) -> Path:
    columns = {"Date": prices.dates, "Close": prices.close}
    if prices.high is not None:
        columns |= {"High": prices.high, "Low": prices.low}
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_the_command_prints_json_writes_a_page_and_keeps_its_runs(
    tmp_path: Path,
    prices: Prices,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(share, "own_share", partial(small, seeds=1))
    file, page = written(prices, tmp_path / "mine.csv"), tmp_path / "page.html"
    asked = ["forecast", str(file), "--workers", "1", "--json", "--html", str(page)]
    assert main(asked) == 0
    said = capsys.readouterr()
    assert f"runs are kept in {tmp_path / 'mine.runs.jsonl'}" in said.err
    assert len((tmp_path / "mine.runs.jsonl").read_text().splitlines()) == 6
    told = json.loads(said.out)
    assert told["last_day"] == f"{prices.dates[-1]:%Y-%m-%d}"
    assert [one["kind"] for one in told["targets"]] == ["price", "return", "range"]
    assert {len(one["models"]) for one in told["targets"]} == {10}
    for one in told["targets"]:
        middle = one["tomorrow"]["forecast"]
        assert one["tomorrow"]["low"] < middle < one["tomorrow"]["high"]
    assert "What can be forecast of mine?" in page.read_text(encoding="utf-8")


def constant(prices: Prices) -> Prices:
    return Prices(prices.dates, np.full(len(prices), 7.0), "flat")


def short(prices: Prices) -> Prices:
    return Prices(prices.dates[:120], prices.close[:120], "short")


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (short, [], "120 days are too few.*20 % .*at least 30: give 156 days or more"),
        (constant, [], "the first 640 days are all 7.0"),
        (lambda prices: prices, ["--column", "Last"], "no price column among Date"),
    ],
)
def test_bad_input_gets_one_clear_error_before_anything_runs(
    tmp_path: Path,
    prices: Prices,
    change: object,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert callable(change)
    file = written(change(prices), tmp_path / "mine.csv")
    assert main(["forecast", str(file), *options]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "mine.runs.jsonl").exists()


def test_the_least_number_of_days_is_enough(prices: Prices) -> None:
    found = small(Prices(prices.dates[:156], prices.close[:156], "least"))
    assert min(len(one.tested_on) for one in found.outlooks) >= 30


@pytest.mark.slow
def test_networks_as_they_are_by_default_forecast_the_range(prices: Prices) -> None:
    outlook = by_kind(own_share(prices, workers=1, progress=False))["range"]
    ratio = outlook.models["ratio"]
    assert max(ratio["mean of 3 RNNs"], ratio["mean of 3 LSTMs"]) < 0.9
