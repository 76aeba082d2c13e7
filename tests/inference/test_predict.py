"""Scores of images from a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from unicodedata import normalize

import pytest
import torch
from torchvision.io import write_png

from cliqa.datasets.image_listing import find_images
from cliqa.engine.streams import build_benchmark
from cliqa.inference.evaluate import evaluate
from cliqa.inference.predict import Predictor
from cliqa.transforms.protocol import parse_protocol
from cliqa.utils.errors import CheckpointError, DatasetError, MachineError, ModelError

CPU = torch.device("cpu")


def test_scores_are_those_of_the_evaluation(
    tiny_run: Path, tiny_config: dict[str, Any], tiny_data: Path, tmp_path: Path
) -> None:
    results = evaluate(
        tiny_config,
        config_file="tiny.py",
        checkpoint=tiny_run,
        device="cpu",
        out=tmp_path / "out.json",
    )
    rows = results["datasets"]["a"]["predictions"]
    paths = [tiny_data / "a" / row["image"] for row in rows]
    scores = list(Predictor(tiny_run, CPU).predict(paths, batch_size=5))
    assert [s.image for s in scores] == paths
    expected = [row["prediction"] for row in rows]
    assert [s.score for s in scores] == pytest.approx(expected, abs=1e-6)


def test_an_unreadable_image_does_not_stop_the_rest(
    tiny_run: Path, tiny_data: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    good = tiny_data / "a" / "a00.png"
    scores = list(Predictor(tiny_run, CPU).predict([good, bad, good], batch_size=2))
    assert scores[0].score == pytest.approx(scores[2].score, abs=1e-6)
    assert scores[1].score is None
    assert "bad.png" in (scores[1].error or "")


def test_one_image_and_a_batch(tiny_run: Path) -> None:
    predictor = Predictor(tiny_run, CPU)
    images = torch.randint(0, 255, (2, 3, 16, 16), dtype=torch.uint8)
    both = predictor.score(images)
    assert both.shape == (2,)
    assert torch.allclose(predictor.score(images[1]), both[1:], atol=1e-6)


def test_a_run_is_loaded_by_its_name(tiny_run: Path, tiny_data: Path) -> None:
    image = tiny_data / "a" / "a00.png"
    (found,) = Predictor(str(tiny_run), CPU).predict([str(image)])
    (wanted,) = Predictor(tiny_run, CPU).predict([image])
    assert found == wanted


class Mean:
    """A model from nowhere: an image's mean level."""

    path = Path("mean.bin")
    names: ClassVar[list[str]] = ["x"]
    classes: ClassVar[list[str]] = []
    channels = 3
    eval_transform: ClassVar[list[dict[str, Any]]] = [{"type": "ToTensor"}]
    scenario: ClassVar[dict[str, Any]] = {}

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        assert images.shape[1:] == (3, 4, 4)
        return images.mean((1, 2, 3))


def test_any_model_will_do_and_crops_are_averaged(tmp_path: Path) -> None:
    halves = torch.zeros(3, 4, 8, dtype=torch.uint8)
    halves[:, :, 4:] = 255
    bright = torch.full((3, 6, 6), 255, dtype=torch.uint8)
    for name, image in (("halves", halves), ("bright", bright)):
        write_png(image, str(tmp_path / f"{name}.png"))
    paths = [tmp_path / "halves.png", tmp_path / "bright.png"]
    predictor = Predictor(Mean(), CPU, parse_protocol("grid:1x2", 4))
    assert [score.score for score in predictor.predict(paths)] == pytest.approx([0.5, 1.0])
    assert predictor.score(halves).tolist() == pytest.approx([0.5])
    with pytest.raises(ModelError, match=r"mean\.bin: holds no PyTorch network to look into"):
        _ = predictor.model


class Narrow(Mean):
    """The same, with memory for `most` images of at most 20 pixels across."""

    most = 2

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > self.most or images.shape[-1] > 20:
            raise MemoryError
        return images.mean((1, 2, 3))


def grey_images(folder: Path, widths: list[int]) -> list[Path]:
    """Write images of some widths, each of its own level."""
    paths = []
    for k, width in enumerate(widths):
        path = folder / f"{k}.png"
        write_png(torch.full((3, 9, width), 20 * k, dtype=torch.uint8), str(path))
        paths.append(path)
    return paths


@pytest.mark.parametrize("batch_size", [1, 2, 5, 32])
def test_an_image_that_memory_does_not_hold_takes_no_other_with_it(
    tmp_path: Path, batch_size: int
) -> None:
    paths = grey_images(tmp_path, [8, 8, 8, 8, 60, 8, 8])
    scores = list(Predictor(Narrow(), CPU).predict(paths, batch_size))
    assert [score.image for score in scores] == paths
    expected = [20 * k / 255 for k in range(7)]
    assert [s.score for s in scores if s.error is None] == pytest.approx(
        expected[:4] + expected[5:]
    )
    assert scores[4].score is None
    assert scores[4].error == (
        f"{paths[4]}: out of memory with one image of 3 x 9 x 60. Use smaller images, or another "
        "device."
    )


def test_a_first_image_that_memory_does_not_hold_ends_it(tmp_path: Path) -> None:
    paths = grey_images(tmp_path, [60, 60, 8])
    with pytest.raises(MachineError, match="out of memory with one image of 3 x 9 x 60"):
        next(Predictor(Narrow(), CPU).predict(paths, 2))


def test_folders_are_listed_and_others_refused(tiny_data: Path, tmp_path: Path) -> None:
    found = find_images([tiny_data / "a", tiny_data / "a" / "a00.png"])
    assert len(found) == 40
    assert found == sorted(found)
    with pytest.raises(DatasetError, match=r"no image in this folder\. Use --recursive"):
        find_images([tiny_data])
    assert len(find_images([tiny_data], recursive=True)) == 120
    assert find_images([tiny_data / "*" / "?0[34].png"]) == [
        tiny_data / name / f"{name}{k:02d}.png" for name in "abc" for k in (3, 4)
    ]
    odd = tmp_path / "a[1].png"
    odd.write_bytes(b"")
    assert find_images([odd]) == [odd]
    with pytest.raises(DatasetError, match=r"scores\.\*: no image matches this pattern"):
        find_images([tiny_data / "a" / "scores.*"])
    with pytest.raises(DatasetError, match="no such file or folder"):
        find_images([tmp_path / "missing"])


def test_what_systems_leave_behind_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.jpg", "b.JFIF", "._a.jpg", ".DS_Store", "Thumbs.db", "c.txt", "d/._e.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    images = [tmp_path / "a.jpg", tmp_path / "b.JFIF"]
    with caplog.at_level(logging.INFO):
        assert find_images([tmp_path]) == images
        assert find_images([tmp_path], recursive=True) == images
        assert find_images([tmp_path / "*"]) == images
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 3
    assert all("1 file is no image by its suffix and not read (.txt 1)" in text for text in said)


def test_a_path_is_found_in_either_form_of_unicode(tmp_path: Path) -> None:
    composed, decomposed = (normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    (tmp_path / decomposed).touch()
    assert find_images([tmp_path / composed]) == [tmp_path / decomposed]


def test_other_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="work_dir without a checkpoint"):
        Predictor(tmp_path, CPU)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"no config in it.*load_from"):
        Predictor(tmp_path / "w.pth", CPU)


def test_classes_are_those_of_the_evaluation(
    split_config: dict[str, Any], run_config: Callable[..., Path], tmp_path: Path
) -> None:
    folder = run_config(split_config)
    results = evaluate(split_config, config_file="x.py", checkpoint=folder, device="cpu")
    source = build_benchmark(split_config["scenario"]).sources["0+1", "test"]
    paths = [tmp_path / f"{k}.png" for k in range(len(source))]
    for path, image in zip(paths, source.inputs, strict=True):
        write_png(image.expand(3, -1, -1).contiguous(), str(path))
    predictor = Predictor(folder, CPU)
    assert predictor.classes[0] == "T-shirt/top"
    found = list(predictor.predict(paths, batch_size=5, num_workers=1))
    expected = results["datasets"]["0+1"]["predictions"]
    assert [score.label for score in found] == [row["prediction"] for row in expected]
    sure = [row["probability"] for row in expected]
    assert [score.score for score in found] == pytest.approx(sure, abs=1e-6)  # grey in RGB


def test_a_model_of_features_takes_no_images(
    features_config: dict[str, Any], run_config: Callable[..., Path]
) -> None:
    with pytest.raises(CheckpointError, match=r"trained on the features 'toy' and takes no images"):
        Predictor(run_config(features_config), CPU)
