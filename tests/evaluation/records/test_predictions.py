"""Stored predictions: the round trip, names that no file can have, and damaged files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cliqa.evaluation.records.predictions import (
    ScorePredictions,
    has_predictions,
    load_predictions,
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


def earlier(work_dir: Path, name: str) -> Path:
    """Return where earlier versions put the predictions of the first model for a data set."""
    path = work_dir / "predictions" / f"after_0_on_{name}.npz"
    path.parent.mkdir(exist_ok=True)
    return path


def equal(one: ScorePredictions, other: ScorePredictions) -> bool:
    """Return whether two tables hold the same."""
    names = ("prediction", "target", "raw", "image")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def test_round_trip(tmp_path: Path) -> None:
    stored = {"koniq": table(), "ava": table(3, seed=1)}
    path = save_predictions(tmp_path, 2, stored)
    assert list((tmp_path / "predictions").iterdir()) == [path]
    assert path.name == "after_2.npz"
    assert all(equal(load_predictions(tmp_path, 2, name), one) for name, one in stored.items())


@pytest.mark.parametrize(
    "name", ["KonIQ-10k (512x384)", "a/b", "../up", "a_b", "über", "x%2Fy", "a", "a/target"]
)
def test_every_name_has_arrays_of_its_own(tmp_path: Path, name: str) -> None:
    others = {"a/b", "a_b", "a%2Fb", "x/y", "x%2Fy", "u", "a", "a/target"} - {name}
    tables = {one: table(seed=k) for k, one in enumerate([name, *sorted(others)])}
    save_predictions(tmp_path, 0, tables)
    assert all(equal(load_predictions(tmp_path, 0, one), tables[one]) for one in tables)


def test_data_sets_are_added_and_replaced(tmp_path: Path) -> None:
    first, second, third = (table(seed=seed) for seed in range(3))
    save_predictions(tmp_path, 0, {"a": first, "ab": second}, add=True)
    save_predictions(tmp_path, 0, {"a": third, "c": first}, add=True)
    for name, expected in {"a": third, "ab": second, "c": first}.items():
        assert equal(load_predictions(tmp_path, 0, name), expected)
    save_predictions(tmp_path, 0, {"c": second})
    found = [has_predictions(tmp_path, 0, name) for name in ("a", "ab", "c")]
    assert found == [False, False, True]
    assert not has_predictions(tmp_path, 1, "c")


def test_a_file_to_add_to_must_be_whole(tmp_path: Path) -> None:
    path = save_predictions(tmp_path, 0, {"a": table()})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ArtifactError, match=r"after_0\.npz: damaged"):
        save_predictions(tmp_path, 0, {"b": table()}, add=True)
    with pytest.raises(ArtifactError, match=r"after_0\.npz: damaged"):
        has_predictions(tmp_path, 0, "a")


def test_files_of_earlier_versions_are_read(tmp_path: Path) -> None:
    stored = table()
    write_npz(earlier(tmp_path, "a%2Fb"), **vars(stored))
    assert has_predictions(tmp_path, 0, "a/b")
    assert equal(load_predictions(tmp_path, 0, "a/b"), stored)


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"after_1\.npz: missing\. Evaluate the run"):
        load_predictions(tmp_path, 1, "ava")


@pytest.mark.parametrize("cut", [0, 10, 300])
def test_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    path = save_predictions(tmp_path, 0, {"ava": table()})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match=r"after_0\.npz: damaged"):
        load_predictions(tmp_path, 0, "ava")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = earlier(tmp_path, "ava")
    zeros, objects = np.zeros(2), np.array([{}, {}], dtype=object)
    np.savez(path, prediction=zeros, target=zeros, raw=zeros, image=objects)
    with pytest.raises(ArtifactError, match="damaged .*Python objects"):
        load_predictions(tmp_path, 0, "ava")


def test_missing_array_and_unequal_lengths_are_named(tmp_path: Path) -> None:
    path = earlier(tmp_path, "ava")
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
        save_predictions(tmp_path, 0, {"a": short})
    short = ScorePredictions(good.prediction[:3], good.target, good.raw, good.image)
    with pytest.raises(EvaluationError, match="3 predictions for 4 targets"):
        save_predictions(tmp_path, 0, {"a": short})
    assert not (tmp_path / "predictions").exists()


def test_text_in_place_of_numbers_is_named(tmp_path: Path) -> None:
    path = earlier(tmp_path, "a")
    numbers, names = np.zeros(2), np.array(["a", "b"])
    write_npz(path, prediction=names, target=numbers, raw=numbers, image=names)
    with pytest.raises(ArtifactError, match="'prediction' holds <U1. Evaluate the run again"):
        load_predictions(tmp_path, 0, "a")
    write_npz(path, prediction=numbers, target=numbers, raw=numbers, image=np.zeros(()))
    with pytest.raises(ArtifactError, match="its arrays must have one dimension"):
        load_predictions(tmp_path, 0, "a")
