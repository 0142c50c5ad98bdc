"""Shapes: what fits what, and the weights of a torch module layer by layer."""

from collections.abc import Iterator

from torch import Tensor, nn


def weights_by_layer(module: nn.RNNBase) -> Iterator[tuple[Tensor, ...]]:
    """Yield W_x, W_h and the two biases of each layer."""
    if module.batch_first or module.dropout:
        raise ValueError(
            f"{module} has batch_first or dropout: here time comes first, and nothing "
            "is dropped between layers"
        )
    weights = [module.get_parameter(name) for name in module._flat_weights_names]
    return zip(*[iter(weights)] * 4, strict=True)


def check_layers(name: str, start: Tensor, layers: int) -> None:
    if start.dim() != 3 or len(start) != layers:
        raise ValueError(
            f"{name} has shape {tuple(start.shape)}: expected (layers, B, h) "
            f"with {layers} layers"
        )


def check_inputs(X: Tensor) -> tuple[int, int]:
    if X.dim() != 3 or len(X) == 0:
        raise ValueError(
            f"X has shape {tuple(X.shape)}: expected (T, B, d) with at least one step"
        )
    return X.shape[1], X.shape[2]


def check_shapes(why: str, **expected: tuple[Tensor, tuple[int, ...]]) -> None:
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}: expected {shape}, as {why}"
            )
