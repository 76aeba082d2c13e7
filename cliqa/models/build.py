"""Building and initialising models from configs."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from cliqa.config.arguments import arguments_of
from cliqa.models.backbones.downloads import keys_below
from cliqa.models.backbones.pretraining_only import check_backbone
from cliqa.models.backbones.probe import probed
from cliqa.models.mmpretrain_bridge import initialise, model_scope
from cliqa.models.outputs import CHANNELS, last_output, needs_channels
from cliqa.models.weights.weights import load_weights
from cliqa.registry import MODELS, Component, build_component, check_component
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

PARTS = ("backbone", "neck", "head", "text_encoder")


def check_model(config: Mapping[str, Any], where: str = "model") -> None:
    """Check the names and arguments of a model and of its parts without building anything.

    Args:
        config: The model's config. Without a ``type`` but with a backbone it is mmpretrain's
            ``ImageClassifier``, as in mmpretrain's own configs.
        where: Its key path, for the error message.

    Raises:
        ConfigError: A type is unknown, or an argument is unknown or missing.
    """
    config = with_type(config, where)
    component = check_component(MODELS, config, where)
    for part in PARTS:
        if config.get(part) is not None and not takes_name(component, part):
            listed = part == "neck" and config["type"] == "ImageClassifier"
            for place, section in _sections(config[part], f"{where}.{part}", listed=listed):
                found = [CHANNELS] if part == "head" and _may_be_found(section) else []
                checked = check_component(MODELS, section, place, found)
                if part == "backbone":
                    check_backbone(checked, place)


def _sections(section: Any, where: str, *, listed: bool) -> list[tuple[str, Any]]:  # noqa: ANN401
    """Return a part's section, or those of a list of necks, each with its key path."""
    if listed and isinstance(section, (list, tuple)):
        return [(f"{where}[{index}]", one) for index, one in enumerate(section)]
    return [(where, section)]


def _may_be_found(head: object) -> bool:
    """Return whether a head's ``in_channels`` are left out, and needed."""
    return isinstance(head, Mapping) and needs_channels(head)


def check_unused(config: Mapping[str, Any], loss: object, where: str = "model") -> None:
    """Refuse keys that mmpretrain uses in its own training loop alone; warn of another loss.

    Args:
        config: The model's config.
        loss: The section of the loss that trains.
        where: Its key path, for the messages.

    Raises:
        ConfigError: The model blends images, or normalises them.
    """
    if with_type(config, where)["type"] != "ImageClassifier":
        return
    if (config.get("train_cfg") or {}).get("augments"):
        raise ConfigError(
            f"{where}.train_cfg: Mixup and CutMix blend images in mmpretrain's own training loop "
            "alone. Write train_cfg=None into the model; RandomErasing and RandAugment are "
            "transforms here."
        )
    if config.get("data_preprocessor"):
        raise ConfigError(
            f"{where}.data_preprocessor: images are normalised by scenario.train_transform and "
            "scenario.eval_transform: write dict(type='Normalize', mean=..., std=...) there, of "
            "levels 0..1, and data_preprocessor=None into the model."
        )
    head = config.get("head")
    own = (head.get("loss") or {}).get("type") if isinstance(head, Mapping) else None
    used = loss.get("type") if isinstance(loss, Mapping) else None
    if own and own != used:
        logger.warning("%s.head.loss '%s' is not used: cl_strategy.loss is '%s'.", where, own, used)


def takes_name(component: Component, part: str) -> bool:
    """Return whether a model takes a part by its name alone, as a string."""
    argument = arguments_of(component).get(part)
    return argument is not None and argument.annotation is str


def build_model(config: Mapping[str, Any], where: str = "model") -> nn.Module:
    """Build a model and initialise its weights, reproducibly under torch's seed.

    Args:
        config: As for `check_model`; it is not changed. ``pretrained`` of an ``ImageClassifier``
            is a local file of weights.
        where: Its key path, for the error message.

    Returns:
        The model: images (B, 3, H, W) -> scores (B,), or logits (B, K) of a classifier.

    Raises:
        ConfigError: A name or an argument is wrong, or a constructor rejected a value.
        ModelError: Weights do not fit the model.
    """
    check_model(config, where)
    config = with_type(copy.deepcopy(dict(config)), where)  # mmpretrain's classes change theirs
    weights = config.pop("pretrained", None) if config["type"] == "ImageClassifier" else None
    with model_scope(), keys_below(where):
        if config["type"] == "ImageClassifier" and _may_be_found(config.get("head")):
            config |= _with_channels(config)
        model = build_component(MODELS, config, where)
    if not isinstance(model, nn.Module):
        raise ConfigError(
            f"{where} '{config['type']}': is not a model but a {type(model).__name__}."
        )
    initialise(model)
    if weights is not None:
        load_weights(model, weights, backbone_alone=True)
    return model


def _with_channels(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ``ImageClassifier``'s backbone and neck, built, and its completed head.

    Raises:
        ModelError: The backbone cannot process a black image.
    """
    backbone = MODELS.build(config["backbone"])
    neck = MODELS.build(config["neck"]) if config.get("neck") else None

    def features(image: torch.Tensor) -> torch.Tensor:
        outputs = backbone(image)
        return last_output(outputs if neck is None else neck(outputs), type(backbone).__name__)

    found = probed(features, backbone, neck, key=f"model.head.{CHANNELS}=...")
    return {
        "backbone": backbone,
        "neck": neck,
        "head": {**config["head"], CHANNELS: found.shape[1]},
    }


def with_type(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return a model's config with mmpretrain's default type.

    Args:
        config: The config.
        where: Its key path, for the error message.

    Raises:
        ConfigError: The config is not a dict.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"{where}: expected dict(type=...) for a model, got {config!r}.")
    if "type" in config or "backbone" not in config:
        return dict(config)
    return {"type": "ImageClassifier", **config}
