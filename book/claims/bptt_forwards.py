"""Claims of chapter 2: forwards, and both ways on one task."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnn_companion.claims import (
    Finding,
    below,
    claim,
    equal,
    every,
    sign_test,
)
from rnn_companion.gradients import bptt

from ._bptt import D, Network, Q, missed, states

# Forwards instead


def forwards(net: Network) -> tuple[Tensor, int]:
    """Carry dh_t/d[W U b] along with the sequence: the gradient, the numbers carried."""
    h, W_and_more = net.U.shape[0], net.W.shape[1] + net.U.shape[0] + 1
    carried, state = net.U.new_zeros(h, h * W_and_more), net.start
    found = net.U.new_zeros(1, h * W_and_more)
    for x, y in zip(net.X, net.Y, strict=True):
        direct = torch.block_diag(*[torch.cat([x, state, x.new_ones(1)])[None]] * h)
        state = torch.tanh(net.W @ x + net.U @ state + net.b)
        carried = (1 - state**2)[:, None] * (direct + net.U @ carried)
        arrives = 2 / net.Y.numel() * (net.V @ state - y) @ net.V
        found = found + arrives[None] @ carried
    return found.view(h, -1), carried.numel()


def resized(units: int, length: int) -> Network:
    """Draw a network of other sizes."""
    g = torch.Generator().manual_seed(units)
    shapes = ((units, D), (units, units), (units,), (Q, units), (length, D))
    rest = ((length, Q), (units,))
    return Network(
        *(torch.randn(s, generator=g, dtype=torch.float64) / 4 for s in shapes + rest)
    )


def both_ways() -> dict[str, np.ndarray]:
    """Go forwards and backwards: multiplications by units, and numbers carried."""
    made, carried, apart = [], [], []
    for units, length in ((16, 5), (32, 5), (16, 20)):
        net = resized(units, length)
        H = torch.stack(states(net))[:, None]
        heads = (2 / net.Y.numel() * (H[1:, 0] @ net.V.T - net.Y) @ net.V)[:, None]
        counts = []
        with FlopCounterMode(display=False) as counter:
            found, numbers = forwards(net)
            counts.append(counter.get_total_flops() / 2 / length)
        with FlopCounterMode(display=False) as counter:
            right = bptt.rnn_backward(heads, net.X[:, None], H, net.W, net.U)
            counts.append(counter.get_total_flops() / 2 / length)
        exact = torch.cat([right.W_xh, right.W_hh, right.b_h[:, None]], 1)
        made.append(counts)
        carried.append(numbers)
        apart.append(missed(found, exact))
    names = ("made", "carried", "apart")
    return dict(zip(names, map(np.array, (made, carried, apart)), strict=True))


@claim(on=both_ways, planted=[lambda m: m | {"made": m["made"][:, ::-1]}])
def bptt_sixteen_times(m: dict[str, np.ndarray]) -> Finding:
    """Doubling the units makes the multiplications of a step about sixteen times as
    many forwards, and about four times as many backwards.
    """
    ran = "16 and 32 units, multiplications that torch counts"
    ahead, back = m["made"][1] / m["made"][0]
    return every(
        below(float(m["apart"].max()), 1e-12, "the two gradients, how far apart"),
        below(abs(ahead / 16 - 1), 0.15, f"{ran}, forwards: off sixteen times by"),
        below(abs(back / 4 - 1), 0.15, f"{ran}, backwards: off four times by"),
    )


@claim(
    on=both_ways,
    planted=[lambda m: m | {"carried": m["carried"] * np.array([1, 1, 4])}],
)
def bptt_carried_the_same(m: dict[str, np.ndarray]) -> Finding:
    r"""With {eq}`eq-bptt-chain` the gradient of each $\ell_t$ is there as soon as the
    step is done, and the past can be forgotten: what is carried does not grow with the
    length of the sequence.
    """
    ran = "16 units, numbers carried after 5 and after 20 steps"
    return every(
        equal(m["carried"][0], m["carried"][2], ran),
        below(float(m["apart"].max()), 1e-12, "its gradient, how far from the other"),
    )


# Both ways on one task


def apart(dtype: torch.dtype, seed: int) -> float:
    """Train with autograd's gradient and ours; how far the losses come apart."""
    curves = []
    for cell in (nn.RNN, bptt.RNN):
        g = torch.Generator().manual_seed(seed)
        module = cell(1, 16).to(dtype)
        for p in module.parameters():
            nn.init.uniform_(p, -0.25, 0.25, generator=g)
        X = torch.randn(7, 32, 1, generator=g).cumsum(0).to(dtype) / 3
        optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
        losses = []
        for _ in range(40):
            L = (module(X)[0].mean(2, keepdim=True)[:-1] - X[1:]).square().mean()
            optimizer.zero_grad()
            L.backward()
            optimizer.step()
            losses.append(float(L.detach()))
        curves.append(np.array(losses))
    return float(np.abs(curves[0] / curves[1] - 1).max())


def by_precision() -> np.ndarray:
    """Train six networks in single and in double precision."""
    return np.array(
        [[apart(d, s) for d in (torch.float32, torch.float64)] for s in range(6)]
    )


@claim(
    on=by_precision,
    planted=[lambda rows: rows[:, ::-1], lambda rows: rows[:, :1] + 0 * rows],
)
def bptt_rounding(rows: np.ndarray) -> Finding:
    """In double precision the two agree far better, so the difference is rounding and
    no error of the formulas.
    """
    ran = "six networks of 16 units, Adam, 40 steps: how far the losses come apart"
    single, double = rows.T
    return every(
        below(double.max(), 1e-8, f"{ran}, double precision"),
        sign_test(np.log10(single / double) - 3, f"{ran}; powers of ten beyond three"),
    )
