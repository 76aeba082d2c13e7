"""Tests of cliqa.app.server, against a server that runs: what requests by hand may do."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio.context import LocalContext
from gradio.exceptions import InvalidPathError
from gradio.processing_utils import _check_allowed

from cliqa.app import server
from cliqa.app.server import QUIET, UPLOADS, make_app
from cliqa.app.settings import Settings
from tests.app.client import Client, address_in, file_data, started

SECRET = "root:"
"""What /etc/passwd begins with."""


def error_of(answer: dict[str, Any]) -> str:
    """Return why a call was refused."""
    assert not answer.get("success"), answer
    return str(answer.get("error") or answer.get("detail"))


def test_uploads_are_scored_and_what_is_no_image_is_said_row_by_row(
    client: Client, tiny_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.png").write_bytes((tiny_data / "a" / "a01.png").read_bytes()[:60])
    images = [tiny_data / "a" / "a00.png", tmp_path / "notes.txt", tmp_path / "broken.png"]
    paths = client.upload(*images)
    answer = client.score("tiny", "0 to 1", [file_data(path) for path in paths])
    assert answer["success"], answer
    table = next(part for part in answer["data"] if _is_table(part))["value"]
    rows = {row[0]: row[1:] for row in table["data"]}
    assert re.fullmatch(r"-?\d\.\d{3}", rows["a00.png"][0])
    assert rows["a00.png"][1] == ""
    for name in ("notes.txt", "broken.png"):
        assert rows[name][0] == ""
        assert name in rows[name][1]
        assert str(tmp_path) not in rows[name][1]
        assert "/" not in rows[name][1]


def _is_table(part: object) -> bool:
    """Return whether a value is a table with rows."""
    value = part.get("value") if isinstance(part, dict) else None
    return isinstance(value, dict) and "headers" in value


@pytest.mark.parametrize(
    "path",
    [
        *("/etc/passwd", "../../../etc/passwd", "etc/passwd", "config/demo.py", ""),
        *("http://127.0.0.1:9/x.png", "https://example.org/x.png", "file:///etc/passwd"),
        *("/etc/passwd\0.png", 7, ["/etc/passwd"]),
    ],
)
def test_a_request_names_no_file_that_was_not_uploaded(client: Client, path: Any) -> None:
    answer = client.score("tiny", "0 to 1", [{**file_data("x"), "path": path}])
    assert answer.get("status") == 403, answer
    assert "uploaded files alone" in error_of(answer)


def test_a_file_beside_the_uploads_is_none(client: Client, tiny_data: Path) -> None:
    (path,) = client.upload(tiny_data / "a" / "a00.png")
    for other in (str(Path(path).parents[2] / "x"), f"{path}/../../../../etc/passwd"):
        assert client.score("tiny", "0 to 1", [file_data(other)]).get("status") == 403
    missing = str(Path(path).with_name("other.png"))
    assert SECRET not in str(client.score("tiny", "0 to 1", [file_data(missing)]))


def test_a_name_of_an_upload_leads_nowhere(client: Client, tiny_data: Path) -> None:
    names = ["../../../../tmp/evil.png", "/etc/evil.png", "..\\..\\evil.png", "<img src=x>.png"]
    image = tiny_data / "a" / "a00.png"
    paths = client.upload(*[image] * len(names), names=names)
    folder = Path(paths[0]).parent.parent
    for path in paths:
        assert Path(path).resolve().is_relative_to(folder)
        assert "<" not in path
    assert not Path("/tmp/evil.png").exists()


def test_meta_data_that_lack_their_mark_open_no_file(client: Client) -> None:
    answer = client.score("tiny", "0 to 1", [{"path": "/etc/passwd"}])
    assert answer.get("status") == 403
    answer = client.score("tiny", "0 to 1", ["/etc/passwd"])
    assert not answer["success"]
    assert SECRET not in str(answer)


@pytest.mark.parametrize(
    "model",
    ["../tiny", "/etc", "nothing", "tiny/checkpoints/last.pth", "..", "", {"a": 1}, ["tiny"], 3],
)
def test_a_model_that_is_not_listed_is_refused(client: Client, tiny_data: Path, model: Any) -> None:
    (path,) = client.upload(tiny_data / "a" / "a00.png")
    answer = client.score(model, "0 to 1", [file_data(path)])
    assert re.search("not in the list of choices|no such model", error_of(answer)), answer


def test_a_scale_and_a_folder_are_chosen_from_the_list(client: Client, tiny_data: Path) -> None:
    (path,) = client.upload(tiny_data / "a" / "a00.png")
    files = [file_data(path)]
    assert "not in the list" in error_of(client.score("tiny", "../x", files))
    for folder in ("..", "/etc", "a/../../x", {"path": "/etc"}):
        answer = client.score("tiny", "0 to 1", files, folder)
        assert re.search("not in the list|uploaded files alone", error_of(answer)), folder


def test_folders_of_the_server_are_scored(client: Client) -> None:
    answer = client.score("tiny", "0 to 1", None, "b")
    assert "at most 30" in error_of(answer)  # it has 40
    assert "There is no image" in error_of(client.score("tiny", "0 to 1", []))


@pytest.mark.parametrize("run", ["../tiny", "/etc", "missing", {"a": 1}, ["tiny"], 5])
def test_a_run_that_is_not_listed_is_refused(client: Client, run: Any) -> None:
    answer = client.call(client.function("look-run", "input"), [run])
    assert re.search("not in the list|no such run", error_of(answer)), answer


@pytest.mark.parametrize("event", [{"index": "x"}, {"index": [1, "2"]}, {"index": None}, {}, None])
def test_an_event_of_another_form_is_refused(client: Client, event: Any) -> None:
    data = ["tiny", None, None, None]
    if event is not None and "index" in event:
        event = {**event, "value": None}
    answer = client.call(client.function("look-scatter", "select"), data, event)
    assert error_of(answer)
    assert "Traceback" not in str(answer)


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/file=/etc/passwd", "/gradio_api/file=config/demo.py", "/docs"),
        *("/gradio_api/file=pyproject.toml", "/gradio_api/file=../../etc/passwd", "/openapi.json"),
        *("/gradio_api/proxy=https://example.org/", "/gradio_api/file/etc/passwd", "/monitoring"),
        *("/static/../../../../etc/passwd", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/runs"),
        *("/gradio_api/vibe-code", "/gradio_api/deep_link", "/gradio_api/file=%2Fetc%2Fpasswd"),
    ],
)
def test_no_file_of_the_machine_is_served(client: Client, path: str) -> None:
    answer = client.http.get(f"{client.url}{path}")
    assert answer.status_code in (403, 404), path
    assert SECRET not in answer.text
    assert "import" not in answer.text


def test_files_of_runs_are_not_served(client: Client, work_root: Path) -> None:
    for name in ("results.json", "checkpoints/last.pth", "config.py"):
        path = f"{client.url}/gradio_api/file={work_root}/tiny/{name}"
        assert client.http.get(path).status_code == 403


def test_other_doors_are_closed(client: Client) -> None:
    for name in ("run/predict", "api/predict", "call/score", "component_server", "stream/x"):
        assert client.http.post(f"{client.url}/gradio_api/{name}", json={}).status_code == 404
    join = f"{client.url}/gradio_api/queue/join"
    for body in (b"no json", b"[" * 100_000):
        assert client.http.post(join, content=body).status_code in (400, 422)
    big = b'{"data": ["' + b"x" * 3_000_000 + b'"]}'
    assert client.http.post(join, content=big).status_code == 413


def test_strangers_pages_cannot_use_the_server(client: Client) -> None:
    join = f"{client.url}/gradio_api/queue/join"
    answer = client.http.post(join, json={}, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    named = client.http.get(client.url, headers={"host": "evil.example"})
    assert named.status_code == 421
    assert "--allow-host" in named.text


def test_uploads_are_limited(client: Client, tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(2**20 + 1))
    answer = client.http.post(
        f"{client.url}/gradio_api/upload", files={"files": (tmp_path / "large.bin").read_bytes()}
    )
    assert answer.status_code == 413
    assert "[Errno" not in answer.text


def test_the_page_names_no_path_of_the_machine(client: Client, work_root: Path) -> None:
    text = client.http.get(client.url).text + str(client.config)
    assert str(work_root) not in text
    assert str(Path.home()) + "/" not in text
    assert client.http.get(client.url).headers["content-security-policy"].startswith("default-src")


def test_sessions_do_not_see_each_other(client: Client, server: str, tiny_data: Path) -> None:
    (path,) = client.upload(tiny_data / "a" / "a00.png")
    assert client.score("tiny", "0 to 1", [file_data(path)])["success"]
    pick = client.function("score-table", "select")
    event = {"index": [0, 0], "value": "a00.png", "row_value": ["a00.png"]}
    assert client.call(pick, [None], event)["success"]
    other = Client(server, "session-other")
    found = other.call(pick, [None], event)
    assert found["success"]
    assert "a00.png" not in str(found["data"])


@pytest.mark.slow
@pytest.mark.integration
def test_a_signal_ends_it_with_its_status(work_root: Path, tmp_path: Path) -> None:
    arguments = ["--work-dirs", str(work_root), "--port", "0", "--device", "cpu"]
    with started(arguments, tmp_path / "log", anew=True) as process:
        url = address_in(tmp_path / "log", process)
        with httpx.stream("GET", f"{url}/gradio_api/heartbeat/x", timeout=30) as stream:
            next(stream.iter_lines())  # a page that is open does not hold it up
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 143
    text = (tmp_path / "log").read_text()
    assert "Traceback" not in text
    assert text.strip().endswith("stopped by SIGTERM; the app has ended")


def test_pages_that_are_cut_off_are_no_error_and_bugs_are() -> None:
    drops = server._CutOff()

    def kept(text: str, error: BaseException | None = None) -> bool:
        info = None if error is None else (type(error), error, None)
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 0, text, (), info)
        return bool(drops.filter(record))

    assert not kept("Cancel %s running task(s), timeout graceful shutdown exceeded")
    assert not kept("Exception in ASGI application", asyncio.CancelledError("Task cancelled"))
    assert kept("Exception in ASGI application", ValueError("a bug"))
    assert kept("Invalid HTTP request received.")


def test_gradio_looks_at_files_itself_behind_the_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (UPLOADS, *QUIET):
        monkeypatch.setenv(name, "")  # what it sets is undone
    guard: Any = make_app(Settings(tmp_path / "none"), tmp_path)
    page = guard._app.routes[-1].app.get_blocks()
    token = LocalContext.blocks.set(page)
    try:
        for path in ("/etc/passwd", "pyproject.toml"):
            with pytest.raises(InvalidPathError, match="not uploaded by a user"):
                _check_allowed(path, check_in_upload_folder=True)
    finally:
        LocalContext.blocks.reset(token)
