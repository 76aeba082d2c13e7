"""Tests of cliqa.api.models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import cliqa
from cliqa.commands.models.compress import main as compress
from cliqa.utils.errors import ConfigError, DatasetError


def test_files_folders_and_images_in_memory_get_the_same_scores(
    tiny_run: Path, tiny_data: Path
) -> None:
    model = cliqa.load(tiny_run, device="cpu")
    folder = model.predict(tiny_data / "a")
    assert list(folder.columns) == ["image", "score", "error"]
    assert len(folder) == 40
    assert folder["error"].isna().all()
    first = tiny_data / "a" / "a00.png"
    picture = Image.open(first)
    found = model.predict([first, picture, np.asarray(picture)])
    assert list(found["image"]) == [str(first), "image 1", "image 2"]
    assert found["score"].tolist() == pytest.approx([folder["score"][0]] * 3, abs=1e-6)
    assert len(model.predict(np.stack([np.asarray(picture)] * 2))) == 2


def test_scores_come_on_the_scale_that_is_asked_for(tiny_run: Path, tiny_data: Path) -> None:
    model = cliqa.load(tiny_run / "checkpoints" / "exp_0.pth", device="cpu", crops="grid:2x2")
    path = tiny_data / "a" / "a00.png"
    plain = model.predict(path)["score"][0]
    assert model.predict(path, scale=(1, 5))["score"][0] == pytest.approx(1 + 4 * plain)
    assert model.predict(path, dataset="a")["score"][0] == pytest.approx(min(max(plain, 0), 1))
    with pytest.raises(ConfigError, match="Choose one"):
        model.predict(path, scale=(0, 1), dataset="a")
    with pytest.raises(ConfigError, match="must be lower"):
        model.predict(path, scale=(5, 1))
    with pytest.raises(ConfigError, match="scale='dataset' needs a run of one data set"):
        model.predict(path, scale="dataset")


def test_an_image_that_cannot_be_read_has_an_error(
    tiny_run: Path, tmp_path: Path, tiny_data: Path
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = cliqa.load(tiny_run, device="cpu").predict(
        [tmp_path / "broken.png", tiny_data / "a" / "a00.png"]
    )
    assert np.isnan(found["score"][0])
    assert "broken.png" in str(found["error"][0])
    assert np.isfinite(found["score"][1])


@pytest.mark.parametrize("image", [np.zeros((4, 4, 7), np.uint8), object()])
def test_what_is_no_image_is_refused(tiny_run: Path, image: Any) -> None:
    with pytest.raises(DatasetError, match=r"image 0: .* Give a file, a Pillow image"):
        cliqa.load(tiny_run, device="cpu").predict([image])


def test_classes_come_with_their_probability(split_config: dict[str, Any], run_config: Any) -> None:
    split_config["cl_strategy"]["train_epochs"] = 1
    model = cliqa.load(run_config(split_config), device="cpu")
    found = model.predict(np.zeros((28, 28), np.uint8))
    assert list(found.columns) == ["image", "class", "probability", "error"]
    assert found["class"][0] in model.classes
    with pytest.raises(ConfigError, match="gives classes"):
        model.predict(np.zeros((28, 28), np.uint8), scale=(1, 5))


def test_an_exported_file_predicts_as_its_run(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, quick_exports: None
) -> None:
    path = tmp_path / "model.onnx"
    compress(["export", str(tiny_run), "--out", str(path)])
    found = cliqa.load(path).predict(tiny_data / "a")
    own = cliqa.load(tiny_run, device="cpu").predict(tiny_data / "a")
    assert found["score"].to_numpy() == pytest.approx(own["score"].to_numpy(), abs=1e-5)


def test_a_checkpoint_is_loaded_by_its_name(tiny_run: Path, tiny_data: Path) -> None:
    image = tiny_data / "a" / "a00.png"
    by_name = cliqa.load(tiny_run, checkpoint="exp_0", device="cpu")
    by_path = cliqa.load(tiny_run / "checkpoints" / "exp_0.pth", device="cpu")
    assert by_name.predict(image).equals(by_path.predict(image))
    best = cliqa.load(tiny_run, checkpoint="best", device="cpu")
    assert best.predict(image).equals(cliqa.load(tiny_run, device="cpu").predict(image))
    with pytest.raises(ConfigError, match=r"exp_9: .* best, exp_0, exp_1, exp_2, last"):
        cliqa.load(tiny_run, checkpoint="exp_9")


def test_a_gates_views_add_up_to_the_score(gated_run: Path, tiny_data: Path) -> None:
    model = cliqa.load(gated_run, device="cpu")
    images = [tiny_data / "a" / "a00.png", tiny_data / "b" / "b01.png"]
    found = model.views(images)
    assert list(found.columns) == ["image", "view", "weight", "score"]
    assert found["view"].tolist() == ["a", "b"] * 2
    weights = found["weight"].to_numpy().reshape(2, 2)
    assert weights.sum(axis=1) == pytest.approx([1, 1])
    mixed = (weights * found["score"].to_numpy().reshape(2, 2)).sum(axis=1)
    assert model.predict(images, scale=(0, 1))["score"].tolist() == pytest.approx(mixed, abs=1e-5)


def test_a_model_without_a_gate_has_no_views(tiny_run: Path, tiny_data: Path) -> None:
    model = cliqa.load(tiny_run, device="cpu")
    assert model.views(tiny_data / "a" / "a00.png").empty
    assert model.parameters == sum(each.numel() for each in model.network.parameters())
    assert model.scales == ["a", "b", "c"]
    assert model.scale_of("b").higher_is_better
    assert model.predictor.checkpoint == model.path
    with pytest.raises(ConfigError, match="has a, b, c"):
        model.scale_of("x")
