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
    section: dict[str, Any] = {
        "type": "ScoreFile",
        "root": ".",
        "labels": "my.csv",
        "score_range": (0, 10),
    }
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
    ("numbers", "message"),
    [
        (
            (10, None, None),
            r"splits=10: a run is of one of them\. Run all with cliqa study",
        ),
        ((None, 5, None), r"scenario\.folds=5: a run is of one of them"),
        ((0, None, None), r"scenario\.splits: expected a whole number of at least 1, got 0"),
        ((None, 1, 0), r"scenario\.folds: expected a whole number of at least 2, got 1"),
        ((2, None, -1), r"scenario\.split_index: expected a whole number of at least 0, got -1"),
        ((True, None, 0), r"scenario\.splits: expected"),
        ((3, 3, 0), "choose one of them"),
        ((None, 3, 3), "the folds are 0 to 2"),
    ],
)
def test_what_is_no_split_is_refused(numbers: tuple[Any, Any, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_split(*numbers)


def test_seeds_count_on_from_the_data_sets_own() -> None:
    assert with_split({"type": "LIVE"}, {"split_index": 3}) == {"type": "LIVE", "seed": 3}
    assert with_split({"type": "LIVE"}, {}) == {"type": "LIVE"}


def test_folds_test_every_group_once(own: Own) -> None:
    path = own("image,score,group", lambda k: f"{k}.png,{k / 4},r{k // 4}", count=40)
    tested: list[str] = []
    for index in range(4):
        folded = {**scenario(path.parent, index), "splits": None, "folds": 4}
        check_data({"scenario": folded})
        (data,) = build_data_sets(folded)
        parts = {part: data.subset(part) for part in ("train", "val", "test")}
        groups = {part: set(own.groups or ()) for part, own in parts.items()}
        assert sum(map(len, groups.values())) == 10
        assert len(groups["val"]) == 1
        tested += groups["test"]
    assert sorted(tested) == sorted(f"r{k}" for k in range(10))


def test_more_folds_than_groups_are_refused(own: Own) -> None:
    path = own("image,score,group", lambda k: f"{k}.png,{k / 4},r{k // 4}")
    folded = {**scenario(path.parent, 0), "splits": None, "folds": 6}
    with pytest.raises(
        DatasetError, match="5 images or groups cannot fill 6 folds.*lower scenario.folds"
    ):
        build_data_sets(folded)
