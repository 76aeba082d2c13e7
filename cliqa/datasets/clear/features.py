"""Stored features: one vector for each image, computed by a pretrained network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cliqa.config.suggest import listed
from cliqa.datasets.clear.files import COPY_AGAIN, read_object, written_by
from cliqa.datasets.clear.layout import TRAINING, Layout
from cliqa.datasets.clear.metadata import Metadata, Record
from cliqa.utils.checkpoint import is_stored, saved_damage
from cliqa.utils.errors import ConfigError, DatasetError

FEATURES = "features"


def check_feature_type(root: Path, layout: Layout, name: str) -> None:
    """Check that a data set has features of a name.

    Raises:
        ConfigError: It has none.
    """
    if layout == "old":
        paths = [path.parent for path in (root / TRAINING / FEATURES).glob("*/*/all.pth")]
    else:
        paths = list(root.glob(f"train/{FEATURES}/*/features.json"))
    existing = sorted({path.parent.name for path in paths})
    if name not in existing:
        there = f"There are {', '.join(existing)}." if existing else "There are none."
        advice = written_by("features", root, f"--name {name}")
        raise ConfigError(
            f"scenario.feature_type: {root} has no features '{name}'. {there} {advice}"
        )


def read_features(
    root: Path, name: str, bucket: str, targets: Sequence[int], listed: str
) -> Tensor:
    """Return a bucket's features in the old layout, float32 (N, D), in the order of its list.

    `targets` are the classes of the bucket's images, and `listed` is the file that lists them.

    Raises:
        DatasetError: The file is missing or damaged, or does not fit the list.
    """
    path = root / TRAINING / FEATURES / name / bucket / "all.pth"
    again = written_by("features", root, f"--name {name} --overwrite")
    value = _load(path, written_by("features", root, f"--name {name}"))
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise DatasetError(
            f"{path}: expected a pair of features (N, D) and N classes, got a "
            f"{type(value).__name__}. {again}"
        )
    features = _as_matrix(value[0], path)
    if len(features) != len(targets):
        raise DatasetError(
            f"{path}: {len(features)} features for the {len(targets)} images of {listed}. {again}"
        )
    classes = value[1]
    if isinstance(classes, Tensor) and classes.shape == (len(targets),):
        classes = classes.tolist()
    if not isinstance(classes, (list, tuple)) or list(classes) != list(targets):
        raise DatasetError(f"{path}: its classes are not those of {listed}, in that order. {again}")
    return features


def read_class_features(metadata: Metadata, name: str, bucket: str) -> Tensor:
    """Return a bucket's features that are stored class by class, each under its image's id.

    They are float32 (N, D), in the order of the records; `metadata` may be of a part of a data set.

    Raises:
        DatasetError: A file is missing or damaged, or does not have exactly the images' ids.
    """
    folder = metadata.folder
    index = folder / FEATURES / name / "features.json"
    root = folder.parent if metadata.part else folder
    advice = written_by("features", root, f"--name {name}")
    files = read_object(index, advice).get(bucket)
    if not isinstance(files, dict):
        raise DatasetError(f"{index}: no bucket {bucket}. {advice} --overwrite")
    rows: list[Tensor] = []
    for class_name, own in metadata.records(bucket).items():
        if not own:
            continue
        file = files.get(class_name)
        if not isinstance(file, str):
            raise DatasetError(
                f"{index}: bucket {bucket} has no class '{class_name}'. {advice} --overwrite"
            )
        rows.append(_read_one_class(folder / file, own, advice))
    widths = sorted({row.shape[1] for row in rows})
    if len(widths) > 1:
        raise DatasetError(
            f"{index}: bucket {bucket} has features of {widths[0]} and of {widths[-1]} numbers. "
            f"{advice} --overwrite"
        )
    return torch.cat(rows)


def _read_one_class(path: Path, records: Sequence[Record], advice: str) -> Tensor:
    """Return the features (n, D) of one class, in the order of the records."""
    value = _load(path, advice)
    if not isinstance(value, dict):
        raise DatasetError(
            f"{path}: expected features by image id, got a {type(value).__name__}. "
            f"{advice} --overwrite"
        )
    named = {str(key): row for key, row in value.items()}
    missing = [record.image_id for record in records if record.image_id not in named]
    foreign = set(named) - {record.image_id for record in records}
    if missing or foreign:
        what = f"no feature of image {listed(missing, 5)}" if missing else ""
        what = what or f"features of {listed(sorted(foreign), 5)}, which the metadata does not list"
        raise DatasetError(f"{path}: {what}. {advice} --overwrite")
    return _as_matrix([named[record.image_id] for record in records], path)


def _load(path: Path, advice: str) -> object:
    """Load tensors without executing code; raise a DatasetError if the file holds anything else."""
    if not path.is_file():
        raise DatasetError(f"{path}: missing. {advice}")
    try:
        damage = saved_damage(path)
        if damage:
            raise RuntimeError(damage)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  damage makes PyTorch raise any error
        reason = (str(error).splitlines() or ["it ends too early"])[0]
        raise DatasetError(
            f"{path}: no readable tensors ({reason}). {COPY_AGAIN} Or {advice[0].lower()}"
            f"{advice[1:]} --overwrite"
        ) from error


def _as_matrix(value: object, path: Path) -> Tensor:
    """Return features as float32 (N, D); raise a DatasetError if they are not finite floats."""
    for part in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(part, Tensor) and (part.device.type != "cpu" or not is_stored(part)):
            raise DatasetError(
                f"{path}: a tensor of shape {tuple(part.shape)} whose numbers are not all in the "
                f"file. {COPY_AGAIN}"
            )
    if isinstance(value, (list, tuple)) and value:
        wrong = next((row for row in value if not isinstance(row, Tensor)), None)
        shapes = {tuple(row.shape) for row in value if isinstance(row, Tensor)}
        if wrong is not None or len(shapes) > 1:
            found = f"rows of shapes {sorted(shapes)}" if wrong is None else repr(wrong)
            raise DatasetError(f"{path}: features must be (N, D), got {found}. {COPY_AGAIN}")
        value = torch.stack([row.detach() for row in value])
    if not isinstance(value, Tensor) or value.ndim != 2 or not value.is_floating_point():
        found = (
            f"{value.dtype} {tuple(value.shape)}"
            if isinstance(value, Tensor)
            else type(value).__name__
        )
        raise DatasetError(f"{path}: features must be float (N, D), got {found}. {COPY_AGAIN}")
    matrix = value.detach().to(torch.float32)
    finite = torch.isfinite(matrix).all(dim=1)
    if not finite.all():
        row = int((~finite).nonzero()[0])
        raise DatasetError(f"{path}: feature {row} is not finite. Make the features again.")
    return matrix
