"""Images in place of missing data, and the official sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.engine.streams import build_benchmark
from cliqa.studies.forecast import stand_in as module
from cliqa.studies.forecast.stand_in import missing_data_sets, stand_in
from cliqa.utils.errors import ConfigError


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SIZE", (32, 24))
    monkeypatch.setattr(module, "IMAGES", 12)


def scenario(**keys: Any) -> dict[str, Any]:
    """Return a scenario over data that are not there."""
    tensor = [{"type": "ToTensor"}]
    sets: list[dict[str, Any]] = [
        {"type": "AVA", "root": "ava"},
        {"type": "KonIQ10k", "root": "koniq"},
    ]
    sets += [{"type": "KADID10k", "root": "kadid", "fractions": (0.7, 0, 0.3)}]
    given: dict[str, Any] = {"type": "QualityStream", "dataset_root": "nowhere", "datasets": sets}
    return {**given, "train_transform": tensor, "eval_transform": tensor, **keys}


def test_sizes_are_those_of_the_releases(tmp_path: Path) -> None:
    assert missing_data_sets(scenario()) == [
        f"nowhere/{name}" for name in ("ava", "koniq", "kadid")
    ]
    found = stand_in(scenario(), tmp_path)
    assert found.sizes == {
        **{("ava", "train"): 223_754, ("ava", "val"): 11_776, ("ava", "test"): 20_000},
        **{("koniq", "train"): 7058, ("koniq", "val"): 1000, ("koniq", "test"): 2015},
        **{("kadid", "train"): 7088, ("kadid", "val"): 0, ("kadid", "test"): 3037},
    }
    benchmark = build_benchmark(found.scenario)
    assert not benchmark.overlaps
    assert benchmark.names == ["ava", "koniq", "kadid"]
    assert len(benchmark.sources["ava", "train"]) == 4
    assert len(benchmark.sources["kadid", "val"]) == 0
    assert benchmark.dataset("koniq", "train")[0][0].shape == (3, 24, 32)


def test_fewer_training_images(tmp_path: Path) -> None:
    assert stand_in(scenario(max_train=100), tmp_path).sizes["koniq", "train"] == 100


def test_what_only_the_labels_tell_needs_the_data(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/ava: no such folder, and only the labels"):
        stand_in(scenario(split_by="tag"), tmp_path)
    unknown = scenario(datasets=[{"type": "ScoreFile", "root": "mine", "labels": "a.csv"}])
    with pytest.raises(
        ConfigError, match=r"datasets\[0\]: no folder nowhere/mine.*ScoreFile is not"
    ):
        stand_in(unknown, tmp_path)


def test_generated_data_are_no_missing_ones(tmp_path: Path) -> None:
    assert missing_data_sets(scenario(generate={"type": "DemoData"})) == []
    for name in ("ava", "koniq", "kadid"):
        (tmp_path / name).mkdir()
    assert missing_data_sets(scenario(dataset_root=str(tmp_path))) == []
