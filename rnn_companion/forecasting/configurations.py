"""Which days go in, which days come out: the five input/output configurations.

Source: chapter *Input/output configurations*; the names are those of Karpathy,
*The Unreasonable Effectiveness of Recurrent Neural Networks* (2015).
"""

from dataclasses import dataclass
from enum import StrEnum


class Configuration(StrEnum):
    """The five ways to connect a sequence of inputs with a sequence of outputs."""

    ONE_TO_ONE = "one-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_ONE = "many-to-one"
    MANY_TO_MANY_SHIFTED = "many-to-many-shifted"
    MANY_TO_MANY_ALIGNED = "many-to-many-aligned"

    @property
    def reads_many(self) -> bool:
        """Whether more than one day goes in."""
        return self.startswith("many")

    @property
    def forecasts_ahead(self) -> bool:
        """Whether more than one day after the last input comes out."""
        return self in (self.ONE_TO_MANY, self.MANY_TO_MANY_SHIFTED)


@dataclass(frozen=True)
class Layout:
    """A configuration with its numbers of days: what a window is cut to.

    Parameters
    ----------
    configuration : str
        One of the five, by name.
    length : int
        Days that are read, T. Must be 1 for one-to-one and one-to-many.
    horizon : int
        Days that are forecast after the last input. Must be 1 unless the
        configuration is one-to-many or many-to-many-shifted.

    Raises
    ------
    ValueError
        For an unknown name, or a length or horizon that the configuration
        has no use for.
    """

    configuration: str
    length: int
    horizon: int = 1

    def __post_init__(self) -> None:
        if self.configuration not in tuple(Configuration):
            raise ValueError(
                f"unknown configuration {self.configuration!r}: "
                f"choose one of {', '.join(Configuration)}"
            )
        name = Configuration(self.configuration)
        _check_days("length", self.length, name, may_exceed_one=name.reads_many)
        _check_days("horizon", self.horizon, name, may_exceed_one=name.forecasts_ahead)

    @property
    def aligned(self) -> bool:
        """Whether an output stands at every input."""
        return self.configuration == Configuration.MANY_TO_MANY_ALIGNED

    @property
    def outputs(self) -> int:
        """Number of outputs of a window, K."""
        return self.length if self.aligned else self.horizon

    @property
    def first_target(self) -> int:
        """Day of the first target, counted from the window's first input."""
        return 1 if self.aligned else self.length

    @property
    def span(self) -> int:
        """Days from the first input to the last target, both counted."""
        return self.first_target + self.outputs

    @property
    def last_known(self) -> tuple[int, ...]:
        """For each output, the position of the last input it may depend on."""
        first = self.first_target - 1
        return tuple(min(first + k, self.length - 1) for k in range(self.outputs))


def _check_days(what: str, days: int, name: str, *, may_exceed_one: bool) -> None:
    if days < 1:
        raise ValueError(f"{what} must be at least 1, got {days}")
    if days > 1 and not may_exceed_one:
        raise ValueError(f"{name} has a {what} of 1, got {days}: leave {what} at 1")
