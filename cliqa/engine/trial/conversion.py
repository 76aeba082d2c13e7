"""Configs of mmpretrain, converted and checked by building them."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cliqa.config.load import load_config
from cliqa.engine.trial.build import check_by_building
from cliqa.models.conversion.convert import as_text, convert
from cliqa.utils.errors import ConfigError
from cliqa.utils.io import write_text
from cliqa.utils.paths import home_path


@dataclass(frozen=True)
class Converted:
    """A converted config that can be built.

    Attributes:
        lost: What could not be carried over, a clause each.
        built: What it describes, in one line.
    """

    lost: list[str]
    built: str


def convert_checked(source: str, out: str | Path, experiences: int = 10) -> Converted:
    """Convert a config of mmpretrain, check the result, and write it.

    Args:
        source: The config's file, or ``mmpretrain::resnet/resnet18_8xb32_in1k.py``.
        out: The new file, which must not exist.
        experiences: As `cliqa.models.conversion.convert.convert`.

    Raises:
        ConfigError: The config cannot be converted, with the reason in one line, or `out` exists.
    """
    target = home_path(out)
    if target.suffix != ".py":
        raise ConfigError(f"--out {out}: a config is a Python file (.py).")
    if target.exists():
        raise ConfigError(f"--out {out}: exists. Give another name, or remove it first.")
    if experiences < 1:
        raise ConfigError(f"--experiences {experiences}: must be at least 1.")
    try:
        conversion = convert(source, experiences)
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise ConfigError(f"{source}: cannot be converted: a value is wrong ({reason}).") from error
    text = as_text(conversion, source, str(out))
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / target.name
        write_text(trial, text)
        try:
            _, built = check_by_building(load_config(trial))
        except ConfigError as error:
            reason = str(error).replace(f"{trial}: ", "").splitlines()[0]
            raise ConfigError(f"{source}: cannot be converted: {reason}") from error
    write_text(target, text)
    return Converted(conversion.lost, built)
