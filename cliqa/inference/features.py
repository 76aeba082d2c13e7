"""Features of CLEAR's images by a pretrained network, written where the readers look for them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from cliqa.config.suggest import listed
from cliqa.datasets.classes.class_dataset import ImageFiles
from cliqa.datasets.clear.features import FEATURES
from cliqa.datasets.clear.layout import PARTS, TRAINING, detect_layout
from cliqa.datasets.clear.metadata import Metadata
from cliqa.datasets.clear.prepare import join_features, prepare
from cliqa.datasets.image_files import join_paths, match_images
from cliqa.inference.feature_origin import claim_folder, describe_origin
from cliqa.models.backbones.extractor import FeatureExtractor, build_extractor
from cliqa.models.input_statistics import statistics_of, with_statistics
from cliqa.transforms.pipeline import Pipeline, build_pipeline
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint
from cliqa.utils.device import check_workers, resolve_device
from cliqa.utils.errors import CheckpointError, CliqaError, ConfigError, DatasetError, ModelError
from cliqa.utils.io import atomic_open, write_json
from cliqa.utils.logging import get_logger
from cliqa.utils.memory import InPieces
from cliqa.utils.paths import home_path
from cliqa.utils.progress import Phase

logger = get_logger(__name__)

PREPROCESSING: list[dict[str, Any]] = [
    {"type": "Resize", "size": 224},
    {"type": "CenterCrop", "size": 224},
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
]
"""The preprocessing of CLEAR's authors, with ImageNet's mean and standard deviation.

Pretrained weights that are known to expect others get theirs.
"""

INDEX, WEIGHTS = "features.json", "state_dict.pth.tar"


@dataclass(frozen=True)
class ClassFile:
    """The images of one class and bucket, and the file that their features go to.

    Attributes:
        bucket: The bucket.
        class_name: The class.
        path: The file of features.
        listed: The metadata file, for messages.
        ids: (N,) the images' ids.
        images: (N,) the images' files.
    """

    bucket: str
    class_name: str
    path: Path
    listed: str
    ids: tuple[str, ...]
    images: tuple[str, ...]


def get_pretrained_features(
    root: str | Path,
    name: str,
    checkpoint: str | Path | None = None,
    arch: str | Mapping[str, Any] = "resnet50",
    *,
    device: str = "auto",
    batch_size: int = 64,
    num_workers: int = 0,
    overwrite: bool = False,
) -> Path:
    """Compute the features of all labelled images of a CLEAR data set.

    A run that was stopped resumes when called again. In the old layout the features
    are joined for ``training_folder`` too, which is prepared if it is not there.

    Args:
        root: The data set's folder, in either layout.
        name: The name of the features: ``scenario.feature_type``.
        checkpoint: A file of weights; see `cliqa.models.backbones.extractor.build_extractor`.
        arch: The network: torchvision's name, or a config.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        batch_size: Images a batch; the features do not depend on it.
        num_workers: Processes that read images.
        overwrite: Remove features that lie under this name, and compute all of them anew.

    Returns:
        The folder of the features; in the new layout that of the training part.

    Raises:
        ConfigError: An argument is wrong.
        DatasetError: The data set is wrong, an image cannot be read (finished files are kept), or
            features of another network lie under this name.
        ModelError: The network cannot be built, or cannot take the images.
        CheckpointError: The checkpoint cannot be read safely.
    """
    root = home_path(root)
    _check(name, batch_size, num_workers)
    place = resolve_device(device)
    layout = detect_layout(root)
    parts = [root] if layout == "old" else [root / part for part in PARTS]
    files = {part: _class_files(part, name) for part in parts}
    if layout == "old":
        _prepare_lists(root, files[root])
    extractor = build_extractor(arch, checkpoint).to(place)
    steps = with_statistics(PREPROCESSING, statistics_of(extractor))
    pipeline = build_pipeline(steps, "preprocessing", quality=False)
    origin = describe_origin(arch, checkpoint, extractor, pipeline)
    for part in parts:
        claim_folder(part, name, origin, overwrite)
        if checkpoint is not None:
            _copy(Path(checkpoint), part / FEATURES / name / WEIGHTS)
    missing = [f for part in parts for f in files[part] if not _is_complete(f, origin["dim"])]
    _compute(extractor, pipeline, missing, batch_size, num_workers)
    for part in parts:
        write_json(part / FEATURES / name / INDEX, _index(part, files[part]))
    if layout == "old":
        join_features(root, name, overwrite=True)
    return parts[0] / FEATURES / name


def _check(name: str, batch_size: int, num_workers: int) -> None:
    """Raise a ConfigError for an argument that cannot be used."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(
            f"name '{name}' is to be a folder's name: use letters, digits, '_', '-' and '.', such "
            "as 'moco_b0'."
        )
    if batch_size < 1:
        raise ConfigError(f"batch_size must be 1 or more, got {batch_size}.")
    check_workers(num_workers, "num_workers")


def _class_files(folder: Path, name: str) -> list[ClassFile]:
    """Return the files to compute for a data set's folder, or for a part of the new layout.

    Raises:
        DatasetError: The metadata are wrong, or images are missing.
    """
    metadata = Metadata(folder)
    found: list[ClassFile] = []
    for bucket, files in metadata.files.items():
        for class_name, records in metadata.records(bucket).items():
            if not records:
                continue
            wanted = [record.path for record in records]
            there = match_images(folder, wanted)
            lost = [path for path, match in zip(wanted, there, strict=True) if match is None]
            if lost:
                raise DatasetError(
                    f"{folder / files[class_name]}: {len(lost)} of its {len(wanted)} images are "
                    f"missing: {listed(lost, 5)}. Unpack the data set again."
                )
            path = folder / FEATURES / name / bucket / f"{class_name}.pth"
            ids = tuple(record.image_id for record in records)
            images = tuple(join_paths(folder, there))
            found.append(ClassFile(bucket, class_name, path, files[class_name], ids, images))
    return found


def _prepare_lists(root: Path, files: Sequence[ClassFile]) -> None:
    """Write the old layout's lists if one is missing: before the work, not after it."""
    buckets = {file.bucket for file in files}
    if not all((root / TRAINING / "filelists" / b / "all.txt").is_file() for b in buckets):
        prepare(root)


def _copy(source: Path, path: Path) -> None:
    """Copy a file atomically."""
    with source.open("rb") as content, atomic_open(path, "wb") as file:
        shutil.copyfileobj(content, file)


def _is_complete(file: ClassFile, length: int) -> bool:
    """Return whether a class's features are complete, and of length D."""
    if not file.path.is_file():
        return False
    try:
        stored = load_checkpoint(file.path)
    except CheckpointError:
        return False
    rows = [row for row in stored.values() if isinstance(row, torch.Tensor)]
    return tuple(stored) == file.ids and [tuple(r.shape) for r in rows] == [(length,)] * len(stored)


class _Images(Dataset["tuple[torch.Tensor | None, str | None]"]):
    """Preprocessed images: (image, None), or (None, the error)."""

    def __init__(self, images: ImageFiles, pipeline: Pipeline) -> None:
        self.images = images
        self.pipeline = pipeline

    def __getitem__(self, index: int) -> tuple[torch.Tensor | None, str | None]:
        try:
            return self.pipeline(self.images[index]), None
        except CliqaError as error:
            return None, str(error)


def _compute(
    extractor: FeatureExtractor,
    pipeline: Pipeline,
    files: Sequence[ClassFile],
    batch_size: int,
    num_workers: int,
) -> None:
    """Write the features of class after class."""
    images = [image for file in files for image in file.images]
    sources = [file.listed for file in files for _ in file.images]
    loader: DataLoader[Any] = DataLoader(
        _Images(ImageFiles(images, sources), pipeline),
        batch_sampler=list(_batches([len(file.ids) for file in files], batch_size)),
        num_workers=num_workers,
        collate_fn=list,
    )
    batches = iter(loader)
    device = next(extractor.parameters()).device
    extract = InPieces(lambda images: extractor(images.to(device)).float().cpu())
    # TF32 rounds to 10 bits, and the algorithm that is chosen for a batch size would show
    exact = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with exact, Phase("features", len(images), "image") as bar:
        for file in files:
            rows: list[torch.Tensor] = []
            while len(rows) < len(file.ids):
                rows += _features(extract, next(batches))
                bar.update(min(batch_size, len(file.ids)))
            save_checkpoint(file.path, dict(zip(file.ids, rows, strict=True)))
    if files:
        logger.info("features of %d images in %d files are written", len(images), len(files))


def _batches(sizes: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield the places of each batch; none reaches from one class into the next."""
    start = 0
    for size in sizes:
        places = list(range(start, start + size))
        start += size
        yield from (places[k : k + batch_size] for k in range(0, size, batch_size))


@torch.inference_mode()
def _features(
    extract: InPieces, samples: Sequence[tuple[torch.Tensor | None, str | None]]
) -> list[torch.Tensor]:
    """Return the features (D,) of a batch, float32 on the CPU.

    Raises:
        DatasetError: An image could not be read.
        ModelError: A feature is not finite.
    """
    error = next((error for _, error in samples if error is not None), None)
    if error is not None:
        raise DatasetError(
            f"{error} Finished files are kept: correct it, and run the same command again."
        )
    batch = torch.stack([image for image, _ in samples if image is not None])
    features = extract(batch)  # (B, D)
    if not features.isfinite().all():
        raise ModelError("the network gives features that are not finite. Check its weights.")
    return list(features)


def _index(part: Path, files: Sequence[ClassFile]) -> dict[str, dict[str, str]]:
    """Return the feature files by bucket and class, relative to the folder."""
    index: dict[str, dict[str, str]] = {}
    for file in files:
        index.setdefault(file.bucket, {})[file.class_name] = file.path.relative_to(part).as_posix()
    return index
