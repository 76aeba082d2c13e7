from __future__ import annotations

import copy
import inspect
import io
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.datasets.classes.fashion_mnist import CLASS_NAMES
from cliqa.models.build import build_model, check_model
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.image_text_model import ImageTextModel, blend_prototypes
from cliqa.models.language.text_files import load_texts
from cliqa.models.weights.start import start_from
from cliqa.utils.errors import ConfigError, ModelError

PETS = CandidateTexts(("cat", "dog"), (("a cat.", "one cat."), ("a dog.",)))


def config(texts: str | None = "fashion_mnist", **options: Any) -> dict[str, Any]:
    return {
        "type": "ImageTextModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 1, "channels": [4, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
        "texts": texts,
        "in_channels": 8,
        "width": 12,
        **options,
    }


def model(texts: str | None = "fashion_mnist", seed: int = 0, **options: Any) -> ImageTextModel:
    torch.manual_seed(seed)
    found = build_model(config(texts, **options))
    assert isinstance(found, ImageTextModel)
    return found.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def test_logits_compare_an_image_with_every_class(images: Tensor) -> None:
    net = model()
    assert net.texts is not None
    assert net.texts == load_texts("fashion_mnist")
    prompts = net.head.text(net.text_encoder.encode(net.texts.flat))
    logits = net(images)
    assert logits.shape == (5, 10)
    for k in range(10):
        own = torch.stack([prompts[i] / prompts[i].norm() for i in net.texts.ids_of(k)]).mean(0)
        vectors = net.head.image(net.features(images))
        cosine = vectors @ own / (vectors.norm(dim=1) * own.norm())
        assert torch.allclose(logits[:, k], cosine / 0.07, atol=1e-4)
    assert torch.allclose(net.embed_text(torch.tensor([3, 1])), net.embed_text()[[3, 1]])


@pytest.mark.parametrize("texts", ["quality_levels", "quality_antonyms"])
def test_a_score_is_the_mean_value_of_the_levels(texts: str, images: Tensor) -> None:
    net = model(texts)
    shares = net.logits(images).softmax(1)
    assert net.texts is not None
    assert net.texts.values is not None
    expected = sum(value * shares[:, k] for k, value in enumerate(net.texts.values))
    assert torch.allclose(net(images), torch.as_tensor(expected))
    assert net(images).shape == (5,)


def test_nothing_but_images_enters() -> None:
    for method in (ImageTextModel.forward, ImageTextModel.logits, ImageTextModel.embed_image):
        assert list(inspect.signature(method).parameters) == ["self", "images"]


def test_every_part_learns(images: Tensor) -> None:
    net = model()
    torch.nn.functional.cross_entropy(net(images), torch.arange(5)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None] == []


def test_frozen_texts_are_encoded_once(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    net, calls = model(freeze=["text_encoder"]), 0
    encode = net.text_encoder.encode

    def counted(texts: Sequence[str]) -> Tensor:
        nonlocal calls
        calls += 1
        return encode(texts)

    monkeypatch.setattr(net.text_encoder, "encode", counted)
    first = net(images)
    assert torch.equal(net(images), first)
    assert calls == 1
    net.train()
    assert not net.text_encoder.training


def test_a_checkpoint_brings_texts_and_vocabulary(images: Tensor) -> None:
    net, bare = model(), model(None, seed=1)
    with pytest.raises(ModelError, match="it was built without texts. Load a checkpoint that has"):
        bare(images)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    bare.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(bare(images), net(images))
    assert bare.texts is not None
    assert bare.texts.names == CLASS_NAMES
    twin = copy.deepcopy(net)
    assert torch.equal(twin(images), net(images))


def test_long_texts_come_back_with_the_vocabulary_that_makes_them_short(tmp_path: Path) -> None:
    path = tmp_path / "long.yaml"
    path.write_text(f"classes: {{a: {'word ' * 30}, b: {'text ' * 30}}}")
    net, bare = model(str(path)), model(None, seed=1)
    bare.load_state_dict(net.state_dict())
    assert torch.equal(bare.prototypes(), net.prototypes())
    with pytest.raises(ModelError, match="77 at most"):
        net.use_texts(CandidateTexts(("a", "b"), (("unlearnt " * 30,), ("b",))))


def test_own_texts_are_kept_when_weights_are_loaded(images: Tensor) -> None:
    net, other = model(), model("cifar10", seed=1)
    other.load_state_dict(net.state_dict())
    assert other.texts == load_texts("cifar10")
    assert torch.equal(other.features(images), net.features(images))


def test_other_texts_change_no_weight(images: Tensor) -> None:
    net = model()
    before = copy.deepcopy(dict(net.named_parameters()))
    net.use_texts(PETS)
    assert net(images).shape == (5, 2)
    assert all(torch.equal(p, before[name]) for name, p in net.named_parameters())


def test_training_starts_from_another_models_weights(tmp_path: Path, images: Tensor) -> None:
    net, fresh = model(), model("cifar10", seed=1)
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    report = start_from(fresh, {"path": str(tmp_path / "weights.pth"), "drop": ["head"]})
    assert not report.weights.missing
    assert torch.equal(fresh.features(images), net.features(images))
    assert torch.equal(fresh.text_encoder.encode(["a."]), net.text_encoder.encode(["a."]))
    assert fresh.texts == load_texts("cifar10")


def test_a_stream_must_have_the_classes_of_the_texts() -> None:
    model().check_classes(CLASS_NAMES)
    model("quality_levels").check_classes(None)
    with pytest.raises(ConfigError, match="in another order than the stream's classes"):
        model().check_classes(CLASS_NAMES[::-1])
    with pytest.raises(ConfigError, match="names 'levels', but this stream has classes"):
        model("quality_levels").check_classes(CLASS_NAMES)
    with pytest.raises(ConfigError, match="names 'classes', but this stream has scores"):
        model().check_classes(None)
    with pytest.raises(
        ConfigError, match=r"model\.texts: None is only for a model whose checkpoint"
    ):
        model(None).check_classes(CLASS_NAMES)


def test_wrong_configs_are_refused_before_anything_is_built() -> None:
    with pytest.raises(ConfigError, match=r"model\.text_encoder: unknown model 'TextTransfomer'"):
        check_model(config(text_encoder={"type": "TextTransfomer"}))
    with pytest.raises(ConfigError, match="no texts are called 'fashion'"):
        build_model(config("fashion"))
    with pytest.raises(
        ConfigError, match="'SmallConvNet': is not a text encoder. Use 'TextTransformer"
    ):
        build_model(config(text_encoder={"type": "SmallConvNet"}))


def test_clip_gives_the_logits_of_the_whole_clip(
    tiny_clip: Any, clip_file: Path, clip_arch: Mapping[str, Any]
) -> None:
    clip = pytest.importorskip("clip")
    towers = {"arch": clip_arch, "pretrained": str(clip_file)}
    net = model(
        backbone={"type": "CLIPVision", **towers},
        text_encoder={"type": "CLIPText", **towers},
        in_channels=16,
        width=None,
    )
    pictures = torch.randn(2, 3, 32, 32)
    ids = clip.tokenize(["a cat.", "a dog."])
    net.use_texts(CandidateTexts(("cat", "dog"), (("a cat.",), ("a dog.",))))
    expected, _ = tiny_clip(pictures, ids)
    assert torch.allclose(net(pictures), expected, atol=1e-4)


def test_another_length_of_features_is_refused(images: Tensor) -> None:
    wrong = r"model\.in_channels=9, .* for images \(16, 16\)\. Set in_channels=8 in model; "
    with pytest.raises(ModelError, match=wrong):
        model(in_channels=9)(images)


def test_freezing_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        model(freeze=["text_encoder"])
    assert "froze" in caplog.text


@pytest.mark.parametrize("texts", ["fashion_mnist", "quality_levels"])
def test_answers_are_as_precise_in_mixed_precision(texts: str, images: Tensor) -> None:
    """In bfloat16 the scores of different images are tied."""
    net = model(texts)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        vectors, prototypes = net.embed_image(images), net.prototypes()
        found = net.answers(net.head(vectors, prototypes))
    assert vectors.dtype == prototypes.dtype == found.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(
            found, net.answers(net.head(vectors, prototypes)), rtol=0, atol=0
        )


def test_a_candidate_is_its_text_and_its_images_by_plain_loops() -> None:
    random = torch.Generator().manual_seed(0)
    texts = F.normalize(torch.randn(3, 5, generator=random), dim=1)
    images = F.normalize(torch.randn(7, 5, generator=random), dim=1)
    shares = torch.rand(7, 3, generator=random)
    found = blend_prototypes(texts, images, shares, text_weight=2.5)
    for k in range(3):
        total = 2.5 * texts[k]
        for i in range(7):
            total = total + shares[i, k] * images[i]
        assert torch.allclose(found[k], total / total.norm(), atol=1e-6)


def test_without_images_texts_remain_and_without_texts_images() -> None:
    texts, images = torch.eye(2), torch.tensor([[0.6, 0.8], [0.8, -0.6]])
    none = blend_prototypes(texts, images[:0], torch.zeros(0, 2))
    assert torch.equal(none, texts)
    alone = blend_prototypes(texts, images, torch.eye(2), text_weight=0)
    assert torch.allclose(alone, images)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_many_images_outweigh_a_text(weight: float) -> None:
    image = torch.tensor([[0.0, 1.0]])
    shares = torch.tensor([[1.0, 0.0]]).repeat(10_000, 1)
    found = blend_prototypes(torch.eye(2), image.repeat(10_000, 1), shares, weight + 1e-9)
    assert torch.allclose(found[0], image[0], atol=1e-3)
