"""A small Hub of the tests' own, and a run's shared model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import cliqa
from tests.hub.endpoint import SmallHub


@pytest.fixture(scope="session")
def server() -> Iterator[SmallHub]:
    """Return a server without repositories."""
    server = SmallHub()
    yield server
    server.close()


@pytest.fixture
def small_hub(server: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallHub:
    """Return an empty Hub on this machine, with somebody logged in and a cache of its own."""
    constants = pytest.importorskip("huggingface_hub.constants")
    server.repositories.clear()
    server.requests.clear()
    server.fail, server.break_commits = None, False
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", server.token)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    return server


@pytest.fixture(scope="session")
def shared_folder(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the shared model of `tiny_run`, without ``model.onnx``: only read it."""
    pytest.importorskip("safetensors")
    folder = tmp_path_factory.mktemp("shared") / "tiny"
    cliqa.push_to_hub(tiny_run, "me/tiny", license="cc-by-4.0", folder=folder, export=False)
    return folder
