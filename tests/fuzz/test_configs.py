"""Configs with one damaged key, as a file and by option; see `conftest`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cliqa.config.components import quick_check
from cliqa.config.load import dump_config, load_config
from cliqa.config.names import NameIndex
from cliqa.engine.build import build_model_and_strategy
from cliqa.engine.check import check_config
from cliqa.engine.pretrain.check import check_pretraining
from cliqa.engine.train import train
from tests.fuzz.conftest import Try, cases
from tests.fuzz.damage import (
    DEEP,
    OUT_OF_RANGE,
    WRONG_KINDS,
    at,
    changed,
    damaged_bytes,
    double,
    drop,
    misspellings,
    paths_of,
)

FOLDER = Path(__file__).resolve().parents[2] / "config"
LEAVES = sorted(FOLDER.glob("*.py"))
CONFIGS = {path.stem: load_config(path) for path in LEAVES}
PLACES = [(name, place) for name, config in CONFIGS.items() for place in paths_of(config)]
SMALL = ("demo", "fmnist", "clear_demo")
"""Beginnings of the names of configs whose models are built in milliseconds."""
NAMES = NameIndex()
CPU = torch.device("cpu")


def written(value: Any) -> str:
    """Return a value as a config file writes it; ``repr`` of a NaN is no Python."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        inner = "".join(f"{written(item)}, " for item in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def file_of(config: dict[str, Any]) -> bytes:
    lines = [f"{name} = {written(value)}\n" for name, value in config.items()]
    return "".join(lines).encode("utf-8", "surrogatepass")


def check(path: Path, options: list[str], build: bool) -> dict[str, Any]:
    """Load a config and go as far as is possible without data."""
    config = {"seed": 0, **load_config(path, options)}
    quick_check(config, NAMES)
    if "pretrain" in config:
        check_pretraining(config)
        return config
    check_config(config)
    if build and config["load_from"] is None:
        build_model_and_strategy(config, CPU)
    return config


@st.composite
def damaged_configs(draw: st.DrawFn, name: str, place: tuple[Any, ...]) -> tuple[str, Any]:
    """Draw the name of a damage and the config of this name with that damage at a place."""
    config = {"load_from": None, **CONFIGS[name]}
    kinds = ["drop", "double", "kind", "range", "deep"]
    if isinstance(at(config, place), dict):
        kinds.append("unknown")
    if isinstance(place[-1], str):
        kinds.append("misspelt")
    kind = draw(st.sampled_from(kinds))
    if kind in ("drop", "double"):
        return kind, changed(config, place, drop if kind == "drop" else double)
    if kind == "misspelt":
        new = draw(misspellings(place[-1]).filter(lambda name: name not in at(config, place[:-1])))

        def rename(owner: Any, key: str) -> None:
            owner[new] = owner.pop(key)

        return kind, changed(config, place, rename)
    if kind == "unknown":

        def add(owner: Any, key: Any) -> None:
            owner[key]["unheard_of"] = 1

        return kind, changed(config, place, add)
    pool = {"kind": WRONG_KINDS, "range": OUT_OF_RANGE, "deep": (DEEP,)}[kind]
    value = draw(st.sampled_from(pool))
    return kind, changed(config, place, lambda owner, key: owner.__setitem__(key, value))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every download fail at once: a damaged config may ask for weights."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.urlopen", refuse)


@cases(short=40, long=3000)
@given(data=st.data())
def test_a_damaged_key_in_a_file(data: st.DataObject, folder: Path, attempt: Try) -> None:
    name, place = data.draw(st.sampled_from(PLACES))
    kind, config = data.draw(damaged_configs(name, place))
    path = folder / "x.py"
    path.write_bytes(file_of(config))
    small = name.startswith(SMALL) and kind != "range"  # a huge model takes a huge memory
    found = attempt("config file", lambda: check(path, [], build=small))
    if found is None:
        return
    variable = len(place) == 1  # a name of the author's that is like no section is warned about
    assert kind not in ("misspelt", "unknown") or variable, "silently ignored"
    again = folder / "again.py"
    dump_config(found, again)
    assert written(check(again, [], build=False)) == written(found)


TEXTS = st.one_of(
    st.sampled_from(
        [
            *("", " ", "no", "YES", "None", "2024", "-1", "1e30", "nan", "inf", "1e400", "0x10"),
            *("[z]", "[1", "(1,", "(1,2,3)", "[[1],[2]]", "dict(", "dict(type='SGD')", "{1:2}"),
            *("~x", "a=b", "a,b", "scores (1).csv", "dict(a=b)", "lambda: 1", "é", "'", '"a'),
            *("9" * 5000, "[" * 500, "(" * 500 + ")" * 500, "{" * 300, "dict(a=" * 99, "\0", "\n"),
        ]
    ),
    st.text(max_size=12),
)


@cases(short=25, long=1500)
@given(place=st.sampled_from(PLACES), text=TEXTS)
def test_a_strange_option(place: tuple[str, Any], text: str, folder: Path, attempt: Try) -> None:
    name, keys = place
    option = ".".join(map(str, keys)) + "=" + text
    path = FOLDER / f"{name}.py"
    found = attempt("option", lambda: check(path, [option], build=False))
    if found is not None:
        again = folder / "again.py"
        dump_config(found, again)
        assert written(check(again, [], build=False)) == written(found)


SOURCES = [path.read_bytes() for path in LEAVES]


@cases(short=40, long=700)
@given(data=st.data())
def test_a_damaged_text(data: st.DataObject, folder: Path, attempt: Try) -> None:
    source = data.draw(st.sampled_from(SOURCES))
    content = data.draw(damaged_bytes(source))
    path = folder / "x.py"
    path.write_bytes(content.replace(b'"_base_/', f'"{FOLDER.as_posix()}/_base_/'.encode()))
    attempt("config text", lambda: check(path, [], build=False))


ENDLESS = {"train_epochs", "bootstrap", "mem_size", "depth", "base_channels", "stem_channels"}
"""Keys under which a large number is valid, and means hours or gigabytes."""


@cases(short=5, long=250)
@given(data=st.data())
def test_what_is_taken_trains_to_its_end(
    data: st.DataObject,
    tiny_config: dict[str, Any],
    folder: Path,
    attempt: Try,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cliqa.engine.train.draw_run", lambda _: [])
    tiny_config["scenario"]["datasets"] = tiny_config["scenario"]["datasets"][:2]
    tiny_config["cl_strategy"]["train_epochs"] = 1
    place = data.draw(st.sampled_from(list(paths_of(tiny_config))))
    pool = [*WRONG_KINDS, *OUT_OF_RANGE]
    if place[-1] in ENDLESS:
        pool = [value for value in pool if not isinstance(value, (int, float)) or value < 3]
    value = data.draw(st.sampled_from(pool))
    config = changed(tiny_config, place, lambda owner, key: owner.__setitem__(key, value))
    path = folder / "x.py"
    path.write_bytes(file_of(config))

    def run() -> Any:
        loaded = load_config(path, [])
        quick_check(loaded, NAMES)
        return train(loaded, config_file=str(path), work_dir=folder / "run", device="cpu")

    results = attempt("run", run)
    if results is not None:
        assert results["status"] == "finished"
        finite(results["matrix"])


def finite(value: Any) -> None:
    """Fail where a number of the results is none."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            finite(item)
    elif value is not None:
        assert math.isfinite(value)
