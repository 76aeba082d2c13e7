"""A file is written only if it says what the model says."""

from __future__ import annotations

import contextlib
import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from cliqa.deploy.onnx import trace
from cliqa.deploy.onnx.export import export_onnx
from cliqa.deploy.onnx.file import OnnxModel, load_proto, read_metadata
from cliqa.deploy.onnx.parity import own_rounding
from cliqa.models.backbones.small_conv_net import SmallConvNet
from cliqa.models.fake_quantization import add_rounding, rounding_layers
from cliqa.models.lora.adapters import inject, lora_layers
from cliqa.utils.errors import ConfigError, ModelError
from tests.deploy.conftest import Build, Config, images_of

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

GAP: Config = {"type": "GlobalAveragePooling"}
SMALL: Config = {"type": "SmallConvNet", "in_channels": 1, "channels": [8, 8], "norm": "BN"}
RESNET: Config = {"type": "ResNet", "depth": 18, "base_channels": 4, "stem_channels": 4}
HALF: Config = {
    **RESNET,
    "num_stages": 2,
    "out_indices": (1,),
    "strides": (1, 2),
    "dilations": (1, 1),
}
"""Two of its stages: an export's time is that of its nodes."""


def classifier(backbone: Config, head: str, channels: int, **more: Any) -> Config:
    made = {"type": head, "num_classes": 5, "in_channels": channels, **more}
    neck = None if backbone["type"] == "VisionTransformer" else GAP
    return {"type": "ImageClassifier", "backbone": backbone, "neck": neck, "head": made}


def quality(backbone: Config, head: str, channels: int) -> Config:
    made = {"type": head, "in_channels": channels}
    return {"type": "QualityModel", "backbone": backbone, "neck": GAP, "head": made}


def hyper(kind: str, **more: Any) -> Config:
    sizes = {"target_sizes": (28, 14, 7), "hyper_channels": 14, "local_channels": (2, 2, 2)}
    backbone = {**RESNET, "out_indices": (0, 1, 2, 3)}
    return {"type": kind, "backbone": backbone, "local_dims": 2, **sizes, **more}


VIT: Config = {
    "type": "VisionTransformer",
    "arch": {"embed_dims": 32, "num_layers": 2, "num_heads": 2, "feedforward_channels": 64},
    "img_size": 32,
    "patch_size": 8,
}
SWIN: Config = {
    "type": "SwinTransformer",
    "arch": {"embed_dims": 16, "depths": [2], "num_heads": [2]},
    "img_size": 32,
    "window_size": 4,
    "out_indices": (0,),
}

FAMILIES: dict[str, tuple[Config, int]] = {
    "linear": (quality(HALF, "LinearScoreHead", 8), 3),
    "cosine": (quality(HALF, "CosineScoreHead", 8), 3),
    "resnet18": ({"type": "LightweightModel", "backbone": "resnet18"}, 3),
    "mobilenet": ({"type": "LightweightModel", "backbone": "mobilenet_v3_small"}, 3),
    "grey": (classifier(SMALL, "LinearClsHead", 8), 1),
    "cosine classes": (classifier(SMALL, "CosineClsHead", 8), 1),
    "vit": (classifier(VIT, "VisionTransformerClsHead", 32), 3),
    "two tokens": (
        quality({**VIT, "type": "DistilledVisionTransformer"}, "LinearScoreHead", 64),
        3,
    ),
    "swin": (classifier(SWIN, "LinearClsHead", 16), 3),
    "hyper": (hyper("HyperIQA", hidden=(16, 16)), 3),
    "ms hyper": (hyper("MSHyperIQA", pyramid_channels=16), 3),
    "swin hyper": (hyper("SwinHyperIQA", hidden=(16, 16)), 3),
}
SOME = ("linear", "cosine", "grey", "vit")
"""Of the default suite; `test_generated_weights_take_any_size` has a hyper network."""


def marked(name: str) -> Any:
    return pytest.param(name, marks=() if name in SOME else pytest.mark.exhaustive)


@pytest.mark.parametrize("name", map(marked, FAMILIES))
def test_every_family_says_the_same(name: str, build_lively: Build, tmp_path: Path) -> None:
    config, channels = FAMILIES[name]
    model = build_lively(config, channels)
    target = tmp_path / "m.onnx"
    report = export_onnx(model, target, channels=channels, size=(32, 32), metadata={})
    assert (report.size, report.file_bytes) == ((32, 32), target.stat().st_size)
    assert max(report.parity.values()) <= 1e-5
    exported = OnnxModel(target)
    for batch in (1, 4):
        images = images_of(batch, channels, 32, 32)
        with torch.no_grad():
            torch.testing.assert_close(exported(images), model(images), rtol=1e-5, atol=1e-5)
    assert exported(images_of(8, channels, 32, 32)).std(0).min() > 1e-4  # it looks at the images


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_prototypes(metric: str, build_lively: Build, tmp_path: Path) -> None:
    model: Any = build_lively(classifier(SMALL, "PrototypeHead", 8, metric=metric), 1)
    model.head.update(model.extract_feat(images_of(9, 1, 28, 28)), torch.arange(9) % 4)
    export_onnx(model, tmp_path / "m.onnx", channels=1, size=(28, 28), metadata={})
    images = images_of(3, 1, 28, 28)
    found = OnnxModel(tmp_path / "m.onnx")(images)
    assert found[:, 4].lt(found[:, :4].amin(1)).all()  # the class that was never seen
    torch.testing.assert_close(found, model(images), rtol=1e-5, atol=1e-5)
    assert model.head.sums.dtype == torch.float64


@pytest.mark.slow
def test_without_its_mend_a_swin_transformer_is_refused(
    build_lively: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build_lively(FAMILIES["swin"][0])
    arguments: Any = {"channels": 3, "size": (32, 32), "metadata": {}}
    with monkeypatch.context() as patch:
        patch.setattr(trace, "export_forms", contextlib.nullcontext)
        with pytest.raises(
            ModelError, match=r"with batch [15] of 32 x 32 .* differs from the model by"
        ):
            export_onnx(model, tmp_path / "m.onnx", **arguments)
    assert list(tmp_path.iterdir()) == []
    report = export_onnx(model, tmp_path / "m.onnx", **arguments)
    assert len(report.parity) == 3
    assert max(report.parity.values()) <= 1e-5


def test_images_of_any_size(tiny_net: nn.Module, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Dropout(0.5), tiny_net).train()  # a file is what it is in evaluation
    target = tmp_path / "m.onnx"
    report = export_onnx(model, target, channels=3, size=(32, 32), metadata={}, dynamic_size=True)
    assert all(module.training for module in model.modules())
    model.eval()
    assert report.size is read_metadata(target)["size"] is None
    for size in ((40, 97), (33, 32)):
        images = images_of(2, 3, *size)
        with torch.no_grad():
            torch.testing.assert_close(OnnxModel(target)(images), model(images))
    dims = [dim.dim_param for dim in load_proto(target).graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["batch", "", "height", "width"]


@pytest.mark.slow
def test_generated_weights_take_any_size(build_lively: Build, tmp_path: Path) -> None:
    model = build_lively(FAMILIES["hyper"][0])
    target = tmp_path / "m.onnx"
    export_onnx(model, target, channels=3, size=(64, 64), metadata={}, dynamic_size=True)
    images = images_of(2, 3, 70, 150)
    with torch.no_grad():
        torch.testing.assert_close(OnnxModel(target)(images), model(images), rtol=0, atol=1e-4)


class OneSize(nn.Module):
    """Scores of images of 16 x 16 pixels alone, by a layer of all their values."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 16 * 16, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images.flatten(1))[:, 0]


class FixedHeight(nn.Module):
    """Sums over a height that a trace takes for a constant."""

    def forward(self, images: Tensor) -> Tensor:
        return images.sum((1, 2, 3)) / int(images.shape[2] / 1.0)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (OneSize(), "the model itself takes images of one size alone"),
        (FixedHeight(), "pixels the ONNX file differs from the model by"),
    ],
)
def test_where_any_size_cannot_be_had(model: nn.Module, reason: str, tmp_path: Path) -> None:
    arguments: Any = {"channels": 3, "size": (16, 16), "metadata": {}}
    target = tmp_path / "m.onnx"
    with pytest.raises(ModelError, match=rf"{reason}.* Or export for images of one size"):
        export_onnx(model, target, **arguments, dynamic_size=True)
    assert not target.exists()
    report = export_onnx(model, target, **arguments, dynamic_size="auto")
    assert report.size == (16, 16)
    assert reason in report.note
    assert read_metadata(target)["size"] == [16, 16]


class FixedBatch(nn.Module):
    """Scores that are right for two images alone, once traced."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, images: Tensor) -> Tensor:
        means = images.mean((1, 2, 3))
        count = int(means.shape[0] / 1.0)
        return means * count if self.how == "value" else means[:count]


def test_a_file_that_says_something_else_is_not_written(tmp_path: Path) -> None:
    for how, message in (("value", "differs from the model by"), ("shape", r"gives shape \(2,\)")):
        with pytest.raises(ModelError, match=rf"batch [15] of 16 x 16 pixels .*{message}"):
            export_onnx(
                FixedBatch(how), tmp_path / "m.onnx", channels=3, size=(16, 16), metadata={}
            )
    assert list(tmp_path.iterdir()) == []


def test_the_tolerance_decides(
    tiny_net: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_net[5].weight.data *= 1e3  # float32 rounds there
    monkeypatch.setattr("cliqa.deploy.onnx.export.own_rounding", lambda *_: 0.0)
    arguments: Any = {"channels": 3, "size": (16, 16), "metadata": {}}
    with pytest.raises(ModelError, match=r"more than tolerance=1e-12 and .*--tolerance 1e-11\)"):
        export_onnx(tiny_net, tmp_path / "m.onnx", **arguments, tolerance=1e-12)
    export_onnx(tiny_net, tmp_path / "m.onnx", **arguments, tolerance=1e-4)


def test_an_earlier_file_outlives_a_failure(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("earlier")
    with pytest.raises(ModelError):
        export_onnx(FixedBatch("value"), tmp_path / "m.onnx", channels=3, size=(8, 8), metadata={})
    assert (tmp_path / "m.onnx").read_text() == "earlier"


def test_the_model_stays_as_it_is(
    tiny_net: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []
    model = tiny_net.double().train()
    parametrizations.weight_norm(model[0])
    model[1].eval()
    model[0].register_forward_hook(lambda *_: seen.append(1))
    modes = [module.training for module in model.modules()]
    before = copy.deepcopy(model.state_dict())
    random = torch.random.get_rng_state()
    export_onnx(model, tmp_path / "m.onnx", channels=3, size=(16, 16), metadata={})
    assert capfd.readouterr() == ("", "")
    assert torch.equal(torch.random.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.dtype == torch.float64 for p in model.parameters())
    count = len(seen)
    model(torch.randn(2, 3, 16, 16).double())
    assert len(seen) == count + 1
    images = images_of(4, 3, 16, 16)
    wanted = model.eval()(images.double()).float()
    torch.testing.assert_close(OnnxModel(tmp_path / "m.onnx")(images), wanted, rtol=0, atol=1e-5)


def test_adapters_are_in_the_weights(build_lively: Build, tmp_path: Path) -> None:
    model = build_lively(FAMILIES["linear"][0])
    plain = sum(p.numel() for p in model.parameters())
    for layer in inject(model, rank=2, exclude=["head"]).values():
        nn.init.normal_(layer.lora_B, std=0.3)
    images = images_of(4, 3, 32, 32)
    wanted = model(images)
    report = export_onnx(model, tmp_path / "m.onnx", channels=3, size=(32, 32), metadata={})
    assert report.parameters == plain
    assert lora_layers(model)
    torch.testing.assert_close(OnnxModel(tmp_path / "m.onnx")(images), wanted, rtol=1e-5, atol=1e-5)


def test_a_file_tells_nothing_of_the_machine(tiny_net: nn.Module, tmp_path: Path) -> None:
    export_onnx(tiny_net, tmp_path / "m.onnx", channels=3, size=(16, 16), metadata={})
    assert str(Path(__file__).parents[3]).encode() not in (tmp_path / "m.onnx").read_bytes()
    assert b"site-packages" not in (tmp_path / "m.onnx").read_bytes()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            SmallConvNet(in_channels=3, channels=[4]),
            r"the model gives tuple, not scores \(B,\) or logits",
        ),
        (nn.Flatten(1, 2), r"the model gives \(1, 24, 8\), not scores"),
        (nn.Conv2d(1, 1, 1), r"fails with batch 1 of 8 x 8 pixels \(.*Choose another size"),
        (nn.Sequential(nn.Flatten(), nn.Threshold(9, torch.nan)), "gives NaN or infinity for"),
    ],
)
def test_models_that_cannot_be_exported(model: nn.Module, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        export_onnx(model, tmp_path / "m.onnx", channels=3, size=(8, 8), metadata={})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "m.pth"}, r"m\.pth: the name of an ONNX file must end in \.onnx"),
        ({"channels": 0}, r"channels=0 and size=\(8, 8\) must be at least 1"),
        ({"size": (8, 0)}, r"channels=3 and size=\(8, 0\) must be at least 1"),
        ({"tolerance": 0.0}, "tolerance must be above 0, got 0"),
        ({"dynamic_size": "yes"}, "must be True, False or 'auto', got 'yes'"),
    ],
)
def test_arguments_are_checked(
    arguments: dict[str, Any], message: str, tiny_net: nn.Module
) -> None:
    given = {"path": "m.onnx", "channels": 3, "size": (8, 8), "metadata": {}, **arguments}
    with pytest.raises(ConfigError, match=message):
        export_onnx(tiny_net, **given)


def test_rounding_is_left_to_the_quantization(build_lively: Build, tmp_path: Path) -> None:
    model = build_lively(quality(HALF, "LinearScoreHead", 8))
    plain = copy.deepcopy(model)
    add_rounding(model, bits=4)
    model.train()(images_of(4, 3, 32, 32))
    model.eval()
    images = images_of(3, 3, 32, 32)
    assert not torch.allclose(model(images), plain(images), atol=1e-4)
    path = tmp_path / "m.onnx"
    export_onnx(model, path, channels=3, size=(32, 32), metadata={})
    wanted = plain_after(model, plain)(images)
    assert torch.allclose(OnnxModel(path)(images), wanted, atol=1e-5)
    assert rounding_layers(model)  # the caller's own still rounds


def plain_after(model: nn.Module, plain: nn.Module) -> nn.Module:
    """Return a plain model with another one's weights and statistics."""
    own = plain.state_dict()
    state = model.state_dict()
    plain.load_state_dict({name: state[name] for name in own})
    return plain.eval()


class Amplifier(nn.Module):
    """A network whose float32 loses digits: a small difference of large sums."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(images_of(3 * 32 * 32, seed=1))

    def forward(self, images: Tensor) -> Tensor:
        """Return scores (B,)."""
        sums = images.flatten(1) @ self.weight
        return (sums * self.factor).sin()


def test_what_float32_itself_loses_is_allowed(tmp_path: Path, monkeypatch: Any) -> None:
    model = Amplifier(30.0)
    images = images_of(5, 3, 32, 32)
    with torch.no_grad():
        own = own_rounding(model, images, model(images))
    assert own > 1e-5
    path = tmp_path / "m.onnx"
    report = export_onnx(model, path, channels=3, size=(32, 32), metadata={}, tolerance=1e-9)
    assert max(report.parity.values()) > 1e-9
    path.unlink()
    monkeypatch.setattr("cliqa.deploy.onnx.export.own_rounding", lambda *_: 0.0)
    with pytest.raises(ModelError, match=r"more than tolerance=1e-09 and than float32's own"):
        export_onnx(model, path, channels=3, size=(32, 32), metadata={}, tolerance=1e-9)
    assert not path.exists()


def test_a_model_without_float64_has_no_rounding_of_its_own() -> None:
    class Single(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.flatten(1) @ torch.ones(images[0].numel(), dtype=torch.float32)

    images = images_of(2, 3, 4, 4)
    assert own_rounding(Single(), images, Single()(images)) == 0
