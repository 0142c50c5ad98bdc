"""Claims of chapter 7: the task, one unit, and starts."""

import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    sign_test,
    swapped,
)
from rnn_companion.networks import rnn
from rnn_companion.tasks.memory import Trial, encode, latch, palindromes

from ._memory import LARGE, Pair, reaches

# The task, and the network that holds


def halves(kinds: tuple[bool, ...] = (False, True)) -> tuple[Tensor, ...]:
    """Draw first halves of palindromes of 21 digits, by kind."""
    generator = torch.Generator().manual_seed(1)
    drawn = (
        palindromes(20, 2000, generator=generator, validation=kind) for kind in kinds
    )
    return tuple(digits[:11] for digits, _ in drawn)


@claim(on=halves, planted=[lambda _: halves((True, True)), swapped])
def memory_validation_is_unseen(drawn: tuple[Tensor, Tensor]) -> Finding:
    """Validation uses palindromes that training never sees: those whose first half
    sums to a multiple of ten."""
    training, validation = (half.sum(0) % 10 == 0 for half in drawn)
    ran = "2000 palindromes of each kind, their first halves added up"
    return every(
        equal(training.sum(), 0, f"{ran}: training"),
        equal((~validation).sum(), 0, f"{ran}: validation"),
    )


def held(weight: float = 4.0) -> tuple[Tensor, Tensor]:
    """Ask a network of 128 units, of which four hold the bits of a digit."""
    h, few = 128, latch(1000)
    weights = {name: p.detach() for name, p in few.named_parameters()}
    W_xh, W_hh = torch.zeros(h, 10), torch.zeros(h, h)
    W_xh[:4], W_hh[:4, :4] = weights["cell.weight_ih_l0"], weight * torch.eye(4)
    digits, first = palindromes(
        1000, 30, generator=torch.Generator().manual_seed(2), validation=True
    )
    zero = torch.zeros(30, h)
    H = rnn(encode(digits, "one-hot"), zero, W_xh, W_hh, torch.zeros(h))
    return (H[-1, :, :4] @ weights["head.weight"].T).argmax(1), first


@claim(on=held, planted=[lambda _: held(1.0), lambda data: (data[0], data[1].flip(0))])
def memory_holds_a_thousand(answers: tuple[Tensor, Tensor]) -> Finding:
    """A tanh network with 128 units can hold a digit that long."""
    told, first = answers
    return equal(told, first, "30 palindromes of 1000 digits, 128 tanh units, four set")


# One unit


@cache
def crossings(w: float, kappa: float) -> np.ndarray:
    """Find the positive h with tanh(w h - kappa) = h, by halving intervals."""

    def gap(h: np.ndarray) -> np.ndarray:
        return np.asarray(np.tanh(w * h - kappa) - h)

    grid = np.linspace(0, 1, 20001)
    change = np.flatnonzero(np.diff(np.sign(gap(grid))) != 0)
    low, high = grid[change], grid[change + 1]
    for _ in range(60):
        middle = (low + high) / 2
        same = np.sign(gap(middle)) == np.sign(gap(low))
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return low


@cache
def units(share: float = 0.9) -> tuple[tuple[float, float], ...]:
    """Draw weights, and pushes up to a share of what such a unit can bear."""
    draw = np.random.default_rng(0)
    found = []
    for w in draw.uniform(2, 8, 40):
        touch = math.sqrt(1 - 1 / w)  # where the slope of tanh(w h - kappa) is one
        most = w * touch - math.atanh(touch)
        found.append((float(w), float(draw.uniform(0.3, share) * most)))
    return tuple(found)


def counted(times: float = 1.0) -> np.ndarray:
    """Count the states below h_circ and above it, for pushes of so many times theirs."""
    found = []
    for w, kappa in units():
        at = crossings(w, times * kappa) - math.sqrt(1 - 1 / w)
        found.append([(at < 0).sum(), (at > 0).sum()])
    return np.array(found)


@claim(on=counted, planted=[lambda _: counted(4.0), lambda data: data * [0, 2]])
def memory_two_crossings(number: np.ndarray) -> Finding:
    r"""A weaker push has two states that it leads back to themselves, one on each side
    of $h_{\mathrm{top}}$."""
    return equal(number, np.ones((len(units()), 2)), "40 pairs of weight and push")


def sunk(share: float = 1.1) -> np.ndarray:
    """Return where the state 1 ends after 200 pushes of a share of the greatest."""
    ends = []
    for w, _ in units():
        touch = math.sqrt(1 - 1 / w)
        h, kappa = 1.0, share * (w * touch - math.atanh(touch))
        for _ in range(200):
            h = math.tanh(w * h - kappa)
        ends.append(h)
    return np.array(ends)


@claim(on=sunk, planted=[lambda _: sunk(0.9)])
def memory_stronger_push(ends: np.ndarray) -> Finding:
    """A stronger one has none, and lets each positive state sink until the sign is
    lost."""
    ran = "the greatest of 40 states, 1 at first, after 200 pushes a tenth above"
    return below(ends.max(), 0, ran)


def pushed(extra: float = 0.0) -> np.ndarray:
    """Return where a step from m or above ends, less m."""
    draw = np.random.default_rng(1)
    ends = []
    for w, kappa in units():
        m = crossings(w, kappa)[-1]
        h = draw.uniform(m, 1, 50)
        h[0], u = m, draw.uniform(-kappa, kappa, 50) - extra
        u[0] = -kappa - extra
        ends.append(np.tanh(w * h + u) - m)
    return np.concatenate(ends)


@claim(on=pushed, planted=[lambda _: pushed(0.5)])
def memory_step_stays_above(rise: np.ndarray) -> Finding:
    r"""One step from any state $h \ge h_\star$ under any push $x_t \ge -\kappa$ does not end below $h_\star$."""
    return above(rise.min(), -1e-12, "2000 steps of 40 units, the full push among them")


def slopes() -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes of tanh(w h - kappa) at the two crossings."""
    rows = [w * (1 - crossings(w, kappa) ** 2) for w, kappa in units()]
    low, high = np.array(rows).T
    return low, high


@claim(on=slopes, planted=[swapped])
def memory_slope_at_the_state(slope: Pair) -> Finding:
    r"""Of the two states that a full push leads back to themselves $h_\star$ is the one
    above $h_{\mathrm{top}}$, and so this slope is **smaller than one**:"""
    return below(slope[1].max(), 1, "the largest slope at m, 40 pairs of w and push")


@claim(on=slopes, planted=[swapped])
def memory_slope_at_the_other(slope: Pair) -> Finding:
    r"""At the other state, below $h_{\mathrm{top}}$, the slope is larger than one in the same way:
    it drives nearby states away."""
    return above(slope[0].min(), 1, "the least slope there, 40 pairs of w and push")


def passed() -> np.ndarray:
    """Return the gradients of the last states by the first, by autograd."""
    draw = np.random.default_rng(2)
    w, kappa = torch.tensor(units(), dtype=torch.float64).T
    start = torch.tensor([crossings(*unit)[-1] for unit in units()], requires_grad=True)
    h = start
    for u in torch.from_numpy(draw.uniform(-1, 1, (99, len(w)))):
        h = torch.tanh(w * h + kappa * u)
    (gradient,) = torch.autograd.grad(h.sum(), start)
    return gradient.numpy()


@claim(on=passed, planted=[lambda g: g + 1, lambda g: 1 / (g + 1e-30)])
def memory_holding_lets_it_vanish(gradient: np.ndarray) -> Finding:
    """A unit of this kind that holds against such pushes lets the gradient vanish with
    the number of steps."""
    ran = "the largest of 40 gradients through 99 steps of random pushes"
    return below(gradient.max(), 1e-6, ran)


# Starts


def lengthened(scale: float = 1.0) -> np.ndarray:
    """Return how much one step lengthens a small change, at an orthogonal start."""
    generator = torch.Generator().manual_seed(3)
    found = []
    for seed in range(10):
        model = Trial(encoding="one-hot", start="orthogonal", seed=seed).model()
        W = scale * model.get_parameter("cell.weight_hh_l0").detach().double()
        h = 0.3 * torch.randn(len(W), generator=generator, dtype=torch.float64)
        a = W @ h + 0.1 * torch.randn(len(W), generator=generator, dtype=torch.float64)
        jacobian = (1 - a.tanh() ** 2)[:, None] * W
        found.append(torch.linalg.matrix_norm(jacobian, 2).item())
    return np.array(found)


@claim(on=lengthened, planted=[lambda _: lengthened(1.5)])
def memory_orthogonal_lengthens_nothing(norms: np.ndarray) -> Finding:
    """At the start such a network can forget, but no step lengthens a change of its
    state:"""
    ran = "the largest norm of ten Jacobians, 128 units, random states and inputs"
    return below(norms.max(), 1 + 1e-6, ran)


def forget_gates(bias: float | None = None) -> np.ndarray:
    """Return the forget gates of new LSTMs that read nothing."""
    models = [Trial(cell="lstm", forget_bias=bias, seed=s).model() for s in range(5)]
    sums = [
        (m.get_parameter("cell.bias_ih_l0") + m.get_parameter("cell.bias_hh_l0"))
        .detach()[128:256]
        .sigmoid()
        for m in models
    ]
    return torch.stack(sums).numpy()


@claim(on=forget_gates, planted=[lambda _: forget_gates(1.0)])
def memory_half_is_gone(gates: np.ndarray) -> Finding:
    """Torch draws $b_f$ near 0, so about half of the cell is gone after one step."""
    ran = "the forget gates of five new LSTMs of 128 units, at their biases"
    return every(
        between(gates.min(), 0.45, 0.5, f"{ran}: the least"),
        between(gates.max(), 0.5, 0.55, f"{ran}: the greatest"),
    )


def gained() -> np.ndarray:
    """Return what the two starts gain on the one as assigned, a row each."""
    return np.stack(
        [
            reaches("rnn", LARGE, 20) - reaches("rnn", "as assigned", 20),
            reaches("lstm", "forget bias 1", 20) - reaches("lstm", "as assigned", 20),
        ]
    )


@claim(on=gained, planted=[lambda gains: -gains, lambda gains: gains * [[1], [-1]]])
def memory_starts_carry_more(gains: np.ndarray) -> Finding:
    """With an orthogonal start and one-hot digits, or with a forget bias of 1, more of
    the gradient reaches the first of 20 digits than as assigned."""
    ran = "log10 of the gradient at the first digit over that at the last, eight seeds"
    rnns, lstms = gains
    return every(sign_test(rnns, f"{ran}: RNN"), sign_test(lstms, f"{ran}: LSTM"))
