"""Which keys of a config decide over a run's results."""

from __future__ import annotations

from cliqa.engine.work_dir.same_run import differing_keys, listed


def test_sections_that_decide() -> None:
    saved = {"model": 1, "loggers": 2, "seed": 3, "num_workers": 4}
    assert differing_keys(saved, {"model": 1, "seed": 3, "loggers": 5}) == []
    assert differing_keys(saved, {"model": 2, "num_workers": 5}) == ["model", "seed"]


def test_where_the_data_lie_does_not_decide() -> None:
    one, other = ({"scenario": {"dataset_root": root}} for root in "ab")
    assert differing_keys(one, other) == []
    first, second = ({"pretrain": {"data": {"root": root}, "epochs": 2}} for root in "ab")
    assert differing_keys(first, second) == []
    assert differing_keys(first, {"pretrain": {"epochs": 3}}) == ["pretrain.epochs"]


def test_one_folder_seen_from_two_places_is_the_same() -> None:
    def config(dataset_root: str, *roots: str) -> dict[str, object]:
        sections = [{"type": "ScoreFile", "root": root} for root in roots]
        return {"scenario": {"dataset_root": dataset_root, "datasets": sections}}

    saved = config("/data/week1", ".")  # --data week1/a.csv, later --data week1/a.csv week2/b.csv
    added = ["scenario.datasets.1.root", "scenario.datasets.1.type"]
    assert differing_keys(saved, config("/data", "week1", "week2")) == added
    assert differing_keys(saved, config("/data", "week2")) == ["scenario.datasets.0.root"]


def test_long_lists_are_cut() -> None:
    assert listed(list("abcdefghi")) == "a, b, c, d, e, f, g, h, ..."
