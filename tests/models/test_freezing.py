from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.models.freezing import Rest, check_patterns, freeze_parts, keep_frozen, set_training
from cliqa.utils.errors import ModelError


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.layer1 = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4, 1)


def frozen_names(model: nn.Module) -> list[str]:
    return [name for name, p in model.named_parameters() if not p.requires_grad]


@pytest.mark.parametrize(
    ("patterns", "names", "modules"),
    [
        ([], [], ()),
        (["stem"], ["stem.0.weight", "stem.0.bias", "stem.1.weight", "stem.1.bias"], ("stem",)),
        (["stem.1", "fc.bias"], ["stem.1.weight", "stem.1.bias", "fc.bias"], ("stem.1",)),
        (
            ["*.bias"],
            ["stem.0.bias", "stem.1.bias", "layer1.0.bias", "layer1.1.bias", "fc.bias"],
            (),
        ),
        (["layer?.1"], ["layer1.1.weight", "layer1.1.bias"], ("layer1.1",)),
    ],
)
def test_patterns_name_modules_and_parameters(
    patterns: list[str], names: list[str], modules: tuple[str, ...]
) -> None:
    model = Net()
    report = freeze_parts(model, patterns)
    assert frozen_names(model) == names
    assert report.modules == modules
    assert report.tensors == len(names)


def test_the_report_counts_tensors_and_values() -> None:
    report = freeze_parts(Net(), ["stem"])
    stem = 3 * 4 * 9 + 4 + 8
    total = stem + 4 * 4 * 9 + 4 + 8 + 5
    assert (report.values, report.all_values) == (stem, total)
    assert str(report) == f"froze 4 of 10 parameter tensors ({stem} of {total} values)"


def test_frozen_modules_stay_in_evaluation_mode() -> None:
    model: Any = Net()
    report = freeze_parts(model, ["stem"])
    model.train()
    keep_frozen(model, report)
    assert [module.training for module in model.stem] == [False] * 3
    assert model.layer1[1].training
    before = model.stem[1].running_mean.clone()
    model.stem(torch.rand(2, 3, 8, 8))
    assert torch.equal(model.stem[1].running_mean, before)


def test_a_pattern_that_names_nothing_is_refused() -> None:
    model = Net()
    with pytest.raises(
        ModelError, match=r"freeze: 'layer2' names no part of the Net\. Did you mea"
    ):
        freeze_parts(model, ["stem", "layer2"])
    assert not frozen_names(model)


def test_a_model_with_a_report_keeps_its_frozen_parts_in_evaluation_mode() -> None:
    model: Any = Net()
    set_training(model)
    assert all(module.training for module in model.modules())
    model.frozen = freeze_parts(model, ["stem"])
    for twin in (model, copy.deepcopy(model)):
        set_training(twin)
        assert not any(module.training for module in twin.stem.modules())
        assert twin.layer1[1].training
        set_training(twin, False)
        assert not any(module.training for module in twin.modules())
    assert model.state_dict().keys() == Net().state_dict().keys()


def test_an_attribute_of_the_same_name_does_not_matter() -> None:
    model: Any = Net()
    model.frozen = True
    set_training(model)
    assert model.stem.training


def test_patterns_may_name_buffers() -> None:
    check_patterns(Net(), ["stem.1.running_mean", "*.num_batches_tracked", "fc"], "drop")
    with pytest.raises(
        ModelError, match=r"drop: 'fcc' names no part of the Net\. Did you mean 'fc'"
    ):
        check_patterns(Net(), ["fcc"], "drop")


def test_without_a_near_name_the_parts_are_listed() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    parts = r"'head' names no part of the Sequential\. Its parts are '0', '1'\.$"
    with pytest.raises(ModelError, match=parts):
        check_patterns(model, ["head"], "LoRA: heads")


def test_a_rest_ends_as_it_began() -> None:
    model = Net().train()
    freeze_parts(model, ["fc.bias"])
    model.layer1[1].eval()
    rest = Rest()
    rest.begin(model.parameters(), [model.stem[1], model.layer1[1]])
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert not model.stem[1].training
    rest.end()
    assert frozen_names(model) == ["fc.bias"]
    assert model.stem[1].training
    assert not model.layer1[1].training
    assert rest.parameters == rest.modules == []
