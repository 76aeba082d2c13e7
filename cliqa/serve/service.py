"""The service itself: from a request's body to its scores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

from cliqa import __version__
from cliqa.inference.scores import Score
from cliqa.serve.addresses import fetch
from cliqa.serve.answers import (
    HealthAnswer,
    ImageAnswer,
    RefusalError,
    ScaleAnswer,
    ScoreAnswer,
)
from cliqa.serve.batching import Batcher, QueueFullError
from cliqa.serve.bodies import (
    Body,
    Budget,
    DisconnectedError,
    Receive,
    read_body,
)
from cliqa.serve.metrics import Metrics
from cliqa.serve.options import ServiceOptions
from cliqa.serve.scorer import Scorer
from cliqa.utils.errors import CliqaError

SHORTEST = 0.1
"""Seconds for an address when its request's time is as good as over."""


class Service:
    """A model with its queue, its limits and its numbers.

    Args:
        scorer: The model.
        options: The limits.

    Attributes:
        draining: No new work is taken.
        active: Requests for scores that have no answer yet.
    """

    def __init__(self, scorer: Scorer, options: ServiceOptions) -> None:
        self.scorer, self.options = scorer, options
        self.metrics = Metrics()
        self.batcher = Batcher(
            scorer,
            options.batch_size,
            options.max_wait,
            options.queue,
            readers=options.threads + 1,
            observe=self.metrics.batch,
        )
        self.budget = Budget(options.pending_bytes)
        self.draining, self.active = False, 0
        self._fetchers = ThreadPoolExecutor(8, thread_name_prefix="fetch")
        scale = scorer.scale
        self._scale = None if scale is None else ScaleAnswer(**asdict(scale))

    def close(self) -> None:
        """End the threads, after what is in the queue."""
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        self.batcher.close()

    def health(self) -> HealthAnswer:
        """Return whether it works, and what it serves."""
        return HealthAnswer(
            live=True,
            ready=not self.draining,
            model=self.scorer.name,
            digest=self.scorer.digest,
            classes=self.scorer.classes,
            scale=self._scale,
            version=__version__,
        )

    async def score(self, receive: Receive, headers: dict[str, str]) -> ScoreAnswer:
        """Return the scores of a request's images.

        Raises:
            RefusalError: It is refused, or none of its images can be scored.
            DisconnectedError: The client is gone.
        """
        if self.draining:
            raise RefusalError(503, "The service is being stopped. Ask another one.")
        if self.batcher.waiting >= self.options.queue:
            raise _queue_is_full()
        end = asyncio.get_running_loop().time() + self.options.timeout
        body = Body()
        self.active += 1
        try:
            answers = await self._answers(receive, headers, body, end)
        finally:
            self.budget.held -= body.size
            body.images.clear()  # the trace of an error may keep the body for a while
            self.active -= 1
            self.metrics.waiting(self.batcher.waiting)
        scored = sum(answer.error is None for answer in answers)
        self.metrics.images(scored, len(answers) - scored)
        if not scored:
            raise RefusalError(422, "None of the images could be scored.", images=answers)
        return ScoreAnswer(model=self.scorer.name, scale=self._scale, images=answers)

    async def _answers(
        self, receive: Receive, headers: dict[str, str], body: Body, end: float
    ) -> list[ImageAnswer]:
        """Return what is answered of each image."""
        reading = read_body(receive, headers, self.options, self.budget, body)
        try:
            await asyncio.wait_for(reading, self.options.timeout)
        except asyncio.TimeoutError as error:
            raise RefusalError(
                408, f"The body took more than {self.options.timeout:g} s to arrive."
            ) from error
        answers = [ImageAnswer(name=name) for name, _ in body.images]
        for url in body.urls:
            answers.append(await self._fetched(url, body, end))
        rows = await self._rows(receive, body.images, end) if body.images else []
        left = iter(rows)
        for answer in answers:
            if answer.error is None:
                self._fill(answer, next(left))
        return answers

    async def _fetched(self, url: str, body: Body, end: float) -> ImageAnswer:
        """Fetch an image into the body; return its answer, which has an error if that fails."""
        loop = asyncio.get_running_loop()
        most = self.options.max_bytes - body.size

        def fetched() -> bytes:  # how much time is left is known once a thread is free
            return fetch(url, most, max(SHORTEST, end - loop.time()))

        fetching = loop.run_in_executor(self._fetchers, fetched)
        try:  # a look-up of a name, and the wait for a thread, have no end of their own
            data = await asyncio.wait_for(fetching, max(0.0, end - loop.time()))
        except asyncio.TimeoutError as error:
            raise self._late() from error
        except CliqaError as error:
            return ImageAnswer(name=url[:255], error=str(error))
        self.budget.take(len(data))
        body.size += len(data)
        body.images.append((url[:255], data))
        return ImageAnswer(name=url[:255])

    async def _rows(
        self, receive: Receive, images: Sequence[tuple[str, bytes]], end: float
    ) -> list[Score]:
        """Return the scores of images, unless time is over or the client goes first."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def tell() -> None:
            if not done.done():
                done.set_result(None)

        def finished() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                loop.call_soon_threadsafe(tell)

        try:
            ticket = self.batcher.submit(images, finished)
        except QueueFullError as error:
            raise _queue_is_full() from error
        self.metrics.waiting(self.batcher.waiting)
        gone = loop.create_task(_disconnect(receive))
        try:
            left = max(0.0, end - loop.time())
            await asyncio.wait({done, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            is_gone = gone.done()
            gone.cancel()
            if not done.done():
                self.batcher.cancel(ticket)
        if done.done():
            return [row for row in ticket.results if row is not None]
        if is_gone:
            raise DisconnectedError
        raise self._late()

    def _fill(self, answer: ImageAnswer, row: Score) -> None:
        """Write an image's result into its answer."""
        if row.score is None:
            answer.error = row.error
        elif self.scorer.classes:
            answer.label, answer.probability = row.label, row.score
        else:
            answer.score = row.score

    def _late(self) -> RefusalError:
        return RefusalError(504, f"No scores within {self.options.timeout:g} s.")


async def _disconnect(receive: Receive) -> None:
    """Wait until the client is gone; its body has arrived."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _queue_is_full() -> RefusalError:
    return RefusalError(429, "The queue is full. Try later.")
