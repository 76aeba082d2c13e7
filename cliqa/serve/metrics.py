"""What the service counts, in Prometheus' format, summed over its processes.

With ``PROMETHEUS_MULTIPROC_DIR`` set before prometheus_client is imported, every process keeps its
numbers in files of that folder, and any of them answers with the sums of all.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable with the folder that processes share."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """The service's numbers.

    Attributes:
        kind: Of the text, for ``Content-Type``.
    """

    kind = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        own = CollectorRegistry()
        self._own = own
        self._requests = Counter(
            "cliqa_requests", "Requests by path and status.", ["path", "status"], registry=own
        )
        self._seconds = Histogram(
            "cliqa_request_seconds",
            "From a request's first byte to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=own,
        )
        self._images = Counter(
            "cliqa_images", "Images by result: scored or refused.", ["result"], registry=own
        )
        self._rejected = Counter(
            "cliqa_rejected", "Requests that found no room, or a service that stops.", registry=own
        )
        self._batches = Histogram(
            "cliqa_batch_images", "Images of a batch.", buckets=SIZES, registry=own
        )
        self._waiting = Gauge(
            "cliqa_queue_images",
            "Images that have no result yet.",
            multiprocess_mode="livesum",
            registry=own,
        )
        if os.environ.get(FOLDER):
            _reserve(Path(os.environ[FOLDER]))

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)
        if status in (429, 503):
            self._rejected.inc()

    def images(self, scored: int, refused: int) -> None:
        """Count the images of a request."""
        self._images.labels("scored").inc(scored)
        self._images.labels("refused").inc(refused)

    def batch(self, images: int) -> None:
        """Count a batch."""
        self._batches.observe(images)

    def waiting(self, images: int) -> None:
        """Note the length of the queue."""
        self._waiting.set(images)

    def text(self) -> bytes:
        """Return all numbers, of all processes if there are several."""
        registry = self._own
        if os.environ.get(FOLDER):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        return generate_latest(registry)


def _reserve(folder: Path) -> None:
    """Take the room of this process's files: they have holes, and one must not meet a full disk."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    for path in folder.glob(f"*_{os.getpid()}.db"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
