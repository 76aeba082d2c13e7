"""A server over small runs, started as a user starts it, and a client that writes requests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cliqa.evaluation.records.study import build_study
from tests.app.client import ROOT, Client, address_in, started


@pytest.fixture(scope="session")
def work_root(tiny_run: Path, gated_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of runs and a study: only read it.

    ``tiny`` is the newest run; ``more/second`` and ``going`` are copies of it, the latter with the
    status of a run that goes on; ``gated`` has a gate; ``study`` is a study of two configs.
    """
    root = tmp_path_factory.mktemp("app") / "work_dirs"
    for name, source in (("going", tiny_run), ("more/second", tiny_run), ("gated", gated_run)):
        shutil.copytree(source, root / name)
        os.utime(root / name / "results.json", (1e9, 1e9 + len(name)))
    shutil.copytree(tiny_run, root / "tiny")
    going = json.loads((root / "going" / "results.json").read_text())
    (root / "going" / "results.json").write_text(json.dumps({**going, "status": "running"}))
    os.utime(root / "going" / "results.json", (1e9, 1e9))
    (root / "study").mkdir()
    runs = {name: {"0": going, "1": going} for name in ("config/a.py", "config/b.py")}
    study = build_study(runs, replicates=["0", "1"])
    (root / "study" / "study.json").write_text(json.dumps(study))
    return root


@pytest.fixture(scope="session")
def server(
    work_root: Path, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Return the address of a server over `work_root`, in a process of its own."""
    log = tmp_path_factory.mktemp("server") / "log"
    arguments = ["--work-dirs", str(work_root), "--configs", str(ROOT / "config"), "--port", "0"]
    arguments += ["--images", str(tiny_data), "--device", "cpu", "--max-upload-mb", "1"]
    with started([*arguments, "--max-images", "30"], log) as process:
        yield address_in(log, process)


@pytest.fixture
def client(server: str, request: pytest.FixtureRequest) -> Iterator[Client]:
    """Return a session of a test's own."""
    made = Client(server, f"session-{request.node.name[:60]}")
    yield made
    made.http.close()
