"""L2P: the pull of the keys, exact resume, and the model that it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from cliqa.benchmarks.quality_stream import QualityStream
from cliqa.training.plugins.prompts.l2p import L2P

Make = Callable[..., Any]


class Holder:
    """As much of a strategy as the hooks need."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.loss = torch.zeros(())

    def whole(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the rows of the only process."""
        return rows


def test_the_loss_is_the_formulas_and_the_keys_alone_are_pulled(prompted_model: Make) -> None:
    model = prompted_model("L2P")
    plugin, holder = L2P(strength=0.3), Holder(model)
    plugin.before_forward(holder)  # type: ignore[arg-type]
    model(torch.rand(3, 3, 16, 16))
    (match,) = model.backbone.matches
    plugin.before_backward(holder)  # type: ignore[arg-type]
    assert holder.loss.item() == pytest.approx(-0.3 * match.mean().item(), rel=1e-6)
    assert model.backbone.matches is None
    holder.loss.backward()
    pulled = {name for name, p in model.named_parameters() if p.grad is not None}
    assert pulled == {"backbone.keys"}


def test_a_stopped_run_ends_as_one_that_was_not(
    short_stream: QualityStream, assert_resumable: Callable[..., None], prompted_strategy: Make
) -> None:
    assert_resumable(lambda: prompted_strategy("L2P", [L2P()]), short_stream)


def test_without_strength_it_is_fine_tuning_and_the_keys_stay(
    tiny_stream: QualityStream,
    learn: Callable[..., None],
    assert_same: Callable[..., None],
    prompted_strategy: Make,
) -> None:
    plain, none, pulled = (prompted_strategy("L2P", p) for p in ([], [L2P(0.0)], [L2P(5.0)]))
    for one in (plain, none, pulled):
        one.optimizer.param_groups[0]["weight_decay"] = 0.0
    keys = plain.model.backbone.keys.detach().clone()
    for one in (plain, none, pulled):
        learn(one, tiny_stream, last=2)
    assert_same(plain.model.state_dict(), none.model.state_dict())
    assert torch.equal(none.model.backbone.keys, keys)
    assert not torch.equal(pulled.model.backbone.keys, keys)
