"""The forecasting report (Ul Islam, 2024), section 2.2: its figures 6 to 13."""

import numpy as np
from numpy.typing import NDArray

from rnn_companion.claims import (
    Finding,
    Quoted,
    holds_if,
    quoted,
    sign_test,
    swapped,
    trial,
)

from ._report import REPORT
from ._report_runs import BY_DATE, MM, MO, Cell, Line, lines

Array = NDArray[np.float64]


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
