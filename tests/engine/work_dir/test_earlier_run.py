"""An earlier run is moved aside wholly, wherever its folder lies, and nothing of others with it."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.engine.work_dir import earlier_run
from cliqa.engine.work_dir.artifacts import WorkDir
from cliqa.engine.work_dir.earlier_run import finish_move, move_aside, note_others
from cliqa.utils.errors import ArtifactError

PARTS = (
    "checkpoints/last.pth",
    "config.py",
    "figures/a.png",
    "own.csv",
    "results.json",
    "run.json",
)


def leave_a_run(root: Path, text: str = "old") -> None:
    """Put an earlier run's files into a folder."""
    for name in PARTS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def texts(root: Path) -> dict[str, str]:
    """Return what the files of a folder hold, the lock left out."""
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): path.read_text() for path in files}


def begin(root: Path) -> None:
    """Begin a new run in a folder."""
    with WorkDir(root).held(resumes=False):
        (root / "run.json").write_text("new")


OLD = dict.fromkeys(PARTS, "old")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_the_first_free_number_is_taken(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "run.1")
    (tmp_path / "run.2").symlink_to(tmp_path / "nowhere")
    leave_a_run(tmp_path / "run")
    assert move_aside(tmp_path / "run") == tmp_path / "run.3"
    assert texts(tmp_path / "run.3") == OLD
    assert texts(tmp_path / "run") == {}


def test_the_folder_stays_itself(tmp_path: Path) -> None:
    """A shell in it stays in it, and who holds its lock holds it throughout."""
    leave_a_run(tmp_path / "run")
    (tmp_path / "run" / ".lock").touch()
    before = [os.stat(tmp_path / "run" / name).st_ino for name in (".", ".lock")]
    begin(tmp_path / "run")
    assert [os.stat(tmp_path / "run" / name).st_ino for name in (".", ".lock")] == before
    assert texts(tmp_path / "run") == {"run.json": "new"}
    assert texts(tmp_path / "run.1") == OLD


def test_links_stay_and_lead_where_they_led(tmp_path: Path) -> None:
    big = tmp_path / "disk" / "big"
    leave_a_run(big)
    (tmp_path / "first").symlink_to(big)
    (tmp_path / "second").symlink_to("first")
    for number in (1, 2):
        begin(tmp_path / "second")
        assert os.readlink(tmp_path / "second") == "first"
        assert (tmp_path / "first").resolve() == big
        assert (big / "run.json").read_text() == "new"
        assert (tmp_path / "disk" / f"big.{number}").is_dir()
    assert texts(tmp_path / "disk" / "big.1") == OLD
    assert sorted(os.listdir(tmp_path)) == ["disk", "first", "second"]


def test_a_link_to_what_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "run")
    begin(tmp_path / "link")
    assert texts(tmp_path / "disk" / "run") == {"run.json": "new"}
    (tmp_path / "off").symlink_to(tmp_path / "not mounted" / "run")
    with pytest.raises(ArtifactError, match=r"off, a link to .*not mounted/run,: cannot be made"):
        begin(tmp_path / "off")
    assert not (tmp_path / "not mounted").exists()
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(ArtifactError, match=r"its links lead in a circle\)\. Choose another with"):
        begin(tmp_path / "a")


@pytest.mark.parametrize("relative", [False, True])
def test_checkpoints_on_another_disk_stay_there(tmp_path: Path, relative: bool) -> None:
    disk, run = tmp_path / "disk" / "checkpoints", tmp_path / "run"
    disk.mkdir(parents=True)
    run.mkdir()
    link = Path("../disk/checkpoints") if relative else disk
    (run / "checkpoints").symlink_to(link)
    leave_a_run(run)
    for number in (1, 2, 3):
        begin(run)
        (run / "checkpoints" / "last.pth").write_text(f"new {number}")
        assert (run / "checkpoints").resolve() == disk.with_name(f"checkpoints.{number}")
    assert (disk / "last.pth").read_text() == "old"
    places = [tmp_path / f"run.{number}" / "checkpoints" / "last.pth" for number in (1, 2, 3)]
    assert [path.read_text() for path in places] == ["old", "new 1", "new 2"]


def refuse_outside(place: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let nothing be made beside a folder, or nothing be moved out of it."""
    mkdir, rename = Path.mkdir, os.rename

    def make(path: Path, *args: Any, **options: Any) -> None:
        if path != place and path.parent == place.parent and number == errno.EACCES:
            raise OSError(number, os.strerror(number), str(path))
        mkdir(path, *args, **options)

    def move(source: Path, target: Path) -> None:
        if not target.is_relative_to(place):
            raise OSError(number, os.strerror(number), str(source))
        rename(source, target)

    monkeypatch.setattr(Path, "mkdir", make)
    monkeypatch.setattr(os, "rename", move)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EXDEV])
def test_a_run_that_cannot_leave_its_disk_goes_into_a_folder_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    run = tmp_path / "run"
    leave_a_run(run)
    refuse_outside(run, monkeypatch, number)
    begin(run)
    begin(run)
    assert os.listdir(tmp_path) == ["run"]
    assert texts(run / "run.1") == OLD
    assert texts(run / "run.2") == {"run.json": "new"}
    assert not (run / earlier_run.JOURNAL).exists()


def test_a_part_that_is_a_disk_is_named_before_anything_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_a_run(tmp_path / "run")
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path).name == "figures")
    with pytest.raises(ArtifactError, match=r"run: holds an earlier.*a disk begins at figures"):
        begin(tmp_path / "run")
    assert texts(tmp_path / "run") == OLD
    assert os.listdir(tmp_path) == ["run"]


def test_what_cannot_be_moved_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, rename = tmp_path / "run", os.rename

    def move(source: Path, target: Path) -> None:
        if source.name in stuck:
            raise OSError(errno.EBUSY, "Device or resource busy", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", move)
    leave_a_run(run)
    stuck = {"checkpoints"}
    with pytest.raises(ArtifactError, match=r"run in it cannot be moved aside \(Device or res"):
        begin(run)
    assert texts(run) == OLD
    assert os.listdir(tmp_path) == ["run"]
    stuck = {"results.json"}
    with pytest.raises(ArtifactError, match=r"results\.json of the earlier run cannot be moved to"):
        begin(run)
    stuck = set()
    begin(run)  # what has begun is ended, and nothing is moved twice
    assert texts(tmp_path / "run.1") == OLD
    assert sorted(os.listdir(tmp_path)) == ["run", "run.1"]


def test_other_things_that_lay_there_first_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "data").mkdir()
    (run / ".notes").write_text("mine")
    for number in (1, 2):
        begin(run)
        leave_a_run(run, f"run {number}")
    assert sorted(os.listdir(tmp_path / "run.1")) == [
        *("checkpoints", "config.py", "figures", "results.json", "run.json"),
    ]
    assert {".notes", "data", "own.csv"} <= set(os.listdir(run))
    caplog.clear()
    with caplog.at_level("INFO", logger="cliqa"):
        begin(run)
    assert "what else lies in" in caplog.text


def test_in_a_folder_of_its_own_all_is_the_run_s(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    leave_a_run(tmp_path / "run")
    (tmp_path / "run" / ".notes.tmp").write_text("mine")
    begin(tmp_path / "run")
    assert texts(tmp_path / "run.1") == {**OLD, ".notes.tmp": "mine"}


@pytest.mark.parametrize("name", [".", "..", "../run"])
def test_where_people_work_only_a_run_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run = tmp_path / "run" if name != ".." else tmp_path / "run" / "sub"
    run.mkdir(parents=True)
    monkeypatch.chdir(run)
    place = Path(name).resolve()
    leave_a_run(place)
    (place / "thesis.tex").write_text("mine")
    begin(Path(name))
    assert (place / "thesis.tex").read_text() == "mine"
    assert (place / "run.json").read_text() == "new"
    moved = texts(place.with_name(f"{place.name}.1"))
    assert moved == {name: "old" for name in PARTS if name != "own.csv"}


def test_the_home_folder_is_one_of_those(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    leave_a_run(tmp_path / "home")
    begin(tmp_path / "home")
    assert (tmp_path / "home" / "own.csv").read_text() == "old"


def test_a_lock_of_somebody_else_s_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("pid 7")
    (tmp_path / "data").mkdir()
    note_others(tmp_path)
    assert (tmp_path / ".lock").read_text() == "pid 7"


@pytest.mark.parametrize("linked", [False, True])
def test_a_move_that_is_killed_anywhere_is_ended_by_the_next(tmp_path: Path, linked: bool) -> None:
    """Each system call of a move is the last one once."""
    for last in range(100):
        case = tmp_path / f"{last}"
        run = case / "run"
        run.mkdir(parents=True)
        if linked:
            (case / "disk").mkdir()
            (run / "checkpoints").symlink_to(case / "disk")
        leave_a_run(run)
        if not killed_after(last, lambda: begin(run)):  # noqa: B023  it is called at once
            break
        whole = {path.parent.parent.name for path in case.glob("*/checkpoints/last.pth")}
        assert whole in ({"run"}, {"run.1"}, {"run", "run.1"} if linked else {"run"})
        begin(run)
        assert texts(run) == {"run.json": "new"}
        asides = sorted(path.name for path in case.glob("run.*"))
        olds = [{**texts(case / name), **texts_of_links(case / name)} for name in asides]
        assert OLD in olds
        assert [old for old in olds if old not in (OLD, {"run.json": "new"})] == []
    assert last > len(PARTS)


def texts_of_links(root: Path) -> dict[str, str]:
    """Return the checkpoint of a run whose checkpoints lie elsewhere."""
    path = root / "checkpoints" / "last.pth"
    return {"checkpoints/last.pth": path.read_text()} if path.exists() else {}


def killed_after(last: int, work: Callable[[], None]) -> bool:
    """Do something in a process that is killed after so many changes to the disk."""
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == signal.SIGKILL
    left = [last]
    for name in ("rename", "replace", "mkdir", "rmdir", "symlink", "unlink"):
        call = getattr(os, name)

        def counted(*args: Any, call: Callable[..., Any] = call, **options: Any) -> Any:
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return call(*args, **options)

        setattr(os, name, counted)
    try:
        work()
    finally:
        os._exit(0)


@pytest.mark.parametrize("text", ["../gone.1", "../other.1", "../elsewhere", "sub/run.1", "/x"])
def test_a_note_that_leads_nowhere_or_elsewhere_moves_nothing(tmp_path: Path, text: str) -> None:
    run = tmp_path / "run"
    leave_a_run(run)
    for name in ("other.1", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine").write_text("mine")
    (run / earlier_run.JOURNAL).write_text(text)
    finish_move(run)
    assert texts(run) == OLD
    assert texts(tmp_path / "other.1") == {"mine": "mine"}


def test_names_that_are_no_unicode_are_moved_too(tmp_path: Path) -> None:
    run = Path(os.fsdecode(os.fsencode(tmp_path) + b"/run\xff"))
    leave_a_run(run)
    begin(run)
    assert texts(run.with_name(f"{run.name}.1")) == OLD


def test_a_config_that_no_run_wrote_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("mine")
    for _ in range(2):
        with pytest.raises(
            ArtifactError, match=r"a config\.py that no run wrote.*--work-dir, or ren"
        ):
            begin(tmp_path)
    assert os.listdir(tmp_path) == ["config.py"]
    (tmp_path / "config.py").rename(tmp_path / "my_config.py")
    begin(tmp_path)  # as the message says
    (tmp_path / "run.json").unlink()
    (tmp_path / "config.py").touch()  # of a run that was killed when it had begun
    begin(tmp_path)
