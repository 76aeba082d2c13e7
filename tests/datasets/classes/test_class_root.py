"""The folder of labelled images, before anything slow is imported."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.datasets.classes.class_root import class_root
from cliqa.utils.errors import DatasetError


def test_the_folder_must_be_there(tmp_path: Path) -> None:
    assert class_root(str(tmp_path)) == tmp_path
    with pytest.raises(DatasetError, match=r"none: no such folder \(from .*one folder per class"):
        class_root(tmp_path / "none")
