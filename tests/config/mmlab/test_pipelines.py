"""Tests of cliqa.config.mmlab.pipelines."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cliqa.config.mmlab.pipelines import translate_pipeline
from cliqa.transforms.pipeline import build_pipeline

IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}

STEPS: list[tuple[dict[str, Any], dict[str, Any] | None]] = [
    (
        {"type": "RandomResizedCrop", "scale": 224, "backend": "cv2", "interpolation": "bicubic"},
        {"type": "RandomResizedCrop", "size": 224, "interpolation": "bicubic"},
    ),
    (
        {"type": "RandomResizedCrop", "scale": (64, 32), "crop_ratio_range": (0.5, 1.0)},
        {"type": "RandomResizedCrop", "size": [32, 64], "scale": [0.5, 1.0]},
    ),
    ({"type": "ResizeEdge", "scale": 256}, {"type": "Resize", "size": 256}),
    ({"type": "Resize", "scale": 32}, {"type": "Resize", "size": [32, 32]}),
    ({"type": "Resize", "scale": (64, 32)}, {"type": "Resize", "size": [32, 64]}),
    ({"type": "CenterCrop", "crop_size": 32}, {"type": "CenterCrop", "size": 32}),
    (
        {"type": "RandomCrop", "crop_size": 32, "padding": 4},
        {"type": "RandomCrop", "size": 32, "padding": 4},
    ),
    (
        {"type": "RandomFlip", "prob": 0.3, "direction": "vertical"},
        {"type": "RandomVerticalFlip", "p": 0.3},
    ),
    (
        {"type": "RandAugment", "num_policies": 2, "total_level": 10, "magnitude_level": 9},
        {"type": "RandAugment", "num_ops": 2, "magnitude": 27},
    ),
    (
        {"type": "AutoAugment", "policies": "cifar10"},
        {"type": "AutoAugment", "policy": "cifar10"},
    ),
    (
        {"type": "ColorJitter", "brightness": 0.4, "contrast": 0.4, "hue": 0.0},
        {"type": "ColorJitter", "brightness": 0.4, "contrast": 0.4},
    ),
    (
        {"type": "RandomErasing", "erase_prob": 0.25, "mode": "rand", "max_area_ratio": 0.5},
        {
            "type": "RandomErasing", "p": 0.25, "scale": [0.02, 0.5], "ratio": [0.3, 10 / 3],
            "value": "random",
        },
    ),
    ({"type": "RandomGrayscale", "prob": 0.2}, {"type": "RandomGrayscale", "p": 0.2}),
    ({"type": "Solarize", "thr": 128, "prob": 0.2},
     {"type": "RandomSolarize", "threshold": 128, "p": 0.2}),
    (
        {"type": "RandomApply", "transforms": [{"type": "ColorJitter", "hue": 0.1}], "prob": 0.8},
        {"type": "RandomApply", "transforms": [{"type": "ColorJitter", "hue": 0.1}], "p": 0.8},
    ),
    ({"type": "torchvision/TrivialAugmentWide"}, {"type": "TrivialAugmentWide"}),
    ({"type": "LoadImageFromFile"}, None),
    ({"type": "PackInputs"}, None),
]  # fmt: skip


@pytest.mark.parametrize(("theirs", "ours"), STEPS, ids=lambda step: str(step and step["type"]))
def test_a_step_has_a_counterpart_that_runs(
    theirs: dict[str, Any], ours: dict[str, Any] | None
) -> None:
    steps = translate_pipeline([theirs], IMAGENET).steps
    assert [step for step in steps if step["type"] not in ("ToTensor", "Normalize")] == (
        [ours] if ours else []
    )
    image = torch.randint(0, 256, (3, 300, 280), dtype=torch.uint8)
    assert build_pipeline(steps, "here", quality=False)(image).dtype == torch.float32


def test_normalisation_comes_last_but_for_erasing() -> None:
    given: list[dict[str, Any]] = [
        {"type": "RandomErasing"},
        {"type": "CenterCrop", "crop_size": 8},
    ]
    steps = translate_pipeline(given, IMAGENET).steps
    assert [step["type"] for step in steps] == [
        "CenterCrop", "ToTensor", "Normalize", "RandomErasing",
    ]  # fmt: skip
    assert steps[2]["mean"] == [0.485, 0.456, 0.406]
    assert steps[2]["std"] == [0.229, 0.224, 0.225]


def test_efficientnets_crop_is_a_resize_and_a_crop() -> None:
    steps = translate_pipeline([{"type": "EfficientNetCenterCrop", "crop_size": 240}], {}).steps
    assert steps[:2] == [
        {"type": "Resize", "size": 272, "interpolation": "bicubic"},
        {"type": "CenterCrop", "size": 240},
    ]


@pytest.mark.parametrize(
    ("step", "lost"),
    [
        ({"type": "Lighting"}, "the transform Lighting is left out"),
        ({"type": "RandomFlip", "direction": "diagonal"}, "direction diagonal is left out"),
        ({"type": "RandomFlip", "direction": ["horizontal", "vertical"]}, "several directions"),
        ({"type": "AutoAugment", "policies": [[]]}, "torchvision's policy for ImageNet"),
        ({"type": "EfficientNetRandomCrop", "scale": 8}, "without min_covered"),
        ({"type": "ResizeEdge", "scale": 8, "edge": "long"}, "scales the short edge"),
        ({"type": "Resize", "scale": (9, 8), "keep_ratio": True}, "scales the short edge"),
    ],
)
def test_what_is_lost_is_said(step: dict[str, Any], lost: str) -> None:
    assert lost in " ".join(translate_pipeline([step], {}).lost)
