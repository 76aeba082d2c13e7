"""The text of a config file, or why there is none."""

from __future__ import annotations

import ast
import codecs
from pathlib import Path

from cliqa.config.suggest import closest
from cliqa.utils.errors import ConfigError

BASE = "_base_"
NEWER = "read_base"
"""What mmengine's newer configs inherit by: ``with read_base(): from .base import *``."""


def read_config_text(path: Path, asked_by: Path | None = None) -> str:
    """Return a config file's text; a byte-order mark at its start is left out.

    Args:
        path: The file.
        asked_by: The config whose base it is.

    Raises:
        ConfigError: It is missing, no Python file, cannot be read, or is not UTF-8.
    """
    asked = f"{asked_by}: its base " if asked_by else ""
    try:
        _check_kind(path, asked, asked_by is not None)
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{asked}{path}: cannot be read ({reason}).") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{path}: is UTF-16. Save the file as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_kind(path: Path, asked: str, is_base: bool) -> None:
    """Refuse what is no Python file."""
    if path.is_dir():
        raise ConfigError(f"{asked}{path}: is a folder. Name a config file in it.")
    if not path.exists():
        near = closest(path.name, (file.name for file in path.parent.glob("*.py")))
        advice = f" Paths in {BASE} are relative to the file they stand in." if is_base else ""
        raise ConfigError(f"{asked}{path}: no such config file.{near}{advice}")
    if path.suffix != ".py":
        raise ConfigError(
            f"{asked}{path}: a config is a Python file (.py), with lines such as seed = 0; "
            f"'{path.suffix}' is not read."
        )


def check_style(tree: ast.Module, path: Path) -> None:
    """Refuse mmengine's newer configs, which inherit by ``with read_base():``.

    Args:
        tree: The file's syntax tree.
        path: The file.

    Raises:
        ConfigError: It is one; the message says how it is written here.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and NEWER in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            bases = _imported_files(tree) or ["./base.py"]
            raise ConfigError(
                f"{path}, line {getattr(node, 'lineno', 1)}: 'with {NEWER}():' is not read. Write "
                f"{BASE} = {bases!r} in place of the imports, and types as strings: type='SGD'."
            )


def _imported_files(tree: ast.Module) -> list[str]:
    """Return what the relative imports under ``with read_base():`` name, as paths."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    return [
        "../" * (node.level - 1) + "./" * (node.level == 1) + node.module.replace(".", "/") + ".py"
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.level and node.module
    ]
