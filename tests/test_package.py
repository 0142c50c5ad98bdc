"""Importing the package costs next to nothing and does nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

import rnn_companion

PURE = """
import importlib, os, pkgutil, random, sys, warnings
import matplotlib, numpy, torch

def import_everything():
    package = importlib.import_module("rnn_companion")
    for module in pkgutil.walk_packages(package.__path__, "rnn_companion."):
        importlib.import_module(module.name)

def state():
    return {
        "warning filters": list(warnings.filters),
        "torch's seed": torch.get_rng_state().tolist(),
        "torch's dtype": torch.get_default_dtype(),
        "torch's threads": torch.get_num_threads(),
        "torch's determinism": torch.are_deterministic_algorithms_enabled(),
        "Python's seed": random.getstate(),
        "NumPy's seed": str(numpy.random.get_state()),
        "matplotlib's settings": dict(matplotlib.rcParams),
        "files": sorted(os.listdir()),
        "environment": dict(os.environ),
    }

# Once for the libraries, whose own doings are not ours; then, from another state,
# for the package alone.
import_everything()
for name in [name for name in sys.modules if name.split(".")[0] == "rnn_companion"]:
    del sys.modules[name]
torch.manual_seed(271828), random.seed(271828), numpy.random.seed(271828)
warnings.resetwarnings()
matplotlib.rcdefaults()
before = state()
import_everything()
after = state()
print(*[name for name in before if before[name] != after[name]], sep=", ")
"""

LOADED = """
import sys
before = set(sys.modules)
import rnn_companion
print(*sorted(set(sys.modules) - before))
"""


def _python(code: str, folder: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_to_import_the_package_loads_no_library_and_none_of_its_modules(
    tmp_path: Path,
) -> None:
    loaded = set(_python(LOADED, tmp_path).split())
    ours = {name for name in loaded if name.startswith("rnn_companion")}
    assert ours == {"rnn_companion"}
    others = {name.partition(".")[0] for name in loaded - ours}
    assert others <= {*sys.stdlib_module_names, "lazy_loader"}


@pytest.mark.slow
def test_importing_every_module_changes_nothing_global(tmp_path: Path) -> None:
    assert _python(PURE, tmp_path) == ""


@pytest.mark.parametrize("name", dir(rnn_companion))
def test_every_name_on_offer_exists(name: str) -> None:
    assert getattr(rnn_companion, name) is not None


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(rnn_companion.__path__[0], "py.typed").exists()
