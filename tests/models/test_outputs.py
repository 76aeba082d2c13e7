"""What backbones give: packed, switched off, on other axes, or nothing that can be used."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cliqa.models.build import build_model
from cliqa.models.hyperiqa.hyper_model import HyperModel
from cliqa.models.outputs import flat_outputs, is_channels_last, run_backbone, token_axis
from cliqa.registry import MODELS
from cliqa.utils.errors import ModelError

SMALL = {"embed_dims": 32, "num_layers": 2, "num_heads": 2, "feedforward_channels": 64}
DISTILLED = {"type": "DistilledVisionTransformer", "arch": SMALL, "img_size": 32, "patch_size": 8}
CONFORMER = {
    "type": "Conformer",
    "arch": {"embed_dims": 32, "channel_ratio": 1, "num_heads": 2, "depths": 3},
    "base_channels": 8,
}
GAP = {"type": "GlobalAveragePooling"}


def images(edge: int = 32) -> Tensor:
    return torch.rand(2, 3, edge, edge, generator=torch.Generator().manual_seed(0))


def quality(backbone: dict[str, Any], channels: int, neck: Any = None) -> Any:
    head = {"type": "LinearScoreHead", "in_channels": channels}
    return build_model({"type": "QualityModel", "backbone": backbone, "neck": neck, "head": head})


class Backbone(nn.Module):
    """Gives what a test says."""

    def __init__(self, found: Any) -> None:
        super().__init__()
        self.found = found

    def forward(self, batch: Tensor) -> Any:
        if isinstance(self.found, Exception):
            raise self.found
        return self.found


@pytest.mark.parametrize("neck", [None, GAP])
def test_two_tokens_in_a_tuple_are_joined(neck: Any) -> None:
    model = quality(DISTILLED, 64, neck).eval()
    ((cls, dist),) = model.backbone(images())
    assert torch.equal(model.features(images()), torch.cat([cls, dist], 1))
    assert model(images()).shape == (2,)
    model.train()(images()).sum().backward()
    with pytest.raises(ModelError, match=r"shape \(2, 64\)\. Set in_channels=64 in model\.head"):
        quality(DISTILLED, 32, neck)(images())


def test_a_conformers_map_and_token_are_joined() -> None:
    model = quality(CONFORMER, 1, GAP).eval()
    ((maps, token),) = model.backbone(images(64))
    assert torch.equal(model.features(images(64)), torch.cat([maps, token], 1))


def test_a_branch_that_is_switched_off_is_left_out() -> None:
    maps, vector = torch.rand(2, 4, 3, 3), torch.rand(2, 5)
    found = flat_outputs([None, (maps, [vector])], "Backbone")
    assert found[0] is maps
    assert found[1] is vector
    assert len(found) == 2


@pytest.mark.slow
def test_inceptions_auxiliary_classifier_is_off_or_refused() -> None:
    model = quality({"type": "InceptionV3", "num_classes": 16}, 16)
    assert model.train()(images(299)).shape == model.eval()(images(299)).shape == (2,)


def test_a_second_classifier_in_training_is_refused() -> None:
    with pytest.raises(ModelError, match=r"InceptionV3 with aux_logits=True .*aux_logits=False\."):
        quality({"type": "InceptionV3", "aux_logits": True}, 1000)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((None,), r"the Backbone returned no map and no vector\. Set its out_indices"),
        (({"out": 1},), r"returned a dict with out; expected maps"),
        (3, r"of type int; expected maps \(B, C, h, w\) or vectors \(B, D\), one or a tuple"),
        (
            AssertionError("too small"),
            r"cannot process images of shape \(2, 3, 32, 32\): too small",
        ),
        (AttributeError("no shape"), r"cannot process images .*no shape Check the image size"),
        (torch.rand(2, 4, 4, 8), r"maps of shape \(2, 4, 4, 8\) for .*map\.permute\(0, 3, 1, 2\)"),
    ],
)
def test_invalid_outputs_are_refused(found: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        run_backbone(Backbone(found), images())


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), ValueError("one value")])
def test_torchs_own_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        run_backbone(Backbone(error), images())


@pytest.mark.parametrize(
    ("shape", "pixels", "last"),
    [
        ((2, 7, 7, 768), (224, 224), True),
        ((2, 56, 56, 96), (224, 224), True),
        ((2, 768, 7, 7), (224, 224), False),
        ((2, 96, 56, 56), (224, 224), False),
        ((2, 24, 2, 2), (33, 64), False),
        ((2, 16, 27, 46), (225, 380), False),
        ((2, 28, 28, 24), (224, 224), True),
        ((2, 7, 12, 96), (224, 384), True),
        ((2, 96, 7, 12), (224, 384), False),
        ((2, 2048, 1, 1), (32, 32), False),
        ((2, 8, 1, 2), (32, 48), False),
        ((2, 7, 7, 7), (224, 224), False),  # either reading fits
        ((2, 120, 1, 1), (28, 28), False),
    ],
)
def test_the_axes_of_a_map(shape: tuple[int, ...], pixels: tuple[int, int], last: bool) -> None:
    assert is_channels_last(shape, (2, 3, *pixels)) is last


class ChannelsLastForTest(nn.Module):
    """Maps (B, h, w, C), as nobody here expects them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 24, 8, 8)

    def forward(self, batch: Tensor) -> tuple[Tensor]:
        return (self.layer(batch).permute(0, 2, 3, 1),)


@pytest.mark.parametrize("channels", [24, 4])
@pytest.mark.parametrize("neck", [None, GAP])
def test_no_model_is_made_of_rows_of_a_map(
    channels: int, neck: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS.module_dict, "ChannelsLastForTest", ChannelsLastForTest)
    backbone = {"type": "ChannelsLastForTest"}
    with pytest.raises(ModelError, match=r"\(2, 4, 4, 24\).*which is \(B, h, w, C\)"):
        quality(backbone, channels, neck)(images())
    with pytest.raises(ModelError, match=r"which is \(B, h, w, C\)"):
        HyperModel(backbone, {"type": "HyperNeck", "fusion": {}}, {"type": "HyperHead"})


MIXER = {
    "type": "MlpMixer",
    "arch": {"embed_dims": 32, "num_layers": 1, "tokens_mlp_dims": 16, "channels_mlp_dims": 32},
    "img_size": 32,
    "patch_size": 8,
}


def test_the_advice_for_tokens_behind_channels_works() -> None:
    for neck in (None, GAP, {"type": "GeneralizedMeanPooling"}):
        with pytest.raises(
            ModelError,
            match=r"MlpMixer returned shape \(2, 32, 16\).*neck=dict\(type='GlobalAverageP.*dim=1",
        ):
            quality(MIXER, 32, neck)(images())
    model = quality(MIXER, 32, GAP | {"dim": 1}).eval()
    torch.testing.assert_close(model.features(images()), model.backbone(images())[0].mean(2))
    assert model(images()).shape == (2,)


@pytest.mark.parametrize("kind", ["cls_token", "avg_featmap", "featmap"])
def test_the_advice_for_a_transformers_tokens_works(kind: str) -> None:
    backbone = DISTILLED | {"type": "VisionTransformer", "out_type": "raw"}
    with pytest.raises(
        ModelError, match=r"Set its out_type='cls_token' or 'avg_featmap' or 'featmap'\."
    ):
        quality(backbone, 32, GAP)(images())
    assert quality(backbone | {"out_type": kind}, 32, GAP)(images()).shape == (2,)


@pytest.mark.parametrize("head", ["CosineClsHead", "PrototypeHead", "LinearScoreHead"])
def test_a_head_of_ours_takes_two_tokens_from_mmpretrains_classifier(head: str) -> None:
    made = {"type": head, "in_channels": 64}
    made |= {} if head == "LinearScoreHead" else {"num_classes": 3}
    model: Any = build_model({"backbone": DISTILLED, "head": made}).eval()
    assert len(model(images())) == 2
    ((cls, dist),) = model.backbone(images())
    joined = torch.cat([cls, dist], 1)
    assert torch.equal(model(images()), model.head((joined,)))


@pytest.mark.parametrize(
    ("shape", "axis"),
    [
        ((2, 49, 512), 1),  # 7 x 7 patches of 32 pixels
        ((2, 197, 192), 1),  # 14 x 14 of 16, and a class token
        ((2, 198, 192), 1),  # and one of a distillation
        ((2, 448, 49), 2),
        ((2, 196, 256), None),  # 14 x 14, or 16 x 16 of 14 pixels
        ((2, 300, 512), None),
    ],
)
def test_tokens_are_counted_by_the_patches_of_the_image(shape: Any, axis: int | None) -> None:
    assert token_axis(torch.zeros(shape), torch.zeros(2, 3, 224, 224)) == axis


@pytest.mark.parametrize("neck", [None, {**GAP, "dim": 1}])
@pytest.mark.parametrize("extra", [0, 1])
def test_tokens_of_values_are_not_averaged_over_their_values(neck: Any, extra: int) -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 24, 8, 8)

        def forward(self, batch: Tensor) -> Tensor:
            patches = self.layer(batch).flatten(2).transpose(1, 2)
            return torch.cat([patches[:, :extra], patches], 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(MODELS.module_dict, "Tokens", Tokens)
        with pytest.raises(
            ModelError,
            match=r"returned shape \(2, 1[67], 24\).*tokens, \(B, N, C\)\. .*tokens\.mean",
        ):
            quality({"type": "Tokens"}, 24, neck)(images())


def test_a_vision_transformer_of_timm_names_the_wrapper_that_pools() -> None:
    pytest.importorskip("timm")
    backbone = {"type": "TIMMBackbone", "model_name": "test_vit", "img_size": 32}
    with pytest.raises(ModelError, match=r"returns tokens here\. Use dict\(type='TimmBackbone', n"):
        quality(backbone, 64)(images())
