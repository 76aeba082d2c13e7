"""Fixtures that tests of several commands of models share."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.commands.models.predict import main
from tests.commands.calls import Call, called


@pytest.fixture
def predict(tiny_run: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Return a function that scores with the shared run, or a `model`, on the CPU.

    What it tells of files that are no images by their suffixes is left out.
    """

    def run(*arguments: object, model: Path = tiny_run) -> tuple[int, str, str]:
        status, text, told = called(main, capfd, model, *arguments, "--device", "cpu")
        lines = told.splitlines(keepends=True)
        return status, text, "".join(line for line in lines if "by its suffix" not in line)

    return run
