"""``auto_scale_lr``: learning rates in proportion to the batch size (Goyal et al., 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

RATES = {"cl_strategy": ("lr",), "pretrain": ("lr_encoder", "lr_projection")}
"""The keys of the learning rates in a section that trains."""


def scale_rates(config: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a config with its learning rates scaled, and without ``auto_scale_lr``.

    The factor is the batch of a step of the optimizer, ``train_mb_size`` times ``accumulate``, over
    ``base_batch_size``. Rates of `paramwise` rules are scaled too. As in mmengine, nothing happens
    without ``enable=True``.

    Args:
        config: The sections; not changed.
        where: The config's file, for messages.

    Raises:
        ConfigError: There is no ``base_batch_size``, or no learning rate to scale.
    """
    rest = {key: value for key, value in config.items() if key != "auto_scale_lr"}
    section = config.get("auto_scale_lr")
    if section is None:
        return rest
    base, logger = section.get("base_batch_size"), get_logger(__name__)
    if not section.get("enable", False):
        if "enable" not in section:
            logger.warning("%s: auto_scale_lr is off, as in mmengine. Add enable=True.", where)
        return rest
    if base is None:
        raise ConfigError(
            f"{where}: auto_scale_lr: no base_batch_size, the batch size that the learning rates "
            "were chosen for. Add base_batch_size=256."
        )
    name = "pretrain" if "pretrain" in config else "cl_strategy"
    batch = _batch(config[name], name, where)
    rest[name] = _scaled(config[name], name, batch / base, where)
    logger.info(
        "%s: learning rates x %g: batches of %d, auto_scale_lr.base_batch_size=%d",
        where, batch / base, batch, base,
    )  # fmt: skip
    return rest


def _batch(section: Mapping[str, Any], name: str, where: str) -> int:
    """Return the samples of one step of the optimizer."""
    key = "batch_size" if name == "pretrain" else "train_mb_size"
    sizes = [section.get(key), section.get("accumulate", 1)]
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ConfigError(f"{where}: auto_scale_lr needs {name}.{key}, the batch size. Set it.")
    return int(sizes[0]) * int(sizes[1])


def _scaled(section: dict[str, Any], name: str, factor: float, where: str) -> dict[str, Any]:
    """Return a section that trains, with other learning rates."""
    if name == "pretrain":
        return _times(section, RATES[name], factor, name, where)
    owner = f"{name}.optimizer"
    optimizer = _times(section.get("optimizer"), RATES[name], factor, owner, where)
    rules = optimizer.get("paramwise")
    if isinstance(rules, (list, tuple)):
        optimizer["paramwise"] = [
            {**rule, "lr": rule["lr"] * factor}
            if isinstance(rule, dict) and isinstance(rule.get("lr"), (int, float))
            else rule
            for rule in rules
        ]
    return {**section, "optimizer": optimizer}


def _times(
    section: object, keys: tuple[str, ...], factor: float, name: str, where: str
) -> dict[str, Any]:
    """Return a section with rates multiplied."""
    found = dict(section) if isinstance(section, dict) else {}
    for key in keys:
        if not isinstance(found.get(key), (int, float)):
            raise ConfigError(f"{where}: auto_scale_lr needs a number {name}.{key}. Set it.")
        found[key] = found[key] * factor
    return found
