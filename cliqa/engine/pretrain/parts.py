"""From a config's ``pretrain`` section to the objects that it describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cliqa.benchmarks.workers import workers_for
from cliqa.engine.pretrain.check import PARTS, loss_section
from cliqa.engine.pretrain.images import ImageList, build_images, record_images, split
from cliqa.engine.work_dir.data_record import DataRecord
from cliqa.models.build import build_model
from cliqa.models.weights.start import StartReport, start_from
from cliqa.pretraining.pairs import PairDataset
from cliqa.pretraining.pretrainer import Pretrainer
from cliqa.pretraining.projection import QualityProjection, feature_length
from cliqa.pretraining.rank_accuracy import ladder_accuracy
from cliqa.pretraining.text_anchors import build_anchors
from cliqa.registry import LOSSES, build_component
from cliqa.transforms.resize import enlarge
from cliqa.utils.errors import ModelError
from cliqa.utils.seed import seed_everything


@dataclass(frozen=True)
class PretrainParts:
    """What a pretraining consists of.

    Args:
        pretrainer: The loop with its model and its pairs.
        start: What ``load_from`` did, None without one.
        data: The record of the images.
    """

    pretrainer: Pretrainer
    start: StartReport | None
    data: DataRecord


def build_pretraining(config: Mapping[str, Any], device: torch.device) -> PretrainParts:
    """Build a checked config's pretraining.

    Raises:
        ConfigError: A value is out of range.
        DatasetError: There is no image, or none is left to train on.
        ModelError: The model gives no features, or weights or anchors do not fit.
    """
    section = config["pretrain"]
    seed = int(config["seed"])
    seed_everything(seed, "model")
    model, start = build_model(config["model"]), None
    if not callable(getattr(model, "features", None)):
        raise ModelError(
            f"model '{type(model).__name__}' gives no features(images) to pretrain. Use "
            "'QualityModel', 'LightweightModel' or one of the HyperIQA family."
        )
    if config.get("load_from"):
        start = start_from(model, config["load_from"])
    arguments = dict(section.get("data") or {})
    source = build_images(config, arguments.pop("root", None), arguments)
    train, held_out = split(source, arguments.pop("held_out", 0.2), seed)
    data = PairDataset(train, **arguments, seed=seed)
    projection = QualityProjection(
        model,
        build_anchors(**(section.get("anchors") or {})),
        feature_length(model, data.crop_size),
        **(section.get("projection") or {}),
    )
    own = {key: value for key, value in section.items() if key not in (*PARTS, "loss")}
    pretrainer = Pretrainer(
        projection,
        data,
        build_component(LOSSES, loss_section(section), "pretrain.loss"),
        **own,
        amp=config["amp"],
        num_workers=workers_for([train.files], config.get("num_workers") or 0),
        device=device,
        seed=seed,
        validate=held_out_accuracy(held_out, data, device) if len(held_out) else None,
    )
    return PretrainParts(pretrainer, start, record_images(train, held_out))


def held_out_accuracy(
    images: ImageList, data: PairDataset, device: torch.device
) -> Callable[[QualityProjection], dict[str, float]]:
    """Return a function that computes the rank accuracy on the centres of held-out images.

    Each image is cut to one crop of the pairs' size, once: the crops are kept.
    """
    mean, std = data.mean.to(device), data.std.to(device)
    size = data.crop_size

    def centre(image: Tensor) -> Tensor:
        image = enlarge(image, size, size)
        top, left = ((n - size) // 2 for n in image.shape[-2:])
        return image[..., top : top + size, left : left + size]

    crops: list[Tensor] = []

    def validate(model: QualityProjection) -> dict[str, float]:
        # cloned: a view would keep the whole image in memory
        crops.extend(centre(images.image(k)).clone() for k in range(len(crops), len(images)))
        found = ladder_accuracy(
            model.score, crops, data.degradations, lambda x: (x - mean) / std, device=device
        )
        return {f"rank_accuracy_{name}": value for name, value in found.items()}

    return validate
