"""JAX by hand: two nested `lax.scan`, a whole epoch in one `jit`."""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array, lax, tree

from benchmarks.contenders import orders
from rnn_companion.forecasting.settings import Experiment
from rnn_companion.forecasting.windows import Windows

Weights = list[Array]  # W_xh, W_hh, two biases, W_hq, b_q: as torch has them
State = tuple[Weights, Weights, Weights, Array]  # with Adam's averages and its t


def train(
    experiment: Experiment, windows: Windows, done: Callable[[float], None]
) -> None:
    """Call `done` with the loss of each epoch."""
    X, Y = jnp.asarray(windows.inputs.numpy()), jnp.asarray(windows.targets.numpy())
    layer = {"rnn": rnn, "lstm": lstm}[experiment.cell]
    optimize = {"adam": adam, "sgd": sgd}[experiment.optimizer]
    B, N = experiment.batch_size, len(windows)

    def loss(weights: Weights, batch: Array) -> Array:
        return jnp.square(forward(layer, weights, X[:, batch]) - Y[:, batch]).mean()

    def step(state: State, batch: Array) -> tuple[State, Array]:
        value, gradients = jax.value_and_grad(loss)(state[0], batch)
        return optimize(state, gradients, experiment.learning_rate), value

    @partial(jax.jit, donate_argnums=0)
    def epoch(state: State, order: Array) -> tuple[State, Array]:
        whole = order[: N // B * B].reshape(-1, B)
        state, losses = lax.scan(step, state, whole)
        if N % B:
            state, last = step(state, order[whole.size :])
            losses = jnp.append(losses, last)
        return state, losses.mean()

    weights = [jnp.asarray(w.detach().numpy()) for w in experiment.model().parameters()]
    m, v = (tree.map(jnp.zeros_like, weights) for _ in range(2))
    state = weights, m, v, jnp.zeros(())
    for dealt in orders(experiment, windows):
        state, mean = epoch(state, jnp.asarray(dealt.numpy()))
        done(float(mean))


def forward(layer: Callable[..., Array], weights: Weights, X: Array) -> Array:
    """From inputs (T, B, d) to outputs (T, B, q)."""
    W_xh, W_hh, b, b_too, W_hq, b_q = weights
    H = layer(X @ W_xh.T + (b + b_too), W_hh)  # (T, B, h)
    return H @ W_hq.T + b_q


def rnn(A: Array, W_hh: Array) -> Array:
    """From what the inputs give, (T, B, h), to all states."""

    def cell(h: Array, a: Array) -> tuple[Array, Array]:
        h = jnp.tanh(a + h @ W_hh.T)
        return h, h

    # Unrolling saves the tanh layer a fifth of its time, and costs the LSTM some.
    return lax.scan(cell, jnp.zeros(A.shape[1:]), A, unroll=5)[1]


def lstm(A: Array, W_hh: Array) -> Array:
    """From what the inputs give, (T, B, 4h), to all states."""

    def cell(state: tuple[Array, Array], a: Array) -> tuple[tuple[Array, Array], Array]:
        h, c = state
        i, f, g, o = jnp.split(a + h @ W_hh.T, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zero = jnp.zeros((A.shape[1], W_hh.shape[1]))
    return lax.scan(cell, (zero, zero), A)[1]


def adam(state: State, gradients: Weights, rate: float) -> State:
    """Make torch's step of Adam."""
    weights, m, v, t = state
    t = t + 1
    m = tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradients)
    v = tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradients)
    size = rate / -jnp.expm1(t * math.log(0.9))  # 1 - 0.9^t without cancellation
    scale = jnp.sqrt(-jnp.expm1(t * math.log(0.999)))

    def move(w: Array, m: Array, v: Array) -> Array:
        return w - size * m / (jnp.sqrt(v) / scale + 1e-8)

    return tree.map(move, weights, m, v), m, v, t


def sgd(state: State, gradients: Weights, rate: float) -> State:
    """Make a step of plain gradient descent."""
    return (tree.map(lambda w, g: w - rate * g, state[0], gradients), *state[1:])
