"""Tests of cliqa.explain.inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cliqa.config.load import load_config
from cliqa.explain.inputs import Inputs, browse, draw_inputs, pixels
from cliqa.utils.errors import ConfigError

CONFIG = Path(__file__).resolve().parents[2] / "config"
NORMALIZE = {"type": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.1]}


@pytest.fixture
def own(tiny_data: Path) -> dict[str, Any]:
    """Return a config over one tiny data set of scores 0..10, lower is better."""
    section = (
        "dict(type='ScoreFile', root='a', labels='scores.csv', images='.', score_range=(0,1), "
        "higher_is_better=False)"
    )
    steps = "[dict(type='ToTensor'), dict(type='Normalize', mean=[0.5,0.4,0.3], std=[0.2,0.2,0.1])]"
    return load_config(
        CONFIG / "my_data.py",
        [
            f"scenario.dataset_root={tiny_data}",
            f"scenario.datasets=[{section}]",
            f"scenario.train_transform={steps}",
            f"scenario.eval_transform=[dict(type='GridCrop', size=8, rows=2, columns=1), "
            f"{steps[1:]}",
        ],
    )


def test_what_is_shown_is_the_image_without_the_normalisation(
    own: dict[str, Any], tiny_data: Path
) -> None:
    train, *_, test = browse(own, images=3)
    assert (train.split, test.split, train.shape, test.shape) == (
        "train", "test", (3, 16, 16), (2, 3, 8, 8),
    )  # fmt: skip
    assert len(train.images) == 3
    rows = (tiny_data / "a" / "scores.csv").read_text().splitlines()[1:]
    scores = {f"{float(row.split(',')[1]):.2f}": row.split(",")[0] for row in rows}
    assert [float(label) for label in train.labels] == sorted(map(float, train.labels))[::-1]
    file = tiny_data / "a" / scores[train.labels[0]]
    expected = np.asarray(Image.open(file)) / 255
    np.testing.assert_allclose(train.images[0], expected, atol=1e-5)
    assert test.images[0].shape == (8 + 2 + 8, 8, 3) or test.images[0].shape == (8, 8 + 2 + 8, 3)


def test_classes_are_named(tiny_classes: Path) -> None:
    config = load_config(CONFIG / "clear_demo.py", [f"scenario.dataset_root={tiny_classes}"])
    first = next(browse(config, images=2, splits=["test"]))
    assert first.name.startswith("bucket")
    assert all(label.isprintable() and not label.isdigit() for label in first.labels)


@pytest.fixture(scope="module")
def tiny_classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an empty folder, into which the config paints its data."""
    return tmp_path_factory.mktemp("clear") / "data"


def test_a_pretraining_shows_its_pairs(tiny_data: Path) -> None:
    options = [f"pretrain.data.root={tiny_data / 'b'}", "pretrain.data.crop_size=12"]
    config = load_config(CONFIG / "qualiclip_demo.py", [*options, "pretrain.data.num_levels=3"])
    (found,) = browse(config, images=8)
    assert found.across == 3
    assert found.shape == (3, 12, 12)
    assert len(found.images) == 2 * 2 * 3
    assert found.labels[4] == "image 0, crop 2, level 2"
    assert draw_inputs(found).get_suptitle().startswith("pretraining pairs of 40 images")


def test_wrong_names_are_refused(own: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="--datasets zebra: no such data set. The config has s"):
        list(browse(own, data_sets=["zebra"]))


def test_pixels_of_one_channel_and_of_crops() -> None:
    image = torch.rand(3, 4, 6)
    mean, std = (torch.tensor(NORMALIZE[key]).view(3, 1, 1) for key in ("mean", "std"))
    np.testing.assert_allclose(
        pixels((image - mean) / std, [NORMALIZE]), image.permute(1, 2, 0), atol=1e-6
    )
    assert pixels(torch.rand(1, 4, 6), []).shape == (4, 6)
    sheet = pixels(torch.zeros(3, 3, 4, 6), [])
    assert sheet.shape == (4 + 2 + 4, 6 + 2 + 6, 3)
    assert sheet[:4, 6:8].min() == 1  # the gap is white
    assert sheet[6:, 8:].min() == 1  # and so is a place without a crop


def test_a_figure_has_a_panel_an_image() -> None:
    images = [np.zeros((8, 8)), np.zeros((8, 8, 3)), np.ones((8, 8))]
    figure = draw_inputs(Inputs("koniq", "val", 30, images, ["1", "2", "3"], (3, 8, 8)))
    assert [axes.get_xlabel() for axes in figure.axes] == ["1", "2", "3"]
    assert figure.get_suptitle() == "koniq, val: 3 of 30, 3 x 8 x 8 each"
