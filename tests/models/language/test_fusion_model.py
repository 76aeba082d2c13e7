from __future__ import annotations

import inspect
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cliqa.models.build import build_model, check_model
from cliqa.models.language.candidate_texts import CandidateTexts
from cliqa.models.language.fusion_model import FusionModel
from cliqa.utils.errors import ConfigError, ModelError

PETS = CandidateTexts(
    ("cat", "dog", "cow"), (("a cat.", "one small cat."), ("a dog.",), ("a big brown cow.",))
)


def config(texts: str | None = "fashion_mnist", **options: Any) -> dict[str, Any]:
    return {
        "type": "FusionModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 1, "channels": [4, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
        "texts": texts,
        "in_channels": 8,
        "width": 12,
        **options,
    }


def model(texts: str | None = "fashion_mnist", seed: int = 0, **options: Any) -> FusionModel:
    torch.manual_seed(seed)
    found = build_model(config(texts, **options))
    assert isinstance(found, FusionModel)
    torch.nn.init.normal_(found.head.readout.weight)
    return found.eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(5, 1, 16, 24, generator=torch.Generator().manual_seed(0))


def test_a_candidate_is_the_mean_of_its_prompts(images: Tensor) -> None:
    net = model()
    assert net.texts is not None
    net.use_texts(PETS)
    fits = net.head(net.regions(images), *net.words())  # (B, 4)
    expected = torch.stack([fits[:, :2].mean(1), fits[:, 2], fits[:, 3]], dim=1)
    assert torch.allclose(net(images), expected, atol=1e-5)


def test_nothing_but_images_enters() -> None:
    for method in (FusionModel.forward, FusionModel.logits, FusionModel.regions):
        assert list(inspect.signature(method).parameters) == ["self", "images"]


def test_the_candidates_order_is_that_of_the_logits(images: Tensor) -> None:
    net = model()
    net.use_texts(PETS)
    said = net(images)
    order = [2, 0, 1]
    net.use_texts(
        CandidateTexts(tuple(PETS.names[k] for k in order), tuple(PETS.prompts[k] for k in order))
    )
    assert torch.allclose(net(images), said[:, order], atol=1e-5)


def test_an_image_does_not_depend_on_the_others(images: Tensor) -> None:
    net = model()
    together = net(images)
    for k in range(5):
        assert torch.allclose(net(images[[k]])[0], together[k], atol=1e-5)
    assert torch.allclose(net(images.flip(0)), together.flip(0), atol=1e-5)


def test_a_score_is_the_mean_value_of_the_levels(images: Tensor) -> None:
    net = model("quality_levels")
    assert net.texts is not None
    assert net.texts.values is not None
    shares = net.logits(images).softmax(1)
    expected = sum(value * shares[:, k] for k, value in enumerate(net.texts.values))
    assert torch.allclose(net(images), torch.as_tensor(expected))


def test_every_part_learns(images: Tensor) -> None:
    net = model()
    torch.nn.functional.cross_entropy(net(images), torch.arange(5)).backward()
    assert [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_attention_is_shared_among_the_regions(images: Tensor) -> None:
    net = model()
    net.use_texts(PETS)
    maps, weights = net.attention(images), net.word_weights()
    longest = net.words()[0].shape[1]
    assert maps.shape == (5, 3, longest, 4, 6)
    assert torch.allclose(maps.sum((3, 4)), torch.ones(5, 3, longest))
    assert weights.shape == (3, longest)
    assert torch.allclose(weights.sum(1), torch.ones(3))
    assert [int(n) for n in (weights > 0).sum(1)] == [
        len(words) for words in net.text_encoder.tokens(["a cat.", "a dog.", "a big brown cow."])
    ]
    assert torch.allclose(net.attention(images, [0, 2, 3]), maps)
    assert net.attention(images, [1]).shape == (5, 1, longest, 4, 6)


@pytest.mark.parametrize(("freeze", "expected"), [([], 2), (["text_encoder"], 1)])
def test_texts_are_read_once_a_pass_and_frozen_ones_once(
    freeze: list[str], expected: int, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = model(freeze=freeze)
    calls: list[Sequence[str]] = []
    words = net.text_encoder.words

    def watch(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        calls.append(texts)
        return words(texts)

    monkeypatch.setattr(net.text_encoder, "words", watch)
    first = net(images)
    assert torch.equal(net(images), first)
    assert len(calls) == expected


def test_a_checkpoint_brings_texts_and_vocabulary(images: Tensor) -> None:
    net, bare = model(), model(None, seed=1)
    with pytest.raises(ModelError, match="it was built without texts"):
        bare(images)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    bare.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(bare(images), net(images))


def test_weights_are_loaded_into_all_parts(tmp_path: Path, images: Tensor) -> None:
    net = model()
    torch.save(net.state_dict(), tmp_path / "weights.pth")
    again = build_model(config(pretrained=str(tmp_path / "weights.pth"), freeze=["head.query"]))
    assert torch.equal(again.eval()(images), net(images))
    assert [n for n, p in again.named_parameters() if not p.requires_grad] == [
        "head.query.weight",
        "head.query.bias",
    ]


def test_a_backbone_without_maps_is_refused(images: Tensor) -> None:
    backbone = {**config()["backbone"], "flatten": True}
    with pytest.raises(
        ModelError, match=r"returned shape \(5, 192\).* Set flatten=False of a Small"
    ):
        model(backbone=backbone)(images)
    with pytest.raises(ConfigError, match="unexpected argument 'head'"):
        check_model(config(head={"type": "FusionHead"}))


def test_the_words_of_clip_attend(clip_arch: Mapping[str, Any], images: Tensor) -> None:
    pytest.importorskip("clip")
    net = model(text_encoder={"type": "CLIPText", "arch": clip_arch})
    assert net(images).shape == (5, 10)
    shown = net.text_encoder.tokens([net.texts.flat[0]] if net.texts else [])[0]
    assert int((net.word_weights([0]) > 0).sum()) == len(shown)


@pytest.mark.parametrize("texts", ["fashion_mnist", "quality_levels"])
def test_answers_are_as_precise_in_mixed_precision(texts: str, images: Tensor) -> None:
    net = model(texts)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = net.logits(images)
        found = net.answers(logits)
    assert logits.dtype == found.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(found, net.answers(logits), rtol=0, atol=0)
