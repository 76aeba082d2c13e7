"""Data sets that are only evaluated: in the matrix, apart from what is learnt."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.benchmarks.data_check import check_data
from cliqa.config.components import parts_of
from cliqa.engine.check import check_config
from cliqa.evaluation.records.predictions import load_predictions
from cliqa.evaluation.records.tables import report
from cliqa.inference.evaluate import evaluate
from cliqa.utils.errors import CheckpointError, ConfigError, DatasetError
from cliqa.visualization.curves import draw_forgetting, draw_scores
from cliqa.visualization.history import load_metrics
from cliqa.visualization.matrix import draw_matrix

Config = dict[str, Any]
OfSets = Callable[..., Config]
Work = Callable[..., dict[str, Any]]


@pytest.fixture
def with_unseen(of_sets: OfSets) -> Callable[..., Config]:
    """Return a function that makes the config over a and b that also evaluates c."""

    def make(**options: Any) -> Config:
        config, section = of_sets(2), of_sets(3)["scenario"]["datasets"][2]
        config["scenario"]["evaluate_only"] = [{**section, **options}]
        return config

    return make


@pytest.fixture
def unseen(_kept: Path, with_unseen: Callable[..., Config], work: Work) -> Path:
    """Return a finished run over a and b that also evaluates c: only read it."""
    if not (_kept / "unseen").exists():
        work(with_unseen(), _kept / "unseen")
    return _kept / "unseen"


def results_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "results.json").read_text())


def test_the_column_is_there_and_the_others_do_not_notice(unseen: Path, two: Path) -> None:
    found, alone = results_of(unseen), results_of(two)
    assert found["experiences"] == ["a", "b"]
    assert found["datasets"] == ["a", "b", "c"]
    assert found["unseen"] == ["c"]
    assert "unseen" not in alone
    assert found["images"] == [12, 12, 12]
    for measure, matrix in found["matrix"].items():
        assert [row[:2] for row in matrix] == alone["matrix"][measure]
    own = {name: found["summary"][name] for name in alone["summary"]}
    assert own == alone["summary"]
    first, last = (row[2] for row in found["matrix"]["srcc"])
    new = {name: value for name, value in found["summary"].items() if name not in own}
    assert new == {
        "unseen": last,
        "unseen_anytime": pytest.approx((first + last) / 2),
        "unseen_gain": pytest.approx(last - first),
    }


def test_its_rows_and_predictions_are_kept_and_marked(unseen: Path) -> None:
    rows = [row for row in load_metrics(unseen) if row["kind"] == "eval"]
    marks = [(row["experience"], row["dataset"], row.get("unseen", False)) for row in rows]
    assert marks == [(t, name, name == "c") for t in (0, 1) for name in "abc"]
    assert len(load_predictions(unseen, 1, "c").prediction) == 12
    assert "c (unseen)" in report(results_of(unseen))
    assert "srcc,b,c," in (unseen / "matrix.csv").read_text()


def test_figures_mark_it_and_count_what_is_learnt(unseen: Path) -> None:
    results = results_of(unseen)
    ticks = [tick.get_text() for tick in draw_matrix(results).axes[0].get_xticklabels()]
    assert ticks[2].replace("\n", " ") == "c (unseen)"
    frames = [p for p in draw_matrix(results).axes[0].patches if p.get_linewidth() == 1.3]
    assert len(frames) == 2
    titles = [axes.get_title(loc="left") for axes in draw_scores(results).axes]
    assert titles == ["a", "b", "c (unseen)"]
    changes = draw_forgetting(results).axes[0].get_yticklabels()
    assert [tick.get_text() for tick in changes] == ["a", "b"]


def test_an_evaluation_gives_the_same_numbers(
    unseen: Path, two: Path, with_unseen: Callable[..., Config], of_sets: OfSets, tmp_path: Path
) -> None:
    last = results_of(unseen)["matrix"]["srcc"][-1]
    common: Config = {"config_file": "tiny.py", "device": "cpu", "out": tmp_path / "out.json"}
    own = evaluate(with_unseen(), checkpoint=unseen, **common)["datasets"]
    assert [one["metrics"]["srcc"] for one in own.values()] == pytest.approx(last, abs=1e-12)
    section = with_unseen()["scenario"]["evaluate_only"][0]
    root = Path(with_unseen()["scenario"]["dataset_root"]) / section["root"]
    foreign = f"dict({', '.join(f'{k}={v!r}' for k, v in {**section, 'root': str(root)}.items())})"
    other = evaluate(of_sets(2), checkpoint=two, data_sets=[foreign], **common)["datasets"]
    assert other["c"]["metrics"]["srcc"] == pytest.approx(last[2], abs=1e-12)
    everything = evaluate(with_unseen(), checkpoint=unseen, split="train", **common)["datasets"]
    assert list(everything) == ["a", "b"]
    with pytest.raises(ConfigError, match="--split train: c is only evaluated"):
        evaluate(with_unseen(), checkpoint=unseen, split="train", data_sets=["c"], **common)


def test_an_evaluation_does_without_it_where_it_is_gone(
    unseen: Path, with_unseen: Callable[..., Config], tmp_path: Path
) -> None:
    config = with_unseen(root="nowhere")
    found = evaluate(
        config, config_file="t.py", checkpoint=unseen, device="cpu", out=tmp_path / "out.json"
    )
    measured = {name: one["metrics"].get("srcc") for name, one in found["datasets"].items()}
    assert measured["a"] is not None
    assert measured.get("c") is None


def test_a_resumed_run_ends_in_the_same_bits(
    unseen: Path,
    with_unseen: Callable[..., Config],
    work: Work,
    assert_equal_runs: Callable[..., None],
    tmp_path: Path,
) -> None:
    work(with_unseen(), tmp_path, stop_after=1)
    first = results_of(tmp_path)
    assert first["summary"]["unseen"] == first["matrix"]["srcc"][0][2]  # b is still to come
    work(with_unseen(), tmp_path, resume="auto")
    assert_equal_runs(unseen, tmp_path)


def test_a_run_grows_by_a_set_to_evaluate(
    two: Path,
    unseen: Path,
    with_unseen: Callable[..., Config],
    work: Work,
    assert_equal_runs: Callable[..., None],
) -> None:
    with pytest.raises(CheckpointError, match=r"scenario\.evaluate_only.*continue with --extend"):
        work(with_unseen(), two, resume="auto")
    work(with_unseen(), two, extend=True)
    assert_equal_runs(unseen, two)


def test_a_run_with_one_grows_by_a_set_to_learn(
    unseen: Path, with_unseen: Callable[..., Config], work: Work, tmp_path: Path
) -> None:
    shutil.copytree(unseen, tmp_path / "run")
    config = with_unseen()
    first = config["scenario"]["datasets"][0]
    config["scenario"]["datasets"].append({**first, "name": "again"})
    grown = work(config, tmp_path / "run", extend=True)
    assert grown["datasets"] == ["a", "b", "again", "c"]
    assert [len(row) for row in grown["matrix"]["srcc"]] == [4, 4, 4]
    assert None not in np.ravel(grown["matrix"]["srcc"])
    known = results_of(unseen)["matrix"]["srcc"]
    assert [row[3] for row in grown["matrix"]["srcc"][:2]] == [row[2] for row in known]


@pytest.fixture
def copies(with_unseen: Callable[..., Config], tmp_path: Path) -> Config:
    """Return the config where all of c's images are copies of a's 40 images."""
    config = with_unseen(fractions=(0.0, 0.0, 1.0))
    shutil.copytree(config["scenario"]["dataset_root"], tmp_path / "own")
    config["scenario"]["dataset_root"] = str(tmp_path / "own")
    for index in range(40):
        shutil.copy(tmp_path / f"own/a/a{index:02d}.png", tmp_path / f"own/c/c{index:02d}.png")
    return config


def test_images_to_evaluate_are_not_trained_on(copies: Config, work: Work, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="all 24 images of a/train are also in a test"):
        work(copies, tmp_path / "run")
    table = tmp_path / "own/c/scores.csv"
    rows = table.read_text().splitlines()
    table.write_text("\n".join(rows[:31]) + "\n")
    found = work(copies, tmp_path / "run")
    removed = [text for text in found["warnings"] if "removed from a/train" in text]
    assert len(removed) == 1
    assert found["images"] == [12, 12, 30]
    count = int(removed[0].split(" share ")[1].split()[0])
    assert found["data"]["a"]["train"]["images"] == 24 - count


def test_images_learnt_before_leave_a_later_set(
    copies: Config, two: Path, work: Work, tmp_path: Path
) -> None:
    first = copy.deepcopy(copies)
    del first["scenario"]["evaluate_only"]
    work(first, tmp_path / "run", start_from=str(two))
    grown = work(copies, tmp_path / "run", extend=True)
    assert grown["images"] == [12, 12, 12]  # all but a's training and validation images
    assert work(copies, tmp_path / "run", resume="auto")["images"] == [12, 12, 12]


def test_mistakes_are_told_before_training(
    with_unseen: Callable[..., Config], work: Work, tmp_path: Path, split_config: Config
) -> None:
    for options, error in (
        ({"fractions": (0.9, 0.1, 0.0)}, r"evaluate_only: c has no test split.*fractions=\(0, 0"),
        ({"name": "a"}, "evaluate_only: another data set is called 'a' already"),
        ({"colour": 1}, r"scenario\.evaluate_only\[0\].*'colour'"),
        ({"type": "KADID"}, r"scenario\.evaluate_only\[0\].*'KADID'"),
    ):
        with pytest.raises(ConfigError, match=error):
            work(with_unseen(**options), tmp_path / "run")
    both = with_unseen(root="nowhere")
    both["scenario"]["datasets"][0]["root"] = "neither"
    with pytest.raises(DatasetError, match=r"(?s)neither.*nowhere"):
        work(both, tmp_path / "run")
    with pytest.raises(DatasetError, match="nowhere"):
        check_data(with_unseen(root="nowhere"))
    split_config["scenario"]["evaluate_only"] = [{"type": "EVA", "root": "eva"}]
    with pytest.raises(ConfigError, match="is a stream of classes"):
        check_config(split_config)


def test_random_splits_leave_it_as_it_is(with_unseen: Callable[..., Config]) -> None:
    config = with_unseen(fractions=(0.0, 0.0, 1.0))
    config["scenario"] |= {"folds": 2, "split_index": 1}
    check_data(config)
    check_config(config)


def test_a_file_that_is_not_trusted_names_it_too(with_unseen: Callable[..., Config]) -> None:
    where = [part.where for part in parts_of(with_unseen())]
    assert "scenario.evaluate_only[0]" in where
