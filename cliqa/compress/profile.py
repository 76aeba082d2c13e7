"""Profiles of a run's model, of an exported one, or of the model that a config describes.

Size, MACs, latency and memory are measured, and shown as tables or written to a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cliqa.compress.image_size import SIZE, crops_and_size, own_size
from cliqa.config.load import load_config
from cliqa.config.trust import without_weights
from cliqa.deploy.backends import backend_of, open_exported
from cliqa.deploy.profiling import (
    Forward,
    Profile,
    count_parameters,
    profile_forward,
    weight_bytes,
)
from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run, model_of
from cliqa.evaluation.records.table_styles import STYLES, Table, render
from cliqa.evaluation.records.tables import number
from cliqa.models.build import build_model
from cliqa.utils.errors import ArtifactError, ConfigError, ModelError
from cliqa.utils.io import write_json, write_text
from cliqa.utils.progress import track

SUFFIXES = (".json", *STYLES)
"""Of a profile's file."""


@dataclass(frozen=True)
class ProfiledModel:
    """A model to profile.

    Attributes:
        name: Its name.
        model: The model, in evaluation mode.
        file_bytes: Size of the checkpoint, with all that training needs, or of the exported file;
            None for a config.
        channels: Channels of its images.
        size: H and W of the images that it works on.
        crops: Crops that an evaluation makes of an image: as many passes.
        exported: The description of an exported file; None for a PyTorch model.
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
        """The library that runs the model."""
        return backend_of(self.name) or "torch"

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
        """Return a profile with the MACs that an exported file states for images of that size."""
        about = self.exported or {}
        if not about.get("macs") or about.get("macs_size") != [row.height, row.width]:
            return row
        return replace(row, gmacs=about["macs"] / 1e9, gflops=2 * about["macs"] / 1e9)

    def batch(self, images: int, size: tuple[int, int], device: torch.device) -> torch.Tensor:
        """Return random images (B, C, H, W)."""
        noise = torch.Generator().manual_seed(0)
        return torch.rand(images, self.channels, *size, generator=noise).to(device)


def load_profiled(path: str | Path, device: torch.device) -> ProfiledModel:
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
    if backend_of(path):
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
    crops, _ = crops_and_size(scenario.get("eval_transform"))
    size = own_size(scenario)
    return ProfiledModel(name, model.to(device), file_bytes, channels, size or SIZE, crops)


def profile_model(
    profiled: ProfiledModel,
    batches: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    device: torch.device,
    *,
    warmup: int = 3,
    repeats: int = 20,
) -> list[Profile]:
    """Measure a model at every size (H, W) and batch; an exported one on the CPU.

    Without sizes it is measured at the run's own (`own_size`).

    Raises:
        ModelError: The model fails at one of them.
    """
    cases = [(batch, size) for size in sizes or [profiled.size] for batch in batches]
    shown = track(cases, f"measure {profiled.name}", unit="size")
    where = device if profiled.exported is None else torch.device("cpu")
    return [
        profiled.with_macs(
            profile_forward(
                profiled.model,
                profiled.batch(batch, size, where),
                name=profiled.name,
                backend=profiled.backend,
                warmup=warmup,
                repeats=repeats,
            )
        )
        for batch, size in shown
    ]


def _exported(path: Path) -> ProfiledModel:
    """Return an exported file's model, with as many threads as PyTorch has."""
    is_openvino = backend_of(path) == "openvino"
    files = [path, *(path.with_suffix(s) for s in (".bin", ".json") if is_openvino)]
    model = open_exported(path, torch.get_num_threads())
    about = model.metadata
    if "channels" not in about:
        raise ArtifactError(
            f"{path}: its {path.stem}.json, which describes its images, is missing or "
            "incomplete. Write the model again with cliqa compress."
        )
    crops, _ = crops_and_size(about.get("eval_transform"))
    fixed = about.get("size") or about.get("macs_size")
    size = (int(fixed[0]), int(fixed[1])) if fixed else SIZE
    return ProfiledModel(
        name=path.name,
        model=model,
        file_bytes=sum(file.stat().st_size for file in files),
        channels=about["channels"],
        size=size,
        crops=crops,
        exported=about,
    )


def parameter_table(models: Sequence[ProfiledModel]) -> Table:
    """Return a line a part of every model: its parameters, and sizes in MiB."""
    rows = [row for profiled in models for row in _parameter_rows(profiled)]
    header = ("model", "part", "parameters", "trainable", "weights MiB", "file MiB")
    return Table("Parameters", header, tuple(rows))


def _parameter_rows(profiled: ProfiledModel) -> Iterator[tuple[str, ...]]:
    """Yield the lines of one model."""
    for part, (every, trained) in profiled.parameters.items():
        sizes = ("", "")
        if part == "total":
            sizes = (_mib(profiled.weight_bytes), _mib(profiled.file_bytes))
        yield profiled.name, part, f"{every:,}", f"{trained:,}", *sizes


def _mib(count: int | None) -> str:
    """Return bytes in MiB."""
    return number(None if count is None else count / 2**20, 2)


def profile_table(rows: Sequence[Profile]) -> Table:
    """Return a line a model and size."""
    header = (
        "model",
        "backend",
        "batch",
        "H x W",
        "GMACs",
        "GFLOPs",
        "p50 ms",
        "p95 ms",
        "CPU ms",
        "images/s",
        "peak MiB",
    )
    cells = [
        (
            row.name,
            row.backend,
            str(row.batch),
            f"{row.height} x {row.width}",
            number(row.gmacs, 4),
            number(row.gflops, 4),
            *(number(value, 2) for value in (row.p50_ms, row.p95_ms, row.cpu_ms)),
            number(row.images_per_s, 1),
            number(row.peak_mib, 0),
        )
        for row in rows
    ]
    where = {f"{row.device}, {row.threads} thread(s)" for row in rows}
    title = f"One forward pass ({'; '.join(sorted(where))}); MACs and FLOPs of one image"
    return Table(title, header, tuple(cells))


def check_report(path: Path) -> None:
    """Raise a ConfigError if a report cannot have this name."""
    if path.suffix not in SUFFIXES:
        raise ConfigError(f"--out {path}: the name must end in {', '.join(SUFFIXES)}.")


def write_report(path: Path, models: Sequence[ProfiledModel], rows: Sequence[Profile]) -> None:
    """Write a profile atomically.

    Args:
        path: ``.json`` (everything, unrounded), ``.csv`` (a line a size, unrounded), or ``.md``,
            ``.txt``, ``.tex`` or ``.html`` (the tables).
        models: The models.
        rows: Their profiles.

    Raises:
        ConfigError: The suffix is another.
    """
    check_report(path)
    if path.suffix == ".json":
        facts = {profiled.name: _facts(profiled) for profiled in models}
        write_json(path, {"models": facts, "rows": [row.to_row() for row in rows]})
    elif path.suffix == ".csv":
        names = tuple(field.name for field in fields(Profile))
        cells = [["" if v is None else str(v) for v in row.to_row().values()] for row in rows]
        write_text(path, render(Table("Profile", names, tuple(map(tuple, cells))), "csv"))
    else:
        tables = (parameter_table(models), profile_table(rows))
        style = STYLES[path.suffix]
        write_text(path, "\n".join(render(table, style) for table in tables))


def _facts(profiled: ProfiledModel) -> dict[str, Any]:
    """Return a model's sizes as plain values."""
    return {
        "parameters": {
            part: {"all": every, "trainable": trained}
            for part, (every, trained) in profiled.parameters.items()
        },
        "weight_bytes": profiled.weight_bytes,
        "checkpoint_bytes" if profiled.exported is None else "file_bytes": profiled.file_bytes,
        "crops": profiled.crops,
    }
