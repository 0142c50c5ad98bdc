"""The worlds of chapter 7: a unit that holds its sign, and starts that keep lengths."""

import torch
from torch import Tensor, nn

from rnn_companion.equations import Tape, world

SIZES = [{"T": 5}, {"T": 7}, {"T": 4}]


@world("latch", sizes=SIZES, ranges={"t": (1, "T")}, tight=True)
def latch(tape: Tape) -> None:
    """Run one tanh unit whose first input has written a sign, but in two draws.

    There the first state is below the resting one; in one of the two the second
    input lifts it. In a tight draw every later input pushes back with all its
    strength, and the first state is no larger than it has to be.
    """
    T = tape.sizes["T"]
    w = tape.leaf("w", 3 + tape.normal().abs())
    kappa = tape.leaf(r"\kappa", 0.5 * torch.rand((), generator=tape.generator) + 0.2)
    m = tape.put(r"h_\star", held(w, kappa), source="iteration from above")
    h = tape.leaf("h", torch.zeros(()), 0)
    for t in range(1, T + 1):
        x_t = tape.leaf("x", pushed(tape, m, kappa, t), t)
        h = tape.step("h", lambda w, h, x_t: torch.tanh(w * h + x_t), (w, h, x_t), t)
    tape.confirm(h, torch_last_state(tape), "torch.nn.RNN")


def pushed(tape: Tape, m: Tensor, kappa: Tensor, t: int) -> Tensor:
    """Draw an input: the first writes or fails to, the others push up to kappa."""
    random = torch.rand((), generator=tape.generator, dtype=torch.float64)
    if t == 1:
        if tape.seed > 0 and not tape.tight:
            return torch.atanh(0.9 * m)
        return torch.atanh(m) + (0 if tape.tight else random)
    if tape.seed == 1 and t == 2 and not tape.tight:
        return 1 + random
    full = tape.tight or tape.seed == 2
    return -kappa if full else kappa * (2 * random - 1)


def most(w: Tensor) -> Tensor:
    """Find the greatest push that leads some state back to itself."""
    at = summit(w)
    greatest: Tensor = w.detach() * at - 0.5 * torch.log((1 + at) / (1 - at))
    return greatest


def summit(w: Tensor) -> Tensor:
    """Find where w h less the inverse of tanh is greatest, from the values alone."""
    low, high = torch.zeros(2, dtype=torch.float64)
    high = high + 1 - 1e-12
    for _ in range(200):
        a, b = (2 * low + high) / 3, (low + 2 * high) / 3
        up = (b - a) * w.detach() > torch.atanh((b - a) / (1 - a * b))
        low, high = (a, high) if up else (low, b)
    found: Tensor = (low + high) / 2
    return found


@world("latch-bears", sizes=[{}], tight=True)
def latch_bears(tape: Tape) -> None:
    """Draw a unit's weight and a push that it bears; in a tight draw it just does."""
    w = tape.leaf("w", 1.2 + 3 * tape.normal().abs())
    share = 0.2 + 0.7 * torch.rand((), generator=tape.generator, dtype=torch.float64)
    tape.functions[r"\operatorname{artanh}"] = torch.atanh
    top = tape.put(r"h_{\mathrm{top}}", summit(w), source="search by intervals")
    kappa = tape.leaf(r"\kappa", (1 - 1e-11 if tape.tight else share) * most(w))
    low, high = top, torch.ones_like(top)
    for _ in range(100):
        middle = (low + high) / 2
        up = torch.tanh(w.detach() * middle - kappa.detach()) > middle
        low, high = (middle, high) if up else (low, middle)
    tape.put(r"h_\star", (low + high) / 2, source="search by halves")


@world("latch-curve", sizes=[{}])
def latch_curve(tape: Tape) -> None:
    """Draw a unit's weight and a state, and find the push that leads back to it."""
    w = tape.leaf("w", 1.2 + 3 * tape.normal().abs())
    h = tape.leaf("h", 0.1 + 0.8 * torch.rand((), generator=tape.generator))
    tape.functions[r"\operatorname{artanh}"] = torch.atanh
    tape.put(r"h_{\mathrm{top}}", summit(w), source="search by intervals")
    kappa = tape.step(r"\kappa", lambda w, h: w * h - torch.atanh(h), (w, h))
    tape.confirm(kappa, balanced(w, h), "torch.tanh, and halving")


def balanced(w: Tensor, h: Tensor) -> Tensor:
    """Find by halving the push that leads a state back to itself."""
    low, high = torch.tensor([-9.0, 9.0], dtype=torch.float64)
    for _ in range(100):
        middle = (low + high) / 2
        up = torch.tanh(w.detach() * h.detach() - middle) > h.detach()
        low, high = (middle, high) if up else (low, middle)
    found: Tensor = (low + high) / 2
    return found


def held(w: Tensor, kappa: Tensor) -> Tensor:
    """Find the state that one push after another does not get below."""
    m = torch.ones((), dtype=torch.float64)
    for _ in range(500):
        m = torch.tanh(w.detach() * m - kappa.detach())
    return m


def torch_last_state(tape: Tape) -> Tensor:
    """Run torch's own network of one unit."""
    T = tape.sizes["T"]
    rnn = nn.RNN(1, 1, bias=False, dtype=torch.float64)
    rnn.get_parameter("weight_ih_l0").data.fill_(1.0)
    rnn.get_parameter("weight_hh_l0").data.fill_(tape.values["w", (), ()].item())
    with torch.no_grad():
        x = torch.stack([tape.values["x", (t,), ()] for t in range(1, T + 1)])
        last: Tensor = rnn(x.view(T, 1, 1))[1]
    return last.view(())


@world(
    "orthogonal",
    sizes=[{"h": 4, "T": 5}, {"h": 3, "T": 6}, {"h": 5, "T": 3}],
    ranges={"t": (1, "T")},
    tight=True,
)
def orthogonal(tape: Tape) -> None:
    """Run a tanh layer with an orthogonal W_hh; in a tight draw all states are zero."""
    h, T = tape.sizes["h"], tape.sizes["T"]
    W_hh = nn.init.orthogonal_(
        torch.empty(h, h, dtype=torch.float64), generator=tape.generator
    )
    W_hh = tape.leaf("W_{hh}", W_hh)
    tape.sources["W_{hh}"] = "torch.nn.init.orthogonal_"
    tape.leaf("I", torch.eye(h))
    tape.leaf("v", tape.normal(h, 1))
    scale = 0.0 if tape.tight else 1.0
    state = tape.leaf("h", tape.normal(h, 1, scale=scale), 0)
    for t in range(1, T + 1):
        e = tape.leaf("e", tape.normal(h, 1, scale=scale), t)
        state = tape.step(
            "h", lambda W, s, e: torch.tanh(W @ s + e), (W_hh, state, e), t
        )


@world("forget-start", sizes=SIZES, ranges={"t": (1, "T")})
def forget_start(tape: Tape) -> None:
    """Let torch's LSTM cell run on with its input gate shut."""
    T = tape.sizes["T"]
    b_f = tape.leaf("b_f", tape.normal() + 1)
    cell = nn.LSTMCell(1, 1, dtype=torch.float64)
    for name, parameter in cell.named_parameters():
        parameter.data.zero_()
        if name == "bias_ih":
            parameter.data[:2] = torch.tensor([-1e4, b_f.item()], dtype=torch.float64)
    h, c = torch.zeros(1, 1, dtype=torch.float64), tape.normal(1, 1)
    for t in range(1, T + 1):
        tape.put("c", c.view(()).detach(), t, source="torch.nn.LSTMCell")
        h, c = cell(torch.zeros(1, 1, dtype=torch.float64), (h, c))
    tape.functions[r"\sigma"] = torch.sigmoid
