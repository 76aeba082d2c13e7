from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cliqa.benchmarks.data_check import check_data
from cliqa.utils.errors import ConfigError, DatasetError
from tests.datasets.own.conftest import Own, own

__all__ = ["own"]  # the fixture


def scenario(root: Path, *sections: Any) -> dict[str, Any]:
    return {"scenario": {"dataset_root": str(root), "datasets": list(sections)}}


def score_file(**options: Any) -> dict[str, Any]:
    usual = {"type": "ScoreFile", "root": ".", "labels": "my.csv"}
    return {**usual, "score_range": (0, 10), "higher_is_better": True, **options}


def test_counts_are_told(own: Own, caplog: pytest.LogCaptureFixture) -> None:
    path = own("image,score", lambda k: f"{k}.png,{k / 2}")
    with caplog.at_level(logging.INFO, "cliqa"):
        check_data(scenario(path.parent, score_file()))
        assert caplog.messages == []
        check_data(scenario(path.parent, score_file()), tell=True)
    assert caplog.messages[1] == "my.csv: splits: train 16, val 2, test 2 (drawn with the seed 0)"
    assert len(caplog.messages) == 3


def test_mistakes_of_all_data_sets_come_together(own: Own) -> None:
    path = own("image,score", lambda k: f"{k}.png,{k}")
    sections = (
        score_file(score_column="mos"),
        score_file(),
        {"type": "EVA", "root": "eva"},
        {"type": "KonIQ10k", "root": "."},
    )
    with pytest.raises(DatasetError) as error:
        check_data(scenario(path.parent, *sections))
    first, second, third = str(error.value).splitlines()
    assert "no column 'mos'" in first
    assert "outside the declared range 0..10 (and 8 more rows)" in second
    assert third.startswith(f"scenario.datasets[2] 'EVA': no folder {path.parent}/eva")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"scenario": {"datasets": "no-such-preset"}},
        {"scenario": {"datasets": 3, "dataset_root": "gone"}},
        {"scenario": {"datasets": [{"type": "EVA", "root": "gone"}], "generate": {"type": "x"}}},
        {"scenario": {"datasets": [{"type": "EVA"}, "EVA", score_file(labels=3)]}},
        {"scenario": {"datasets": [score_file(score_range="wide"), score_file(seed="x")]}},
    ],
)
def test_what_the_full_check_refuses_is_left_to_it(config: dict[str, Any]) -> None:
    check_data(config)


def test_a_preset_without_its_folders(tmp_path: Path) -> None:
    config = {"scenario": {"datasets": "eva-ava-koniq", "dataset_root": str(tmp_path)}}
    with pytest.raises(DatasetError) as error:
        check_data(config)
    assert len(str(error.value).splitlines()) == 3


def test_clear_without_its_folder(tmp_path: Path) -> None:
    config = {"scenario": {"type": "CLEAR", "dataset_root": str(tmp_path / "none")}}
    with pytest.raises(DatasetError, match=r"none: no such folder .*dataset_root to CLEAR's"):
        check_data(config)


def test_fashion_mnist_without_its_files(tmp_path: Path) -> None:
    scenario = {"type": "SplitFashionMNIST", "dataset_root": str(tmp_path / "none")}
    with pytest.raises(DatasetError, match="none/FashionMNIST/raw: Fashion-MNIST needs train-im"):
        check_data({"scenario": scenario})
    check_data({"scenario": {**scenario, "download": True}})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("SplitCIFAR10", "cifar-10-batches-py/data_batch_1 is missing: CIFAR-10 is not complete"),
        ("SplitCIFAR100", "cifar-100-python/train is missing: CIFAR-100 is not complete"),
        ("SplitFolder", "none: no such folder .*one folder per class"),
    ],
)
def test_streams_of_classes_without_their_files(name: str, message: str, tmp_path: Path) -> None:
    scenario = {"type": name, "dataset_root": str(tmp_path / "none")}
    with pytest.raises(DatasetError, match=message):
        check_data({"scenario": scenario})
    if name != "SplitFolder":
        check_data({"scenario": {**scenario, "download": True}})


def test_data_that_a_config_generates_need_not_be_there(tmp_path: Path) -> None:
    scenario = {"type": "QualityStream", "dataset_root": str(tmp_path / "new" / "data")}
    check_data({"scenario": {**scenario, "generate": {"type": "DemoData"}}})
    assert list(tmp_path.iterdir()) == []


def test_what_data_are_generated_from_must_be_there(tmp_path: Path) -> None:
    made = {"type": "DemoData", "photos": str(tmp_path / "none")}
    with pytest.raises(DatasetError, match=r"photos: no folder .*none .*generate\.photos"):
        check_data({"scenario": {"dataset_root": str(tmp_path / "new"), "generate": made}})


def test_generated_data_need_a_place_unless_they_are_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "data"
    scenario = {"dataset_root": str(root), "generate": {"type": "DemoData"}}
    with pytest.raises(ConfigError, match=r"scenario\.dataset_root .*file is a file, not a folder"):
        check_data({"scenario": scenario})


def test_neither_guess_nor_check_imports_torch() -> None:
    program = (
        "import sys, cliqa.benchmarks.data_check, cliqa.datasets.own.options as own;"
        "print(sorted({'torch', 'avalanche', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
