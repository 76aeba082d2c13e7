"""The page about the service: whole in itself, whatever a model is called."""

from __future__ import annotations

import re

from cliqa.serve.page import page
from cliqa.serve.scorer import Scorer
from tests.serve.conftest import Client
from tests.serve.test_service import Held


def test_it_lists_what_there_is_and_fetches_nothing(client: Client) -> None:
    answer = client().get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    text = answer.text
    for shown in ("POST /score", "GET /health", "GET /metrics", "The queue is full", "Problem"):
        assert shown in text
    assert "<script" not in text
    assert re.findall(r"(?:href|src|action)=[\"']([^\"']+)", text) == ["/score", "/openapi.json"]
    assert 'enctype="multipart/form-data"' in text


def test_names_are_no_html(client: Client) -> None:
    own = client(Scorer(Held(), "<script>alert(1)</script>", "0"))
    assert "<script>alert" not in own.get("/docs").text
    assert "&lt;script&gt;" in page(own.get("/openapi.json").json())
