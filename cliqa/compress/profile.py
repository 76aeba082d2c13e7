"""Profiles of a run's model, of an exported one, or of the model that a config describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from cliqa.config.load import load_config
from cliqa.config.trust import without_weights
from cliqa.deploy.onnx.file import OnnxModel
from cliqa.deploy.openvino.backend import OpenVinoModel
from cliqa.deploy.profiling import (
    Forward,
    Profile,
    count_parameters,
    profile_forward,
    weight_bytes,
)
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run, model_of
from cliqa.models.build import build_model
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError

SIZE = (224, 224)
"""H and W where the preprocessing does not bring images to one size."""


@dataclass(frozen=True)
class Subject:
    """A model to profile.

    Attributes:
        name: What it is called.
        model: The model, in evaluation mode.
        file_bytes: Size of the checkpoint, with all that training needs, or of the exported file;
            None for a config.
        channels: Channels of its images.
        size: H and W that its preprocessing gives.
        crops: Crops that an evaluation makes of an image: as many passes.
        exported: What an exported file says about itself; None for a PyTorch model.
    """

    name: str
    model: Forward
    file_bytes: int | None
    channels: int
    size: tuple[int, int]
    crops: int
    exported: Mapping[str, Any] | None = None

    @property
    def backend(self) -> str:
        """What runs the model."""
        if self.exported is None:
            return "torch"
        return "openvino" if self.name.endswith(".xml") else "onnxruntime"

    @property
    def parameters(self) -> dict[str, tuple[int, int]]:
        """(All, trainable) parameters by part; of an exported file the total alone."""
        if isinstance(self.model, nn.Module):
            return count_parameters(self.model)
        return {"total": (int((self.exported or {}).get("parameters", 0)), 0)}

    @property
    def weight_bytes(self) -> int | None:
        """Bytes of the weights in memory; None for an exported file, which knows its own."""
        return weight_bytes(self.model) if isinstance(self.model, nn.Module) else None

    def with_macs(self, row: Profile) -> Profile:
        """Return a profile with the MACs that an exported file tells for images of that size."""
        told = self.exported or {}
        if not told.get("macs") or told.get("macs_size") != [row.height, row.width]:
            return row
        return replace(row, gmacs=told["macs"] / 1e9, gflops=2 * told["macs"] / 1e9)

    def batch(self, images: int, size: tuple[int, int], device: torch.device) -> torch.Tensor:
        """Return random images (B, C, H, W)."""
        noise = torch.Generator().manual_seed(0)
        return torch.rand(images, self.channels, *size, generator=noise).to(device)


def load_subject(path: str | Path, device: torch.device) -> Subject:
    """Return the model of a run, of an exported file, or of a config (with random weights).

    Args:
        path: A work_dir, a checkpoint, an exported model (``.onnx``, ``.xml``), or a config file
            (``.py``).
        device: Where to put it; an exported model stays on the CPU.

    Raises:
        ArtifactError: The exported file is missing, damaged, or not one of this package's.
        CheckpointError: There is no checkpoint, or it is damaged.
        ConfigError: The config is wrong.
        ModelError: The model takes features instead of images.
    """
    path = Path(path)
    if path.suffix in (".onnx", ".xml"):
        return _exported(path)
    if path.suffix == ".py":
        config, file_bytes, name = load_config(path), None, path.stem
        model = build_model(without_weights(config["model"], texts=True)).eval()
    else:
        checkpoint = find_checkpoint(path)
        state = load_run(checkpoint)
        config, model, file_bytes = state["config"], model_of(state), checkpoint.stat().st_size
        name = path.name or path.resolve().name
    scenario = config.get("scenario") or {}  # a pretraining may have none
    if scenario.get("feature_type") is not None:
        raise ModelError(
            f"{path}: its model takes the features '{scenario['feature_type']}', and a profile is "
            "made with images. Profile the network that made the features."
        )
    convolution = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    channels = 3 if convolution is None else convolution.in_channels
    crops, size = prepared(scenario.get("eval_transform"))
    return Subject(name, model.to(device), file_bytes, channels, size or SIZE, crops)


def profile_subject(
    subject: Subject,
    batches: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    device: torch.device,
    *,
    warmup: int = 3,
    repeats: int = 20,
) -> list[Profile]:
    """Measure a model at every size and batch; an exported one on the CPU.

    Args:
        subject: The model.
        batches: Numbers of images.
        sizes: (H, W); none for the size that its preprocessing gives.
        device: Where it is.
        warmup: Passes before the first that counts.
        repeats: Passes that count.

    Raises:
        ModelError: The model fails at one of them.
    """
    cases = [(batch, size) for size in sizes or [subject.size] for batch in batches]
    shown = tqdm(cases, desc=subject.name, unit="size", leave=False, disable=None)
    where = device if subject.exported is None else torch.device("cpu")
    return [
        subject.with_macs(
            profile_forward(
                subject.model,
                subject.batch(batch, size, where),
                name=subject.name,
                backend=subject.backend,
                warmup=warmup,
                repeats=repeats,
            )
        )
        for batch, size in shown
    ]


def _exported(path: Path) -> Subject:
    """Return an exported file's model, with as many threads as PyTorch has."""
    model: OnnxModel | OpenVinoModel
    files = [path]
    if path.suffix == ".xml":
        model = OpenVinoModel(path, torch.get_num_threads())
        files += [path.with_suffix(".bin"), path.with_suffix(".json")]
    else:
        model = OnnxModel(path)
    about = model.metadata
    if "channels" not in about:
        raise ArtifactError(
            f"{path}: its {path.stem}.json, which says what images it takes, is missing or says "
            "too little. Write the model again with tools/compress.py."
        )
    crops, own = prepared(about.get("eval_transform"))
    fixed = about.get("size")
    size = (int(fixed[0]), int(fixed[1])) if fixed else own or SIZE
    return Subject(
        name=path.name,
        model=model,
        file_bytes=sum(file.stat().st_size for file in files),
        channels=about["channels"],
        size=size,
        crops=crops,
        exported=about,
    )


def prepared(steps: Any) -> tuple[int, tuple[int, int] | None]:  # noqa: ANN401
    """Return how many crops an evaluation makes of an image, and their H and W.

    Args:
        steps: ``scenario.eval_transform``.

    Returns:
        The crops, and (H, W), or None where they depend on the image.
    """
    if not steps:
        return 1, None
    pipeline = build_pipeline(steps, "scenario.eval_transform", quality=False)
    wide = pipeline(torch.zeros(3, 480, 640, dtype=torch.uint8))
    tall = pipeline(torch.zeros(3, 640, 480, dtype=torch.uint8))
    crops = wide.shape[0] if wide.ndim == 4 else 1
    if wide.shape != tall.shape:
        return crops, None
    height, width = wide.shape[-2:]
    return crops, (int(height), int(width))


def parse_size(text: str, option: str = "--sizes") -> tuple[int, int]:
    """Return H and W of ``"224"`` or ``"384x512"`` (height first).

    Args:
        text: What the command line says.
        option: Where it says so, for the error message.

    Raises:
        ConfigError: The text is neither.

    >>> parse_size("224"), parse_size("384x512")
    ((224, 224), (384, 512))
    """
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(f"{option} {text}: write 224, or height x width as 384x512.")
    return int(parts[0]), int(parts[-1])
