"""Tests of cliqa.utils.console, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cliqa.utils import console
from cliqa.utils.console import ClosedOutput

ROOT = Path(__file__).resolve().parents[2]
START = "import sys; from cliqa.utils.cli import run_entry_point\n"
posix = pytest.mark.skipif(os.name != "posix", reason="shells close files on POSIX systems")


def run(code: str, shell: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `code` as an entry point, started by a shell."""
    program = f"{START}def main():\n    {code}\nsys.exit(run_entry_point(main))"
    return subprocess.run(
        ["bash", "-c", f'"$@" {shell}', "-", sys.executable, "-c", program],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


@posix
def test_what_is_printed_into_nothing_is_told() -> None:
    found = run("print('the result')", ">&-")
    assert found.returncode == 2
    assert found.stderr.startswith(b"error: standard output is closed, so nothing can be printed")
    assert found.stderr.count(b"\n") == 1


@posix
def test_an_output_that_nobody_needs_may_be_closed() -> None:
    found = run("return 0", ">&- 2>&- <&-")
    assert (found.returncode, found.stderr) == (0, b"")


@posix
def test_the_number_of_a_closed_output_is_not_given_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    code = f"import os; f = open({str(file)!r}, 'wb'); os.write(1, b'noise'); f.close()"
    assert run(code, ">&- 2>&-").returncode == 0
    assert file.read_bytes() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
@pytest.mark.parametrize("text", ["short", "x" * 100_000])
def test_a_full_disk_under_the_output_is_one_line(text: str) -> None:
    found = run(f"print({text!r})", "> /dev/full")
    assert found.returncode == 2
    assert found.stderr.endswith(b": the disk is full.\n")
    assert found.stderr.count(b"\n") == 1


@posix
def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    code = f"{START}sys.exit(run_entry_point(lambda: 0))"
    found = subprocess.run(
        ["bash", "-c", 'mkdir gone; cd gone; rmdir ../gone; "$@"', "-", sys.executable, "-c", code],
        capture_output=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.startswith("error: the current folder was deleted.")
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_a_console_takes_any_name(encoding: str) -> None:
    code = "print('\\u56fe caf\\udce9'); raise OSError(28, 'full', '\\u56fe\\udce9')"
    found = run(code, "", PYTHONUTF8="0", PYTHONIOENCODING=encoding)
    shown = "图" if encoding == "utf-8" else r"\u56fe"
    assert found.stdout.decode(encoding) == f"{shown} caf\\udce9\n"
    assert found.stderr.decode(encoding) == f"error: {shown}\\udce9: the disk is full.\n"


def test_a_broken_pipe_of_something_else_is_no_readers_end() -> None:
    found = run("raise BrokenPipeError(32, 'Broken pipe')", "")
    assert found.returncode == 1
    assert b"BrokenPipeError" in found.stderr


def test_blank_lines_are_no_loss() -> None:
    output = ClosedOutput()
    output.write("\n")
    assert not output.lost
    output.write("text")
    assert output.lost


ROOT = Path(__file__).resolve().parents[2]
resource = pytest.importorskip("resource")


def test_a_user_and_a_home_that_the_system_does_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(*_: object) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    homes: list[str] = []
    monkeypatch.setattr(console.getpass, "getuser", unknown)
    monkeypatch.setattr(console.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    monkeypatch.setattr(console.atexit, "register", lambda _, home, __: homes.append(home))
    monkeypatch.setattr(console.tempfile, "tempdir", str(tmp_path))
    for name in ("USER", "HOME"):
        monkeypatch.setenv(name, "")
    console.prepare_process()
    assert os.environ["USER"] == f"user{os.getuid()}"
    assert os.environ["HOME"] == homes[0]
    assert Path(homes[0]).stat().st_mode & 0o777 == 0o700
    console._remove(homes[0], os.getpid() + 1)
    assert Path(homes[0]).exists()
    console._remove(homes[0], os.getpid())
    assert not Path(homes[0]).exists()


def test_a_known_user_keeps_what_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = str(tmp_path / "me")
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("HOME", home)
    console.prepare_process()
    assert (os.environ["USER"], os.environ["HOME"]) == ("me", home)


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a home folder that can only be read."""
    home = tmp_path / "locked"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(console.os, "access", lambda folder, _: Path(folder) != home)
    monkeypatch.setattr(console.atexit, "register", lambda *_: None)
    monkeypatch.setattr(console.tempfile, "tempdir", str(tmp_path))
    return home


def test_a_home_that_cannot_be_written_to_is_replaced(locked: Path) -> None:
    (locked / ".cache").mkdir()
    console.prepare_process()
    assert Path(os.environ["HOME"]).is_dir()
    assert os.environ["HOME"] != str(locked)
    assert os.environ["XDG_CACHE_HOME"] == str(locked / ".cache")  # what was fetched is found


def test_a_home_that_has_what_avalanche_would_write_is_kept(locked: Path) -> None:
    (locked / ".avalanche").mkdir()
    (locked / ".avalanche" / "config.json").write_text("{}")
    console.prepare_process()
    assert os.environ["HOME"] == str(locked)
    assert "XDG_CACHE_HOME" not in os.environ


def test_a_home_below_a_file_is_replaced(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (locked / "file").touch()
    monkeypatch.setenv("HOME", str(locked / "file" / "me"))
    console.prepare_process()
    assert Path(os.environ["HOME"]).is_dir()


def test_the_limit_of_open_files_is_raised() -> None:
    code = (
        "import resource; from cliqa.utils.console import prepare_process; prepare_process()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    found = subprocess.run(
        ["bash", "-c", 'ulimit -Sn 64; ulimit -Hn 300; "$@"', "-", sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert found.stdout == "300 300\n"
