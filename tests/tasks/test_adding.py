"""The adding problem: its sequences, and training side by side."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from rnn_companion.tasks import adding
from rnn_companion.tasks.adding import Adding

RECORDS = Path(__file__).parents[2] / "book" / "records"
SMALL = Adding(length=8, hidden_size=3, batch_size=6, steps=5)
TOGETHER = [
    SMALL,
    replace(SMALL, forget_bias=2.0, seed=1),
    replace(SMALL, start="orthogonal", learning_rate=0.03, clip=1.0),
]


def test_the_target_is_the_sum_of_two_marked_numbers() -> None:
    source = torch.Generator().manual_seed(0)
    X, Y = adding.numbers_to_add(9, 400, generator=source)
    assert X.shape == (9, 400, 2)
    for sequence, target in zip(X.unbind(1), Y, strict=True):
        at = [t for t in range(9) if sequence[t, 1] == 1]
        assert len(at) == 2
        assert at[0] < 4 <= at[1]
        assert float(sequence[at[0], 0] + sequence[at[1], 0]) == pytest.approx(
            float(target), abs=1e-6
        )
    assert set(X[..., 1].unique().tolist()) == {0.0, 1.0}
    assert float(X[..., 0].abs().max()) <= 1
    assert float(Y.square().mean()) == pytest.approx(adding.VARIANCE, rel=0.15)


def by_torch(settings: Adding) -> nn.Module:
    """Train with torch's modules, optimizer and clipping, one network alone."""
    model = settings.model()
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    source = settings.generator("training")
    for _ in range(settings.steps):
        X, Y = adding.numbers_to_add(
            settings.length, settings.batch_size, generator=source
        )
        optimizer.zero_grad()
        nn.functional.mse_loss(model(X)[0, :, 0], Y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
    return model


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_networks_side_by_side_are_trained_as_torch_trains_each(cell: str) -> None:
    together = [replace(s, cell=cell, forget_bias=None) for s in TOGETHER]
    if cell == "lstm":
        together = TOGETHER
    records, models = adding.learn(together, device="cpu")
    for settings, record, model in zip(together, records, models, strict=True):
        right = by_torch(settings)
        for name, parameter in right.named_parameters():
            found = model.get_parameter(name)
            torch.testing.assert_close(found, parameter, rtol=1e-3, atol=1e-5)
        (alone,), _ = adding.learn([settings], device="cpu")
        assert alone.error == pytest.approx(record.error, rel=2e-3)
        X, Y = adding.numbers_to_add(
            8, adding.VALIDATION_SIZE, generator=settings.generator("validation")
        )
        with torch.no_grad():
            error = nn.functional.mse_loss(right(X)[0, :, 0], Y).item() / (2 / 3)
        assert record.error[-1] == pytest.approx(error, rel=2e-3)
        assert record.adding == settings


def test_networks_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="share cell, sizes and steps"):
        adding.learn([SMALL, replace(SMALL, hidden_size=4)], device="cpu")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"cell": "gru"}, "unknown cell 'gru'"),
        ({"length": 1}, "length must be at least 2"),
        ({"steps": 0}, "steps must be positive"),
        ({"cell": "rnn", "forget_bias": 1.0}, "is for the cell 'lstm'"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Adding(**settings)  # type: ignore[arg-type]


def test_runs_go_to_a_file_and_are_found_there(tmp_path: Path) -> None:
    file = tmp_path / "adding.jsonl"
    made = adding.run_sums(TOGETHER, out=file, workers=1, device="cpu", progress=False)
    assert list(adding.recorded(file, TOGETHER).values()) == made
    with pytest.raises(LookupError, match=r"python -m benchmarks\.records"):
        adding.recorded(file, [replace(SMALL, seed=9)])


def test_every_training_of_the_chapter_is_recorded_once() -> None:
    wanted = adding.sums()
    assert len(wanted) == len(set(wanted)) == 80
    found = adding.recorded(RECORDS / "adding.jsonl", wanted)
    assert list(found) == wanted
    assert all(record.step[-1] == 600 for record in found.values())
    sizes = {
        kind: sum(p.numel() for p in Adding(**settings).model().cell.parameters())
        for kind, settings in adding.KINDS.items()
    }
    assert set(sizes.values()) == {357, 384}
