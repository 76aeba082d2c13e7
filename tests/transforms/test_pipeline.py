from __future__ import annotations

import json
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from cliqa.transforms.pipeline import Pipeline, build_pipeline, preprocessing_signature
from cliqa.utils.errors import ConfigError, DatasetError

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
TRAIN: list[dict[str, Any]] = [
    {"type": "Resize", "size": 24},
    {"type": "RandomCrop", "size": 16},
    {"type": "RandomHorizontalFlip"},
    {"type": "ToTensor"},
    {"type": "Normalize", "mean": MEAN, "std": STD},
]


def image(height: int = 30, width: int = 48) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)


def build(*steps: dict[str, Any], quality: bool = True) -> Pipeline:
    return build_pipeline(steps, "scenario.train_transform", quality=quality)


def test_levels_are_scaled_and_normalised() -> None:
    pipeline = build({"type": "ToTensor"}, {"type": "Normalize", "mean": MEAN, "std": STD})
    wanted = (image() / 255 - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(pipeline(image()), wanted)


def test_the_output_is_float32_even_without_to_tensor() -> None:
    output = build({"type": "RandomHorizontalFlip", "p": 1.0})(image())
    assert output.dtype == torch.float32
    torch.testing.assert_close(output, image().flip(-1) / 255)


def test_resize_keeps_the_aspect() -> None:
    assert build({"type": "Resize", "size": 15})(image(30, 48)).shape == (3, 15, 24)


def test_a_pillow_image_equals_its_tensor() -> None:
    picture = Image.fromarray(image().permute(1, 2, 0).numpy())
    pipeline = build(TRAIN[0], *TRAIN[3:])
    torch.testing.assert_close(pipeline(picture), pipeline(image()))
    grey = build()(picture.convert("L"))
    assert grey.shape == (3, 30, 48)


def test_a_step_may_work_on_pillow_images() -> None:
    pipeline = build({"type": "ToPILImage"}, {"type": "RandomHorizontalFlip", "p": 1.0})
    torch.testing.assert_close(pipeline(image()), image().flip(-1) / 255)


@pytest.mark.parametrize(("name", "count"), [("FiveCrop", 5), ("TenCrop", 10)])
def test_several_crops_are_stacked(name: str, count: int) -> None:
    pipeline = build({"type": name, "size": 8}, *TRAIN[3:])
    assert pipeline(image()).shape == (count, 3, 8, 8)


def test_random_steps_follow_torchs_generator_alone() -> None:
    pipeline = build(*TRAIN[:3], {"type": "ColorJitter", "brightness": 0.5}, quality=False)
    outputs = []
    for other in (0, 1):
        random.seed(other)
        np.random.seed(other)
        torch.manual_seed(7)
        outputs.append(pipeline(image()))
    assert torch.equal(*outputs)
    assert not torch.equal(outputs[0], pipeline(image()))


def test_nested_steps_are_built() -> None:
    flip = {"type": "RandomHorizontalFlip", "p": 1.0}
    pipeline = build({"type": "RandomApply", "transforms": [flip], "p": 1.0})
    torch.testing.assert_close(pipeline(image()), image().flip(-1) / 255)
    with pytest.raises(ConfigError, match=r"transform\[0\]\.transforms\[0\]: unknown .* 'Flip'"):
        build({"type": "RandomApply", "transforms": [{"type": "Flip"}]})
    with pytest.raises(ConfigError, match=r"\[0\]\.transforms: expected a list of steps, got dict"):
        build({"type": "RandomApply", "transforms": flip})


def test_names_stand_for_torchs_constants() -> None:
    nearest = build({"type": "Resize", "size": 60, "interpolation": "nearest"})(image())
    torch.testing.assert_close(nearest[:, ::2, ::2], image() / 255)
    assert build({"type": "ToDtype", "dtype": "float32", "scale": True})(image()).max() <= 1
    with pytest.raises(ConfigError, match=r"transform\[0\]: unknown interpolation 'cubic'.*bicub"):
        build({"type": "Resize", "size": 8, "interpolation": "cubic"})
    with pytest.raises(ConfigError, match=r"transform\[0\]: unknown dtype 'floaty'.*'float32'"):
        build({"type": "ToDtype", "dtype": "floaty"})


@pytest.mark.parametrize("name", ["RandomCrop", "CenterCrop", "FiveCrop"])
def test_a_crop_larger_than_the_image_is_refused_with_advice(name: str) -> None:
    pipeline = build({"type": "ToTensor"}, {"type": name, "size": 32})
    with pytest.raises(
        DatasetError,
        match=rf"scenario\.train_transform\[1\] '{name}', image \(3, 30, 48\): the image is 48 x "
        r"30 pixels.*smaller than the crop of 32 x 32.*Resize.*size=32.*QualityRandomCrop",
    ):
        pipeline(image())


def test_padding_that_is_asked_for_is_left_to_torchvision() -> None:
    pipeline = build({"type": "RandomCrop", "size": 64, "pad_if_needed": True})
    assert pipeline(image()).shape == (3, 64, 64)


def test_a_failing_step_is_named() -> None:
    pipeline = build({"type": "ToTensor"}, {"type": "Normalize", "mean": [0.5] * 2, "std": [1] * 2})
    with pytest.raises(DatasetError, match=r"transform\[1\] 'Normalize', image \(3, 30, 48\): "):
        pipeline(image())


def test_a_wrong_step_is_named() -> None:
    with pytest.raises(ConfigError, match=r"train_transform\[2\]: unknown transform 'RandomFlop'"):
        build(*TRAIN[:2], {"type": "RandomFlop"})
    with pytest.raises(ConfigError, match=r"\[0\] 'Resize': unexpected argument 'sizes'.*'size'"):
        build({"type": "Resize", "sizes": 8})
    with pytest.raises(ConfigError, match=r"transform\[0\] 'GridCrop': rows and columns must be"):
        build({"type": "GridCrop", "rows": 0})
    with pytest.raises(ConfigError, match=r"train_transform: expected a list of steps, got dict"):
        build_pipeline({"type": "Resize"}, "scenario.train_transform")  # type: ignore[arg-type]


def test_an_impossible_order_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"train_transform\[0\] 'Normalize': .*8-bit"):
        build(TRAIN[4])


def test_warnings_are_for_quality_data(caplog: pytest.LogCaptureFixture) -> None:
    step = {"type": "Resize", "size": (16, 24)}
    build(step, quality=False)
    assert not caplog.messages
    build(step)
    assert "scenario.train_transform[0] 'Resize'" in caplog.messages[0]


def test_the_config_is_left_as_it_is() -> None:
    step = {"type": "RandomApply", "transforms": [{"type": "RandomHorizontalFlip"}]}
    before = json.dumps(step)
    build(step)
    assert json.dumps(step) == before


def test_pickling_keeps_the_pipeline() -> None:
    pipeline = build(*TRAIN)
    twin = pickle.loads(pickle.dumps(pipeline))
    assert repr(twin) == repr(pipeline)
    outputs = []
    for each in (pipeline, twin):
        torch.manual_seed(0)
        outputs.append(each(image()))
    assert torch.equal(*outputs)


class _Images(Dataset[torch.Tensor]):
    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.pipeline(image())


def test_data_loader_workers_can_use_it() -> None:
    loader = DataLoader(
        _Images(build(*TRAIN)), batch_size=4, num_workers=1, multiprocessing_context="fork"
    )
    assert next(iter(loader)).shape == (4, 3, 16, 16)


def test_repr_lists_the_steps() -> None:
    text = repr(build({"type": "GridCrop", "size": 8}, {"type": "ToTensor"}))
    assert text == (
        "Pipeline(\n    GridCrop(size=8, rows=5, columns=5, small='upscale'),\n    ToTensor()\n)"
    )
    assert repr(build()) == "Pipeline()"


def test_the_signature_is_plain_and_independent_of_how_the_config_is_written() -> None:
    short = build({"type": "Resize", "size": 24}, {"type": "ToTensor"})
    long = build(
        {"type": "torchvision.Resize", "interpolation": "bilinear", "size": 24, "antialias": True},
        {"type": "ToTensor"},
    )
    signature = preprocessing_signature(short)
    assert signature == preprocessing_signature(long)
    assert json.loads(json.dumps(signature)) == signature
    assert signature[0]["size"] == 24
    other = build({"type": "Resize", "size": 24, "interpolation": "bicubic"}, {"type": "ToTensor"})
    assert preprocessing_signature(other) != signature


def test_the_signature_describes_nested_steps() -> None:
    flip = {"type": "RandomHorizontalFlip", "p": 0.25}
    signature = preprocessing_signature(build({"type": "RandomApply", "transforms": [flip]}))
    assert signature == [
        {
            "type": "RandomApply",
            "p": 0.5,
            "transforms": [{"type": "RandomHorizontalFlip", "p": 0.25}],
        }
    ]
