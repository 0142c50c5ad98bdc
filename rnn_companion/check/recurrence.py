"""Checks of chapter 1: recurrence."""

import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes


def _step_case(B: int, d: int, h: int) -> tuple[Tensor, ...]:
    return draw((B, d), (B, h), (h, d), (h, h), (h,), seed=B)


_RNN_STEP = mistakes(
    "W_hh is transposed: for a batch in rows the product is H @ W_hh.T",
    lambda X, H, W, U, b: torch.tanh(X @ W.T + H @ U + b),
    "W_xh is transposed: for a batch in rows the product is X_t @ W_xh.T",
    lambda X, H, W, U, b: torch.tanh(X @ W + H @ U.T + b),
    "both matrices are transposed: the products are X_t @ W_xh.T and H @ W_hh.T",
    lambda X, H, W, U, b: torch.tanh(X @ W + H @ U + b),
    "the bias is missing",
    lambda X, H, W, U, b: torch.tanh(X @ W.T + H @ U.T),
    "the bias stands outside tanh",
    lambda X, H, W, U, b: torch.tanh(X @ W.T + H @ U.T) + b,
    "the old state is missing",
    lambda X, H, W, U, b: torch.tanh(X @ W.T + b),
    "tanh is missing: this is the pre-activation",
    lambda X, H, W, U, b: X @ W.T + H @ U.T + b,
    "tanh must take the whole sum, the old state's share and the bias included",
    lambda X, H, W, U, b: torch.tanh(X @ W.T) + H @ U.T + b,
    "the bias goes into tanh, but the old state's share stays outside it",
    lambda X, H, W, U, b: torch.tanh(X @ W.T + b) + H @ U.T,
    "the activation is the sigmoid, not tanh",
    lambda X, H, W, U, b: torch.sigmoid(X @ W.T + H @ U.T + b),
    "the activation is ReLU, not tanh",
    lambda X, H, W, U, b: torch.relu(X @ W.T + H @ U.T + b),
)


def _rnn_case(T: int, B: int, d: int, h: int) -> tuple[Tensor, ...]:
    return draw((T, B, d), (B, h), (h, d), (h, h), (h,), seed=T)


@compared_with(networks.rnn_step, _RNN_STEP)
def rnn_step() -> Cases:
    """Check ``rnn_step(X_t, H, W_xh, W_hh, b_h)``: one step, for a batch in rows.

    Returns the new states, (B, h); `networks.rnn_step` is the book's own.
    """
    return [_step_case(5, 3, 4), _step_case(1, 2, 6), _step_case(3, 3, 3)]


def _with_step(step: Function) -> Function:
    """Run a wrong step over a sequence."""

    def run(X: Tensor, H_0: Tensor, *weights: Tensor) -> Tensor:
        states, H = [], H_0
        for X_t in X:
            H = step(X_t, H, *weights)
            states.append(H)
        return torch.stack(states)

    return run


_RNN = mistakes(
    "only the last state is returned; give all T of them",
    lambda X, *rest: networks.rnn(X, *rest)[-1],
    "the states come with the batch first; time goes first",
    lambda X, *rest: networks.rnn(X, *rest).transpose(0, 1),
    "the initial state H_0 is not used",
    lambda X, H_0, *rest: networks.rnn(X, torch.zeros_like(H_0), *rest),
    "the state is not carried on: every step starts from H_0",
    lambda X, H_0, *rest: torch.stack([networks.rnn_step(x, H_0, *rest) for x in X]),
    "the states are one step late: H_0 is in the result, the last state is not",
    lambda X, H_0, *rest: torch.cat([H_0[None], networks.rnn(X, H_0, *rest)[:-1]]),
    "H_0 is in the result: there are T states to return, H_1 to H_T",
    lambda X, H_0, *rest: torch.cat([H_0[None], networks.rnn(X, H_0, *rest)]),
    "the sequence is read from its end",
    lambda X, H_0, *rest: networks.rnn(X.flip(0), H_0, *rest),
) | {diagnosis: _with_step(step) for diagnosis, step in _RNN_STEP.items()}


@compared_with(networks.rnn, _RNN)
def rnn() -> Cases:
    """Check ``rnn(X, H_0, W_xh, W_hh, b_h)``: a whole sequence, time first.

    Returns the states of all steps, (T, B, h); `networks.rnn` is the book's own.
    """
    return [_rnn_case(6, 5, 3, 4), _rnn_case(1, 2, 3, 2), _rnn_case(4, 4, 4, 4)]


def _mse(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b) ** 2).mean()


def _skill(forecast: Tensor, closes: Tensor) -> float:
    ratio = _mse(forecast, closes[1:]) / _mse(closes[:-1], closes[1:])
    return (1 - ratio).item()


_SKILL = mistakes(
    "this is the ratio of the errors; skill is one minus it",
    lambda f, p: _mse(f, p[1:]) / _mse(p[:-1], p[1:]),
    "the sign is turned round: better than persistence must be above zero",
    lambda f, p: _mse(f, p[1:]) / _mse(p[:-1], p[1:]) - 1,
    "the ratio is upside down: persistence's error is the denominator",
    lambda f, p: 1 - _mse(p[:-1], p[1:]) / _mse(f, p[1:]),
    "the forecast is held against today, not against the day it is for",
    lambda f, p: 1 - _mse(f, p[:-1]) / _mse(p[:-1], p[1:]),
    "the errors are absolute; skill is made of squared ones",
    lambda f, p: 1 - (f - p[1:]).abs().mean() / (p[:-1] - p[1:]).abs().mean(),
    "the errors are root mean squares; take no root",
    lambda f, p: 1 - (_mse(f, p[1:]) / _mse(p[:-1], p[1:])).sqrt(),
    "the forecast is compared with the mean of the closes, not with persistence",
    lambda f, p: 1 - _mse(f, p[1:]) / _mse(p[1:].mean(), p[1:]),
)


@compared_with(_skill, _SKILL)
def skill() -> Cases:
    """Check ``skill(forecast, closes)``: the share of persistence's error avoided.

    Takes forecasts of the closes of days 2 to N, (N-1,), and all closes, (N,);
    returns a number.
    """
    return [draw((n - 1,), (n,), seed=n) for n in (9, 30)]
