"""A frozen copy of a model, and its state."""

from __future__ import annotations

import torch
from torch import nn

from cliqa.training.plugins.teachers.earlier_model import EarlierModel


def test_the_copy_is_frozen_and_does_not_follow_the_model() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    earlier = EarlierModel()
    assert not earlier
    assert earlier.of(model) is None
    earlier.take(model)
    copy = earlier.of(model)
    assert isinstance(copy, nn.Sequential)
    before = next(copy.parameters()).detach().clone()
    next(model.parameters()).data.add_(1)
    assert torch.equal(next(copy.parameters()), before)
    assert not copy.training
    assert not any(weight.requires_grad for weight in copy.parameters())
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())


def test_a_restored_copy_is_that_of_the_state() -> None:
    model, images = nn.Linear(2, 2), torch.ones(1, 2)
    earlier, restored = EarlierModel(), EarlierModel()
    earlier.take(model)
    said = model(images)
    model.weight.data.add_(1)
    restored.load_state_dict(earlier.state_dict())
    assert restored
    copy = restored.of(model)
    assert copy is not None
    assert torch.equal(copy(images), said)
    assert not torch.equal(model(images), said)
    assert restored.state_dict()["weights"].keys() == model.state_dict().keys()


def test_the_state_of_none_is_empty() -> None:
    restored = EarlierModel()
    restored.load_state_dict(EarlierModel().state_dict())
    assert not restored
    assert restored.state_dict() == {}
