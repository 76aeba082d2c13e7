from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from cliqa.datasets.quality.score_file import ScoreFile
from cliqa.pretraining.pairs import IMAGENET_MEAN, IMAGENET_STD, PairDataset
from cliqa.utils.errors import ConfigError, DatasetError


class Coordinates:
    """One "image" whose first channels are each pixel's row and column."""

    def __init__(self, height: int = 60, width: int = 50) -> None:
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        self.picture = torch.stack([rows, columns, rows + columns]).byte()

    def __len__(self) -> int:
        return 1

    def image(self, index: int) -> Tensor:
        return self.picture


class Grains:
    """Images of grain, grey or in colour."""

    def __init__(self, count: int = 6, grey: bool = False) -> None:
        random = torch.Generator().manual_seed(0)
        shape = (count, 1 if grey else 3, 40, 48)
        self.pictures = torch.randint(60, 190, shape, generator=random).byte().expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.pictures)

    def image(self, index: int) -> Tensor:
        return self.pictures[index]


def test_both_crops_get_worse_from_level_to_level() -> None:
    data = PairDataset(Grains(), crop_size=32, pristine=True)
    for index in range(len(data)):
        levels = data[index].float()
        assert levels.shape == (2, 6, 3, 32, 32)
        errors = (levels - levels[:, :1]).square().mean(dim=(2, 3, 4))  # (2, L)
        assert (errors.mean(0).diff() > 0).all()


def test_degraded_images_are_8_bit_until_a_batch_is_normalised() -> None:
    data = PairDataset(Grains(), crop_size=32)
    assert data[0].dtype == torch.uint8
    batch = torch.stack([data[0], data[1]])
    normal = data.normalised(batch)
    assert batch.dtype == torch.uint8
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    assert torch.allclose((normal * std + mean) * 255, batch.float(), atol=1e-3)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.8, 1.0])
def test_the_crops_are_at_the_images_scale_and_overlap_enough(overlap: float) -> None:
    source = Coordinates()
    data = PairDataset(source, crop_size=20, min_overlap=overlap)
    shifts = set()
    for k in range(60):
        crops = data.crops(source.picture, torch.Generator().manual_seed(k))
        tops, lefts = (crops[:, channel, 0, 0].int().tolist() for channel in (0, 1))
        for crop, top, left in zip(crops, tops, lefts, strict=True):
            assert torch.equal(crop, source.picture[:, top : top + 20, left : left + 20])
        down, right = abs(tops[0] - tops[1]), abs(lefts[0] - lefts[1])
        assert max(0, 20 - down) * max(0, 20 - right) >= overlap * 400
        shifts.add((down, right))
    assert len(shifts) > 3 or overlap == 1


def test_every_pair_has_one_kind_of_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    data = PairDataset(Grains(), crop_size=16, families=["blur", "noise", "darken"])
    seen: list[str] = []

    def watch(name: str) -> Callable[..., list[Tensor]]:
        def record(crops: Tensor, draw: torch.Generator) -> list[Tensor]:
            seen.append(name)
            return [crops, crops + 1]

        return record

    for name, step in data.degradations.items():
        monkeypatch.setattr(step, "forward", watch(name))
    for epoch in range(10):
        data.set_epoch(epoch)
        for index in range(6):
            assert data[index].shape == (2, 2, 3, 16, 16)
    assert len(seen) == 60
    assert {seen.count(name) > 8 for name in data.degradations} == {True}


def test_a_family_that_does_not_rise_is_accepted_and_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = PairDataset(Grains(), crop_size=32, families=["blur", "brightness"])
    assert data[0].shape == (2, 5, 3, 32, 32)
    (warning,) = caplog.messages
    assert "degradation 'brightness': its levels do not rise" in warning


def test_a_family_that_changes_nothing_is_drawn_anew() -> None:
    data = PairDataset(Grains(grey=True), crop_size=16, families=["saturation", "noise"])
    for index in range(len(data)):
        assert not torch.equal(data[index][:, 0], data[index][:, -1])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_is_repeatable_and_differs_from_the_next(workers: int) -> None:
    data = PairDataset(Grains(4), crop_size=16, seed=3)

    def epoch(number: int) -> Tensor:
        data.set_epoch(number)
        return torch.cat(list(DataLoader(data, batch_size=2, num_workers=workers)))

    first, second = epoch(0), epoch(1)
    torch.rand(7)
    assert torch.equal(epoch(0), first)
    assert not torch.equal(first, second)
    other = PairDataset(Grains(4), crop_size=16, seed=4)
    assert not torch.equal(other[0], first[0])
    assert torch.equal(PairDataset(Grains(4), crop_size=16, seed=3)[2], first[2])


def test_small_images_are_enlarged() -> None:
    item = PairDataset(Coordinates(20, 10), crop_size=32, families=["blur"])[0]
    assert item.shape == (2, 5, 3, 32, 32)


def test_a_folder_and_a_data_set_of_scores_serve_alike(tiny_data: Path) -> None:
    scores = ScoreFile(
        tiny_data / "a", "scores.csv", score_range=(0, 1), higher_is_better=True, images="."
    )
    labelled = PairDataset(scores, crop_size=12)
    folder = PairDataset(tiny_data / "a", crop_size=12)
    assert len(folder) == len(labelled) == 40
    assert torch.equal(folder[5], labelled[5])
    assert len(PairDataset(str(tiny_data), crop_size=12)) == 120


def test_a_damaged_image_is_an_error_or_left_out(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "b.png")
    (tmp_path / "a.png").write_bytes(b"no png")
    with pytest.raises(DatasetError, match=r"a\.png: cannot be decoded"):
        PairDataset(tmp_path, crop_size=12)[0]
    assert len(PairDataset(tmp_path, crop_size=12, on_bad_image="skip")) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"crop_size": 0}, "crop_size must be an integer >= 1, got 0"),
        ({"min_overlap": 1.5}, r"min_overlap must lie in 0\.\.1, got 1\.5"),
        ({"families": []}, r"families: expected a list of degradations, got \[\]"),
        ({"families": "blur"}, "expected a list of degradations, got 'blur'"),
        ({"families": ["blurr"]}, "unknown degradation 'blurr'"),
        ({"std": (1.0, 1.0)}, "one positive std per mean is needed"),
        ({"std": (1.0, 1.0, 0.0)}, "one positive std per mean is needed"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PairDataset(Grains(), **arguments)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no image in the folder or below it"):
        PairDataset(tmp_path)
