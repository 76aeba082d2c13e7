from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cliqa.datasets.quality.labelled_folder import LabelledFolder
from cliqa.registry import DATASETS, build_component, check_component
from cliqa.utils.errors import ConfigError, DatasetError

Layout = Callable[[str], Path]
OFFICIAL = {
    "EVA": 20,
    "AVA": 40,
    "KonIQ10k": 20,
    "SPAQ": 12,
    "KADID10k": 30,
    "AGIQA3K": 30,
    "LIVEC": 12,
    "CSIQ": 40,
    "TID2013": 20,
    "LIVE": 884,
    "BID": 12,
    "TID2008": 20,
    "MDID": 1600,
    "NITSIQA": 36,
    "PIPAL": 40,
    "KADIS700k": 50,
    "AGIQA1K": 20,
    "AIGCIQA2023": 2400,
    "CID2013": 32,
    "UHDIQA": 20,
    "PIQ23": 16,
    "FLIVE": 20,
}
LOWER_IS_BETTER = {"CSIQ", "LIVE", "KADIS700k"}
GROUPED = {
    *("KADID10k", "AGIQA3K", "CSIQ", "TID2013", "LIVE", "TID2008", "MDID", "NITSIQA", "PIPAL"),
    *("KADIS700k", "AGIQA1K", "AIGCIQA2023", "CID2013", "PIQ23"),
}


def build(kind: str, root: Path, **options: Any) -> LabelledFolder:
    config = {"type": kind, "root": str(root), **options}
    return build_component(DATASETS, config, "scenario.datasets[0]")


@pytest.mark.parametrize("kind", OFFICIAL)
def test_the_official_layout_loads_by_its_root_alone(kind: str, layout: Layout) -> None:
    data = build(kind, layout(kind))
    assert len(data) == OFFICIAL[kind]
    assert data.higher_is_better == (kind not in LOWER_IS_BETTER)
    assert (data.scores.min() >= 0.0, data.scores.max() <= 1.0) == (True, True)
    assert data[0][0].shape == (3, 6, 8)
    assert {"train", "val", "test"} == set(data.splits)
    assert all(path.is_file() for path in data.paths)
    assert len(set(data.keys)) == len(data)


@pytest.mark.parametrize("kind", sorted(GROUPED))
def test_images_of_one_reference_or_prompt_are_in_one_split(kind: str, layout: Layout) -> None:
    data = build(kind, layout(kind))
    assert data.groups is not None
    pairs = set(zip(data.groups, data.splits, strict=True))
    assert len(pairs) == len(set(data.groups)) < len(data)


@pytest.mark.parametrize("kind", OFFICIAL)
def test_the_docstring_shows_the_official_tree(kind: str) -> None:
    loader = DATASETS.get(kind)
    assert isinstance(loader, type)
    assert issubclass(loader, LabelledFolder)
    tree = loader.layout()
    assert tree.strip().startswith("root/")
    assert loader.label_files[0].rpartition("/")[2] in tree
    assert loader.image_folders[0].rpartition("/")[2] in tree


@pytest.mark.parametrize("kind", OFFICIAL)
def test_a_missing_image_folder_is_named_with_the_official_tree(kind: str, layout: Layout) -> None:
    root = layout(kind)
    with pytest.raises(DatasetError) as caught:
        build(kind, root, images="elsewhere")
    assert f"no image folder {root / 'elsewhere'}" in str(caught.value)
    assert str(caught.value).endswith(build(kind, root).layout())


@pytest.mark.parametrize("kind", OFFICIAL)
def test_a_missing_label_file_is_named_with_the_official_tree(kind: str, layout: Layout) -> None:
    root = layout(kind)
    with pytest.raises(DatasetError, match=r"no label file .*scores\.lst .*Set labels='\.\.\.'"):
        build(kind, root, labels="scores.lst")
    official = build(kind, root)
    path = root / official.label_files[0]
    path.rename(path.with_name("gone.old"))
    with pytest.raises(DatasetError, match="no label file") as caught:
        build(kind, root)
    assert str(caught.value).endswith(official.layout())


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"(?s)koniq: no folder .*nowhere \(from .*1024x768"):
        build("KonIQ10k", tmp_path / "nowhere")


def test_a_label_file_of_nearly_the_right_name_is_suggested(layout: Layout) -> None:
    root = layout("KADID10k")
    (root / "dmos.csv").rename(root / "dmos1.csv")
    with pytest.raises(DatasetError, match=r"Did you mean 'dmos1\.csv'\?"):
        build("KADID10k", root)


def test_labels_and_images_may_lie_elsewhere(layout: Layout, tmp_path: Path) -> None:
    root = layout("KonIQ10k")
    labels = tmp_path / "elsewhere.csv"
    shutil.move(root / "koniq10k_distributions_sets.csv", labels)
    (root / "1024x768").rename(root / "pictures")
    data = build("KonIQ10k", root, labels=str(labels), images="pictures", name="mine")
    assert (len(data), data.name, data.keys[0]) == (20, "mine", "koniq/0.jpg")


def test_the_home_folder_may_be_abbreviated(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(layout("SPAQ").parent))
    assert len(build("SPAQ", Path("~/SPAQ"))) == 12


def test_options_reach_the_data_set(layout: Layout) -> None:
    data = build("SPAQ", layout("SPAQ"), fractions=(0.5, 0.0, 0.5), seed=3, score_range=(-10, 90))
    assert [data.splits.count(split) for split in ("train", "val", "test")] == [6, 0, 6]
    assert data.scores[0] == pytest.approx(10.25 / 100)


def test_the_root_must_be_a_path() -> None:
    with pytest.raises(ConfigError, match="root: expected a path, got 5"):
        build_component(DATASETS, {"type": "SPAQ", "root": 5}, "here")


@pytest.mark.parametrize("kind", [*OFFICIAL, "ScoreFile"])
def test_a_misspelt_option_is_refused_before_anything_is_read(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"unexpected argument 'lables'\. Did you mean 'labels'"):
        check_component(DATASETS, {"type": kind, "root": "x", "lables": "y"}, "here")


def test_the_base_reads_no_format_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(NotImplementedError):
        LabelledFolder.read_table(object.__new__(LabelledFolder), tmp_path)
