"""What chapter 7 claims of memory; the trials are those of records/memory.jsonl."""

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    rank_test,
    sign_test,
    swapped,
)
from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.networks import rnn
from rnn_companion.tasks.memory import Trial, TrialRecord, encode, latch, palindromes
from rnn_companion.tasks.sweep import (
    RECIPES,
    factorial,
    more_seeds,
    recipe_of,
    recorded,
    trials,
)

RECORDS = Path(__file__).parents[1] / "records/memory.jsonl"
SMALL_RECORDS = RECORDS.with_name("memory-factorial.jsonl")
MORE_RECORDS = RECORDS.with_name("memory-seeds.jsonl")
LARGE, SMALL = "one-hot, orthogonal", "one-hot, orthogonal, small steps"
SEEDS = range(8)
Pair = tuple[np.ndarray, np.ndarray]


@cache
def all_records() -> list[TrialRecord]:
    return recorded(RECORDS, trials())


@cache
def repeated() -> list[TrialRecord]:
    """Read the trials with seven more seeds."""
    return recorded(MORE_RECORDS, more_seeds())


def of(cell: str, recipe: str, *lengths: int) -> list[TrialRecord]:
    """Take the recorded trials of one recipe."""
    key = cell, recipe
    found = [r for r in all_records() if (r.trial.cell, recipe_of(r.trial)) == key]
    return [r for r in found if not lengths or r.trial.length in lengths]


def solved(cell: str, recipe: str, *lengths: int) -> np.ndarray:
    """Return 1 for each trial that solved its task, else 0."""
    return np.array([float(r.solved) for r in of(cell, recipe, *lengths)])


def largest_norms(cell: str, succeeded: bool) -> np.ndarray:
    """Return the largest norm that each trial met."""
    found = [r for r in all_records() if r.trial.cell == cell]
    norms = [max(r.checks.gradient_norm) for r in found if r.solved == succeeded]
    return np.array(norms)


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


def reach(model: Forecaster, length: int, encoding: str) -> float:
    """Return the gradient of the loss at the first input over that at the last."""
    generator = torch.Generator().manual_seed(0)
    digits, targets = palindromes(length, 8, generator=generator)
    X = encode(digits, encoding).requires_grad_()
    loss = nn.functional.cross_entropy(model(X)[0], targets)
    (gradient,) = torch.autograd.grad(loss, X)
    norms = gradient.norm(dim=(1, 2))
    return float(norms[0] / norms[-1])


@cache
def reaches(cell: str, recipe: str, length: int) -> np.ndarray:
    """Return the logarithm of the reach of untrained networks, one a seed."""
    changes = RECIPES[cell][recipe]
    found = []
    for seed in SEEDS:
        trial = replace(Trial(cell=cell, length=length, seed=seed), **changes)
        found.append(math.log10(reach(trial.model(), length, trial.encoding)))
    return np.array(found)


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


# Trials


def of_ten(recipe: str, *lengths: int) -> np.ndarray:
    """Return 1 for each seed that solved its task, of those recorded, else 0."""
    more = [
        float(r.solved)
        for r in repeated()
        if recipe_of(r.trial) == recipe and r.trial.length in lengths
    ]
    return np.concatenate([solved("rnn", recipe, *lengths), more])


def at_lengths() -> tuple[np.ndarray, ...]:
    longer = (solved("rnn", "as assigned", n) for n in (20, 30))
    return of_ten("as assigned", 15), *longer


@claim(on=at_lengths, planted=[swapped, lambda data: (data[0],) * 3])
def memory_beyond_fifteen(by_length: tuple[np.ndarray, ...]) -> Finding:
    """**The RNN, as assigned**, learns 15 digits with … seeds, 20 with … and 30 with …:
    at 20 and 30 it depends on the seed."""
    short, *longer = (of_one.mean() for of_one in by_length)
    ran = "the recorded trials, three seeds at 20 and 30 digits and more at 15"
    return every(
        between(short, 0.5, 0.99, f"{ran}: the share that learned 15 digits"),
        *(between(share, 0.3, 0.7, f"{ran}: that learned more") for share in longer),
    )


@claim(
    on=lambda: solved("rnn", SMALL, 20, 30, 50),
    planted=[lambda _: solved("rnn", "as assigned", 15, 20, 30), lambda data: 1 - data],
)
def memory_fifty_digits(learned: np.ndarray) -> Finding:
    """With small steps, 0.0002, the same 128 units learn 20 digits in … steps, 30 in …
    and 50 in … (… seeds)."""
    ran = "the recorded trials at 20, 30 and 50 digits, three seeds each"
    return equal(learned, np.ones(9), ran)


@claim(
    on=lambda: of_ten(SMALL, 20, 30),
    planted=[lambda _: solved("rnn", "as assigned", 20, 30), lambda data: 1 - data],
)
def memory_ten_seeds(learned: np.ndarray) -> Finding:
    """With one-hot digits, an orthogonal start and small steps each of ten seeds learns
    20 digits and 30."""
    ran = "the recorded trials at 20 and 30 digits, seeds 0 to 9"
    return equal(learned, np.ones(20), ran)


@claim(
    on=lambda: of_ten("as assigned", 15),
    planted=[lambda learned: np.ones_like(learned), lambda learned: 0 * learned],
)
def memory_not_each_learns_fifteen(learned: np.ndarray) -> Finding:
    """As assigned, not each of the seeds learns 15 digits."""
    ran = f"the share that learned of {len(learned)} recorded trials at 15 digits"
    return between(learned.mean(), 0.5, 0.99, ran)


@claim(
    on=lambda: solved("rnn", "orthogonal, small steps", 30),
    planted=[lambda _: solved("rnn", "as assigned", 30)],
)
def memory_scalar_thirty(learned: np.ndarray) -> Finding:
    """Even with scalar digits, start and small steps alone bring 30 digits within
    reach: … seeds, … steps."""
    return equal(learned, np.ones(3), "the three recorded trials at 30 scalar digits")


def both_cells() -> Pair:
    """Return the recorded accuracies at 15 digits: RNN, LSTM."""
    rnns, lstms = (of(cell, "as assigned", 15) for cell in ("rnn", "lstm"))
    return np.array([r.accuracy for r in rnns]), np.array([r.accuracy for r in lstms])


def lstms_as_assigned() -> Pair:
    """Return the accuracies of LSTMs at 10, and at 15 and 20 digits."""
    few, more = of("lstm", "as assigned", 10), of("lstm", "as assigned", 15, 20)
    return np.array([r.accuracy for r in few]), np.array([r.accuracy for r in more])


@claim(on=lstms_as_assigned, planted=[swapped, lambda data: (data[0], 0 * data[1] + 1)])
def memory_lstm_stops_first(accuracy: Pair) -> Finding:
    """**The LSTM, as assigned**, learns 10 digits with … seeds, 15 with … and 20 with
    …."""
    ran = "accuracies of the recorded trials: 10 digits against 15 and 20"
    return rank_test(*accuracy, ran)


def with_bias() -> Pair:
    """Return the accuracies at 20 digits, or at 30 with one-hot digits, and without."""
    given = of("lstm", "forget bias 1", 20) + of("lstm", "one-hot, forget bias 1", 30)
    bare = of("lstm", "as assigned", 15, 20)
    return np.array([r.accuracy for r in given]), np.array([r.accuracy for r in bare])


@claim(on=with_bias, planted=[swapped, lambda data: (data[1], data[1])])
def memory_forget_bias(accuracy: Pair) -> Finding:
    """With nothing but a forget bias of 1, at 20 digits, it is …, in … steps; one-hot
    digits added, 30 digits take … steps."""
    ran = "accuracies of six recorded trials with it, and of six without at 15 and 20"
    return rank_test(*accuracy, ran)


def reach_and_success() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lstm, plain = (reaches(cell, "as assigned", 15) for cell in ("lstm", "rnn"))
    return lstm - plain, *both_cells()


@claim(
    on=reach_and_success,
    planted=[lambda d: (-d[0], d[1], d[2]), lambda d: (d[0], d[2], d[1])],
)
def memory_start_does_not_decide(
    data: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> Finding:
    """As assigned, at 15 digits, the ratio of first to last is … for the RNN and
    larger, …, for the LSTM; yet the RNN learns with … seeds, the LSTM with …."""
    more, rnns, lstms = data
    return every(
        sign_test(more, "log10 of the LSTM's ratio over the RNN's, eight seeds"),
        rank_test(rnns, lstms, "accuracies of RNNs and LSTMs, three seeds each"),
    )


def starts_and_steps(shuffle: bool = False) -> tuple[np.ndarray, ...]:
    """Return log10 of the reach at the start, steps (unsolved last) and rates."""
    found = all_records()
    reached = [
        math.log10(reach(r.trial.model(), r.trial.length, r.trial.encoding))
        for r in found
    ]
    steps = np.array([r.steps if r.solved else 1e6 for r in found])
    if shuffle:
        steps = np.random.default_rng(0).permutation(steps)
    return np.array(reached), steps, np.array([r.trial.learning_rate for r in found])


@claim(
    on=starts_and_steps,
    planted=[lambda _: starts_and_steps(shuffle=True), lambda d: (-d[0], *d[1:])],
)
def memory_gradient_and_steps(data: tuple[np.ndarray, ...]) -> Finding:
    """At a learning rate of 0.001 the rank correlation of the two is … (… trials), at
    0.0002 it is … (… trials): the more of the gradient arrives, the fewer steps are
    needed."""
    from scipy.stats import spearmanr

    reached, steps, rates = data
    at = {
        rate: spearmanr(reached[rates == rate], steps[rates == rate])
        for rate in (1e-3, 2e-4)
    }
    return every(
        *(
            below(
                found.statistic, -0.4, f"rank correlation, {sum(rates == rate)} trials"
            )
            for rate, found in at.items()
        )
    )


@cache
def combined() -> np.ndarray:
    """Return mean losses of the small trials: cell, start, rate, seed."""
    plan = factorial()
    found = {r.trial: r for r in recorded(SMALL_RECORDS, plan)}

    def mean_loss(trial: Trial) -> float:
        seen = found[trial].checks.validation_loss
        return (sum(seen) + seen[-1] * (16 - len(seen))) / 16

    return np.array([mean_loss(t) for t in plan]).reshape(2, 2, 2, -1)


@claim(on=combined, planted=[lambda loss: loss[:, ::-1], lambda loss: loss[:, [0, 0]]])
def memory_start_lowers(loss: np.ndarray) -> Finding:
    """The changed start lowers the loss with both cells, at both rates and with each
    seed."""
    gain = loss[:, 0] - loss[:, 1]
    ran = "mean losses, torch's start less the changed one, ten seeds"
    return every(
        above(gain.min(), 0, f"{ran}: the least of 40"),
        *(sign_test(row, ran) for row in gain.reshape(4, -1)),
    )


@claim(
    on=combined,
    planted=[lambda loss: loss[:, :, ::-1], lambda loss: loss[::-1]],
)
def memory_rate_and_cell(loss: np.ndarray) -> Finding:
    """From there the larger rate lowers it further, and the RNN is ahead of the LSTM,
    again with each seed."""
    changed = loss[:, 1]  # cell, rate, seed
    rate, cell = changed[:, 0] - changed[:, 1], changed[1] - changed[0]
    ran = "mean losses after the changed start, ten seeds"
    return every(
        above(min(rate.min(), cell.min()), 0, f"{ran}: the least gain of 40"),
        *(sign_test(row, f"{ran}: 0.0002 less 0.001") for row in rate),
        *(sign_test(row, f"{ran}: LSTM less RNN") for row in cell),
    )


def norms_of_the_solved() -> Pair:
    return largest_norms("rnn", succeeded=True), largest_norms("lstm", succeeded=True)


def clipped(norms: Pair) -> Pair:
    rnns, lstms = norms
    return np.minimum(rnns, 10), np.minimum(lstms, 10)


@claim(on=norms_of_the_solved, planted=[clipped])
def memory_large_gradients_and_success(norms: Pair) -> Finding:
    """But so did … of the … RNNs that solved their task, and … of the … LSTMs: a large
    gradient on the way does not mark a failure."""
    shares = (float(np.mean(each > 10)) for each in norms)
    ran = "the share of solved trials that met a norm above 10"
    return every(*(above(share, 0.5, ran) for share in shares))


def norms_of_lstms() -> Pair:
    return largest_norms("lstm", succeeded=True), largest_norms("lstm", succeeded=False)


@claim(on=norms_of_lstms, planted=[swapped, lambda data: (data[0], 100 * data[1])])
def memory_failed_lstms(norms: Pair) -> Finding:
    """The … LSTMs that failed met no more than …, less than each of the LSTMs that did
    not."""
    won, failed = norms
    return every(
        rank_test(won, failed, "largest norms of solved and failed trials"),
        above(won.min() / failed.max(), 1, "the least of the solved over the greatest"),
    )
