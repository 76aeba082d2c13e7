from pathlib import Path

import pytest

from perf import __main__ as command


def test_every_script_is_there() -> None:
    for line in command.COMMANDS.values():
        assert (command.ROOT / line.split()[0]).is_file(), line


def test_rows_are_repeated_at_the_end_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text("print('figures')\nprint('| a | `b` | 2.0 |')\n")
    bad.write_text("raise SystemExit(3)\n")
    monkeypatch.setattr(command, "COMMANDS", {"good": str(good), "bad": str(bad)})
    assert command.main(["good"]) == 0
    assert capsys.readouterr().out.endswith("|---|---|---|\n| a | `b` | 2.0 |\n")
    assert command.main([]) == 1
    assert "failed: bad" in capsys.readouterr().err


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["nonsense"])
    assert "unknown: nonsense" in capsys.readouterr().err


def test_the_machine_is_named() -> None:
    assert f"torch {command.torch.__version__}" in command.machine()
