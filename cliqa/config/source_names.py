"""Names of components, read from source files: nothing is imported, so it takes no seconds.

What the registries hold is told by the sources: ``@DATASETS.register_module()`` over a class of
ours, and ``OPTIMIZERS.add_upstream(torch.optim, ...)`` for a library's module, whose public names
are read from its files. Where the sources leave a doubt, every name counts as known.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from cliqa.config.source_modules import package_folder, parse_file, public_names, statements

PACKAGE = Path(__file__).resolve().parents[1]
PARENTS = {
    "MODELS": ("mmpretrain.models", "mmengine.model", "mmcv.cnn"),
    "LOSSES": ("mmpretrain.models.losses",),
}
"""Packages whose decorated classes a registry takes over."""
MARKS = ("register_module(", "add_upstream(", "ComponentRegistry(", ".upstream[")
DECORATED = re.compile(r"register_module\([^)]*\)\s*(?:@.*\s*)*(?:class|def)\s+(\w+)")

Component = ast.ClassDef | ast.FunctionDef


class SourceNames:
    """The components that the sources of a package register.

    Args:
        package: The package's folder.

    Attributes:
        kinds: What each registry holds, in words, by the name of its variable.
    """

    def __init__(self, package: Path = PACKAGE) -> None:
        self.package = package
        self.kinds: dict[str, str] = {}
        self._own: dict[str, dict[str, tuple[Component, Path]]] = {}
        self._upstream: dict[str, list[str]] = {}
        self._doubtful: set[str] = set()
        self._found: dict[str, frozenset[str]] = {}
        for path in sorted(package.rglob("*.py")):
            text = path.read_text(encoding="utf-8", errors="replace")
            if any(mark in text for mark in MARKS):
                self._read(path)

    def knows(self, registry: str, name: str) -> bool:
        """Return whether a registry may hold a component of that name.

        Args:
            registry: The registry's variable, e.g. ``"OPTIMIZERS"``.
            name: What a config gives as ``type``. A dotted path always counts as known.
        """
        if "." in name or name in self.names(registry) or self._doubts(registry):
            return True
        word = re.compile(rf"\b{re.escape(name)}\b")
        return any(word.search(text) for text in self._parent_texts(registry))

    def names(self, registry: str) -> frozenset[str]:
        """Return the names that a registry is known to hold: ours and upstream's."""
        if registry not in self._found:
            upstream = [public_names(module) for module in self._upstream.get(registry, [])]
            if None in upstream:
                self._doubtful.add(registry)
            parents = (DECORATED.findall(text) for text in self._parent_texts(registry))
            known = (names for names in upstream if names is not None)
            self._found[registry] = frozenset().union(self.own(registry), *known, *parents)
        return self._found[registry]

    def own(self, registry: str) -> list[str]:
        """Return the names of our own components in a registry, sorted."""
        return sorted(self._own.get(registry, {}))

    def arguments(self, registry: str, name: str) -> frozenset[str] | None:
        """Return the arguments of a component of ours, or None where the sources do not tell."""
        found = self._own.get(registry, {}).get(name)
        if found is None or len(found[0].decorator_list) > 1:
            return None
        node, path = found
        return _parameters(node) if isinstance(node, ast.FunctionDef) else self._of(node, path)

    def annotations(self, registry: str, name: str) -> dict[str, str]:
        """Return the annotations of a component of ours as they are written, by argument.

        Args:
            registry: The registry's variable.
            name: The component; one that is not ours has none.
        """
        found = self._own.get(registry, {}).get(name)
        if found is None:
            return {}
        node, path = found
        return _annotations(node) if isinstance(node, ast.FunctionDef) else self._notes(node, path)

    def _notes(self, node: ast.ClassDef, path: Path) -> dict[str, str]:
        """Return the annotations of a class's arguments, those of its bases too."""
        notes: dict[str, str] = {}
        for base in node.bases:
            found = self._class_named(base.id, path) if isinstance(base, ast.Name) else None
            notes |= self._notes(*found) if found else {}
        own = (part for part in node.body if isinstance(part, ast.FunctionDef))
        return notes | next((_annotations(part) for part in own if part.name == "__init__"), {})

    def _doubts(self, registry: str) -> bool:
        """Return whether the sources leave open what a registry holds."""
        unread = any(package_folder(parent) is None for parent in PARENTS.get(registry, ()))
        return unread or registry not in self.kinds or bool({registry, "*"} & self._doubtful)

    def _parent_texts(self, registry: str) -> Iterator[str]:
        """Yield the sources of the packages that a registry inherits from."""
        for parent in PARENTS.get(registry, ()):
            folder = package_folder(parent)
            for path in sorted(folder.rglob("*.py")) if folder else ():
                yield path.read_text(encoding="utf-8", errors="replace")

    def _read(self, path: Path) -> None:
        """Note the registries and components of one of our files."""
        tree = parse_file(path)
        if tree is None:
            self._doubtful.add("*")
            return
        modules = _imported_modules(tree)
        decorators = set()
        for node in statements(tree):
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                for decorator in node.decorator_list:
                    decorators.add(id(decorator))
                    self._note_component(decorator, node, path)
        for part in ast.walk(tree):
            if isinstance(part, ast.Call) and id(part) not in decorators:
                self._note_call(part, modules)
            if isinstance(part, ast.Subscript) and getattr(part.value, "attr", "") == "upstream":
                self._note_entry(part.value)
            if isinstance(part, ast.Assign) and _called(part.value) == "ComponentRegistry":
                self._note_registry(part)

    def _note_registry(self, node: ast.Assign) -> None:
        """Note ``DATASETS = ComponentRegistry("data set", ...)``."""
        target, call = node.targets[0], node.value
        if isinstance(target, ast.Name) and isinstance(call, ast.Call) and call.args:
            self.kinds[target.id] = str(_literal(call.args[0]))

    def _note_component(self, decorator: ast.expr, node: Component, path: Path) -> None:
        """Note a class or function under ``@DATASETS.register_module()``."""
        if not isinstance(decorator, ast.Call) or _called(decorator) != "register_module":
            return
        registry = _receiver(decorator)
        given = [*decorator.args, *(k.value for k in decorator.keywords if k.arg == "name")]
        names = [_literal(value) for value in given] or [node.name]
        if not all(isinstance(name, str) for name in names):
            self._doubtful.add(registry)
        for name in names:
            self._own.setdefault(registry, {})[str(name)] = (node, path)

    def _note_call(self, call: ast.Call, modules: dict[str, str]) -> None:
        """Note ``OPTIMIZERS.add_upstream(torch.optim, ...)``."""
        if _called(call) == "register_module":
            self._doubtful.add(_receiver(call))
        if _called(call) == "add_upstream":
            module = _dotted(call.args[0], modules) if call.args else None
            if module:
                self._upstream.setdefault(_receiver(call), []).append(module)
            else:
                self._doubtful.add(_receiver(call))

    def _note_entry(self, owner: ast.expr) -> None:
        """Note ``LOSSES.upstream[name] = ...``, which leaves open what the name is."""
        registry = getattr(getattr(owner, "value", None), "id", "")
        if registry.isupper() and registry not in PARENTS:
            self._doubtful.add(registry)

    def _of(self, node: ast.ClassDef, path: Path) -> frozenset[str] | None:
        """Return the arguments of a class, of its base's where it has no constructor."""
        methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
        if "__new__" in methods or node.keywords:
            return None
        if "__init__" in methods:
            found = _parameters(methods["__init__"])
            return None if found is None else found - {"self"}
        if not node.bases:
            return frozenset()
        base = node.bases[0]
        if len(node.bases) > 1 or not isinstance(base, ast.Name):
            return None
        return self._of_named(base.id, path)

    def _of_named(self, name: str, path: Path) -> frozenset[str] | None:
        """Return the arguments of the class that `name` means in one of our files."""
        found = self._class_named(name, path)
        return None if found is None or found[0].decorator_list else self._of(*found)

    def _class_named(self, name: str, path: Path) -> tuple[ast.ClassDef, Path] | None:
        """Return the class of ours that `name` means in one of our files, and its file."""
        tree = parse_file(path) or ast.Module([], [])
        for node in statements(tree):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return node, path
            if isinstance(node, ast.ImportFrom) and node.module:
                top, *rest = node.module.split(".")
                other = self.package.joinpath(*rest).with_suffix(".py")
                for alias in node.names:
                    if (alias.asname or alias.name) == name and top == self.package.name:
                        return self._class_named(alias.name, other) if other.is_file() else None
        return None


def _parameters(node: ast.FunctionDef) -> frozenset[str] | None:
    """Return a function's arguments, or None if it takes any name."""
    if node.args.kwarg is not None or (node.name == "__init__" and node.decorator_list):
        return None
    return frozenset(argument.arg for argument in [*node.args.args, *node.args.kwonlyargs])


def _annotations(node: ast.FunctionDef) -> dict[str, str]:
    """Return the annotations of a function's arguments as they are written."""
    arguments = [*node.args.args, *node.args.kwonlyargs]
    return {a.arg: ast.unparse(a.annotation) for a in arguments if a.annotation is not None}


def _called(node: ast.expr) -> str:
    """Return the last part of what a call calls: ``register_module`` in ``A.register_module()``."""
    function = node.func if isinstance(node, ast.Call) else None
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _receiver(call: ast.Call) -> str:
    """Return the variable whose method is called, or ``*`` for anything else."""
    value = getattr(call.func, "value", None)
    return value.id if isinstance(value, ast.Name) and value.id.isupper() else "*"


def _literal(node: ast.expr) -> object:
    """Return a constant's value, None for anything else."""
    return node.value if isinstance(node, ast.Constant) else None


def _imported_modules(tree: ast.Module) -> dict[str, str]:
    """Return what the names that a file imports may mean as modules."""
    found: dict[str, str] = {}
    for node in statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _dotted(node: ast.expr, modules: dict[str, str]) -> str | None:
    """Return the module that an expression such as ``torch.optim`` means."""
    if isinstance(node, ast.Name):
        return modules.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value, modules)
        return owner and f"{owner}.{node.attr}"
    return None
