"""CLIP-IQA and CLIP-IQA+, against a reference written from the published code's description."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from cliqa.models.build import build_model
from cliqa.models.language.clip_context import CLIPContextText
from cliqa.models.language.clip_towers import CLIPVision
from cliqa.models.weights.start import start_from
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError

PAIR = ("Good photo.", "Bad photo.")
NOISE = torch.randn(3, 48, 80, generator=torch.Generator().manual_seed(1)) * 2
IMAGES = torch.stack([NOISE, torch.linspace(-2, 2, 80).expand(3, 48, 80)])


@pytest.fixture(scope="module")
def arch(clip_arch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes of a tiny CLIP with a ResNet."""
    return {**clip_arch, "vision_layers": (1, 1, 1, 1), "vision_width": 16}


@pytest.fixture(scope="module")
def source(arch: dict[str, Any]) -> Any:
    """Return a tiny CLIP with a ResNet and random weights."""
    clip = pytest.importorskip("clip")
    torch.manual_seed(0)
    model = clip.model.CLIP(**arch).eval()
    for module in model.visual.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.2, 2.0)
            torch.nn.init.normal_(module.bias)
    return model


@pytest.fixture(scope="module")
def source_file(source: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the file of its weights."""
    path = tmp_path_factory.mktemp("clip") / "RN.pt"
    torch.save(source.state_dict(), path)
    return str(path)


def published_scores(source: Any, texts: Tensor, scale: float = 10.0) -> Tensor:
    """Return the share of the first text (B,), for features of texts (2, D)."""
    net = source.visual
    images = IMAGES
    for k in (1, 2, 3):
        images = F.relu(getattr(net, f"bn{k}")(getattr(net, f"conv{k}")(images)))
    maps = net.layer4(net.layer3(net.layer2(net.layer1(net.avgpool(images)))))
    pool, tokens = net.attnpool, maps.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([tokens.mean(0, keepdim=True), tokens])
    bias = torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias])
    vectors, _ = F.multi_head_attention_forward(
        *(tokens[:1], tokens, tokens, tokens.shape[2], pool.num_heads, None, bias, None, None),
        *(False, 0.0, pool.c_proj.weight, pool.c_proj.bias),
        use_separate_proj_weight=True,
        q_proj_weight=pool.q_proj.weight,
        k_proj_weight=pool.k_proj.weight,
        v_proj_weight=pool.v_proj.weight,
    )
    cosines = F.normalize(vectors[0]) @ F.normalize(texts).T
    return (scale * cosines).softmax(1)[:, 0]


def published_texts(source: Any, context: Tensor) -> Tensor:
    """Return CLIP-IQA+'s features of the pair (2, D) for a context (16, C) or (2, 16, C)."""
    clip = pytest.importorskip("clip")
    ids = clip.tokenize([" ".join(["X"] * 16) + f" {text}." for text in PAIR])
    words = source.token_embedding(ids)
    rows = []
    for row, own in zip(words, context.expand(2, 16, -1), strict=True):
        start, after = row[:1], row[17:]  # after the 16 places of the context
        rows.append(torch.cat([start, own[:8], after[:3], own[8:], after[3:]]))  # good photo .
    x = source.transformer((torch.stack(rows) + source.positional_embedding).transpose(0, 1))
    x = source.ln_final(x.transpose(0, 1))
    found: Tensor = x[torch.arange(2), ids.argmax(1)] @ source.text_projection
    return found


def model_of(arch: Mapping[str, Any], encoder: Mapping[str, Any], file: str | None = None) -> Any:
    """Return CLIP-IQA with a text encoder."""
    backbone = {"type": "CLIPVision", "arch": arch, "positions": False, "pretrained": file}
    config = {
        "type": "ImageTextModel",
        "backbone": backbone,
        "text_encoder": {"arch": arch, "pretrained": file, **encoder},
        "texts": "clip_iqa",
        **{"in_channels": 16, "width": None, "temperature": 0.1},
    }
    return build_model(config).eval()


@torch.no_grad()
def test_clip_iqa_gives_the_share_of_the_good_photo(
    source: Any, source_file: str, arch: dict[str, Any]
) -> None:
    clip = pytest.importorskip("clip")
    model = model_of(arch, {"type": "CLIPText"}, source_file)
    expected = published_scores(source, source.encode_text(clip.tokenize(list(PAIR))))
    assert abs(expected[0] - expected[1]) > 1e-4
    torch.testing.assert_close(model(IMAGES), expected, atol=2e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("contexts", [1, 2])
@pytest.mark.parametrize("form", ["tensor", "params"])
def test_the_published_context_gives_the_published_scores(
    source: Any, source_file: str, arch: dict[str, Any], contexts: int, form: str, tmp_path: Path
) -> None:
    shape = (16, 64) if contexts == 1 else (2, 16, 64)
    context = torch.randn(shape, generator=torch.Generator().manual_seed(2)) * 0.02
    state: Any = context
    if form == "params":
        state = {"params": {"prompt_learner.ctx": context, "prompt_learner.token_prefix": context}}
    torch.save(state, tmp_path / "prompts.pth")
    encoder = {"type": "CLIPContextText", "contexts": contexts}
    model = model_of(arch, {**encoder, "context": str(tmp_path / "prompts.pth")}, source_file)
    expected = published_scores(source, published_texts(source, context))
    assert abs(expected[0] - expected[1]) > 1e-4
    torch.testing.assert_close(model(IMAGES), expected, atol=2e-6, rtol=0)


@torch.no_grad()
def test_the_published_checkpoint_holds_the_whole_model(
    source: Any, arch: dict[str, Any], tmp_path: Path
) -> None:
    clip_state = source.state_dict()
    text = ("transformer.", "positional_embedding", "ln_final.", "text_projection")
    state = {f"prompt_learner.clip_model.{k}": v for k, v in clip_state.items()}
    state |= {f"text_encoder.{k}": v for k, v in clip_state.items() if k.startswith(text)}
    state |= {f"image_encoder.{k[7:]}": v for k, v in clip_state.items() if k[:7] == "visual."}
    state |= {"prompt_learner.ctx": torch.randn(16, 64), "logit_scale": clip_state["logit_scale"]}
    state |= {f"prompt_learner.token_{k}": torch.randn(2, 1, 64) for k in ("prefix", "suffix")}
    state = {f"generator.clipmodel_0.{k}": v for k, v in state.items()}
    torch.save({"meta": {}, "state_dict": state}, tmp_path / "iter.pth")
    model = model_of(arch, {"type": "CLIPContextText"})
    report = start_from(model, {"path": tmp_path / "iter.pth", "strict": True}).weights
    assert "CLIP-IQA's published code" in str(report)
    context = state["generator.clipmodel_0.prompt_learner.ctx"]
    texts = published_texts(source, context)
    expected = published_scores(source, texts, float(source.logit_scale.exp()))
    torch.testing.assert_close(model(IMAGES), expected, atol=2e-6, rtol=0)
    del state["generator.clipmodel_0.prompt_learner.clip_model.text_projection"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(ModelError, match="text_projection"):
        start_from(model, {"path": tmp_path / "less.pth", "strict": True})


def test_the_context_alone_is_trained(source_file: str, arch: dict[str, Any]) -> None:
    encoder = CLIPContextText(arch, source_file, length=4)
    assert [n for n, p in encoder.named_parameters() if p.requires_grad] == ["context"]
    encoder.encode(PAIR).sum().backward()
    assert encoder.context.grad is not None
    assert encoder.context.grad.abs().min() > 0
    again = CLIPContextText(arch, length=4)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again.encode(PAIR), encoder.encode(PAIR))


def test_wrong_contexts_are_refused(arch: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(torch.zeros(3, 16, 64), path)
    with pytest.raises(ModelError, match=r"context has shape \(3, 16, 64\), not \(1, 16, 64\)"):
        CLIPContextText(arch, context=path)
    with pytest.raises(ModelError, match=r"3 contexts for 2 texts. Set contexts=2"):
        CLIPContextText(arch, contexts=3, context=path).encode(PAIR)
    torch.save({"other": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match=r"has no context of a text encoder"):
        CLIPContextText(arch, context=path)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CheckpointError, match="holds a list, not a dict of tensors"):
        CLIPContextText(arch, context=path)
    with pytest.raises(ModelError, match="74 tokens, but beside the context there is room for 61"):
        CLIPContextText(arch).encode(["word " * 71])


def test_a_transformer_needs_its_positions(clip_arch: Mapping[str, Any]) -> None:
    pytest.importorskip("clip")
    with pytest.raises(ConfigError, match="positions=False is for CLIP's ResNets"):
        CLIPVision(clip_arch, positions=False)
