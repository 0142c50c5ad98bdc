"""Records of one version of the results are what the code gives today.

A change of names passes; a change of numbers does not.
"""

import pytest

from rnn_companion.forecasting.records import RESULTS
from tests.forecasting.small_runs import (
    COMMAND,
    KINDS,
    WHAT_TO_DO,
    differences,
    numbers,
    read,
    runs,
)

pytestmark = pytest.mark.slow  # seconds each; `make check` leaves them out


def test_the_stored_numbers_are_of_this_version_and_of_these_runs() -> None:
    stored = read()
    names = [(kind, name) for kind in KINDS for name in stored[kind]]
    advice = f"the stored numbers are of other runs: write them anew by `{COMMAND}`"
    assert stored["versions"] == RESULTS, advice
    assert names == runs(), advice


@pytest.mark.parametrize(("kind", "name"), runs())
def test_a_small_run_gives_the_stored_numbers(kind: str, name: str) -> None:
    stored = read()[kind].get(name, {})
    differing = differences(kind, name, numbers(kind, name), stored)
    assert not differing, "\n".join([*differing, WHAT_TO_DO.format(kind=kind)])
