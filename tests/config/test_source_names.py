"""Tests of cliqa.config.source_names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.config.source_names import SourceNames

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
    assert SourceNames(package).kinds == kinds


def test_own_names(package: Path) -> None:
    expected = {
        *("Own", "Given", "Named", "Inherits", "InheritsHere", "Open", "Far", "Mixed"),
        *("OverDataclass", "Fields", "New", "Wrapped", "anything"),
    }
    assert SourceNames(package).own("LOSSES") == sorted(expected)


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
    found = SourceNames(package).arguments("LOSSES", name)
    assert (found if found is None else sorted(found)) == (
        arguments if arguments is None else arguments.split()
    )


def test_upstream_names(package: Path) -> None:
    names = SourceNames(package)
    assert {"JSONDecoder", "JSONEncoder", "make_scanner"} <= names.names("OPTIMIZERS")
    assert names.knows("OPTIMIZERS", "JSONDecoder")
    assert not names.knows("OPTIMIZERS", "JSONDecodr")


@pytest.mark.parametrize("name", ["torch.optim.SGD", "my_package.Loss", "cliqa.Own"])
def test_dotted_names_are_left_to_the_real_check(package: Path, name: str) -> None:
    assert SourceNames(package).knows("LOSSES", name)


def test_an_unknown_registry_knows_everything(package: Path) -> None:
    assert SourceNames(package).knows("SCENARIOS", "Anything")


def test_parents_names(package: Path) -> None:
    names = SourceNames(package)
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
        "register_module( # does not parse",
    ],
)
def test_what_the_sources_leave_open_is_not_refused(package: Path, code: str) -> None:
    registry = "OPTIMIZERS" if "OPTIMIZERS" in code else "LOSSES"
    assert not SourceNames(package).knows(registry, "Anything")
    (package / "more.py").write_text(code)
    assert SourceNames(package).knows(registry, "Anything")


def test_the_projects_own_sources_leave_nothing_open() -> None:
    names = SourceNames()
    assert len(names.kinds) >= 12
    open_ended = [kind for kind in names.kinds if names.knows(kind, "NoSuchComponentAnywhere")]
    assert open_ended == []


def test_annotations_as_they_are_written(package: Path) -> None:
    names = SourceNames(package)
    own = {"margin": "float", "weight": "float"}
    assert names.annotations("LOSSES", "Own") == own
    assert names.annotations("LOSSES", "InheritsHere") == own
    assert names.annotations("LOSSES", "Open") == {"inherited": "int"}  # of its base
    assert names.annotations("LOSSES", "Mixed") == {"inherited": "int", **own}
    assert names.annotations("LOSSES", "Named") == {"size": "int"}
    assert names.annotations("LOSSES", "unknown") == {}
