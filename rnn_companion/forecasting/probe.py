"""Ask a trained network how many of the days that it reads its forecast uses.

Source: chapter *How long is the memory?*, section *How many days does the forecast
use?*.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.forecasting.windows import Windows

__all__ = ["errors_with_days_kept", "shuffle_older"]


def shuffle_older(X: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Give each window the older days of another one; its last k days stay.

    Row t of window n becomes row t of window p(n) for t = 1, ..., T - k, where p is one
    random order of the windows. So older days still are days that followed one
    another, and each of them still stands in just one window.

    Parameters
    ----------
    X : Tensor, `(T, N, d)`
        Windows, time first.
    k : int
        Days that stay, 0 to T; with T nothing is changed.
    generator : torch.Generator
        Draws the order, on the CPU.

    Returns
    -------
    Tensor, `(T, N, d)`
        On the device of X, which stays as it is.

    Raises
    ------
    ValueError
        If k is not a number of days between 0 and T.
    """
    T, N, _ = X.shape
    if not 0 <= k <= T:
        raise ValueError(f"k must lie between 0 and {T}, the days of a window, got {k}")
    order = torch.randperm(N, generator=generator).to(X.device)
    return torch.cat([X[: T - k, order], X[T - k :]])


@torch.no_grad()
def errors_with_days_kept(
    model: Forecaster,
    windows: Windows,
    kept: Iterable[int],
    generator: torch.Generator,
) -> list[float]:
    """Return errors over persistence's when only the last days are a window's own.

    MSE(forecasts from `shuffle_older` (X, k)) / MSE("tomorrow = today") for each k,
    over the same windows and targets. At k = T all days are a window's own; where a
    larger k changes nothing, older days make no difference to the error.

    Parameters
    ----------
    model : Forecaster
        As trained.
    windows : Windows
        That it has not learned from, such as the validation windows.
    kept : iterable of int
        Values of k.
    generator : torch.Generator
        As in `shuffle_older`; it draws an order for each k.

    Returns
    -------
    list of float
        One for each k.

    Raises
    ------
    ValueError
        As in `shuffle_older`.
    """
    own = windows.to(model.head.weight.device)
    naive = (own.persistence - own.targets).square().mean()

    def error(k: int) -> float:
        forecast = model(shuffle_older(own.inputs, k, generator))
        return float((forecast - own.targets).square().mean() / naive)

    return [error(k) for k in kept]
