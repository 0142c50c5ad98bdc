"""Sentences of the chapter *Optimizers*, with evidence."""

from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn

from rnn_companion import Experiment, load_prices
from rnn_companion.claims import (
    Finding,
    above,
    below,
    between,
    claim,
    equal,
    every,
    rank_test,
    sign_test,
    swapped,
)
from rnn_companion.forecasting.records import RecordFile
from rnn_companion.gradients.optimizers import (
    SGD,
    Adam,
    Momentum,
    RMSprop,
    Rule,
    State,
    descend,
)

RECORDS = Path(__file__).parents[1] / "records"
RATES = "records/rates.jsonl"  # an LSTM of 32 units under SGD, at two rates
DOUBLE = torch.float64
SEEDS = 12
Pair = tuple[Tensor, Tensor]


def numbers(seed: int, *shape: int) -> Tensor:
    """Draw normal numbers."""
    source = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=source, dtype=DOUBLE)


# Plain steps


def beside(rates: tuple[float, ...] = (0.2, 0.9, 1.1, 1.9)) -> Tensor:
    """Follow plain steps on the bowl w^2 / 2: rate, sides changed, distance left."""
    rows = []
    for rate in rates:
        path = descend(SGD(rate), lambda w: w, torch.ones(1, dtype=DOUBLE), 40)
        crossed = (path[1:] * path[:-1] < 0).double().mean()
        rows.append([rate, float(crossed), float(path[-1].abs())])
    return torch.tensor(rows)


@claim(on=beside, planted=[lambda _: beside((1.1, 1.9, 2.1)), lambda x: x.flip(0)])
def optimizers_sides(found: Tensor) -> Finding:
    """Below $1 / \\lambda$ the weight comes nearer from one side; between $1 / \\lambda$ and $2 / \\lambda$ it crosses the minimum at every step and still comes nearer."""
    rate, crossed, left = found.T
    low, high = torch.tensor([0.2, 0.9]), torch.tensor([1.1, 1.9])
    ran = "40 steps on a bowl of curvature 1 at the rates .2, .9, 1.1 and 1.9: "
    return every(
        equal(rate, torch.cat([low, high]), f"{ran}the rates"),
        equal(crossed, (rate > 1).double(), f"{ran}share of steps that cross"),
        below(float(left.max()), 0.1, f"{ran}largest distance left"),
    )


@cache
def bowls() -> Pair:
    """Descend random bowls at 0.99 and at 1.01 times 2 / (largest curvature)."""
    ends: list[list[float]] = [[], []]
    for seed in range(SEEDS):
        curvature = 10 ** numbers(seed, 5)
        for n, part in enumerate((0.99, 1.01)):
            rate = part * 2 / float(curvature.max())
            ones = torch.ones(5, dtype=DOUBLE)
            path = descend(SGD(rate), partial(torch.mul, curvature), ones, 300)
            steep = int(curvature.argmax())
            ends[n].append(float(path[-1, steep].abs()))
    return torch.tensor(ends[0]), torch.tensor(ends[1])


@claim(on=bowls, planted=[swapped])
def optimizers_steepest_axis(found: Pair) -> Finding:
    """The steepest axis sets the limit, and along the flattest one such steps are short."""
    ran = f"{SEEDS} random bowls of five axes, distance after 300 steps at {{}} of 2/λ"
    return every(
        below(float(found[0].max()), 0.1, ran.format("0.99")),
        above(float(found[1].min()), 10, ran.format("1.01")),
    )


def step_lengths(mu: float, sign: float, turn: bool = False) -> float:
    """Return momentum's step after 400 gradients of size 1, over the first one."""
    rule = Momentum(0.1, mu=mu)
    w = torch.zeros(1, dtype=DOUBLE)
    state: State = rule.start(w)
    steps = []
    for k in range(400):
        g = torch.full((1,), (-sign if turn else sign) ** k, dtype=DOUBLE)
        after, state = rule.step(w, g, state)
        steps.append(float((after - w).abs()))
        w = after
    return steps[-1] / steps[0]


def momentum(turn: bool = False) -> Tensor:
    """Tabulate mu, the step along a valley and the step across it."""
    return torch.tensor(
        [
            [mu, step_lengths(mu, 1, turn), step_lengths(mu, -1, turn)]
            for mu in (0.5, 0.9, 0.95)
        ]
    )


@claim(on=momentum, planted=[lambda _: momentum(turn=True)])
def optimizers_momentum(found: Tensor) -> Finding:
    """Across a valley its signs alternate and cancel; along it they add up, to steps up to $1 / (1 - \\mu)$ times as long."""
    mu, along, across = found.T
    ran = "400 gradients of size 1, three values of μ: last step over the first, "
    return every(
        equal(along, 1 / (1 - mu), f"{ran}signs equal", rtol=1e-6),
        below(float(across.max()), 1, f"{ran}signs alternating"),
    )


@cache
def effective_rates() -> Tensor:
    """Return the rates of RMSprop while the gradients shrink: eta .01, beta .9."""
    rule, zero = RMSprop(0.01, beta=0.9), torch.zeros(1, dtype=DOUBLE)
    state, rates = rule.start(zero), []
    for k in range(600):
        g = torch.full_like(zero, max(0.7**k, 1e-13))
        after, state = rule.step(zero, g, state)
        rates.append(float(-after / g))
    return torch.tensor(rates[40:], dtype=DOUBLE)  # the mean has filled up


@claim(
    on=effective_rates, planted=[lambda r: r.flip(0), lambda r: r**2, lambda r: r * 2]
)
def optimizers_effective_rate(rates: Tensor) -> Finding:
    r"""As the gradients shrink, so does the mean of their squares, and the weight is divided by ever less: the *effective* rate $\eta / (\sqrt{v_k} + \varepsilon)$ grows, by up to $1 / \sqrt{\beta_2}$ a step, and at most to $\eta / \varepsilon$."""
    ran = "RMSprop, η = .01, β = .9, gradients that shrink by .7 a step: the "
    growth = rates[1:] / rates[:-1]
    return every(
        between(float(growth.min()), 1 - 1e-9, 2, f"{ran}least growth"),
        between(float(growth.max()) * 0.9**0.5, 0.999, 1 + 1e-9, f"{ran}greatest √β"),
        between(float(rates.max()) / 1e6, 0.9, 1, f"{ran}largest rate over η/ε"),
    )


def after_steps(turn: float = 1.0) -> Tensor:
    """Take one step from 1 on the bowl at several effective rates."""
    rates = torch.tensor([0.3, 0.9, 1.1, 1.9, 2.1, 5.0], dtype=DOUBLE)
    w, rule = torch.ones(6, dtype=DOUBLE), RMSprop(0.1, eps=1e-12)
    # v such that after the rule's own update the root is eta / rate
    v = ((0.1 / rates) ** 2 - 0.01) / 0.99
    moved, _ = rule.step(w, turn * w, (v,))
    return torch.stack([rates, moved])


@claim(on=after_steps, planted=[lambda _: after_steps(-1.0), lambda x: x.flip(0)])
def optimizers_crossing(found: Tensor) -> Finding:
    """Above 1 each step crosses the minimum; above 2, the limit of plain steps, the weight is farther away after the step than before."""
    rates, after = found
    ran = "one step on the bowl at six effective rates: the side, then the distance"
    return every(
        equal(after < 0, rates > 1, ran), equal(after.abs() > 1, rates > 2, ran)
    )


def eigenvalues_at_cycle(gain: float = 1.0) -> Tensor:
    """Differentiate one jump at the cycle, by automatic differentiation."""
    sizes = []
    for eta in (0.01, 0.3, 1.0):
        for eps in (0.0, 0.1 * eta, 0.45 * eta):
            for beta in (0.5, 0.9, 0.99):
                a = eta / 2 - eps

                def jump(z: Tensor) -> Tensor:
                    v = beta * z[1] + (1 - beta) * z[0] ** 2  # noqa: B023
                    step = gain * eta * z[0] / (v.sqrt() + eps)  # noqa: B023
                    return torch.stack([step - z[0], v])

                at = torch.tensor([a, a**2], dtype=DOUBLE)
                J = torch.autograd.functional.jacobian(jump, at)
                sizes.append(torch.linalg.eigvals(J).abs().max())
    return torch.stack(sizes)


@claim(on=eigenvalues_at_cycle, planted=[lambda _: eigenvalues_at_cycle(4.0)])
def optimizers_cycle_attracts(sizes: Tensor) -> Finding:
    """The Jacobian of this map at the cycle says what becomes of small differences: it has the determinant $\\beta_2$, and a trace between $-(1 + \\beta_2)$ and $1 + \\beta_2$, so that both eigenvalues lie within the unit circle."""
    ran = f"largest eigenvalue at the cycle, in size, {len(sizes)} choices of η, ε, β"
    return below(float(sizes.max()), 1, ran)


@cache
def cycles(plain: bool = False) -> Tensor:
    """Return the distances of the last 20 of 8000 steps over half the rate, by rate."""
    rows = []
    for eta in (1e-3, 1e-2, 1e-1, 1.0):
        w, v, far = 1.0, 0.0, []
        for k in range(8000):
            v = 0.99 * v + 0.01 * w * w
            w -= eta * w / (1.0 if plain else v**0.5 + 1e-8)
            if k >= 7980:
                far.append(abs(w) / (eta / 2))
        rows.append(far)
    return torch.tensor(rows)


@claim(on=cycles, planted=[lambda _: cycles(plain=True)])
def optimizers_cycle(found: Tensor) -> Finding:
    """In the runs below the weight ends in the cycle, if given steps enough, and stays at half a learning rate from the minimum."""
    ran = "8000 steps of RMSprop at four rates from .001: distance over half the rate"
    return equal(found, torch.ones_like(found), ran, rtol=1e-3)


def followed(rule: Rule, times: float) -> Tensor:
    """Give a rule 40 random gradients, and return how far it went at each step."""
    w = torch.zeros(3, dtype=DOUBLE)
    state, rows = rule.start(w), [w]
    for g in numbers(3, 40, 3):
        w, state = rule.step(w, times * g, state)
        rows.append(w)
    return torch.stack(rows).diff(dim=0)


def scaled_up(rules: tuple[Rule, ...]) -> tuple[Pair, ...]:
    """Return each rule's steps, and those with gradients a hundred times as large."""
    return tuple((followed(rule, 1), followed(rule, 100)) for rule in rules)


@claim(
    on=lambda: scaled_up((SGD(0.1), RMSprop(0.1), Adam(0.1))),
    planted=[lambda _: scaled_up((SGD(0.1), Momentum(0.1), Adam(0.1))), swapped],
)
def optimizers_scale_of_gradient(found: tuple[Pair, ...]) -> Finding:
    """Multiply the loss by a hundred, and SGD takes steps a hundred times as long, while theirs stay as they were:"""
    (once, scaled), *adaptive = found
    ran = "40 random gradients, then the same a hundred times as large: steps of "
    return every(
        equal(scaled, 100 * once, f"{ran}SGD, over 100"),
        *(equal(b, a, f"{ran}RMSprop and Adam", 1e-5) for a, b in adaptive),
    )


# On real prices


@cache
def rates_of_sgd() -> tuple[Tensor, Tensor, float]:
    """Return recorded errors at .001 and at .1, and the error of a constant."""
    records = RecordFile(RECORDS / Path(RATES).name).read()
    slow, fast = (
        torch.tensor([r.mse for r in records if r.settings["learning_rate"] == rate])
        for rate in (0.001, 0.1)
    )
    close = load_prices().close
    known = int(0.8 * len(close))
    low, high = close[:known].min(), close[:known].max()
    scaled = (close - low) / (high - low)
    constant = scaled[7:known].mean()  # the targets of windows of seven days
    return slow, fast, float(((scaled[known:] - constant) ** 2).mean())


def exchanged(data: tuple[Tensor, Tensor, float]) -> tuple[Tensor, Tensor, float]:
    """Plant: the two rates exchanged."""
    slow, fast, constant = data
    return fast, slow, constant


@claim(on=rates_of_sgd, planted=[exchanged])
def optimizers_slow_as_a_constant(data: tuple[Tensor, Tensor, float]) -> Finding:
    """In most of them the error at 0.001 is above that of the mean of the training days."""
    slow, _, constant = data
    ran = f"errors of recorded runs, less the constant's {constant:.3f}"
    return sign_test(slow - constant, ran)


@claim(on=rates_of_sgd, planted=[exchanged])
def optimizers_faster_is_better(data: tuple[Tensor, Tensor, float]) -> Finding:
    """With the rate of 0.1 the same networks end with smaller errors."""
    slow, fast, _ = data
    ran = "recorded errors at the two rates, seeds as independent runs"
    return every(rank_test(slow, fast, ran), sign_test(slow - fast, "seed by seed"))


@cache
def first_falls() -> Pair:
    """Return how much one tiny step of SGD lowers the loss, by seed: RNN, LSTM."""
    prices = load_prices()
    falls: list[list[float]] = [[], []]
    sample = Experiment().split(prices).training[::5]
    for n, cell in enumerate(("rnn", "lstm")):
        for seed in range(SEEDS):
            model = Experiment(cell=cell, hidden_size=32, seed=seed).model().double()
            X, Y = sample.inputs.double(), sample.targets.double()
            weights = list(model.parameters())
            before = nn.functional.mse_loss(model(X), Y)
            gradients = torch.autograd.grad(before, weights)
            with torch.no_grad():
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.sub_(1e-6 * gradient)
                after = nn.functional.mse_loss(model(X), Y)
            falls[n].append(float(before.detach() - after))
    return torch.tensor(falls[0]), torch.tensor(falls[1])


@claim(on=first_falls, planted=[swapped])
def optimizers_first_gradient(found: Pair) -> Finding:
    """Over the weights of network and head, before any step, that square is … to … times as large for the RNN as for the LSTM, over … seeds, with a median of …: above 1 for most seeds, but not for each."""
    rnn, lstm = found
    ran = (
        f"fall of the loss by one step of SGD at 1e-6, {SEEDS} seeds: log of the ratio"
    )
    ratio = torch.log(rnn / lstm)
    return every(
        sign_test(ratio, ran), below(float(ratio.min()), 0, f"{ran}, the smallest")
    )


@cache
def bowl_of_rmsprop(rule: type[Rule] = RMSprop) -> dict[str, float]:
    """Descend w^2 / 2 from 1, at two rates, and keep what the report speaks of."""
    start = torch.ones(1, dtype=DOUBLE)
    slow = descend(rule(1e-4), lambda w: w, start, 500).flatten()
    path = descend(rule(0.01), lambda w: w, start, 4000).flatten()
    steps = path.diff().abs()
    return {
        "farther away at the smaller rate, times": float((slow[-1] / path[500]).abs()),
        "last step, over the rate": float(steps[-1] / 0.01),
        "distance, over the least so far": float(path[-20:].abs().min() / least(path)),
    }


def least(path: Tensor) -> float:
    """Return the least distance on the way."""
    return max(float(path.abs().min()), 1e-30)


@claim(on=bowl_of_rmsprop, planted=[lambda _: bowl_of_rmsprop(SGD)])
def optimizers_none_of_three(found: dict[str, float]) -> Finding:
    """On the bowl above, none of the three holds."""
    ran = "RMSprop on w²/2 from 1, 4000 steps at .01, 500 at .0001: "
    first, second, third = found.values()
    names = list(found)
    return every(
        above(first, 100, ran + names[0]),
        above(second, 0.5, ran + names[1]),
        above(third, 100, ran + names[2]),
    )
