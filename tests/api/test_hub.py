"""``cliqa.push_to_hub``."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import cliqa
from cliqa.utils.errors import ConfigError

pytest.importorskip("safetensors")


def test_what_train_returns_is_shared(tiny_run: Path, tmp_path: Path) -> None:
    run: Any = SimpleNamespace(work_dir=tiny_run)
    found = cliqa.push_to_hub(run, "me/x", license="mit", folder=tmp_path / "s", export=False)
    assert found.folder == tmp_path / "s"
    assert found.url is None
    assert cliqa.load(found.folder, device="cpu").names == ["a", "b", "c"]


def test_a_licence_is_asked_for_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="a shared model needs one"):
        cliqa.push_to_hub("nowhere", "me/x")
