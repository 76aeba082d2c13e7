"""Structured pruning: what is removed, what stays, and that the outputs are those of the rest."""

from __future__ import annotations

import copy
import sys
from typing import Any

import pytest
import torch
from torch import nn

from cliqa.deploy.pruning.channel_groups import FeedForwardGroups, import_torch_pruning
from cliqa.deploy.pruning.prune import kept_channels, prune_channels
from cliqa.models.build import build_model
from cliqa.models.lora.adapters import inject, merge
from cliqa.models.pruned import apply_pruning, pruning_of
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError

POOL = {"type": "GlobalAveragePooling"}


def scores(backbone: dict[str, Any], width: int, neck: dict[str, Any] | None = None) -> Any:
    head = {"type": "LinearScoreHead", "in_channels": width}
    return model_of(type="QualityModel", backbone=backbone, neck=neck, head=head)


def model_of(**section: Any) -> Any:
    torch.manual_seed(0)
    return build_model(section).eval()


def small(head: str = "LinearClsHead", **options: Any) -> Any:
    backbone = {"type": "SmallConvNet", "channels": (16, 32), "flatten": True, **options}
    section = {"type": head, "num_classes": 5, "in_channels": 32 * 7 * 7}
    return model_of(type="ImageClassifier", backbone=backbone, head=section)


def image(size: int = 28, channels: int = 1) -> torch.Tensor:
    return torch.rand(1, channels, size, size, generator=torch.Generator().manual_seed(3))


class Mlp(nn.Module):
    """A feed-forward network of four hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2, 4), nn.Linear(4, 1)


def silenced(model: Any, channels: list[int]) -> Any:
    """Return a copy of the small net whose first layer's channels are zero: they say nothing."""
    quiet = copy.deepcopy(model)
    conv = quiet.backbone.blocks[0][0]
    with torch.no_grad():
        conv.weight[channels] = 0
        conv.bias[channels] = 0
    return quiet


def test_channels_that_say_nothing_are_removed_without_a_trace() -> None:
    pytest.importorskip("torch_pruning")
    model = silenced(small(), [1, 4, 5, 9, 10, 12, 14, 15])
    with torch.no_grad():  # of the second layer every second channel
        second = model.backbone.blocks[1][0]
        second.weight[::2] = 0
        second.bias[::2] = 0
        before = model(image())
        report = prune_channels(model, image(), ratio=0.5, round_to=1)
        after = model(image())
    assert report.widths == {"backbone.blocks.0.0": (16, 8), "backbone.blocks.1.0": (32, 16)}
    torch.testing.assert_close(after, before)
    first = report.step["tensors"]["backbone.blocks.0.0.weight"]
    assert report.step["kept"][first[0][1]] == [0, 2, 3, 6, 7, 8, 11, 13]


def test_half_of_the_channels_are_three_quarters_of_the_parameters() -> None:
    pytest.importorskip("torch_pruning")
    backbone = {"type": "TorchvisionBackbone", "arch": "resnet18", "nodes": ["layer4"]}
    model = scores(backbone, 512)
    report = prune_channels(model, image(32, 3), ratio=0.5)
    assert report.parameters == (11_177_025, sum(p.numel() for p in model.parameters()))
    assert 0.24 < report.parameters[1] / report.parameters[0] < 0.26
    assert 0.23 < report.macs[1] / report.macs[0] < 0.3
    assert "50% of the channels of 20 layers pruned" in str(report)
    assert report.to_dict()["widths"]["backbone.body.conv1"] == [64, 32]
    assert all(after % 16 == 0 for _, after in report.widths.values())


FAMILIES: dict[str, Any] = {
    "mmpretrain's ResNet": ({"type": "ResNet", "depth": 18}, 512, POOL),
    "MobileNetV3": (
        {"type": "TorchvisionBackbone", "arch": "mobilenet_v3_small", "nodes": ["features.12"]},
        576,
        None,
    ),
    "EfficientNet": ({"type": "EfficientNet", "arch": "b0"}, 1280, POOL),
    "several maps": (
        {"type": "TorchvisionBackbone", "arch": "resnet18", "nodes": ["layer3", "layer4"]},
        768,
        None,
    ),
    "ViT": ({"type": "VisionTransformer", "arch": "deit-t", "img_size": 64}, 192, None),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_pruning_is_repeated_on_another_model_by_its_record(name: str) -> None:
    pytest.importorskip("torch_pruning")
    model = scores(*FAMILIES[name])
    plain = copy.deepcopy(model)
    report = prune_channels(model, image(64, 3), ratio=0.5)
    assert report.parameters[1] < report.parameters[0]
    apply_pruning(plain, pruning_of(model))
    batch = torch.rand(3, 3, 64, 64)
    torch.testing.assert_close(plain(batch), model(batch), rtol=0, atol=0)
    assert model(batch).shape == (3,)


def test_of_a_transformer_hidden_units_alone_are_pruned() -> None:
    model = scores({"type": "SwinTransformer", "arch": "tiny", "img_size": 224}, 768, POOL)
    report = prune_channels(model, image(224, 3), ratio=0.5)
    assert all(name.endswith("ffn.layers.0.0") for name in report.widths)
    assert len(report.widths) == 12
    assert all(after == before / 2 for before, after in report.widths.values())


def test_hidden_units_that_say_nothing_go_first() -> None:
    model = scores({"type": "VisionTransformer", "arch": "deit-t", "img_size": 64}, 192)
    layers = [m for n, m in model.named_modules() if n.endswith("ffn.layers.1")]
    with torch.no_grad():
        for layer in layers:
            layer.weight[:, 1::2] = 0
        for name, first in model.named_modules():
            if name.endswith("ffn.layers.0.0"):
                first.weight[1::2] = 0
        before = model(image(64, 3))
        prune_channels(model, image(64, 3), ratio=0.5)
        torch.testing.assert_close(model(image(64, 3)), before)


def test_a_hidden_unit_counts_by_what_it_gives_too() -> None:
    mlp = Mlp()
    with torch.no_grad():
        mlp.first.weight.fill_(1.0)
        mlp.second.weight.copy_(torch.tensor([[9.0, 1.0, 9.0, 1.0]]))
    groups = FeedForwardGroups(nn.ModuleDict({"mlp": mlp}), set(), "magnitude", 0)
    (group,) = groups.all()
    groups.prune(group, 2)
    assert group[1].weight.tolist() == [[9.0, 9.0]]
    assert groups.kept.widths() == {"mlp.first": (4, 2)}


@pytest.mark.parametrize("kind", ["grouped", "transposed"])
def test_other_convolutions_lose_what_their_inputs_lost(kind: str) -> None:
    pytest.importorskip("torch_pruning")
    torch.manual_seed(0)
    middle: nn.Module = (
        nn.Conv2d(8, 8, 3, groups=2) if kind == "grouped" else nn.ConvTranspose2d(8, 8, 3)
    )
    ends = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), middle, nn.ReLU(), *ends).eval()
    model.head = nn.Identity()  # the outputs have a name
    plain = copy.deepcopy(model)
    prune_channels(model, image(12), ratio=0.5, round_to=1, ignore=["6"])
    shape = tuple(model.get_parameter("2.weight").shape)
    assert shape[:2] == {"grouped": (4, 2), "transposed": (4, 8)}[kind]
    apply_pruning(plain, pruning_of(model))
    assert torch.equal(plain(image(12)), model(image(12)))


def test_the_hyper_networks_are_left_alone() -> None:
    pytest.importorskip("torch_pruning")
    layers = ["layer1", "layer2", "layer3", "layer4"]
    backbone = {"type": "TorchvisionBackbone", "arch": "resnet18", "nodes": layers}
    model = model_of(type="HyperIQA", backbone=backbone)
    head = sum(p.numel() for p in model.head.parameters())
    report = prune_channels(model, image(64, 3), ratio=0.5)
    assert all(name.startswith("backbone.") for name in report.widths)
    assert sum(p.numel() for p in model.head.parameters()) == head


@pytest.mark.parametrize("head", ["CosineClsHead", "PrototypeHead"])
def test_heads_with_weights_of_their_own_lose_inputs_and_no_class(head: str) -> None:
    pytest.importorskip("torch_pruning")
    model = small(head, norm="BN")
    prune_channels(model, image(), ratio=0.5, round_to=8)
    own = model.head
    matrix = own.weight if head == "CosineClsHead" else own.sums
    assert matrix.shape == (5, 16 * 7 * 7)
    assert own.in_channels == 16 * 7 * 7
    assert model(image()).shape == (1, 5)


def test_a_head_of_its_own_kind_counts_in_the_ranking() -> None:
    pytest.importorskip("torch_pruning")
    model = small("CosineClsHead")
    conv = model.backbone.blocks[1][0]
    with torch.no_grad():  # all channels are alike, but for what the head makes of them
        conv.weight.copy_(conv.weight[:1].expand_as(conv.weight))
        conv.bias.fill_(0.1)
        model.head.weight.view(5, 32, 49)[:, 8:24] = 0
    step = prune_channels(model, image(), ratio=0.5, ignore=["backbone.blocks.0"]).step
    assert step["kept"][0] == [*range(8), *range(24, 32)]


def test_groups_of_a_normalisation_stay_equally_large() -> None:
    pytest.importorskip("torch_pruning")
    model = small(norm="GN")
    report = prune_channels(model, image(), ratio=0.3, round_to=1)
    assert report.widths["backbone.blocks.0.0"] == (16, 8)  # 8 groups: 8 or 16, and 11.2 is nearer
    assert report.widths["backbone.blocks.1.0"] == (32, 24)
    assert model(image()).shape == (1, 5)


def test_named_parts_keep_their_outputs() -> None:
    pytest.importorskip("torch_pruning")
    model = small()
    report = prune_channels(model, image(), ratio=0.5, round_to=8, ignore=["backbone.blocks.0"])
    assert list(report.widths) == ["backbone.blocks.1.0"]


def test_pruning_goes_on_from_a_pruned_model_and_trains() -> None:
    pytest.importorskip("torch_pruning")
    model, plain = small(norm="BN"), small(norm="BN")
    for _ in range(2):
        prune_channels(model, image(), ratio=0.5, round_to=4)
    assert model.backbone.blocks[1][0].weight.shape == (8, 4, 3, 3)
    model.train()(image().repeat(4, 1, 1, 1)).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())
    assert len(pruning_of(model)) == 2
    apply_pruning(plain, pruning_of(model))
    plain.load_state_dict(model.state_dict())
    torch.testing.assert_close(plain(image()), model.eval()(image()), rtol=0, atol=0)


def test_a_model_in_training_keeps_its_mode_and_its_statistics() -> None:
    pytest.importorskip("torch_pruning")
    model = small(norm="BN").train()
    norm = model.backbone.blocks[0][1]
    norm.running_mean.copy_(torch.arange(16.0))
    report = prune_channels(model, image(), ratio=0.5, round_to=8)
    which = report.step["tensors"]["backbone.blocks.0.1.running_mean"][0][1]
    assert norm.running_mean.tolist() == report.step["kept"][which]
    assert norm.num_batches_tracked == 0
    assert all(module.training for module in model.modules())


def test_random_channels_depend_on_the_seed_alone() -> None:
    pytest.importorskip("torch_pruning")
    models = [small() for _ in range(3)]
    state = torch.get_rng_state()
    for seed, model in zip((1, 1, 2), models, strict=True):
        prune_channels(model, image(), ratio=0.5, round_to=1, importance="random", seed=seed)
    assert torch.equal(torch.get_rng_state(), state)
    steps = [pruning_of(model) for model in models]
    assert steps[0] == steps[1] != steps[2]


def test_factors_of_batch_normalisation_rank_channels() -> None:
    pytest.importorskip("torch_pruning")
    model = small(norm="BN")
    norm = model.backbone.blocks[0][1]
    with torch.no_grad():
        norm.weight.copy_(torch.arange(16.0))
    report = prune_channels(model, image(), ratio=0.5, round_to=8, importance="bn_scale")
    which = report.step["tensors"]["backbone.blocks.0.1.weight"][0][1]
    assert report.step["kept"][which] == list(range(8, 16))


@pytest.mark.parametrize(
    ("width", "ratio", "round_to", "fold", "kept"),
    [
        (64, 0.3, 16, 1, 48),
        (64, 0.99, 16, 1, 16),
        (16, 0.9, 16, 1, 16),
        (10, 0.3, 1, 1, 7),
        (64, 0.3, 6, 8, 48),
        (3, 0.9, 1, 1, 1),
        (20, 0.01, 16, 1, 16),
    ],
)
def test_widths_are_multiples(
    width: int, ratio: float, round_to: int, fold: int, kept: int
) -> None:
    assert kept_channels(width, ratio, round_to, fold) == kept


@pytest.mark.parametrize("ratio", [0, 1, -0.1, 1.5, True, "0.5"])
def test_a_ratio_is_a_share(ratio: Any) -> None:
    with pytest.raises(ConfigError, match=r"ratio must lie between 0 and 1.*0\.5 removes half"):
        prune_channels(small(), image(), ratio=ratio)


def test_other_values_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="round_to must be an integer >= 1, got 0"):
        prune_channels(small(), image(), ratio=0.5, round_to=0)
    with pytest.raises(ConfigError, match="importance must be one of magnitude, bn_scale, random"):
        prune_channels(small(), image(), ratio=0.5, importance="loud")
    with pytest.raises(ModelError, match="pruning: ignore: 'backbon' names no part"):
        prune_channels(small(), image(), ratio=0.5, ignore=["backbon"])


def test_trained_adapters_have_to_be_merged_first() -> None:
    pytest.importorskip("torch_pruning")
    model = small()
    nn.init.ones_(inject(model, rank=2, exclude=["head"])["backbone.blocks.0.0"].lora_B)
    with pytest.raises(ModelError, match=r"LoRA adapters that have been.*merge\(model\) first"):
        prune_channels(model, image(), ratio=0.5, round_to=8)
    merge(model)
    assert prune_channels(model, image(), ratio=0.5, round_to=8).widths


@pytest.mark.parametrize("backbone", ["plain", "depthwise"])
def test_untrained_adapters_shrink_with_their_layers(backbone: str) -> None:
    pytest.importorskip("torch_pruning")
    plain = small() if backbone == "plain" else scores(*FAMILIES["MobileNetV3"])
    adapted, x = copy.deepcopy(plain), image() if backbone == "plain" else image(32, 3)
    inject(adapted, rank=12, exclude=["head"], accumulate=True)
    reports = [prune_channels(m, x, ratio=0.5, round_to=8) for m in (plain, adapted)]
    assert reports[0] == reports[1]  # adapters are counted in neither
    assert pruning_of(adapted) == pruning_of(plain)
    assert torch.equal(adapted(x), plain(x))
    fresh = small() if backbone == "plain" else scores(*FAMILIES["MobileNetV3"])
    apply_pruning(fresh, pruning_of(plain))  # as a checkpoint is opened: adapters come last
    inject(fresh, rank=12, exclude=["head"], accumulate=True)
    fresh.load_state_dict(adapted.state_dict())
    assert torch.equal(fresh(x), plain(x))


TEXTS: Any = {
    "text_encoder": {"type": "TextTransformer", "dim": 32, "layers": 1, "heads": 2},
    "texts": "fashion_mnist",
}
MAPS: Any = {"type": "SmallConvNet", "channels": (16, 32)}


@pytest.mark.parametrize(
    ("kind", "flat", "width", "kept"),
    [
        (
            "FusionModel",
            False,
            16,
            {"backbone.blocks.0.0": (16, 8), "backbone.blocks.1.0": (32, 16)},
        ),
        ("FusionModel", False, None, {"backbone.blocks.0.0": (16, 8)}),  # compared as they are
        (
            "ImageTextModel",
            True,
            16,
            {"backbone.blocks.0.0": (16, 8), "backbone.blocks.1.0": (32, 16)},
        ),
        ("ImageTextModel", False, None, {"backbone.blocks.0.0": (16, 8)}),
    ],
)
def test_of_images_and_texts_the_images_encoder_is_pruned(
    kind: str, flat: bool, width: int | None, kept: dict[str, tuple[int, int]]
) -> None:
    pytest.importorskip("torch_pruning")
    channels = 32 * 7 * 7 if flat else 32
    section = {"type": kind, "backbone": {**MAPS, "flatten": flat}, "in_channels": channels}
    model = model_of(**section, **TEXTS, width=width)
    if not flat and kind == "ImageTextModel":
        model = model_of(**section, **TEXTS, width=width, neck=POOL)
    texts = copy.deepcopy(model.text_encoder.state_dict())
    quiet = [model.backbone.blocks[0][0], model.backbone.blocks[1][0]][: len(kept)]
    with torch.no_grad():
        for layer in quiet:  # every second channel says nothing
            layer.weight[::2] = 0
            layer.bias[::2] = 0
        before = model(image())
        report = prune_channels(model, image(), ratio=0.5, round_to=8)
    assert report.widths == kept
    torch.testing.assert_close(model(image()), before)
    assert all(torch.equal(model.text_encoder.state_dict()[k], v) for k, v in texts.items())


def test_models_that_cannot_be_taken_apart_are_refused_and_left_alone() -> None:
    features = model_of(type="FeatureClassifier", in_channels=8, num_classes=2)
    with pytest.raises(ModelError, match=r"only networks over images.*feature_type=None"):
        prune_channels(features, torch.rand(1, 8), ratio=0.5)
    hooked = small()
    hooked.backbone.register_forward_hook(lambda *_: None)
    with pytest.raises(ModelError, match="'backbone' has hooks.*Remove them before"):
        prune_channels(hooked, image(), ratio=0.5)
    normed = small()
    nn.utils.parametrizations.weight_norm(normed.backbone.blocks[0][0])
    with pytest.raises(ModelError, match="has parametrized weights. Remove them first"):
        prune_channels(normed, image(), ratio=0.5)


def test_too_little_to_prune_is_said() -> None:
    pytest.importorskip("torch_pruning")
    with pytest.raises(ModelError, match="has nothing left to prune with ratio=0.5 and round_to=6"):
        prune_channels(small(), image(), ratio=0.5, round_to=64)


def test_images_that_the_model_cannot_take_are_said() -> None:
    pytest.importorskip("torch_pruning")
    with pytest.raises(ModelError, match="cannot be taken apart.*ignore="):
        prune_channels(small(), image(channels=3), ratio=0.5)


class Scaled(nn.Module):
    """A convolution whose channels are scaled by a weight that belongs to no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 3)
        self.scale = nn.Parameter(torch.ones(16, 1, 1))
        self.head = nn.Linear(16, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return scores (B,)."""
        maps = self.conv(images) * self.scale
        scores: torch.Tensor = self.head(maps.mean(dim=(2, 3)))[:, 0]
        return scores


def test_weights_that_no_layer_has_are_not_guessed_at() -> None:
    pytest.importorskip("torch_pruning")
    model = Scaled()
    with pytest.raises(ModelError, match="ignore="):
        prune_channels(model, image(), ratio=0.5, round_to=1)
    assert model.conv.weight.shape[0] == 16
    assert pruning_of(model) == []


def test_a_missing_library_is_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ArtifactError, match=r'pip install -e "\.\[deploy\]"'):
        import_torch_pruning()
    with pytest.raises(ArtifactError, match="pruning needs Torch-Pruning"):
        prune_channels(small(), image(), ratio=0.5)
