"""What students write: wrong answers, and what they must be told."""

from pathlib import Path

ROOT = Path(__file__).parents[2]


def chapters() -> list[str]:
    """List the chapters with exercises that are graded."""
    found = sorted((ROOT / "book").glob("[0-9]*.md"))
    return [p.stem for p in found if ":nbgrader:" in p.read_text(encoding="utf-8")]


# By chapter, then the answer's grade_id: pairs of an answer and what it is told.
WRONG: dict[str, dict[str, list[tuple[str, str]]]] = {
    "1-recurrence": {
        "rnn": [
            (
                """
def rnn(X, H_0, W_xh, W_hh, b_h):
    H = H_0
    for X_t in X:
        H = torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)
    return H
""",
                "only the last state is returned",
            ),
            (
                """
def rnn(X, H_0, W_xh, W_hh, b_h):
    return torch.stack([torch.tanh(x @ W_xh.T + H_0 @ W_hh.T + b_h) for x in X])
""",
                "the state is not carried on",
            ),
            (
                """
def rnn(X, H_0, W_xh, W_hh, b_h):
    states, H = [], H_0
    for X_t in X:
        H = torch.tanh(X_t @ W_xh.T + H @ W_hh + b_h)
        states.append(H)
    return torch.stack(states)
""",
                "W_hh is transposed",
            ),
            (
                """
H = None
def rnn(X, H_0, W_xh, W_hh, b_h):
    global H
    states = []
    H = H_0 if H is None else H
    for X_t in X:
        H = torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)
        states.append(H)
    return torch.stack(states)
""",
                "the hidden state of the previous batch",
            ),
            (
                """
def rnn(X, H_0, W_xh, W_hh, b_h):
    states, H = [], H_0
    for X_t in X:
        H = torch.tanh(X_t @ W_xh.T + H @ W_hh.T + b_h)
        states.append(H.detach())
    return torch.stack(states)
""",
                "no gradient passes through",
            ),
        ],
        "rnn-step": [
            (
                """
def rnn_step(X_t, H, W_xh, W_hh, b_h):
    return torch.tanh(X_t @ W_xh.T) + H @ W_hh.T + b_h
""",
                "tanh must take the whole sum",
            ),
            (
                """
def rnn_step(X_t, H, W_xh, W_hh, b_h):
    return torch.tanh(X_t @ W_xh.T + H @ W_hh.T) + b_h
""",
                "the bias stands outside tanh",
            ),
            (
                """
def rnn_step(X_t, H, W_xh, W_hh, b_h):
    return X_t @ W_xh.T + H @ W_hh.T + b_h
""",
                "tanh is missing",
            ),
        ],
        "skill": [
            (
                """
def skill(forecast, closes):
    return (((forecast - closes[1:]) ** 2).mean()
            / ((closes[:-1] - closes[1:]) ** 2).mean()).item()
""",
                "skill is one minus it",
            ),
            (
                """
def skill(forecast, closes):
    today = closes[:-1]
    error = ((forecast - today) ** 2).mean()
    return (1 - error / ((today - closes[1:]) ** 2).mean()).item()
""",
                "held against today",
            ),
            (
                """
def skill(forecast, closes):
    error = (forecast - closes[1:]).abs().mean()
    return (1 - error / (closes[:-1] - closes[1:]).abs().mean()).item()
""",
                "the errors are absolute",
            ),
        ],
    },
    "2-bptt": {
        "head-gradients": [
            (
                """
def head_gradients(O, Y, H, W_hq):
    G = O.softmax(-1) - Y
    return (G.mT @ H).sum(0), G.sum((0, 1)), G @ W_hq
""",
                "divide by T times B",
            ),
            (
                """
def head_gradients(O, Y, H, W_hq):
    G = (O - Y) / (O.shape[0] * O.shape[1])
    return (G.mT @ H).sum(0), G.sum((0, 1)), G @ W_hq
""",
                "softmax is missing",
            ),
            (
                """
def head_gradients(O, Y, H, W_hq):
    G = (O.softmax(-1) - Y) / (O.shape[0] * O.shape[1])
    return (H.mT @ G).sum(0), G.sum((0, 1)), G @ W_hq
""",
                "the gradient of W_hq is transposed",
            ),
        ],
        "deltas": [
            (
                """
def deltas(G, H, W_hh):
    Delta = [G[-1] * (1 - H[-1] ** 2)]
    for t in range(len(G) - 1, 0, -1):
        Delta.insert(0, (G[t - 1] + Delta[0] @ W_hh) * (1 - H[t + 1] ** 2))
    return torch.stack(Delta)
""",
                "the slope belongs to the wrong step",
            ),
            (
                """
def deltas(G, H, W_hh):
    Delta = [G[-1]]
    for t in range(len(G) - 1, 0, -1):
        Delta.insert(0, G[t - 1] + Delta[0] @ W_hh)
    return torch.stack(Delta)
""",
                "lacks the factor 1 - h_t^2",
            ),
            (
                """
def deltas(G, H, W_hh):
    Delta = [G[-1] * (1 - H[-1] ** 2)]
    for t in range(len(G) - 1, 0, -1):
        Delta.insert(0, (G[t - 1] + Delta[0] @ W_hh.T) * (1 - H[t] ** 2))
    return torch.stack(Delta)
""",
                "W_hh is transposed",
            ),
        ],
        "gradient-by-lag": [
            (
                """
def gradient_by_lag(G, H, W_hh):
    slope = 1 - H[1:] ** 2
    D, out = G * slope, []
    for k in range(len(G)):
        out.append((D.mT @ H[1 : len(G) - k + 1]).sum(0))
        D = (D[1:] @ W_hh) * slope[: len(G) - k - 1]
    return torch.stack(out)
""",
                "W_hh multiplies h_{t-1}",
            ),
            (
                """
def gradient_by_lag(G, H, W_hh):
    slope = 1 - H[1:] ** 2
    D, out = G * slope, []
    for k in range(len(G)):
        out.append((D.mT @ H[: len(G) - k]).sum(0))
        D = (D[1:] @ W_hh) * slope[: len(G) - k - 1]
    return torch.stack(out).cumsum(0)
""",
                "give each lag's own share",
            ),
            (
                """
def gradient_by_lag(G, H, W_hh):
    slope = 1 - H[1:] ** 2
    D = [G[-1] * slope[-1]]
    for t in range(len(G) - 1, 0, -1):
        D.insert(0, (G[t - 1] + D[0] @ W_hh) * slope[t - 1])
    return torch.stack([d.T @ h for d, h in zip(D, H[:-1])])
""",
                "sorted by the use i",
            ),
        ],
    },
}
