"""The Hub: what is sent and fetched, and its errors as lines with a remedy."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest

import cliqa
from cliqa.hub.address import OnHub
from cliqa.hub.remote import (
    ENDPOINT,
    FILES,
    TO_LOAD,
    check_access,
    download,
    explained,
    hub,
    upload,
)
from cliqa.utils.errors import HubError
from tests.hub.endpoint import Repository, SmallHub

pytest.importorskip("huggingface_hub")


@pytest.fixture
def on_hub(small_hub: SmallHub, shared_folder: Path) -> SmallHub:
    """Return the Hub with the shared model, and with files that nobody should fetch."""
    small_hub.repositories["me/tiny"] = Repository()
    files = {path.name: path.read_bytes() for path in shared_folder.iterdir()}
    strange = {"modeling.py": b"raise SystemExit", "pytorch_model.bin": b"x", "a.pkl": b"x"}
    small_hub.repositories["me/tiny"].commit({**files, **strange})
    return small_hub


def test_a_folder_is_sent_and_fetched_again(
    small_hub: SmallHub, shared_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(shared_folder, folder)
    (folder / "secret.py").write_text("never sent")
    url, commit = upload(folder, "me/tiny", private=True, message="first")
    sent = small_hub.repositories["me/tiny"]
    assert url == f"{small_hub.url}/me/tiny"
    assert sent.private
    assert set(sent.commits[commit]) == set(FILES) - {"model.onnx"}
    found = download(OnHub("me/tiny"))
    assert found.name == commit
    assert {path.name for path in found.iterdir()} == set(TO_LOAD)
    for name in TO_LOAD:
        assert (found / name).read_bytes() == (shared_folder / name).read_bytes()


def test_no_code_and_no_pickle_is_fetched(on_hub: SmallHub) -> None:
    folder = download(OnHub("me/tiny"))
    assert {path.name for path in folder.iterdir()} == set(TO_LOAD)
    assert not any("modeling" in line or ".bin" in line for line in on_hub.requests)


def test_a_revision_is_kept_to(on_hub: SmallHub, caplog: pytest.LogCaptureFixture) -> None:
    old = on_hub.repositories["me/tiny"].head
    on_hub.repositories["me/tiny"].commit({"config.json": b"{}"})
    with caplog.at_level("INFO", "cliqa"):
        model = cliqa.load(f"hf://me/tiny@{old}", device="cpu")
    assert model.names == ["a", "b", "c"]
    assert model.path.parent.name == old
    assert f"hf://me/tiny@{old}: revision {old[:12]}" in caplog.text


def test_without_a_network_the_cache_is_used(
    on_hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_network = download(OnHub("me/tiny"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert download(OnHub("me/tiny")) == with_network
    with pytest.raises(HubError, match=r"me/other: not in the Hub's cache .*HF_HUB_OFFLINE is set"):
        download(OnHub("me/other"))
    with pytest.raises(HubError, match=r"HF_HUB_OFFLINE is set, so nothing can be sent.*--out"):
        check_access("me/tiny")


def test_a_hub_that_cannot_be_reached_is_told(
    small_hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"not in the Hub's cache .* cannot be reached \("):
        download(OnHub("me/tiny"))
    with pytest.raises(
        HubError,
        match=r"me/tiny: no connection to the Hub at HF_ENDPOINT http://\S+ while logging in",
    ):
        check_access("me/tiny")


def test_what_is_not_there_is_told(on_hub: SmallHub) -> None:
    with pytest.raises(HubError, match=r"hf://me/nothing: the Hub has no such repository, or it"):
        download(OnHub("me/nothing"))
    with pytest.raises(HubError, match=r"hf://me/tiny@v9: the repository has no such revision"):
        download(OnHub("me/tiny", "v9"))
    on_hub.repositories["me/other"] = Repository()
    on_hub.repositories["me/other"].commit({"config.json": b"{}", "model.bin": b""})
    with pytest.raises(HubError, match=r"has no model\.safetensors, so it is not a model that cli"):
        download(OnHub("me/other"))


def test_terms_have_to_be_accepted(on_hub: SmallHub) -> None:
    on_hub.repositories["me/tiny"].gated = True
    with pytest.raises(HubError, match=r"Accept the terms on https://huggingface.co/me/tiny"):
        download(OnHub("me/tiny"))


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, r"the Hub does not accept the token \(401\)\. Log in with: hf auth login"),
        (403, r"the token may not do this \(403\)"),
        (404, r"the Hub has no such repository"),
        (429, r"the Hub is busy or out of order \(429\)"),
        (500, r"the Hub is busy or out of order \(500\)"),
        (418, r"the Hub refuses \(418: refused by the test\)"),
    ],
)
def test_refusals_have_a_remedy(
    status: int, line: str, small_hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    small_hub.fail = status
    with pytest.raises(HubError, match=line):
        check_access("me/tiny")


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, r"the Hub does not accept the token \(401\)\. Log in with"),
        (403, r"the token may not do this \(403\)\. Use one with read access"),
        (404, r"the Hub has no such repository"),
        (408, r"the Hub is busy or out of order \(408\)\. Run the same command again later"),
        (429, r"the Hub is busy or out of order \(429\)"),
        (503, r"the Hub is busy or out of order \(503\)"),
        (451, r"the Hub refuses \(451: refused by the test\)"),
    ],
)
def test_a_model_that_is_refused_is_not_said_to_need_a_connection(
    status: int, line: str, on_hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    on_hub.fail = status
    with pytest.raises(HubError, match=line):
        download(OnHub("me/tiny", "v7"))


def test_what_is_not_the_hub_is_told(small_hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def portal(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "6")
        request.end_headers()
        request.wfile.write(b"<html>")

    monkeypatch.setattr(small_hub, "get", portal)
    line = rf"what answers at {small_hub.url} while \w+( in)? is not the Hub.* in a browser"
    with pytest.raises(HubError, match=line):
        download(OnHub("me/tiny"))
    with pytest.raises(HubError, match=line):
        check_access("me/tiny")


def test_a_wrong_token_or_endpoint_is_told(
    small_hub: SmallHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_\u00fc")
    with pytest.raises(HubError, match=r"the token has characters that no token has\. Log in"):
        check_access("me/tiny")
    monkeypatch.setenv("HF_TOKEN", small_hub.token)
    monkeypatch.setenv("HF_ENDPOINT", "nonsense")
    with pytest.raises(HubError, match=r"no connection to the Hub at HF_ENDPOINT nonsense while"):
        download(OnHub("me/tiny"))
    monkeypatch.setenv("HF_ENDPOINT", "")
    assert hub().endpoint == ENDPOINT


def test_a_cache_that_cannot_be_written_to_is_told(
    on_hub: SmallHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for cache in (tmp_path / "file", tmp_path / "file" / "cache"):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
        with pytest.raises(HubError, match=rf"cache {cache} cannot be written .* Set HF_HUB_CACHE"):
            download(OnHub("me/tiny"))


def test_nobody_is_logged_in(small_hub: SmallHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(HubError, match=r"nobody is logged in to the Hub\. Log in with: hf auth"):
        check_access("me/tiny")


def test_another_owner_is_refused(small_hub: SmallHub, shared_folder: Path) -> None:
    with pytest.raises(HubError, match=r"you/tiny: you are logged in as me, who is not its owner"):
        check_access("you/tiny")
    with pytest.raises(HubError, match=r"you/tiny: the token may not do this \(403\)"):
        upload(shared_folder, "you/tiny", private=False, message="x")


def test_nothing_private_is_sent_where_everybody_reads(
    small_hub: SmallHub, shared_folder: Path
) -> None:
    check_access("me/tiny", private=True)  # it does not exist yet
    small_hub.repositories["me/tiny"] = Repository(private=False)
    with pytest.raises(HubError, match=r"everybody can see it\. Nothing was sent"):
        check_access("me/tiny", private=True)
    with pytest.raises(HubError, match=r"everybody can see it\. Nothing was sent"):
        upload(shared_folder, "me/tiny", private=True, message="x")
    assert small_hub.repositories["me/tiny"].commits == {}


def test_an_interrupted_sending_goes_on(
    small_hub: SmallHub, shared_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    small_hub.break_commits = True
    with pytest.raises(
        HubError, match=r"no connection to the Hub at \S+ \S+ while sending .* Run t"
    ):
        upload(shared_folder, "me/tiny", private=False, message="x")
    assert small_hub.repositories["me/tiny"].commits == {}  # one commit, or none
    small_hub.break_commits = False
    _, commit = upload(shared_folder, "me/tiny", private=False, message="x")
    assert "model.safetensors" in small_hub.repositories["me/tiny"].commits[commit]


def test_a_full_disk_names_the_cache(small_hub: SmallHub) -> None:
    with (
        pytest.raises(HubError, match=r"the disk is full while fetching \(the Hub's cache is /"),
        explained("hf://me/tiny", "fetching"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("error", [KeyError("a bug"), OSError(errno.EPERM, "other")])
def test_other_errors_are_left_as_they_are(error: Any) -> None:
    with pytest.raises(type(error)), explained("me/tiny", "sending"):
        raise error
