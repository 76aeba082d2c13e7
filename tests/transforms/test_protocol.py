"""What a model sees of an image under each protocol."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torchvision.transforms.v2 import functional as F

from cliqa.transforms.protocol import (
    EvaluationProtocol,
    build_views,
    parse_protocol,
    random_crops,
)
from cliqa.utils.errors import ConfigError
from cliqa.utils.seed import generator

NORMALIZE: dict[str, Any] = {"type": "Normalize", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3]}
STEPS: list[dict[str, Any]] = [{"type": "ToTensor"}, NORMALIZE]


def picture(height: int, width: int, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=draw)


def by_hand(image: torch.Tensor) -> torch.Tensor:
    mean, std = (torch.tensor(NORMALIZE[k]).view(3, 1, 1) for k in ("mean", "std"))
    return (image.float() / 255 - mean) / std


@pytest.mark.parametrize("seed", range(5))
def test_the_grid_covers_every_pixel_whatever_the_size(seed: int) -> None:
    draw = random.Random(seed)
    size = draw.randint(5, 20)
    height, width = draw.randint(size, 5 * size), draw.randint(size, 5 * size)
    places = torch.arange(height * width).float().view(1, height, width)
    views = build_views([], EvaluationProtocol(grid=(5, 5), crop_size=size), "x")
    crops = views(places, "a.jpg")
    assert crops.shape == (25, 1, size, size)
    assert set(crops.flatten().long().tolist()) == set(range(height * width))


def test_crops_of_the_normalised_image_are_the_normalised_crops() -> None:
    image = picture(40, 61)
    crops = build_views(STEPS, EvaluationProtocol(grid=(3, 4), crop_size=16), "x")(image, "a")
    tops, lefts = (0, 12, 24), (0, 15, 30, 45)
    assert crops.shape == (12, 3, 16, 16)
    for k, (top, left) in enumerate((t, s) for t in tops for s in lefts):
        one = by_hand(image[:, top : top + 16, left : left + 16])
        assert torch.allclose(crops[k], one, atol=1e-6)


def test_random_crops_are_pieces_and_follow_from_seed_and_name() -> None:
    image = picture(30, 50)
    protocol = parse_protocol("random:8", 12, seed=3)
    crops = build_views(STEPS, protocol, "x")(image, "a.jpg")
    pieces = by_hand(image).unfold(1, 12, 1).unfold(2, 12, 1)  # (3, 19, 39, 12, 12)
    pieces = pieces.permute(1, 2, 0, 3, 4).flatten(0, 1)
    found = [(pieces - crop).abs().amax((1, 2, 3)).argmin() for crop in crops]
    assert torch.allclose(pieces[torch.stack(found)], crops, atol=1e-6)
    assert len(set(map(int, found))) > 4
    again = build_views(STEPS, protocol, "x")
    assert torch.equal(again(image, "a.jpg"), crops)
    assert not torch.equal(again(image, "b.jpg"), crops)
    other = build_views(STEPS, parse_protocol("random:8", 12, seed=4), "x")
    assert not torch.equal(other(image, "a.jpg"), crops)


def test_random_crops_reach_every_corner() -> None:
    places = torch.arange(42).view(1, 6, 7)
    crops = random_crops(places, 200, 5, generator(0))
    assert set(crops[:, 0, 0, 0].tolist()) == {0, 1, 2, 7, 8, 9}


@pytest.mark.parametrize("crops", ["grid:2x2", "random:4"])
def test_a_small_image_is_enlarged(crops: str) -> None:
    white = torch.full((3, 12, 40), 255, dtype=torch.uint8)
    shown = build_views([{"type": "ToTensor"}], parse_protocol(crops, 24), "x")(white, "a")
    assert shown.shape == (4, 3, 24, 24)
    assert torch.allclose(shown, torch.ones(()), atol=1e-6)


def test_crops_and_resize_take_the_place_of_the_models_own() -> None:
    own = [{"type": "Resize", "size": 20}, {"type": "torchvision.CenterCrop", "size": 16}, *STEPS]
    image = picture(40, 60)
    kept = build_views(own, parse_protocol("grid:1x1", 20), "x")(image, "a")
    small = F.resize(image, [20], antialias=True)
    assert torch.allclose(kept[0], by_hand(small[:, :, 5:25]), atol=1e-6)
    squeezed = build_views(own, parse_protocol("grid:1x1", 20, ["20", "24"]), "x")(image, "a")
    both = F.resize(image, [20, 24], antialias=True)
    assert torch.allclose(squeezed[0], by_hand(both[:, :, 2:22]), atol=1e-6)
    whole = build_views(own, parse_protocol(None, resize=["none"]), "x")(image, "a")
    assert torch.allclose(whole, by_hand(image[:, 12:28, 22:38]), atol=1e-6)
    assert own[0] == {"type": "Resize", "size": 20}


def test_equal_preprocessing_has_equal_signatures() -> None:
    plain = EvaluationProtocol()
    first = build_views([{"type": "Resize", "size": 20}, *STEPS], plain, "x").signature()
    assert first == build_views([{"size": 20, "type": "Resize"}, *STEPS], plain, "y").signature()
    for protocol in (
        parse_protocol("grid:5x5", 9),
        parse_protocol("random:5", 9),
        parse_protocol(None),
    ):
        assert build_views(STEPS, protocol, "x").signature() != first
    seeds = [
        build_views(STEPS, parse_protocol("random:5", 9, seed=s), "x").signature() for s in (0, 1)
    ]
    assert seeds[0] != seeds[1]


OWN: list[tuple[list[dict[str, Any]], list[dict[str, Any]], int]] = [
    ([{"type": "CenterCrop", "size": 96}], [{"type": "RandomCrop", "size": 88}], 96),
    ([{"type": "AdaptiveResize", "size": 96}], [{"type": "RandomCrop", "size": [88]}], 88),
    ([{"type": "GridCrop"}], [], 224),
    ([], [{"type": "torchvision.RandomResizedCrop", "size": (40, 40)}, *STEPS], 40),
]


@pytest.mark.parametrize(("steps", "train", "size"), OWN)
@pytest.mark.parametrize("crops", ["grid:2x2", "random:4"])
def test_crops_are_of_the_models_own_size(
    crops: str, steps: list[dict[str, Any]], train: list[dict[str, Any]], size: int
) -> None:
    views = build_views(steps, parse_protocol(crops), "x", train_steps=train)
    assert views(picture(300, 240), "a").shape == (4, 3, size, size)
    assert views.protocol.crop_size == size
    assert views.protocol.to_row()["crop_size"] == size


def test_another_size_is_told_and_an_unknown_one_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = [{"type": "CenterCrop", "size": 96}]
    for size in (None, 96):
        build_views(steps, parse_protocol("grid:2x2", size), "x")
    assert not caplog.records
    assert build_views(steps, parse_protocol("grid:2x2", 40), "x").protocol.crop_size == 40
    (row,) = caplog.records
    assert row.getMessage().startswith("--crop-size 40: the model's own crops are 96 px")
    for unknown in ([], [{"type": "CenterCrop", "size": (96, 128)}]):
        with pytest.raises(ConfigError, match=r"crops of one size. Add --crop-size PIXELS"):
            build_views(unknown, parse_protocol("grid:2x2"), "x")


def test_features_pass() -> None:
    assert torch.equal(
        build_views(None, EvaluationProtocol(), "x")(torch.ones(4), "a"), torch.ones(4)
    )
    with pytest.raises(ConfigError, match="need images, but this model takes features"):
        build_views(None, parse_protocol("grid:2x2"), "x")


def test_words() -> None:
    assert parse_protocol(None).describe() == "each model's own preprocessing"
    said = parse_protocol("random:25", 224, resize=["512"], seed=7).describe()
    assert said == "resized to a shorter edge of 512, crops random:25 of 224 px, seed 7"
    assert parse_protocol("grid:2x3", resize=["none"]).describe().startswith("not resized, crops")
    assert (parse_protocol("grid:2x3").count, parse_protocol("random:9").count) == (6, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("grid:5",), r"--crops grid:5: write grid:ROWSxCOLUMNS, random:COUNT or whole"),
        (("25",), r"--crops 25: write"),
        (("grid:0x5",), r"--crops: there must be at least one crop"),
        (("random:0",), r"--crops: there must be at least one crop"),
        (("grid:5x5", 0), r"--crop-size 0: must be at least 1 pixel"),
        ((None, 224, ["0"]), r"--resize 0: give the shorter edge, or height and width"),
        ((None, 224, ["1", "2", "3"]), r"--resize 1 2 3: write one size, HEIGHT WIDTH, or none"),
        ((None, 224, ["big"]), r"--resize big: write one size"),
    ],
)
def test_mistakes_are_named(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_protocol(*arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="choose a grid, random crops or"):
        EvaluationProtocol(grid=(1, 1), draws=2)


def test_the_whole_image_is_shown_in_one_pass() -> None:
    cut: list[dict[str, Any]] = [{"type": "Resize", "size": 20}, {"type": "CenterCrop", "size": 16}]
    steps = [*cut, {"type": "ToTensor"}]
    protocol = parse_protocol("whole")
    views = build_views(steps, protocol, "x")
    image = torch.randint(0, 256, (3, 40, 60), dtype=torch.uint8)
    assert views(image, "a").shape == (3, 20, 30)
    assert (protocol.count, protocol.crops) == (1, "whole")
    assert protocol.describe() == "the whole image in one pass"
    assert protocol.to_row() == {
        "crops": "whole",
        "crop_size": None,
        "crop_seed": None,
        "resize": None,
    }
    plain = build_views(steps, parse_protocol(None), "x")
    assert views.signature() != plain.signature()


def test_the_whole_image_has_no_crops() -> None:
    with pytest.raises(ConfigError, match=r"--crop-size: --crops whole has no crops"):
        parse_protocol("whole", crop_size=8)
    with pytest.raises(ConfigError, match=r"choose a grid, random crops or the whole image"):
        EvaluationProtocol(grid=(2, 2), whole=True)
    with pytest.raises(ConfigError, match=r"need images, but this model takes features"):
        build_views(None, parse_protocol("whole"), "x")
