"""Shapes: what fits what, and the weights of a torch module layer by layer."""

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

from torch import Tensor, nn

P = ParamSpec("P")
R = TypeVar("R")

_SIZE = re.compile(r"(\d*)([A-Za-z])\+?(\d*)")  # h, 4h, T+1
_PLAIN = {
    "nonlinearity": "tanh",
    "bidirectional": False,
    "bias": True,
    "batch_first": False,
    "dropout": 0,
    "proj_size": 0,
}


def shapes(**expected: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function refuse tensors whose shapes do not fit each other.

    As in ``@shapes(X="T B d", times="T or T B", W_x="4h d", H="T+1 B h")``. The first
    tensor that has a size sets it for those that follow.

    Parameters
    ----------
    **expected : str
        The shapes of arguments. Skipped where the function has no such argument, or
        it is None.

    Returns
    -------
    callable
        A decorator. What it decorates raises a ValueError that names the first tensor
        whose shape does not fit.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            given = signature.bind(*args, **kwargs).arguments
            sizes: dict[str, int] = {}
            for name, shape in expected.items():
                if given.get(name) is not None:
                    _check(name, given[name], shape, sizes)
            return function(*args, **kwargs)

        return checked

    return decorate


def check_states(name: str, states: Tensor, layers: int) -> None:
    """Raise a ValueError if there is not one state `(B, h)` for each layer."""
    if states.dim() != 3 or len(states) != layers:
        raise ValueError(
            f"{name} has shape {tuple(states.shape)}: expected (layers, B, h) "
            f"with {layers} layers"
        )


def weights_by_layer(
    module: nn.RNNBase, kind: type[nn.RNNBase]
) -> Iterator[tuple[Tensor, ...]]:
    """Yield W_x, W_h and the two biases of each layer of a plain torch module."""
    if not isinstance(module, kind):
        raise ValueError(f"{module} is no torch.nn.{kind.__name__}")
    for option, plain in _PLAIN.items():
        if getattr(module, option, plain) != plain:
            raise ValueError(f"{module} must be made with {option}={plain!r}")
    weights = [module.get_parameter(name) for name in module._flat_weights_names]
    return zip(*[iter(weights)] * 4, strict=True)


def _check(name: str, tensor: Tensor, shape: str, sizes: dict[str, int]) -> None:
    if any(_fits(tensor, option, sizes) for option in shape.split(" or ")):
        return
    wanted = [f"({', '.join(option.split())})" for option in shape.split(" or ")]
    known = ", ".join(f"{size} = {n}" for size, n in sizes.items() if size in shape)
    raise ValueError(
        f"{name} has shape {tuple(tensor.shape)}: expected {' or '.join(wanted)}, "
        + (f"where {known}" if known else "each at least 1")
    )


def _fits(tensor: Tensor, shape: str, sizes: dict[str, int]) -> bool:
    """Compare a tensor with a shape; if it fits, note the sizes that are new."""
    found, wanted = dict(sizes), []
    for n, (times, size, more) in zip(tensor.shape, _SIZE.findall(shape), strict=False):
        factor, extra = int(times or 1), int(more or 0)
        found.setdefault(size, max(1, (n - extra) // factor))
        wanted.append(factor * found[size] + extra)
    fits = tensor.dim() == len(shape.split()) and wanted == list(tensor.shape)
    if fits:
        sizes.update(found)
    return fits
