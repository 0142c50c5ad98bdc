"""The command rnn-companion."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from rnn_companion.cli import main

BOOK = Path(__file__).parents[1] / "book"
GOOD = "<!-- eqcheck: world=bptt -->\n\n$$\nh_t = \\tanh(a_t)\n$$ (eq-good)\n"
BAD = GOOD.replace("tanh(a_t)", "tanh(2 a_t)").replace("eq-good", "eq-bad")
WORLD = """
from rnn_companion.equations import Tape, world

@world("undriven", sizes=[{"n": 3, "T": 5}, {"n": 4, "T": 3}])
def leaky(tape: Tape) -> None:
    n, T = tape.sizes["n"], tape.sizes["T"]
    W = tape.leaf("W", tape.normal(n, n))
    s = tape.leaf("s", tape.normal(n, 1), 0)
    for t in range(1, T + 1):
        s = tape.step("s", lambda W, s: W @ s, (W, s), t)
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    (tmp_path / "good.md").write_text(GOOD)
    (tmp_path / "bad.md").write_text(BAD)
    (tmp_path / "worlds").symlink_to(BOOK / "worlds")
    return tmp_path


def test_what_holds_exits_with_zero(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["equations", str(notes / "good.md")]) == 0
    out = capsys.readouterr().out.splitlines()
    assert len(out) == 1
    assert "good.md:3: eq-good: ok, torch.nn.RNN, torch.tanh; 3 draws" in out[0]


def test_what_does_not_names_file_line_and_label(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["equations", str(notes / "good.md"), str(notes / "bad.md")]) == 1
    assert f"{notes / 'bad.md'}:4: eq-bad: failed" in capsys.readouterr().out


def test_json(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equations", "--json", str(notes / "bad.md")]) == 1
    (report,) = json.loads(capsys.readouterr().out)
    assert set(report) == {
        *("file", "label", "line", "status"),
        *("reference", "draws", "max_error", "reason"),
    }
    assert (report["label"], report["status"]) == ("eq-bad", "failed")


def test_a_skip_over_the_cap_is_no_success(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    skip = GOOD.replace("world=bptt", 'world=bptt skip="later"')
    (notes / "skip.md").write_text(skip)
    assert main(["equations", str(notes / "skip.md")]) == 1
    assert "1 of 1 equations are skipped" in capsys.readouterr().err


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equations", "nowhere/notes.md"]) == 2
    assert "nowhere/notes.md: No such file" in capsys.readouterr().err


def test_a_file_that_is_no_text(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (notes / "image.md").write_bytes(b"\xff\xfe\x00")
    assert main(["equations", str(notes / "image.md")]) == 1
    assert "not text in UTF-8" in capsys.readouterr().out


def test_a_world_of_ones_own(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (notes / "worlds.py").write_text(WORLD)
    text = GOOD.replace("bptt", "undriven").replace(
        r"h_t = \tanh(a_t)", "s_t = W s_{t-1}"
    )
    (notes / "mine.md").write_text(text)
    arguments = [
        "equations",
        "--worlds",
        str(notes / "worlds.py"),
        str(notes / "mine.md"),
    ]
    assert main(arguments) == 0
    (notes / "worlds.py").write_text("import nothing_of_this_name")
    assert main(arguments) == 2
    assert "worlds.py: ModuleNotFoundError" in capsys.readouterr().err
    (notes / "worlds.py").write_text("raise SystemExit(0)")
    assert main(arguments) == 2
    assert "worlds.py: SystemExit: 0" in capsys.readouterr().err


def test_a_chapters_worlds_named_by_hand(
    notes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file of the book's worlds runs by itself, its relative imports too."""
    (notes / "worlds").unlink()
    bptt = str(BOOK / "worlds" / "bptt.py")
    assert main(["equations", "--worlds", bptt, str(notes / "good.md")]) == 0
    assert "eq-good: ok, torch.nn.RNN" in capsys.readouterr().out


def test_mutants_are_counted(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equations", "--mutants", str(notes / "good.md")]) == 0
    assert "good.md: " in capsys.readouterr().out.splitlines()[-2]


def test_no_subcommand_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.slow
def test_a_reader_that_ends_early_gets_no_complaint(notes: Path) -> None:
    """As `head` does: 141 is what a shell says of a program so stopped."""
    program = "from rnn_companion.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", program, "equations", str(notes / "good.md")]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_it_says_its_version_as_the_package_and_the_changelog_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    said = capsys.readouterr().out.strip()
    assert said == metadata.version("rnn-companion")
    changes = (BOOK.parent / "CHANGELOG.md").read_text("utf-8")
    assert f"\n## {said}" in changes
