"""The examples of a model card, run as they stand in it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import cliqa
from tests.hub.endpoint import SmallHub

pytest.importorskip("safetensors")
pytestmark = pytest.mark.usefixtures("quick_exports")


def test_the_examples_of_the_card_run(
    tiny_run: Path,
    tiny_data: Path,
    small_hub: SmallHub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sent = cliqa.push_to_hub(tiny_run, "me/tiny", license="mit")
    assert not sent.no_onnx
    card = small_hub.repositories["me/tiny"].files("main")["README.md"].decode()  # type: ignore[index]
    shutil.copy(tiny_data / "a" / "a00.png", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    template = f"{small_hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", small_hub.url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
    blocks = card.split("```python\n")[1:]
    assert len(blocks) == 2
    for block in blocks:
        exec(block.partition("```")[0], {})  # noqa: S102  our own card
    said = capsys.readouterr().out
    first = said.splitlines()[1].split()[2]
    assert float(said.rpartition("[")[2].partition("]")[0]) == pytest.approx(float(first), abs=1e-4)
