"""The application: its description is that of its answers, and it sends nobody elsewhere."""

from __future__ import annotations

import json

import pytest

from cliqa.serve.answers import BUSY
from cliqa.serve.scorer import Scorer
from tests.serve.conftest import Client, files, picture
from tests.serve.test_service import Held


def test_answers_have_the_kinds_that_the_description_names(client: Client) -> None:
    own = client()
    described = own.get("/openapi.json").json()["paths"]
    answers = [
        own.post("/score", files=files(picture(0))),
        own.post("/score", files=files(b"no image")),
        own.post("/score", content=b"x", headers={"content-type": "text/html"}),
        own.post("/score", content=b"x", headers={"content-length": str(2**40)}),
        own.get("/health"),
        own.get("/metrics"),
    ]
    own.service.draining = True
    answers += [own.post("/score", files=files(picture(0))), own.get("/health")]
    assert [a.status_code for a in answers] == [200, 422, 415, 413, 200, 200, 503, 503]
    for answer in answers:
        about = described[answer.request.url.path][answer.request.method.lower()]
        told = about["responses"][str(answer.status_code)]
        assert list(told["content"]) == [answer.headers["content-type"].partition(";")[0]]
        assert ("Retry-After" in told.get("headers", {})) == ("retry-after" in answer.headers)


def test_every_busy_status_is_described_with_its_header(client: Client) -> None:
    told = client().get("/openapi.json").json()["paths"]["/score"]["post"]["responses"]
    assert {int(status) for status, about in told.items() if "headers" in about} == BUSY


@pytest.mark.parametrize("path", ["/score/", "/health/", "//score", "/docs/"])
def test_no_answer_leads_to_an_address_that_a_client_has_named(client: Client, path: str) -> None:
    answer = client().post(path, headers={"host": "evil.example"}, follow_redirects=False)
    assert answer.status_code == 404
    assert "location" not in answer.headers
    assert json.loads(answer.content)["title"] == "Not Found"


def test_a_models_name_stands_in_the_description(client: Client) -> None:
    own = client(Scorer(Held(), "one.onnx", "0"))
    assert own.get("/openapi.json").json()["info"]["title"] == "Scores of one.onnx"
