"""Functions that make Avalanche's benchmarks: their arguments, missing data, and trust."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from avalanche.benchmarks import classic, nc_benchmark
from PIL import Image
from torch.utils.data import TensorDataset

from cliqa.benchmarks.upstream import functions
from cliqa.benchmarks.upstream.functions import OfPixels, avalanche_scenario
from cliqa.config.components import quick_check
from cliqa.config.trust import _vouched, built_from, trusting
from cliqa.engine.check import check_scenario, kind_of
from cliqa.engine.streams import build_benchmark
from cliqa.registry import SCENARIOS
from cliqa.utils.errors import ConfigError, DatasetError, TrustError

NAMES = sorted(name for name in SCENARIOS.upstream if name.startswith("avalanche."))


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Avalanche keep data in a new folder."""
    home = str(tmp_path / "home")
    monkeypatch.setattr(functions, "default_dataset_location", lambda name: f"{home}/{name}")
    found = {n: m for n, m in vars(classic).items() if inspect.ismodule(m)}
    for module in found.values():
        if hasattr(module, "default_dataset_location"):
            monkeypatch.setattr(module, "default_dataset_location", lambda name: f"{home}/{name}")
    named = set(_vouched)
    yield
    _vouched.clear()
    _vouched.update(named)


def test_every_benchmark_is_known_by_its_name() -> None:
    told = "CORe50 PermutedMNIST RotatedMNIST SplitMNIST SplitCIFAR100 CLEAR OpenLORIS"
    assert {f"avalanche.{name}" for name in told.split()} <= set(NAMES)
    for name in NAMES:
        component: Any = SCENARIOS.get(name)
        assert component.target_kind == "classes"
        assert "download" in inspect.signature(component).parameters
        assert kind_of({"type": name}) == "classes"
    assert SCENARIOS.get("SplitCIFAR10") is not SCENARIOS.get("avalanche.SplitCIFAR10")  # ours


def test_a_dotted_path_is_the_same_scenario() -> None:
    path = "avalanche.benchmarks.classic.SplitMNIST"
    assert SCENARIOS.get(path) is SCENARIOS.get("avalanche.SplitMNIST")
    assert SCENARIOS.get("SplitMNIST") is SCENARIOS.get("avalanche.SplitMNIST")


def test_arguments_are_checked_before_data_are_read() -> None:
    with pytest.raises(ConfigError, match=r"unexpected argument 'n_experience'.*'n_experiences'"):
        check_scenario({"type": "avalanche.SplitMNIST", "n_experience": 5})
    with pytest.raises(ConfigError, match=r"missing argument 'n_experiences'"):
        check_scenario({"type": "avalanche.SplitMNIST"})
    sections = {"model": {"type": "HyperIQA"}, "cl_strategy": {"type": "Naive"}}
    quick_check({"scenario": {"type": "SplitMNIST", "n_experiences": 5}, **sections})


@pytest.mark.parametrize(
    "section",
    [
        {"type": "avalanche.SplitMNIST", "n_experiences": 5},
        {"type": "avalanche.SplitCIFAR100", "n_experiences": 10},
        {"type": "avalanche.CORe50", "scenario": "nc"},
    ],
    ids=lambda section: section["type"],
)
def test_missing_data_are_said_and_nothing_is_left(section: dict[str, Any], tmp_path: Path) -> None:
    root = tmp_path / "no" / "such"
    message = rf"are not in {root}, and Avalanche would download them\. Set scenario\.download=True"
    with pytest.raises(DatasetError, match=message):
        build_benchmark({**section, "dataset_root": str(root)})
    assert not (tmp_path / "no").exists()
    with pytest.raises(DatasetError, match=r"the folder that Avalanche keeps data in, .*home"):
        build_benchmark(section)


def test_a_download_happens_if_asked_for() -> None:
    asked = []

    def fetched(download: bool = False) -> Any:
        """Return a benchmark of data that it fetches itself."""
        asked.append(download)
        data = TensorDataset(torch.rand(4, 3), torch.tensor([0, 1, 0, 1]))
        data.targets = [0, 1, 0, 1]  # type: ignore[attr-defined]
        return nc_benchmark(data, data, 2, task_labels=False)

    for download in (True, False):
        assert avalanche_scenario(fetched)(download=download).has_features
    assert asked == [True, False]


def test_grey_images_keep_one_channel() -> None:
    through = OfPixels(lambda image: image)
    assert through(Image.new("L", (5, 4))).shape == (1, 4, 5)
    assert through(Image.new("P", (5, 4))).shape == (3, 4, 5)
    assert through(torch.ones(1, 2, 2)).sum() == 4


def test_a_file_may_name_it_but_not_read_data(tmp_path: Path) -> None:
    section = {"type": "avalanche.SplitMNIST", "n_experiences": 5, "dataset_root": str(tmp_path)}
    with built_from("x.pth"), pytest.raises(TrustError, match=r"of x\.pth: .*unpickle.*--trust"):
        build_benchmark(section)
    with trusting(), built_from("x.pth"), pytest.raises(DatasetError, match="would download"):
        build_benchmark(section)
    with built_from("x.pth"), pytest.raises(TrustError, match="would import os"):
        build_benchmark({"type": "os.getcwd"})
