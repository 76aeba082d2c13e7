"""What runs are started with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cliqa.studies.backends.commands import TRAIN, with_package


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python has no -P yet")
def test_a_module_of_pythons_name_in_the_current_folder_replaces_nothing(tmp_path: Path) -> None:
    for name in ("random", "queue", "cliqa", "torch"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('mine')\n")
    done = subprocess.run(
        [sys.executable, *map(str, TRAIN), "--help"],
        cwd=tmp_path,
        env=with_package(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "usage: cliqa train" in done.stdout
