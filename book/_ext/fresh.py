"""Run a chapter again when what it imports has changed.

Executed chapters are cached by their code cells alone, so a change in the package
would go unnoticed. Here every chapter gets a cache of its own, named by a hash of
the package's modules that it imports, directly or through others, of the files that
its code names, and of the versions of the libraries below. Undoing a change finds
the old cache again. Chapters that must run do so side by side, while Sphinx reads.

Imports are read from the sources, without running them. Where that could miss one
(a bare ``import rnn_companion``, a module imported by a computed name, a cell that
is not plain Python) the chapter depends on the whole package.
"""

from __future__ import annotations

import ast
import gc
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from myst_nb.core.read import create_nb_reader, read_myst_markdown_notebook
from runs import Run, Runs

from rnn_companion.notebooks.wheel import files_named

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_DYNAMIC = re.compile(r"\bimport_module\(|\b__import__\(")


class Package:
    """The modules of a package, and which of them a piece of code needs.

    Parameters
    ----------
    folder : Path
        The package's own folder; its name is the package's name.
    """

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self.modules = {
            _module_name(path, folder): path for path in sorted(folder.rglob("*.py"))
        }
        self.data = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix not in {".py", ".pyi", ".pyc", ".typed"}
        ]
        self._found: dict[str, set[str]] = {}
        self._exports = {
            name: _exports(path.with_suffix(".pyi"), name)
            for name, path in self.modules.items()
            if path.with_suffix(".pyi").exists()
        }

    def needed_by(self, code: str) -> set[str]:
        """Name the modules that a piece of code imports, or that those import.

        Parameters
        ----------
        code : str
            Python.

        Returns
        -------
        set of str
            All modules, where the imports cannot be read with certainty.
        """
        needed: set[str] = set()
        waiting = self._imported(code, "")
        while waiting:
            name = waiting.pop()
            if name == "*":
                return set(self.modules)
            needed.add(name)
            if name not in self._found:
                source = self.modules[name].read_text(encoding="utf-8")
                self._found[name] = self._imported(source, name)
            waiting |= self._found[name] - needed
        return needed

    def digest(self, names: Iterable[str]) -> str:
        """Hash the sources of some modules, and the data files beside them."""
        paths = {self.modules[name] for name in names}
        folders = {path.parent for path in paths}
        paths |= {path for path in self.data if path.parent in folders}
        hashed = sha256()
        for path in sorted(paths):
            hashed.update(str(path.name).encode())
            hashed.update(path.read_bytes())
        return hashed.hexdigest()

    def _imported(self, code: str, module: str) -> set[str]:
        """Name the modules that code imports itself; "*" stands for all."""
        try:
            found = set(import_names(ast.parse(code), self._parent(module)))
        except SyntaxError:
            return {"*"}
        ours = {n for n in found if n == self.name or n.startswith(f"{self.name}.")}
        mentions = self.name in code.replace("-", "_")
        if _DYNAMIC.search(code) and (module or mentions):
            return {"*"}
        if self.name in ours or (mentions and not module and not ours):
            return {"*"}
        return set().union(*(self._resolve(name) for name in ours))

    def _resolve(self, name: str) -> set[str]:
        """Find the modules behind a dotted name, which may end in an attribute."""
        parent, _, last = name.rpartition(".")
        if name not in self.modules:
            home = self._exports.get(parent, {}).get(last, parent)
            name = f"{home}.{last}" if f"{home}.{last}" in self.modules else home
        parts = name.split(".")
        above = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
        return (above | self._within(name)) & set(self.modules)

    def _within(self, name: str) -> set[str]:
        """Find what a lazy package may load, if it is taken as a whole."""
        if name == self.name:
            return set()
        exports = self._exports.get(name, {})
        return {*exports.values(), *(f"{name}.{last}" for last in exports)}

    def _parent(self, module: str) -> str:
        path = self.modules.get(module)
        is_package = path is not None and path.name == "__init__.py"
        return module if is_package else module.rpartition(".")[0]


def _module_name(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_names(tree: ast.AST, parent: str) -> Iterator[str]:
    """Yield the dotted name of all that is imported anywhere in a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            # `import a.b` also binds `a`, and with it all that `a` loads lazily.
            yield from (a.name.split(".")[0] for a in node.names if not a.asname)
        elif isinstance(node, ast.ImportFrom):
            up = parent.split(".")[: len(parent.split(".")) - (node.level - 1)]
            base = ".".join([*(up if node.level else []), *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _exports(stub: Path, parent: str) -> dict[str, str]:
    """Read from a lazy package's stub which module each of its names lives in."""
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    return {
        name.rpartition(".")[2]: name.rpartition(".")[0]
        for name in import_names(tree, parent)
    }


@lru_cache(maxsize=4)  # a chapter that is read asks three times
def chapter_code(text: str) -> str:
    """Take the code cells out of a chapter."""
    cells = read_myst_markdown_notebook(text).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "code")


@lru_cache
def library_versions(package: str) -> str:
    """List the installed version of every library that a package requires."""
    try:
        named = [re.split(r"[^\w.-]", r)[0] for r in requires(package) or []]
    except PackageNotFoundError:
        return ""
    return " ".join(f"{name}=={_version(name)}" for name in sorted(set(named)))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def key(chapter: Path, package: Package) -> str:
    """Name the state of everything that a chapter's outputs depend on.

    Parameters
    ----------
    chapter : Path
        Its source.
    package : Package
        The package that it may import.

    Returns
    -------
    str
        Changes when the chapter must be run again, its cells aside.
    """
    code = chapter_code(chapter.read_text(encoding="utf-8"))
    hashed = sha256(package.digest(package.needed_by(code)).encode())
    hashed.update(library_versions(package.name).encode())
    for name, path in files_named(code, chapter.parent).items():
        hashed.update(name.encode() + path.read_bytes())
    return hashed.hexdigest()[:16]


def package_folder(name: str) -> Path:
    """Find the folder of an installed package, without importing it.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{name} is not installed: pip install -e .")
    return Path(spec.origin).parent


class Fresh:
    """What a build runs again, at each of its steps."""

    def prepare(self, app: Sphinx) -> None:
        """Tell the chapters that they are run for the book; look at the package."""
        os.environ.update(RNN_COMPANION_BOOK="1", TQDM_DISABLE="1")
        # The networks are small: one thread is as fast, far faster on a busy machine,
        # and sums in the same order whatever the number of cores.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        self.package = Package(package_folder(app.config.fresh_package))
        self.caches = Path(app.outdir).parent / ".jupyter_cache"
        self.keys: dict[str, str] = {}

    def find_stale(
        self,
        app: Sphinx,
        env: BuildEnvironment,
        added: set[str],
        changed: set[str],
        removed: set[str],
    ) -> list[str]:
        """List all pages, if anything in the package or below it has changed.

        To read a page costs little: its cells run only if its own key has changed.
        """
        package = self.package
        state = package.digest(package.modules) + library_versions(package.name)
        before = env.__dict__.get("fresh_state")
        env.__dict__["fresh_state"] = state
        return sorted(env.found_docs - added - changed) if state != before else []

    def begin(self, app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
        """Begin to run what is to be read and has no outputs yet."""
        self.config: Any = env.mystnb_config  # type: ignore[attr-defined]
        self.mode = self.config.execution_mode
        first = app.config.fresh_first
        docnames = sorted(docnames, key=lambda name: name not in first)
        runs = {name: run for name in docnames if (run := self.run_of(env, name))}
        if self.mode != "cache":
            runs = {}
        stale = {name: run for name, run in runs.items() if not run.is_cached()}
        if stale:
            import matplotlib.font_manager  # noqa: F401 - its first use prints a message

        self.runs = Runs(stale)

    def run_of(self, env: Any, docname: str) -> Run | None:  # noqa: ANN401
        """Read a page as MyST-NB does; none if it has no cells to run."""
        path = Path(env.doc2path(docname))
        text = path.read_text(encoding="utf-8")
        reader = create_nb_reader(str(path), env.myst_config, self.config, text)
        if reader is None:
            return None
        cache, timeout = self.cache_of(env, docname), self.config.execution_timeout
        return Run(reader.read(text), path, cache, timeout)

    def cache_of(self, env: BuildEnvironment, docname: str) -> Path:
        """Find the cache that belongs to a page's key."""
        if docname not in self.keys:
            self.keys[docname] = key(Path(env.doc2path(docname)), self.package)
        return self.caches / docname.replace("/", "-") / self.keys[docname]

    def choose_cache(self, app: Sphinx, docname: str, source: list[str]) -> None:
        """Point one page at its cache, once that is filled."""
        env: Any = app.env
        path = Path(env.doc2path(docname))
        for file in files_named(chapter_code(source[0]), path.parent).values():
            env.note_dependency(str(file))  # when it changes, the page is read again
        self.runs.wait_for(docname)
        env.mystnb_config = self.config.copy(
            execution_cache_path=str(self.cache_of(env, docname)),
            execution_mode="off" if docname in self.runs.failed else self.mode,
        )


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    fresh = Fresh()
    # Pages are millions of small objects, none of them garbage: to look for some at
    # each 700 new ones takes a sixth of a build.
    gc.set_threshold(200_000, 50, 50)
    app.add_config_value("fresh_package", "rnn_companion", "env", str)
    app.add_config_value("fresh_first", [], "", list)
    app.connect("builder-inited", fresh.prepare)
    app.connect("env-get-outdated", fresh.find_stale)
    app.connect("env-before-read-docs", fresh.begin)
    app.connect("source-read", fresh.choose_cache)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
