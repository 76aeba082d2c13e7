"""EVA and AVA by the paths of their image folder and their label file, ready for a DataLoader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cliqa.datasets.quality.ava import AVA
from cliqa.datasets.quality.eva import EVA
from cliqa.transforms.pipeline import Pipeline, build_pipeline
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.paths import home_path

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's, of red, green and blue."""


class EVADataset(EVA):
    """`EVA` by two paths, its images resized, cropped and normalised.

    ``EVADataset(image_dir="./eva_images", label_file="./eva_labels.csv")``; the columns of the csv
    file are ``image_id`` and ``score`` (0..10), or those of the official votes.

    Item i is ``(image, score)``: float32 (3, S, S), normalised with ImageNet's mean and deviation,
    and a float32 scalar 0..1. ``subset("train")`` is a split.

    Args:
        image_dir: The folder of the images.
        label_file: The label file.
        image_size: S, the edge in pixels: the shorter edge is resized to it, and the centre
            cropped. None for images as they are stored, uint8 (3, H, W).
        common: Further arguments of `EVA`: ``score_range``, ``seed``, ``fractions`` ...

    Raises:
        ConfigError: An option is wrong.
        DatasetError: A path does not exist, or the label file or an image is wrong.
    """

    def __init__(
        self,
        image_dir: str | Path,
        label_file: str | Path,
        image_size: int | None = 224,
        **common: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(**_paths("EVADataset", "image_dir", image_dir, label_file), **common)
        self.transform = _standard(image_size, "EVADataset")


class AVADataset(AVA):
    """`AVA` by two paths, its images resized, cropped and normalised.

    ``AVADataset(label_file="./ava_labels.json", img_root="./ava_images")``; the json file is
    ``{"files": [{"image": "ava_001.jpg", "score": 8.1}, ...]}`` with scores of 1..10. The official
    ``AVA.txt`` needs ``test_list``, the path of the list of test images.

    Items are those of `EVADataset`.

    Args:
        label_file: The label file.
        img_root: The folder of the images.
        image_size: As `EVADataset`.
        common: Further arguments of `AVA`: ``test_list``, ``score_range``, ``seed`` ...

    Raises:
        ConfigError: An option is wrong.
        DatasetError: A path does not exist, or the label file or an image is wrong.
    """

    def __init__(
        self,
        label_file: str | Path,
        img_root: str | Path,
        image_size: int | None = 224,
        **common: Any,  # noqa: ANN401
    ) -> None:
        if "test_list" in common:
            common["test_list"] = str(home_path(common["test_list"]).absolute())
        super().__init__(**_paths("AVADataset", "img_root", img_root, label_file), **common)
        self.transform = _standard(image_size, "AVADataset")


def _paths(who: str, option: str, folder: str | Path, labels: str | Path) -> dict[str, Any]:
    """Return two paths as the arguments of a `LabelledFolder`.

    Raises:
        DatasetError: One does not exist; the message has the option's name.
    """
    images, table = home_path(folder).absolute(), home_path(labels).absolute()
    if not images.is_dir():
        raise DatasetError(f"{who}: {option}={str(folder)!r} is no folder (from {Path.cwd()}).")
    if not table.is_file():
        raise DatasetError(f"{who}: label_file={str(labels)!r} is no file (from {Path.cwd()}).")
    return {"root": images, "labels": str(table), "images": str(images)}


def _standard(size: int | None, who: str) -> Pipeline | None:
    """Return the transform of images to one size; None to leave them as they are.

    Raises:
        ConfigError: The size is not a whole number of pixels.
    """
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ConfigError(f"{who}: image_size must be pixels, or None, got {size!r}.")
    return build_pipeline(
        [
            {"type": "Resize", "size": size},
            {"type": "CenterCrop", "size": size},
            {"type": "ToTensor"},
            {"type": "Normalize", "mean": MEAN, "std": STD},
        ],
        f"{who}.transform",
    )
