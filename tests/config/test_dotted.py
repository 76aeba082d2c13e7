"""Components by their dotted names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cliqa.config.dotted import from_dotted_path, import_tree, why_unknown


def test_classes_and_functions_are_found_and_nothing_else() -> None:
    assert from_dotted_path("json.JSONDecoder") is json.JSONDecoder
    assert from_dotted_path("json.dumps") is json.dumps
    for path in ("json", "json.decoder", "json.nothing", "no_such_module.X", "json.decoder.NaN"):
        assert from_dotted_path(path) is None


def test_why_a_path_leads_nowhere_is_told() -> None:
    assert why_unknown("json.Nothing") == " 'json' has no class or function called 'Nothing'."
    assert why_unknown("no_such.X").startswith(" Importing 'no_such' failed: ModuleNotFoundError")


def test_a_tree_is_imported_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "tree_of_dotted/__init__.py",
        "tree_of_dotted/a/__init__.py",
        "tree_of_dotted/a/b.py",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    import_tree("tree_of_dotted")
    assert "tree_of_dotted.a.b" in sys.modules
