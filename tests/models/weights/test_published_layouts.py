"""Published layouts, against a reference written from the paper with the published names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.hyperiqa.hyperiqa import HyperIQA, MSHyperIQA, SwinHyperIQA
from cliqa.models.quality_model import QualityModel
from cliqa.models.weights.published_layouts import from_published, our_name
from cliqa.models.weights.start import start_from
from cliqa.models.weights.weights import load_weights

SIZES = (224, 112, 56, 28, 14, 1)


def pointwise(*widths: int) -> nn.Sequential:
    """Return 1x1 convolutions with ReLU."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(before, after, 1), nn.ReLU()]
    return nn.Sequential(*layers)


class Published(nn.Module):
    """HyperIQA at 224 px in the published names; raw scores (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.res: Any = torchvision.models.resnet50(weights=None)
        del self.res.fc
        for k, (width, few, cells) in enumerate(((256, 16, 64), (512, 32, 16), (1024, 64, 4)), 1):
            pool = nn.Sequential(nn.Conv2d(width, few, 1, bias=False), nn.AvgPool2d(7))
            setattr(self.res, f"lda{k}_pool", pool)
            setattr(self.res, f"lda{k}_fc", nn.Linear(few * cells, 16))
        self.res.lda4_fc = nn.Linear(2048, 176)
        self.add_content()
        for k, (inputs, outputs) in enumerate(zip(SIZES, SIZES[1:], strict=False), 1):
            if k < 5:
                setattr(self, f"fc{k}w_conv", nn.Conv2d(112, inputs * outputs // 49, 3, padding=1))
            else:
                setattr(self, f"fc{k}w_fc", nn.Linear(112, inputs))
            setattr(self, f"fc{k}b_fc", nn.Linear(112, outputs))

    def add_content(self) -> None:
        self.conv1 = pointwise(2048, 1024, 512, 112)

    def content(self, maps: list[Tensor]) -> Tensor:
        found: Tensor = self.conv1(maps[-1])
        return found

    def forward(self, images: Tensor) -> Tensor:
        value = self.res.maxpool(self.res.relu(self.res.bn1(self.res.conv1(images))))
        maps, parts = [], []
        for k in range(1, 5):
            value = getattr(self.res, f"layer{k}")(value)
            maps.append(value)
            pooled = getattr(self.res, f"lda{k}_pool", nn.AvgPool2d(7))(value)
            parts.append(getattr(self.res, f"lda{k}_fc")(pooled.flatten(1)))
        content = self.content(maps)
        means = content.mean(dim=(2, 3))
        count = len(images)
        value = torch.cat(parts, 1).view(1, -1, 1, 1)
        for k, (inputs, outputs) in enumerate(zip(SIZES, SIZES[1:], strict=False), 1):
            kind, seen = ("conv", content) if k < 5 else ("fc", means)
            weight = getattr(self, f"fc{k}w_{kind}")(seen)
            bias = getattr(self, f"fc{k}b_fc")(means)
            kernels = weight.reshape(count * outputs, inputs, 1, 1)
            value = F.conv2d(value, kernels, bias.flatten(), groups=count)
            value = value.sigmoid() if k < 5 else value
        return value.flatten()


class PublishedPyramid(Published):
    """MS-HyperIQA at 224 px in the published names."""

    def add_content(self) -> None:
        self.fpn, self.fusion_conv = nn.Module(), pointwise(768, 256, 112)
        for k, width in ((2, 512), (3, 1024), (4, 2048)):
            setattr(self.fpn, f"lateral_conv{k}", nn.Conv2d(width, 256, 1))
            setattr(self.fpn, f"smooth_conv{k}", nn.Conv2d(256, 256, 3, padding=1))
            attention: Any = nn.Module()
            attention.channel_attention, attention.spatial_attention = nn.Module(), nn.Module()
            attention.channel_attention.fc = nn.Sequential(
                nn.Linear(256, 16, bias=False), nn.ReLU(), nn.Linear(16, 256, bias=False)
            )
            attention.spatial_attention.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
            setattr(self, f"attention_p{k}", attention)

    def content(self, maps: list[Tensor]) -> Tensor:
        sums: dict[int, Tensor] = {}
        for k in (4, 3, 2):
            sums[k] = getattr(self.fpn, f"lateral_conv{k}")(maps[k - 1])
            if k < 4:
                larger = F.interpolate(sums[k + 1], scale_factor=2, mode="bilinear")
                sums[k] = sums[k] + larger
        pooled = [F.adaptive_avg_pool2d(self.weighed(k, sums[k]), 7) for k in (2, 3, 4)]
        found: Tensor = self.fusion_conv(torch.cat(pooled, 1))
        return found

    def weighed(self, k: int, value: Tensor) -> Tensor:
        value = getattr(self.fpn, f"smooth_conv{k}")(value)
        attention = getattr(self, f"attention_p{k}")
        perceptron = attention.channel_attention.fc
        both = perceptron(value.mean((2, 3))) + perceptron(value.amax((2, 3)))
        value = value * both.sigmoid()[..., None, None]
        places = torch.stack([value.mean(1), value.amax(1)], 1)
        result: Tensor = value * attention.spatial_attention.conv(places).sigmoid()
        return result


def reference(kind: type[Published]) -> Published:
    """Return a reference with scores on the published scale."""
    torch.manual_seed(0)
    model: Any = kind().eval()
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            assert module.running_mean is not None
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.weight, 0.2, 0.6 if name.endswith("bn3") else 1.0)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return model


def two_images() -> Tensor:
    """Return noise and a ramp, (2, 3, 224, 224)."""
    ramp = torch.linspace(-2, 2, 224).expand(3, 224, 224)
    return torch.stack([torch.randn(3, 224, 224), ramp])


@pytest.mark.parametrize(
    ("theirs", "ours", "wrapper"),
    [(Published, HyperIQA, "module."), (PublishedPyramid, MSHyperIQA, "")],
)
def test_published_weights_give_the_published_scores(
    theirs: type[Published], ours: Any, wrapper: str, tmp_path: Path
) -> None:
    source = reference(theirs)
    state = {wrapper + name: tensor for name, tensor in source.state_dict().items()}
    torch.save(state, tmp_path / "published.pth")
    model = ours(score_range=(0, 100)).eval()
    report = start_from(model, {"path": tmp_path / "published.pth"}).weights
    assert report.fraction == 1
    assert "layout of HyperIQA's published code (where its scores are 0..100" in str(report)
    images = two_images()
    with torch.no_grad():
        raw, scores = source(images), model(images)
    assert abs(raw[0] - raw[1]) > 0.1
    torch.testing.assert_close(100 * scores, raw, atol=1e-5, rtol=0)


def pyiqa_name(name: str) -> str:
    """Return pyiqa's name of a tensor of `Published`."""
    rules = (
        (r"^res\.lda(\d)_pool\.0", lambda m: f"lda_modules.{int(m[1]) - 1}.0"),
        (r"^res\.lda4_fc", lambda m: "lda_modules.3.2"),
        (r"^res\.lda(\d)_fc", lambda m: f"lda_modules.{int(m[1]) - 1}.3"),
        (r"^res\.", lambda m: "base_model."),
        (r"^fc(\d)w_conv", lambda m: f"fc_w_modules.{int(m[1]) - 1}"),
        (r"^fc5w_fc", lambda m: "fc_w_modules.4.2"),
        (r"^fc(\d)b_fc", lambda m: f"fc_b_modules.{int(m[1]) - 1}.2"),
    )
    for pattern, write in rules:
        if re.search(pattern, name):
            return re.sub(pattern, write, name)
    return name


def test_pyiqas_weights_give_its_scores(tmp_path: Path) -> None:
    source = reference(Published)
    state = {"net." + pyiqa_name(name): t for name, t in source.state_dict().items()}
    torch.save({"params": state}, tmp_path / "pyiqa.pth")
    model = HyperIQA().eval()
    report = start_from(model, {"path": tmp_path / "pyiqa.pth"}).weights
    assert "pyiqa's layout of HyperIQA" in str(report)
    assert "0..100" not in str(report)
    images = two_images()
    with torch.no_grad():
        torch.testing.assert_close(model(images), source(images), atol=1e-4, rtol=1e-5)


def test_pretrained_takes_such_a_file_too(tmp_path: Path) -> None:
    source: Any = reference(Published)
    torch.save({"model": source.state_dict()}, tmp_path / "published.pth")
    model: Any = HyperIQA(pretrained=str(tmp_path / "published.pth"), score_range=(0, 100))
    assert torch.equal(model.head.hypernet.weights[0].weight, source.fc1w_conv.weight)
    other: Any = QualityModel(
        {"type": "ResNet", "depth": 50}, {"type": "LinearScoreHead", "in_channels": 2048}
    )
    report = load_weights(other, tmp_path / "published.pth", drop=["head"])
    assert torch.equal(other.backbone.conv1.weight, source.res.conv1.weight)
    assert not report.missing


def timm_names(blocks: tuple[int, ...]) -> set[str]:
    """Return the names of the tensors of a Swin transformer in timm."""
    pair, inner = ("weight", "bias"), ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1")
    names = {f"patch_embed.{part}.{own}" for part in ("proj", "norm") for own in pair}
    for stage, count in enumerate(blocks):
        if stage:
            start = f"layers_{stage}.downsample"
            names |= {f"{start}.norm.weight", f"{start}.norm.bias", f"{start}.reduction.weight"}
        for block in range(count):
            start = f"layers_{stage}.blocks.{block}"
            names |= {f"{start}.{part}.{own}" for part in (*inner, "mlp.fc2") for own in pair}
            names |= {f"{start}.attn.relative_position_{own}" for own in ("bias_table", "index")}
    return names


@pytest.mark.parametrize(("size", "deep"), [("tiny", 6), ("base", 18)])
def test_a_transformers_published_names_are_ours(size: str, deep: int) -> None:
    published = {f"swin.backbone.{name}" for name in timm_names((2, 2, deep, 2))}
    published |= {
        f"{layer}.{own}"
        for layer in (
            *(f"swin.lda{k}_fc" for k in range(1, 5)),
            *(f"conv1.{k}" for k in (0, 2, 4)),
            *(f"multiscale_attention.attention_net.{k}" for k in (0, 3)),
            *(f"fc{k}w_conv" for k in range(1, 5)),
            "fc5w_fc",
            *(f"fc{k}b_fc" for k in range(1, 6)),
        )
        for own in ("weight", "bias")
    }
    published |= {f"swin.lda{k}_pool.0.weight" for k in range(1, 4)}
    with torch.device("meta"):
        model = SwinHyperIQA(size)
    assert {our_name(name) for name in published} == set(model.state_dict())


def test_buffers_of_another_form_are_fitted() -> None:
    index = torch.arange(4).view(2, 2)
    start = "swin.backbone.layers_0.blocks.1.attn"
    file = {
        "fc1w_conv.weight": torch.zeros(1),
        f"{start}.relative_position_index": index,
        "swin.backbone.layers_0.blocks.1.attn_mask": torch.zeros(1),
    }
    found, _ = from_published(file, ["backbone.body.features.1"])
    name = "backbone.body.features.1.1.attn.relative_position_index"
    assert set(found) == {"head.hypernet.weights.0.weight", name}
    assert found[name].tolist() == [0, 1, 2, 3]


def test_other_files_stay_as_they_are() -> None:
    file = {"conv1.weight": torch.zeros(1), "my_fc1w_conv.weight": torch.zeros(1)}
    assert from_published(file, []) == (file, "")
