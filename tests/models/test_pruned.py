"""The record of a pruning: applied to models, to tensors that go with them, and undone."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.pruned import apply_pruning, pruning_in, pruning_of, sliced, widen
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.errors import ModelError


class Net(nn.Module):
    """Two layers with a normalisation between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return maps (B, 2, H, W)."""
        maps: torch.Tensor = self.second(self.norm(self.first(images)))
        return maps


def step(*kept: int, of: int = 4) -> dict[str, Any]:
    """Return the step that keeps some of the channels between the two layers."""
    first = {name: [[0, 0]] for name in ("first.weight", "first.bias")}
    norm = {f"norm.{key}": [[0, 0]] for key in ("weight", "bias", "running_mean", "running_var")}
    return {
        "kept": [list(kept)],
        "tensors": {**first, **norm, "second.weight": [[1, 0]]},
        "attributes": {
            "first": {"out_channels": [of, len(kept)]},
            "norm": {"num_features": [of, len(kept)]},
            "second": {"in_channels": [of, len(kept)]},
        },
    }


def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def test_a_step_slices_weights_and_statistics() -> None:
    model = net()
    weights = copy.deepcopy(model.state_dict())
    model.first.weight.requires_grad_(False)
    replaced = apply_pruning(model, [step(0, 3)])
    assert torch.equal(model.first.weight, weights["first.weight"][[0, 3]])
    assert torch.equal(model.second.weight, weights["second.weight"][:, [0, 3]])
    assert torch.equal(model.norm.running_var, weights["norm.running_var"][[0, 3]])  # type: ignore[arg-type]
    assert (model.first.out_channels, model.norm.num_features, model.second.in_channels) == (2,) * 3
    assert not model.first.weight.requires_grad
    assert model.second.weight.requires_grad
    before, after = replaced["second.weight"]
    assert before.shape == (2, 4, 1, 1)
    assert after is model.second.weight
    assert "norm.running_mean" not in replaced


def test_steps_that_a_model_has_are_not_taken_twice() -> None:
    model = net()
    steps = [step(0, 2, 3), step(0, 1, of=3)]
    apply_pruning(model, steps[:1])
    replaced = apply_pruning(model, steps)
    assert model.first.weight.shape[0] == 2
    assert torch.equal(model.first.weight, net().first.weight[[0, 2]])
    assert replaced["first.weight"][0].shape[0] == 3
    assert apply_pruning(model, steps) == {}
    whole = net()
    before, after = whole.first.weight, apply_pruning(whole, steps)["first.weight"]
    assert after[0] is before  # an optimizer knows that one, and none between the steps
    assert after[1] is whole.first.weight
    assert pruning_of(model) == steps


def test_a_model_knows_its_pruning_after_a_copy_and_no_other_does() -> None:
    model = net()
    apply_pruning(model, [step(1, 2)])
    assert pruning_of(copy.deepcopy(model)) == [step(1, 2)]
    assert pruning_of(net()) == []


def test_another_pruning_is_refused() -> None:
    model = net()
    apply_pruning(model, [step(0, 3)])
    with pytest.raises(ModelError, match="pruned differently from.*Build it again"):
        apply_pruning(model, [step(0, 2)])
    with pytest.raises(ModelError, match="pruned differently from"):
        apply_pruning(model, [])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tensors": {"third.weight": [[0, 0]]}}, "it has no tensor 'third.weight'"),
        ({"kept": [[0, 7]]}, r"'first.weight' has shape \(4, 3, 1, 1\), smaller"),
        ({"kept": [[0, 4]]}, r"'first.weight' has shape \(4, 3, 1, 1\), smaller"),
        ({"attributes": {"third": {}}}, "it has no module 'third'"),
    ],
)
def test_a_step_of_another_architecture_changes_nothing(change: dict[str, Any], text: str) -> None:
    model = net()
    with pytest.raises(ModelError, match=f"cannot be pruned like the checkpoint's model: .*{text}"):
        apply_pruning(model, [{**step(0, 3), **change}])
    assert model.first.weight.shape[0] == 4
    assert pruning_of(model) == []


def test_what_goes_with_the_weights_is_sliced_like_them() -> None:
    model = net()
    squares = {name: p.detach().square() for name, p in model.named_parameters()}
    apply_pruning(model, [step(1, 3)])
    for name, value in sliced(squares, step(1, 3)).items():
        assert torch.equal(value, model.get_parameter(name).detach().square())


def test_a_model_gets_its_earlier_width_back() -> None:
    model, whole = net(), net()
    images = torch.rand(2, 3, 4, 4)
    apply_pruning(model, [step(0, 2, 3), step(0, 1, of=3)])
    middle = net()
    apply_pruning(middle, [step(0, 2, 3)])
    back = copy.deepcopy(model)
    widen(back, middle.state_dict(), 1)
    assert torch.equal(back(images), middle(images))
    assert pruning_of(back) == [step(0, 2, 3)]
    widen(back, whole.state_dict(), 0)
    assert torch.equal(back(images), whole(images))
    assert back.second.in_channels == 4
    assert model.second.in_channels == 2
    widen(model, whole.state_dict(), 0)  # over two steps at once
    assert (model.first.out_channels, model.norm.num_features, model.second.in_channels) == (4,) * 3
    assert torch.equal(model(images), whole(images))


def test_a_record_lies_in_a_checkpoint(tmp_path: Path) -> None:
    state = {"strategy": {"model": {}, "pruning": [step(0, 3)]}}
    save_checkpoint(tmp_path / "x.pth", state)
    assert pruning_in(load_checkpoint(tmp_path / "x.pth")) == [step(0, 3)]
    assert pruning_in({"strategy": {"model": {}}}) == []
    assert pruning_in({"weight": torch.zeros(1)}) == []
