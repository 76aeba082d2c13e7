"""Who may have code run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from cliqa.config.trust import (
    LONGEST,
    built_from,
    import_custom_modules,
    is_trusting,
    is_vouched,
    refusal,
    refuse_imports,
    trusting,
    untrusted_source,
    vouch,
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
        "model.type 'my_package.MyHead' of run.pth is none of cliqa's components: using it would "
        "import my_package. If you trust the file: --trust"
    )
    said = str(refusal("a\nb" + 1000 * "c", "model.type", "run.pth"))
    assert "\n" not in said
    assert len(said) < 2 * LONGEST + 150
