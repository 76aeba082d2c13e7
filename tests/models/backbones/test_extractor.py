from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision

from cliqa.models.backbones.extractor import build_extractor, last_node
from cliqa.models.backbones.torchvision_backbone import TorchvisionBackbone
from cliqa.models.build import build_model
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError

BACKBONE: dict[str, Any] = {"type": "ResNet", "depth": 18, "base_channels": 4}
GAP = {"type": "GlobalAveragePooling"}
HEAD = {"type": "LinearClsHead", "num_classes": 5, "in_channels": 32}


def images(edge: int = 32) -> torch.Tensor:
    return torch.rand(2, 3, edge, edge, generator=torch.Generator().manual_seed(0))


def moved(model: torch.nn.Module) -> Any:
    """Return the model with other batch statistics than those of a fresh one, in evaluation."""
    model(images())
    model.eval()  # mmpretrain's ResNet returns nothing here
    return model


def save(path: Path, state: dict[str, Any], prefix: str = "") -> Path:
    torch.save({prefix + name: value for name, value in state.items()}, path / "weights.pth")
    return path / "weights.pth"


def test_a_torchvision_model_gives_the_mean_of_its_last_map(tmp_path: Path) -> None:
    model = moved(torchvision.models.resnet18(weights=None))
    extractor = build_extractor("resnet18", save(tmp_path, model.state_dict()))
    model.fc = torch.nn.Identity()
    features = extractor(images())
    assert features.shape == (2, 512)
    torch.testing.assert_close(features, model(images()))


@pytest.mark.parametrize("prefix", ["module.", "module.encoder_q.", "backbone.", "state."])
def test_prefixes_heads_and_counters_do_not_matter(tmp_path: Path, prefix: str) -> None:
    model = moved(torchvision.models.resnet18(weights=None))
    state = {n: t for n, t in model.state_dict().items() if not n.endswith("batches_tracked")}
    other = {f"module.encoder_k.{name}": 0 * value for name, value in state.items()}
    state = {prefix + name: value for name, value in state.items()}
    state |= {f"{prefix}head.mlp.weight": torch.zeros(3, 3)}
    if "encoder_q" in prefix:  # the trained one, in any order
        state = {**other, **state, "module.queue": torch.zeros(3, 8)}
    torch.save({"epoch": 7, "state_dict": state}, tmp_path / "weights.pth")
    extractor = build_extractor("resnet18", tmp_path / "weights.pth")
    model.fc = torch.nn.Identity()
    torch.testing.assert_close(extractor(images()), model(images()))


@pytest.mark.slow
def test_a_vision_transformer_gives_its_class_token(tmp_path: Path) -> None:
    model = torchvision.models.vit_b_32(weights=None).eval()
    extractor = build_extractor("vit_b_32", save(tmp_path, model.state_dict()))
    with torch.no_grad():
        token = model(images(224))
        torch.testing.assert_close(model.heads(extractor(images(224))), token)


@pytest.mark.parametrize(
    ("arch", "node"),
    [
        ("resnet50", "layer4"),
        ("vgg11", "features.20"),
        ("swin_t", "norm"),
        ("mnasnet0_5", "layers.16"),
        ("shufflenet_v2_x0_5", "conv5"),
        ("regnet_y_400mf", "trunk_output.block4"),
        ("vit_b_32", "encoder"),
    ],
)
def test_the_last_layer_of_each_family_is_known(arch: str, node: str) -> None:
    assert last_node(arch) == node
    if arch in ("mnasnet0_5", "shufflenet_v2_x0_5", "regnet_y_400mf"):
        assert TorchvisionBackbone(arch, [node]).layers[-1] == node


@pytest.mark.parametrize(
    ("arch", "length"),
    [
        (BACKBONE, 32),
        ({"backbone": BACKBONE, "neck": GAP, "head": HEAD}, 32),
        ({"backbone": BACKBONE}, 32),
        ({"type": "SmallConvNet", "in_channels": 3}, 64),
        ({"type": "SmallConvNet", "in_channels": 3, "flatten": True}, 1024),
        (
            {
                "type": "QualityModel",
                "backbone": BACKBONE | {"out_indices": (2, 3)},
                "head": {"type": "LinearScoreHead", "in_channels": 48},
            },
            48,
        ),
    ],
)
def test_a_config_gives_the_features_before_its_head(
    tmp_path: Path, arch: dict[str, Any], length: int
) -> None:
    source = moved(build_model(arch))
    head = getattr(source, "head", None)
    path = save(tmp_path, source.state_dict())
    extractor = build_extractor(arch, path)
    features = extractor(images())
    assert features.shape == (2, length)
    if head is not None:
        torch.testing.assert_close(head((features,)), source(images()))
    torch.testing.assert_close(features, build_extractor(arch, path)(images()), rtol=0, atol=0)


def test_a_backbones_file_fits_a_whole_model(tmp_path: Path) -> None:
    source = moved(build_model(BACKBONE))
    arch = {"backbone": BACKBONE, "neck": GAP, "head": HEAD}
    extractor = build_extractor(arch, save(tmp_path, source.state_dict()))
    torch.testing.assert_close(extractor(images()), source(images())[-1].mean(dim=(2, 3)))


def test_it_neither_learns_nor_leaves_evaluation_mode(tmp_path: Path) -> None:
    extractor = build_extractor(BACKBONE, save(tmp_path, build_model(BACKBONE).state_dict()))
    assert extractor.train() is extractor
    assert not any(module.training for module in extractor.modules())
    assert not any(p.requires_grad for p in extractor.parameters())
    assert not extractor(images().requires_grad_()).requires_grad


@pytest.mark.parametrize(
    "weights",
    [
        {"init_cfg": {"type": "Pretrained", "checkpoint": "{}"}},
        {"init_cfg": [{"type": "Kaiming", "layer": "Conv2d"}, {"type": "Pretrained"}]},
    ],
)
def test_a_config_may_name_its_weights_itself(tmp_path: Path, weights: dict[str, Any]) -> None:
    source = moved(build_model(BACKBONE))
    path = str(save(tmp_path, source.state_dict()))
    last = weights["init_cfg"] if isinstance(weights["init_cfg"], dict) else weights["init_cfg"][-1]
    last["checkpoint"] = path
    extractor = build_extractor({**BACKBONE, **weights})
    torch.testing.assert_close(extractor(images()), source(images())[-1].mean(dim=(2, 3)))


@pytest.mark.parametrize(
    "arch",
    [
        BACKBONE,
        {**BACKBONE, "init_cfg": [{"type": "Kaiming", "layer": "Conv2d"}]},
        {"backbone": BACKBONE, "pretrained": None},
    ],
)
def test_random_weights_are_refused(arch: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"has no weights, so the features would be random\. G"):
        build_extractor(arch)


def test_a_file_that_leaves_layers_random_is_refused(tmp_path: Path) -> None:
    state = torchvision.models.resnet18(weights=None).state_dict()
    part = {name: value for name, value in state.items() if not name.startswith("layer4.1")}
    with pytest.raises(
        ModelError, match=r"10 of the TorchvisionBackbone's 100 trained tensors would stay random"
    ):
        build_extractor("resnet18", save(tmp_path, part))
    with pytest.raises(ModelError, match=r"23 of them because of another shape"):
        build_extractor("resnet50", save(tmp_path, state))


def test_without_a_network_the_published_weights_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fail)
    with pytest.raises(ModelError, match=r"'DEFAULT' for resnet18 cannot be downloaded"):
        build_extractor("resnet18")


def test_wrong_names_and_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no model 'resnet5'\. Did you mean 'resnet"):
        build_extractor("resnet5")
    with pytest.raises(ConfigError, match=r"arch: unknown model 'ResNt'\. Did you mean 'ResNet"):
        build_extractor({"type": "ResNt"}, "weights.pth")
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        build_extractor("resnet18", tmp_path / "gone.pth")


def test_tokens_are_no_features(tmp_path: Path) -> None:
    arch = {"type": "VisionTransformer", "arch": "deit-tiny", "img_size": 32, "out_type": "raw"}
    extractor = build_extractor(arch, save(tmp_path, build_model(arch).state_dict()))
    with pytest.raises(ModelError, match=r"shape \(2, 5, 192\).*out_type='cls_token'"):
        extractor(images())
