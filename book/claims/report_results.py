"""The forecasting report (Ul Islam, 2024): what its figures and its table show."""

from collections.abc import Callable
from statistics import median

import numpy as np
from numpy.typing import NDArray

from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    holds_if,
    quoted,
    rank_test,
    sign_test,
    swapped,
    trial,
    undecided,
)

from ._report import REPORT
from ._report_runs import (
    AS_PRINTED,
    BY_DATE,
    MM,
    MO,
    PRINTED,
    Cell,
    Line,
    beside_printed,
    lines,
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
        "holds",
        where="5-configurations#eq-conf-parts",
        needs="In figure 14 neither setting may have the lower loss so often that chance would rarely give it.",
        right="Nor could these losses show one: a many-to-many loss averages outputs that have read little, a many-to-one loss has none of them. What can be compared is the error after the same number of days read.",
    ),
    on=lambda: many_to_many_over_one(),
    planted=[np.abs, lambda logs: -np.abs(logs)],
)
def no_clear_winner(logs: Array) -> Finding:
    """“Whether a many-to-many or many-to-one setting is better for all problems is not known, as the results didn’t suggest a clear winner among the two.”"""
    ran = f"figure 14 as printed, {len(logs)} pairs: how often chance gives one setting so many wins"
    chances = [sign_test(sign * logs, ran).chance or 0.0 for sign in (1, -1)]
    return above(min(chances), 0.05, ran)


def many_to_many_over_one() -> Array:
    """Compare the printed losses of both settings, by their logarithm."""
    pairs = [
        (loss, PRINTED[key._replace(configuration=MO)])
        for key, loss in PRINTED.items()
        if key.configuration == MM
    ]
    return np.array([np.log(mm / mo) for mm, mo in pairs])


# Figures 6 to 13: the zigzag


def many_to_many_lines(lengths: tuple[int, ...]) -> list[list[Line]]:
    """Collect the lines of many-to-many networks: a row for each kind."""
    kinds = [(c, o) for c in ("rnn", "lstm") for o in ("adam", "sgd")]
    return [[lines()[Cell(c, n, MM, o)] for n in lengths] for c, o in kinds]


def growth(rows: list[list[Line]]) -> Array:
    """Subtract each line from the next longer: shape (kinds, steps, 2)."""
    return np.diff(np.array(rows), axis=1)


@quoted(
    Quoted(
        "0-26",
        REPORT,
        "2.2",
        "holds if",
        where="6-forecasting#eq-fc-persistence",
        needs="The forecasts of one day, made after reading few days and after reading many, would have to belong to one line.",
        right="What grows with the length is the distance between the first and the last forecast of a window. The line of the last forecasts does not grow more jagged.",
    ),
    on=lambda: growth(many_to_many_lines((3, 7, 50))),
    planted=[lambda steps: steps[:, :, ::-1], lambda steps: -steps],
)
def zigzag_grows(steps: Array) -> Finding:
    """“Furthermore, the zigzaggy effect seems to increase with increase of sequence length for both types of models.”"""
    ran = f"{BY_DATE}: the mean step of a many-to-many line, 3 to 7 and 7 to 50 days"
    joined, last = steps[..., 0], steps[..., 1]
    return holds_if(
        "the first and the last forecasts of all windows are joined by one line",
        sign_test(joined, f"{ran}, through first and last forecasts"),
        sign_test(last, f"{ran}, through last forecasts"),
    )


@quoted(
    Quoted(
        "0-26b",
        REPORT,
        "2.2",
        "holds",
        where="6-forecasting#eq-fc-persistence",
        needs="Drawn in the same way, the many-to-one line would have to move less from point to point.",
        right="It has one forecast a day, each after all days are read, and so no first forecasts to join.",
    ),
    on=lambda: np.array(
        [
            line.joined - lines()[key._replace(configuration=MO)].joined
            for key, line in lines().items()
            if key.configuration == MM
        ]
    ),
    planted=[lambda differences: -differences],
)
def many_to_one_is_calm(differences: Array) -> Finding:
    """“In a many to one setting, the predictions of both RNN and LSTM are less zigzaggy and more stable in a sense (fig 8).”"""
    return sign_test(
        differences,
        f"{BY_DATE}: mean step of the many-to-many line, less that of the many-to-one line of the same network",
    )


@quoted(
    Quoted(
        "0-26c",
        REPORT,
        "2.2",
        "wrong",
        where="6-forecasting#eq-fc-persistence",
        needs="A gradient shapes the weights, and the weights make all forecasts. So the last forecasts of the windows would have to zigzag, too.",
        right="Every window gives a forecast for each of its days, so one day has several, and the first have read little. Joined by date they make a saw. Of the same networks the last forecasts alone move less than the price.",
    ),
    on=lambda: np.array(many_to_many_lines((3, 7, 50, 100))),
    planted=[lambda both: both[..., ::-1]],
)
def due_to_gradients(both: Array) -> Finding:
    """“This is possibly due to large error gradients as sequence length increases.”"""
    ran = f"{BY_DATE}: mean step of the line over the mean daily move of the price, less one, "
    return trial(
        sign_test(both[..., 1] - 1, ran + "last forecasts"),
        sign_test(both[..., 0] - 1, ran + "first and last forecasts"),
    )


@quoted(
    Quoted(
        "0-29",
        REPORT,
        "2.2",
        "holds if",
        where="6-forecasting",
        needs="In the figures under Adam the RNN's line would have to move more, too.",
        right="Under SGD, as in the figures 6 and 7 that it names: there the LSTM's forecast is almost a constant. Under Adam the many-to-many lines of the LSTM move more.",
    ),
    on=lambda: (rnn_less_lstm("sgd"), rnn_less_lstm("adam")),
    planted=[swapped, lambda both: tuple(-each for each in both)],
)
def rnn_varies_more(both: tuple[Array, Array]) -> Finding:
    """“the RNN’s predictions vary considerably more from one time step to the next than that of the LSTMs”"""
    ran = f"{BY_DATE}: mean step of the RNN's line less the LSTM's, as drawn, "
    sgd, adam = both
    return holds_if(
        "the optimizer is SGD",
        sign_test(sgd, ran + "SGD"),
        sign_test(adam, ran + "Adam"),
    )


def rnn_less_lstm(optimizer: str) -> Array:
    """Subtract lines of LSTMs from those of RNNs, as they are drawn."""
    pairs = [
        line.joined - lines()[key._replace(cell="lstm")].joined
        for key, line in lines().items()
        if (key.cell, key.optimizer) == ("rnn", optimizer)
    ]
    return np.array(pairs)
