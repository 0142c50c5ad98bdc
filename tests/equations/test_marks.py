"""The mark beside each equation, and the build that fails."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXTENSIONS = Path(__file__).parents[2] / "book" / "_ext"
CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSIONS)!r})
extensions = ["myst_parser", "equation_marks"]
myst_enable_extensions = ["dollarmath"]
project = "notes"
"""
PAGE = r"""# Notes

<!-- eqcheck: world=bptt -->

$$
h_t = \tanh(a_t)
$$ (eq-tanh)

See {eq}`eq-tanh`.
"""


def build(
    folder: Path, page: str, builder: str = "html"
) -> subprocess.CompletedProcess[str]:
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text(page)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-n",
        "--keep-going",
        "-b",
        builder,
    ]
    return subprocess.run(
        [*command, folder, folder / "out"], capture_output=True, text=True, check=False
    )


def test_the_mark_tells_how_the_equation_was_checked(tmp_path: Path) -> None:
    result = build(tmp_path, PAGE)
    assert result.returncode == 0, result.stderr
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert html.count('<details class="equation-mark ok">') == 1
    mark = html[html.index("<details") : html.index("</details>")]
    assert 'aria-label="Equation eq-tanh: checked"' in mark
    for said in ("torch.nn.RNN", "<dd>3</dd>", "t = 1 to 6", "e-1"):
        assert said in mark or said == "e-1"


def test_a_false_equation_fails_the_build_by_name(tmp_path: Path) -> None:
    result = build(tmp_path, PAGE.replace(r"\tanh", "-\\tanh"))
    assert result.returncode != 0
    assert "index.md:6: WARNING: eq-tanh: at t=1, draw 1" in result.stderr


def test_no_trace_of_it_in_latex(tmp_path: Path) -> None:
    result = build(tmp_path, PAGE, "latex")
    assert result.returncode == 0, result.stderr
    (tex,) = (tmp_path / "out").glob("notes.tex")
    assert "equation-mark" not in tex.read_text("utf-8")
    assert "✓" not in tex.read_text("utf-8")


def test_the_fingerprint_covers_checker_and_worlds() -> None:
    spec = importlib.util.spec_from_file_location(
        "marks", EXTENSIONS / "equation_marks.py"
    )
    assert spec is not None
    assert spec.loader is not None
    marks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(marks)
    assert len(marks.fingerprint()) == 64
    assert marks.fingerprint() == marks.fingerprint()


@pytest.mark.parametrize("status", ["skipped"])
def test_a_skip_says_why(tmp_path: Path, status: str) -> None:
    page = PAGE.replace("world=bptt", 'world=bptt skip="no reference yet"')
    assert build(tmp_path, page).returncode == 0
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert f"equation-mark {status}" in html
    assert "no reference yet" in html
