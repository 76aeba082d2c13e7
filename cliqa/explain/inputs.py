"""What a model sees: samples of a config's data after the transforms, as figures."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from cliqa.benchmarks.experience import evaluated_names
from cliqa.engine.check import check_config
from cliqa.engine.pretrain.check import check_pretraining
from cliqa.engine.pretrain.images import build_images
from cliqa.engine.streams import build_benchmark
from cliqa.evaluation.records.tables import number
from cliqa.pretraining.pairs import PairDataset
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import seed_everything
from cliqa.visualization.style import PAGE, new_figure, shortened, styled

SPLITS = ("train", "val", "test")
ACROSS = 6
GAP = 2
"""Images in a row, and white pixels between the crops of one image."""


@dataclass(frozen=True)
class Inputs:
    """Samples of one split of a data set.

    Attributes:
        name: The data set, or the experience.
        split: The split.
        count: Its samples.
        images: Pixels (h, w, 3) or (h, w), 0..1, without the normalisation; crops side by side.
        labels: Their scores in the data set's own units, or their classes.
        shape: What the model gets for one image: (C, h, w), or (crops, C, h, w).
        across: Images in a row of the figure.
    """

    name: str
    split: str
    count: int
    images: list[np.ndarray]
    labels: list[str]
    shape: tuple[int, ...]
    across: int = ACROSS


def browse(
    config: dict[str, Any],
    images: int = 12,
    data_sets: Collection[str] = (),
    splits: Collection[str] = SPLITS,
) -> Iterator[Inputs]:
    """Yield samples of every split of every data set, as the model gets them.

    They are spread over the split's scores or classes. Random steps are drawn by the config's seed.

    Args:
        config: A config of a stream, or of a pretraining, whose pairs are then shown.
        images: Samples of each split.
        data_sets: Names of data sets or experiences; all if empty.
        splits: Names of splits.

    Raises:
        ConfigError: The config is wrong, or a name is unknown.
        DatasetError: The data are not there, or an image cannot be read.
    """
    if "pretrain" in config:
        yield _pairs(check_pretraining(config), images)
        return
    checked = check_config(config)
    benchmark = build_benchmark(checked["scenario"])
    if getattr(benchmark, "has_features", False):
        raise ConfigError("scenario: its samples are feature vectors, which cannot be shown.")
    names = evaluated_names(benchmark)
    unknown = [name for name in data_sets if name not in names]
    if unknown:
        raise ConfigError(
            f"--datasets {unknown[0]}: no such data set. The config has {', '.join(names)}."
        )
    for name in names:
        for split in splits:
            source = benchmark.sources.get((name, split))
            if (not data_sets or name in data_sets) and source is not None and len(source):
                seed_everything(checked.get("seed") or 0, "browse", name, split)
                yield _samples(benchmark, checked["scenario"], name, split, images)


def _samples(
    benchmark: Any,  # noqa: ANN401
    scenario: Mapping[str, Any],
    name: str,
    split: str,
    count: int,
) -> Inputs:
    """Return samples of one split."""
    data, source = benchmark.dataset(name, split), benchmark.sources[name, split]
    targets = np.asarray([float(target) for target in data.targets])
    order = np.argsort(targets, kind="stable")
    places = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    key = "train_transform" if split == "train" else "eval_transform"
    shown, labels, shape = [], [], ()
    for index in order[places].tolist():
        image, target = data[index][:2]
        shape = tuple(image.shape)
        shown.append(pixels(image, scenario.get(key) or ()))
        labels.append(_label(source, benchmark, target))
    return Inputs(name, split, len(order), shown, labels, shape)


def _label(source: Any, benchmark: Any, target: object) -> str:  # noqa: ANN401
    """Return a score in the data set's units, or the name of a class."""
    if hasattr(source, "to_raw"):
        return number(float(source.to_raw(float(target))), 2)  # type: ignore[arg-type]
    names = getattr(benchmark, "class_names", None)
    return shortened(str(names[int(target)]), 16) if names else f"class {int(target)}"  # type: ignore[call-overload]


def _pairs(config: dict[str, Any], images: int) -> Inputs:
    """Return the two crops of some images at every level of a degradation."""
    seed = int(config.get("seed") or 0)
    arguments = dict(config["pretrain"].get("data") or {})
    arguments.pop("held_out", None)
    source = build_images(config, arguments.pop("root", None), arguments)
    data = PairDataset(source, **arguments, seed=seed)
    shown, labels = [], []
    places = np.linspace(0, len(data) - 1, min(max(1, images // 4), len(data))).round().astype(int)
    for index in places.tolist():
        pair = data[index]  # (2, L, C, h, w)
        for crop, levels in enumerate(pair, start=1):
            for level, image in enumerate(levels, start=1):
                shown.append(_visible(image.float() / 255))
                labels.append(f"image {index}, crop {crop}, level {level}")
    across = pair.shape[1]
    return Inputs("pretraining", "pairs", len(data), shown, labels, tuple(pair.shape[2:]), across)


def pixels(image: torch.Tensor, steps: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return an image as it is shown: without its normalisation, crops side by side.

    Args:
        image: (C, h, w), or (crops, C, h, w).
        steps: The config of the transforms; their `Normalize` is undone.

    Returns:
        (h, w, 3), or (h, w) of one channel, 0..1.
    """
    for step in reversed(steps):
        if str(step.get("type")).rpartition(".")[2] == "Normalize":
            mean, std = (torch.as_tensor(step[key]).view(-1, 1, 1) for key in ("mean", "std"))
            image = image * std + mean
            break
    if image.ndim == 3:
        return _visible(image)
    across = math.ceil(math.sqrt(len(image)))
    down = math.ceil(len(image) / across)
    _, channels, height, width = image.shape
    sheet = torch.ones(channels, down * (height + GAP) - GAP, across * (width + GAP) - GAP)
    for index, crop in enumerate(image):
        top, left = index // across * (height + GAP), index % across * (width + GAP)
        sheet[:, top : top + height, left : left + width] = crop
    return _visible(sheet)


def _visible(image: torch.Tensor) -> np.ndarray:
    """Return (C, h, w) as (h, w, 3), or as (h, w) of one channel, cut to 0..1."""
    shown: np.ndarray = image.clamp(0, 1).permute(1, 2, 0).numpy()
    return shown[..., 0] if shown.shape[2] == 1 else shown[..., :3]


@styled
def draw_inputs(inputs: Inputs) -> Figure:
    """Draw samples as a grid with their scores or classes."""
    across = min(inputs.across, max(1, len(inputs.images)))
    down = math.ceil(len(inputs.images) / across)
    cell = PAGE / max(across, 3)
    height, width = inputs.images[0].shape[:2]
    rows = down * (cell * min(height / width, 2) + 0.2)
    figure = new_figure(PAGE, 0.35 + rows, square=True)
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, image, label in zip(panels, inputs.images, inputs.labels, strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.set_xlabel(label, labelpad=2, size=6 if len(label) > 12 else 7.5)
    for axes in panels[len(inputs.images) :]:
        axes.remove()
    size = " x ".join(map(str, inputs.shape))
    figure.suptitle(
        f"{shortened(inputs.name, 30)}, {inputs.split}: {len(inputs.images)} of {inputs.count}, "
        f"{size} each" if inputs.split != "pairs"
        else f"pretraining pairs of {inputs.count} images, {size} each",
        x=0.01, ha="left", size=8.5, weight="bold",
    )  # fmt: skip
    return figure
