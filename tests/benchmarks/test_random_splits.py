from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cliqa.benchmarks.data_check import check_data
from cliqa.benchmarks.random_splits import check_split, with_split
from cliqa.engine.streams import build_data_sets
from cliqa.utils.errors import ConfigError, DatasetError
from tests.datasets.own.conftest import Own, own

__all__ = ["own"]  # the fixture


def scenario(root: Path, index: int | None, **options: Any) -> dict[str, Any]:
    section = {"type": "ScoreFile", "root": ".", "labels": "my.csv", "score_range": (0, 10)}
    section |= {"higher_is_better": True, **options}
    found: dict[str, Any] = {"dataset_root": str(root), "datasets": [section], "splits": 3}
    return {**found, "split_index": index}


def test_each_split_is_disjoint_by_group_and_its_own(own: Own) -> None:
    path = own("image,score,group", lambda k: f"{k}.png,{k / 4},r{k // 4}", count=40)
    drawn = []
    for index in range(3):
        (data,) = build_data_sets(scenario(path.parent, index))
        groups = {part: set(data.subset(part).groups or ()) for part in ("train", "val", "test")}
        assert not groups["train"] & groups["test"]
        assert not groups["train"] & groups["val"]
        assert set.union(*groups.values()) == {f"r{k}" for k in range(10)}
        drawn.append(groups["test"])
    (plain,) = build_data_sets({**scenario(path.parent, None), "split_index": None})
    assert set(plain.subset("test").groups or ()) == drawn[0]  # the first is the usual split
    assert drawn[0] != drawn[1] != drawn[2]


def test_a_split_that_the_file_gives_is_not_redrawn(own: Own) -> None:
    splits = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    path = own("image,score,split", lambda k: f"{k}.png,{k / 4},{splits[k]}")
    given = scenario(path.parent, 1)
    for check in (build_data_sets, lambda s: check_data({"scenario": s})):
        with pytest.raises(DatasetError, match=r"label file gives the split.*split_column=None"):
            check(given)
    free = scenario(path.parent, 1, split_column=None)
    check_data({"scenario": free})
    assert build_data_sets(free)[0].drawn


@pytest.mark.parametrize(
    ("splits", "index", "message"),
    [
        (10, None, r"a run is of one split\. Run all of them with tools/run_seeds\.py"),
        (0, None, r"scenario\.splits: expected a whole number of at least 1, got 0"),
        (2, -1, r"scenario\.split_index: expected a whole number of at least 0, got -1"),
        (True, 0, r"scenario\.splits: expected"),
    ],
)
def test_what_is_no_split_is_refused(splits: Any, index: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_split(splits, index)


def test_seeds_count_on_from_the_data_sets_own() -> None:
    assert with_split({"type": "LIVE"}, 3) == {"type": "LIVE", "seed": 3}
