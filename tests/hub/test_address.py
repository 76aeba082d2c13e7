"""Addresses of models on the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.hub.address import OnHub, check_repository, on_hub
from cliqa.utils.errors import ConfigError


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("hf://me/iqa", OnHub("me/iqa")),
        ("hf://me/iqa.v2@refs/pr/1", OnHub("me/iqa.v2", "refs/pr/1")),
        (Path("hf://me/iqa@v1.0"), OnHub("me/iqa", "v1.0")),
        ("work_dirs/hf", None),
        (Path("model.onnx"), None),
        (object(), None),
    ],
)
def test_addresses_are_understood(source: object, wanted: OnHub | None) -> None:
    assert on_hub(source) == wanted
    if wanted is not None:
        assert on_hub(str(wanted)) == wanted


@pytest.mark.parametrize(
    "name",
    [
        "iqa",
        "a/b/c",
        "/b",
        "a/",
        "a/..",
        "a/b--c",
        "../a",
        "a/.b",
        "a/b.git",
        "a b/c",
        "a/" + 96 * "b",
    ],
)
def test_wrong_names_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"not the name of a repository on the Hub: owner/name"):
        check_repository(name)
    with pytest.raises(ConfigError, match=r"^hf://.* Write hf://owner/name or hf://owner/name@re"):
        on_hub(f"hf://{name}")


@pytest.mark.parametrize("revision", ["", "../x", "-x", "a b", "a@b", "x" * 300])
def test_wrong_revisions_are_refused(revision: str) -> None:
    with pytest.raises(ConfigError, match=r"is not a revision\. Write hf://owner/name"):
        on_hub(f"hf://me/iqa@{revision}")
