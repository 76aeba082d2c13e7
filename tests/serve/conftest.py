"""Fixtures of the scoring service's tests: a model, a client without a network, a real process."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("python_multipart")

from starlette.testclient import TestClient

from cliqa.compress.export import export_checkpoint
from cliqa.serve.application import endpoints
from cliqa.serve.boundary import Boundary
from cliqa.serve.options import ServiceOptions
from cliqa.serve.scorer import Scorer, open_scorer
from cliqa.serve.service import Service

ROOT = Path(__file__).resolve().parents[2]

Client = Callable[..., TestClient]


def picture(seed: int, width: int = 24, height: int = 20) -> bytes:
    """Return a PNG of random pixels."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def files(*contents: bytes) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Return images as a client library takes them."""
    return [("images", (f"{k}.png", content, "image/png")) for k, content in enumerate(contents)]


@pytest.fixture
def scorer(tiny_run: Path) -> Scorer:
    """Return the shared run's model."""
    return open_scorer(ServiceOptions(str(tiny_run), device="cpu"))


@pytest.fixture
def client(scorer: Scorer) -> Iterator[Client]:
    """Return a function that makes a client of a service; ``client.app`` has its parts."""
    with contextlib.ExitStack() as stack:

        def make(own: Any = None, log: Callable[[str], None] | None = None, **options: Any) -> Any:
            service = Service(own or scorer, ServiceOptions("tiny", **options))
            stack.callback(service.close)
            app = Boundary(endpoints(service), service.metrics, log)
            found = TestClient(app, raise_server_exceptions=False)
            found.service = service
            return found

        yield make


@pytest.fixture(scope="module")
def tiny_file(
    quick_exports: None, tiny_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return the shared run's model as an ONNX file, which starts without torch."""
    pytest.importorskip("onnxruntime")
    return export_checkpoint(tiny_run, tmp_path_factory.mktemp("file") / "tiny.onnx").path


class Running:
    """A service in processes of its own, at a free port.

    Args:
        model: What is served.
        options: Further arguments of the command.
    """

    def __init__(self, model: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tools.serve", str(model), "--port", "0", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert self.process.stderr is not None
        self.line = self.process.stderr.readline()
        self.address = self.line.split("/score")[0]

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self.address.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; return the exit status, stdout and the rest of stderr."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def running() -> Iterator[Callable[..., Running]]:
    """Return a function that starts a service, see `Running`; what still runs is ended."""
    started: list[Running] = []

    def start(model: Path, *options: str) -> Running:
        started.append(Running(model, *options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.terminate()
            each.process.communicate(timeout=60)
