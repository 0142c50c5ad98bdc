r"""Equations that run.

The labelled displays of a chapter are parsed from the chapter's own LaTeX and run,
in double precision, against values that come from torch, from autograd or from
exact arithmetic, and never from the text. `check_files` does it for chapters,
``rnn-companion equations FILE...`` on the command line.

What the page says:

* ``=`` claims, ``:=`` defines. A chain ``a = b \le c`` is as many claims.
* ``\partial`` is the direct derivative, by an argument of the one formula that makes
  a symbol; ``\mathrm{d}`` is the total one, along every path, and is refused where
  it is no other than the direct one. ``\nabla_v L`` is total and has the shape of v.
  Numerator layout: a scalar by a column is a row, a column by a column a matrix, a
  column by a matrix a 3-tensor; a scalar by a matrix has the matrix's shape.
* A product of matrices keeps its order; ``\prod`` puts the highest index leftmost.
  ``^\top`` transposes, ``^2`` of a column is elementwise, of a square matrix not.
* A range is stated in full (``t = 1, \dots, T``, ``0 \le k < t \le T``) and is tried
  two indices wider on each side; a claim that also holds beyond it is refused, unless
  it is marked as ``part``. Unstated, the range is the world's. ``\text{if}`` states a
  condition, which must be met in one draw and needed in another.

What the symbols are is said by a world, which `worlds` tells how to write. The
modules in order: `chapter` finds displays, `latex` parses them, `statement` sorts
claims from conditions, `tape` holds the values and differentiates, `algebra`,
`conditions`, `symbols`, `derivatives` and `meaning` evaluate, `claims` compares,
`checker` reports, `mutants` tries to deceive it.
"""

try:
    from .checker import Chapter, Report, check_files, check_text, problems
except ModuleNotFoundError as error:
    said = f"checking equations needs {error.name}"
    raise ImportError(f"{said}: pip install 'rnn-companion[equations]'") from error
from .latex import EquationError
from .tape import Rule, Tape
from .worlds import World, load_file, world

__all__ = [
    "Chapter",
    "EquationError",
    "Report",
    "Rule",
    "Tape",
    "World",
    "check_files",
    "check_text",
    "load_file",
    "problems",
    "world",
]
