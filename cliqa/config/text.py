"""One config file: its text, placeholders, and syntax tree."""

from __future__ import annotations

import ast
import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cliqa.config.suggest import closest
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import SHIPPED, shipped_configs

BASE = "_base_"
NEWER = "read_base"
"""The inheritance of mmengine's newer configs: ``with read_base(): from .base import *``."""

ENVIRONMENT = re.compile(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}")
BASE_VALUE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
WHOLE_VALUES: dict[type[ast.AST], str] = {
    **{ast.Assign: "value", ast.keyword: "value", ast.Dict: "values"},
    **{ast.List: "elts", ast.Tuple: "elts"},
}
"""The nodes whose values are config values, and the field that holds them."""


def parse_config(path: Path, parents: tuple[Path, ...] = ()) -> ast.Module:
    """Return the syntax tree of a config file, with mmengine's placeholders replaced.

    Args:
        path: The file.
        parents: The configs that inherit from it, outermost first.

    Raises:
        ConfigError: It is missing, not a Python file, not UTF-8, inherits from itself, has a syntax
            error, or a misplaced placeholder.
    """
    text = _read(path, parents[-1] if parents else None)
    if os.path.realpath(path) in map(os.path.realpath, parents):
        route = " -> ".join(map(str, (*parents, path)))
        raise ConfigError(f"{route}: the config inherits from itself.")
    text = _substitute(text, path)
    tree = _parse(text, path)
    _check_style(tree, path)
    _check_placeholders(text, tree, path)
    return tree


def _read(path: Path, child: Path | None) -> str:
    """Return a config file's text without a byte-order mark; `child` inherits from it."""
    prefix = f"{child}: its base " if child else ""
    try:
        _check_file(path, prefix, child is not None)
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{prefix}{path}: cannot be read ({reason}).") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ConfigError(f"{path}: is UTF-16. Save the file as UTF-8.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8. Save the file as UTF-8.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _check_file(path: Path, prefix: str, is_base: bool) -> None:
    """Refuse a path that is not a Python file."""
    if path.is_dir():
        raise ConfigError(f"{prefix}{path}: is a folder. Give the name of a config file in it.")
    if not path.exists():
        advice = f" Paths in {BASE} are relative to the file that contains them." if is_base else ""
        shown = _shipped_name(path) or path
        raise ConfigError(f"{prefix}{shown}: no such config file.{_near(path)}{advice}")
    if path.suffix != ".py":
        raise ConfigError(
            f"{prefix}{path}: a config is a Python file (.py), with lines such as seed = 0; "
            f"'{path.suffix}' is not supported."
        )


def _near(path: Path) -> str:
    """Return which config may be meant by one that is missing, as a sentence."""
    shipped = shipped_configs()
    if (shipped / path.name).is_file() and path.suffix == ".py":
        return f" {SHIPPED}{path.name} comes with the package."
    files = path.parent.glob("*.py")
    return closest(
        _shipped_name(path) or path.name, (_shipped_name(file) or file.name for file in files)
    )


def _shipped_name(path: Path) -> str:
    """Return the name of a config that comes with the package (``cliqa::demo.py``), else none."""
    shipped = shipped_configs()
    if path.is_relative_to(shipped):
        return f"{SHIPPED}{path.relative_to(shipped).as_posix()}"
    return ""


def _check_style(tree: ast.Module, path: Path) -> None:
    """Refuse mmengine's newer configs, which inherit by ``with read_base():``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and NEWER in (
            getattr(node.func, "id", ""),
            getattr(node.func, "attr", ""),
        ):
            bases = _imported_files(tree) or ["./base.py"]
            raise ConfigError(
                f"{path}, line {getattr(node, 'lineno', 1)}: 'with {NEWER}():' is not supported. "
                f"Write {BASE} = {bases!r} and types as strings: type='SGD'."
            )


def _imported_files(tree: ast.Module) -> list[str]:
    """Return the paths of the relative imports under ``with read_base():``."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    return [
        "../" * (node.level - 1) + "./" * (node.level == 1) + node.module.replace(".", "/") + ".py"
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.level and node.module
    ]


def _substitute(text: str, path: Path) -> str:
    """Replace the placeholders that mmengine replaces: the file's names, and the environment."""
    full = Path(os.path.abspath(path))
    known = {
        "fileDirname": full.parent.as_posix(),
        "fileBasename": full.name,
        "fileBasenameNoExtension": full.stem,
        "fileExtname": full.suffix,
    }
    for name, value in known.items():
        text = re.sub(r"\{\{\s*" + name + r"\s*\}\}", value.replace("\\", r"\\"), text)

    def of_environment(match: re.Match[str]) -> str:
        name, default = match.groups()
        value = os.environ.get(name, default)
        if not value:
            line = text[: match.start()].count("\n") + 1
            raise ConfigError(
                f"{path}, line {line}: the environment variable {name} is not set. Set it, or give "
                f"a default: {{{{${name}:default}}}}."
            )
        return value

    return ENVIRONMENT.sub(of_environment, text)


def _parse(text: str, path: Path) -> ast.Module:
    """Return a config file's syntax tree."""
    try:
        return ast.parse(text)
    except SyntaxError as error:
        source = (error.text or "").strip()
        raise ConfigError(
            f"{path}, line {error.lineno}: {error.msg}{f': {source}' if source else ''}"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(f"{path}: not Python ({error}).") from error


def _check_placeholders(text: str, tree: ast.Module, path: Path) -> None:
    """Refuse ``{{_base_.x}}`` inside an expression or a string, where mmengine gives garbage."""
    if not BASE_VALUE.search(text):
        return
    whole = {id(value) for value in _whole_values(tree)}
    placeholders = (ast.Set, ast.Constant, ast.JoinedStr)
    for node in ast.walk(tree):
        if not isinstance(node, placeholders) or id(node) in whole:
            continue
        match = BASE_VALUE.search(ast.get_source_segment(text, node) or "")
        if match:
            name = f"_base_.{match[1]}"
            raise ConfigError(
                f"{path}, line {node.lineno}: {match[0]} can only be a whole value. Inside an "
                f"expression write {name}, for example {name} * 2 or f'{{{name}}}/x'."
            )


def _whole_values(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the placeholders that are whole config values, and docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            yield node.value
        elif type(node) in WHOLE_VALUES and getattr(node, "arg", "") is not None:
            found = getattr(node, WHOLE_VALUES[type(node)])
            values = found if isinstance(found, list) else [found]
            yield from (value for value in values if isinstance(value, ast.Set))
