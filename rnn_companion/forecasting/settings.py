"""The settings of an experiment, and what all settings of the package share.

Source: chapter *Recurrence*, section *On real prices*; the defaults are those
of the forecasting report.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from rnn_companion.forecasting.configurations import Layout
from rnn_companion.forecasting.forecaster import CELLS, Forecaster
from rnn_companion.forecasting.prices import Prices
from rnn_companion.forecasting.windows import Split, leaky_random_split, split_by_date

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}
PROTOCOLS = ("honest", "source")
PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Everything that decides a result but the data and the device.

    Parameters
    ----------
    cell : str
        ``"rnn"``, ``"lstm"`` or ``"gru"``.
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
        ``"honest"`` splits by date, ``"source"`` is `leaky_random_split`.
    precision : str
        ``"float32"``, or ``"bfloat16"`` for products rounded to three digits, which
        some machines compute faster. Errors are always measured in float32.
    seed : int
        Of everything random: split, start, order of batches.

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

    def __post_init__(self) -> None:
        require_choice("cell", self.cell, CELLS)
        require_choice("optimizer", self.optimizer, OPTIMIZERS)
        require_choice("protocol", self.protocol, PROTOCOLS)
        require_choice("precision", self.precision, PRECISIONS)
        sizes = ("hidden_size", "layers", "learning_rate", "epochs", "batch_size")
        require_positive(self, *sizes)
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive or None, got {self.clip}")
        self.layout  # noqa: B018 - raises for an impossible one

    @property
    def layout(self) -> Layout:
        """Configuration, length and horizon together."""
        return Layout(self.configuration, self.length, self.horizon)

    def generator(self, purpose: str) -> torch.Generator:
        """Make the generator of the ``"split"``, the ``"start"`` or the ``"order"``."""
        return seeded(self.seed, purpose, ("split", "start", "order"))

    def split(self, prices: Prices) -> Split:
        """Cut and split the prices by this experiment's protocol."""
        if self.protocol == "honest":
            return split_by_date(prices, self.layout, training=self.training)
        return leaky_random_split(
            prices,
            self.layout,
            training=self.training,
            generator=self.generator("split"),
        )

    def model(self) -> Forecaster:
        """Make the untrained model, the same for the same seed."""
        return Forecaster(
            self.cell,
            self.layout,
            hidden_size=self.hidden_size,
            layers=self.layers,
            generator=self.generator("start"),
        )


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


def seeded(
    seed: int,
    purpose: str,
    purposes: Sequence[str],
    device: torch.device | str = "cpu",
) -> torch.Generator:
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
    device : torch.device or str
        Where it draws.
    """
    own = len(purposes) * seed + purposes.index(purpose)
    return torch.Generator(device).manual_seed(own)
