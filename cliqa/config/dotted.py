"""Modules and components by their dotted names."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any


def import_tree(package: str) -> None:
    """Import a package and every module below it."""
    module = importlib.import_module(package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), prefix=f"{package}."):
        importlib.import_module(found.name)


def from_dotted_path(path: str) -> Callable[..., Any] | None:
    """Return the class or function at ``package.module.Name``, or None."""
    module_name, _, name = path.rpartition(".")
    if not module_name:
        return None
    try:
        value = getattr(importlib.import_module(module_name), name, None)
    except Exception:  # noqa: BLE001  a user's module may raise anything; see why_unknown
        return None
    return value if inspect.isclass(value) or inspect.isfunction(value) else None


def why_unknown(path: str) -> str:
    """Return why a dotted path names no component."""
    module_name, _, name = path.rpartition(".")
    try:
        importlib.import_module(module_name)
    except Exception as error:  # noqa: BLE001  a user's module may raise anything
        return f" Importing '{module_name}' failed: {type(error).__name__}: {error}."
    return f" '{module_name}' has no class or function called '{name}'."
