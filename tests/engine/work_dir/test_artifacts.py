"""A work_dir's paths, and what is kept, moved aside, cleaned up and written."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.engine.work_dir import artifacts
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.utils.errors import ArtifactError, CheckpointError


def filled(root: Path, *names: str) -> WorkDir:
    """Return a prepared work_dir with checkpoints of these names."""
    files = WorkDir(root)
    files.prepare()
    for name in names:
        (files.checkpoints / name).write_bytes(b"state")
    return files


def test_names_of_checkpoints(tmp_path: Path) -> None:
    files = WorkDir(tmp_path)
    assert files.checkpoint_of(2) == tmp_path / "checkpoints" / "exp_2.pth"
    assert files.checkpoint_of(2, 10) == tmp_path / "checkpoints" / "exp_2_epoch_10.pth"
    assert files.last == tmp_path / "checkpoints" / "last.pth"


def test_the_oldest_epochs_are_forgotten_by_number_not_by_letter(tmp_path: Path) -> None:
    inside = ("exp_0_epoch_9.pth", "exp_0_epoch_10.pth", "exp_1_epoch_2.pth", "exp_10_epoch_1.pth")
    files = filled(tmp_path, *inside, "exp_0.pth", "last.pth")
    files.forget_epochs(2)
    left = sorted(path.name for path in files.checkpoints.iterdir())
    assert left == ["exp_0.pth", "exp_10_epoch_1.pth", "exp_1_epoch_2.pth", "last.pth"]


def test_a_run_is_known_by_what_it_leaves(tmp_path: Path) -> None:
    files = filled(tmp_path)
    assert not files.holds_a_run()
    for path in (files.last, files.results, files.run):
        path.write_text("{}")
        assert files.holds_a_run()
        path.unlink()


def test_a_run_has_learnt_once_there_is_a_checkpoint_or_a_result(tmp_path: Path) -> None:
    files = filled(tmp_path)
    files.run.write_text("{}")
    assert not files.has_learnt()
    for path in (files.checkpoint_of(0), files.last, files.results):
        path.write_text("{}")
        assert files.has_learnt()
        path.unlink()


def test_what_a_killed_run_was_writing_is_removed(tmp_path: Path) -> None:
    ours = [
        *(".results.json.a1b2c3d4.tmp", "checkpoints/.exp_0.pth.a_b_c_d_.tmp"),
        *("checkpoints/.last.pth.00000000.tmp", "figures/.scatter.png.a1b2c3d4.tmp"),
        "predictions/.after_0.npz.a1b2c3d4.tmp",
    ]
    users = [
        *(".notes.tmp", ".mine.link", ".thesis.txt.a1b2c3d4.tmp", "checkpoints/.last.pth.link"),
        *("checkpoints/.backup.tmp", "figures/.paper.tex.a1b2c3d4.tmp", "notes/.x.tmp"),
        "notes/.last.pth.a1b2c3d4.tmp",
    ]
    files = filled(tmp_path, "last.pth")
    for name in (*ours, *users):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files.prepare()
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {*users, "checkpoints/last.pth"}


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ArtifactError, match=r"file/run: cannot be made \(Not a dir.*--work-dir"):
        WorkDir(tmp_path / "file" / "run").prepare()


def test_a_folder_that_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(ArtifactError, match=r"run: not writable\. Choose another: --work-dir"):
        WorkDir(tmp_path / "run").prepare()


def test_the_checkpoint_to_resume(tmp_path: Path) -> None:
    files = WorkDir(tmp_path / "run")
    assert files.checkpoint_to_resume("auto") is None
    files = filled(tmp_path / "run", "last.pth", "exp_0.pth")
    other = str(files.checkpoints / "exp_0.pth")
    assert files.checkpoint_to_resume("auto") == files.last
    assert files.checkpoint_to_resume(other) == Path(other)
    assert WorkDir(tmp_path / "new").checkpoint_to_resume(str(files.root)) == files.last
    for missing in (tmp_path, tmp_path / "exp_9.pth"):
        with pytest.raises(CheckpointError, match=rf"--resume {missing}: no such checkpoint"):
            files.checkpoint_to_resume(str(missing))


def test_the_last_checkpoint_has_its_name_in_a_file(tmp_path: Path) -> None:
    files = filled(tmp_path)
    files.mark_last(files.checkpoint_of(1))
    assert (tmp_path / "last_checkpoint").read_text() == "exp_1.pth\n"


def test_run_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/train_config.py", "a.py", "--seed", "3"])
    files = filled(tmp_path)
    files.write_run(seed=3)
    facts = json.loads(files.run.read_text())
    assert facts["command"] == ["train_config.py", "a.py", "--seed", "3"]
    assert facts["seed"] == 3
    assert torch.__version__.startswith(facts["packages"]["torch"])
    assert set(facts["packages"]) == set(artifacts.PACKAGES)


def test_facts_that_cannot_be_found_are_null(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_git(*_: Any, **__: Any) -> None:
        raise subprocess.CalledProcessError(128, "git")

    monkeypatch.setattr(artifacts.subprocess, "run", no_git)
    monkeypatch.setattr(artifacts, "PACKAGES", ("no-such-package",))
    files = filled(tmp_path)
    files.write_run()
    facts = json.loads(files.run.read_text())
    assert facts["git"] is None
    assert facts["packages"] == {"no-such-package": None}
