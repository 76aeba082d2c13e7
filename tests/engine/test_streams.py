"""From a scenario section to data sets and their stream."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from cliqa.benchmarks.split_classes import SplitFashionMNIST
from cliqa.engine.streams import (
    build_benchmark,
    build_data_sets,
    build_stream,
    takes_data_sets,
)
from cliqa.registry import GENERATORS
from cliqa.utils.errors import ConfigError, DatasetError


class Writes:
    """A generator that leaves its name."""

    def __init__(self, text: str) -> None:
        self.text = text

    def write(self, root: Path) -> None:
        root.mkdir(parents=True)
        (root / "written.txt").write_text(self.text)


def test_data_sets_are_those_of_the_section(tiny_config: dict[str, Any]) -> None:
    scenario = tiny_config["scenario"]
    before = copy.deepcopy(scenario)
    data = build_data_sets(scenario)
    assert [(d.name, len(d), d.score_range) for d in data] == [(n, 40, (0, 1)) for n in "abc"]
    assert scenario == before


def test_the_stream_has_the_sections_transforms_and_order(tiny_config: dict[str, Any]) -> None:
    scenario = {**tiny_config["scenario"], "order": ["b", "c", "a"]}
    before = copy.deepcopy(scenario)
    stream = build_stream(scenario, build_data_sets(scenario))
    assert scenario == before
    assert stream.names == ["b", "c", "a"]
    image, score = stream.train_stream[0].dataset[0]
    assert image.shape == (3, 12, 12)
    assert stream.test_stream[0].dataset[0][0].shape == (3, 16, 16)
    assert score == torch.tensor(stream.sources["b", "train"].scores[0])


def test_generated_data_are_written_first(
    tiny_config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    GENERATORS.import_from_location()
    monkeypatch.setitem(GENERATORS.module_dict, "Writes", Writes)
    root = tmp_path / "data"
    scenario = {
        **tiny_config["scenario"],
        "dataset_root": str(root),
        "generate": {"type": "Writes", "text": "here"},
    }
    with pytest.raises(DatasetError, match=str(root / "a")):  # it wrote none of these
        build_data_sets(scenario)
    assert (root / "written.txt").read_text() == "here"


@pytest.mark.parametrize(
    ("index", "section", "error", "message"),
    [
        (1, {"type": "ScoreFil"}, ConfigError, r"scenario\.datasets\[1\]: unknown data set"),
        (0, {"type": "EVA"}, ConfigError, r"scenario\.datasets\[0\] 'EVA': missing argument"),
    ],
)
def test_mistakes_name_their_place(
    tiny_config: dict[str, Any], index: int, section: Any, error: type[Exception], message: str
) -> None:
    tiny_config["scenario"]["datasets"][index] = section
    with pytest.raises(error, match=message):
        build_data_sets(tiny_config["scenario"])


def test_data_sets_without_a_name_have_that_of_their_place_when_they_are_gone(
    tiny_config: dict[str, Any],
) -> None:
    scenario = tiny_config["scenario"]
    del scenario["datasets"][1]["name"]
    scenario["datasets"][1]["root"] = "nowhere"
    built = build_data_sets(scenario, ["", "b", ""])
    assert [type(data).__name__ for data in built] == ["ScoreFile", "AbsentDataset", "ScoreFile"]
    assert [data.name for data in built] == ["a", "b", "c"]
    for others in (["a", "", "c"], ["b"], ["", "", "b"]):
        with pytest.raises(DatasetError, match="nowhere"):
            build_data_sets(scenario, others)


def test_a_wrong_transform_is_named(tiny_config: dict[str, Any]) -> None:
    scenario = tiny_config["scenario"]
    scenario["eval_transform"] = [{"type": "ToTensr"}]
    with pytest.raises(ConfigError, match=r"scenario\.eval_transform.*'ToTensr'"):
        build_stream(scenario, build_data_sets(scenario))


def test_streams_of_classes_read_their_own_data(split_config: dict[str, Any]) -> None:
    scenario = split_config["scenario"]
    before = copy.deepcopy(scenario)
    stream = build_benchmark(scenario)
    assert scenario == before
    assert isinstance(stream, SplitFashionMNIST)
    image, label, task = stream.train_stream[1].dataset[0]
    assert (image.shape, label in (2, 3), task) == ((1, 28, 28), True, 0)
    assert not takes_data_sets(scenario)


def test_streams_of_scores_are_built_from_data_sets(tiny_config: dict[str, Any]) -> None:
    scenario = tiny_config["scenario"]
    assert takes_data_sets(scenario)
    assert build_benchmark(scenario).names == ["a", "b", "c"]


def test_data_of_classes_are_generated_too(split_config: dict[str, Any], tmp_path: Path) -> None:
    generate = {"type": "FashionData", "train": 40, "test": 20}
    root = str(tmp_path / "new")
    stream = build_benchmark(
        {**split_config["scenario"], "generate": generate, "dataset_root": root}
    )
    assert [len(experience.dataset) for experience in stream.train_stream] == [8] * 5


def test_features_need_no_transforms(features_config: dict[str, Any]) -> None:
    scenario = features_config["scenario"]
    del scenario["train_transform"]
    stream = build_benchmark(scenario)
    assert stream.train_stream[0].dataset[0][0].shape == (6,)


def test_steps_that_alter_quality_are_of_no_matter_to_classes(
    split_config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    blur = {"type": "GaussianBlur", "kernel_size": 3}
    split_config["scenario"]["train_transform"].insert(0, blur)
    build_benchmark(split_config["scenario"])
    assert "GaussianBlur" not in caplog.text
