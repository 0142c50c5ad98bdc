"""The recurrences, symbol for symbol as the book prints them.

Tensors are time first and a batch lies in rows: `X` is `(T, B, d)`, `H` is
`(T, B, h)`. Weights are stored out x in, as in torch. These functions are meant to
be read; torch's autograd differentiates them. `rnn_companion.bptt` has the same
recurrences with their gradients written out by hand.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

__all__ = [
    "GRUParameters",
    "Gates",
    "LSTMParameters",
    "RNNParameters",
    "check_gru",
    "check_lstm",
    "check_rnn",
    "check_time_gate",
    "gru",
    "gru_parameters",
    "gru_step",
    "gru_textbook",
    "lstm",
    "lstm_cell",
    "lstm_gates",
    "lstm_parameters",
    "lstm_stack",
    "lstm_step",
    "phased_lstm",
    "rnn",
    "rnn_parameters",
    "rnn_step",
    "stack",
    "time_gate",
]


class RNNParameters(NamedTuple):
    """The parameters of one tanh layer, out x in."""

    W_xh: Tensor  # (h, d)
    W_hh: Tensor  # (h, h)
    b_h: Tensor  # (h,)


def rnn_step(
    x_t: Tensor, h_prev: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor
) -> Tensor:
    """Return the next hidden state of a tanh layer (chapter 1, `eq-rnn`).

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev : Tensor, `(B, h)` or `(h,)`
        The hidden state of the step before.
    W_xh, W_hh, b_h : Tensor, `(h, d)`, `(h, h)`, `(h,)`
        The parameters of the layer.

    Returns
    -------
    Tensor, `(B, h)` or `(h,)`
        The hidden state of this step.
    """
    a_t = x_t @ W_xh.T + h_prev @ W_hh.T + b_h  # (B, h)
    return torch.tanh(a_t)


def rnn(X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> Tensor:
    """Run a tanh layer over a sequence (chapter 1, `eq-rnn`).

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    H_0 : Tensor, `(B, h)`
        The initial hidden state.
    W_xh, W_hh, b_h : Tensor, `(h, d)`, `(h, h)`, `(h,)`
        The parameters of the layer.

    Returns
    -------
    Tensor, `(T, B, h)`
        The hidden states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    check_rnn(X, H_0, W_xh, W_hh, b_h)
    H = []
    H_t = H_0
    for X_t in X:
        H_t = rnn_step(X_t, H_t, W_xh, W_hh, b_h)
        H.append(H_t)
    return torch.stack(H)


def stack(
    recurrence: Callable[..., Tensor],
    X: Tensor,
    H_0: Tensor,
    layers: Sequence[tuple[Tensor, ...]],
) -> list[Tensor]:
    """Run layers on top of each other: the states of one are the inputs of the next.

    Parameters
    ----------
    recurrence : callable
        `rnn` or `gru` of this module or of `rnn_companion.bptt`.
    X : Tensor, `(T, B, d)`
        The inputs of the first layer.
    H_0 : Tensor, `(layers, B, h)`
        The initial hidden state of each layer.
    layers : sequence of parameter tuples
        The parameters of each layer, the first one first.

    Returns
    -------
    list of Tensor, each `(T, B, h)`
        The hidden states of each layer; the last is the output of the stack.

    Raises
    ------
    ValueError
        If `H_0` does not hold one state for each layer, or a shape does not fit.
    """
    _check_layers("H_0", H_0, len(layers))
    H = []
    for H_0_l, parameters in zip(H_0, layers, strict=True):
        X = recurrence(X, H_0_l, *parameters)  # (T, B, h)
        H.append(X)
    return H


def rnn_parameters(module: nn.RNN) -> list[RNNParameters]:
    """Return the parameters of each layer of a `torch.nn.RNN`.

    Torch keeps two biases a layer where one would do. The layer's `b_h` is their sum,
    so each of the two receives the gradient of `b_h`.

    Parameters
    ----------
    module : torch.nn.RNN
        A tanh network in one direction, with biases.

    Returns
    -------
    list of RNNParameters
        One for each layer; gradients flow through them to the module's own weights.

    Raises
    ------
    ValueError
        If the module is not a tanh network in one direction with biases.
    """
    if module.nonlinearity != "tanh" or module.bidirectional or not module.bias:
        raise ValueError(
            f"{module} cannot be read as tanh layers: "
            "it must use tanh, one direction and biases"
        )
    return [
        RNNParameters(W_xh, W_hh, b_ih + b_hh)
        for W_xh, W_hh, b_ih, b_hh in _weights_by_layer(module)
    ]


def check_rnn(X: Tensor, H_0: Tensor, W_xh: Tensor, W_hh: Tensor, b_h: Tensor) -> None:
    """Raise a ValueError that names the first tensor whose shape does not fit."""
    B, d = _check_inputs(X)
    h = len(W_xh)
    _check_shapes(
        f"X has batch size {B} and {d} inputs, and W_xh has {h} units",
        W_xh=(W_xh, (h, d)),
        W_hh=(W_hh, (h, h)),
        b_h=(b_h, (h,)),
        H_0=(H_0, (B, h)),
    )


class LSTMParameters(NamedTuple):
    """The parameters of one LSTM layer: the rows of i, f, g and o, in this order."""

    W_x: Tensor  # (4h, d)
    W_h: Tensor  # (4h, h)
    b: Tensor  # (4h,)


class Gates(NamedTuple):
    """The gates of an LSTM at one step, or at all of them; `g` is the candidate."""

    i: Tensor  # (B, h), in (0, 1)
    f: Tensor  # (B, h), in (0, 1)
    g: Tensor  # (B, h), in (-1, 1)
    o: Tensor  # (B, h), in (0, 1)


def lstm_gates(
    x_t: Tensor, h_prev: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> Gates:
    """Open the gates of an LSTM (chapter 4, `eq-lstm-i` to `eq-lstm-o`).

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev : Tensor, `(B, h)` or `(h,)`
        The hidden state of the step before.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the layer.

    Returns
    -------
    Gates
        Input gate, forget gate, candidate and output gate, each `(B, h)` or `(h,)`.
    """
    a_i, a_f, a_g, a_o = (x_t @ W_x.T + h_prev @ W_h.T + b).chunk(4, dim=-1)
    return Gates(
        i=torch.sigmoid(a_i),
        f=torch.sigmoid(a_f),
        g=torch.tanh(a_g),
        o=torch.sigmoid(a_o),
    )


def lstm_cell(gates: Gates, c_prev: Tensor) -> tuple[Tensor, Tensor]:
    """Keep, write and show the cell (chapter 4, `eq-lstm-c` and `eq-lstm-h`).

    Parameters
    ----------
    gates : Gates
        What `lstm_gates` returned.
    c_prev : Tensor, `(B, h)` or `(h,)`
        The cell state of the step before.

    Returns
    -------
    h_t, c_t : Tensor, each `(B, h)` or `(h,)`
        The hidden state and the cell state of this step.
    """
    i, f, g, o = gates
    c_t = f * c_prev + i * g
    return o * torch.tanh(c_t), c_t


def lstm_step(
    x_t: Tensor, h_prev: Tensor, c_prev: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the next hidden state and cell state of an LSTM layer (chapter 4).

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev, c_prev : Tensor, `(B, h)` or `(h,)`
        The states of the step before.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the layer.

    Returns
    -------
    h_t, c_t : Tensor, each `(B, h)` or `(h,)`
        The states of this step.
    """
    return lstm_cell(lstm_gates(x_t, h_prev, W_x, W_h, b), c_prev)


def lstm(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> tuple[Tensor, Tensor]:
    """Run an LSTM layer over a sequence (chapter 4, `eq-lstm-i` to `eq-lstm-h`).

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    H_0, C_0 : Tensor, `(B, h)`
        The initial hidden state and cell state.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the layer.

    Returns
    -------
    H, C : Tensor, each `(T, B, h)`
        The hidden states and the cell states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    check_lstm(X, H_0, C_0, W_x, W_h, b)
    H, C = [], []
    H_t, C_t = H_0, C_0
    for X_t in X:
        H_t, C_t = lstm_step(X_t, H_t, C_t, W_x, W_h, b)
        H.append(H_t)
        C.append(C_t)
    return torch.stack(H), torch.stack(C)


def lstm_stack(
    recurrence: Callable[..., tuple[Tensor, Tensor]],
    X: Tensor,
    H_0: Tensor,
    C_0: Tensor,
    layers: Sequence[tuple[Tensor, ...]],
) -> list[tuple[Tensor, Tensor]]:
    """Run LSTM layers on top of each other, as `stack` does for other cells.

    Parameters
    ----------
    recurrence : callable
        `lstm` of this module or of `rnn_companion.bptt`.
    X : Tensor, `(T, B, d)`
        The inputs of the first layer.
    H_0, C_0 : Tensor, `(layers, B, h)`
        The initial states of each layer.
    layers : sequence of parameter tuples
        The parameters of each layer, the first one first.

    Returns
    -------
    list of (H, C), each `(T, B, h)`
        The states of each layer; the last H is the output of the stack.

    Raises
    ------
    ValueError
        If `H_0` or `C_0` does not hold one state for each layer, or a shape does
        not fit.
    """
    for name, start in (("H_0", H_0), ("C_0", C_0)):
        _check_layers(name, start, len(layers))
    states = []
    for H_0_l, C_0_l, parameters in zip(H_0, C_0, layers, strict=True):
        X, C = recurrence(X, H_0_l, C_0_l, *parameters)  # (T, B, h)
        states.append((X, C))
    return states


def lstm_parameters(module: nn.LSTM) -> list[LSTMParameters]:
    """Return the parameters of each layer of a `torch.nn.LSTM`.

    As in `rnn_parameters`, torch's two biases are added up.

    Parameters
    ----------
    module : torch.nn.LSTM
        A network in one direction, with biases and without projection.

    Returns
    -------
    list of LSTMParameters
        One for each layer; gradients flow through them to the module's own weights.

    Raises
    ------
    ValueError
        If the module has two directions, no biases or a projection.
    """
    if module.bidirectional or not module.bias or module.proj_size:
        raise ValueError(
            f"{module} cannot be read as LSTM layers: "
            "it must use one direction, biases and no projection"
        )
    return [
        LSTMParameters(W_x, W_h, b_ih + b_hh)
        for W_x, W_h, b_ih, b_hh in _weights_by_layer(module)
    ]


def check_lstm(
    X: Tensor, H_0: Tensor, C_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor
) -> None:
    """Raise a ValueError that names the first tensor whose shape does not fit."""
    B, d = _check_inputs(X)
    h = len(W_x) // 4
    _check_shapes(
        f"X has batch size {B} and {d} inputs, and W_x has the rows of {h} units "
        "for each of i, f, g, o",
        W_x=(W_x, (4 * h, d)),
        W_h=(W_h, (4 * h, h)),
        b=(b, (4 * h,)),
        H_0=(H_0, (B, h)),
        C_0=(C_0, (B, h)),
    )


class GRUParameters(NamedTuple):
    """The parameters of one GRU layer: the rows of r, z and n, in this order."""

    W_x: Tensor  # (3h, d)
    W_h: Tensor  # (3h, h)
    b: Tensor  # (3h,)
    b_hn: Tensor  # (h,): inside the reset gate's reach, so no part of b


def gru_step(
    x_t: Tensor, h_prev: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> Tensor:
    """Return the next hidden state of a GRU layer (chapter 4, `eq-gru-r` onwards).

    This is torch's form: the reset gate acts after the product with W_hn.

    Parameters
    ----------
    x_t : Tensor, `(B, d)` or `(d,)`
        The input of this step; a batch in rows, or one sample.
    h_prev : Tensor, `(B, h)` or `(h,)`
        The hidden state of the step before.
    W_x, W_h, b, b_hn : Tensor, `(3h, d)`, `(3h, h)`, `(3h,)`, `(h,)`
        The parameters of the layer.

    Returns
    -------
    Tensor, `(B, h)` or `(h,)`
        The hidden state of this step.
    """
    x_r, x_z, x_n = (x_t @ W_x.T + b).chunk(3, dim=-1)
    h_r, h_z, h_n = (h_prev @ W_h.T).chunk(3, dim=-1)
    r_t = torch.sigmoid(x_r + h_r)
    z_t = torch.sigmoid(x_z + h_z)
    n_t = torch.tanh(x_n + r_t * (h_n + b_hn))
    return (1 - z_t) * n_t + z_t * h_prev


def gru(
    X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor, b_hn: Tensor
) -> Tensor:
    """Run a GRU layer over a sequence, in torch's form (chapter 4).

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    H_0 : Tensor, `(B, h)`
        The initial hidden state.
    W_x, W_h, b, b_hn : Tensor, `(3h, d)`, `(3h, h)`, `(3h,)`, `(h,)`
        The parameters of the layer.

    Returns
    -------
    Tensor, `(T, B, h)`
        The hidden states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    check_gru(X, H_0, W_x, W_h, b, b_hn)
    H = []
    H_t = H_0
    for X_t in X:
        H_t = gru_step(X_t, H_t, W_x, W_h, b, b_hn)
        H.append(H_t)
    return torch.stack(H)


def gru_textbook(X: Tensor, H_0: Tensor, W_x: Tensor, W_h: Tensor, b: Tensor) -> Tensor:
    """Run a GRU layer in the form of its first paper (chapter 4, `eq-gru-before`).

    Cho et al. (2014) reset the state before the product with W_hn, torch after it.
    The two are different functions of the same weights.

    Parameters
    ----------
    X, H_0, W_x, W_h, b
        As in `gru`.

    Returns
    -------
    Tensor, `(T, B, h)`
        The hidden states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others.
    """
    check_gru(X, H_0, W_x, W_h, b)
    W_hr, W_hz, W_hn = W_h.chunk(3)
    H = []
    H_t = H_0
    for X_t in X:
        x_r, x_z, x_n = (X_t @ W_x.T + b).chunk(3, dim=-1)
        r_t = torch.sigmoid(x_r + H_t @ W_hr.T)
        z_t = torch.sigmoid(x_z + H_t @ W_hz.T)
        n_t = torch.tanh(x_n + (r_t * H_t) @ W_hn.T)
        H_t = (1 - z_t) * n_t + z_t * H_t
        H.append(H_t)
    return torch.stack(H)


def gru_parameters(module: nn.GRU) -> list[GRUParameters]:
    """Return the parameters of each layer of a `torch.nn.GRU`.

    Torch's two biases are added up, but for the candidate's: there the second one
    stands inside the bracket that the reset gate multiplies.

    Parameters
    ----------
    module : torch.nn.GRU
        A network in one direction, with biases.

    Returns
    -------
    list of GRUParameters
        One for each layer; gradients flow through them to the module's own weights.

    Raises
    ------
    ValueError
        If the module has two directions or no biases.
    """
    if module.bidirectional or not module.bias:
        raise ValueError(
            f"{module} cannot be read as GRU layers: it must use one direction "
            "and biases"
        )
    h = module.hidden_size
    return [
        GRUParameters(
            W_x, W_h, torch.cat([(b_ih + b_hh)[: 2 * h], b_ih[2 * h :]]), b_hh[2 * h :]
        )
        for W_x, W_h, b_ih, b_hh in _weights_by_layer(module)
    ]


def check_gru(
    X: Tensor,
    H_0: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    b: Tensor,
    b_hn: Tensor | None = None,
) -> None:
    """Raise a ValueError that names the first tensor whose shape does not fit."""
    B, d = _check_inputs(X)
    h = len(W_x) // 3
    _check_shapes(
        f"X has batch size {B} and {d} inputs, and W_x has the rows of {h} units "
        "for each of r, z, n",
        W_x=(W_x, (3 * h, d)),
        W_h=(W_h, (3 * h, h)),
        b=(b, (3 * h,)),
        H_0=(H_0, (B, h)),
        **({} if b_hn is None else {"b_hn": (b_hn, (h,))}),
    )


def time_gate(
    t: Tensor, tau: Tensor, s: Tensor, r_on: Tensor, alpha: float = 0.0
) -> Tensor:
    """Open and close with the clock (chapter 8, `eq-gate-phi` and `eq-gate-k`).

    Parameters
    ----------
    t : Tensor
        The time, in any unit; any shape that broadcasts with the parameters.
    tau, s : Tensor
        Period and shift, in the same unit.
    r_on : Tensor
        The open share of the period.
    alpha : float
        What leaks through while it is closed, per unit of phase.

    Returns
    -------
    Tensor
        How far the gate is open, in [0, 1]; in the shape of all broadcast together.

    Raises
    ------
    ValueError
        If `tau` is not positive, `r_on` not between 0 and 1, or `alpha` not in
        [0, 1].
    """
    check_time_gate(tau, r_on, alpha)
    cycles = (t - s) / tau
    phi = cycles - cycles.floor()
    rising = phi <= r_on / 2
    falling = ~rising & (phi <= r_on)
    return torch.where(
        rising, 2 * phi / r_on, torch.where(falling, 2 - 2 * phi / r_on, alpha * phi)
    )


def phased_lstm(
    X: Tensor,
    times: Tensor,
    H_0: Tensor,
    C_0: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    b: Tensor,
    tau: Tensor,
    s: Tensor,
    r_on: Tensor,
    alpha: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Run an LSTM layer behind a time gate (chapter 8, `eq-gate-c` and `eq-gate-h`).

    Source: Neil, Pfeiffer & Liu (2016), *Phased LSTM*.

    Parameters
    ----------
    X : Tensor, `(T, B, d)`
        The inputs, time first.
    times : Tensor, `(T,)` or `(T, B)`
        When each step happens; the same for all samples, or each its own.
    H_0, C_0 : Tensor, `(B, h)`
        The initial hidden state and cell state.
    W_x, W_h, b : Tensor, `(4h, d)`, `(4h, h)`, `(4h,)`
        The parameters of the LSTM.
    tau, s, r_on : Tensor, `(h,)`
        Period, shift and open share of each unit's gate.
    alpha : float
        The leak.

    Returns
    -------
    H, C : Tensor, each `(T, B, h)`
        The hidden states and the cell states of steps 1 to T.

    Raises
    ------
    ValueError
        If a shape does not fit the others, or a parameter of the gate is out of its
        domain.
    """
    check_lstm(X, H_0, C_0, W_x, W_h, b)
    T, B, h = len(X), *H_0.shape
    clock = f"X has {T} steps and batch size {B}, and the layer {h} units"
    _check_shapes(clock, tau=(tau, (h,)), s=(s, (h,)), r_on=(r_on, (h,)))
    if tuple(times.shape) not in {(T,), (T, B)}:
        raise ValueError(
            f"times has shape {tuple(times.shape)}: expected ({T},) or {(T, B)}, "
            f"as {clock}"
        )
    K = time_gate(times[..., None], tau, s, r_on, alpha)  # (T, h) or (T, B, h)
    H, C = [], []
    H_t, C_t = H_0, C_0
    for X_t, k_t in zip(X, K, strict=True):
        H_open, C_open = lstm_step(X_t, H_t, C_t, W_x, W_h, b)
        # k new + (1 - k) old, as one operation instead of four
        C_t = torch.lerp(C_t, C_open, k_t)
        H_t = torch.lerp(H_t, H_open, k_t)
        H.append(H_t)
        C.append(C_t)
    return torch.stack(H), torch.stack(C)


def check_time_gate(tau: Tensor, r_on: Tensor, alpha: float) -> None:
    """Raise a ValueError that names the first parameter out of its domain."""
    if not bool((tau > 0).all()):
        raise ValueError(f"tau must be positive, got {tau.min().item():g}: a period")
    inside = (r_on > 0) & (r_on < 1)
    if not bool(inside.all()):
        worst = r_on[~inside].flatten()[0].item()
        raise ValueError(f"r_on must lie between 0 and 1, got {worst:g}: a share")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha:g}: a leak")


def _weights_by_layer(module: nn.RNNBase) -> Iterator[tuple[Tensor, ...]]:
    """Yield W_x, W_h and the two biases of each layer."""
    if module.batch_first or module.dropout:
        raise ValueError(
            f"{module} has batch_first or dropout: here time comes first, and nothing "
            "is dropped between layers"
        )
    weights = [module.get_parameter(name) for name in module._flat_weights_names]
    return zip(*[iter(weights)] * 4, strict=True)


def _check_layers(name: str, start: Tensor, layers: int) -> None:
    if start.dim() != 3 or len(start) != layers:
        raise ValueError(
            f"{name} has shape {tuple(start.shape)}: expected (layers, B, h) "
            f"with {layers} layers"
        )


def _check_inputs(X: Tensor) -> tuple[int, int]:
    if X.dim() != 3 or len(X) == 0:
        raise ValueError(
            f"X has shape {tuple(X.shape)}: expected (T, B, d) with at least one step"
        )
    return X.shape[1], X.shape[2]


def _check_shapes(why: str, **expected: tuple[Tensor, tuple[int, ...]]) -> None:
    for name, (tensor, shape) in expected.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)}: expected {shape}, as {why}"
            )
