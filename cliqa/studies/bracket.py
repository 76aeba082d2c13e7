"""The lower and the upper bound of a study: configs of naive and of joint training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.config.values import config_differences
from cliqa.utils.errors import ConfigError
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

Configs = dict[Path, Mapping[str, Any]]
"""Loaded configs by their files, in order."""

FREE_OF_METHOD = ("train_transform", "eval_transform")
"""Keys of the scenario that a method may choose for itself."""


@dataclass(frozen=True)
class Bracket:
    """The configs of the lower and the upper bound (naive and joint training).

    Args:
        naive: The lower bound's config; None to look for it.
        joint: The upper bound's config; None to look for it.
        look: Look for a bound that is not named: ``X_naive.py`` and ``X_joint.py`` beside a config
            that is called ``X`` or ``X_method``, over the same data.
    """

    naive: str | Path | None = None
    joint: str | Path | None = None
    look: bool = True

    def find(
        self, configs: Configs, load: Callable[[Path], Mapping[str, Any]]
    ) -> tuple[Path | None, Path | None]:
        """Return the files of the lower and the upper bound, after adding them to `configs`.

        Args:
            configs: The study's configs; the bounds may stand among them.
            load: Loads one more.

        Raises:
            ConfigError: A bound is missing or wrong, both are one, or several are found.
        """
        methods = dict(configs)
        found: list[Path | None] = []
        for name, given in (("naive", self.naive), ("joint", self.joint)):
            file = Path(given) if given else None
            if file is None and self.look:
                file = _look(name, methods, load)
            if file is not None:
                known = (one for one in configs if one.resolve() == file.resolve())
                file = next(known, file)
                if file not in configs:
                    configs[file] = load(file)
            found.append(file)
        if found[0] is not None and found[0] == found[1]:
            raise ConfigError(f"{found[0]}: cannot be both --naive and --joint.")
        return found[0], found[1]


def _look(
    name: str, configs: Mapping[Path, Mapping[str, Any]], load: Callable[[Path], Mapping[str, Any]]
) -> Path | None:
    """Return the bound found next to the configs, None if there is none."""
    found: dict[Path, Path] = {}
    for file, config in configs.items():
        beside = sibling(file, name)
        if beside is None:
            continue
        own, other = (
            {key: value for key, value in part["scenario"].items() if key not in FREE_OF_METHOD}
            for part in (config, load(beside))
        )
        differing = config_differences({"scenario": own}, {"scenario": other})
        if differing:
            keys = dict.fromkeys(".".join(key.split(".")[:2]) for key in differing)
            logger.warning(
                "%s is not used as %s's bound: its data differ (%s)", beside, file, ", ".join(keys)
            )
        else:
            found.setdefault(beside.resolve(), beside)
    if len(found) > 1:
        listed = " and ".join(map(str, found.values()))
        raise ConfigError(
            f"--{name}: {listed} are found beside the configs. Name one of them, or none with "
            "--no-bracket."
        )
    return next(iter(found.values()), None)


def sibling(file: Path, name: str) -> Path | None:
    """Return the file ``X_<name>.py`` beside ``X.py`` or ``X_method.py``, with the longest X."""
    words = file.stem.split("_")
    for count in range(len(words), 0, -1):
        beside = file.with_name(f"{'_'.join(words[:count])}_{name}.py")
        if beside.is_file():
            return beside
    return None
