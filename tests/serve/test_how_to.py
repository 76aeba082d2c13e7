"""The clients in the documentation, against a real service."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serve.conftest import Running, picture

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "serve.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"


def blocks(kind: str) -> list[str]:
    """Return the page's blocks of a kind."""
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def test_the_clients_of_the_page_get_scores(
    running: Callable[..., Running], tiny_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("requests")
    (tmp_path / "photo.jpg").write_bytes(picture(0))
    (tmp_path / "other.jpg").write_bytes(b"no image")
    service = running(tiny_file, "--processes", "1")
    (python,) = blocks("py")
    assert len(python.strip().splitlines()) <= 6  # with a blank line
    script = python.replace(ADDRESS, service.address)
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    first, second = found.stdout.splitlines()
    assert re.fullmatch(r"photo\.jpg 0\.\d+ None", first)
    assert second.startswith("other.jpg None other.jpg: cannot be decoded")
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (commands,) = blocks("bash")
    for command in commands.strip().splitlines():
        line = command.replace(ADDRESS, service.address)
        answer = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, check=True)
        score = json.loads(answer.stdout)["images"][0]["score"]
        assert str(score) == first.split(" ")[1]


def test_the_limits_of_the_page_are_the_defaults() -> None:
    from cliqa.serve.options import MIB, ServiceOptions  # noqa: PLC0415  beside what it checks

    assert ServiceOptions.max_bytes == 32 * MIB
    for name, shown in {
        "max_images": "`--max-images` (64)",
        "queue": "`--queue`, 128 images",
        "timeout": "`--timeout` (30 s",
        "max_pixels": "`--max-pixels` (40 million)",
        "batch_size": "`--batch-size`, 8)",
    }.items():
        assert shown in PAGE
        assert re.findall(r"\d+", shown)[0] in str(getattr(ServiceOptions, name))
