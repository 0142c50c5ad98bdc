"""The adding problem: remember two marked numbers, and say their sum.

Source: chapter *LSTM*, section *A task that needs the gates*; Hochreiter and
Schmidhuber (1997), experiment 4.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from rnn_companion.devices import choose_device
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import exact_matmul
from rnn_companion.forecasting.experiment import require_finite
from rnn_companion.forecasting.forecaster import (
    GATES,
    STARTS,
    Forecaster,
    set_forget_bias,
    set_orthogonal,
)
from rnn_companion.forecasting.grid import complete
from rnn_companion.forecasting.records import (
    Provenance,
    RecordFile,
    RunRecord,
    rounded,
)
from rnn_companion.forecasting.settings import require_choice, require_positive, seeded

__all__ = [
    "KINDS",
    "LENGTHS",
    "RATES",
    "VARIANCE",
    "Adding",
    "AddingRecord",
    "learn",
    "numbers_to_add",
    "recorded",
    "run_sums",
    "sums",
]

PURPOSES = ("start", "orthogonal", "training", "validation")  # of random numbers
VARIANCE = 2 / 3  # of the sum of two numbers, uniform between -1 and 1
CHECK_EVERY = 100  # steps
VALIDATION_SIZE = 500
SOLVED = 0.1  # of the variance is left

# Networks with about as many parameters: 384 of the LSTM, 357 of the RNN.
KINDS: dict[str, dict[str, Any]] = {
    "RNN": {"cell": "rnn", "hidden_size": 17},
    "RNN, orthogonal start": {
        "cell": "rnn",
        "hidden_size": 17,
        "start": "orthogonal",
    },
    "LSTM": {"cell": "lstm", "hidden_size": 8},
    "LSTM, forget bias 3": {"cell": "lstm", "hidden_size": 8, "forget_bias": 3.0},
}
LENGTHS = (10, 50)
RATES = (0.003, 0.01)


def numbers_to_add(
    length: int, count: int, *, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw sequences of numbers of which two are marked, and their sums.

    The first input of a step is a number, uniform between -1 and 1; the second is 1
    at one step of the first half and at one of the second, and else 0. The target is
    the sum of the two numbers so marked.

    Parameters
    ----------
    length : int
        Steps T, at least 2.
    count : int
        Sequences B.
    generator : torch.Generator
        Decides the draw.

    Returns
    -------
    inputs : Tensor
        Shape (T, B, 2).
    targets : Tensor
        Shape (B,).

    Raises
    ------
    ValueError
        If the length is below 2.
    """
    if length < 2:
        raise ValueError(f"length must be at least 2, got {length}")
    half = length // 2
    first = torch.randint(half, (1, count), generator=generator)
    second = torch.randint(half, length, (1, count), generator=generator)
    numbers = 2 * torch.rand(length, count, generator=generator) - 1
    marks = torch.zeros_like(numbers)
    marks.scatter_(0, torch.cat([first, second]), 1.0)
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(0)


@dataclass(frozen=True, kw_only=True)
class Adding:
    """One network on the adding problem: everything that decides the result.

    Parameters
    ----------
    cell : str
        ``"rnn"`` or ``"lstm"``.
    length : int
        Steps T.
    hidden_size : int
        Units, h.
    start : str
        ``"uniform"`` is torch's, ``"orthogonal"`` is `set_orthogonal`.
    forget_bias : float, optional
        Of an LSTM at the start; torch's small random one by default.
    learning_rate : float
        Of Adam.
    batch_size : int
        Sequences a step, drawn anew each time.
    clip : float
        Largest allowed norm of the gradient.
    steps : int
        Of the training.
    seed : int
        Of the start and of all sequences.

    Raises
    ------
    ValueError
        For an invalid setting: names it and what it may be.
    """

    cell: str = "lstm"
    length: int = 50
    hidden_size: int = 8
    start: str = "uniform"
    forget_bias: float | None = None
    learning_rate: float = 1e-2
    batch_size: int = 32
    clip: float = 1.0
    steps: int = 600
    seed: int = 0

    def __post_init__(self) -> None:
        require_choice("cell", self.cell, ("rnn", "lstm"))
        require_choice("start", self.start, STARTS)
        sizes = ("hidden_size", "learning_rate", "batch_size", "clip", "steps")
        require_positive(self, *sizes)
        if self.length < 2:
            raise ValueError(f"length must be at least 2, got {self.length}")
        if self.forget_bias is not None and self.cell != "lstm":
            raise ValueError(f"forget_bias is for the cell 'lstm', not {self.cell!r}")

    def generator(self, purpose: str) -> torch.Generator:
        """Make the generator of one of `PURPOSES`, the same for the same seed."""
        return seeded(self.seed, purpose, PURPOSES)

    def model(self) -> Forecaster:
        """Make the untrained model, the same for the same seed."""
        model = Forecaster(
            self.cell,
            Layout("many-to-one", self.length),
            input_size=2,
            hidden_size=self.hidden_size,
            generator=self.generator("start"),
        )
        if self.start == "orthogonal":
            set_orthogonal(model, self.generator("orthogonal"))
        if self.forget_bias is not None:
            set_forget_bias(model, self.forget_bias)
        return model


@dataclass(frozen=True)
class AddingRecord(RunRecord):
    """The result of one training on the adding problem.

    Parameters
    ----------
    settings : dict
        The settings, the seed among them.
    step : tuple of int
        Steps done at each check.
    error : tuple of float
        Mean squared error on 500 sequences that are never trained on, as a share of
        the variance of the sums: 1 is what a constant reaches at best.
    provenance : Provenance
        Device, versions, time. The data are the task itself.
    """

    kind: ClassVar[str] = "adding"
    made_from: ClassVar[type[Any]] = Adding

    settings: dict[str, Any]
    step: tuple[int, ...]
    error: tuple[float, ...]
    provenance: Provenance

    @property
    def adding(self) -> Adding:
        """The settings, to run it again."""
        return Adding(**self.settings)

    @property
    def solved(self) -> bool:
        """Whether less than a tenth of the variance is left at the last check."""
        return self.error[-1] < SOLVED


@exact_matmul()
def learn(
    together: Sequence[Adding], *, steps: int | None = None, device: str = "auto"
) -> tuple[list[AddingRecord], list[Forecaster]]:
    """Train networks to add the two marked numbers, side by side, with Adam.

    Each has its own start, sequences, learning rate and clipping; only the operations
    are shared, each on the parameters of all networks.

    Parameters
    ----------
    together : sequence of Adding, length S
        They may differ in start, forget bias, learning rate and seed.
    steps : int, optional
        Stop earlier than the settings say; the steps done are the same ones.
    device : str
        See `choose_device`. The sequences are the same on every device.

    Returns
    -------
    records : list of AddingRecord
        With an error after each 100 steps.
    models : list of Forecaster
        The trained networks.

    Raises
    ------
    ValueError
        If the settings differ in anything else.
    DivergenceError
        If a loss is no longer finite.
    """
    started, place = time.perf_counter(), choose_device(device)
    one = together[0]
    if {_shape(adding) for adding in together} != {_shape(one)}:
        raise ValueError("networks of one batch share cell, sizes and steps")
    models = [adding.model().to(place) for adding in together]
    weights = {
        name: torch.stack([m.state_dict()[name] for m in models]).to(place)
        for name in models[0].state_dict()
    }  # each (S, ...)
    leaves = [weight.requires_grad_() for weight in weights.values()]
    rates = torch.tensor([adding.learning_rate for adding in together], device=place)
    seeds = {adding.seed: adding for adding in together}
    place_of = [list(seeds).index(adding.seed) for adding in together]
    training, validation = (
        [adding.generator(purpose) for adding in seeds.values()]
        for purpose in ("training", "validation")
    )

    def losses(count: int, sources: list[torch.Generator]) -> Tensor:  # (S,)
        drawn = [numbers_to_add(one.length, count, generator=g) for g in sources]
        X, Y = (
            torch.stack([d[n] for d in drawn], n_dim) for n, n_dim in ((0, 1), (1, 0))
        )
        X, Y = X[:, place_of].to(place), Y[place_of].to(place)
        if len(models) == 1:  # torch's own loop over the steps
            only = {name: weight[0] for name, weight in weights.items()}
            found: Tensor = torch.func.functional_call(models[0], only, X[:, 0])[..., 0]
        else:
            found = _outputs(one.cell, X, weights)
        return (found - Y).square().mean(1)

    done: list[int] = []
    errors: list[Tensor] = []
    means = [(torch.zeros_like(w), torch.zeros_like(w)) for w in leaves]
    held_out = [g.get_state() for g in validation]
    last = steps or one.steps
    for step in range(1, last + 1):
        loss = losses(one.batch_size, training)
        gradients = torch.autograd.grad(loss.sum(), leaves)
        _adam(leaves, _clipped(gradients, one.clip), means, rates, step)
        if step % CHECK_EVERY == 0 or step == last:
            for generator, state in zip(validation, held_out, strict=True):
                generator.set_state(state)
            with torch.no_grad():
                found = losses(VALIDATION_SIZE, validation)
            require_finite(found[None], step, "try a smaller learning_rate")
            done.append(step)
            errors.append(found.cpu() / VARIANCE)
    for n, model in enumerate(models):
        model.load_state_dict({k: w[n].detach() for k, w in weights.items()})
    made = Provenance.of_run(
        AddingRecord.kind, "adding problem", "", place, started, len(together)
    )
    records = [
        AddingRecord(asdict(adding), tuple(done), tuple(map(rounded, row)), made)
        for adding, row in zip(together, torch.stack(errors, 1).tolist(), strict=True)
    ]
    return records, models


def _shape(adding: Adding) -> tuple[object, ...]:
    """Return what the networks of one batch share."""
    return (
        adding.cell,
        adding.length,
        adding.hidden_size,
        adding.batch_size,
        adding.clip,
        adding.steps,
    )


def _outputs(cell: str, X: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Run S networks: X (T, S, B, 2) to the outputs after the last step, (S, B)."""
    W_x, W_h = (weights[f"cell.weight_{k}_l0"].mT for k in ("ih", "hh"))
    b = weights["cell.bias_ih_l0"] + weights["cell.bias_hh_l0"]
    A = X @ W_x + b[:, None]  # (T, S, B, gates h)
    H = C = A.new_zeros(*A.shape[1:3], W_h.shape[1])
    for A_t in A.unbind():
        a = torch.baddbmm(A_t, H, W_h)
        if cell == "rnn":
            H = a.tanh()
        else:
            i, f, g, o = a.chunk(4, dim=-1)
            C = f.sigmoid() * C + i.sigmoid() * g.tanh()
            H = o.sigmoid() * C.tanh()
    return (H @ weights["head.weight"].mT + weights["head.bias"][:, None])[..., 0]


def _clipped(gradients: Sequence[Tensor], most: float) -> list[Tensor]:
    """Limit the norm of each network's gradient."""
    norms = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
    factor = (most / (norms + 1e-6)).clamp(max=1)
    return [g * _like(factor, g) for g in gradients]


@torch.no_grad()
def _adam(
    weights: Sequence[Tensor],
    gradients: Sequence[Tensor],
    means: Sequence[tuple[Tensor, Tensor]],
    rates: Tensor,
    k: int,
) -> None:
    """Take step k of Adam (`eq-adam`), each network at its own rate."""
    for w, g, (m, v) in zip(weights, gradients, means, strict=True):
        m.lerp_(g, 0.1)
        v.mul_(0.999).addcmul_(g, g, value=0.001)
        root = (v / (1 - 0.999**k)).sqrt_().add_(1e-8)
        w.sub_(_like(rates, g) * m / (1 - 0.9**k) / root)


def _like(numbers: Tensor, other: Tensor) -> Tensor:
    """Shape one number a network so that it multiplies the network's parameters."""
    return numbers.view(-1, *[1] * (other.ndim - 1))


def sums(seeds: Iterable[int] = range(5)) -> list[Adding]:
    """List the trainings that the chapter rests on, seed by seed."""
    return [
        Adding(length=length, learning_rate=rate, seed=seed, **kind)
        for seed, length, kind, rate in product(seeds, LENGTHS, KINDS.values(), RATES)
    ]


def run_sums(
    wanted: Sequence[Adding],
    *,
    device: str = "auto",
    **options: Any,  # noqa: ANN401 - `complete` names them
) -> list[AddingRecord]:
    """Train side by side, and go on where an earlier call was stopped.

    Parameters
    ----------
    wanted : sequence of Adding
        Started in this order.
    device : str
        See `choose_device`.
    **options
        Such as `out` and `workers`, as in `rnn_companion.forecasting.grid.run_all`.

    Returns
    -------
    list of AddingRecord
        In the order asked for.

    Raises
    ------
    GridError
        If trainings failed: names the first and its reason, after all are done.
    RecordFileError
        If `out` is torn or foreign.
    """
    job = partial(_run_batch, device=device)
    options = {"cost": _cost, "device": device, "together": _together, **options}
    return complete(wanted, job, AddingRecord, "", **options)


def _cost(adding: Adding) -> int:
    return adding.steps * adding.length * GATES[adding.cell]


def _together(todo: Sequence[Adding], workers: int) -> list[tuple[Adding, ...]]:
    """Group what can be trained side by side, whatever the number of workers."""
    groups: dict[tuple[object, ...], list[Adding]] = {}
    for adding in todo:
        groups.setdefault(_shape(adding), []).append(adding)
    return [tuple(group) for group in groups.values()]


def _run_batch(batch: tuple[Adding, ...], device: str) -> list[AddingRecord]:
    return learn(batch, device=device)[0]


def recorded(
    path: str | Path, wanted: Iterable[Adding], *, gaps: bool = False
) -> dict[Adding, AddingRecord]:
    """Look trainings up in a record file.

    The parameters are those of `rnn_companion.forecasting.grid.recorded`.

    Returns
    -------
    dict of Adding to AddingRecord
        Of this version of the results.

    Raises
    ------
    MissingRecordError
        If one is missing: names it, and the command that makes it.
    RecordFileError
        If the file is torn or foreign.
    """
    file = RecordFile(path, AddingRecord)
    return file.find(wanted, "", command="python -m benchmarks.records", gaps=gaps)
