"""The application around the service: its paths, and what they answer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from cliqa import __version__
from cliqa.serve.answers import (
    BUSY,
    PROBLEM_JSON,
    RETRY_AFTER,
    HealthAnswer,
    Problem,
    RefusalError,
    ScoreAnswer,
    problem,
)
from cliqa.serve.bodies import BINARY, FIELD, FORM, JSON, DisconnectedError
from cliqa.serve.page import POLICY, page
from cliqa.serve.service import Service

GONE = 499
"""The status in logs and numbers of a request whose client has gone; nobody receives it."""

REFUSALS = {
    400: "The body cannot be read.",
    408: "The body did not arrive in time.",
    413: "The body is too large, or has too many images.",
    415: "The body is of another kind.",
    422: "No image could be scored; `images` says why.",
    429: "The queue is full; try later.",
    431: "The headers are too large.",
    503: "The service is being stopped.",
    504: "The scores were not there in time.",
}


class _Application(FastAPI):
    """FastAPI, whose description has the kinds of answers that are sent."""

    def openapi(self) -> dict[str, Any]:
        """Return the description; FastAPI itself takes every answer for JSON."""
        found = super().openapi()
        for methods in found["paths"].values():
            for about in methods.values():
                for answer in about["responses"].values():
                    schema = answer.get("content", {}).get(JSON, {})
                    if str(schema.get("schema", {}).get("$ref")).endswith(f"/{Problem.__name__}"):
                        answer["content"] = {PROBLEM_JSON: schema}
        return found


def endpoints(service: Service) -> FastAPI:
    """Return the application: ``/score``, ``/health``, ``/metrics``, ``/docs``, ``/openapi.json``.

    Args:
        service: What it is about.
    """
    app = _Application(
        title=f"Scores of {service.scorer.name}",
        version=__version__,
        description="A trained model scores or classifies the images that it is sent.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # to an address that the client's own Host header would name
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
            status: {"model": Problem, "description": text, **_later(status)}
            for status, text in REFUSALS.items()
        },
        openapi_extra={"requestBody": _bodies(service.options.allow_urls)},
    )
    app.add_api_route(
        "/health",
        health,
        response_model=HealthAnswer,
        summary="Whether it works",
        responses={
            503: {"model": HealthAnswer, "description": "It is being stopped.", **_later(503)}
        },
    )
    app.add_api_route(
        "/metrics", metrics, summary="Numbers for Prometheus", response_class=PlainTextResponse
    )
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_exception_handler(RefusalError, _refuse)
    app.add_exception_handler(DisconnectedError, lambda *_: Response(status_code=GONE))
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(Exception, _fail)
    return app


def _later(status: int) -> dict[str, Any]:
    """Return the description of a status' headers."""
    if status not in BUSY:
        return {}
    about = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
    return {"headers": {RETRY_AFTER[0].title(): about}}


def _json(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type=JSON)


async def _refuse(_: Request, error: Exception) -> Response:
    """Return the answer to a request that is refused."""
    if isinstance(error, RefusalError):
        content = problem(error.status, error.detail, error.images)
        return Response(content, error.status, media_type=PROBLEM_JSON)
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
