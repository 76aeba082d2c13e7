"""Tests of cliqa.registry."""

from __future__ import annotations

import json
import math
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from mmengine.registry import Registry

from cliqa import registry as registries
from cliqa.config.names import NameIndex
from cliqa.registry import ComponentRegistry, build_component, check_component, find
from cliqa.utils.errors import ConfigError, DatasetError

ROOM = {
    "__init__.py": "",
    "base.py": "ROW = []\n",
    "loss.py": (
        "from cliqa_test_room import REGISTRY\n"
        "from cliqa_test_room.base import ROW\n"
        "ROW.append('loss')\n"
        "@REGISTRY.register_module()\n"
        "class RankLoss:\n"
        "    def __init__(self, margin: float = 0.05) -> None:\n"
        "        self.margin = margin\n"
    ),
    "deep/__init__.py": "",
    "deep/more.py": (
        "from cliqa_test_room import REGISTRY\n"
        "@REGISTRY.register_module()\n"
        "class DeepLoss: ...\n"
        "REGISTRY.get('RankLoss')  # looks a name up while the room loads\n"
    ),
}


class SGD:
    """Stands for an optimizer."""

    def __init__(self, params: list[int], lr: float, momentum: float = 0.0) -> None:
        self.params, self.lr, self.momentum = params, lr, momentum


class BugError(Exception):
    """No constructor raises it for a value."""


class Fussy:
    """Refuses its values with the error that it is given."""

    def __init__(self, error: str = "", inner: Any = None) -> None:
        errors = {
            "value": ValueError("depth 19 is unknown"),
            "key": KeyError("depth"),
            "empty": AssertionError(),
            "ours": DatasetError("row 3: no score"),
            "missing": FileNotFoundError(2, "No such file or directory", "a.pth"),
            "runtime": RuntimeError("negative dimension -1"),
            "zero": ZeroDivisionError("division by zero"),
            "bug": BugError("a slip of ours"),
        }
        raise errors[error]


@pytest.fixture
def optimizers() -> ComponentRegistry:
    """Return a registry with two components of ours."""
    registry = ComponentRegistry("optimizer", [])
    registry.register_module(module=SGD)
    registry.register_module(module=Fussy)
    return registry


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ComponentRegistry]:
    """Return a registry whose room is a package on disk, not yet imported."""
    registry = ComponentRegistry("loss", ["cliqa_test_room"])
    for name, text in ROOM.items():
        path = tmp_path / "cliqa_test_room" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    init = tmp_path / "cliqa_test_room" / "__init__.py"
    init.write_text("from cliqa_test_bridge import REGISTRY\n")
    bridge = ModuleType("cliqa_test_bridge")
    bridge.REGISTRY = registry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cliqa_test_bridge", bridge)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield registry
    for name in [name for name in sys.modules if name.startswith("cliqa_test_room")]:
        del sys.modules[name]


def test_rooms_load_on_the_first_look_up(room: ComponentRegistry) -> None:
    assert "cliqa_test_room" not in sys.modules
    assert room.names() == ["DeepLoss", "RankLoss"]
    component = room.get("RankLoss")
    assert component is not None
    assert component(margin=1).margin == 1


def test_threads_that_look_a_name_up_first_all_find_it(
    room: ComponentRegistry, tmp_path: Path
) -> None:
    slow = tmp_path / "cliqa_test_room" / "base.py"
    slow.write_text("import time\ntime.sleep(0.05)\nROW = []\n")
    together = threading.Barrier(4)

    def look(_: int) -> object:
        together.wait()
        return room.get("DeepLoss")

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(look, range(4)))
    assert None not in found
    assert len(set(found)) == 1


def test_a_name_imports_only_its_module(
    room: ComponentRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = NameIndex(tmp_path / "cliqa_test_room")
    monkeypatch.setattr(registries, "name_index", lambda: index)
    assert room.get("RankLoss") is sys.modules["cliqa_test_room.loss"].RankLoss
    assert "cliqa_test_room.deep" not in sys.modules
    assert room.names() == ["DeepLoss", "RankLoss"]


def test_a_name_of_another_registrys_package_is_not_imported(
    room: ComponentRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = NameIndex(tmp_path / "cliqa_test_room")
    monkeypatch.setattr(registries, "name_index", lambda: index)
    assert ComponentRegistry("model", ["json"]).registered("RankLoss") is None
    assert "cliqa_test_room" not in sys.modules


def test_rooms_load_once(room: ComponentRegistry) -> None:
    room.names()
    room.names()
    assert sys.modules["cliqa_test_room.base"].ROW == ["loss"]


def test_a_room_that_fails_to_load_is_tried_again(room: ComponentRegistry, tmp_path: Path) -> None:
    broken = tmp_path / "cliqa_test_room" / "broken.py"
    broken.write_text("import no_such_module")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        room.get("RankLoss")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        room.get("RankLoss")


def test_upstream_names_come_after_ours() -> None:
    registry = ComponentRegistry("decoder", [])

    @registry.register_module(name="JSONDecoder")
    class Ours:
        """Takes upstream's name."""

    registry.add_upstream(json, lambda name, _: name.startswith("JSON"), "json")
    assert registry.get("JSONDecoder") is Ours
    assert registry.get("json.JSONDecoder") is json.JSONDecoder
    assert registry.get("JSONEncoder") is json.JSONEncoder
    assert registry.get("cliqa.JSONDecoder") is Ours
    assert registry.names() == ["JSONDecodeError", "JSONDecoder", "JSONEncoder"]


def test_private_upstream_names_stay_out() -> None:
    registry = ComponentRegistry("decoder", [])
    registry.add_upstream(json, lambda *_: True, "json")
    assert not any(name.startswith("_") for name in registry.names())


def test_the_first_of_two_libraries_keeps_the_plain_name() -> None:
    registry = ComponentRegistry("number", [])
    other = ModuleType("other")
    other.sqrt = abs  # type: ignore[attr-defined]
    registry.add_upstream(math, lambda name, _: name == "sqrt", "math")
    registry.add_upstream(other, lambda name, _: name == "sqrt", "other")
    assert registry.get("sqrt") is math.sqrt
    assert registry.get("other.sqrt") is abs


def test_parents_are_asked_last_and_all_of_them() -> None:
    root = Registry("root", scope="cliqa_test")
    middle = Registry("middle", parent=root, scope="cliqa_test_middle")
    registry = ComponentRegistry("model", [])
    registry.parent = middle
    root.register_module(name="Deep", module=SGD)
    middle.register_module(name="Near", module=Fussy)
    registry.register_module(name="Own", module=dict)
    assert registry.names() == ["Deep", "Near", "Own"]
    assert [registry.get(name) for name in ("Deep", "Near", "Own")] == [SGD, Fussy, dict]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("json.JSONDecoder", json.JSONDecoder),
        ("json.loads", json.loads),
        ("json.decoder", None),
        ("json.no_such_name", None),
        ("no_such_package.Name", None),
        ("math.pi", None),
        ("SGD.", None),
        (".SGD", None),
        ("..SGD", None),
        ("json..JSONDecoder", None),
        ("", None),
    ],
)
def test_dotted_paths(path: str, expected: object) -> None:
    assert ComponentRegistry("any", []).get(path) is expected


def test_unknown_names_get_a_suggestion(optimizers: ComponentRegistry) -> None:
    message = r"^cl_strategy\.optimizer: unknown optimizer 'SDG'\. Did you mean 'SGD'\?$"
    with pytest.raises(ConfigError, match=message):
        find(optimizers, {"type": "SDG"}, "cl_strategy.optimizer")


def test_names_without_a_neighbour_get_the_list(optimizers: ComponentRegistry) -> None:
    with pytest.raises(ConfigError, match=r"unknown optimizer 'Lion'\. Known: Fussy, SGD\."):
        find(optimizers, {"type": "Lion"}, "x")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no_such_package.Loss", "Importing 'no_such_package' failed: ModuleNotFoundError"),
        ("json.no_such_name", "'json' has no class or function called 'no_such_name'"),
        (
            "cliqa_test_raises.Loss",
            "Importing 'cliqa_test_raises' failed: RuntimeError: no licence",
        ),
    ],
)
def test_unknown_dotted_paths_get_the_reason(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cliqa_test_raises.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=message):
        find(ComponentRegistry("loss", []), {"type": path}, "cl_strategy.loss")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("SGD", r"x: expected dict\(type=\.\.\.\) naming the optimizer, got str 'SGD'"),
        (None, r"x: expected dict\(type=\.\.\.\)"),
        ({}, r"x: no 'type'\. Name the optimizer: dict\(type='\.\.\.'"),
        ({"type": None}, "x: no 'type'"),
        ({"type": 3}, r"x\.type: expected a name \(a string\), got 3"),
    ],
)
def test_sections_that_name_nothing(
    optimizers: ComponentRegistry, section: Any, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        find(optimizers, section, "x")


def test_check_accepts_what_build_accepts(optimizers: ComponentRegistry) -> None:
    section = {"type": "SGD", "lr": 0.1}
    assert check_component(optimizers, section, "x", provided=["params"]) is SGD
    built = build_component(optimizers, section, "x", params=[1])
    assert (built.params, built.lr, built.momentum) == ([1], 0.1, 0.0)
    assert section == {"type": "SGD", "lr": 0.1}


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"type": "SGD", "lr": 1, "momentun": 1},
            r"^x 'SGD': unexpected argument 'momentun'\. Did you mean 'momentum'\? "
            r"It accepts lr: float, momentum: float = 0\.0\.$",
        ),
        ({"type": "SGD", "lr": 1, "depth": 1}, r"unexpected argument 'depth'\. It accepts lr"),
        ({"type": "SGD"}, r"x 'SGD': missing argument 'lr'\. It accepts lr: float, momentum"),
    ],
)
def test_wrong_arguments(
    optimizers: ComponentRegistry, section: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_component(optimizers, section, "x", provided=["params"])
    with pytest.raises(ConfigError, match=message):
        build_component(optimizers, section, "x", params=[])


def test_what_the_caller_provides_must_fit_too(optimizers: ComponentRegistry) -> None:
    with pytest.raises(ConfigError, match="x 'SGD': .*unexpected keyword argument 'device'"):
        build_component(optimizers, {"type": "SGD", "lr": 1}, "x", params=[], device="cpu")


def test_the_config_wins_over_what_the_caller_provides(optimizers: ComponentRegistry) -> None:
    section = {"type": "SGD", "lr": 1, "momentum": 2}
    assert build_component(optimizers, section, "x", params=[], momentum=3).momentum == 2


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("value", r"^x 'Fussy': depth 19 is unknown$"),
        ("key", r"^x 'Fussy': it has no value for 'depth'\.$"),
        ("empty", r"^x 'Fussy': AssertionError without a message$"),
        ("missing", r"^x 'Fussy': a\.pth: No such file or directory$"),
        ("runtime", r"^x 'Fussy': negative dimension -1$"),
        ("zero", r"^x 'Fussy': division by zero$"),
    ],
)
def test_refused_values_name_their_section(
    optimizers: ComponentRegistry, error: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_component(optimizers, {"type": "Fussy", "error": error}, "x")


def test_our_own_errors_pass_as_they_are(optimizers: ComponentRegistry) -> None:
    with pytest.raises(DatasetError, match=r"^row 3: no score$"):
        build_component(optimizers, {"type": "Fussy", "error": "ours"}, "x")


def test_bugs_keep_their_traceback(optimizers: ComponentRegistry) -> None:
    with pytest.raises(BugError):
        build_component(optimizers, {"type": "Fussy", "error": "bug"}, "x")


def test_functions_are_components() -> None:
    registry = ComponentRegistry("metric", [])

    @registry.register_module()
    def quality_metrics(bootstrap: int = 3) -> list[int]:
        return [bootstrap]

    assert build_component(registry, {"type": "quality_metrics", "bootstrap": 5}, "x") == [5]


def test_every_registry_says_what_it_holds() -> None:
    found = {k: v for k, v in vars(registries).items() if isinstance(v, ComponentRegistry)}
    assert {
        *("DATASETS", "GENERATORS", "TRANSFORMS", "LOSSES", "MODELS", "SCENARIOS", "METRICS"),
        *("STRATEGIES", "PLUGINS", "OPTIMIZERS", "LR_SCHEDULERS", "LOGGERS"),
    } == set(found)
    kinds = [registry.name for registry in found.values()]
    assert len(set(kinds)) == len(kinds)


def test_values_are_checked_and_converted(optimizers: ComponentRegistry) -> None:
    section = {"type": "SGD", "lr": "fast", "momentum": None}
    checks: list[Callable[[], object]] = [
        lambda: check_component(optimizers, section, "x", ["params"]),
        lambda: build_component(optimizers, section, "x", params=[]),
    ]
    for check in checks:
        with pytest.raises(ConfigError) as caught:
            check()
        assert str(caught.value).splitlines() == [
            "x 'SGD': lr: expected a number, got 'fast'.",
            "x 'SGD': momentum: expected a number, got None.",
        ]


def test_words_reach_the_constructor_as_truth_values() -> None:
    registry = ComponentRegistry("switch", [])
    registry.register_module(name="Switch", module=switch)
    section = {"type": "Switch", "on": "no"}
    assert build_component(registry, section, "x") is False
    assert section == {"type": "Switch", "on": "no"}


def switch(on: bool) -> bool:
    """Return what it is given."""
    return on
