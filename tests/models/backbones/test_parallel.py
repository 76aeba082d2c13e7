from __future__ import annotations

from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision

from cliqa.models.build import build_model
from cliqa.utils.errors import ConfigError, ModelError

NET: dict[str, Any] = {"type": "SmallConvNet", "in_channels": 3, "channels": (4, 6)}


def test_outputs_of_all_branches_are_returned_in_order() -> None:
    model: Any = build_model({"type": "ParallelBackbones", "branches": [NET, {"type": "SCNN"}]})
    model.eval()
    images = torch.rand(2, 3, 32, 48)
    first, second = model(images)
    assert first.shape == (2, 6, 8, 12)
    assert second.shape == (2, 128, 2, 3)
    assert torch.equal(first, model.branches[0](images)[0])
    assert torch.equal(second, model.branches[1](images)[0])


def test_no_branch_is_refused() -> None:
    with pytest.raises(ConfigError, match="branches is empty"):
        build_model({"type": "ParallelBackbones", "branches": []})


def test_a_wrong_branch_is_named() -> None:
    with pytest.raises(ConfigError, match=r"model.backbone.branches\[1\]: unknown model 'SCN'"):
        build_model({"type": "ParallelBackbones", "branches": [NET, {"type": "SCN"}]})


def test_the_advice_for_a_failed_download_names_the_branchs_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*arguments: Any, **options: Any) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", no_network)
    arch = {"arch": "resnet18", "nodes": ["layer4"], "weights": "DEFAULT"}
    branches = [NET, {"type": "TorchvisionBackbone", **arch}]
    model = {
        "type": "QualityModel",
        "backbone": {"type": "ParallelBackbones", "branches": branches},
        "head": {"type": "LinearScoreHead", "in_channels": 518},
    }
    with pytest.raises(ModelError, match=r"model\.backbone\.branches\.1\.weights='path.*=None to"):
        build_model(model)
