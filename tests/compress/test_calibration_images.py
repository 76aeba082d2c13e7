"""Images to calibrate with: from where, how many, prepared how."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cliqa.compress.calibration_images import folder_images, in_batches, training_images
from cliqa.engine.streams import build_benchmark
from cliqa.utils.errors import ConfigError, DatasetError


def rows(batches: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the images of batches, one by one."""
    return [image for batch in batches for image in batch]


def test_as_many_are_drawn_from_each_data_set(tiny_config: dict[str, Any]) -> None:
    scenario = tiny_config["scenario"]
    images = rows(training_images(scenario, 6, seed=3))
    benchmark = build_benchmark(scenario)
    assert len(images) == 6
    for k, name in enumerate(benchmark.names):
        data = benchmark.dataset(name, "train").eval()
        own = [data[place][0] for place in range(len(data))]
        for image in images[2 * k : 2 * k + 2]:
            assert sum(torch.equal(image, other) for other in own) == 1


def test_the_draw_is_the_seeds(tiny_config: dict[str, Any]) -> None:
    scenario = tiny_config["scenario"]
    one, same, other = (rows(training_images(scenario, 9, seed)) for seed in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_short_data_set_gives_what_it_has(tiny_config: dict[str, Any]) -> None:
    benchmark = build_benchmark(tiny_config["scenario"])
    every = sum(len(benchmark.sources[name, "train"]) for name in benchmark.names)
    assert len(rows(training_images(tiny_config["scenario"], 10_000))) == every


def test_a_folder_is_prepared_as_the_model_wants_it(tmp_path: Path) -> None:
    for k in range(5):
        Image.new("RGB", (20, 16), (50 * k, 0, 0)).save(tmp_path / f"{k}.png")
    steps: list[dict[str, Any]] = [{"type": "CenterCrop", "size": 8}, {"type": "ToTensor"}]
    images = rows(folder_images(tmp_path, steps, 3))
    assert [tuple(image.shape) for image in images] == [(3, 8, 8)] * 3
    reds = [round(float(image[0, 0, 0]) * 255) for image in images]
    assert reds == sorted(reds)
    assert set(reds) < {0, 50, 100, 150, 200}


def test_sizes_and_crops_are_batches_of_their_own() -> None:
    images = [torch.rand(3, 8, 8), torch.rand(5, 3, 8, 8), torch.rand(3, 9, 8)]
    batches = in_batches(images, size=4)
    assert [tuple(batch.shape) for batch in batches] == [(4, 3, 8, 8), (2, 3, 8, 8), (1, 3, 9, 8)]
    assert torch.equal(torch.cat(batches[:2]), torch.cat([images[0][None], images[1]]))


def test_features_are_refused(tiny_config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="feature_type='r50': the model takes features"):
        training_images({**tiny_config["scenario"], "feature_type": "r50"})


@pytest.mark.parametrize("count", [0, True, 2.5])
def test_a_number_out_of_range_is_refused(count: Any, tiny_config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="number of images must be at least 1, got"):
        training_images(tiny_config["scenario"], count)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no image"):
        folder_images(tmp_path, [{"type": "ToTensor"}])
