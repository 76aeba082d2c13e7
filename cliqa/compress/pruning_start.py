"""What a pruned network is built and started from, without the files that its config named."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from cliqa.engine.build import Parts, build
from cliqa.models.language.image_text_model import ImageTextModel
from cliqa.models.pruned import pruning_of
from cliqa.utils.checkpoint import save_checkpoint

START = "pruned.pth"
"""The pruned network before its fine-tuning."""


def parts_of(model: nn.Module, config: dict[str, Any], out: Path, device: torch.device) -> Parts:
    """Return a run's benchmark and a strategy; texts come from the model, for no file is opened."""
    with TemporaryDirectory() as folder:
        start = None
        if isinstance(model, ImageTextModel):
            start = {"path": str(Path(folder) / START)}
            save_checkpoint(Path(folder) / START, state_of(model))
        return build({**config, "load_from": start}, device, out)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Return what a checkpoint holds of a network, which ``load_from`` reads."""
    return {"strategy": {"model": model.state_dict(), "pruning": pruning_of(model)}}
