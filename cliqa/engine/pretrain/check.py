"""All names and arguments of a pretraining's config, checked before any image is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cliqa.config.suggest import closest
from cliqa.engine.check import check_scenario, kind_of
from cliqa.engine.loggers.build import PROVIDED
from cliqa.engine.places import Place, as_used, listed, model_places
from cliqa.losses.qualiclip import QualiCLIPLoss, SimplifiedQualiCLIPLoss
from cliqa.models.build import check_model
from cliqa.models.weights.start import check_start
from cliqa.pretraining.pairs import PairDataset
from cliqa.pretraining.pretrainer import Pretrainer
from cliqa.pretraining.projection import QualityProjection
from cliqa.pretraining.text_anchors import build_anchors
from cliqa.registry import LOGGERS, LOSSES, check_component, parameters_of
from cliqa.transforms.degradations.ladders import find_family
from cliqa.transforms.pixel_store.choose import Cache
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

BY_ENGINE = {
    "data": ("seed",),
    "projection": ("encoder", "anchors", "in_features"),
    "training": ("model", "data", "loss", "amp", "num_workers", "device", "seed")
    + ("validate", "after_epoch"),
}
"""Arguments that are no keys of a config."""

PARTS: dict[str, Callable[..., Any]] = {
    "data": PairDataset,
    "anchors": build_anchors,
    "projection": QualityProjection,
}
"""Keys of the section that are sections themselves, and whose arguments they hold."""


@dataclass(frozen=True)
class Source:
    """Keys of ``pretrain.data`` other than those of the pairs.

    Attributes:
        root: A folder of images; None for the training images of the config's scenario.
        held_out: The share of the images that is held out, or their number.
        cache: Where images are kept once they are decoded; as ``scenario.cache``.
    """

    root: str | Path | None = None
    held_out: float = 0.2
    cache: Cache = "auto"


def check_pretraining(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check all names and arguments of a pretraining's config without reading data.

    Returns:
        The config with every argument as it is taken; see `as_used`.

    Raises:
        ConfigError: A key, a type, an argument or a degradation is unknown, or none says what to
            train on.
    """
    section = config["pretrain"]
    if config.get("cl_strategy"):
        get_logger(__name__).warning("cl_strategy: not used, as the config has 'pretrain'.")
    for place in listed(LOGGERS, config, "loggers", provided=PROVIDED):
        place.check()
    check_model(config["model"])
    if config.get("load_from"):
        check_start(config["load_from"])
    training = _accepted(Pretrainer, BY_ENGINE["training"])
    _check_keys("pretrain", section, [*PARTS, "loss", *training])
    for name, component in PARTS.items():
        _check_part(name, section.get(name) or {}, component)
    loss = check_component(LOSSES, loss_section(section), "pretrain.loss")
    if loss not in (QualiCLIPLoss, SimplifiedQualiCLIPLoss):
        raise ConfigError(
            "pretrain.loss: use 'QualiCLIPLoss' or 'SimplifiedQualiCLIPLoss'; others need scores."
        )
    data = section.get("data") or {}
    if data.get("root") is None and config.get("scenario") is None:
        raise ConfigError(
            "pretrain.data: names no folder of images. Set pretrain.data.root, or inherit a "
            "scenario, whose training images are then used without their scores."
        )
    if config.get("scenario") is not None:
        check_scenario(config["scenario"])
        if data.get("root") is None and kind_of(config["scenario"]) == "classes":
            raise ConfigError(
                "pretrain.data: the scenario is one of classes, and pretraining reads images of "
                "data sets with scores. Set pretrain.data.root to the folder of images."
            )
    used = as_used(config, _places(config))
    for family in data.get("families") or ():
        find_family(family)
    return used


def _places(config: Mapping[str, Any]) -> Iterator[Place]:
    """Yield the places of a pretraining's config."""
    section = config["pretrain"]
    own = {key: value for key, value in section.items() if key not in (*PARTS, "loss")}
    yield Place(("pretrain",), own, Pretrainer)
    for name, component in PARTS.items():
        given = section.get(name) or {}
        of_source = {f.name: given[f.name] for f in fields(Source) if f.name in given}
        rest = {key: value for key, value in given.items() if key not in of_source}
        yield Place(("pretrain", name), rest, component)
        yield Place(("pretrain", name), of_source, Source)
    if section.get("loss"):
        yield Place(("pretrain", "loss"), section["loss"], LOSSES)
    yield from model_places(config)
    yield from listed(LOGGERS, config, "loggers")


def _accepted(component: Callable[..., Any], away: Sequence[str]) -> list[str]:
    """Return the arguments that a component takes, without those that the engine gives."""
    return [name for name in parameters_of(component)[0] if name not in away]


def _check_part(name: str, given: object, component: Callable[..., Any]) -> None:
    """Check the keys of one part."""
    if not isinstance(given, Mapping):
        raise ConfigError(f"pretrain.{name}: expected dict(...), got {given!r}.")
    names = _accepted(component, BY_ENGINE.get(name, ()))
    if name == "data":
        names = [*(one.name for one in fields(Source)), *(n for n in names if n != "images")]
    _check_keys(f"pretrain.{name}", given, names)


def _check_keys(where: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse a key that is none of the names."""
    for key in given:
        if key not in names:
            raise ConfigError(
                f"{where}: unknown key '{key}'.{closest(key, names)} It has {', '.join(names)}."
            )


def loss_section(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section of the loss; QualiCLIP's margins where there is none."""
    loss: dict[str, Any] = section.get("loss") or {"type": "QualiCLIPLoss"}
    return loss
