"""Tests of cliqa.app.tabs.look_images, and of what a classifier changes in the tabs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cliqa
from cliqa.app.scoring import as_table, score_files
from cliqa.app.settings import Settings, forget_searches
from cliqa.app.tabs.look_images import _drawn, _pixel, _told
from cliqa.app.tabs.score import Batch
from cliqa.app.tabs.score_image import _by_experience, _look, _rank
from cliqa.utils.errors import ArtifactError


def test_the_points_are_those_of_the_predictions(tiny_run: Path) -> None:
    found = cliqa.results(tiny_run)
    picture, spots, worst = _drawn(found, "b", "after a")
    rows = found.predictions("b", "after a")
    assert spots is not None
    assert len(spots.places) == len(rows)
    assert spots.places.min() > 0
    assert (spots.places < picture.size).all()
    order = np.argsort(spots.places[:, 0])  # from left to right
    assert np.all(np.diff(rows["raw_prediction"].to_numpy()[order]) >= 0)
    assert worst["image"].iloc[0] == rows["image"].iloc[int(rows["error"].abs().argmax())]


def test_a_click_is_a_pixel() -> None:
    assert _pixel([3, 4.5]) == (3.0, 4.5)
    for wrong in (None, 3, [1], ["1", 2], {"a": 1}, [1, 2, 3]):
        with pytest.raises(ArtifactError, match="no point of the figure"):
            _pixel(wrong)


def test_names_of_images_are_escaped() -> None:
    text = _told({"image": "<b>", "raw_target": 1.0, "raw_prediction": 2.0})
    assert "&lt;b&gt;" in text
    assert "+1.00" in text


def test_a_classifier_has_its_confusion_and_its_mistakes(
    run_config: Callable[..., Path], split_config: dict[str, Any], tmp_path: Path
) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    folder = run_config(split_config, stop_after=1)
    found = cliqa.results(folder)
    name = found.content["datasets"][0]
    label = next(iter(found.matrix().index))
    picture, spots, worst = _drawn(found, name, label)
    assert picture.size[0] > 100
    assert spots is None
    rows = found.predictions(name)
    assert len(worst) == min(12, (rows["prediction"] != rows["target"]).sum())
    assert "True class" in _told({str(k): v for k, v in rows.iloc[0].items()})

    Image.fromarray(found.images().read(name, 0, rows["image"][0])).save(tmp_path / "x.png")
    model = cliqa.load(folder, device="cpu")
    scored = score_files(model, [tmp_path / "x.png"], None)
    table = as_table(scored, of_classes=True)
    assert table["class"].tolist() == [scored[0].label]
    forget_searches()
    settings = Settings(folder.parent, device="cpu")
    batch = Batch(folder.name, None, tuple(scored))
    note, image = _look(settings, batch, "x.png")
    assert image.visible, note
    note, image = _rank(settings, batch, "x.png")
    assert not image.visible
    assert "tells classes apart" in note
    assert str(tmp_path) not in note
    note, steps = _by_experience(settings, batch, "x.png")
    assert steps.visible
    assert str(scored[0].label) in str(steps.value)
    assert steps.value["headers"] == ["after", "class"]
    assert "how probable" in note
