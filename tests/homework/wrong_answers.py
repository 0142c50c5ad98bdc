"""What students write: wrong answers, and what they must be told."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def chapters() -> list[str]:
    """List the book's chapters."""
    return [name for name in assignments() if name[0].isdigit()]


def assignments() -> list[str]:
    """List what can be handed out: chapters and projects."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = (entry["file"] for part in toc["parts"] for entry in part["chapters"])
    texts = ((Path(p).name, (ROOT / f"{p}.md").read_text("utf-8")) for p in pages)
    return [name for name, text in texts if "\n## Exercises\n" in text]


def written(wrong: tuple[str, ...], reference: str) -> tuple[str, str]:
    """Return a wrong answer, and what it must be told."""
    *change, said = wrong
    if len(change) == 1:
        return change[0].strip(), said
    old, new = change
    assert old in reference, old
    return reference.replace(old, new), said


# Two models of the price: they read the closes so many days late, or none too late.
SHARE = """
import numpy as np
from rnn_companion import load_prices
kind, _p = "price", load_prices()
_at = np.arange(len(_p) - {third}, len(_p))
_read = lambda k: _p.close[np.minimum(_at - {late} - k, len(_p) - 1)]
table = pd.DataFrame({{"date": _p.dates[_at], "truth": _p.close[_at],
                      "mix": 0.9 * _read(0) + 0.1 * _read(1),
                      "trend": 1.1 * _read(0) - 0.1 * _read(1)}})
validation_errors = {{"mix": 1.0, "trend": 2.0}}
winner = "mix"
"""

# By chapter, then the answer's grade_id: an answer and what it is told, or what is
# wrong in place of what in the reference solution, and what that is told.
WRONG: dict[str, dict[str, list[tuple[str, ...]]]] = {
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
    "3-gradients": {
        "soft-constraint": [
            ("H[1:] ** 2", "H[:-1] ** 2", "the slope belongs to the wrong step"),
            ("** 2).sum()", "** 2).mean()", "a sum over the steps, not their mean"),
            ("@ W_hh  #", "@ W_hh.T  #", "W_hh is transposed"),
            (" * (1 - H[1:] ** 2)", "", "the Jacobian lacks the factor 1 - h^2"),
        ],
        "reach": [
            ("H[1:]", "H[:-1]", "the slopes are those of h_0 to h_{T-1}"),
            ("in H[1:]", "in H", "h_0 is no step's result"),
            (
                "torch.diag(1 - h_t**2) @ W_hh @ product",
                "product @ torch.diag(1 - h_t**2) @ W_hh",
                "the Jacobians are in the wrong order",
            ),
            ("matrix_norm(product, 2)", "matrix_norm(product)", "the Frobenius norm"),
        ],
        "days-back": [
            (" + 1", "", "it is one too few"),
            (".cumsum(0)", ".flip(0).cumsum(0)", "counted from the far end"),
            ("norms.cumsum(0)", "norms.sort(descending=True)[0].cumsum(0)", "sorted"),
        ],
    },
    "4-lstm": {
        "lstm-step": [
            ("i, f, g, o =", "i, f, o, g =", "the gates are in the wrong order"),
            ("torch.tanh(C_t), C_t", "C_t, C_t", "H_t lacks the tanh"),
            ("torch.tanh(g)", "torch.sigmoid(g)", "the candidate g takes tanh"),
            ("torch.sigmoid(f) * C", "C", "the forget gate is missing"),
        ],
        "cell-gradients": [
            ("own[t] + found[0] * F[t + 1]", "own[t]", "the path from C_{t+1} to C_t"),
            ("F[t + 1]", "F[t]", "the forget gate belongs to the wrong step"),
            ("dH * O *", "dH *", "the output gate is missing"),
        ],
        "rnn-size": [
            ("+ 1 + 2)", "+ 1 + 1)", "the RNN has one here"),
            ("return units", "return units + 1", "the smallest that costs more"),
            ("return units", "return 4 * h", "sixteen times the recurrent weights"),
        ],
        "simpler": [
            ("min(", "max(", "as soon as one size has fewer"),
            ("counts[1] - counts[0]", "counts[0] - counts[1]", "rows are exchanged"),
            (".min()", ".sum()", "the sizes are added up"),
        ],
    },
    "5-configurations": {
        "masked-loss": [
            ("/ mask.sum()", "/ len(mask)", "divided by all T steps"),
            ("(mask * per_step).sum() / mask.sum()", "per_step.mean()", "not used"),
            (".mean((1, 2))", ".sum((1, 2))", "samples and outputs are added up"),
        ],
        "padded-loss": [
            ("/ mask.sum()", "/ mask.numel()", "divided by all T B steps"),
            (
                "(steps <= lengths)",
                "(steps < lengths)",
                "last real step of each sequence is missing",
            ),
            (
                "(mask * per_step).sum() / mask.sum()",
                "per_step.mean()",
                "the padded steps count too",
            ),
        ],
        "aligned-windows": [
            ("[:, 1:]", "[:, :-1]", "asked for what it has just read"),
            (
                "windows[:, :-1], windows[:, 1:]",
                "windows[:, 1:], windows[:, :-1]",
                "the network forecasts the past",
            ),
            (
                "windows[:, :-1], windows[:, 1:]",
                "windows[:, :-1].T, windows[:, 1:].T",
                "time goes first",
            ),
        ],
        "error-by-position": [
            (".mean((1, 2))", ".mean()", "keep the steps apart"),
            (".mean((1, 2))", ".mean((0, 2))", "the mean runs over the steps"),
            (
                "((outputs - targets) ** 2).mean((1, 2))",
                "(outputs - targets).mean((1, 2)) ** 2",
                "errors of both signs cancel",
            ),
        ],
    },
    "6-forecasting": {
        "best-constant": [
            (
                "= training.mean()",
                "= validation.mean()",
                "knows the validation targets",
            ),
            (
                "training.mean()",
                "training.median()",
                "for the squared one take the mean",
            ),
            ("(validation - ", "(training - ", "the error is that of training"),
        ],
        "standardize": [
            ("closes[:training]", "closes", "the scaler has seen the validation days"),
            ("correction=0", "correction=1", "divides by n - 1 here"),
            (".std(correction=0)", ".var(correction=0)", "divided by the variance"),
        ],
        "hit-rate": [
            ("> 0)", ">= 0)", "a day that does not move counts as right"),
            (".mean()", ".sum()", "a number of days, not a share"),
            ("> 0)", "<= 0)", "the share of wrong directions"),
        ],
    },
    "7-memory": {
        "palindrome-task": [
            ("half.flip(1)]", "half]", "the second half must run backwards"),
            ("whole[:, :-1].T", "whole.T", "the last digit is read as well"),
            ("whole[:, :-1].T", "whole[:, :-1]", "time goes first"),
        ],
        "forget-bias": [
            ("bias_hh[h : 2 * h] = 0", "bias_hh[h : 2 * h] = value", "twice the value"),
            ("bias_hh[h : 2 * h] = 0", "pass", "the random start of bias_hh"),
            ("[h : 2 * h]", "[:h]", "this is the input gate"),
        ],
        "half-life": [
            ("math.log(0.5) /", "-1 /", "the time until 1/e is left"),
            ("math.log(0.5) /", "math.log(2) /", "the sign is turned round"),
            ("math.log(0.5) / math.log(f)", "1 / (1 - f)", "this is the mean life"),
        ],
    },
    "8-time-gate": {
        "time-gate": [
            ("torch.remainder(t - s, tau)", "(t - s)", "never comes round again"),
            (".clamp(min=0)", "", "a closed gate goes below zero"),
            (" / tau", "", "the phase is not divided by the period"),
        ],
        "phase": [
            ("remainder", "fmod", "fmod keeps the sign"),
            ("remainder(t - s, tau)", "fmod((t - s).abs(), tau)", "runs backwards"),
            (" / tau", "", "it is not divided by the period"),
        ],
        "share-open": [
            ("arange(1, days + 1,", "arange(0, days,", "the days run from 0 here"),
            (".mean()", ".sum()", "a number of days, not a share"),
            (
                "(networks.time_gate(t, *clock) > 1e-9)",
                "networks.time_gate(t, *clock)",
                "in the mean",
            ),
        ],
    },
    "9-text": {
        "top-k": [
            (
                "o.masked_fill(o < least, -torch.inf).softmax(0)",
                "o.softmax(0) * (o >= least)",
                "do not add up to 1",
            ),
            ("-torch.inf", "0.0", "a score of zero is not a probability of zero"),
            ("o.topk(k)", "o.topk(min(k + 1, len(o)))", "one too many is kept"),
        ],
        "with-temperature": [
            ("(o / temperature).softmax(0)", "o.softmax(0)", "the knob does nothing"),
            ("(o / temperature)", "(o * temperature)", "turned the wrong way"),
            (
                "(o / temperature).softmax(0)",
                "o.softmax(0) / temperature",
                "add up to 1",
            ),
        ],
        "letters": [
            ("returns[:training]", "returns", "the bounds know the days to come"),
            (".sum(1)", ".sum(1) + 1", "the classes run from 1 to 5"),
            ("[0.2, 0.4, 0.6, 0.8]", "[0.25, 0.5, 0.75]", "there are quarters here"),
        ],
    },
    "10-what-can-be-forecast": {
        "smooth": [
            (
                "(1 - alpha) * levels[-1] + alpha * value",
                "alpha * levels[-1] + (1 - alpha) * value",
                "alpha and 1 - alpha are exchanged",
            ),
            ("levels = [y[0]]", "levels = [y.mean()]", "which looks ahead"),
            ("(1 - alpha) * levels[-1]", "levels[-1]", "it counts 1 - alpha"),
        ],
        "trailing-mean": [
            (
                """
def trailing_mean(y, days):
    padded = torch.nn.functional.pad(y, (days // 2, days - 1 - days // 2))
    return padded.unfold(0, days, 1).mean(1)
""",
                "the mean lies around each day and looks ahead",
            ),
            ("n - days + 1)", "n - days)", "one day too many"),
            (".mean()", ".sum()", "this is a sum, not a mean"),
        ],
        "parkinson": [
            ("math.sqrt(4 * math.log(2))", "(4 * math.log(2))", "take the root of it"),
            ("(high / low).log()", "(high - low)", "this takes prices"),
            (" / math.sqrt(4 * math.log(2))", "", "this is the range itself"),
        ],
    },
    "11-optimizers": {
        "adam-step": [
            (" / (1 - 0.9**k)", "", "the mean of the gradients is not corrected"),
            ("torch.sqrt(v / (1 - 0.999**k))", "v / (1 - 0.999**k)", "root is missing"),
            ("return w - 0.01", "return w + 0.01", "it goes up the gradient"),
            ("g**2", "g.abs()", "is not squared in v"),
        ],
        "with-momentum": [
            ("mu * u + gradient(w)", "gradient(w)", "plain gradient descent"),
            ("mu * u + gradient(w)", "u + gradient(w)", "it never slows down"),
            ("+ gradient(w)", "+ (1 - mu) * gradient(w)", "counts 1 - mu here"),
        ],
        "longest-step": [
            ("return 2 /", "return 1 /", "the step may be twice as long"),
            ("2 / len(X) * ", "2 * ", "the loss is a mean"),
            (".max()", ".min()", "the flattest direction sets no limit"),
        ],
    },
    "project-1-network": {
        "forward": [
            ("return H, ", "return H[1:], ", "H lacks H_0"),
            ("H[1:] @ W_hq.T", "H[:-1] @ W_hq.T", "O_t is read from H_{t-1}"),
            ("states[-1] @ W_hh.T", "states[-1] @ W_hh", "W_hh is transposed"),
            ("@ W_hq.T + b_q", "@ W_hq.T", "the bias of the head is missing"),
        ],
        "squared-loss": [
            ("2 * (O - Y) / O.numel()", "(O - Y) / O.numel()", "lacks the factor 2"),
            ("/ O.numel()", "/ len(O)", "divided by T alone"),
            ("((O - Y) ** 2).mean()", "((O - Y) ** 2).sum()", "result 1: is off"),
        ],
        "backward": [
            (" * (1 - H[t + 1] ** 2)", "", "the slope of tanh, 1 - h_t^2, is missing"),
            ("1 - H[t + 1] ** 2", "1 - H[t] ** 2", "belongs to the wrong step"),
            ("later = Delta[t] @ W_hh", "later = Delta[t] @ W_hh.T", "on the way back"),
            ("later = Delta[t] @ W_hh", "pass", "nothing comes back from the later"),
            ("rows.T @ H[:-1].fl", "rows.T @ H[1:].fl", "W_hh multiplies h_{t-1}"),
        ],
        "numerical": [
            ("float(f(W))) / (2 * eps)", "float(f(W))) / eps", "divided by eps"),
            ("        entries[k] = kept\n", "", "is not put back"),
            (
                "kept - eps\n        slopes[k] = (above - float(f(W))) / (2 * eps)",
                "kept\n        slopes[k] = (above - float(f(W))) / eps",
                "this is one-sided and errs by about eps",
            ),
        ],
        "truncated": [
            ("min(k, len(X))", "min(k + 1, len(X))", "one step too far"),
            ("min(k, len(X))", "len(X)", "nothing is cut"),
            (
                """
def truncated(X, H, dO, W_hh, W_hq, k):
    Delta, later = torch.zeros_like(H[1:]), torch.zeros_like(H[0])
    for t in reversed(range(len(X))):
        Delta[t] = (dO[t] @ W_hq + later) * (1 - H[t + 1] ** 2)
        later = Delta[t] @ W_hh * (t % k > 0)
    rows = Delta.flatten(0, 1)
    return (rows.T @ X.flatten(0, 1), rows.T @ H[:-1].flatten(0, 1), rows.sum(0),
            dO.flatten(0, 1).T @ H[1:].flatten(0, 1), dO.sum((0, 1)))
""",
                "this cuts between blocks of k steps",
            ),
        ],
        "train": [
            ("W - rate * g", "W + rate * g", "it goes uphill"),
            ("W - rate * g", "W - g", "the learning rate is missing"),
            (
                "[W - rate * g for W, g in zip(network, gradients)]",
                "[*network[:3], *(W - rate * g for W, g in "
                "list(zip(network, gradients))[3:])]",
                "only the head learns",
            ),
        ],
        "share-windows": [
            ("closes[:n].mean()", "closes.mean()", "is off by as much as"),
            (
                "(closes - closes[:n].mean()) / closes[:n].std(",
                "(closes - closes.mean()) / closes.std(",
                "the scaler has seen the validation days",
            ),
            ("cut(z[n - T :])", "cut(z[n:])", "its window may read training days"),
            ("cut(z[:n])", "cut(z[: n + 1])", "the last training target lies in"),
            (
                "windows[:, :-1], windows[:, 1:]",
                "windows[:, :-1], windows[:, :-1]",
                "the targets are the inputs",
            ),
        ],
    },
    "project-2-forecast": {
        "three-parts": [
            (
                """
def three_parts(series):
    order = torch.randperm(len(series), generator=torch.Generator().manual_seed(0))
    a, b = len(series) * 3 // 5, len(series) * 4 // 5
    return series[order[:a]], series[order[a:b]], series[order[b:]]
""",
                "cut the series by date",
            ),
            ("n * 3 // 5", "n * 4 // 5 - 1", "not (30,)"),
            ("[n * 4 // 5 :]", "[n * 3 // 5 :]", "each day belongs to one part"),
        ],
        "fit-ar": [
            ("torch.ones_like(before[0]), *before", "*before", "what is fitted"),
            ("range(1, order + 1)", "range(order)", "the day itself is among those"),
            ("*before]", "*before[::-1]]", "come with the oldest day first"),
        ],
        "ar-forecasts": [
            ("range(1, order + 1)", "range(order)", "a day is forecast by itself"),
            ("coefficients[0] + ", "", "the constant is missing"),
            ("coefficients[1:]", "coefficients[1:].flip(0)", "meets the oldest day"),
        ],
        "choose-order": [
            ("return min(", "return max(", "the worst order is chosen"),
            (
                "fit_ar(training, order)",
                "fit_ar(torch.cat([training, validation]), order)",
                "are among those of the fit",
            ),
            (
                "return ((forecasts - validation) ** 2).mean().item()",
                "own = ar_forecasts(training, fit_ar(training, order))\n"
                "        return ((own - training[order:]) ** 2).mean().item()",
                "on the days of the fit",
            ),
        ],
        "final-forecasts": [
            ("fit_ar(known, order)", "fit_ar(series, order)", "are among those of"),
            ("fit_ar(known, order)", "fit_ar(training, order)", "the first part alone"),
            ("ar_forecasts(days,", "ar_forecasts(test,", "have no forecast"),
        ],
        "own-verdict": [
            ('"order": 1', '"order": 2', "the best on the third part"),
            (
                """
claim = {"name": "Ada Example", "order": 1, "skill": 0.04, "low": -0.0, "high": 0.07,
         "p": 0.09, "status": "open"}
""",
                "by which the order was chosen",
            ),
            (
                """
claim = {"name": "Ada Example", "order": 1, "skill": 0.96, "low": 0.93, "high": 0.98,
         "p": 0.0, "status": "better"}
""",
                "each day was forecast by itself",
            ),
        ],
        "share-table": [
            (SHARE.format(late=0, third=301), "one row for each day"),
            (SHARE.format(late=-1, third=302), "has seen the day that it forecasts"),
            (
                SHARE.format(late=1, third=302)
                + "\nvalidation_errors = {c: float(((table[c] - table.truth) ** 2)"
                '.mean()) for c in ("mix", "trend")}\n'
                "winner = min(validation_errors, key=validation_errors.get)",
                "is that of the third part, which must not choose",
            ),
        ],
    },
}
