"""The service itself: its endpoints, from a request to an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from cliqa import __version__
from cliqa.inference.scores import Score
from cliqa.serve.addresses import fetch
from cliqa.serve.answers import (
    PROBLEM_JSON,
    HealthAnswer,
    ImageAnswer,
    Problem,
    RefusalError,
    ScaleAnswer,
    ScoreAnswer,
    problem,
)
from cliqa.serve.batching import Batcher, QueueFullError
from cliqa.serve.bodies import (
    BINARY,
    FIELD,
    FORM,
    JSON,
    Body,
    Budget,
    DisconnectedError,
    Receive,
    read_body,
)
from cliqa.serve.metrics import Metrics
from cliqa.serve.options import ServiceOptions
from cliqa.serve.page import POLICY, page
from cliqa.serve.scorer import Scorer
from cliqa.utils.errors import CliqaError

RETRY = {"Retry-After": "1"}
GONE = 499
"""The status in logs and numbers of a request whose client has gone; nobody receives it."""

REFUSALS = {
    400: "The body cannot be read.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or has too many images.",
    415: "The body is of another kind.",
    422: "No image could be scored; `images` says why.",
    429: "The queue is full; try later.",
    503: "The service is being stopped.",
    504: "The scores were not there in time.",
}


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
            raise RefusalError(503, "The service is being stopped. Ask another one.", RETRY)
        if self.batcher.waiting >= self.options.queue:
            raise _queue_is_full()
        end = asyncio.get_running_loop().time() + self.options.timeout
        body = Body()
        self.active += 1
        try:
            answers = await self._answers(receive, headers, body, end)
        finally:
            self.budget.held -= body.size
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
        left = self.options.max_bytes - body.size
        seconds = end - loop.time()
        if seconds <= 0:
            raise self._late()
        try:
            data = await loop.run_in_executor(self._fetchers, fetch, url, left, seconds)
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
        return RefusalError(504, f"No scores within {self.options.timeout:g} s.", RETRY)


async def _disconnect(receive: Receive) -> None:
    """Wait until the client is gone; its body has arrived."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _queue_is_full() -> RefusalError:
    return RefusalError(429, "The queue is full. Try later.", RETRY)


def endpoints(service: Service) -> FastAPI:
    """Return the application: ``/score``, ``/health``, ``/metrics``, ``/docs``, ``/openapi.json``.

    Args:
        service: What it is about.
    """
    app = FastAPI(
        title=f"Scores of {service.scorer.name}",
        version=__version__,
        description="A trained model scores or classifies the images that it is sent.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
    )

    async def score(request: Request) -> Response:
        found = await service.score(request.receive, dict(request.headers))
        return _json(found.model_dump_json(by_alias=True, exclude_none=True))

    async def health() -> Response:
        found = service.health()
        return _json(found.model_dump_json(), 200 if found.ready else 503)

    async def metrics() -> Response:
        service.metrics.waiting(service.batcher.waiting)
        return Response(service.metrics.text(), media_type=service.metrics.kind)

    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": POLICY})

    app.add_api_route(
        "/score",
        score,
        methods=["POST"],
        response_model=ScoreAnswer,
        summary="Score images",
        description="Answers in the order of the images; one that cannot be read has an `error`.",
        responses={
            status: {"model": Problem, "description": text} for status, text in REFUSALS.items()
        },
        openapi_extra={"requestBody": _bodies(service.options.allow_urls)},
    )
    app.add_api_route(
        "/health",
        health,
        response_model=HealthAnswer,
        summary="Whether it works",
        responses={503: {"model": HealthAnswer, "description": "It is being stopped."}},
    )
    app.add_api_route("/metrics", metrics, summary="Numbers for Prometheus")
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_exception_handler(RefusalError, _refuse)
    app.add_exception_handler(DisconnectedError, lambda *_: Response(status_code=GONE))
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(Exception, _fail)
    return app


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type=JSON)


async def _refuse(_: Request, error: Exception) -> Response:
    """Return the answer to a request that is refused."""
    if isinstance(error, RefusalError):
        content = problem(error.status, error.detail, error.images)
        return Response(content, error.status, error.headers, PROBLEM_JSON)
    assert isinstance(error, HTTPException)  # noqa: S101  only these two are registered
    content = problem(error.status_code, f"{error.detail}. See /docs.")
    return Response(content, error.status_code, error.headers, PROBLEM_JSON)


async def _fail(*_: Any) -> Response:  # noqa: ANN401  whatever the framework gives
    """Return the answer to a request that has met a bug; the traceback goes to the log."""
    return Response(problem(500, "The service failed; its log says why."), 500, None, PROBLEM_JSON)


def _bodies(urls: bool) -> dict[str, Any]:
    """Return the kinds of body that are read, for the OpenAPI description."""
    file = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "properties": {FIELD: {"type": "array", "items": file}},
        "required": [FIELD],
    }
    kinds: dict[str, Any] = {FORM: {"schema": form}, "image/*": {"schema": file}}
    kinds[BINARY] = {"schema": file}
    if urls:
        listed = {"type": "array", "items": {"type": "string", "format": "uri"}}
        kinds[JSON] = {"schema": {"type": "object", "properties": {"urls": listed}}}
    return {"required": True, "content": kinds}
