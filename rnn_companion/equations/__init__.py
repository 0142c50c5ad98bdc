"""Equations that run."""

from .checker import Chapter, Report, check_files, check_text, problems
from .latex import EquationError
from .tape import Tape
from .worlds import World, load_file, world

__all__ = [
    "Chapter",
    "EquationError",
    "Report",
    "Tape",
    "World",
    "check_files",
    "check_text",
    "load_file",
    "problems",
    "world",
]
