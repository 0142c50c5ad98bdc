"""What the checker accepts and refuses, on a chapter of the tests' own."""
# ruff: noqa: E501 (an equation stays on its line)

import subprocess
import sys
from pathlib import Path

import pytest

from rnn_companion.equations import (
    EquationError,
    Report,
    Tape,
    check_files,
    check_text,
    load_file,
    problems,
    world,
    worlds,
)
from rnn_companion.equations.latex import scan
from rnn_companion.equations.mutants import caught

BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(BOOK.glob("[0-9]*.md"))
PAGE = str(BOOK / "page.md")  # beside the book's worlds


def page(
    latex: str, world: str = "bptt", options: str = "", label: str = " (eq-it)"
) -> str:
    return f"<!-- eqcheck: world={world} {options} -->\n\n$$\n{latex}\n$${label}\n"


def check(latex: str, world: str = "bptt", options: str = "") -> Report:
    (report,) = check_text(page(latex, world, options), PAGE).reports
    return report


TRUE = {
    "juxtaposition and default range": r"a_t = W_{xh} x_t + W_{hh} h_{t-1} + b_h",
    "aligned, with a continued line": r"\begin{aligned} a_t &= W_{xh} x_t + W_{hh} h_{t-1}"
    r" \\ &\quad + b_h, \\ h_t &= \tanh(a_t), \qquad t = 1, \dots, T. \end{aligned}",
    "a chain of equalities": r"h_t = \tanh(a_t) = \tanh(W_{xh} x_t + W_{hh} h_{t-1} + b_h)",
    "a falling range": r"h_t = \tanh(a_t), \quad t = T, \dots, 1",
    "membership": r"h_t = \tanh(a_t) \quad \text{for } t \in \{1, \dots, T\}",
    "a shifted range": r"h_{t+1} = \tanh(a_{t+1}), \quad 0 \le t < T",
    "blocks": r"a_t = \begin{bmatrix} W_{xh} & W_{hh} \end{bmatrix}"
    r" \begin{bmatrix} x_t \\ h_{t-1} \end{bmatrix} + b_h",
    "an unrolled function": r"h_3 = f(x_3, f(x_2, f(x_1, h_0)))",
    "components": r"\ell_t = \frac{1}{q} \sum_{i=1}^{q} (o_{t,i} - y_{t,i})^2",
    "a norm": r"\ell_t = \frac{1}{q} \lVert o_t - y_t \rVert_2^2",
    "bars for a norm": r"\ell_t = \frac{1}{q} \|o_t - y_t\|^2",
    "a 3-tensor": r"\frac{\mathrm{d} L}{\mathrm{d} W_{hh}} = \frac{1}{T} \sum_{t=1}^{T} "
    r"\frac{\partial \ell_t}{\partial o_t} W_{hq} \frac{\mathrm{d} h_t}{\mathrm{d} W_{hh}}",
    "an empty product": r"\frac{\mathrm{d} h_t}{\mathrm{d} h_k} = \prod_{j=k+1}^{t} "
    r"\frac{\partial h_j}{\partial h_{j-1}}, \quad 0 \le k \le t \le T",
    "a derivative on one line": r"\partial h_t / \partial a_t = \operatorname{diag}(1 - h_t^2)",
    "a derivative as an operator": r"\frac{\partial}{\partial a_t} \tanh(a_t) = "
    r"\operatorname{diag}(1 - \tanh(a_t)^2)",
    "a primed function": r"\tanh'(a_t) = 1 - \tanh^2(a_t)",
    "exponentials": r"\tanh(a_t) = \frac{e^{a_t} - e^{-a_t}}{e^{a_t} + e^{-a_t}}",
    "a zero": r"\frac{\mathrm{d} h_t}{\mathrm{d} x_k} = 0, \quad 0 \le t < k \le T",
    "a row of indices": r"(\nabla_{W_{hh}} L)_{ij} = \sum_{t=1}^{T} (\nabla_{a_t} L)_i h_{t-1,j},"
    r" \quad i, j = 1, \dots, h",
    "an entry of a named matrix": r"\frac{\mathrm{d} L}{\mathrm{d} (W_{hh})_{k,l}} = "
    r"\sum_{t=1}^{T} (\nabla_{a_t} L)_k h_{t-1,l}, \quad k, l = 1, \dots, h",
    "an inequality between neighbours": r"\lVert h_t \rVert_\infty < 1",
}  # fmt: skip

FALSE = {
    # What is false, and a piece of what has to be said about it.
    r"a_t = W_{xh} x_t - W_{hh} h_{t-1} + b_h": "draw 1",
    r"h_t = \tanh(a_t), \quad t = 0, \dots, T": "a_{0} does not exist",
    r"h_t = \tanh(a_t), \quad t = 1, \dots, T + 1": "does not exist",
    r"h_t = \tanh(a_t), \quad t \le T": "state its whole range",
    r"h_t = \tanh(a_t), \quad k = 1, \dots, T": "which is not used",
    r"h_t = \tanh(a_t) \quad W_{hh} = W_{hh}^\top": "W_{hh}^\\top",
    r"W_{hh} h_{t-1} + x_t = a_t": "has shape (4,), `x_t` has (3,)",
    r"W_{xh} h_t = a_t": r"what would fit: `W_{xh}^\top h_t`",
    r"W_{hx} x_t = a_t": "W_{hx} has no meaning here",
    r"h_{T+1} = 0": "its indices run 0 to 5",
    r"\cdots s = 1": "cannot be read",
    r"h_t \approx a_t": r"does not know `\approx`",
    r"h_t = \tanh(a_t^T)": r"a transpose is ^\top",
    r"h_t = \tanh(a_t^{(2)})": "in brackets",
    r"h_t = \tanh(a_t) 1": "a number stands before",
    r"h_t = \tanh(a_t)^12": "has braces: {12}",
    r"h_t = \tanh(a_t \right": r"does not know `\right`",
    r"\frac{\partial h_t}{\mathrm{d} w} = 0": "mixes",
    r"\frac{\partial h_t}{\partial h_{t-2}} = 0, \quad t = 2, \dots, T": "no direct argument",
    r"\frac{\mathrm{d} o_t}{\mathrm{d} h_t} = W_{hq}": r"write \partial",
    r"h_t = h_t": "says nothing about them",
    r"\lVert h_t \rVert^2 = h_t^\top h_t": "identity",
    r"\lVert h_t \rVert \le \sqrt{h}": "never attained",
    r"\ell_t \le \frac{1}{q} \lVert o_t - y_t \rVert^2": "write =",
    r"h_t": "stands alone",
    r"t = 1, \dots, T": "not used",
    r"h_t = \tanh(a_t) \text{ nearly}": "nearly",
    r"h_t = ": "in the middle",
    r"h_t := \tanh(a_t)": "known to the world",
    r"J_t := \frac{\partial h_t}{\partial h_{t-1}}": "no claim uses J",
    r"J_t := J_{t-1} W_{hh}": "not given by the left side",
    r"\mathbb{E}[h_t] = h_t": "not random",
    r"L = \frac{1}{T} \sum_{t=1}^{T} \ell_t + \sum_{t=1}^{0} \ell_t": "always empty",
    r"\ell_t = \frac{1}{q} \sum_i (o_{t,i} - y_{t,i})^2": "the range of i is not stated",
    r"\nabla_{o_t} \ell_t = \frac{2}{q} (o_t - y_t) \quad \text{if } L = L": "without its condition",
    r"\nabla_{h_0} h_1 = 0": "for scalars",
}  # fmt: skip


@pytest.mark.parametrize("name", TRUE)
def test_true(name: str) -> None:
    report = check(
        TRUE[name], "recurrence" if name == "an unrolled function" else "bptt"
    )
    assert report.status == "ok", report.reason
    assert report.draws >= 3


@pytest.mark.parametrize("latex", FALSE)
def test_false(latex: str) -> None:
    report = check(latex)
    assert (report.status, report.label) == ("failed", "eq-it")
    assert FALSE[latex] in report.reason


def test_an_error_names_file_line_label_and_sub_expression() -> None:
    latex = "h_t = \\tanh(\nW_{hh} h_{t-1}\n+ x_t)"
    (report,) = check_text(page(latex), PAGE).reports
    assert str(report).startswith(f"{PAGE}:5: eq-it: failed: `W_{{hh}} h_{{t-1}}` has")


def test_values_come_from_torch_and_not_from_the_text() -> None:
    assert check(r"h_t = \tanh(a_t)").reference == "torch.nn.RNN, torch.tanh"


def test_indices_and_error_are_reported() -> None:
    report = check(r"h_t = \tanh(a_t)")
    assert report.indices == "t = 1 to 6"
    assert 0 <= report.max_error < 1e-9


def test_an_identity_is_marked_as_one() -> None:
    for latex in (
        r"\lVert h_t \rVert^2 = h_t^\top h_t",
        r"\frac{\mathrm{d} L}{\mathrm{d} h_t} = (\nabla_{h_t} L)^\top",
    ):
        assert "says nothing" in check(latex).reason
        assert check(latex, options="identity").status == "ok"
    assert "drop the mark" in check(r"h_t = \tanh(a_t)", options="identity").reason


def test_a_condition_that_matters() -> None:
    claim = r"\nabla_{o_t} \ell_t = \hat{y}_t - y_t"
    assert check(claim, "classes").status == "failed"
    stated = rf"{claim} \quad \text{{if }} \sum_{{k=1}}^{{q}} y_{{t,k}} = 1"
    assert check(stated, "classes").status == "ok"


def test_a_wrong_definition_is_named_with_the_claims_that_rest_on_it() -> None:
    wrong = page(r"J_t := 2 \frac{\partial h_t}{\partial h_{t-1}}")
    use = "$$\n\\frac{\\mathrm{d} h_3}{\\mathrm{d} h_1} = J_3 J_2\n$$ (eq-use)\n"
    assert [r.status for r in check_text(wrong + use, PAGE).reports] == [
        "failed",
        "failed",
    ]
    right = wrong.replace("2 ", "")
    first, second = check_text(right + use, PAGE).reports
    assert first.reference == "the claims in eq-use"
    assert "its definition in eq-it" in second.reference


def test_a_definition_stops_where_its_range_does() -> None:
    text = page(r"J_t := \frac{\partial h_t}{\partial h_{t-1}}, \quad t = 2, \dots, T")
    use = "$$\n\\frac{\\mathrm{d} h_t}{\\mathrm{d} h_{t-1}} = J_t\n$$ (eq-use)\n"
    assert "J is not defined at t=1" in check_text(text + use, PAGE).reports[1].reason


def test_a_range_is_the_whole_range() -> None:
    report = check(r"h_t = \tanh(a_t), \quad t = 2, \dots, T")
    assert "also holds at t=1: state the whole range" in report.reason
    assert (
        check(r"h_t = \tanh(a_t), \quad t = 2, \dots, T", options="part").status == "ok"
    )
    assert check(r"h_2 = \tanh(a_2)").status == "ok"


STRUCTURE = {
    "no label": (page("h_t = a_t", label=""), "has no label"),
    "prose with a label": (page("h_t = a_t", options="prose"), "it is no prose"),
    "two labels": (page(r"h_t = \tanh(a_t)") * 2, "given twice"),
    "no world": ("$$\nh_t = a_t\n$$ (eq-it)", "no world is named"),
    "unknown world": (page("h_t = a_t", "moon"), "no world 'moon'"),
    "unknown option": (page("h_t = a_t", options="lazy"), "but not lazy"),
    "tolerance of anything": (page("h_t = a_t", options="rtol=9"), "rtol=9"),
    "skip without reason": (page("h_t = a_t", options='skip=""'), "skip has the wrong"),
    "unclosed": ("$$\nh_t = a_t", "opens no display"),
    "directive": ("```{math}\n:label: eq-it\nh_t = a_t\n```", "write displays as"),
    "brackets": ("\\[ h_t = a_t \\]", "opens no display"),
    "environment": ("\\begin{align}\nh_t = a_t\n\\end{align}", "opens no display"),
    "after a directive": ("```{note}\nHear.\n```\n" + page("h_t = a_t"), "draw 1"),
    "inside a directive": (f"````{{note}}\n{page('h_t = a_t')}\n````\n", "draw 1"),
    "dangling comment": (
        "<!-- eqcheck: rtol=1e-6 -->\nNo more.",
        "no equation follows",
    ),
}


@pytest.mark.parametrize("name", STRUCTURE)
def test_nothing_slips_through_the_structure_of_a_page(name: str) -> None:
    text, said = STRUCTURE[name]
    reports = check_text(text, PAGE).reports
    assert any(r.status == "failed" and said in r.reason for r in reports), reports


@pytest.mark.parametrize(
    "text",
    [
        "```{code-cell}\nx = '$$'\n```",
        "~~~~\n$$ h = 1 $$\n~~~~",
        "Write `$$ a $$` for a display.",
        "<!-- $$ h = 1 $$ -->",
        "<!-- eqcheck: prose -->\n$$ T B h $$",
        "It costs \\$\\$.",
    ],
)
def test_what_is_no_equation_is_left_alone(text: str) -> None:
    assert check_text(text, PAGE).reports == []


def test_skips_are_counted_and_capped(tmp_path: Path) -> None:
    good = "".join(page(r"h_t = \tanh(a_t)", label=f" (eq-{i})") for i in range(33))
    skipped = page("h_t = a_t", options='skip="no reference"', label=" (eq-no)")
    (tmp_path / "worlds").symlink_to(BOOK / "worlds")
    (tmp_path / "a.md").write_text(good + skipped)
    chapters = check_files([tmp_path / "a.md"])
    assert problems(chapters) == []
    assert chapters[0].reports[-1].reason == "no reference"
    (tmp_path / "b.md").write_text(page(r"h_t = \tanh(a_t)", label=" (eq-b)") + skipped)
    assert "at most 3% may be" in problems(check_files([tmp_path / "b.md"]))[0]


def test_a_label_belongs_to_one_file(tmp_path: Path) -> None:
    (tmp_path / "worlds").symlink_to(BOOK / "worlds")
    for name in "ab":
        (tmp_path / f"{name}.md").write_text(page(r"h_t = \tanh(a_t)"))
    chapters = check_files([tmp_path / "a.md", tmp_path / "b.md"])
    assert {r.reason for c in chapters for r in c.reports} == {
        "this label is given in two files"
    }


def test_a_world_in_ten_lines() -> None:
    @world("leaky", sizes=[{"n": 3, "T": 5}, {"n": 4, "T": 3}])
    def leaky(tape: Tape) -> None:
        n, T = tape.sizes["n"], tape.sizes["T"]
        W = tape.leaf("W", tape.normal(n, n))
        s = tape.leaf("s", tape.normal(n, 1), 0)
        for t in range(1, T + 1):
            x = tape.leaf("x", tape.normal(n, 1), t)
            s = tape.step("s", lambda W, s, x: W @ s + x, (W, s, x), t)

    assert check(r"s_t = W s_{t-1} + x_t", "leaky").status == "ok"
    assert check(r"\frac{\partial s_t}{\partial s_{t-1}} = W", "leaky").status == "ok"
    assert check(r"s_t = s_{t-1} W + x_t", "leaky").status == "failed"


def test_a_world_with_chance_and_bounds() -> None:
    @world("coin", sizes=[{"n": 3}], tight=True)
    def coin(tape: Tape) -> None:
        import torch

        g = tape.leaf("g", tape.normal(3, 1))
        xi = tape.chance([torch.tensor(0.0), torch.tensor(4.0)], [0.75, 0.25])
        tape.put("z", xi * g)
        tape.put("m", torch.ones(3, 1) if tape.tight else g)

    assert check(r"\mathbb{E}[z] = g", "coin").status == "ok"
    assert check(r"\operatorname{Var}[z_1] = 3 g_1^2", "coin").status == "ok"
    assert "is random" in check("z = g", "coin").reason
    assert "not random" in check(r"\mathbb{E}[g] = g", "coin").reason
    bound = (
        r"m^\top m \le \lVert m \rVert \sqrt{3} \max_{1 \le i \le 3} \lvert m_i \rvert"
    )
    assert check(bound, "coin", "identity").status == "ok"
    wide = bound.replace(r"\sqrt{3}", r"\sqrt{4}")
    assert "attained" in check(wide, "coin", "identity").reason


def test_a_broken_world_is_one_clear_error() -> None:
    @world("broken", sizes=[{"n": 3}])
    def broken(tape: Tape) -> None:
        tape.confirm(tape.leaf("x", tape.normal(3, 1)), tape.normal(3, 1), "chance")

    assert "the world broken cannot be drawn" in check("x = x", "broken").reason


@pytest.mark.slow  # `make check` runs them by the command
def test_every_equation_of_the_book_is_there_and_holds() -> None:
    chapters = check_files(CHAPTERS)
    reports = [r for c in chapters for r in c.reports]
    assert [str(r) for r in reports if r.status != "ok"] == []
    found = {f"{Path(r.file).name} {r.label}" for r in reports}
    listed = Path(__file__).with_name("labels.txt").read_text("utf-8").splitlines()
    assert len(found) == len(reports)
    assert {"dropped": {*listed} - found, "added": found - {*listed}} == {
        "dropped": set(),
        "added": set(),
    }


def test_no_accident_of_typing_passes_or_crashes() -> None:
    """Lose any one token of an equation: it is refused, or says the same."""
    latex = (
        r"\frac{\mathrm{d} h_t}{\mathrm{d} h_k} = \prod_{j=k+1}^{t} \operatorname{diag}"
        r"(1 - h_j \odot h_j) W_{hh}, \quad 0 \le k \le t \le T"
    )
    chapter = check_text(page(latex), PAGE)
    (equation,) = chapter.equations.values()
    held = {
        token.value
        for token in scan(latex)
        if not caught(
            chapter, equation, latex[: token.start_pos] + latex[token.end_pos :]
        )
    }
    assert held <= {",", r"\quad"}


def test_the_books_worlds_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "OWN", {})

    @world("bptt", sizes=[{"n": 3}])
    def other(tape: Tape) -> None:
        tape.leaf("x", tape.normal(3, 1))

    assert "the book has a world called bptt already" in check("x = x").reason


LEAKY = """
from rnn_companion.equations import Tape, world
from .numbers import {number}

@world("twin", sizes=[{{"n": 3}}])
def twin(tape: Tape) -> None:
    tape.leaf("x", {number} * tape.normal(3, 1).abs())
    tape.put("y", {number} * tape.values["x", (), ()], source="by hand")
"""


def test_two_books_in_one_process_keep_their_own_worlds(tmp_path: Path) -> None:
    """A world of one name doubles in one book and trebles in the other."""
    for name, number in {"two": 2, "three": 3}.items():
        folder = tmp_path / name / "worlds"
        folder.mkdir(parents=True)
        (folder / "numbers.py").write_text(f"{name} = {number}\n")
        (folder / "twin.py").write_text(LEAKY.format(number=name))
    for name, number in {"two": 2, "three": 3}.items():
        for factor in (2, 3):
            text = page(f"y = {factor} x", "twin")
            (report,) = check_text(text, str(tmp_path / name / "page.md")).reports
            assert (report.status == "ok") == (factor == number), report.reason


def test_one_name_for_two_worlds_of_a_book_is_refused(tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    for name in ("first", "second"):
        text = LEAKY.replace("from .numbers import {number}", "").format(number=1)
        (tmp_path / "worlds" / f"{name}.py").write_text(text)
    (report,) = check_text(page("y = x", "twin"), str(tmp_path / "page.md")).reports
    assert "second.py: there is a world twin already" in report.reason


@pytest.mark.parametrize(
    ("latex", "said"),
    [
        ("", "is empty: there is nothing to check"),
        (r"% nothing but a remark", "is empty: there is nothing to check"),
        ("(" * 3000 + "h_t" + ")" * 3000 + r" = \tanh(a_t)", "nested too deeply"),
        ("h_t" + " + h_t" * 3000 + r" = \tanh(a_t)", "nested too deeply"),
        (r"h_t = \sum_{k=1}^{1000000000} a_t", "runs over 1000000000 indices"),
    ],
    ids=["empty", "a remark", "brackets", "terms", "a long sum"],
)
def test_what_cannot_be_evaluated_is_one_clear_error(latex: str, said: str) -> None:
    report = check(latex)
    assert (report.status, report.label) == ("failed", "eq-it")
    assert said in report.reason


@pytest.mark.parametrize("end", ["SystemExit(0)", "SystemExit(1)", "ValueError(0)"])
def test_worlds_that_stop_the_program_are_one_clear_error(
    tmp_path: Path, end: str
) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "last.py").write_text(f"raise {end}\n")
    (report,) = check_text(page("x = x"), str(tmp_path / "page.md")).reports
    assert f"last.py: {end[:-3]}: " in report.reason
    with pytest.raises(EquationError, match=r"last\.py: "):
        load_file(tmp_path / "worlds" / "last.py")


def test_without_its_libraries_the_checker_says_what_to_install() -> None:
    code = "import sys; sys.modules['lark'] = None; import rnn_companion.equations"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    said = "checking equations needs lark: pip install 'rnn-companion[equations]'"
    assert said in result.stderr.splitlines()[-1]
