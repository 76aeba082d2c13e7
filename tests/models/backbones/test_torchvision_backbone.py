from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from cliqa.models.backbones.torchvision_backbone import TorchvisionBackbone, layer_names
from cliqa.utils.errors import ModelError


def images(edge: int = 32) -> torch.Tensor:
    return torch.rand(1, 3, edge, edge, generator=torch.Generator().manual_seed(0))


def test_the_maps_are_those_of_the_whole_model() -> None:
    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    torch.manual_seed(0)
    backbone = TorchvisionBackbone("resnet18", ["layer1", "layer4"]).eval()
    shallow = model.layer1(model.maxpool(model.relu(model.bn1(model.conv1(images())))))
    deep = model.layer4(model.layer3(model.layer2(shallow)))
    outputs = backbone(images())
    torch.testing.assert_close(outputs, (shallow, deep), rtol=0, atol=0)
    assert sum(p.numel() for p in backbone.parameters()) == 11_176_512


def test_swins_maps_are_turned_to_channels_first() -> None:
    backbone = TorchvisionBackbone("swin_t", ["features.1"]).eval()
    assert backbone.channels_last_out
    turned = backbone(images())[0]
    assert turned.shape == (1, 96, 8, 8)
    backbone.channels_last_out = False
    assert torch.equal(backbone(images())[0].permute(0, 3, 1, 2), turned)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arch", "nodes"),
    [
        ("vgg11_bn", ["features.27"]),
        ("densenet121", ["features.norm5"]),
        ("mobilenet_v2", ["features.18"]),
        ("efficientnet_b0", ["features.3", "features.5", "features.8"]),
        ("regnet_y_400mf", ["trunk_output.block4"]),
        ("shufflenet_v2_x0_5", ["conv5"]),
        ("mnasnet0_5", ["layers.16"]),
        ("convnext_tiny", ["features.3", "features.7"]),
        ("swin_t", ["features.5", "norm"]),
    ],
)
def test_the_layers_in_order_are_the_whole_of_each_family(arch: str, nodes: list[str]) -> None:
    torch.manual_seed(0)
    model = torchvision.models.get_model(arch, weights=None).eval()
    torch.manual_seed(0)
    backbone = TorchvisionBackbone(arch, nodes).eval()
    with torch.no_grad():
        wanted = create_feature_extractor(model, nodes)(images(64)).values()
        outputs = backbone(images(64))
    for output, reference in zip(outputs, wanted, strict=True):
        turned = reference.permute(0, 3, 1, 2) if backbone.channels_last_out else reference
        assert torch.equal(output, turned)


@pytest.mark.slow
def test_a_vision_transformer_gives_its_class_token() -> None:
    torch.manual_seed(0)
    model = torchvision.models.vit_b_32(weights=None).eval()
    torch.manual_seed(0)
    backbone = TorchvisionBackbone("vit_b_32", "encoder").eval()
    with torch.no_grad():
        (token,) = backbone(images(224))
        torch.testing.assert_close(model.heads(token), model(images(224)))


def test_the_layers_before_the_classifier_are_named_in_order() -> None:
    names = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"]
    assert layer_names(torchvision.models.resnet18(weights=None)) == names
    inner = [f"features.{k}" for k in range(13)]
    assert layer_names(torchvision.models.mobilenet_v3_small(weights=None)) == inner


def test_training_mode_reaches_the_layers() -> None:
    backbone = TorchvisionBackbone("mobilenet_v3_small", ["features.1"]).train()
    backbone(images())
    norm: Any = backbone.get_submodule("body.features.0.1")
    assert norm.num_batches_tracked == 1
    backbone.eval()(images())
    assert norm.num_batches_tracked == 1


def test_copies_and_pickles_give_the_same_output() -> None:
    backbone = TorchvisionBackbone("mobilenet_v3_small", ["features.2"]).eval()
    for twin in (copy.deepcopy(backbone), pickle.loads(pickle.dumps(backbone))):
        assert not any(module.training for module in twin.modules())
        torch.testing.assert_close(twin(images()), backbone(images()), rtol=0, atol=0)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    source = torchvision.models.mobilenet_v3_small(weights=None)
    torch.save(source.state_dict(), tmp_path / "a.pth")
    path = str(tmp_path / "a.pth")
    backbone = TorchvisionBackbone("mobilenet_v3_small", ["features.12"], weights=path)
    state = source.features.state_dict()
    own = backbone.body.get_submodule("features").state_dict()
    assert own.keys() == state.keys()
    assert all(torch.equal(own[name], state[name]) for name in state)
    with pytest.raises(ModelError, match=r"a\.pth: 0 of .* 100 of the TorchvisionBackbone"):
        TorchvisionBackbone("resnet18", ["layer4"], weights=str(tmp_path / "a.pth"))


@pytest.mark.parametrize("error", [URLError("no route"), RuntimeError("invalid hash value")])
def test_a_failed_download_names_the_file(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fail)
    with pytest.raises(
        ModelError,
        match=r"'DEFAULT' for resnet18 cannot be .*Download resnet18-\w+\.pth .*give that file",
    ):
        TorchvisionBackbone("resnet18", ["layer4"], weights="DEFAULT")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"arch": "resnet19", "nodes": ["layer4"]}, "no backbone 'resnet19'. Did you mean 'resnet"),
        ({"arch": "resnet18", "nodes": ["layer5"]}, "no node 'layer5'. Did you mean 'layer"),
        ({"arch": "resnet18", "nodes": ["fc"]}, "no node 'fc'. Its nodes: conv1, bn1, relu"),
        ({"arch": "resnet18", "nodes": []}, "name at least one node of torchvision's resnet18: co"),
        ({"arch": "googlenet", "nodes": ["conv1"]}, "no backbone 'googlenet'"),
        (
            {"arch": "resnet18", "nodes": ["layer4"], "weights": "gone.pth"},
            r"weights 'gone\.pth': no file, and not torchvision's for resnet18 \(DEFAULT, IMAGE",
        ),
    ],
)
def test_a_wrong_name_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        TorchvisionBackbone(**arguments)


def test_blocks_of_a_vision_transformer_give_maps() -> None:
    torch.manual_seed(0)
    whole = torchvision.models.VisionTransformer(32, 8, 3, 2, 16, 32).eval()
    backbone = of_transformer(whole, ["encoder.layers.encoder_layer_0", "encoder"])
    images = torch.rand(2, 3, 32, 32)
    kept: list[torch.Tensor] = []
    whole.encoder.layers[0].register_forward_hook(lambda *a: kept.append(a[2]))
    whole.heads = torch.nn.Identity()
    token = whole(images)
    maps, vector = backbone(images)
    torch.testing.assert_close(vector, token)
    torch.testing.assert_close(maps.flatten(2), kept[0][:, 1:].transpose(1, 2))
    cut = of_transformer(whole, ["encoder.layers.encoder_layer_0"])
    torch.testing.assert_close(cut(images)[0], maps)
    assert cut.cut_layers == [
        "body.encoder.layers.encoder_layer_1",
        "body.encoder.layers.encoder_layer_2",
        "body.encoder.ln",
    ]


def of_transformer(whole: Any, nodes: list[str]) -> TorchvisionBackbone:
    """Return a backbone over a copy of a small vision transformer."""
    with pytest.MonkeyPatch.context() as patch:
        model = copy.deepcopy(whole)
        patch.setattr(torchvision.models, "get_model", lambda *_, **__: model)
        return TorchvisionBackbone("vit_b_16", nodes).eval()


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ("IMAGENET1K_V2", "IMAGENET1K_V2"),
        ("ResNet50_Weights.IMAGENET1K_V1", "IMAGENET1K_V1"),
        ("DEFAULT", "IMAGENET1K_V2"),
    ],
)
def test_torchvisions_weights_by_their_names(
    weights: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(url: str, **options: Any) -> Any:
        fetched.append(url)
        return torchvision.models.resnet50(weights=None).state_dict()

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", fetch)
    backbone = TorchvisionBackbone("resnet50", ["layer1"], weights=weights)
    assert fetched == [torchvision.models.ResNet50_Weights[name].url]
    expected = backbone.input_statistics
    assert expected is not None
    assert expected.source == f"torchvision's 'ResNet50_Weights.{name}'"
    assert expected.mean == (0.485, 0.456, 0.406)
    with pytest.raises(ModelError, match=r"'ResNet18_Weights.IMAGENET1K_V1': no file, and not to"):
        TorchvisionBackbone("resnet50", ["layer1"], weights="ResNet18_Weights.IMAGENET1K_V1")
