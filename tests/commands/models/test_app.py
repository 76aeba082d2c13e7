"""Tests of cliqa.commands.models.app."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cliqa.commands.models.app import main
from cliqa.utils.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "--port 70000: must be between 0"),
        (["--images", "none"], "--images none: no such folder"),
        (["--configs", "none"], "--configs none: no such folder. Give that of your configs"),
        (["--max-images", "0"], "--max-images 0: must be at least 1"),
        (["--max-upload-mb", "0"], "--max-upload-mb 0: must be at least 0.001"),
        (["--device", "tpu"], "--device tpu: unknown device"),
        (["--work-dirs", "file"], "--work-dirs file: it is a file. Give a folder"),
        (["--work-dirs", "file/x"], "--work-dirs file/x: file is a file, not a folder"),
        (["--work-dirs", "none", "--read-only"], "--work-dirs none: no such folder, and --read"),
        (["--images", "file"], "--images file: no such folder"),
        (["--configs", "empty"], r"--configs empty: no config \(\*\.py\) is in it"),
        (["--max-images", "9999999"], "--max-images 1e\\+07: at most 1000000"),
        (["--jobs", "1000"], "--jobs 1000: at most 256"),
        (["--max-upload-mb", "inf"], "--max-upload-mb inf: at most 65536"),
        (["--max-upload-mb", "nan"], "--max-upload-mb nan: must be at least"),
        (["--port", "-1"], "--port -1: must be between 0"),
        (["--allow-host", "a.org", "http://b"], "--allow-host http://b: give the name alone"),
        (["--allow-host", "b:80"], "--allow-host b:80: give the name alone"),
    ],
)
def test_mistakes_are_told_before_anything_starts(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cliqa.app.server.serve", lambda *_: pytest.fail("it would listen"))
    (tmp_path / "config").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=message):
        main(arguments)


def test_a_number_is_written_in_digits(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--port", "--jobs", "--max-images"):
        for text in ("1e3", "8.0", "nan", "٣"):
            with pytest.raises(SystemExit):
                main([option, text])
            said = capsys.readouterr().err
            assert f"argument {option}: expected a whole number such as 1000, got '{text}'" in said


def test_the_settings_are_those_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Any] = []
    monkeypatch.setattr("cliqa.app.server.serve", lambda *given: served.append(given))
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    main(["--max-upload-mb", "2", "--device", "cpu", "--allow-host", "A.org", "--port", "0"])
    ((settings, host, port, hosts),) = served
    assert (host, port, hosts) == ("127.0.0.1", 0, ["a.org"])
    assert settings.work_dirs == tmp_path / "work_dirs"  # it may come later
    assert settings.max_upload_bytes == 2 * 2**20
    assert settings.images is None
    assert settings.configs == tmp_path / "config"
    assert not settings.trust


def test_the_packages_own_configs_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Any] = []
    monkeypatch.setattr("cliqa.app.server.serve", lambda *given: served.append(given))
    monkeypatch.chdir(tmp_path)
    main(["--device", "cpu"])
    assert (served[0][0].configs / "demo.py").is_file()


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "a.py").write_text("")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['gradio'] = None\n"
        "from cliqa.commands.models.app import main\n"
        "from cliqa.utils.cli import run_entry_point\n"
        "sys.exit(run_entry_point(lambda: main(['--port', '0'])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, text=True, capture_output=True
    )
    assert re.search(r'needs gradio.* pip install -e "\.\[app\]"', done.stderr), done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); from cliqa.commands.models.app import parse_args\n"
        "try: parse_args(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'gradio', 'numpy', 'fastapi') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert done.stdout.strip().endswith("[]")
