"""Kernels that are forked do what kernels do, with the libraries already there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).parents[2] / "book" / "_ext"
SCRIPT = """
import json, sys
import nbformat
from jupyter_cache.executors.utils import single_nb_execution
from nbclient.exceptions import DeadKernelError
import kernels

if __name__ == "__main__":  # the forked process reads this file, too
    kernels.preload(["sched"])
    cells = [nbformat.v4.new_code_cell(code) for code in json.loads(sys.argv[2])]
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    how = {"kernel_manager_class": kernels.manager()}
    try:
        run = single_nb_execution(notebook, sys.argv[1], 60, False, **how)
    except DeadKernelError as error:
        print(json.dumps([type(error).__name__, [], str(error)]))
        sys.exit()
    outputs = [c.outputs for c in cells]
    said = [[o.get("text") or [*o.get("data", ())] for o in out] for out in outputs]
    print(json.dumps([type(run.err).__name__, said, run.exc_string]))
"""


def ran(folder: Path, *cells: str) -> tuple[str, list[list[object]], str]:
    script, book = folder / "script.py", folder / "book"
    script.write_text(SCRIPT)
    book.mkdir()
    (book / "beside.py").write_text("VALUE = 3\n")
    done = subprocess.run(
        [sys.executable, script, book, json.dumps(cells)],
        env={"PYTHONPATH": str(EXTENSIONS), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    error, said, trace = json.loads(done.stdout.splitlines()[-1])
    return error, said, trace


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux")
def test_a_forked_kernel_runs_a_notebook_in_its_folder(tmp_path: Path) -> None:
    error, said, _ = ran(
        tmp_path,
        "import sys; print('sched' in sys.modules, __name__)",
        "from pathlib import Path; print(Path.cwd().name)",
        "import beside; print(beside.VALUE)",
        "import matplotlib.pyplot as plt; plt.plot([1, 2]);",
    )
    assert error == "NoneType"
    assert said[:3] == [["True __main__\n"], ["book\n"], ["3\n"]]
    assert "image/png" in said[3][0]  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "expected", "said"),
    [
        ("1 / 0", "CellExecutionError", "ZeroDivisionError"),
        ("import os; os._exit(3)", "DeadKernelError", "died"),
    ],
)
def test_a_cell_that_fails_or_ends_its_kernel_fails_the_run(
    tmp_path: Path, cell: str, expected: str, said: str
) -> None:
    error, _, trace = ran(tmp_path, cell)
    assert error == expected
    assert said in trace
