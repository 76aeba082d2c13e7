"""Dynamic batches: images of many requests are scored together, by one thread.

Images wait in a bounded queue. Threads decode and preprocess them; one more thread takes those that
are ready, in the order of their arrival, and scores them in one pass. A batch is closed when it is
full, or when its first image has waited long enough for others.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cliqa.inference.scores import Score
from cliqa.serve.scorer import INTERNAL, Sample, Scorer
from cliqa.utils.logging import get_logger

logger = get_logger(__name__)

CANCELLED = "the request was cancelled"


class QueueFullError(Exception):
    """More images would wait than may."""


class Ticket:
    """The images of one request.

    Args:
        count: How many there are.
        finished: Called once, by a thread of the batcher, when all have a result.

    Attributes:
        results: By place, the score of each image, None as long as there is none.
        cancelled: Nobody waits for the results any more: what is not computed yet is left out.
    """

    def __init__(self, count: int, finished: Callable[[], None]) -> None:
        self.results: list[Score | None] = [None] * count
        self.cancelled = False
        self._left, self._finished = count, finished

    def settle(self, place: int, score: Score) -> bool:
        """Note a result; return whether it was the last one. The batcher's lock is held."""
        self.results[place] = score
        self._left -= 1
        return self._left == 0

    def finish(self) -> None:
        """Tell that all images have results."""
        self._finished()


class _Job:
    """One image on its way: bytes at first, then what the model takes."""

    __slots__ = ("data", "name", "number", "place", "ready_at", "sample", "ticket")

    def __init__(self, number: int, ticket: Ticket, place: int, name: str, data: bytes) -> None:
        self.number, self.ticket, self.place = number, ticket, place
        self.name, self.data = name, data
        self.sample: Sample = None
        self.ready_at = 0.0

    def __lt__(self, other: _Job) -> bool:
        return self.number < other.number


class Batcher:
    """The queue of images in front of a model.

    Args:
        scorer: The model.
        batch_size: Images that are scored in one pass, at most.
        max_wait: Seconds that the first image of a batch waits for others.
        limit: Images that may wait, those in work included.
        readers: Threads that decode.
        observe: Told the number of images of every batch.
    """

    def __init__(
        self,
        scorer: Scorer,
        batch_size: int,
        max_wait: float,
        limit: int,
        readers: int = 2,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._scorer, self._batch_size, self._max_wait = scorer, batch_size, max_wait
        self.limit, self._observe = limit, observe
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._ready: list[_Job] = []
        self._waiting, self._closed = 0, False
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="decode")
        self._thread = threading.Thread(target=self._work, name="score", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The images that have no result yet."""
        return self._waiting

    def submit(self, images: Sequence[tuple[str, bytes]], finished: Callable[[], None]) -> Ticket:
        """Put the images of a request into the queue, all or none.

        Args:
            images: Their names and bytes.
            finished: See `Ticket`.

        Raises:
            QueueFullError: They do not fit, or the batcher is closed.
        """
        ticket = Ticket(len(images), finished)
        with self._changed:
            if self._closed or self._waiting + len(images) > self.limit:
                raise QueueFullError
            self._waiting += len(images)
            jobs = [
                _Job(next(self._numbers), ticket, place, name, data)
                for place, (name, data) in enumerate(images)
            ]
            for job in jobs:
                self._readers.submit(self._prepare, job)
        return ticket

    def cancel(self, ticket: Ticket) -> None:
        """Leave out what is not computed yet of a request; what others wait for goes on."""
        with self._changed:
            ticket.cancelled = True
            left = [job for job in self._ready if job.ticket is ticket]
            self._ready = [job for job in self._ready if job.ticket is not ticket]
            heapq.heapify(self._ready)
        self._settle([(job, Score(Path(job.name), None, CANCELLED)) for job in left])

    def close(self) -> None:
        """End the threads, after what is in the queue."""
        self._readers.shutdown(wait=True)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _prepare(self, job: _Job) -> None:
        """Decode an image, in one of the threads for that."""
        score = Score(Path(job.name), None, CANCELLED)
        if not job.ticket.cancelled:
            try:
                job.sample = self._scorer.prepare(job.name, job.data)
                score = Score(Path(job.name), None, job.sample[2])
            except Exception:
                logger.exception("preparing an image failed")
                score = Score(Path(job.name), None, INTERNAL)
        job.data = b""
        with self._changed:
            is_ready = score.error is None and not job.ticket.cancelled
            if is_ready:
                job.ready_at = time.monotonic()
                heapq.heappush(self._ready, job)
                self._changed.notify()
        if not is_ready:
            self._settle([(job, score)])

    def _work(self) -> None:
        """Score batches to the end, in the thread for that."""
        while batch := self._next_batch():
            self._observe(len(batch))
            try:
                scores = self._scorer.score([job.sample for job in batch])
            except Exception:
                logger.exception("scoring a batch failed")
                scores = [Score(Path(job.name), None, INTERNAL) for job in batch]
            self._settle(list(zip(batch, scores, strict=True)))
            del batch, scores

    def _next_batch(self) -> list[_Job]:
        """Wait for a batch; an empty one is the end."""
        with self._changed:
            while not self._ready:
                if self._closed:
                    return []
                self._changed.wait()
            end = min(job.ready_at for job in self._ready) + self._max_wait
            while 0 < len(self._ready) < self._batch_size and not self._closed:
                left = end - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            count = min(self._batch_size, len(self._ready))
            batch = [heapq.heappop(self._ready) for _ in range(count)]
        return batch or self._next_batch()  # those that were ready may have been cancelled

    def _settle(self, found: Sequence[tuple[_Job, Score]]) -> None:
        """Note results, and tell the requests that have all of theirs."""
        with self._changed:
            self._waiting -= len(found)
            whole = [job.ticket for job, score in found if job.ticket.settle(job.place, score)]
        for job, _ in found:
            job.sample = None
        for ticket in whole:
            ticket.finish()
