"""Tests of cliqa.config.names."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cliqa.config.names import NameIndex, package_folder

REGISTRY = """
LOSSES = ComponentRegistry("loss", ["room"])
MODELS = ComponentRegistry("model", ["room"])
OPTIMIZERS: object = None
OPTIMIZERS = ComponentRegistry("optimizer", ["room"])
"""
UPSTREAM = """
import json.decoder
import json.encoder as upstream_encoder
from json import scanner
OPTIMIZERS.add_upstream(json.decoder, keep, "json")
OPTIMIZERS.add_upstream(upstream_encoder, keep, "json")
OPTIMIZERS.add_upstream(scanner, keep, "json")
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
    files = {"registry": REGISTRY, "upstream": UPSTREAM, "loss": LOSS, "base": BASE}
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


def test_upstream_names(package: Path) -> None:
    names = NameIndex(package)
    assert {"JSONDecoder", "JSONEncoder", "py_make_scanner"} <= names.names("OPTIMIZERS")
    assert names.knows("OPTIMIZERS", "JSONDecoder")
    assert not names.knows("OPTIMIZERS", "JSONDecodr")


@pytest.mark.parametrize("name", ["torch.optim.SGD", "my_package.Loss", "cliqa.Own"])
def test_dotted_names_are_left_to_the_real_check(package: Path, name: str) -> None:
    assert NameIndex(package).knows("LOSSES", name)


def test_an_unknown_registry_knows_everything(package: Path) -> None:
    assert NameIndex(package).knows("SCENARIOS", "Anything")


def test_parents_names(package: Path) -> None:
    names = NameIndex(package)
    assert {"ResNet", "GlobalAveragePooling", "LinearClsHead"} <= names.names("MODELS")
    assert names.knows("MODELS", "Conv2d")  # registered in a loop: it stands in the sources
    assert not names.knows("MODELS", "ResNt")


@pytest.mark.parametrize(
    "code",
    [
        "for registry in (LOSSES,):\n    registry.add_upstream(json, keep, 'json')",
        "LOSSES.add_upstream(modules[0], keep, 'json')",
        "import no_such_package\nLOSSES.add_upstream(no_such_package, keep, 'x')",
        "LOSSES.add_upstream(unimported, keep, 'x')",
        "for name, value in found:\n    LOSSES.register_module(name=name, module=value)",
        "OPTIMIZERS.upstream[name] = value",
        "@LOSSES.register_module(NAME)\nclass Computed: ...",
    ],
)
def test_what_the_sources_leave_open_is_not_refused(package: Path, code: str) -> None:
    registry = "OPTIMIZERS" if "OPTIMIZERS" in code else "LOSSES"
    assert not NameIndex(package).knows(registry, "Anything")
    (package / "more.py").write_text(code)
    assert NameIndex(package).knows(registry, "Anything")


def test_the_projects_own_sources_leave_nothing_open() -> None:
    names = NameIndex()
    assert len(names.kinds) >= 12
    open_ended = [kind for kind in names.kinds if names.knows(kind, "NoSuchComponentAnywhere")]
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
