"""The worlds of chapter 11: torch's own, stepping on random gradients."""

from typing import Any

import torch
from torch import Tensor, nn

from rnn_companion.equations import Tape, world

SIZES = [{"N": 6, "p": 4}, {"N": 4, "p": 3}]
RANGES = {"k": (1, "N")}


def torch_steps(
    tape: Tape,
    kind: type[torch.optim.Optimizer],
    remembered: dict[str, str],
    **options: Any,  # noqa: ANN401 - whatever the optimizer takes
) -> list[Tensor]:
    """Let a torch optimizer take steps; name weights, gradients and its buffers."""
    start = tape.normal(tape.sizes["p"], 1)
    weight = nn.Parameter(start.clone())
    optimizer = kind([weight], **options)
    tape.leaf("w", start, 0)
    for symbol in remembered:
        tape.put(symbol, torch.zeros_like(start), 0)
    gradients = []
    for k in range(1, tape.sizes["N"] + 1):
        weight.grad = tape.normal(*start.shape)
        gradients.append(tape.leaf("g", weight.grad, k))
        optimizer.step()
        tape.put("w", weight.detach().clone(), k, source=f"torch.optim.{kind.__name__}")
        for symbol, buffer in remembered.items():
            value = optimizer.state[weight][buffer]
            tape.put(symbol, value.clone(), k, source=f"torch.optim.{kind.__name__}")
    return gradients


def setting(tape: Tape, **values: float) -> None:
    """Name the settings; a name's double underscore stands for a subscript."""
    for name, value in values.items():
        symbol = "\\" + name.replace("__", "_")
        tape.put(symbol, value)


def same_everywhere(tape: Tape, value: float) -> None:
    """Name the small number that is added to every entry."""
    tape.put(
        r"\varepsilon", torch.full((tape.sizes["p"], 1), value, dtype=torch.float64)
    )


@world("sgd", sizes=SIZES, ranges=RANGES)
def sgd(tape: Tape) -> None:
    """Take plain steps."""
    setting(tape, eta=0.3)
    torch_steps(tape, torch.optim.SGD, {}, lr=0.3)


@world("momentum", sizes=SIZES, ranges=RANGES)
def momentum(tape: Tape) -> None:
    """Take steps with a velocity."""
    setting(tape, eta=0.3, mu=0.7)
    torch_steps(tape, torch.optim.SGD, {"u": "momentum_buffer"}, lr=0.3, momentum=0.7)


@world("rmsprop", sizes=SIZES, ranges=RANGES)
def rmsprop(tape: Tape) -> None:
    """Take steps in units of the root mean square; eps is large enough to be seen."""
    setting(tape, eta=0.3, beta__2=0.6)
    same_everywhere(tape, 0.05)
    torch_steps(
        tape, torch.optim.RMSprop, {"v": "square_avg"}, lr=0.3, alpha=0.6, eps=0.05
    )


@world("adam", sizes=SIZES, ranges=RANGES)
def adam(tape: Tape) -> None:
    """Take Adam's steps; its repaired means are weighted means of the gradients."""
    setting(tape, eta=0.3, beta__1=0.6, beta__2=0.8)
    same_everywhere(tape, 0.05)
    buffers = {"m": "exp_avg", "v": "exp_avg_sq"}
    options = {"lr": 0.3, "betas": (0.6, 0.8), "eps": 0.05}
    gradients = torch_steps(tape, torch.optim.Adam, buffers, **options)
    for k in range(1, len(gradients) + 1):
        seen = torch.stack(gradients[:k])
        for symbol, beta, what in ((r"\hat{m}", 0.6, seen), (r"\hat{v}", 0.8, seen**2)):
            ages = torch.arange(k - 1, -1, -1, dtype=torch.float64)
            share = (beta**ages / (beta**ages).sum())[:, None, None]
            mean = (share * what).sum(0).detach()
            tape.put(symbol, mean, k, source="weighted means of the gradients")


@world("bowl", sizes=[{"N": 5}, {"N": 8}], ranges={"k": (1, "N")})
def bowl(tape: Tape) -> None:
    """Let torch descend into a bowl: plainly in x, and RMSprop in w to where it ends.

    In one draw epsilon is so large that RMSprop does not end in a cycle.
    """
    setting(tape, eta=0.3)
    epsilon, steps = (0.01, 4000) if tape.seed < 2 else (0.17, 5)
    tape.put(r"\varepsilon", epsilon)
    plain, jumping = (nn.Parameter(tape.normal()) for _ in range(2))
    slow = torch.optim.SGD([plain], lr=0.3)
    jumper = torch.optim.RMSprop([jumping], lr=0.3, alpha=0.9, eps=epsilon)
    for _ in range(steps):
        jumping.grad = jumping.detach().clone()
        jumper.step()
    for k in range(tape.sizes["N"] + 1):
        tape.put("x", plain.detach().clone(), k, source="torch.optim.SGD")
        source = f"torch.optim.RMSprop, after {steps} steps"
        tape.put("w", jumping.detach().clone(), k, source=source)
        for weight, optimizer in ((plain, slow), (jumping, jumper)):
            weight.grad = weight.detach().clone()
            optimizer.step()
