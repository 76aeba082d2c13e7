"""Tests of cliqa.config.mmlab.translation."""

from __future__ import annotations

from cliqa.config.mmlab.translation import Translation, as_dict, as_dicts, unknown


def test_translations_add_up() -> None:
    found = Translation({"seed": 1}, ["a"])
    found.add(Translation({"seed": 2, "amp": True}, ["a", "b"]))
    assert found.settings == {"seed": 2, "amp": True}
    assert found.lost == ["a", "b"]
    assert str(found) == "Set seed=2, amp=True. A. B."


def test_other_values_are_empty() -> None:
    assert as_dict(3) == {}
    assert as_dicts("x") == []
    assert as_dicts({"type": "A"}) == [{"type": "A"}]
    assert as_dicts([{1: 2}, 3]) == [{"1": 2}]
    assert unknown("x", {"a": 1, "b": 2}, {"a"}) == ["x.b has no counterpart"]
