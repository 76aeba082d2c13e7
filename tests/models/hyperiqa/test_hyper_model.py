"""The assembled model, over backbones of every kind."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cliqa.models.backbones.extractor import FeatureExtractor
from cliqa.models.build import build_model
from cliqa.models.hyperiqa.hyper_model import HyperModel, channels
from cliqa.models.mmpretrain_bridge import build_part
from cliqa.utils.errors import ConfigError, ModelError

RESNET: dict[str, Any] = {
    "type": "ResNet",
    "depth": 18,
    "base_channels": 4,
    "stem_channels": 4,
    "out_indices": (0, 1, 2, 3),
    "zero_init_residual": False,  # zeros would hold gradients back at first
}
TORCHVISION: dict[str, Any] = {
    "type": "TorchvisionBackbone",
    "arch": "mobilenet_v3_small",
    "nodes": ["features.1", "features.3", "features.8", "features.12"],
}
SWIN = {
    "type": "SwinTransformer",
    "arch": "tiny",
    "img_size": 64,
    "window_size": 2,
    "out_indices": (0, 1, 2, 3),
}
FUSIONS: dict[str, dict[str, Any]] = {
    "deepest": {"type": "ScaleFusion", "hidden": (16,), "out_channels": 8},
    "all": {"type": "ScaleFusion", "hidden": (16,), "out_channels": 8, "multi_scale": True},
    "attention": {
        "type": "ScaleFusion",
        "hidden": (16,),
        "out_channels": 8,
        "multi_scale": True,
        "attention": True,
        "attention_hidden": 8,
    },
    "pyramid": {
        "type": "PyramidFusion",
        "pyramid_channels": 8,
        "out_channels": 8,
        "attention_reduction": 2,
    },
}


def config(fusion: str = "attention", backbone: dict[str, Any] = RESNET) -> dict[str, Any]:
    neck = {"type": "HyperNeck", "reduced": (2, 3, 4), "dims": 4, "vector_channels": 28}
    return {
        "type": "HyperModel",
        "backbone": backbone,
        "neck": {**neck, "fusion": FUSIONS[fusion]},
        "head": {"type": "HyperHead", "in_channels": 8, "sizes": (28, 14, 7)},
    }


def model(*args: Any) -> Any:
    torch.manual_seed(0)
    return build_model(config(*args))


def images(size: int = 2, height: int = 48, width: int = 48) -> torch.Tensor:
    return torch.rand(size, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        (RESNET, (4, 8, 16, 32)),
        (TORCHVISION, (16, 24, 48, 576)),
        (SWIN, (96, 192, 384, 768)),
    ],
    ids=["mmpretrain", "torchvision", "transformer"],
)
def test_any_backbone_with_several_maps_will_do(
    backbone: dict[str, Any], expected: tuple[int, ...]
) -> None:
    own = model("attention", backbone).eval()
    assert isinstance(own, HyperModel)
    assert channels(own.backbone) == expected
    with torch.no_grad():
        assert own.features(images(2, 64, 64)).shape == (2, 28)
        assert own(images(2, 64, 64)).shape == (2,)
        assert own(images(1, 64, 64)).shape == (1,)


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("size", [(32, 32), (64, 48), (65, 33), (224, 224)])
def test_images_may_have_any_size(fusion: str, size: tuple[int, int]) -> None:
    with torch.no_grad():
        assert torch.isfinite(model(fusion).eval()(images(1, *size))).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_reach_every_parameter_after_two_steps(fusion: str) -> None:
    own = model(fusion)
    optimizer = torch.optim.Adam(own.parameters(), lr=1e-3)
    target = torch.linspace(0, 1, 4)
    before = {name: p.detach().clone() for name, p in own.named_parameters()}
    for _ in range(2):
        optimizer.zero_grad()
        F.mse_loss(own(images(4)), target).backward()
        optimizer.step()
    for name, parameter in own.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
        assert not torch.equal(parameter, before[name]), name


def test_a_few_steps_fit_a_batch() -> None:
    own = model("all")
    target = torch.tensor([0.1, 0.4, 0.6, 0.9])
    optimizer = torch.optim.Adam(own.parameters(), lr=3e-3)
    for _ in range(30):
        loss = F.l1_loss(own(images(4)), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_each_image_is_scored_alone_in_evaluation() -> None:
    own = model().eval()
    with torch.no_grad():
        together = own(images(3))
        assert torch.equal(own(images(3)), together)
        for k in range(3):
            torch.testing.assert_close(own(images(3)[k : k + 1]), together[k : k + 1])


def test_mixed_precision_keeps_the_scores_apart() -> None:
    own = model("pyramid")
    with torch.autocast("cpu", torch.bfloat16):
        scores = own(images(4))
        assert scores.dtype == torch.float32
        F.l1_loss(scores, torch.linspace(0, 1, 4)).backward()
    assert all(torch.isfinite(p.grad).all() for p in own.parameters())
    own.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        half = own(images(4))
    torch.testing.assert_close(half, own(images(4)).detach(), atol=0.05, rtol=0)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_copies_and_files_say_the_same(fusion: str) -> None:
    own = model(fusion)
    own(images(4))  # moves the batch statistics
    own.eval()
    buffer = io.BytesIO()
    torch.save(own.state_dict(), buffer)
    buffer.seek(0)
    twin = build_model(config(fusion)).eval()
    assert not torch.equal(twin(images()), own(images()))
    twin.load_state_dict(torch.load(buffer, weights_only=True))
    for other in (twin, copy.deepcopy(own)):
        assert torch.equal(other(images()), own(images()))


def test_the_dry_run_leaves_the_backbone_as_it_was() -> None:
    backbone = build_part(RESNET, "model.backbone")
    backbone.train()
    before = copy.deepcopy(backbone.state_dict())
    assert channels(backbone) == (4, 8, 16, 32)
    assert backbone.training
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def test_channels_that_are_given_are_taken() -> None:
    wrong = config()
    wrong["neck"]["in_channels"] = (4, 8, 16, 33)
    with pytest.raises(RuntimeError, match="33"):
        build_model(wrong)(images())


def test_frozen_parts_neither_learn_nor_count() -> None:
    own = build_model({**config(), "freeze": ["backbone.bn1", "neck.local"]}).train()
    own(images(4)).sum().backward()
    assert own.get_submodule("backbone.bn1").num_batches_tracked == 0
    frozen = {name for name, p in own.named_parameters() if p.grad is None}
    assert frozen == {
        name
        for name, _ in own.named_parameters()
        if name.startswith(("backbone.bn1", "neck.local"))
    }


def test_an_extractor_gives_its_features() -> None:
    own = model().eval()
    features = own.features(images()).detach()
    assert torch.equal(FeatureExtractor(own)(images()), features)


def test_a_backbone_without_maps_is_refused() -> None:
    vectors = {"type": "VisionTransformer", "arch": "deit-tiny", "img_size": 64}
    with pytest.raises(ModelError, match=r"returned shape \(1, 192\), but a HyperModel needs maps"):
        build_model(config("deepest", vectors))


def test_a_backbone_for_another_size_asks_for_its_channels() -> None:
    large = {**SWIN, "window_size": 14}
    with pytest.raises(
        ModelError, match=r"cannot process an image of 224 x 224 px.*model\.neck\.in_channels"
    ):
        build_model(config("deepest", large))
    given = config("deepest", large)
    given["neck"]["in_channels"] = (96, 192, 384, 768)
    build_model(given)


def test_fewer_maps_than_the_neck_expects_are_refused() -> None:
    with pytest.raises(ConfigError, match="reduced has 3 numbers for 1 maps"):
        build_model(config("deepest", {**RESNET, "out_indices": (3,)}))


def test_parts_that_do_not_fit_each_other_are_named() -> None:
    wrong = config()
    wrong["head"]["in_channels"] = 9
    with pytest.raises(ModelError, match=r"HyperNet takes maps \(B, 9, 7, 7\)"):
        build_model(wrong)(images())
    wrong = config()
    wrong["neck"]["vector_channels"] = 21
    with pytest.raises(ModelError, match=r"HyperHead takes vectors \(B, 28\)"):
        build_model(wrong)(images())
