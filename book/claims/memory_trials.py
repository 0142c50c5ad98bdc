"""Claims of chapter 7 on the trials of records/memory.jsonl."""

import math
from functools import cache
from pathlib import Path

import numpy as np

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
from rnn_companion.tasks.memory import Trial, TrialRecord
from rnn_companion.tasks.sweep import (
    factorial,
    more_seeds,
    recipe_of,
    recorded,
    trials,
)

from ._memory import SMALL, Pair, reach, reaches

RECORDS = Path(__file__).parents[1] / "records/memory.jsonl"


SMALL_RECORDS = RECORDS.with_name("memory-factorial.jsonl")


MORE_RECORDS = RECORDS.with_name("memory-seeds.jsonl")


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
