r"""Arithmetic that keeps scalars, columns, rows and matrices apart.

A column is ``(n, 1)``, a row ``(1, n)``, the derivative of a column by a matrix
a 3-tensor. Nothing is broadcast but numbers: the 1 of ``1 - h_t^2``.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .latex import EquationError, plain_name

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    """A value; `number` marks a written number, which fits every shape."""

    tensor: Tensor
    number: bool = False

    @property
    def shape(self) -> Shape:
        """The shape it is stored in."""
        return tuple(self.tensor.shape)


def number(value: float) -> Value:
    """Make a written number."""
    return Value(torch.tensor(value, dtype=torch.float64), number=True)


def scalar(value: float) -> Value:
    """Make a scalar that is not written out, such as a size."""
    return Value(torch.tensor(value, dtype=torch.float64))


def shape_of(shape: Shape) -> str:
    """Write a shape as a reader thinks of it: a column of four is ``(4,)``."""
    if shape == ():
        return "()"
    return f"({shape[0]},)" if len(shape) == 2 and shape[1] == 1 else str(shape)


def add(a: Value, b: Value, sign: int = 1) -> Value | None:
    """Add or subtract; None where the shapes do not allow it."""
    if a.shape == b.shape or a.number or b.number:
        return Value(a.tensor + sign * b.tensor, a.number and b.number)
    return None


def times(a: Value, b: Value) -> Value | None:
    """Multiply as matrices; a scalar multiplies anything."""
    if a.shape == () or b.shape == ():
        return Value(a.tensor * b.tensor, a.number and b.number)
    if len(a.shape) != 2 or a.shape[-1] != b.shape[0]:
        return None
    return Value(squeezed(torch.tensordot(a.tensor, b.tensor, 1)))


def squeezed(tensor: Tensor) -> Tensor:
    """Turn ``(1, 1)`` into a scalar, and a row times a 3-tensor into a matrix."""
    if tensor.dim() == 3 and tensor.shape[0] == 1:
        return tensor[0]
    return tensor.reshape(()) if tensor.shape == (1, 1) else tensor


def over(a: Value, b: Value) -> Value | None:
    """Divide by a scalar, or elementwise by what has the same shape."""
    if b.shape == () or a.shape == b.shape:
        return Value(a.tensor / b.tensor, a.number and b.number)
    return Value(a.tensor / b.tensor) if a.number else None


def transposed(a: Value) -> Value:
    """Transpose a column, a row or a matrix."""
    if len(a.shape) != 2:
        raise EquationError(f"has shape {shape_of(a.shape)}: it has no transpose")
    return Value(a.tensor.T)


def power(a: Value, b: Value) -> Value:
    """Raise to a power: a square matrix as a matrix, columns and rows elementwise."""
    if b.shape != ():
        raise EquationError(f"has an exponent of shape {shape_of(b.shape)}")
    if len(a.shape) == 2 and 1 not in a.shape:
        whole = round(b.tensor.item())
        if a.shape[0] != a.shape[1] or whole != b.tensor.item():
            raise EquationError(
                r"is no square matrix; its elementwise square is written A \odot A"
            )
        return Value(torch.linalg.matrix_power(a.tensor, whole))
    return Value(a.tensor**b.tensor, a.number and b.number)


def norm(a: Value, kind: str = "2") -> Value:
    """Take the norm a subscript names: 2 (of a matrix: spectral), 1, F or infinity."""
    order = {"2": 2.0, "1": 1.0, "F": "fro", r"\infty": torch.inf}.get(kind)
    if order is None or len(a.shape) != 2:
        raise EquationError(f"norm {kind} of shape {shape_of(a.shape)} is not known")
    if 1 in a.shape:
        tensor = a.tensor.reshape(-1)
        return Value(torch.linalg.vector_norm(tensor, 2.0 if order == "fro" else order))
    return Value(torch.linalg.matrix_norm(a.tensor, order))


def entry(a: Value, at: Shape) -> Value:
    """Take a component, counted from 1; one index of a matrix takes a row."""
    tensor = a.tensor
    if tensor.dim() == 2 and 1 in tensor.shape and len(at) == 1:
        tensor = tensor.reshape(-1)
    if not 0 < len(at) <= tensor.dim():
        raise EquationError(f"has {tensor.dim()} indices, not {len(at)}")
    for i, size in zip(at, tensor.shape, strict=False):
        if not 1 <= i <= size:
            raise EquationError(f"has no component {i}: they run 1 to {size}")
    part = tensor[tuple(i - 1 for i in at)]
    return Value(part[None] if part.dim() == 1 else part)


def component(parts: Shape, shape: Shape) -> Shape:
    """Turn indices that count from 1 into a position of a tensor of this shape."""
    padded = (*parts, 1) if len(parts) == 1 and shape[1:] == (1,) else parts
    padded = (1, *parts) if len(parts) == 1 and shape[:1] == (1,) else padded
    inside = [1 <= i <= n for i, n in zip(padded, shape, strict=False)]
    if len(padded) != len(shape) or not all(inside):
        raise EquationError(f"has no component {parts} in shape {shape_of(shape)}")
    return tuple(i - 1 for i in padded)


def extreme(operator: str, values: list[Value]) -> Value:
    """Take the largest or smallest of scalars, or of the components of a column."""
    if len(values) > 1 and any(v.shape for v in values):
        raise EquationError(f"{operator} compares scalars")
    if not values:
        raise EquationError(f"{operator} runs over nothing")
    together = torch.cat([v.tensor.reshape(-1) for v in values])
    largest = plain_name(operator).endswith("max")
    return Value(together.max() if largest else together.min())


def diagonal(value: Value) -> Value:
    """Make a diagonal matrix of a column."""
    if len(value.shape) != 2 or value.shape[1] != 1:
        shape = shape_of(value.shape)
        raise EquationError(f"diag of shape {shape}: a column belongs here")
    return Value(torch.diag(value.tensor[:, 0]))


def differential(raw: Tensor, of: Shape, by: Shape) -> Value:
    """Lay a Jacobian out: numerator layout, and the shape of `by` under a scalar."""
    if of == ():
        column = len(by) == 2 and by[1] == 1
        return Value(raw.reshape(1, -1) if column else raw.reshape(by))
    if by == ():
        return Value(raw.reshape(of))
    if len(of) == 2 and of[1] == 1 and by[0] != 1:
        return Value(raw.reshape(of[0], *(by[:1] if by[1] == 1 else by)))
    raise EquationError(
        f"the derivative of {shape_of(of)} by {shape_of(by)} has no layout here;"
        " write it with components"
    )


def distance(a: Value, b: Value) -> float:
    """Compare two values: max |a - b| / max(|a|, |b|, 0.001), over all entries."""
    scale = max(a.tensor.abs().max().item(), b.tensor.abs().max().item(), 1e-3)
    gap = (a.tensor - b.tensor).abs().max().item()
    return gap / scale if gap == gap else float("inf")


def stack(rows: list[list[Value]]) -> Value:
    """Put blocks beside and above one another; a scalar is one by one."""
    try:
        blocks = [[v.tensor.reshape(v.shape or (1, 1)) for v in row] for row in rows]
        return Value(torch.cat([torch.cat(row, 1) for row in blocks], 0))
    except RuntimeError:
        shapes = "; ".join(", ".join(shape_of(v.shape) for v in row) for row in rows)
        raise EquationError(f"blocks of shapes {shapes} do not fit together") from None
