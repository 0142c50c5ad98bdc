"""Checks of the project *A network by hand*: all of it, without autograd."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnn_companion import networks
from rnn_companion.check.examine import Cases, Function, compared_with, draw, mistakes
from rnn_companion.check.recurrence import _RNN_STEP, _with_step

Gradients = tuple[Tensor, ...]


def _weights(d: int, h: int, q: int, seed: int) -> tuple[Tensor, ...]:
    shapes = ((h, d), (h, h), (h,), (q, h), (q,))
    return tuple(0.7 * w for w in draw(*shapes, seed=seed))


def _head(H: Tensor, W_hq: Tensor, b_q: Tensor) -> tuple[Tensor, Tensor]:
    return H, H[1:] @ W_hq.T + b_q


def _forward_with(states: Function = networks.rnn) -> Function:
    """Make the forward pass; its states may be mistaken."""

    def run(X: Tensor, *p: Tensor) -> tuple[Tensor, Tensor]:
        H_0 = X.new_zeros(X.shape[1], len(p[2]))
        return _head(torch.cat([H_0[None], states(X, H_0, *p[:3])]), *p[3:])

    return run


_forward = _forward_with()


def _forward_case(T: int, B: int, d: int, h: int, q: int) -> tuple[Tensor, ...]:
    return draw((T, B, d), seed=T) + _weights(d, h, q, seed=T)


_FORWARD = mistakes(
    "H lacks H_0: there are T + 1 states, and the first is zero",
    lambda *a: (_forward(*a)[0][1:], _forward(*a)[1]),
    "O_t is read from H_{t-1}; it is read from H_t",
    lambda *a: (_forward(*a)[0], _head(_forward(*a)[0].roll(1, 0), *a[4:])[1]),
    "there is an output for H_0 too; the first is that of step 1",
    lambda *a: (
        _forward(*a)[0],
        torch.cat([a[5].expand(1, a[0].shape[1], -1), _forward(*a)[1]]),
    ),
    "the bias of the head is missing",
    lambda *a: (_forward(*a)[0], _forward(*a)[1] - a[5]),
    "the outputs go through tanh; the head is linear",
    lambda *a: (_forward(*a)[0], _forward(*a)[1].tanh()),
    "W_hq is transposed: for a batch in rows the product is H_t @ W_hq.T",
    lambda X, *p: _head(_forward(X, *p)[0], p[3].T, p[4]),
    "the states are not carried on: every step starts from zero",
    _forward_with(
        lambda X, H, *w: torch.stack([networks.rnn_step(x, H, *w) for x in X])
    ),
) | {
    said: _forward_with(_with_step(step))
    for said, step in _RNN_STEP.items()
    if said != "the old state is missing"  # as above, since H_0 is zero
}


@compared_with(_forward, _FORWARD)
def forward() -> Cases:
    """Check ``forward(X, W_xh, W_hh, b_h, W_hq, b_q)``: states and outputs.

    Takes inputs (T, B, d) and the five parameters; returns the states H_0 = 0 to
    H_T, (T+1, B, h), and the outputs of steps 1 to T, (T, B, q).
    """
    return [
        _forward_case(*sizes)
        for sizes in ((5, 4, 2, 3, 6), (1, 2, 3, 2, 1), (3, 3, 3, 3, 3))
    ]


def _loss(O: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
    return ((O - Y) ** 2).mean(), 2 * (O - Y) / O.numel()


def _off(value: float, gradient: Callable[[Tensor], float]) -> Function:
    """Multiply the loss and its gradient by what they are wrong by."""

    def run(O: Tensor, Y: Tensor) -> tuple[Tensor, Tensor]:
        L, dO = _loss(O, Y)
        return value * L, gradient(O) * dO

    return run


_SQUARED_LOSS = mistakes(
    "dO lacks the factor 2 of the square's derivative",
    _off(1, lambda O: 0.5),
    "dO is not averaged: divide by T, B and q, as the loss does",
    _off(1, lambda O: O.numel()),
    "dO is divided by T alone; divide by B and q as well",
    _off(1, lambda O: O[0].numel()),
    "dO is divided by T and B; the loss is a mean over the q outputs too",
    _off(1, lambda O: O.shape[2]),
    "the sign of dO is turned round",
    _off(1, lambda O: -1),
    "loss and gradient are half of what they are; the loss has no factor 1/2 here",
    _off(0.5, lambda O: 0.5),
    "both are sums; the loss is a mean over steps, sequences and outputs",
    lambda O, Y: (((O - Y) ** 2).sum(), 2 * (O - Y)),
    "this is the absolute error; square the difference",
    lambda O, Y: ((O - Y).abs().mean(), (O - Y).sign() / O.numel()),
)


@compared_with(_loss, _SQUARED_LOSS)
def squared_loss() -> Cases:
    """Check ``squared_loss(O, Y)``: the mean squared error and its gradient.

    Takes outputs and targets (T, B, q); returns a number and the derivative of it
    by each output, (T, B, q).
    """
    return [draw((n, n + 1, q), (n, n + 1, q), seed=n) for n, q in ((4, 3), (1, 2))]


def _deltas(
    H: Tensor,
    G: Tensor,
    W_hh: Tensor,
    slope: Callable[[Tensor], Tensor] = lambda H: 1 - H[1:] ** 2,
    back: Callable[[Tensor, Tensor], Tensor] = lambda D, W: D @ W,
    cut: Callable[[int], bool] = lambda t: False,
) -> Tensor:
    """Go back in time; from a step t (from 0) with `cut`, nothing goes further."""
    s, found, later = slope(H), torch.zeros_like(G), torch.zeros_like(G[0])
    for t in range(len(G) - 1, -1, -1):
        found[t] = (G[t] + later) * s[t]
        later = 0 * later if cut(t) else back(found[t], W_hh)
    return found


def _outer(D: Tensor, H: Tensor) -> Tensor:
    return torch.einsum("tbi,tbj->ij", D, H)


def _gradients(X: Tensor, H: Tensor, dO: Tensor, D: Tensor) -> Gradients:
    recurrent = (_outer(D, X), _outer(D, H[:-1]), D.sum((0, 1)))
    return (*recurrent, _outer(dO, H[1:]), dO.sum((0, 1)))


def _backward_with(**parts: Function) -> Function:
    """Make the backward pass, right or wrong as its parts are."""

    def run(X: Tensor, H: Tensor, dO: Tensor, W_hh: Tensor, W_hq: Tensor) -> Gradients:
        return _gradients(X, H, dO, _deltas(H, dO @ W_hq, W_hh, **parts))

    return run


_backward = _backward_with()


def _by_steps(
    X: Tensor, H: Tensor, dO: Tensor, W: Tensor, V: Tensor
) -> tuple[Tensor, ...]:
    """Return the gradients that the first step leaves if each overwrites the last."""
    D = _deltas(H, dO @ V, W)
    return _gradients(X[:1], H[:2], dO[:1], D[:1])


def _swapped(entry: int, wrong: Function) -> Function:
    """Put something else in the place of one of the five gradients."""

    def run(*a: Tensor) -> Gradients:
        found = list(_backward(*a))
        found[entry] = wrong(*a)
        return tuple(found)

    return run


_BACKWARD = mistakes(
    "the slope of tanh, 1 - h_t^2, is missing",
    _backward_with(slope=lambda H: 1 + 0 * H[1:]),
    "the slope belongs to the wrong step: Delta_t takes 1 - h_t^2, this takes t - 1",
    _backward_with(slope=lambda H: 1 - H[:-1] ** 2),
    "nothing comes back from the later steps: Delta_{t+1} @ W_hh is missing",
    _backward_with(back=lambda D, W: 0 * D),
    "W_hh is transposed on the way back: for a batch in rows it is Delta @ W_hh",
    _backward_with(back=lambda D, W: D @ W.T),
    "W_hq is transposed on the way to the states: the product is dO_t @ W_hq",
    lambda X, H, dO, W, V: (
        *_backward(X, H, dO, W, V.T)[:3],
        *_backward(X, H, dO, W, V)[3:],
    ),
    "the loss of the last step alone goes back; each step's loss does",
    lambda X, H, dO, W, V: _gradients(
        X, H, dO, _deltas(H, _last(dO) @ V, W, lambda H: 1 - H[1:] ** 2)
    ),
    "each step overwrites the gradients of the one before: add them up",
    _by_steps,
    "the gradient of W_hh is made with h_t; W_hh multiplies h_{t-1}",
    _swapped(
        1,
        lambda X, H, dO, W, V: _outer(_deltas(H, dO @ V, W), H[1:]),
    ),
    "the gradient of W_hq is made with h_{t-1}; the head reads h_t",
    _swapped(3, lambda X, H, dO, W, V: _outer(dO, H[:-1])),
    "the gradients of the matrices are transposed; each has the shape of its matrix",
    lambda *a: tuple(g.T if g.ndim == 2 else g for g in _backward(*a)),
    "they come in another order: W_xh, W_hh, b_h, W_hq, b_q",
    lambda *a: (*_backward(*a)[3:], *_backward(*a)[:3]),
)


def _last(dO: Tensor) -> Tensor:
    return torch.cat([0 * dO[:-1], dO[-1:]])


def _backward_case(T: int, B: int, d: int, h: int, q: int) -> tuple[Tensor, ...]:
    p = _weights(d, h, q, seed=T)
    X, dO = draw((T, B, d), (T, B, q), seed=T + 1)
    return X, _forward(X, *p)[0], dO, p[1], p[3]


_SIZES = ((5, 4, 2, 3, 6), (1, 2, 3, 2, 1), (4, 4, 4, 4, 4))


@compared_with(_backward, _BACKWARD)
def backward() -> Cases:
    """Check ``backward(X, H, dO, W_hh, W_hq)``: the gradients of all parameters.

    Takes inputs (T, B, d), states H_0 to H_T, (T+1, B, h), the derivative of the
    loss by the outputs (T, B, q) and two matrices; returns the gradients of W_xh,
    W_hh, b_h, W_hq and b_q, each with the shape of its parameter.
    """
    return [_backward_case(*sizes) for sizes in _SIZES]


def _numerical_with(
    quotient: Function = lambda f, W, E, eps: (
        (f(W + eps * E) - f(W - eps * E)) / 2 / eps
    ),
) -> Function:
    """Make the numerical gradient, right or wrong as its quotient is."""

    def run(f: Function, W: Tensor, eps: float) -> Tensor:
        ones = torch.eye(W.numel(), dtype=W.dtype).view(-1, *W.shape)
        slopes = [float(quotient(f, W, E, eps)) for E in ones]
        return torch.tensor(slopes, dtype=W.dtype).view(W.shape)

    return run


_numerical = _numerical_with()


def _never_put_back(f: Function, W: Tensor, eps: float) -> Tensor:
    W = W.clone()
    flat, slopes = W.view(-1), []
    for k in range(len(flat)):
        flat[k] += eps
        up = float(f(W))
        flat[k] -= 2 * eps
        slopes.append((up - float(f(W))) / 2 / eps)
    return torch.tensor(slopes, dtype=W.dtype).view(W.shape)


_NUMERICAL = mistakes(
    "this is one-sided and errs by about eps; take (f(W + eps) - f(W - eps)) / (2 eps)",
    _numerical_with(lambda f, W, E, eps: (f(W + eps * E) - f(W)) / eps),
    "it is divided by eps; the two points are 2 eps apart",
    _numerical_with(lambda f, W, E, eps: (f(W + eps * E) - f(W - eps * E)) / eps),
    "it is not divided by 2 eps",
    _numerical_with(lambda f, W, E, eps: f(W + eps * E) - f(W - eps * E)),
    "the sign is turned round",
    _numerical_with(lambda f, W, E, eps: (f(W - eps * E) - f(W + eps * E)) / 2 / eps),
    "all entries are moved at once; move one, and leave the others as they are",
    _numerical_with(lambda f, W, E, eps: (f(W + eps) - f(W - eps)) / 2 / eps),
    "an entry that was moved is not put back before the next one is moved",
    _never_put_back,
)


@compared_with(_numerical, _NUMERICAL)
def numerical() -> Cases:
    """Check ``numerical(f, W, eps)``: a gradient by central differences.

    Takes a function from a tensor to a number, a tensor and a step; returns the
    slopes in the shape of the tensor. The tensor is left as it was.
    """

    def cubic(W: Tensor) -> Tensor:
        return (W**3).sum() + (W.flatten()[:-1] * W.flatten()[1:] ** 2).sum()

    (a, b) = draw((2, 3), (4,))
    return [(cubic, a, 0.01), (cubic, b, 0.1)]


def _truncated(
    X: Tensor, H: Tensor, dO: Tensor, W_hh: Tensor, W_hq: Tensor, k: int
) -> Gradients:
    """Add up what each loss finds on its own way back."""
    D, T = torch.zeros_like(H[1:]), len(X)
    for t in range(T):
        arriving = dO[t] @ W_hq
        for i in range(t, max(t - k, -1), -1):
            arriving = arriving * (1 - H[i + 1] ** 2)
            D[i] += arriving
            arriving = arriving @ W_hh
    return _gradients(X, H, dO, D)


_TRUNCATED = mistakes(
    "this cuts between blocks of k steps; here each loss reaches back k steps",
    lambda X, H, dO, W, V, k: _backward_with(cut=lambda t: t % k == 0)(X, H, dO, W, V),
    "it goes one step too far: with k = 1 a loss reaches the use of its own step only",
    lambda X, H, dO, W, V, k: _truncated(X, H, dO, W, V, k + 1),
    "it stops one step short: with k = 1 a loss reaches the use of its own step",
    lambda X, H, dO, W, V, k: _truncated(X, H, dO, W, V, k - 1),
    "nothing is cut: this is the whole gradient",
    lambda X, H, dO, W, V, k: _backward(X, H, dO, W, V),
    "the losses of the last k steps alone count; each step's loss does",
    lambda X, H, dO, W, V, k: _backward(X[-k:], H[-k - 1 :], dO[-k:], W, V),
    "the head's gradients are cut as well; they add up over all steps",
    lambda X, H, dO, W, V, k: (
        *_truncated(X, H, dO, W, V, k)[:3],
        *_backward(X[-k:], H[-k - 1 :], dO[-k:], W, V)[3:],
    ),
)


@compared_with(_truncated, _TRUNCATED)
def truncated() -> Cases:
    """Check ``truncated(X, H, dO, W_hh, W_hq, k)``: each loss goes back k steps.

    Takes what `backward` takes and a whole number; returns the same five gradients,
    but from the loss of step t only by the uses of steps t, t-1, ..., t-k+1.
    """
    return [
        (*_backward_case(*sizes), k)
        for sizes, k in zip((*_SIZES, (6, 3, 1, 4, 2)), (2, 1, 3, 2), strict=True)
    ]


def _train_with(
    gradients: Function = lambda X, H, dO, p: _backward(X, H, dO, p[1], p[3]),
    sizes: tuple[float, ...] = (1, 1, 1, 1, 1),
    more: int = 0,
    rate_of: Callable[[float], float] = lambda rate: rate,
) -> Function:
    """Make gradient descent, right or wrong as its parts are."""

    def run(
        X: Tensor, Y: Tensor, rate: float, steps: int, *p: Tensor
    ) -> tuple[Tensor, ...]:
        losses = []
        for _ in range(steps + more):
            H, O = _forward(X, *p)
            L, dO = _loss(O, Y)
            losses.append(L)
            pairs = zip(p, gradients(X, H, dO, p), sizes, strict=True)
            p = tuple(w - rate_of(rate) * size * g for w, g, size in pairs)
        return (*p, torch.stack(losses))

    return run


_train = _train_with()


def _late(
    X: Tensor, Y: Tensor, rate: float, steps: int, *p: Tensor
) -> tuple[Tensor, ...]:
    *_, losses = _train_with(more=1)(X, Y, rate, steps, *p)
    return (*_train(X, Y, rate, steps, *p)[:5], losses[1:])


def _stale(
    X: Tensor, Y: Tensor, rate: float, steps: int, *p: Tensor
) -> tuple[Tensor, ...]:
    H, O = _forward(X, *p)
    dO = _loss(O, Y)[1]
    kept = _backward(X, H, dO, p[1], p[3])
    found: tuple[Tensor, ...] = _train_with(lambda *_: kept)(X, Y, rate, steps, *p)
    return found


_TRAIN = mistakes(
    "it goes uphill: subtract the gradient",
    _train_with(rate_of=lambda rate: -rate),
    "the learning rate is missing",
    _train_with(rate_of=lambda rate: 1.0),
    "only the head learns; all five parameters do",
    _train_with(sizes=(0, 0, 0, 1, 1)),
    "the head does not learn; all five parameters do",
    _train_with(sizes=(1, 1, 1, 0, 0)),
    "the biases do not learn; all five parameters do",
    _train_with(sizes=(1, 1, 0, 1, 0)),
    "the gradients are those of the start at each step; compute them anew",
    _stale,
    "each loss is that after its step; give the one before it",
    _late,
)


@compared_with(
    _train,
    _TRAIN,
    lent={"forward": _forward, "squared_loss": _loss, "backward": _backward},
)
def train() -> Cases:
    """Check ``train(X, Y, rate, steps, W_xh, W_hh, b_h, W_hq, b_q)``: plain descent.

    Takes inputs (T, B, d), targets (T, B, q), a learning rate, a number of steps and
    the parameters at the start; returns the five parameters at the end, and the loss
    before each step, (steps,).
    """
    found = []
    for sizes, rate in zip(_SIZES, (0.1, 0.2, 0.05), strict=True):
        T, B, d, h, q = sizes
        X, Y = draw((T, B, d), (T, B, q), seed=T)
        found.append((X, Y, rate, 4, *_weights(d, h, q, seed=T)))
    return found
