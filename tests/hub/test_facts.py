"""What a card says of a run, gathered from its files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cliqa.engine.work_dir.checkpoints import find_checkpoint, load_run
from cliqa.hub.facts import gather
from cliqa.hub.licences import Licence

LICENCE = Licence("mit")


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """Return a copy of a run to change."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def state(tiny_run: Path) -> dict[str, Any]:
    """Return its last checkpoint."""
    return load_run(find_checkpoint(tiny_run))


def test_the_facts_are_those_of_the_run(run: Path, state: dict[str, Any]) -> None:
    facts = gather(run, state, "me/iqa", LICENCE)
    assert (facts.name, facts.method, facts.learnt) == ("iqa", "Replay", ["a", "b", "c"])
    assert facts.sizes["a"] == {"train": 24, "val": 4, "test": 12}
    assert facts.scales == {"a": "0 to 1", "b": "0 to 1", "c": "0 to 1"}
    weights = state["strategy"]["model"].values()
    assert facts.parameters == sum(one.numel() for one in weights)
    assert facts.run["device"] == "cpu"
    assert facts.run["packages"]["torch"]
    assert (facts.generated, facts.started_from, facts.plugins) == ("", [], [])


def test_weights_that_a_run_started_from_are_named_without_folders(
    run: Path, state: dict[str, Any]
) -> None:
    state["config"]["load_from"] = "/home/me/weights/koniq.pth"
    state["config"]["model"]["backbone"]["pretrained"] = True
    facts = gather(run, state, "me/iqa", LICENCE)
    assert facts.started_from == [
        "load_from=(not in the file)/koniq.pth",
        "model.backbone.pretrained=True",
    ]


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"packages": 3})])
def test_a_missing_or_odd_record_costs_its_lines_alone(
    content: str | None, run: Path, state: dict[str, Any]
) -> None:
    (run / "run.json").unlink()
    if content is not None:
        (run / "run.json").write_text(content)
    assert gather(run, state, "me/iqa", LICENCE).run == {}


def test_a_record_that_is_a_pipe_is_not_waited_for(run: Path, state: dict[str, Any]) -> None:
    (run / "run.json").unlink()
    os.mkfifo(run / "run.json")
    assert gather(run, state, "me/iqa", LICENCE).run == {}


def test_data_sets_that_cannot_be_looked_up_have_no_scale(run: Path, state: dict[str, Any]) -> None:
    state["config"]["scenario"]["datasets"] = [{"type": "Nowhere"}]
    assert gather(run, state, "me/iqa", LICENCE).scales == {}


def test_an_earlier_run_without_a_record_of_its_data_has_no_sizes(
    run: Path, state: dict[str, Any]
) -> None:
    del state["data"]
    assert gather(run, state, "me/iqa", LICENCE).sizes == {}
