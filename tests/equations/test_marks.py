"""The mark beside each equation, and the build that fails."""

import subprocess
import sys
from pathlib import Path

import pytest

BOOK = Path(__file__).parents[2] / "book"
CONF = f"""
import sys
sys.path.insert(0, {str(BOOK / "_ext")!r})
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
MORE = r"""
$$
h_t = -\tanh(a_t)
$$ (eq-false)

<!-- eqcheck: skip="no reference yet" -->

$$
h_t = 1
$$ (eq-skipped)
"""


def build(folder: Path, page: str, builder: str) -> subprocess.CompletedProcess[str]:
    (folder / "conf.py").write_text(CONF)
    (folder / "index.md").write_text(page)
    if not (folder / "worlds").exists():
        (folder / "worlds").symlink_to(BOOK / "worlds")
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


def mark(html: str, number: int) -> str:
    """Cut out the mark of one equation."""
    begin = html.rindex("<details", 0, html.index(f'aria-label="Equation ({number}) '))
    return html[begin : html.index("</details>", begin)]


@pytest.mark.slow
def test_marks_in_html_and_a_failed_build(tmp_path: Path) -> None:
    result = build(tmp_path, PAGE + MORE, "html")
    assert result.returncode != 0
    assert "index.md:12: WARNING: eq-false: at t=1, draw 1" in result.stderr
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    checked = mark(html, 1)
    assert checked.startswith('<details class="equation-mark ok"><summary aria-label=')
    for said in ("torch.nn.RNN", "<dd>3</dd>", "t = 1 to 6", "largest error"):
        assert said in checked
    assert "no reference yet" in mark(html, 3)
    assert "is wrong" in mark(html, 2)
    assert html.count("<details") == 3


@pytest.mark.slow
def test_an_edited_sentence_keeps_the_marks_and_an_edited_equation_does_not(
    tmp_path: Path,
) -> None:
    """Marks are kept from build to build for as long as the equations stay."""
    assert build(tmp_path, PAGE, "html").returncode == 0
    (kept,) = (tmp_path / "out" / ".doctrees" / "equations").iterdir()
    kept.write_text(kept.read_text().replace("<dd>3</dd>", "<dd>kept</dd>"))
    sentence = PAGE.replace("See {eq}", "Look at {eq}")
    assert build(tmp_path, sentence, "html").returncode == 0
    html = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert "<dd>kept</dd>" in mark(html, 1)
    wrong = sentence.replace(r"\tanh(a_t)", r"\tanh(-a_t)")
    assert "eq-tanh" in build(tmp_path, wrong, "html").stderr
    assert build(tmp_path, sentence, "html").returncode == 0


@pytest.mark.slow
def test_no_trace_of_it_in_latex(tmp_path: Path) -> None:
    result = build(tmp_path, PAGE, "latex")
    assert result.returncode == 0, result.stderr
    tex = (tmp_path / "out" / "notes.tex").read_text("utf-8")
    assert r"\tanh" in tex
    assert "equation-mark" not in tex
    assert "✓" not in tex
