"""Libraries that only deployment needs, imported when they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

from cliqa.utils.errors import ConfigError
from cliqa.utils.system.extras import install_extra


def library(name: str, extra: str = "deploy") -> ModuleType:
    """Return an optional module.

    Raises:
        ConfigError: It is not installed, or cannot be imported.

    >>> library("json").dumps([1])
    '[1]'
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{name.split('.')[0]} cannot be imported ({error}). Install it with: "
            f"{install_extra(extra)}"
        ) from error
