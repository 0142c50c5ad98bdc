"""Each room of the package imports only from the rooms below it."""

import ast
from pathlib import Path

import pytest
from fresh import Package, import_names

import rnn_companion

FOLDER = Path(rnn_companion.__path__[0])
PACKAGE = Package(FOLDER)
LEVELS = [  # from the bottom to the top
    {"progress", "devices", "claims"},
    {"networks"},
    {"gradients"},
    {"forecasting"},
    {"tasks"},
    {"check", "figures", "equations", "notebooks"},
    {"homework", "reports", "sentences"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


@pytest.mark.parametrize("module", sorted(set(PACKAGE.modules) - {FOLDER.name}))
def test_a_module_imports_from_its_own_room_or_from_below(module: str) -> None:
    """Imports inside functions, and those for types alone, count too."""
    path = PACKAGE.modules[module]
    parent = module if path.stem == "__init__" else module.rpartition(".")[0]
    names = import_names(ast.parse(path.read_text(encoding="utf-8")), parent)
    parts = [name.split(".") for name in names if name.startswith(FOLDER.name)]
    rooms = {part[1] for part in parts if part[1:] not in ([], ["__version__"])}
    own = module.split(".")[1]
    assert {room for room in rooms - {own} if LEVEL[room] >= LEVEL[own]} == set()


@pytest.mark.parametrize("name", dir(rnn_companion))
def test_a_chapter_that_imports_a_short_name_depends_on_its_module(name: str) -> None:
    """The module that defines it is read from the stubs, with nothing imported."""
    needed = PACKAGE.needed_by(f"from rnn_companion import {name}")
    found = getattr(rnn_companion, name)
    home = getattr(found, "__module__", None) or found.__name__
    assert home in needed
    assert needed < set(PACKAGE.modules)
