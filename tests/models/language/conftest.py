from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "image_resolution": 32,
    "vision_layers": 1,
    "vision_width": 64,
    "vision_patch_size": 16,
    "context_length": 77,
    "vocab_size": 49408,
    "transformer_width": 64,
    "transformer_heads": 1,
    "transformer_layers": 2,
}


@pytest.fixture(scope="session")
def clip_arch() -> Mapping[str, Any]:
    """Return the sizes of a tiny CLIP."""
    return dict(TINY)


@pytest.fixture(scope="session")
def tiny_clip() -> Any:
    """Return a tiny CLIP of the real package, with random weights."""
    clip = pytest.importorskip("clip")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return clip.model.CLIP(**TINY).eval()


@pytest.fixture(scope="session")
def clip_file(tiny_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of the tiny CLIP's weights."""
    path = tmp_path_factory.mktemp("clip") / "tiny.pt"
    torch.save(tiny_clip.state_dict(), path)
    return path
