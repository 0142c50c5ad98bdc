"""The sandbox starts wherever the environment lies, /tmp not excepted."""

import pytest

from rnn_companion.homework.sandbox import _scratch


@pytest.mark.parametrize(
    ("needed", "scratch"),
    [
        (["/usr", "/home/ada/book/.venv"], "/tmp"),
        (["/usr", "/tmp/book/.venv"], "/scratch"),
        (["/tmpfiles/.venv"], "/tmp"),
    ],
)
def test_scratch_never_hides_what_the_kernel_needs(
    needed: list[str], scratch: str
) -> None:
    assert _scratch(needed) == scratch
