"""Networks trained at once are those that are trained one by one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnn_companion.forecasting.together import (
    WAYS,
    Plan,
    forecasts_together,
    train_together,
)
from tests.recurrences import random

T, N, K = 4, 11, 3
PLANS = [
    Plan(way=way, horizon=K, forced=forced, hidden_size=3, epochs=2, batch_size=4)
    for way in WAYS
    for forced in (False, True)
    if not (forced and way in ("aligned", "direct"))
]


def data(plan: Plan) -> tuple[Tensor, Tensor]:
    K_here = T if plan.way == "aligned" else K
    return random(T, N, 1).float(), random(K_here, N, 1, seed=1).float()


class ByTorch(nn.Module):
    """The four ways with torch's own layers."""

    def __init__(self, plan: Plan, w: dict[str, Tensor]) -> None:
        super().__init__()
        self.plan, h = plan, plan.hidden_size
        self.cells = nn.ModuleList([nn.RNNCell(1, h), nn.RNNCell(1, h)])
        if plan.way != "encoder-decoder":
            self.cells[1] = self.cells[0]
        self.head = nn.Linear(h, len(w["b_q"]))
        for cell, names in zip(
            self.cells, (("W_xh", "W_hh", "b_h"), ("V_xh", "V_hh", "v_h")), strict=True
        ):
            if names[0] in w:
                cell.weight_ih.data, cell.weight_hh.data = w[names[0]], w[names[1]]
                cell.bias_ih.data = w[names[2]]
                cell.bias_hh = nn.Parameter(torch.zeros(h), requires_grad=False)
        self.head.weight.data, self.head.bias.data = w["W_hq"], w["b_q"]

    def forward(self, X: Tensor, Y: Tensor) -> Tensor:
        H, plan, outputs = torch.zeros(X.shape[1], self.plan.hidden_size), self.plan, []
        writes = plan.way not in ("aligned", "direct")
        for t, x in enumerate(X, 1):
            H = self.cells[int(writes and t == T)](x, H)
            outputs.append(self.head(H))
        if plan.way == "aligned":
            return torch.stack(outputs)
        if plan.way == "direct":
            last: Tensor = outputs[-1]
            return last.T.unsqueeze(-1)
        del outputs[:-1]
        for k in range(K - 1):
            H = self.cells[1](Y[k] if plan.forced else outputs[-1], H)
            outputs.append(self.head(H))
        return torch.stack(outputs)


def alone(plan: Plan, X: Tensor, Y: Tensor, seed: int, mask: Tensor) -> ByTorch:
    """Train one network with torch's layers, its loss over the outputs that count."""
    model = ByTorch(plan, {n: w.clone() for n, w in plan.start(seed).items()})
    those = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(those, lr=plan.learning_rate)
    order = torch.Generator().manual_seed(2 * seed + 1)
    for _ in range(plan.epochs):
        for some in torch.randperm(N, generator=order).split(plan.batch_size):
            kept = mask > 0
            O = model(X[:, some], Y[:, some])
            loss = nn.functional.mse_loss(O[kept], Y[:, some][kept])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_each_is_the_network_that_is_trained_alone(plan: Plan) -> None:
    X, Y = data(plan)
    weights = train_together(plan, X, Y, seeds=[3, 8], device="cpu")
    found = forecasts_together(plan, weights, X)
    free = Plan(**{**vars(plan), "forced": False})
    for seed, O in zip([3, 8], found, strict=True):
        model = alone(plan, X, Y, seed, torch.ones(len(Y)))
        model.plan = free
        with torch.no_grad():
            torch.testing.assert_close(O, model(X, Y), rtol=1e-4, atol=1e-5)


def test_masks_and_inputs_may_differ_from_network_to_network() -> None:
    plan = next(p for p in PLANS if p.way == "aligned")
    X, Y = data(plan)
    both = torch.stack([X, random(T, N, 1, seed=7).float()])
    masks = torch.tensor([[0.0, 0, 0, 1], [1, 0, 1, 0]])
    weights = train_together(plan, both, Y, seeds=[5, 5], masks=masks, device="cpu")
    found = forecasts_together(plan, weights, X)
    for each, mask, O in zip(both, masks, found, strict=True):
        model = alone(plan, each, Y, 5, mask)
        with torch.no_grad():
            torch.testing.assert_close(O, model(X, Y), rtol=1e-4, atol=1e-5)


def test_ways_of_one_seed_start_from_the_same_first_layer() -> None:
    starts = [Plan(way=way, horizon=2).start(4) for way in WAYS]
    for name in ("W_xh", "W_hh", "b_h"):
        assert all(torch.equal(w[name], starts[0][name]) for w in starts)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"way": "both"}, "unknown way 'both'"),
        ({"horizon": 0}, "horizon must be positive"),
        ({"way": "direct", "forced": True}, "reads no outputs"),
    ],
)
def test_what_no_network_can_do_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Plan(**settings)
