"""The forecasting report (Ul Islam, 2024), sections 1.2 and 1.3: cell, configurations."""

from functools import cache

import torch
from torch import Tensor, nn

from rnn_companion import Layout
from rnn_companion.claims import (
    Finding,
    Quoted,
    above,
    below,
    equal,
    every,
    judged,
    quoted,
    swapped,
    trial,
)
from rnn_companion.forecasting.forecaster import Forecaster
from rnn_companion.sentences.formulas import formula

from ._report import REPORT, N, T

cell_state = formula(
    Quoted(
        "0-1i",
        REPORT,
        "1.2, (9)",
        "holds",
        where="4-lstm#eq-lstm-c",
        needs="The cell state has to be that of torch's cell.",
    ),
    "the cell state, where $\\odot$ “is the element wise product operator”",
    said=r"c_t = f_t \odot c_{t-1} + i_t \odot g_t",
    right=r"c_t = f_t \odot c_{t-1} + i_t \odot g_t",
    world="lstm",
)

hidden_state = formula(
    Quoted(
        "0-1j",
        REPORT,
        "1.2, (10)",
        "holds",
        where="4-lstm#eq-lstm-h",
        needs="The hidden state has to be that of torch's cell.",
    ),
    "the hidden state, where $o_t$ “is the output of the output gate”",
    said=r"h_t = o_t \odot \tanh(c_t)",
    right=r"h_t = o_t \odot \tanh(c_t)",
    world="lstm",
)

candidate = formula(
    Quoted(
        "0-1k",
        REPORT,
        "1.2, (14)",
        "holds",
        where="4-lstm#eq-lstm-g",
        needs="With it the states have to be those of torch's cell.",
    ),
    "our $g_t$, the report's $\\tilde{C}_t$, “is the output of the Input Node”",
    said=r"g_t = \tanh(W_{xg} x_t + W_{hg} h_{t-1} + b_g)",
    right=r"g_t = \tanh(W_{xg} x_t + W_{hg} h_{t-1} + b_g)",
    world="lstm",
)


def gate(name: str, number: str, title: str, key: str) -> Quoted:
    """Say where one of the gates stands."""
    return Quoted(
        key,
        REPORT,
        f"1.2, {number}",
        "wrong",
        where=f"4-lstm#eq-lstm-{name}",
        needs=f"The {title} gate would have to scale each entry of the recurrent part by its bias (the product is read entry by entry; as a product of matrices it does not exist).",
        right="A plus is missing: the bias is added, as it is in (14).",
    )


input_gate = formula(
    gate("i", "(11)", "input", "0-14"),
    "$i_t$ “is the output of the Input gate”",
    said=r"i_t = \sigma(W_{xi} x_t + (W_{hi} h_{t-1}) \odot b_i)",
    right=r"i_t = \sigma(W_{xi} x_t + W_{hi} h_{t-1} + b_i)",
    world="lstm",
)

forget_gate = formula(
    gate("f", "(12)", "forget", "0-14b"),
    "$f_t$ “is the output of the forget gate”",
    said=r"f_t = \sigma(W_{xf} x_t + (W_{hf} h_{t-1}) \odot b_f)",
    right=r"f_t = \sigma(W_{xf} x_t + W_{hf} h_{t-1} + b_f)",
    world="lstm",
)

output_gate = formula(
    gate("o", "(13)", "output", "0-14c"),
    "$o_t$ “is the output of the output gate”",
    said=r"o_t = \sigma(W_{xo} x_t + (W_{ho} h_{t-1}) \odot b_o)",
    right=r"o_t = \sigma(W_{xo} x_t + W_{ho} h_{t-1} + b_o)",
    world="lstm",
)


@quoted(
    Quoted(
        "0-19",
        REPORT,
        "1.2",
        "wrong",
        where="4-lstm",
        needs="With its weights held still, the last state of a plain network would have to keep nothing of the first input.",
        right="Both keep long-term knowledge in weights, which change in training alone, and short-term memory in states, which last for one sequence. The LSTM adds a state that can last longer.",
    ),
    on=lambda: tuple(felt(cell) for cell in (nn.RNN, nn.LSTM)),
    planted=[lambda felt: (0 * felt[0], felt[1])],
)
def short_term_memory(felt: tuple[Tensor, Tensor]) -> Finding:
    """“While RNNs have *long term memory* in the form of shared weights $W_{hh}$, LSTMs have both long term and *short term memory* where the very act of controlling the aforementioned quantities is the short term memory aspect.”"""
    rnn, lstm = (float(derivatives.norm()) for derivatives in felt)
    ran = "the derivative of the last of five states by the first input, the weights held still"
    said = every(below(rnn, 1e-9, ran), above(lstm, 1e-9, ran))
    return trial(said, every(above(rnn, 1e-9, ran), above(lstm, 1e-9, ran)))


def felt(cell: type[nn.RNN] | type[nn.LSTM]) -> Tensor:
    """Differentiate the last state of torch's cell by the first input."""
    torch.manual_seed(0)
    run = cell(1, N, dtype=torch.float64)
    X = torch.linspace(0, 1, T, dtype=torch.float64).view(T, 1)
    found: Tensor = torch.autograd.functional.jacobian(lambda X: run(X)[0][-1], X)
    return found[:, 0]


@quoted(
    Quoted(
        "0-20",
        REPORT,
        "1.2",
        "judged",
        where="4-lstm#eq-lstm-h",
        needs="$H_t$ would have to be something that the cell reads, and not what it gives.",
        right="The gates control what the previous cell state $C_{t-1}$, the candidate and the new cell state contribute; they read $H_{t-1}$ and $X_t$.",
    )
)
def controls_its_own_output() -> Finding:
    """“the degree to which the previous hidden state $H_{t-1}$, the current hidden state $H_t$ and current input $X_t$ influences the current outputs”"""
    return judged(
        "by the sentence that follows there, the current hidden state is one of the "
        "two outputs; the previous cell state, which (9) reads, is not named"
    )


# Section 1.3: configurations


@quoted(
    Quoted(
        "0-21",
        REPORT,
        "1.3",
        "judged",
        where="5-configurations",
        needs="The settings of the report's own experiments would have to be among the four.",
        right="Five: many-to-one, in which half of the report's networks run, belongs to them.",
    )
)
def four_settings() -> Finding:
    """“There are 4 common settings that an RNN or LSTM can be used.”"""
    return judged(
        "one-to-one, one-to-many and two versions of many-to-many are listed; "
        "section 2 compares many-to-many with many-to-one"
    )


@cache
def aligned() -> tuple[Forecaster, Tensor]:
    """Make a many-to-many network, and a window of six days."""
    generator = torch.Generator().manual_seed(5)
    layout = Layout("many-to-many-aligned", 6)
    model = Forecaster("rnn", layout, hidden_size=16, generator=generator)
    return model.double(), torch.linspace(0, 1, 6, dtype=torch.float64).view(-1, 1, 1)


@quoted(
    Quoted(
        "0-22",
        REPORT,
        "1.3",
        "wrong",
        where="5-configurations#eq-conf-influence",
        needs="A network that forgets all at the end of each day would have to give the same outputs.",
        right="Every output is that of a many-to-one network which has read the days so far.",
    ),
    on=lambda: (day_by_day(first=False), day_by_day(first=True)),
    planted=[swapped],
)
def chained(both: tuple[Tensor, Tensor]) -> Finding:
    """“version 2 is a bit like the one to one setting, the only difference being that several one-to-one configurations have been chained together.”"""
    model, X = aligned()
    truth = model(X).detach().flatten()
    ran = "six outputs of a many-to-many network against the same weights, begun anew each day, or run on all days so far"
    return trial(*(equal(found, truth, ran) for found in both))


def day_by_day(first: bool) -> Tensor:
    """Run one network a day, from the first day or from that day alone."""
    model, X = aligned()
    days = range(1, len(X) + 1)
    runs = [model(X[0 if first else t - 1 : t])[-1] for t in days]
    return torch.cat(runs).detach().flatten()


@quoted(
    Quoted(
        "0-22b",
        REPORT,
        "2.2",
        "wrong",
        where="5-configurations#eq-conf-influence",
        needs="The last output would have to be indifferent to all inputs before the last.",
        right="It can depend on every input of the window so far.",
    ),
    on=lambda: influence(),
    planted=[lambda sizes: sizes * (torch.arange(len(sizes)) == len(sizes) - 1)],
)
def previous_alone(sizes: Tensor) -> Finding:
    """“in a many to many setting, where only the previous time step predicts the next”"""
    ran = "the derivatives of the last of six outputs by the first five inputs; the least and the largest of them in size"
    earlier = sizes[:-1]
    said = below(float(earlier.max()), 1e-9, ran)
    return trial(said, above(float(earlier.min()), 1e-9, ran))


def influence() -> Tensor:
    """Differentiate the last output by every input."""
    model, X = aligned()
    found: Tensor = torch.autograd.functional.jacobian(lambda X: model(X)[-1], X)
    return found.abs().flatten()


@quoted(
    Quoted(
        "S7",
        REPORT,
        "1.3",
        "holds",
        where="5-configurations",
        needs="From one day a network has to give three forecasts, and the day has to act on each.",
    ),
    on=lambda: three_days_from_one(),
    planted=[lambda sizes: sizes[:1], lambda sizes: 0 * sizes],
)
def one_to_many(sizes: Tensor) -> Finding:
    """“if we let the model use the stock price of one day and ask it to predict the stock price of 3 days in the future, that is a one to many setting.”"""
    ran = "the derivatives of the outputs of a one-to-many network by its one input; their number, and the least in size"
    three = equal(len(sizes), 3, ran)
    return every(three, above(float(sizes.min()), 1e-9, ran))


def three_days_from_one() -> Tensor:
    """Differentiate three forecasts by the one day that was read."""
    layout = Layout("one-to-many", 1, horizon=3)
    generator = torch.Generator().manual_seed(5)
    model = Forecaster("rnn", layout, hidden_size=16, generator=generator)
    X = torch.full((1, 1, 1), 0.5)
    found: Tensor = torch.autograd.functional.jacobian(model, X)
    return found.abs().flatten()
