"""What the README tells a reader to run, runs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rnn_companion.cli import main

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_judge_in_python(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (code,) = [block for block in blocks if "judge" in block]
    exec(code, {})
    said = capsys.readouterr().out
    assert "lies nearer to the truth of the day before than to its own" in said
    assert not said.startswith(("Better", "Suspected"))


@pytest.mark.slow
def test_the_judge_as_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (line,) = re.findall(r"`rnn-companion (judge .*?)`", README)
    close = np.random.default_rng(0).normal(size=101).cumsum()
    days = pd.bdate_range("2015-01-01", periods=100)
    table = pd.DataFrame({"date": days, "truth": close[1:], "mine": close[:-1]})
    monkeypatch.chdir(tmp_path)
    table.to_csv("forecasts.csv", index=False)
    assert main(line.split()) == 1
    assert "mine" in Path("verdict.html").read_text(encoding="utf-8")
