"""Tests of cliqa.utils.environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cliqa.utils import environment

ROOT = Path(__file__).resolve().parents[2]
resource = pytest.importorskip("resource")


def test_a_user_and_a_home_that_the_system_does_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(*_: object) -> None:
        raise KeyError("getpwuid(): uid not found: 12345")

    homes: list[str] = []
    monkeypatch.setattr(environment.getpass, "getuser", unknown)
    monkeypatch.setattr(environment.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError()))
    monkeypatch.setattr(environment.atexit, "register", lambda _, home, __: homes.append(home))
    monkeypatch.setattr(environment.tempfile, "tempdir", str(tmp_path))
    for name in ("USER", "HOME"):
        monkeypatch.setenv(name, "")
    environment.prepare_process()
    assert os.environ["USER"] == f"user{os.getuid()}"
    assert os.environ["HOME"] == homes[0]
    assert Path(homes[0]).stat().st_mode & 0o777 == 0o700
    environment._remove(homes[0], os.getpid() + 1)
    assert Path(homes[0]).exists()
    environment._remove(homes[0], os.getpid())
    assert not Path(homes[0]).exists()


def test_a_known_user_keeps_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "me")
    monkeypatch.setenv("HOME", "/home/me")
    environment.prepare_process()
    assert (os.environ["USER"], os.environ["HOME"]) == ("me", "/home/me")


def test_the_limit_of_open_files_is_raised() -> None:
    code = (
        "import resource; from cliqa.utils.environment import prepare_process; prepare_process()\n"
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
