"""Every backbone that mmpretrain registers: it trains and exports, or is refused in one line.

The default suite takes some, at their smallest setting; `make test-all` takes all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import nn

from cliqa.deploy.onnx.export import export_onnx
from cliqa.models.build import build_model, check_model
from cliqa.models.mmpretrain_bridge import import_mmpretrain
from cliqa.utils.errors import CliqaError

VIT = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
STAGES = {"embed_dims": 12, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]}
TWINS = {
    **{"embed_dims": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_heads": [1, 2, 3, 4]},
    **{"patch_sizes": [4, 2, 2, 2], "strides": [4, 2, 2, 2], "mlp_ratios": [2, 2, 2, 2]},
}
LARGE = {"small_kernel": 5, "dw_ratio": 1, "small_kernel_merged": False}
NARROW = {"base_channels": 8, "stem_channels": 8}

CASES: dict[str, tuple[dict[str, Any], int]] = {
    "AlexNet": ({}, 64),
    "BEiTViT": ({"arch": VIT, "img_size": 32, "patch_size": 8}, 32),
    "CSPDarkNet": ({"depth": 53}, 64),
    "CSPResNeXt": ({"depth": 50}, 64),
    "CSPResNet": ({"depth": 50}, 64),
    "Conformer": (
        {
            "arch": {"embed_dims": 32, "channel_ratio": 1, "num_heads": 2, "depths": 3},
            "base_channels": 8,
        },
        64,
    ),
    "ConvMixer": ({"arch": {"embed_dims": 16, "depth": 2, "patch_size": 7, "kernel_size": 7}}, 64),
    "ConvNeXt": ({"arch": {"depths": [1, 1, 1, 1], "channels": [8, 16, 24, 32]}}, 64),
    "DaViT": ({"arch": STAGES, "pad_small_map": True}, 64),
    "DeiT3": ({"arch": VIT, "img_size": 32, "patch_size": 8}, 32),
    "DenseNet": ({"arch": {"growth_rate": 4, "depths": [2, 2, 2, 2], "init_channels": 8}}, 64),
    "DistilledVisionTransformer": ({"arch": VIT, "img_size": 32, "patch_size": 8}, 32),
    "EdgeNeXt": ({}, 64),
    "EfficientFormer": ({"reshape_last_feat": True}, 224),
    "EfficientNet": ({}, 64),
    "EfficientNetV2": ({}, 64),
    "HRNet": ({"arch": "w18"}, 64),
    "HiViT": ({"arch": "tiny", "img_size": 64}, 64),
    "HorNet": (
        {
            "arch": {
                **{"base_dim": 8, "depths": [1, 1, 1, 1], "orders": [2, 2, 2, 2]},
                "dw_cfg": [{"type": "DW", "kernel_size": 7}] * 4,
            }
        },
        64,
    ),
    "InceptionV3": ({}, 96),
    "LeNet5": ({}, 32),
    "LeViT": ({"arch": "128s"}, 224),
    "MViT": (
        {
            "arch": {
                "embed_dims": 16,
                "num_layers": 4,
                "num_heads": 1,
                "downscale_indices": [1, 2],
            },
            "img_size": 64,
        },
        64,
    ),
    "MixMIMTransformer": ({"arch": {**STAGES, "embed_dims": 16}}, 224),
    "MlpMixer": (
        {
            "arch": {
                **{"embed_dims": 16, "num_layers": 2},
                **{"tokens_mlp_dims": 8, "channels_mlp_dims": 32},
            },
            "img_size": 32,
            "patch_size": 8,
        },
        32,
    ),
    "MoCoV3ViT": ({"arch": VIT, "img_size": 32, "patch_size": 8}, 32),
    "MobileNetV2": ({"widen_factor": 0.25}, 64),
    "MobileNetV3": ({"arch": "small_050"}, 64),
    "MobileOne": ({"arch": "s0"}, 64),
    "MobileViT": ({"arch": "xx_small"}, 64),
    "PCPVT": ({"arch": {**TWINS, "sr_ratios": [8, 4, 2, 1]}}, 64),
    "PoolFormer": ({}, 64),
    "PyramidVig": ({"arch": "tiny"}, 224),
    "RIFormer": ({}, 64),
    "RegNet": ({"arch": "regnetx_400mf"}, 64),
    "RepLKNet": (
        {
            "arch": {
                **LARGE,
                "large_kernel_sizes": [7, 7, 5, 5],
                "layers": [1, 1, 1, 1],
                "channels": [8, 16, 24, 32],
            }
        },
        64,
    ),
    "RepMLPNet": (
        {
            "arch": {
                **{"channels": [16, 32, 64, 128], "depths": [1, 1, 1, 1]},
                "sharesets_nums": [1, 4, 8, 16],
            }
        },
        224,
    ),
    "RepVGG": ({"arch": "A0"}, 64),
    "Res2Net": ({"depth": 50, **NARROW}, 64),
    "ResNeSt": ({"depth": 50}, 64),
    "ResNeXt": ({"depth": 50}, 64),
    "ResNet": ({"depth": 18, **NARROW}, 64),
    "ResNetV1c": ({"depth": 18, **NARROW}, 64),
    "ResNetV1d": ({"depth": 18, **NARROW}, 64),
    "ResNet_CIFAR": ({"depth": 18, "base_channels": 8, "stem_channels": 8}, 32),
    "RevVisionTransformer": ({"arch": VIT, "img_size": 32, "patch_size": 8}, 32),
    "SEResNeXt": ({"depth": 50}, 64),
    "SEResNet": ({"depth": 50}, 64),
    "SVT": ({"arch": {**TWINS, "sr_ratios": [8, 4, 2, 1], "window_sizes": [7, 7, 7, 7]}}, 224),
    "ShuffleNetV1": ({}, 64),
    "ShuffleNetV2": ({"widen_factor": 0.5}, 64),
    "SwinTransformer": ({"arch": STAGES, "img_size": 64, "pad_small_map": True}, 64),
    "SwinTransformerV2": (
        {
            "arch": {**STAGES, "extra_norm_every_n_blocks": 0},
            "img_size": 64,
            "window_size": 4,
            "pad_small_map": True,
        },
        64,
    ),
    "T2T_ViT": (
        {
            **{"img_size": 64, "embed_dims": 32, "num_layers": 2},
            "layer_cfgs": {"num_heads": 2, "feedforward_channels": 64},
            "t2t_cfg": {"token_dims": 8, "use_performer": False},
        },
        64,
    ),
    "TIMMBackbone": ({"model_name": "test_resnet"}, 64),
    "TNT": (
        {
            "arch": {
                **{"embed_dims_outer": 32, "embed_dims_inner": 8, "num_layers": 2},
                **{"num_heads_outer": 2, "num_heads_inner": 2},
            },
            "img_size": 32,
        },
        32,
    ),
    "TinyViT": ({"img_size": [64, 64]}, 64),
    "VAN": ({}, 64),
    "VGG": ({"depth": 11}, 64),
    "ViTEVA02": ({"arch": VIT, "img_size": 32, "patch_size": 8}, 32),
    "ViTSAM": (
        {"arch": {**VIT, "global_attn_indexes": [1]}, "img_size": 64, "out_channels": 16},
        64,
    ),
    "Vig": ({"arch": "tiny"}, 224),
    "VisionTransformer": ({"arch": VIT, "img_size": 32, "patch_size": 8}, 32),
    "XCiT": ({"img_size": 64, "embed_dims": 128, "depth": 2, "num_heads": 4}, 64),
}
"""Arguments and the edge of the images, of those that give features."""

PRETRAINING = {
    **{"BEiTPretrainViT": "BEiTViT", "CAEPretrainViT": "BEiTViT", "MAEHiViT": "HiViT"},
    **{"MAEViT": "VisionTransformer", "MFFViT": "VisionTransformer"},
    **{"MILANViT": "VisionTransformer", "MaskFeatViT": "VisionTransformer"},
    **{"MixMIMPretrainTransformer": "MixMIMTransformer", "iTPNHiViT": "HiViT"},
    **{"SimMIMSwinTransformer": "SwinTransformer"},
    **{"SparseConvNeXt": "ConvNeXt", "SparseResNet": "ResNet"},
}
"""Those that hide parts of the images, and what the message names."""

QUICK = (
    *("BEiTViT", "Conformer", "ConvNeXt", "DistilledVisionTransformer", "LeNet5", "MlpMixer"),
    *("MoCoV3ViT", "MobileNetV2", "ResNetV1d", "ShuffleNetV2", "SwinTransformer"),
    *("TIMMBackbone", "VisionTransformer", "ViTEVA02", "XCiT"),
)
EXPORTED = ("LeNet5", "MlpMixer", "MoCoV3ViT")
"""Those of the default suite; the families of `tests/deploy/onnx` are others."""
NOT_EXPORTED = {"MixMIMTransformer": r"with batch 1 .* the ONNX file differs from the model by"}
"""Those whose file would give other outputs, and the message."""

TOKENS_LAST = ("MlpMixer",)


def model_of(name: str) -> Any:
    """Return a model whose head finds its channels by itself."""
    torch.manual_seed(0)
    arguments, _ = CASES[name]
    neck = {"type": "GlobalAveragePooling", "dim": 1} if name in TOKENS_LAST else None
    backbone = {"type": name, **arguments}
    head = {"type": "LinearScoreHead"}
    return build_model({"type": "QualityModel", "backbone": backbone, "neck": neck, "head": head})


def channels_of(name: str) -> int:
    return 1 if name == "LeNet5" else 3


def test_the_tables_have_every_backbone() -> None:
    registered = {
        name
        for name, one in import_mmpretrain().module_dict.items()
        if isinstance(one, type)
        and issubclass(one, nn.Module)
        and (
            one.__module__.startswith("mmpretrain.models.backbones.")
            or issubclass(one, BaseBackbone)
        )
    }
    assert {*CASES, *PRETRAINING} == registered | {"TIMMBackbone"}
    assert not {*CASES} & {*PRETRAINING}


@pytest.mark.parametrize("name", PRETRAINING)
@pytest.mark.parametrize("model", ["QualityModel", "ImageClassifier"])
def test_networks_for_pretraining_are_refused_before_they_are_built(name: str, model: str) -> None:
    head = {"type": "LinearClsHead", "num_classes": 1}
    with pytest.raises(CliqaError) as caught:
        check_model({"type": model, "backbone": {"type": name, "depth": 50}, "head": head})
    if "depth" in str(caught.value):
        with pytest.raises(CliqaError) as caught:
            check_model({"type": model, "backbone": {"type": name}, "head": head})
    assert str(caught.value) == (
        f"model.backbone '{name}': is made for mmpretrain's own pretraining, which hides parts of "
        f"each image. Use '{PRETRAINING[name]}', whose weights have the same names."
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.exhaustive)
        for name in sorted(CASES)
    ],
)
def test_it_builds_and_trains_a_step(name: str) -> None:
    model = model_of(name)
    edge = CASES[name][1]
    images = torch.rand(2, channels_of(name), edge, edge)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    before = [p.detach().clone() for p in model.parameters()]
    model.train()
    scores = model(images)
    assert scores.isfinite().all()
    (scores - torch.tensor([0.2, 0.8])).square().mean().backward()
    gradients = [p.grad for p in model.backbone.parameters() if p.grad is not None]
    assert gradients
    assert all(g.isfinite().all() for g in gradients)
    optimizer.step()
    changed = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
    assert sum(changed) > len(changed) / 5  # of some, the last layer of a block starts at 0
    assert model.eval()(images).shape == (2,)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in EXPORTED else pytest.mark.exhaustive)
        for name in sorted(CASES)
    ],
)
def test_it_exports_to_onnx(name: str, tmp_path: Path) -> None:
    model, edge = model_of(name).eval(), CASES[name][1]
    options: dict[str, Any] = {"channels": channels_of(name), "size": (edge, edge), "metadata": {}}
    if name in NOT_EXPORTED:
        with pytest.raises(CliqaError, match=NOT_EXPORTED[name]):
            export_onnx(model, tmp_path / "model.onnx", **options)
        return
    report = export_onnx(model, tmp_path / "model.onnx", **options)
    assert max(report.parity.values()) < 1e-3
