"""Folders in a storage: whole states alone come back, whatever cuts a copy short."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from uuid import uuid4

import pytest

from cliqa.studies.backends.storage import LostPlaceError, Storage
from cliqa.utils.errors import ArtifactError, ConfigError


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """Return an empty storage."""
    kind = request.param
    return Storage(f"memory://{uuid4().hex}" if kind == "memory" else f"file://{tmp_path}/kept")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder."""
    folder = tmp_path / "run"
    write(folder, "checkpoints/last.pth", "state 1")
    write(folder, "checkpoints/exp_0.pth", "state 1")
    write(folder, "metrics.jsonl", "row 1\n")
    write(folder, ".lock", "")
    return folder


def write(folder: Path, name: str, text: str) -> None:
    """Write a file of a run."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def files(folder: Path) -> dict[str, str]:
    """Return the content of a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_a_folder_comes_back_without_its_lock(storage: Storage, run: Path, tmp_path: Path) -> None:
    assert not storage.holds("x/seed_0")
    assert not storage.fetch("x/seed_0", tmp_path / "other")
    storage.check()
    storage.push(run, "x/seed_0")
    write(tmp_path / "other", "metrics.jsonl", "older")
    assert storage.fetch("x/seed_0", tmp_path / "other")
    (run / ".lock").unlink()
    assert files(tmp_path / "other") == files(run)
    assert storage.holds("x/seed_0")


def test_equal_files_are_kept_once_and_old_ones_go(run: Path, tmp_path: Path) -> None:
    storage = Storage(f"file://{tmp_path}/kept")
    content = tmp_path / "kept" / "r" / "content"
    storage.push(run, "r")
    assert len(list(content.iterdir())) == 2
    for state in range(2, 6):
        write(run, "checkpoints/last.pth", f"state {state}")
        storage.push(run, "r")
    kept = sorted(path.read_text() for path in content.iterdir())
    assert kept == ["row 1\n", "state 1", "state 4", "state 5"]
    assert len(list((tmp_path / "kept" / "r").glob("*.manifest"))) == 2


def test_a_copy_that_is_cut_leaves_the_state_before(
    storage: Storage, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.push(run, "r")
    before = files(run)
    write(run, "checkpoints/last.pth", "state 2, which is larger")
    write(run, "metrics.jsonl", "row 1\nrow 2\n")
    real_store, real_write = Storage._store, Storage._write
    for cut in range(1, 4):  # at the first file, at the second, at the manifest
        monkeypatch.undo()
        left = [cut]

        def store(*given: object, left: list[int] = left) -> object:
            left[0] -= 1
            if not left[0]:
                raise OSError("the node is gone")
            return real_store(*given)  # type: ignore[arg-type]

        def write_half(self: Storage, path: str, content: bytes) -> None:
            real_write(self, path, content[: len(content) // 2])
            raise OSError("the node is gone")

        monkeypatch.setattr(Storage, "_store", store)
        monkeypatch.setattr(Storage, "_write", write_half)
        with pytest.raises(OSError, match="gone"):
            storage.push(run, "r")
        monkeypatch.undo()
        assert storage.fetch("r", tmp_path / str(cut))
        got = files(tmp_path / str(cut))
        assert got == {name: text for name, text in before.items() if name != ".lock"}
    storage.push(run, "r")
    assert storage.fetch("r", tmp_path / "whole")
    assert files(tmp_path / "whole")["checkpoints/last.pth"] == "state 2, which is larger"


def test_a_cut_file_of_the_newest_state_brings_back_the_one_before(
    run: Path, tmp_path: Path
) -> None:
    storage = Storage(f"file://{tmp_path}/kept")
    storage.push(run, "r")
    write(run, "checkpoints/last.pth", "state 2")
    storage.push(run, "r")
    (path,) = (p for p in (tmp_path / "kept/r/content").iterdir() if p.read_text() == "state 2")
    path.write_text("stat")
    assert storage.fetch("r", tmp_path / "other")
    assert files(tmp_path / "other")["checkpoints/last.pth"] == "state 1"
    storage.push(run, "r")  # the cut file is written anew
    assert path.read_text() == "state 2"
    path.write_text("state 3")
    with pytest.raises(ArtifactError, match=r"is damaged: it is not the content of last\.pth"):
        storage.fetch("r", tmp_path / "third")
    assert not (tmp_path / "third" / "checkpoints" / "last.pth").exists()


def test_an_older_attempt_cannot_write_any_more(
    storage: Storage, run: Path, tmp_path: Path
) -> None:
    storage.claim("r", "first")
    storage.push(run, "r", "first")
    storage.claim("r", "second")
    write(run, "checkpoints/last.pth", "of a node that was thought lost")
    with pytest.raises(LostPlaceError):
        storage.push(run, "r", "first")
    storage.fetch("r", tmp_path / "other")
    assert files(tmp_path / "other")["checkpoints/last.pth"] == "state 1"


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", ""])
def test_names_that_lead_out_of_the_folder_are_no_state(
    name: str, run: Path, tmp_path: Path
) -> None:
    storage = Storage(f"file://{tmp_path}/kept")
    storage.push(run, "r")
    (path,) = (tmp_path / "kept" / "r").glob("*.manifest")
    held = json.loads(json.loads(path.read_text())["files"])
    body = json.dumps({name: held["metrics.jsonl"]})
    whole = {"sha256": hashlib.sha256(body.encode()).hexdigest(), "files": body}
    path.write_text(json.dumps(whole))
    assert not storage.fetch("r", tmp_path / "deep" / "er")
    assert not (tmp_path / "evil").exists()


def test_the_output_is_kept_beside_the_state(storage: Storage, tmp_path: Path) -> None:
    storage.fetch_log("r", tmp_path / "log")
    assert not (tmp_path / "log").exists()
    (tmp_path / "told").write_text("error: bad data\n")
    storage.keep_log("r", tmp_path / "told")
    storage.fetch_log("r", tmp_path / "log")
    assert (tmp_path / "log").read_text() == "error: bad data\n"
    assert not storage.holds("r")


def test_addresses_that_cannot_be_used_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--storage nonsense://x: cannot be opened .*Give an"):
        Storage("nonsense://x")
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--storage file://.*: cannot be written to"):
        Storage(f"file://{tmp_path}/file").check()
