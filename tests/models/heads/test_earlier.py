"""Heads beside a model's own: as many as the weights have, and what they say."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.heads.earlier import HEADS, EarlierHeads, earlier_heads, heads_said, of_images
from cliqa.utils.errors import ModelError


class Net(nn.Module):
    """A body, a head, and room for earlier heads."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(4, 3)
        self.head = nn.Linear(3, 1)
        self.add_module(HEADS, EarlierHeads(self.head))

    def forward(self, inputs: Tensor) -> Tensor:
        score: Tensor = self.head(self.body(inputs))[:, 0]
        return score


def grown(count: int) -> Net:
    model = Net()
    for _ in range(count):
        kept = earlier_heads(model).keep()
        assert torch.equal(kept.weight, model.head.weight)  # type: ignore[arg-type]
        nn.init.normal_(model.head.weight)
    return model


@pytest.mark.parametrize(("before", "after"), [(0, 2), (3, 1), (1, 0), (2, 2)])
def test_a_state_brings_its_heads(before: int, after: int) -> None:
    model, other = grown(before), grown(after)
    model.load_state_dict(other.state_dict())
    assert len(earlier_heads(model)) == after
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in model.state_dict().items())


def test_a_copy_of_a_model_grows_by_its_own_head() -> None:
    model = Net()
    twin = copy.deepcopy(model)
    nn.init.zeros_(twin.head.weight)
    assert not earlier_heads(twin).keep().weight.any()  # type: ignore[operator]
    assert len(earlier_heads(model)) == 0


def test_heads_hear_what_the_models_own_is_given() -> None:
    model, inputs = grown(2), torch.rand(5, 4)
    others = [*earlier_heads(model), model.head]
    with heads_said(model.head, others) as said:
        output = model(inputs)
    assert torch.equal(said[0][:, 2], output)
    assert torch.equal(said[0][:, 0], earlier_heads(model)[0](model.body(inputs))[:, 0])
    model(inputs)
    assert len(said) == 1  # nobody listens any more
    with heads_said(model.head, []) as nothing:
        model(inputs)
    assert nothing == []


def test_crops_and_images_of_many_sizes_are_averaged_by_image() -> None:
    crops = torch.arange(12.0).view(6, 2)  # 2 images of 3 crops, 2 heads
    assert of_images([crops], 2).tolist() == [[2, 3], [8, 9]]
    assert of_images([crops[:2], crops[2:3]], 2).tolist() == [[1, 2], [4, 5]]
    assert of_images([crops[:3, :, None]], 1).shape == (1, 2, 1)


def test_a_model_without_room_is_named() -> None:
    with pytest.raises(ModelError, match=r"the Linear has no room for earlier heads.*prepare"):
        earlier_heads(nn.Linear(2, 1))
