from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.models.language.clip_files import (
    ARCHS,
    build_clip,
    clip_state,
    import_clip,
    load_tower,
    sizes_of,
)
from cliqa.utils.errors import CheckpointError, ConfigError, ModelError


def test_named_models_have_every_size_that_clip_asks_for() -> None:
    clip = pytest.importorskip("clip")
    for name in ARCHS:
        sizes = sizes_of(name)
        with torch.device("meta"):
            text = clip.model.Transformer(sizes["transformer_width"], 1, sizes["transformer_heads"])
        assert text.resblocks[0].attn.embed_dim == sizes["transformer_width"]
        assert sizes["transformer_width"] == 64 * sizes["transformer_heads"]  # as OpenAI infers it


def test_unknown_models_are_refused(clip_arch: Mapping[str, Any]) -> None:
    assert sizes_of(clip_arch) == clip_arch
    with pytest.raises(ConfigError, match=r"no CLIP model is called 'ViT-B32'.*'ViT-B/32'"):
        sizes_of("ViT-B32")
    with pytest.raises(ConfigError, match="'vision_width' is missing or unknown"):
        sizes_of({key: value for key, value in clip_arch.items() if key != "vision_width"})


def test_the_package_builds_the_model_of_a_file(tiny_clip: Any, clip_file: Path) -> None:
    clip = import_clip("this", "do that")
    built = build_clip(clip, clip_file)
    assert not built.training
    for name, tensor in built.state_dict().items():
        assert tensor.dtype == torch.float32
        assert torch.allclose(tensor, tiny_clip.state_dict()[name], atol=1e-3)  # by way of float16


def test_files_of_other_models_are_refused(tmp_path: Path, tiny_clip: Any) -> None:
    other = tmp_path / "other.pt"
    torch.save({"proj": torch.zeros(3)}, other)
    with pytest.raises(
        ModelError, match=r"other\.pt: not the weights.*class_embedding is missing in"
    ):
        load_tower(tiny_clip.visual, other)
    with pytest.raises(ModelError, match=r"visual\.\S+ is missing in the file.*and \d+ more"):
        load_tower(tiny_clip.visual, other, "visual.")
    with pytest.raises(ModelError, match=r"other\.pt: not the weights of an OpenAI CLIP model"):
        build_clip(import_clip("this", "do that"), other)
    with pytest.raises(CheckpointError, match="no such checkpoint file"):
        clip_state(tmp_path / "none.pt")


def test_an_archive_is_read_without_running_it(tmp_path: Path) -> None:
    module = torch.nn.Linear(2, 2)
    path = tmp_path / "archive.pt"
    torch.jit.save(torch.jit.trace(module, torch.zeros(1, 2)), str(path))
    assert torch.equal(clip_state(path)["weight"], module.weight)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises((ModelError, CheckpointError), match=r"archive\.pt: (a )?damaged"):
        clip_state(path)


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clip", None)
    with pytest.raises(ModelError, match=r"CLIPText needs the package clip.*\"\.\[clip\]\", or r"):
        import_clip("CLIPText", "read")


def test_a_file_with_more_blocks_is_refused(
    clip_file: Path, tiny_clip: Any, tmp_path: Path
) -> None:
    state = dict(tiny_clip.state_dict())
    more = {
        name.replace("resblocks.0.", "resblocks.9."): tensor
        for name, tensor in state.items()
        if name.startswith("visual.transformer.resblocks.0.")
    }
    torch.save({**state, **more}, tmp_path / "deeper.pt")
    with pytest.raises(
        ModelError, match=r"visual\.transformer\.resblocks\.9\.\S+ has no place in it"
    ):
        load_tower(tiny_clip.visual, tmp_path / "deeper.pt", "visual.")
