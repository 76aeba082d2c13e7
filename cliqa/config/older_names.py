"""Other names of keys, which are renamed when a config is loaded."""

from __future__ import annotations

from typing import Any

from cliqa.config.suggest import closest
from cliqa.utils.errors import ConfigError

LOSSES = {
    "full": "QualiCLIPLoss",
    "qualiclip": "QualiCLIPLoss",
    "simplified": "SimplifiedQualiCLIPLoss",
}
"""The values of ``pretrain.loss_type``."""

OF_PRETRAINING = ("loss_type", "num_levels")
"""Keys of ``pretrain`` that are set in one of its parts."""


def rename_scenario(config: dict[str, Any], where: str) -> None:
    """Rename the scenario's ``dataset_type``, as in older configs, to ``type``.

    Raises:
        ConfigError: Both are given and differ.
    """
    scenario = config.get("scenario")
    if not isinstance(scenario, dict) or "dataset_type" not in scenario:
        return
    rest = {key: value for key, value in scenario.items() if key != "dataset_type"}
    name = scenario["dataset_type"]
    if rest.setdefault("type", name) != name:
        raise ConfigError(
            f"{where}: scenario: type={rest['type']!r} and dataset_type={name!r} differ. "
            "Keep one; if a base sets the other, add _delete_=True to the scenario."
        )
    config["scenario"] = rest


def rename_pretraining(config: dict[str, Any], where: str) -> None:
    """Move ``pretrain.loss_type`` to ``pretrain.loss.type``, and ``num_levels`` into the data.

    Raises:
        ConfigError: The loss type is unknown.
    """
    section = config.get("pretrain")
    if not isinstance(section, dict) or not set(OF_PRETRAINING) & set(section):
        return
    rest = {key: value for key, value in section.items() if key not in OF_PRETRAINING}
    if "loss_type" in section:
        name = section["loss_type"]
        if name not in LOSSES:
            raise ConfigError(
                f"{where}: pretrain.loss_type: unknown loss {name!r}.{closest(str(name), LOSSES)} "
                f"Known: {', '.join(LOSSES)}."
            )
        loss = {"type": LOSSES[name]}
        old = rest.get("loss")
        same = isinstance(old, dict) and old.get("type") == loss["type"]
        rest["loss"] = old if same else loss
    if "num_levels" in section:
        rest["data"] = {**(rest.get("data") or {}), "num_levels": section["num_levels"]}
    config["pretrain"] = rest


def rename_cache(config: dict[str, Any]) -> None:
    """Move the data sets' ``cache`` to the scenario; True, as older configs have it, is "ram"."""
    scenario = config.get("scenario")
    if not isinstance(scenario, dict):
        return
    rest = dict(scenario)
    asked = [rest.get("cache")] if isinstance(rest.get("cache"), bool) else []
    for key in ("datasets", "evaluate_only"):
        sections = rest.get(key)
        if isinstance(sections, (list, tuple)):
            rest[key] = [_without_cache(section, asked) for section in sections]
    if asked and (isinstance(rest.get("cache"), bool) or "cache" not in rest):
        rest["cache"] = "ram" if any(asked) else False
    config["scenario"] = rest


def _without_cache(section: Any, asked: list[Any]) -> Any:  # noqa: ANN401  a section, or no section
    """Return a data set's section without ``cache``, whose value is added to `asked`."""
    if not isinstance(section, dict) or not isinstance(section.get("cache"), bool):
        return section
    asked.append(section["cache"])
    return {key: value for key, value in section.items() if key != "cache"}
