"""Fixtures that tests of several tools share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.config.load import load_config
from cliqa.engine.train import train


@pytest.fixture(scope="session")
def text_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work_dir of a tiny model of images and texts: only read it."""
    config: dict[str, Any] = load_config(tiny_run / "config.py")
    config["model"] = {
        "type": "ImageTextModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
        "texts": "quality_levels",
        "in_channels": 8,
    }
    folder = tmp_path_factory.mktemp("runs") / "texts"
    train(config, config_file="config/tiny.py", work_dir=folder, device="cpu")
    return folder
