"""What the service answers: the shapes of its JSON, which its OpenAPI page shows too."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, Field

PROBLEM_JSON = "application/problem+json"

BUSY = frozenset({429, 503, 504})
"""Statuses of requests that may do better later: their answers have ``Retry-After``."""

RETRY_AFTER = ("retry-after", "1")
"""The header, in seconds."""


class ScaleAnswer(BaseModel):
    """The scale of the scores."""

    low: float
    high: float
    higher_is_better: bool


class ImageAnswer(BaseModel):
    """One image's score; of a classifier its class; or why it has none."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(description="The file name that the client sent, or a number.")
    score: float | None = Field(default=None, description="On the scale; not of a classifier.")
    label: str | None = Field(default=None, alias="class", description="Of a classifier.")
    probability: float | None = Field(default=None, description="Of the class, 0..1.")
    error: str | None = Field(default=None, description="Why the image has no score.")


class ScoreAnswer(BaseModel):
    """The images of a request, in order."""

    model: str
    scale: ScaleAnswer | None = Field(default=None, description="None of a classifier.")
    images: list[ImageAnswer]


class HealthAnswer(BaseModel):
    """Whether the service works, and what it serves."""

    live: bool = Field(description="The process answers.")
    ready: bool = Field(description="It takes new work; false while it is being stopped.")
    model: str
    digest: str = Field(description="SHA-256 of the model's file.")
    classes: list[str] = Field(description="Of a classifier; empty for scores.")
    scale: ScaleAnswer | None = None
    version: str = Field(description="Of cliqa.")


class Problem(BaseModel):
    """Why a request was refused (RFC 9457); every refusal has this shape."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    images: list[ImageAnswer] | None = Field(
        default=None, description="With status 422: what is wrong with each image."
    )


class RefusalError(Exception):
    """A request that is refused.

    Args:
        status: Of HTTP.
        detail: What is wrong and what to do.
        images: What is wrong with each image.
    """

    def __init__(self, status: int, detail: str, images: list[ImageAnswer] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.images = status, detail, images


def problem(status: int, detail: str, images: list[ImageAnswer] | None = None) -> bytes:
    """Return a problem as JSON.

    >>> problem(429, "Try later.").decode()
    '{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Try later."}'
    """
    title = HTTPStatus(status).phrase
    found = Problem(title=title, status=status, detail=detail, images=images)
    return found.model_dump_json(by_alias=True, exclude_none=True).encode()
