"""The endpoints, over the application itself: what is answered to whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa import __version__
from cliqa.inference.predict import Predictor
from cliqa.inference.scores import Score
from cliqa.serve.answers import RefusalError
from cliqa.serve.bodies import DisconnectedError
from cliqa.serve.scorer import Scorer
from cliqa.utils.errors import DatasetError
from tests.serve.conftest import Client, files, picture

WAIT = 10.0


class Held:
    """A model that works as long as it is held; of classes if it is given some."""

    def __init__(self, classes: Sequence[str] = ()) -> None:
        self.classes = list(classes)
        self.go, self.began, self.seen = threading.Event(), threading.Event(), 0

    def prepare(self, data: bytes, path: Path) -> Any:
        return path, data, None

    def scores(self, batch: Sequence[Any]) -> list[Score]:
        self.began.set()
        assert self.go.wait(WAIT)
        self.seen += len(batch)
        label = self.classes[0] if self.classes else None
        return [Score(path, 0.25, None, label) for path, _, _ in batch]


@pytest.fixture
def held() -> Any:
    """Return a model that is held to the end of the test at most."""
    model = Held()
    yield model
    model.go.set()


def test_scores_are_those_of_predict_in_the_order_of_the_images(
    client: Client, tiny_run: Path, tiny_data: Path
) -> None:
    paths = sorted((tiny_data / "a").glob("*.png"))[:6]
    wanted = [row.score for row in Predictor(tiny_run, torch.device("cpu")).predict(paths)]
    given = [("images", (path.name, path.read_bytes())) for path in paths]
    answer = client(batch_size=6, max_wait=WAIT).post("/score", files=given)
    assert answer.status_code == 200
    found = answer.json()
    assert found["model"] == tiny_run.name
    assert found["scale"] == {"low": 0.0, "high": 1.0, "higher_is_better": True}
    assert [row["name"] for row in found["images"]] == [path.name for path in paths]
    assert [row["score"] for row in found["images"]] == wanted  # in one batch: every bit
    assert [set(row) for row in found["images"]] == [{"name", "score"}] * 6
    alone = client(batch_size=1).post("/score", files=given).json()["images"]
    assert [row["score"] for row in alone] == pytest.approx(wanted, abs=1e-5)


def test_a_bad_image_has_an_error_and_the_others_have_scores(client: Client) -> None:
    answer = client().post("/score", files=files(picture(0), b"none", picture(1)[:99], picture(2)))
    assert answer.status_code == 200
    rows = answer.json()["images"]
    assert ["score" in row for row in rows] == [True, False, False, True]
    assert rows[1]["error"].startswith("1.png: cannot be decoded")


def test_without_any_score_the_answer_is_a_problem_with_every_reason(client: Client) -> None:
    answer = client().post("/score", files=files(b"none", b""))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["detail"] == "None of the images could be scored."
    assert [row["name"] for row in found["images"]] == ["0.png", "1.png"]
    assert all(row["error"] for row in found["images"])


def test_an_image_as_it_is_has_the_same_score(client: Client) -> None:
    own = client()
    kind = {"Content-Type": "image/png"}
    (bare,) = own.post("/score", content=picture(0), headers=kind).json()["images"]
    (sent,) = own.post("/score", files=files(picture(0))).json()["images"]
    assert bare == {"name": "1", "score": sent["score"]}


def test_a_classifier_names_classes(client: Client) -> None:
    model = Held(["cat", "dog"])
    model.go.set()
    answer = client(Scorer(model, "pets", "0")).post("/score", files=files(b"x")).json()
    assert answer == {
        "model": "pets",
        "images": [{"name": "0.png", "class": "cat", "probability": 0.25}],
    }


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/score", 405), ("GET", "/nothing", 404), ("POST", "/score", 415)],
)
def test_every_refusal_has_one_shape(client: Client, method: str, path: str, status: int) -> None:
    answer = client().request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert set(found) == {"type", "title", "status", "detail"}
    assert found["status"] == status


def test_a_bug_is_a_problem_that_tells_nothing(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cliqa.serve.service.read_body", lambda *_: 1 / 0)
    answer = client().post("/score", files=files(picture(0)))
    assert answer.status_code == 500
    assert answer.json()["detail"] == "The service failed; its log says why."


def test_a_full_queue_refuses_and_takes_again(client: Client, held: Held) -> None:
    own = client(Scorer(held, "held", "0"), queue=2, max_images=2)
    answers: list[Any] = []

    def ask() -> None:
        answers.append(own.post("/score", files=files(b"a", b"b")))

    first = threading.Thread(target=ask)
    first.start()
    assert held.began.wait(WAIT)
    full = own.post("/score", files=files(b"c"))
    assert full.status_code == 429
    assert full.headers["retry-after"] == "1"
    held.go.set()
    first.join(WAIT)
    assert answers[0].status_code == 200
    assert own.post("/score", files=files(b"c")).status_code == 200


def test_a_request_that_takes_too_long_is_told_so(client: Client, held: Held) -> None:
    own = client(Scorer(held, "held", "0"), timeout=0.1)
    answer = own.post("/score", files=files(b"a"))
    assert answer.status_code == 504
    assert "No scores within 0.1 s" in answer.json()["detail"]
    held.go.set()


def test_addresses_keep_to_the_time_of_their_request(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, given = threading.Event(), []

    def fetch(url: str, most: int, seconds: float) -> bytes:  # its look-up of a name takes long
        given.append(seconds)
        go.wait(WAIT)
        return b""

    monkeypatch.setattr("cliqa.serve.service.fetch", fetch)
    own = client(allow_urls=True, timeout=0.2)
    body = {"urls": ["https://slow.example/a.png"] * 3}
    answer = own.post("/score", json=body)
    go.set()
    assert answer.status_code == 504
    assert len(given) == 1
    assert given[0] <= 0.2


def test_while_it_is_being_stopped_new_work_is_refused(client: Client) -> None:
    own = client()
    assert own.get("/health").json()["ready"] is True
    own.service.draining = True
    answer = own.post("/score", files=files(picture(0)))
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    health = own.get("/health")
    assert (health.status_code, health.headers["retry-after"]) == (503, "1")
    assert (health.json()["live"], health.json()["ready"]) == (True, False)


def test_a_client_that_goes_takes_its_work_along(client: Client, held: Held) -> None:
    service: Any = client(Scorer(held, "held", "0"), batch_size=1).service

    async def story() -> None:
        leave = asyncio.Event()
        sent = [{"type": "http.request", "body": b"x", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if sent:
                return sent.pop()
            await leave.wait()
            return {"type": "http.disconnect"}

        headers = {"content-type": "image/png"}
        stays = asyncio.create_task(service.score(_one(), headers))
        await asyncio.to_thread(held.began.wait, WAIT)
        goes = asyncio.create_task(service.score(receive, headers))
        while service.batcher.waiting < 2:
            await asyncio.sleep(0.001)
        leave.set()
        with pytest.raises(DisconnectedError):
            await goes
        while service.batcher.waiting > 1:
            await asyncio.sleep(0.001)
        held.go.set()
        assert (await stays).images[0].score == 0.25

    asyncio.run(story())
    assert held.seen == 1
    assert service.budget.held == 0
    assert service.active == 0


def _one() -> Any:
    """Return what gives a body, and then waits."""
    sent = [{"type": "http.request", "body": b"x", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        await asyncio.Event().wait()
        raise AssertionError

    return receive


def test_a_body_that_does_not_come_is_not_waited_for(client: Client) -> None:
    service: Any = client(timeout=0.1).service

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(RefusalError, match=r"took more than 0\.1 s to arrive") as error:
        asyncio.run(service.score(never, {"content-type": "image/png"}))
    assert error.value.status == 408


def test_addresses_are_fetched_where_they_are_allowed(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(url: str, most: int, seconds: float) -> bytes:
        assert 0 < seconds <= 30
        if "good" not in url:
            raise DatasetError("no such address")
        assert most == (1 << 20) - len(b'{"urls": ["https://good", "https://bad"]}')
        return picture(0)

    monkeypatch.setattr("cliqa.serve.service.fetch", fetch)
    given = b'{"urls": ["https://good", "https://bad"]}'
    kind = {"Content-Type": "application/json"}
    off = client().post("/score", content=given, headers=kind)
    assert off.status_code == 415
    own = client(allow_urls=True, max_bytes=1 << 20)
    rows = own.post("/score", content=given, headers=kind).json()["images"]
    assert rows[0]["name"] == "https://good"
    assert "score" in rows[0]
    assert rows[1] == {"name": "https://bad", "error": "no such address"}
    bodies = own.get("/openapi.json").json()["paths"]["/score"]["post"]["requestBody"]
    assert "application/json" in bodies["content"]


def test_health_says_what_is_served(client: Client, scorer: Scorer) -> None:
    found = client().get("/health").json()
    assert found["digest"] == scorer.digest
    assert found["version"] == __version__
    assert found["classes"] == []


def test_the_description_has_every_answer(client: Client) -> None:
    found = client().get("/openapi.json").json()
    answers = found["paths"]["/score"]["post"]["responses"]
    assert set(answers) == {"200", "400", "408", "413", "415", "422", "429", "431", "503", "504"}
    shown = answers["429"]["content"]["application/problem+json"]["schema"]["$ref"]
    assert shown.endswith("/Problem")
    assert {"ScoreAnswer", "ImageAnswer", "HealthAnswer"} <= set(found["components"]["schemas"])


def test_metrics_count_what_has_happened(client: Client) -> None:
    own = client()
    own.post("/score", files=files(picture(0), b"none"))
    own.get("/etc/passwd")
    text = own.get("/metrics").text
    assert 'cliqa_requests_total{path="/score",status="200"} 1.0' in text
    assert 'cliqa_requests_total{path="other",status="404"} 1.0' in text
    assert 'cliqa_images_total{result="scored"} 1.0' in text
    assert 'cliqa_images_total{result="refused"} 1.0' in text
    assert "cliqa_batch_images_count 1.0" in text
    assert "cliqa_queue_images 0.0" in text
