"""One process trains in a folder, whatever comes between its steps."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.engine.work_dir import artifacts
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.holding import ReadCheckpoint, only_one
from cliqa.utils.errors import ArtifactError
from cliqa.utils.io import atomic_open
from cliqa.utils.locks import folder_lock
from cliqa.visualization.run import draw_run

BUSY = r"another process is training in it\. Wait for it, or choose another folder with --work-dir"


def run_in(root: Path, name: str, pause: Callable[[], None] = lambda: None) -> None:
    """Do what a run does to its folder."""
    files = WorkDir(root)
    with files.held(resumes=False):
        for path in (files.run, files.config, files.last, files.results):
            path.write_text(name)
            pause()


def names_in(root: Path) -> set[str]:
    """Return which runs have files in a folder."""
    files = WorkDir(root)
    return {path.read_text() for path in (files.run, files.config, files.last, files.results)}


@pytest.mark.parametrize("step", ["finish_move", "note_others", "move_aside", "remove_leftovers"])
@pytest.mark.parametrize("earlier", [False, True])
def test_no_other_run_comes_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, earlier: bool
) -> None:
    root, done, seen = tmp_path / "run", getattr(artifacts, step), []
    if earlier:
        run_in(root, "earlier")

    def interrupted(*args: Any) -> Any:
        for _ in "before", "after":
            with pytest.raises(ArtifactError, match=BUSY):
                run_in(root, "intruder")
            if _ == "before":
                result = done(*args)
        seen.append(step)
        return result

    monkeypatch.setattr(artifacts, step, interrupted)
    run_in(root, "mine")
    assert names_in(root) == {"mine"}
    assert seen or step == ("note_others" if earlier else "move_aside")
    asides = sorted(path.name for path in tmp_path.iterdir() if path.name != "run")
    assert asides == (["run.1"] if earlier else [])
    assert all(names_in(tmp_path / name) == {"earlier"} for name in asides)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_three_processes_at_once_never_mix(tmp_path: Path) -> None:
    """However they fall: a folder holds one run's files, and each run that began lies somewhere."""
    for trial in range(int(os.environ.get("CLIQA_ROUNDS", "6"))):
        case = tmp_path / str(trial)
        run_in(case / "run", "earlier")
        chance = random.Random(trial)
        go = time.monotonic() + 0.02
        children = [start_run(case / "run", f"{k}", chance.random() / 500, go) for k in range(3)]
        statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert set(statuses) <= {0, 2}
        assert 0 in statuses
        found = [names_in(path) for path in case.iterdir()]
        began = {str(k) for k, status in enumerate(statuses) if status == 0}
        assert sorted(next(iter(names)) for names in found) == sorted({"earlier", *began})
        assert all(len(names) == 1 for names in found)


def start_run(root: Path, name: str, delay: float, go: float) -> int:
    """Start a run in a process of its own; it ends with 2 if it was refused."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        time.sleep(max(0.0, go + delay - time.monotonic()))
        run_in(root, name, lambda: time.sleep(0.0005))
        status = 0
    except ArtifactError:
        status = 2
    finally:
        os._exit(status)


def test_a_checkpoint_that_was_replaced_since_it_was_read_is_refused(tmp_path: Path) -> None:
    run_in(tmp_path / "run", "earlier")
    files = WorkDir(tmp_path / "run")
    read = ReadCheckpoint(files.last)
    with files.held(resumes=True, resumed=read):
        pass
    run_in(tmp_path / "run", "other")
    message = r"another process has trained in it since this one read last\.pth\. Start again"
    with pytest.raises(ArtifactError, match=message), files.held(resumes=True, resumed=read):
        pass
    assert names_in(tmp_path / "run") == {"other"}
    assert names_in(tmp_path / "run.1") == {"earlier"}


def test_a_run_that_was_stopped_before_it_learnt_is_gone_on_with(tmp_path: Path) -> None:
    files = WorkDir(tmp_path / "run")
    files.prepare()
    files.run.write_text("{}")
    with files.held(resumes=False, resumable=True):
        assert files.run.read_text() == "{}"
    files.results.write_text("{}")
    with files.held(resumes=False, resumable=True):
        assert not files.run.exists()
    assert sorted(os.listdir(tmp_path)) == ["run", "run.1"]


def test_figures_are_drawn_while_a_run_trains(tiny_run: Path, tmp_path: Path) -> None:
    """Whoever looks takes no lock, and what is being drawn is no leftover."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    figure = run / "figures" / "score_matrix.png"
    with atomic_open(figure, "wb") as file:
        with WorkDir(run).held(resumes=True):
            assert figure in draw_run(run)
        file.write(b"later")
    assert figure.read_bytes() == b"later"
    assert not [path for path in run.rglob(".*") if path.name != ".lock"]


def test_a_tool_s_folder_is_held_once(tmp_path: Path) -> None:
    with only_one(tmp_path / "out", "search"), only_one(tmp_path / "out", "pruning", ".other"):
        message = r"out: another search is running in it\. Wait for it.*with --out"
        with pytest.raises(ArtifactError, match=message), only_one(tmp_path / "out", "search"):
            pass
    (tmp_path / "file").touch()
    with (
        pytest.raises(ArtifactError, match=r"cannot be written to \(Not a directory\).*--out"),
        only_one(tmp_path / "file" / "out", "search"),
    ):
        pass


def test_a_lock_that_was_removed_is_no_lock(tmp_path: Path) -> None:
    with folder_lock(tmp_path) as first:
        (tmp_path / ".lock").unlink()
        with folder_lock(tmp_path) as second:
            assert (first, second) == (True, True)


def test_a_folder_whose_lock_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(ArtifactError, match=r"cannot be made \(Is a directory\)\. Choose another"):
        run_in(tmp_path, "mine")
