"""What the form makes of a page's values, and what it refuses when Train is pressed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cliqa.app.queue.choices import streams_of
from cliqa.app.queue.request import NO_QUANTIZATION
from cliqa.app.tabs.train_form import _whole
from cliqa.utils.errors import ConfigError
from tests.app.client import ROOT, Client

STREAMS = streams_of(ROOT / "config")
FIRST = next(iter(STREAMS))
"""The stream whose models the page offers at first."""


@pytest.mark.parametrize("value", [None, 0, 3, 3.0, 10**400, -1])
def test_whole_numbers(value: float | None) -> None:
    assert _whole(value, "epochs") == (value or 0)


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), "3", True, [], {}])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="epochs: must be an integer"):
        _whole(value, "epochs")


def press(client: Client, button: str, stream: str, strength: str) -> str:
    """Press a button of the form with EWC chosen; return why it was refused."""
    function = client.function(button, "click")
    named = [""] if button == "train-go" else []
    texts = [strength] + [""] * (len(function["inputs"]) - len(named) - 9)
    model = next(name for name in STREAMS[FIRST].models if name in STREAMS[stream].models)
    rest = [model, "EWC", 0, 0, 0, 0, NO_QUANTIZATION]
    answer = client.call(function, [*named, stream, *rest, *texts])
    assert not answer.get("success"), answer
    return str(answer.get("error") or answer.get("detail"))


def test_a_stream_without_its_data_is_refused_when_train_is_pressed(
    client: Client, work_root: Path
) -> None:
    for stream, folder in (("eva_ava_koniq", "koniq"), ("own_scores", "mine")):
        said = press(client, "train-go", stream, "")
        assert re.search(rf"no folder \S*{folder} \(from .*Set scenario\.dataset_root=", said)
    assert list((work_root / ".queue").glob("*/job.json")) == []


@pytest.mark.parametrize("button", ["train-go", "train-show"])
def test_a_wrong_argument_is_refused_by_both_buttons(client: Client, button: str) -> None:
    said = press(client, button, FIRST, "much")
    assert "strength: expected a number, got 'much'" in said
    assert "EWC: strength must be" in press(client, button, FIRST, "-1")
