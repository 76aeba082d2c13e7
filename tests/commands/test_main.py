"""The command ``cliqa``: each of its commands is a script's, and the other way round."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

import cliqa
from cliqa.commands.main import COMMANDS, DATA, main

Call = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted([*(ROOT / "tools").glob("*.py"), *ROOT.glob("*_config.py")])
MODULES = [module for module, _ in [*COMMANDS.values(), *DATA.values()] if module]


def module_of(script: Path) -> str:
    """Return the command that a script starts, below `cliqa.commands`."""
    found = re.findall(r"^from cliqa\.commands\.([\w.]+) import main$", script.read_text(), re.M)
    assert len(found) == 1, script
    return found[0]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Return a function that runs ``cliqa`` here: exit status, output, errors."""
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = main(words)
        except SystemExit as end:  # argparse's
            status = int(end.code or 0)
        return status, *capsys.readouterr()

    return run


def test_every_script_has_a_command_and_every_command_a_script() -> None:
    assert sorted(map(module_of, SCRIPTS)) == sorted(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_every_command_is_there(module: str) -> None:
    found = import_module(f"cliqa.commands.{module}")
    assert callable(found.main)
    assert callable(found.parse_args)


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_lists_all_commands(call: Call, words: tuple[str, ...]) -> None:
    status, out, _ = call(*words)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == [*COMMANDS]
    status, out, _ = call("data", *words)
    assert [line.split()[0] for line in out.splitlines() if line.startswith("  ")] == [*DATA]


def test_the_version(call: Call) -> None:
    assert call("--version")[:2] == (0, f"cliqa {cliqa.__version__}\n")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("trian",), "error: cliqa trian: no such command. Did you mean 'train'?"),
        (("data", "iqqa"), "error: cliqa data iqqa: no such command. Did you mean 'iqa'?"),
        (("--resume",), "error: cliqa --resume: no such command."),
    ],
)
def test_unknown_commands(call: Call, words: tuple[str, ...], told: str) -> None:
    status, out, error = call(*words)
    assert (status, out) == (2, "")
    assert told in error
    assert "--help lists them all" in error


def test_a_command_has_its_name_in_usage_and_its_errors_status(call: Call) -> None:
    status, out, _ = call("data", "clear", "--help")
    assert status == 0
    assert out.startswith("usage: cliqa data clear ")
    status, _, error = call("print-config", "nowhere.py")
    assert status == 2
    assert error.startswith("error: nowhere.py: no such config file.")


def test_a_config_that_is_shipped_is_named_where_it_is_sought_elsewhere(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = "cliqa::demo.py comes with the package."
    for name in ("demo.py", "config/demo.py"):
        _, _, error = call("print-config", name)
        assert f"error: {name}: no such config file. {shipped}" in error
    _, _, error = call("print-config", "cliqa::demoo.py")
    expected = "error: cliqa::demoo.py: no such config file. Did you mean 'cliqa::demo.py'?"
    assert expected in error


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_answers_help_as_its_command(script: Path, call: Call) -> None:
    parse = import_module(f"cliqa.commands.{module_of(script)}").parse_args
    names = {module: name for name, (module, _) in COMMANDS.items()}
    names |= {module: f"data {name}" for name, (module, _) in DATA.items()}
    status, out, _ = call(*names[module_of(script)].split(), "--help")
    assert status == 0
    with pytest.raises(SystemExit):
        parse(["--help"])


@pytest.mark.slow
@pytest.mark.integration
def test_a_shipped_config_and_modules_of_the_own_folder(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('the own folder came first')")
    (tmp_path / "mine.py").write_text("print('imported')")
    (tmp_path / "own.py").write_text(
        "_base_ = ['cliqa::demo_naive.py']\ncustom_imports = dict(imports=['mine'])\n"
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cliqa").write_text("from cliqa.commands.main import main; main()")
    command = [sys.executable, str(tmp_path / "bin" / "cliqa")]
    for config in ("cliqa::demo_naive.py", "own.py"):
        found = subprocess.run(
            [*command, "print-config", config],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.stderr == ""
        assert "QualityStream" in found.stdout
    assert found.stdout.startswith("imported")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_what_cannot_be_printed_is_told(word: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "cliqa", word],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "the disk is full" in done.stderr
