"""Images of a calibration, and the ranges that they give."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cliqa.deploy.onnx.integers.calibration import CalibrationImages, tensor_ranges
from cliqa.utils.errors import DatasetError, ModelError

Pictures = Callable[..., list[Tensor]]
SHAPE = [None, 3, 16, 16]


def read(batches: Iterable[Tensor], shape: list[int | None] | None = None) -> list[Tensor]:
    return list(CalibrationImages(batches, shape or SHAPE))


def test_images_are_counted_and_given_as_they_are(pictures: Pictures) -> None:
    batches = pictures()
    images = CalibrationImages(iter(batches), SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(images, batches, strict=True))
    assert images.images == 24


def test_some_images_of_one_colour_do_no_harm(pictures: Pictures) -> None:
    assert len(read([*pictures(1), torch.zeros(4, 3, 16, 16)])) == 2


def test_a_model_of_one_image_gets_one_at_a_time(pictures: Pictures) -> None:
    found = read(pictures(1), [1, 3, 16, 16])
    assert [len(batch) for batch in found] == [1] * 8


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], r"no calibration batch\. Give some 16 to 128 images"),
        ([torch.zeros(4, 3, 16, 16)], r"every calibration image is of one colour"),
        ([torch.rand(4, 1, 1, 1).expand(4, 3, 16, 16)], r"every calibration image is of one colo"),
        ([torch.full((2, 3, 16, 16), float("nan"))], r"batch 0 has NaN or infinite pixels"),
        ([255 * torch.rand(2, 3, 16, 16)], r"batch 0 has values up to 25\d.*evaluation's transf"),
        ([torch.rand(2, 3, 8, 16)], r"shape \(2, 3, 8, 16\), but the model takes \('any', 3, 16"),
        ([torch.rand(2, 1, 16, 16)], r"shape \(2, 1, 16, 16\), but the model takes"),
        ([torch.rand(3, 16, 16)], r"got torch\.float32 of shape \(3, 16, 16\)"),
        ([torch.zeros(2, 3, 16, 16, dtype=torch.uint8)], r"got torch\.uint8 of shape"),
        ([(torch.rand(2, 3, 16, 16), torch.rand(2))], r"got a tuple.*give the images alone"),
    ],
)
def test_images_that_tell_nothing_are_refused(batches: list[Tensor], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(batches)


def test_batches_of_another_length_than_the_models() -> None:
    with pytest.raises(DatasetError, match=r"shape \(3, 3, 16, 16\), but the model takes \(2, 3"):
        read([torch.rand(3, 3, 16, 16)], [2, 3, 16, 16])


def test_ranges_are_those_of_the_values(
    onnx_folder: Path, scorer: nn.Module, pictures: Pictures
) -> None:
    batches = pictures()
    ranges = tensor_ranges(onnx_folder / "linear.onnx", "images", batches)
    images = torch.cat(batches)
    with torch.no_grad():
        expected = {"images": images, "output": scorer(images)}
    for name, values in expected.items():
        low, high = ranges[name].range_value
        assert low.item() == pytest.approx(float(values.min()), abs=1e-5)
        assert high.item() == pytest.approx(float(values.max()), abs=1e-5)


def test_what_cannot_be_calibrated(onnx_folder: Path, tmp_path: Path) -> None:
    path = onnx_folder / "linear.onnx"
    with pytest.raises(ModelError, match=r"the graph fails on images of shape \(1, 1, 9, 9\)"):
        tensor_ranges(path, "images", [torch.rand(1, 1, 9, 9)])
    (tmp_path / "text.onnx").write_text("weights")
    with pytest.raises(ModelError, match=r"onnxruntime cannot run the graph"):
        tensor_ranges(tmp_path / "text.onnx", "images", [])
