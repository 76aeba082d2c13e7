"""The index of component names, read from source files without importing anything.

The index finds ``@DATASETS.register_module()`` over our classes, and looks other names up in the
sources of the libraries in `LIBRARIES` and `PARENTS`. The registries use it to import only the
module that a name needs.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = {
    "LOGGERS": "avalanche.logging",
    "LOSSES": "torch.nn",
    "LR_SCHEDULERS": "torch.optim.lr_scheduler",
    "METRICS": "avalanche.evaluation.metrics",
    "OPTIMIZERS": "torch.optim",
    "PLUGINS": "avalanche.training.plugins",
    "SCENARIOS": "avalanche.benchmarks.classic",
    "STRATEGIES": "avalanche.training.supervised",
    "TRANSFORMS": "torchvision.transforms.v2",
}
"""The modules whose classes and functions a registry adds by ``add_upstream``."""

PARENTS = {
    "MODELS": ("mmpretrain.models", "mmengine.model", "mmcv.cnn"),
    "LOSSES": ("mmpretrain.models.losses",),
}
"""Packages whose registered classes a registry takes over."""

KIND = re.compile(r'^([A-Z_]+)(?:: \w+)? = ComponentRegistry\(\s*"([^"]+)"', re.MULTILINE)
REGISTERED = re.compile(
    r"^[ \t]*@(\w+)\.register_module\(([^)]*)\)\s*?\n(?:[ \t]*@.*\n)*[ \t]*(?:class|def)\s+(\w+)",
    re.MULTILINE,
)
DEFINED = re.compile(r"^(?:class|def) ([A-Za-z]\w*)", re.MULTILINE)

Definition = ast.ClassDef | ast.FunctionDef


class Signature(NamedTuple):
    """The arguments of a component.

    Attributes:
        annotations: Annotations as they are written, by argument; "" for none.
        complete: Whether the sources show that no other argument is accepted.
    """

    annotations: dict[str, str]
    complete: bool


class NameIndex:
    """The components that the sources of a package register.

    Args:
        package: The package's folder.

    Attributes:
        kinds: What each registry holds, in words, by the name of its variable.
    """

    def __init__(self, package: Path = PACKAGE) -> None:
        self.package = package
        self.kinds: dict[str, str] = {}
        self._own: dict[str, dict[str, tuple[str, Path]]] = {}
        for path in sorted(package.rglob("*.py")):
            text = path.read_text(encoding="utf-8", errors="replace")
            self.kinds.update(KIND.findall(text))
            for registry, given, definition in REGISTERED.findall(text):
                for name in re.findall(r"""["']([^"']+)["']""", given) or [definition]:
                    self._own.setdefault(registry, {})[name] = (definition, path)

    def knows(self, registry: str, name: str) -> bool:
        """Return whether a registry may hold a component of that name.

        Args:
            registry: The registry's variable, e.g. ``"OPTIMIZERS"``.
            name: A config's ``type``. A dotted path always counts as known, and so does every name
                if a library's sources are missing.
        """
        if "." in name or name in self._own.get(registry, {}) or registry not in self.kinds:
            return True
        library = [LIBRARIES[registry]] if registry in LIBRARIES else []
        sources = [_texts(module) for module in (*library, *PARENTS.get(registry, ()))]
        word = re.compile(rf"\b{re.escape(name)}\b")
        return not all(sources) or any(word.search(text) for texts in sources for text in texts)

    def names(self, registry: str) -> frozenset[str]:
        """Return the names that a registry holds, for suggestions: ours and the libraries'."""
        found = set(self._own.get(registry, {}))
        for text in _texts(LIBRARIES.get(registry, "")):
            found.update(DEFINED.findall(text))
        for module in PARENTS.get(registry, ()):
            for text in _texts(module):
                found.update(name for *_, name in REGISTERED.findall(text))
        return frozenset(found)

    def own(self, registry: str) -> list[str]:
        """Return the names of our own components in a registry, sorted."""
        return sorted(self._own.get(registry, {}))

    def modules(self, name: str) -> list[str]:
        """Return the modules of ours that register a component called `name`."""
        paths = {own[name][1] for own in self._own.values() if name in own}
        top = self.package.parent
        return sorted(".".join(path.relative_to(top).with_suffix("").parts) for path in paths)

    def signature(self, registry: str, name: str) -> Signature | None:
        """Return the arguments of a component of ours, None for other components."""
        definition, path = self._own.get(registry, {}).get(name, ("", self.package))
        found = self._find(definition, path) if definition else None
        if found is None:
            return None
        own = self._signature(*found)
        return Signature(own.annotations, own.complete and len(found[0].decorator_list) == 1)

    def _signature(self, node: Definition, path: Path) -> Signature:
        """Return the arguments of a definition; those that a class passes on are its bases'."""
        if isinstance(node, ast.FunctionDef):
            return _function_signature(node)
        methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
        closed = "__new__" not in methods and not node.keywords
        found: dict[str, str] = {}
        if "__init__" in methods:
            own = _function_signature(methods["__init__"])
            found = {name: note for name, note in own.annotations.items() if name != "self"}
            if own.complete:
                return Signature(found, closed)
            closed = False
        for base in reversed(node.bases):
            inherited = self._find(base.id, path) if isinstance(base, ast.Name) else None
            if inherited is None:
                closed = False
                continue
            passed = self._signature(*inherited)
            found = {**passed.annotations, **found}
            closed = closed and passed.complete and not inherited[0].decorator_list
        return Signature(found, closed and len(node.bases) <= 1)

    def _find(self, name: str, path: Path) -> tuple[Definition, Path] | None:
        """Return the class or function of ours that `name` is in one of our files, and its file."""
        for node in ast.walk(parse_file(path) or ast.Module([], [])):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
                return node, path
            if isinstance(node, ast.ImportFrom) and node.module:
                top, *rest = node.module.split(".")
                other = self.package.joinpath(*rest).with_suffix(".py")
                for alias in node.names:
                    if (alias.asname or alias.name) == name and top == self.package.name:
                        return self._find(alias.name, other) if other.is_file() else None
        return None


@cache
def name_index() -> NameIndex:
    """Return the index of this package, read once."""
    return NameIndex()


def _function_signature(node: ast.FunctionDef) -> Signature:
    """Return the arguments of a function."""
    arguments = [*node.args.args, *node.args.kwonlyargs]
    found = {a.arg: ast.unparse(a.annotation) if a.annotation else "" for a in arguments}
    wrapped = node.name == "__init__" and bool(node.decorator_list)
    return Signature(found, node.args.kwarg is None and not wrapped)


def package_folder(package: str) -> Path | None:
    """Return the folder of an installed package, importing nothing.

    Args:
        package: Dotted name; only its first part is looked up among the installed packages.
    """
    first, *rest = package.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)), *rest)
    return folder if folder.is_dir() else None


@cache
def _texts(module: str) -> tuple[str, ...]:
    """Return the source texts of an installed module or package; () if there are none."""
    parent, _, name = module.rpartition(".")
    folder, above = package_folder(module), package_folder(parent)
    files = sorted(folder.rglob("*.py")) if folder else [above / f"{name}.py"] if above else []
    return tuple(
        path.read_text(encoding="utf-8", errors="replace") for path in files if path.is_file()
    )


def parse_file(path: Path) -> ast.Module | None:
    """Return a file's syntax tree, or None if it is not Python of this version."""
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
