"""A config's parts, built without its data."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from cliqa.config.trust import without_weights
from cliqa.engine.build import Built, build_model_and_strategy
from cliqa.engine.check import check_config
from cliqa.engine.pretrain.check import PARTS, check_pretraining, loss_section
from cliqa.engine.sections import with_command_line
from cliqa.models.build import build_model
from cliqa.models.without_memory import shape_first
from cliqa.pretraining.pairs import PairDataset
from cliqa.registry import LOSSES, SCENARIOS, build_component, find
from cliqa.transforms.pipeline import build_pipeline
from cliqa.utils.errors import ConfigError, ModelError

PHOTO = (3, 480, 640)
"""The shape of the image that is tried: an ordinary photograph."""

BATCH = 2


def check_by_building(config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Check a config, and build its model, optimizer, loss, plugins, metrics and transforms.

    Sources of weights are left out, and loggers are checked without being built, as they write. A
    photograph of random numbers goes through the transforms, and through a model of quality.

    Args:
        config: A config from `cliqa.config.load.load_config`.

    Returns:
        The config with every argument as its component takes it, and what was built in one line.

    Raises:
        ConfigError: A name, an argument or a value is wrong.
        ModelError: The model cannot be built, or does not take what the transforms give.
    """
    if "pretrain" in config:
        return _pretraining(config)
    checked = check_config(config)
    bare = _without_weights(checked)
    built = built_without_data(checked)
    names = [_name(plugin) for plugin in built.strategy.plugins if _is_own(plugin)]
    facts = [
        _model_facts(built.model),
        _name(built.strategy.optimizer),
        f"{_name(built.strategy)} with {', '.join(names) or 'no plugin'}",
    ]
    for key in ("train_transform", "eval_transform"):
        facts += _try_transform(checked["scenario"], key, bare, built)
    return checked, f"built {'; '.join(facts)}"


def built_without_data(checked: dict[str, Any]) -> Built:
    """Return a checked config's model and strategy, without weights where shapes are enough."""
    bare = _without_weights(checked)
    return shape_first(lambda device: build_model_and_strategy(bare, device))


def _without_weights(checked: dict[str, Any]) -> dict[str, Any]:
    """Return a config without the sources of weights."""
    model = without_weights(checked["model"], texts=True)
    return {**with_command_line(checked), "load_from": None, "model": model}


def _pretraining(config: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Check a pretraining's config, and build its model, its loss and its pairs."""
    checked = check_pretraining(config)
    section = checked["pretrain"]
    loss = build_component(LOSSES, loss_section(section), "pretrain.loss")
    of_data = dict(section.get("data") or {})
    for key in ("root", "held_out"):
        of_data.pop(key, None)
    PairDataset(_NoImages(), **of_data)
    bare = without_weights(checked["model"], texts=True)
    model = shape_first(lambda _: build_model(bare))
    if not callable(getattr(model, "features", None)):
        raise ModelError(
            f"model '{_name(model)}' gives no features(images) to pretrain. Use 'QualityModel', "
            "'LightweightModel' or one of the HyperIQA family."
        )
    parts = ", ".join(key for key in PARTS if section.get(key))
    return checked, f"built {_model_facts(model)}; {_name(loss)}; checked {parts or 'defaults'}"


class _NoImages:
    """A data set without images."""

    def __len__(self) -> int:
        """Return 1, as a data set must not be empty."""
        return 1

    def image(self, index: int) -> torch.Tensor:
        """Return a black photograph."""
        del index
        return torch.zeros(PHOTO, dtype=torch.uint8)


def _try_transform(
    scenario: dict[str, Any], key: str, config: dict[str, Any], built: Built
) -> list[str]:
    """Apply a pipeline to a photograph, and a model of quality to the result."""
    if scenario.get(key) is None or find(SCENARIOS, scenario, "scenario").target_kind != "scores":  # type: ignore[attr-defined]
        return []
    with torch.random.fork_rng(devices=[]):
        photo = torch.randint(0, 256, PHOTO, dtype=torch.uint8)
        image = build_pipeline(scenario[key], f"scenario.{key}", quality=False)(photo)
    _try_model(image, key, config, built)
    return [f"{key} {tuple(image.shape)}"]


def _try_model(image: torch.Tensor, key: str, config: dict[str, Any], built: Built) -> None:
    """Score an image (C, h, w) or its crops (N, C, h, w); on the CPU if shapes alone fail."""
    crops = image[:BATCH] if image.ndim == 4 else image[None].expand(BATCH, *image.shape)

    def score(model: nn.Module) -> None:
        model.eval()
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        with torch.no_grad():
            model(crops.to(device))

    try:
        score(built.model)
    except Exception:  # noqa: BLE001  the CPU tells whether it is a mistake
        model = build_model_and_strategy(config, torch.device("cpu")).model
        try:
            score(model)
        except (RuntimeError, ValueError, TypeError, IndexError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ConfigError(
                f"model: cannot take images of scenario.{key}, of shape {tuple(crops.shape[1:])}: "
                f"{reason}. Check that model.neck and model.head.in_channels fit the backbone, and "
                "the transforms' sizes."
            ) from error


def _model_facts(model: nn.Module) -> str:
    """Return a model's name with its parameters, and how many of them are trained."""
    values = sum(p.numel() for p in model.parameters())
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    part = "" if trained == values else f", {trained:,} trained"
    return f"{_name(model)} ({values:,} parameters{part})"


def _is_own(plugin: object) -> bool:
    """Return whether a config's key asked for a plugin."""
    return not type(plugin).__name__.startswith(
        ("Evaluation", "Clock", "Prediction", "PeriodicEval")
    )


def _name(part: object) -> str:
    """Return the name of a part's class."""
    return type(part).__name__
