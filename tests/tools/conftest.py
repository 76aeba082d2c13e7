"""Fixtures that tests of several tools share."""

from __future__ import annotations

import os
import runpy
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.config.load import load_config
from cliqa.engine.train import train
from cliqa.studies.processes import Command


@pytest.fixture(scope="session")
def text_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the work_dir of a tiny model of images and texts: only read it."""
    config: dict[str, Any] = load_config(tiny_run / "config.py")
    config["model"] = {
        "type": "ImageTextModel",
        "backbone": {"type": "SmallConvNet", "in_channels": 3, "channels": [8, 8]},
        "text_encoder": {"type": "TextTransformer", "dim": 16, "layers": 1, "heads": 2},
        "texts": "quality_levels",
        "in_channels": 8,
    }
    folder = tmp_path_factory.mktemp("runs") / "texts"
    train(config, config_file="config/tiny.py", work_dir=folder, device="cpu")
    return folder


class Fork:
    """A run of a script in a copy of this process, which has imported the libraries already.

    It takes the place of `subprocess.Popen` in a study, whose own test starts real ones.
    """

    def __init__(self, command: Command, variables: Mapping[str, str]) -> None:
        command.log.parent.mkdir(parents=True, exist_ok=True)
        self.status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._work(command, variables)

    @staticmethod
    def _work(command: Command, variables: Mapping[str, str]) -> None:
        """Do what a new Python would, and end without what belongs to the parent."""
        status = 1
        try:
            os.setsid()
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.default_int_handler)
            os.environ.update(variables)
            torch.set_num_threads(1)
            sys.argv = [str(part) for part in command.arguments[1:]]
            with command.log.open("w", buffering=1) as log:
                sys.stdout = sys.stderr = log
                try:
                    runpy.run_path(sys.argv[0], run_name="__main__")
                    status = 0
                except SystemExit as end:
                    status = end.code if isinstance(end.code, int) else int(end.code is not None)
                except BaseException:
                    traceback.print_exc()
        finally:
            os._exit(status)

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Wait for the end and return the exit status."""
        return self._wait(0)

    def _wait(self, options: int) -> int | None:
        if self.status is None:
            ended, status = os.waitpid(self.pid, options)
            self.status = os.waitstatus_to_exitcode(status) if ended else None
        return self.status

    def terminate(self) -> None:
        """Ask it to stop."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Stop it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


@pytest.fixture
def forked_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a study start its runs in copies of this process: five seconds less each."""
    if hasattr(os, "fork"):
        monkeypatch.setattr("cliqa.studies.processes._start", Fork)
