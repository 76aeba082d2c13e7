"""Feature replay: what is stored, what stays frozen, and where it cannot work."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.training.plugins.rehearsal.feature_replay import FeatureReplay
from cliqa.utils.errors import ConfigError, ModelError

Make = Callable[..., Any]
LAYER = "backbone.blocks.0"


def states(model: nn.Module, below: bool) -> dict[str, Tensor]:
    """Return copies of the tensors below the layer, or above it."""
    own = {n: v.clone() for n, v in model.state_dict().items()}
    return {n: v for n, v in own.items() if n.startswith(LAYER) is below}


def test_what_lies_below_stays_and_what_lies_above_learns(
    over_scores: Make, teach: Make, assert_same: Make
) -> None:
    parts = over_scores(type="FeatureReplay", layer=LAYER, mem_size=10)
    first = states(parts.model, True)
    teach(parts, 1)
    kept, above = states(parts.model, True), states(parts.model, False)
    assert not torch.equal(first[f"{LAYER}.0.weight"], kept[f"{LAYER}.0.weight"])
    teach(parts, 2, first=1)
    assert_same(states(parts.model, True), kept)  # batch normalisation's statistics too
    assert not torch.equal(states(parts.model, False)["head.fc.weight"], above["head.fc.weight"])


def test_the_activations_of_the_samples_are_stored(over_scores: Make, teach: Make) -> None:
    parts = over_scores(type="FeatureReplay", layer=LAYER, mem_size=10, train_epochs=1)
    strategy, memory = parts.strategy, parts.strategy.plugins[0]
    parts.benchmark.train_stream[0].dataset  # noqa: B018  made before the transforms change
    teach(parts, 1)
    state = memory.state_dict()
    assert state["features"].dtype == torch.float16
    assert state["features"].shape == (10, 4, 6, 6)  # of a crop of 12 pixels, at half of its size
    data = parts.benchmark.train_stream[0].dataset
    scores = torch.tensor([float(score) for score in data.targets])
    assert torch.allclose(state["target"].float(), scores[state["index"]])
    strategy.model.eval()
    batch = [torch.rand(3, 3, 12, 12), torch.zeros(3)]
    activation, output = memory.activations(strategy, batch)
    assert torch.allclose(activation, strategy.model.backbone.blocks[0](batch[0]))
    again = memory.output_from(strategy, activation, batch)
    assert torch.allclose(again, output, atol=1e-6)
    assert torch.allclose(output, strategy.model(batch[0]))


def test_the_memorys_loss_is_added(
    over_scores: Make, teach: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = over_scores(
        type="FeatureReplay", layer=LAYER, mem_size=10, beta=0.5, train_epochs=1, batch_size_mem=4
    )
    teach(parts, 1)
    strategy, memory = parts.strategy, parts.strategy.plugins[0]
    gaps: list[float] = []
    backward = strategy.backward

    def check() -> None:
        start = strategy.clock.train_epoch_iterations * 4
        chosen = memory._order[start : start + 4]
        model = copy.deepcopy(strategy.model)
        maps = model.backbone.blocks[1](memory._features[chosen].float())
        said = model.head(model.neck((maps,)))
        expected = F.l1_loss(strategy.mb_output, strategy.mb_y)
        expected = expected + 0.5 * F.l1_loss(said, memory._target[chosen].float())
        gaps.append(float(strategy.loss.detach() - expected.detach()))
        backward()

    monkeypatch.setattr(strategy, "backward", check)
    teach(parts, 2, first=1)
    assert len(gaps) == 3
    assert gaps == pytest.approx([0.0] * 3, abs=1e-5)


def test_without_strength_it_is_naive_to_the_bit(
    over_scores: Make, teach: Make, assert_same: Make
) -> None:
    plain = over_scores()
    own = over_scores(type="FeatureReplay", layer=LAYER, mem_size=10, beta=0.0)
    for parts in (plain, own):
        teach(parts, 2)
    assert_same(own.model.state_dict(), plain.model.state_dict())
    assert len(own.strategy.plugins[0]) == 0


def test_no_earlier_image_is_read_again(
    over_scores: Make, teach: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = over_scores(type="FeatureReplay", layer=LAYER, mem_size=10, train_epochs=1)
    teach(parts, 1)
    old = parts.benchmark.train_stream[0].dataset
    monkeypatch.setattr(type(old), "__getitem__", guarded(old, type(old).__getitem__))
    teach(parts, 2, first=1)
    with pytest.raises(AssertionError, match="read again"):
        old[0]


def guarded(old: Any, get: Callable[..., Any]) -> Callable[..., Any]:
    """Return a getter that fails for one data set."""

    def read(self: Any, index: int) -> Any:
        assert self is not old, "read again"
        return get(self, index)

    return read


class Passing(nn.Module):
    """A network with a way around its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,)."""
        scores: Tensor = self.head((self.layer(images) + images).mean((2, 3)))[:, 0]
        return scores


class Twice(Passing):
    """A network that runs its layer twice."""

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,)."""
        scores: Tensor = self.head(self.layer(self.layer(images)).mean((2, 3)))[:, 0]
        return scores


@pytest.mark.parametrize(
    ("network", "message"), [(Passing, "is not the only way"), (Twice, "in 2 calls for a batch")]
)
def test_a_layer_that_does_not_tell_the_output_is_refused(
    network: type[nn.Module], message: str, over_scores: Make, teach: Make
) -> None:
    parts = over_scores(type="FeatureReplay", layer=LAYER, mem_size=10)
    parts.strategy.plugins[0].layer = "layer"
    parts.strategy.model = network()
    with pytest.raises(ModelError, match=message):
        teach(parts, 1)


def test_an_unknown_layer_is_refused(over_scores: Make) -> None:
    with pytest.raises(ModelError, match=r"layer='backbone\.block\.0' is no part of.*Did you mean"):
        over_scores(type="FeatureReplay", layer="backbone.block.0")
    with pytest.raises(ConfigError, match=r"FeatureReplay: beta must be >= 0, got -1"):
        FeatureReplay("x", beta=-1)
