"""Stored predictions: the round trip, names that no file can have, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cliqa.evaluation.matrix import stability
from cliqa.evaluation.records.predictions import (
    ScorePredictions,
    load_predictions,
    prediction_grid,
    prediction_path,
    save_predictions,
)
from cliqa.utils.errors import ArtifactError, EvaluationError
from cliqa.utils.io import write_npz


def table(n: int = 4, seed: int = 0) -> ScorePredictions:
    """Return predictions of n images."""
    random = np.random.default_rng(seed)
    target = random.random(n)
    image = np.array([f"{k} ä.jpg" for k in range(n)])
    return ScorePredictions(random.random(n).astype(np.float32), target, 1 + 9 * target, image)


def test_round_trip(tmp_path: Path) -> None:
    stored = table()
    path = save_predictions(tmp_path, 2, "koniq", stored)
    assert path == tmp_path / "predictions" / "after_2_on_koniq.npz"
    loaded = load_predictions(tmp_path, 2, "koniq")
    for name in ("prediction", "target", "raw", "image"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(stored, name))


@pytest.mark.parametrize("name", ["KonIQ-10k (512x384)", "a/b", "../up", "a_b", "über", "x%2Fy"])
def test_every_name_has_a_file_of_its_own(tmp_path: Path, name: str) -> None:
    save_predictions(tmp_path, 0, name, table())
    assert len(list((tmp_path / "predictions").iterdir())) == 1
    assert load_predictions(tmp_path, 0, name).target.size == 4
    others = {"a/b", "a_b", "a%2Fb", "x/y", "x%2Fy", "u"} - {name}
    assert all(
        prediction_path(tmp_path, 0, n) != prediction_path(tmp_path, 0, name) for n in others
    )


def test_grid_feeds_the_stability_index(tmp_path: Path) -> None:
    for t in range(2):
        for k, name in enumerate("ab"):
            save_predictions(tmp_path, t, name, table(seed=10 * t + k))
    grid = prediction_grid(tmp_path, ["a", "b"], 2)
    assert [len(row) for row in grid] == [1, 2]
    np.testing.assert_array_equal(grid[1][1], table(seed=11).prediction)
    assert stability(grid)[0] == 1.0


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"after_1_on_ava\.npz: missing\. Evaluate the run"):
        load_predictions(tmp_path, 1, "ava")


@pytest.mark.parametrize("cut", [0, 10, 300])
def test_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    path = save_predictions(tmp_path, 0, "ava", table())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match=r"after_0_on_ava\.npz: damaged"):
        load_predictions(tmp_path, 0, "ava")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = prediction_path(tmp_path, 0, "ava")
    path.parent.mkdir()
    zeros, objects = np.zeros(2), np.array([{}, {}], dtype=object)
    np.savez(path, prediction=zeros, target=zeros, raw=zeros, image=objects)
    with pytest.raises(ArtifactError, match="damaged .*Python objects"):
        load_predictions(tmp_path, 0, "ava")


def test_missing_array_and_unequal_lengths_are_named(tmp_path: Path) -> None:
    path = prediction_path(tmp_path, 0, "ava")
    path.parent.mkdir()
    np.savez(path, prediction=np.zeros(2), target=np.zeros(2))
    with pytest.raises(ArtifactError, match="raw is not a file in the archive"):
        load_predictions(tmp_path, 0, "ava")
    np.savez(path, prediction=np.zeros(2), target=np.zeros(3), raw=np.zeros(2), image=["a", "b"])
    with pytest.raises(ArtifactError, match="differ in length: .*'target': 3"):
        load_predictions(tmp_path, 0, "ava")


def test_refuses_to_store_what_does_not_belong_together(tmp_path: Path) -> None:
    good = table()
    short = ScorePredictions(good.prediction, good.target, good.raw, good.image[:2])
    with pytest.raises(EvaluationError, match="4 predictions with 4 raw scores and 2 file names"):
        save_predictions(tmp_path, 0, "a", short)
    short = ScorePredictions(good.prediction[:3], good.target, good.raw, good.image)
    with pytest.raises(EvaluationError, match="3 predictions for 4 targets"):
        save_predictions(tmp_path, 0, "a", short)
    assert not (tmp_path / "predictions").exists()


def test_text_in_place_of_numbers_is_named(tmp_path: Path) -> None:
    path = prediction_path(tmp_path, 0, "a")
    numbers, names = np.zeros(2), np.array(["a", "b"])
    write_npz(path, prediction=names, target=numbers, raw=numbers, image=names)
    with pytest.raises(ArtifactError, match="'prediction' holds <U1. Evaluate the run again"):
        load_predictions(tmp_path, 0, "a")
    write_npz(path, prediction=numbers, target=numbers, raw=numbers, image=np.zeros(()))
    with pytest.raises(ArtifactError, match="its arrays must have one dimension"):
        load_predictions(tmp_path, 0, "a")
