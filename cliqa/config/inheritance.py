"""The files of a config, read and analysed before any of them runs."""

from __future__ import annotations

import ast
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cliqa.config.names import package_folder
from cliqa.config.suggest import closest
from cliqa.config.text import BASE, parse_config
from cliqa.utils.errors import ConfigError
from cliqa.utils.paths import config_path, home_path, shipped_configs

SCOPES = (
    *(ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)


@dataclass(frozen=True)
class ConfigFile:
    """One file of a config, and its bases.

    Args:
        path: The file, as a user would write it.
        tree: Its syntax tree, with placeholders such as ``{{ fileDirname }}`` replaced.
        bases: The files in its ``_base_``, in that order.
    """

    path: Path
    tree: ast.Module
    bases: tuple[ConfigFile, ...] = ()

    def chain(self) -> Iterator[ConfigFile]:
        """Yield this file and all files that it inherits from."""
        yield self
        for base in self.bases:
            yield from base.chain()

    @cached_property
    def assigned(self) -> dict[str, int]:
        """The names that the file itself sets at its top level, with their first line."""
        found: dict[str, int] = {}
        for node in _top_level(self.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.setdefault(node.id, node.lineno)
        return found

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that the file or one of its bases sets."""
        return frozenset(name for file in self.chain() for name in file.assigned)

    @cached_property
    def used(self) -> frozenset[str]:
        """The names that the file reads."""
        nodes = ast.walk(self.tree)
        return frozenset(
            node.id
            for node in nodes
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        )

    @cached_property
    def used_of_bases(self) -> dict[str, int]:
        """The names that the file reads as ``_base_.name``, with the line."""
        return {
            node.attr: node.lineno
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == BASE
        }


def read_chain(path: str | Path, children: tuple[Path, ...] = ()) -> ConfigFile:
    """Read a config file and its bases, without running them.

    Args:
        path: The file.
        children: The files that inherit from it, outermost first.

    Raises:
        ConfigError: As `parse_config`, or ``_base_`` is wrong.
    """
    path = home_path(config_path(str(path)))
    tree = parse_config(path, children)
    names = _base_names(tree, path)
    bases = tuple(read_chain(base_path(name, path), (*children, path)) for name in names)
    file = ConfigFile(path, tree, bases)
    _check_base_references(file)
    return file


def base_path(name: str, path: Path) -> Path:
    """Return the file of a base.

    Args:
        name: As in ``_base_``: a path from the file's folder, or ``package::path`` in the configs
            that a package brings (``mmpretrain::_base_/models/resnet18.py``, ``cliqa::demo.py``).
        path: The file that inherits from it.

    Raises:
        ConfigError: The package is not installed, or brings no configs.
    """
    package, external, rest = name.partition("::")
    if not external:
        return Path(os.path.normpath(path.parent / name))
    folder = package_folder(package) if package.isidentifier() else None
    configs = folder / ".mim" / "configs" if folder else None
    configs = shipped_configs() if package == "cliqa" else configs
    if configs is None or not configs.is_dir():
        why = "is not installed" if folder is None else "brings no configs (no folder .mim/configs)"
        raise ConfigError(
            f"{path}: its base {name}: the package '{package}' {why}. mmpretrain's are written "
            f"{BASE} = ['mmpretrain::_base_/models/resnet18.py']."
        )
    return Path(os.path.normpath(configs / rest))


def whole_config(name: str, file: ConfigFile) -> str:
    """Return how to use a whole config of another package if it sets the name; nothing if not."""
    for base in file.bases:
        parts = base.path.parts
        whole = ".mim" in parts and "_base_" not in parts[parts.index(".mim") :]
        if whole and name in base.names and name not in file.assigned:
            at = parts.index(".mim")
            found = f"{parts[at - 1]}::{'/'.join(parts[at + 2 :])}"
            return (
                f"{file.path}: its base {found} is a whole config of mmengine. Convert it: "
                f"cliqa from-mmpretrain {found} --out NAME.py. Or inherit its model "
                "alone, such as mmpretrain::_base_/models/resnet18.py."
            )
    return ""


def _base_names(tree: ast.Module, path: Path) -> list[str]:
    """Return the paths in ``_base_``, as mmengine reads them: the first assignment."""
    found = [
        node
        for node in _top_level(tree)
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign))
        and any(
            getattr(target, "id", "") == BASE
            for target in getattr(node, "targets", [getattr(node, "target", None)])
        )
    ]
    if not found:
        return []
    where = f"{path}, line {found[-1].lineno}"
    first = found[0]
    if len(found) > 1 or not isinstance(first, ast.Assign) or first not in tree.body:
        raise ConfigError(f"{where}: set {BASE} once, at the top level: {BASE} = ['...', '...'].")
    try:
        code = compile(ast.Expression(first.value), str(path), "eval")
        names = eval(code)  # mmengine evaluates it too: a config is code
    except (Exception, SystemExit) as error:  # noqa: BLE001  whatever the expression raises
        raise ConfigError(f"{where}: {BASE} cannot be evaluated ({error}).") from error
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{where}: {BASE} must be a path or a list of paths, got {names!r}.")
    return names


def _check_base_references(file: ConfigFile) -> None:
    """Refuse ``_base_.name`` if no base sets that name."""
    known = {name for base in file.bases for name in base.names}
    for name, line in file.used_of_bases.items():
        if name not in known and not hasattr(dict, name):
            raise ConfigError(
                f"{file.path}, line {line}: no base sets '{name}'.{closest(name, known)}"
            )


def _top_level(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a file outside functions, classes and comprehensions."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, SCOPES):
            yield node
            yield from _top_level(node)


def check_overrides(file: ConfigFile, merged: Collection[str]) -> None:
    """Refuse a variable that a file sets again after a base has used its own value.

    Every file runs separately, so ``batch_size = 32`` in a child does not change what a base
    computed from its own ``batch_size``.

    Args:
        file: A config file.
        merged: Names that mmengine merges, so that setting them again has an effect.

    Raises:
        ConfigError: There is such a variable.
    """
    own = [
        (child, name, line)
        for child in file.chain()
        for name, line in child.assigned.items()
        if name not in merged
    ]
    for child, name, line in own:
        below = [part for base in child.bases for part in base.chain()]
        heirs = [part for part in file.chain() if child in part.chain()]
        first = next((part for part in below if name in part.assigned), None)
        users = [part for part in below if name in part.used or name in part.used_of_bases]
        effective = name in child.used or any(name in part.used_of_bases for part in heirs)
        if first and users and not effective:
            keys = sorted({key for part in users for key in _keys_reading(name, part.tree)})
            raise ConfigError(
                f"{child.path}, line {line}: {name} has no effect here: {users[0].path} has "
                f"already used the {name} of {first.path}, line {first.assigned[name]}. "
                f"Override the keys that use it: {', '.join(keys) or 'see that file'}."
            )


def _keys_reading(name: str, tree: ast.Module) -> Iterator[str]:
    """Yield the dotted keys whose values a file computes from `name`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield from _paths(name, node.value, node.targets[0].id)


def _paths(name: str, node: ast.AST, path: str) -> Iterator[str]:
    """Yield the key paths under `node` at which `name` is read."""
    if name in (getattr(node, "id", None), getattr(node, "attr", None)):  # name, _base_.name
        yield path
    elif isinstance(node, ast.keyword) and node.arg:
        yield from _paths(name, node.value, f"{path}.{node.arg}")
    elif isinstance(node, (ast.List, ast.Tuple)):
        for index, item in enumerate(node.elts):
            yield from _paths(name, item, f"{path}.{index}")
    else:
        for child in ast.iter_child_nodes(node):
            yield from _paths(name, child, path)
