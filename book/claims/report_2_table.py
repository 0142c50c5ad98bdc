"""The forecasting report (Ul Islam, 2024): section 2.2, its table."""

from collections.abc import Callable
from itertools import product
from statistics import median

import numpy as np
from numpy.typing import NDArray

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    every,
    holds_if,
    quoted,
    rank_test,
    sign_test,
    swapped,
    undecided,
)

from ._report import REPORT
from ._report_runs import (
    AS_PRINTED,
    MM,
    MO,
    PRINTED,
    Cell,
    beside_printed,
    over_naive,
    runs,
)

Array = NDArray[np.float64]
NEAR = 2.5  # one unseeded run beside the median of ours, which differ by as much


# Figure 14


@quoted(
    Quoted(
        "0-ok",
        REPORT,
        "2.2, figure 14",
        "holds",
        where="6-forecasting",
        needs=f"The same settings, run again on the same data, would have to give losses within a factor of {NEAR:g} in at least five of six cells. One run of each was printed, unseeded, to one or two digits.",
    ),
    on=lambda: np.hstack(
        [beside_printed(c, s) for c in ("rnn", "lstm") for s in (MM, MO)]
    ),
    planted=[lambda both: np.array([both[0], np.roll(both[1], 1)])],
)
def whole_table(both: Array) -> Finding:
    """“Validation loss of all models after training”: 24 of them"""
    near = np.abs(np.log(both[0] / both[1])) <= np.log(NEAR)
    ran = f"{AS_PRINTED}: the share of the {near.size} printed cells that lie so near"
    return above(float(near.mean()), 5 / 6 - 1e-9, ran)


def reproduced(both: Array) -> Finding:
    """Ask that all printed losses lie near the medians of ours."""
    factors = np.exp(np.abs(np.log(both[0] / both[1])))
    ran = f"{AS_PRINTED}: the largest factor between a printed loss and the median of ours, of six"
    worst = float(factors.max())
    if worst <= NEAR:
        return below(worst, NEAR, ran)
    far = ", ".join(f"{f:.1f}" for f in factors[factors > NEAR])
    return undecided(
        f"{(factors <= NEAR).sum()} of 6 losses lie within a factor of {NEAR:g} of "
        f"ours, the others are {far} times apart; one unseeded run of each is too little",
        ran,
    )


def system(key: str, name: str, verdict: str = "holds") -> Quoted:
    """Say where the six losses of one kind of network stand."""
    return Quoted(
        key,
        REPORT,
        f"2.2, figure 14, {name}",
        "holds" if verdict == "holds" else "cannot be decided",
        where="6-forecasting",
        needs=f"Each of the six losses would have to lie within a factor of {NEAR:g} of the median of ours.",
    )


def by_optimizer_exchanged(both: Array) -> Array:
    """Plant a falsehood: the printed losses of Adam and SGD exchanged."""
    return np.array([both[0].reshape(3, 2)[:, ::-1].ravel(), both[1]])


@quoted(
    system("S1", "RNN, many-to-many"),
    on=lambda: beside_printed("rnn", MM),
    planted=[by_optimizer_exchanged],
)
def rnn_many_to_many(both: Array) -> Finding:
    """“Validation loss of all models after training”: RNN, many-to-many, at 3, 7 and 50 days, by Adam 0.00014, 0.00014, 0.0005 and by SGD 0.02, 0.01, 0.001"""
    return reproduced(both)


@quoted(
    system("S2", "RNN, many-to-one", "cannot be decided"),
    on=lambda: beside_printed("rnn", MO),
    planted=[lambda both: both[[0, 0]] * [[1], [1.5]]],
)
def rnn_many_to_one(both: Array) -> Finding:
    """“Validation loss of all models after training”: RNN, many-to-one, at 3, 7 and 50 days, by Adam 0.0002, 0.0003, 0.0002 and by SGD 0.004, 0.0004, 0.0006"""
    return reproduced(both)


@quoted(
    system("S3", "LSTM, many-to-many"),
    on=lambda: beside_printed("lstm", MM),
    planted=[by_optimizer_exchanged],
)
def lstm_many_to_many(both: Array) -> Finding:
    """“Validation loss of all models after training”: LSTM, many-to-many, at 3, 7 and 50 days, by Adam 0.0001, 0.0002, 0.001 and by SGD 0.064, 0.065, 0.06"""
    return reproduced(both)


@quoted(
    system("S4", "LSTM, many-to-one"),
    on=lambda: beside_printed("lstm", MO),
    planted=[by_optimizer_exchanged],
)
def lstm_many_to_one(both: Array) -> Finding:
    """“Validation loss of all models after training”: LSTM, many-to-one, at 3, 7 and 50 days, by Adam 0.0003, 0.0004, 0.0002 and by SGD 0.065, 0.058, 0.05"""
    return reproduced(both)


@quoted(
    Quoted(
        "0-31",
        REPORT,
        "2.2",
        "holds",
        where="6-forecasting",
        needs="With other seeds, too, the LSTM's loss would have to be the larger one.",
    ),
    on=lambda: losses_at_50(lambda r: r.mse),
    planted=[swapped],
)
def at_fifty_days(both: tuple[list[float], list[float]]) -> Finding:
    """“Observe for a sequence length of 50, many-to-many setting and under Adam optimization, that the RNN incurs a loss of 0.0005 while that of LSTM is 0.001”"""
    lstm, rnn = both
    return rank_test(lstm, rnn, f"{AS_PRINTED}: the losses of LSTM and RNN, by seed")


@quoted(
    Quoted(
        "0-31b",
        REPORT,
        "2.2",
        "holds if",
        where="5-configurations#eq-conf-parts",
        needs="The forecasts that have read all days would have to be better, too; they are what a many-to-many network is used for.",
        right="The difference at 50 days lies at the first positions of the window, where little has been read. After all days are read the seeds of the two overlap.",
        left_out="a footnote, and the captions of figures that stand between the pages",
    ),
    on=lambda: (losses_at_50(lambda r: r.mse), losses_at_50(over_naive)),
    planted=[swapped],
)
def rnn_is_better(both: tuple[tuple[list[float], list[float]], ...]) -> Finding:
    """“the RNN shows better results, confirmed by the figure ?? where the loss-on-validation-set of the model […] has been tabled”"""
    ran = f"{AS_PRINTED}: LSTM and RNN at 50 days, by seed; "
    whole, after_all = both
    return holds_if(
        "the loss is the mean over all positions of windows of 50 days, "
        "those that have read a few days among them",
        rank_test(*whole, ran + "mean loss"),
        rank_test(*after_all, ran + "error after all days read, over persistence's"),
    )


def losses_at_50(of: Callable[..., float]) -> tuple[list[float], list[float]]:
    """Collect something of the LSTMs and RNNs at 50 days, many-to-many, Adam."""
    found = runs("report", "source")
    keys = (Cell(c, 50, MM, "adam") for c in ("lstm", "rnn"))
    lstm, rnn = ([of(r) for r in found[key]] for key in keys)
    return lstm, rnn


@quoted(
    Quoted(
        "0-32",
        REPORT,
        "2.2",
        "holds if",
        where="6-forecasting#eq-fc-persistence",
        needs="They would have to be nearer than the forecast that costs nothing, the price of the day before.",
        right="Near on the scale of the whole range of prices. Yesterday's price is nearer than most of them.",
    ),
    on=lambda: adam_errors(),
    planted=[
        lambda errors: errors * [[100], [1]],
        lambda errors: errors / [[1], [100]],
    ],
)
def near_true_values(errors: Array) -> Finding:
    """“Overall, all models predict near true values across time when optimized via Adam.”"""
    ran = f"{AS_PRINTED}: Adam, "
    return holds_if(
        "near is measured by the range of prices, of which it is a twentieth, "
        "and not by how near the price of the day before is",
        below(
            float(errors[0].max()),
            0.05,
            ran + "the largest root of a network's median loss",
        ),
        sign_test(1 - errors[1], ran + "error over persistence's, of each network"),
    )


def adam_errors() -> Array:
    """List root mean squared errors, and errors over persistence's: medians."""
    found = [
        r for key, r in runs("report", "source").items() if key.optimizer == "adam"
    ]
    roots = [median(r.mse for r in each) ** 0.5 for each in found]
    return np.array([roots, [median(map(over_naive, each)) for each in found]])


@quoted(
    Quoted(
        "0-34",
        REPORT,
        "3",
        "holds if",
        where="5-configurations#eq-conf-parts",
        needs="Asked the same question, too, neither setting may win so often that chance would rarely give it.",
        right="A many-to-many loss averages outputs that have read little, a many-to-one loss has none of them. Asked for the error after all days read, over persistence's, each optimizer has a winner in our runs of the report's settings: with Adam many-to-many, with SGD many-to-one.",
    ),
    on=lambda: (printed_pairs(), recorded_pairs("adam"), recorded_pairs("sgd")),
    planted=[
        lambda three: (np.abs(three[0]), *three[1:]),
        lambda three: (three[0], three[0], three[0]),
    ],
)
def clear_winner(three: tuple[Array, Array, Array]) -> Finding:
    """“Whether a many-to-many or many-to-one setting is better for all problems is not known, as the results didn’t suggest a clear winner among the two.”"""
    printed, *ours = three
    return holds_if(
        "the losses of figure 14 are compared, which average different outputs",
        no_winner(printed, "figure 14 as printed"),
        every(
            *(no_winner(each, f"{AS_PRINTED}, after all days read") for each in ours)
        ),
    )


def no_winner(logs: Array, what: str) -> Finding:
    """Ask that chance would often give one of the two as many wins."""
    ran = (
        f"{what}: how often chance gives one setting so many wins in {len(logs)} pairs"
    )
    chances = [sign_test(sign * logs, ran).chance or 0.0 for sign in (1, -1)]
    return above(min(chances), 0.05, ran)


def printed_pairs() -> Array:
    """Compare the printed losses, many-to-many over many-to-one, by their logarithm."""
    pairs = [
        (loss, PRINTED[key._replace(configuration=MO)])
        for key, loss in PRINTED.items()
        if key.configuration == MM
    ]
    return np.array([np.log(mm / mo) for mm, mo in pairs])


def recorded_pairs(optimizer: str) -> Array:
    """Compare the errors after all days read, over persistence's, seed by seed."""
    found = runs("report", "source")
    pairs = [
        (many, one)
        for key, each in found.items()
        if (key.configuration, key.optimizer) == (MM, optimizer)
        for many, one in product(each, found[key._replace(configuration=MO)])
        if many.settings["seed"] == one.settings["seed"]
    ]
    return np.array([np.log(over_naive(mm) / over_naive(mo)) for mm, mo in pairs])
