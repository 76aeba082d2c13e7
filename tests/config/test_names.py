"""Tests of cliqa.config.names."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from cliqa.config import names
from cliqa.config.names import NameIndex, package_folder

REGISTRY = """
LOSSES = ComponentRegistry("loss", ["room"])
MODELS = ComponentRegistry("model", ["room"])
OPTIMIZERS: object = None
OPTIMIZERS = ComponentRegistry("optimizer", ["room"])
"""
LOSS = """
from room.base import Loss as Base
from room.base import Decorated

@LOSSES.register_module()
class Own:
    def __init__(self, margin: float = 0.05, *, weight: float = 1.0) -> None: ...

@LOSSES.register_module("Given")
class Unused: ...

@LOSSES.register_module(name="Named")
def build(size: int): ...

@LOSSES.register_module()
class Inherits(Base): ...

@LOSSES.register_module()
class InheritsHere(Own): ...

@LOSSES.register_module()
class Open(Base):
    def __init__(self, **kwargs): ...

@LOSSES.register_module()
class Far(torch.nn.Module): ...

@LOSSES.register_module()
class Mixed(Base, Own): ...

@LOSSES.register_module()
class OverDataclass(Decorated): ...

@LOSSES.register_module()
@dataclass
class Fields:
    margin: float

@LOSSES.register_module()
class New:
    def __new__(cls, *args): ...

@LOSSES.register_module()
class Wrapped:
    @wrapped
    def __init__(self, margin): ...

@LOSSES.register_module()
def anything(**options): ...
"""
BASE = """
class Loss:
    def __init__(self, inherited: int): ...

@dataclass
class Decorated(Loss): ...
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a package "room" with a registry of each kind."""
    folder = tmp_path / "room"
    folder.mkdir()
    files = {"registry": REGISTRY, "loss": LOSS, "base": BASE}
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def test_kinds(package: Path) -> None:
    kinds = {"LOSSES": "loss", "MODELS": "model", "OPTIMIZERS": "optimizer"}
    assert NameIndex(package).kinds == kinds


def test_own_names(package: Path) -> None:
    expected = {
        *("Own", "Given", "Named", "Inherits", "InheritsHere", "Open", "Far", "Mixed"),
        *("OverDataclass", "Fields", "New", "Wrapped", "anything"),
    }
    assert NameIndex(package).own("LOSSES") == sorted(expected)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Own", "margin weight"),
        ("Given", ""),
        ("Named", "size"),
        ("Inherits", "inherited"),
        ("InheritsHere", None),
        ("Open", None),
        ("Far", None),
        ("Mixed", None),
        ("OverDataclass", None),
        ("Fields", None),
        ("New", None),
        ("Wrapped", None),
        ("anything", None),
        ("unknown", None),
    ],
)
def test_arguments(package: Path, name: str, arguments: str | None) -> None:
    found = NameIndex(package).signature("LOSSES", name)
    known = sorted(found.annotations) if found and found.complete else None
    assert known == (None if arguments is None else arguments.split())


def test_names_of_libraries(package: Path) -> None:
    index = NameIndex(package)
    assert {"SGD", "AdamW"} <= index.names("OPTIMIZERS")
    assert index.knows("OPTIMIZERS", "SGD")
    assert not index.knows("OPTIMIZERS", "SDG")


@pytest.mark.parametrize("name", ["torch.optim.SGD", "my_package.Loss", "cliqa.Own"])
def test_dotted_names_are_left_to_the_real_check(package: Path, name: str) -> None:
    assert NameIndex(package).knows("LOSSES", name)


def test_an_unknown_registry_knows_everything(package: Path) -> None:
    assert NameIndex(package).knows("SCENARIOS", "Anything")


def test_parents_names(package: Path) -> None:
    index = NameIndex(package)
    assert {"ResNet", "GlobalAveragePooling", "LinearClsHead"} <= index.names("MODELS")
    assert index.knows("MODELS", "Conv2d")  # registered in a loop: it stands in the sources
    assert not index.knows("MODELS", "ResNt")


def test_a_library_without_sources_may_hold_any_name(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(names.LIBRARIES, "OPTIMIZERS", "no_such_package.optim")
    assert NameIndex(package).knows("OPTIMIZERS", "Anything")
    assert "Anything" not in NameIndex(package).names("OPTIMIZERS")


def test_libraries_are_those_of_the_registries() -> None:
    added = {
        registry
        for path in names.PACKAGE.rglob("*.py")
        for registry in re.findall(r"^([A-Z_]+)\.add_upstream\(", path.read_text(), re.MULTILINE)
    }
    assert added == set(names.LIBRARIES)


def test_the_projects_own_sources_leave_nothing_open() -> None:
    index = NameIndex()
    assert len(index.kinds) >= 12
    open_ended = [kind for kind in index.kinds if index.knows(kind, "NoSuchComponentAnywhere")]
    assert open_ended == []


def test_annotations_as_they_are_written(package: Path) -> None:
    def annotations(name: str) -> dict[str, str]:
        found = index.signature("LOSSES", name)
        return found.annotations if found else {}

    index = NameIndex(package)
    own = {"margin": "float", "weight": "float"}
    assert annotations("Own") == own
    assert annotations("InheritsHere") == own
    assert annotations("Open") == {"inherited": "int"}  # of its base
    assert annotations("Mixed") == {"inherited": "int", **own}
    assert annotations("Named") == {"size": "int"}
    assert annotations("unknown") == {}


@pytest.mark.parametrize("module", ["no_such_package", "no_such_package.sub", "sys"])
def test_packages_without_a_folder(module: str) -> None:
    assert package_folder(module) is None


def test_package_folders(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(package.parent))
    (package / "deep").mkdir()
    assert package_folder("room.deep") == package / "deep"
    assert package_folder("room.loss") is None
    assert "room" not in sys.modules


def test_the_modules_of_a_name(package: Path) -> None:
    (package / "deep").mkdir()
    (package / "deep" / "more.py").write_text("@MODELS.register_module()\nclass Own: ...\n")
    index = NameIndex(package)
    assert index.modules("Own") == ["room.deep.more", "room.loss"]
    assert index.modules("Unknown") == []
