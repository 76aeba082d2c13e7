"""The service as it is started: real processes, real connections, real signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
import pytest

from cliqa.inference.fast_predictor import open_fast
from perf.uploads import MAKERS, Answer, ask, good, siege
from tests.serve.conftest import Running, picture

pytestmark = pytest.mark.integration

Start = Callable[..., Running]


def workers_of(service: Running) -> list[psutil.Process]:
    """Return the processes that score."""
    return psutil.Process(service.process.pid).children()


def score(service: Running, *images: bytes) -> Answer:
    """Return the answer to a request."""
    return asyncio.run(ask(service.port, good(images)))


def numbers(service: Running) -> dict[str, float]:
    """Return the service's numbers by their names."""
    with urlopen(f"{service.address}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    rows = [line.rpartition(" ") for line in lines if not line.startswith("#")]
    return {name: float(value) for name, _, value in rows}


def test_two_processes_answer_as_one_and_end_at_a_signal(
    running: Start, tiny_file: Path, tmp_path: Path
) -> None:
    service = running(tiny_file, "--processes", "2", "--access-log", "--scale", "1", "5")
    assert "scores with" in service.line
    assert "(2 processes)" in service.line
    answers = [score(service, picture(k)) for k in range(12)]
    (tmp_path / "0.png").write_bytes(picture(0))
    fast = open_fast(tiny_file)
    assert fast is not None
    (wanted,) = fast.predict([tmp_path / "0.png"])
    assert wanted.score is not None
    assert answers[0].content["images"][0]["score"] == pytest.approx(1 + 4 * wanted.score, abs=1e-5)
    seen = numbers(service)  # whoever answers: the sum of both
    assert seen['cliqa_requests_total{path="/score",status="200"}'] == 12
    status, out, err = service.stop()
    assert status == 0
    assert err.startswith("stopping: what is in the queue is answered")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["path"] for line in lines] == ["/score"] * 12 + ["/metrics"]


def test_what_is_in_the_queue_is_answered_before_the_end(running: Start, tiny_file: Path) -> None:
    service = running(tiny_file, "--processes", "1", "--max-wait", "700")

    async def story() -> tuple[Answer, Answer, Answer]:
        waits = asyncio.create_task(ask(service.port, good([picture(0)])))
        await asyncio.sleep(0.25)
        service.process.send_signal(signal.SIGINT)
        await asyncio.sleep(0.25)
        late = await ask(service.port, good([picture(1)]))
        health = await ask(service.port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        return await waits, late, health

    waited, late, health = asyncio.run(story())
    assert waited.status == 200
    assert late.status == 503
    assert "being stopped" in late.content["detail"]
    assert (health.status, health.content["ready"]) == (503, False)
    assert service.process.wait(20) == 0


def test_a_process_that_dies_is_replaced_and_orphans_end(running: Start, tiny_file: Path) -> None:
    service = running(tiny_file, "--processes", "1")
    (first,) = workers_of(service)
    first.kill()
    assert score(service, picture(0)).status == 200  # it waited at the socket that the parent holds
    (second,) = workers_of(service)
    assert second.pid != first.pid
    service.process.kill()
    service.process.wait()
    assert psutil.wait_procs([second], timeout=20)[1] == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none.onnx", "none.onnx: no such file"),
        ("bad.onnx", "bad.onnx: damaged, or no ONNX file"),
        (".", "no checkpoint|is no|no "),
    ],
)
def test_a_model_that_is_none_is_one_line(
    running: Start, tmp_path: Path, model: str, message: str
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    service = running(tmp_path / model)
    _, err = service.process.communicate(timeout=60)
    told = service.line + err
    assert service.process.returncode == 2
    assert len(told.splitlines()) == 1
    assert told.startswith("error: ")
    if message != "no checkpoint|is no|no ":
        assert message in told


def test_among_broken_uploads_and_dropped_connections_nothing_is_lost(
    running: Start, tiny_file: Path
) -> None:
    service = running(tiny_file, "--processes", "1", "--max-bytes", "1000000", "--max-pixels", "9999")
    images = [picture(k, 40, 30) for k in range(4)]
    wanted = [score(service, image).content["images"][0]["score"] for image in images]
    broken = 3 * len(MAKERS)
    right, refused = asyncio.run(siege(service.port, images, broken, 10, 30))
    assert [answer.status for answer in right] == [200] * 30
    found = [answer.content["images"][0]["score"] for answer in right]
    assert found == pytest.approx([wanted[k % 4] for k in range(30)], abs=1e-5)
    assert {answer.status for answer in refused} <= {400, 413, 415, 422, 431}
    assert all("detail" in answer.content for answer in refused)
    (worker,) = workers_of(service)
    end = time.monotonic() + 10
    while numbers(service)["cliqa_queue_images"] and time.monotonic() < end:
        time.sleep(0.05)
    assert numbers(service)["cliqa_queue_images"] == 0
    assert len([c for c in worker.net_connections() if c.status == "ESTABLISHED"]) <= 1
    status, _, err = service.stop()
    assert status == 0
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1  # the library's words about broken bodies are not repeated


def test_a_body_that_is_too_large_is_refused_while_it_is_sent(
    running: Start, tiny_file: Path
) -> None:
    service = running(tiny_file, "--processes", "1", "--max-bytes", "1000")
    chunk = b"800\r\n" + b"x" * 0x800 + b"\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + 50 * chunk
        )
        answer: Any = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")
        connection.sendall(b"0\r\n\r\n")
        while connection.recv(65536):
            pass  # the connection ends in good order: the rest was taken
    assert os.path.exists(tiny_file)
