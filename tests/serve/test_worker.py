"""The service as it is started: real processes, real connections, real signals."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
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

SCORED = 'cliqa_requests_total{path="/score",status="200"}'


@pytest.fixture(scope="module")
def shared(tiny_file: Path) -> Iterator[Running]:
    """Return a service of two processes with low limits, for tests that leave it running."""
    limits = ("--max-bytes", "1000000", "--max-pixels", "9999", "--scale", "1", "5")
    service = Running(tiny_file, "--processes", "2", *limits)
    yield service
    status, _, err = service.stop()
    assert status == 0
    assert err.startswith("stopping: what is in the queue is answered")
    assert len(err.splitlines()) == 1  # no tracebacks, nor a library's words about broken bodies


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


def test_two_processes_answer_as_one(shared: Running, tiny_file: Path, tmp_path: Path) -> None:
    assert "scores with" in shared.line
    assert "(2 processes)" in shared.line
    before = numbers(shared).get(SCORED, 0)
    answers = [score(shared, picture(k)) for k in range(12)]
    (tmp_path / "0.png").write_bytes(picture(0))
    fast = open_fast(tiny_file)
    assert fast is not None
    (wanted,) = fast.predict([tmp_path / "0.png"])
    assert wanted.score is not None
    assert answers[0].content["images"][0]["score"] == pytest.approx(1 + 4 * wanted.score, abs=1e-5)
    assert numbers(shared)[SCORED] == before + 12  # whoever answers: the sum of both


def test_what_is_in_the_queue_is_answered_before_the_end(running: Start, tiny_file: Path) -> None:
    service = running(tiny_file, "--processes", "1", "--max-wait", "700", "--access-log")

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
    out, _ = service.process.communicate(timeout=20)
    assert service.process.returncode == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["status"] for line in lines] == [503, 503, 200]


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


def test_a_broken_model_is_one_line(running: Start, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"nonsense")
    service = running(tmp_path / "bad.onnx")
    _, err = service.process.communicate(timeout=60)
    assert service.process.returncode == 2
    (line,) = (service.line + err).splitlines()
    assert line.startswith("error: ")
    assert "bad.onnx: damaged, or no ONNX file" in line


def test_among_broken_uploads_and_dropped_connections_nothing_is_lost(
    running: Start, tiny_file: Path
) -> None:
    service = running(
        tiny_file, "--processes", "1", "--max-bytes", "1000000", "--max-pixels", "9999"
    )
    images = [picture(k, 40, 30) for k in range(4)]
    wanted = [score(service, image).content["images"][0]["score"] for image in images]
    broken = 3 * len(MAKERS)
    right, refused = asyncio.run(siege(service.port, images, broken, 10, 30))
    assert [answer.status for answer in right] == [200] * 30
    found = [answer.content["images"][0]["score"] for answer in right]
    assert found == pytest.approx([wanted[k % 4] for k in range(30)], abs=1e-5)
    assert {answer.status for answer in refused} <= {400, 413, 415, 422, 431}
    assert all("detail" in answer.content for answer in refused)
    end = time.monotonic() + 10
    while numbers(service)["cliqa_queue_images"] and time.monotonic() < end:
        time.sleep(0.05)
    assert numbers(service)["cliqa_queue_images"] == 0
    open_ones = [c for w in workers_of(service) for c in w.net_connections()]
    assert sum(c.status == "ESTABLISHED" for c in open_ones) <= 1


def test_a_body_that_is_too_large_is_refused_while_it_is_sent(shared: Running) -> None:
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", shared.port), timeout=20) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + 50 * chunk
        )
        answer: Any = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 413 ")
        connection.sendall(b"0\r\n\r\n")
        while connection.recv(65536):
            pass  # the connection ends in good order: the rest was taken
