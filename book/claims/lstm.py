"""Sentences of the chapter *LSTM*, with evidence."""

from dataclasses import astuple
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from rnn_companion import bptt, count_parameters, networks
from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    negated,
    rank_test,
    sign_test,
    swapped,
)
from rnn_companion.forecasting.grid import grid
from rnn_companion.forecasting.records import RecordFile
from rnn_companion.tasks import adding

RECORDS = Path(__file__).parents[1] / "records"
GRID = "records/honest-protocol.jsonl"
SUMS = "records/adding.jsonl"
DOUBLE = torch.float64
SEEDS = 12
Pair = tuple[Tensor, Tensor]
M = TypeVar("M", bound=nn.Module)


def numbers(seed: int, *shape: int) -> Tensor:
    """Draw normal numbers."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=DOUBLE)


def start(module: M, seed: int, h: int, size: float = 0.0) -> M:
    """Draw all parameters, uniform as torch does, or within a size of one's own."""
    source = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        width = size or h**-0.5
        nn.init.uniform_(parameter, -width, width, generator=source)
    return module.requires_grad_(requires_grad=False)


def lstm(seed: int, d: int, h: int, size: float = 0.0) -> nn.LSTM:
    """Make an LSTM."""
    return start(nn.LSTM(d, h, dtype=DOUBLE), seed, h, size)


def gru(seed: int, d: int, h: int, size: float = 0.0) -> nn.GRU:
    """Make a GRU."""
    return start(nn.GRU(d, h, dtype=DOUBLE), seed, h, size)


def run_lstm(module: nn.LSTM, X: Tensor, c_0: float = 0.0) -> Pair:
    """Return all hidden states and cell states of one layer."""
    (parameters,) = networks.lstm_parameters(module)
    zero = torch.zeros(X.shape[1], module.hidden_size, dtype=DOUBLE)
    return networks.lstm(X, zero, zero + c_0, *parameters)


# A memory with valves


@cache
def one_unit() -> Tensor:
    """Follow a cell with an open forget gate and a closed input gate, 200 steps."""
    a = numbers(0, 200, 1, 4) * 3
    a[..., 0], a[..., 1] = -60.0, 60.0  # i, f
    eye, none = torch.eye(4, dtype=DOUBLE), torch.zeros(4, 1, dtype=DOUBLE)
    start = torch.full((1, 1), 0.7, dtype=DOUBLE)
    return networks.lstm(a, 0 * start, start, eye, none, none[:, 0])[1].flatten()


@claim(on=one_unit, planted=[lambda c: c * torch.linspace(1, 0.9, len(c))])
def lstm_cell_left_alone(c: Tensor) -> Finding:
    """With $f_t = 1$ and $i_t = 0$ the cell is left alone."""
    ran = "200 steps of one unit, pre-activations 60 and -60, candidates drawn"
    return equal(c, torch.full_like(c, 0.7), ran, rtol=1e-12)


def slopes_of_a_step(step: bool = True) -> Tensor:
    """Differentiate c_t by c_{t-1} at two places, the gates held."""
    gates = networks.Gates(*(numbers(n, 5).sigmoid() for n in range(4)))
    W = numbers(9, 5, 5)

    def after(c: Tensor) -> Tensor:
        return networks.lstm_cell(gates, c)[1] if step else torch.tanh(W @ c)

    places = (numbers(n, 5) for n in (7, 8))
    found = [torch.autograd.functional.jacobian(after, place) for place in places]
    return torch.stack([*found, torch.diag(gates.f)])


@claim(on=slopes_of_a_step, planted=[lambda _: slopes_of_a_step(step=False)])
def lstm_direct_path(slopes: Tensor) -> Finding:
    """No matrix stands between $c_{t-1}$ and $c_t$, and nothing squashes it."""
    ran = "derivative of the next cell state by automatic differentiation, gates held"
    here, there, gate = slopes
    return every(
        equal(here, gate, f"{ran}: diagonal, the forget gate", 1e-12),
        equal(here, there, f"{ran}: the same at another cell state", 1e-12),
    )


@cache
def extremes() -> tuple[float, float, float]:
    """Return the largest |2 gate - 1|, |g| or |h|, and two largest |c|."""
    most, cells = 0.0, []
    for seed in range(SEEDS):
        module = lstm(seed, 2, 8, size=1.0)
        X = numbers(seed, 60, 1, 2)
        H, _ = run_lstm(module, X)
        before = torch.cat([0 * H[:1], H[:-1]])
        (parameters,) = networks.lstm_parameters(module)
        i, f, g, o = networks.lstm_gates(X, before, *parameters)
        sizes = (2 * i - 1, 2 * f - 1, 2 * o - 1, g, H)
        most = max(most, *(float(size.abs().max()) for size in sizes))
    (parameters,) = networks.lstm_parameters(lstm(0, 1, 1))
    opened = [torch.zeros_like(p) for p in parameters]
    opened[2][:] = 9.0  # every gate open, and the candidate nearly 1
    for steps in (200, 2000):
        states = networks.lstm(numbers(0, steps, 1, 1), *numbers(1, 2, 1, 1), *opened)
        cells.append(float(states[1].abs().max()))
    return most, cells[0], cells[1]


@claim(on=extremes, planted=[swapped, lambda found: (found[0], 1.0, 1.0)])
def lstm_ranges(found: tuple[float, float, float]) -> Finding:
    """So gates lie in $(0, 1)$ and the candidate and $h_t$ in $(-1, 1)$, without the ends; $c_t$ has no such bound."""
    inside, short, long = found
    return every(
        below(inside, 1, f"gates, candidates and states of {SEEDS} random networks"),
        above(short, 100, "one unit with open gates, 200 steps: its cell state"),
        above(long, 1000, "2000 steps"),
    )


# The direct path


def second_path(scale: float = 1.0) -> Tensor:
    """Return how far the total derivative of c_t is from diag(f_t), by network."""
    far = []
    for seed in range(SEEDS):
        (parameters,) = networks.lstm_parameters(lstm(seed, 2, 6))
        W_x, W_h, b = parameters
        x, o = numbers(seed, 2), numbers(seed + 50, 6).sigmoid()

        def after(c: Tensor) -> Tensor:
            h = o * torch.tanh(c)  # noqa: B023 - called in this round alone
            return networks.lstm_step(x, h, c, W_x, scale * W_h, b)[1]  # noqa: B023

        c = numbers(seed + 90, 6)
        total = torch.autograd.functional.jacobian(after, c)
        f = networks.lstm_gates(x, o * torch.tanh(c), W_x, scale * W_h, b).f
        far.append((total - torch.diag(f)).norm() / f.norm())
    return torch.stack(far)


@claim(on=second_path, planted=[lambda _: second_path(scale=0.0)])
def lstm_two_paths(far: Tensor) -> Finding:
    """It is the direct derivative, though, and $c_{t-1}$ has another way in: it shapes $h_{t-1}$, which the gates read."""
    ran = f"total derivative less diag(f), relative, smallest of {SEEDS} networks"
    return above(float(far.min()), 0.01, ran)


def through_the_gates(found: str = "c") -> Tensor:
    """Return how far a step moves if W_ho alone is drawn anew: largest of c or h."""
    moved = []
    for seed in range(SEEDS):
        W_x, W_h, b = networks.lstm_parameters(lstm(seed, 2, 6))[0]
        x, h, c = numbers(seed, 2), numbers(seed + 50, 6), numbers(seed + 90, 6)
        other = W_h.clone()
        other[18:] = numbers(seed + 7, 6, 6)
        steps = [networks.lstm_step(x, h, c, W_x, W, b) for W in (W_h, other)]
        (h_1, c_1), (h_2, c_2) = steps
        moved.append((c_1 - c_2 if found == "c" else h_1 - h_2).abs().max())
    return torch.stack(moved)


@claim(on=through_the_gates, planted=[lambda _: through_the_gates("h")])
def lstm_not_through_output(moved: Tensor) -> Finding:
    """The state $h_{t-1}$ reaches $c_t$ through these three, and not through the output gate, which stands behind $c_t$."""
    ran = f"change of the next cell state with other W_ho, largest of {SEEDS} networks"
    return below(float(moved.max()), 1e-15, ran)


def spans(halve: float = 0.5) -> Tensor:
    """Return log n, the bias that keeps a share n steps, and their difference."""
    rows = []
    for n in (10, 50, 200, 1000):
        kept = halve ** (1 / n)  # of the cell, a step
        bias = torch.tensor(kept / (1 - kept), dtype=DOUBLE).log()
        rows.append([n, torch.tensor(n).log(), bias])
    return torch.tensor(rows)


@claim(on=spans, planted=[lambda _: spans(0.01), lambda _: spans(0.999)])
def lstm_bias_of_a_span(found: Tensor) -> Finding:
    """By {eq}`eq-forget-bias` half of a cell is left after $n$ steps if $e^{-b_f} = 2^{1/n} - 1 \\approx \\ln(2) / n$, so about $b_f = \\ln n$ will do, and a little more: for 50 steps the formula gives 4.27, and $\\ln 50$ is 3.91."""
    _, log, bias = found.T
    ran = "the bias that leaves half after 10, 50, 200 and 1000 steps, "
    return every(
        between(float((bias - log).min()), 0.3, 0.4, f"{ran}less ln n: the least"),
        between(float((bias - log).max()), 0.3, 0.4, f"{ran}less ln n: the most"),
        between(float(bias[1]), 4.265, 4.275, "that of 50 steps"),
        between(float(log[1]), 3.905, 3.915, "ln 50"),
    )


@cache
def fresh_gates(shift: float = 0.0) -> Tensor:
    """Return the mean forget gate of fresh networks that read random inputs."""
    means = []
    for seed in range(SEEDS):
        module = lstm(seed, 1, 32)
        X = numbers(seed, 20, 1, 1)
        H, _ = run_lstm(module, X)
        (parameters,) = networks.lstm_parameters(module)
        gates = networks.lstm_gates(X[1:], H[:-1], *parameters)
        logits = gates.f.logit() + shift
        means.append(logits.sigmoid().mean())
    return torch.stack(means)


@claim(on=fresh_gates, planted=[lambda _: fresh_gates(1.0), lambda f: f**2])
def lstm_fresh_half(means: Tensor) -> Finding:
    """So along the direct path a fresh `nn.LSTM` loses about half in a step, on average over its units."""
    ran = f"mean forget gate of {SEEDS} fresh networks of 32 units, the {{}}"
    return every(
        between(float(means.min()), 0.4, 0.6, ran.format("smallest")),
        between(float(means.max()), 0.4, 0.6, ran.format("largest")),
    )


@cache
def shares(scale: float, *biases: float, lag: int = 50) -> Tensor:
    """Return log10 of the gradient's share left so many steps back, (bias, seed)."""
    return torch.tensor(
        [[left(seed, scale, bias, lag) for seed in range(9)] for bias in biases]
    ).log10()


def left(seed: int, scale: float, bias: float, lag: int, h: int = 32) -> float:
    """Compare the gradients at the first and the last cell state, by torch's LSTM."""
    module = lstm(seed, 1, h)
    with torch.no_grad():
        weights, biases = list(module.parameters())[:2], list(module.parameters())[2:]
        biases[0][h : 2 * h] += bias
        for weight in weights:
            weight.mul_(scale)
    zero = torch.zeros(1, 1, h, dtype=DOUBLE)
    start = zero.clone().requires_grad_()
    H, (h_T, c_T) = module(numbers(seed, lag, 1, 1), (zero, start))
    v = numbers(seed + 500, 1, h)
    (first,) = torch.autograd.grad((v * H[-1]).sum(), start)
    shown = torch.tanh(c_T.detach())
    last = v * h_T.detach() / shown * (1 - shown**2)  # o (1 - tanh(c)^2)
    return float(first.norm() / last.norm())


@claim(on=lambda: shares(1.0, 0.0, 1.0, 3.0), planted=[lambda s: s.flip(0)])
def lstm_forget_bias_keeps_gradient(found: Tensor) -> Finding:
    """The larger the forget bias, the more of the gradient is left after 50 steps."""
    none, one, three = found
    ran = "gradient left after 50 steps, log10, nine random networks of 32 units: "
    return every(
        sign_test(one - none, f"{ran}forget bias 1 less 0"),
        sign_test(three - one, f"{ran}3 less 1"),
    )


@claim(
    on=lambda: shares(8.0, 1.0, lag=99), planted=[lambda _: shares(1.0, 1.0, lag=99)]
)
def lstm_can_explode(found: Tensor) -> Finding:
    """And they do not prevent an explosion: the path through $h_{t-1}$ has matrices in it, and with large weights it can explode."""
    ran = (
        "gradient 99 steps back over the last one, log10, weights eight times as large"
    )
    return above(float(np.max(np.asarray(found))), 1, f"{ran}, largest of nine")


# The backward passes


def backward(cut: bool = False) -> Tensor:
    """Return the relative error of each gradient by hand, of LSTMs and GRUs."""
    errors: list[Tensor] = []
    for seed, (T, B, d, h) in enumerate([(1, 3, 2, 2), (7, 1, 1, 5), (12, 2, 4, 3)]):
        X, H_0, C_0 = numbers(1, T, B, d), numbers(2, B, h), numbers(3, B, h)
        of_lstm = networks.lstm_parameters(lstm(seed, d, h, size=1.0))[0]
        of_gru = networks.gru_parameters(gru(seed, d, h, size=1.0))[0]
        target = numbers(4, T, B, h)
        for kind, values in (
            ("lstm", [X, H_0, C_0, *of_lstm]),
            ("gru", [X, H_0, *of_gru]),
        ):
            found = []
            for room in (bptt, networks):
                leaves = [v.clone().requires_grad_() for v in values]
                out = getattr(room, kind)(*leaves)
                H = out[0] if kind == "lstm" else out
                difference = (H - target)[-1:] if cut and room is bptt else H - target
                found.append(torch.autograd.grad((difference**2).sum(), leaves))
            errors += [(a - b).norm() / b.norm() for a, b in zip(*found, strict=True)]
    return torch.stack(errors)


@claim(on=backward, planted=[lambda _: backward(cut=True)])
def lstm_backward_by_hand(errors: Tensor) -> Finding:
    """Their gradients are those of automatic differentiation, up to rounding."""
    ran = f"{len(errors)} gradients of LSTMs and GRUs of three shapes, largest error"
    return below(float(errors.max()), 1e-12, ran)


@cache
def gru_sizes() -> Pair:
    """Return the largest |h_t| of random GRUs from inside (-1, 1), and LSTMs' |c|."""
    grus, lstms = [], []
    for seed in range(SEEDS):
        X, inside = 3 * numbers(seed, 100, 1, 2), torch.tanh(numbers(seed, 1, 1, 8))
        grus.append(gru(seed, 2, 8, size=4.0)(X, inside)[0].abs().max())
        lstms.append(run_lstm(lstm(seed, 2, 8, size=4.0), X)[1].abs().max())
    return torch.stack(grus), torch.stack(lstms)


@claim(on=gru_sizes, planted=[swapped])
def lstm_gru_stays_inside(found: Pair) -> Finding:
    """The direct path is now $\\operatorname{diag}(z_t)$, and what is not kept is written: no state can grow beyond $(-1, 1)$ once it is inside."""
    ran = f"largest state of {SEEDS} random GRUs with weights up to 4, 100 steps"
    return between(float(found[0].max()), 0, 1, ran)


def two_grus(swap: bool = False) -> Pair:
    """Return how far the two forms are apart: with a full W_hn, with a diagonal one."""
    apart: list[list[Tensor]] = [[], []]
    for seed in range(SEEDS):
        module = gru(seed, 3, 4, size=1.0)
        W_x, W_h, b, _ = networks.gru_parameters(module)[0]
        X, start = numbers(seed, 6, 2, 3), numbers(seed, 2, 4)
        for n, diagonal in enumerate((swap, not swap)):
            W = W_h.clone()
            if diagonal:
                W[8:] = torch.diag(W[8:].diagonal())
            after = networks.gru(X, start, W_x, W, b, 0 * start[0])
            before = networks.gru_textbook(X, start, W_x, W, b)
            apart[n].append((after - before).norm() / after.norm())
    return torch.stack(apart[0]), torch.stack(apart[1])


@claim(on=two_grus, planted=[lambda _: two_grus(swap=True), swapped])
def lstm_two_grus(found: Pair) -> Finding:
    """With the same weights the two give different states; if $W_{hn}$ is diagonal, the same."""
    full, diagonal = found
    return every(
        above(float(full.min()), 0.01, f"{SEEDS} random GRUs, smallest difference"),
        below(float(diagonal.max()), 1e-12, "the same with a diagonal matrix, largest"),
    )


# What it costs in numbers


def stored(biases: bool = False) -> dict[str, Tensor]:
    """Count what torch's modules store, for several sizes (d, h)."""
    sizes = [(1, 512), (3, 5), (7, 2), (10, 128)]
    kinds = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
    return {
        name: torch.tensor(
            [
                sum(p.numel() for p in kind(d, h, bias=biases).parameters())
                for d, h in sizes
            ],
            dtype=DOUBLE,
        )
        for name, kind in kinds.items()
    }


def fewer_blocks(counts: dict[str, Tensor]) -> dict[str, Tensor]:
    """Plant: GRU and LSTM exchanged."""
    return counts | {"lstm": counts["gru"], "gru": counts["lstm"]}


@claim(on=stored, planted=[fewer_blocks])
def lstm_blocks(counts: dict[str, Tensor]) -> Finding:
    """A layer with $h$ units and $d$ inputs has one such block of weights for the tanh network, four for the LSTM, three for the GRU."""
    ran = "weights of torch's modules without biases, four sizes, over the RNN's: the "
    return every(
        equal(counts["lstm"] / counts["rnn"], np.full(4, 4.0), f"{ran}LSTM's"),
        equal(counts["gru"] / counts["rnn"], np.full(4, 3.0), f"{ran}GRU's"),
    )


def report_size() -> Tensor:
    """Count an LSTM with a head as printed, as the book does, and as torch stores it."""
    rows = []
    for d, n in ((10, 128), (3, 5)):
        printed = 4 * (d * n + n * n + n) + n * d + d
        model = nn.ModuleList([nn.LSTM(d, n), nn.Linear(n, d)])
        torchs = sum(p.numel() for p in model.parameters())
        rows.append([printed, count_parameters("lstm", d, n, d), torchs - 4 * n])
    return torch.tensor(rows, dtype=DOUBLE)


@claim(on=report_size, planted=[lambda n: n * torch.tensor([1, 1, 1.1])])
def lstm_count_formula(found: Tensor) -> Finding:
    """In general the head has $q(h + 1)$ parameters, and torch's cell $4h$ more."""
    printed, ours, torchs = found.T
    ran = "as many outputs as inputs, two sizes: the report's formula against "
    return every(
        equal(printed, ours, f"{ran}the book's"),
        equal(printed, torchs, f"{ran}torch's modules less 4h"),
    )


# A task that needs the gates


@cache
def sums() -> dict[tuple[str, int], Tensor]:
    """Return the last errors of the recorded trainings, by cell and length."""
    found: dict[tuple[str, int], list[float]] = {}
    for record in RecordFile(RECORDS / Path(SUMS).name, adding.AddingRecord).read():
        key = record.adding.cell, record.adding.length
        found.setdefault(key, []).append(record.error[-1])
    return {key: torch.tensor(errors) for key, errors in found.items()}


def cells_exchanged(
    found: dict[tuple[str, int], Tensor],
) -> dict[tuple[str, int], Tensor]:
    """Plant: RNN and LSTM exchanged."""
    other = {"rnn": "lstm", "lstm": "rnn"}
    return {(other[cell], n): errors for (cell, n), errors in found.items()}


@claim(on=sums, planted=[cells_exchanged])
def lstm_adds(found: dict[tuple[str, int], Tensor]) -> Finding:
    """At 50 steps each LSTM ends with a smaller error than every RNN, at both rates, from both starts."""
    rnn, lstm = found["rnn", 50], found["lstm", 50]
    ran = f"recorded errors at 50 steps, {len(lstm)} LSTMs and {len(rnn)} RNNs"
    return every(
        above(float(rnn.min() - lstm.max()), 0.1, f"{ran}: least RNN less most LSTM"),
        rank_test(rnn, lstm, f"{ran}, as independent runs"),
    )


@claim(on=sums, planted=[lambda found: found | {("rnn", 10): found["rnn", 50]}])
def lstm_rnn_adds_short(found: dict[tuple[str, int], Tensor]) -> Finding:
    """At 10 steps the RNNs learn it too, if less well."""
    rnn, lstm = found["rnn", 10], found["lstm", 10]
    ran = f"recorded errors at 10 steps, {len(rnn)} RNNs"
    return every(
        below(float(rnn.max()), 0.5, f"{ran}, the largest"),
        rank_test(rnn, lstm, f"{ran} and {len(lstm)} LSTMs"),
    )


@cache
def gates_while_adding() -> tuple[Tensor, Tensor]:
    """Return input and forget gates of the two units, (marked or not, 2) each."""
    one = adding.Adding(**adding.KINDS["LSTM, forget bias 3"])
    _, (model,) = adding.learn([one], device="cpu")
    source = torch.Generator().manual_seed(7)
    X, _ = adding.numbers_to_add(50, 300, generator=source)
    with torch.no_grad():
        H, _ = cast(nn.LSTM, model.cell)(X)
        (parameters,) = networks.lstm_parameters(cast(nn.LSTM, model.cell))
        before = torch.cat([0 * H[:1], H[:-1]])
        gates = networks.lstm_gates(X, before, *parameters)
    marked = X[..., 1] == 1
    i, f = (
        torch.stack([gate[marked].mean(0), gate[~marked].mean(0)])
        for gate in (gates.i, gates.f)
    )
    two = (i[0] - i[1]).topk(2).indices
    return i[:, two], f[:, two]


@claim(
    on=gates_while_adding,
    planted=[swapped, lambda gates: (gates[0].flip(0), gates[1])],
)
def lstm_gates_at_marks(gates: tuple[Tensor, Tensor]) -> Finding:
    """So the gates do what they are called after: a number is let in when its mark comes, and what is there is kept."""
    i, f = gates
    ran = "mean opening in 300 new sequences, two units: "
    return every(
        above(float((i[0] - i[1]).min()), 0.25, f"{ran}input, marked less others"),
        above(float(f.min()), 0.8, f"{ran}forget gates, the smallest"),
    )


# On real prices


@cache
def full_size() -> Tensor:
    """Return log(error / persistence's) of the recorded many-to-one runs with Adam."""
    wanted = {
        astuple(e)
        for e in grid(
            configurations=("many-to-one",), optimizers=("adam",), seeds=range(3)
        )
    }
    records = RecordFile(RECORDS / Path(GRID).name).read()
    found = [r for r in records if astuple(r.experiment) in wanted]
    return torch.tensor([np.log(r.mse / r.persistence_mse) for r in found])


@claim(on=full_size, planted=[negated])
def lstm_most_runs_lose(found: Tensor) -> Finding:
    """Most of these runs are farther from the next close than today's price is."""
    return sign_test(found, "log of the error over persistence's, recorded runs")
