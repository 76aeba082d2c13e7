"""Stored logits: the round trip, damaged and foreign files, arrays that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cliqa.evaluation.records.predictions import (
    ClassPredictions,
    ScorePredictions,
    load_class_predictions,
    save_predictions,
)
from cliqa.utils.errors import ArtifactError, EvaluationError

N, K = 4, 3


def table(seed: int = 0) -> ClassPredictions:
    """Logits of N samples of K classes."""
    random = np.random.default_rng(seed)
    return ClassPredictions(
        random.normal(size=(N, K)).astype(np.float32),
        random.integers(0, K, N),
        np.array([f"bucket 1/{k} ä.jpg" for k in range(N)]),
        np.array(["T-shirt/top", "trouser", "café"]),
    )


def written(work_dir: Path, **arrays: Any) -> Path:
    """Write a file of other arrays than the right ones."""
    path = work_dir / "predictions" / "after_0_on_7+8.npz"  # as earlier versions did
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **arrays)
    return path


def test_round_trip(tmp_path: Path) -> None:
    stored = table()
    path = save_predictions(tmp_path, 2, {"2+3": stored})
    assert path == tmp_path / "predictions" / "after_2.npz"
    loaded = load_class_predictions(tmp_path, 2, "2+3")
    for name in ("logits", "target", "image", "classes"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(stored, name))
    assert (loaded.logits.dtype, loaded.target.dtype) == (np.float32, np.int64)
    assert [path.name for path in (tmp_path / "predictions").iterdir()] == [path.name]


def test_saving_again_replaces_the_file(tmp_path: Path) -> None:
    for seed in (0, 1):
        save_predictions(tmp_path, 0, {"a": table(seed)})
    np.testing.assert_array_equal(load_class_predictions(tmp_path, 0, "a").logits, table(1).logits)


def test_diverged_logits_and_a_wider_head_are_kept(tmp_path: Path) -> None:
    logits = np.full((N, K + 2), np.nan)
    logits[0] = np.inf
    save_predictions(tmp_path, 0, {"a": replace(table(), logits=logits)})
    loaded = load_class_predictions(tmp_path, 0, "a")
    np.testing.assert_array_equal(loaded.logits, logits.astype(np.float32))


def test_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"after_1\.npz: missing\. Evaluate the run"):
        load_class_predictions(tmp_path, 1, "7+8")


@pytest.mark.parametrize("cut", [0, 10, 300])
def test_damaged_file_is_named(tmp_path: Path, cut: int) -> None:
    path = save_predictions(tmp_path, 0, {"7+8": table()})
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ArtifactError, match=r"after_0\.npz: damaged"):
        load_class_predictions(tmp_path, 0, "7+8")


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    stored = vars(table())
    written(tmp_path, **{**stored, "image": np.array([{}] * N, dtype=object)})
    with pytest.raises(ArtifactError, match="damaged .*Python objects"):
        load_class_predictions(tmp_path, 0, "7+8")


def test_predictions_of_scores_are_none_of_classes(tmp_path: Path) -> None:
    scores = np.linspace(0, 1, N)
    save_predictions(
        tmp_path, 0, {"7+8": ScorePredictions(scores, scores, scores, np.array(["a"] * N))}
    )
    with pytest.raises(ArtifactError, match=r"after_0\.npz: 7\+8/logits is not a file"):
        load_class_predictions(tmp_path, 0, "7+8")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": np.zeros((3, K))}, r"logits of shape \(3, 3\) for 4 targets of 3 classes"),
        ({"logits": np.zeros((N, 2))}, r"logits of shape \(4, 2\) for 4 targets of 3 classes"),
        ({"logits": np.zeros(N)}, r"logits of shape \(4,\) for 4 targets of 3 classes"),
        ({"target": np.zeros(2, int)}, r"logits of shape \(4, 3\) for 2 targets"),
        ({"image": np.array(["a.jpg"])}, "1 images for 4 targets"),
    ],
)
def test_arrays_that_do_not_fit_are_neither_stored_nor_read(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    wrong = replace(table(), **change)
    with pytest.raises(EvaluationError, match=rf"after_0\.npz: 7\+8: {message}"):
        save_predictions(tmp_path, 0, {"7+8": wrong})
    assert not (tmp_path / "predictions").exists()
    written(tmp_path, **vars(wrong))
    with pytest.raises(ArtifactError, match=rf"after_0_on_7\+8\.npz: {message}"):
        load_class_predictions(tmp_path, 0, "7+8")


@pytest.mark.parametrize("name", ["target", "image", "classes"])
@pytest.mark.parametrize("value", [0, np.zeros((N, 1), int)])
def test_arrays_of_another_shape_are_named(tmp_path: Path, name: str, value: Any) -> None:
    written(tmp_path, **{**vars(table()), name: value})
    with pytest.raises(ArtifactError, match=rf"7\+8\.npz: {name} must have one dimension"):
        load_class_predictions(tmp_path, 0, "7+8")


@pytest.mark.parametrize("target", [-1, K])
def test_targets_that_are_no_class_are_refused(tmp_path: Path, target: int) -> None:
    wrong = replace(table(), target=np.array([0, 1, target, 2]))
    message = rf"targets lie in .*, outside 0\.\.{K - 1}"
    with pytest.raises(EvaluationError, match=message):
        save_predictions(tmp_path, 0, {"7+8": wrong})
    written(tmp_path, **vars(wrong))
    with pytest.raises(ArtifactError, match=message):
        load_class_predictions(tmp_path, 0, "7+8")
