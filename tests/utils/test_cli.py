"""Tests of cliqa.utils.cli."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from cliqa.utils.arguments import CONFIG, add_arguments
from cliqa.utils.cli import print_error, quiet_upstream, run_entry_point
from cliqa.utils.device import most_workers
from cliqa.utils.errors import ConfigError, DatasetError
from cliqa.utils.logging import get_logger, setup_logging
from tests.processes import in_processes, variables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _filters() -> Iterator[None]:
    """Put the warning filters back."""
    with warnings.catch_warnings():
        yield


def raising(error: BaseException) -> NoReturn:
    """Stand for a `main` that an error stops."""
    raise error


def run_script(code: str, shell: str = "") -> subprocess.CompletedProcess[str]:
    """Run code that uses `run_entry_point`, as a program of its own."""
    start = "import sys; from cliqa.utils.cli import run_entry_point\n"
    command = [sys.executable, "-c", start + code]
    if shell:
        command = ["bash", "-c", f'set -o pipefail; "$@" {shell}', "-", *command]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def arguments(*given: str) -> argparse.Namespace:
    """Parse arguments as an entry point does."""
    parser = argparse.ArgumentParser()
    add_arguments(parser, *CONFIG)
    return parser.parse_args(given)


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (3, 3)])
def test_status_of_main(returned: int | None, status: int) -> None:
    assert run_entry_point(lambda: returned) == status


def test_a_users_mistake_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError("config/x.py: no section 'model'. Add it.")
    assert run_entry_point(lambda: raising(error)) == 2
    assert capsys.readouterr() == ("", "error: config/x.py: no section 'model'. Add it.\n")


def test_several_mistakes_are_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_entry_point(lambda: raising(DatasetError("row 1: a\n    like b\nrow 2: b"))) == 2
    assert capsys.readouterr().err == "error: row 1: a\n    like b\nerror: row 2: b\n"


def test_the_traceback_of_a_mistake_is_in_the_log_file_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        setup_logging(tmp_path / "train.log")
        raise ConfigError("wrong")

    assert run_entry_point(main) == 2
    assert capsys.readouterr().err == "error: wrong\n"
    assert "Traceback (most recent call last)" in (tmp_path / "train.log").read_text()


def test_messages_of_the_package_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run_entry_point(lambda: get_logger("cliqa.test").info("epoch 1"))
    get_logger("cliqa.test").info("after the end")
    assert capsys.readouterr().err == "epoch 1\n"


def test_interrupt(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_entry_point(lambda: raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_that_knows_its_signal(
    signum: int, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    class Stopped(KeyboardInterrupt):
        def __init__(self) -> None:
            super().__init__("stopped; go on with --resume")
            self.signum = signum

    assert run_entry_point(lambda: raising(Stopped())) == status
    assert capsys.readouterr().err == "stopped; go on with --resume\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EACCES, "permission denied"),
        (errno.EROFS, "the file system is read-only"),
    ],
)
def test_a_machines_trouble_is_one_line(
    code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OSError(code, os.strerror(code), "work_dirs/x")
    assert run_entry_point(lambda: raising(error)) == 2
    assert capsys.readouterr().err == f"error: work_dirs/x: {words}.\n"


def test_the_traceback_of_a_machines_trouble_is_in_the_log_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        setup_logging(tmp_path / "train.log")
        raise RuntimeError("DataLoader worker (pid 3) is killed by signal: Killed. ")

    assert run_entry_point(main) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: a worker process that loads images was killed")
    assert told.count("\n") == 1
    assert "RuntimeError: DataLoader worker" in (tmp_path / "train.log").read_text()


def test_workers_are_an_integer_in_range() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, "--num-workers")
    assert parser.parse_args([]).num_workers == 0
    assert parser.parse_args(["--num-workers", str(most_workers())]).num_workers == most_workers()
    for text in ("-1", str(most_workers() + 1), "1.0", "", "two", "9" * 5000):
        with pytest.raises(ConfigError, match=rf"--num-workers: .* from 0 to {most_workers()} "):
            parser.parse_args([f"--num-workers={text}"])


@pytest.mark.parametrize("error", [FileNotFoundError(2, "no such file"), ValueError("a bug")])
def test_our_own_mistakes_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        run_entry_point(lambda: raising(error))


def test_of_several_processes_one_has_the_traceback_of_a_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cliqa.utils.cli.GRACE", 0.01)

    def work() -> object:
        try:
            return run_entry_point(lambda: raising(ValueError("a bug")))
        except ValueError as error:
            return str(error)

    assert sorted(in_processes(2, work), key=str) == [2, "a bug"]


def test_a_tool_is_refused_in_several_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {**variables(0, 2, 1), "TORCHELASTIC_RUN_ID": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["tools/run_seeds.py"])
    monkeypatch.setattr("cliqa.utils.cli.GRACE", 0.01)
    assert run_entry_point(lambda: 0) == 2
    message = "run_seeds.py works in a single process, and torchrun has started 2. Start it with"
    assert message in capsys.readouterr().err
    monkeypatch.setenv("LOCAL_RANK", "1")  # which leaves the message to the first one
    assert run_entry_point(lambda: 0) == 2
    assert not capsys.readouterr().err
    assert run_entry_point(lambda: 0, in_several=True) == 0


def test_argparse_keeps_its_exit() -> None:
    with pytest.raises(SystemExit) as stopped:
        run_entry_point(lambda: raising(SystemExit(2)))
    assert stopped.value.code == 2


def test_a_reader_that_goes_away_is_no_error() -> None:
    code = "sys.exit(run_entry_point(lambda: [print('x' * 1000) for _ in range(10000)] and None))"
    run = run_script(code, "| head -n 1")
    assert run.returncode == 141
    assert run.stdout == "x" * 1000 + "\n"
    assert run.stderr == ""


def test_a_console_that_is_gone_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    print_error("nobody reads this")
    assert run_entry_point(lambda: raising(ConfigError("nor this"))) == 2


def test_helpers_do_not_import_torch() -> None:
    code = "import cliqa.utils.logging; print('torch' in sys.modules, 'numpy' in sys.modules)"
    assert run_script(code).stdout == "False False\n"


def test_arguments() -> None:
    args = arguments(
        "a.py", "--cfg-options", "seed=1", "a.b=c d", "--cfg-options", "x=y", "--seed=3"
    )
    assert args.cfg_options == ["seed=1", "a.b=c d", "x=y"]
    assert (args.config, args.seed, args.device, args.work_dir) == ("a.py", 3, "auto", None)


def test_arguments_are_optional_but_for_the_config() -> None:
    args = arguments("a.py")
    assert (args.cfg_options, args.seed) == ([], None)
    with pytest.raises(SystemExit):
        arguments()


def test_no_options_are_shared_between_two_parsers() -> None:
    arguments("a.py", "--cfg-options", "seed=1")
    assert arguments("a.py").cfg_options == []


@pytest.mark.parametrize("seed", ["-1", "1.5", "true", ""])
def test_a_seed_is_an_integer(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments("a.py", f"--seed={seed}")
    assert f"expected an integer >= 0, got {seed!r}" in capsys.readouterr().err


def test_warnings_of_upstream_are_quiet_and_others_are_not() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        quiet_upstream()
        warnings.warn("no QP solver found on your system", UserWarning, stacklevel=1)
        warnings.warn("Fail to import ``MultiScaleDeformableAttention``", UserWarning, stacklevel=1)
        torch.utils.data.DataLoader(range(4), num_workers=4096)  # type: ignore[arg-type]
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn("the loss is not finite", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in caught] == ["the loss is not finite"]


@pytest.mark.slow
def test_importing_the_libraries_leaves_the_console_clean() -> None:
    code = (
        "def main():\n    import avalanche.training, avalanche.logging, mmpretrain.models\n"
        "sys.exit(run_entry_point(main))"
    )
    run = run_script(code)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


class Unreadable(torch.utils.data.Dataset[int]):
    """Has one sample, which cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> int:
        raise DatasetError(f"photo {index}: cannot be decoded. Copy it again.")


def test_a_mistake_found_by_a_loaders_worker_is_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def main() -> None:
        list(torch.utils.data.DataLoader(Unreadable(), num_workers=1))

    assert run_entry_point(main) == 2
    assert capsys.readouterr().err == "error: photo 0: cannot be decoded. Copy it again.\n"
