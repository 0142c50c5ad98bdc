"""Checks of chapter 2: backpropagation through time."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes


def _head_case(T: int, B: int, q: int, h: int) -> tuple[Tensor, ...]:
    O, H, W_hq = draw((T, B, q), (T, B, h), (q, h), seed=T)
    classes = torch.arange(T * B).reshape(T, B) % q
    Y = torch.nn.functional.one_hot(classes, q).to(O.dtype)
    return O, Y, H, W_hq


def _from_scores(G: Tensor, H: Tensor, W_hq: Tensor) -> tuple[Tensor, ...]:
    return (G.mT @ H).sum(0), G.sum((0, 1)), G @ W_hq


def _head_with(scores: Function) -> Function:
    return lambda O, Y, H, W_hq: _from_scores(scores(O, Y), H, W_hq)


_head_gradients = _head_with(lambda O, Y: (O.softmax(-1) - Y) / (len(O) * O.shape[1]))

_HEAD_GRADIENTS = mistakes(
    "the mean over steps and samples is missing: divide by T times B",
    _head_with(lambda O, Y: O.softmax(-1) - Y),
    "the mean over the steps is missing: divide by T as well",
    _head_with(lambda O, Y: (O.softmax(-1) - Y) / O.shape[1]),
    "the mean over the samples is missing: divide by B as well",
    _head_with(lambda O, Y: (O.softmax(-1) - Y) / len(O)),
    "it is divided by q as well; cross-entropy sums over the classes",
    _head_with(lambda O, Y: (O.softmax(-1) - Y) / O.numel()),
    "softmax is missing: the gradient is softmax(O) - Y, not O - Y",
    _head_with(lambda O, Y: (O - Y) / (len(O) * O.shape[1])),
    "the sign is turned round: the gradient is softmax(O) - Y",
    _head_with(lambda O, Y: (Y - O.softmax(-1)) / (len(O) * O.shape[1])),
    "softmax runs over the samples; it runs over the classes, the last index",
    _head_with(lambda O, Y: (O.softmax(1) - Y) / (len(O) * O.shape[1])),
    "softmax runs over the steps; it runs over the classes, the last index",
    _head_with(lambda O, Y: (O.softmax(0) - Y) / (len(O) * O.shape[1])),
    "the gradient of W_hq is transposed: its rows belong to the outputs",
    lambda *a: (_head_gradients(*a)[0].T, *_head_gradients(*a)[1:]),
    "W_hq is transposed on the way to the states: the product is with W_hq",
    lambda O, Y, H, W: (
        *_head_gradients(O, Y, H, W)[:2],
        _head_gradients(O, Y, H, W.T)[2],
    ),
)


@compared_with(_head_gradients, _HEAD_GRADIENTS)
def head_gradients() -> Cases:
    """Check ``head_gradients(O, Y, H, W_hq)``: softmax and cross-entropy, averaged.

    Takes scores and one-hot targets (T, B, q), states (T, B, h) and weights
    (q, h); returns the gradients of W_hq (q, h) and b_q (q,), and what arrives
    at the states (T, B, h).
    """
    return [_head_case(6, 5, 3, 4), _head_case(1, 2, 3, 2), _head_case(4, 4, 4, 4)]


def _delta_case(T: int, B: int, h: int) -> tuple[Tensor, ...]:
    G, A, W_hh = draw((T, B, h), (T + 1, B, h), (h, h), seed=T)
    return G, torch.tanh(A), W_hh


def _backwards(
    slope: Callable[[Tensor, int], Tensor] = lambda H, t: 1 - H[t] ** 2,
    back: Callable[[Tensor, Tensor], Tensor] = lambda D, W: D @ W,
    outside: bool = False,
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Make the backward recursion, right or wrong as its parts are."""

    def run(G: Tensor, H: Tensor, W_hh: Tensor) -> Tensor:
        Delta = [G[-1] * slope(H, len(G))]
        for t in range(len(G) - 1, 0, -1):
            arriving = back(Delta[0], W_hh)
            if outside:
                Delta.insert(0, G[t - 1] * slope(H, t) + arriving)
            else:
                Delta.insert(0, (G[t - 1] + arriving) * slope(H, t))
        return torch.stack(Delta)

    return run


_deltas = _backwards()


_DELTAS = mistakes(
    "the gradient lacks the factor 1 - h_t^2",
    _backwards(lambda H, t: 1 + 0 * H[t]),
    "the slope belongs to the wrong step: Delta_t takes 1 - h_t^2, "
    "and this takes that of step t + 1",
    _backwards(lambda H, t: 1 - H[min(t + 1, len(H) - 1)] ** 2),
    "the slope belongs to the wrong step: Delta_t takes 1 - h_t^2, "
    "and this takes that of step t - 1",
    _backwards(lambda H, t: 1 - H[t - 1] ** 2),
    "the slope is 1 - h_t; it is 1 - h_t^2",
    _backwards(lambda H, t: 1 - H[t]),
    "the slope is that of the sigmoid, h_t (1 - h_t); tanh has 1 - h_t^2",
    _backwards(lambda H, t: H[t] * (1 - H[t])),
    "tanh is applied to the state again: h_t is tanh(a_t) already",
    _backwards(lambda H, t: 1 - torch.tanh(H[t]) ** 2),
    "W_hh is transposed: for a batch in rows the product is Delta @ W_hh",
    _backwards(back=lambda D, W: D @ W.T),
    "nothing comes back from the later steps: Delta_{t+1} @ W_hh is missing",
    _backwards(back=lambda D, W: 0 * D),
    "the factor 1 - h_t^2 must take the whole sum, the later steps' share included",
    _backwards(outside=True),
    "Delta comes in the order of the computation, last step first; turn it round",
    lambda *a: _deltas(*a).flip(0),
)


@compared_with(_deltas, _DELTAS)
def deltas() -> Cases:
    """Check ``deltas(G, H, W_hh)``: the gradients at the pre-activations.

    Takes what arrives from the outputs, G (T, B, h), states H_0 to H_T
    (T+1, B, h) and weights (h, h); returns Delta_1 to Delta_T, (T, B, h).
    """
    return [_delta_case(6, 5, 4), _delta_case(2, 1, 3), _delta_case(4, 4, 4)]


def _by_lag(G: Tensor, H: Tensor, W_hh: Tensor, at: int = 0) -> Tensor:
    slope = 1 - H[1:] ** 2
    arriving, shares = G * slope, []
    for k in range(len(G)):
        uses = len(G) - k
        shares.append((arriving.mT @ H[at : at + uses]).sum(0))
        arriving = (arriving[1:] @ W_hh) * slope[: uses - 1]
    return torch.stack(shares)


_GRADIENT_BY_LAG = mistakes(
    "the lags are in the wrong order: entry 0 is the direct use, t = i",
    lambda *a: _by_lag(*a).flip(0),
    "this is the sum up to each lag; give each lag's own share",
    lambda *a: _by_lag(*a).cumsum(0),
    "W_hh multiplies h_{t-1}, not h_t: the states are one step late",
    lambda G, H, W: _by_lag(G, H, W, at=1),
    "each share is transposed: a gradient has the shape of W_hh, rows for units",
    lambda *a: _by_lag(*a).mT,
    "W_hh is transposed on the way back: the product is with W_hh",
    lambda G, H, W: _by_lag(G, H, W.T),
    "the shares are sorted by the use i of the weights, not by the lag t - i",
    lambda G, H, W: _deltas(G, H, W).mT @ H[:-1],
)


@compared_with(_by_lag, _GRADIENT_BY_LAG)
def gradient_by_lag() -> Cases:
    """Check ``gradient_by_lag(G, H, W_hh)``: the gradient of W_hh, lag by lag.

    Takes what `deltas` takes; returns (T, h, h), whose entry k is the share of
    all paths from a loss of step t to the use of the weights k steps before.
    """
    return [_delta_case(5, 3, 4), _delta_case(2, 1, 3), _delta_case(4, 4, 4)]
