"""Configs out of files, looked through."""

from __future__ import annotations

from typing import Any

import pytest

from cliqa.config.file_config import DEEPEST, check_names, check_plain, without_weights
from cliqa.utils.errors import TrustError


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def test_plain_values_pass() -> None:
    plain = {"a": [1, 2.5, None, True, ("x", {"b": float("nan")})], 3: {None: ""}, "c": 2**63}
    check_plain(plain, "x.pth")
    check_plain(nested(DEEPEST), "x.pth")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ([], r"x\.pth: its config is no dict but a list"),
        ({"a": {"b": {1, 2}}}, r"x\.pth: config\.a\.b: a set is no value of a config"),
        ({"a": [print]}, r"config\.a\.0: a builtin_function_or_method is no value of a config"),
        ({"a": [int]}, r"config\.a\.0: a type is no value of a config"),
        ({"a": {"_delete_": True}}, r"config\.a: '_delete_' is no key of a config"),
        ({("a",): 1}, r"config: \('a',\) is no key of a config"),
        ({"a": -(2**70)}, r"config\.a: a huge integer is no value of a config"),
        (nested(DEEPEST + 1), r"its config is nested too deeply to be one of a run"),
        (nested(100_000), r"its config is nested too deeply to be one of a run"),
        ({"a": [0] * 100_001}, r"its config holds too many values to be one of a run"),
    ],
)
def test_what_no_config_holds_is_refused(config: Any, message: str) -> None:
    with pytest.raises(TrustError, match=message):
        check_plain(config, "x.pth")


def test_a_list_that_holds_itself_is_too_deep() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(TrustError, match="nested too deeply"):
        check_plain({"a": endless}, "x.pth")


class Registry:
    """Holds two components, one of which a file may name."""

    def admits(self, key: str) -> bool:
        return key == "Known"

    def registered(self, key: str) -> object | None:
        return key if key in self.names() else None

    def names(self) -> list[str]:
        return ["Fetches", "Known"]


def check(section: Any, name: str = "part") -> None:
    check_names({name: section, "other": {"type": "os.system"}}, "x.pth", {name: [Registry()]})


def test_names_are_found_at_any_depth() -> None:
    check({"type": "Known", "a": [({"type": "Known"},)], "b": 3})
    with pytest.raises(
        TrustError, match=r"^part\.a\[0\]\[1\]\.type 'os\.system' of x\.pth is none"
    ):
        check({"type": "Known", "a": [[0, {"type": "os.system"}]]})
    with pytest.raises(TrustError, match=r"^part\.type of x\.pth: expected a name, got \['Known'"):
        check({"type": ["Known"]})
    with pytest.raises(
        TrustError, match=r"'Fetches' .* that a file may name\. If you trust the file"
    ):
        check({"type": "Fetches"})
    with pytest.raises(TrustError, match=r"'Knwon' .* may name\. Did you mean 'Known'\?$"):
        check({"type": "Knwon"})
    with pytest.raises(TrustError, match=r"'xyz' .* may name\. Is it registered\?$"):
        check({"type": "xyz"})


def test_what_a_model_needs_not_is_left_out_there_alone() -> None:
    check({"weights": {"type": "os.system"}, "init_cfg": ["https://x"]}, "model")
    with pytest.raises(TrustError, match=r"part\.weights\.type 'os\.system'"):
        check({"weights": {"type": "os.system"}})


@pytest.mark.parametrize("text", ["https://x.org", "HTTP://x", "hf-hub:a/b", "file:/etc/passwd"])
def test_addresses_are_refused(text: str) -> None:
    with pytest.raises(TrustError, match=r"part\.a\[0\] of x\.pth is an address, "):
        check({"a": [text]})


@pytest.mark.parametrize("text", ["ViT-B/32", "layer1.0", "*.bias", "a b: c"[0:3], ":x", "3:4", ""])
def test_other_texts_are_not(text: str) -> None:
    check({"a": text})


def test_weights_are_left_out_at_any_depth_and_texts_if_asked_to() -> None:
    section = {
        "type": "ImageTextModel",
        "texts": "levels.yaml",
        "backbone": {"pretrained": True, "depth": 18, "init_cfg": {"type": "Pretrained"}},
        "parts": ({"weights": "x.pth", "k": 1},),
    }
    found = without_weights(section)
    assert found == {
        "type": "ImageTextModel",
        "texts": None,
        "backbone": {"depth": 18},
        "parts": ({"k": 1},),
    }
    assert without_weights(section, texts=True)["texts"] == "levels.yaml"
    assert "pretrained" in section["backbone"]
