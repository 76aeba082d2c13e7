"""Checkpoints that are written behind the training, from a copy."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.engine.work_dir import saving
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.saving import LAST, Kept, Saving
from cliqa.utils.checkpoint import load_checkpoint, save_checkpoint


class Disk:
    """A disk that waits for the test before it writes, and may fail."""

    def __init__(self) -> None:
        self.go, self.full = threading.Event(), False
        self.written: list[int] = []

    def save(self, path: Path, state: dict[str, Any]) -> None:
        assert self.go.wait(20)
        if self.full:
            raise OSError(28, "No space left on device", str(path))
        save_checkpoint(path, state)
        self.written.append(int(state["step"]))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(saving, "save_checkpoint", disk.save)
    return disk


def state(step: int, weight: torch.Tensor | None = None) -> dict[str, Any]:
    return {"step": step, "weight": torch.zeros(3) if weight is None else weight}


def test_training_goes_on_and_the_file_has_the_state_of_then(tmp_path: Path, disk: Disk) -> None:
    files, weight, steps = WorkDir(tmp_path), torch.zeros(3), [1]
    own = Saving(files)
    own.save({**state(0, weight), "steps": steps}, LAST)
    weight += 1  # while it is written
    steps.append(2)
    assert not files.last.exists()
    disk.go.set()
    own.wait()
    found = load_checkpoint(files.last)
    assert found["steps"] == [1]
    assert torch.equal(found["weight"], torch.zeros(3))


def test_later_states_wait_for_earlier_ones(tmp_path: Path, disk: Disk) -> None:
    files = WorkDir(tmp_path)
    own, results = Saving(files), list[int]()
    own.save(state(0), LAST, then=lambda: results.append(len(disk.written)))
    second = threading.Thread(target=lambda: own.save(state(1), Kept(files.checkpoint_of(0))))
    second.start()
    second.join(0.05)
    assert second.is_alive()  # one copy is in memory at a time
    disk.go.set()
    second.join(20)
    own.wait()
    assert (disk.written, results) == ([0, 1], [1])
    assert (tmp_path / "last_checkpoint").read_text() == "exp_0.pth\n"
    assert load_checkpoint(files.last)["step"] == 1


def test_a_full_disk_is_an_error_at_the_next_state_and_at_the_end(
    tmp_path: Path, disk: Disk
) -> None:
    disk.full = True
    disk.go.set()
    own = Saving(WorkDir(tmp_path))
    own.save(state(0), LAST)
    with pytest.raises(OSError, match=r"No space left on device: '.*last\.pth'"):
        own.save(state(1), LAST)
    own.save(state(2), LAST)
    with pytest.raises(OSError, match="No space left"):
        own.wait()
    own.wait()
    assert disk.written == []


def test_a_state_that_fits_only_once_is_written_at_once(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "available_memory", lambda: 20)
    monkeypatch.setattr(saving, "copied", lambda _: pytest.fail("it was copied"))
    disk.go.set()
    Saving(WorkDir(tmp_path)).save(state(0), LAST)
    assert disk.written == [0]


def test_what_is_kept_of_a_state_is_one_file(tmp_path: Path) -> None:
    files = WorkDir(tmp_path)
    own = Saving(files)
    for number in (1, 2):
        kept = Kept(files.checkpoint_of(0, number), best=True, before_end=True, newest=1)
        own.save(state(number), kept)
    own.wait()
    names = sorted(path.name for path in files.checkpoints.iterdir())
    assert names == ["best.pth", "exp_0_epoch_2.pth", "last.pth", "last_epoch.pth"]
    assert len({path.stat().st_ino for path in files.checkpoints.iterdir()}) == 1
