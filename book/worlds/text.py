"""The worlds of chapter 9: softmax with a temperature, entropy, perplexity."""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.nn import functional as F

from rnn_companion.equations import Tape, world
from rnn_companion.tasks.text import Counts

CROSS_ENTROPY = "torch.nn.functional.cross_entropy"
SIZES = [{"V": 5}, {"V": 3}, {"V": 6}]
RANGES = {"k": (1, "V"), "j": (1, "V")}


def likelihood(tape: Tape, o: Tensor, tau: Tensor) -> None:
    """Name the probabilities, a one-hot target and the loss."""
    V = len(o)
    y_hat = tape.step(r"\hat{y}", lambda o, tau: torch.softmax(o / tau, 0), (o, tau))
    tape.sources[r"\hat{y}"] = "torch.softmax"
    truth = torch.randint(V, (1,), generator=tape.generator)
    y = tape.leaf("y", F.one_hot(truth, V).double().T)
    loss = -(y * y_hat.log()).sum()
    tape.put(r"\ell", loss)
    tape.confirm(loss, F.cross_entropy((o / tau).T, truth), CROSS_ENTROPY)


@world("text", sizes=SIZES, ranges=RANGES)
def text(tape: Tape) -> None:
    """Score V characters, and make probabilities of the scores at a temperature."""
    V = tape.sizes["V"]
    o = tape.leaf("o", tape.normal(V, 1))
    beta = tape.leaf(r"\beta", 0.3 + torch.rand((), generator=tape.generator))
    tau = tape.step(r"\tau", lambda beta: 1 / beta, (beta,))
    likelihood(tape, o, tau)
    p = tape.values[r"\hat{y}", (), ()]
    entropy = Categorical(p[:, 0]).entropy()
    tape.put(r"\mathcal{H}", entropy, source="torch.distributions")
    total = torch.logsumexp(beta * o, 0).exp().view(())
    tape.put("Z", total, source="torch.logsumexp")
    tape.put(r"\mu", p[:, 0] @ o[:, 0])


@world("text-start", sizes=SIZES)
def text_start(tape: Tape) -> None:
    """Give all characters the same score."""
    V = tape.sizes["V"]
    o = tape.leaf("o", tape.normal(1, 1).expand(V, 1).clone())
    likelihood(tape, o, tape.leaf(r"\tau", torch.ones(())))


@world("text-course", sizes=[{"V": 5, "T": 4}, {"V": 3, "T": 6}])
def text_course(tape: Tape) -> None:
    """Tell T characters; p_t with a hat is the probability of the one that came."""
    V, T = tape.sizes["V"], tape.sizes["T"]
    scores = tape.normal(T, V)
    truth = torch.randint(V, (T,), generator=tape.generator)
    for t in range(1, T + 1):
        row = scores[t - 1 : t]
        tape.leaf(r"\hat{p}", torch.softmax(row, 1)[0, truth[t - 1]], t)
        loss = F.cross_entropy(row, truth[t - 1 : t])
        tape.put(r"\ell", loss, t, source=CROSS_ENTROPY)
    tape.put("L", F.cross_entropy(scores, truth), source=CROSS_ENTROPY)
    together = torch.stack([tape.values[r"\hat{p}", (t,), ()] for t in range(1, T + 1)])
    tape.put(r"\mathrm{PPL}", together.prod() ** (-1 / T), source="the geometric mean")
    tape.put(r"\mathrm{BPC}", -together.log2().mean(), source="torch.log2")


@world("text-counts", sizes=[{"V": 4}, {"V": 3}], ranges={"k": (1, "V"), "l": (1, 3)})
def text_counts(tape: Tape) -> None:
    """Count what followed the last 0 to 3 characters of a text of V characters."""
    V, order = tape.sizes["V"], 3
    vocabulary = "abcd"[:V]
    numbers = torch.randint(V, (60,), generator=tape.generator).tolist()
    text = "".join(vocabulary[k] for k in numbers)
    before = text[20:23]
    counts = Counts(text, vocabulary, order)
    for depth in range(order + 1):
        context = before[order - depth :]
        starts = [
            at for at in range(len(text) - depth) if text[at:].startswith(context)
        ]
        followers = [text[at + depth] for at in starts]
        found = [followers.count(character) for character in vocabulary]
        tape.leaf(r"\nu", torch.tensor(found).double()[:, None], layer=depth)
        tape.leaf("u", torch.tensor(float(len(set(followers)))), layer=depth)
        counts.order = depth
        chances = [counts.probability(character, before) for character in vocabulary]
        p = torch.tensor(chances, dtype=torch.float64)[:, None]
        tape.put(r"\hat{y}", p, layer=depth, source="rnn_companion.tasks.text.Counts")


@world("text-head", sizes=[{"V": 5, "h": 4, "T": 2}, {"V": 3, "h": 5, "T": 3}])
def text_head(tape: Tape) -> None:
    """Divide the scores by a temperature, or the head's weights."""
    V, h = tape.sizes["V"], tape.sizes["h"]
    tau = tape.leaf(r"\tau", 0.5 + torch.rand((), generator=tape.generator))
    tape.leaf(r"\eta", torch.rand((), generator=tape.generator))
    W, b = (
        tape.leaf(r"\tilde{W}", tape.normal(V, h)),
        tape.leaf(r"\tilde{b}", tape.normal(V, 1)),
    )
    W_hq = tape.put("W_{hq}", tau * W)
    b_q = tape.put("b_q", tau * b)
    state = tape.leaf("h", tape.normal(h, 1), tape.sizes["T"])
    head = nn.functional.linear(state.T, W_hq, b_q.view(V)).T
    o = tape.put("o", head, source="torch.nn.functional.linear")
    likelihood(tape, o, tau)
