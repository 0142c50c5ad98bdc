"""The settings of an experiment, and what all settings of the package share.

Source: chapter *Recurrence*, section *On real prices*; the defaults are those
of the forecasting report.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from rnn_companion.forecasting.by_hand import Links
from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.engine import StepOptions
from rnn_companion.forecasting.folds import FOLDS, fold_split
from rnn_companion.forecasting.forecaster import (
    CELLS,
    STARTS,
    Forecaster,
    set_forget_bias,
    set_orthogonal,
)
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.windows import Split, leaky_random_split, split_by_date
from rnn_companion.gradients import truncation

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
DECAYS = ("none", "cosine")
PROTOCOLS = ("honest", "source", *(f"{kind}-folds" for kind in FOLDS))
PRECISIONS = ("float32", "bfloat16")
TRUNCATIONS = ("full", "regular", "sliding", "randomized")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides a result but the data and the device.

    Parameters
    ----------
    cell : str
        ``"rnn"``, ``"lstm"``, ``"gru"`` or ``"phased-lstm"``.
    configuration : str
        One of the five input/output configurations.
    length, horizon : int
        Days read, and days forecast after them.
    hidden_size, layers : int
        Units of the hidden state, stacked layers.
    optimizer : str
        ``"adam"``, ``"sgd"`` or ``"rmsprop"``.
    learning_rate : float
        Step size, positive.
    epochs, batch_size : int
        Passes through the training windows, and windows a step.
    clip : float, optional
        Largest allowed norm of the gradient; none by default.
    training : float
        Fraction of the data to learn from.
    protocol : str
        ``"honest"`` splits by date, ``"source"`` is `leaky_random_split`;
        ``"shuffled-folds"``, ``"blocked-folds"`` and ``"forward-folds"`` are the three
        of `fold_split`, for which `training` means nothing.
    precision : str
        ``"float32"``, or ``"bfloat16"`` for products rounded to three digits, which
        some machines compute faster. Errors are always measured in float32.
    seed : int
        Of everything random: split, start, order of batches, truncation.
    start : str
        Of the recurrent matrices: ``"uniform"`` as torch's, or ``"orthogonal"``.
    forget_bias : float, optional
        Of an LSTM's forget gates at the start; drawn as all biases by default.
    l1, l2 : float
        Weights of the penalties on W_hh: the sum of its absolute entries, half the
        sum of their squares (`eq-grad-decay`).
    truncation : str
        How gradients are cut (chapter 3): ``"full"`` (not at all), ``"regular"`` into
        parts of `tau` steps, ``"sliding"`` (each loss goes back `tau` steps; for an
        RNN), or ``"randomized"`` (each link kept with probability `pi`). For an RNN
        or LSTM of one layer.
    tau : int, optional
        Steps, at least 1; for the two that need it.
    pi : float, optional
        Probability, in (0, 1]; for the randomized.
    gradient_norms : bool
        Whether the record keeps the largest norm of the gradient in each epoch.
    test : float
        Fraction of the days, the last ones, that nothing is chosen by: the validation
        days end before them, and the record has their errors beside (`Record.test`).
        None by default. For the honest protocol.
    decay : str
        ``"none"``, or ``"cosine"``: of E epochs, epoch e = 1, ..., E has the learning
        rate (1 + cos(π (e - 1)/E))/2 times the first (Loshchilov and Hutter 2017,
        *SGDR*, equation 5, without restarts).
    patience : int, optional
        Stop after so many epochs in a row without a lower validation loss, and keep
        the weights of the epoch that has the least, also if none are left to stop. The
        validation error is then one that was chosen by. By default all epochs are run
        and the last is kept.
    folds, fold : int
        How many folds, and which of them is judged, from 1; for the three protocols
        with folds.

    Raises
    ------
    ValueError
        For an invalid setting: names it and what it may be.
    """

    cell: str = "rnn"
    configuration: str = "many-to-one"
    length: int = 7
    horizon: int = 1
    hidden_size: int = 512
    layers: int = 1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    epochs: int = 10
    batch_size: int = 32
    clip: float | None = None
    training: float = 0.8
    protocol: str = "honest"
    precision: str = "float32"
    seed: int = 0
    start: str = "uniform"
    forget_bias: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    truncation: str = "full"
    tau: int | None = None
    pi: float | None = None
    gradient_norms: bool = False
    test: float = 0.0
    decay: str = "none"
    patience: int | None = None
    folds: int = 5
    fold: int = 1

    def __post_init__(self) -> None:
        require_choice("cell", self.cell, CELLS)
        require_choice("optimizer", self.optimizer, OPTIMIZERS)
        require_choice("protocol", self.protocol, PROTOCOLS)
        require_choice("precision", self.precision, PRECISIONS)
        sizes = ("hidden_size", "layers", "learning_rate", "epochs", "batch_size")
        require_positive(self, *sizes)
        require_choice("start", self.start, STARTS)
        require_choice("decay", self.decay, DECAYS)
        if self.patience is not None and self.patience < 1:
            raise ValueError(f"patience must be positive or None, got {self.patience}")
        if self.test and self.protocol != "honest":
            raise ValueError("test is for the honest protocol: it splits by date")
        if not 1 <= self.fold <= self.folds or self.folds < 2:
            said = f"got fold {self.fold} of {self.folds}"
            raise ValueError(f"fold must lie between 1 and folds, at least 2: {said}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive or None, got {self.clip}")
        for name in ("l1", "l2"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative")
        if self.forget_bias is not None and "lstm" not in self.cell:
            raise ValueError(f"forget_bias is for an LSTM, not for {self.cell!r}")
        self._check_truncation()
        self.layout  # noqa: B018 - raises for an impossible one

    def _check_truncation(self) -> None:
        require_choice("truncation", self.truncation, TRUNCATIONS)
        cut, needs_tau = self.truncation, self.truncation in ("regular", "sliding")
        wrong = self.tau is None if needs_tau else self.tau is not None
        if wrong or (self.tau is not None and self.tau < 1):
            raise ValueError(f"tau must be a number of steps for truncation {cut!r}")
        if (cut == "randomized") != (self.pi is not None):
            raise ValueError(f"pi must be a probability for truncation {cut!r}")
        if self.pi is not None and not 0 < self.pi <= 1:
            raise ValueError(f"pi must lie in (0, 1], got {self.pi}")
        fitting = ("rnn",) if cut == "sliding" else ("rnn", "lstm")
        plain = self.layers == 1 and self.horizon == 1 and self.precision == "float32"
        if cut != "full" and not (self.cell in fitting and plain):
            raise ValueError(
                f"truncation {cut!r} is for {' or '.join(fitting)} with one layer, a "
                "horizon of 1 and float32"
            )

    @property
    def layout(self) -> Layout:
        """Configuration, length and horizon together."""
        return Layout(self.configuration, self.length, self.horizon)

    def generator(self, purpose: str) -> torch.Generator:
        """Make the generator of the ``"split"``, the ``"start"``, the ``"order"``...

        Later purposes have seeds of their own, far from those of the first three.
        """
        first = ("split", "start", "order")
        if purpose in first:
            return seeded(self.seed, purpose, first)
        return seeded((1 << 40) + self.seed, purpose, ("links", "orthogonal"))

    def split(self, prices: Prices) -> Split:
        """Cut and split the prices by this experiment's protocol."""
        if self.protocol == "honest":
            parts = {"training": self.training, "test": self.test}
            return split_by_date(prices, self.layout, **parts)
        if self.protocol != "source":
            return fold_split(
                prices,
                self.layout,
                self.protocol.removesuffix("-folds"),
                folds=self.folds,
                fold=self.fold,
                generator=self.generator("split"),
            )
        return leaky_random_split(
            prices,
            self.layout,
            training=self.training,
            generator=self.generator("split"),
        )

    def step_options(self) -> StepOptions:
        """Return what a training step does beside following the gradient."""
        tau, pi = self.tau, self.pi
        links: Links | None = None
        if self.truncation == "regular" and tau is not None:
            links = partial(_regular, tau)
        if self.truncation == "randomized" and pi is not None:
            links = partial(_randomized, pi, self.generator("links"))
        return StepOptions(
            clip=self.clip,
            l1=self.l1,
            l2=self.l2,
            links=links,
            sliding=tau if self.truncation == "sliding" else None,
            rounded=self.precision == "bfloat16",
            norms=self.gradient_norms,
            decays=self.decay != "none",
        )

    def model(self) -> Forecaster:
        """Make the untrained model, the same for the same seed."""
        model = Forecaster(
            self.cell,
            self.layout,
            hidden_size=self.hidden_size,
            layers=self.layers,
            generator=self.generator("start"),
        )
        if self.start == "orthogonal":
            set_orthogonal(model, self.generator("orthogonal"))
        if self.forget_bias is not None:
            set_forget_bias(model, self.forget_bias)
        return model


def _regular(tau: int, T: int) -> list[float]:
    return truncation.regular(T, tau).tolist()


def _randomized(pi: float, generator: torch.Generator, T: int) -> list[float]:
    return truncation.randomized(T, pi, generator).tolist()


def require_choice(name: str, value: str, known: Iterable[str]) -> None:
    """Refuse a value that is not one of the known ones.

    Raises
    ------
    ValueError
        Names the setting, the value and what it may be.
    """
    if value not in known:
        raise ValueError(f"unknown {name} {value!r}: choose one of {', '.join(known)}")


def require_positive(settings: object, *names: str) -> None:
    """Refuse settings of which one that is named is not above zero.

    Raises
    ------
    ValueError
        Names the setting and its value.
    """
    for name in names:
        if not getattr(settings, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(settings, name)}")


def seeded(seed: int, purpose: str, purposes: Sequence[str]) -> torch.Generator:
    """Make a generator for one purpose, so that no draw shifts another.

    Parameters
    ----------
    seed : int
        Of the settings.
    purpose : str
        What it is for.
    purposes : sequence of str
        All that there are. Its seed is ``len(purposes) * seed`` plus the purpose's
        place among them, so no two purposes and no two seeds share one.
    """
    own = len(purposes) * seed + purposes.index(purpose)
    return torch.Generator().manual_seed(own)
