"""The worlds of chapter 4: LSTM and GRU, their counts, and the forget bias."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rnn_companion.equations import Tape, world

LSTM_ROWS, GRU_ROWS = "ifgo", "rzn"
SIZES = [{"d": 3, "h": 4, "T": 5}, {"d": 5, "h": 2, "T": 3}]


@world("lstm", sizes=SIZES, ranges={"t": (1, "T")})
def lstm(tape: Tape) -> None:
    """Run one sample through an LSTM; torch's own cell confirms every state."""
    d, h, T = (tape.sizes[k] for k in "dhT")
    W_x, W_h, b = weights(tape, LSTM_ROWS)
    c = tape.leaf("c", tape.normal(h, 1), 0)
    state = tape.leaf("h", tape.normal(h, 1), 0)
    cell = nn.LSTMCell(d, h, dtype=torch.float64)
    fill(cell, W_x, W_h, b)
    states = []
    for t in range(1, T + 1):
        x, h_prev, c_prev = tape.leaf("x", tape.normal(d, 1), t), state, c
        a = tape.step("a", stacked, (W_x, x, W_h, h_prev, b), t)
        i = tape.step("i", lambda a: torch.sigmoid(a[:h]), (a,), t)
        f = tape.step("f", lambda a: torch.sigmoid(a[h : 2 * h]), (a,), t)
        g = tape.step("g", lambda a: torch.tanh(a[2 * h : 3 * h]), (a,), t)
        o = tape.step("o", lambda a: torch.sigmoid(a[3 * h :]), (a,), t)
        c = tape.step("c", lambda f, c, i, g: f * c + i * g, (f, c_prev, i, g), t)
        state = tape.step("h", lambda o, c: o * torch.tanh(c), (o, c), t)
        expected = cell(x.T, (h_prev.T, c_prev.T))
        tape.confirm(state, expected[0].T, "torch.nn.LSTMCell")
        tape.confirm(c, expected[1].T, "torch.nn.LSTMCell")
        states.append(state)
    loss(tape, states)
    tape.functions[r"\sigma"] = torch.sigmoid


@world("gru", sizes=SIZES, ranges={"t": (1, "T")})
def gru(tape: Tape) -> None:
    """Run one sample through torch's form of the GRU."""
    d, h, T = (tape.sizes[k] for k in "dhT")
    W_x, W_h, b = weights(tape, GRU_ROWS)
    b_hn = tape.leaf("b_{hn}", tape.normal(h, 1))
    state = tape.leaf("h", tape.normal(h, 1), 0)
    cell = nn.GRUCell(d, h, dtype=torch.float64)
    fill(cell, W_x, W_h, b)
    with torch.no_grad():
        cell.bias_hh[2 * h :] = b_hn.flatten()
    states = []
    for t in range(1, T + 1):
        x, h_prev = tape.leaf("x", tape.normal(d, 1), t), state
        entering = (W_h, h_prev, b_hn)
        m = tape.step(
            r"\tilde{n}", lambda W_h, s, b_hn: W_h[2 * h :] @ s + b_hn, entering, t
        )
        enters = (W_x, x, W_h, h_prev, b)
        r = tape.step("r", lambda *e: torch.sigmoid(stacked(*e)[:h]), enters, t)
        z = tape.step("z", lambda *e: torch.sigmoid(stacked(*e)[h : 2 * h]), enters, t)
        n = tape.step("n", gru_candidate, (W_x, x, b, r, m), t)
        state = tape.step("h", lambda z, n, s: (1 - z) * n + z * s, (z, n, h_prev), t)
        tape.confirm(state, cell(x.T, h_prev.T).T, "torch.nn.GRUCell")
        states.append(state)
    loss(tape, states)
    tape.functions[r"\sigma"] = torch.sigmoid


@world("gru-before", sizes=SIZES, ranges={"t": (1, "T")})
def gru_before(tape: Tape) -> None:
    """Make the first paper's candidate out of torch's cell, unit by unit.

    Torch resets after the product. Where one unit alone is seen through the
    product, before and after are the same: so the columns of W_hn are fed to
    torch's cell one by one, and their contributions added up.
    """
    d, h, T = (tape.sizes[k] for k in "dhT")
    W_xn = tape.leaf("W_{xn}", tape.normal(h, d))
    W_hn = tape.leaf("W_{hn}", tape.normal(h, h))
    b_n = tape.leaf("b_n", tape.normal(h, 1))
    for t in range(1, T + 1):
        x = tape.leaf("x", tape.normal(d, 1), t)
        r = tape.leaf("r", torch.sigmoid(tape.normal(h, 1)), t)
        s = tape.leaf("h", tape.normal(h, 1), t - 1)
        units = [r[k] * s[k] * W_hn[:, k : k + 1] for k in range(h)]
        a = W_xn @ x + b_n + torch.stack(units).sum(0)
        tape.put("n", torch.tanh(a), t, source="the columns of W_{hn} one by one")


@world(
    "counts",
    sizes=[
        {"d": 3, "h": 4, "q": 6},
        {"d": 10, "h": 7, "q": 2},
        {"d": 1, "h": 5, "q": 4},
    ],
)
def counts(tape: Tape) -> None:
    """Count what torch's networks hold, and that without the biases not needed.

    The GRU needs one more than the others: its candidate has a bias inside the
    reset gate, the last part of torch's second, and one outside.
    """
    d, h, q = (tape.sizes[k] for k in "dhq")
    kinds: dict[str, Callable[[int, int], nn.RNNBase]] = {
        "RNN": nn.RNN,
        "LSTM": nn.LSTM,
        "GRU": nn.GRU,
    }
    for name, kind in kinds.items():
        module = kind(d, h)
        weights = sum(p.numel() for n, p in module.named_parameters() if "weight" in n)
        biases = module.get_parameter("bias_ih_l0").numel()
        inside = h if name == "GRU" else 0
        for symbol, count in (
            ("P", weights + biases + inside),
            (r"\tilde{P}", weights + 2 * biases),
        ):
            symbol += rf"_{{\mathrm{{{name}}}}}"
            tape.put(symbol, count, source=f"torch.nn.{name}")
    head = sum(p.numel() for p in nn.Linear(h, q).parameters())
    tape.put(r"P_{\mathrm{head}}", head, source="torch.nn.Linear")


@world("forget-bias", sizes=[{"N": 7}])
def forget_bias(tape: Tape) -> None:
    """Find by bisection when a gate with this bias has forgotten half."""
    b_f = tape.leaf("b_f", tape.normal() + 1.5)
    low, high = 0.0, 1e4
    for _ in range(200):
        middle = (low + high) / 2
        kept = torch.sigmoid(b_f.detach()) ** middle
        low, high = (middle, high) if kept > 0.5 else (low, middle)
    tape.put("n", low, source="bisection")
    tape.functions[r"\sigma"] = torch.sigmoid


def weights(tape: Tape, rows: str) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the stacked parameters, and name their blocks of rows."""
    d, h = tape.sizes["d"], tape.sizes["h"]
    k = len(rows)
    W_x, W_h, b = (
        tape.leaf(n, tape.normal(k * h, m))
        for n, m in (("W_x", d), ("W_h", h), ("b", 1))
    )
    for at, gate in enumerate(rows):
        block = slice(at * h, (at + 1) * h)
        tape.put(f"W_{{x{gate}}}", W_x[block])
        tape.put(f"W_{{h{gate}}}", W_h[block])
        tape.put(f"b_{gate}", b[block])
    return W_x, W_h, b


def fill(cell: nn.LSTMCell | nn.GRUCell, W_x: Tensor, W_h: Tensor, b: Tensor) -> None:
    """Give torch's cell these weights, and all of the bias to the first of its two."""
    with torch.no_grad():
        cell.weight_ih.copy_(W_x)
        cell.weight_hh.copy_(W_h)
        cell.bias_ih.copy_(b.flatten())
        cell.bias_hh.zero_()


def stacked(W_x: Tensor, x: Tensor, W_h: Tensor, h: Tensor, b: Tensor) -> Tensor:
    """Compute the pre-activations of all gates."""
    return W_x @ x + W_h @ h + b


def gru_candidate(W_x: Tensor, x: Tensor, b: Tensor, r: Tensor, m: Tensor) -> Tensor:
    """Compute the candidate of torch's form."""
    return torch.tanh((W_x @ x + b)[2 * len(r) :] + r * m)


def loss(tape: Tape, states: list[Tensor]) -> None:
    """Let a loss read all hidden states."""
    targets = [tape.normal(*s.shape) for s in states]

    def rule(*states: Tensor) -> Tensor:
        errors = [(s - y).square().mean() for s, y in zip(states, targets, strict=True)]
        return torch.stack(errors).mean()

    tape.step("L", rule, states)
