"""Tests of cliqa.config.trust."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.trust import (
    DEEPEST,
    LONGEST,
    built_from,
    check_names,
    check_plain,
    import_custom_modules,
    is_trusting,
    is_vouched,
    refusal,
    refuse_imports,
    trusting,
    untrusted_source,
    vouch,
    without_weights,
)
from cliqa.utils.errors import ConfigError, TrustError


def test_trust_lasts_as_long_as_its_context_and_is_not_taken_back_inside() -> None:
    assert not is_trusting()
    with trusting():
        with trusting(False):
            assert is_trusting()
        assert is_trusting()
    with trusting(False):
        assert not is_trusting()
    with pytest.raises(ZeroDivisionError), trusting():
        _ = 1 / 0
    assert not is_trusting()


def test_a_file_is_untrusted_while_parts_are_built_from_it() -> None:
    with built_from(Path("a.pth")):
        with built_from("b.pth"):
            assert untrusted_source() == "b.pth"
        assert untrusted_source() == "a.pth"
        with trusting(), built_from("c.pth"):
            assert untrusted_source() == ""
    assert untrusted_source() == ""


def test_what_a_user_names_is_remembered_at_any_depth() -> None:
    vouch(
        {"model": [{"type": "of_a_user.Net", "head": ({"type": "of_a_user.Head"}, 3)}], "seed": 0}
    )
    assert is_vouched("of_a_user.Net")
    assert is_vouched("of_a_user.Head")
    assert not is_vouched("of_a_user.Other")
    vouch({"type": 5})  # a mistake that others tell


def test_only_modules_that_are_not_there_need_trust() -> None:
    fine: list[Any] = [None, {}, [], {"imports": ["json", "pytest"]}, {"imports": None}]
    for custom in fine:
        refuse_imports(custom, "x.pth")
    with pytest.raises(TrustError, match=r"x\.pth: .* would import mine, my\.other\. If you trust"):
        refuse_imports({"imports": ["mine", "json", "my.other"]}, "x.pth")
    with pytest.raises(TrustError, match=r"would import 5\. "):
        refuse_imports(5, "x.pth")


def test_a_failing_import_is_told_unless_it_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "module_of_trust.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"x\.pth: custom_imports: importing 'module_of_trust' fa"
    ):
        import_custom_modules({"imports": ["module_of_trust"]}, "x.pth")
    import_custom_modules({"imports": ["no_such"], "allow_failed_imports": True}, "x.pth")
    (tmp_path / "module_of_trust.py").write_text("")
    import_custom_modules({"imports": ["module_of_trust"]}, "x.pth")
    assert sys.modules.pop("module_of_trust", None)


def test_a_refusal_says_what_would_be_imported_in_one_line() -> None:
    assert str(refusal("my_package.MyHead", "model.type", "run.pth")) == (
        "model.type 'my_package.MyHead' of run.pth is not a component of cliqa: using it would "
        "import my_package. If you trust the file: --trust"
    )
    said = str(refusal("a\nb" + 1000 * "c", "model.type", "run.pth"))
    assert "\n" not in said
    assert len(said) < 2 * LONGEST + 150


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
        ([], r"x\.pth: its config is a list, not a dict"),
        ({"a": {"b": {1, 2}}}, r"x\.pth: config\.a\.b: a set is not a valid value of a config"),
        (
            {"a": [print]},
            r"config\.a\.0: a builtin_function_or_method is not a valid value of a config",
        ),
        ({"a": [int]}, r"config\.a\.0: a type is not a valid value of a config"),
        ({"a": {"_delete_": True}}, r"config\.a: '_delete_' is not a valid key of a config"),
        ({("a",): 1}, r"config: \('a',\) is not a valid key of a config"),
        ({"a": -(2**70)}, r"config\.a: a huge integer is not a valid value of a config"),
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
        TrustError, match=r"^part\.a\[0\]\[1\]\.type 'os\.system' of x\.pth is not a component"
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
