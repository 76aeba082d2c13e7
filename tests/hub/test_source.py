"""Sources of models: paths, and addresses of the Hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from cliqa.hub.remote import upload
from cliqa.hub.source import on_this_machine
from cliqa.utils.errors import ConfigError
from tests.hub.endpoint import SmallHub
from tools.predict import main as predict


def test_other_sources_stay_as_they_are() -> None:
    for source in ("work_dirs/demo", Path("x.onnx")):
        assert on_this_machine(source) is source


def test_the_command_predicts_with_a_model_of_the_hub(
    small_hub: SmallHub,
    shared_folder: Path,
    tiny_data: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    upload(shared_folder, "me/tiny", private=False, message="x")
    images = [str(tiny_data / "a"), "--device", "cpu"]
    predict(["hf://me/tiny", *images])
    found = capsys.readouterr().out
    predict([str(shared_folder), *images])
    assert capsys.readouterr().out == found
    assert len(found.splitlines()) == 41


def test_a_wrong_address_is_refused_without_the_hub() -> None:
    with pytest.raises(ConfigError, match="not the name of a repository"):
        on_this_machine("hf://iqa")
