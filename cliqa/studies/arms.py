"""What a study's rows are: configs, or variants of them, and the pretraining that they start from.

A variant is a config with some keys changed. A study of two stages runs the pretraining once for
every seed and variant, and gives each run the encoder of its own seed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cliqa.config.load import load_config
from cliqa.engine.pretrain.check import check_pretraining
from cliqa.utils.errors import ConfigError

OF_BOTH = ("scenario", "model", "num_workers", "custom_imports")
"""Sections that an option changes in both stages, where the pretraining has them."""

NAME = re.compile(r"\w[\w.+-]*")
"""The name of a variant, which becomes part of a folder's."""


@dataclass(frozen=True)
class Variant:
    """Keys to change, under a name.

    Attributes:
        name: The name.
        options: ``key=value``; none for the config as it is.
    """

    name: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stage:
    """A pretraining, which some runs start from.

    Attributes:
        file: Its config.
        name: Its name, by which its folder is called.
        options: ``key=value`` for it.
    """

    file: Path
    name: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Arm:
    """A row of a study: a config, or a variant of one.

    Attributes:
        file: The config.
        name: Its name in tables and folders; no two arms share one.
        options: ``key=value`` for it.
        stage: The pretraining whose encoder it starts from; None if it starts as its config says.
    """

    file: Path
    name: str
    options: tuple[str, ...] = ()
    stage: Stage | None = None


def variants_of(given: Sequence[Sequence[str]]) -> list[Variant]:
    """Return variants as the command line gives them: a name, and ``key=value`` each.

    Raises:
        ConfigError: A name is missing, unfit for a folder or given twice, or an option is none.
    """
    found: dict[str, Variant] = {}
    for name, *options in given:
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"--arm {name}: begin with a name of letters, digits, '_', '-', '+' or '.', then "
                "KEY=VALUE: --arm short pretrain.epochs=3"
            )
        if name in found:
            raise ConfigError(f"--arm {name}: is given twice. Name each variant once.")
        wrong = next((option for option in options if "=" not in option), None)
        if wrong is not None:
            raise ConfigError(f"--arm {name}: '{wrong}' is no KEY=VALUE.")
        found[name] = Variant(name, tuple(options))
    return list(found.values())


@dataclass(frozen=True)
class Arms:
    """Makes the rows of a study of its configs.

    Args:
        variants: Run each config in these variants in place of as it is; with a pretraining those
            configs alone that start from an encoder.
        pretraining: The config of the pretraining whose encoder such configs start from.
        options: ``key=value`` for every config; with a pretraining for that too, where they are
            about it (``pretrain.*``), or about the images or the model.
        own: ``key=value`` for the configs, but for no pretraining.

    Raises:
        ConfigError: The pretraining's config is missing or wrong, or is none.
    """

    variants: Sequence[Variant] = ()
    pretraining: str | Path | None = None
    options: Sequence[str] = ()
    own: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.pretraining is None:
            return
        for options in (variant.options for variant in self.variants or (Variant(""),)):
            self.load(self._stage(Variant("", options)))

    @property
    def of_configs(self) -> tuple[str, ...]:
        """The options for the configs."""
        return (*self._for_config(self.options), *self.own)

    def of(self, file: Path, config: Mapping[str, Any]) -> list[Arm]:
        """Return the rows of a config that was loaded from a file."""
        starts = self.pretraining is not None and bool(config.get("load_from"))
        if self.pretraining is not None and not starts:
            return [Arm(file, file.stem)]
        if not self.variants:
            return [Arm(file, file.stem, (), self._stage(Variant("")) if starts else None)]
        return [
            Arm(
                file,
                f"{file.stem}_{variant.name}",
                tuple(self._for_config(variant.options)),
                self._stage(variant) if starts else None,
            )
            for variant in self.variants
        ]

    def load(self, stage: Stage) -> dict[str, Any]:
        """Return a pretraining's config, checked.

        Raises:
            ConfigError: It is wrong, or no pretraining.
        """
        config: dict[str, Any] = load_config(stage.file, stage.options)
        if config.get("pretrain") is None:
            raise ConfigError(
                f"--pretraining {stage.file}: has no section pretrain. Give the config of a "
                "pretraining, such as cliqa::qualiclip_demo.py."
            )
        try:
            return check_pretraining(config)
        except ConfigError as error:
            lines = (f"{stage.file}: {line}" for line in str(error).splitlines())
            raise ConfigError("\n".join(lines)) from error

    def _stage(self, variant: Variant) -> Stage:
        """Return a variant's pretraining; variants that do not change it share one."""
        file = Path(str(self.pretraining))
        known = load_config(file)
        own = tuple(self._for_stage(variant.options, known))
        name = f"{file.stem}_{variant.name}" if own and variant.name else file.stem
        return Stage(file, name, (*self._for_stage(self.options, known), *own))

    def _for_stage(self, options: Sequence[str], known: Mapping[str, Any]) -> list[str]:
        """Return the options that are about the pretraining."""
        meant = {"pretrain", *(key for key in OF_BOTH if key in known)}
        return [option for option in options if _section(option) in meant]

    def _for_config(self, options: Sequence[str]) -> list[str]:
        """Return the options that are about the configs."""
        if self.pretraining is None:
            return list(options)
        return [option for option in options if _section(option) != "pretrain"]


def _section(option: str) -> str:
    """Return the top-level key that an option changes.

    >>> _section("pretrain.epochs=3")
    'pretrain'
    """
    return re.split(r"[.=]", option.lstrip(), maxsplit=1)[0]


def starting_from(config: Mapping[str, Any], encoder: Path) -> str:
    """Return the option by which a config starts from another file."""
    key = "load_from.path" if isinstance(config.get("load_from"), Mapping) else "load_from"
    return f"{key}='{encoder.as_posix()}'"
