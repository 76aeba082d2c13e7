"""Published layouts, against references written from the papers with the published names."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from cliqa.models.build import build_model
from cliqa.models.weights.iqa_layouts import from_iqa_layout
from cliqa.models.weights.start import start_from
from cliqa.models.weights.weights import load_weights
from cliqa.utils.errors import ModelError

BASES = Path(__file__).resolve().parents[3] / "config" / "_base_" / "models"
UNUSED = 4 * (3 * 256 * 256 + 3 * 256 + 256 * 256 + 256)
"""Parameters of TOPIQ's decoder that are never computed: attention of tokens to themselves."""

NOISE = torch.randn(3, 72, 104, generator=torch.Generator().manual_seed(0))
IMAGES = torch.stack([NOISE, torch.linspace(-2, 2, 104).expand(3, 72, 104)])


def without_weights(config: Any) -> Any:
    """Return a config whose weights are not downloaded."""
    if isinstance(config, dict):
        items = config.items()
        return {k: None if k in ("weights", "pretrained") else without_weights(v) for k, v in items}
    return [without_weights(item) for item in config] if isinstance(config, list) else config


def base(name: str) -> Any:
    """Return the model of a base config, without weights."""
    return without_weights(runpy.run_path(str(BASES / f"{name}.py"))["model"])


def varied(model: nn.Module) -> nn.Module:
    """Return a model whose normalisation and biases are not those of a new one."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            assert module.running_mean is not None
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.weight, 0.3, 0.9)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.3, 0.9)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


class PublishedSCNN(nn.Module):
    """The whole network of synthetic distortions, in the published names."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [(3, 48, 1), (48, 48, 2), (48, 64, 1), (64, 64, 2), (64, 64, 1), (64, 64, 2)]
        sizes += [(64, 128, 1), (128, 128, 1), (128, 128, 2)]
        layers: list[nn.Module] = []
        for before, after, stride in sizes:
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.projection = nn.Sequential(nn.Conv2d(128, 256, 1), nn.BatchNorm2d(256), nn.ReLU())
        self.classifier = nn.Linear(256, 39)


class PublishedDBCNN(nn.Module):
    """DB-CNN in the published names; scores (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.features1 = torchvision.models.vgg16(weights=None).features[:-1]
        self.features2 = PublishedSCNN().features
        self.fc = nn.Linear(512 * 128, 1)

    def forward(self, images: Tensor) -> Tensor:
        a, b = self.features1(images), self.features2(images)
        b = F.interpolate(b, a.shape[2:], mode="bilinear", align_corners=True)
        products = torch.einsum("bchw,bdhw->bcd", a, b) / (a.shape[2] * a.shape[3])
        found: Tensor = self.fc(F.normalize((products.flatten(1) + 1e-8).sqrt()))[:, 0]
        return found


class Encoder(nn.Module):
    """A layer of self-attention in the published names; tokens (L, B, D)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(dim, 4)
        self.linear1, self.linear2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        own = self.norm1(x)
        x = x + self.self_attn(own, own, own)[0]
        found: Tensor = x + self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return found


class Decoder(Encoder):
    """A layer of attention to other tokens; `self_attn` is not computed."""

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        self.multihead_attn, self.norm3 = nn.MultiheadAttention(dim, 4), nn.LayerNorm(dim)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:  # type: ignore[override]
        memory = self.norm2(memory)
        x = x + self.multihead_attn(self.norm1(x), memory, memory)[0]
        found: Tensor = x + self.linear2(F.gelu(self.linear1(self.norm3(x))))
        return found


class PublishedTOPIQ(nn.Module):
    """TOPIQ without a reference in the published names; scores (B,)."""

    def __init__(self, dim: int = 256) -> None:
        super().__init__()
        self.semantic_model = timm.create_model("resnet50", features_only=True)
        self.weight_pool, self.dim_reduce = nn.ModuleList(), nn.ModuleList()
        self.sa_attn_blks, self.attn_blks = nn.ModuleList(), nn.ModuleList()
        for width in (64, 256, 512, 1024, 2048):
            gate: Any = nn.Module()
            gate.splitconv = nn.Conv2d(width, 2 * width, 1)
            gate.weight_blk = nn.Sequential(
                *(nn.Conv2d(width, 64, 1), nn.GELU(), nn.Conv2d(64, 64, 3, padding=1), nn.GELU()),
                *(nn.Conv2d(64, 1, 3, padding=1), nn.Sigmoid()),
            )
            self.weight_pool.append(gate)
            self.dim_reduce.append(nn.Sequential(nn.Conv2d(width, dim, 1), nn.GELU()))
            self.sa_attn_blks.append(self.stack(Encoder(dim)))
        for _ in range(4):
            self.attn_blks.append(self.stack(Decoder(dim)))
        self.attn_pool = Encoder(dim)
        self.score_linear = nn.Sequential(
            *(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU()),
            *(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1)),
        )
        self.h_emb = nn.Parameter(torch.randn(1, dim // 2, 32, 1))
        self.w_emb = nn.Parameter(torch.randn(1, dim // 2, 1, 32))

    @staticmethod
    def stack(layer: nn.Module) -> nn.Module:
        found = nn.Module()
        found.layers = nn.ModuleList([layer])
        return found

    def forward(self, images: Tensor) -> Tensor:
        maps: list[Tensor] = self.semantic_model(images)
        height, width = maps[-1].shape[2:]
        size = (height, width)
        h, w = self.h_emb.repeat(1, 1, 1, 32), self.w_emb.repeat(1, 1, 32, 1)
        places = F.interpolate(torch.cat([h, w], 1), size, mode="bicubic", align_corners=False)
        tokens = []
        for index in (4, 3, 2, 1, 0):
            gate: Any = self.weight_pool[index]
            one, two = gate.splitconv(maps[index]).chunk(2, 1)
            pooled = F.adaptive_avg_pool2d(F.gelu(one) * gate.weight_blk(two), size)
            x = self.dim_reduce[index](pooled) + places
            block: Any = self.sa_attn_blks[index]
            tokens.append(block.layers[0](x.flatten(2).permute(2, 0, 1)))
        x = tokens[0]
        for step, finer in zip(self.attn_blks, tokens[1:], strict=True):
            block = step
            x = block.layers[0](x, finer)
        found: Tensor = self.score_linear(self.attn_pool(x).mean(0))[:, 0]
        return found


KINDS = [(PublishedDBCNN, "dbcnn", 15_311_345), (PublishedTOPIQ, "topiq", 45_196_934)]


@pytest.mark.parametrize(("kind", "name", "published"), KINDS)
def test_published_names_and_shapes_are_ours(
    kind: type[nn.Module], name: str, published: int
) -> None:
    with torch.device("meta"):
        source, model = kind(), build_model(base(name))
    assert sum(p.numel() for p in source.parameters()) == published
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    found, _ = from_iqa_layout(state, model.state_dict())
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    assert {key: value.shape for key, value in found.items()} == shapes


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [kind[:2] for kind in KINDS])
def test_published_weights_give_the_published_scores(
    kind: type[nn.Module], name: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    source = varied(kind())
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    torch.save({"params": state}, tmp_path / "published.pth")
    model = build_model(base(name)).eval()
    report = start_from(model, {"path": tmp_path / "published.pth", "strict": True}).weights
    assert report.fraction == 1
    assert "published code" in str(report)
    with torch.no_grad():
        raw, scores = source(IMAGES), model(IMAGES)
    assert abs(raw[0] - raw[1]) > 1e-3
    torch.testing.assert_close(scores, raw, atol=1e-5, rtol=1e-5)

    of_dbcnn, of_topiq = ("fc.bias", r"head\.fc"), ("attn_pool.linear1.weight", r"neck\.last")
    lacking, ours = of_dbcnn if name == "dbcnn" else of_topiq
    torch.save({k: v for k, v in state.items() if k != f"module.{lacking}"}, tmp_path / "less.pth")
    with pytest.raises(ModelError, match=ours):
        load_weights(model, tmp_path / "less.pth", strict=True)


@pytest.mark.parametrize(
    ("name", "parameters", "trained"),
    [
        ("dbcnn", 15_311_345, 15_311_345),
        ("dbcnn_resnet18_unit", 11_773_168, 11_773_168 - 531_120),
        ("topiq", 45_196_934 - UNUSED, 45_196_934 - UNUSED - 53_120),
        ("arniqa_ridge", 23_508_032, 23_508_032),
        ("clip_iqa", 102_007_137 - 50 * 2048, 38_214_497),
        ("clip_iqa_plus", 102_007_137 - 50 * 2048 + 16 * 512, 16 * 512),
        ("liqe", 151_277_313, 151_277_312),
    ],
)
def test_the_bases_have_the_published_parameters(name: str, parameters: int, trained: int) -> None:
    if name in ("clip_iqa", "clip_iqa_plus", "liqe"):
        pytest.importorskip("clip")
    with torch.device("meta"):
        model = build_model(base(name))
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trained


def test_the_encoder_of_arniqa_is_read(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: Any = build_model(base("arniqa_ridge")).eval()
    encoder: Any = nn.Module()
    encoder.model = nn.Sequential(*list(torchvision.models.resnet50(weights=None).children())[:-1])
    encoder.projector = nn.Sequential(nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 128))
    path = tmp_path / "ARNIQA.pth"
    torch.save(encoder.state_dict(), path)
    report = load_weights(model, path, strict=True, drop=["head"])
    assert report.fraction == 1
    with torch.no_grad():
        half = F.interpolate(IMAGES, scale_factor=0.5, mode="bilinear", align_corners=False)
        parts = [encoder.eval().model(images).flatten(1) for images in (IMAGES, half)]
        expected = torch.cat([F.normalize(part) for part in parts], dim=1)
        torch.testing.assert_close(model.features(IMAGES), expected, atol=1e-5, rtol=1e-4)


def test_the_published_scnn_is_read(tmp_path: Path) -> None:
    source = varied(PublishedSCNN())
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    torch.save(state, tmp_path / "scnn.pkl")
    model: Any = build_model({"type": "SCNN", "weights": str(tmp_path / "scnn.pkl")}).eval()
    with torch.no_grad():
        assert torch.equal(model(IMAGES)[0], source.get_submodule("features")(IMAGES))


def test_other_models_and_files_keep_their_names() -> None:
    file = {"features1.0.weight": torch.zeros(1), "features2.0.weight": torch.zeros(1)}
    assert from_iqa_layout(file, ["backbone.body.features.0.weight"]) == ({}, "")
    needed = ["backbone.branches.0.body.features.0.weight", "backbone.branches.1.features.0.weight"]
    assert from_iqa_layout({"my_features1.0.weight": torch.zeros(1)}, needed) == ({}, "")
    assert set(from_iqa_layout(file, needed)[0]) == set(needed)
