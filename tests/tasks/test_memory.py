"""`memory`: palindromes, starts that are what they say, honest records."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rnn_companion.cli import main
from rnn_companion.forecasting.experiment import DivergenceError
from rnn_companion.forecasting.forecaster import set_forget_bias
from rnn_companion.forecasting.records import (
    MissingRecordError,
    RecordFile,
    RecordFileError,
)
from rnn_companion.tasks import memory
from rnn_companion.tasks.memory import (
    DIGITS,
    Trial,
    TrialRecord,
    encode,
    latch,
    palindromes,
    run_trial,
)
from rnn_companion.tasks.sweep import (
    RATES,
    RECIPES,
    factorial,
    more_seeds,
    recipe_of,
    recorded,
    run_trials,
    trials,
)

SMALL = Trial(
    length=3, encoding="one-hot", hidden_size=16, learning_rate=0.01, batch_size=64
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=60)
@given(
    length=st.integers(2, 60),
    count=st.integers(1, 20),
    validation=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_palindromes_read_the_same_both_ways(
    length: int, count: int, validation: bool, seed: int
) -> None:
    digits, last = palindromes(
        length, count, generator=seeded(seed), validation=validation
    )
    assert digits.shape == (length, count)
    for column, end in zip(digits.T.tolist(), last.tolist(), strict=True):
        whole = [*column, end]
        assert whole == whole[::-1]
        assert all(digit in range(10) for digit in whole)


@pytest.mark.parametrize("length", [2, 3, 4, 5])
def test_training_and_validation_share_no_palindrome(length: int) -> None:
    """Both kinds, drawn until nothing is missing, are all palindromes there are."""

    def drawn(validation: bool) -> set[tuple[int, ...]]:
        digits, last = palindromes(
            length, 60_000, generator=seeded(), validation=validation
        )
        return set(map(tuple, torch.cat([digits, last[None]]).T.tolist()))

    training, validation = drawn(False), drawn(True)
    half = math.ceil((length + 1) / 2)
    odd = (length + 1) % 2
    every = {(*left, *left[::-1][odd:]) for left in product(range(10), repeat=half)}
    assert not training & validation
    assert training | validation == every
    assert len(validation) == len(every) / 10


@pytest.mark.parametrize("validation", [False, True])
def test_every_first_digit_is_equally_likely(validation: bool) -> None:
    """A chi-squared test with nine degrees of freedom; 27.9 is its 0.1 % limit."""
    _, targets = palindromes(12, 50_000, generator=seeded(), validation=validation)
    counts = torch.bincount(targets, minlength=10).double()
    assert ((counts - 5000) ** 2 / 5000).sum() < 27.9


def test_palindromes_come_from_the_generator() -> None:
    first, again = (palindromes(9, 5, generator=seeded(3))[0] for _ in range(2))
    other, _ = palindromes(9, 5, generator=seeded(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_encodings_keep_the_digits() -> None:
    digits, _ = palindromes(6, 7, generator=seeded())
    scalar, one_hot = encode(digits, "scalar"), encode(digits, "one-hot")
    assert torch.equal(scalar[..., 0], digits.float())
    assert torch.equal(one_hot @ torch.arange(10.0), digits.float())
    assert torch.equal(one_hot.sum(-1), torch.ones(6, 7))


@pytest.mark.parametrize(("encoding", "units"), [("one-hot", 4), ("scalar", 9)])
@pytest.mark.parametrize("length", [2, 20, 1000])
def test_the_latch_solves_every_length(encoding: str, units: int, length: int) -> None:
    """The promise of `eq-latch-keep`: no digit is ever lost, and none is near it."""
    model = latch(length, encoding)
    digits, targets = palindromes(length, 500, generator=seeded())
    with torch.no_grad():
        scores = model(encode(digits, encoding))[0]
    best = scores.topk(2).values
    assert model.cell.hidden_size == units
    assert torch.equal(scores.argmax(1), targets)
    assert (best[:, 0] - best[:, 1]).min() > 1


def test_the_latch_survives_the_worst_inputs() -> None:
    """Every first digit, followed by any one digit a hundred times."""
    for encoding, first, later in product(("one-hot", "scalar"), range(10), range(10)):
        digits = torch.tensor([[first], *[[later]] * 100])
        model = latch(len(digits), encoding)
        assert model(encode(digits, encoding))[0].argmax() == first


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_orthogonal_start_keeps_lengths(cell: str) -> None:
    """`eq-orthogonal`: the product with W_hh changes no norm, in every gate."""
    model = Trial(cell=cell, start="orthogonal").model()
    v = torch.randn(128, 5, generator=seeded())
    for W_hh in dict(model.cell.named_parameters())["weight_hh_l0"].split(128):
        torch.testing.assert_close((W_hh @ v).norm(dim=0), v.norm(dim=0))
    uniform = Trial(cell=cell).model()
    assert torch.equal(uniform.head.weight, model.head.weight)


def test_forget_bias_opens_the_forget_gate() -> None:
    """`eq-forget-start`: with zero inputs, the cell keeps sigma(1) of itself."""
    model = Trial(cell="lstm", forget_bias=1.0).model()
    assert isinstance(model.cell, nn.LSTM)
    model.cell.weight_ih_l0 = nn.Parameter(torch.zeros(512, 1))
    model.cell.weight_hh_l0 = nn.Parameter(torch.zeros(512, 128))
    start = torch.zeros(1, 1, 128)
    _, (_, c_0) = model.cell(torch.zeros(1, 1, 1), (start, start))
    _, (_, c_1) = model.cell(torch.zeros(1, 1, 1), (start, start + 1))
    expected = torch.full((1, 1, 128), 1 / (1 + math.exp(-1)))
    torch.testing.assert_close(c_1 - c_0, expected)


def test_forget_bias_is_for_the_lstm() -> None:
    with pytest.raises(ValueError, match="forget_bias needs an LSTM"):
        set_forget_bias(Trial(cell="gru").model(), 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "elman"}, "unknown cell 'elman': choose one of rnn, lstm, gru"),
        ({"encoding": "binary"}, "unknown encoding 'binary': .*scalar, one-hot"),
        ({"start": "zero"}, "unknown start 'zero': .*uniform, orthogonal"),
        ({"length": 1}, "length must be at least 2, got 1"),
        ({"steps": 0}, "steps must be positive, got 0"),
        ({"clip": -1.0}, "clip must be positive, got -1"),
        ({"learning_rate": math.nan}, "learning_rate must be positive, got nan"),
        ({"forget_bias": 1.0}, "forget_bias is for the cell 'lstm', not 'rnn'"),
    ],
)
def test_a_trial_refuses_what_means_nothing(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(Trial(), **changes)  # type: ignore[arg-type]


def test_too_short_a_palindrome_is_refused() -> None:
    with pytest.raises(ValueError, match="length must be at least 2, got 1"):
        palindromes(1, 5, generator=seeded())


def test_an_unknown_encoding_is_refused() -> None:
    for call in (lambda: encode(torch.zeros(2, 2).long(), "x"), lambda: latch(5, "x")):
        with pytest.raises(ValueError, match="unknown encoding 'x'"):
            call()


def test_one_step_is_the_assignments() -> None:
    """Loss, accuracy and gradient norm of the first batch, and the step, by hand."""
    trial = replace(SMALL, steps=1, clip=1e-3)
    record = run_trial(trial, device="cpu", progress=False)
    digits, targets = palindromes(3, 64, generator=seeded(2))  # the training stream
    model = trial.model()
    outputs = model(nn.functional.one_hot(digits, 10).float())[0]
    loss = -outputs.log_softmax(1)[torch.arange(64), targets].mean()
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    hits = (outputs.argmax(1) == targets).double().mean()
    assert record.checks.training_loss[0] == pytest.approx(loss.item(), rel=1e-3)
    assert record.checks.training_accuracy[0] == pytest.approx(hits.item(), rel=1e-3)
    assert record.checks.gradient_norm[0] == pytest.approx(norm.item(), rel=1e-3)
    assert norm > trial.clip  # so it was measured before clipping
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        clipped = gradient * (trial.clip / (norm + 1e-6))
        root = (0.01 * clipped**2).sqrt()  # RMSprop, alpha = 0.99
        parameter.data -= trial.learning_rate * clipped / (root + 1e-8)
    digits, targets = palindromes(3, 1000, generator=seeded(3), validation=True)
    outputs = model(nn.functional.one_hot(digits, 10).float())[0]
    loss = nn.functional.cross_entropy(outputs, targets)
    assert record.checks.validation_loss[0] == pytest.approx(loss.item(), rel=1e-3)


def test_a_trial_stops_when_it_has_solved_the_task() -> None:
    record = run_trial(SMALL, device="cpu", progress=False)
    assert record.solved
    assert record.steps == record.checks.step[-1] < SMALL.steps
    assert all(a < 0.999 for a in record.checks.validation_accuracy[:-1])


def test_a_trial_runs_all_its_steps_otherwise() -> None:
    record = run_trial(
        replace(SMALL, length=30, steps=75), device="cpu", progress=False
    )
    assert record.checks.step == (50, 75)
    assert not record.solved


def test_equal_settings_give_equal_records() -> None:
    trial = replace(SMALL, steps=60)
    first, again = (run_trial(trial, device="cpu", progress=False) for _ in range(2))
    other = run_trial(replace(trial, seed=1), device="cpu", progress=False)
    assert first.checks == again.checks
    assert first.checks != other.checks


def test_nothing_random_is_global() -> None:
    state = torch.get_rng_state()
    run_trial(replace(SMALL, steps=2, start="orthogonal"), device="cpu", progress=False)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_loss_that_is_not_finite_says_what_to_do() -> None:
    with pytest.raises(DivergenceError, match="by step 50: try a learning_rate below"):
        run_trial(replace(SMALL, learning_rate=1e38), device="cpu", progress=False)


def test_a_record_survives_its_json() -> None:
    record = run_trial(replace(SMALL, steps=2), device="cpu", progress=False)
    line = record.to_json()
    assert "\n" not in line
    assert TrialRecord.from_json(line) == record
    assert TrialRecord.from_json(line).trial == replace(SMALL, steps=2)


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"settings": {}, "checks": {}}'])
def test_a_line_that_is_no_record_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a record of the kind 'memory'"):
        TrialRecord.from_json(line)


def test_a_trial_sees_the_same_palindromes_on_every_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another device starts from other random numbers, so none may draw there."""
    drawn: list[torch.device] = []

    def draw(*args: Any, generator: torch.Generator, **more: Any) -> tuple[Tensor, ...]:  # noqa: ANN401
        drawn.append(generator.device)
        return palindromes(*args, generator=generator, **more)

    monkeypatch.setattr(memory, "palindromes", draw)
    monkeypatch.setattr(memory, "choose_device", lambda _: torch.device("meta"))
    with pytest.raises((NotImplementedError, RuntimeError)):
        run_trial(replace(SMALL, steps=2), progress=False)  # meta has no numbers
    assert drawn
    assert set(drawn) == {torch.device("cpu")}


def test_the_sweep_tells_each_recipe_at_three_seeds() -> None:
    every = trials()
    assert len(set(every)) == len(every)
    seen = {(t.cell, recipe_of(t)) for t in every}
    assert seen == {(cell, name) for cell, names in RECIPES.items() for name in names}
    for cell, recipe in seen:
        lengths = {t.length for t in every if (t.cell, recipe_of(t)) == (cell, recipe)}
        for length in lengths:
            chosen = [
                t
                for t in every
                if (t.cell, recipe_of(t), t.length) == (cell, recipe, length)
            ]
            assert [t.seed for t in chosen] == [0, 1, 2]


def test_more_seeds_are_of_the_same_trials() -> None:
    """Each is one of the chapter's, with a seed that the three do not have."""
    three, more = set(trials()), more_seeds()
    assert len(set(more)) == len(more)
    assert all(replace(trial, seed=0) in three for trial in more)
    assert not three & set(more)
    path = RECORDED.with_name("memory-seeds.jsonl")
    kept = [record.trial for record in RecordFile(path, TrialRecord).read()]
    assert sorted(kept, key=more.index) == more


def test_other_settings_are_no_recipe() -> None:
    assert recipe_of(Trial(clip=1.0)) == "other"
    assert recipe_of(Trial(cell="gru")) == "other"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_palindromes_are_made_on_the_device() -> None:
    generator = torch.Generator("cuda").manual_seed(0)
    digits, targets = palindromes(20, 8, generator=generator)
    assert digits.is_cuda
    assert torch.equal(digits[0], targets)
    assert DIGITS == 10


# Many trials --------------------------------------------------------------------

QUICK = [replace(SMALL, steps=2, seed=seed) for seed in range(3)]


def test_trials_are_kept_and_not_run_again(tmp_path: Path) -> None:
    out = tmp_path / "trials.jsonl"
    first = run_trials(QUICK[:2], out=out, device="cpu", workers=1, progress=False)
    lines = out.read_text().splitlines()
    every = run_trials(QUICK, out=out, device="cpu", workers=1, progress=False)
    assert every[:2] == first
    assert out.read_text().splitlines()[:2] == lines
    assert [record.trial for record in every] == QUICK
    found = {record.trial: record for record in recorded(out, QUICK)}
    assert found == dict(zip(QUICK, every, strict=True))
    assert RecordFile(out, TrialRecord).read() == every


@pytest.mark.slow
def test_trials_side_by_side_say_the_same() -> None:
    alone = run_trials(QUICK[:2], device="cpu", workers=1, progress=False)
    beside = run_trials(QUICK[:2], device="cpu", workers=2, progress=False)
    assert [r.checks for r in alone] == [r.checks for r in beside]


def test_another_version_of_the_results_runs_again(tmp_path: Path) -> None:
    """An older record is kept, but not taken for one of this version."""
    out = tmp_path / "trials.jsonl"
    (record,) = run_trials(QUICK[:1], device="cpu", workers=1, progress=False)
    old = replace(record, provenance=replace(record.provenance, results=0))
    RecordFile(out, TrialRecord).append(old)
    with pytest.raises(MissingRecordError, match="rnn-companion palindromes --out"):
        recorded(out, QUICK[:1])
    run_trials(QUICK[:1], out=out, device="cpu", workers=1, progress=False)
    assert recorded(out, QUICK[:1])[0].provenance.results != 0
    versions = [r.provenance.results for r in RecordFile(out, TrialRecord).read()]
    assert versions == [0, record.provenance.results]


def test_a_record_of_something_else_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "trials.jsonl"
    out.write_text('{"settings": {}}\n')
    with pytest.raises(RecordFileError, match="line 1: not a record of the kind"):
        run_trials(QUICK, out=out, device="cpu", workers=1, progress=False)


def test_the_command_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`rnn-companion palindromes`, with the chapter's trials made short."""
    short = [replace(t, steps=2, hidden_size=4) for t in trials((0, 1))]
    monkeypatch.setattr("rnn_companion.tasks.sweep.trials", lambda seeds: short)
    monkeypatch.setattr(
        "rnn_companion.tasks.sweep.recipe_of", lambda trial: "as assigned"
    )
    out = tmp_path / "trials.jsonl"
    command = ["palindromes", "--out", str(out), "--workers", "1", "--device", "cpu"]
    command += ["--cells", "rnn", "--lengths", "5", "--recipes", "as assigned"]
    assert main(command) == 0
    first = out.read_text()
    assert main(command) == 0
    assert out.read_text() == first
    assert f"2 records in {out}" in capsys.readouterr().out


def test_the_command_refuses_what_the_chapter_has_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "trials.jsonl")
    assert main(["palindromes", "--out", out, "--lengths", "7"]) == 2
    assert "no trial of chapter 7 has these" in capsys.readouterr().err


# What the chapter rests on ------------------------------------------------------

RECORDED = Path(__file__).parents[2] / "book" / "records" / "memory.jsonl"


def test_every_recorded_trial_is_there_with_every_seed() -> None:
    """All trials of the chapter and no others: statements rest on three seeds."""
    kept = [record.trial for record in RecordFile(RECORDED, TrialRecord).read()]
    assert len(set(kept)) == len(kept)
    assert kept == [record.trial for record in recorded(RECORDED, trials())]


def test_the_small_trials_combine_every_start_rate_and_cell() -> None:
    plan = factorial()
    changed = {(t.cell, t.start, t.forget_bias, t.learning_rate, t.seed) for t in plan}
    assert len(changed) == len(plan) == 2 * 2 * len(RATES) * 10
    alike = {(t.length, t.encoding, t.hidden_size, t.batch_size, t.steps) for t in plan}
    assert alike == {(15, "one-hot", 32, 32, 800)}
    starts = {(t.cell, t.start, t.forget_bias) for t in plan}
    assert starts == {
        ("rnn", "uniform", None),
        ("rnn", "orthogonal", None),
        ("lstm", "uniform", None),
        ("lstm", "uniform", 1.0),
    }
    file = RECORDED.with_name("memory-factorial.jsonl")
    assert {r.trial for r in RecordFile(file, TrialRecord).read()} == set(plan)
    with pytest.raises(MissingRecordError, match="palindromes --factorial --out"):
        recorded("none.jsonl", plan)


def test_a_recorded_trial_can_be_run_again() -> None:
    (then,) = recorded(RECORDED, [Trial(length=5)])
    again = run_trial(Trial(length=5, steps=100), device="cpu", progress=False)
    for name in ("training_loss", "validation_loss"):
        ours, theirs = (getattr(r.checks, name)[:2] for r in (again, then))
        assert ours == pytest.approx(theirs, abs=0.02)
