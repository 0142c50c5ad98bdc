"""The forecasting report (Ul Islam, 2024): section 2, its settings; and its choice of data."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f, f_oneway

from rnn_companion import Experiment, load_prices
from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    every,
    holds_if,
    judged,
    quoted,
    swapped,
    trial,
    undecided,
)

from ._report import REPORT

Array = NDArray[np.float64]


@quoted(
    Quoted(
        "0-23",
        REPORT,
        "2 and 2.1",
        "judged",
        where="6-forecasting",
        needs="Adam would have to have 10 epochs and 100.",
        right="10 epochs with Adam and 100 with SGD, as the report's program has it; so this book has run them.",
    )
)
def epochs() -> Finding:
    """“when the Adam optimizer is used, the model is trained for 10 epochs, when SGD is used, the model is trained for 100 epochs”, and a little later “Each experiment was run for 100 epochs.”"""
    return judged("the two sentences contradict each other on Adam")


@quoted(
    Quoted(
        "0-24",
        REPORT,
        "2",
        "cannot be decided",
        where="6-forecasting",
        needs="There would have to be results for 100 days; 24 of the 32 combinations are in figure 14.",
        right="This book has run all 32, with 100 days among them.",
    )
)
def all_combinations() -> Finding:
    """“varied between sequence lengths of 3, 7, 50 and 100”; “All possible combinations were experimented with but only the most insightful results will be shown here for the sake of brevity.”"""
    return undecided(
        "no table, figure or sentence of the report has a result for 100 days"
    )


@quoted(
    Quoted(
        "0-25",
        REPORT,
        "2.2",
        "judged",
        where="6-forecasting",
        needs="Sequential and many-to-many would have to be two settings; by the report's footnote they are one.",
        right="Both figures that it names, 6 and 7, are many-to-many. Its figures 8 and 9 are many-to-one.",
        left_out="the number of the footnote, which is quoted next",
    )
)
def two_names() -> Finding:
    """“in both sequential[…] and many to many setting”, with the note “Here I’m using the terms ‘many To many’ and ‘sequential’ interchangeably.”"""
    return judged(
        "one setting is named twice; many-to-one may be meant. In the same list, "
        "“figure ??” is a reference that was not found; figure 14 must be meant"
    )


@quoted(
    Quoted(
        "0-36",
        REPORT,
        "2.1",
        "judged",
        where="6-forecasting",
        needs="It would have to say which memory is meant, the computer's or the graphics card's.",
        right="Every record of this book names the device that it was run on.",
    )
)
def total_memory() -> Finding:
    """“The following experiments were run on an NVIDIA CUDA RTX 3050 laptop GPU. The machine has a total memory of 16 GigaBytes.”"""
    return judged(
        "“the machine” may be the computer or the card; the card's own memory, "
        "which limits what can be trained, is not stated"
    )


@quoted(
    Quoted(
        "0-33",
        REPORT,
        "2.1, and figures 6 to 13",
        "holds if",
        where="6-forecasting#eq-fc-leak",
        needs="A forecast is made on a day on which later days are not known: no target of the validation may stand in a training window. The report's program deals the windows out at random.",
        right="Split by date, and fit the scaler on the training days alone.",
    ),
    on=lambda: (seen("honest"), seen("source")),
    planted=[swapped, lambda shares: (shares[1], shares[1])],
)
def called_forecasts(shares: tuple[float, float]) -> Finding:
    """“80% of the data was used as training data”, and what is drawn of the rest are “forecast results as sequence length is varied in a sequential setting”"""
    ran = "the share of the validation's targets that stand in a training window, 7 days, this book's series, "
    by_date, dealt = shares
    return holds_if(
        "the windows are split by date, not dealt out at random",
        below(by_date, 0.01, ran + "split by date"),
        below(dealt, 0.01, ran + "dealt out at random"),
    )


def seen(protocol: str) -> float:
    """Count the validation's targets that stand in a training window."""
    length = 7
    split = Experiment(length=length, protocol=protocol).split(load_prices())
    trained = split.training.days.flatten().numpy()
    known = np.unique(trained[:, None] - np.arange(length + 1))
    return float(np.isin(split.validation.days.flatten().numpy(), known).mean())


@quoted(
    Quoted(
        "0-33b",
        REPORT,
        "2.1",
        "judged",
        where="6-forecasting#eq-fc-line-mean",
        needs="One split would have to be the whole evaluation.",
        right="So it is in the report's program too, in which five shuffled folds are a setting that is off. A single split of one series leaves open how the errors vary; chapter 6 repeats it over seeds, and tries three kinds of folds.",
    )
)
def no_cross_validation() -> Finding:
    """“80% of the data was used as training data and cross validation wasn’t used.”"""
    return judged("it says what was done; nothing in the report contradicts it")


@quoted(
    Quoted(
        "0-35",
        REPORT,
        "3",
        "wrong",
        where="6-forecasting#eq-fc-return",
        needs="The month would have to make a difference to the returns. (The report's own prices are not kept here, so this is tried on this book's series of the same share.)",
        right="An increase over the years is a trend. A series that is made to rise as steadily as this, by a third a year, shows a trend and no season.",
    ),
    on=lambda: (
        month_effect(*real_returns()),
        month_effect(*rising()),
        trend(rising()[0]),
    ),
    planted=[
        lambda three: (
            month_effect(real_returns()[0] + season(), real_returns()[1]),
            *three[1:],
        ),
        lambda three: (3.0, *three[1:]),
    ],
)
def seasonality(three: tuple[float, float, float]) -> Finding:
    """“the reason for choosing the dataset is seasonality. Since the stock price increases as the years progress, it seemed like a good question to ask how well the RNNs and LSTMs can predict this increase.”"""
    ran = "daily log-returns by month, F over its 5 % limit, "
    real, made, fit = three
    return trial(
        above(real, 1, ran + "this book's series"),
        every(
            below(made, 1, ran + "a series made to rise"),
            above(
                fit,
                0.9,
                "the share of its logarithm's variance that a straight line explains",
            ),
        ),
    )


def real_returns() -> tuple[Array, NDArray[np.int64]]:
    """Return the log-returns of this book's series, and the month of each."""
    prices = load_prices()
    return np.diff(np.log(prices.close)), prices.dates[1:].month.to_numpy()


def rising() -> tuple[Array, NDArray[np.int64]]:
    """Make returns of a third a year with the noise of a share, and no season."""
    _, months = real_returns()
    noise = np.random.default_rng(0).normal(scale=0.01, size=len(months))
    return np.log(4 / 3) / 252 + noise, months


def season() -> Array:
    """Give every January a rise of a per cent a day."""
    return np.where(real_returns()[1] == 1, 0.01, 0.0)


def month_effect(returns: Array, months: NDArray[np.int64]) -> float:
    """Compute F of a one-way analysis by month, over what chance exceeds in 5 %."""
    groups = [returns[months == m] for m in range(1, 13)]
    limit = f.ppf(0.95, len(groups) - 1, len(returns) - len(groups))
    return float(f_oneway(*groups).statistic / limit)


def trend(returns: Array) -> float:
    """Compute R squared of a straight line through the logarithm of the price."""
    logs = np.cumsum(returns)
    return float(np.corrcoef(logs, np.arange(len(logs)))[0, 1] ** 2)
