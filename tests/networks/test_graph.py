"""The drawn graph has the arrows of eq-rnn, eq-output and eq-loss, and no others."""

import pytest

from rnn_companion.networks.graph import direct_dependences, roll


@pytest.mark.parametrize("T", [1, 3, 6])
def test_each_quantity_reads_what_its_equation_says(T: int) -> None:
    parents = direct_dependences(T)
    for t in range(1, T + 1):
        hidden = {("W_xh", None), ("W_hh", None), ("b_h", None), ("h", t - 1), ("x", t)}
        assert set(parents["h", t]) == hidden
        assert set(parents["o", t]) == {("W_hq", None), ("b_q", None), ("h", t)}
        assert set(parents["ℓ", t]) == {("o", t), ("y", t)}
    assert set(parents["L", None]) == {("ℓ", t) for t in range(1, T + 1)}
    assert len(parents) == 3 * T + 1


def test_rolled_up_only_the_recurrent_arrow_is_late() -> None:
    edges = roll(direct_dependences(4))
    assert {edge for edge in edges if edge[2]} == {("h", "h", 1)}
    now = {("x", "h"), ("h", "o"), ("o", "ℓ"), ("y", "ℓ")}
    assert {edge[:2] for edge in edges if not edge[2]} == now


def test_a_network_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one time step, got T=0"):
        direct_dependences(0)
