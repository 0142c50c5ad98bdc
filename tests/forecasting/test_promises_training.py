"""What the room of forecasting promises of windows, models and a step of training."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnn_companion import (
    Forecaster,
    Layout,
    count_parameters,
)
from rnn_companion.forecasting import engine
from rnn_companion.forecasting.by_hand import HandWrittenGradients
from rnn_companion.forecasting.configurations import Configuration
from rnn_companion.forecasting.engine import (
    CapturedStep,
    StepOptions,
    side_by_side_step,
    training_step,
)
from rnn_companion.forecasting.windows import (
    MinMaxScaler,
    cut_windows,
    leaky_random_split,
    split_by_date,
)

from ._promises_forecasting import made


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
